/* tile_kernels_avx512.c - kith_tile_avx512 of tile_kernels.h. */
#include "tile_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "cpu.h"

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

#define STEP 4u /* pairs: mostly that is enough to rule all sixteen out */

KITH_AVX512 uint32_t kith_near_avx512(const int16_t *q, const int32_t *code, uint32_t pairs, int32_t limit)
{
	__m512i sum = _mm512_setzero_si512(), most = _mm512_set1_epi32(limit);
	uint32_t bits = 0xffff;
	for (uint32_t p = 0; p < pairs && bits; bits = _mm512_cmple_epi32_mask(sum, most))
		for (uint32_t end = p + STEP < pairs ? p + STEP : pairs; p < end; p++) {
			__m512i e = _mm512_sub_epi16(_mm512_load_si512(q + 32 * (size_t)p), _mm512_set1_epi32(code[p]));
			sum = _mm512_add_epi32(sum, _mm512_madd_epi16(e, e));
		}
	return bits;
}

KITH_AVX512 uint32_t kith_gaps_avx512(const int16_t *least, const int16_t *most, const int32_t *code, uint32_t pairs,
				      int32_t limit)
{
	__m512i sum = _mm512_setzero_si512(), all = _mm512_set1_epi32(limit);
	uint32_t bits = 0xffff;
	for (uint32_t p = 0; p < pairs && bits; bits = _mm512_cmple_epi32_mask(sum, all))
		for (uint32_t end = p + STEP < pairs ? p + STEP : pairs; p < end; p++) {
			__m512i x = _mm512_set1_epi32(code[p]);
			__m512i below = _mm512_subs_epu16(_mm512_load_si512(least + 32 * (size_t)p), x);
			__m512i above = _mm512_subs_epu16(x, _mm512_load_si512(most + 32 * (size_t)p));
			__m512i e = _mm512_or_si512(below, above); /* one of them is 0 */
			sum = _mm512_add_epi32(sum, _mm512_madd_epi16(e, e));
		}
	return bits;
}

#endif
