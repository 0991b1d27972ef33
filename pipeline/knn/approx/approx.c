/* approx.c - see approx.h: codes, a forest, rounds of descent until the audit is content, canonical distances, rows. */
#include "approx.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "descent.h"
#include "engine.h"
#include "exact.h"
#include "first_error.h"
#include "forest.h"
#include "recall.h"
#include "survey.h"
#include "write_rows.h"

#define FIRST_TREES 4u
#define MAX_TREES   64u
#define MAX_ROUNDS  16u
#define BATCH       64u /* rows that a thread finishes together */

struct plan {
	double recall;
	uint32_t dims;   /* directions of the codes; 0: all values */
	uint32_t length; /* of a list */
	uint32_t leaf, forward, reverse;
	int resident;
	uint64_t memory;
};

struct approx {
	const kith_engine_job *job;
	const kith_approx_options *options;
	kith_vectors *vectors;
	uint64_t n;
	uint32_t k, near;
	kith_scaling scaling;
	kith_basis basis;
	struct plan plan;
	kith_projections projections;
	kith_bounds full;
	kith_codes codes;
	uint64_t *hash; /* n */
	kith_duplicates duplicates;
	uint32_t *order; /* m: the samples that are not left out, in the order of the first tree */
	uint32_t *place; /* n: where they stand in that order; UINT32_MAX: left out */
	uint32_t *work;  /* m: the order of another tree */
	uint64_t m;
	kith_neighbour_lists lists;
	kith_local_join *joins; /* one for each thread */
	void **join_memory;     /* what they hold */
	kith_results results;
	uint32_t trees, rounds; /* so far */
	kith_recall reached;    /* the least of the ladder's */
};

/* ---- planning ---- */

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* As few directions as leave a list's spare entries for those that their bounds cannot tell from neighbours. */
static void choose_dims(struct plan *p, const kith_survey *survey, const kith_basis *basis, uint64_t n, uint64_t d,
			uint32_t k)
{
	uint32_t spare = k / 2 + 8;
	p->dims = 0;
	p->length = k + 8;
	for (uint32_t e = 0; e < KITH_SURVEY_MENU && kith_survey_menu[e] <= basis->dims; e++)
		if (kith_survey_menu[e] + 1 < d && survey->share[e] * (double)n <= k + spare / 2.0) {
			p->dims = kith_survey_menu[e];
			p->length = k + spare;
			return;
		}
}

/* A leaf has half as many samples at least, so that lists are full after one tree. */
static uint64_t leaf_of(const struct approx *a)
{
	uint64_t least = 2 * (a->k + 1ull), leaf = a->options->leaf ? a->options->leaf : 500 + 4ull * a->k;
	return leaf < least ? least : leaf;
}

static int choose_plan(struct approx *a, kith_err *err)
{
	struct plan *p = &a->plan;
	kith_survey survey;
	uint64_t d = a->vectors->d, memory = a->job->memory;
	int rc = kith_survey_run(&survey, &a->basis, &a->scaling, a->k, (uint32_t)at_most(255, d), memory / 3,
				 a->job->threads, err);
	if (rc)
		return rc;
	choose_dims(p, &survey, &a->basis, a->n, d, a->k);
	p->length = (p->length + 7) / 8 * 8; /* whole vectors */
	p->recall = a->options->recall > 0 ? a->options->recall : 0.99;
	p->leaf = (uint32_t)leaf_of(a);
	p->forward = (uint32_t)at_most(p->length, a->k < 24 ? 16 : 32);
	p->reverse = p->forward;
	p->resident = 1;
	return 0;
}

/* ---- codes and order ---- */

static int make_codes(struct approx *a, kith_err *err)
{
	kith_vectors *v = a->vectors;
	kith_pass pass = {.codes = &a->codes, .hash = a->hash};
	if (v->metric == KITH_L2 && v->row_bytes == v->d * v->value_size)
		v->all = kith_activations_map(v->input);
	if (!v->all && !(v->own = kith_alloc(v->n * v->d, v->value_size)))
		return kith_fail_nomem(err, "the samples", v->n * v->d * v->value_size);
	pass.all = v->own;
	a->projections.dims = a->projections.coarse = a->basis.dims = a->plan.dims;
	if (a->plan.dims) {
		pass.projections = &a->projections;
		pass.basis = &a->basis;
	} else {
		pass.full = &a->full;
	}
	int rc = kith_pass_run(&pass, &a->scaling, a->job->memory / 16, a->job->threads, a->job->progress, err);
	if (v->own)
		v->all = v->own;
	if (rc)
		return rc;
	kith_bounds *bounds = a->plan.dims ? &a->projections.bounds : &a->full;
	for (uint64_t i = 0; i < a->n; i++)
		if (bounds->lo[i] == KITH_LO_OUTSIDE)
			return kith_fail(
				err, KITH_EUSAGE,
				"%s: row %llu is too far from the others for engine approx: use --engine exact",
				v->path, (unsigned long long)i);
	kith_codes_bound(&a->codes, bounds);
	return 0;
}

