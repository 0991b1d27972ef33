/* bit_kernels.c - see bit_kernels.h. What counts stands here twice: for any processor, and for those that count the
 * bits of eight words at once. */
#include "bit_kernels.h"

#include <string.h>

#include "cpu.h"
#include "transpose.h"

/* Words of all layers' rows that are counted together: a dozen layers' fit the first cache. */
#define TOGETHER 256u
/* Words of columns whose chains are counted together: what has been counted is loaded and stored once for all. */
#define CHAINED 4
static uint32_t ones(uint64_t x)
{
	return (uint32_t)__builtin_popcountll(x);
}

#ifdef KITH_AVX512

#include <immintrin.h>

KITH_AVX512 static __m512i load(const uint64_t *x)
{
	return _mm512_loadu_si512((const void *)x);
}

/* The first `words` of eight. */
KITH_AVX512 static __m512i load_some(const uint64_t *x, uint32_t words)
{
	return _mm512_maskz_loadu_epi64((__mmask8)((1u << words) - 1), (const void *)x);
}

KITH_AVX512 static __m512i counted(__m512i sum, __m512i x)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
}

/* Layer a and those from `from` on, `registers` registers of eight: a layer's word is loaded once for all of them.
 * Where layers are many, most of its words are empty. */
KITH_AVX512 static inline __attribute__((always_inline)) void overlaps_some(const uint64_t *x, uint32_t words,
									    size_t step, uint32_t a, uint32_t from,
									    int registers, uint16_t *shared)
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
		_mm_storeu_si128((void *)(shared + 8 * r), _mm512_cvtepi64_epi16(sum[r]));
}

/* What is beyond the last layer is written over by the next pairs. */
KITH_AVX512 static void overlaps_columns_512(const uint64_t *x, uint32_t words, size_t step, uint32_t layers,
					     uint16_t *shared)
{
	for (uint32_t a = 0; a + 1 < layers; a++) {
		uint32_t from = a + 1, left = layers - from;
		for (; left > 24; left -= 24, from += 24, shared += 24)
			overlaps_some(x, words, step, a, from, 3, shared);
		if (left > 16)
			overlaps_some(x, words, step, a, from, 3, shared);
		else if (left > 8)
			overlaps_some(x, words, step, a, from, 2, shared);
		else
			overlaps_some(x, words, step, a, from, 1, shared);
		shared += left;
	}
}

KITH_AVX512 static uint32_t shared_512(const uint64_t *x, const uint64_t *y, uint32_t words)
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

/* One set with `sets` others: its words are loaded once for all of them. */
KITH_AVX512 static inline __attribute__((always_inline)) void
shared_some(const uint64_t *x, const uint64_t *y, size_t stride, uint32_t words, int sets, uint32_t *common)
{
	__m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
			  _mm512_setzero_si512()};
	uint32_t w = 0;
	for (; w + 8 <= words; w += 8) {
		__m512i one = load(x + w);
		for (int s = 0; s < sets; s++)
			sum[s] = counted(sum[s], _mm512_and_si512(one, load(y + (size_t)s * stride + w)));
	}
	if (w < words) {
		__m512i one = load_some(x + w, words - w);
		for (int s = 0; s < sets; s++)
			sum[s] = counted(sum[s],
					 _mm512_and_si512(one, load_some(y + (size_t)s * stride + w, words - w)));
	}
	for (int s = 0; s < sets; s++)
		common[s] += (uint32_t)_mm512_reduce_add_epi64(sum[s]);
}

KITH_AVX512 static void overlaps_rows_512(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers,
					  uint32_t *common)
{
	for (uint32_t a = 0; a + 1 < layers; a++, x += stride) {
		const uint64_t *y = x + stride;
		uint32_t left = layers - 1 - a;
		for (; left >= 4; left -= 4, y += 4 * stride, common += 4)
			shared_some(x, y, stride, words, 4, common);
		for (; left; left--, y += stride, common++)
			shared_some(x, y, stride, words, 1, common);
	}
}

KITH_AVX512 static void count_columns_512(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
					  uint64_t *count)
{
	for (uint32_t v = 0; v < lanes; v += 8) {
		__m512i sum = load(count + v);
		for (uint32_t w = 0; w < words; w++)
			sum = counted(sum, load(x + w * step + v));
		_mm512_storeu_si512((void *)(count + v), sum);
	}
}

