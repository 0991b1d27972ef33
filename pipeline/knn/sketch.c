/* sketch.c - see sketch.h. The derivation of its bound; u = 2^-24, N = |z|^2:
 *
 * Let the columns of P be orthonormal but for rounding, |P'P - I| <= delta (measured, not assumed), Pi the exact
 * projector on their span, w = z_i - z_j, D = |w|^2. Then D = |Pi w|^2 + |w - Pi w|^2, |Pi w|^2 >= |P'w|^2 / (1 +
 * delta), and |w - Pi w| >= |rho_i - rho_j| with rho = |z - Pi z|. So D (1 + delta) >= |v*_i - v*_j|^2 for the exact v*
 * = (P'z, rho).
 *
 * v differs from v*: P'z by d 2^-53 sqrt(r) |z| of the double product and by u |P'z| of rounding to float; rho by u rho
 * of rounding, and because rho^2 = N - |P'z|^2 is known within kappa N, kappa = 2 (delta + 3 (d + r) 2^-53), by at most
 * sqrt(kappa N). In all |v - v*| <= c |z| with c = u + sqrt(kappa) + (d + r) 2^-50. Hence
 * | |v*_i - v*_j|^2 - |v_i - v_j|^2 | <= (4 c + 4 c^2)(N_i + N_j).
 *
 * The float product and the rest cost what screen.c says, with width for d: (gamma_width + 11 u)(|v_i|^2 + |v_j|^2),
 * and |v|^2 <= N (1 + 4c). Together at most e'(N_i + N_j) with e' = (width + 40) u / (1 - ...) + 4 c + 4 c^2 + 2 delta,
 * and lo' = |v|^2 - e' N - a, rounded down. */
#include "sketch.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/cpu.h"
#include "select.h"

#define SAMPLE_ROWS 1024u
#define ROUNDS      2 /* of the power iteration: enough to turn the leading directions in */

uint64_t kith_sketch_bytes(uint64_t n, uint32_t directions)
{
	return n * (directions + 2ull) * sizeof(float);
}

void kith_sketch_free(kith_sketch *s)
{
	free(s->v);
	free(s->lo);
	memset(s, 0, sizeof *s);
}

/* splitmix64: a fixed sequence, so that runs are alike (no result depends on it, only speed). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* ---- the basis ---- */

/* Row x centred and scaled in double, as screen.c takes it to floats; zeros for a row that is outside. Returns |z|^2.
 */
static double centre(const kith_screen *screen, uint64_t i, double *x)
{
	const kith_rows *rows = screen->rows;
	double sum = 0;
	int outside = screen->lo[i] == KITH_LO_OUTSIDE;
	for (uint64_t t = 0; t < rows->d; t++) {
		x[t] = outside ? 0 : (x[t] - rows->mean[t]) * screen->scale;
		sum += x[t] * x[t];
	}
	return sum;
}

static double dot(const double *a, const double *b, uint64_t d)
{
	return cblas_ddot((blasint)d, a, 1, b, 1);
}

/* Makes the r rows of `basis` (r x d) orthonormal by Gram-Schmidt, each twice; what has no direction of its own left
 * becomes zero. */
static void orthonormalise(double *basis, uint32_t r, uint64_t d)
{
	for (uint32_t a = 0; a < r; a++) {
		double *row = basis + a * d, before = sqrt(dot(row, row, d));
		for (int twice = 0; twice < 2; twice++)
			for (uint32_t b = 0; b < a; b++)
				cblas_daxpy((blasint)d, -dot(row, basis + b * d, d), basis + b * d, 1, row, 1);
		double after = sqrt(dot(row, row, d));
		int lost = !(after > 1e-8 * before) || !isfinite(1 / after);
		for (uint64_t t = 0; t < d; t++)
			row[t] = lost ? 0 : row[t] / after;
	}
}

/* How far the basis' non-zero rows are from orthonormal: the greatest row sum of |BB' - I| bounds its norm. */
static double orthonormality(const double *basis, uint32_t r, uint64_t d)
{
	double worst = 0;
	for (uint32_t a = 0; a < r; a++) {
		double sum = 0, own = dot(basis + a * d, basis + a * d, d);
		if (own == 0)
			continue;
		for (uint32_t b = 0; b < r; b++)
			sum += b == a ? fabs(own - 1) : fabs(dot(basis + a * d, basis + b * d, d));
		worst = sum > worst ? sum : worst;
	}
	/* and what rounding may have hidden from the products above */
	return worst + (double)r * (double)d * 0x1p-52;
}

