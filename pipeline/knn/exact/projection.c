/* projection.c - see projection.h. The derivation of its bound; u = 2^-24, N = |z|^2:
 *
 * Let the columns of P be orthonormal but for rounding, |P'P - I| <= delta (measured, not assumed), Pi the exact
 * projector on their span, w = z_i - z_j, D = |w|^2. Then D = |Pi w|^2 + |w - Pi w|^2 with |P'w|^2 / (1 + delta) <=
 * |Pi w|^2 <= |P'w|^2 / (1 - delta), and |rho_i - rho_j| <= |w - Pi w| <= rho_i + rho_j with rho = |z - Pi z|. So for
 * the exact v* = (P'z, rho)
 *
 *         |v*_i - v*_j|^2 / (1 + delta)  <=  D  <=  |v*_i - v*_j|^2 / (1 - delta) + 4 rho_i rho_j
 *
 * and 4 rho_i rho_j <= 2 rho_i^2 + 2 rho_j^2, which splits.
 *
 * v differs from v*: P'z by d 2^-53 sqrt(r) |z| of the double product and by u |P'z| of rounding to float; rho by u rho
 * of rounding, and because rho^2 = N - |P'z|^2 is known within kappa N, kappa = 2 (delta + 3 (d + r) 2^-53), by at most
 * sqrt(kappa N). In all |v - v*| <= c |z| with c = u + sqrt(kappa) + (d + r) 2^-50. Hence
 * | |v*_i - v*_j|^2 - |v_i - v_j|^2 | <= (4 c + 4 c^2)(N_i + N_j), and 2 rho*^2 <= 2 rho^2 + (8 c + 4 c^2) N.
 *
 * The float product and the rest cost what float_bounds.c says, with r + 1 for d: (gamma_{r+1} + 13 u)(|v_i|^2 +
 * |v_j|^2), and |v|^2 <= N (1 + 4c). Together at most e (N_i + N_j) with e = (r + 41) u / (1 - ...) + 4 c + 4 c^2 + 4
 * delta, so lo = |v|^2 - e N - a, rounded down, and hi = |v|^2 + 2 rho^2 + (e + 8 c + 4 c^2) N + a, rounded up, w = hi
 * - lo. */
#include "projection.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"
#include "matrix.h"
#include "workspace.h"

#define ROUNDS   2 /* of the power iteration: enough to turn the leading directions in */
#define CHUNK    256u
#define MAX_LOST 1e-6

/* splitmix64: a fixed sequence, so that runs are alike (no result depends on it, only speed). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* ---- the basis ---- */

/* The greatest row sum of |BB' - I|, which bounds its norm, and what rounding may have hidden from it. */
static double orthonormality(const double *basis, uint32_t r, uint64_t d, double *gram, int threads)
{
	double worst = 0;
	kith_multiply(threads, 0, 1, r, r, d, basis, d, basis, gram);
	for (uint32_t a = 0; a < r; a++) {
		double sum = 0;
		for (uint32_t b = 0; b < r; b++)
			sum += fabs(gram[a * r + b] - (a == b));
		worst = sum > worst ? sum : worst;
	}
	return worst + (double)r * (double)d * 0x1p-52;
}

/* What a basis is made with. */
struct finder {
	const double *sample; /* m x d */
	uint64_t m, d;
	double *product; /* m x dims */
	double *gram;    /* dims x dims */
	double *turned;  /* dims x d */
	double *work;    /* KITH_EIGEN_WORK(dims) */
	int threads;
};

/* Turns the basis to the sample's principal axes within it, greatest variance first. */
static void turn_to_axes(kith_basis *basis, const struct finder *f)
{
	uint32_t r = basis->dims;
	kith_multiply(f->threads, 0, 1, f->m, r, f->d, f->sample, f->d, basis->rows, f->product);
	kith_multiply(f->threads, 1, 0, r, r, f->m, f->product, r, f->product, f->gram);
	if (kith_eigenvectors(f->threads, f->gram, r, f->work))
		return;
	for (uint32_t b = 0; b < r / 2; b++)
		for (uint32_t t = 0; t < r; t++) {
			double swap = f->gram[b * r + t];
			f->gram[b * r + t] = f->gram[(r - 1 - b) * r + t];
			f->gram[(r - 1 - b) * r + t] = swap;
		}
	kith_multiply(f->threads, 0, 0, r, f->d, r, f->gram, r, basis->rows, f->turned);
	memcpy(basis->rows, f->turned, r * f->d * sizeof *f->turned);
}

