/* approx.c - see approx.h: codes, lists of neighbours among them (search.h), canonical distances, rows. */
#include "approx.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "exact.h"
#include "first_error.h"
#include "search.h"
#include "write_rows.h"

struct approx {
	const kith_engine_job *job;
	kith_vectors *vectors;
	uint64_t n;
	uint32_t k, near;
	kith_scaling scaling;
	kith_basis basis;
	kith_approx_plan plan;
	kith_projections projections;
	kith_bounds full; /* or these: of all values */
	kith_codes codes;
	uint64_t *hash; /* n */
	kith_duplicates duplicates;
	kith_search search;
	kith_results results;
};

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static kith_bounds *bounds_of(struct approx *a)
{
	return a->plan.dims ? &a->projections.bounds : &a->full;
}

/* ---- codes ---- */

static int make_codes(struct approx *a, kith_err *err)
{
	kith_vectors *v = a->vectors;
	kith_pass pass = {.codes = &a->codes, .hash = a->hash};
	int rc = a->plan.resident ? kith_vectors_keep(v, err) : 0;
	if (rc)
		return rc;
	pass.all = v->own;
	a->projections.dims = a->projections.coarse = a->basis.dims = a->plan.dims;
	if (a->plan.dims) {
		pass.projections = &a->projections;
		pass.basis = &a->basis;
	} else {
		pass.full = &a->full;
	}
	rc = kith_pass_run(&pass, &a->scaling, a->job->memory / 16, a->job->threads, a->job->progress, err);
	if (v->own)
		v->all = v->own;
	if (rc)
		return rc;
	kith_bounds *bounds = bounds_of(a);
	for (uint64_t i = 0; i < a->n; i++)
		if (bounds->lo[i] == KITH_LO_OUTSIDE)
			return kith_fail(
				err, KITH_EUSAGE,
				"%s: row %llu is too far from the others for engine approx: use --engine exact",
				v->path, (unsigned long long)i);
	kith_codes_bound(&a->codes, bounds);
	return 0;
}

static int find_duplicates(struct approx *a, kith_err *err)
{
	int rc = kith_duplicates_find(&a->duplicates, a->vectors, a->hash, a->k, err);
	free(a->hash);
	a->hash = NULL;
	return rc;
}

/* ---- rows ---- */

struct finisher {
	kith_candidates candidates;
	kith_refiner refiner;
	uint32_t *self;
	void *memory; /* holds these */
};

static void init_finisher(struct finisher *f, struct approx *a, uint32_t batch, kith_workspace *w)
{
	const kith_bounds *bounds = bounds_of(a);
	kith_candidates_init(&f->candidates, bounds, a->k, batch, a->plan.length, 0, 0, w, w);
	kith_refiner_init(&f->refiner, a->vectors, a->plan.resident, a->plan.length, batch, w);
	KITH_BUFFER(w, f->self, batch);
	f->refiner.scaling = &a->scaling;
	f->refiner.info = a->job->info;
}

/* The lists of places first..first+count-1 become candidates, and rows. */
static int finish_batch(struct approx *a, struct finisher *f, uint64_t first, uint32_t count, kith_err *err)
{
	kith_candidates *c = &f->candidates;
	uint32_t length = a->search.lists.length;
	for (uint32_t r = 0; r < count; r++)
		f->self[r] = a->search.order[first + r];
	kith_candidates_reset(c, f->self, count);
	for (uint32_t r = 0; r < count; r++) {
		const uint32_t *id = a->search.lists.id + (first + r) * length;
		const float *t = a->search.lists.t + (first + r) * length;
		for (uint32_t e = 0; e < length && id[e] != KITH_ENTRY_NONE; e++) {
			c->id[r * c->stride + e] = a->search.order[id[e] & ~KITH_ENTRY_NEW];
			c->low[r * c->stride + e] = t[e];
			c->count[r]++;
		}
	}
	return kith_refine_rows(&f->refiner, c, 0, count, &a->results, err);
}

/* The rows of samples left out: the first of their group, at distance 0. */
static void finish_left_out(struct approx *a)
{
	const kith_duplicates *d = &a->duplicates;
	for (uint64_t i = 0; d->left_out && i < a->n; i++) {
		if (!kith_is_left_out(d, i))
			continue;
		kith_row row = kith_results_row(&a->results, i);
		uint32_t id = d->twin[i];
		for (uint32_t e = 0; e < a->k; e++, id = d->next[id]) {
			row.ids[e] = id;
			if (e < a->near) {
				row.near_ids[e] = id;
				row.near_dist2[e] = 0;
			}
		}
	}
}

static int finish_rows(struct approx *a, kith_err *err)
{
	int threads = a->job->threads, rc = 0;
	kith_first_error failed = {0};
	struct finisher *all = kith_alloc_zero((size_t)threads, sizeof *all);
	if (!all)
		return kith_fail_nomem(err, "work spaces", (size_t)threads * sizeof *all);
	for (int t = 0; !rc && t < threads; t++) {
		kith_workspace w = {0};
		init_finisher(&all[t], a, a->plan.batch, &w);
		rc = kith_workspace_alloc(&w, &all[t].memory, "a thread's work space", err);
	}
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
	for (uint64_t first = 0; first < (rc ? 0 : a->search.m); first += a->plan.batch) {
		kith_err why;
		int bad = 0;
		if (kith_first_error_seen(&failed))
			continue;
		if (omp_get_thread_num() == 0)
			bad = kith_progress_tick(a->job->progress, "measuring", first, a->search.m, &why);
		if (!bad)
			bad = finish_batch(a, &all[omp_get_thread_num()], first,
					   (uint32_t)at_most(a->plan.batch, a->search.m - first), &why);
		kith_first_error_note(&failed, first, bad, &why);
	}
	for (int t = 0; t < threads; t++)
		free(all[t].memory);
	free(all);
	return rc ? rc : kith_first_error_get(&failed, err);
}

