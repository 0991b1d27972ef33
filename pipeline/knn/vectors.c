/* vectors.c - see vectors.h */
#include "vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "workspace.h"

#define GLANCE_ROWS 1024u
#define SHIFTED     490 /* the largest value is brought below 2^490: its square is far from 2^1024, whatever d is */

/* ---- the metric ---- */

double kith_scaled_norm(const double *row, uint64_t d, int *exponent)
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

void kith_normalise(double *row, uint64_t d, int exponent, double norm)
{
	if (exponent > -1000 && exponent < 1000) { /* 2^-exponent is a normal double: one exact multiplication */
		divide(row, d, ldexp(1, -exponent), norm);
		return;
	}
	for (uint64_t t = 0; t < d; t++)
		row[t] = ldexp(row[t], -exponent) / norm;
}

static void find_norms(kith_vectors *v, uint64_t first, uint64_t count, const double *block)
{
	for (uint64_t r = 0; r < count; r++) {
		int exponent = 0;
		v->norm[first + r] = kith_scaled_norm(block + r * v->d, v->d, &exponent);
		v->exponent[first + r] = exponent;
		v->zero += v->norm[first + r] == 0;
	}
}

int kith_vectors_refuse_zero(const kith_vectors *v, kith_err *err)
{
	char more[64] = "", place[KITH_PLACE_TEXT];
	uint64_t first = 0;
	if (!v->zero)
		return 0;
	while (v->norm[first] != 0)
		first++;
	if (v->zero > 1)
		snprintf(more, sizeof more, " (and so are %llu more of %llu)", (unsigned long long)v->zero - 1,
			 (unsigned long long)v->n);
	return kith_fail(err, KITH_EUSAGE,
			 "%s: %s is zero%s and has no direction: cosine cannot place it; drop the same samples "
			 "from every layer, or use --metric l2",
			 v->path, kith_source_place(kith_activations_source(v->input), first, UINT64_MAX, place), more);
}

static void normalise_rows(const kith_vectors *v, uint64_t first, uint64_t count, double *rows)
{
	for (uint64_t r = 0; r < count; r++)
		kith_normalise(rows + r * v->d, v->d, v->exponent[first + r], v->norm[first + r]);
}

/* Second pass, for cosine: the norms, and the mean of the normalised samples in place of the raw ones. */
static int scan_cosine(kith_vectors *v, uint64_t memory, const kith_progress *progress, kith_err *err)
{
	uint64_t step = memory / (v->d * sizeof(double) * 2);
	step = step < 1 ? 1 : step > v->n ? v->n : step;
	double *block = kith_alloc(step * v->d, sizeof *block);
	int rc = block ? 0 : kith_fail_nomem(err, "a block of rows", step * v->d * sizeof *block);
	memset(v->mean, 0, v->d * sizeof *v->mean);
	for (uint64_t first = 0; !rc && first < v->n; first += step) {
		uint64_t count = step < v->n - first ? step : v->n - first;
		if ((rc = kith_progress_tick(progress, "norms", first, v->n, err)) ||
		    (rc = kith_activations_read(v->input, first, count, block, NULL, err)))
			break;
		find_norms(v, first, count, block);
		normalise_rows(v, first, count, block);
		for (uint64_t r = 0; r < count; r++)
			for (uint64_t t = 0; v->norm[first + r] > 0 && t < v->d; t++)
				v->mean[t] += block[r * v->d + t] / (double)v->n;
	}
	free(block);
	v->max_abs = 1;
	return rc;
}

static int set_up(kith_vectors *v, kith_activations *input, kith_metric metric, kith_err *err)
{
	const kith_activations_info *file = kith_activations_get_info(input);
	uint64_t normed = metric == KITH_COSINE ? file->n : 0;
	kith_workspace w = {0};
	*v = (kith_vectors){.input = input,
			    .path = file->path,
			    .row_bytes = file->row_bytes,
			    .n = file->n,
			    .d = file->d,
			    .metric = metric,
			    .value_size = metric == KITH_L2 && !kith_dtype_is_wide(file->dtype) ? sizeof(float)
												: sizeof(double)};
	KITH_BUFFER_ZERO(&w, v->mean, v->d);
	KITH_BUFFER(&w, v->norm, normed);
	KITH_BUFFER(&w, v->exponent, normed);
	return kith_workspace_alloc(&w, &v->memory, "column means and norms", err);
}