int kith_basis_find(kith_basis *basis, const double *sample, uint64_t m, uint64_t d, uint32_t dims, int threads,
		    kith_err *err)
{
	struct finder f = {.sample = sample, .m = m, .d = d, .threads = threads};
	uint64_t state = 1;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, f.product, m * dims);
	KITH_BUFFER(&w, f.gram, (uint64_t)dims * dims);
	KITH_BUFFER(&w, f.turned, dims * d);
	KITH_BUFFER(&w, f.work, KITH_EIGEN_WORK(dims));
	*basis = (kith_basis){.dims = dims, .rows = kith_alloc(dims * d, sizeof *basis->rows)};
	if (!basis->rows)
		return kith_fail_nomem(err, "a basis", dims * d * sizeof *basis->rows);
	int rc = kith_workspace_alloc(&w, &memory, "a basis", err);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < dims * d; i++)
		basis->rows[i] = (double)(int64_t)next_random(&state) * 0x1p-63;
	for (int round = 0; round <= ROUNDS && basis->dims; round++) {
		kith_multiply(threads, 0, 1, m, basis->dims, d, sample, d, basis->rows, f.product);
		kith_multiply(threads, 1, 0, basis->dims, d, m, f.product, basis->dims, sample, basis->rows);
		basis->dims = kith_orthonormalise(basis->rows, basis->dims, d, round < ROUNDS ? 1 : 2, f.work);
	}
	if (basis->dims) {
		turn_to_axes(basis, &f);
		basis->delta = orthonormality(basis->rows, basis->dims, d, f.gram, threads);
	}
	if (!(basis->delta < MAX_LOST)) /* nothing to speak of: do without */
		basis->dims = 0;
	free(memory);
	return 0;
}

void kith_basis_free(kith_basis *basis)
{
	free(basis->rows);
	*basis = (kith_basis){0};
}

/* ---- the rows ---- */

uint64_t kith_sketch_bytes(uint64_t n, uint32_t dims)
{
	return kith_level_bytes(n, dims + 1ull) + n * 3 * sizeof(float);
}

void kith_sketch_free(kith_sketch *s)
{
	kith_level_free(&s->level);
	free(s->memory);
	*s = (kith_sketch){0};
}

/* The errors of a sketch of r directions: e and c of the derivation. */
struct errors {
	double e, c;
};

static struct errors errors_of(uint32_t r, uint64_t d, double delta)
{
	double kappa = 2 * (delta + 3 * (double)(d + r) * 0x1p-53), u = (r + 41) * 0x1p-24;
	struct errors x = {.c = 0x1p-24 + sqrt(kappa) + (double)(d + r) * 0x1p-50};
	x.e = u / (1 - u) + 4 * x.c + 4 * x.c * x.c + 4 * delta;
	return x;
}

/* |z - PP'z| as a float, and |v|^2 as of the floats. p: the r projections; norm: |z|^2. */
static float rest(const double *p, uint32_t r, double norm, double *size)
{
	double inside = 0, sum = 0;
	for (uint32_t t = 0; t < r; t++) {
		inside += p[t] * p[t];
		sum += (double)(float)p[t] * (float)p[t];
	}
	float rho = (float)sqrt(norm > inside ? norm - inside : 0);
	*size = sum + (double)rho * rho;
	return rho;
}

static void sketch_row(kith_sketch *s, const kith_screen *screen, struct errors fine, struct errors coarse, uint64_t i,
		       int outside, double norm, const double *p)
{
	float *v = s->level.v + i * s->level.width;
	double size;
	for (uint32_t t = 0; t < s->dims; t++)
		v[t] = (float)p[t];
	float rho = v[s->dims] = rest(p, s->dims, norm, &size);
	double hi =
		size + 2 * (double)rho * rho + (fine.e + 8 * fine.c + 4 * fine.c * fine.c) * norm + screen->absolute;
	s->level.lo[i] = outside ? KITH_LO_OUTSIDE : kith_round_down(size - fine.e * norm - screen->absolute);
	s->level.w[i] = outside ? INFINITY : kith_round_up((double)kith_round_up(hi) - s->level.lo[i]);
	s->rho[i] = rest(p, s->coarse, norm, &size);
	s->lo[i] = outside ? KITH_LO_OUTSIDE : kith_round_down(size - coarse.e * norm - screen->absolute);
	s->slack[i] = kith_round_up(coarse.e * norm + screen->absolute);
}

/* What threads work with: of each, a chunk of rows, centred; their projections. */
struct scratch {
	uint64_t chunk; /* rows, a power of two */
	double *z, *p;
	void *cells; /* chunk x d, unless all rows are kept */
	float *v;    /* one row, where no level of floats is wanted */
	uint8_t *raw;
};

static uint64_t dims_of(const kith_projection *to)
{
	return to->sketch ? to->sketch->dims : 0;
}

/* Of as many rows at a time as fit into `memory`. */
static void init_scratch(struct scratch *s, const kith_projection *to, const kith_rows *rows, uint64_t memory,
			 uint64_t threads, kith_workspace *w)
{
	for (s->chunk = CHUNK;; s->chunk /= 2) {
		uint64_t all = threads * s->chunk;
		*w = (kith_workspace){0};
		KITH_BUFFER(w, s->z, all * rows->d);
		KITH_BUFFER(w, s->p, all * dims_of(to));
		KITH_BUFFER(w, s->cells, to->all ? 0 : all * rows->d * rows->cell);
		KITH_BUFFER(w, s->v, threads * rows->d);
		KITH_BUFFER(w, s->raw, all * rows->row_bytes);
		if (s->chunk == 1 || kith_workspace_bytes(w) <= memory)
			return;
	}
}