/* All chains that start at eight layers a grow by a layer together, in `words` words, until none has a slot left:
 * `left` is what is in all of a..a+s. */
KITH_AVX512 static inline __attribute__((always_inline)) void
chains_some(const uint64_t *x, int words, size_t step, uint32_t lanes, uint32_t layers, int64_t *chain)
{
	uint64_t here[CHAINED][KITH_BITS_CHAIN + KITH_BITS_CHAIN + 8];
	__m512i left[CHAINED][KITH_BITS_CHAIN / 8];
	_Static_assert(KITH_BITS_CHAIN <= 64 * 8, "a bit for each register");
	uint64_t going = ~0ull >> (64 - lanes / 8);
	for (int w = 0; w < words; w++) {
		for (uint32_t v = 0; v < lanes; v += 8) {
			left[w][v / 8] = load(x + (size_t)w * step + v);
			_mm512_storeu_si512((void *)(here[w] + v), left[w][v / 8]);
		}
		for (uint32_t v = lanes; v < 2 * lanes; v += 8) /* no layers follow the last */
			_mm512_storeu_si512((void *)(here[w] + v), _mm512_setzero_si512());
	}
	for (uint32_t s = 0; going && s < layers; s++)
		for (uint64_t rest = going; rest; rest &= rest - 1) {
			uint32_t group = (uint32_t)__builtin_ctzll(rest), a = 8 * group;
			int64_t *to = chain + (size_t)s * lanes + a;
			__m512i sum = load((const uint64_t *)to), some = _mm512_setzero_si512();
			for (int w = 0; w < words; w++) {
				__m512i all = _mm512_and_si512(left[w][group], load(here[w] + a + s));
				left[w][group] = all;
				some = _mm512_or_si512(some, all);
				sum = counted(sum, all);
			}
			_mm512_storeu_si512((void *)to, sum);
			if (!_mm512_test_epi64_mask(some, some))
				going ^= 1ull << group;
		}
}

KITH_AVX512 static void chains_columns_512(const uint64_t *x, uint32_t words, size_t step, uint32_t lanes,
					   uint32_t layers, int64_t *chain)
{
	for (; words >= CHAINED; words -= CHAINED, x += CHAINED * step)
		chains_some(x, CHAINED, step, lanes, layers, chain);
	for (; words; words--, x += step)
		chains_some(x, 1, step, lanes, layers, chain);
}

/* all[] &= x[]; how many bits are left. */
KITH_AVX512 static uint64_t narrow_512(uint64_t *all, const uint64_t *x, uint32_t words)
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

/* Byte j of qword i becomes byte i of qword j. */
KITH_AVX512 static __m512i turn_bytes(__m512i x)
{
	const __m512i order =
		_mm512_set_epi8(63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21,
				13, 5, 60, 52, 44, 36, 28, 20, 12, 4, 59, 51, 43, 35, 27, 19, 11, 3, 58, 50, 42, 34, 26,
				18, 10, 2, 57, 49, 41, 33, 25, 17, 9, 1, 56, 48, 40, 32, 24, 16, 8, 0);
	return _mm512_permutexvar_epi8(order, x);
}

/* The same, each qword's bytes last to first: what turn_bits takes. */
KITH_AVX512 static __m512i turn_bytes_reversed(__m512i x)
{
	const __m512i order =
		_mm512_set_epi8(7, 15, 23, 31, 39, 47, 55, 63, 6, 14, 22, 30, 38, 46, 54, 62, 5, 13, 21, 29, 37, 45, 53,
				61, 4, 12, 20, 28, 36, 44, 52, 60, 3, 11, 19, 27, 35, 43, 51, 59, 2, 10, 18, 26, 34, 42,
				50, 58, 1, 9, 17, 25, 33, 41, 49, 57, 0, 8, 16, 24, 32, 40, 48, 56);
	return _mm512_permutexvar_epi8(order, x);
}

/* In each qword 8 x 8 bits, whose bytes stand last to first, turned: the instruction multiplies the matrix that they
 * are by the columns of the unit matrix. */
KITH_AVX512 static __m512i turn_bits(__m512i x)
{
	return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)0x8040201008040201ull), x, 0);
}

