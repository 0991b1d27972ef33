/* screen.c - see screen.h. The derivation of its bound:
 *
 * Let u = 2^-24, P = |y_i|, Q = |y_j|, D = |z_i - z_j|^2 (real numbers), c = c_ij.
 *
 * (1) Vectors. Each y is z rounded twice (the double difference x - m, then to float), so |y - z| <= u'|y| plus what
 *     underflow takes, with u' < 1.001 u. Then | |z_i - z_j| - |y_i - y_j| | <= u'(P + Q), and squared
 *     |D - |y_i - y_j|^2| <= (2u' + u'^2)(P + Q)^2 <= 4.01 u (P^2 + Q^2).
 * (2) Product. Each of the d products passes through at most d roundings, in whatever order, fused or not, it is
 * summed: |g - y_i.y_j| <= gamma_d sum_t |y_it y_jt| <= gamma_d P Q, gamma_d = d u / (1 - d u) (Higham, Accuracy and
 * Stability of Numerical Algorithms, 3.5), and 2 P Q <= P^2 + Q^2: 2g is off by at most gamma_d (P^2 + Q^2). (3) The
 * canonical distance is itself rounded: c = D/s^2 within a relative (d + 3) 2^-53, and D <= 2 (P^2 + Q^2)(1 + 4u): for
 * d < 2^20 less than 0.2 u (P^2 + Q^2). (4) Floats. t = lo_j - 2g is rounded once, and |t| <= 2 P Q + Q^2 + ... <= 2.1
 * (P^2 + Q^2); the upper bound adds two more roundings: in all 6.3 u (P^2 + Q^2). P^2 and Q^2 themselves are sums in
 * double: less than 0.01 u.
 *
 * Together less than (gamma_d + 11 u)(P^2 + Q^2). The code uses e = (d + 40) u / (1 - (d + 40) u), which leaves room,
 * and being a bound in P^2 + Q^2, it splits: lo_i = P^2 (1 - e) - a, rounded down, hi_i = P^2 (1 + e) + a, rounded up,
 * w = hi - lo. D lies between lo_i + lo_j - 2g and hi_i + hi_j - 2g, which is the claim of screen.h.
 *
 * Underflow: products and elements below the float range lose at most 2^-126 each even where denormals are flushed; the
 * cross terms are absorbed by u (P^2 + Q^2) (2ab <= a^2 + b^2); a = (d + 1) 2^-100 covers the d products many times
 * over.
 *
 * Overflow: rows with an element of |y| > 2^40 are not screened (y = 0, lo = -inf, w = inf: both bounds hold
 * trivially); all others have P^2 < 2^80 d, so nothing overflows a float. If the canonical distance itself could
 * overflow a double (values above 1e150) or d >= 2^20, nothing is screened. s lies in 2^-400..2^400, so what underflow
 * takes from c is, times s^2, below 2^-270 d. */
#include "screen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/cpu.h"
#include "kith/hash.h"

#define LARGEST_ELEMENT 0x1p40f
#define SAMPLE_ROWS     1024

KITH_CLONES static int to_floats(const double *x, const double *mean, double scale, uint64_t d, float *y)
{
	int out_of_range = 0;
	for (uint64_t t = 0; t < d; t++) {
		y[t] = (float)((x[t] - mean[t]) * scale);
		out_of_range |= !(fabsf(y[t]) <= LARGEST_ELEMENT);
	}
	return out_of_range;
}

