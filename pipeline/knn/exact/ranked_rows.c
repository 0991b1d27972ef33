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
	return kith_workspace_alloc(&w, &r->memory, "rows of neighbours", err);
}

void kith_ranked_rows_take(kith_ranked_rows *r, uint64_t i, uint32_t id, double dist)
{
	uint32_t *ids = r->id + i * r->k, at = r->count[i];
	double *dists = r->dist + i * r->k;
	if (!kith_ranked_rows_wants(r, i, id, dist))
		return;
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
