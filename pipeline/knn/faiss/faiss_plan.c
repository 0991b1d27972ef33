/* faiss_plan.c - see faiss_plan.h */
#include "faiss_plan.h"

#include <math.h>
#include <string.h>

#include "faiss_input.h"
#include "refine.h"

#define PER_CENTROID 256u   /* FAISS' k-means drops what is beyond that */
#define LEAST_TRAIN  65536u /* that many do for what is no k-means, or one of 256 centroids */
#define FEW          39u    /* samples for each centroid, below which FAISS prints a warning, */
#define FEW_IN_ALL   9984u  /* which there is no other way to have none of; in all, so that it takes no time */
#define TRIAL_ROWS   1024u
#define LEAST_TRIAL  16u
#define LEAST_NSG    200u /* FAISS divides by zero at about half as many */
#define MAX_BLOCK    8192u
#define LEAST_SHARD  1000u
#define GROWTH       1.5 /* of an index's size: half of a vector's old values while it moves, lists with room to spare */

/* Seconds of one thread for --dry-run, with Debian's FAISS. */
#define PRODUCT    0.03e-9 /* a pair, for each value: what FAISS does by OpenBLAS */
#define SCAN       0.45e-9 /* the same by its own loops */
#define VISIT      100e-9  /* a step in a graph, beside its distance */
#define ITERATIONS 25      /* of k-means */
#define ROW        4e-6    /* what kith does with a row */

static uint64_t at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t kith_faiss_found(uint32_t k)
{
	return k + 1 + 8 + k / 16;
}

static int too_small(const kith_engine_job *job, const kith_faiss_spec *spec, const char *what, uint64_t bytes,
		     kith_err *err)
{
	return kith_fail(err, KITH_EUSAGE, "%s: -m is too small: engine faiss:%s needs at least %llu MB for %s",
			 job->vectors->path, spec->factory, (unsigned long long)(((bytes + job->taken) >> 20) + 1),
			 what);
}

int kith_faiss_plan_training(kith_faiss_plan *plan, const kith_engine_job *job, const kith_faiss_spec *spec,
			     kith_err *err)
{
	uint64_t centroids = kith_faiss_spec_centroids(spec), row = job->info->d * sizeof(float);
	uint64_t want = at_most(at_least(centroids * PER_CENTROID, LEAST_TRAIN), job->info->n);
	plan->train_rows = at_most(want, at_least(job->memory / 2 / row, 1));
	if (plan->train_rows < at_most(centroids, job->info->n))
		return too_small(job, spec, "training", 2 * row * centroids, err);
	want = FEW * centroids;
	if (plan->train_rows < centroids || want > FEW_IN_ALL || want > job->memory / 4 / row)
		want = 1;
	plan->repeats = (want + plan->train_rows - 1) / plan->train_rows;
	return 0;
}

int kith_faiss_plan_trial(uint64_t *rows, const kith_engine_job *job, const kith_faiss_spec *spec, kith_err *err)
{
	uint64_t n = job->info->n, row = kith_faiss_row_bound(spec, job->info->d), least = at_most(n, LEAST_TRIAL);
	*rows = at_most(at_most(n, TRIAL_ROWS), job->memory / 4 / row);
	return *rows < least ? too_small(job, spec, "some samples", 4 * least * row, err) : 0;
}

uint64_t kith_faiss_row_bound(const kith_faiss_spec *spec, uint64_t d)
{
	uint64_t links = at_least(kith_faiss_spec_number(spec, "HNSW"), kith_faiss_spec_number(spec, "NSG"));
	int refined = strstr(spec->factory, "RFlat") != NULL || strstr(spec->factory, "Refine") != NULL;
	return d * sizeof(float) * (refined ? 2 : 1) + 64 +
	       10 * at_least(links, strstr(spec->factory, "HNSW") ? 32 : 0);
}

static uint64_t offered_to(const kith_engine_job *job)
{
	uint64_t most = 0;
	for (uint32_t g = 0; g < job->candidate_graphs; g++) {
		const kith_graph_info *theirs = kith_graph_get_info(job->candidates[g]);
		uint32_t tiers = kith_engine_candidate_tiers(theirs, kith_info_k(job->info));
		most = at_least(most, theirs->ladder[tiers - 1]);
	}
	return most;
}

/* Everything but the index and the samples, where `rows` are searched at a time. */
static uint64_t block_bytes(const kith_engine_job *job, const kith_faiss_plan *p, uint64_t rows)
{
	const kith_graph_info *info = job->info;
	uint64_t k = kith_info_k(info), threads = (uint64_t)job->threads;
	return rows * (4 * info->d + 12 * p->found + 12 * k + 4ull * info->near + 12 * p->offered + 8) +
	       kith_faiss_input_bytes(job->vectors, job->threads) + threads * 16 * (at_least(p->found, p->offered) + k);
}

