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
#include "first_error.h"
#include "hash.h"
#include "matrix.h"
#include "random.h"
#include "workspace.h"

#define ROUNDS   2 /* of the power iteration: enough to turn the leading directions in */
#define CHUNK    256u
#define LEAST    32u        /* samples that are multiplied with the basis together, */
#define CACHED   (1u << 20) /* and more where they take no more bytes than this */
#define MAX_LOST 1e-6

/* ---- the basis ---- */

/* What it is found with. */
struct finder {
	const double *sample; /* m x d */
	uint64_t m, d;
	double *product; /* m x dims */
	double *gram;    /* dims x dims */
	double *turned;  /* dims x d */
	double *work;    /* KITH_EIGEN_WORK(dims) */
	int threads;
};

/* The greatest row sum of |BB' - I|, which bounds its norm, and what rounding may have hidden from it. */
static double orthonormality(const kith_basis *basis, const struct finder *f)
{
	uint32_t r = basis->dims;
	double worst = 0;
	kith_multiply(f->threads, 0, 1, r, r, f->d, basis->axes, f->d, basis->axes, f->gram);
	for (uint32_t a = 0; a < r; a++) {
		double sum = 0;
		for (uint32_t b = 0; b < r; b++)
			sum += fabs(f->gram[a * r + b] - (a == b));
		worst = sum > worst ? sum : worst;
	}
	return worst + (double)r * (double)f->d * 0x1p-52;
}

/* Turns the basis to the sample's principal axes within it, greatest variance first. */
static void turn_to_axes(kith_basis *basis, const struct finder *f)
{
	uint32_t r = basis->dims;
	kith_multiply(f->threads, 0, 1, f->m, r, f->d, f->sample, f->d, basis->axes, f->product);
	kith_multiply(f->threads, 1, 0, r, r, f->m, f->product, r, f->product, f->gram);
	if (kith_eigenvectors(f->threads, f->gram, r, f->work))
		return;
	for (uint32_t b = 0; b < r / 2; b++)
		for (uint32_t t = 0; t < r; t++) {
			double swap = f->gram[b * r + t];
			f->gram[b * r + t] = f->gram[(r - 1 - b) * r + t];
			f->gram[(r - 1 - b) * r + t] = swap;
		}
	kith_multiply(f->threads, 0, 0, r, f->d, r, f->gram, r, basis->axes, f->turned);
	memcpy(basis->axes, f->turned, r * f->d * sizeof *f->turned);
}

int kith_basis_find(kith_basis *basis, const double *sample, uint64_t m, uint64_t d, uint32_t dims, int threads,
		    kith_err *err)
{
	struct finder f = {.sample = sample, .m = m, .d = d, .threads = threads};
	uint64_t state = 1; /* so that runs are alike: no result depends on it, only speed */
	void *memory = NULL;
	kith_workspace w = {0};
	*basis = (kith_basis){.dims = dims, .axes = kith_alloc(dims * d, sizeof *basis->axes)};
	if (!basis->axes)
		return kith_fail_nomem(err, "a basis", dims * d * sizeof *basis->axes);
	KITH_BUFFER(&w, f.product, m * dims);
	KITH_BUFFER(&w, f.gram, (uint64_t)dims * dims);
	KITH_BUFFER(&w, f.turned, dims * d);
	KITH_BUFFER(&w, f.work, KITH_EIGEN_WORK(dims));
	int rc = kith_workspace_alloc(&w, &memory, "a basis", err);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < dims * d; i++)
		basis->axes[i] = (double)(int64_t)kith_random_next(&state) * 0x1p-63;
	for (int round = 0; round <= ROUNDS && basis->dims; round++) {
		kith_multiply(threads, 0, 1, m, basis->dims, d, sample, d, basis->axes, f.product);
		kith_multiply(threads, 1, 0, basis->dims, d, m, f.product, basis->dims, sample, basis->axes);
		basis->dims = kith_orthonormalise(basis->axes, basis->dims, d, round < ROUNDS ? 1 : 2, f.work);
	}
	if (basis->dims) {
		turn_to_axes(basis, &f);
		basis->delta = orthonormality(basis, &f);
	}
	if (!(basis->delta < MAX_LOST)) /* nothing to speak of: do without */
		basis->dims = 0;
	free(memory);
	return 0;
}

void kith_basis_free(kith_basis *basis)
{
	free(basis->axes);
	*basis = (kith_basis){0};
}

/* ---- the pass over all samples ---- */

