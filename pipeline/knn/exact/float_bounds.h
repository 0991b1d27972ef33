/* float_bounds.h - certified bounds on canonical distances from single-precision products.
 *
 * A kith_bounds holds every sample i as a float vector v_i with two floats lo_i and w_i. With g = the float product of
 * v_i and v_j, however it was summed, and
 *
 *         t_ij = (lo_i + lo_j) - 2 g          (float operations in this order)
 *
 * the canonical distance c_ij of the samples, times the square of a power of two s, lies between
 *
 *         t_ij  <=  s^2 c_ij  <=  t_ij + (w_i + w_j)
 *
 * so a sample whose t exceeds k upper bounds is provably not among row i's k nearest. This file makes the bounds of all
 * d columns, projection.h those of fewer dimensions; float_bounds.c derives them. */
#ifndef KITH_FLOAT_BOUNDS_H
#define KITH_FLOAT_BOUNDS_H

#include "area.h"
#include "vectors.h"

#define KITH_LANES 16u  /* vectors of a block, which tiles work on side by side */
#define KITH_GROUP 256u /* vectors of a group: KITH_LANES blocks */

typedef struct kith_bounds {
	uint32_t width;    /* floats from one vector to the next: a multiple of KITH_LANES, filled up with zeros */
	float *v;          /* m x width */
	float *lo, *w;     /* n each */
	const char *spill; /* where these are in a file (area.h) */
	kith_area vectors, numbers; /* hold v; lo and w */
} kith_bounds;

/* The lo of a sample outside the float range. Its v is zeros and its w infinity: it is within every bound, and as two
 * of them still add to a number, an upper bound with it is infinity. */
#define KITH_LO_OUTSIDE (-0x1p125f)

/* How values become floats. */
typedef struct kith_scaling {
	const kith_vectors *vectors;
	double scale; /* s */
	int off;      /* no bound holds for this data: every sample is outside */
	double relative, absolute;
} kith_scaling;

/* Chooses s from some of the samples. */
int kith_scaling_init(kith_scaling *scaling, const kith_vectors *vectors, kith_err *err);

/* Sample x of d values (of value_size bytes: vectors.h) centred and scaled: z, and its squared length. Returns 1, and z
 * = 0, if the sample is outside the float range. */
int kith_scaling_centre(const kith_scaling *scaling, const void *x, double *z, double *norm);

/* Such a z to its float vector v, and its lo and w. */
void kith_scaling_floats(const kith_scaling *scaling, const double *z, int outside, float *v, float *lo, float *w);

/* An upper bound, in floats and times s^2, of everything whose canonical distance is at most c. */
float kith_scaling_bound(const kith_scaling *scaling, double c);

/* Room for the bounds of n samples and m vectors of `values` floats; what pads the vectors is zeros. `spill`: as
 * for kith_area_alloc. Release it with kith_bounds_free, also after a failure. */
int kith_bounds_alloc(kith_bounds *bounds, uint64_t n, uint64_t m, uint64_t values, const char *spill, kith_err *err);
uint64_t kith_bounds_bytes(uint64_t n, uint64_t values);
void kith_bounds_free(kith_bounds *bounds);

/* Puts the vectors of the samples id[0..m-1] first, in that order; those of other samples are gone. lo and w stay by
 * sample. */
int kith_bounds_arrange(kith_bounds *bounds, const uint32_t *id, uint64_t m, int threads, const kith_progress *progress,
			kith_err *err);

/* The nearest float that is not above, or not below, x. */
float kith_round_down(double x);
float kith_round_up(double x);

#endif
