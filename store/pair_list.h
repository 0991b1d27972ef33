/* pair_list.h - from the rows of a graph, the pair list of every node, out of core. Inside the store only. */
#ifndef KITH_PAIR_LIST_H
#define KITH_PAIR_LIST_H

#include "blocks.h"

/* Receives the pair lists of `count` consecutive blocks from `first_block`, in block order, all blocks in the end. It
 * may use `scratch[i]`, one per list. */
typedef struct kith_pair_sink {
	int (*take)(void *context, uint64_t first_block, uint32_t count, const kith_pairs *lists,
		    kith_block_scratch *scratch, kith_err *err);
	void *context;
} kith_pair_sink;

/* Reads the rows of `info`'s graph from `container` and hands every pair list to `sink`. Work space: `memory` bytes,
 * but at least 12 bytes per node and one block's lists per thread. */
int kith_pair_list_derive(kith_container *container, const kith_graph_info *info, uint64_t memory,
			  const kith_progress *progress, const kith_pair_sink *sink, kith_err *err);

#endif
