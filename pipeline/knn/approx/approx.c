/* approx.c - see approx.h: the engine's door. */
#include "approx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approx_cells.h"
#include "approx_rows.h"
#include "exact.h"
#include "write_rows.h"

/* One leaf that holds all samples finds all neighbours, and nobody finds those faster than the exact engine. */
#define ONE_LEAF "one leaf"

static void describe(const kith_approx_plan *plan, uint32_t cells, uint32_t trees, uint32_t rounds, char *out,
		     size_t size)
{
	char dims[32] = "", in_cells[32] = "";
	if (plan->dims)
		snprintf(dims, sizeof dims, "r=%u, ", plan->dims);
	if (cells > 1)
		snprintf(in_cells, sizeof in_cells, "%u cells, ", cells);
	snprintf(out, size, "approx (%s%s%u trees of %u, %u rounds)", dims, in_cells, trees, plan->leaf, rounds);
}

/* Where the exact engine does what is left to do, and why. */
static void describe_exact(const char *why, char *plan, size_t size)
{
	char exact[34];
	snprintf(exact, sizeof exact, "%.33s", plan);
	snprintf(plan, size, "approx (%.18s: %s)", why, exact);
}

static kith_engine_job exact_job(const kith_engine_job *job)
{
	static const kith_exact_options usual;
	kith_engine_job exact = *job;
	exact.options = &usual;
	return exact;
}

static int build_exactly(const char *why, const kith_engine_job *job, kith_graph_writer *writer,
			 kith_knn_summary *summary, kith_err *err)
{
	kith_engine_job exact = exact_job(job);
	int rc = kith_engine_exact.build(&exact, writer, summary, err);
	describe_exact(why, summary->plan, sizeof summary->plan);
	return rc;
}

static int foresee_exactly(const char *why, const kith_engine_job *job, kith_knn_estimate *out, kith_err *err)
{
	kith_engine_job exact = exact_job(job);
	int rc = kith_engine_exact.foresee(&exact, out, err);
	describe_exact(why, out->plan, sizeof out->plan);
	return rc;
}

/* Everything in memory, but for the samples perhaps. */
static int build_at_once(const kith_engine_job *job, const kith_approx_plan *plan, const kith_scaling *scaling,
			 const kith_basis *basis, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	const kith_approx_options *o = job->options;
	kith_approx_rows rows = {.job = job,
				 .plan = plan,
				 .scaling = scaling,
				 .basis = basis,
				 .sample = job->vectors->id,
				 .seed = o->seed,
				 .asks_blurred = 1,
				 .results.left = job->left};
	int rc = kith_approx_rows_find(&rows, err);
	if (!rc && rows.blurred) {
		free(job->vectors->own);
		job->vectors->all = job->vectors->own = NULL;
		return build_exactly("codes cannot tell", job, writer, summary, err);
	}
	summary->tied = rows.results.tied;
	if (!rc)
		rc = kith_results_write(&rows.results, NULL, job, writer, err);
	describe(plan, 1, rows.trees, rows.rounds, summary->plan, sizeof summary->plan);
	kith_results_free(&rows.results);
	return rc;
}

static int build_in_cells(const kith_engine_job *job, const kith_approx_plan *plan, const kith_scaling *scaling,
			  const kith_basis *basis, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	const kith_approx_options *o = job->options;
	kith_approx_cells cells = {.job = job, .plan = plan, .scaling = scaling, .basis = basis, .seed = o->seed};
	int rc = kith_approx_cells_build(&cells, writer, err);
	summary->tied = cells.tied;
	describe(plan, cells.count, cells.trees, cells.rounds, summary->plan, sizeof summary->plan);
	return rc;
}

static int build(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	kith_scaling scaling;
	kith_basis basis = {0};
	kith_approx_plan plan;
	if (kith_approx_is_whole(job))
		return build_exactly(ONE_LEAF, job, writer, summary, err);
	int rc = kith_scaling_init(&scaling, job->vectors, err);
	if (!rc && !(rc = kith_approx_plan_choose(&plan, &basis, &scaling, job, err)))
		rc = (plan.cell > 0 ? build_in_cells : build_at_once)(job, &plan, &scaling, &basis, writer, summary,
								      err);
	kith_basis_free(&basis);
	return rc;
}

static int foresee(const kith_engine_job *job, kith_knn_estimate *out, kith_err *err)
{
	kith_scaling scaling;
	kith_basis basis = {0};
	kith_approx_plan plan;
	if (kith_approx_is_whole(job))
		return foresee_exactly(ONE_LEAF, job, out, err);
	int rc = kith_scaling_init(&scaling, job->vectors, err);
	if (!rc && !(rc = kith_approx_plan_choose(&plan, &basis, &scaling, job, err))) {
		describe(&plan, plan.cell > 0 ? kith_approx_plan_cells(&plan) : 1, plan.trees, plan.rounds, out->plan,
			 sizeof out->plan);
		out->seconds = plan.seconds;
		out->memory = plan.memory;
		out->temporary = plan.disk;
	}
	kith_basis_free(&basis);
	return rc;
}

