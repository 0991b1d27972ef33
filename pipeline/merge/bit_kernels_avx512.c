/* bit_kernels_avx512.c - the kernels of bit_kernels.h for processors that have AVX-512 with VPOPCNTDQ, VBMI, VBMI2 and
 * GFNI (KITH_AVX512, cpu.h): eight words are counted by one instruction. */
#include "bit_kernels.h"
#include "cpu.h"

#ifdef KITH_AVX512

#define SPAN_WORDS 4 /* words of slots whose spans are counted together, so that a count is loaded and stored once */

#include <immintrin.h>

KITH_AVX512 static __m512i load(const uint64_t *x)
{
	return _mm512_loadu_si512((const void *)x);
}

/* The first `words` words of eight, then zeros. */
KITH_AVX512 static __m512i load_some(const uint64_t *x, uint32_t words)
{
	return _mm512_maskz_loadu_epi64((__mmask8)((1u << words) - 1), (const void *)x);
}

KITH_AVX512 static __m512i add_ones(__m512i sum, __m512i x)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
}

/* The overlaps of layer a with the layers from `from` on, as many as `registers` registers of eight hold: a word of
 * layer a is loaded once for all of them. In stacks of many layers most of these words are empty, and skipped. */
KITH_AVX512 static inline __attribute__((always_inline)) void overlaps_some(const uint64_t *x, uint32_t words,
									    size_t step, uint32_t a, uint32_t from,
									    int registers, uint16_t *shared)
{
	__m512i sum[3] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
	for (uint32_t w = 0; w < words; w++, x += step) {
		if (registers == 3 && !x[a])
			continue;
		__m512i one = _mm512_set1_epi64((long long)x[a]);
		for (int r = 0; r < registers; r++)
			sum[r] = add_ones(sum[r], _mm512_and_si512(one, load(x + from + 8 * r)));
	}
	for (int r = 0; r < registers; r++)
		_mm_storeu_si128((void *)(shared + 8 * r), _mm512_cvtepi64_epi16(sum[r]));
}

/* Counts of lanes beyond the last layer are written too; the next pairs overwrite them. */
KITH_AVX512 static void overlaps_slot_major(const uint64_t *x, uint32_t words, size_t step, uint32_t layers,
					    uint16_t *shared)
{
	for (uint32_t a = 0; a + 1 < layers; a++) {
		uint32_t from = a + 1, left = layers - from;
		for (; left > 24; left -= 24, from += 24, shared += 24)
			overlaps_some(x, words, step, a, from, 3, shared);
		if (left > 16)
			overlaps_some(x, words, step, a, from, 3, shared);
		else if (left > 8)
			overlaps_some(x, words, step, a, from, 2, shared);
		else
			overlaps_some(x, words, step, a, from, 1, shared);
		shared += left;
	}
}

KITH_AVX512 static uint32_t and_count(const uint64_t *x, const uint64_t *y, uint32_t words)
{
	__m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
	uint32_t w = 0;
	for (; w + 16 <= words; w += 16)
		for (uint32_t r = 0; r < 2; r++)
			sum[r] = add_ones(sum[r], _mm512_and_si512(load(x + w + 8 * r), load(y + w + 8 * r)));
	for (; w < words; w += 8) {
		uint32_t left = words - w < 8 ? words - w : 8;
		sum[0] = add_ones(sum[0], _mm512_and_si512(load_some(x + w, left), load_some(y + w, left)));
	}
	return (uint32_t)_mm512_reduce_add_epi64(_mm512_add_epi64(sum[0], sum[1]));
}

/* common[s] += the bits that set x shares with each of `sets` sets from y on: a word of x is loaded once for all. */
KITH_AVX512 static inline __attribute__((always_inline)) void
and_counts(const uint64_t *x, const uint64_t *y, size_t stride, uint32_t words, int sets, uint32_t *common)
{
	__m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
			  _mm512_setzero_si512()};
	uint32_t w = 0;
	for (; w + 8 <= words; w += 8) {
		__m512i one = load(x + w);
		for (int s = 0; s < sets; s++)
			sum[s] = add_ones(sum[s], _mm512_and_si512(one, load(y + (size_t)s * stride + w)));
	}
	if (w < words) {
		__m512i one = load_some(x + w, words - w);
		for (int s = 0; s < sets; s++)
			sum[s] = add_ones(sum[s],
					  _mm512_and_si512(one, load_some(y + (size_t)s * stride + w, words - w)));
	}
	for (int s = 0; s < sets; s++)
		common[s] += (uint32_t)_mm512_reduce_add_epi64(sum[s]);
}

