/* exact.c - see exact.h: plan, project, join or stream, write. */
#include "exact.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "block_join.h"
#include "divide.h"
#include "duplicates.h"
#include "engine.h"
#include "kd_order.h"
#include "pilot.h"
#include "planner.h"
#include "stream.h"
#include "tree_join.h"
#include "write_rows.h"

#define REST         1000        /* times a second it is seen how much the process has in memory: */
#define BESIDE       (16u << 20) /* so much more than -m, and what it had before, may be there with pages of its files */
#define PILOT_GROUPS 32u         /* of rows, whose time says that of all */
#define TOGETHER     8192u       /* samples that are made blocks of before it is told how far that is */
#define LEAST_MEMORY (8u << 20)  /* the program and its libraries take more before it begins */

/* A plan, and what it was chosen by. */
struct choice {
	kith_plan plan;
	kith_survey survey;
	kith_basis basis;
	const char *how; /* the pilot found that the samples are to be divided (divide.h) */
};

struct exact {
	const kith_engine_job *job;
	kith_vectors *vectors;
	uint64_t n;
	uint32_t k, near;
	kith_scaling scaling;
	kith_basis basis;
	kith_plan plan;
	kith_projections projections;
	kith_bounds full;      /* of all d values */
	kith_quantised blocks; /* what the tiles multiply */
	kith_box_tree tree;    /* what the plan tree searches */
	uint64_t *hash;        /* n */
	kith_duplicates duplicates;
	uint32_t many_copies;       /* stop if at least n / many_copies samples are copies; 0: never */
	int stopped;                /* it has */
	const struct choice *given; /* the plan, if it is not to be chosen here */
	double cost[KITH_STAGES];   /* of a pilot: what the plan takes of the job */
	uint32_t *order;            /* m: the samples that are not left out */
	uint32_t *place;            /* n: where they stand in that order; UINT32_MAX: left out */
	uint64_t m;
	void *lists; /* of candidates, in whose place results may be */
	kith_results results;
	kith_area values;       /* those of the joined samples, in order, where they are in a file */
	kith_progress progress; /* the job's, through rest() */
	struct timespec rested;
	uint64_t allowed; /* bytes in memory before it lets go of pages of its files */
};

/* Where the vectors that are joined go to a file. */
static const char *spill_of(const struct exact *e)
{
	return e->plan.spill_vectors ? e->job->output : NULL;
}

/* Lets go of what it has touched in files. */
static void let_go(const struct exact *e)
{
	kith_area_rest(&e->projections.bounds.vectors);
	kith_area_rest(&e->full.vectors);
	kith_area_rest(&e->blocks.area);
	kith_area_rest(&e->values);
	kith_area_rest(&e->results.area);
}

/* Whenever the work tells how far it is. */
static int rest(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	struct exact *e = context;
	const kith_progress *p = e->job->progress;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((e->plan.spill_vectors || e->plan.spill) &&
	    (now.tv_sec - e->rested.tv_sec) * REST + (now.tv_nsec - e->rested.tv_nsec) / (1000000000 / REST) > 0) {
		e->rested = now;
		if (kith_area_in_memory() > e->allowed)
			let_go(e);
	}
	return p && p->call ? p->call(p->context, what, done, total) : 0;
}

static int run_pass(const struct exact *e, const kith_pass *pass, uint64_t memory, kith_err *err)
{
	return kith_pass_run(pass, &e->scaling, memory, e->plan.threads, &e->progress, err);
}

/* The stages from `first` to `last` are run. */
static void note_stages(const struct exact *e, int first, int last)
{
	for (int s = first; s <= last; s++)
		kith_pilot_note(e->job->pilot, (kith_stage)s, e->cost[s], e->plan.cost[s]);
}

static int find_duplicates(struct exact *e, kith_err *err)
{
	int rc = kith_duplicates_find(&e->duplicates, e->vectors, e->hash, e->k, err);
	e->stopped = !rc && e->many_copies && e->duplicates.copies >= e->n / e->many_copies + 1;
	note_stages(e, KITH_SKETCHING, e->stopped ? KITH_SKETCHING : KITH_MEASURING);
	if (e->stopped)
		return 0;
	free(e->hash);
	e->hash = NULL;
	return rc;
}

static int stream(struct exact *e, kith_err *err)
{
	int rc = run_pass(e, &(kith_pass){.full = &e->full, .hash = e->hash}, e->job->memory / 8, err);
	if (rc || (rc = find_duplicates(e, err)) || e->stopped)
		return rc;
	kith_stream in = {.plan = &e->plan,
			  .scaling = &e->scaling,
			  .info = e->job->info,
			  .bounds = &e->full,
			  .duplicates = &e->duplicates,
			  .count = e->n,
			  .work = "neighbours",
			  .progress = &e->progress};
	return kith_stream_run(&in, &e->results, err);
}