int kith_vectors_glance(kith_vectors *v, kith_activations *input, kith_metric metric, uint64_t memory, int threads,
			kith_err *err)
{
	if (metric == KITH_COSINE)
		return kith_vectors_init(v, input, metric, memory, threads, NULL, err);
	int rc = set_up(v, input, metric, err);
	uint64_t m = v->n < GLANCE_ROWS ? v->n : GLANCE_ROWS;
	double *row = rc ? NULL : kith_alloc(v->d, sizeof *row);
	if (!rc && !row)
		rc = kith_fail_nomem(err, "a row", v->d * sizeof *row);
	for (uint64_t i = 0; !rc && i < m; i++) {
		rc = kith_activations_read(input, i * v->n / m, 1, row, NULL, err);
		for (uint64_t t = 0; !rc && t < v->d; t++) {
			v->mean[t] += row[t] / (double)m;
			v->max_abs = fabs(row[t]) > v->max_abs ? fabs(row[t]) : v->max_abs;
		}
	}
	free(row);
	return rc;
}

/* ---- the range ---- */

/* Refuses a value that is out of range: the first that is too large or, if all are too small, the first largest. */
static int refuse_range(const kith_vectors *v, double max_abs, kith_err *err)
{
	int large = max_abs > KITH_SMALLEST, exponent, rc = 0;
	double limit = large ? kith_largest_value(v->d) : nextafter(max_abs, 0), *row = kith_alloc(v->d, sizeof *row);
	uint64_t i = 0, t = v->d;
	char place[KITH_PLACE_TEXT];
	if (!row)
		return kith_fail_nomem(err, "a row", v->d * sizeof *row);
	for (; !rc && i < v->n && t == v->d; i++) {
		rc = kith_activations_read(v->input, i, 1, row, NULL, err);
		for (t = 0; !rc && t < v->d && fabs(row[t]) <= limit;)
			t++;
	}
	frexp(max_abs, &exponent);
	if (!rc)
		rc = kith_fail(err, KITH_EUSAGE,
			       "%s: %s is %.3g%s: squared distances leave a double's range where "
			       "values are %s %.3g; save x * 2.0**%d, which has the same neighbours",
			       v->path, kith_source_place(kith_activations_source(v->input), i - 1, t, place),
			       t < v->d ? row[t] : 0, large ? "" : ", and no value is larger",
			       large ? "above" : "all below", large ? limit : KITH_SMALLEST,
			       -exponent < 1000 ? -exponent : 1000);
	free(row);
	return rc;
}

int kith_range_shift(double max_abs, double min_abs)
{
	int exponent;
	frexp(max_abs, &exponent);
	return min_abs > 0 && min_abs < KITH_SMALLEST && exponent < SHIFTED ? SHIFTED - exponent : 0;
}

/* For l2 and f8. */
static int fit_range(kith_vectors *v, const kith_scan *scan, kith_err *err)
{
	if (scan->max_abs > kith_largest_value(v->d) || (scan->max_abs > 0 && scan->max_abs < KITH_SMALLEST))
		return refuse_range(v, scan->max_abs, err);
	v->shift = kith_range_shift(scan->max_abs, scan->min_abs);
	v->max_abs = ldexp(v->max_abs, v->shift);
	for (uint64_t t = 0; v->shift && t < v->d; t++)
		v->mean[t] = ldexp(v->mean[t], v->shift);
	return 0;
}

int kith_vectors_init(kith_vectors *v, kith_activations *input, kith_metric metric, uint64_t memory, int threads,
		      const kith_progress *progress, kith_err *err)
{
	kith_scan scan;
	int rc = set_up(v, input, metric, err);
	if (rc || (rc = kith_activations_scan(input, memory, threads, progress, &scan, v->mean, err)))
		return rc;
	v->digest = scan.digest;
	v->ties = (kith_tie_rule){.rule = KITH_TIES_CONTENT, .key = scan.values};
	v->repeated = scan.repeated;
	v->unwritten = scan.unwritten;
	v->max_abs = scan.max_abs;
	if (metric == KITH_COSINE)
		return scan_cosine(v, memory, progress, err);
	return v->value_size == sizeof(double) ? fit_range(v, &scan, err) : 0;
}

