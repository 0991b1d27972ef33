/* recall.h - how many of the true neighbours a graph has, from an audit's samples. */
#ifndef KITH_RECALL_H
#define KITH_RECALL_H

#include <stdint.h>

#define KITH_AUDIT_ROWS 1000u /* by default */

/* The part of the true neighbours that were found, and its 95 % confidence interval. */
typedef struct kith_recall {
	double recall, low, high; /* 0 <= low <= recall <= high < 1; low > 0 where recall > 0 */
} kith_recall;

/* From hits[rows], of each audited row the number of its k true neighbours that were found. Misses cluster in rows, so
 * the interval is Clopper and Pearson's for as many independent neighbours as rows k is worth by the design effect
 * (Korn and Graubard 1998). At least one row. */
kith_recall kith_recall_of(const uint32_t *hits, uint32_t rows, uint32_t k);

/* The regularised incomplete beta function I_x(a, b), a, b > 0, and its inverse. */
double kith_beta_share(double x, double a, double b);
double kith_beta_quantile(double share, double a, double b);

#endif