/* Qword j of register i becomes qword i of register j. */
KITH_AVX512 static void turn_qwords(__m512i r[8])
{
	__m512i t[8], u[8];
	for (int i = 0; i < 8; i += 2) {
		t[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
	}
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 8; j += 4) { /* 128 bits each: 0 and 2, 1 and 3 of both */
			u[j + i] = _mm512_shuffle_i64x2(t[j + i], t[j + i + 2], 0x88);
			u[j + i + 2] = _mm512_shuffle_i64x2(t[j + i], t[j + i + 2], 0xdd);
		}
	for (int i = 0; i < 4; i++) {
		r[i] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0x88);
		r[i + 4] = _mm512_shuffle_i64x2(u[i], u[i + 4], 0xdd);
	}
}

/* Bytes of eight words are gathered, each square of 8 x 8 bits turned, and squares of 8 x 8 such bytes turned. */
KITH_AVX512 static void transpose_512(uint64_t *to, const uint64_t *x)
{
	__m512i r[8];
	for (int i = 0; i < 8; i++)
		r[i] = turn_bits(turn_bytes_reversed(load(x + 8 * i)));
	turn_qwords(r);
	for (int i = 0; i < 8; i++)
		_mm512_storeu_si512((void *)(to + 8 * i), turn_bytes(r[i]));
}

/* One word for each id. */
KITH_AVX512 static int slots_of_words_512(const kith_bits_met *m, uint32_t node, uint64_t *rows, uint64_t *above,
					  uint32_t found[2])
{
	__m512i bits = _mm512_set1_epi64((long long)m->row_bits);
	__m256i limit = _mm256_set1_epi32((int)node);
	const uint64_t *mask = m->mask;
	const uint32_t *ids = m->id;
	uint32_t a = 0, b = 0, count = m->count, own = 0;
	for (uint32_t e = 0; e < count; e += 8) {
		__mmask8 here = count - e < 8 ? (__mmask8)((1u << (count - e)) - 1) : 0xff;
		__m256i id = _mm256_loadu_si256((const void *)(ids + e));
		__m512i x = load(mask + e);
		__mmask8 in_row = _mm512_mask_test_epi64_mask(here, x, bits);
		__mmask8 up = _mm512_mask_test_epi64_mask(_mm256_mask_cmpgt_epu32_mask(here, id, limit), x, x);
		own |= _mm256_mask_cmpeq_epi32_mask(in_row, id, limit);
		_mm512_storeu_si512((void *)(rows + a), _mm512_maskz_compress_epi64(in_row, _mm512_and_si512(x, bits)));
		_mm512_storeu_si512((void *)(above + b), _mm512_maskz_compress_epi64(up, x));
		a += ones(in_row);
		b += ones(up);
	}
	found[0] = a;
	found[1] = b;
	return own != 0;
}

/* Several words: few ids are met first and have any, so these are listed, and then their words gathered. */
KITH_AVX512 static int list_slots_512(const kith_bits_met *m, uint32_t node, uint32_t *rows, uint32_t *above,
				      uint32_t found[2])
{
	__m512i bits = _mm512_set1_epi64((long long)m->row_bits);
	__m256i limit = _mm256_set1_epi32((int)node), eight = _mm256_set1_epi32(8);
	__m256i at = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	uint32_t a = 0, b = 0, count = m->count, own = 0;
	for (uint32_t e = 0; e < count; e += 8, at = _mm256_add_epi32(at, eight)) {
		__mmask8 here = count - e < 8 ? (__mmask8)((1u << (count - e)) - 1) : 0xff;
		__m256i id = _mm256_loadu_si256((const void *)(m->id + e));
		__m512i any = _mm512_setzero_si512(), row = any;
		for (uint32_t w = 0; w < m->words; w++) {
			any = _mm512_or_si512(any, load(m->mask + w * m->stride + e));
			row = w < m->row_words ? any : row;
		}
		__mmask8 in_row = _mm512_mask_test_epi64_mask(here, row, bits);
		__mmask8 up = _mm512_mask_test_epi64_mask(_mm256_mask_cmpgt_epu32_mask(here, id, limit), any, any);
		own |= _mm256_mask_cmpeq_epi32_mask(in_row, id, limit);
		_mm256_storeu_si256((void *)(rows + a), _mm256_maskz_compress_epi32(in_row, at));
		_mm256_storeu_si256((void *)(above + b), _mm256_maskz_compress_epi32(up, at));
		a += ones(in_row);
		b += ones(up);
	}
	found[0] = a;
	found[1] = b;
	return own != 0;
}

