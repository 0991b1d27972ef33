/* divide.c - see divide.h */
#include "divide.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "duplicates.h"
#include "exact.h"
#include "lattice.h"
#include "part_join.h"
#include "parts.h"
#include "pilot.h"
#include "workspace.h"

#define MANY_COPIES 5u   /* one sample in so many */
#define MAX_K       512u /* beyond, rows with all their distances are too much */
#define DEPTH       16   /* of parts within parts */
#define FEW         256u

static int solve(const kith_engine_job *job, uint32_t k, int depth, kith_ranked_rows *rows, kith_err *err);

static int has_room(const kith_engine_job *job)
{
	uint32_t k = job->pilot ? job->pilot->k : kith_info_k(job->info);
	uint64_t n = kith_pilot_stands_for(job->pilot, job->info->n);
	return k <= MAX_K && 2 * kith_ranked_rows_bytes(n, k) <= job->memory / 2 &&
	       job->info->d * (512 + 2048ull * (uint64_t)job->threads) <= job->memory; /* threads' blocks of samples */
}

/* Of a pilot's samples fewer are copies: where each is there c times, and one of `times` is drawn, about (c - 1) / (2
 * times) of them. */
static uint32_t many_copies(const kith_engine_job *job)
{
	return job->pilot ? (uint32_t)fmax(MANY_COPIES, 1.6 * MANY_COPIES * job->pilot->times) : MANY_COPIES;
}

uint32_t kith_divide_copies(const kith_engine_job *job)
{
	return has_room(job) ? many_copies(job) : 0;
}

/* All samples in memory, where they are as they should be in the file and there is room. */
static void keep_samples(const kith_engine_job *job)
{
	const kith_vectors *v = job->vectors;
	if (kith_pilot_stands_for(job->pilot, v->n) * v->row_bytes <= job->memory / 2)
		kith_vectors_map(job->vectors);
}

/* The job for some of its samples. Of few, all pairs are multiplied sooner than they are surveyed. */
static kith_engine_job job_for(const kith_engine_job *job, kith_vectors *some, kith_graph_info *info,
			       kith_exact_options *options, uint32_t k)
{
	kith_engine_job sub = *job;
	*options = *(const kith_exact_options *)job->options;
	if (options->plan == KITH_PLAN_AUTO && kith_pilot_stands_for(job->pilot, some->n) <= FEW)
		options->plan = KITH_PLAN_STREAM;
	*info = (kith_graph_info){.n = some->n, .d = some->d, .tiers = 1, .ladder = {k}, .near = k};
	sub.vectors = some;
	sub.info = info;
	sub.options = options;
	return sub;
}

/* Rows of k, or of all others, of the samples id[0..count-1] among themselves. weight: of these, if they stand for
 * other than the job's do; or NULL. mean, if not NULL: receives theirs. */
static int solve_some(const kith_engine_job *job, const uint32_t *id, uint64_t count, const uint32_t *weight,
		      uint32_t k, int depth, kith_ranked_rows *rows, double *mean, kith_err *err)
{
	kith_vectors some = {0};
	kith_graph_info info;
	kith_exact_options options;
	int rc = kith_vectors_some(&some, job->vectors, id, count, err);
	some.weight = weight ? weight : some.weight;
	k = k < count - 1 ? k : (uint32_t)(count - 1);
	if (!rc && mean)
		memcpy(mean, some.mean, some.d * sizeof *mean);
	if (!rc && k) {
		kith_engine_job sub = job_for(job, &some, &info, &options, k);
		rc = solve(&sub, k, depth, rows, err);
	} else if (!rc) {
		rc = kith_ranked_rows_alloc(rows, &some, k, err);
	}
	for (uint64_t e = 0; !rc && e < count * k; e++)
		rows->id[e] = id[rows->id[e]];
	rows->ties = job->vectors->ties;
	rows->weight = job->vectors->weight;
	kith_vectors_free(&some);
	return rc;
}

/* ---- parts ---- */