KITH_AVX512 static void overlaps_layer_major(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers,
					     uint32_t *common)
{
	for (uint32_t a = 0; a + 1 < layers; a++, x += stride) {
		const uint64_t *y = x + stride;
		uint32_t left = layers - 1 - a;
		for (; left >= 4; left -= 4, y += 4 * stride, common += 4)
			and_counts(x, y, stride, words, 4, common);
		for (; left; left--, y += stride, common++)
			and_counts(x, y, stride, words, 1, common);
	}
}

KITH_AVX512 static void count_slot_major(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
					 uint64_t *count)
{
	for (uint32_t v = 0; v < lanes; v += 8) {
		__m512i sum = load(count + v);
		for (uint32_t w = 0; w < words; w++)
			sum = add_ones(sum, load(x + w * step + v));
		_mm512_storeu_si512((void *)(count + v), sum);
	}
}

/* The spans that start at eight neighbouring layers a grow by one layer at a time, in `words` words at once, until all
 * of them are empty: `left` holds the slots that are in all of the layers a..a+s. */
KITH_AVX512 static inline __attribute__((always_inline)) void spans_some(const uint64_t *x, int words, size_t step,
									 uint32_t lanes, uint32_t layers, int64_t *span)
{
	uint64_t here[SPAN_WORDS][KITH_BITS_SPAN_LAYERS + KITH_BITS_SPAN_LAYERS + 8];
	__m512i left[SPAN_WORDS][KITH_BITS_SPAN_LAYERS / 8];
	_Static_assert(KITH_BITS_SPAN_LAYERS <= 64 * 8, "a bit for each register");
	uint64_t going = ~0ull >> (64 - lanes / 8);
	for (int w = 0; w < words; w++) {
		for (uint32_t v = 0; v < lanes; v += 8) {
			left[w][v / 8] = load(x + (size_t)w * step + v);
			_mm512_storeu_si512((void *)(here[w] + v), left[w][v / 8]);
		}
		for (uint32_t v = lanes; v < 2 * lanes; v += 8) /* layers after the last are empty */
			_mm512_storeu_si512((void *)(here[w] + v), _mm512_setzero_si512());
	}
	for (uint32_t s = 0; going && s < layers; s++)
		for (uint64_t rest = going; rest; rest &= rest - 1) {
			uint32_t group = (uint32_t)__builtin_ctzll(rest), a = 8 * group;
			int64_t *to = span + (size_t)s * lanes + a;
			__m512i sum = load((const uint64_t *)to), some = _mm512_setzero_si512();
			for (int w = 0; w < words; w++) {
				__m512i all = _mm512_and_si512(left[w][group], load(here[w] + a + s));
				left[w][group] = all;
				some = _mm512_or_si512(some, all);
				sum = add_ones(sum, all);
			}
			_mm512_storeu_si512((void *)to, sum);
			if (!_mm512_test_epi64_mask(some, some))
				going ^= 1ull << group;
		}
}

KITH_AVX512 static void spans_slot_major(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
					 uint32_t layers, int64_t *span)
{
	for (; words >= SPAN_WORDS; words -= SPAN_WORDS, x += SPAN_WORDS * step)
		spans_some(x, SPAN_WORDS, step, lanes, layers, span);
	for (; words; words--, x += step)
		spans_some(x, 1, step, lanes, layers, span);
}

KITH_AVX512 static uint64_t and_into(uint64_t *all, const uint64_t *x, uint32_t words)
{
	__m512i sum = _mm512_setzero_si512();
	uint32_t w = 0;
	for (; w + 8 <= words; w += 8) {
		__m512i both = _mm512_and_si512(load(all + w), load(x + w));
		_mm512_storeu_si512((void *)(all + w), both);
		sum = add_ones(sum, both);
	}
	if (w < words) {
		__m512i both = _mm512_and_si512(load_some(all + w, words - w), load_some(x + w, words - w));
		_mm512_mask_storeu_epi64((void *)(all + w), (__mmask8)((1u << (words - w)) - 1), both);
		sum = add_ones(sum, both);
	}
	return (uint64_t)_mm512_reduce_add_epi64(sum);
}

/* Byte j of qword i becomes byte i of qword j. */
KITH_AVX512 static __m512i transpose_bytes(__m512i x)
{
	const __m512i order =
		_mm512_set_epi8(63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21,
				13, 5, 60, 52, 44, 36, 28, 20, 12, 4, 59, 51, 43, 35, 27, 19, 11, 3, 58, 50, 42, 34, 26,
				18, 10, 2, 57, 49, 41, 33, 25, 17, 9, 1, 56, 48, 40, 32, 24, 16, 8, 0);
	return _mm512_permutexvar_epi8(order, x);
}