uint64_t kith_projections_bytes(uint64_t n, uint32_t dims)
{
	return kith_bounds_bytes(n, dims + 1ull) + n * 3 * sizeof(float);
}

void kith_projections_free(kith_projections *p)
{
	kith_bounds_free(&p->bounds);
	kith_area_free(&p->area);
	*p = (kith_projections){0};
}

static int allocate(const kith_pass *pass, const kith_vectors *vectors, kith_err *err)
{
	uint64_t n = vectors->n;
	kith_projections *p = pass->projections;
	kith_workspace w = {0};
	int rc = pass->full
			 ? kith_bounds_alloc(pass->full, n, pass->m, pass->vectors ? vectors->d : 0, pass->spill, err)
			 : 0;
	if (!rc && pass->blocks)
		rc = kith_quantised_alloc(pass->blocks, pass->m, vectors->d, pass->spill, err);
	if (!rc && pass->codes)
		rc = kith_codes_alloc(pass->codes, n, p ? p->dims + 1ull : vectors->d, err);
	if (!p || rc || (rc = kith_bounds_alloc(&p->bounds, n, pass->codes ? 0 : n, p->dims + 1ull, pass->spill, err)))
		return rc;
	KITH_BUFFER(&w, p->rho, n);
	KITH_BUFFER(&w, p->lo, n);
	KITH_BUFFER(&w, p->slack, n);
	return kith_area_alloc(&p->area, &w, pass->spill, "projections", err);
}

/* The errors of projections on r directions: e and c of the derivation. */
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

/* Sample i, of which p are the projections and norm is |z|^2. */
static void put_projection(const kith_pass *pass, const kith_scaling *s, uint64_t i, const double *p, int outside,
			   double norm, float *spare)
{
	kith_projections *to = pass->projections;
	struct errors fine = errors_of(to->dims, s->vectors->d, pass->basis->delta);
	struct errors coarse = errors_of(to->coarse, s->vectors->d, pass->basis->delta);
	float *v = pass->codes ? spare : to->bounds.v + i * to->bounds.width;
	double size;
	for (uint32_t t = 0; t < to->dims; t++)
		v[t] = (float)p[t];
	float rho = v[to->dims] = rest(p, to->dims, norm, &size);
	if (pass->codes)
		kith_codes_put(pass->codes, i, v, to->dims + 1ull);
	double hi = size + 2 * (double)rho * rho + (fine.e + 8 * fine.c + 4 * fine.c * fine.c) * norm + s->absolute;
	to->bounds.lo[i] = outside ? KITH_LO_OUTSIDE : kith_round_down(size - fine.e * norm - s->absolute);
	to->bounds.w[i] = outside ? INFINITY : kith_round_up((double)kith_round_up(hi) - to->bounds.lo[i]);
	to->rho[i] = rest(p, to->coarse, norm, &size);
	to->lo[i] = outside ? KITH_LO_OUTSIDE : kith_round_down(size - coarse.e * norm - s->absolute);
	to->slack[i] = kith_round_up(coarse.e * norm + s->absolute);
}

/* Sample i, of which z are the centred values, into the bounds of all columns. */
static void put_full(const kith_pass *pass, const kith_scaling *s, uint64_t i, const double *z, int outside,
		     float *spare)
{
	uint64_t place = pass->place ? pass->place[i] : UINT32_MAX;
	float *v = pass->vectors && place != UINT32_MAX ? pass->full->v + place * pass->full->width : spare;
	kith_scaling_floats(s, z, outside, v, &pass->full->lo[i], &pass->full->w[i]);
	if (pass->blocks && place != UINT32_MAX)
		kith_quantised_put(pass->blocks, place, v, s->vectors->d);
	if (pass->codes && !pass->projections)
		kith_codes_put(pass->codes, i, v, s->vectors->d);
}

/* A thread's buffers for `chunk` samples at a time, or those of all threads one after the other. */
struct scratch {
	uint64_t chunk; /* a power of two */
	double *z, *p;  /* chunk x d, chunk x dims: centred; projected */
	char *values;   /* chunk x d, unless all are kept as they come */
	uint8_t *raw;   /* chunk samples as they are stored */
	float *v;       /* one sample, where nobody keeps its floats */
};

static uint64_t dims_of(const kith_pass *pass)
{
	return pass->projections ? pass->projections->dims : 0;
}

