/* tile_kernels.c - see tile_kernels.h. The bounds of float_bounds.h and quantised.h hold for any order of summation and
 * for fused multiply-add alike, so this file alone is compiled with contraction on, for several kinds of processor. */
#include "tile_kernels.h"

#include <string.h>

#include "cpu.h"

#define TILE_ARGUMENTS const kith_side *a, const kith_side *b, uint32_t width, float *t, uint16_t *hits

/* For any processor. The products of the first and of the second values of pairs are summed apart, so that all lanes do
 * the same. */
static int tile_any(TILE_ARGUMENTS)
{
	uint32_t any = 0;
	for (int i = 0; i < 16; i++) {
		int32_t sum[32] = {0};
		int16_t x[32];
		uint32_t bits = 0;
		float factor = 2 * a->scale[i];
		for (uint32_t v = 0; v < width; v += 2) {
			const int16_t *y = b->q + 16 * v;
			for (int j = 0; j < 32; j += 2)
				memcpy(x + j, a->q + 16 * v + 2 * i, 2 * sizeof *x);
			for (int j = 0; j < 32; j++)
				sum[j] += x[j] * y[j];
		}
		for (int j = 0; j < 16; j++) {
			float here =
				(b->lo[j] + a->lo[i]) - factor * b->scale[j] * (float)(sum[2 * j] + sum[2 * j + 1]);
			t[16 * i + j] = here;
			bits |= (uint32_t)(here <= b->bound[j] || here <= a->bound[i]) << j;
		}
		hits[i] = (uint16_t)bits;
		any |= bits;
	}
	return any != 0;
}

#if defined(__x86_64__) && !defined(KITH_NO_CLONES)

#include <immintrin.h>

/* Sixteen rows at a time: a register each. */
__attribute__((target("avx512f,avx512vnni"))) static int tile_512(TILE_ARGUMENTS)
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

/* Four rows at a time: two registers each. */
__attribute__((target("avx2,fma"))) static int tile_256(TILE_ARGUMENTS)
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

int kith_tile(TILE_ARGUMENTS)
{
	static int have; /* every thread finds the same: a race is harmless */
	int level = __atomic_load_n(&have, __ATOMIC_RELAXED);
	if (!level) {
		int limit = kith_cpu_limit() < 0 ? KITH_CPU_AVX512 : kith_cpu_limit();
		int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
		level = wide && limit == KITH_CPU_AVX512 ? 3 : kith_cpu() >= KITH_CPU_AVX2 ? 2 : 1;
		__atomic_store_n(&have, level, __ATOMIC_RELAXED);
	}
	return level == 3   ? tile_512(a, b, width, t, hits)
	       : level == 2 ? tile_256(a, b, width, t, hits)
			    : tile_any(a, b, width, t, hits);
}

#else

int kith_tile(TILE_ARGUMENTS)
{
	return tile_any(a, b, width, t, hits);
}

#endif

/* Most groups of 16 have no hit. */
KITH_CLONES static uint32_t row_hits(const float *g, float lo, const float *lo_b, uint32_t count, float bound,
				     uint32_t *hits)
{
	uint32_t found = 0, i = 0;
	for (; i + 16 <= count; i += 16) {
		int any = 0;
		for (uint32_t j = i; j < i + 16; j++)
			any |= (lo + lo_b[j]) - 2 * g[j] <= bound;
		if (any)
			for (uint32_t j = i; j < i + 16; j++)
				if ((lo + lo_b[j]) - 2 * g[j] <= bound)
					hits[found++] = j;
	}
	for (; i < count; i++)
		if ((lo + lo_b[i]) - 2 * g[i] <= bound)
			hits[found++] = i;
	return found;
}

uint32_t kith_row_hits(const float *g, float lo, const float *lo_b, uint32_t count, float bound, uint32_t *hits)
{
	return row_hits(g, lo, lo_b, count, bound, hits);
}

KITH_CLONES static void gaps(const float *least_a, const float *most_a, const float *least_b, const float *most_b,
			     uint32_t dims, float *gap)
{
	float sum[16] = {0};
	for (uint32_t t = 0; t < dims; t++) {
		float least = least_a[16 * t], most = most_a[16 * t];
		for (uint32_t b = 0; b < 16; b++) {
			float below = least_b[16 * t + b] - most, above = least - most_b[16 * t + b];
			float apart = below > above ? below : above;
			apart = apart > 0 ? apart : 0;
			sum[b] += apart * apart;
		}
	}
	memcpy(gap, sum, sizeof sum);
}

void kith_gaps(const float *least_a, const float *most_a, const float *least_b, const float *most_b, uint32_t dims,
	       float *gap)
{
	gaps(least_a, most_a, least_b, most_b, dims, gap);
}

KITH_CLONES static void spread(const float *points, uint64_t n, uint32_t dims, uint64_t own, float *out)
{
	memset(out, 0, n * sizeof *out);
	for (uint32_t t = 0; t < dims; t++) {
		const float *x = points + t * n;
		float here = x[own];
		for (uint64_t i = 0; i < n; i++)
			out[i] += (x[i] - here) * (x[i] - here);
	}
}

void kith_spread(const float *points, uint64_t n, uint32_t dims, uint64_t own, float *out)
{
	spread(points, n, dims, own, out);
}

KITH_CLONES static void dot_4(const float *x, const float *const *y, uint32_t width, float *out)
{
	const float *a = y[0], *b = y[1], *c = y[2], *e = y[3];
	float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
	for (uint32_t t = 0; t < width; t++) {
		s0 += x[t] * a[t];
		s1 += x[t] * b[t];
		s2 += x[t] * c[t];
		s3 += x[t] * e[t];
	}
	out[0] = s0;
	out[1] = s1;
	out[2] = s2;
	out[3] = s3;
}

void kith_dots(const float *x, const float *const *y, uint32_t count, uint32_t width, float *out)
{
	uint32_t i = 0;
	for (; i + 4 <= count; i += 4)
		dot_4(x, y + i, width, out + i);
	if (i < count) { /* the last few: the same vectors again fill the four places */
		const float *four[4];
		float got[4];
		for (uint32_t j = 0; j < 4; j++)
			four[j] = y[i + j < count ? i + j : count - 1];
		dot_4(x, four, width, got);
		memcpy(out + i, got, (count - i) * sizeof *out);
	}
}