/* NAME=VALUE of a spec. */
static int parse_one(kith_approx_options *o, const char *name, const char *value, kith_err *err)
{
	static const struct {
		const char *name;
		size_t at;
		uint64_t least, most;
	} counts[] = {{"trees", offsetof(kith_approx_options, trees), 1, 1000},
		      {"leaf", offsetof(kith_approx_options, leaf), 1, UINT32_MAX},
		      {"cells", offsetof(kith_approx_options, cells), 1, KITH_CELLS_MOST},
		      {"rounds", offsetof(kith_approx_options, rounds), 0, 1000}};
	char *end;
	if (!strcmp(name, "recall")) {
		o->recall = strtod(value, &end);
		if (end == value || *end || !(o->recall > 0 && o->recall <= 1))
			return kith_fail(err, KITH_EUSAGE, "engine approx: recall=%s: not a number between 0 and 1",
					 value);
		return o->recall < 1 ? 0
				     : kith_fail(err, KITH_EUSAGE,
						 "engine approx: recall=%s: all of them, then, which is --engine exact",
						 value);
	}
	uint64_t number = strtoull(value, &end, 10);
	int digits = *value >= '0' && *value <= '9' && !*end;
	if (!strcmp(name, "seed") && digits) {
		o->seed = number;
		return 0;
	}
	for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
		if (strcmp(name, counts[c].name))
			continue;
		if (!digits || number < counts[c].least || number > counts[c].most)
			return kith_fail(err, KITH_EUSAGE, "engine approx: %s=%s: not a number from %llu to %llu", name,
					 value, (unsigned long long)counts[c].least,
					 (unsigned long long)counts[c].most);
		*(uint32_t *)(void *)((char *)o + counts[c].at) = (uint32_t)number + (counts[c].least == 0);
		return 0;
	}
	return kith_fail(err, KITH_EUSAGE,
			 "engine approx: %s=%s: the options are recall, trees, leaf, rounds, cells and seed", name,
			 value);
}

static int parse(void *own, const char *spec, kith_err *err)
{
	char text[256], *next = text;
	int rc = 0;
	if (strlen(spec) >= sizeof text)
		return kith_fail(err, KITH_EUSAGE, "engine approx:%.40s...: too long", spec);
	strcpy(text, spec);
	do {
		char *name = strsep(&next, ","), *value = name;
		strsep(&value, "=");
		rc = value ? parse_one(own, name, value, err)
			   : kith_fail(err, KITH_EUSAGE, "engine approx:%s: expected NAME=NUMBER[,NAME=NUMBER...]",
				       spec);
	} while (!rc && next);
	return rc;
}

static int too_few(const void *own, uint64_t n)
{
	const kith_approx_options *o = own;
	return n <= KITH_APPROX_FEW && !o->trees && !o->leaf && !o->rounds && !o->cells;
}

/* What was asked for, and with it the result follows from the samples. */
static void promise(const void *own, kith_graph_info *info)
{
	const kith_approx_options *o = own;
	char *out = info->parameters;
	size_t size = sizeof info->parameters, at = 0;
	strcpy(info->engine, "approx");
	info->block_nodes = o->block_nodes;
	if (!o->trees && !o->rounds)
		at += (size_t)snprintf(out, size, "recall=%g,", o->recall > 0 ? o->recall : KITH_APPROX_RECALL);
	if (o->trees)
		at += (size_t)snprintf(out + at, size - at, "trees=%u,", o->trees);
	if (o->leaf)
		at += (size_t)snprintf(out + at, size - at, "leaf=%u,", o->leaf);
	if (o->rounds)
		at += (size_t)snprintf(out + at, size - at, "rounds=%u,", o->rounds - 1);
	if (o->cells)
		at += (size_t)snprintf(out + at, size - at, "cells=%u,", o->cells);
	snprintf(out + at, size - at, "seed=%llu", (unsigned long long)o->seed);
}

/* By it, it adds trees and rounds, and makes cells overlap. */
static int stops(const void *own)
{
	(void)own;
	return 1;
}

const kith_engine kith_engine_approx = {
	.name = "approx",
	.stops = stops,
	.takes_candidates = 1,
	.too_few = too_few,
	.options_size = sizeof(kith_approx_options),
	.parse = parse,
	.promise = promise,
	.foresee = foresee,
	.build = build,
};