/* A thread's own. */
static struct scratch scratch_of(const struct scratch *all, const kith_projection *to, const kith_rows *rows,
				 uint64_t thread)
{
	uint64_t first = thread * all->chunk;
	return (struct scratch){.chunk = all->chunk,
				.z = all->z + first * rows->d,
				.p = all->p + first * dims_of(to),
				.cells = (char *)all->cells + first * rows->d * rows->cell,
				.v = all->v + thread * rows->d,
				.raw = all->raw + first * rows->row_bytes};
}

/* Sample i, of which z are the centred values, into the level of all columns. */
static void fill_level(const kith_projection *to, const kith_screen *s, uint64_t i, const double *z, int outside,
		       float *spare)
{
	uint64_t place = to->place ? to->place[i] : UINT32_MAX;
	float *v = to->vectors && place != UINT32_MAX ? to->full->v + place * to->full->width : spare;
	kith_screen_floats(s, z, outside, v, &to->full->lo[i], &to->full->w[i]);
	if (to->blocks && place != UINT32_MAX)
		kith_blocks_put(to->blocks, place, v, s->rows->d);
}

/* Rows first..first+count-1: read, hashed, centred, to floats, projected. */
static int project_rows(const kith_projection *to, const kith_screen *s, const struct scratch *w, uint64_t first,
			uint64_t count, kith_err *err)
{
	uint64_t d = s->rows->d, row = d * s->rows->cell;
	char *cells = to->all ? (char *)to->all + first * row : w->cells;
	double norm[CHUNK];
	int outside[CHUNK];
	int rc = kith_rows_read_cells(s->rows, first, count, cells, w->raw, err);
	for (uint64_t r = 0; !rc && r < count; r++) {
		if (to->hash)
			to->hash[first + r] = kith_hash(cells + r * row, row);
		outside[r] = kith_screen_centre(s, cells + r * row, w->z + r * d, &norm[r]);
		if (to->full)
			fill_level(to, s, first + r, w->z + r * d, outside[r], w->v);
	}
	if (rc || !to->sketch)
		return rc;
	kith_multiply(1, 0, 1, count, to->sketch->dims, d, w->z, d, to->basis->rows, w->p);
	struct errors fine = errors_of(to->sketch->dims, d, to->basis->delta);
	struct errors coarse = errors_of(to->sketch->coarse, d, to->basis->delta);
	for (uint64_t r = 0; r < count; r++)
		sketch_row(to->sketch, s, fine, coarse, first + r, outside[r], norm[r], w->p + r * to->sketch->dims);
	return 0;
}

static int allocate(const kith_projection *to, const kith_screen *s, kith_err *err)
{
	uint64_t n = s->rows->n;
	kith_sketch *sketch = to->sketch;
	int rc = to->full ? kith_level_alloc(to->full, n, to->m, to->vectors ? s->rows->d : 0, err) : 0;
	if (!rc && to->blocks)
		rc = kith_blocks_alloc(to->blocks, to->m, s->rows->d, err);
	if (!sketch || rc || (rc = kith_level_alloc(&sketch->level, n, n, sketch->dims + 1ull, err)))
		return rc;
	kith_workspace w = {0};
	KITH_BUFFER(&w, sketch->rho, n);
	KITH_BUFFER(&w, sketch->lo, n);
	KITH_BUFFER(&w, sketch->slack, n);
	return kith_workspace_alloc(&w, &sketch->memory, "the sketch", err);
}

int kith_project(const kith_projection *to, const kith_screen *s, uint64_t memory, int threads,
		 const kith_progress *progress, kith_err *err)
{
	uint64_t n = s->rows->n;
	struct scratch all;
	kith_workspace w;
	void *space = NULL;
	init_scratch(&all, to, s->rows, memory, (uint64_t)threads, &w);
	int rc = allocate(to, s, err);
	if (rc || (rc = kith_workspace_alloc(&w, &space, "blocks of rows", err)))
		return rc;
#pragma omp parallel num_threads(threads)
	{
		int thread = omp_get_thread_num(), bad = 0;
		struct scratch own = scratch_of(&all, to, s->rows, (uint64_t)thread);
		kith_err why;
#pragma omp for schedule(dynamic, 1)
		for (uint64_t first = 0; first < n; first += own.chunk) {
			uint64_t count = own.chunk < n - first ? own.chunk : n - first;
			if (!bad && thread == 0)
				bad = kith_progress_tick(progress, "sketching", first, n, &why);
			if (!bad)
				bad = project_rows(to, s, &own, first, count, &why);
		}
#pragma omp critical(kith_project)
		if (bad && !rc)
			rc = kith_fail(err, bad, "%s", why.msg);
	}
	free(space);
	return rc;
}
