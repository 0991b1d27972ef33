/* cpu.h - one binary for every x86-64: which instructions a kernel may use is chosen while the program runs.
 *
 * Two ways lead there. A function of plain C that vectorises well is marked KITH_CLONES: the compiler makes a second
 * one for AVX2, and the loader picks. Kernels written with intrinsics stand in files of their own, *_avx512.c, marked
 * KITH_AVX512, and are called through a table of pointers that is filled once from kith_cpu(). Results never depend on
 * the pick: the whole build switches fused multiply-add contraction off, and kernels of integers are exact.
 *
 * The environment variable KITH_CPU=portable|avx2|avx512 lowers what kith_cpu() answers, so that tests on any machine
 * run every path it has. It does not reach clones; builds with sanitizers have none of these (KITH_NO_CLONES). */
#ifndef KITH_CPU_H
#define KITH_CPU_H

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "kith's files are little-endian and so must be the machine"
#endif

/* For static functions only (clang names the others' clones otherwise than it calls them), each of a name of its own in
 * all files (clang's pick has a global name made of it). */
#if defined(__x86_64__) && !defined(KITH_NO_CLONES)
#define KITH_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define KITH_CLONES
#endif

#if defined(__x86_64__)
#define KITH_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,gfni")))
#endif

typedef enum kith_cpu_level {
	KITH_CPU_PORTABLE,
	KITH_CPU_AVX2,  /* with FMA */
	KITH_CPU_AVX512 /* with all that KITH_AVX512 names: Ice Lake, Zen 4 and later */
} kith_cpu_level;

/* The best level that this processor has and KITH_CPU allows. Looked up once; thread safe. */
kith_cpu_level kith_cpu(void);

/* The level that KITH_CPU allows, KITH_CPU_AVX512 if it is not set, or -1 if it is none of the three; for programs that
 * refuse what they do not understand, and kernels that need less than KITH_AVX512 names. */
int kith_cpu_limit(void);

#endif
