/* bit_kernels.h - the inner loops that count on bit matrices: one set of slots for each layer of a stack.
 *
 * A set has `words` words of 64 slots. The sets of all layers lie in memory in one of two layouts, drawn here for four
 * words of slots (w0..w3) and layers a, b, c:
 *
 *   slot-major                          layer-major
 *     word w of layer v:                  word w of layer v:
 *     x[w * step + v]                     x[v * stride + w]
 *
 *     w0   a b c . . . . .                a   w0 w1 w2 w3 .
 *     w1   a b c . . . . .                b   w0 w1 w2 w3 .
 *     w2   a b c . . . . .                c   w0 w1 w2 w3 .
 *     w3   a b c . . . . .
 *          `lanes` of them
 *
 * Slot-major is best where slots are few: layers are counted eight at a time, so there are `lanes` of them, `layers`
 * rounded up to a multiple of 8, and the lanes from `layers` on are empty. Layer-major is best where slots are many:
 * words are counted eight at a time.
 *
 * Pairs of layers a < b are numbered row by row: (0,1), (0,2), ..., (1,2), .... Spans are intersections of consecutive
 * layers: span[s * lanes + a] counts the slots that are in all of the layers a..a+s.
 *
 * All kernels are exact, so they give the same on every processor. None keeps any state: all may be used by several
 * threads at once. */
#ifndef KITH_BIT_KERNELS_H
#define KITH_BIT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define KITH_BITS_SPARE       24u  /* items beyond the last that slot-major overlaps read and write */
#define KITH_BITS_SPAN_LAYERS 512u /* layers whose spans can be counted */

/* The masks of the ids that one sample has in some layer: word w of the e-th is mask[w * stride + e]. It is 0 in all
 * words but for one occurrence of each distinct id. The first `row_words` words, and of them the bits `row_bits`, say
 * which layers' rows have the id; the other bits, which layers' reverse lists. Ids and masks are readable up to the
 * next multiple of 8. */
typedef struct kith_bits_masks {
	const uint32_t *id;
	const uint64_t *mask;
	size_t stride;
	uint32_t words, row_words;
	uint64_t row_bits;
	uint32_t count;
} kith_bits_masks;

/* One implementation of every kernel whose code depends on the processor. */
typedef struct kith_bit_kernels {
	/* shared[pair] = the slots that two layers share, at most 65,535; writes and reads KITH_BITS_SPARE items
	 * beyond the last. */
	void (*overlaps_slot_major)(const uint64_t *x, uint32_t words, size_t step, uint32_t layers, uint16_t *shared);

	/* common[pair] += the slots that two layers share. */
	void (*overlaps_layer_major)(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers,
				     uint32_t *common);

	/* count[v] += the slots of lane v, for all lanes. */
	void (*count_slot_major)(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint64_t *count);

	/* Adds to span, of at most KITH_BITS_SPAN_LAYERS layers; items at a + s >= layers are undefined. */
	void (*spans_slot_major)(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
				 int64_t *span);

	/* The bits that two sets share. */
	uint32_t (*and_count)(const uint64_t *x, const uint64_t *y, uint32_t words);

	/* all[] &= x[]; returns the bits left. */
	uint64_t (*and_into)(uint64_t *all, const uint64_t *x, uint32_t words);

	/* kith_transpose (transpose.h); `to` may be `from`. */
	void (*transpose)(uint64_t *to, const uint64_t *from);

	/* Compacts masks, in their order: those of ids that some row has to `rows` (row bits alone), word w at
	 * rows[w * m->stride]; those of ids above the sample `node` to `above`, word w at above[w * stride]. found[0],
	 * found[1]: how many of each; up to seven more are written. Returns other than 0 if a row has the sample
	 * itself. */
	int (*select)(const kith_bits_masks *m, uint32_t node, uint64_t *rows, uint64_t *above, size_t stride,
		      uint32_t found[2]);
} kith_bit_kernels;

#ifdef KITH_AVX512
extern const kith_bit_kernels kith_bit_kernels_avx512;
#endif

/* The best implementation that kith_cpu() allows. */
const kith_bit_kernels *kith_bit_kernels_get(void);

/* ---- the same on every processor, or made of kernels ---- */

/* common[pair] += the slots that two layers share; of any number of words. */
void kith_bits_overlaps_layer_major(const kith_bit_kernels *kernels, const uint64_t *x, uint32_t words, size_t stride,
				    uint32_t layers, uint32_t *common);

/* count[v] += the slots of layer v. */
void kith_bits_count_layer_major(const kith_bit_kernels *kernels, const uint64_t *x, uint32_t words, size_t stride,
				 uint32_t layers, uint64_t *count);

/* Adds to span, as spans_slot_major does. */
void kith_bits_spans_layer_major(const kith_bit_kernels *kernels, const uint64_t *x, uint32_t words, size_t stride,
				 uint32_t layers, uint32_t lanes, int64_t *span);

/* The kernel `select` for any processor. */
int kith_bits_select_any(const kith_bits_masks *m, uint32_t node, uint64_t *rows, uint64_t *above, size_t stride,
			 uint32_t found[2]);

/* hash[e] < 2^bits, equal for equal ids; at most 16 bits. */
void kith_bits_hash(const uint32_t *id, uint32_t count, uint32_t bits, uint16_t *hash);

/* to[w] |= from[w]. Returns other than 0 if they shared a bit. */
uint64_t kith_bits_or(uint64_t *to, const uint64_t *from, size_t words);

#endif
