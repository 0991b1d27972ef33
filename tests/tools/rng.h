/* rng.h - splitmix64 (Steele, Lea, Flood 2014): a seed reproduces a whole test run. */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

typedef struct rng {
	uint64_t state;
} rng;

static inline uint64_t rng_next(rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0..bound-1; the bias is nothing to a test. */
static inline uint64_t rng_below(rng *r, uint64_t bound)
{
	return rng_next(r) % bound;
}

/* low..high, both included. */
static inline uint64_t rng_between(rng *r, uint64_t low, uint64_t high)
{
	return low + rng_below(r, high - low + 1);
}

static inline int rng_chance(rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

/* [0, 1). */
static inline double rng_unit(rng *r)
{
	return (double)(rng_next(r) >> 11) * 0x1p-53;
}

/* Roughly normal: mean 0, variance 1. */
static inline double rng_normal(rng *r)
{
	double sum = -6;
	for (int t = 0; t < 12; t++)
		sum += rng_unit(r);
	return sum;
}

static inline void rng_shuffle(rng *r, uint32_t *items, uint64_t count)
{
	for (uint64_t i = count; i > 1; i--) {
		uint64_t j = rng_below(r, i);
		uint32_t swap = items[i - 1];
		items[i - 1] = items[j];
		items[j] = swap;
	}
}

#endif