/* ---- ties ---- */

static int by_tie_rank(const void *a, const void *b, void *ties)
{
	uint64_t x = kith_tie_rank(ties, *(const uint32_t *)a), y = kith_tie_rank(ties, *(const uint32_t *)b);
	return (x > y) - (x < y);
}

void kith_ties_sort(const kith_tie_rule *ties, uint32_t *samples, uint64_t count)
{
	qsort_r(samples, count, sizeof *samples, by_tie_rank, (void *)(uintptr_t)ties);
}

void kith_tie_counts_add(kith_tie_counts *counts, const kith_graph_info *info, const double *dist, uint64_t left)
{
	uint32_t k = kith_info_k(info);
	for (uint32_t t = 0; t < info->tiers; t++) {
		uint32_t from = info->ladder[t] - 1, to = info->ladder[t];
		double far = dist[from];
		while (to < k && dist[to] == far)
			to++;
		uint64_t beyond = to - info->ladder[t] + (dist[k - 1] == far ? left : 0);
		if (!beyond)
			continue;
		while (from && dist[from - 1] == far)
			from--;
		uint64_t equal = info->ladder[t] - from + beyond;
		counts->rows[t]++;
		counts->most[t] = equal > counts->most[t] ? equal : counts->most[t];
	}
}

void kith_vectors_free(kith_vectors *v)
{
	free(v->memory);
	free(v->own);
	*v = (kith_vectors){0};
}

void kith_vectors_map(kith_vectors *v)
{
	if (!v->all && !v->id && v->metric == KITH_L2 && !v->shift && v->row_bytes == v->d * v->value_size)
		v->all = kith_activations_map(v->input);
}

int kith_vectors_keep(kith_vectors *v, kith_err *err)
{
	kith_vectors_map(v);
	if (!v->all && !(v->own = kith_alloc(v->n * v->d, v->value_size)))
		return kith_fail_nomem(err, "the samples", v->n * v->d * v->value_size);
	return 0;
}

/* ---- samples ---- */

static int read_of_file(const kith_vectors *v, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err)
{
	int rc = kith_activations_read(v->input, first, count, out, raw, err);
	double scale = ldexp(1, v->shift);
	if (!rc && v->metric == KITH_COSINE)
		normalise_rows(v, first, count, out);
	for (uint64_t t = 0; !rc && v->shift && t < count * v->d; t++)
		out[t] *= scale;
	return rc;
}

/* Whether a sample is to be had from memory: what has places of its own may still be in the making. */
static int is_in_memory(const kith_vectors *v)
{
	return v->all && !v->place;
}

/* One by one, from memory if they are there: some of a file's samples, or such that no file has. */
static int read_some(const kith_vectors *v, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err)
{
	int rc = 0;
	for (uint64_t r = 0; !rc && r < count; r++, out += v->d)
		if (!is_in_memory(v))
			rc = read_of_file(v, v->id[first + r], 1, out, raw, err);
		else if (v->value_size == sizeof(double))
			memcpy(out, kith_vectors_at(v, first + r), v->d * sizeof *out);
		else
			for (uint64_t t = 0; t < v->d; t++)
				out[t] = ((const float *)kith_vectors_at(v, first + r))[t];
	return rc;
}

static int read_some_floats(const kith_vectors *v, uint64_t first, uint64_t count, float *out, void *raw, kith_err *err)
{
	int rc = 0;
	for (uint64_t r = 0; !rc && r < count; r++, out += v->d)
		if (is_in_memory(v))
			memcpy(out, kith_vectors_at(v, first + r), v->d * sizeof *out);
		else
			rc = kith_activations_read_floats(v->input, v->id[first + r], 1, out, raw, err);
	return rc;
}

int kith_vectors_read(const kith_vectors *v, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err)
{
	return (v->id || !v->input ? read_some : read_of_file)(v, first, count, out, raw, err);
}

int kith_vectors_read_values(const kith_vectors *v, uint64_t first, uint64_t count, void *out, void *raw, kith_err *err)
{
	if (v->value_size != sizeof(float))
		return kith_vectors_read(v, first, count, out, raw, err);
	return v->id || !v->input ? read_some_floats(v, first, count, out, raw, err)
				  : kith_activations_read_floats(v->input, first, count, out, raw, err);
}

