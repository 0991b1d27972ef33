/* random.h - random numbers that are the same everywhere and for ever: which samples an audit looks at depends on them.
 */
#ifndef KITH_RANDOM_H
#define KITH_RANDOM_H

#include <stdint.h>

/* The next 64 bits of splitmix64 (Steele, Lea and Flood 2014); any state begins a sequence. */
static inline uint64_t kith_random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* A number below `bound`, from the high bits of a product: the odds of two numbers differ by less than bound 2^-64. */
static inline uint64_t kith_random_below(uint64_t *state, uint64_t bound)
{
	return (uint64_t)((unsigned __int128)kith_random_next(state) * bound >> 64);
}

#endif