/* Leading directions of a sample A (m x d): rows of B <- orth(B A' A), starting from noise. */
static int find_basis(const kith_screen *screen, uint32_t r, double *basis, kith_err *err)
{
	const kith_rows *rows = screen->rows;
	uint64_t d = rows->d, m = rows->n < SAMPLE_ROWS ? rows->n : SAMPLE_ROWS, state = 1;
	double *sample = kith_alloc(m * d, sizeof *sample), *product = kith_alloc(m * r, sizeof *product);
	int rc = sample && product ? 0 : kith_fail_nomem(err, "a sample of rows", m * d * 8);

	for (uint64_t i = 0; !rc && i < m; i++) {
		uint64_t from = i * rows->n / m;
		if (!(rc = kith_rows_read(rows, from, 1, sample + i * d, NULL, err)))
			centre(screen, from, sample + i * d);
	}
	for (uint64_t i = 0; i < r * d; i++)
		basis[i] = (double)(int64_t)next_random(&state) * 0x1p-63;
	for (int round = 0; !rc && round <= ROUNDS; round++) {
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)r, (blasint)d, 1, sample,
			    (blasint)d, basis, (blasint)d, 0, product, (blasint)r);
		cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)r, (blasint)d, (blasint)m, 1, product,
			    (blasint)r, sample, (blasint)d, 0, basis, (blasint)d);
		orthonormalise(basis, r, d);
	}
	free(sample);
	free(product);
	return rc;
}

/* ---- the rows ---- */

/* Sketches rows first..first+count-1. x: count x d work space, p: count x r. */
static int sketch_rows(kith_sketch *s, const kith_screen *screen, const double *basis, double slack, uint64_t first,
		       uint64_t count, double *x, double *p, double *norm, kith_err *err)
{
	uint64_t d = screen->rows->d;
	uint32_t r = s->width - 1;
	int rc = kith_rows_read(screen->rows, first, count, x, NULL, err);
	if (rc)
		return rc;
#pragma omp parallel for schedule(static)
	for (uint64_t i = 0; i < count; i++)
		norm[i] = centre(screen, first + i, x + i * d);
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)count, (blasint)r, (blasint)d, 1, x, (blasint)d,
		    basis, (blasint)d, 0, p, (blasint)r);
#pragma omp parallel for schedule(static)
	for (uint64_t i = 0; i < count; i++) {
		float *v = s->v + (first + i) * s->width;
		double inside = 0, size = 0;
		for (uint32_t t = 0; t < r; t++) {
			v[t] = (float)p[i * r + t];
			inside += p[i * r + t] * p[i * r + t];
		}
		v[r] = (float)sqrt(norm[i] > inside ? norm[i] - inside : 0);
		for (uint32_t t = 0; t <= r; t++)
			size += (double)v[t] * v[t];
		s->lo[first + i] = screen->lo[first + i] == KITH_LO_OUTSIDE
					   ? KITH_LO_OUTSIDE
					   : kith_round_down(size - slack * norm[i] - screen->absolute);
	}
	return 0;
}

int kith_sketch_init(kith_sketch *s, const kith_screen *screen, uint32_t r, uint64_t memory,
		     const kith_progress *progress, kith_err *err)
{
	const kith_rows *rows = screen->rows;
	uint64_t d = rows->d, n = rows->n, step = memory / (d * 16 + r * 8);
	int rc;

	memset(s, 0, sizeof *s);
	if (screen->off)
		return 0;
	step = step < 16 ? 16 : step > 2048 ? 2048 : step;
	step = step > n ? n : step;
	double *basis = kith_alloc(r * d, sizeof *basis), *x = kith_alloc(step * d, sizeof *x);
	double *p = kith_alloc(step * (r + 1ull), sizeof *p);
	s->width = r + 1;
	s->v = kith_alloc(n * s->width, sizeof *s->v);
	s->lo = kith_alloc(n, sizeof *s->lo);
	if (!basis || !x || !p || !s->v || !s->lo) {
		rc = kith_fail_nomem(err, "the sketch", kith_sketch_bytes(n, r) + (r + step) * d * 8);
		goto done;
	}
	if ((rc = find_basis(screen, r, basis, err)))
		goto done;
	double delta = orthonormality(basis, r, d), kappa = 2 * (delta + 3 * (double)(d + r) * 0x1p-53);
	double c = 0x1p-24 + sqrt(kappa) + (double)(d + r) * 0x1p-50, wu = (s->width + 40) * 0x1p-24;
	double slack = wu / (1 - wu) + 4 * c + 4 * c * c + 2 * delta;
	if (!(delta < 1e-6)) { /* no basis to speak of: do without */
		kith_sketch_free(s);
		goto done;
	}
	for (uint64_t first = 0; !rc && first < n; first += step) {
		uint64_t count = step < n - first ? step : n - first;
		if (!(rc = kith_progress_tick(progress, "sketching", first, n, err)))
			rc = sketch_rows(s, screen, basis, slack, first, count, x, p, p + step * r, err);
	}
done:
	free(basis);
	free(x);
	free(p);
	return rc;
}