static kith_forest forest_of(const struct approx *a)
{
	return (kith_forest){
		.codes = &a->codes, .seed = a->options->seed, .leaf = a->plan.leaf, .threads = a->job->threads};
}

/* The samples in the order of the first tree's leaves. */
static int arrange(struct approx *a, kith_err *err)
{
	kith_forest forest = forest_of(a);
	kith_workspace w = {0};
	int rc = kith_duplicates_find(&a->duplicates, a->vectors, a->hash, a->k, err);
	free(a->hash);
	a->hash = NULL;
	if (rc)
		return rc;
	for (uint64_t i = 0; i < a->n; i++)
		if (!kith_is_left_out(&a->duplicates, i))
			a->order[a->m++] = (uint32_t)i;
	if ((rc = kith_forest_tree(&forest, 0, a->order, a->m, NULL, NULL, err)) ||
	    (rc = kith_codes_arrange(&a->codes, a->order, a->m, a->job->threads, err)))
		return rc;
	(void)w;
	memset(a->place, 0xff, a->n * sizeof *a->place);
	for (uint64_t at = 0; at < a->m; at++)
		a->place[a->order[at]] = (uint32_t)at;
	return 0;
}

/* ---- the search ---- */

static int make_lists(struct approx *a, kith_err *err)
{
	int threads = a->job->threads;
	int rc = kith_neighbour_lists_alloc(&a->lists, a->m, a->plan.length, threads, err);
	if (rc)
		return rc;
	if (!(a->joins = kith_alloc_zero((size_t)threads, sizeof *a->joins)) ||
	    !(a->join_memory = kith_alloc_zero((size_t)threads, sizeof *a->join_memory)))
		return kith_fail_nomem(err, "work spaces", (size_t)threads * sizeof *a->joins);
	for (int t = 0; !rc && t < threads; t++) {
		kith_workspace w = {0};
		kith_local_join_init(&a->joins[t], &a->codes, &a->lists, (uint32_t)at_most(a->plan.leaf, a->m), &w);
		rc = kith_workspace_alloc(&w, &a->join_memory[t], "a thread's work space", err);
	}
	return rc;
}

static void join_leaf(void *context, const uint32_t *member, uint32_t count)
{
	struct approx *a = context;
	kith_local_join_run(&a->joins[omp_get_thread_num()], member, count, count);
}

/* Identical samples of which others are left out: each has all of them in its list. */
static void join_identical(struct approx *a)
{
	const kith_duplicates *d = &a->duplicates;
	for (uint64_t i = 0; d->left_out && i < a->n; i++) {
		uint32_t count = 0;
		for (uint64_t id = i; d->twin[i] == i && id != UINT32_MAX; id = d->next[id])
			a->work[count++] = a->place[id];
		if (count)
			kith_local_join_run(&a->joins[0], a->work, count, count);
	}
}

static int add_tree(struct approx *a, kith_err *err)
{
	kith_forest forest = forest_of(a);
	int rc = kith_progress_tick(a->job->progress, "trees", a->trees, a->trees + 1, err);
	if (rc)
		return rc;
	if (!a->trees) {
		kith_forest_leaves(&forest, a->work, a->m, join_leaf, a);
	} else {
		for (uint64_t at = 0; at < a->m; at++)
			a->work[at] = (uint32_t)at;
		rc = kith_forest_tree(&forest, a->trees, a->work, a->m, join_leaf, a, err);
	}
	a->trees++;
	return rc;
}

static int add_round(struct approx *a, kith_err *err)
{
	kith_descent descent = {.codes = &a->codes,
				.lists = &a->lists,
				.forward = a->plan.forward,
				.reverse = a->plan.reverse,
				.threads = a->job->threads,
				.progress = a->job->progress};
	a->rounds++;
	return kith_descent_round(&descent, err);
}

/* How many of the audited row's `k` nearest, of which ids[] are some, are in its list. */
static uint32_t hits_of(const struct approx *a, uint32_t sample, const uint32_t *ids, uint32_t count)
{
	uint32_t found = 0;
	if (kith_is_left_out(&a->duplicates, sample))
		return count; /* it has the row of its twin */
	uint64_t at = a->place[sample] * (uint64_t)a->lists.length;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = a->place[ids[i]];
		for (uint32_t e = 0; e < a->lists.length; e++)
			if ((a->lists.id[at + e] & ~KITH_ENTRY_NEW) == place) {
				found++;
				break;
			}
	}
	return found;
}

