/* reverse.h - from the rows of a graph, the reverse list of every node, out of core. Inside the store only. */
#ifndef KITH_REVERSE_H
#define KITH_REVERSE_H

#include "graph_codec.h"

/* Receives the reverse lists of one tier and `count` consecutive blocks from first_block on; the nodes of `sets`
 * include theirs. Calls come in order: all blocks of tier 0, then of tier 1, and so on. scratch[0..count-1] are free
 * for use. */
typedef struct kith_reverse_sink {
	int (*take)(void *context, uint32_t tier, uint64_t first_block, uint32_t count, const kith_sets *sets,
		    kith_block_scratch *scratch, kith_err *err);
	void *context;
} kith_reverse_sink;

/* Reads the rows of `info`'s graph from `container` and hands every reverse list to `sink`, with 1 to
 * KITH_STORE_THREADS threads. Work space: `memory` bytes, but at least 12 bytes per node and, per thread, a block's
 * rows and reverse lists. */
int kith_reverse_derive(kith_container *container, const kith_graph_info *info, uint64_t memory, uint32_t threads,
			const kith_progress *progress, const kith_reverse_sink *sink, kith_err *err);

#endif
