/* engine_plan.h - how the exact engine goes about one input; planner.h chooses it. */
#ifndef KITH_ENGINE_PLAN_H
#define KITH_ENGINE_PLAN_H

#include <stdint.h>

#include "exact.h"

/* The stages of the work between reading and writing, as progress tells them apart; what streams has all of its join in
 * one. */
typedef enum kith_stage {
	KITH_SKETCHING,
	KITH_FIRST_BOUNDS,
	KITH_JOINING,
	KITH_MEASURING,
	KITH_JOINING_PARTS,
	KITH_STAGES
} kith_stage;

typedef struct kith_plan {
	kith_plan_kind kind; /* never KITH_PLAN_AUTO */
	int threads;
	uint32_t dims;     /* directions of the projections */
	uint32_t coarse;   /* of them, in the tiles that every pair goes through */
	int resident;      /* all samples stay in memory, as values (vectors.h) */
	int in_place;      /* the finished rows take the place of candidates, which are there for all rows together */
	int spill;         /* the finished rows go to a temporary file */
	int spill_vectors; /* and so do the vectors that are joined */
	int tight;         /* the directions seem to hold all of the data: upper bounds are close */
	uint32_t probes;   /* blocks that a block's first bounds come from: its nearest, or if `guess` any */
	int guess;         /* first bounds are guessed, as k is a large part of n */
	uint32_t capacity; /* candidates of a row */
	uint32_t known;    /* distances of a row that its first bound is made from, and that are kept */
	uint32_t panel;    /* rows whose candidates are in memory together */
	uint32_t tile;     /* columns that the stream plan reads together */
	uint32_t batch;    /* rows that a thread finishes together */
	/* what it will take, about */
	double share;             /* of all pairs, those that pass the tiles */
	double refined;           /* canonical distances for each row */
	double cost[KITH_STAGES]; /* seconds of one thread */
	double seconds;           /* of all of the work, with all threads */
	uint64_t memory, disk;    /* bytes */
} kith_plan;

/* Whether pairs that pass the tiles are looked at once more before they are candidates; else the tiles' bounds are the
 * candidates'. */
static inline int kith_plan_two_level(const kith_plan *p)
{
	return p->kind == KITH_PLAN_SCREEN || (p->kind == KITH_PLAN_SKETCH && p->coarse < p->dims);
}

#endif
