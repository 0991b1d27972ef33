/* lattice.c - see lattice.h. Why its distances are the canonical ones:
 *
 * Every value is offset + step q with an integer q; D, the sum of squared differences of q, is an integer. With |q|^2
 * <= LARGEST_SQUARE for every sample, D <= 4 LARGEST_SQUARE = 2^24, and the tiles' |q_i|^2 + |q_j|^2 - 2 q_i.q_j is D,
 * exactly: all that it passes through are integers of at most 24 bits.
 *
 *   Two values in all: a difference is 0 or plus or minus that of the two, rounded, and the canonical sum adds D times
 *   the rounded square of it, one after the other (zeros add nothing): the D-th partial sum, made once for every D.
 * Each is greater than the one before. More: the offset is 0, and step has b bits. The differences step (q_i - q_j),
 * their squares and every partial sum are multiples of step^2, which has 2 b bits, by integers up to D: exact if 2 b
 * and the bits of D are no more than the 53 of a double. The canonical distance is step^2 D.
 *
 * Either way it grows with D, so rows are ranked by D. Samples stand in the order of the tie rule, so columns come in
 * it: a later one that is as far as a row's k-th is not in the row, and need not be looked at. */
#include "lattice.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "first_error.h"
#include "matrix.h"
#include "select.h"
#include "tile_kernels.h"
#include "workspace.h"

#define LANES          KITH_LANES
#define LEAST_SAMPLES  1024u
#define LARGEST_SQUARE 0x1p22
#define LARGEST        2047.0 /* q */
#define SAMPLE         512u
#define QUERIES        32u  /* of the sample, those whose distances are looked at */
#define TIED           0.05 /* of all others, as far as the k-th: then it is worth it */
#define COPIES         4
#define STRIP          4u /* blocks of rows */

struct lattice {
	const kith_vectors *vectors;
	kith_ranked_rows *rows;
	int threads;
	int two; /* values in all */
	uint32_t k;
	uint64_t all;               /* samples that these stand for */
	double offset, other, step; /* other: the second of two */
	double most;                /* of |q|^2, so far */
	kith_quantised blocks;
	uint32_t *order, *place; /* n each: samples in the order of the tie rule; where each stands */
	kith_first_error failed;
};

/* ---- is it one? ---- */

/* The greatest step that two are multiples of; fmod is exact. */
static double common_step(double a, double b)
{
	while (b > 0) {
		double rest = fmod(a, b);
		a = b;
		b = rest;
	}
	return a;
}

static int bits_of(double x)
{
	int exponent;
	uint64_t whole = (uint64_t)ldexp(frexp(x, &exponent), 53);
	return 64 - __builtin_clzll(whole) - __builtin_ctzll(whole);
}

/* What values to expect, from some rows. Returns 0 if there are no steps. */
static int find_steps(struct lattice *l, const double *x, uint64_t count)
{
	double other = x[0], step = 0, most = 0;
	l->two = 1;
	for (uint64_t i = 0; i < count; i++) {
		l->two &= x[i] == x[0] || x[i] == other || other == x[0];
		other = other == x[0] ? x[i] : other;
		most = fmax(most, fabs(x[i]));
		if (!l->two && (step = common_step(fabs(x[i]), step)) < most / LARGEST)
			return 0;
		if (l->two && i + 1 < count && other != x[0])
			step = common_step(fabs(x[0]), fabs(other));
	}
	l->offset = l->two ? x[0] : 0;
	l->other = other;
	l->step = l->two ? other - x[0] : step;
	return fabs(l->step) > 0x1p-400 && fabs(l->step) < 0x1p400;
}

/* A row as integers; its squared length, or -1 if it is not of the lattice. */
static double to_steps(const struct lattice *l, const double *x, double *q)
{
	double sum = 0;
	for (uint64_t t = 0; t < l->vectors->d; t++) {
		q[t] = l->two ? x[t] != l->offset : rint(x[t] / l->step);
		if (x[t] != (l->two ? (q[t] > 0 ? l->other : l->offset) : q[t] * l->step))
			return -1;
		sum += q[t] * q[t];
	}
	return sum <= LARGEST_SQUARE ? sum : -1;
}

