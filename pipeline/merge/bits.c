/* bits.c - see bits.h. Every loop stands here twice: for any processor, and for those that count the bits of eight
 * words at once. */
#include "bits.h"

#include <string.h>

#include "kith/cpu.h"

static uint32_t ones(uint64_t x)
{
	return (uint32_t)__builtin_popcountll(x);
}

#if defined(__x86_64__) && !defined(KITH_NO_CLONES)

#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512vpopcntdq")))

static int wide(void)
{
	static int have; /* every thread finds the same: a race is harmless */
	int level = __atomic_load_n(&have, __ATOMIC_RELAXED);
	if (!level) {
		level = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq") ? 2 : 1;
		__atomic_store_n(&have, level, __ATOMIC_RELAXED);
	}
	return level == 2;
}

WIDE static __m512i load(const uint64_t *x)
{
	return _mm512_loadu_si512((const void *)x);
}

/* The first `words` of eight. */
WIDE static __m512i load_some(const uint64_t *x, uint32_t words)
{
	return _mm512_maskz_loadu_epi64((__mmask8)((1u << words) - 1), (const void *)x);
}

WIDE static __m512i counted(__m512i sum, __m512i x)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
}

/* Three registers of layers at a time: a layer's word is loaded once for 24 others. */
WIDE static void overlaps_columns_512(const uint64_t *x, uint32_t words, uint32_t lanes, uint32_t layers,
				      uint32_t *common)
{
	for (uint32_t a = 0; a + 1 < layers; common += layers - 1 - a, a++)
		for (uint32_t from = (a + 1) & ~7u; from < layers; from += 24) {
			uint32_t left = lanes - from;
			__m512i sum[3] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
			uint64_t count[24];
			const uint64_t *at = x;
			if (left >= 24)
				for (uint32_t w = 0; w < words; w++, at += lanes) {
					__m512i one = _mm512_set1_epi64((long long)at[a]);
					for (int r = 0; r < 3; r++)
						sum[r] =
							counted(sum[r], _mm512_and_si512(one, load(at + from + 8 * r)));
				}
			else if (left == 16)
				for (uint32_t w = 0; w < words; w++, at += lanes) {
					__m512i one = _mm512_set1_epi64((long long)at[a]);
					for (int r = 0; r < 2; r++)
						sum[r] =
							counted(sum[r], _mm512_and_si512(one, load(at + from + 8 * r)));
				}
			else
				for (uint32_t w = 0; w < words; w++, at += lanes)
					sum[0] = counted(sum[0], _mm512_and_si512(_mm512_set1_epi64((long long)at[a]),
										  load(at + from)));
			for (int r = 0; r < 3; r++)
				_mm512_storeu_si512((void *)(count + 8 * r), sum[r]);
			uint32_t first = a + 1 > from ? a + 1 : from, end = layers - from < 24 ? layers : from + 24;
			for (uint32_t b = first; b < end; b++)
				common[b - a - 1] += (uint32_t)count[b - from];
		}
}

WIDE static uint32_t shared_512(const uint64_t *x, const uint64_t *y, uint32_t words)
{
	__m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
	uint32_t w = 0;
	for (; w + 16 <= words; w += 16)
		for (uint32_t r = 0; r < 2; r++)
			sum[r] = counted(sum[r], _mm512_and_si512(load(x + w + 8 * r), load(y + w + 8 * r)));
	for (; w < words; w += 8) {
		uint32_t left = words - w < 8 ? words - w : 8;
		sum[0] = counted(sum[0], _mm512_and_si512(load_some(x + w, left), load_some(y + w, left)));
	}
	return (uint32_t)_mm512_reduce_add_epi64(_mm512_add_epi64(sum[0], sum[1]));
}

WIDE static void count_columns_512(const uint64_t *x, uint32_t words, uint32_t lanes, uint64_t *count)
{
	for (uint32_t v = 0; v < lanes; v += 8) {
		__m512i sum = load(count + v);
		for (uint32_t w = 0; w < words; w++)
			sum = counted(sum, load(x + (size_t)w * lanes + v));
		_mm512_storeu_si512((void *)(count + v), sum);
	}
}

/* All chains that start at eight layers grow by a layer together, until none has a slot left. */
WIDE static void chains_columns_512(const uint64_t *x, uint32_t words, uint32_t lanes, uint32_t layers, int64_t *chain)
{
	uint64_t here[KITH_BITS_CHAIN + KITH_BITS_CHAIN + 8] = {0}; /* no layers follow the last */
	for (uint32_t w = 0; w < words; w++, x += lanes) {
		__m512i left[KITH_BITS_CHAIN / 8];
		__mmask8 any = 1;
		for (uint32_t v = 0; v < lanes; v += 8) {
			left[v / 8] = load(x + v);
			_mm512_storeu_si512((void *)(here + v), left[v / 8]);
		}
		for (uint32_t s = 0; any && s < layers; s++) {
			any = 0;
			for (uint32_t a = 0; a + s < layers; a += 8) {
				int64_t *to = chain + (size_t)s * lanes + a;
				__m512i all = _mm512_and_si512(left[a / 8], load(here + a + s));
				left[a / 8] = all;
				any |= _mm512_test_epi64_mask(all, all);
				_mm512_storeu_si512((void *)to, counted(load((const uint64_t *)to), all));
			}
		}
	}
}

