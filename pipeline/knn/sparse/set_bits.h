/* set_bits.h - the inner loop for sets: bits that one set and each of some others have in common. */
#ifndef KITH_SET_BITS_H
#define KITH_SET_BITS_H

#include <stdint.h>

/* Adds to common[s] the bits that set[] and sets[s * words ...] share, of `count` sets; words is a multiple of 4, and
 * all are aligned to 32 bytes. */
typedef void (*kith_set_bits)(const uint64_t *set, const uint64_t *sets, uint32_t words, uint64_t count,
			      uint32_t *common);

/* The fastest that this processor has and KITH_CPU (cpu.h) allows. */
kith_set_bits kith_set_bits_best(void);

/* For x86-64 with AVX2: 256 bits at once, each half byte counted by a shuffle (Mula, Kurz, Lemire, Faster population
 * counts using AVX2 instructions, 2018). */
void kith_set_bits_avx2(const uint64_t *set, const uint64_t *sets, uint32_t words, uint64_t count, uint32_t *common);

#endif
