/* graph_reader.h - what a kith_graph is; shared by graph_read.c and graph_check.c, inside the store only. */
#ifndef KITH_GRAPH_READER_H
#define KITH_GRAPH_READER_H

#include "blocks.h"

struct kith_graph {
	kith_graph_info info;
	char *path;
	kith_container *container;
	uint64_t pairs_total;
	kith_block_scratch scratch;
	/* the last block of each kind that was read in part */
	uint64_t rows_block, near_block, pairs_block;
	uint32_t rows_tiers, *rows, *slots;
	size_t rows_capacity;
	double *dist2;
	kith_pairs pairs;
};

/* Each decodes one whole block, uncached. */
int kith_graph_decode_rows(kith_graph *g, uint64_t block, uint32_t tiers, uint32_t *ids, kith_err *err);
int kith_graph_decode_near(kith_graph *g, uint64_t block, uint32_t *slots, double *dist2, kith_err *err);
int kith_graph_decode_pairs(kith_graph *g, uint64_t block, kith_pairs *out, kith_err *err);

#endif
