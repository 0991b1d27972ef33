/* h0_codec.h - what a .kh0 holds (blocks of samples, the meta record), to and from stored values. FORMAT.md, section 6.
 * Inside the store only. */
#ifndef KITH_H0_CODEC_H
#define KITH_H0_CODEC_H

#include "container.h"
#include "h0_classes.h"
#include "kith/generators.h"
#include "value.h"

/* The meta record in memory: `info` with lists and strings of its own. Zero it; release with kith_h0_meta_free. */
typedef struct kith_h0_meta {
	kith_h0_info info;
	char *text;
	uint64_t text_bytes;
	void *memory;   /* holds it, and info's lists */
	float *weights; /* of all operations that have some, which point into it */
	uint64_t weight_count;
} kith_h0_meta;

#define KITH_H0_BLOCK_UNITS                                                                                            \
	131072u /* of all samples of a block, unless that is one; for its streams to compress well */

/* Copies what a creator says of the file. */
int kith_h0_meta_init(kith_h0_meta *meta, const kith_h0_info *info, kith_err *err);
void kith_h0_meta_free(kith_h0_meta *meta);

/* Scratch of one thread. Zero it; release with kith_h0_block_scratch_free. */
typedef struct kith_h0_block_scratch {
	kith_encoder forests, values;
	kith_decoder decoder;
	uint64_t *numbers;
	size_t numbers_capacity;
	/* For phi by sources. */
	float *known;          /* samples x vertices: |h|, or 0 */
	uint32_t *activations; /* the bits of those that are new */
	uint64_t *next;        /* of each sample: the edge to go on with */
	void *source_memory;
	uint64_t source_capacity;
	kith_h0_classing classing;
	void *classing_memory;
	uint64_t classing_capacity;
} kith_h0_block_scratch;
int kith_h0_block_scratch_init(kith_h0_block_scratch *s, kith_err *err);
void kith_h0_block_scratch_free(kith_h0_block_scratch *s);

/* Makes s->forests hold the meta record. */
int kith_h0_meta_encode(kith_h0_block_scratch *s, const kith_h0_meta *meta, kith_err *err);
/* Every number is checked. Messages lack the file's name. */
int kith_h0_meta_decode(kith_h0_block_scratch *s, const void *bytes, size_t size, kith_h0_meta *meta, kith_err *err);

/* A block's two values, of which there is only the first if the file has no values. */
int kith_h0_block_encode(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block,
			 const kith_h0_samples *samples, kith_err *err);

/* Ids and marks; with any `parts` also sources, targets, and phi of births and deaths. Then, of the block that was
 * decoded last, with any parts, phi of the other edges. */
int kith_h0_forests_decode(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block, unsigned parts,
			   const void *bytes, size_t size, kith_h0_samples *out, kith_err *err);
int kith_h0_values_decode(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block, const void *bytes,
			  size_t size, kith_h0_samples *out, kith_err *err);

/* Weights that a file with this header has: those of operations that are by_source. */
uint64_t kith_h0_weight_count(const kith_h0_info *info);

/* Bytes of scratch for a block of so many edges, or vertices; of that and the samples that are read. */
uint64_t kith_h0_encode_bytes(uint64_t edges);
uint64_t kith_h0_decode_bytes(const kith_h0_info *info, uint64_t samples, unsigned parts);

/* Classes and basins of samples that have been decoded. */
int kith_h0_classes_decode(kith_h0_block_scratch *s, const kith_h0_info *info, kith_h0_samples *out, kith_err *err);

#endif
