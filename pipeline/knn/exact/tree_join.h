/* tree_join.h - every row from the hierarchy of boxes (box_tree.h): where samples are many and lie in few directions,
 * so that a row is far from nearly all boxes.
 *
 * KITH_GROUP rows that stand together are in work at once, finished before the next are begun. Those beside a row give
 * it a first bound on its k-th distance; then boxes around 4,096 samples come by, the nearest first, and what of them
 * the row's bound does not rule out: boxes around 256, then 16, then single samples, by their codes. What is left is
 * looked at in all directions and becomes a candidate. Unlike the block join, which looks at pairs of blocks, a box is
 * ruled out for single rows: that is several times as many of them. */
#ifndef KITH_TREE_JOIN_H
#define KITH_TREE_JOIN_H

#include "box_tree.h"
#include "engine_plan.h"
#include "refine.h"

typedef struct kith_tree_join {
	const kith_plan *plan;
	const kith_scaling *scaling; /* of vectors that are in memory */
	const kith_graph_info *info;
	const kith_projections *projections; /* the v of their bounds in order */
	const kith_box_tree *tree;           /* of the same samples */
	const uint32_t *id;                  /* m: the samples in order */
	uint64_t m;
	uint32_t every; /* of the groups of rows, one in so many is joined, as a pilot wants it; else 1: all are */
	const uint32_t *weight; /* of each sample, for ties that are counted (candidates.h) */
	const kith_progress *progress;
} kith_tree_join;

int kith_tree_join_run(const kith_tree_join *join, kith_results *results, kith_err *err);

/* What it takes with m samples, beside what is passed to it. */
uint64_t kith_tree_join_bytes(const kith_plan *plan, const kith_vectors *vectors, uint32_t k, uint32_t near,
			      uint64_t m);

#endif
