/* tile_kernels_avx512.c - kith_tile_avx512 of tile_kernels.h. */
#include "tile_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* Sixteen rows at a time: a register each. */
__attribute__((target("avx512f,avx512vnni"))) int kith_tile_avx512(const kith_tile_side *a, const kith_tile_side *b,
								   uint32_t width, float *t, uint16_t *hits)
{
	__m512 low = _mm512_load_ps(b->lo), bound = _mm512_load_ps(b->bound), scale = _mm512_load_ps(b->scale);
	__m512i sum[16];
	const int32_t *x = (const int32_t *)(const void *)a->q;
	uint32_t any = 0;
	for (int i = 0; i < 16; i++)
		sum[i] = _mm512_setzero_si512();
	for (uint32_t v = 0; v < width / 2; v++) {
		__m512i y = _mm512_load_si512(b->q + 32 * v);
		for (int i = 0; i < 16; i++)
			sum[i] = _mm512_dpwssd_epi32(sum[i], _mm512_set1_epi32(x[16 * v + (uint32_t)i]), y);
	}
	for (int i = 0; i < 16; i++) {
		__m512 factor = _mm512_mul_ps(_mm512_set1_ps(2 * a->scale[i]), scale);
		__m512 here = _mm512_fnmadd_ps(factor, _mm512_cvtepi32_ps(sum[i]),
					       _mm512_add_ps(low, _mm512_set1_ps(a->lo[i])));
		_mm512_store_ps(t + 16 * i, here);
		hits[i] = _mm512_cmp_ps_mask(here, _mm512_max_ps(bound, _mm512_set1_ps(a->bound[i])), _CMP_LE_OQ);
		any |= hits[i];
	}
	return any != 0;
}

#endif
