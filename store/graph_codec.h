/* graph_codec.h - blocks of a graph and its meta record, to and from stored values. FORMAT.md, section 4. Inside the
 * store only.
 *
 * A block is consecutive nodes. Its rows are one value, its reverse lists one for each tier. The near lists of several
 * blocks are a value:
 *
 *     rows      header | tier 0: node 0, node 1, ... | tier 1: node 0, node 1, ... | ...
 *     near      header | order: node 0, node 1, ...  | distances: rank 0 of node 0, node 1, ... | rank 1 ...
 *     reverse   header | lengths of the lists        | ids: node 0, node 1, ...
 *
 * where a tier that holds few of the n nodes (sparse) is stored as gaps, and one that holds many (dense) as bits:
 *
 *     gaps      byte 0 of every gap | byte 1 of every gap | ...       a stream for each byte plane
 *     bits      node 0: a bit for each id | node 1: ... | ...         one stream; reverse lists have no lengths then
 *
 * An order says which positions in its row a near list's neighbours have. */
#ifndef KITH_GRAPH_CODEC_H
#define KITH_GRAPH_CODEC_H

#include <stdint.h>

#include "container.h"
#include "kith/graph.h"
#include "value.h"

#define KITH_MAX_BLOCK_NODES (1u << 24)
#define KITH_NEAR_BITS       24u /* info->near_bits of files that are written, and of those of version 2 */
#define KITH_NEAR_BITS_OLD   53u

/* At most this many threads work in the store. */
#define KITH_STORE_THREADS 64

/* How many threads to use of those that a caller offers. */
static inline uint32_t kith_store_threads(int threads)
{
	return threads < 1 ? 1 : threads < KITH_STORE_THREADS ? (uint32_t)threads : KITH_STORE_THREADS;
}

/* Scratch of one thread. Zero it; release with kith_block_scratch_free. */
typedef struct kith_block_scratch {
	kith_encoder encoder;
	kith_decoder decoder;
	uint32_t *numbers;
	uint64_t *bits;
	size_t numbers_capacity, bits_capacity;
	void *order; /* of near lists */
	uint64_t order_capacity;
	kith_sets sets; /* a tier of rows, before its ids are copied into rows */
} kith_block_scratch;
int kith_block_scratch_init(kith_block_scratch *s, kith_err *err);
void kith_block_scratch_free(kith_block_scratch *s);

/* The block size to work with: a block larger than the graph would only make buffers larger, and one of the least power
 * of two that holds n nodes is the same block. */
static inline uint32_t kith_block_nodes_fit(uint32_t block_nodes, uint64_t n)
{
	while (block_nodes / 2 >= n)
		block_nodes /= 2;
	return block_nodes;
}

static inline uint64_t kith_info_blocks(const kith_graph_info *info)
{
	return (info->n + info->block_nodes - 1) / info->block_nodes;
}

/* Nodes of block b: block_nodes, or fewer in the last. */
static inline uint32_t kith_info_block_size(const kith_graph_info *info, uint64_t b)
{
	uint64_t left = info->n - b * info->block_nodes;
	return left < info->block_nodes ? (uint32_t)left : info->block_nodes;
}

/* Values of near lists, and the nodes in one. */
static inline uint64_t kith_info_near_parts(const kith_graph_info *info)
{
	return info->near ? (info->n + info->near_nodes - 1) / info->near_nodes : 0;
}

static inline uint32_t kith_info_near_size(const kith_graph_info *info, uint64_t part)
{
	uint64_t left = info->n - part * info->near_nodes;
	return left < info->near_nodes ? (uint32_t)left : info->near_nodes;
}

/* The first position of tier t in a row, and the tier's members. */
static inline uint32_t kith_info_tier_start(const kith_graph_info *info, uint32_t t)
{
	return t ? info->ladder[t - 1] : 0;
}

