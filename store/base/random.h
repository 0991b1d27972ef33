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

#endif