void kith_screen_vector(const kith_screen *screen, const double *x, float *y)
{
	if (screen->off || to_floats(x, screen->rows->mean, screen->scale, screen->rows->d, y))
		memset(y, 0, screen->rows->d * sizeof *y);
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

float kith_screen_bound(const kith_screen *screen, uint64_t i, double c)
{
	if (screen->lo[i] == KITH_LO_OUTSIDE)
		return INFINITY;
	/* c s^2 covers s^2 c exactly but for underflow, which `absolute` covers; then two directed roundings */
	double bound = c * screen->scale * screen->scale;
	bound = bound * (1 + 0x1p-40) + screen->absolute - (double)screen->lo[i];
	return kith_round_up(bound + fabs(bound) * 0x1p-40);
}

/* The median distance from the mean of up to SAMPLE_ROWS rows: the scale is to bring it to about 1. */
static int typical_norm(const kith_rows *rows, double *out, kith_err *err)
{
	uint64_t count = rows->n < SAMPLE_ROWS ? rows->n : SAMPLE_ROWS;
	double *row = kith_alloc(rows->d, sizeof *row), *norm = kith_alloc(count, sizeof *norm);
	int rc = row && norm ? 0 : kith_fail_nomem(err, "a sample of rows", rows->d * 8);

	for (uint64_t i = 0; !rc && i < count; i++) {
		double sum = 0;
		rc = kith_rows_read(rows, i * rows->n / count, 1, row, NULL, err);
		for (uint64_t t = 0; !rc && t < rows->d; t++)
			sum += (row[t] - rows->mean[t]) * (row[t] - rows->mean[t]);
		/* insertion keeps norm[0..i] sorted: a thousand rows are soon sorted */
		uint64_t at = i;
		for (; !rc && at && norm[at - 1] > sum; at--)
			norm[at] = norm[at - 1];
		if (!rc)
			norm[at] = sum;
	}
	if (!rc)
		*out = sqrt(norm[count / 2]);
	free(row);
	free(norm);
	return rc;
}

static void set_bounds(kith_screen *s, uint64_t i, const double *x, float *y)
{
	double sum = 0;
	s->hash[i] = kith_hash(x, s->rows->d * sizeof *x);
	if (s->off || to_floats(x, s->rows->mean, s->scale, s->rows->d, y)) {
		s->lo[i] = KITH_LO_OUTSIDE;
		s->w[i] = INFINITY;
		return;
	}
	for (uint64_t t = 0; t < s->rows->d; t++)
		sum += (double)y[t] * y[t];
	float lo = kith_round_down(sum * (1 - s->relative) - s->absolute);
	float hi = kith_round_up(sum * (1 + s->relative) + s->absolute);
	s->lo[i] = lo;
	s->w[i] = kith_round_up((double)hi - lo);
}

/* Every thread reads and measures its own rows. */
static int measure_rows(kith_screen *s, uint64_t first, uint64_t count, double *x, float *y, uint8_t *raw,
			kith_err *err)
{
	const kith_rows *rows = s->rows;
	uint64_t raw_row = rows->d * kith_dtype_size(kith_npy_dtype(rows->npy));
	int rc = 0;
#pragma omp parallel for schedule(dynamic, 16)
	for (uint64_t r = 0; r < count; r++) {
		kith_err why = {0};
		double *row = x + r * rows->d;
		int bad = kith_rows_read(rows, first + r, 1, row, raw + r * raw_row, &why);
		if (!bad)
			set_bounds(s, first + r, row, y + r * rows->d);
		if (bad)
#pragma omp critical(kith_measure)
			rc = kith_fail(err, bad, "%s", why.msg);
	}
	return rc;
}

int kith_screen_init(kith_screen *s, const kith_rows *rows, uint64_t memory, const kith_progress *progress,
		     kith_err *err)
{
	uint64_t raw_row = rows->d * kith_dtype_size(kith_npy_dtype(rows->npy));
	uint64_t step = memory / (rows->d * 12 + raw_row);
	double typical = 0, du = ((double)rows->d + 40) * 0x1p-24;
	int rc = 0;

	memset(s, 0, sizeof *s);
	s->rows = rows;
	s->scale = 1;
	s->relative = du / (1 - du);
	s->absolute = ((double)rows->d + 1) * 0x1p-100;
	s->off = rows->max_abs > 1e150 || rows->d >= 1u << 20;
	s->lo = kith_alloc(rows->n, sizeof *s->lo);
	s->w = kith_alloc(rows->n, sizeof *s->w);
	s->hash = kith_alloc(rows->n, sizeof *s->hash);
	if (!s->lo || !s->w || !s->hash)
		return kith_fail_nomem(err, "the bounds of the rows", rows->n * 16);
	if (!s->off && (rc = typical_norm(rows, &typical, err)))
		return rc;
	if (typical > 0) {
		int exponent = -ilogb(typical);
		s->scale = ldexp(1, exponent < -400 ? -400 : exponent > 400 ? 400 : exponent);
	}

	step = step < 1 ? 1 : step > 4096 ? 4096 : step;
	step = step > rows->n ? rows->n : step;
	double *x = kith_alloc(step * rows->d, sizeof *x);
	float *y = kith_alloc(step * rows->d, sizeof *y);
	uint8_t *raw = kith_alloc(step, raw_row);
	if (!x || !y || !raw)
		rc = kith_fail_nomem(err, "a block of rows", step * (rows->d * 12 + raw_row));
	for (uint64_t first = 0; !rc && first < rows->n; first += step) {
		uint64_t count = step < rows->n - first ? step : rows->n - first;
		rc = kith_progress_tick(progress, "measuring", first, rows->n, err);
		if (!rc)
			rc = measure_rows(s, first, count, x, y, raw, err);
	}
	free(x);
	free(y);
	free(raw);
	return rc;
}

void kith_screen_free(kith_screen *s)
{
	free(s->lo);
	free(s->w);
	free(s->hash);
	memset(s, 0, sizeof *s);
}
