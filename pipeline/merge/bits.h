/* bits.h - the inner loops of counting on sets of bits, one set for each layer.
 *
 * A set has `words` words of 64 slots. Sets lie in memory in one of two ways, each best where its name says:
 *   columns  few slots: word w of layer v is x[w * step + v]; layers are counted eight at a time, so there are `lanes`
 * of them, a multiple of 8, of which those from `layers` on are empty rows     many slots: word w of layer v is x[v *
 * stride + w]; words are counted eight at a time
 *
 * All are exact, and give the same on every processor. */
#ifndef KITH_BITS_H
#define KITH_BITS_H

#include <stddef.h>
#include <stdint.h>

/* How many slots layers a < b share. In columns, of at most 65,535 slots: shared[a * lanes + b] = that, and what stands
 * at b <= a or beyond the last layer means nothing. In rows: common[pair] += that; pairs row by row: (0,1), (0,2), ...,
 * (1,2), .... */
void kith_bits_overlaps_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
				uint16_t *shared);
void kith_bits_overlaps_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t *common);

/* count[v] += how many slots layer v has; in columns, for all lanes. */
void kith_bits_count_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint64_t *count);
void kith_bits_count_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint64_t *count);

/* chain[s * lanes + a] += how many slots are in all of the layers a..a+s; what stands at a + s >= layers means nothing.
 * At most KITH_BITS_CHAIN layers. */
#define KITH_BITS_CHAIN 32u
void kith_bits_chains_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
			      int64_t *chain);
void kith_bits_chains_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t lanes,
			   int64_t *chain);

/* kith_transpose (kith/transpose.h), faster where it can be. */
void kith_bits_transpose(uint64_t x[64]);

/* Of e in [from, to), those with rep[e] == e: appended to `below` where id[e] <= node, to `above` elsewhere. Each holds
 * `count` of them before, and afterwards, and has room for `to` and sixteen more. */
void kith_bits_firsts(const uint32_t *id, const uint16_t *rep, uint32_t from, uint32_t to, uint32_t node,
		      uint32_t *below, uint32_t *above, uint32_t count[2]);

/* to[w] |= from[w]. Returns other than 0 if they shared a bit. */
uint64_t kith_bits_or(uint64_t *to, const uint64_t *from, size_t words);

#endif
