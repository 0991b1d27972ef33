/* planner.c - see planner.h */
#include "planner.h"

#include <math.h>

#include "block_join.h"
#include "pilot.h"
#include "stream.h"
#include "tile_kernels.h"
#include "tree_join.h"

#define MAX_DIMS    255u /* with the remainder's length: a whole number of vector registers */
#define MIN_DIMS    15u
#define LEAST_BATCH 512u /* rows from the file are finished together, rather than have room for more candidates */
#define SURVEY_PART 0.25 /* of the time for all pairs: what a survey may take */
#define LEAST_ROWS  128u /* that a survey looks at, */
#define QUERIES     64   /* and those whose neighbours it looks at */
#define GUESS_SHARE 64u  /* first bounds are guessed where k is at least n / GUESS_SHARE */
#define GUESS_RANK  400u /* of a row's k nearest are in the sample that its bound is guessed from */

/* Seconds of one thread of about 3 GHz, for choosing and for --dry-run; what matters is their ratios. Measured on
 * layers of d = 10 to 4704. */
#define PAIR_START    25e-9    /* a pair that passes the tiles */
#define PAIR_VALUE    0.13e-9  /* for each value */
#define FULL_VALUE    0.2e-9   /* for each of all d values, which come from memory, not from the cache */
#define MEASURE       0.3e-9   /* a canonical distance, for each value, */
#define MEASURE_START 60e-9    /* and each time */
#define FINISH        3e-6     /* a row, to tell its neighbours from other candidates */
#define PROBE         140e-9   /* a row, for each block that its first bound comes from */
#define STREAM_TAKE   30e-9    /* a candidate in the stream plan, which starts without a bound */
#define TAKE          6e-9     /* a candidate */
#define READ_VALUE    2e-9     /* a value of the file: read, checked, hashed, */
#define PASS_VALUE    2e-9     /* read again, converted */
#define QUANTISE      5e-9     /* a value of what tiles multiply */
#define SKETCH_VALUE  0.045e-9 /* for each of the basis' directions */
#define START         10e-3    /* the program and its threads */
#define STAGE         200e-6   /* any stage, to begin and to end */
#define WRITE_EDGE    40e-9
#define READ_CALL     0.6e-6  /* samples read from the file for their distances: each time, */
#define READ_BYTE     0.25e-9 /* and for each of their bytes */
#define SPILL_BYTE    2e-9    /* vectors that are in a file, which the system has to find the pages of */
#define TREE_SAMPLES  100000u /* that the plan tree is for: with fewer the block join is as fast */
#define TREE_CODES    47u     /* directions of the codes of the plan tree, at most */
#define TREE_BOXED    7u      /* directions in which what passes tells what boxes let pass, */
#define TREE_LEAVES   6.0     /* so many times as much; counted: 7.8 (net of bench/approx) and 5 (pix) */
#define TREE_LEAF     75e-9   /* a box around 16 samples that is not ruled out for a row, and their codes */
#define TREE_ROW      12e-6   /* a row, beside that */
#define PRODUCT       0.08e-9 /* of two doubles, in matrices */

/* 256 pairs in a tile, and for each value. */
struct rates {
	double tile, value;
};

static struct rates rates_of(kith_tile_kernel kernel)
{
#if defined __x86_64__
	if (kernel == kith_tile_avx512)
		return (struct rates){45e-9, 2.7e-9};
	if (kernel == kith_tile_avx2)
		return (struct rates){120e-9, 5.6e-9};
#endif
	(void)kernel;
	return (struct rates){900e-9, 43e-9};
}

struct planner {
	const kith_vectors *vectors;
	const kith_graph_info *info;
	const kith_exact_options *options;
	uint64_t memory;
	int threads;
	uint32_t k;
	uint64_t n, d;
	double near; /* k of n */
	struct rates rates;
	kith_survey survey;
};

static uint64_t at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- what a plan takes ---- */

/* Of all pairs, the part that passes bounds in `dims` directions. */
static double share_of(const struct planner *q, uint32_t dims)
{
	return kith_survey_share(&q->survey, dims, q->near);
}

/* 256 pairs in a tile. */
static double tile_of(const struct planner *q, double values)
{
	return q->rates.tile + q->rates.value * values;
}

/* Values that tiles multiply. */
static uint64_t values_of(const kith_plan *p, const struct planner *q)
{
	return p->kind == KITH_PLAN_FULL ? q->d : p->coarse + 1ull;
}

