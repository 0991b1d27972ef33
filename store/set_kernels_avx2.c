/* set_kernels_avx2.c - the kernels of set_kernels.h for processors with AVX2. */
#include "set_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2        __attribute__((target("avx2,popcnt")))
#define AVX2_INLINE AVX2 static inline __attribute__((always_inline))

AVX2 static uint64_t count_bits(const uint64_t *words, size_t count)
{
	uint64_t found = 0;
	for (size_t w = 0; w < count; w++)
		found += (uint64_t)__builtin_popcountll(words[w]);
	return found;
}

AVX2_INLINE __m128i load_bytes(const uint8_t *bytes)
{
	return _mm_loadl_epi64((const void *)bytes);
}

/* Eight gaps from place i on. */
AVX2_INLINE __m256i load_gaps(const uint8_t *const *planes, int width, size_t i)
{
	if (width == 1)
		return _mm256_cvtepu8_epi32(load_bytes(planes[0] + i));
	__m256i x = _mm256_cvtepu16_epi32(_mm_unpacklo_epi8(load_bytes(planes[0] + i), load_bytes(planes[1] + i)));
	if (width == 2)
		return x;
	return _mm256_or_si256(x, _mm256_slli_epi32(_mm256_cvtepu8_epi32(load_bytes(planes[2] + i)), 16));
}

/* The sum of each and all before it. */
AVX2_INLINE __m256i sums(__m256i x)
{
	x = _mm256_add_epi32(x, _mm256_slli_si256(x, 4));
	x = _mm256_add_epi32(x, _mm256_slli_si256(x, 8));
	__m256i low = _mm256_shuffle_epi32(_mm256_permute2x128_si256(x, x, 0x08), 0xff); /* the lower half's, and 0 */
	return _mm256_add_epi32(x, low);
}

/* One set. The sums of eight gaps of three bytes cannot wrap around, nor can `next`, so only the last id, which is the
 * largest, has to be looked at. */
AVX2_INLINE int unpack_set(const uint8_t *const *planes, int width, size_t from, size_t to, uint64_t next, uint64_t n,
			   uint32_t *ids)
{
	const __m256i one = _mm256_set1_epi32(1), places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	for (size_t i = from; i < to; i += 8) {
		__m256i x = _mm256_add_epi32(load_gaps(planes, width, i), one);
		if (to - i < 8)
			x = _mm256_and_si256(x, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(to - i)), places));
		x = sums(x);
		_mm256_storeu_si256((void *)(ids + i), _mm256_add_epi32(x, _mm256_set1_epi32((int)(next - 1))));
		next += (uint32_t)_mm256_extract_epi32(x, 7);
	}
	return next > n;
}

AVX2_INLINE int unpack_sets(const uint8_t *const *planes, int width, const uint64_t *offset, size_t sets, uint64_t base,
			    uint64_t step, uint64_t n, uint32_t *ids)
{
	int bad = 0;
	for (size_t r = 0; r < sets; r++, base += step)
		bad |= offset[r] < offset[r + 1] && unpack_set(planes, width, offset[r], offset[r + 1], base, n, ids);
	return bad;
}

/* The width is a constant of each loop. */
AVX2 static int unpack(const uint8_t *const *planes, int width, const uint64_t *offset, size_t sets, uint64_t base,
		       uint64_t step, uint64_t n, uint32_t *ids)
{
	return width == 1   ? unpack_sets(planes, 1, offset, sets, base, step, n, ids)
	       : width == 2 ? unpack_sets(planes, 2, offset, sets, base, step, n, ids)
			    : unpack_sets(planes, 3, offset, sets, base, step, n, ids);
}

/* For each eight bits the numbers of those that are set, ascending, a byte each. */
#define BEFORE(m)   ((m & 1) + (m >> 1 & 1) + (m >> 2 & 1) + (m >> 3 & 1) + (m >> 4 & 1) + (m >> 5 & 1) + (m >> 6 & 1))
#define PLACE(m, i) ((uint64_t)((m) >> (i)&1 ? (i) : 0) << 8 * BEFORE(((m) & ((1 << (i)) - 1))))
#define ROW1(m)     (PLACE(m, 1) | PLACE(m, 2) | PLACE(m, 3) | PLACE(m, 4) | PLACE(m, 5) | PLACE(m, 6) | PLACE(m, 7))
#define ROW4(m)     ROW1(m), ROW1(m + 1), ROW1(m + 2), ROW1(m + 3)
#define ROW16(m)    ROW4(m), ROW4(m + 4), ROW4(m + 8), ROW4(m + 12)
#define ROW64(m)    ROW16(m), ROW16(m + 16), ROW16(m + 32), ROW16(m + 48)
static const uint64_t set_places[256] = {ROW64(0), ROW64(64), ROW64(128), ROW64(192)};

AVX2 size_t kith_pick_avx2(const uint32_t *from, const uint8_t *which, size_t count, uint32_t *to)
{
	size_t at = 0;
	for (size_t i = 0; i < count; i += 8) {
		__m128i here = _mm_sub_epi8(_mm_setzero_si128(), load_bytes(which + i)); /* the sign is the bit */
		unsigned bits = (unsigned)_mm_movemask_epi8(here);
		__m256i places = _mm256_cvtepu8_epi32(load_bytes((const uint8_t *)&set_places[bits]));
		__m256i x = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const void *)(from + i)), places);
		_mm256_storeu_si256((void *)(to + at), x);
		at += (size_t)__builtin_popcount(bits);
	}
	return at;
}

const kith_set_kernels kith_set_kernels_avx2 = {.count_bits = count_bits, .unpack = unpack, .pick = kith_pick_avx2};
#endif
