/* tile_kernels.c - see tile_kernels.h. The bounds of float_bounds.h and quantised.h hold for any order of summation and
 * for fused multiply-add alike, so these kernels alone are compiled with contraction on. */
#include "tile_kernels.h"

#include <string.h>

#include "cpu.h"

/* The products of the first and of the second values of pairs are summed apart, so that all lanes do the same. */
static int tile_portable(const kith_tile_side *a, const kith_tile_side *b, uint32_t width, float *t, uint16_t *hits)
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

kith_tile_kernel kith_tile_kernel_best(void)
{
#if defined(__x86_64__)
	int limit = kith_cpu_limit(); /* the widest kernel needs less than KITH_AVX512 names */
	if ((limit < 0 || limit == KITH_CPU_AVX512) && __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512vnni"))
		return kith_tile_avx512;
	if (kith_cpu() >= KITH_CPU_AVX2)
		return kith_tile_avx2;
#endif
	return tile_portable;
}

/* Both in steps of four pairs: mostly that is enough to rule all sixteen out. */
#define STEP 4u

static uint32_t within(const int32_t *sum, int32_t limit)
{
	uint32_t bits = 0;
	for (uint32_t i = 0; i < 16; i++)
		bits |= (uint32_t)(sum[i] <= limit) << i;
	return bits;
}

static uint32_t near_portable(const int16_t *q, const int32_t *code, uint32_t pairs, int32_t limit)
{
	int32_t sum[16] = {0};
	uint32_t bits = 0xffff;
	for (uint32_t p = 0; p < pairs && bits; p++) {
		int16_t x[2];
		memcpy(x, code + p, sizeof x);
		for (uint32_t i = 0; i < 32; i++)
			sum[i / 2] += (q[32 * p + i] - x[i % 2]) * (q[32 * p + i] - x[i % 2]);
		bits = p + 1 == pairs || p % STEP == STEP - 1 ? within(sum, limit) : bits;
	}
	return bits;
}

static uint32_t gaps_portable(const int16_t *least, const int16_t *most, const int32_t *code, uint32_t pairs,
			      int32_t limit)
{
	int32_t sum[16] = {0};
	uint32_t bits = 0xffff;
	for (uint32_t p = 0; p < pairs && bits; p++) {
		int16_t x[2];
		memcpy(x, code + p, sizeof x);
		for (uint32_t i = 0; i < 32; i++) {
			int32_t below = least[32 * p + i] - x[i % 2], above = x[i % 2] - most[32 * p + i];
			int32_t gap = below > above ? below : above;
			/* lanes that only fill up wrap around, here as in the other kernels */
			sum[i / 2] = (int32_t)((uint32_t)sum[i / 2] + (gap > 0 ? (uint32_t)gap * (uint32_t)gap : 0));
		}
		bits = p + 1 == pairs || p % STEP == STEP - 1 ? within(sum, limit) : bits;
	}
	return bits;
}

kith_box_kernels kith_box_kernels_best(void)
{
#if defined(__x86_64__)
	if (kith_cpu() == KITH_CPU_AVX512)
		return (kith_box_kernels){kith_near_avx512, kith_gaps_avx512};
	if (kith_cpu() >= KITH_CPU_AVX2)
		return (kith_box_kernels){kith_near_avx2, kith_gaps_avx2};
#endif
	return (kith_box_kernels){near_portable, gaps_portable};
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

void kith_box_gaps(const float *least_a, const float *most_a, const float *least_b, const float *most_b, uint32_t dims,
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

void kith_distances_from(const float *points, uint64_t n, uint32_t dims, uint64_t own, float *out)
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

void kith_dot_products(const float *x, const float *const *y, uint32_t count, uint32_t width, float *out)
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
