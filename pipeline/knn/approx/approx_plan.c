/* approx_plan.c - see approx_plan.h */
#include "approx_plan.h"

#include <math.h>

#include "descent.h"
#include "forest.h"
#include "refine.h"
#include "survey.h"

#define MOST_DIMS      255u /* with the remainder's length: a whole number of vector registers */
#define USUAL_TREES    8u
#define USUAL_ROUNDS   1u
#define MOST_SURVIVORS 4u  /* times k: with more, lists are too long */
#define LEAST_JOINED   20u /* of a list, the entries that rounds look at */
#define MOST_JOINED    40u
#define BATCH          64u /* rows that a thread finishes together; from the file more, as near rows want the same ones */
#define FILE_BATCH     4096u
#define OVERLAP        0.1 /* of cells, usually (cells.c) */

/* Seconds of one thread, as in the exact engine's planner.c. */
#define READ_VALUE    4e-9
#define PAIR_VALUE    0.016e-9 /* a pair of a join, for each value of its codes */
#define TREE_START    1.8e-6   /* a sample in a tree */
#define JOIN_START    100e-9   /* a sample that is joined with others in a round */
#define PROJECT_VALUE 0.045e-9
#define MEASURE       0.4e-9
#define PAIR_START    100e-9
#define WRITE_EDGE    40e-9

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A leaf has half as many samples at least, so that lists are full after one tree. */
static uint64_t leaf_of(const kith_engine_job *job)
{
	const kith_approx_options *o = job->options;
	uint64_t k = kith_info_k(job->info), least = 2 * (k + 1), leaf = o->leaf ? o->leaf : 500 + 4 * k;
	return leaf < least ? least : leaf;
}

int kith_approx_is_whole(const kith_engine_job *job)
{
	return leaf_of(job) >= job->info->n;
}

static uint64_t values_of(const kith_approx_plan *p, const kith_engine_job *job)
{
	return p->dims ? p->dims + 1ull : job->info->d;
}

/* The most that is there at one time, while all codes are put into order, while lists grow, or while rows are finished;
 * without the samples themselves. */
static uint64_t bytes_of(const kith_approx_plan *p, uint64_t n, uint32_t near, const kith_engine_job *job)
{
	const kith_graph_info *info = job->info;
	uint64_t threads = (uint64_t)job->threads, arranged, searched, finished;
	uint64_t codes = kith_codes_bytes(n, values_of(p, job)), lists = kith_neighbour_lists_bytes(n, p->length);
	kith_codes shape = {.values = (uint32_t)values_of(p, job) + 1,
			    .width = (uint32_t)values_of(p, job) + KITH_LANES};
	kith_neighbour_lists all = {.n = n, .length = p->length};
	kith_descent descent = {&shape, &all, p->forward, p->reverse, job->threads, NULL};
	kith_workspace join = {0};
	kith_local_join own;
	kith_forest forest = {.codes = &shape, .leaf = p->leaf, .threads = job->threads};
	uint64_t tree = kith_forest_bytes(&forest, n), round = kith_descent_bytes(&descent, n);
	kith_local_join_init(&own, &shape, &all, p->leaf, 0, &join);
	arranged = 2 * codes + tree;
	searched = codes + lists + (tree > round ? tree : round) + threads * kith_workspace_bytes(&join);
	finished = lists + kith_results_bytes(n, kith_info_k(info), near) +
		   threads * (kith_refiner_bytes(job->vectors, p->resident, p->length, p->batch) +
			      p->batch * kith_candidates_row_bytes(p->length, 0, 0));
	arranged = arranged > searched ? arranged : searched;
	return (arranged > finished ? arranged : finished) + n * 48 + /* ids, hashes and bounds */
	       (1ull + p->directions) * info->d * sizeof(double);
}

static uint64_t sample_bytes(const kith_vectors *vectors)
{
	return vectors->d * vectors->value_size;
}