/* The first pass over the samples: projections, hashes and, if the plan wants it, all values in memory. */
static int project(struct exact *e, kith_err *err)
{
	int rc = e->plan.resident && !spill_of(e) ? kith_vectors_keep(e->vectors, err) : 0;
	if (rc)
		return rc;
	e->projections.dims = e->plan.dims;
	e->projections.coarse = e->plan.coarse;
	kith_pass pass = {.basis = &e->basis,
			  .projections = &e->projections,
			  .hash = e->hash,
			  .all = e->vectors->own,
			  .spill = spill_of(e)};
	rc = run_pass(e, &pass, e->job->memory / 16, err);
	if (e->vectors->own)
		e->vectors->all = e->vectors->own;
	return rc;
}

/* The samples to join, near ones together. */
static int arrange(struct exact *e, kith_err *err)
{
	if (!(e->order = kith_alloc(e->n, sizeof *e->order)) || !(e->place = kith_alloc(e->n, sizeof *e->place)))
		return kith_fail_nomem(err, "the order of the samples", e->n * sizeof *e->order);
	for (uint64_t i = 0; i < e->n; i++)
		if (!kith_is_left_out(&e->duplicates, i))
			e->order[e->m++] = (uint32_t)i;
	int rc = kith_kd_order(&e->projections, e->order, e->m, e->plan.threads, &e->progress, err);
	if (rc ||
	    (rc = kith_bounds_arrange(&e->projections.bounds, e->order, e->m, e->plan.threads, &e->progress, err)))
		return rc;
	memset(e->place, 0xff, e->n * sizeof *e->place);
	for (uint64_t at = 0; at < e->m; at++)
		e->place[e->order[at]] = (uint32_t)at;
	return 0;
}

/* Room in a file for the joined samples' values, side by side as the samples are: who refines near rows then finds what
 * they want together. */
static int spill_values(struct exact *e, kith_err *err)
{
	char *all;
	kith_workspace w = {0};
	KITH_BUFFER(&w, all, e->m * e->vectors->d * e->vectors->value_size);
	int rc = kith_area_alloc(&e->values, &w, spill_of(e), "the samples", err);
	if (!rc) {
		e->vectors->all = all;
		e->vectors->place = e->place;
	}
	return rc;
}

/* The coarse projections in blocks. */
static int make_coarse_blocks(struct exact *e, kith_err *err)
{
	const kith_projections *p = &e->projections;
	uint32_t values = p->coarse + 1;
	float *v = kith_alloc((size_t)e->plan.threads * values, sizeof *v);
	int rc = v ? kith_quantised_alloc(&e->blocks, e->m, values, spill_of(e), err)
		   : kith_fail_nomem(err, "a coarse projection", values * sizeof *v);
	for (uint64_t from = 0; !rc && from < e->m; from += TOGETHER) {
		uint64_t to = e->m - from < TOGETHER ? e->m : from + TOGETHER;
		rc = kith_progress_tick(&e->progress, "arranging", from, e->m, err);
#pragma omp parallel for num_threads(e->plan.threads) schedule(static)
		for (uint64_t at = from; at < to; at++) {
			float *own = v + (size_t)omp_get_thread_num() * values;
			for (uint32_t t = 0; t < values; t++)
				own[t] = kith_projections_coarse(p, at, e->order[at], t);
			kith_quantised_put(&e->blocks, at, own, values);
		}
	}
	free(v);
	return rc;
}

/* What the tiles multiply and, for the plans screen and full, the bounds of all values, by a second pass. */
static int make_blocks(struct exact *e, kith_err *err)
{
	int full = e->plan.kind == KITH_PLAN_FULL, rc = spill_of(e) ? spill_values(e, err) : 0;
	float *w;
	kith_pass pass = {.all = e->values.at,
			  .full = &e->full,
			  .vectors = !full,
			  .blocks = full ? &e->blocks : NULL,
			  .place = e->place,
			  .m = e->m,
			  .spill = spill_of(e)};
	if (e->plan.kind == KITH_PLAN_SKETCH)
		pass = (kith_pass){.all = pass.all, .place = e->place, .m = e->m};
	if (!rc && (e->plan.kind != KITH_PLAN_SKETCH || pass.all))
		rc = run_pass(e, &pass, e->job->memory / 16, err);
	if (rc || (!full && (rc = make_coarse_blocks(e, err))))
		return rc;
	w = full ? e->full.w : e->projections.bounds.w;
	kith_quantised_bound(&e->blocks, e->order, e->m, full ? e->full.lo : e->projections.lo);
	if (!kith_plan_two_level(&e->plan)) /* the tiles' t are the candidates' */
		for (uint64_t at = 0; at < e->m; at++)
			w[e->order[at]] = kith_round_up((double)w[e->order[at]] + 2 * (double)e->blocks.slack[at]);
	return 0;
}

