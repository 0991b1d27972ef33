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

#endif