/* Whether the distances to all samples are exact. */
static int is_exact(const struct lattice *l)
{
	return l->two || 2 * bits_of(fabs(l->step)) + ilogb(4 * l->most + 1) + 1 <= DBL_MANT_DIG;
}

/* Of the others in a sample of m, whether TIED of them are no farther than about the k-th of all, and fewer than one of
 * COPIES samples has a copy. q: m x d. */
static int is_tied(const struct lattice *l, const double *q, const double *norm, uint64_t m, double *near,
		   float *sorted)
{
	uint64_t queries = m < QUERIES ? m : QUERIES, step = m / queries, n = l->vectors->n, tied = 0, copies = 0;
	uint32_t rank = (uint32_t)((double)l->k * (double)m / (double)n + 0.5);
	rank = rank < 1 ? 1 : rank > m - 1 ? (uint32_t)m - 1 : rank;
	kith_multiply(l->threads, 0, 1, queries, m, l->vectors->d, q, l->vectors->d * step, q, near);
	for (uint64_t i = 0; i < queries; i++) {
		for (uint64_t j = 0; j < m; j++) {
			near[i * m + j] = norm[i * step] + norm[j] - 2 * near[i * m + j];
			sorted[j] = j == i * step ? INFINITY : (float)near[i * m + j];
		}
		float far = kith_kth_smallest(sorted, (uint32_t)m, rank);
		for (uint64_t j = 0; j < m; j++) {
			tied += j != i * step && near[i * m + j] <= far;
			copies += j != i * step && near[i * m + j] == 0;
		}
	}
	return (double)tied / (double)queries - rank >= TIED * (double)(m - 1) &&
	       (double)copies / (double)queries * (double)l->all / (double)m * COPIES < 1;
}

/* Whether a sample of the samples says that it is worth it. */
static int look(struct lattice *l, uint64_t m, int *worth, kith_err *err)
{
	uint64_t d = l->vectors->d;
	double *x, *q, *norm, *near;
	float *sorted;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, x, d);
	KITH_BUFFER(&w, q, m * d);
	KITH_BUFFER(&w, norm, m);
	KITH_BUFFER(&w, near, QUERIES * m);
	KITH_BUFFER(&w, sorted, m);
	int rc = kith_workspace_alloc(&w, &memory, "some samples", err);
	for (uint64_t i = 0; !rc && i < 4 && i < m; i++) /* the first few tell steps from none */
		rc = kith_vectors_read(l->vectors, i, 1, q + i * d, NULL, err);
	*worth = !rc && find_steps(l, q, (m < 4 ? m : 4) * d);
	for (uint64_t i = 0; !rc && *worth && i < m; i++) {
		if ((rc = kith_vectors_read(l->vectors, i * l->vectors->n / m, 1, x, NULL, err)))
			break;
		*worth = (norm[i] = to_steps(l, x, q + i * d)) >= 0;
		l->most = fmax(l->most, norm[i]);
	}
	if (!rc && *worth)
		*worth = is_exact(l) && is_tied(l, q, norm, m, near, sorted);
	free(memory);
	return rc;
}

/* ---- rows ---- */

/* In which order samples stand. */
static int arrange(struct lattice *l, kith_err *err)
{
	uint64_t n = l->vectors->n;
	if (!(l->order = kith_alloc(n, sizeof *l->order)) || !(l->place = kith_alloc(n, sizeof *l->place)))
		return kith_fail_nomem(err, "the order of the samples", n * sizeof *l->order);
	for (uint64_t i = 0; i < n; i++)
		l->order[i] = (uint32_t)i;
	if (l->vectors->ties.rule != KITH_TIES_INDEX)
		kith_ties_sort(&l->vectors->ties, l->order, n);
	for (uint64_t at = 0; at < n; at++)
		l->place[l->order[at]] = (uint32_t)at;
	return 0;
}

/* A sample's integers into place i. Returns whether it is of the lattice. */
static int put(struct lattice *l, uint64_t i, const double *x, double *q)
{
	kith_quantised *b = &l->blocks;
	int16_t *to = b->q + i / LANES * LANES * b->width + 2 * (i % LANES);
	double sum = to_steps(l, x, q);
	if (sum < 0)
		return 0;
	for (uint64_t t = 0; t < l->vectors->d; t++)
		to[t / 2 * 2 * LANES + t % 2] = (int16_t)q[t];
	b->scale[i] = 1;
	b->lo[i] = (float)sum;
	return 1;
}

