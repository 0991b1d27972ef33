/* bits.c - see bits.h. Every loop stands here twice: for any processor, and for those that count the bits of eight
 * words at once. */
#include "bits.h"

#include <string.h>

#include "kith/cpu.h"
#include "kith/transpose.h"

/* Words of all layers' rows that are counted together: a dozen layers' fit the first cache. */
#define TOGETHER 256u

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

/* `registers` registers of layers at a time: a layer's word is loaded once for all of them. Where layers are many, most
 * of its words are empty. */
WIDE static inline __attribute__((always_inline)) void overlaps_some(const uint64_t *x, uint32_t words, size_t step,
								     uint32_t a, uint32_t from, int registers,
								     uint16_t *shared)
{
	__m512i sum[3] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
	for (uint32_t w = 0; w < words; w++, x += step) {
		if (registers == 3 && !x[a])
			continue;
		__m512i one = _mm512_set1_epi64((long long)x[a]);
		for (int r = 0; r < registers; r++)
			sum[r] = counted(sum[r], _mm512_and_si512(one, load(x + from + 8 * r)));
	}
	for (int r = 0; r < registers; r++)
		_mm_storeu_si128((void *)(shared + from + 8 * r), _mm512_cvtepi64_epi16(sum[r]));
}

WIDE static void overlaps_columns_512(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
				      uint16_t *shared)
{
	for (uint32_t a = 0; a + 1 < layers; a++, shared += lanes) {
		uint32_t from = (a + 1) & ~7u;
		for (; lanes - from >= 24; from += 24)
			overlaps_some(x, words, step, a, from, 3, shared);
		if (lanes - from == 16)
			overlaps_some(x, words, step, a, from, 2, shared);
		else if (lanes - from == 8)
			overlaps_some(x, words, step, a, from, 1, shared);
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

WIDE static void count_columns_512(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint64_t *count)
{
	for (uint32_t v = 0; v < lanes; v += 8) {
		__m512i sum = load(count + v);
		for (uint32_t w = 0; w < words; w++)
			sum = counted(sum, load(x + w * step + v));
		_mm512_storeu_si512((void *)(count + v), sum);
	}
}

/* All chains that start at eight layers grow by a layer together, until none has a slot left. */
WIDE static void chains_columns_512(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
				    int64_t *chain)
{
	uint64_t here[KITH_BITS_CHAIN + KITH_BITS_CHAIN + 8] = {0}; /* no layers follow the last */
	for (uint32_t w = 0; w < words; w++, x += step) {
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

/* Words in the two halves of pairs of registers. */
WIDE static void swap_registers(__m512i *a, __m512i *b, unsigned by, uint64_t mask)
{
	__m512i swap =
		_mm512_and_si512(_mm512_xor_si512(_mm512_srli_epi64(*a, by), *b), _mm512_set1_epi64((long long)mask));
	*b = _mm512_xor_si512(*b, swap);
	*a = _mm512_xor_si512(*a, _mm512_slli_epi64(swap, by));
}

/* The same for words of one register; `other` has each word's partner, and `upper` says which words are the second of
 * their pair. */
WIDE static __m512i swap_words(__m512i x, __m512i other, __mmask8 upper, unsigned by, uint64_t mask)
{
	__m512i m = _mm512_set1_epi64((long long)mask);
	__m512i low = _mm512_and_si512(_mm512_xor_si512(_mm512_srli_epi64(x, by), other), m);
	__m512i high = _mm512_and_si512(_mm512_xor_si512(_mm512_srli_epi64(other, by), x), m);
	return _mm512_xor_si512(x, _mm512_mask_mov_epi64(_mm512_slli_epi64(low, by), upper, high));
}

/* The steps of kith_transpose, with eight words to a register. */
WIDE static void transpose_512(uint64_t x[64])
{
	__m512i r[8];
	for (int i = 0; i < 8; i++)
		r[i] = load(x + 8 * i);
	for (int i = 0; i < 4; i++)
		swap_registers(&r[i], &r[i + 4], 32, 0x00000000ffffffffull);
	for (int i = 0; i < 8; i += 4) {
		swap_registers(&r[i], &r[i + 2], 16, 0x0000ffff0000ffffull);
		swap_registers(&r[i + 1], &r[i + 3], 16, 0x0000ffff0000ffffull);
	}
	for (int i = 0; i < 8; i += 2)
		swap_registers(&r[i], &r[i + 1], 8, 0x00ff00ff00ff00ffull);
	for (int i = 0; i < 8; i++) {
		__m512i y = r[i];
		y = swap_words(y, _mm512_shuffle_i64x2(y, y, 0x4e), 0xf0, 4, 0x0f0f0f0f0f0f0f0full);
		y = swap_words(y, _mm512_permutex_epi64(y, 0x4e), 0xcc, 2, 0x3333333333333333ull);
		y = swap_words(y, _mm512_permutex_epi64(y, 0xb1), 0xaa, 1, 0x5555555555555555ull);
		_mm512_storeu_si512((void *)(x + 8 * i), y);
	}
}

WIDE static void firsts_512(const uint32_t *id, const uint16_t *rep, uint32_t from, uint32_t to, uint32_t node,
			    uint32_t *below, uint32_t *above, uint32_t count[2])
{
	__m512i sixteen = _mm512_set1_epi32(16), limit = _mm512_set1_epi32((int)node);
	__m512i e = _mm512_add_epi32(_mm512_set1_epi32((int)from),
				     _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
	uint32_t b = count[0], a = count[1];
	for (; from < to; from += 16, e = _mm512_add_epi32(e, sixteen)) {
		__mmask16 here = to - from < 16 ? (__mmask16)((1u << (to - from)) - 1) : 0xffff;
		__m512i r = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(rep + from)));
		__mmask16 first = _mm512_mask_cmpeq_epi32_mask(here, r, e);
		__mmask16 up =
			_mm512_mask_cmpgt_epu32_mask(first, _mm512_loadu_si512((const void *)(id + from)), limit);
		__mmask16 down = first & (__mmask16)~up;
		_mm512_storeu_si512((void *)(below + b), _mm512_maskz_compress_epi32(down, e));
		_mm512_storeu_si512((void *)(above + a), _mm512_maskz_compress_epi32(up, e));
		b += ones(down);
		a += ones(up);
	}
	count[0] = b;
	count[1] = a;
}

#else

static int wide(void)
{
	return 0;
}
#define transpose_512(...)        ((void)0)
#define firsts_512(...)           ((void)0)
#define overlaps_columns_512(...) ((void)0)
#define shared_512(...)           0
#define count_columns_512(...)    ((void)0)
#define chains_columns_512(...)   ((void)0)
#define narrow_512(...)           0

#endif

/* ---- overlaps ---- */

KITH_CLONES static void overlaps_columns_any(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
					     uint32_t layers, uint16_t *shared)
{
	memset(shared, 0, (size_t)layers * lanes * sizeof *shared);
	for (uint32_t w = 0; w < words; w++, x += step)
		for (uint32_t a = 0; a < layers; a++)
			for (uint32_t b = a + 1; x[a] && b < layers; b++)
				shared[(size_t)a * lanes + b] += (uint16_t)ones(x[a] & x[b]);
}

void kith_bits_overlaps_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
				uint16_t *shared)
{
	if (wide())
		overlaps_columns_512(x, words, step, lanes, layers, shared);
	else
		overlaps_columns_any(x, words, step, lanes, layers, shared);
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
	for (uint32_t from = 0; from < words; from += TOGETHER) {
		uint32_t here = words - from < TOGETHER ? words - from : TOGETHER, *to = common;
		for (uint32_t a = 0; a < layers; a++) {
			const uint64_t *y = x + a * stride + from, *z = y + stride;
			for (uint32_t b = a + 1; b < layers; b++, z += stride)
				*to++ += fast ? shared_512(y, z, here) : shared_any(y, z, here);
		}
	}
}

/* ---- counts ---- */

KITH_CLONES static void count_columns_any(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
					  uint64_t *count)
{
	for (uint32_t w = 0; w < words; w++)
		for (uint32_t v = 0; v < lanes; v++)
			count[v] += ones(x[w * step + v]);
}

void kith_bits_count_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint64_t *count)
{
	if (wide())
		count_columns_512(x, words, step, lanes, count);
	else
		count_columns_any(x, words, step, lanes, count);
}

void kith_bits_count_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint64_t *count)
{
	int fast = wide();
	for (uint32_t v = 0; v < layers; v++)
		count[v] += fast ? shared_512(x + v * stride, x + v * stride, words)
				 : shared_any(x + v * stride, x + v * stride, words);
}

