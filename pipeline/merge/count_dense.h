/* count_dense.h - the dense accumulator (Gustavson's): counts samples with many ids, or whose ids come as bits. Every
 * id of a range is a slot of its own; each layer has the bits of its row, and of its reverse list, in layer-major order
 * (bit_kernels.h). A sample's ids are taken a range at a time. */
#ifndef KITH_COUNT_DENSE_H
#define KITH_COUNT_DENSE_H

#include "counts.h"
#include "pair_batch.h"

/* Used by one thread at a time. */
typedef struct kith_count_dense {
	uint64_t *bits;       /* layer-major sets of a range: of rows, of reverse lists, and of pairs, `layers` each */
	uint32_t *common;     /* tiers x pairs of layers: overlaps in the ranges so far; 0 between samples */
	kith_count_set *sets; /* of the sample: of rows, then of reverse lists, */
	size_t set_count;     /* and how many of each */
	size_t *cursor;       /* of each that comes as ids: how many lie before the range */
	uint64_t *ids;        /* for a pair store: the ids of a range in any layer, */
	uint64_t *square;     /* and words of all sets, by bit of the masks */
} kith_count_dense;

/* Lists the buffers, and sets what is not a buffer. */
void kith_count_dense_list(kith_workspace *w, kith_count_dense *d, const kith_count_plan *plan);

/* Counts the tiers from `from` on of sample `node`; with plan->pair_room, and then `from` is 0, its pairs are appended
 * to `pairs`. Returns the layer whose row or reverse list has an id twice, or whose row has the sample itself, or -1 if
 * there is none. */
int kith_count_dense_node(kith_counts *c, kith_count_dense *d, kith_pair_batch *pairs, uint64_t node, uint32_t from,
			  const kith_count_sources *sources);

#endif