/* The vectors that are joined, and the numbers of their bounds. */
static uint64_t vectors_bytes(const kith_plan *p, const struct planner *q)
{
	uint64_t full =
		p->kind == KITH_PLAN_SKETCH ? 0 : kith_bounds_bytes(q->n, p->kind == KITH_PLAN_SCREEN ? q->d : 0);
	return kith_projections_bytes(q->n, p->dims) + kith_quantised_bytes(q->n, values_of(p, q)) + full;
}

/* Memory, panel and batch of a join with the candidates of all rows in memory or, if `panels`, of some at a time.
 * Returns 0 if it does not fit. */
static int size_join(kith_plan *p, const struct planner *q, int panels)
{
	const kith_vectors *vectors = q->vectors;
	uint64_t memory = q->memory, n = q->n, threads = (uint64_t)p->threads;
	uint64_t results = panels ? kith_results_bytes(n, q->k, q->info->near) : 0;
	uint64_t row = kith_candidates_row_bytes(p->capacity, q->info->near, p->known);
	uint64_t all = n * q->d * vectors->value_size;
	uint64_t most = (n + KITH_GROUP - 1) / KITH_GROUP * KITH_GROUP, fixed;
	if (panels && q->options->panel_rows)
		most = at_most(most, (q->options->panel_rows + KITH_GROUP - 1) / KITH_GROUP * KITH_GROUP);
	p->in_place = !panels;
	p->spill = results > memory / 4;
	fixed = n * 24 + q->d * 8 * (1ull + p->dims) + (p->spill ? 0 : results) +
		kith_quantised_bytes(p->guess ? p->probes * KITH_LANES : 0, values_of(p, q)) +
		kith_block_join_bytes(p, n) + (p->spill_vectors ? 0 : vectors_bytes(p, q));
	if (!panels)
		fixed += most * row;
	if (fixed > memory)
		return 0;
	p->resident = p->spill_vectors || all <= (memory - fixed) / 2;
	fixed += p->resident && !p->spill_vectors ? all : 0;
	if (p->resident)
		p->batch = kith_refiner_batch(vectors, 1, p->capacity, KITH_LANES, (memory - fixed) / 4 / threads);
	else /* the larger its batches, the less often the file is read */
		p->batch = kith_refiner_batch(vectors, 0, p->capacity, (uint32_t)at_least(most / threads, 1),
					      (memory - fixed) / (panels ? 2 : 1) / threads);
	fixed += threads * kith_refiner_bytes(vectors, p->resident, p->capacity, p->batch);
	if (fixed > memory)
		return 0;
	if (panels) {
		most = at_most((memory - fixed) / row, most) / KITH_GROUP * KITH_GROUP;
		if (!q->options->panel_rows && most < at_most(n, 4 * KITH_GROUP))
			return 0; /* hardly any: to stream is better */
		fixed += most * row;
	}
	if (!most)
		return 0;
	p->panel = (uint32_t)at_most(most, UINT32_MAX - KITH_GROUP);
	p->memory = fixed;
	p->disk = (p->spill ? results : 0) + (p->spill_vectors ? vectors_bytes(p, q) + all : 0);
	return 1;
}

/* Seconds to read the samples that `each` row of a batch wants the distances of: near rows want many of them together,
 * and what lies together is read together. */
static double time_reading(const struct planner *q, uint64_t rows, double each)
{
	double n = (double)q->n, bytes = (double)q->vectors->row_bytes;
	double distinct = n * (1 - exp(-(double)rows * (1 + each / 2) / n));
	return fmin(distinct * (READ_CALL + bytes * READ_BYTE), n * bytes * READ_BYTE * 1.5);
}

/* A row whose list is full before it is through keeps its nearest by distances, at once and by itself. Some rows have
 * many times what they have on average: where each candidate is read from the file for it, the few that are settled
 * for that take longer than all else. */
static double time_settling(const kith_plan *p, const struct planner *q, double survivors)
{
	double room = fmax(p->capacity - q->k, 1), bytes = (double)q->vectors->row_bytes;
	double measure = MEASURE * (double)q->d + MEASURE_START;
	if (p->resident)
		return fmax(0, 2 * survivors / room - 1) * p->capacity * measure;
	return p->capacity * (measure + READ_CALL + bytes * READ_BYTE) / expm1(room / (2 * survivors));
}