int kith_vectors_load(kith_vectors *v, uint64_t rows, kith_err *err)
{
	int rc = kith_vectors_keep(v, err);
	if (rc || v->all)
		return rc;
	uint8_t *raw = kith_alloc(rows, v->row_bytes);
	if (!raw)
		return kith_fail_nomem(err, "samples as they are stored", rows * v->row_bytes);
	for (uint64_t first = 0; !rc && first < v->n; first += rows) {
		uint64_t count = v->n - first < rows ? v->n - first : rows;
		rc = kith_vectors_read_values(v, first, count, (char *)v->own + first * v->d * v->value_size, raw, err);
	}
	free(raw);
	v->all = rc ? NULL : v->own;
	return rc;
}

KITH_CLONES static void add_to(double *sum, const double *row, uint64_t d, double *most)
{
	double greatest = *most;
	for (uint64_t t = 0; t < d; t++) {
		sum[t] += row[t];
		greatest = fabs(row[t]) > greatest ? fabs(row[t]) : greatest;
	}
	*most = greatest;
}

uint32_t kith_id_find(const uint32_t *ids, uint64_t count, uint32_t id)
{
	uint64_t low = 0, high = count;
	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && ids[low] == id ? (uint32_t)low : UINT32_MAX;
}

static void list_some(kith_workspace *w, kith_vectors *v, const kith_vectors *of, uint64_t n, uint32_t **id,
		      uint32_t **weight)
{
	KITH_BUFFER(w, *id, n);
	KITH_BUFFER(w, *weight, of->weight ? n : 0);
	KITH_BUFFER_ZERO(w, v->mean, of->d);
}

uint64_t kith_vectors_some_bytes(const kith_vectors *of, uint64_t n)
{
	kith_workspace w = {0};
	kith_vectors v;
	uint32_t *id, *weight;
	list_some(&w, &v, of, n, &id, &weight);
	return kith_workspace_bytes(&w);
}

int kith_vectors_some(kith_vectors *v, const kith_vectors *of, const uint32_t *id, uint64_t n, kith_err *err)
{
	kith_workspace w = {0};
	uint32_t *own, *weight;
	uint8_t *raw = kith_alloc(of->row_bytes, 1);
	double *row = kith_alloc(of->d, sizeof *row);
	*v = *of;
	if (of->id && of->own) /* those are in the order of its ids */
		v->all = NULL;
	v->n = n;
	v->zero = 0; /* those are none of some: they must not be read */
	v->own = v->memory = NULL;
	v->max_abs = 0;
	list_some(&w, v, of, n, &own, &weight);
	int rc = row && raw ? kith_workspace_alloc(&w, &v->memory, "some of the samples", err)
			    : kith_fail_nomem(err, "a sample", of->d * sizeof *row);
	for (uint64_t i = 0; !rc && i < n; i++)
		own[i] = of->id ? of->id[id[i]] : id[i];
	for (uint64_t i = 0; !rc && of->weight && i < n; i++)
		weight[i] = of->weight[id[i]];
	v->weight = !rc && of->weight ? weight : NULL;
	v->id = v->ties.id = rc ? NULL : own;
	for (uint64_t i = 0; !rc && i < n; i++)
		if (!(rc = kith_vectors_read(v, i, 1, row, raw, err)))
			add_to(v->mean, row, v->d, &v->max_abs);
	for (uint64_t t = 0; !rc && t < v->d; t++)
		v->mean[t] /= (double)n;
	free(raw);
	free(row);
	return rc;
}

/* ---- the canonical distance ---- */

/* Index order makes each sum one long chain of dependent additions, so sums of several rows run side by side, one in
 * each lane. Differences and squares are made along the rows, and only then turned: what was four values of one row
 * becomes one value of four rows. */
typedef double lanes __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(32), aligned(8)));

/* Values t.. of four rows; `single`, a constant where this is inlined: they are floats. */
static inline __attribute__((always_inline)) void load(lanes *out, const void *row, uint64_t t, int single)
{
	if (single) /* a loop, because gcc 12 converts vectors in halves */
		for (int i = 0; i < 4; i++)
			(*out)[i] = ((const float *)row)[t + (uint64_t)i];
	else
		*out = *(const doubles *)((const double *)row + t);
}