float kith_sketch_bound(const kith_sketch *s, const kith_screen *screen, uint64_t i, float bound)
{
	if (screen->lo[i] == KITH_LO_OUTSIDE || bound == INFINITY)
		return INFINITY;
	return kith_round_up((double)bound + screen->lo[i] - s->lo[i]);
}

/* ---- float products ---- */

/* The order of summation is the compiler's to choose: the bound holds for any. */
KITH_CLONES static void dot_4(const float *x, const float *const *y, uint64_t d, float *out)
{
	const float *a = y[0], *b = y[1], *c = y[2], *e = y[3];
	float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
	for (uint64_t t = 0; t < d; t++) {
		s0 += x[t] * a[t];
		s1 += x[t] * b[t];
		s2 += x[t] * c[t];
		s3 += x[t] * e[t];
	}
	out[0] = s0;
	out[1] = s1;
	out[2] = s2;
	out[3] = s3;
}

void kith_dots(const float *x, const float *const *y, uint32_t count, uint64_t d, float *out)
{
	uint32_t i = 0;
	for (; i + 4 <= count; i += 4)
		dot_4(x, y + i, d, out + i);
	if (i < count) { /* the last few: the same rows again fill the four places */
		const float *four[4];
		float got[4];
		for (uint32_t j = 0; j < 4; j++)
			four[j] = y[i + j < count ? i + j : count - 1];
		dot_4(x, four, d, got);
		memcpy(out + i, got, (count - i) * sizeof *out);
	}
}

/* ---- thresholds ---- */

struct keyed {
	float key;
	uint32_t id;
};

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Splits rows[0..count-1] at the median along the line through two random ones, until no part has more than `leaf`; the
 * parts' ends go to end[]. Returns how many. Near rows mostly end up in one part. */
static uint32_t split(const kith_sketch *s, struct keyed *rows, uint32_t count, uint32_t offset, uint32_t leaf,
		      uint64_t *state, uint32_t *end)
{
	if (count <= leaf) {
		end[0] = offset + count;
		return 1;
	}
	const float *a = s->v + (size_t)rows[next_random(state) % count].id * s->width;
	const float *b = s->v + (size_t)rows[next_random(state) % count].id * s->width;
	for (uint32_t i = 0; i < count; i++) {
		const float *v = s->v + (size_t)rows[i].id * s->width, *ends[2] = {a, b};
		float products[2];
		kith_dots(v, ends, 2, s->width, products);
		rows[i].key = products[0] - products[1];
	}
	qsort(rows, count, sizeof *rows, by_key);
	uint32_t half = count / 2, found = split(s, rows, half, offset, leaf, state, end);
	return found + split(s, rows + half, count - half, offset + half, leaf, state, end + found);
}

/* What one thread needs for leaves of up to `leaf` rows. */
struct leaf_work {
	double *row;
	float *v, *y, *products, *values;
	const float **near;
	uint32_t *near_at;
};

static uint64_t leaf_bytes(const kith_sketch *s, uint64_t d, uint64_t leaf)
{
	return d * 8 + leaf * (s->width * 4ull + d * 4 + leaf * 4 + 4 + 8 + 4);
}

static int leaf_init(struct leaf_work *w, const kith_sketch *s, uint64_t d, uint64_t leaf)
{
	w->row = kith_alloc(d, sizeof *w->row);
	w->v = kith_alloc(leaf * s->width, sizeof *w->v);
	w->y = kith_alloc(leaf * d, sizeof *w->y);
	w->products = kith_alloc(leaf * leaf, sizeof *w->products);
	w->values = kith_alloc(leaf, sizeof *w->values);
	w->near = kith_alloc(leaf, sizeof *w->near);
	w->near_at = kith_alloc(leaf, sizeof *w->near_at);
	return w->row && w->v && w->y && w->products && w->values && w->near && w->near_at ? 0 : -1;
}

static void leaf_free(struct leaf_work *w)
{
	free(w->row);
	free(w->v);
	free(w->y);
	free(w->products);
	free(w->values);
	free(w->near);
	free(w->near_at);
}

