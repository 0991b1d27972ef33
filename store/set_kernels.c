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

const kith_set_kernels *kith_set_kernels_get(void)
{
	static const kith_set_kernels portable = {.count_bits = popcount_any};
#ifdef KITH_AVX512
	if (kith_cpu() == KITH_CPU_AVX512)
		return &kith_set_kernels_avx512;
#endif
	return &portable;
}
