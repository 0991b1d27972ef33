/* block_join.h - the all-pairs self-join where projections of all samples fit in memory: every pair of blocks of
 * KITH_LANES samples, once.
 *
 * Samples stand in an order that keeps near ones together (kd_order.h), in blocks and in groups of KITH_LANES blocks.
 * Each block's nearest others give its rows a first bound on their k-th distance. Then, for every pair of blocks that
 * the boxes around them do not rule out, bounds of all 256 pairs in few dimensions serve the rows of both; the few
 * pairs that pass are looked at in more dimensions, and what passes again is a candidate of one row or both. */
#ifndef KITH_BLOCK_JOIN_H
#define KITH_BLOCK_JOIN_H

#include "engine_plan.h"
#include "projection.h"
#include "refine.h"

typedef struct kith_block_join {
	const kith_plan *plan;
	const kith_scaling *scaling;
	const kith_graph_info *info;
	const kith_projections *projections; /* the v of their bounds in order */
	const kith_bounds *full;             /* KITH_PLAN_SCREEN: v in order; KITH_PLAN_FULL: without v; else NULL */
	const kith_quantised *blocks;        /* KITH_PLAN_FULL: of all columns; else of the coarse projections */
	const uint32_t *id;                  /* m: the samples in order */
	const uint32_t *place;               /* of each sample in that order */
	uint64_t m;
	const uint32_t *weight; /* of each sample, for ties that are counted (candidates.h) */
	const kith_progress *progress;
} kith_block_join;

/* The results of the samples id[]. *lists holds the lists of candidates, in whose place the plan may have the results
 * (else it is NULL in the end): it is for the caller to free, also after a failure. */
int kith_block_join_run(const kith_block_join *join, void **lists, kith_results *results, kith_err *err);

/* What it takes with m samples, beside what is passed to it, candidates and refiners. */
uint64_t kith_block_join_bytes(const kith_plan *plan, uint64_t m);

#endif