static int put_all(struct lattice *l, int *fits, kith_err *err)
{
	uint64_t n = l->vectors->n, d = l->vectors->d;
	int good = 1;
#pragma omp parallel num_threads(l->threads) reduction(& : good)
	{
		double *x = kith_alloc(2 * d, sizeof *x);
		kith_err why;
		if (!x)
			kith_first_error_note(&l->failed, 0, kith_fail_nomem(&why, "a sample", 2 * d * sizeof *x),
					      &why);
#pragma omp for schedule(dynamic, 64)
		for (uint64_t i = 0; i < n; i++) {
			if (kith_first_error_seen(&l->failed) || !good)
				continue;
			int rc = kith_vectors_read(l->vectors, i, 1, x, NULL, &why);
			kith_first_error_note(&l->failed, i, rc, &why);
			good &= !rc && put(l, l->place[i], x, x + d);
		}
		free(x);
	}
	for (uint64_t i = n; i < l->blocks.groups * KITH_GROUP; i++)
		l->blocks.lo[i] = INFINITY;
	for (uint64_t i = 0; i < n; i++)
		l->most = fmax(l->most, l->blocks.lo[i]);
	*fits = good && is_exact(l);
	return kith_first_error_get(&l->failed, err);
}

static kith_tile_side side_of(const kith_quantised *b, uint64_t block, const float *bound)
{
	return (kith_tile_side){kith_quantised_block(b, block), b->scale + block * LANES, b->lo + block * LANES, bound};
}

/* A row that is full wants what is nearer than its k-th, a whole number. */
static void set_bounds(const struct lattice *l, uint64_t block, float *bound)
{
	for (uint64_t i = 0; i < LANES; i++) {
		uint64_t at = block * LANES + i;
		double far = at < l->vectors->n ? kith_ranked_rows_bound(l->rows, l->order[at]) : -INFINITY;
		bound[i] = (float)(far - 0.5 < FLT_MAX ? far - 0.5 : FLT_MAX);
	}
}

/* How many samples are as far as far[i] from row i, of a tile's columns, which stand for weight[] samples. */
KITH_CLONES static void count_equal(const float *t, const float *far, const uint32_t *weight, uint32_t *out)
{
	for (uint32_t i = 0; i < LANES; i++) {
		uint32_t sum = 0;
		for (uint32_t j = 0; j < LANES; j++)
			sum += t[i * LANES + j] == far[i] ? weight[j] : 0;
		out[i] = sum;
	}
}

static void copy_weights(const struct lattice *l, uint64_t block, uint32_t *weight)
{
	for (uint64_t i = 0; i < LANES; i++) {
		uint64_t at = block * LANES + i;
		weight[i] = at < l->vectors->n ? kith_vectors_weight(l->vectors, l->order[at]) : 0;
	}
}

/* How far the last of a block's rows are. */
static void copy_last(const struct lattice *l, uint64_t block, float *far)
{
	for (uint64_t i = 0; i < LANES; i++) {
		uint64_t at = block * LANES + i;
		far[i] = at < l->vectors->n ? (float)kith_ranked_rows_bound(l->rows, l->order[at]) : INFINITY;
	}
}

/* Columns of a tile that are as far as the last of a row, before them and after them, are not in the row: none was a
 * hit. */
static void count_left(struct lattice *l, uint64_t a, uint64_t b, const float *t, const uint32_t *weight,
		       const float *before, const float *after)
{
	uint32_t equal[LANES];
	count_equal(t, before, weight, equal);
	for (uint64_t i = 0; i < LANES && a * LANES + i < l->vectors->n; i++)
		if (before[i] == after[i] && before[i] < INFINITY)
			l->rows->left[l->order[a * LANES + i]] += equal[i] - (a == b && before[i] == 0 ? weight[i] : 0);
}

