/* screen.h - certified bounds on canonical distances from single-precision products.
 *
 * Each row z_i = s (x_i - m), centred on m (about the mean) and scaled by a power of two s, is rounded to a float
 * vector y_i. With g = the float product of y_i and y_j however it was summed,
 *
 *         t_ij = lo_j - 2 g          (one float operation)
 *
 * and for the canonical distance c_ij of the samples, shifted by the constant -lo_i of row i,
 *
 *         t_ij  <=  s^2 c_ij - lo_i  <=  (t_ij + w_j) + w_i       (float operations in this order)
 *
 * so a candidate whose t exceeds k upper bounds is provably not among row i's k nearest. screen.c derives it. */
#ifndef KITH_SCREEN_H
#define KITH_SCREEN_H

#include <float.h>

#include "rows.h"

typedef struct kith_screen {
	const kith_rows *rows;
	double scale; /* s */
	int off;      /* no bound holds for this data: every row is outside */
	double relative, absolute;
	float *lo, *w;  /* n each */
	uint64_t *hash; /* n: of each row's doubles; the caller may free it and set it to NULL */
} kith_screen;

/* Chooses s, finds lo and w in one pass over the rows. Release with kith_screen_free, also after a failure. */
int kith_screen_init(kith_screen *screen, const kith_rows *rows, uint64_t memory, const kith_progress *progress,
		     kith_err *err);
void kith_screen_free(kith_screen *screen);

/* The lo of a row outside the float range; its w is infinity, so that it is within every bound. Not -infinity: adding w
 * must give infinity. */
#define KITH_LO_OUTSIDE (-FLT_MAX)

/* Row x (d doubles) to its float vector y, which is zeros for a row outside the float range. */
void kith_screen_vector(const kith_screen *screen, const double *x, float *y);

/* An upper bound, shifted like the others of row i, of everything whose canonical distance is at most c. */
float kith_screen_bound(const kith_screen *screen, uint64_t i, double c);

/* The nearest float that is not above, or not below, x. */
float kith_round_down(double x);
float kith_round_up(double x);

#endif