uint64_t kith_approx_plan_bytes(const kith_approx_plan *p, uint64_t n, const kith_engine_job *job)
{
	kith_approx_plan resident = *p;
	resident.resident = 1;
	resident.batch = BATCH;
	uint64_t ids = job->vectors->id ? 2 * sizeof(uint32_t) : sizeof(uint32_t); /* the cell's, and the file's */
	return bytes_of(&resident, n, kith_info_k(job->info), job) +
	       n * (sample_bytes(job->vectors) + ids + sizeof(uint64_t)); /* and what is left of each row's ties */
}

/* The part of all samples that a cell may have, for its work to fit; 0: not even a small one's does. */
static double cell_of(const kith_approx_plan *p, const kith_engine_job *job)
{
	uint64_t n = job->info->n, least = 0, most = n;
	while (most - least > 1 + n / 1000) {
		uint64_t m = least + (most - least) / 2;
		*(kith_approx_plan_bytes(p, m, job) <= job->memory - job->memory / 8 ? &least : &most) = m;
	}
	return (double)least / (double)n;
}

uint32_t kith_approx_plan_cells(const kith_approx_plan *p)
{
	double levels = log(p->cells ? 1.0 / p->cells : p->cell) / log(p->cells ? 0.5 : (1 + OVERLAP) / 2);
	return 1u << (uint32_t)fmax(1, ceil(levels - 1e-6));
}

/* What the cells take, in which there will be more samples than there are. */
static void foresee_cells(kith_approx_plan *p, const kith_engine_job *job)
{
	double n = (double)job->info->n, k = kith_info_k(job->info);
	double all = n * pow(1 + OVERLAP, log2(kith_approx_plan_cells(p)));
	p->memory = kith_approx_plan_bytes(p, (uint64_t)(n * p->cell), job);
	p->disk = (uint64_t)(all * (4 + (double)sample_bytes(job->vectors) + 12 * k));
	p->seconds *= all / n;
}

static int fit_cells(kith_approx_plan *p, const kith_engine_job *job, kith_err *err)
{
	uint64_t n = job->info->n;
	double smallest = pow((1 + OVERLAP) / 2, 7); /* of KITH_CELLS_MOST */
	p->resident = 1;
	p->batch = BATCH;
	p->cell = p->cells ? fmin(1, 2.0 / p->cells) : cell_of(p, job);
	uint64_t largest = kith_approx_plan_bytes(p, (uint64_t)((double)n / fmax(1, p->cells)), job);
	if (p->cells && largest > job->memory)
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: -m is too small for %u cells: one of them needs at least %llu bytes: ask for more",
			job->vectors->path, p->cells, (unsigned long long)(largest + job->taken));
	if (!p->cells && (p->cell < smallest || p->cell * (double)n < 2 * p->leaf)) {
		double enough = fmax(smallest * (double)n, 3 * (double)p->leaf);
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: -m is too small: engine approx needs at least %llu bytes for n=%llu d=%llu k=%u; "
			"engine exact works in less",
			job->vectors->path,
			(unsigned long long)(kith_approx_plan_bytes(p, (uint64_t)fmin(enough, (double)n), job) * 8 / 7 +
					     job->taken),
			(unsigned long long)n, (unsigned long long)job->info->d, kith_info_k(job->info));
	}
	foresee_cells(p, job);
	return 0;
}

/* The samples stay in memory where a good half of it is left. Else they are read again from the file; and where not
 * even codes and lists fit, the work is done in cells. */
static int fit(kith_approx_plan *p, const kith_vectors *vectors, const kith_engine_job *job, kith_err *err)
{
	uint64_t n = vectors->n, samples = n * sample_bytes(vectors);
	uint32_t near = job->info->near;
	p->resident = 1;
	p->batch = BATCH;
	if (p->cells > 1)
		return fit_cells(p, job, err);
	p->memory = bytes_of(p, n, near, job);
	if (p->memory <= job->memory && samples <= (job->memory - p->memory) / 2) {
		p->memory += samples;
		return 0;
	}
	p->resident = 0;
	for (p->batch = FILE_BATCH; p->batch > 1 && bytes_of(p, n, near, job) > job->memory;)
		p->batch /= 2;
	p->memory = bytes_of(p, n, near, job);
	return p->memory <= job->memory ? 0 : fit_cells(p, job, err);
}

