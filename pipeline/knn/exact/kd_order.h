/* kd_order.h - samples in an order in which each KITH_LANES in a row, and each 2^i times that many, lie close together.
 */
#ifndef KITH_KD_ORDER_H
#define KITH_KD_ORDER_H

#include "projection.h"

/* Sorts id[0..m-1] by a k-d tree over the coarse projections: every part is split at the median of the value that
 * varies most within it, into halves whose first is a power of two of KITH_LANES. Samples outside the float range come
 * last. Uses `threads` threads. */
int kith_kd_order(const kith_projections *projections, uint32_t *id, uint64_t m, int threads,
		  const kith_progress *progress, kith_err *err);

#endif
