/* sketch.h - every row in few dimensions, where distances are certified lower bounds; and from them, first bounds on
 * each row's k-th distance.
 *
 * With P an orthonormal basis of r directions, row z (centred and scaled, as in screen.h) becomes v = (P'z, |z -
 * PP'z|): its projection, and how far it lies from it. By Cauchy-Schwarz |v_i - v_j| <= |z_i - z_j|, so with g' the
 * float product of v_i and v_j and c_ij the canonical distance,
 *
 *         t'_ij = lo'_j - 2 g'  <=  s^2 c_ij - lo'_i
 *
 * and rows whose t' exceeds what is known of row i's k-th distance need not be multiplied in d dimensions. */
#ifndef KITH_SKETCH_H
#define KITH_SKETCH_H

#include "screen.h"

typedef struct kith_sketch {
	uint32_t width; /* r + 1; 0: there is none */
	float *v;       /* n x width */
	float *lo;      /* n: lo' */
} kith_sketch;

/* Bytes that a sketch of n rows keeps. */
uint64_t kith_sketch_bytes(uint64_t n, uint32_t directions);

/* Finds a basis from a sample of the rows (a randomised range finder), then sketches all rows in one pass. If no usable
 * basis is found, width is 0. Release with kith_sketch_free, also after a failure. */
int kith_sketch_init(kith_sketch *sketch, const kith_screen *screen, uint32_t directions, uint64_t memory,
		     const kith_progress *progress, kith_err *err);
void kith_sketch_free(kith_sketch *sketch);

/* What a candidate's t' must not exceed, given the bound on its t (candidates.h) of row i. */
float kith_sketch_bound(const kith_sketch *sketch, const kith_screen *screen, uint64_t i, float bound);

/* For every row an upper bound, shifted like its t, of its k-th distance, into bound[n]: its k-th smallest upper bound
 * among the rows that share a leaf of a random projection tree over the sketch. Leaves have at most `leaf` rows, or
 * fewer if `memory` asks for it; where that leaves no k others, the bound is +infinity. Uses OpenMP threads. */
int kith_sketch_thresholds(const kith_sketch *sketch, const kith_screen *screen, uint32_t k, uint32_t leaf,
			   uint64_t memory, const kith_progress *progress, float *bound, kith_err *err);

/* Float products of x with `count` rows y[], all of d values. */
void kith_dots(const float *x, const float *const *y, uint32_t count, uint64_t d, float *out);

#endif