/* The seconds in all, once those of the stages are there. */
static void add_up(kith_plan *p, const struct planner *q)
{
	double n = (double)q->n;
	p->seconds = START + n * (double)q->d * READ_VALUE + n * q->k * WRITE_EDGE;
	for (int s = 0; s < KITH_STAGES; s++)
		p->seconds += p->cost[s];
	p->seconds /= p->threads;
}

/* Seconds of a join whose sizes are known. */
static void time_join(kith_plan *p, const struct planner *q)
{
	double n = (double)q->n, d = (double)q->d, pairs = n * n / 2, k = q->k;
	double panels = p->in_place ? 1 : ceil(n / p->panel), passed = 2 * p->share * pairs;
	double tile = tile_of(q, (double)values_of(p, q)), dims = p->dims, sketch, bounds, join, measure;
	uint64_t batch = at_most(p->batch, p->panel);
	pairs *= 2 - 1 / panels; /* pairs across panels are looked at from both sides */
	sketch = n * d * (PASS_VALUE + SKETCH_VALUE * dims) + (p->spill_vectors ? (double)p->disk * SPILL_BYTE : 0);
	if (p->kind == KITH_PLAN_FULL)
		sketch += n * d * (PASS_VALUE + QUANTISE);
	if (p->kind == KITH_PLAN_SCREEN)
		sketch += n * d * PASS_VALUE;
	bounds = 2 * n * p->probes * 16 / 256 * tile + n * p->probes * PROBE;
	join = pairs / 256 * tile + n * k * 1.5 * TAKE;
	if (kith_plan_two_level(p))
		join += fmin(passed, pairs) *
			(PAIR_START + (p->kind == KITH_PLAN_SCREEN ? FULL_VALUE * d : PAIR_VALUE * dims));
	p->refined = q->info->near;
	if (p->kind == KITH_PLAN_SCREEN)
		bounds += n * 1.2 * k * FULL_VALUE * d;
	if (p->kind == KITH_PLAN_SKETCH && !p->tight) { /* the measured first bounds, and what projections leave */
		p->refined = p->known + share_of(q, p->dims) * n;
		bounds += n * (2 * k + 16) * (PAIR_START + PAIR_VALUE * dims) +
			  n * p->known * (MEASURE * d + MEASURE_START);
		join += n * time_settling(p, q, (p->refined - p->known) / 2 + k / 2);
	}
	measure = n * ((p->refined - p->known) * (MEASURE * d + MEASURE_START) + FINISH);
	if (!p->resident || p->spill_vectors) {
		measure += n / (double)batch * time_reading(q, batch, p->refined - p->known);
		bounds += p->known ? n / (double)batch * time_reading(q, batch, p->known) : 0;
	}
	p->cost[KITH_SKETCHING] = STAGE + sketch;
	p->cost[KITH_FIRST_BOUNDS] = STAGE + bounds;
	p->cost[KITH_JOINING] = STAGE + join;
	p->cost[KITH_MEASURING] = STAGE + measure;
	add_up(p, q);
}

static void consider_sizes(kith_plan *best, kith_plan p, const struct planner *q)
{
	uint32_t least = q->k + q->k / 4 + 16;
	int fits = 0;
	for (uint32_t shorter = p.capacity; !fits && !q->options->panel_rows; shorter -= shorter / 8) {
		if (shorter < least && shorter < p.capacity)
			break; /* several panels rather than lists that are always full */
		p.capacity = shorter;
		fits = size_join(&p, q, 0) && (p.resident || p.batch >= LEAST_BATCH || shorter - shorter / 8 < least);
		if (shorter < 8)
			break;
	}
	if (!fits && !size_join(&p, q, 1))
		return;
	time_join(&p, q);
	if (best->seconds < 0 || p.seconds < best->seconds)
		*best = p;
}

static void consider(kith_plan *best, kith_plan p, const struct planner *q)
{
	for (p.spill_vectors = q->options->spill_vectors; p.spill_vectors < 2; p.spill_vectors++)
		consider_sizes(best, p, q);
}

/* Rows keep their candidates in lists with room for several times those that pass the last bounds on average: a row
 * whose list is full measures it at once, out of turn. */
static uint32_t room(const struct planner *q, double survivors)
{
	double most = fmax(q->k * 1.25 + 64, q->k + 64 + survivors * 4);
	return (uint32_t)fmax(1, fmin(most, fmin(q->k * 8.0 + 1024, (double)q->n - 1)));
}

