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
		__m256i sum[8];
		for (int r = 0; r < 8; r++)
			sum[r] = _mm256_setzero_si256();
		for (uint32_t v = 0; v < width / 2; v++) {
			const __m256i *columns = (const __m256i *)(const void *)(b->q + 32 * v);
			__m256i y = _mm256_load_si256(columns), z = _mm256_load_si256(columns + 1);
			for (int r = 0; r < 4; r++) {
				__m256i x = _mm256_set1_epi32(all[16 * v + (uint32_t)(i + r)]);
				sum[2 * r] = _mm256_add_epi32(sum[2 * r], _mm256_madd_epi16(x, y));
				sum[2 * r + 1] = _mm256_add_epi32(sum[2 * r + 1], _mm256_madd_epi16(x, z));
			}
		}
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
