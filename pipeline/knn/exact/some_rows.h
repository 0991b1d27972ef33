/* some_rows.h - the true neighbours of some of the samples: by products with all columns, as the plan `stream` finds
 * those of all. */
#ifndef KITH_SOME_ROWS_H
#define KITH_SOME_ROWS_H

#include "engine.h"

typedef struct kith_some_rows {
	const kith_vectors *vectors;
	const uint32_t *ladder; /* of `tiers` values */
	uint32_t tiers;
	const uint32_t *rows; /* the samples, distinct */
	uint32_t count;
	uint64_t memory; /* bytes; where it is less than 32 for each of the n samples, these are taken all the same */
	int threads;
	const char *work; /* what progress calls it */
	const kith_progress *progress;
} kith_some_rows;

/* Sorts the ids of each of a row's tiers. */
void kith_tiers_sort(uint32_t *row, const uint32_t *ladder, uint32_t tiers);

/* Their rows into out[count][k], tier by tier, ascending ids within a tier; or if `dist2` is not NULL, nearest first,
 * with the canonical squared distances. KITH_EUSAGE if the memory is too little. */
int kith_some_rows_find(const kith_some_rows *some, uint32_t *out, double *dist2, kith_err *err);

#endif
