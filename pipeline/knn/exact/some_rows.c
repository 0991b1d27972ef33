/* some_rows.c - see some_rows.h */
#include "some_rows.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "duplicates.h"
#include "projection.h"
#include "stream.h"

struct finder {
	const kith_some_rows *in;
	kith_scaling scaling;
	kith_graph_info info; /* of a graph of these rows: ladder; near lists where distances are wanted */
	kith_plan plan;
	kith_bounds bounds;
	kith_duplicates duplicates;
	uint32_t *place; /* n: of those that are wanted, where in `results` */
	kith_results results;
};

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void kith_tiers_sort(uint32_t *row, const uint32_t *ladder, uint32_t tiers)
{
	for (uint32_t t = 0, from = 0; t < tiers; from = ladder[t++])
		qsort(row + from, ladder[t] - from, sizeof *row, by_id);
}

static int choose_sizes(struct finder *f, kith_err *err)
{
	const kith_some_rows *in = f->in;
	const kith_vectors *v = in->vectors;
	uint32_t k = kith_info_k(&f->info);
	uint64_t results = kith_results_bytes(in->count, k, f->info.near),
		 left = in->memory > results ? in->memory - results : 0;
	uint64_t least = results + kith_stream_sizes(&f->plan, v, in->count, k, left, 0, 0);
	if (least > in->memory && f->plan.panel == 1)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: -m is too small: the true neighbours of %u samples, d=%llu k=%u, with %d threads "
				 "need at least %llu bytes",
				 v->path, in->count, (unsigned long long)v->d, k, in->threads,
				 (unsigned long long)least);
	return 0;
}

/* Bounds of all samples, and which of them copies of themselves keep out of every row. */
static int look_at_all(struct finder *f, kith_err *err)
{
	const kith_some_rows *in = f->in;
	uint64_t n = in->vectors->n, *hash = kith_alloc(n, sizeof *hash);
	if (!hash)
		return kith_fail_nomem(err, "hashes of samples", n * sizeof *hash);
	int rc = kith_pass_run(&(kith_pass){.full = &f->bounds, .hash = hash}, &f->scaling, in->memory / 8, in->threads,
			       in->progress, err);
	if (!rc)
		rc = kith_duplicates_find(&f->duplicates, in->vectors, hash, kith_info_k(&f->info), err);
	free(hash);
	return rc;
}

static int find(struct finder *f, kith_err *err)
{
	const kith_some_rows *in = f->in;
	uint64_t n = in->vectors->n;
	int rc = kith_results_init(&f->results, in->count, kith_info_k(&f->info), f->info.near, NULL, err);
	if (rc)
		return rc;
	if (!(f->place = kith_alloc(n, sizeof *f->place)))
		return kith_fail_nomem(err, "places of rows", n * sizeof *f->place);
	for (uint32_t r = 0; r < in->count; r++)
		f->place[in->rows[r]] = r;
	f->results.place = f->place;
	kith_stream stream = {.plan = &f->plan,
			      .scaling = &f->scaling,
			      .info = &f->info,
			      .bounds = &f->bounds,
			      .duplicates = &f->duplicates,
			      .rows = in->rows,
			      .count = in->count,
			      .work = in->work,
			      .progress = in->progress};
	return kith_stream_run(&stream, &f->results, err);
}

static void copy_out(const struct finder *f, uint32_t *out, double *dist2)
{
	size_t k = kith_info_k(&f->info);
	if (dist2) {
		memcpy(out, f->results.near_ids, f->in->count * k * sizeof *out);
		memcpy(dist2, f->results.near_dist2, f->in->count * k * sizeof *dist2);
		return;
	}
	memcpy(out, f->results.ids, f->in->count * k * sizeof *out);
	for (uint32_t r = 0; r < f->in->count; r++)
		kith_tiers_sort(out + r * k, f->info.ladder, f->info.tiers);
}

int kith_some_rows_find(const kith_some_rows *in, uint32_t *out, double *dist2, kith_err *err)
{
	struct finder f = {.in = in,
			   .info = {.n = in->vectors->n, .d = in->vectors->d, .tiers = in->tiers},
			   .plan = {.kind = KITH_PLAN_STREAM, .threads = in->threads}};
	memcpy(f.info.ladder, in->ladder, in->tiers * sizeof *in->ladder);
	f.info.near = dist2 ? kith_info_k(&f.info) : 0;
	int rc = choose_sizes(&f, err);
	if (!rc && !(rc = kith_scaling_init(&f.scaling, in->vectors, err)) && !(rc = look_at_all(&f, err)) &&
	    !(rc = find(&f, err)))
		copy_out(&f, out, dist2);
	kith_results_free(&f.results);
	free(f.place);
	free(f.duplicates.memory);
	kith_bounds_free(&f.bounds);
	return rc;
}
