/* bit_kernels.h - the inner loops of counting on sets of bits, one set for each layer.
 *
 * A set has `words` words of 64 slots. Sets lie in memory in one of two ways, each best where slots are:
 *
 *   columns  few: word w of layer v is x[w * step + v]. Layers are counted eight at a time, so there are `lanes` of
 *            them, a multiple of 8, of which those from `layers` on are empty
 *   rows     many: word w of layer v is x[v * stride + w]. Words are counted eight at a time
 *
 * All are exact, and give the same on every processor. */
#ifndef KITH_BITS_H
#define KITH_BITS_H

#include <stddef.h>
#include <stdint.h>

/* How many slots layers a < b share, for pairs of layers row by row: (0,1), (0,2), ..., (1,2), .... In columns, of at
 * most 65,535 slots: shared[pair] = that; KITH_BITS_SPARE more are written to, and as many words read from behind the
 * last set. In rows: common[pair] += that. */
#define KITH_BITS_SPARE 24u
void kith_bits_overlaps_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t layers, uint16_t *shared);
void kith_bits_overlaps_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t *common);

/* count[v] += how many slots layer v has; in columns, for all lanes. */
void kith_bits_count_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint64_t *count);
void kith_bits_count_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint64_t *count);

/* chain[s * lanes + a] += how many slots are in all of the layers a..a+s; what stands at a + s >= layers means nothing.
 * At most KITH_BITS_CHAIN layers. */
#define KITH_BITS_CHAIN 512u
void kith_bits_chains_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
			      int64_t *chain);
void kith_bits_chains_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t lanes,
			   int64_t *chain);

/* kith_transpose (transpose.h), from one place to another or the same, faster where it can be. */
void kith_bits_transpose(uint64_t to[64], const uint64_t from[64]);

/* ---- ids that a sample meets ---- */

/* hash[e] < 2^bits, equal for equal ids; at most 16 bits. */
void kith_bits_hash(const uint32_t *id, uint32_t count, uint32_t bits, uint16_t *hash);

/* Masks over layers of the ids met: word w of the e-th is mask[w * stride + e], 0 in all words but at one of the
 * places where the id is met. The first `row_words` words, and of them the bits `row_bits`, say which layers' rows have
 * it. Ids and masks are readable up to the next multiple of 8. */
typedef struct kith_bits_met {
	const uint32_t *id;
	const uint64_t *mask;
	size_t stride;
	uint32_t words, row_words;
	uint64_t row_bits;
	uint32_t count;
	uint32_t *lists; /* scratch: 2 * (count + 8) */
} kith_bits_met;

/* Puts masks side by side: to `rows` those of what some row has, bits of rows alone, word w at rows[w * met->stride];
 * to `above` those of ids above the sample, word w at above[w * stride]. found: how many of each; both are written up
 * to seven more. Returns other than 0 if a row has the sample itself. */
int kith_bits_slots(const kith_bits_met *met, uint32_t node, uint64_t *rows, uint64_t *above, size_t stride,
		    uint32_t found[2]);

/* ---- numbers ---- */

/* histogram[c * stride + p] += how many of `samples` samples have numbers[s * stride + p] == c, for all p < stride, a
 * multiple of 64, and c < bins, which is more than any number. No sum runs over 255. */
void kith_bits_histograms(const uint8_t *numbers, size_t stride, uint32_t samples, uint32_t bins, uint8_t *histogram);

/* to[w] |= from[w]. Returns other than 0 if they shared a bit. */
uint64_t kith_bits_or(uint64_t *to, const uint64_t *from, size_t words);

#endif
