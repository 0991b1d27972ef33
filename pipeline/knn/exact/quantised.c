/* quantised.c - see quantised.h. The derivation of its bound; u = 2^-24:
 *
 * Let h_i = scale_i q_i, P = |v_i|, Q = |v_j|, |v_i - h_i| <= eps P for every vector (eps is measured, the greatest
 * there is). Then |v_i.v_j - h_i.h_j| = |v_i.(v_j - h_j) + (v_i - h_i).h_j| <= eps P Q + eps P (1 + eps) Q, and as
 * 2 P Q <= P^2 + Q^2, 2 h_i.h_j is 2 v_i.v_j within (2 eps + eps^2)(P^2 + Q^2).
 *
 * q_i.q_j is exact: |q_i| <= LARGEST_NORM, so no sum of some of the products leaves 32 bits. It is rounded once to a
 * float, its factor once, their product once (in t's subtraction, where that is fused, not at all): less than 3.1 u
 * 2 |h_i.h_j|, less than 4 u (P^2 + Q^2). The rest of t's roundings are in the bounds' lo already. Where the factor
 * underflows, what is lost is below 2^-126 2^31.
 *
 * A vector with P < SHORTEST becomes zeros: 2 P Q <= u Q^2 + P^2 / u, and P^2 / u < 2^-136.
 *
 * So slack = (2 eps + eps^2 + 8 u) P^2 + 2^-90, rounded up, and lo = the bounds' lo - slack, rounded down. */
#include "quantised.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "workspace.h"

#define LARGEST_NORM  46340.0 /* its square is below 2^31 */
#define LARGEST_VALUE 32766.0
#define SHORTEST      0x1p-80

static void init(kith_quantised *b, uint64_t m, uint64_t values, kith_workspace *w)
{
	uint64_t groups = (m + KITH_GROUP - 1) / KITH_GROUP, positions = groups * KITH_GROUP;
	*b = (kith_quantised){.width = (uint32_t)(values + (values & 1)), .groups = groups};
	KITH_BUFFER_ZERO(w, b->q, positions * b->width);
	KITH_BUFFER_ZERO(w, b->scale, positions);
	KITH_BUFFER_ZERO(w, b->lo, positions);
	KITH_BUFFER_ZERO(w, b->slack, positions);
}

uint64_t kith_quantised_bytes(uint64_t m, uint64_t values)
{
	kith_quantised b;
	kith_workspace w = {0};
	init(&b, m, values, &w);
	return kith_workspace_bytes(&w);
}

