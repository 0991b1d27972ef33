/* update.h - merging with a pair store at hand: layers that it holds are not read again.
 *
 * What a stack says of pairs is counted on the store's sets of bits, with those of the other layers woven in. How many
 * neighbours two layers share is known for two that the store holds: kith-merge leaves the histograms in the store, as
 * the extra record "nnts". For a layer that it lacks, neighbours shared with each other layer are counted per sample,
 * edge by edge, in a table of n x layers for each such layer. */
#ifndef KITH_UPDATE_H
#define KITH_UPDATE_H

#include "counts.h"
#include "kith/graph.h"
#include "kith/merge.h"
#include "kith/pairs.h"
#include "kith/stack.h"

typedef struct kith_update_layer {
	kith_graph *graph;
	const uint8_t *level; /* 16: of a tier; `levels` or more if it is beyond every k */
} kith_update_layer;

typedef struct kith_update {
	const kith_merge_options *options;
	uint32_t threads;
	const kith_tally_plan *plan; /* all but slots and hashed */
	const kith_update_layer *layers;
	const kith_pair_info *pairs; /* of the pair store to write; NULL: none */
} kith_update;

/* Fills in `stack`, whose layers are filled in, with the help of options->from, and writes the new pair store; or finds
 * that merging from scratch is due: then origin->kept is 0 and origin->why says why, and nothing has been done. */
int kith_update_merge(const kith_update *update, kith_stack *stack, kith_merge_origin *origin, kith_err *err);

/* The extra record "nnts" (store/FORMAT.md), from histograms as in kith_tally. */
int kith_update_put_overlap(kith_pair_writer *writer, const kith_tally_plan *plan, const uint32_t *overlap,
			    kith_err *err);
/* Bytes that putting it takes, at most. */
uint64_t kith_update_put_bytes(const kith_tally_plan *plan);

#endif
