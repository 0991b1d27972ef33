/* nearest.h - rows in the making, of any k: a sample is taken in constant time, but for a sort now and then. */
#ifndef KITH_NEAREST_H
#define KITH_NEAREST_H

#include <math.h>

#include "candidates.h"

typedef struct kith_nearest {
	uint32_t k, room; /* of each row: 2 k, about */
	kith_tie_rule ties;
	uint32_t *count;        /* rows */
	uint64_t *left;         /* rows: samples that are not among the k nearest, and exactly as far as the last */
	double *bound;          /* rows: who is farther is not among the k nearest; lowered atomically */
	uint8_t *locked;        /* rows: threads share them */
	struct kith_ranked *of; /* rows x room */
	void *memory;
} kith_nearest;

uint64_t kith_nearest_row_bytes(uint32_t k);
int kith_nearest_alloc(kith_nearest *nearest, uint64_t rows, uint32_t k, const kith_tie_rule *ties, kith_err *err);
void kith_nearest_reset(kith_nearest *nearest, uint64_t rows);

/* The k nearest of row r, or all if there are fewer, by distance and then by the tie rule. */
struct kith_ranked *kith_nearest_rank(kith_nearest *nearest, uint64_t r);

/* A sample that is farther than this is not in row r. */
static inline double kith_nearest_bound(const kith_nearest *n, uint64_t r)
{
	double bound;
	__atomic_load(&n->bound[r], &bound, __ATOMIC_RELAXED);
	return bound;
}

/* Offers row r sample `id`, each only once. Any number of threads may. */
void kith_nearest_offer(kith_nearest *nearest, uint64_t r, uint32_t id, double dist);

#endif
