/* shared.h - the neighbours that fresh layers (fresh.h) share with each other layer, counted while blocks are woven.
 *
 * A sample has a counter for each fresh layer, k and layer: how many of the sample's edges in the fresh layer, at that
 * k, the layer has, too. After the last block that is how many neighbours the two share, whatever the order of blocks.
 *
 * Several threads note at once what blocks add. The counters are divided by sample among as many owners as there are
 * threads; to an owner's, one thread at a time adds. */
#ifndef KITH_SHARED_H
#define KITH_SHARED_H

#include "counts.h"
#include "kith/pairs.h"
#include "weave.h"

typedef struct kith_shared {
	const kith_tally_plan *plan;
	const kith_weave *weave;
	uint32_t threads;   /* and owners */
	uint32_t width;     /* bytes of a counter: 1, 2 or 4, as the largest k needs */
	uint64_t *counters; /* n x fresh x levels x eights of layers x width: neighbours shared */
	uint64_t *ones;     /* 256 x width: for the bits of a byte, counters of 1 */
} kith_shared;

struct kith_shared_edge;

/* What one block adds. */
typedef struct kith_shared_edges {
	uint8_t *masks; /* which layers have a fresh layer's pair: one for each direction and level */
	size_t masks_capacity;
	struct kith_shared_edge *edges; /* of these pairs, by owner */
	size_t edges_capacity;
	size_t *begin; /* each owner's; three more */
} kith_shared_edges;

/* Bytes of the counters. */
uint64_t kith_shared_bytes(const kith_tally_plan *plan, uint32_t fresh);
/* And of what is noted of a fresh layer's pair. */
uint64_t kith_shared_pair_bytes(const kith_tally_plan *plan);

/* A kith_shared and kith_shared_edges are zeros before they are made, and are to be freed after a failure, too. The
 * plan and the weave, whose layers are known by then, have to stay where they are. KITH_ENOMEM. */
int kith_shared_init(kith_shared *shared, const kith_tally_plan *plan, const kith_weave *weave, uint32_t threads,
		     kith_err *err);
void kith_shared_free(kith_shared *shared);
int kith_shared_edges_init(kith_shared_edges *edges, uint32_t threads, kith_err *err);
void kith_shared_edges_free(kith_shared_edges *edges);

/* Notes what a block adds, in place of what was noted before: pairs from[f]..to[f]-1 of each fresh layer, which
 * kith_weave_block has just woven into `block`. Blocks may be noted at the same time, each in edges of its own.
 * KITH_ENOMEM: then there is nothing to be added. */
int kith_shared_note(const kith_shared *shared, const kith_pair_planes *block, const size_t *from, const size_t *to,
		     kith_shared_edges *edges, kith_err *err);
/* Adds of it what goes to the counters of one owner, below `threads`. Owners may be served at the same time. */
void kith_shared_add(kith_shared *shared, const kith_shared_edges *edges, uint32_t owner);

/* After the last block: adds the samples to the histograms of fresh layers with any other one, each in one of
 * tallies[0..threads-1]. KITH_ECORRUPT if a sample's row in a fresh layer is not k distinct neighbours. */
int kith_shared_count(const kith_shared *shared, kith_tally *tallies, kith_err *err);

#endif
