/* duplicates.h - samples that are nobody's neighbours, because too many identical ones precede them.
 *
 * If k + 1 samples with ids smaller than j have exactly j's row, then for any sample i at least k of them are not i,
 * lie as far from i as j does, and come before j by the tie rule: j is in no row. And j's own neighbours are the k
 * lowest ids at distance 0. Layers with dead units have thousands of such samples, and no bound can tell them
 * apart. */
#ifndef KITH_DUPLICATES_H
#define KITH_DUPLICATES_H

#include "refine.h"
#include "vectors.h"

typedef struct kith_duplicates {
	uint64_t *left_out; /* n bits; NULL: there are none */
	uint32_t *twin;     /* n, if there are any: of a sample left out, the lowest id of the same row */
	void *memory;       /* holds these; release it with free() */
} kith_duplicates;

static inline int kith_left_out(const kith_duplicates *duplicates, uint64_t i)
{
	return duplicates->left_out && duplicates->left_out[i / 64] >> (i & 63) & 1;
}

/* hash[n] is a hash of each row's doubles. Equal hashes only nominate: rows are compared. Release
 * duplicates->memory also after a failure. */
int kith_duplicates_find(kith_duplicates *duplicates, const kith_rows *rows, const uint64_t *hash, uint32_t k,
			 kith_err *err);

/* The results of sample i, which is left out, from those of its twin, which are the k lowest ids of the others at
 * distance 0: into `out`. */
void kith_duplicates_row(const kith_duplicates *duplicates, uint32_t i, kith_row twin, uint32_t k, uint32_t near,
			 kith_row out);

#endif
