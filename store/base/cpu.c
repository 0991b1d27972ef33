/* cpu.c - see cpu.h */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

static kith_cpu_level best(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
	    __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vpopcntdq") &&
	    __builtin_cpu_supports("gfni"))
		return KITH_CPU_AVX512;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return KITH_CPU_AVX2;
#endif
	return KITH_CPU_PORTABLE;
}

int kith_cpu_limit(void)
{
	static const char *const names[] = {"portable", "avx2", "avx512"};
	const char *limit = getenv("KITH_CPU");
	if (!limit || !*limit)
		return KITH_CPU_AVX512;
	for (int level = KITH_CPU_PORTABLE; level <= KITH_CPU_AVX512; level++)
		if (!strcmp(limit, names[level]))
			return level;
	return -1;
}

kith_cpu_level kith_cpu(void)
{
	static int known = -1; /* threads that meet here at once find the same */
	int level = __atomic_load_n(&known, __ATOMIC_RELAXED);
	if (level < 0) {
		int limit = kith_cpu_limit();
		level = best();
		level = limit >= 0 && limit < level ? limit : level;
		__atomic_store_n(&known, level, __ATOMIC_RELAXED);
	}
	return (kith_cpu_level)level;
}
