/* relabelled.h - what two layers' rows share when the samples of one are given other names: the overlaps of relabelled
 * graphs, counted by one thread, one relabelling at a time.
 *
 * Relabelling r gives layer v a permutation s of the samples: node s(i) of the relabelled graph has the neighbours
 * s(K_i). What is the graph's own, its degrees and its clusters, stays; what it has in common with another is chance.
 * Permutations follow from the seed, r, v and n alone: the bits of splitmix64 (random.h) shuffle 0..n-1 (Fisher and
 * Yates). Layer 0 keeps its names, as only relative ones matter. */
#ifndef KITH_RELABELLED_H
#define KITH_RELABELLED_H

#include "bit_kernels.h"
#include "count_plan.h"
#include "workspace.h"

/* Of samples that 16 bits can number, ids are 16 bits, which halves what goes through the caches; else 32. */
static inline size_t kith_relabelled_id_size(uint64_t n)
{
	return n <= 1u << 16 ? sizeof(uint16_t) : sizeof(uint32_t);
}

/* The rows of some layers, in memory. */
typedef struct kith_relabelled_rows {
	const kith_count_plan *plan; /* of these layers: n, layers, tiers, k and start */
	const void *const *rows;     /* of each, n x the largest k ids: the nearest k of tier t are the first k[t] */
	const uint32_t *number;      /* of each, which permutation is its: v */
} kith_relabelled_rows;

/* Used by one thread at a time. */
typedef struct kith_relabelled {
	const kith_relabelled_rows *from;
	const kith_bit_kernels *kernels;
	uint32_t *overlap; /* histograms of |K_i^a n K_i^b|, as plan->start says, after kith_relabelled_count */

	uint32_t *old_name;      /* layers x n: the permutations' inverses, */
	unsigned char *new_name; /* and they themselves, ids */
	unsigned char *ids;      /* relabelled rows: some nodes' x layers x the largest k */
	uint8_t *tier_of;        /* the largest k: the tier that a place in a row belongs to */

	/* sparse: ids are looked for by their last bits */
	unsigned char *last; /* by last bits: first_place + the place of the last id that had them, among a node's ids;
				 less than first_place: none of this node's has. 16 bits each, or 32 */
	uint32_t first_place;
	uint32_t *before; /* of the place of an id, where one of the same last bits was before; no less than it: nowhere
			   */
	uint32_t *hit;    /* places of ids whose last bits have been seen before */
	uint32_t *common; /* pairs of layers x tiers: ids that two rows share, zero between nodes */
	uint32_t *touched; /* pairs of layers that share any */

	uint64_t *bits; /* dense: layer-major sets (bit_kernels.h) */
	void *memory;
} kith_relabelled;

/* The bytes that it takes. */
uint64_t kith_relabelled_bytes(const kith_count_plan *plan);

/* KITH_ENOMEM; free it in any case. `from` and what it points at stay the caller's, and where they are. */
int kith_relabelled_init(kith_relabelled *r, const kith_relabelled_rows *from, kith_err *err);
void kith_relabelled_free(kith_relabelled *r); /* one that is all zeros is fine */

/* Counts the overlaps of every two of the layers under one relabelling. */
void kith_relabelled_count(kith_relabelled *r, uint64_t seed, uint32_t relabelling);

#endif
