/* count_sparse.h - the sparse accumulator: counts samples with few ids in all layers together. A hash table brings
 * equal ids of one sample together and gives each a mask over layers (count_plan.h); what is counted are masks.
 *
 *   id[]         17  4 93 | 4 17 60 | ...     occurrences, tier by tier, rows before reverse lists
 *   layer_bit[]   0  0  0 | 1  1  1 | ...     which bit of the mask an occurrence sets
 *   hash[]        5  9  5 | 9  5  2 | ...
 *                 |  |  |
 *   table[]      [5] = 0, [9] = 1, [2] = 5    the first occurrence that has a hash: the owner of its mask
 *   overflow[]   [?] = 2 + 1                  owners of ids whose hash another id has (93): open addressing
 *
 *   mask[]       m17 m4 m93 0 0 m60 ...       at the owner's position; all other positions stay zero
 *
 * Masks of rows, transposed to slot-major bits (bit_kernels.h), give the overlaps of a sample. Masks of pairs need not
 * know their sample: those of several samples are collected until there are enough to be counted together. */
#ifndef KITH_COUNT_SPARSE_H
#define KITH_COUNT_SPARSE_H

#include "counts.h"
#include "pair_batch.h"

#define KITH_SPARSE_SAMPLES 16u /* samples whose ids are collected at once */

/* A range of occurrences of one tier whose bits are in the same word of the mask: each sample's begin at from[x], and
 * end where the next segment begins. */
typedef struct kith_sparse_segment {
	uint32_t tier, word, from[KITH_SPARSE_SAMPLES];
} kith_sparse_segment;

/* Used by one thread at a time. */
typedef struct kith_count_sparse {
	/* collected, of up to KITH_SPARSE_SAMPLES samples: */
	uint32_t *id;                                      /* occurrences, sample by sample */
	uint8_t *layer_bit;                                /* of each: its bit in a word of the mask */
	uint32_t start[KITH_SPARSE_SAMPLES];               /* first occurrence of a sample */
	uint32_t end[KITH_MAX_TIERS][KITH_SPARSE_SAMPLES]; /* occurrences up to a tier, counted from its start */
	kith_sparse_segment *segment;
	uint32_t segments;

	/* of the sample being counted: */
	uint16_t *hash, *table;         /* of each occurrence; by hash, the first occurrence that has it */
	uint16_t *overflow;             /* 1 + the owner of other ids; 0 between samples */
	uint32_t *overflow_used;        /* the slots that are not 0, */
	uint32_t overflow_count;        /* and how many */
	uint64_t *mask;                 /* words of all occurrences, then the next words */
	uint64_t *row_masks;            /* the masks of ids in rows, compacted, */
	uint64_t *slot_major;           /* and transposed */
	uint64_t *order[2];             /* ids of pairs, each with the position of its masks; scratch of sorting */
	uint32_t found[KITH_MAX_TIERS]; /* masks of pairs that a tier added */
	uint16_t *shared;               /* overlap of each pair of layers, at one tier */

	/* of samples counted since the last flush: */
	uint8_t *batch; /* histograms, as plan->start */
	uint32_t batch_samples;
	uint64_t *pair_masks; /* per tier: the masks of pairs not counted yet */
	uint32_t pair_count[KITH_MAX_TIERS];
	uint64_t *pair_slot_major, *joined; /* some of them transposed; as pairs of one graph */
} kith_count_sparse;

/* Lists the buffers, and sets what is not a buffer. */
void kith_count_sparse_list(kith_workspace *w, kith_count_sparse *s, const kith_count_plan *plan);

/* The greatest plan->sparse_ids that the accumulator can take. */
uint64_t kith_count_sparse_most(const kith_count_plan *plan);

/* Ids that can be collected at once, counting KITH_SETS_SPARE more for each sample. */
uint64_t kith_count_sparse_room(const kith_count_plan *plan);

/* Collects the ids of samples first..first+nodes-1, up to KITH_SPARSE_SAMPLES, in the first `tiers` tiers: ids[x] of
 * the x-th, at most plan->sparse_ids. */
void kith_count_sparse_collect(kith_count_sparse *s, const kith_count_plan *plan, const kith_count_sources *sources,
			       uint64_t first, uint32_t nodes, uint32_t tiers, const uint32_t *ids);

/* Counts the first `tiers` tiers of the x-th sample collected, which is `node`; with plan->pair_room, and then `tiers`
 * is all, its pairs are appended to `pairs`. Returns the layer whose row has an id twice, or has the sample itself, or
 * -1 if there is none. */
int kith_count_sparse_node(kith_counts *c, kith_count_sparse *s, kith_pair_batch *pairs, uint64_t node, uint32_t x,
			   uint32_t tiers);

/* Counts what has been collected since the last flush. */
void kith_count_sparse_finish(kith_counts *c, kith_count_sparse *s);

#endif
