/* pilot.h - what a job will take, found out by doing it with some of its samples.
 *
 * A pilot's samples are every so-many-th of the job's, and each stands for so many; a row's neighbours are as many
 * times fewer, so that they are as far as those of the job. Its plan is the job's, with what depends on n and k cut in
 * proportion, and the code that runs is the engine's. What each stage of it took, times what the planner's model says
 * of that stage of the job over what it says of the pilot's, is what it will take: the model has only to know how a
 * stage grows, its rates and how many pairs survive are those of this data on this machine. Time is the process'
 * processor time.
 *
 * The plan tree's time is another matter: how many boxes a row opens depends on how many samples there are, and what
 * they cost on whether they are in the cache. So its pilot has all of the job's samples, and joins some of their rows.
 */
#ifndef KITH_PILOT_H
#define KITH_PILOT_H

#include "engine.h"
#include "engine_plan.h"

typedef struct kith_pilot {
	double times;   /* samples that one of the pilot's stands for */
	uint32_t k;     /* of the job */
	uint32_t every; /* of all groups of rows, one in so many is joined; 1: all of the pilot's samples' */
	/* By the model, of all that was planned so far: of the job, and of the pilot. */
	double job[KITH_STAGES], own[KITH_STAGES];
	double taken[KITH_STAGES + 1]; /* the last: what is done in every stage but these, as long for the job */
	int stage;
	double since;
} kith_pilot;

/* How many samples n of the pilot's stand for: n itself if there is no pilot. */
uint64_t kith_pilot_stands_for(const kith_pilot *pilot, uint64_t n);

/* Part of a stage takes so many seconds of one thread, by the model; the ratio is what counts. No pilot: nothing. */
void kith_pilot_note(kith_pilot *pilot, kith_stage stage, double job, double own);

/* Seconds of processor time of all of the process' threads. */
double kith_pilot_clock(void);

/* From now on, time is that of `stage`; KITH_STAGES: of none. No pilot: nothing. */
void kith_pilot_enter(kith_pilot *pilot, int stage);

/* Runs `work`, the engine's, on some of the job's samples as long as that takes a small part of `seconds`, which is
 * what the model says of all stages; puts what they will take there instead, in seconds of one thread. */
typedef int (*kith_pilot_work)(const kith_engine_job *job, void *context, kith_err *err);
int kith_pilot_run(const kith_engine_job *job, kith_pilot_work work, void *context, double *seconds, kith_err *err);

/* The same with all of the job's samples, of whose groups of rows `work` joins one in `every`. It leaves job->vectors
 * in memory. */
int kith_pilot_rows(const kith_engine_job *job, uint32_t every, kith_pilot_work work, void *context, double *seconds,
		    kith_err *err);

#endif