static double seconds_of(const kith_approx_plan *p, const kith_engine_job *job)
{
	double n = (double)job->info->n, d = (double)job->info->d, k = kith_info_k(job->info);
	double values = (double)values_of(p, job), joined = p->forward + p->reverse;
	double tree = p->leaf * values * PAIR_VALUE + TREE_START;
	double round = joined * (joined * values * PAIR_VALUE + JOIN_START);
	/* bounds in all values tell nearly all candidates apart, those in fewer directions next to none */
	double measured = p->dims ? p->length : k;
	double row = d * READ_VALUE + p->dims * d * PROJECT_VALUE + p->trees * tree + p->rounds * round +
		     measured * (MEASURE * d + PAIR_START) + k * WRITE_EDGE;
	return n * row / job->threads;
}

/* Entries of a list: those whose bounds do not tell them from a row's neighbours, on average, and half as many again.
 */
static uint32_t length_of(double survivors, uint32_t k)
{
	double length = fmax(k + 8, 1.5 * survivors + 8);
	return (uint32_t)ceil(length / 8) * 8; /* whole vectors */
}

static void choose_lists(kith_approx_plan *p, uint32_t dims, double survivors, const kith_engine_job *job)
{
	uint32_t k = kith_info_k(job->info), joined = k + 5;
	p->dims = dims;
	p->length = length_of(survivors, k);
	joined = joined < LEAST_JOINED ? LEAST_JOINED : joined > MOST_JOINED ? MOST_JOINED : joined;
	p->forward = p->reverse = (uint32_t)at_most(p->length, joined);
	p->seconds = seconds_of(p, job);
}

/* All values, or as many directions as make it fastest: fewer make shorter codes and longer lists. */
static void choose_dims(kith_approx_plan *p, const kith_survey *survey, uint32_t found, const kith_engine_job *job)
{
	uint32_t k = kith_info_k(job->info);
	kith_approx_plan other = *p;
	choose_lists(p, 0, k, job);
	for (uint32_t e = 0; e < KITH_SURVEY_MENU && kith_survey_menu[e] <= found; e++) {
		double survivors = survey->share[e] * (double)job->info->n;
		if (kith_survey_menu[e] + 1 >= job->info->d || survivors > MOST_SURVIVORS * k)
			continue;
		choose_lists(&other, kith_survey_menu[e], survivors, job);
		*p = other.seconds < p->seconds ? other : *p;
	}
}

int kith_approx_plan_choose(kith_approx_plan *p, kith_basis *basis, const kith_scaling *scaling,
			    const kith_engine_job *job, kith_err *err)
{
	const kith_approx_options *o = job->options;
	uint32_t k = kith_info_k(job->info);
	uint64_t d = job->info->d, dims = at_most(MOST_DIMS, d);
	kith_survey survey;
	if (scaling->off)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: engine approx takes no samples of 2^20 values or more, and none beyond 1e150: "
				 "use --engine exact",
				 job->vectors->path);
	if (kith_survey_rows(job->info->n, d, job->memory / 3) < 2)
		return kith_fail(err, KITH_EUSAGE, "%s: -m is too small to look at some samples of %llu values",
				 job->vectors->path, (unsigned long long)d);
	while (dims > 1 &&
	       dims * d * 2 * sizeof(double) > job->memory / 3) /* while they are found, they are there twice */
		dims /= 2;
	int rc = kith_survey_run(&survey, basis, scaling, (double)k / (double)job->info->n, (uint32_t)dims,
				 job->memory / 3, job->threads, err);
	if (rc)
		return rc;
	*p = (kith_approx_plan){.recall = o->recall > 0 ? o->recall : KITH_APPROX_RECALL,
				.until_recall = !o->trees && !o->rounds && job->audit,
				.trees = o->trees ? o->trees : USUAL_TREES,
				.rounds = o->rounds ? o->rounds - 1 : USUAL_ROUNDS,
				.leaf = (uint32_t)leaf_of(job),
				.cells = o->cells};
	p->directions = basis->dims;
	choose_dims(p, &survey, basis->dims, job);
	return fit(p, scaling->vectors, job, err);
}
