/* set_bits_avx2.c - kith_set_bits_avx2 of set_bits.h. */
#include "set_bits.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define FLUSH 31u /* a byte holds the counts of so many, 8 bits each */

__attribute__((target("avx2"))) static inline __m256i bytes_of(__m256i bits)
{
	const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3,
						1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i low = _mm256_set1_epi8(15);
	__m256i lower = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low));
	__m256i upper = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low));
	return _mm256_add_epi8(lower, upper);
}

__attribute__((target("avx2"))) static inline uint32_t sum_of(__m256i sums)
{
	__m128i both = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
	return (uint32_t)(_mm_cvtsi128_si64(both) + _mm_extract_epi64(both, 1));
}

__attribute__((target("avx2"))) void kith_set_bits_avx2(const uint64_t *set, const uint64_t *sets, uint32_t words,
							uint64_t count, uint32_t *common)
{
	const __m256i *x = (const __m256i *)(const void *)set, zero = _mm256_setzero_si256();
	uint32_t steps = words / 4;
	for (uint64_t s = 0; s < count; s++, sets += words) {
		const __m256i *y = (const __m256i *)(const void *)sets;
		__m256i sums = zero;
		for (uint32_t from = 0; from < steps; from += FLUSH) {
			uint32_t to = steps - from < FLUSH ? steps : from + FLUSH;
			__m256i bytes = zero;
			for (uint32_t v = from; v < to; v++) {
				__m256i both = _mm256_and_si256(_mm256_load_si256(x + v), _mm256_load_si256(y + v));
				bytes = _mm256_add_epi8(bytes, bytes_of(both));
			}
			sums = _mm256_add_epi64(sums, _mm256_sad_epu8(bytes, zero));
		}
		common[s] += sum_of(sums);
	}
}

#endif
