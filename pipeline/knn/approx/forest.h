/* forest.h - random projection trees (Dasgupta and Freund 2008): each node halves its samples by the hyperplane between
 * two of them, until a leaf is left. Near samples are in one leaf of some tree. */
#ifndef KITH_FOREST_H
#define KITH_FOREST_H

#include "quantised.h"

/* Told of every leaf, its samples ascending; threads may call at once, for different leaves of a tree. */
typedef void kith_leaf(void *context, const uint32_t *member, uint32_t count);

typedef struct kith_forest {
	const kith_codes *codes;
	uint64_t seed;
	uint32_t leaf; /* a leaf has no more samples; and half as many at least */
	int threads;
} kith_forest;

/* Tree number `tree`, the same for one seed, of the samples order[m], which become its leaves, one after the other.
 * leaf may be NULL. */
int kith_forest_tree(const kith_forest *forest, uint32_t tree, uint32_t *order, uint64_t m, kith_leaf *leaf,
		     void *context, kith_err *err);

/* The leaves of a tree whose n samples stand in its order. places[n] is scratch. */
void kith_forest_leaves(const kith_forest *forest, uint32_t *places, uint64_t n, kith_leaf *leaf, void *context);

uint64_t kith_forest_bytes(const kith_forest *forest, uint64_t n);

#endif