int kith_quantised_alloc(kith_quantised *b, uint64_t m, uint64_t values, const char *spill, kith_err *err)
{
	kith_workspace w = {0};
	init(b, m, values, &w);
	return kith_area_alloc(&b->area, &w, spill, "blocks of vectors", err);
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

/* Quantises v into pairs of values, `step` pairs from one to the next, all zeros before. Returns its scale; *squared
 * is no less than |v|^2, *eps no less than |v - scale q| / |v|. */
static float quantise(const float *v, uint64_t values, uint32_t *pair, size_t step, float *squared, float *eps)
{
	float most;
	double sum = norm_of(v, values, &most), norm = sqrt(sum), off = 0;
	double room = LARGEST_NORM - sqrt((double)values) / 2 - 1; /* for rounding up */
	*squared = kith_round_up(sum);
	*eps = 0;
	if (norm < SHORTEST)
		return 0;
	float scale = (float)fmax(norm / room, most / LARGEST_VALUE), by = 1 / scale;
	for (uint64_t t = 0; t < values; t += 2) {
		uint32_t low = round_value(v[t], by, scale, &off);
		uint32_t high = t + 1 < values ? round_value(v[t + 1], by, scale, &off) : 0;
		pair[t / 2 * step] = low | high << 16;
	}
	*eps = kith_round_up(sqrt(off) / norm * (1 + 0x1p-20));
	return scale;
}

/* What products of quantised vectors take from a bound, by the greatest eps that there is. */
float kith_quantised_slack(float squared, double eps)
{
	return kith_round_up((2 * eps + eps * eps + 8 * 0x1p-24) * squared + 0x1p-90);
}

void kith_quantised_put(kith_quantised *b, uint64_t at, const float *v, uint64_t values)
{
	uint32_t *pair = (uint32_t *)(void *)kith_quantised_block(b, at / KITH_LANES) + at % KITH_LANES;
	/* lo and slack hold squared and eps until kith_quantised_bound */
	b->scale[at] = quantise(v, values, pair, KITH_LANES, &b->lo[at], &b->slack[at]);
}

double kith_quantised_eps(const kith_quantised *b, uint64_t m)
{
	double eps = 0;
	for (uint64_t at = 0; at < m; at++)
		eps = b->slack[at] > eps ? b->slack[at] : eps;
	return eps;
}

void kith_quantised_bound(kith_quantised *b, const uint32_t *id, uint64_t m, const float *lo)
{
	double eps = kith_quantised_eps(b, m);
	for (uint64_t at = 0; at < b->groups * KITH_GROUP; at++) {
		b->slack[at] = kith_quantised_slack(b->lo[at], eps);
		b->lo[at] = at < m ? kith_round_down((double)lo[id[at]] - b->slack[at]) : INFINITY;
	}
}

int kith_quantised_pick(kith_quantised *out, const kith_quantised *b, uint64_t m, uint64_t count, kith_err *err)
{
	int rc = kith_quantised_alloc(out, count, b->width, NULL, err);
	for (uint64_t to = 0; !rc && to < out->groups * KITH_GROUP; to++) {
		uint64_t at = to < count ? to * m / count : 0;
		const int16_t *q = kith_quantised_block(b, at / KITH_LANES) + 2 * (at % KITH_LANES);
		int16_t *copy = out->q + to / KITH_LANES * KITH_LANES * out->width + 2 * (to % KITH_LANES);
		out->lo[to] = to < count ? b->lo[at] : INFINITY;
		out->scale[to] = b->scale[at];
		for (uint32_t t = 0; t < b->width; t += 2)
			memcpy(copy + (size_t)t * KITH_LANES, q + (size_t)t * KITH_LANES, 2 * sizeof *q);
	}
	return rc;
}

/* ---- one after the other ---- */

static void init_codes(kith_codes *c, uint64_t n, uint64_t values, kith_workspace *w)
{
	*c = (kith_codes){.n = n,
			  .values = (uint32_t)(values + (values & 1)),
			  .width = (uint32_t)((values + KITH_LANES - 1) / KITH_LANES * KITH_LANES)};
	KITH_BUFFER_ZERO(w, c->q, n * c->width);
	KITH_BUFFER_ZERO(w, c->scale, n);
	KITH_BUFFER_ZERO(w, c->lo, n);
	KITH_BUFFER_ZERO(w, c->slack, n);
}

uint64_t kith_codes_bytes(uint64_t n, uint64_t values)
{
	kith_codes c;
	kith_workspace w = {0};
	init_codes(&c, n, values, &w);
	return kith_workspace_bytes(&w);
}

int kith_codes_alloc(kith_codes *c, uint64_t n, uint64_t values, kith_err *err)
{
	kith_workspace w = {0};
	init_codes(c, n, values, &w);
	return kith_workspace_alloc(&w, &c->memory, "codes of samples", err);
}

void kith_codes_put(kith_codes *c, uint64_t at, const float *v, uint64_t values)
{
	uint32_t *pair = (uint32_t *)(void *)(c->q + at * c->width);
	c->scale[at] = quantise(v, values, pair, 1, &c->lo[at], &c->slack[at]);
}

void kith_codes_bound(kith_codes *c, kith_bounds *bounds)
{
	double eps = 0;
	for (uint64_t i = 0; i < c->n; i++)
		eps = c->slack[i] > eps ? c->slack[i] : eps;
	for (uint64_t i = 0; i < c->n; i++) {
		c->slack[i] = kith_quantised_slack(c->lo[i], eps);
		c->lo[i] = kith_round_down((double)bounds->lo[i] - c->slack[i]);
		bounds->w[i] = kith_round_up((double)bounds->w[i] + 2 * (double)c->slack[i]);
	}
}

KITH_CLONES static int32_t product(const int16_t *restrict a, const int16_t *restrict b, uint32_t width)
{
	int32_t sum = 0;
	for (uint32_t t = 0; t < width; t++)
		sum += a[t] * b[t];
	return sum;
}

float kith_codes_distance(const kith_codes *c, uint64_t a, uint64_t b)
{
	float g = (float)product(c->q + a * c->width, c->q + b * c->width, c->width);
	return (c->lo[a] + c->lo[b]) - 2 * c->scale[a] * c->scale[b] * g;
}

int kith_codes_arrange(kith_codes *c, const uint32_t *id, uint64_t m, int threads, kith_err *err)
{
	kith_codes to;
	int rc = kith_codes_alloc(&to, m, c->values, err);
	if (rc)
		return rc;
#pragma omp parallel for num_threads(threads) schedule(static)
	for (uint64_t at = 0; at < m; at++) {
		uint64_t i = id[at];
		memcpy(to.q + at * to.width, c->q + i * c->width, to.width * sizeof *to.q);
		to.scale[at] = c->scale[i];
		to.lo[at] = c->lo[i];
		to.slack[at] = c->slack[i];
	}
	free(c->memory);
	*c = to;
	return 0;
}
