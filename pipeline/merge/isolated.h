/* isolated.h - samples without any mutual neighbour: for each layer and k, the nodes that the mutual graph leaves
 * without an edge (isolated vertices). Under union there are none, as every sample has k neighbours. */
#ifndef KITH_ISOLATED_H
#define KITH_ISOLATED_H

#include "count_plan.h"
#include "kith/stack.h"

/* A bit a sample, for each tier and layer: has it a mutual neighbour whose tier is this? Nothing where the plan does
 * not ask for the mutual graph. */
typedef struct kith_isolated {
	const kith_count_plan *plan;
	uint64_t *linked; /* tiers x layers x words */
	void *memory;
} kith_isolated;

/* The bytes that it takes. */
uint64_t kith_isolated_bytes(const kith_count_plan *plan);

/* KITH_ENOMEM. The plan stays the caller's. */
int kith_isolated_init(kith_isolated *isolated, const kith_count_plan *plan, kith_err *err);
void kith_isolated_free(kith_isolated *isolated); /* one that is all zeros is fine */

/* Looks at the mutual pairs of samples first..first+nodes-1 with larger ones, the layers side by side. */
void kith_isolated_add(kith_isolated *isolated, const kith_count_sources *sources, uint64_t first, uint64_t nodes,
		       uint32_t threads);

/* After the last sample: fills in the stack's mutual tables. */
void kith_isolated_fill(const kith_isolated *isolated, kith_stack *stack);

#endif
