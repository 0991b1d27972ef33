/* approx_rows.c - see approx_rows.h */
#include "approx_rows.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "first_error.h"

#define BLURRED 0.5f /* of a distance, what may be unknown of it */

struct approx {
	kith_approx_rows *in;
	const kith_engine_job *job;
	const kith_approx_plan *plan;
	kith_vectors *vectors;
	uint64_t n;
	uint32_t k, near;
	kith_projections projections;
	kith_bounds full; /* or these: of all values */
	kith_codes codes;
	uint64_t *hash; /* n */
	kith_duplicates duplicates;
	kith_search search;
};

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static kith_bounds *bounds_of(struct approx *a)
{
	return a->plan->dims ? &a->projections.bounds : &a->full;
}

/* ---- codes ---- */

static int make_codes(struct approx *a, kith_err *err)
{
	kith_vectors *v = a->vectors;
	kith_pass pass = {.codes = &a->codes, .hash = a->hash};
	kith_basis basis = *a->in->basis;
	int rc = a->plan->resident && !v->all ? kith_vectors_keep(v, err) : 0;
	if (rc)
		return rc;
	pass.all = v->own;
	a->projections.dims = a->projections.coarse = basis.dims = a->plan->dims;
	if (a->plan->dims) {
		pass.projections = &a->projections;
		pass.basis = &basis;
	} else {
		pass.full = &a->full;
	}
	rc = kith_pass_run(&pass, a->in->scaling, a->job->memory / 16, a->job->threads, a->job->progress, err);
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
				v->path, (unsigned long long)(a->in->sample ? a->in->sample[i] : i));
	kith_codes_bound(&a->codes, bounds);
	return 0;
}

/* Whether too many of the audit's rows have a neighbour (one of the last tier's) whose distance codes know to a half of
 * it only: what then comes into a list is chance. (Not of samples that are the same, which are found by their hashes.)
 */
static int is_blurred(struct approx *a)
{
	const kith_graph_audit *audit = a->job->audit;
	const kith_bounds *bounds = bounds_of(a);
	uint32_t blurred = 0, rows = audit ? audit->rows : 0;
	for (uint32_t r = 0; r < rows; r++) {
		uint32_t own = audit->id[r], other = audit->exact[(uint64_t)r * a->k + a->k - 1];
		float low = kith_codes_distance(&a->codes, own, other), wide = bounds->w[own] + bounds->w[other];
		blurred += a->hash[own] != a->hash[other] && wide > BLURRED * (low + wide);
	}
	return blurred > (1 - a->plan->recall) * rows;
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
	kith_candidates_init(&f->candidates, bounds, a->k, batch, a->plan->length, 0, 0, w, w);
	f->candidates.weight = kith_duplicates_weight(&a->duplicates, a->vectors);
	kith_refiner_init(&f->refiner, a->vectors, a->plan->resident, a->plan->length, batch, w);
	KITH_BUFFER(w, f->self, batch);
	f->refiner.scaling = a->in->scaling;
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
	return kith_refine_rows(&f->refiner, c, 0, count, &a->in->results, err);
}

/* The rows of samples left out: the first of their group, at distance 0. */
static void finish_left_out(struct approx *a)
{
	const kith_duplicates *d = &a->duplicates;
	for (uint64_t i = 0; d->left_out && i < a->n; i++) {
		if (!kith_is_left_out(d, i))
			continue;
		kith_row row = kith_results_row(&a->in->results, i);
		uint32_t id = d->twin[i];
		if (a->in->results.left)
			a->in->results.left[i] = a->in->results.left[id];
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
		init_finisher(&all[t], a, a->plan->batch, &w);
		rc = kith_workspace_alloc(&w, &all[t].memory, "a thread's work space", err);
	}
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
	for (uint64_t first = 0; first < (rc ? 0 : a->search.m); first += a->plan->batch) {
		kith_err why;
		int bad = 0;
		if (kith_first_error_seen(&failed))
			continue;
		if (omp_get_thread_num() == 0)
			bad = kith_progress_tick(a->job->progress, "measuring", first, a->search.m, &why);
		if (!bad)
			bad = finish_batch(a, &all[omp_get_thread_num()], first,
					   (uint32_t)at_most(a->plan->batch, a->search.m - first), &why);
		kith_first_error_note(&failed, first, bad, &why);
	}
	for (int t = 0; t < threads; t++)
		free(all[t].memory);
	free(all);
	return rc ? rc : kith_first_error_get(&failed, err);
}

static int find_lists(struct approx *a, kith_err *err)
{
	int rc;
	a->search = (kith_search){
		.plan = a->plan, .job = a->job, .duplicates = &a->duplicates, .seed = a->in->seed, .codes = &a->codes};
	if ((rc = make_codes(a, err)))
		return rc;
	if (a->in->asks_blurred && (a->in->blurred = is_blurred(a)))
		return 0;
	if ((rc = find_duplicates(a, err)) || (rc = kith_search_arrange(&a->search, err)))
		return rc;
	rc = kith_search_run(&a->search, err);
	for (uint32_t g = 0; !rc && g < a->job->candidate_graphs; g++)
		rc = kith_search_offer(&a->search, a->job->candidates[g], a->in->sample, err);
	free(a->codes.memory);
	a->codes.memory = NULL;
	return rc;
}

int kith_approx_rows_find(kith_approx_rows *rows, kith_err *err)
{
	struct approx a = {.in = rows,
			   .job = rows->job,
			   .plan = rows->plan,
			   .vectors = rows->job->vectors,
			   .n = rows->job->info->n,
			   .k = kith_info_k(rows->job->info),
			   .near = rows->job->info->near};
	int rc = 0;
	if (!(a.hash = kith_alloc(a.n, sizeof *a.hash)))
		return kith_fail_nomem(err, "hashes of samples", a.n * sizeof *a.hash);
	if (!(rc = find_lists(&a, err)) && !rows->blurred &&
	    !(rc = kith_results_init(&rows->results, a.n, a.k, a.near, NULL, err)) && !(rc = finish_rows(&a, err)))
		finish_left_out(&a);
	rows->trees = a.search.trees;
	rows->rounds = a.search.rounds;
	kith_projections_free(&a.projections);
	kith_bounds_free(&a.full);
	free(a.codes.memory);
	free(a.duplicates.memory);
	kith_search_free(&a.search);
	free(a.hash);
	return rc;
}