/* The bound of the leaf's row i: of the rows nearest by the sketch, `tries` of them, the k-th upper bound. */
static float leaf_bound(const kith_sketch *s, const kith_screen *screen, struct leaf_work *w, const struct keyed *rows,
			uint32_t count, uint32_t i, uint32_t k, uint32_t tries)
{
	float *t = w->products + (size_t)i * count;
	uint32_t found = 0;
	for (uint32_t j = 0; j < count; j++)
		t[j] = s->lo[rows[j].id] - 2 * t[j];
	t[i] = INFINITY;
	memcpy(w->values, t, count * sizeof *t);
	float least = kith_kth_smallest(w->values, count, tries);
	for (uint32_t j = 0; j < count && found < tries; j++)
		if (t[j] <= least && j != i) {
			w->near[found] = w->y + (size_t)j * screen->rows->d;
			w->near_at[found++] = rows[j].id;
		}
	kith_dots(w->y + (size_t)i * screen->rows->d, w->near, found, screen->rows->d, w->values);
	for (uint32_t e = 0; e < found; e++) {
		uint32_t id = w->near_at[e];
		w->values[e] = ((screen->lo[id] - 2 * w->values[e]) + screen->w[id]) + screen->w[rows[i].id];
	}
	return kith_kth_smallest(w->values, found, k);
}

static int bound_leaf(const kith_sketch *s, const kith_screen *screen, struct leaf_work *w, const struct keyed *rows,
		      uint32_t count, uint32_t k, float *bound, kith_err *err)
{
	uint64_t d = screen->rows->d;
	uint32_t tries = k + k / 2 + 8 < count - 1 ? k + k / 2 + 8 : count - 1;
	for (uint32_t i = 0; i < count; i++) {
		int rc = kith_rows_read(screen->rows, rows[i].id, 1, w->row, NULL, err);
		if (rc)
			return rc;
		kith_screen_vector(screen, w->row, w->y + i * d);
		memcpy(w->v + (size_t)i * s->width, s->v + (size_t)rows[i].id * s->width, s->width * sizeof *w->v);
	}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)count, (blasint)count, (blasint)s->width, 1, w->v,
		    (blasint)s->width, w->v, (blasint)s->width, 0, w->products, (blasint)count);
	for (uint32_t i = 0; i < count; i++)
		bound[rows[i].id] = leaf_bound(s, screen, w, rows, count, i, k, tries);
	return 0;
}

/* All leaves, a thread each at a time. */
static int bound_leaves(const kith_sketch *s, const kith_screen *screen, const struct keyed *rows, const uint32_t *end,
			uint32_t leaves, uint32_t k, uint32_t leaf, int threads, const kith_progress *progress,
			float *bound, kith_err *err)
{
	int rc = 0;
#pragma omp parallel num_threads(threads)
	{
		struct leaf_work w = {0};
		kith_err why = {0};
		int bad = leaf_init(&w, s, screen->rows->d, leaf)
				  ? kith_fail_nomem(&why, "a leaf of rows", leaf_bytes(s, screen->rows->d, leaf))
				  : 0;
#pragma omp for schedule(dynamic, 1)
		for (uint32_t l = 0; l < leaves; l++) {
			uint32_t from = l ? end[l - 1] : 0, count = end[l] - from;
			if (!bad && count > k)
				bad = bound_leaf(s, screen, &w, rows + from, count, k, bound, &why);
#pragma omp critical(kith_leaves)
			if (!bad)
				bad = kith_progress_tick(progress, "thresholds", l, leaves, &why);
		}
#pragma omp critical(kith_leaves)
		if (bad && !rc)
			rc = kith_fail(err, bad, "%s", why.msg);
		leaf_free(&w);
	}
	return rc;
}

int kith_sketch_thresholds(const kith_sketch *s, const kith_screen *screen, uint32_t k, uint32_t leaf, uint64_t memory,
			   const kith_progress *progress, float *bound, kith_err *err)
{
	uint32_t n = (uint32_t)screen->rows->n, *end = NULL;
	uint64_t state = 2;
	int rc = 0, threads = omp_get_max_threads();

	for (uint32_t i = 0; i < n; i++)
		bound[i] = INFINITY;
	memory = memory > n * 12ull ? memory - n * 12ull : 0;
	while (threads > 1 && (uint64_t)threads * leaf_bytes(s, screen->rows->d, leaf) > memory)
		threads--;
	while (leaf > k && leaf_bytes(s, screen->rows->d, leaf) > memory)
		leaf -= leaf / 8 + 1;
	if (leaf <= k) /* too little memory, or data: every row starts from nothing */
		return 0;
	struct keyed *rows = kith_alloc(n, sizeof *rows);
	end = kith_alloc(n, sizeof *end);
	if (!rows || !end) {
		rc = kith_fail_nomem(err, "the tree", n * 12ull);
		goto done;
	}
	for (uint32_t i = 0; i < n; i++)
		rows[i].id = i;
	uint32_t leaves = split(s, rows, n, 0, leaf, &state, end);
	rc = bound_leaves(s, screen, rows, end, leaves, k, leaf, threads, progress, bound, err);
done:
	free(rows);
	free(end);
	return rc;
}
