/* approx_plan.h - how the approximate engine goes about one input: from n, d, k, the memory and a sample of the rows.
 */
#ifndef KITH_APPROX_PLAN_H
#define KITH_APPROX_PLAN_H

#include "approx.h"
#include "engine.h"
#include "projection.h"

typedef struct kith_approx_plan {
	double recall;    /* to be reached */
	int until_recall; /* trees and rounds until it is; else as many as there stand here */
	uint32_t trees, rounds;
	uint32_t leaf;             /* samples of a leaf, at most */
	uint32_t dims;             /* directions of the codes; 0: all values */
	uint32_t directions;       /* that were found */
	uint32_t length;           /* entries of a list */
	uint32_t forward, reverse; /* descent.h */
	int resident;              /* all samples stay in memory, as values (vectors.h) */
	uint32_t batch;            /* rows that a thread finishes together */
	/* Where codes and lists of all samples do not fit: the part of them that may be in one cell (cells.h); else 0.
	 */
	double cell;
	uint32_t cells;  /* as many, where they are asked for; else 0 */
	int by_estimate; /* the recall is to be reached by the audit's estimate, not by its interval's lower end */
	uint64_t memory, disk; /* bytes that it will take, about */
	double seconds;        /* and time */
} kith_approx_plan;

/* Whether one leaf holds all samples: then there is nothing to plan. */
int kith_approx_is_whole(const kith_engine_job *job);

/* Bytes that n samples take in memory, themselves included, with job->info->near distances measured of each. */
uint64_t kith_approx_plan_bytes(const kith_approx_plan *plan, uint64_t n, const kith_engine_job *job);

/* How many cells there will be, about. */
uint32_t kith_approx_plan_cells(const kith_approx_plan *plan);

/* Chooses the plan. `basis` receives the directions of the codes; release it with kith_basis_free, also after a
 * failure. KITH_EUSAGE if job->memory is too small. job->options are a kith_approx_options. */
int kith_approx_plan_choose(kith_approx_plan *plan, kith_basis *basis, const kith_scaling *scaling,
			    const kith_engine_job *job, kith_err *err);

#endif
