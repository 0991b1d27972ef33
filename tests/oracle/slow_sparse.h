/* slow_sparse.h - rows of generators once more from the definitions: the dense rows, with all their zeros. */
#ifndef SLOW_SPARSE_H
#define SLOW_SPARSE_H

#include "kith/knn.h"
#include "slow_h0.h"

/* Sample after sample, slow_h0_ids values each: what `rows` chooses of the forests that the network makes with `keep`,
 * at the edges' ids, else 0. Operations that `op_wanted` has no 1 for are left out. Release it with free(). */
double *slow_sparse_rows(const slow_net *net, double keep, const kith_row_options *rows, const uint8_t *op_wanted);

/* slow_tie_order and slow_knn (slow.h) by jaccard: samples are sets, of the places that have no 0. dist2 is the squared
 * distance. */
void slow_jaccard_order(const double *x, size_t n, size_t d, kith_ties ties, uint64_t *order);
void slow_jaccard(const double *x, size_t n, size_t d, const uint64_t *order, size_t width, uint32_t *ranks,
		  double *dist2);

#endif