/* all[] &= x[]; how many bits are left. */
WIDE static uint64_t narrow_512(uint64_t *all, const uint64_t *x, uint32_t words)
{
	__m512i sum = _mm512_setzero_si512();
	uint32_t w = 0;
	for (; w + 8 <= words; w += 8) {
		__m512i both = _mm512_and_si512(load(all + w), load(x + w));
		_mm512_storeu_si512((void *)(all + w), both);
		sum = counted(sum, both);
	}
	if (w < words) {
		__m512i both = _mm512_and_si512(load_some(all + w, words - w), load_some(x + w, words - w));
		_mm512_mask_storeu_epi64((void *)(all + w), (__mmask8)((1u << (words - w)) - 1), both);
		sum = counted(sum, both);
	}
	return (uint64_t)_mm512_reduce_add_epi64(sum);
}

#else

static int wide(void)
{
	return 0;
}
#define overlaps_columns_512(...) ((void)0)
#define shared_512(...)           0
#define count_columns_512(...)    ((void)0)
#define chains_columns_512(...)   ((void)0)
#define narrow_512(...)           0

#endif

/* ---- overlaps ---- */

KITH_CLONES static void overlaps_columns_any(const uint64_t *x, uint32_t words, uint32_t lanes, uint32_t layers,
					     uint32_t *common)
{
	for (uint32_t w = 0; w < words; w++, x += lanes) {
		uint32_t *to = common;
		for (uint32_t a = 0; a < layers; a++) {
			if (x[a])
				for (uint32_t b = a + 1; b < layers; b++)
					to[b - a - 1] += ones(x[a] & x[b]);
			to += layers - 1 - a;
		}
	}
}

void kith_bits_overlaps_columns(const uint64_t *x, uint32_t words, uint32_t lanes, uint32_t layers, uint32_t *common)
{
	if (wide())
		overlaps_columns_512(x, words, lanes, layers, common);
	else
		overlaps_columns_any(x, words, lanes, layers, common);
}

KITH_CLONES static uint32_t shared_any(const uint64_t *x, const uint64_t *y, uint32_t words)
{
	uint32_t count = 0;
	for (uint32_t w = 0; w < words; w++)
		count += ones(x[w] & y[w]);
	return count;
}

void kith_bits_overlaps_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t *common)
{
	int fast = wide();
	for (uint32_t a = 0; a < layers; a++)
		for (uint32_t b = a + 1; b < layers; b++)
			*common++ += fast ? shared_512(x + a * stride, x + b * stride, words)
					  : shared_any(x + a * stride, x + b * stride, words);
}

/* ---- counts ---- */

KITH_CLONES static void count_columns_any(const uint64_t *x, uint32_t words, uint32_t lanes, uint64_t *count)
{
	for (uint32_t w = 0; w < words; w++)
		for (uint32_t v = 0; v < lanes; v++)
			count[v] += ones(x[(size_t)w * lanes + v]);
}

void kith_bits_count_columns(const uint64_t *x, uint32_t words, uint32_t lanes, uint64_t *count)
{
	if (wide())
		count_columns_512(x, words, lanes, count);
	else
		count_columns_any(x, words, lanes, count);
}

void kith_bits_count_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint64_t *count)
{
	int fast = wide();
	for (uint32_t v = 0; v < layers; v++)
		count[v] += fast ? shared_512(x + v * stride, x + v * stride, words)
				 : shared_any(x + v * stride, x + v * stride, words);
}

/* ---- chains ---- */

KITH_CLONES static void chains_columns_any(const uint64_t *x, uint32_t words, uint32_t lanes, uint32_t layers,
					   int64_t *chain)
{
	for (uint32_t w = 0; w < words; w++, x += lanes)
		for (uint32_t a = 0; a < layers; a++) {
			uint64_t all = x[a];
			for (uint32_t s = 0; all; all = a + s < layers ? all & x[a + s] : 0) {
				chain[(size_t)s * lanes + a] += ones(all);
				s++;
			}
		}
}

void kith_bits_chains_columns(const uint64_t *x, uint32_t words, uint32_t lanes, uint32_t layers, int64_t *chain)
{
	if (wide())
		chains_columns_512(x, words, lanes, layers, chain);
	else
		chains_columns_any(x, words, lanes, layers, chain);
}

KITH_CLONES static uint64_t narrow_any(uint64_t *all, const uint64_t *x, uint32_t words)
{
	uint64_t count = 0;
	for (uint32_t w = 0; w < words; w++) {
		all[w] &= x[w];
		count += ones(all[w]);
	}
	return count;
}

void kith_bits_chains_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t lanes,
			   int64_t *chain, uint64_t *scratch)
{
	int fast = wide();
	for (uint32_t a = 0; a < layers; a++) {
		uint64_t left = 1;
		memcpy(scratch, x + a * stride, words * sizeof *scratch);
		for (uint32_t s = 0; left && a + s < layers; s++) {
			left = fast ? narrow_512(scratch, x + (a + s) * stride, words)
				    : narrow_any(scratch, x + (a + s) * stride, words);
			chain[(size_t)s * lanes + a] += (int64_t)left;
		}
	}
}

KITH_CLONES static uint64_t or_any(uint64_t *to, const uint64_t *from, size_t words)
{
	uint64_t shared = 0;
	for (size_t w = 0; w < words; w++) {
		shared |= to[w] & from[w];
		to[w] |= from[w];
	}
	return shared;
}

uint64_t kith_bits_or(uint64_t *to, const uint64_t *from, size_t words)
{
	return or_any(to, from, words);
}
