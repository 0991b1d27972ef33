/* kith/knn.h - the first stage: activations in, one k-nearest-neighbour graph out. */
#ifndef KITH_KNN_H
#define KITH_KNN_H

#include <stdint.h>

#include "kith/err.h"
#include "kith/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KITH_SKETCH_NONE UINT32_MAX

typedef enum kith_metric { KITH_L2, KITH_COSINE } kith_metric;

typedef struct kith_knn_options {
	uint32_t tiers;                  /* 1..KITH_MAX_TIERS */
	uint32_t ladder[KITH_MAX_TIERS]; /* ascending, distinct */
	kith_metric metric;
	const char *engine; /* "exact", or "faiss:FACTORY" where this build has FAISS */
	uint64_t memory;    /* bytes */
	int threads;        /* >= 1 */
	/* What the exact engine chooses by itself when 0, and no result depends on; tests force odd values.
	 * sketch_dims: the directions of its sketch, KITH_SKETCH_NONE to do without; leaf_rows: of the trees that give
	 * first bounds. */
	uint32_t panel_rows, tile_rows, block_nodes, sketch_dims, leaf_rows;
	const char *command; /* recorded in the graph; "" if none */
	kith_progress progress;
} kith_knn_options;

typedef struct kith_knn_summary {
	uint64_t n, d;
	double recall;
	char plan[64]; /* what the engine did, for the closing report: "exact (full, panels of 4096)" */
} kith_knn_summary;

/* The defaults: k = 15, l2, exact, 4 GiB or half of the machine's memory, every core. */
void kith_knn_defaults(kith_knn_options *options);

/* Reads `input` (.npy) and writes the graph `output`.
 *
 * The canonical squared distance of samples x and y is sum_t (x_t - y_t)^2, each operation in double precision, summed
 * in index order t = 0..d-1 without fused multiply-add; ties break by sample index. With KITH_COSINE, x and y are the
 * rows divided, in double, by their norm (computed after an exact power-of-two scaling that prevents over- and
 * underflow); a zero row is KITH_EUSAGE and named. The neighbour sets of engine "exact" equal that definition's
 * whatever the threads, memory and block sizes: floats only rule out what provably cannot be a neighbour. */
int kith_knn_build(const char *input, const char *output, const kith_knn_options *options, kith_knn_summary *summary,
		   kith_err *err);

#ifdef __cplusplus
}
#endif
#endif
