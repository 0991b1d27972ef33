/* pilot.c - see pilot.h */
#include "pilot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"

#define FIRST   1024u /* samples of the first pilot */
#define ALLOWED 0.4   /* seconds of one thread that a pilot may take, */
#define PART    0.03  /* or so much of what the job takes */
#define GROWTH  1.5   /* of a pilot's time, with its samples: an exponent */

struct run {
	kith_pilot pilot;
	kith_engine_job job;
	kith_graph_info info;
	kith_vectors from_file, samples;
	kith_progress progress;
	const kith_progress *outer; /* the job's */
	void *values;
};

uint64_t kith_pilot_stands_for(const kith_pilot *p, uint64_t n)
{
	return p ? (uint64_t)((double)n * p->times + 0.5) : n;
}

void kith_pilot_note(kith_pilot *p, kith_stage stage, double job, double own)
{
	if (!p)
		return;
	p->job[stage] += job;
	p->own[stage] += own;
}

double kith_pilot_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void kith_pilot_enter(kith_pilot *p, int stage)
{
	if (!p)
		return;
	double t = kith_pilot_clock();
	p->taken[p->stage] += t - p->since;
	p->stage = stage;
	p->since = t;
}

static int tick(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	static const char *const names[KITH_STAGES] = {[KITH_SKETCHING] = "sketching",
						       [KITH_FIRST_BOUNDS] = "first bounds",
						       [KITH_JOINING] = "neighbours",
						       [KITH_MEASURING] = "measuring",
						       [KITH_JOINING_PARTS] = "joining parts"};
	struct run *r = context;
	int stage = 0;
	while (stage < KITH_STAGES && strcmp(strcmp(what, "arranging") ? what : "sketching", names[stage]))
		stage++;
	if (stage != r->pilot.stage)
		kith_pilot_enter(&r->pilot, stage);
	return r->outer && r->outer->call ? r->outer->call(r->outer->context, what, done, total) : 0;
}

/* ---- its samples ---- */

/* m of the job's samples, at even steps. Where all of those fit into memory, these are there, as of no file. */
static int take_samples(struct run *r, const kith_engine_job *job, uint64_t m, kith_err *err)
{
	const kith_vectors *v = job->vectors;
	uint64_t bytes = v->d * v->value_size;
	uint32_t *id = kith_alloc(m, sizeof *id);
	uint8_t *raw = kith_alloc(v->row_bytes, 1);
	kith_vectors whole;
	int rc = id && raw ? 0 : kith_fail_nomem(err, "samples of a pilot", m * sizeof *id);
	for (uint64_t i = 0; !rc && i < m; i++)
		id[i] = (uint32_t)(i * v->n / m);
	if (rc || (rc = kith_vectors_some(&r->from_file, v, id, m, err)))
		goto done;
	r->job.vectors = &r->from_file;
	if (v->n * bytes > job->memory / 2)
		goto done;
	if (!(r->values = kith_alloc(m, bytes))) {
		rc = kith_fail_nomem(err, "samples of a pilot", m * bytes);
		goto done;
	}
	if ((rc = kith_vectors_read_values(&r->from_file, 0, m, r->values, raw, err)))
		goto done;
	for (uint64_t i = 0; i < m; i++)
		id[i] = (uint32_t)i;
	whole = r->from_file;
	whole.input = NULL;
	whole.id = NULL;
	whole.all = r->values;
	whole.metric = KITH_L2;
	rc = kith_vectors_some(&r->samples, &whole, id, m, err);
	r->job.vectors = &r->samples;
done:
	free(id);
	free(raw);
	return rc;
}

static void set_up_job(struct run *r, const kith_engine_job *job, uint64_t m)
{
	double times = (double)job->info->n / (double)m;
	uint32_t k = kith_info_k(job->info), own = (uint32_t)(k / times + 0.5);
	own = own < 1 ? 1 : own > m - 1 ? (uint32_t)m - 1 : own;
	r->pilot = (kith_pilot){.times = times, .k = k, .every = 1, .stage = KITH_STAGES};
	r->info = *job->info;
	r->info.n = m;
	r->info.tiers = 1;
	r->info.ladder[0] = own;
	r->info.near = r->info.near < own ? r->info.near : own;
	r->outer = job->progress;
	r->progress = (kith_progress){tick, r};
	r->job = *job;
	r->job.info = &r->info;
	r->job.pilot = &r->pilot;
	r->job.progress = &r->progress;
}

static int run(struct run *r, const kith_engine_job *job, uint64_t m, kith_pilot_work work, void *context,
	       kith_err *err)
{
	*r = (struct run){0};
	set_up_job(r, job, m);
	int rc = take_samples(r, job, m, err);
	r->pilot.since = kith_pilot_clock();
	if (!rc)
		rc = work(&r->job, context, err);
	kith_pilot_enter(&r->pilot, KITH_STAGES);
	kith_vectors_free(&r->samples);
	kith_vectors_free(&r->from_file);
	free(r->values);
	return rc;
}

/* ---- from it to the job ---- */

static double sum(const double *x, int count)
{
	double all = 0;
	for (int s = 0; s < count; s++)
		all += x[s];
	return all;
}

static double scaled_up(const kith_pilot *p)
{
	double all = p->taken[KITH_STAGES];
	for (int s = 0; s < KITH_STAGES; s++)
		all += p->own[s] > 0 ? p->taken[s] * p->job[s] / p->own[s] : p->taken[s] * p->times;
	return all;
}

int kith_pilot_run(const kith_engine_job *job, kith_pilot_work work, void *context, double *seconds, kith_err *err)
{
	uint64_t n = job->info->n, m = n < FIRST ? n : FIRST;
	struct run r;
	int rc = run(&r, job, m, work, context, err);
	if (rc)
		return rc;
	/* what plans take (the last of taken) grows little */
	double allowed = fmax(ALLOWED, PART * scaled_up(&r.pilot)), taken = sum(r.pilot.taken, KITH_STAGES);
	uint64_t more = (uint64_t)fmin((double)n, (double)m * pow(allowed / fmax(taken, 1e-3), 1 / GROWTH));
	if (more >= 2 * m || (more == n && more > m))
		rc = run(&r, job, more, work, context, err);
	*seconds = scaled_up(&r.pilot);
	return rc;
}

int kith_pilot_rows(const kith_engine_job *job, uint32_t every, kith_pilot_work work, void *context, double *seconds,
		    kith_err *err)
{
	struct run r = {0};
	set_up_job(&r, job, job->info->n);
	r.pilot.every = every;
	r.pilot.since = kith_pilot_clock();
	int rc = work(&r.job, context, err);
	kith_pilot_enter(&r.pilot, KITH_STAGES);
	*seconds = scaled_up(&r.pilot);
	return rc;
}