static int search_tree(struct exact *e, kith_err *err)
{
	int rc = kith_box_tree_make(&e->tree, &e->projections, e->order, e->m, e->plan.threads, err);
	kith_tree_join in = {.plan = &e->plan,
			     .scaling = &e->scaling,
			     .info = e->job->info,
			     .projections = &e->projections,
			     .tree = &e->tree,
			     .id = e->order,
			     .m = e->m,
			     .every = e->job->pilot ? e->job->pilot->every : 1,
			     .weight = kith_duplicates_weight(&e->duplicates, e->vectors),
			     .progress = &e->progress};
	return rc ? rc : kith_tree_join_run(&in, &e->results, err);
}

static int join(struct exact *e, kith_err *err)
{
	int rc;
	if ((rc = project(e, err)) || (rc = find_duplicates(e, err)) || e->stopped || (rc = arrange(e, err)))
		return rc;
	if (e->plan.kind == KITH_PLAN_TREE)
		return search_tree(e, err);
	if ((rc = make_blocks(e, err)))
		return rc;
	kith_block_join in = {.plan = &e->plan,
			      .scaling = &e->scaling,
			      .info = e->job->info,
			      .projections = &e->projections,
			      .full = e->full.lo ? &e->full : NULL,
			      .blocks = &e->blocks,
			      .id = e->order,
			      .place = e->place,
			      .m = e->m,
			      .weight = kith_duplicates_weight(&e->duplicates, e->vectors),
			      .progress = &e->progress};
	return kith_block_join_run(&in, &e->lists, &e->results, err);
}

static void describe(const kith_plan *p, char *out, size_t size)
{
	if (p->kind == KITH_PLAN_STREAM)
		snprintf(out, size, "exact (stream, panels of %u)", p->panel);
	else if (p->kind == KITH_PLAN_FULL)
		snprintf(out, size, "exact (full)");
	else if (p->kind == KITH_PLAN_SCREEN)
		snprintf(out, size, "exact (screen r=%u, then all)", p->coarse);
	else if (p->kind == KITH_PLAN_TREE)
		snprintf(out, size, "exact (tree r=%u,%u)", p->coarse, p->dims);
	else if (p->coarse < p->dims)
		snprintf(out, size, "exact (sketch r=%u,%u)", p->coarse, p->dims);
	else
		snprintf(out, size, "exact (sketch r=%u)", p->dims);
}

static int choose_plan(struct exact *e, kith_err *err)
{
	kith_survey survey;
	int rc = 0;
	kith_pilot_enter(e->job->pilot, KITH_STAGES);
	if (e->given) {
		survey = e->given->survey;
		e->plan = e->given->plan;
		e->basis = e->given->basis;
	} else {
		rc = kith_plan_choose(&e->plan, &survey, &e->basis, &e->scaling, e->job, err);
	}
	if (!rc && e->job->pilot) {
		memcpy(e->cost, e->plan.cost, sizeof e->cost);
		if (e->job->pilot->every > 1)
			e->plan.cost[KITH_JOINING] /= e->job->pilot->every;
		else
			kith_plan_pilot(&e->plan, &survey, &e->scaling, e->job);
	}
	return rc;
}

/* By one plan, chosen here unless it is given, to e->results, unless it stops. */
static int run(struct exact *e, kith_err *err)
{
	const char *spill;
	uint64_t before = kith_area_in_memory();
	e->progress = (kith_progress){rest, e};
	e->allowed = before == UINT64_MAX ? 0 : before + e->job->memory + BESIDE;
	int rc = choose_plan(e, err);
	if (rc)
		return rc;
	spill = e->plan.spill ? e->job->output : NULL;
	if (!e->plan.in_place && (rc = kith_results_init(&e->results, e->n, e->k, e->near, spill, err)))
		return rc;
	if (!(e->hash = kith_alloc(e->n, sizeof *e->hash)))
		return kith_fail_nomem(err, "hashes of samples", e->n * sizeof *e->hash);
	return e->plan.kind == KITH_PLAN_STREAM ? stream(e, err) : join(e, err);
}