/* ---- chains ---- */

KITH_CLONES static void chains_columns_any(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
					   uint32_t layers, int64_t *chain)
{
	for (uint32_t w = 0; w < words; w++, x += step)
		for (uint32_t a = 0; a < layers; a++) {
			uint64_t all = x[a];
			for (uint32_t s = 0; all; all = a + s < layers ? all & x[a + s] : 0) {
				chain[(size_t)s * lanes + a] += ones(all);
				s++;
			}
		}
}

void kith_bits_chains_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes, uint32_t layers,
			      int64_t *chain)
{
	if (wide())
		chains_columns_512(x, words, step, lanes, layers, chain);
	else
		chains_columns_any(x, words, step, lanes, layers, chain);
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

static void chains_some(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t lanes,
			int64_t *chain, int fast)
{
	uint64_t all[TOGETHER];
	for (uint32_t a = 0; a < layers; a++) {
		uint64_t left = 1;
		memcpy(all, x + a * stride, words * sizeof *all);
		for (uint32_t s = 0; left && a + s < layers; s++) {
			left = fast ? narrow_512(all, x + (a + s) * stride, words)
				    : narrow_any(all, x + (a + s) * stride, words);
			chain[(size_t)s * lanes + a] += (int64_t)left;
		}
	}
}

void kith_bits_chains_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t lanes,
			   int64_t *chain)
{
	int fast = wide();
	for (uint32_t from = 0; from < words; from += TOGETHER)
		chains_some(x + from, words - from < TOGETHER ? words - from : TOGETHER, stride, layers, lanes, chain,
			    fast);
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

/* ---- slots ---- */

void kith_bits_transpose(uint64_t x[64])
{
	if (wide())
		transpose_512(x);
	else
		kith_transpose(x);
}

static void firsts_any(const uint32_t *id, const uint16_t *rep, uint32_t from, uint32_t to, uint32_t node,
		       uint32_t *below, uint32_t *above, uint32_t count[2])
{
	uint32_t b = count[0], a = count[1];
	for (; from < to; from++) { /* no branch that depends on an id: half of them would be foreseen wrongly */
		uint32_t is_first = rep[from] == from, is_above = id[from] > node;
		below[b] = above[a] = from;
		b += is_first & !is_above;
		a += is_first & is_above;
	}
	count[0] = b;
	count[1] = a;
}

void kith_bits_firsts(const uint32_t *id, const uint16_t *rep, uint32_t from, uint32_t to, uint32_t node,
		      uint32_t *below, uint32_t *above, uint32_t count[2])
{
	if (wide())
		firsts_512(id, rep, from, to, node, below, above, count);
	else
		firsts_any(id, rep, from, to, node, below, above, count);
}