/* 64 pairs of layers at a time: of all samples, how many have each number. */
KITH_AVX512 static void histograms_512(const uint8_t *numbers, size_t stride, uint32_t samples, uint32_t bins,
				       uint8_t *histogram)
{
	const __m512i one = _mm512_set1_epi8(1);
	for (size_t p = 0; p < stride; p += 64)
		for (uint32_t c = 0; c < bins; c++) {
			__m512i value = _mm512_set1_epi8((char)c);
			void *to = histogram + c * stride + p;
			__m512i sum = _mm512_loadu_si512(to);
			for (uint32_t s = 0; s < samples; s++) {
				__m512i x = _mm512_loadu_si512((const void *)(numbers + s * stride + p));
				sum = _mm512_mask_add_epi8(sum, _mm512_cmpeq_epi8_mask(x, value), sum, one);
			}
			_mm512_storeu_si512(to, sum);
		}
}

#else

#define transpose_512(...)                                        ((void)0)
#define slots_of_words_512(...)                                   0
#define list_slots_512(...)                                       0
#define histograms_512(numbers, stride, samples, bins, histogram) ((void)(bins))
#define overlaps_columns_512(...)                                 ((void)0)
#define shared_512(...)                                           0
#define overlaps_rows_512(...)                                    ((void)0)
#define count_columns_512(...)                                    ((void)0)
#define chains_columns_512(...)                                   ((void)0)
#define narrow_512(...)                                           0

#endif

/* ---- overlaps ---- */

KITH_CLONES static void overlaps_columns_any(const uint64_t *x, uint32_t words, size_t step, uint32_t layers,
					     uint16_t *shared)
{
	memset(shared, 0, (size_t)layers * (layers - 1) / 2 * sizeof *shared);
	for (uint32_t w = 0; w < words; w++, x += step) {
		uint16_t *to = shared;
		for (uint32_t a = 0; a < layers; to += layers - 1 - a, a++)
			for (uint32_t b = a + 1; x[a] && b < layers; b++)
				to[b - a - 1] += (uint16_t)ones(x[a] & x[b]);
	}
}

void kith_bits_overlaps_columns(const uint64_t *x, uint32_t words, size_t step, uint32_t layers, uint16_t *shared)
{
	if ((kith_cpu() == KITH_CPU_AVX512))
		overlaps_columns_512(x, words, step, layers, shared);
	else
		overlaps_columns_any(x, words, step, layers, shared);
}

KITH_CLONES static uint32_t shared_any(const uint64_t *x, const uint64_t *y, uint32_t words)
{
	uint32_t count = 0;
	for (uint32_t w = 0; w < words; w++)
		count += ones(x[w] & y[w]);
	return count;
}

static void overlaps_rows_any(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t *common)
{
	for (uint32_t a = 0; a < layers; a++, x += stride)
		for (uint32_t b = a + 1; b < layers; b++)
			*common++ += shared_any(x, x + (b - a) * stride, words);
}