/* The job, with as much memory as it takes at least. */
static kith_engine_job with_memory(const kith_engine_job *job)
{
	kith_engine_job own = *job;
	own.memory = own.memory > LEAST_MEMORY ? own.memory : LEAST_MEMORY;
	return own;
}

static struct exact exact_of(const kith_engine_job *job)
{
	return (struct exact){.job = job,
			      .vectors = job->vectors,
			      .n = job->info->n,
			      .k = kith_info_k(job->info),
			      .near = job->info->near};
}

static const kith_duplicates *left_out_of(const struct exact *e)
{
	return e->plan.kind == KITH_PLAN_STREAM ? NULL : &e->duplicates;
}

static void release(struct exact *e)
{
	if (e->values.at)
		e->vectors->all = e->vectors->place = NULL;
	kith_area_free(&e->values);
	if (!e->given)
		kith_basis_free(&e->basis);
	kith_projections_free(&e->projections);
	kith_bounds_free(&e->full);
	kith_area_free(&e->blocks.area);
	free(e->tree.memory);
	free(e->duplicates.memory);
	kith_results_free(&e->results);
	free(e->lists);
	free(e->hash);
	free(e->order);
	free(e->place);
}

static void rank_results(const struct exact *e, kith_ranked_rows *rows, uint32_t *ids)
{
	for (uint64_t i = 0; i < e->n; i++) {
		kith_row to = {ids, rows->id + i * rows->k, rows->dist + i * rows->k};
		kith_results_copy(&e->results, left_out_of(e), &e->vectors->ties, i, to);
		rows->count[i] = rows->k;
		if (left_out_of(e) && kith_is_left_out(&e->duplicates, i))
			rows->left[i] = rows->left[e->duplicates.twin[i]];
	}
}

int kith_exact_rank(const kith_engine_job *job, const kith_scaling *scaling, uint32_t many_copies,
		    kith_ranked_rows *rows, uint64_t **hash, kith_err *err)
{
	kith_graph_info info = {.n = rows->n, .d = job->info->d, .tiers = 1, .ladder = {rows->k}, .near = rows->k};
	kith_engine_job own = *job;
	own.info = &info;
	struct exact e = exact_of(&own);
	uint32_t *ids = kith_alloc(rows->k, sizeof *ids);
	int rc = ids ? 0 : kith_fail_nomem(err, "a row", rows->k * sizeof *ids);
	e.scaling = *scaling;
	e.many_copies = many_copies;
	e.results.left = rows->left;
	if (!rc && !(rc = run(&e, err)) && !e.stopped)
		rank_results(&e, rows, ids);
	if (!rc && e.stopped) {
		*hash = e.hash;
		e.hash = NULL;
	}
	free(ids);
	release(&e);
	return rc;
}

/* The rows, in e->results or, if *how says that the samples were divided, in `rows`. */
static int find_rows(struct exact *e, kith_ranked_rows *rows, const char **how, kith_err *err)
{
	const kith_engine_job *job = e->job;
	int rc;
	if ((rc = kith_scaling_init(&e->scaling, e->vectors, err)) ||
	    (rc = kith_divide(job, &e->scaling, NULL, rows, how, err)))
		return rc;
	e->many_copies = kith_divide_copies(job);
	if (!*how && (rc = run(e, err)))
		return rc;
	if (e->stopped) { /* make room, but for the hashes */
		struct exact hashes = exact_of(job);
		hashes.scaling = e->scaling;
		hashes.hash = e->hash;
		e->hash = NULL;
		release(e);
		*e = hashes;
		rc = kith_divide(job, &e->scaling, e->hash, rows, how, err);
	}
	return rc;
}

static int build(const kith_engine_job *asked, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	kith_engine_job own = with_memory(asked), *job = &own;
	struct exact e = exact_of(job);
	kith_ranked_rows rows = {0};
	const char *how = NULL;
	e.results.left = job->left;
	int rc = find_rows(&e, &rows, &how, err);
	if (!rc && how) {
		snprintf(summary->plan, sizeof summary->plan, "exact (%s)", how);
		kith_ranked_rows_count(&rows, job->info, &summary->tied);
		if (job->left)
			memcpy(job->left, rows.left, rows.n * sizeof *rows.left);
		rc = kith_ranked_rows_write(&rows, job, writer, err);
	} else if (!rc) {
		describe(&e.plan, summary->plan, sizeof summary->plan);
		summary->tied = e.results.tied;
		for (uint64_t i = 0; job->left && left_out_of(&e) && i < e.n; i++)
			if (kith_is_left_out(&e.duplicates, i))
				job->left[i] = job->left[e.duplicates.twin[i]];
		rc = kith_results_write(&e.results, left_out_of(&e), job, writer, err);
	}
	free(rows.memory);
	release(&e);
	return rc;
}