static int solve_part(const kith_engine_job *job, const kith_parts *parts, uint32_t p, int depth,
		      kith_ranked_rows *rows, double *mean, kith_err *err)
{
	kith_ranked_rows own = {0};
	uint64_t count = 0;
	uint32_t *id = kith_alloc(parts->size[p], sizeof *id);
	if (!id)
		return kith_fail_nomem(err, "a part of the samples", parts->size[p] * sizeof *id);
	for (uint64_t i = 0; i < job->vectors->n; i++)
		if (parts->part[i] == p)
			id[count++] = (uint32_t)i;
	int rc = count ? solve_some(job, id, count, NULL, rows->k, depth, &own, mean, err) : 0;
	for (uint64_t i = 0; !rc && i < count; i++) {
		rows->count[id[i]] = own.k;
		rows->left[id[i]] = own.left[i];
		memcpy(rows->id + (uint64_t)id[i] * rows->k, own.id + i * own.k, own.k * sizeof *own.id);
		memcpy(rows->dist + (uint64_t)id[i] * rows->k, own.dist + i * own.k, own.k * sizeof *own.dist);
	}
	free(own.memory);
	free(id);
	return rc;
}

static int solve_parts(const kith_engine_job *job, const kith_scaling *scaling, const kith_parts *parts, int depth,
		       kith_ranked_rows *rows, kith_err *err)
{
	double *mean[KITH_MAX_PARTS], *all;
	uint64_t d = job->vectors->d;
	kith_part_join join = {.scaling = scaling,
			       .parts = parts,
			       .mean = mean,
			       .memory = job->memory,
			       .threads = job->threads,
			       .progress = job->progress,
			       .pilot = job->pilot};
	int rc = 0;
	if (!(all = kith_alloc(parts->count * d, sizeof *all)))
		return kith_fail_nomem(err, "means of parts", parts->count * d * sizeof *all);
	for (uint32_t p = 0; !rc && p < parts->count; p++) {
		mean[p] = all + p * d;
		rc = solve_part(job, parts, p, depth + 1, rows, mean[p], err);
	}
	if (!rc)
		rc = kith_part_join_run(&join, rows, err);
	free(all);
	return rc;
}

/* ---- distinct samples ---- */

struct groups {
	uint64_t count;
	kith_hashed *by_hash; /* n */
	uint32_t *first;      /* n: of each sample, the first identical one by the tie rule */
	uint32_t *distinct;   /* count: those that are their own first, ascending */
	uint32_t *group;      /* n: of these, which one they are */
	uint32_t *start;      /* count + 1: of each group's members, in the order of the tie rule, in: */
	uint32_t *member;     /* n */
	uint32_t *weight;     /* count: samples that a group is of */
	char *one, *other;    /* two samples */
	uint8_t *raw;
	void *memory;
};

/* Samples of equal hash are identical to the first of them, or taken as distinct. */
static int find_first(struct groups *g, const kith_vectors *v, const uint64_t *hash, kith_err *err)
{
	uint64_t n = v->n, bytes = v->d * v->value_size;
	int rc = 0;
	kith_hashed_sort(g->by_hash, &v->ties, hash, n);
	for (uint64_t i = 0, from = 0; !rc && i < n; i++) {
		uint32_t own = g->by_hash[i].id;
		g->first[own] = own;
		if (!i || g->by_hash[i].hash != g->by_hash[from].hash) {
			from = i;
			continue;
		}
		if ((i == from + 1 &&
		     (rc = kith_vectors_read_values(v, g->by_hash[from].id, 1, g->one, g->raw, err))) ||
		    (rc = kith_vectors_read_values(v, own, 1, g->other, g->raw, err)))
			return rc;
		if (!memcmp(g->one, g->other, bytes))
			g->first[own] = g->by_hash[from].id;
	}
	return rc;
}

