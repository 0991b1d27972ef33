/* runs.h - the runs of pairs over layers, at every alpha up to the greatest asked for. A pair's run is a greatest range
 * of layers first..last in which it is present, but for gaps of at most alpha layers. */
#ifndef KITH_RUNS_H
#define KITH_RUNS_H

#include "bit_kernels.h"
#include "count_plan.h"
#include "workspace.h"

/* Used by one thread at a time. */
typedef struct kith_runs {
	const kith_count_plan *plan;
	const kith_bit_kernels *kernels;
	int64_t *table[2];     /* per graph: tiers x (alpha + 1) x layers x layers; for alpha > 0, what changes from
				  alpha - 1 */
	uint64_t *touching[2]; /* with plan->groups, per graph: tiers x groups x layers x layers; the runs at alpha 0 of
				  the pairs that touch each group: one of their samples, or both, are of it */
	int64_t *spans;        /* per graph and tier: spans (bit_kernels.h), where runs are counted from spans */
	uint64_t *masks;       /* else: a cache of masks over layers, each with the number of pairs that had it */
	uint32_t *start, *end; /* scratch: the runs of one mask */
} kith_runs;

/* Lists the buffers, and sets what is not a buffer. */
void kith_runs_list(kith_workspace *w, kith_runs *runs, const kith_count_plan *plan);

/* At alpha 0 and up to KITH_BITS_SPAN_LAYERS layers, runs follow from spans: pairs are then to be given as bit
 * matrices. Else they may be given as masks as well. */
int kith_runs_from_spans(const kith_count_plan *plan);

/* Counts the runs of the pairs of one graph and tier. */
void kith_runs_count_slot_major(kith_runs *runs, int graph, uint32_t tier, const uint64_t *bits, uint32_t words,
				size_t step);
void kith_runs_count_layer_major(kith_runs *runs, int graph, uint32_t tier, const uint64_t *bits, uint32_t words,
				 size_t stride);
void kith_runs_count_mask(kith_runs *runs, int graph, uint32_t tier, const uint64_t *mask);

/* With plan->groups, counts the same pairs for the groups of their samples: the pair of samples i and j, or the pairs
 * of i with the samples from `first` on. */
void kith_runs_count_mask_touching(kith_runs *runs, int graph, uint32_t tier, const uint64_t *mask, uint32_t i,
				   uint32_t j);
void kith_runs_count_layer_major_touching(kith_runs *runs, int graph, uint32_t tier, const uint64_t *bits,
					  uint32_t words, size_t stride, uint32_t i, uint32_t first);

/* After the last pair, before tables are looked at or added. */
void kith_runs_finish(kith_runs *runs);
void kith_runs_add(kith_runs *into, const kith_runs *from);

#endif
