/* projection.h - every sample in few dimensions, where distances are certified lower bounds (and, if the dimensions
 * hold nearly all of the data's variance, close upper bounds).
 *
 * With P an orthonormal basis of r directions, row z (centred and scaled, as in float_bounds.c) becomes v = (P'z, |z -
 * PP'z|): its projection, and how far it lies from it. By Cauchy-Schwarz |v_i - v_j| <= |z_i - z_j|. The basis'
 * directions are sorted by variance, so that the first few of a sketch's are a coarser sketch. */
#ifndef KITH_SKETCH_H
#define KITH_SKETCH_H

#include "quantised.h"

typedef struct kith_basis {
	uint32_t dims;
	double *rows; /* dims x d, orthonormal within delta */
	double delta;
} kith_basis;

/* The directions of greatest variance of the sample's rows (m x d, centred; a randomised range finder, then
 * Rayleigh-Ritz). dims <= d. If no orthonormal basis is found (the data has fewer directions), dims is what there is,
 * perhaps 0. */
int kith_basis_find(kith_basis *basis, const double *sample, uint64_t m, uint64_t d, uint32_t dims, int threads,
		    kith_err *err);
void kith_basis_free(kith_basis *basis);

typedef struct kith_sketch {
	uint32_t dims, coarse; /* directions in all, and of the coarse sketch */
	kith_level level;      /* v_i = (dims values, |z - PP'z|) */
	/* n each, for the level whose v_i = (the first `coarse` of those values, rho_i): */
	float *rho, *lo;
	float *slack; /* |v_i - v_j|^2 - slack_i - slack_j <= s^2 c_ij */
	void *memory; /* holds these three */
} kith_sketch;

/* Value t of the coarse sketch of sample `id`, whose vector is the at-th. */
static inline float kith_sketch_coarse(const kith_sketch *s, uint64_t at, uint32_t id, uint32_t t)
{
	return t < s->coarse ? s->level.v[at * s->level.width + t] : s->rho[id];
}

uint64_t kith_sketch_bytes(uint64_t n, uint32_t dims);
void kith_sketch_free(kith_sketch *sketch);

/* What one pass over all rows makes. Each pointer may be NULL. */
typedef struct kith_projection {
	const kith_basis *basis; /* with sketch */
	kith_sketch *sketch;     /* dims and coarse are set */
	kith_level *full;        /* the level of all d columns: its bounds */
	int vectors;             /* and its v, in the order of place */
	kith_blocks *blocks;     /* the same vectors in blocks, in that order (kith_blocks_bound is the caller's) */
	const uint32_t *place;   /* with these two: sample i is the place[i]-th of m; UINT32_MAX: left out */
	uint64_t m;
	uint64_t *hash; /* n: of each row's cells (vectors.h) */
	void *all;      /* n x d: the rows as cells (vectors.h) */
} kith_projection;

/* The pass: allocates and fills in the sketch, the level and the blocks, fills in hash and all. Works in about `memory`
 * bytes. */
int kith_project(const kith_projection *to, const kith_screen *screen, uint64_t memory, int threads,
		 const kith_progress *progress, kith_err *err);

#endif