static inline uint32_t kith_info_tier_size(const kith_graph_info *info, uint32_t t)
{
	return info->ladder[t] - kith_info_tier_start(info, t);
}

/* Is tier t stored as bits? */
int kith_tier_is_dense(const kith_graph_info *info, uint32_t t);

/* The number under which a block is stored in its table: reverse lists have a value for each tier. */
static inline uint32_t kith_block_number(const kith_graph_info *info, uint32_t table, uint32_t tier, uint64_t block)
{
	return (uint32_t)(table == KITH_TABLE_REVERSE ? tier * kith_info_blocks(info) + block : block);
}

/* Each leaves the value in s->encoder. Rows are sorted within tiers. */
int kith_rows_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const uint32_t *ids,
		     kith_err *err);
/* KITH_EBUG if a near list is not of a row's nearest, tier by tier. */
int kith_near_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t part, const uint32_t *positions,
		     const double *dist2, kith_err *err);
/* The nodes of `sets` include the block's. */
int kith_reverse_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const kith_sets *sets, kith_err *err);

/* Each decodes a whole block from a stored value. Messages do not name the file. Of near lists, dist2 may be NULL.
 * has_spare: KITH_SPARE ids beyond the block's may be overwritten, which takes less time. */
int kith_rows_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes, size_t size,
		     uint32_t tiers, uint32_t *ids, int has_spare, kith_err *err);
int kith_near_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t part, const void *bytes, size_t size,
		     uint32_t *positions, double *dist2, kith_err *err);
/* One tier of the block's rows, or of its reverse lists, as sets. It has been checked that rows have the tier's number
 * of members and no id of n or more, and that reverse lists hold only larger nodes. */
int kith_row_sets_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			 const void *bytes, size_t size, kith_sets *out, kith_err *err);
int kith_reverse_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const void *bytes, size_t size, kith_sets *out, kith_err *err);

/* The rows of any `nodes` nodes, all tiers, as value `number` of a table. */
int kith_some_rows_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t table, uint32_t number,
			  uint32_t nodes, const uint32_t *ids, kith_err *err);
int kith_some_rows_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t table, uint32_t number,
			  uint32_t nodes, const void *bytes, size_t size, uint32_t *ids, kith_err *err);

/* KITH_EUSAGE, without a file's name, unless every number of `info` is in range. block_nodes may be 0. */
int kith_info_check(const kith_graph_info *info, kith_err *err);

/* The meta record; `reverse` counts the ids in all reverse lists of the graph, `audit_rows` the samples of its audit.
 * Decoding checks every number. */
int kith_meta_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t reverse, uint32_t audit_rows,
		     kith_err *err);
int kith_meta_decode(kith_block_scratch *s, const void *bytes, size_t size, kith_graph_info *info, uint64_t *reverse,
		     uint32_t *audit_rows, kith_err *err);

/* The counts of ties. `status`, without a file's name, if they make no sense. */
int kith_tie_counts_check(const kith_graph_info *info, const kith_tie_counts *counts, kith_status status,
			  kith_err *err);
int kith_tie_counts_encode(kith_block_scratch *s, const kith_graph_info *info, const kith_tie_counts *counts,
			   kith_err *err);
int kith_tie_counts_decode(kith_block_scratch *s, const void *bytes, size_t size, kith_graph_info *info, kith_err *err);

/* KITH_EUSAGE if a file's format is newer than `known`, KITH_EVERSION if it is older: `maker` has to build it again. */
int kith_version_check(uint32_t version, uint32_t known, const char *maker, kith_err *err);

/* Prepares `sets` for nodes first..first+count-1, as `items` ids or as bits of n ids from word `base` on. All members
 * but `items` are set; the ids or bits are to be filled in. */
int kith_sets_start_ids(kith_sets *sets, uint64_t first, uint64_t count, uint64_t items, kith_err *err);
int kith_sets_start_bits(kith_sets *sets, uint64_t first, uint64_t count, size_t base, uint64_t n, kith_err *err);

#endif
