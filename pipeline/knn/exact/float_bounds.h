/* float_bounds.h - certified bounds on canonical distances from single-precision products.
 *
 * A kith_level holds every sample i as a float vector v_i with two floats lo_i and w_i. With g = the float product of
 * v_i and v_j, however it was summed, and
 *
 *         t_ij = (lo_i + lo_j) - 2 g          (float operations in this order)
 *
 * the canonical distance c_ij of the samples, times the square of a power of two s, lies between
 *
 *         t_ij  <=  s^2 c_ij  <=  t_ij + (w_i + w_j)
 *
 * so a sample whose t exceeds k upper bounds is provably not among row i's k nearest. This file makes the level of all
 * d columns, projection.h levels of fewer; float_bounds.c derives the bound. */
#ifndef KITH_SCREEN_H
#define KITH_SCREEN_H

#include "vectors.h"

typedef struct kith_level {
	uint32_t width;    /* floats from one vector to the next: a multiple of KITH_LANES, filled up with zeros */
	float *v, *lo, *w; /* n x width, n, n */
	void *memory;      /* holds lo and w */
} kith_level;

#define KITH_LANES 16u
#define KITH_GROUP 256u

/* The lo of a sample outside the float range. Its v is zeros and its w infinity: it is within every bound, and as two
 * of them still add to a number, an upper bound with it is infinity. */
#define KITH_LO_OUTSIDE (-0x1p125f)

/* How values become floats. */
typedef struct kith_screen {
	const kith_rows *rows;
	double scale; /* s */
	int off;      /* no bound holds for this data: every sample is outside */
	double relative, absolute;
} kith_screen;

/* Chooses s from a sample of the rows. */
int kith_screen_init(kith_screen *screen, const kith_rows *rows, kith_err *err);

/* A row of d cells (vectors.h) centred and scaled: z, and its squared length. Returns 1, and z = 0, if the sample is
 * outside the float range. */
int kith_screen_centre(const kith_screen *screen, const void *cells, double *z, double *norm);

/* Such a z to its float vector v, and its lo and w. */
void kith_screen_floats(const kith_screen *screen, const double *z, int outside, float *v, float *lo, float *w);

/* An upper bound, in floats and times s^2, of everything whose canonical distance is at most c. */
float kith_screen_bound(const kith_screen *screen, double c);

/* Room for the bounds of n samples and m vectors of `values` floats; what pads the vectors is zeros. */
int kith_level_alloc(kith_level *level, uint64_t n, uint64_t m, uint64_t values, kith_err *err);
uint64_t kith_level_bytes(uint64_t n, uint64_t values);
/* Puts the vectors of the samples id[0..m-1] first, in that order; those of other samples are gone, and what pads the
 * rows that stay is as it was. lo and w stay by sample. */
int kith_level_arrange(kith_level *level, const uint32_t *id, uint64_t m, int threads, kith_err *err);
void kith_level_free(kith_level *level);

/* The nearest float that is not above, or not below, x. */
float kith_round_down(double x);
float kith_round_up(double x);

#endif
