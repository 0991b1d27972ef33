/* tile_kernels_avx2.c - kith_tile_avx2 of tile_kernels.h. */
#include "tile_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* Four rows at a time: two registers each. */
__attribute__((target("avx2,fma"))) int kith_tile_avx2(const kith_tile_side *a, const kith_tile_side *b, uint32_t width,
						       float *t, uint16_t *hits)
{
	const int32_t *all = (const int32_t *)(const void *)a->q;
	uint32_t any = 0;
	for (int i = 0; i < 16; i += 4) {
		__m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
		const __m256i *columns = (const __m256i *)(const void *)b->q;
		const int32_t *x = all + i, *end = x + 8 * width;
		for (; x < end; x += 16, columns += 2) { /* sums by name: as an array they are copied in every turn */
			__m256i y = _mm256_load_si256(columns), z = _mm256_load_si256(columns + 1);
			__m256i e = _mm256_set1_epi32(x[0]), f = _mm256_set1_epi32(x[1]);
			s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(e, y));
			s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(e, z));
			s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(f, y));
			s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(f, z));
			e = _mm256_set1_epi32(x[2]);
			f = _mm256_set1_epi32(x[3]);
			s4 = _mm256_add_epi32(s4, _mm256_madd_epi16(e, y));
			s5 = _mm256_add_epi32(s5, _mm256_madd_epi16(e, z));
			s6 = _mm256_add_epi32(s6, _mm256_madd_epi16(f, y));
			s7 = _mm256_add_epi32(s7, _mm256_madd_epi16(f, z));
		}
		const __m256i sum[8] = {s0, s1, s2, s3, s4, s5, s6, s7};
		for (int r = 0; r < 8; r++) {
			int row = i + r / 2, from = r % 2 * 8;
			__m256 factor =
				_mm256_mul_ps(_mm256_set1_ps(2 * a->scale[row]), _mm256_load_ps(b->scale + from));
			__m256 low = _mm256_add_ps(_mm256_load_ps(b->lo + from), _mm256_set1_ps(a->lo[row]));
			__m256 here = _mm256_fnmadd_ps(factor, _mm256_cvtepi32_ps(sum[r]), low);
			__m256 bound = _mm256_max_ps(_mm256_load_ps(b->bound + from), _mm256_set1_ps(a->bound[row]));
			uint32_t bits = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(here, bound, _CMP_LE_OQ));
			_mm256_store_ps(t + 16 * row + from, here);
			hits[row] = (uint16_t)(from ? hits[row] | bits << 8 : bits);
			any |= bits;
		}
	}
	return any != 0;
}

#define STEP 4u /* pairs: mostly that is enough to rule all sixteen out */

/* The lanes of eight that do not exceed the limit, twice. */
__attribute__((target("avx2,fma"))) static inline uint32_t within(__m256i s0, __m256i s1, __m256i limit)
{
	uint32_t low = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(s0, limit)));
	uint32_t high = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(s1, limit)));
	return ~(low | high << 8) & 0xffff;
}

__attribute__((target("avx2,fma"))) uint32_t kith_near_avx2(const int16_t *q, const int32_t *code, uint32_t pairs,
							    int32_t limit)
{
	const __m256i *y = (const __m256i *)(const void *)q, most = _mm256_set1_epi32(limit);
	__m256i s0 = _mm256_setzero_si256(), s1 = s0;
	uint32_t bits = 0xffff;
	for (uint32_t p = 0; p < pairs && bits; bits = within(s0, s1, most))
		for (uint32_t end = p + STEP < pairs ? p + STEP : pairs; p < end; p++) {
			__m256i x = _mm256_set1_epi32(code[p]);
			__m256i e = _mm256_sub_epi16(_mm256_load_si256(y + 2 * (size_t)p), x);
			__m256i f = _mm256_sub_epi16(_mm256_load_si256(y + 2 * (size_t)p + 1), x);
			s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(e, e));
			s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(f, f));
		}
	return bits;
}

/* How far x is below the least or above the most, one of which is 0. */
__attribute__((target("avx2,fma"))) static inline __m256i outside(const __m256i *least, const __m256i *most, __m256i x)
{
	return _mm256_or_si256(_mm256_subs_epu16(_mm256_load_si256(least), x),
			       _mm256_subs_epu16(x, _mm256_load_si256(most)));
}

__attribute__((target("avx2,fma"))) uint32_t kith_gaps_avx2(const int16_t *least, const int16_t *most,
							    const int32_t *code, uint32_t pairs, int32_t limit)
{
	const __m256i *low = (const __m256i *)(const void *)least, *high = (const __m256i *)(const void *)most;
	__m256i s0 = _mm256_setzero_si256(), s1 = s0, all = _mm256_set1_epi32(limit);
	uint32_t bits = 0xffff;
	for (uint32_t p = 0; p < pairs && bits; bits = within(s0, s1, all))
		for (uint32_t end = p + STEP < pairs ? p + STEP : pairs; p < end; p++) {
			size_t at = 2 * (size_t)p;
			__m256i x = _mm256_set1_epi32(code[p]);
			__m256i e = outside(low + at, high + at, x), f = outside(low + at + 1, high + at + 1, x);
			s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(e, e));
			s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(f, f));
		}
	return bits;
}

#endif
