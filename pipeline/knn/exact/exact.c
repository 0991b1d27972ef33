/* exact.c - see exact.h: plan, sketch, join or stream, write. */
#include "exact.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "block_join.h"
#include "duplicates.h"
#include "engine.h"
#include "kd_order.h"
#include "planner.h"
#include "stream.h"
#include "workspace.h"

#define OUT_BYTES (4u << 20) /* of finished rows handed to the writer at once */

struct exact {
	kith_rows *rows;
	const kith_engine_job *job;
	uint32_t k;
	kith_screen screen;
	kith_basis basis;
	kith_plan plan;
	kith_sketch sketch;
	kith_level full;
	kith_blocks blocks;
	uint64_t *hash;
	kith_duplicates duplicates;
	uint32_t *order; /* m: the samples that are not left out */
	uint32_t *place; /* n: where they stand in that order; UINT32_MAX: left out */
	uint64_t m;
	void *lists; /* of candidates, in whose place results may be */
	kith_results results;
};

static int find_duplicates(struct exact *e, kith_err *err)
{
	int rc = kith_duplicates_find(&e->duplicates, e->rows, e->hash, e->k, err);
	free(e->hash);
	e->hash = NULL;
	return rc;
}

static int stream(struct exact *e, kith_err *err)
{
	kith_projection to = {.full = &e->full, .hash = e->hash};
	int rc = kith_project(&to, &e->screen, e->job->memory / 8, e->plan.threads, e->job->progress, err);
	if (rc || (rc = find_duplicates(e, err)))
		return rc;
	kith_stream in = {.plan = &e->plan,
			  .screen = &e->screen,
			  .info = e->job->info,
			  .level = &e->full,
			  .duplicates = &e->duplicates,
			  .progress = e->job->progress};
	return kith_stream_run(&in, &e->results, err);
}

/* The samples to join, near ones together. */
static int arrange(struct exact *e, kith_err *err)
{
	e->order = kith_alloc(e->rows->n, sizeof *e->order);
	if (!e->order)
		return kith_fail_nomem(err, "the order of the samples", e->rows->n * sizeof *e->order);
	for (uint64_t i = 0; i < e->rows->n; i++)
		if (!kith_left_out(&e->duplicates, i))
			e->order[e->m++] = (uint32_t)i;
	int rc = kith_order(&e->sketch, e->order, e->m, e->plan.threads, err);
	if (rc || (rc = kith_level_arrange(&e->sketch.level, e->order, e->m, e->plan.threads, err)))
		return rc;
	if (!(e->place = kith_alloc(e->rows->n, sizeof *e->place)))
		return kith_fail_nomem(err, "the order of the samples", e->rows->n * sizeof *e->place);
	memset(e->place, 0xff, e->rows->n * sizeof *e->place);
	for (uint64_t at = 0; at < e->m; at++)
		e->place[e->order[at]] = (uint32_t)at;
	return 0;
}

/* The level of all columns, if the plan wants one. */
static int make_full_level(struct exact *e, kith_err *err)
{
	int full = e->plan.kind == KITH_PLAN_FULL;
	kith_projection to = {
		.full = &e->full, .vectors = !full, .blocks = full ? &e->blocks : NULL, .place = e->place, .m = e->m};
	if (e->plan.kind == KITH_PLAN_SKETCH)
		return 0;
	return kith_project(&to, &e->screen, e->job->memory / 16, e->plan.threads, e->job->progress, err);
}

/* What the tiles work with, where that is not all columns: the coarse sketch. */
static int make_coarse_blocks(struct exact *e, kith_err *err)
{
	const kith_sketch *s = &e->sketch;
	uint32_t values = s->coarse + 1;
	float *v = kith_alloc((size_t)e->plan.threads * values, sizeof *v);
	int rc = v ? kith_blocks_alloc(&e->blocks, e->m, values, err)
		   : kith_fail_nomem(err, "a sample's coarse sketch", values * sizeof *v);
#pragma omp parallel for num_threads(e->plan.threads) schedule(static)
	for (uint64_t at = 0; at < (rc ? 0 : e->m); at++) {
		float *own = v + (size_t)omp_get_thread_num() * values;
		for (uint32_t t = 0; t < values; t++)
			own[t] = kith_sketch_coarse(s, at, e->order[at], t);
		kith_blocks_put(&e->blocks, at, own, values);
	}
	free(v);
	return rc;
}

