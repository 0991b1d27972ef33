/* count_nodes.h - counts samples, each tier of each by the accumulator that suits it: while the ids of a sample are
 * few, tier by tier, the sparse one; from then on, or where they come as bits, the dense one. */
#ifndef KITH_COUNT_NODES_H
#define KITH_COUNT_NODES_H

#include "count_dense.h"
#include "count_sparse.h"
#include "counts.h"

/* A thread's counts and accumulators. Used by one thread at a time. */
typedef struct kith_counter {
	kith_counts counts;
	kith_count_sparse sparse;
	kith_count_dense dense;
	kith_pair_batch pairs; /* with plan->pair_room: of the samples counted since the last write */
	void *memory;          /* holds all buffers */
} kith_counter;

/* Chooses plan->sparse_ids and dense_slots for samples whose rows and reverse lists have about `usual` ids together
 * and, where a pair store is to be written, pair_room; or takes `forced` for all unless it is 0. The rest of the plan
 * has to be filled in. No result depends on them. */
void kith_counter_choose_sizes(kith_count_plan *plan, uint64_t usual, int with_pairs, uint32_t forced);

/* The bytes that a counter takes. */
uint64_t kith_counter_bytes(const kith_count_plan *plan);

/* KITH_ENOMEM. The plan stays the caller's. */
int kith_counter_init(kith_counter *counter, const kith_count_plan *plan, kith_err *err);
void kith_counter_free(kith_counter *counter); /* one that is all zeros is fine */

/* Counts samples first..first+nodes-1. KITH_ECORRUPT if a row has an id twice, or has the sample itself; then no count
 * means anything any more. */
int kith_counter_run(kith_counter *counter, const kith_count_sources *sources, uint64_t first, uint64_t nodes,
		     kith_err *err);

/* After the last sample, before the counts are looked at or added. */
void kith_counter_finish(kith_counter *counter);

#endif
