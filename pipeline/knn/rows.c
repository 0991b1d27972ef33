/* rows.c - see rows.h */
#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/cpu.h"

/* ---- the metric ---- */

/* The norm of a row after scaling by the power of two that brings its largest value into [1/2, 1): exact, and no square
 * over- or underflows where it matters. Returns 0 for a zero row. */
static double scaled_norm(const double *row, uint64_t d, int *exponent)
{
	double most = 0, sum = 0;
	for (uint64_t t = 0; t < d; t++)
		most = fabs(row[t]) > most ? fabs(row[t]) : most;
	if (most == 0)
		return 0;
	frexp(most, exponent);
	for (uint64_t t = 0; t < d; t++) {
		double x = ldexp(row[t], -*exponent);
		sum += x * x;
	}
	return sqrt(sum);
}

KITH_CLONES static void divide(double *row, uint64_t d, double scale, double norm)
{
	for (uint64_t t = 0; t < d; t++)
		row[t] = row[t] * scale / norm;
}

static void normalise(double *row, uint64_t d, int exponent, double norm)
{
	if (exponent > -1000 && exponent < 1000) { /* 2^-exponent is a normal double: one exact multiplication */
		divide(row, d, ldexp(1, -exponent), norm);
		return;
	}
	for (uint64_t t = 0; t < d; t++)
		row[t] = ldexp(row[t], -exponent) / norm;
}

static int find_norms(kith_rows *rows, uint64_t first, uint64_t count, const double *block, kith_err *err)
{
	for (uint64_t r = 0; r < count; r++) {
		int exponent = 0;
		rows->norm[first + r] = scaled_norm(block + r * rows->d, rows->d, &exponent);
		rows->exponent[first + r] = exponent;
		if (rows->norm[first + r] == 0)
			return kith_fail(
				err, KITH_EUSAGE,
				"%s: row %llu is zero and has no direction: cosine cannot place it; drop it or "
				"use --metric l2",
				kith_npy_path(rows->npy), (unsigned long long)(first + r));
	}
	return 0;
}

/* Second pass, for cosine: the norms, and the mean of the normalised rows in place of the raw ones. */
static int scan_cosine(kith_rows *rows, uint64_t memory, const kith_progress *progress, kith_err *err)
{
	uint64_t step = memory / (rows->d * sizeof(double) * 2);
	int rc = 0;
	step = step < 1 ? 1 : step > rows->n ? rows->n : step;
	double *block = kith_alloc(step * rows->d, sizeof *block);
	rows->norm = kith_alloc(rows->n, sizeof *rows->norm);
	rows->exponent = kith_alloc(rows->n, sizeof *rows->exponent);
	if (!block || !rows->norm || !rows->exponent)
		rc = kith_fail_nomem(err, "norms", step * rows->d * 8 + rows->n * 12);
	memset(rows->mean, 0, rows->d * sizeof *rows->mean);
	for (uint64_t first = 0; !rc && first < rows->n; first += step) {
		uint64_t count = step < rows->n - first ? step : rows->n - first;
		if ((rc = kith_progress_tick(progress, "norms", first, rows->n, err)) ||
		    (rc = kith_npy_read(rows->npy, first, count, block, NULL, err)) ||
		    (rc = find_norms(rows, first, count, block, err)))
			break;
		for (uint64_t r = 0; r < count; r++) {
			normalise(block + r * rows->d, rows->d, rows->exponent[first + r], rows->norm[first + r]);
			for (uint64_t t = 0; t < rows->d; t++)
				rows->mean[t] += block[r * rows->d + t] / (double)rows->n;
		}
	}
	free(block);
	rows->max_abs = 1;
	return rc;
}

int kith_rows_init(kith_rows *rows, const kith_npy *npy, kith_metric metric, uint64_t memory,
		   const kith_progress *progress, kith_err *err)
{
	kith_npy_scan scan;
	int rc;

	memset(rows, 0, sizeof *rows);
	rows->npy = npy;
	rows->n = kith_npy_n(npy);
	rows->d = kith_npy_d(npy);
	rows->metric = metric;
	if (!(rows->mean = kith_alloc(rows->d, sizeof *rows->mean)))
		return kith_fail_nomem(err, "column means", rows->d * 8);
	if ((rc = kith_npy_scan_all(npy, memory, progress, &scan, rows->mean, err)))
		return rc;
	rows->digest = scan.digest;
	rows->max_abs = scan.max_abs;
	return metric == KITH_COSINE ? scan_cosine(rows, memory, progress, err) : 0;
}

void kith_rows_free(kith_rows *rows)
{
	free(rows->mean);
	free(rows->norm);
	free(rows->exponent);
	memset(rows, 0, sizeof *rows);
}

int kith_rows_read(const kith_rows *rows, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err)
{
	int rc = kith_npy_read(rows->npy, first, count, out, raw, err);
	if (!rc && rows->metric == KITH_COSINE)
		for (uint64_t r = 0; r < count; r++)
			normalise(out + r * rows->d, rows->d, rows->exponent[first + r], rows->norm[first + r]);
	return rc;
}

/* ---- the canonical distance ---- */

/* Index order makes each sum one long chain of dependent additions; four rows side by side keep the adders busy. */
KITH_CLONES static void canonical_4(const double *x, const double *const *y, uint64_t d, double *out)
{
	const double *a = y[0], *b = y[1], *c = y[2], *e = y[3];
	double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
	for (uint64_t t = 0; t < d; t++) {
		double d0 = x[t] - a[t], d1 = x[t] - b[t], d2 = x[t] - c[t], d3 = x[t] - e[t];
		s0 += d0 * d0;
		s1 += d1 * d1;
		s2 += d2 * d2;
		s3 += d3 * d3;
	}
	out[0] = s0;
	out[1] = s1;
	out[2] = s2;
	out[3] = s3;
}

void kith_canonical(const double *x, const double *const *y, uint32_t count, uint64_t d, double *out)
{
	uint32_t i = 0;
	for (; i + 4 <= count; i += 4)
		canonical_4(x, y + i, d, out + i);
	for (; i < count; i++) {
		double sum = 0;
		for (uint64_t t = 0; t < d; t++) {
			double diff = x[t] - y[i][t];
			sum += diff * diff;
		}
		out[i] = sum;
	}
}
