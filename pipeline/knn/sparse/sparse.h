/* sparse.h - the stage from generators (.kh0) to graph: rows that are nearly all zeros, in a file that is no
 * activations. Otherwise as kith_knn_build and kith_knn_foresee. */
#ifndef KITH_SPARSE_H
#define KITH_SPARSE_H

#include "sparse_rows.h"

int kith_sparse_build(const char *input, const char *output, const kith_knn_options *options, kith_knn_summary *summary,
		      kith_err *err);
int kith_sparse_foresee(const char *input, const kith_knn_options *options, kith_knn_estimate *out, kith_err *err);

/* For tests, which have few samples: no more of them in a block of columns, and in a panel, than these, edges of one in
 * so many samples as bits, and rows not kept in memory. 0: as is best. */
typedef struct kith_sparse_tuning {
	uint64_t columns, panel;
	int dense_part, read_again;
} kith_sparse_tuning;
extern kith_sparse_tuning kith_sparse_tuned;

#endif
