/* to_stack.h - from counts to a stack. */
#ifndef KITH_TO_STACK_H
#define KITH_TO_STACK_H

#include "counts.h"
#include "kith/graph.h"
#include "kith/stack.h"

/* A stack with room for what the plan counts, to be freed with kith_stack_free. */
int kith_to_stack_new(kith_stack **out, const kith_count_plan *plan, kith_err *err);

/* What a stack says of a layer is what its graph says of itself. What was copied on failure belongs to `out`, too. */
int kith_to_stack_layer(kith_layer *out, const kith_graph_info *info, const kith_count_plan *plan, const char *name,
			kith_err *err);

/* Mean and standard error over n samples of IoU, or else of overlap: histogram[c] of them have |K_i^a n K_i^b| = c <=
 * k. Means are correctly rounded. */
void kith_mean_of_histogram(const uint32_t *histogram, uint32_t k, uint64_t n, int iou, double *mean, double *std_err);

/* NNTS, overlap and NNTP from counts that are finished and added up. */
void kith_to_stack_fill(kith_stack *stack, const kith_counts *counts, uint32_t threads);

#endif
