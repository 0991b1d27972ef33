/* graph_reader.h - what a kith_graph is; shared by graph_read.c, graph_sets.c and graph_check.c, inside the store only.
 */
#ifndef KITH_GRAPH_READER_H
#define KITH_GRAPH_READER_H

#include "graph_codec.h"

struct kith_graph {
	kith_graph_info info;
	const char *path; /* the container's */
	kith_container *container;
	uint64_t reverse_total;
	uint32_t audit_rows;
	kith_block_scratch scratch;
	/* caches: the last block of rows, and the last value of near lists, of which a part was read */
	uint64_t rows_block, near_part;
	uint32_t rows_tiers, *rows, *positions;
	int near_with_dist2;
	size_t rows_capacity;
	double *dist2;
	void *near_memory; /* holds positions and dist2 */
	kith_sets set;     /* a block, before it is copied into a larger window */
};

/* Decodes one whole block, uncached. */
int kith_graph_decode_rows(kith_graph *g, uint64_t block, uint32_t tiers, uint32_t *ids, int has_spare, kith_err *err);
/* Decodes the near lists that node's is stored with, and finds its own; distances only if asked for. */
int kith_graph_near_at(kith_graph *g, uint64_t node, int with_dist2, const uint32_t **positions, const double **dist2,
		       kith_err *err);
/* Of KITH_TABLE_ROWS or KITH_TABLE_REVERSE. */
int kith_graph_decode_sets(kith_graph *g, uint32_t table, uint32_t tier, uint64_t block, kith_sets *out, kith_err *err);

/* The part of a range of nodes that is in one block: nodes from..from+count-1 of its `nodes`. */
typedef struct kith_graph_part {
	uint64_t block;
	uint32_t from, count, nodes;
} kith_graph_part;
kith_graph_part kith_graph_part_at(const kith_graph *g, uint64_t node, uint64_t left);
/* KITH_EUSAGE unless there are such nodes. */
int kith_graph_check_range(const kith_graph *g, uint64_t first, uint64_t count, kith_err *err);
/* And so many tiers. */
int kith_graph_check_rows(const kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, kith_err *err);

#endif