/* `one`, a constant where this is inlined: all distances are to x[0]; else each y has an x of its own. */
static inline __attribute__((always_inline)) void add_4(lanes *sum, const void *const *x, const void *const *y,
							uint64_t t, int single, int one)
{
	lanes p, q, r, s, a, b, c, e;
	load(&p, x[0], t, single);
	q = r = s = p;
	if (!one) {
		load(&q, x[1], t, single);
		load(&r, x[2], t, single);
		load(&s, x[3], t, single);
	}
	load(&a, y[0], t, single);
	load(&b, y[1], t, single);
	load(&c, y[2], t, single);
	load(&e, y[3], t, single);
	a = (p - a) * (p - a);
	b = (q - b) * (q - b);
	c = (r - c) * (r - c);
	e = (s - e) * (s - e);
	lanes ab_even = __builtin_shufflevector(a, b, 0, 4, 2, 6), ab_odd = __builtin_shufflevector(a, b, 1, 5, 3, 7);
	lanes ce_even = __builtin_shufflevector(c, e, 0, 4, 2, 6), ce_odd = __builtin_shufflevector(c, e, 1, 5, 3, 7);
	*sum += __builtin_shufflevector(ab_even, ce_even, 0, 1, 4, 5);
	*sum += __builtin_shufflevector(ab_odd, ce_odd, 0, 1, 4, 5);
	*sum += __builtin_shufflevector(ab_even, ce_even, 2, 3, 6, 7);
	*sum += __builtin_shufflevector(ab_odd, ce_odd, 2, 3, 6, 7);
}

static inline __attribute__((always_inline)) double value(const void *row, uint64_t t, int single)
{
	return single ? (double)((const float *)row)[t] : ((const double *)row)[t];
}

/* The last values, fewer than four. */
static inline __attribute__((always_inline)) void finish_4(const lanes *sum, const void *const *x, const void *const *y,
							   uint64_t t, uint64_t d, int single, int one, double *out)
{
	for (int i = 0; i < 4; i++) {
		double s = (*sum)[i];
		for (uint64_t last = t; last < d; last++) {
			double diff = value(x[one ? 0 : i], last, single) - value(y[i], last, single);
			s += diff * diff;
		}
		out[i] = s;
	}
}

static inline __attribute__((always_inline)) void canonical(const void *const *x, const void *const *y, uint64_t d,
							    int single, int one, double *out)
{
	lanes s = {0}, u = {0};
	uint64_t t = 0;
	for (; t + 4 <= d; t += 4) {
		add_4(&s, x, y, t, single, one);
		add_4(&u, one ? x : x + 4, y + 4, t, single, one);
	}
	finish_4(&s, x, y, t, d, single, one, out);
	finish_4(&u, one ? x : x + 4, y + 4, t, d, single, one, out + 4);
}

KITH_CLONES static void canonical_floats(const void *const *x, int one, const void *const *y, uint64_t d, double *out)
{
	if (one)
		canonical(x, y, d, 1, 1, out);
	else
		canonical(x, y, d, 1, 0, out);
}

KITH_CLONES static void canonical_doubles(const void *const *x, int one, const void *const *y, uint64_t d, double *out)
{
	if (one)
		canonical(x, y, d, 0, 1, out);
	else
		canonical(x, y, d, 0, 0, out);
}

void kith_canonical_distances(const kith_vectors *vectors, const void *const *x, int one, const void *const *y,
			      uint32_t count, double *out)
{
	const void *from[KITH_CANONICAL_PAIRS], *to[KITH_CANONICAL_PAIRS];
	double got[KITH_CANONICAL_PAIRS];
	for (uint32_t i = 0; i < KITH_CANONICAL_PAIRS; i++) { /* the last pair again fills the places */
		uint32_t pair = i < count ? i : count - 1;
		from[i] = x[one ? 0 : pair];
		to[i] = y[pair];
	}
	(vectors->value_size == sizeof(float) ? canonical_floats : canonical_doubles)(from, one, to, vectors->d, got);
	memcpy(out, got, count * sizeof *out);
}
