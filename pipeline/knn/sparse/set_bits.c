/* set_bits.c - see set_bits.h */
#include "set_bits.h"

#include "cpu.h"

static void portable(const uint64_t *set, const uint64_t *sets, uint32_t words, uint64_t count, uint32_t *common)
{
	for (uint64_t s = 0; s < count; s++, sets += words) {
		uint32_t bits = 0;
		for (uint32_t w = 0; w < words; w++)
			bits += (uint32_t)__builtin_popcountll(set[w] & sets[w]);
		common[s] += bits;
	}
}

kith_set_bits kith_set_bits_best(void)
{
#if defined(__x86_64__)
	if (kith_cpu() >= KITH_CPU_AVX2)
		return kith_set_bits_avx2;
#endif
	return portable;
}