void kith_bits_overlaps_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t *common)
{
	int fast = (kith_cpu() == KITH_CPU_AVX512);
	for (uint32_t from = 0; from < words; from += TOGETHER) {
		uint32_t here = words - from < TOGETHER ? words - from : TOGETHER;
		if (fast)
			overlaps_rows_512(x + from, here, stride, layers, common);
		else
			overlaps_rows_any(x + from, here, stride, layers, common);
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
	if ((kith_cpu() == KITH_CPU_AVX512))
		count_columns_512(x, words, step, lanes, count);
	else
		count_columns_any(x, words, step, lanes, count);
}

void kith_bits_count_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint64_t *count)
{
	int fast = (kith_cpu() == KITH_CPU_AVX512);
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
	if ((kith_cpu() == KITH_CPU_AVX512))
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

static void chains_rows(const uint64_t *x, uint32_t words, size_t stride, uint32_t layers, uint32_t lanes,
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
	int fast = (kith_cpu() == KITH_CPU_AVX512);
	for (uint32_t from = 0; from < words; from += TOGETHER)
		chains_rows(x + from, words - from < TOGETHER ? words - from : TOGETHER, stride, layers, lanes, chain,
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

KITH_CLONES static void transpose_any(uint64_t *to, const uint64_t *from)
{
	memmove(to, from, 64 * sizeof *to);
	kith_transpose(to);
}

void kith_bits_transpose(uint64_t to[64], const uint64_t from[64])
{
	if ((kith_cpu() == KITH_CPU_AVX512)) {
		transpose_512(to, from);
		return;
	}
	transpose_any(to, from);
}

KITH_CLONES static void hash_any(const uint32_t *id, uint32_t count, uint32_t bits, uint16_t *hash)
{
	for (uint32_t e = 0; e < count; e++)
		hash[e] = (uint16_t)(id[e] * 2654435769u >> (32 - bits));
}

void kith_bits_hash(const uint32_t *id, uint32_t count, uint32_t bits, uint16_t *hash)
{
	hash_any(id, count, bits, hash);
}

/* The same two for any processor. No branch depends on a mask: half of them would be foreseen wrongly. */
static int slots_of_words_any(const kith_bits_met *m, uint32_t node, uint64_t *rows, uint64_t *above, uint32_t found[2])
{
	const uint64_t *mask = m->mask, bits = m->row_bits;
	const uint32_t *id = m->id;
	uint32_t a = 0, b = 0, own = 0;
	for (uint32_t e = 0; e < m->count; e++) {
		uint64_t x = mask[e], row = x & bits;
		rows[a] = row;
		above[b] = x;
		own |= (row != 0) & (id[e] == node);
		a += row != 0;
		b += (x != 0) & (id[e] > node);
	}
	found[0] = a;
	found[1] = b;
	return own != 0;
}

static int list_slots_any(const kith_bits_met *m, uint32_t node, uint32_t *rows, uint32_t *above, uint32_t found[2])
{
	uint32_t a = 0, b = 0, own = 0;
	for (uint32_t e = 0; e < m->count; e++) {
		uint64_t row = 0, any = 0;
		for (uint32_t w = 0; w < m->row_words; w++)
			any |= m->mask[w * m->stride + e];
		row = any & m->row_bits;
		for (uint32_t w = m->row_words; w < m->words; w++)
			any |= m->mask[w * m->stride + e];
		rows[a] = above[b] = e;
		own |= (row != 0) & (m->id[e] == node);
		a += row != 0;
		b += (any != 0) & (m->id[e] > node);
	}
	found[0] = a;
	found[1] = b;
	return own != 0;
}

int kith_bits_slots(const kith_bits_met *m, uint32_t node, uint64_t *rows, uint64_t *above, size_t stride,
		    uint32_t found[2])
{
	if (m->words == 1)
		return (kith_cpu() == KITH_CPU_AVX512) ? slots_of_words_512(m, node, rows, above, found)
						       : slots_of_words_any(m, node, rows, above, found);
	uint32_t *row_at = m->lists, *above_at = m->lists + m->count + 8;
	int own = (kith_cpu() == KITH_CPU_AVX512) ? list_slots_512(m, node, row_at, above_at, found)
						  : list_slots_any(m, node, row_at, above_at, found);
	for (uint32_t w = 0; w < m->words; w++) {
		const uint64_t *mask = m->mask + w * m->stride;
		for (uint32_t s = 0; w < m->row_words && s < found[0]; s++)
			rows[w * m->stride + s] = mask[row_at[s]] & m->row_bits;
		for (uint32_t s = 0; s < found[1]; s++)
			above[w * stride + s] = mask[above_at[s]];
	}
	return own;
}

void kith_bits_histograms(const uint8_t *numbers, size_t stride, uint32_t samples, uint32_t bins, uint8_t *histogram)
{
	if ((kith_cpu() == KITH_CPU_AVX512)) {
		histograms_512(numbers, stride, samples, bins, histogram);
		return;
	}
	for (uint32_t s = 0; s < samples; s++, numbers += stride)
		for (size_t p = 0; p < stride; p++)
			histogram[numbers[p] * stride + p]++;
}