static void choose_probes(kith_plan *p, const struct planner *q)
{
	uint64_t k = q->k, blocks = (q->n + KITH_LANES - 1) / KITH_LANES;
	uint64_t probes = k <= 128 ? at_least(q->d > 128 ? 64 : 32, k) : at_least(128, k / 12);
	p->guess = p->kind == KITH_PLAN_FULL && k >= q->n / GUESS_SHARE;
	if (p->guess)
		probes = at_most(at_least(GUESS_RANK * q->n / k / KITH_LANES, 4), blocks / 8 + 1);
	p->probes = (uint32_t)at_most(q->options->probe_blocks ? q->options->probe_blocks : probes, blocks);
}

/* A row of the plan tree looks into as large a part of all boxes as pass in the directions that tell most of boxes from
 * each other; what it then looks at in all directions is a few times what it keeps. */
static void time_tree(kith_plan *p, const struct planner *q)
{
	double n = (double)q->n, d = (double)q->d, k = q->k, bounds = 0;
	double leaves = fmin(1, TREE_LEAVES * share_of(q, TREE_BOXED)) * n / KITH_LANES;
	double passed = 2 * p->share * n + 8 * k;
	double join = n * (TREE_ROW + leaves * TREE_LEAF + passed * (PAIR_START + PAIR_VALUE * p->dims) + k * TAKE);
	p->refined = q->info->near;
	if (!p->tight) {
		p->refined = p->known + share_of(q, p->dims) * n;
		bounds = n * p->known * (MEASURE * d + MEASURE_START);
		join += n * time_settling(p, q, (p->refined - p->known) / 2 + k / 2);
	}
	join += n * ((p->refined - p->known) * (MEASURE * d + MEASURE_START) + FINISH);
	p->cost[KITH_SKETCHING] = STAGE + n * d * (PASS_VALUE + SKETCH_VALUE * p->dims);
	p->cost[KITH_FIRST_BOUNDS] = 0;
	p->cost[KITH_JOINING] = STAGE + join + bounds;
	p->cost[KITH_MEASURING] = 0;
	add_up(p, q);
}

/* Where all samples are in memory. */
static void consider_tree(kith_plan *best, kith_plan p, const struct planner *q)
{
	const kith_vectors *vectors = q->vectors;
	uint64_t n = q->n, memory = q->memory, threads = (uint64_t)p.threads;
	uint64_t results = kith_results_bytes(n, q->k, q->info->near);
	p.kind = KITH_PLAN_TREE;
	p.in_place = p.guess = 0;
	p.probes = 0;
	p.coarse = (uint32_t)at_most(q->options->coarse_dims ? q->options->coarse_dims : TREE_CODES, p.dims);
	p.share = share_of(q, p.coarse);
	p.known = p.tight ? 0 : (uint32_t)at_most(q->k + q->k / 8 + 2, n - 1);
	p.capacity = room(q, p.tight ? 0 : share_of(q, p.dims) * (double)n);
	p.spill = results > memory / 4;
	p.resident = 1;
	p.spill_vectors = 0;
	p.panel = KITH_GROUP;
	p.batch = kith_refiner_batch(vectors, 1, p.capacity, KITH_LANES, memory / 16 / threads);
	p.memory =
		n * 24 + q->d * 8 * (1ull + p.dims) + (p.spill ? 0 : results) + n * q->d * vectors->value_size +
		kith_projections_bytes(n, p.dims) +
		at_least(kith_projections_bytes(n, p.dims), /* while they are put in order */
			 kith_box_tree_bytes(n, p.coarse) + kith_tree_join_bytes(&p, vectors, q->k, q->info->near, n));
	p.disk = p.spill ? results : 0;
	if (p.memory > memory || q->options->spill_vectors)
		return;
	time_tree(&p, q);
	if (best->seconds < 0 || p.seconds < best->seconds)
		*best = p;
}

