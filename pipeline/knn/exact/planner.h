/* planner.h - how the exact engine goes about one input: chosen from n, d, k, the memory and a sample of the rows. */
#ifndef KITH_PLANNER_H
#define KITH_PLANNER_H

#include "engine.h"
#include "engine_plan.h"
#include "projection.h"

/* Chooses the plan. `basis` receives the sketch's directions unless the plan is to stream; release it with
 * kith_basis_free, also after a failure. KITH_EUSAGE if job->memory is too small for any. job->options are a
 * kith_exact_options. */
int kith_plan_choose(kith_plan *plan, kith_basis *basis, const kith_screen *screen, const kith_engine_job *job,
		     kith_err *err);

#endif