static int make_blocks(struct exact *e, kith_err *err)
{
	int full = e->plan.kind == KITH_PLAN_FULL, rc = full ? 0 : make_coarse_blocks(e, err);
	float *w = full ? e->full.w : e->sketch.level.w;
	if (rc)
		return rc;
	kith_blocks_bound(&e->blocks, e->order, e->m, full ? e->full.lo : e->sketch.lo);
	if (!kith_plan_two_level(&e->plan)) /* the tiles' t are the candidates' */
		for (uint64_t at = 0; at < e->m; at++)
			w[e->order[at]] = kith_round_up((double)w[e->order[at]] + 2 * (double)e->blocks.slack[at]);
	return 0;
}

/* Rows that are to be in memory: the file itself, where it holds cells; else room that the projection fills. */
static int keep_rows(struct exact *e, kith_err *err)
{
	kith_rows *rows = e->rows;
	if (rows->metric == KITH_L2 && rows->row_bytes == rows->d * rows->cell)
		rows->all = kith_activations_map(rows->input);
	if (!rows->all && !(rows->own = kith_alloc(rows->n * rows->d, rows->cell)))
		return kith_fail_nomem(err, "the rows", rows->n * rows->d * rows->cell);
	return 0;
}

static int join(struct exact *e, kith_err *err)
{
	kith_projection to = {.basis = &e->basis, .sketch = &e->sketch, .hash = e->hash};
	int rc;
	e->sketch.dims = e->plan.dims;
	e->sketch.coarse = e->plan.coarse;
	if (e->plan.resident && (rc = keep_rows(e, err)))
		return rc;
	to.all = e->rows->own;
	rc = kith_project(&to, &e->screen, e->job->memory / 16, e->plan.threads, e->job->progress, err);
	if (e->rows->own)
		e->rows->all = e->rows->own;
	if (rc || (rc = find_duplicates(e, err)) || (rc = arrange(e, err)) || (rc = make_full_level(e, err)) ||
	    (rc = make_blocks(e, err)))
		return rc;
	kith_join in = {.plan = &e->plan,
			.screen = &e->screen,
			.info = e->job->info,
			.sketch = &e->sketch,
			.full = e->full.lo ? &e->full : NULL,
			.blocks = &e->blocks,
			.id = e->order,
			.place = e->place,
			.m = e->m,
			.progress = e->job->progress};
	return kith_join_run(&in, &e->lists, &e->results, err);
}

/* Finished rows on their way to the writer, in the order of the samples. */
struct outgoing {
	uint64_t rows;
	uint32_t *ids, *near_ids;
	double *near_dist2;
};

static void collect(const struct exact *e, const struct outgoing *out, uint64_t first, uint64_t count)
{
	uint64_t k = e->k, near = e->job->info->near;
	for (uint64_t r = 0; r < count; r++) {
		kith_row to = {out->ids + r * k, out->near_ids + r * near, out->near_dist2 + r * near};
		uint64_t i = first + r;
		if (e->plan.kind != KITH_PLAN_STREAM && kith_left_out(&e->duplicates, i)) {
			kith_row twin = kith_results_row(&e->results, e->duplicates.twin[i]);
			kith_duplicates_row(&e->duplicates, (uint32_t)i, twin, e->k, e->job->info->near, to);
			continue;
		}
		kith_row from = kith_results_row(&e->results, i);
		memcpy(to.ids, from.ids, k * sizeof *to.ids);
		memcpy(to.near_ids, from.near_ids, near * sizeof *to.near_ids);
		memcpy(to.near_dist2, from.near_dist2, near * sizeof *to.near_dist2);
	}
}

static int write_rows(struct exact *e, kith_graph_writer *writer, kith_err *err)
{
	uint64_t n = e->rows->n, k = e->k, near = e->job->info->near;
	uint64_t most = e->job->memory / 16 < OUT_BYTES ? e->job->memory / 16 : OUT_BYTES;
	struct outgoing out = {.rows = most / (4 * k + 12 * near)};
	out.rows = out.rows < 1 ? 1 : out.rows < n ? out.rows : n;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, out.ids, out.rows * k);
	KITH_BUFFER(&w, out.near_ids, out.rows * near);
	KITH_BUFFER(&w, out.near_dist2, out.rows * near);
	int rc = kith_workspace_alloc(&w, &memory, "finished rows", err);
	for (uint64_t first = 0; !rc && first < n; first += out.rows) {
		uint64_t count = n - first < out.rows ? n - first : out.rows;
		if ((rc = kith_progress_tick(e->job->progress, "writing", first, n, err)))
			break;
		collect(e, &out, first, count);
		rc = kith_graph_append(writer, count, out.ids, out.near_ids, out.near_dist2, err);
	}
	free(memory);
	return rc;
}