static void consider_joins(kith_plan *best, const struct planner *q, uint32_t dims)
{
	const kith_exact_options *o = q->options;
	kith_plan p = *best;
	p.dims = dims;
	p.tight = dims == q->survey.rank;
	if (o->plan == KITH_PLAN_TREE || (o->plan == KITH_PLAN_AUTO && q->n >= TREE_SAMPLES))
		consider_tree(best, p, q);
	for (uint32_t e = 0; e <= KITH_SURVEY_MENU; e++) {
		p.coarse = e < KITH_SURVEY_MENU ? kith_survey_menu[e] : dims;
		if (p.coarse > dims || (o->coarse_dims && p.coarse != at_most(o->coarse_dims, dims)))
			continue;
		p.share = share_of(q, p.coarse);
		for (p.kind = KITH_PLAN_SKETCH; p.kind <= KITH_PLAN_FULL; p.kind++) {
			p.known = p.kind == KITH_PLAN_SKETCH && !p.tight
					  ? (uint32_t)at_most(q->k + q->k / 8 + 2, q->n - 1)
					  : 0;
			choose_probes(&p, q);
			p.capacity = room(q, p.kind == KITH_PLAN_SKETCH ? share_of(q, dims) * (double)q->n : 0);
			if (o->plan == KITH_PLAN_AUTO || o->plan == p.kind)
				consider(best, p, q);
		}
	}
}

static void time_stream(kith_plan *p, const struct planner *q)
{
	double n = (double)q->n, d = (double)q->d, panels = ceil(n / p->panel);
	p->refined = q->info->near;
	p->cost[KITH_SKETCHING] = STAGE + n * d * PASS_VALUE;
	p->cost[KITH_FIRST_BOUNDS] = p->cost[KITH_MEASURING] = 0;
	/* rows have no bound until their lists are full, and then that of what they have met */
	double taken = fmin(n, p->capacity * (1 + log(fmax(n / p->capacity, 1))));
	p->cost[KITH_JOINING] = 2 * STAGE + n * taken * (STREAM_TAKE + FULL_VALUE * d) + n * n / 256 * tile_of(q, d) +
				n * d * PASS_VALUE * panels + n * p->refined * (MEASURE + PASS_VALUE / 2) * d;
	add_up(p, q);
}

static void consider_stream(kith_plan *best, const struct planner *q)
{
	const kith_exact_options *o = q->options;
	kith_plan p = {.kind = KITH_PLAN_STREAM, .threads = best->threads, .share = 1};
	uint64_t results = kith_results_bytes(q->n, q->k, q->info->near);
	p.spill = results > q->memory / 4;
	p.memory = kith_stream_sizes(&p, q->vectors, q->n, q->k, q->memory - (p.spill ? 0 : results), o->panel_rows,
				     o->tile_rows);
	p.memory += p.spill ? 0 : results;
	p.disk = p.spill ? results : 0;
	time_stream(&p, q);
	if (best->seconds < 0 || p.seconds < best->seconds)
		*best = p;
}

/* Samples to survey, and directions to find in half of them: no more than a part of the work that they can save, which
 * is that of multiplying every pair. Where there are few samples nothing but the directions that order them is left. */
static void size_survey(const struct planner *q, uint64_t *rows, uint32_t *dims)
{
	double n = (double)q->n, d = (double)q->d;
	double most = n * n / 2 / 256 * tile_of(q, d) * SURVEY_PART;
	for (;;) {
		double m = (double)*rows, r = *dims;
		double seconds = d * PRODUCT * (4 * m * r + 8 * r * r + QUERIES * m) + m * d * READ_VALUE;
		if (seconds <= most || (*rows <= LEAST_ROWS && (*dims <= MIN_DIMS || q->options->sketch_dims)))
			return;
		if (*rows > LEAST_ROWS && (*rows > 4 * *dims || *dims <= MIN_DIMS || q->options->sketch_dims))
			*rows = at_least(*rows / 2, LEAST_ROWS);
		else
			*dims = (uint32_t)at_least((*dims + 1) / 2 - 1, MIN_DIMS);
	}
}

/* The directions to project on, and the plans that do with them or the leading half, quarter... of them. */
static int consider_bases(kith_plan *best, struct planner *q, kith_basis *basis, const kith_scaling *scaling,
			  kith_err *err)
{
	/* more directions take long to find where d is large, and pay off where k is */
	uint32_t most = q->d > 2048 && q->k < 64 ? MAX_DIMS / 2 : MAX_DIMS, forced = q->options->sketch_dims;
	uint32_t dims = (uint32_t)at_most(forced ? forced : most, q->d);
	uint64_t rows;
	int rc;
	while (dims > MIN_DIMS && !forced && dims * q->d * 2 * sizeof(double) > q->memory / 3)
		dims = (dims + 1) / 2 - 1;
	rows = kith_survey_rows(q->n, q->d, q->memory / 3);
	size_survey(q, &rows, &dims);
	if ((rc = kith_survey_run(&q->survey, basis, scaling, q->near, dims, rows * q->d * sizeof(double), q->threads,
				  err)) ||
	    !basis->dims)
		return rc;
	for (dims = basis->dims;; dims = (dims + 1) / 2 - 1) {
		consider_joins(best, q, dims);
		if (forced || dims < 2 * MIN_DIMS + 1)
			return 0;
	}
}

