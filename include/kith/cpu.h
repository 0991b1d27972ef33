/* kith/cpu.h - one binary for every x86-64: KITH_CLONES before a function compiles it for AVX2 as well, and the loader
 * picks. For static functions only (clang names the others' clones otherwise than it calls them). Results never depend
 * on the pick: no function so marked may use operations that differ between the two (the whole build switches fused
 * multiply-add contraction off). */
#ifndef KITH_CPU_H
#define KITH_CPU_H

#if defined(__x86_64__) && !defined(KITH_NO_CLONES)
#define KITH_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define KITH_CLONES
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "kith's files are little-endian and so must be the machine"
#endif

#endif
