/* planner.h - how the exact engine goes about one input: chosen from n, d, k, the memory and a sample of the rows. */
#ifndef KITH_PLANNER_H
#define KITH_PLANNER_H

#include "engine.h"
#include "engine_plan.h"
#include "projection.h"
#include "survey.h"

/* Chooses the plan. `basis` receives the directions to project on unless the plan is to stream; release it with
 * kith_basis_free, also after a failure. `survey` receives what the plan was chosen by. KITH_EUSAGE if job->memory is
 * too small for any. job->options are a kith_exact_options. For a pilot (pilot.h) it is the plan for the samples that
 * the job's stand for, until kith_plan_pilot makes it that of the job's own. */
int kith_plan_choose(kith_plan *plan, kith_survey *survey, kith_basis *basis, const kith_scaling *scaling,
		     const kith_engine_job *job, kith_err *err);

/* From the plan for all samples to the same way to go about the pilot's. */
void kith_plan_pilot(kith_plan *plan, const kith_survey *survey, const kith_scaling *scaling,
		     const kith_engine_job *job);

#endif