static struct planner planner_of(const kith_scaling *scaling, const kith_engine_job *job)
{
	const kith_exact_options *o = job->options;
	struct planner q = {.vectors = scaling->vectors,
			    .info = job->info,
			    .options = o,
			    .memory = o->memory ? o->memory : job->memory,
			    .threads = job->threads,
			    .k = kith_info_k(job->info),
			    .n = job->info->n,
			    .d = job->info->d,
			    .rates = rates_of(kith_tile_kernel_best())};
	if (job->pilot) { /* it is planned for the samples that these stand for */
		q.n = kith_pilot_stands_for(job->pilot, q.n);
		q.k = (uint32_t)at_most(job->pilot->k, q.n - 1);
	}
	q.near = (double)q.k / (double)q.n;
	return q;
}

int kith_plan_choose(kith_plan *plan, kith_survey *survey, kith_basis *basis, const kith_scaling *scaling,
		     const kith_engine_job *job, kith_err *err)
{
	struct planner q = planner_of(scaling, job);
	const kith_exact_options *o = q.options;
	kith_plan best = {.seconds = -1, .threads = job->threads};
	int rc = 0;

	if (o->plan != KITH_PLAN_STREAM && !scaling->off && kith_survey_rows(q.vectors->n, q.d, q.memory / 3) >= 2)
		rc = consider_bases(&best, &q, basis, scaling, err);
	if (!rc && (o->plan == KITH_PLAN_AUTO || o->plan == KITH_PLAN_STREAM || best.seconds < 0))
		consider_stream(&best, &q);
	if (!rc && best.memory > q.memory && best.kind == KITH_PLAN_STREAM && best.panel == 1)
		rc = kith_fail(err, KITH_EUSAGE,
			       "%s: -m is too small: n=%llu d=%llu k=%u with %d threads needs at least %llu bytes",
			       q.vectors->path, (unsigned long long)q.n, (unsigned long long)q.d, q.k, best.threads,
			       (unsigned long long)(best.memory + job->taken));
	*plan = best;
	*survey = q.survey;
	return rc;
}

void kith_plan_pilot(kith_plan *plan, const kith_survey *survey, const kith_scaling *scaling,
		     const kith_engine_job *job)
{
	struct planner q = planner_of(scaling, job);
	const kith_plan all = *plan;
	double times = (double)q.n / (double)job->info->n;
	uint64_t n = q.n = job->info->n, groups = (n + KITH_GROUP - 1) / KITH_GROUP;
	uint32_t spare = all.capacity > q.k ? all.capacity - q.k : 0, least;
	q.k = kith_info_k(job->info);
	q.near = (double)q.k / (double)n;
	q.survey = *survey;
	plan->batch = (uint32_t)at_least((uint64_t)((double)all.batch / times), 1);
	plan->spill = plan->spill_vectors = 0; /* they are few: in memory */
	if (all.kind == KITH_PLAN_STREAM) {
		kith_stream_sizes(plan, q.vectors, n, q.k, q.memory,
				  (uint32_t)at_least((uint64_t)((double)all.panel / times), 1), all.tile);
		time_stream(plan, &q);
	} else {
		least = q.k + q.k / 4 + 16;
		plan->capacity =
			(uint32_t)at_most(at_least(q.k + (uint64_t)(spare / times), least), at_least(n - 1, 1));
		plan->known = all.known ? (uint32_t)at_most(q.k + q.k / 8 + 2, n - 1) : 0;
		plan->probes = (uint32_t)at_most(all.probes, all.guess ? groups * KITH_LANES / 8 + 1
								       : (n + KITH_LANES - 1) / KITH_LANES);
		plan->panel =
			all.in_place
				? (uint32_t)(groups * KITH_GROUP)
				: (uint32_t)at_least((uint64_t)((double)all.panel / times) / KITH_GROUP * KITH_GROUP,
						     KITH_GROUP);
		if (all.resident)
			plan->batch = all.batch;
		plan->share = share_of(&q, plan->coarse);
		(all.kind == KITH_PLAN_TREE ? time_tree : time_join)(plan, &q);
	}
}
