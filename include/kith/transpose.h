/* kith/transpose.h - 64 x 64 bits. */
#ifndef KITH_TRANSPOSE_H
#define KITH_TRANSPOSE_H

#include <stdint.h>

/* Bit j of word i becomes bit i of word j (Hacker's Delight, 7-3). */
static inline void kith_transpose(uint64_t x[64])
{
	uint64_t mask = 0x00000000ffffffffull;
	for (uint32_t j = 32; j; j >>= 1, mask ^= mask << j)
		for (uint32_t i = 0; i < 64; i = (i + j + 1) & ~j) {
			uint64_t swap = ((x[i] >> j) ^ x[i + j]) & mask;
			x[i + j] ^= swap;
			x[i] ^= swap << j;
		}
}

#endif