/* The samples of a shard, if all of them do not fit: as many as have room in `memory`. Returns 0 if those are too few.
 */
static int cut(kith_faiss_plan *p, uint64_t n, uint64_t memory, double fixed, double row)
{
	double fits = ((double)memory - fixed) / row;
	uint64_t least = at_most(n, at_least(LEAST_SHARD, 2 * p->found));
	p->shard_rows = fits > (double)least ? (uint64_t)fmin(fits, (double)n) : least;
	return fits >= (double)least;
}

int kith_faiss_plan_sizes(kith_faiss_plan *p, const kith_engine_job *job, const kith_faiss_spec *spec, uint64_t fixed,
			  uint64_t row, kith_err *err)
{
	const kith_graph_info *info = job->info;
	uint64_t n = info->n, memory = job->memory, all = n * info->d * job->vectors->value_size, rows, store, others;
	double each = GROWTH * (double)row + 5.0 * job->threads;
	p->at_once = strstr(spec->factory, "NSG") != NULL; /* it cannot be added to */
	each += p->at_once ? 4.0 * (double)info->d : 0;
	p->found = at_most(kith_faiss_found(kith_info_k(info)), n);
	p->offered = offered_to(job);
	rows = block_bytes(job, p, 1) - block_bytes(job, p, 0);
	p->block = at_most(at_least(memory / 8 / rows, 1), at_most(MAX_BLOCK, n));
	if (spec->block_rows)
		p->block = at_most(spec->block_rows, n);
	others = block_bytes(job, p, p->block);
	store = kith_results_bytes(n, 0, kith_info_k(info));
	p->spill = store > memory / 4;
	p->shard_rows = n;
	double whole = (double)fixed + each * (double)n;
	if (!spec->is_file && (spec->shard_rows || whole + (double)others > (double)memory)) {
		others += (p->spill ? 0 : store) + 8 * n; /* and what is left of each row's ties */
		uint64_t left = memory > others ? memory - others : 0;
		if (!cut(p, n, left, (double)fixed, each) && !spec->shard_rows)
			return too_small(job, spec, "the least of its parts",
					 others + fixed + (uint64_t)(each * (double)p->shard_rows), err);
		if (spec->shard_rows)
			p->shard_rows = at_most(spec->shard_rows, n);
	}
	if (p->at_once && p->shard_rows < LEAST_NSG)
		return kith_fail(err, KITH_EUSAGE,
				 "engine faiss:%s: needs %u samples, but %s has %llu: use HNSW or Flat", spec->factory,
				 LEAST_NSG, job->vectors->path, (unsigned long long)p->shard_rows);
	p->shards = (n + p->shard_rows - 1) / p->shard_rows;
	p->shard_rows = (n + p->shards - 1) / p->shards;
	p->spill = p->spill && p->shards > 1;
	p->disk = p->spill ? store : 0;
	p->index = (uint64_t)((double)fixed + each * (double)p->shard_rows);
	p->memory = p->index + others;
	p->resident = p->memory + all <= memory;
	p->memory += p->resident ? all : 0;
	return 0;
}

/* ---- time ---- */

static double search_pairs(const kith_faiss_spec *s, double n, double d, double *visits)
{
	double lists = (double)kith_faiss_spec_number(s, "IVF"), links = (double)kith_faiss_spec_number(s, "HNSW");
	double probes = kith_faiss_spec_value(s, "nprobe", s->automatic >= 0 ? 16 : 1);
	*visits = 0;
	if (lists)
		return (lists * PRODUCT + fmin(probes / lists, 1) * n * SCAN) * d;
	if (strstr(s->factory, "HNSW") || strstr(s->factory, "NSG")) {
		double depth =
			kith_faiss_spec_value(s, "efConstruction", 40) + kith_faiss_spec_value(s, "efSearch", 32);
		*visits = depth * (links ? links : 32);
		return *visits * SCAN * d;
	}
	return n * PRODUCT * d;
}

double kith_faiss_seconds(const kith_faiss_plan *p, const kith_engine_job *job, const kith_faiss_spec *s)
{
	double n = (double)job->info->n, d = (double)job->info->d, visits;
	double centroids = (double)kith_faiss_spec_centroids(s), lists = (double)kith_faiss_spec_number(s, "IVF");
	double seconds = search_pairs(s, (double)p->shard_rows, d, &visits) * n * (double)p->shards;
	seconds += visits * VISIT * n * (double)p->shards;
	if (centroids > 1)
		seconds += (double)p->train_rows * centroids * d * PRODUCT * ITERATIONS;
	seconds += n * lists * d * PRODUCT + n * ROW;
	return seconds / job->threads;
}
