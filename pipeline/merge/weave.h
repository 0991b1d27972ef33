/* weave.h - the pairs of a block of a pair store, and those that layers beside it have, as one block over the layers of
 * a new stack. */
#ifndef KITH_WEAVE_H
#define KITH_WEAVE_H

#include "fresh.h"
#include "kith/pairs.h"

#define KITH_NOT_KEPT UINT32_MAX

typedef struct kith_weave {
	uint32_t layers, levels; /* of the new stack */
	uint32_t *kept;          /* for each layer: which of the layers read from the store it is, or KITH_NOT_KEPT */
	uint32_t level[KITH_MAX_TIERS]; /* for each level: the store's */
	int with_ids;                   /* i and j are wanted, too */
	int some_go;                    /* pairs of the store that are in none of the layers read are to be left out */
	uint32_t fresh_count;
	kith_fresh *fresh;
} kith_weave;

/* Takes out of a block what none of its layers has (at the levels wanted). */
int kith_weave_drop(const kith_weave *w, kith_pair_planes *block, kith_err *err);

/* Weaves the block and pairs from[f]..to[f]-1 of each fresh layer into `out`; notes in fresh->at where they are. All of
 * the block's layers' planes that are wanted are in `out`, bits from out->count on are 0. Memory of `out` grows as
 * needed, as a kith_pair_planes' does. */
int kith_weave_block(const kith_weave *w, const kith_pair_planes *block, const size_t *from, const size_t *to,
		     kith_pair_planes *out, kith_err *err);

/* Bytes that a block of `pairs` pairs takes, with `more` that only fresh layers have. */
uint64_t kith_weave_bytes(const kith_weave *w, uint64_t pairs, uint64_t more);

#endif
