/* cpu.h - one binary for every x86-64: KITH_CLONES before a function compiles it for AVX2 as well, and the loader
 * picks. For static functions only (clang names the others' clones otherwise than it calls them), each of a name of its
 * own in all files (clang's pick has a global name made of it). Results never depend on the pick: no function so marked
 * may use operations that differ between the two (the whole build switches fused multiply-add contraction off). */
#ifndef KITH_CPU_H
#define KITH_CPU_H

#if defined(__x86_64__) && !defined(KITH_NO_CLONES)
#define KITH_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define KITH_CLONES
#endif

/* The few kernels that are written for registers of 512 bits by hand begin with KITH_WIDE, stand between #ifdef
 * KITH_WIDE and #endif, and are called where kith_cpu_wide() says so. */
#if defined(__x86_64__) && !defined(KITH_NO_CLONES)
#define KITH_WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,gfni")))

static inline int kith_cpu_wide(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
	       __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vpopcntdq") &&
	       __builtin_cpu_supports("gfni");
}
#else
static inline int kith_cpu_wide(void)
{
	return 0;
}
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "kith's files are little-endian and so must be the machine"
#endif

#endif