/* ---- what it will take ---- */

static int pilot(const kith_engine_job *job, void *context, kith_err *err)
{
	struct choice *choice = context;
	struct exact e = exact_of(job);
	kith_ranked_rows rows = {0};
	e.given = choice;
	choice->how = NULL;
	int rc = find_rows(&e, &rows, &choice->how, err);
	free(rows.memory);
	release(&e);
	return rc;
}

/* The plan tree with all samples, for some rows. */
static int pilot_rows(const kith_engine_job *job, void *context, kith_err *err)
{
	struct exact e = exact_of(job);
	e.given = context;
	int rc = kith_scaling_init(&e.scaling, e.vectors, err);
	if (!rc)
		rc = run(&e, err);
	release(&e);
	return rc;
}

/* What all stages take, by pilots: seconds of one thread. */
static int run_pilots(const kith_engine_job *job, struct choice *choice, double *seconds, kith_err *err)
{
	uint64_t every = job->info->n / KITH_GROUP / PILOT_GROUPS;
	int rc = kith_pilot_run(job, pilot, choice, seconds, err);
	if (rc || choice->how || choice->plan.kind != KITH_PLAN_TREE || choice->plan.spill || every < 2)
		return rc;
	return kith_pilot_rows(job, (uint32_t)every, pilot_rows, choice, seconds, err);
}

static int foresee(const kith_engine_job *asked, kith_knn_estimate *out, kith_err *err)
{
	kith_engine_job own = with_memory(asked), *job = &own;
	kith_scaling scaling;
	struct choice choice = {0};
	double seconds, planning = kith_pilot_clock();
	int rc = kith_scaling_init(&scaling, job->vectors, err);
	if (!rc)
		rc = kith_plan_choose(&choice.plan, &choice.survey, &choice.basis, &scaling, job, err);
	planning = kith_pilot_clock() - planning;
	if (!rc && !(rc = run_pilots(job, &choice, &seconds, err))) {
		describe(&choice.plan, out->plan, sizeof out->plan);
		if (choice.how)
			snprintf(out->plan, sizeof out->plan, "exact (%s)", choice.how);
		for (int s = 0; s < KITH_STAGES; s++)
			choice.plan.seconds -= choice.plan.cost[s] / job->threads;
		out->seconds = choice.plan.seconds + (planning + seconds) / job->threads;
		out->memory = choice.plan.memory;
		out->temporary = choice.plan.disk;
	}
	kith_basis_free(&choice.basis);
	return rc;
}

/* ---- the door ---- */

enum { PLAN, DIMS, COARSE, PROBES };

static const kith_engine_option options[] = {
	[PLAN] = {"plan", "PLAN", "How to go about it: auto, sketch, screen, full, tree or stream", 0},
	[DIMS] = {"dims", "R", "Directions of the sketch", 1u << 20},
	[COARSE] = {"coarse", "R", "Directions of it that every pair is tried in", 1u << 20},
	[PROBES] = {"probes", "BLOCKS", "Blocks of 16 samples that first bounds come from", 1u << 20},
	{0},
};

static int take_plan(kith_exact_options *o, const char *text, kith_err *err)
{
	static const char *const names[] = {
		[KITH_PLAN_AUTO] = "auto", [KITH_PLAN_SKETCH] = "sketch", [KITH_PLAN_SCREEN] = "screen",
		[KITH_PLAN_FULL] = "full", [KITH_PLAN_TREE] = "tree",     [KITH_PLAN_STREAM] = "stream"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(text, names[i])) {
			o->plan = (kith_plan_kind)i;
			return 0;
		}
	return kith_fail(err, KITH_EUSAGE, "--plan %s: not a plan: auto, sketch, screen, full, tree or stream", text);
}

static int take(void *own, size_t which, const char *text, uint32_t number, kith_err *err)
{
	kith_exact_options *o = own;
	if (which == PLAN)
		return take_plan(o, text, err);
	*(which == DIMS ? &o->sketch_dims : which == COARSE ? &o->coarse_dims : &o->probe_blocks) = number;
	return 0;
}

static void promise(const void *own, kith_graph_info *info)
{
	const kith_exact_options *o = own;
	strcpy(info->engine, "exact");
	info->block_nodes = o->block_nodes;
}

const kith_engine kith_engine_exact = {
	.name = "exact",
	.exact = 1,
	.options_size = sizeof(kith_exact_options),
	.options = options,
	.take = take,
	.promise = promise,
	.foresee = foresee,
	.build = build,
};
