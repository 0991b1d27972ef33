/* nearest.h - rows in the making, of any k: a sample is taken in constant time, but for a sort now and then. */
#ifndef KITH_NEAREST_H
#define KITH_NEAREST_H

#include <math.h>

#include "candidates.h"

typedef struct kith_nearest {
	uint32_t k, room;       /* of each row: 2 k, about */
	uint32_t *count;        /* rows */
	double *bound;          /* rows: who is farther is not among the k nearest */
	struct kith_ranked *of; /* rows x room */
	void *memory;
} kith_nearest;

uint64_t kith_nearest_row_bytes(uint32_t k);
int kith_nearest_alloc(kith_nearest *nearest, uint64_t rows, uint32_t k, kith_err *err);
void kith_nearest_reset(kith_nearest *nearest, uint64_t rows);

/* The k nearest of row r, or all if there are fewer, by distance and then by the tie rule. */
struct kith_ranked *kith_nearest_rank(kith_nearest *nearest, uint64_t r);

/* Takes sample `id` at a distance that does not exceed bound[r]; each sample is taken once. */
static inline void kith_nearest_take(kith_nearest *n, uint64_t r, uint32_t id, double dist)
{
	n->of[r * n->room + n->count[r]++] = (struct kith_ranked){dist, id, 0};
	if (n->count[r] == n->room)
		kith_nearest_rank(n, r);
}

#endif