static void describe(const kith_plan *p, char *out, size_t size)
{
	if (p->kind == KITH_PLAN_STREAM)
		snprintf(out, size, "exact (stream, panels of %u)", p->panel);
	else if (p->kind == KITH_PLAN_FULL)
		snprintf(out, size, "exact (full)");
	else if (p->kind == KITH_PLAN_SCREEN)
		snprintf(out, size, "exact (screen r=%u, then all)", p->coarse);
	else if (p->coarse < p->dims)
		snprintf(out, size, "exact (sketch r=%u,%u)", p->coarse, p->dims);
	else
		snprintf(out, size, "exact (sketch r=%u)", p->dims);
}

static int foresee(const kith_engine_job *job, kith_knn_estimate *out, kith_err *err)
{
	kith_screen screen;
	kith_basis basis = {0};
	kith_plan plan;
	int rc = kith_screen_init(&screen, job->rows, err);
	if (!rc && !(rc = kith_plan_choose(&plan, &basis, &screen, job, err))) {
		describe(&plan, out->plan, sizeof out->plan);
		out->seconds = plan.seconds;
		out->memory = plan.memory;
		out->temporary = plan.disk;
	}
	kith_basis_free(&basis);
	return rc;
}

static int build(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	struct exact e = {.rows = job->rows, .job = job, .k = kith_info_k(job->info)};
	int rc;
	if ((rc = kith_screen_init(&e.screen, e.rows, err)) ||
	    (rc = kith_plan_choose(&e.plan, &e.basis, &e.screen, job, err)))
		goto done;
	if (!e.plan.in_place && (rc = kith_results_init(&e.results, e.rows->n, e.k, job->info->near,
							e.plan.spill ? job->output : NULL, err)))
		goto done;
	if (!(e.hash = kith_alloc(e.rows->n, sizeof *e.hash))) {
		rc = kith_fail_nomem(err, "hashes of rows", e.rows->n * sizeof *e.hash);
		goto done;
	}
	rc = e.plan.kind == KITH_PLAN_STREAM ? stream(&e, err) : join(&e, err);
	if (!rc)
		rc = write_rows(&e, writer, err);
	describe(&e.plan, summary->plan, sizeof summary->plan);
done:
	kith_basis_free(&e.basis);
	kith_sketch_free(&e.sketch);
	kith_level_free(&e.full);
	free(e.blocks.memory);
	free(e.duplicates.memory);
	kith_results_free(&e.results);
	free(e.lists);
	free(e.hash);
	free(e.order);
	free(e.place);
	return rc;
}

/* ---- the door ---- */

enum { PLAN, DIMS, COARSE, PROBES };

static const kith_engine_option options[] = {
	[PLAN] = {"plan", "PLAN", "How to go about it: auto, sketch, screen, full or stream", 0},
	[DIMS] = {"dims", "R", "Directions of the sketch", 1u << 20},
	[COARSE] = {"coarse", "R", "Directions of it that every pair is tried in", 1u << 20},
	[PROBES] = {"probes", "BLOCKS", "Blocks of 16 samples that first bounds come from", 1u << 20},
	{0},
};

static int take_plan(kith_exact_options *o, const char *text, kith_err *err)
{
	static const char *const names[] = {[KITH_PLAN_AUTO] = "auto",
					    [KITH_PLAN_SKETCH] = "sketch",
					    [KITH_PLAN_SCREEN] = "screen",
					    [KITH_PLAN_FULL] = "full",
					    [KITH_PLAN_STREAM] = "stream"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(text, names[i])) {
			o->plan = (kith_plan_kind)i;
			return 0;
		}
	return kith_fail(err, KITH_EUSAGE, "--plan %s: not a plan: auto, sketch, screen, full or stream", text);
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
	info->recall = 1;
	info->block_nodes = o->block_nodes;
}

const kith_engine kith_engine_exact = {
	.name = "exact",
	.options_size = sizeof(kith_exact_options),
	.options = options,
	.take = take,
	.promise = promise,
	.foresee = foresee,
	.build = build,
};
