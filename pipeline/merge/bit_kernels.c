/* bit_kernels.c - see bit_kernels.h: the kernels for any processor, and what is made of kernels. */
#include "bit_kernels.h"

#include <string.h>

#include "cpu.h"
#include "transpose.h"

/* Words of layer-major sets that are counted together: those of a dozen layers fit the first cache. */
#define BLOCK_WORDS 256u

static uint32_t ones(uint64_t x)
{
	return (uint32_t)__builtin_popcountll(x);
}

/* ---- for any processor ---- */

KITH_CLONES static void portable_overlaps_slot_major(const uint64_t *x, uint32_t words, size_t step, uint32_t layers,
						     uint16_t *shared)
{
	memset(shared, 0, (size_t)layers * (layers - 1) / 2 * sizeof *shared);
	for (uint32_t w = 0; w < words; w++, x += step) {
		uint16_t *to = shared;
		for (uint32_t a = 0; a < layers; to += layers - 1 - a, a++)
			for (uint32_t b = a + 1; x[a] && b < layers; b++)
				to[b - a - 1] += (uint16_t)ones(x[a] & x[b]);
	}
}

KITH_CLONES static uint32_t portable_and_count(const uint64_t *x, const uint64_t *y, uint32_t words)
{
	uint32_t count = 0;
	for (uint32_t w = 0; w < words; w++)
		count += ones(x[w] & y[w]);
	return count;
}

static void portable_overlaps_layer_major(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers,
					  uint32_t *common)
{
	for (uint32_t a = 0; a < layers; a++, x += stride)
		for (uint32_t b = a + 1; b < layers; b++)
			*common++ += portable_and_count(x, x + (b - a) * stride, words);
}

KITH_CLONES static void portable_count_slot_major(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
						  uint64_t *count)
{
	for (uint32_t w = 0; w < words; w++)
		for (uint32_t v = 0; v < lanes; v++)
			count[v] += ones(x[w * step + v]);
}

KITH_CLONES static void portable_spans_slot_major(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
						  uint32_t layers, int64_t *span)
{
	for (uint32_t w = 0; w < words; w++, x += step)
		for (uint32_t a = 0; a < layers; a++) {
			uint64_t all = x[a];
			for (uint32_t s = 0; all; all = a + s < layers ? all & x[a + s] : 0) {
				span[(size_t)s * lanes + a] += ones(all);
				s++;
			}
		}
}

KITH_CLONES static uint64_t portable_and_into(uint64_t *all, const uint64_t *x, uint32_t words)
{
	uint64_t count = 0;
	for (uint32_t w = 0; w < words; w++) {
		all[w] &= x[w];
		count += ones(all[w]);
	}
	return count;
}

KITH_CLONES static void portable_transpose(uint64_t *to, const uint64_t *from)
{
	memmove(to, from, 64 * sizeof *to);
	kith_transpose(to);
}

/* Of masks of one word, as up to 32 layers have. No branch depends on a mask: half of them would be mispredicted. */
static int select_words(const kith_bits_masks *m, uint32_t node, uint64_t *rows, uint64_t *above, uint32_t found[2])
{
	const uint64_t *mask = m->mask, bits = m->row_bits;
	const uint32_t *id = m->id;
	uint32_t a = 0, b = 0, own = 0, count = m->count;
	for (uint32_t e = 0; e < count; e++) {
		uint64_t x = mask[e], row = x & bits;
		rows[a] = row;
		above[b] = x;
		own |= (row != 0) & (id[e] == node);
		a += row != 0;
		b += (x != 0) & (id[e] > node);
	}
	found[0] = a;
	found[1] = b;
	return own != 0;
}

