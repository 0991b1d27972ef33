/* set_kernels.c - the kernels of set_kernels.h for any processor, and the choice. */
#include "set_kernels.h"

#include "cpu.h"

KITH_CLONES static uint64_t popcount_any(const uint64_t *words, size_t count)
{
	uint64_t found = 0;
	for (size_t w = 0; w < count; w++)
		found += (uint64_t)__builtin_popcountll(words[w]);
	return found;
}

/* The width is a constant where this is inlined. Ids are counted in 64 bits, which `count` gaps of three bytes cannot
 * make wrap around, so only the last id, the largest, has to be looked at. */
static inline __attribute__((always_inline)) int unpack_sets(const uint8_t *const *planes, int width,
							     const uint64_t *offset, size_t sets, uint64_t base,
							     uint64_t step, uint64_t n, uint32_t *ids)
{
	int bad = 0;
	for (size_t r = 0; r < sets; r++, base += step) {
		uint64_t next = base;
		for (size_t i = offset[r]; i < offset[r + 1]; i++) {
			uint32_t gap = planes[0][i];
			if (width > 1)
				gap |= (uint32_t)planes[1][i] << 8;
			if (width > 2)
				gap |= (uint32_t)planes[2][i] << 16;
			next += gap;
			ids[i] = (uint32_t)next++;
		}
		bad |= next > n && offset[r] < offset[r + 1];
	}
	return bad;
}

static int unpack(const uint8_t *const *planes, int width, const uint64_t *offset, size_t sets, uint64_t base,
		  uint64_t step, uint64_t n, uint32_t *ids)
{
	return width == 1   ? unpack_sets(planes, 1, offset, sets, base, step, n, ids)
	       : width == 2 ? unpack_sets(planes, 2, offset, sets, base, step, n, ids)
			    : unpack_sets(planes, 3, offset, sets, base, step, n, ids);
}

static size_t pick(const uint32_t *restrict from, const uint8_t *restrict which, size_t count, uint32_t *restrict to)
{
	size_t at = 0;
	for (size_t i = 0; i < count; at += which[i++]) /* no branch, which nothing could foretell */
		to[at] = from[i];
	return at;
}

const kith_set_kernels *kith_set_kernels_get(void)
{
	static const kith_set_kernels portable = {.count_bits = popcount_any, .unpack = unpack, .pick = pick};
#ifdef KITH_AVX512
	if (kith_cpu() == KITH_CPU_AVX512)
		return &kith_set_kernels_avx512;
#endif
#if defined(__x86_64__)
	if (kith_cpu() == KITH_CPU_AVX2)
		return &kith_set_kernels_avx2;
#endif
	return &portable;
}