/* Rows of some blocks among all columns. */
static void join_strip(struct lattice *l, uint64_t from, uint64_t to)
{
	uint64_t n = l->vectors->n;
	float t[LANES * LANES] __attribute__((aligned(64))), none[LANES] __attribute__((aligned(64)));
	float bound[STRIP * LANES] __attribute__((aligned(64))), last[STRIP * LANES], before[LANES];
	uint32_t weight[LANES];
	uint16_t hits[LANES];
	kith_tile_kernel tile = kith_tile_kernel_best();
	for (uint64_t i = 0; i < LANES; i++)
		none[i] = -INFINITY;
	for (uint64_t a = from; a < to; a++) {
		set_bounds(l, a, bound + (a - from) * LANES);
		copy_last(l, a, last + (a - from) * LANES);
	}
	for (uint64_t b = 0; b * LANES < n; b++) {
		kith_tile_side columns = side_of(&l->blocks, b, none);
		copy_weights(l, b, weight);
		for (uint64_t a = from; a < to; a++) {
			kith_tile_side rows = side_of(&l->blocks, a, bound + (a - from) * LANES);
			float *far = last + (a - from) * LANES;
			int any = tile(&rows, &columns, l->blocks.width, t, hits);
			memcpy(before, far, sizeof before);
			for (uint64_t i = 0; any && i < LANES && a * LANES + i < n; i++)
				for (uint32_t bits = hits[i]; bits; bits &= bits - 1) {
					uint64_t lane = (uint64_t)__builtin_ctz(bits), at = b * LANES + lane;
					if (at < n && at != a * LANES + i)
						kith_ranked_rows_take(l->rows, l->order[a * LANES + i], l->order[at],
								      t[i * LANES + lane]);
				}
			if (any) {
				set_bounds(l, a, bound + (a - from) * LANES);
				copy_last(l, a, far);
			}
			count_left(l, a, b, t, weight, before, far);
		}
	}
}

static int join(struct lattice *l, const kith_progress *progress, kith_err *err)
{
	uint64_t blocks = (l->vectors->n + LANES - 1) / LANES;
#pragma omp parallel for num_threads(l->threads) schedule(dynamic, 1)
	for (uint64_t from = 0; from < blocks; from += STRIP) {
		if (kith_first_error_seen(&l->failed))
			continue;
		if (omp_get_thread_num() == 0)
			kith_first_error_tick(&l->failed, from, progress, "neighbours", from, blocks);
		join_strip(l, from, from + STRIP < blocks ? from + STRIP : blocks);
	}
	return kith_first_error_get(&l->failed, err);
}

/* From whole numbers to canonical distances. */
static int measure(const struct lattice *l, kith_err *err)
{
	uint64_t values = l->rows->n * l->rows->k, most = l->two ? l->vectors->d : 0;
	double *sum = kith_alloc(most + 1, sizeof *sum), square = l->step * l->step;
	if (!sum)
		return kith_fail_nomem(err, "distances", (most + 1) * sizeof *sum);
	sum[0] = 0;
	for (uint64_t i = 1; i <= most; i++)
		sum[i] = sum[i - 1] + square;
	for (uint64_t e = 0; e < values; e++)
		l->rows->dist[e] = l->two ? sum[(uint64_t)l->rows->dist[e]] : l->rows->dist[e] * square;
	free(sum);
	return 0;
}

int kith_lattice_rank(const kith_vectors *v, uint32_t k, uint64_t all, uint64_t least, uint64_t memory, int threads,
		      const kith_progress *progress, kith_ranked_rows *rows, int *done, kith_err *err)
{
	struct lattice l = {.vectors = v, .rows = rows, .threads = threads, .k = k, .all = all};
	uint64_t m = memory / 8 / ((v->d + QUERIES) * sizeof(double));
	int worth = 0, fits = 0, rc;
	m = m < SAMPLE ? m : SAMPLE;
	m = m < v->n ? m : v->n;
	if (m < 2 || all < (least ? least : LEAST_SAMPLES) || kith_quantised_bytes(all, v->d) > memory / 4)
		return 0;
	if ((rc = look(&l, m, &worth, err)) || !worth)
		return rc;
	if (!(rc = kith_quantised_alloc(&l.blocks, v->n, v->d, NULL, err)) && !(rc = arrange(&l, err)) &&
	    !(rc = put_all(&l, &fits, err)) && fits && !(rc = kith_ranked_rows_alloc(rows, v, k, err)) &&
	    !(rc = join(&l, progress, err)) && !(rc = measure(&l, err)))
		*done = 1;
	free(l.order);
	free(l.place);
	kith_area_free(&l.blocks.area);
	return rc;
}