static int find_groups(struct groups *g, const kith_vectors *v, const uint64_t *hash, kith_err *err)
{
	uint64_t n = v->n;
	kith_workspace w = {0};
	KITH_BUFFER(&w, g->by_hash, n);
	KITH_BUFFER(&w, g->first, n);
	KITH_BUFFER(&w, g->distinct, n);
	KITH_BUFFER(&w, g->group, n);
	KITH_BUFFER_ZERO(&w, g->start, n + 2);
	KITH_BUFFER(&w, g->member, n);
	KITH_BUFFER_ZERO(&w, g->weight, n);
	KITH_BUFFER(&w, g->one, v->d * v->value_size);
	KITH_BUFFER(&w, g->other, v->d * v->value_size);
	KITH_BUFFER(&w, g->raw, v->row_bytes);
	int rc = kith_workspace_alloc(&w, &g->memory, "groups of identical samples", err);
	if (rc || (rc = find_first(g, v, hash, err)))
		return rc;
	for (uint64_t i = 0; i < n; i++)
		if (g->first[i] == i)
			g->distinct[g->group[i] = (uint32_t)g->count++] = (uint32_t)i;
	for (uint64_t i = 0; i < n; i++)
		g->start[g->group[g->first[i]] + 2]++;
	for (uint64_t e = 0; e < g->count; e++)
		g->start[e + 2] += g->start[e + 1];
	for (uint64_t at = 0; at < n; at++) {
		uint32_t i = g->by_hash[at].id;
		g->member[g->start[g->group[g->first[i]] + 1]++] = i;
		g->weight[g->group[g->first[i]]] += kith_vectors_weight(v, i);
	}
	return 0;
}

/* Puts the members of group e, which are `dist` away, into row i. */
static void take_members(const struct groups *g, uint64_t e, uint64_t i, double dist, kith_ranked_rows *rows)
{
	for (uint32_t at = g->start[e]; at < g->start[e + 1]; at++) {
		uint32_t id = g->member[at];
		if (id == i)
			continue;
		if (!kith_ranked_rows_wants(rows, i, id, dist))
			return; /* nor any after it */
		kith_ranked_rows_take(rows, i, id, dist);
	}
}

/* Row i is full: counts whoever is exactly as far as its last, and not in it. */
static void count_left(const struct groups *g, const kith_ranked_rows *distinct, kith_ranked_rows *rows, uint64_t i)
{
	uint64_t own = g->group[g->first[i]], from = own * distinct->k, left = 0;
	const double *dist = rows->dist + i * rows->k, far = dist[rows->k - 1];
	if (far == 0)
		left += g->weight[own] - (rows->weight ? rows->weight[i] : 1);
	for (uint32_t e = 0; e < distinct->count[own]; e++)
		if (distinct->dist[from + e] == far)
			left += g->weight[g->group[distinct->id[from + e]]];
	if (distinct->k && far == kith_ranked_rows_bound(distinct, own))
		left += distinct->left[own];
	for (uint32_t e = rows->k; e && dist[e - 1] == far; e--)
		left -= rows->weight ? rows->weight[rows->id[i * rows->k + e - 1]] : 1;
	rows->left[i] = left;
}

static void expand(const struct groups *g, const kith_ranked_rows *distinct, kith_ranked_rows *rows, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
	for (uint64_t i = 0; i < rows->n; i++) {
		uint64_t own = g->group[g->first[i]];
		take_members(g, own, i, 0, rows);
		for (uint32_t e = 0; e < distinct->count[own]; e++) {
			double dist = distinct->dist[own * distinct->k + e];
			if (dist > kith_ranked_rows_bound(rows, i))
				break;
			/* ids are those of the firsts */
			take_members(g, g->group[distinct->id[own * distinct->k + e]], i, dist, rows);
		}
		count_left(g, distinct, rows, i);
	}
}

/* Of how many distinct samples of the job these are the pilot's: they are more the more of the pilot's are there once,
 * and the fewer twice (Chao). */
static double distinct_of_job(const struct groups *g, uint64_t n, double times)
{
	double once = 0, twice = 0, unseen;
	for (uint64_t e = 0; e < g->count; e++) {
		once += g->start[e + 1] - g->start[e] == 1;
		twice += g->start[e + 1] - g->start[e] == 2;
	}
	unseen = twice > 0 ? once * once / (2 * twice) : once * once / 2;
	if (once < 1)
		return (double)g->count;
	return (double)g->count + unseen * (1 - pow(1 - once / ((double)n * unseen + once), (times - 1) * (double)n));
}