/* As above, with the bytes of each qword reversed, as transpose_bits needs them. */
KITH_AVX512 static __m512i transpose_bytes_reversed(__m512i x)
{
	const __m512i order =
		_mm512_set_epi8(7, 15, 23, 31, 39, 47, 55, 63, 6, 14, 22, 30, 38, 46, 54, 62, 5, 13, 21, 29, 37, 45, 53,
				61, 4, 12, 20, 28, 36, 44, 52, 60, 3, 11, 19, 27, 35, 43, 51, 59, 2, 10, 18, 26, 34, 42,
				50, 58, 1, 9, 17, 25, 33, 41, 49, 57, 0, 8, 16, 24, 32, 40, 48, 56);
	return _mm512_permutexvar_epi8(order, x);
}

/* Transposes the 8 x 8 bits of each qword, whose bytes are in reverse order: the instruction multiplies them, as a
 * matrix over GF(2), by the columns of the unit matrix. */
KITH_AVX512 static __m512i transpose_bits(__m512i x)
{
	return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)0x8040201008040201ull), x, 0);
}

/* Qword j of register i becomes qword i of register j. */
KITH_AVX512 static void transpose_qwords(__m512i r[8])
{
	__m512i t[8], u[8];
	for (int i = 0; i < 8; i += 2) {
		t[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
	}
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 8; j += 4) { /* 128 bits each: 0 and 2, 1 and 3 of both */
			u[j + i] = _mm512_shuffle_i64x2(t[j + i], t[j + i + 2], 0x88);
			u[j + i + 2] = _mm512_shuffle_i64x2(t[j + i], t[j + i + 2], 0xdd);
		}
	for (int i = 0; i < 4; i++) {
		r[i] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0x88);
		r[i + 4] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0xdd);
	}
}

/* Transposes the bytes within each register, then the bits within each qword, then the qwords across registers. */
KITH_AVX512 static void transpose(uint64_t *to, const uint64_t *x)
{
	__m512i r[8];
	for (int i = 0; i < 8; i++)
		r[i] = transpose_bits(transpose_bytes_reversed(load(x + 8 * i)));
	transpose_qwords(r);
	for (int i = 0; i < 8; i++)
		_mm512_storeu_si512((void *)(to + 8 * i), transpose_bytes(r[i]));
}

/* Of masks of one word, eight at a time. */
KITH_AVX512 static int select_masks(const kith_bits_masks *m, uint32_t node, uint64_t *rows, uint64_t *above,
				    size_t stride, uint32_t found[2])
{
	if (m->words > 1)
		return kith_bits_select_any(m, node, rows, above, stride, found);
	__m512i bits = _mm512_set1_epi64((long long)m->row_bits);
	__m256i limit = _mm256_set1_epi32((int)node);
	const uint64_t *mask = m->mask;
	const uint32_t *ids = m->id;
	uint32_t a = 0, b = 0, count = m->count, own = 0;
	for (uint32_t e = 0; e < count; e += 8) {
		__mmask8 here = count - e < 8 ? (__mmask8)((1u << (count - e)) - 1) : 0xff;
		__m256i id = _mm256_loadu_si256((const void *)(ids + e));
		__m512i x = load(mask + e);
		__mmask8 in_row = _mm512_mask_test_epi64_mask(here, x, bits);
		__mmask8 up = _mm512_mask_test_epi64_mask(_mm256_mask_cmpgt_epu32_mask(here, id, limit), x, x);
		own |= _mm256_mask_cmpeq_epi32_mask(in_row, id, limit);
		_mm512_storeu_si512((void *)(rows + a), _mm512_maskz_compress_epi64(in_row, _mm512_and_si512(x, bits)));
		_mm512_storeu_si512((void *)(above + b), _mm512_maskz_compress_epi64(up, x));
		a += (uint32_t)__builtin_popcount(in_row);
		b += (uint32_t)__builtin_popcount(up);
	}
	found[0] = a;
	found[1] = b;
	return own != 0;
}

const kith_bit_kernels kith_bit_kernels_avx512 = {
	.overlaps_slot_major = overlaps_slot_major,
	.overlaps_layer_major = overlaps_layer_major,
	.count_slot_major = count_slot_major,
	.spans_slot_major = spans_slot_major,
	.and_count = and_count,
	.and_into = and_into,
	.transpose = transpose,
	.select = select_masks,
};

#endif
