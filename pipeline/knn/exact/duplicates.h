/* duplicates.h - samples that are nobody's neighbours, because too many identical ones precede them.
 *
 * If k + 1 samples that come before j by the tie rule have exactly j's vector, then for any sample i at least k of them
 * are not i, lie as far from i as j does, and come before j: j is in no row. And j's own neighbours are the first k at
 * distance 0. Layers with dead units have thousands of such samples, and no bound can tell them apart. */
#ifndef KITH_DUPLICATES_H
#define KITH_DUPLICATES_H

#include "refine.h"
#include "vectors.h"

typedef struct kith_duplicates {
	uint64_t *left_out; /* n bits; NULL: there are none */
	/* n each, if there are any. A group of identical samples of which some are left out is a chain: */
	uint32_t
		*twin; /* of its first sample (by the tie rule) and of those left out, the first one; else UINT32_MAX */
	uint32_t *next; /* of those not left out, the next one; UINT32_MAX: it is the last, or in no such group */
	/* how many samples each stands for, itself and, of the first of a group, those left out, which have 0; where
	 * the vectors have weights, by these */
	uint32_t *weight;
	void *memory;    /* holds these; release it with free() */
	uint64_t copies; /* samples whose hash an earlier one has, too */
} kith_duplicates;

typedef struct kith_hashed {
	uint64_t hash;
	uint32_t id;
} kith_hashed;

/* The samples by hash, those of one hash by the tie rule. */
void kith_hashed_sort(kith_hashed *out, const kith_tie_rule *ties, const uint64_t *hash, uint64_t n);

/* How many samples each of them stands for; NULL: itself. */
static inline const uint32_t *kith_duplicates_weight(const kith_duplicates *duplicates, const kith_vectors *vectors)
{
	return duplicates->left_out ? duplicates->weight : vectors->weight;
}

static inline int kith_is_left_out(const kith_duplicates *duplicates, uint64_t i)
{
	return duplicates->left_out && duplicates->left_out[i / 64] >> (i & 63) & 1;
}

/* hash[n] is a hash of each sample's values. Equal hashes only nominate: the values are compared. Release
 * duplicates->memory also after a failure. */
int kith_duplicates_find(kith_duplicates *duplicates, const kith_vectors *vectors, const uint64_t *hash, uint32_t k,
			 kith_err *err);

/* The results of sample i, which is left out, from those of its twin, which are the first k of the others at distance
 * 0: into `out`. */
void kith_duplicates_row(const kith_duplicates *duplicates, const kith_tie_rule *ties, uint32_t i, kith_row twin,
			 uint32_t k, uint32_t near, kith_row out);

#endif
