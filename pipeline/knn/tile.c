/* tile.c - see tile.h. The bounds of screen.h hold for any order of summation and for fused multiply-add alike, so this
 * file alone is compiled with contraction on, for three kinds of processor. */
#include "tile.h"

#include <string.h>

#include "kith/cpu.h"

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t flags __attribute__((vector_size(64)));

/* `rows` rows of block a at a time: as many sums as the processor has registers for. */
static inline __attribute__((always_inline)) void products(const float *a, const lanes *b, uint32_t width, int rows,
							   lanes *out)
{
	lanes sum[16];
	for (int i = 0; i < rows; i++)
		sum[i] = (lanes){0};
	for (uint32_t t = 0; t < width; t++) {
		lanes y = b[t];
		for (int i = 0; i < rows; i++)
			sum[i] += y * a[t * 16 + (uint32_t)i];
	}
	for (int i = 0; i < rows; i++)
		out[i] = sum[i];
}

static inline __attribute__((always_inline)) int tile(const float *a, const float *b, uint32_t width, const float *lo_a,
						      const float *lo_b, const float *bound_a, const float *bound_b,
						      float *t, uint16_t *hits, int rows)
{
	const lanes *columns = (const lanes *)b;
	lanes *out = (lanes *)t, low = *(const lanes *)lo_b, bound = *(const lanes *)bound_b;
	flags any = {0};
	for (int i = 0; i < 16; i += rows)
		products(a + i, columns, width, rows, out + i);
	for (int i = 0; i < 16; i++) {
		out[i] = (low + lo_a[i]) - 2 * out[i];
		any |= (out[i] <= bound) | (out[i] <= bound_a[i]);
	}
	int found = 0;
	for (int j = 0; j < 16; j++)
		found |= any[j];
	if (!found)
		return 0;
	for (int i = 0; i < 16; i++) {
		flags hit = (out[i] <= bound) | (out[i] <= bound_a[i]);
		uint32_t bits = 0;
		for (int j = 0; j < 16; j++)
			bits |= (uint32_t)hit[j] & 1u << j;
		hits[i] = (uint16_t)bits;
	}
	return 1;
}

#define TILE_ARGUMENTS                                                                                                 \
	const float *a, const float *b, uint32_t width, const float *lo_a, const float *lo_b, const float *bound_a,    \
		const float *bound_b, float *t, uint16_t *hits

#if defined(__x86_64__) && !defined(KITH_NO_CLONES)

#include <immintrin.h>

__attribute__((target("avx512f"))) static int tile_512(TILE_ARGUMENTS)
{
	lanes *out = (lanes *)t;
	__m512 low = _mm512_load_ps(lo_b), bound = _mm512_load_ps(bound_b), two = _mm512_set1_ps(2);
	uint32_t any = 0;
	products(a, (const lanes *)b, width, 16, out);
	for (int i = 0; i < 16; i++) {
		__m512 v =
			_mm512_fnmadd_ps(two, _mm512_load_ps(t + 16 * i), _mm512_add_ps(low, _mm512_set1_ps(lo_a[i])));
		_mm512_store_ps(t + 16 * i, v);
		hits[i] = _mm512_cmp_ps_mask(v, _mm512_max_ps(bound, _mm512_set1_ps(bound_a[i])), _CMP_LE_OQ);
		any |= hits[i];
	}
	return any != 0;
}

__attribute__((target("avx2,fma"))) static int tile_256(TILE_ARGUMENTS)
{
	return tile(a, b, width, lo_a, lo_b, bound_a, bound_b, t, hits, 4);
}

int kith_tile(TILE_ARGUMENTS)
{
	static int have; /* every thread finds the same: a race is harmless */
	int level = __atomic_load_n(&have, __ATOMIC_RELAXED);
	if (!level) {
		level = __builtin_cpu_supports("avx512f")                                 ? 3
			: __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 2
											  : 1;
		__atomic_store_n(&have, level, __ATOMIC_RELAXED);
	}
	return level == 3   ? tile_512(a, b, width, lo_a, lo_b, bound_a, bound_b, t, hits)
	       : level == 2 ? tile_256(a, b, width, lo_a, lo_b, bound_a, bound_b, t, hits)
			    : tile(a, b, width, lo_a, lo_b, bound_a, bound_b, t, hits, 2);
}

#else

int kith_tile(TILE_ARGUMENTS)
{
	return tile(a, b, width, lo_a, lo_b, bound_a, bound_b, t, hits, 2);
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