/* Lists the buffers of all threads, for as many samples at a time as fit into `memory`. */
static void init_scratch(struct scratch *s, const kith_pass *pass, const kith_vectors *vectors, uint64_t memory,
			 uint64_t threads, kith_workspace *w)
{
	for (s->chunk = CHUNK; s->chunk > LEAST && s->chunk * vectors->d * sizeof *s->z > CACHED;)
		s->chunk /= 2;
	for (;; s->chunk /= 2) {
		uint64_t rows = threads * s->chunk;
		*w = (kith_workspace){0};
		KITH_BUFFER(w, s->z, rows * vectors->d);
		KITH_BUFFER(w, s->p, rows * dims_of(pass));
		KITH_BUFFER(w, s->values, pass->all && !pass->place ? 0 : rows * vectors->d * vectors->value_size);
		KITH_BUFFER(w, s->raw, rows * vectors->row_bytes);
		KITH_BUFFER(w, s->v, threads * (vectors->d + 1)); /* a projection may have one value more */
		if (s->chunk == 1 || kith_workspace_bytes(w) <= memory)
			return;
	}
}

static struct scratch scratch_of(const struct scratch *all, const kith_pass *pass, const kith_vectors *vectors,
				 uint64_t thread)
{
	uint64_t row = thread * all->chunk;
	return (struct scratch){.chunk = all->chunk,
				.z = all->z + row * vectors->d,
				.p = all->p + row * dims_of(pass),
				.values = all->values + row * vectors->d * vectors->value_size,
				.raw = all->raw + row * vectors->row_bytes,
				.v = all->v + thread * (vectors->d + 1)};
}

/* Samples first..first+count-1: read, hashed, centred, to floats, projected. */
static int take_chunk(const kith_pass *pass, const kith_scaling *s, struct scratch own, uint64_t first, uint64_t count,
		      kith_err *err)
{
	const kith_vectors *vectors = s->vectors;
	uint64_t d = vectors->d, dims = dims_of(pass), bytes = d * vectors->value_size;
	char *values = pass->all && !pass->place ? (char *)pass->all + first * bytes : own.values;
	double norm[CHUNK];
	int outside[CHUNK];
	int rc = 0;
	if (vectors->all && !vectors->place && !vectors->id) /* the file itself, mapped */
		values = (char *)vectors->all + first * bytes;
	else
		rc = kith_vectors_read_values(vectors, first, count, values, own.raw, err);
	for (uint64_t r = 0; !rc && r < count; r++) {
		if (pass->all && pass->place && pass->place[first + r] != UINT32_MAX)
			memcpy((char *)pass->all + pass->place[first + r] * bytes, values + r * bytes, bytes);
		if (pass->hash)
			pass->hash[first + r] = kith_hash(values + r * bytes, bytes);
		if (!pass->full && !pass->codes && !dims)
			continue;
		outside[r] = kith_scaling_centre(s, values + r * bytes, own.z + r * d, &norm[r]);
		if (pass->full)
			put_full(pass, s, first + r, own.z + r * d, outside[r], own.v);
	}
	if (rc || !dims)
		return rc;
	kith_multiply(1, 0, 1, count, dims, d, own.z, d, pass->basis->axes, own.p);
	for (uint64_t r = 0; r < count; r++)
		put_projection(pass, s, first + r, own.p + r * dims, outside[r], norm[r], own.v);
	return 0;
}

int kith_pass_run(const kith_pass *pass, const kith_scaling *s, uint64_t memory, int threads,
		  const kith_progress *progress, kith_err *err)
{
	uint64_t n = s->vectors->n;
	struct scratch all;
	kith_workspace w;
	void *space = NULL;
	kith_first_error failed = {0};
	init_scratch(&all, pass, s->vectors, memory, (uint64_t)threads, &w);
	int rc = allocate(pass, s->vectors, err);
	if (rc || (rc = kith_workspace_alloc(&w, &space, "blocks of rows", err)))
		return rc;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
	for (uint64_t first = 0; first < n; first += all.chunk) {
		uint64_t count = all.chunk < n - first ? all.chunk : n - first;
		int thread = omp_get_thread_num(), bad = 0;
		kith_err why;
		if (kith_first_error_seen(&failed))
			continue;
		if (thread == 0)
			bad = kith_progress_tick(progress, "sketching", first, n, &why);
		if (!bad)
			bad = take_chunk(pass, s, scratch_of(&all, pass, s->vectors, (uint64_t)thread), first, count,
					 &why);
		kith_first_error_note(&failed, first, bad, &why);
	}
	free(space);
	return kith_first_error_get(&failed, err);
}
