/* float_bounds.c - see float_bounds.h. The derivation of its bound:
 *
 * Let z_i = s (x_i - m), the row centred on m (about the mean) and scaled by s; u = 2^-24, P = |v_i|, Q = |v_j|,
 * D = |z_i - z_j|^2 (real numbers), c = c_ij.
 *
 * (1) Vectors. Each v is z rounded twice (the double difference x - m, then to float), so |v - z| <= u'|v| plus what
 *     underflow takes, with u' < 1.001 u. Then | |z_i - z_j| - |v_i - v_j| | <= u'(P + Q), and squared
 *     |D - |v_i - v_j|^2| <= (2u' + u'^2)(P + Q)^2 <= 4.01 u (P^2 + Q^2).
 * (2) Product. Each of the d products passes through at most d roundings, in whatever order, fused or not, it is
 *     summed: |g - v_i.v_j| <= gamma_d sum_t |v_it v_jt| <= gamma_d P Q, gamma_d = d u / (1 - d u) (Higham, Accuracy
 *     and Stability of Numerical Algorithms, 3.5), and 2 P Q <= P^2 + Q^2: 2g is off by at most gamma_d (P^2 + Q^2).
 *     Zeros that fill a vector up add no error.
 * (3) The canonical distance is itself rounded: c = D/s^2 within a relative (d + 3) 2^-53, and D <= 2 (P^2 + Q^2)
 *     (1 + 4u): for d < 2^20 less than 0.2 u (P^2 + Q^2).
 * (4) Floats. lo_i + lo_j is rounded once (by less than 1.1 u (P^2 + Q^2)), t once more (|t| <= 2.1 (P^2 + Q^2)); the
 *     upper bound adds w_i + w_j and rounds twice: in all less than 8 u (P^2 + Q^2). P^2 and Q^2 themselves are sums in
 *     double: less than 0.01 u.
 *
 * Together less than (gamma_d + 13 u)(P^2 + Q^2). The code uses e = (d + 40) u / (1 - (d + 40) u), which leaves room,
 * and being a bound in P^2 + Q^2, it splits: lo_i = P^2 (1 - e) - a, rounded down, hi_i = P^2 (1 + e) + a, rounded up,
 * w = hi - lo. D lies between lo_i + lo_j - 2g and hi_i + hi_j - 2g, which is the claim of float_bounds.h.
 *
 * Underflow: products and elements below the float range lose at most 2^-126 each even where denormals are flushed; the
 * cross terms are absorbed by u (P^2 + Q^2) (2ab <= a^2 + b^2); a = (d + 1) 2^-100 covers the d products many times
 * over.
 *
 * Overflow: a sample with an element of |v| > 2^40 is outside; all others have P^2 < 2^80 d, so nothing overflows a
 * float, and t with one or two outside stays far below any other (2^125 against 2^101). If the canonical distance
 * itself could overflow a double (values above 1e150) or d >= 2^20, every sample is outside. s lies in 2^-510..2^400
 * (its square is a normal double), so what underflow takes from c is, times s^2, below 2^-270 d. */
#include "float_bounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "workspace.h"

#define LARGEST_ELEMENT 0x1p40
#define SAMPLE_ROWS     1024
#define ARRANGED        (4u << 20) /* bytes of vectors that are put in order before it is told how far that is */

/* `single`, a constant where this is inlined: x is floats, not doubles. The order of summation is the compiler's to
 * choose. */
static inline __attribute__((always_inline)) int centre(const void *x, int single, const double *mean, double scale,
							uint64_t d, double *z, double *norm)
{
	double sum = 0, most = 0;
#pragma omp simd reduction(+ : sum) reduction(max : most)
	for (uint64_t t = 0; t < d; t++) {
		z[t] = ((single ? (double)((const float *)x)[t] : ((const double *)x)[t]) - mean[t]) * scale;
		sum += z[t] * z[t];
		most = fabs(z[t]) > most ? fabs(z[t]) : most;
	}
	*norm = sum;
	return !(most <= LARGEST_ELEMENT && sum <= INFINITY); /* a NaN, too: planning has not looked for them */
}

KITH_CLONES static int centre_floats(const void *x, const double *mean, double scale, uint64_t d, double *z,
				     double *norm)
{
	return centre(x, 1, mean, scale, d, z, norm);
}

KITH_CLONES static int centre_doubles(const void *x, const double *mean, double scale, uint64_t d, double *z,
				      double *norm)
{
	return centre(x, 0, mean, scale, d, z, norm);
}

int kith_scaling_centre(const kith_scaling *s, const void *x, double *z, double *norm)
{
	const kith_vectors *v = s->vectors;
	int outside = s->off || (v->value_size == sizeof(float) ? centre_floats : centre_doubles)(x, v->mean, s->scale,
												  v->d, z, norm);
	if (outside) {
		memset(z, 0, v->d * sizeof *z);
		*norm = 0;
	}
	return outside;
}

KITH_CLONES static void to_floats(const double *z, uint64_t d, float *v)
{
	for (uint64_t t = 0; t < d; t++)
		v[t] = (float)z[t];
}

/* The order of summation is the compiler's to choose: an error of d 2^-53 is nothing here. */
KITH_CLONES static double square_norm(const float *v, uint64_t d)
{
	double sum = 0;
#pragma omp simd reduction(+ : sum)
	for (uint64_t t = 0; t < d; t++)
		sum += (double)v[t] * v[t];
	return sum;
}

