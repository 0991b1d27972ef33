/* graph_codec.h - the three kinds of block (rows, near lists, reverse lists) and the meta record, to and from stored
 * values. FORMAT.md, section 4. Inside the store only. */
#ifndef KITH_BLOCKS_H
#define KITH_BLOCKS_H

#include <stdint.h>

#include "container.h"
#include "kith/graph.h"
#include "value.h"

#define KITH_MAX_BLOCK_NODES (1u << 24)

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
	kith_sets sets; /* a tier of rows on its way to rows of ids */
} kith_block_scratch;
int kith_block_scratch_init(kith_block_scratch *s, kith_err *err);
void kith_block_scratch_free(kith_block_scratch *s);

/* A block larger than the whole graph would only make everyone's buffers larger: one of the least power of two that
 * holds n nodes is the same block. */
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

/* How many nodes block b has: block_nodes, or what is left for the last. */
static inline uint32_t kith_info_block_size(const kith_graph_info *info, uint64_t b)
{
	uint64_t left = info->n - b * info->block_nodes;
	return left < info->block_nodes ? (uint32_t)left : info->block_nodes;
}

/* Neighbours in tier t of a row, and where they start. */
static inline uint32_t kith_info_tier_start(const kith_graph_info *info, uint32_t t)
{
	return t ? info->ladder[t - 1] : 0;
}

/* Each makes s->encoder hold the value. Rows must be sorted within tiers. */
int kith_rows_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const uint32_t *ids,
		     kith_err *err);
int kith_near_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const uint32_t *slots,
		     const double *dist2, kith_err *err);
/* `sets` begin at the block's first node or before, and end at its last or after. */
int kith_reverse_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const kith_sets *sets, kith_err *err);

/* Each decodes a whole block from a stored value. Messages lack the file's name. */
int kith_rows_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes, size_t size,
		     uint32_t tiers, uint32_t *ids, kith_err *err);
int kith_near_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes, size_t size,
		     uint32_t *slots, double *dist2, kith_err *err);
/* One tier of the block's rows, or its reverse lists, as sets of this block's nodes. Rows have as many neighbours as
 * they should, none of them `n` or more; reverse lists hold only larger nodes. */
int kith_row_sets_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			 const void *bytes, size_t size, kith_sets *out, kith_err *err);
int kith_reverse_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const void *bytes, size_t size, kith_sets *out, kith_err *err);

/* Is a tier of so many members stored as bits? */
int kith_tier_is_dense(const kith_graph_info *info, uint32_t tier);
/* Its members. */
static inline uint32_t kith_info_tier_size(const kith_graph_info *info, uint32_t t)
{
	return info->ladder[t] - kith_info_tier_start(info, t);
}
/* The number under which a block is stored in its table: reverse lists have a value for each tier. */
static inline uint32_t kith_block_number(const kith_graph_info *info, uint32_t table, uint32_t tier, uint64_t block)
{
	return (uint32_t)(table == KITH_TABLE_REVERSE ? tier * kith_info_blocks(info) + block : block);
}

/* The meta record; `reverse` is how many edges the reverse lists of the whole graph hold. Decoding checks every number
 * in it. */
int kith_meta_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t reverse, kith_err *err);
int kith_meta_decode(kith_block_scratch *s, const void *bytes, size_t size, kith_graph_info *info, uint64_t *reverse,
		     kith_err *err);

/* KITH_EUSAGE for a newer version of a format than is known, KITH_EVERSION for an older one, which `maker` has to build
 * again. */
int kith_version_check(uint32_t version, uint32_t known, const char *maker, kith_err *err);

/* Makes room for the sets of nodes first..first+count-1, as `items` ids or as bits of n ids from word `base` on, and
 * says so in `sets`, but for the items. What was there is lost. */
int kith_sets_start_ids(kith_sets *sets, uint64_t first, uint64_t count, uint64_t items, kith_err *err);
int kith_sets_start_bits(kith_sets *sets, uint64_t first, uint64_t count, size_t base, uint64_t n, kith_err *err);

#endif
