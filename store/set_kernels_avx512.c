/* set_kernels_avx512.c - the kernels of set_kernels.h for processors with AVX-512. */
#include "set_kernels.h"

#include "cpu.h"

#ifdef KITH_AVX512
#include <immintrin.h>

KITH_AVX512 static uint64_t count_bits(const uint64_t *words, size_t count)
{
	__m512i sum = _mm512_setzero_si512();
	for (size_t w = 0; w < count; w += 8) {
		__mmask8 here = count - w < 8 ? (__mmask8)((1u << (count - w)) - 1) : 0xff;
		sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_maskz_loadu_epi64(here, words + w)));
	}
	return (uint64_t)_mm512_reduce_add_epi64(sum);
}

KITH_AVX512 static inline __attribute__((always_inline)) __m512i load_bytes(const uint8_t *bytes)
{
	return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)bytes));
}

/* What each of sixteen gaps from place i on, of those that `here` names, adds to the id before the first: the sum of
 * all up to it, each with 1 more, by adding what is 1, 2, 4 and 8 places before. */
KITH_AVX512 static inline __attribute__((always_inline)) __m512i sum_gaps(const uint8_t *const *planes, size_t i,
									  int width, __mmask16 here)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i x = load_bytes(planes[0] + i);
	if (width > 1)
		x = _mm512_or_si512(x, _mm512_slli_epi32(load_bytes(planes[1] + i), 8));
	if (width > 2)
		x = _mm512_or_si512(x, _mm512_slli_epi32(load_bytes(planes[2] + i), 16));
	x = _mm512_maskz_add_epi32(here, x, _mm512_set1_epi32(1));
	x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 15));
	x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 14));
	x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 12));
	return _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 8));
}

/* One set. Neither the sums of sixteen gaps of three bytes nor `next` can wrap around, so only the last id, which is
 * the largest, has to be looked at. */
KITH_AVX512 static inline __attribute__((always_inline)) int
unpack_set(const uint8_t *const *planes, int width, size_t from, size_t to, uint64_t next, uint64_t n, uint32_t *ids)
{
	for (size_t i = from; i < to; i += 16) {
		__mmask16 here = to - i < 16 ? (__mmask16)((1u << (to - i)) - 1) : 0xffff;
		__m512i x = sum_gaps(planes, i, width, here);
		_mm512_storeu_si512((void *)(ids + i), _mm512_add_epi32(x, _mm512_set1_epi32((int)(next - 1))));
		next += (uint32_t)_mm512_cvtsi512_si32(_mm512_alignr_epi32(x, x, 15));
	}
	return next > n;
}

KITH_AVX512 static inline __attribute__((always_inline)) int unpack_sets(const uint8_t *const *planes, int width,
									 const uint64_t *offset, size_t sets,
									 uint64_t base, uint64_t step, uint64_t n,
									 uint32_t *ids)
{
	int bad = 0;
	for (size_t r = 0; r < sets; r++, base += step)
		bad |= offset[r] < offset[r + 1] && unpack_set(planes, width, offset[r], offset[r + 1], base, n, ids);
	return bad;
}

/* The width is a constant of each loop. */
KITH_AVX512 static int unpack(const uint8_t *const *planes, int width, const uint64_t *offset, size_t sets,
			      uint64_t base, uint64_t step, uint64_t n, uint32_t *ids)
{
	return width == 1   ? unpack_sets(planes, 1, offset, sets, base, step, n, ids)
	       : width == 2 ? unpack_sets(planes, 2, offset, sets, base, step, n, ids)
			    : unpack_sets(planes, 3, offset, sets, base, step, n, ids);
}

const kith_set_kernels kith_set_kernels_avx512 = {.count_bits = count_bits, .unpack = unpack, .pick = kith_pick_avx2};
#endif
