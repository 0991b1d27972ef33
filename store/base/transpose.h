/* transpose.h - 64 x 64 bits. */
#ifndef KITH_TRANSPOSE_H
#define KITH_TRANSPOSE_H

#include <stdint.h>

/* Bit j of word i becomes bit i of word j (Hacker's Delight, 7-3): squares of 32 x 32 bits change places, then of 16 x
 * 16 in each, and so on. Words of a square lie side by side, for compilers that take several at once. */
static inline void kith_transpose_step(uint64_t x[64], uint32_t size, uint64_t low)
{
	for (uint32_t i = 0; i < 64; i += 2 * size)
		for (uint32_t k = i; k < i + size; k++) {
			uint64_t swap = ((x[k] >> size) ^ x[k + size]) & low;
			x[k + size] ^= swap;
			x[k] ^= swap << size;
		}
}

static inline void kith_transpose(uint64_t x[64])
{
	kith_transpose_step(x, 32, 0x00000000ffffffffull);
	kith_transpose_step(x, 16, 0x0000ffff0000ffffull);
	kith_transpose_step(x, 8, 0x00ff00ff00ff00ffull);
	kith_transpose_step(x, 4, 0x0f0f0f0f0f0f0f0full);
	kith_transpose_step(x, 2, 0x3333333333333333ull);
	kith_transpose_step(x, 1, 0x5555555555555555ull);
}

#endif
