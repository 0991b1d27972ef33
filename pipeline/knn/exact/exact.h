/* exact.h - engine "exact": every row's true k nearest. engine.h declares it as kith_engine_exact. */
#ifndef KITH_EXACT_H
#define KITH_EXACT_H

#include <stdint.h>

/* How the engine goes about its work; no result depends on it.
 *   sketch   bounds in few dimensions rule out nearly all pairs, and the rest is measured
 *   screen   the same, but float products of all d columns stand between: where k is large
 *   full     every pair is multiplied in all d columns: where nothing can be ruled out in fewer
 *   tree     sketch, but boxes around samples rule out most of them whole: where samples are many, in few directions
 *   stream   the same as full, a panel of rows at a time against columns from the file: where memory is short
 *   auto     whichever is fastest by what a sample of the rows says, and fits */
typedef enum kith_plan_kind {
	KITH_PLAN_AUTO,
	KITH_PLAN_SKETCH,
	KITH_PLAN_SCREEN,
	KITH_PLAN_FULL,
	KITH_PLAN_TREE,
	KITH_PLAN_STREAM
} kith_plan_kind;

/* The engine's own options. What is 0 it chooses by itself, and no result depends on any of them. */
typedef struct kith_exact_options {
	kith_plan_kind plan;
	uint32_t sketch_dims;  /* directions of the sketch */
	uint32_t coarse_dims;  /* of them, those that every pair is tried in */
	uint32_t probe_blocks; /* blocks of 16 samples that first bounds come from */
	uint32_t panel_rows;   /* rows in work at once */
	uint32_t tile_rows;    /* columns that the stream plan reads at once */
	uint32_t block_nodes;  /* see kith/graph.h */
	uint32_t divide;       /* samples from which on parts are looked for (parts.h) */
	uint64_t memory;       /* to plan for, rather than for the job's, which is rounded up */
	int spill_vectors;     /* the vectors that are joined go to a file in any case */
} kith_exact_options;

#endif