/* ---- the door ---- */

static void describe(const struct approx *a, char *out, size_t size)
{
	char dims[32] = "";
	if (a->plan.dims)
		snprintf(dims, sizeof dims, "r=%u, ", a->plan.dims);
	snprintf(out, size, "approx (%s%u trees of %u, %u rounds)", dims, a->search.trees, a->plan.leaf,
		 a->search.rounds);
}

static struct approx start(const kith_engine_job *job)
{
	return (struct approx){.job = job,
			       .vectors = job->vectors,
			       .n = job->info->n,
			       .k = kith_info_k(job->info),
			       .near = job->info->near};
}

static int find_lists(struct approx *a, kith_err *err)
{
	const kith_approx_options *o = a->job->options;
	int rc;
	a->search = (kith_search){
		.plan = &a->plan, .job = a->job, .duplicates = &a->duplicates, .seed = o->seed, .codes = &a->codes};
	if ((rc = make_codes(a, err)) || (rc = find_duplicates(a, err)) || (rc = kith_search_arrange(&a->search, err)))
		return rc;
	rc = kith_search_run(&a->search, err);
	for (uint32_t g = 0; !rc && g < a->job->candidate_graphs; g++)
		rc = kith_search_offer(&a->search, a->job->candidates[g], err);
	free(a->codes.memory);
	a->codes.memory = NULL;
	return rc;
}

/* One leaf that holds all samples finds all neighbours, and nobody finds those faster than the exact engine. */
static void describe_whole(char *plan, size_t size)
{
	char exact[64];
	snprintf(exact, sizeof exact, "%s", plan);
	snprintf(plan, size, "approx (one leaf: %.40s)", exact);
}

static kith_engine_job exact_job(const kith_engine_job *job)
{
	static const kith_exact_options usual;
	kith_engine_job exact = *job;
	exact.options = &usual;
	return exact;
}

static int build_whole(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	kith_engine_job exact = exact_job(job);
	int rc = kith_engine_exact.build(&exact, writer, summary, err);
	describe_whole(summary->plan, sizeof summary->plan);
	return rc;
}

static int foresee_whole(const kith_engine_job *job, kith_knn_estimate *out, kith_err *err)
{
	kith_engine_job exact = exact_job(job);
	int rc = kith_engine_exact.foresee(&exact, out, err);
	describe_whole(out->plan, sizeof out->plan);
	return rc;
}

static int build(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	struct approx a = start(job);
	int rc;
	if (kith_approx_is_whole(job))
		return build_whole(job, writer, summary, err);
	if (!(a.hash = kith_alloc(a.n, sizeof *a.hash)))
		return kith_fail_nomem(err, "hashes of samples", a.n * sizeof *a.hash);
	if ((rc = kith_scaling_init(&a.scaling, a.vectors, err)) ||
	    (rc = kith_approx_plan_choose(&a.plan, &a.basis, &a.scaling, job, err)) || (rc = find_lists(&a, err)) ||
	    (rc = kith_results_init(&a.results, a.n, a.k, a.near, NULL, err)) || (rc = finish_rows(&a, err)))
		goto done;
	finish_left_out(&a);
	rc = kith_results_write(&a.results, NULL, job, writer, err);
	describe(&a, summary->plan, sizeof summary->plan);
done:
	kith_basis_free(&a.basis);
	kith_projections_free(&a.projections);
	kith_bounds_free(&a.full);
	free(a.codes.memory);
	free(a.duplicates.memory);
	kith_search_free(&a.search);
	kith_results_free(&a.results);
	free(a.hash);
	return rc;
}

static int foresee(const kith_engine_job *job, kith_knn_estimate *out, kith_err *err)
{
	struct approx a = start(job);
	if (kith_approx_is_whole(job))
		return foresee_whole(job, out, err);
	int rc = kith_scaling_init(&a.scaling, a.vectors, err);
	if (!rc && !(rc = kith_approx_plan_choose(&a.plan, &a.basis, &a.scaling, job, err))) {
		a.search.trees = a.plan.trees;
		a.search.rounds = a.plan.rounds;
		describe(&a, out->plan, sizeof out->plan);
		out->seconds = a.plan.seconds;
		out->memory = a.plan.memory;
	}
	kith_basis_free(&a.basis);
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
	return kith_fail(err, KITH_EUSAGE, "engine approx: %s=%s: the options are recall, trees, leaf, rounds and seed",
			 name, value);
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
	return n <= KITH_APPROX_FEW && !o->trees && !o->leaf && !o->rounds;
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
	snprintf(out + at, size - at, "seed=%llu", (unsigned long long)o->seed);
}

const kith_engine kith_engine_approx = {
	.name = "approx",
	.takes_candidates = 1,
	.too_few = too_few,
	.options_size = sizeof(kith_approx_options),
	.parse = parse,
	.promise = promise,
	.foresee = foresee,
	.build = build,
};