static int solve_distinct(const kith_engine_job *job, const uint64_t *hash, int depth, kith_ranked_rows *rows,
			  kith_err *err)
{
	struct groups g = {0};
	kith_ranked_rows distinct = {0};
	kith_pilot *pilot = job->pilot;
	double times = pilot ? pilot->times : 1;
	int rc = find_groups(&g, job->vectors, hash, err);
	if (!rc && pilot)
		pilot->times = distinct_of_job(&g, job->vectors->n, times) / (double)g.count;
	if (!rc && !(rc = solve_some(job, g.distinct, g.count, g.weight, rows->k, depth + 1, &distinct, NULL, err))) {
		kith_pilot_enter(pilot, KITH_JOINING_PARTS); /* which grows with the samples */
		expand(&g, &distinct, rows, job->threads);
	}
	if (pilot)
		pilot->times = times;
	free(distinct.memory);
	free(g.memory);
	return rc;
}

/* ---- which of them ---- */

/* The samples in parts, or on a lattice, if they are: then *how is set, and the rows, which are allocated here, are
 * theirs. */
static int solve_divided(const kith_engine_job *job, const kith_scaling *scaling, uint32_t k, int depth,
			 kith_ranked_rows *rows, const char **how, kith_err *err)
{
	const kith_exact_options *o = job->options;
	uint64_t n = job->vectors->n, all = kith_pilot_stands_for(job->pilot, n);
	kith_parts parts = {0};
	int lattice = 0;
	int rc = kith_parts_find(&parts, scaling, k, all, o->divide, job->memory, job->threads, err);
	if (!rc && parts.count && !(rc = kith_ranked_rows_alloc(rows, job->vectors, k, err))) {
		keep_samples(job);
		*how = "in parts";
		rc = solve_parts(job, scaling, &parts, depth, rows, err);
	} else if (!rc) {
		rc = kith_lattice_rank(job->vectors, k, all, o->divide, job->memory, job->threads, job->progress, rows,
				       &lattice, err);
		if (lattice)
			kith_pilot_note(job->pilot, KITH_JOINING, (double)all * (double)all, (double)n * (double)n);
		*how = lattice ? "whole steps" : NULL;
	}
	free(parts.memory);
	return rc;
}

/* Rows of all of the job's samples; they are allocated here. */
static int solve(const kith_engine_job *job, uint32_t k, int depth, kith_ranked_rows *rows, kith_err *err)
{
	kith_scaling scaling;
	uint64_t *hash = NULL;
	const char *how = NULL;
	int rc = kith_scaling_init(&scaling, job->vectors, err);
	if (!rc && depth < DEPTH)
		rc = solve_divided(job, &scaling, k, depth, rows, &how, err);
	if (!rc && !how && !(rc = kith_ranked_rows_alloc(rows, job->vectors, k, err)) &&
	    !(rc = kith_exact_rank(job, &scaling, depth < DEPTH ? many_copies(job) : 0, rows, &hash, err)) && hash)
		rc = solve_distinct(job, hash, depth, rows, err);
	free(hash);
	return rc;
}

int kith_divide(const kith_engine_job *job, const kith_scaling *scaling, const uint64_t *hash, kith_ranked_rows *rows,
		const char **how, kith_err *err)
{
	uint32_t k = kith_info_k(job->info);
	kith_engine_job own = *job;
	int rc;
	*how = NULL;
	if (!has_room(job))
		return 0;
	uint64_t taken = 2 * kith_ranked_rows_bytes(kith_pilot_stands_for(job->pilot, job->info->n),
						    job->pilot ? job->pilot->k : k);
	own.memory -= taken;
	own.taken += taken;
	if (!hash)
		return solve_divided(&own, scaling, k, 0, rows, how, err);
	*how = "distinct samples";
	if ((rc = kith_ranked_rows_alloc(rows, job->vectors, k, err)))
		return rc;
	keep_samples(&own);
	return solve_distinct(&own, hash, 0, rows, err);
}
