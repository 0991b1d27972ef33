/* projection.h - every sample in few dimensions, where distances are certified lower bounds (and, if the dimensions
 * hold nearly all of the data's variance, close upper bounds). `--plan sketch` is named after them.
 *
 * With P an orthonormal basis of r directions, sample z (centred and scaled, as in float_bounds.c) becomes v = (P'z, |z
 * - PP'z|): its projection, and how far it lies from it. By Cauchy-Schwarz |v_i - v_j| <= |z_i - z_j|. The basis'
 * directions are sorted by variance, so that the first few of them make a coarser projection. */
#ifndef KITH_PROJECTION_H
#define KITH_PROJECTION_H

#include "quantised.h"

typedef struct kith_basis {
	uint32_t dims;
	double *axes; /* dims x d, orthonormal within delta */
	double delta;
} kith_basis;

/* The directions of greatest variance of the sample's vectors (m x d, centred; a randomised range finder, then
 * Rayleigh-Ritz). dims <= d. If no orthonormal basis is found (the data has fewer directions), dims is what there is,
 * perhaps 0. Release it with kith_basis_free, also after a failure. */
int kith_basis_find(kith_basis *basis, const double *sample, uint64_t m, uint64_t d, uint32_t dims, int threads,
		    kith_err *err);
void kith_basis_free(kith_basis *basis);

typedef struct kith_projections {
	uint32_t dims, coarse; /* directions in all, and of the coarse projections */
	kith_bounds bounds;    /* v_i = (dims values, |z - PP'z|) */
	/* n each, for the bounds whose v_i = (the first `coarse` of those values, rho_i): */
	float *rho, *lo;
	float *slack;   /* |v_i - v_j|^2 - slack_i - slack_j <= s^2 c_ij */
	kith_area area; /* holds these three */
} kith_projections;

/* Value t of the coarse projection of sample `id`, whose vector is the at-th. */
static inline float kith_projections_coarse(const kith_projections *p, uint64_t at, uint32_t id, uint32_t t)
{
	return t < p->coarse ? p->bounds.v[at * p->bounds.width + t] : p->rho[id];
}

uint64_t kith_projections_bytes(uint64_t n, uint32_t dims);
void kith_projections_free(kith_projections *projections);

/* What one pass over all samples makes. Each pointer may be NULL. */
typedef struct kith_pass {
	kith_projections *projections; /* dims and coarse are set */
	const kith_basis *basis;       /* that they are made with */
	kith_bounds *full;             /* the bounds of all d columns */
	int vectors;                   /* and their v, in the order of place */
	kith_quantised *blocks; /* the same vectors in blocks, in that order (kith_quantised_bound is the caller's) */
	kith_codes *codes;      /* instead of either's vectors, of all samples (kith_codes_bound is the caller's) */
	const uint32_t *place;  /* with vectors and blocks, and for all: sample i is the place[i]-th of m; UINT32_MAX:
				   left out */
	uint64_t m;
	uint64_t *hash;    /* n: of each sample's values */
	void *all;         /* the values (vectors.h), in the order of place if there is one */
	const char *spill; /* what is allocated goes to a file beside it (area.h) */
} kith_pass;

/* The pass: allocates and fills in projections, bounds and blocks, fills in hash and all. Works in about `memory`
 * bytes. */
int kith_pass_run(const kith_pass *pass, const kith_scaling *scaling, uint64_t memory, int threads,
		  const kith_progress *progress, kith_err *err);

#endif
