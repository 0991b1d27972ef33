/* pair_codec.h - what a pair store holds (blocks of pairs, the meta record), to and from stored values.
 * FORMAT.md, section 5. Inside the store only. */
#ifndef KITH_PAIR_CODEC_H
#define KITH_PAIR_CODEC_H

#include "graph_codec.h"
#include "kith/pairs.h"

#define KITH_PAIR_BLOCK_BYTES     (8u << 20)  /* a block's ids and bits, where the store chooses its pairs */
#define KITH_MAX_PAIR_BLOCK_BYTES (64u << 20) /* at most */

/* Strings of a layer in the meta record: name, metric, engine, digest, input, command. */
#define KITH_LAYER_TEXTS 6

/* The meta record in memory. `text` holds the layers' strings back to back, zero-terminated; when read, those of
 * info.layers point into it. Zero it; release with kith_pair_meta_free. */
typedef struct kith_pair_meta {
	kith_pair_info info;
	uint64_t *dim;  /* layer_count */
	double *recall; /* layer_count */
	char *text;
	uint64_t text_bytes;
	void *memory; /* holds these and, when read, info.layers */
} kith_pair_meta;

/* Copies what a creator says of the file, but for the layers' numbers and strings, which are where they are stored. */
int kith_pair_meta_init(kith_pair_meta *meta, const kith_pair_info *info, kith_err *err);
void kith_pair_meta_free(kith_pair_meta *meta);

/* Each makes s->encoder hold the value. */
int kith_pair_meta_encode(kith_block_scratch *s, const kith_pair_meta *meta, kith_err *err);

/* A block's first `count` pairs, sound and in order, in all layers. */
int kith_pair_block_encode(kith_block_scratch *s, const kith_pair_info *info, uint64_t block, uint32_t count,
			   const kith_pair_planes *planes, kith_err *err);

/* Each decodes a stored value. Messages lack the file's name. The meta record is checked number by number; a block
 * whose bytes are read has ids below n, pairs ascending and at most one tier per pair, layer and direction. */
int kith_pair_meta_decode(kith_block_scratch *s, const void *bytes, size_t size, kith_pair_meta *meta, kith_err *err);
int kith_pair_block_decode(kith_block_scratch *s, const kith_pair_info *info, uint64_t block, const void *bytes,
			   size_t size, uint32_t layers, const uint32_t *wanted, kith_pair_planes *out, kith_err *err);

/* What a pair takes in a block, in quarters of a byte: its ids, and two bits for each layer and tier. */
static inline uint64_t kith_pair_quarters(uint32_t layers, uint32_t tiers)
{
	return (uint64_t)layers * tiers + 4 * 8;
}

/* Is every number of `info` in range? Returns 0, or the reason as a status with `err` filled, without a file's name. */
int kith_pair_info_check(const kith_pair_info *info, kith_err *err);

#endif