/* What the audit says of the lists: they hold as many true neighbours as the rows made of them will. */
static int look(struct approx *a, kith_err *err)
{
	const kith_graph_audit *audit = a->job->audit;
	const kith_graph_info *info = a->job->info;
	uint32_t *hits = kith_alloc_zero(audit->rows + 1ull, sizeof *hits);
	if (!hits)
		return kith_fail_nomem(err, "an audit", audit->rows * sizeof *hits);
	a->reached = (kith_recall){1, 1, 1};
	for (uint32_t t = 0; t < info->tiers; t++) {
		uint32_t from = t ? info->ladder[t - 1] : 0;
		for (uint32_t r = 0; r < audit->rows; r++)
			hits[r] += hits_of(a, audit->id[r], audit->exact + (size_t)r * a->k + from,
					   info->ladder[t] - from);
		kith_recall here = kith_recall_of(hits, audit->rows, info->ladder[t]);
		a->reached = here.low < a->reached.low ? here : a->reached;
	}
	free(hits);
	return 0;
}

/* A round finds the more the more there is already, so trees come first; and when rounds find nothing new any more,
 * more trees do. */
static int search(struct approx *a, kith_err *err)
{
	const kith_approx_options *o = a->options;
	uint32_t trees = o->trees ? o->trees : FIRST_TREES, stale = 0;
	uint32_t rounds = o->rounds ? o->rounds - 1 : a->job->audit ? MAX_ROUNDS : 2;
	int rc = 0;
	for (uint32_t t = 0; !rc && t < trees; t++)
		rc = add_tree(a, err);
	if (rc)
		return rc;
	join_identical(a);
	if (a->job->audit && (rc = look(a, err)))
		return rc;
	while (!rc && a->rounds < rounds && stale < 2) {
		double before = a->reached.recall;
		if (a->job->audit && !o->rounds && a->reached.low >= a->plan.recall)
			break;
		int grow = !o->trees && a->job->audit && (before < 0.3 || stale) && a->trees < MAX_TREES;
		for (uint32_t t = 0, more = before < 0.3 ? a->trees : 4; !rc && grow && t < more; t++)
			rc = add_tree(a, err);
		if (!rc)
			rc = add_round(a, err);
		if (!rc && a->job->audit)
			rc = look(a, err);
		stale = a->job->audit && a->reached.recall - before < 0.2 * (1 - before) ? stale + 1 : 0;
		if (getenv("KITH_TRACE"))
			fprintf(stderr, "trees %u rounds %u recall %.5f low %.5f\n", a->trees, a->rounds,
				a->reached.recall, a->reached.low);
	}
	return rc;
}

/* ---- rows ---- */

struct finisher {
	kith_candidates candidates;
	kith_refiner refiner;
	uint32_t *self;
	void *memory; /* holds these */
};

