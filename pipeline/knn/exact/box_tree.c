/* box_tree.c - see box_tree.h. The derivation of its limit:
 *
 * Let u_i = (v_i - least) / step, q_i the nearest integers, off_i >= |u_i - q_i|. Then |v_i - v_j| = step |u_i - u_j|
 * >= step (|q_i - q_j| - off_i - off_j). The projections promise |v_i - v_j|^2 - slack_i - slack_j <= s^2 c_ij, so s^2
 * c_ij > bound as soon as
 *
 *         |q_i - q_j|  >  sqrt(bound + slack_i + slack_j) / step + off_i + off_j
 *
 * and, with the greatest slack and off of all in the place of j's, as soon as |q_i - q_j|^2 exceeds the limit, the
 * square of that. Sums over some of the values, and gaps to a box that has q_j in it, are no greater than |q_i -
 * q_j|^2.
 *
 * No sum leaves 32 bits: values are in 0..LARGEST_VALUE, and the diagonal of the box around all codes is below
 * LARGEST_NORM and sqrt(width) for rounding, of which the square is below 2^31. */
#include "box_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define LARGEST_NORM  46000.0
#define LARGEST_VALUE 32000.0

static void init(kith_box_tree *b, uint64_t m, uint32_t coarse, kith_workspace *w)
{
	uint64_t nodes = (m + KITH_LANES - 1) / KITH_LANES;
	*b = (kith_box_tree){.m = m, .width = (coarse + 2) / 2 * 2};
	b->boxed = b->width < KITH_BOX_VALUES ? b->width : KITH_BOX_VALUES;
	KITH_BUFFER_ZERO(w, b->q, nodes * KITH_LANES * b->width);
	KITH_BUFFER_ZERO(w, b->off, m);
	KITH_BUFFER(w, b->slack, m);
	for (uint32_t l = 0; l < KITH_BOX_LEVELS; l++) {
		uint64_t values = (nodes + KITH_LANES - 1) / KITH_LANES * KITH_LANES * b->boxed;
		b->level[l].nodes = nodes;
		KITH_BUFFER(w, b->level[l].least, values);
		KITH_BUFFER(w, b->level[l].most, values);
		nodes = (nodes + KITH_LANES - 1) / KITH_LANES;
	}
}

uint64_t kith_box_tree_bytes(uint64_t m, uint32_t coarse)
{
	kith_box_tree b;
	kith_workspace w = {0};
	init(&b, m, coarse, &w);
	return kith_workspace_bytes(&w);
}

/* Value t of the at-th vector: the remainder, then the directions. */
static float value_of(const kith_projections *p, const uint32_t *id, uint64_t at, uint32_t t)
{
	return t > p->coarse ? 0 : kith_projections_coarse(p, at, id[at], t ? t - 1 : p->coarse);
}

/* The least value of each kind, and the step that lets codes fill their room. */
static void choose_grid(kith_box_tree *b, const kith_projections *p, const uint32_t *id, int threads, float *least)
{
	double squares = 0, longest = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : squares) reduction(max : longest)
	for (uint32_t t = 0; t < b->width; t++) {
		float low = INFINITY, high = -INFINITY;
		for (uint64_t at = 0; at < b->inside; at++) {
			float x = value_of(p, id, at, t);
			low = x < low ? x : low;
			high = x > high ? x : high;
		}
		double range = low < high ? (double)high - low : 0;
		least[t] = low <= high ? low : 0;
		squares += range * range;
		longest = range > longest ? range : longest;
	}
	b->step = fmax(sqrt(squares) / LARGEST_NORM, longest / LARGEST_VALUE);
	b->step = b->step > 0 ? b->step : 1;
}

static void put_code(kith_box_tree *b, const kith_projections *p, const uint32_t *id, uint64_t at, const float *least)
{
	double off = 0;
	for (uint32_t t = 0; t < b->width; t++) {
		double u = ((double)value_of(p, id, at, t) - least[t]) / b->step, q = rint(u);
		b->q[kith_box_place(at, b->width, t)] = (int16_t)q;
		off += (u - q) * (u - q);
	}
	/* u is up to 2^15 and rounded three times: off by less than 2^-35 */
	b->off[at] = kith_round_up(sqrt(off) + 0x1p-20);
}

/* The box around node `node` of level l, from the boxes or codes of the level below. Nodes that fill the last group up
 * are far from all: nothing is in them. */
static void put_box(kith_box_tree *b, uint32_t l, uint64_t node)
{
	const kith_box_level *below = l ? &b->level[l - 1] : NULL;
	const int16_t *lows = below ? below->least : b->q, *highs = below ? below->most : b->q;
	uint32_t width = below ? b->boxed : b->width;
	uint64_t end = below ? below->nodes : b->inside, first = node * KITH_LANES;
	for (uint32_t t = 0; t < b->boxed; t++) {
		int16_t least = INT16_MAX, most = first < end ? 0 : INT16_MAX;
		for (uint64_t at = first; at < first + KITH_LANES && at < end; at++) {
			int16_t low = lows[kith_box_place(at, width, t)], high = highs[kith_box_place(at, width, t)];
			least = low < least ? low : least;
			most = high > most ? high : most;
		}
		b->level[l].least[kith_box_place(node, b->boxed, t)] = least;
		b->level[l].most[kith_box_place(node, b->boxed, t)] = most;
	}
}

int kith_box_tree_make(kith_box_tree *b, const kith_projections *p, const uint32_t *id, uint64_t m, int threads,
		       kith_err *err)
{
	kith_workspace w = {0};
	init(b, m, p->coarse, &w);
	float *least = kith_alloc(b->width, sizeof *least);
	int rc = least ? kith_workspace_alloc(&w, &b->memory, "boxes around the samples", err)
		       : kith_fail_nomem(err, "a grid", b->width * sizeof *least);
	if (rc)
		goto done;
	for (uint64_t at = 0; at < m; at++)
		b->slack[at] = p->slack[id[at]];
	for (b->inside = m; b->inside && p->lo[id[b->inside - 1]] == KITH_LO_OUTSIDE;)
		b->inside--;
	choose_grid(b, p, id, threads, least);
#pragma omp parallel for num_threads(threads) schedule(static)
	for (uint64_t at = 0; at < b->inside; at++)
		put_code(b, p, id, at, least);
	for (uint64_t at = 0; at < b->inside; at++) {
		b->most_off = b->off[at] > b->most_off ? b->off[at] : b->most_off;
		b->most_slack = b->slack[at] > b->most_slack ? b->slack[at] : b->most_slack;
	}
	for (uint32_t l = 0; l < KITH_BOX_LEVELS; l++) {
		uint64_t nodes = (b->level[l].nodes + KITH_LANES - 1) / KITH_LANES * KITH_LANES;
#pragma omp parallel for num_threads(threads) schedule(static)
		for (uint64_t node = 0; node < nodes; node++)
			put_box(b, l, node);
	}
done:
	free(least);
	return rc;
}

int32_t kith_box_tree_limit(const kith_box_tree *b, uint64_t at, float bound)
{
	double square = (double)bound + b->slack[at] + b->most_slack;
	double most = sqrt(square > 0 ? square : 0) / b->step + b->off[at] + b->most_off;
	double limit = most * most * (1 + 0x1p-40) + 1;
	return at < b->inside && limit < INT32_MAX ? (int32_t)limit : INT32_MAX;
}

void kith_box_tree_code(const kith_box_tree *b, uint64_t at, int32_t *to)
{
	for (uint32_t t = 0; t < b->width; t += 2)
		memcpy(to + t / 2, b->q + kith_box_place(at, b->width, t), sizeof *to);
}