int kith_bits_select_any(const kith_bits_masks *m, uint32_t node, uint64_t *rows, uint64_t *above, size_t stride,
			 uint32_t found[2])
{
	uint32_t a = 0, b = 0, own = 0;
	if (m->words == 1)
		return select_words(m, node, rows, above, found);
	for (uint32_t e = 0; e < m->count; e++) {
		uint64_t row = 0, reverse = 0;
		for (uint32_t w = 0; w < m->words; w++) {
			uint64_t x = m->mask[w * m->stride + e], in_row = w < m->row_words ? x & m->row_bits : 0;
			above[w * stride + b] = x;
			if (w < m->row_words)
				rows[w * m->stride + a] = in_row;
			row |= in_row;
			reverse |= x ^ in_row;
		}
		own |= (row != 0) & (m->id[e] == node);
		a += row != 0;
		b += ((row | reverse) != 0) & (m->id[e] > node);
	}
	found[0] = a;
	found[1] = b;
	return own != 0;
}

/* ---- the choice ---- */

const kith_bit_kernels *kith_bit_kernels_get(void)
{
	static const kith_bit_kernels portable = {
		.overlaps_slot_major = portable_overlaps_slot_major,
		.overlaps_layer_major = portable_overlaps_layer_major,
		.count_slot_major = portable_count_slot_major,
		.spans_slot_major = portable_spans_slot_major,
		.and_count = portable_and_count,
		.and_into = portable_and_into,
		.transpose = portable_transpose,
		.select = kith_bits_select_any,
	};
#ifdef KITH_AVX512
	if (kith_cpu() == KITH_CPU_AVX512)
		return &kith_bit_kernels_avx512;
#endif
	return &portable;
}

/* ---- made of kernels ---- */

void kith_bits_overlaps_layer_major(const kith_bit_kernels *kernels, const uint64_t *x, uint32_t words, size_t stride,
				    uint32_t layers, uint32_t *common)
{
	for (uint32_t from = 0; from < words; from += BLOCK_WORDS) {
		uint32_t here = words - from < BLOCK_WORDS ? words - from : BLOCK_WORDS;
		kernels->overlaps_layer_major(x + from, here, stride, layers, common);
	}
}

void kith_bits_count_layer_major(const kith_bit_kernels *kernels, const uint64_t *x, uint32_t words, size_t stride,
				 uint32_t layers, uint64_t *count)
{
	for (uint32_t v = 0; v < layers; v++, x += stride)
		count[v] += kernels->and_count(x, x, words);
}

static void spans_of_block(const kith_bit_kernels *kernels, const uint64_t *x, uint32_t words, size_t stride,
			   uint32_t layers, uint32_t lanes, int64_t *span)
{
	uint64_t all[BLOCK_WORDS];
	for (uint32_t a = 0; a < layers; a++) {
		uint64_t left = 1;
		memcpy(all, x + a * stride, words * sizeof *all);
		for (uint32_t s = 0; left && a + s < layers; s++) {
			left = kernels->and_into(all, x + (a + s) * stride, words);
			span[(size_t)s * lanes + a] += (int64_t)left;
		}
	}
}

void kith_bits_spans_layer_major(const kith_bit_kernels *kernels, const uint64_t *x, uint32_t words, size_t stride,
				 uint32_t layers, uint32_t lanes, int64_t *span)
{
	for (uint32_t from = 0; from < words; from += BLOCK_WORDS) {
		uint32_t here = words - from < BLOCK_WORDS ? words - from : BLOCK_WORDS;
		spans_of_block(kernels, x + from, here, stride, layers, lanes, span);
	}
}

/* ---- plain loops ---- */

KITH_CLONES static void hash_ids(const uint32_t *id, uint32_t count, uint32_t bits, uint16_t *hash)
{
	for (uint32_t e = 0; e < count; e++)
		hash[e] = (uint16_t)(id[e] * 2654435769u >> (32 - bits));
}

void kith_bits_hash(const uint32_t *id, uint32_t count, uint32_t bits, uint16_t *hash)
{
	hash_ids(id, count, bits, hash);
}

KITH_CLONES static uint64_t or_words(uint64_t *to, const uint64_t *from, size_t words)
{
	uint64_t shared = 0;
	for (size_t w = 0; w < words; w++) {
		shared |= to[w] & from[w];
		to[w] |= from[w];
	}
	return shared;
}

uint64_t kith_bits_or(uint64_t *to, const uint64_t *from, size_t words)
{
	return or_words(to, from, words);
}