void kith_scaling_floats(const kith_scaling *s, const double *z, int outside, float *v, float *lo, float *w)
{
	to_floats(z, s->vectors->d, v);
	double sum = square_norm(v, s->vectors->d);
	*lo = outside ? KITH_LO_OUTSIDE : kith_round_down(sum * (1 - s->relative) - s->absolute);
	*w = outside ? INFINITY : kith_round_up((double)kith_round_up(sum * (1 + s->relative) + s->absolute) - *lo);
}

float kith_round_down(double x)
{
	float f = (float)x;
	return (double)f > x ? nextafterf(f, -INFINITY) : f;
}

float kith_round_up(double x)
{
	return -kith_round_down(-x);
}

float kith_scaling_bound(const kith_scaling *s, double c)
{
	/* c s^2 covers s^2 c exactly but for underflow, which `absolute` covers */
	return kith_round_up(c * s->scale * s->scale * (1 + 0x1p-40) + s->absolute);
}

/* The median distance from the mean of up to SAMPLE_ROWS samples: the scale is to bring it to about 1. */
static int typical_norm(const kith_vectors *v, double *out, kith_err *err)
{
	uint64_t count = v->n < SAMPLE_ROWS ? v->n : SAMPLE_ROWS;
	double *row = NULL, *norm = NULL;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, row, v->d);
	KITH_BUFFER(&w, norm, count);
	int rc = kith_workspace_alloc(&w, &memory, "a sample of rows", err);
	for (uint64_t i = 0; !rc && i < count; i++) {
		double sum = 0;
		if ((rc = kith_vectors_read(v, i * v->n / count, 1, row, NULL, err)))
			break;
		for (uint64_t t = 0; t < v->d; t++)
			sum += (row[t] - v->mean[t]) * (row[t] - v->mean[t]);
		/* insertion keeps norm[0..i] sorted: a thousand rows are soon sorted */
		uint64_t at = i;
		for (; at && norm[at - 1] > sum; at--)
			norm[at] = norm[at - 1];
		norm[at] = sum;
	}
	if (!rc)
		*out = sqrt(norm[count / 2]);
	free(memory);
	return rc;
}

int kith_scaling_init(kith_scaling *s, const kith_vectors *vectors, kith_err *err)
{
	double typical = 0, du = ((double)vectors->d + 40) * 0x1p-24;
	int rc;
	*s = (kith_scaling){.vectors = vectors, .scale = 1, .relative = du / (1 - du)};
	s->absolute = ((double)vectors->d + 1) * 0x1p-100;
	s->off = vectors->max_abs > 1e150 || vectors->d >= 1u << 20;
	if (!s->off && (rc = typical_norm(vectors, &typical, err)))
		return rc;
	if (typical > 0) {
		int exponent = -ilogb(typical);
		s->scale = ldexp(1, exponent < -510 ? -510 : exponent > 400 ? 400 : exponent);
	}
	return 0;
}

static uint64_t padded(uint64_t values)
{
	return (values + KITH_LANES - 1) / KITH_LANES * KITH_LANES;
}

uint64_t kith_bounds_bytes(uint64_t n, uint64_t values)
{
	return n * (padded(values) + 2) * sizeof(float);
}

static int alloc_vectors(kith_bounds *b, uint64_t m, uint64_t values, kith_err *err)
{
	kith_workspace w = {0};
	/* n < 2^31, values < 2^28; the padding is not written again */
	if (b->width > values)
		KITH_BUFFER_ZERO(&w, b->v, m * b->width);
	else
		KITH_BUFFER(&w, b->v, m * b->width);
	return kith_area_alloc(&b->vectors, &w, b->spill, "vectors of floats", err);
}

int kith_bounds_alloc(kith_bounds *b, uint64_t n, uint64_t m, uint64_t values, const char *spill, kith_err *err)
{
	kith_workspace w = {0};
	*b = (kith_bounds){.width = (uint32_t)padded(values), .spill = spill};
	int rc = alloc_vectors(b, m, values, err);
	KITH_BUFFER(&w, b->lo, n);
	KITH_BUFFER(&w, b->w, n);
	return rc ? rc : kith_area_alloc(&b->numbers, &w, spill, "bounds of samples", err);
}

void kith_bounds_free(kith_bounds *b)
{
	kith_area_free(&b->vectors);
	kith_area_free(&b->numbers);
	*b = (kith_bounds){0};
}

int kith_bounds_arrange(kith_bounds *b, const uint32_t *id, uint64_t m, int threads, const kith_progress *progress,
			kith_err *err)
{
	uint64_t width = b->width, one = width * sizeof *b->v; /* each lies in a page of its own */
	uint64_t step = ARRANGED / (one > KITH_PAGE ? one : KITH_PAGE) + 1;
	kith_bounds old = *b;
	int rc = alloc_vectors(b, m, width, err);
	if (rc) {
		*b = old;
		return rc;
	}
	for (uint64_t from = 0; !rc && from < m; from += step) {
		uint64_t to = m - from < step ? m : from + step;
		rc = kith_progress_tick(progress, "arranging", from, m, err);
		kith_area_rest(&old.vectors);
#pragma omp parallel for num_threads(threads) schedule(static)
		for (uint64_t at = from; at < to; at++)
			memcpy(b->v + at * width, old.v + id[at] * width, width * sizeof *b->v);
	}
	kith_area_free(&old.vectors);
	return rc;
}