static void init_finisher(struct finisher *f, const struct approx *a, uint32_t batch, kith_workspace *w)
{
	const kith_bounds *bounds = a->plan.dims ? &a->projections.bounds : &a->full;
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
	uint32_t length = a->lists.length;
	for (uint32_t r = 0; r < count; r++)
		f->self[r] = a->order[first + r];
	kith_candidates_reset(c, f->self, count);
	for (uint32_t r = 0; r < count; r++) {
		const uint32_t *id = a->lists.id + (first + r) * length;
		const float *t = a->lists.t + (first + r) * length;
		for (uint32_t e = 0; e < length && id[e] != KITH_ENTRY_NONE; e++) {
			c->id[r * c->stride + e] = a->order[id[e] & ~KITH_ENTRY_NEW];
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
		init_finisher(&all[t], a, BATCH, &w);
		rc = kith_workspace_alloc(&w, &all[t].memory, "a thread's work space", err);
	}
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
	for (uint64_t first = 0; first < (rc ? 0 : a->m); first += BATCH) {
		kith_err why;
		int bad = 0;
		if (kith_first_error_seen(&failed))
			continue;
		if (omp_get_thread_num() == 0)
			bad = kith_progress_tick(a->job->progress, "measuring", first, a->m, &why);
		if (!bad)
			bad = finish_batch(a, &all[omp_get_thread_num()], first, (uint32_t)at_most(BATCH, a->m - first),
					   &why);
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
	snprintf(out, size, "approx (%s%u trees of %u, %u rounds)", dims, a->trees, a->plan.leaf, a->rounds);
}

static int alloc(struct approx *a, kith_err *err)
{
	if (!(a->hash = kith_alloc(a->n, sizeof *a->hash)) || !(a->order = kith_alloc(a->n, sizeof *a->order)) ||
	    !(a->place = kith_alloc(a->n, sizeof *a->place)) || !(a->work = kith_alloc(a->n, sizeof *a->work)))
		return kith_fail_nomem(err, "the order of the samples", a->n * sizeof *a->hash);
	return kith_results_init(&a->results, a->n, a->k, a->near, NULL, err);
}

/* One leaf that holds all samples finds all neighbours, and nobody finds those faster than the exact engine. */
static int build_whole(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	kith_exact_options exact = {0};
	kith_engine_job whole = *job;
	char plan[sizeof summary->plan];
	whole.options = &exact;
	int rc = kith_engine_exact.build(&whole, writer, summary, err);
	if (!rc) {
		snprintf(plan, sizeof plan, "approx (one leaf: %.40s)", summary->plan);
		memcpy(summary->plan, plan, sizeof plan);
	}
	return rc;
}

static double now(void)
{
	return omp_get_wtime();
}
#define TRACE(what)                                                                                                    \
	do {                                                                                                           \
		if (getenv("KITH_TRACE"))                                                                              \
			fprintf(stderr, "%6.2f %s\n", now() - start, what);                                            \
	} while (0)

static int build(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	struct approx a = {.job = job,
			   .options = job->options,
			   .vectors = job->vectors,
			   .n = job->info->n,
			   .k = kith_info_k(job->info),
			   .near = job->info->near};
	int rc;
	double start = now();
	if (leaf_of(&a) >= a.n)
		return build_whole(job, writer, summary, err);
	if ((rc = kith_scaling_init(&a.scaling, a.vectors, err)) || (rc = choose_plan(&a, err)))
		goto done;
	TRACE("plan");
	if ((rc = alloc(&a, err)) || (rc = make_codes(&a, err)))
		goto done;
	TRACE("codes");
	if ((rc = arrange(&a, err)) || (rc = make_lists(&a, err)))
		goto done;
	TRACE("order");
	if ((rc = search(&a, err)))
		goto done;
	TRACE("search");
	if ((rc = finish_rows(&a, err)))
		goto done;
	TRACE("rows");
	finish_left_out(&a);
	rc = kith_results_write(&a.results, NULL, job, writer, err);
	TRACE("written");
	describe(&a, summary->plan, sizeof summary->plan);
done:
	kith_basis_free(&a.basis);
	kith_projections_free(&a.projections);
	kith_bounds_free(&a.full);
	free(a.codes.memory);
	free(a.duplicates.memory);
	free(a.lists.memory);
	for (int t = 0; a.join_memory && t < job->threads; t++)
		free(a.join_memory[t]);
	free(a.join_memory);
	free(a.joins);
	kith_results_free(&a.results);
	free(a.hash);
	free(a.order);
	free(a.place);
	free(a.work);
	return rc;
}

static int foresee(const kith_engine_job *job, kith_knn_estimate *out, kith_err *err)
{
	struct approx a = {.job = job,
			   .options = job->options,
			   .vectors = job->vectors,
			   .n = job->info->n,
			   .k = kith_info_k(job->info),
			   .near = job->info->near};
	int rc = kith_scaling_init(&a.scaling, a.vectors, err);
	if (!rc && !(rc = choose_plan(&a, err)))
		describe(&a, out->plan, sizeof out->plan);
	kith_basis_free(&a.basis);
	return rc;
}

static int parse(void *own, const char *spec, kith_err *err)
{
	kith_approx_options *o = own;
	char name[16];
	double value;
	int used;
	for (const char *at = spec; *at; at += used + (at[used] == ',')) {
		used = 0;
		if (sscanf(at, "%15[a-z]=%lf%n", name, &value, &used) < 2 || (at[used] && at[used] != ','))
			return kith_fail(err, KITH_EUSAGE,
					 "engine approx:%s: expected NAME=NUMBER[,...], with the names recall, trees, "
					 "leaf, rounds and seed",
					 spec);
		if (!strcmp(name, "recall"))
			o->recall = value;
		else if (!strcmp(name, "trees"))
			o->trees = (uint32_t)value;
		else if (!strcmp(name, "leaf"))
			o->leaf = (uint32_t)value;
		else if (!strcmp(name, "rounds"))
			o->rounds = (uint32_t)value + 1;
		else if (!strcmp(name, "seed"))
			o->seed = (uint64_t)value;
		else
			return kith_fail(err, KITH_EUSAGE, "engine approx:%s: there is no %s", spec, name);
	}
	return 0;
}

static void promise(const void *own, kith_graph_info *info)
{
	const kith_approx_options *o = own;
	strcpy(info->engine, "approx");
	info->block_nodes = o->block_nodes;
	snprintf(info->parameters, sizeof info->parameters, "seed=%llu", (unsigned long long)o->seed);
}

const kith_engine kith_engine_approx = {
	.name = "approx",
	.options_size = sizeof(kith_approx_options),
	.parse = parse,
	.promise = promise,
	.foresee = foresee,
	.build = build,
};
