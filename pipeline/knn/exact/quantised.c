/* quantised.c - see quantised.h. The derivation of its bound; u = 2^-24:
 *
 * Let h_i = scale_i q_i, P = |v_i|, Q = |v_j|, |v_i - h_i| <= eps P for every sample (eps is measured, the greatest
 * there is). Then |v_i.v_j - h_i.h_j| = |v_i.(v_j - h_j) + (v_i - h_i).h_j| <= eps P Q + eps P (1 + eps) Q, and as
 * 2 P Q <= P^2 + Q^2, 2 h_i.h_j is 2 v_i.v_j within (2 eps + eps^2)(P^2 + Q^2).
 *
 * q_i.q_j is exact: |q_i| <= LARGEST_NORM, so no sum of some of the products leaves 32 bits. It is rounded once to a
 * float, its factor once, their product once (in t's subtraction, where that is fused, not at all): less than 3.1 u
 * 2 |h_i.h_j|, less than 4 u (P^2 + Q^2). The rest of t's roundings are in the level's lo already. Where the factor
 * underflows, what is lost is below 2^-126 2^31.
 *
 * A vector with P < SHORTEST becomes zeros: 2 P Q <= u Q^2 + P^2 / u, and P^2 / u < 2^-136.
 *
 * So slack = (2 eps + eps^2 + 8 u) P^2 + 2^-90, rounded up, and lo = level's lo - slack, rounded down. */
#include "quantised.h"

#include <math.h>
#include <string.h>

#include "cpu.h"
#include "workspace.h"

#define LARGEST_NORM  46340.0 /* its square is below 2^31 */
#define LARGEST_VALUE 32766.0
#define SHORTEST      0x1p-80

static void init(kith_blocks *b, uint64_t m, uint64_t values, kith_workspace *w)
{
	uint64_t groups = (m + KITH_GROUP - 1) / KITH_GROUP, positions = groups * KITH_GROUP;
	*b = (kith_blocks){.width = (uint32_t)(values + (values & 1)), .groups = groups};
	KITH_BUFFER_ZERO(w, b->q, positions * b->width);
	KITH_BUFFER_ZERO(w, b->scale, positions);
	KITH_BUFFER_ZERO(w, b->lo, positions);
	KITH_BUFFER_ZERO(w, b->slack, positions);
}

uint64_t kith_blocks_bytes(uint64_t m, uint64_t values)
{
	kith_blocks b;
	kith_workspace w = {0};
	init(&b, m, values, &w);
	return kith_workspace_bytes(&w);
}

int kith_blocks_alloc(kith_blocks *b, uint64_t m, uint64_t values, kith_err *err)
{
	kith_workspace w = {0};
	init(b, m, values, &w);
	return kith_workspace_alloc(&w, &b->memory, "blocks of samples", err);
}

KITH_CLONES static double norm_of(const float *v, uint64_t values, float *greatest)
{
	double sum = 0;
	float most = 0;
#pragma omp simd reduction(+ : sum) reduction(max : most)
	for (uint64_t t = 0; t < values; t++) {
		sum += (double)v[t] * v[t];
		most = fabsf(v[t]) > most ? fabsf(v[t]) : most;
	}
	*greatest = most;
	return sum;
}

/* The nearest integer to x / scale; *off grows by the square of how far scale times it is from x. */
static inline uint32_t round_value(float x, float by, double scale, double *off)
{
	float q = rintf(x * by);
	double apart = x - q * scale;
	*off += apart * apart;
	return (uint32_t)(int32_t)q & 0xffff;
}

void kith_blocks_put(kith_blocks *b, uint64_t at, const float *v, uint64_t values)
{
	float most, *length = &b->lo[at], *eps = &b->slack[at]; /* until kith_blocks_bound */
	double squared = norm_of(v, values, &most), norm = sqrt(squared), off = 0;
	double room = LARGEST_NORM - sqrt((double)values) / 2 - 1; /* for rounding up */
	*length = kith_round_up(squared);
	*eps = 0;
	if (norm < SHORTEST)
		return;
	float scale = (float)fmax(norm / room, most / LARGEST_VALUE), by = 1 / scale;
	uint32_t *pair = (uint32_t *)(void *)kith_blocks_q(b, at / KITH_LANES) + at % KITH_LANES;
	for (uint64_t t = 0; t < values; t += 2) {
		uint32_t low = round_value(v[t], by, scale, &off);
		uint32_t high = t + 1 < values ? round_value(v[t + 1], by, scale, &off) : 0;
		pair[t / 2 * KITH_LANES] = low | high << 16;
	}
	b->scale[at] = scale;
	*eps = kith_round_up(sqrt(off) / norm * (1 + 0x1p-20));
}

void kith_blocks_bound(kith_blocks *b, const uint32_t *id, uint64_t m, const float *level_lo)
{
	double eps = 0;
	for (uint64_t at = 0; at < m; at++)
		eps = b->slack[at] > eps ? b->slack[at] : eps;
	for (uint64_t at = 0; at < b->groups * KITH_GROUP; at++) {
		double squared = b->lo[at];
		b->slack[at] = kith_round_up((2 * eps + eps * eps + 8 * 0x1p-24) * squared + 0x1p-90);
		b->lo[at] = at < m ? kith_round_down((double)level_lo[id[at]] - b->slack[at]) : INFINITY;
	}
}

int kith_blocks_pick(kith_blocks *out, const kith_blocks *b, uint64_t m, uint64_t count, kith_err *err)
{
	int rc = kith_blocks_alloc(out, count, b->width, err);
	for (uint64_t to = 0; !rc && to < out->groups * KITH_GROUP; to++) {
		uint64_t at = to < count ? to * m / count : 0;
		const int16_t *q = kith_blocks_q(b, at / KITH_LANES) + 2 * (at % KITH_LANES);
		int16_t *copy = out->q + to / KITH_LANES * KITH_LANES * out->width + 2 * (to % KITH_LANES);
		out->lo[to] = to < count ? b->lo[at] : INFINITY;
		out->scale[to] = b->scale[at];
		for (uint32_t t = 0; t < b->width; t += 2)
			memcpy(copy + (size_t)t * KITH_LANES, q + (size_t)t * KITH_LANES, 2 * sizeof *q);
	}
	return rc;
}
