/* estimates.h - of approximate graphs: recall, and NNTS of the exact ones by the difference estimator (kith/stack.h),
 * from the graphs' audits. */
#ifndef KITH_ESTIMATES_H
#define KITH_ESTIMATES_H

#include "kith/stack.h"
#include "node_window.h"

/* What one pair of layers and one tier come to: the values d less the first one, and their squares. */
typedef struct kith_difference kith_difference;

typedef struct kith_audited_layer {
	int exact;
	kith_graph_audit audit; /* rows 0: exact, or not audited */
	size_t sample;          /* the first layer that was audited by the same samples; the layer itself if none is */
} kith_audited_layer;

typedef struct kith_estimates {
	const kith_count_plan *plan;
	const kith_window_layer *windows; /* the layers' */
	kith_audited_layer *layers;
	int any_approximate, any_audit;

	__float128 *iou[KITH_MAX_TIERS]; /* of 0..k neighbours in common */
	kith_difference *differences;    /* tiers x pairs of layers, as in bit_kernels.h */

	/* Rows of some samples, ids with their tiers, ascending: in the graphs, and exact ones of those audited. */
	uint64_t *stored, *exact; /* samples x layers x the largest k */
	uint32_t *ids;            /* threads x the largest k */
	void *memory;
} kith_estimates;

/* Reads the audits of the layers' graphs: KITH_ECORRUPT if one cannot be read. The plan and the windows stay the
 * caller's. Free the estimates in any case. */
int kith_estimates_open(kith_estimates *e, const kith_window_layer *windows, const kith_layer *layers,
			const kith_count_plan *plan, kith_err *err);
void kith_estimates_free(kith_estimates *e); /* one that is all zeros is fine */

/* The bytes that they take with so many threads, audits included. */
uint64_t kith_estimates_bytes(const kith_estimates *e, uint32_t threads);

/* Before the first sample. KITH_ENOMEM. */
int kith_estimates_init(kith_estimates *e, uint32_t threads, kith_err *err);

/* Looks at those of samples first..first+nodes-1 that were audited; they have been counted, and so each row has k
 * distinct ids. */
void kith_estimates_add(kith_estimates *e, const kith_count_sources *sources, uint64_t first, uint64_t nodes,
			uint32_t threads);

/* After the last sample, when the stack has its means: recall and estimates, if any layer is approximate. KITH_ENOMEM.
 */
int kith_estimates_fill(const kith_estimates *e, kith_stack *stack, kith_err *err);

#endif
