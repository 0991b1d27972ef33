/* pair_batch.h - pairs on their way from an accumulator into a pair store (kith/pairs.h). Accumulators append pairs as
 * masks over layers (count_plan.h), one for each tier; a full batch is transposed into the planes of the store:
 *
 *   i  j    mask (a tier)                      plane i -> j of layer 0    1 0 1 ...   a bit for each pair
 *   0  3    . . . 0 0 1 1 0 1                                  layer 1    0 1 1 ...
 *   0  7    . . . 1 0 0 0 1 0   -- 64 x 64 -->                 layer 2    1 1 0 ...
 *   0  9    . . . 0 1 0 0 1 1     transpose                    ...
 *   ...           layers 2 1 0                 plane j -> i of layer 0    ...
 */
#ifndef KITH_PAIR_BATCH_H
#define KITH_PAIR_BATCH_H

#include "bit_kernels.h"
#include "count_plan.h"
#include "kith/pairs.h"
#include "workspace.h"

/* Used by one thread at a time. */
typedef struct kith_pair_batch {
	const kith_count_plan *plan;
	const kith_bit_kernels *kernels;
	uint32_t count; /* pairs, up to plan->pair_room */
	uint32_t *i, *j;
	uint64_t *masks;          /* tiers x mask words x pair_room */
	uint64_t *planes;         /* as in kith_pair_planes, each of pair_room / 64 words */
	kith_pair_writer *writer; /* where a full batch goes; NULL: the batch never has to hold more than it can */
	int rc;                   /* of the first write that failed, */
	kith_err err;             /* and why */
} kith_pair_batch;

/* plan->pair_room for a plan whose other sizes are chosen: what takes a few MiB, but at least the pairs of a sparse
 * sample. */
uint32_t kith_pair_batch_room(const kith_count_plan *plan);

/* Lists the buffers, and sets what is not a buffer; with plan->pair_room == 0 there are none. */
void kith_pair_batch_list(kith_workspace *w, kith_pair_batch *b, const kith_count_plan *plan);

/* Makes room for `count` more pairs, at most pair_room: writes the batch if it cannot hold them. Then the caller fills
 * in items count..count+`count`-1 of i, j and masks, pairs in order, and adds to count. */
void kith_pair_batch_reserve(kith_pair_batch *b, uint32_t count);

/* Word w of the masks of a tier: an item for each pair. */
static inline uint64_t *kith_pair_batch_masks(const kith_pair_batch *b, uint32_t tier, uint32_t w)
{
	return b->masks + ((uint64_t)tier * kith_mask_words(b->plan) + w) * b->plan->pair_room;
}

/* Makes the planes. Threads may do so at once, each with its own batch; writing is for one at a time. */
void kith_pair_batch_transpose(kith_pair_batch *b);

/* Appends the transposed batch to the writer and empties it. Returns the status of the first write that failed. */
int kith_pair_batch_write(kith_pair_batch *b, kith_pair_writer *writer, kith_err *err);

#endif
