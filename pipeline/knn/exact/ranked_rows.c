/* ranked_rows.c - see ranked_rows.h */
#include "ranked_rows.h"

#include <stdlib.h>
#include <string.h>

#include "workspace.h"

#define WRITE_ROWS 4096u /* handed to the writer together */

static void init(kith_ranked_rows *r, uint64_t n, uint32_t k, kith_workspace *w)
{
	*r = (kith_ranked_rows){.n = n, .k = k};
	KITH_BUFFER_ZERO(w, r->count, n);
	KITH_BUFFER_ZERO(w, r->left, n);
	KITH_BUFFER(w, r->id, n * k);
	KITH_BUFFER(w, r->dist, n * k);
}

uint64_t kith_ranked_rows_bytes(uint64_t n, uint32_t k)
{
	kith_ranked_rows r;
	kith_workspace w = {0};
	init(&r, n, k, &w);
	return kith_workspace_bytes(&w);
}

int kith_ranked_rows_alloc(kith_ranked_rows *r, const kith_vectors *vectors, uint32_t k, kith_err *err)
{
	kith_workspace w = {0};
	init(r, vectors->n, k, &w);
	r->ties = vectors->ties;
	r->weight = vectors->weight;
	return kith_workspace_alloc(&w, &r->memory, "rows of neighbours", err);
}

static uint32_t weight_of(const kith_ranked_rows *r, uint32_t id)
{
	return r->weight ? r->weight[id] : 1;
}

void kith_ranked_rows_take(kith_ranked_rows *r, uint64_t i, uint32_t id, double dist)
{
	uint32_t *ids = r->id + i * r->k, at = r->count[i];
	double *dists = r->dist + i * r->k, far = kith_ranked_rows_bound(r, i);
	if (!kith_ranked_rows_wants(r, i, id, dist)) {
		r->left[i] += dist == far ? weight_of(r, id) : 0;
		return;
	}
	uint32_t last = at == r->k ? ids[at - 1] : 0;
	if (at == r->k)
		at--;
	else
		r->count[i]++;
	for (; at && kith_comes_before(&r->ties, dist, id, dists[at - 1], ids[at - 1]); at--) {
		ids[at] = ids[at - 1];
		dists[at] = dists[at - 1];
	}
	ids[at] = id;
	dists[at] = dist;
	if (far < INFINITY) /* it was full */
		r->left[i] = dists[r->k - 1] == far ? r->left[i] + weight_of(r, last) : 0;
}

void kith_ranked_rows_count(const kith_ranked_rows *r, const kith_graph_info *info, kith_tie_counts *counts)
{
	for (uint64_t i = 0; i < r->n; i++)
		kith_tie_counts_add(counts, info, r->dist + i * r->k, r->left[i]);
}

int kith_ranked_rows_write(const kith_ranked_rows *r, const kith_engine_job *job, kith_graph_writer *writer,
			   kith_err *err)
{
	uint64_t near = job->info->near, k = r->k, most = r->n < WRITE_ROWS ? r->n : WRITE_ROWS;
	uint32_t *ids, *near_ids;
	double *near_dist;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, ids, most * k);
	KITH_BUFFER(&w, near_ids, most * near);
	KITH_BUFFER(&w, near_dist, most * near);
	int rc = kith_workspace_alloc(&w, &memory, "finished rows", err);
	for (uint64_t first = 0; !rc && first < r->n; first += most) {
		uint64_t count = most < r->n - first ? most : r->n - first;
		if ((rc = kith_progress_tick(job->progress, "writing", first, r->n, err)))
			break;
		memcpy(ids, r->id + first * k, count * k * sizeof *ids);
		for (uint64_t i = 0; i < count; i++) {
			memcpy(near_ids + i * near, ids + i * k, near * sizeof *ids);
			memcpy(near_dist + i * near, r->dist + (first + i) * k, near * sizeof *near_dist);
		}
		rc = kith_engine_append(job, writer, count, ids, near_ids, near_dist, err);
	}
	free(memory);
	return rc;
}
