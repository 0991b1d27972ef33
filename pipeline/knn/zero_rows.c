/* zero_rows.c - see zero_rows.h */
#include "zero_rows.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "workspace.h"

#define ROWS_BYTES (1u << 20) /* of rows that go to the graph together, about */

/* ---- setting up ---- */

static int allocate(kith_zero_rows *z, uint32_t k, uint32_t near, kith_err *err)
{
	const kith_engine_job *job = z->job;
	uint64_t n = job->vectors->n, row = 12ull * k + 12ull * near, most, bytes;
	kith_workspace w = {0};
	most = (job->memory / 16 < ROWS_BYTES ? job->memory / 16 : ROWS_BYTES) / row + 1;
	z->most = (uint32_t)(most < n ? most : n);
	KITH_BUFFER(&w, z->left, z->others);
	KITH_BUFFER(&w, z->near_dist2, (uint64_t)z->most * near);
	KITH_BUFFER(&w, z->dist, k);
	KITH_BUFFER(&w, z->zero, z->count);
	KITH_BUFFER(&w, z->other, z->others);
	KITH_BUFFER(&w, z->first, n);
	KITH_BUFFER(&w, z->ids, (uint64_t)z->most * k);
	KITH_BUFFER(&w, z->near_ids, (uint64_t)z->most * near);
	bytes = kith_workspace_bytes(&w) + kith_vectors_some_bytes(job->vectors, z->others);
	if (bytes > job->memory / 2)
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: -m is too small: %llu of its %llu rows are zero, which take %llu bytes beside the "
			"engine's at k=%u: give it at least %llu",
			job->vectors->path, (unsigned long long)z->count, (unsigned long long)n,
			(unsigned long long)bytes, k, (unsigned long long)(2 * (bytes + ROWS_BYTES) + job->taken));
	z->rest = *job;
	z->rest.taken += bytes;
	z->rest.memory -= bytes;
	return kith_workspace_alloc(&w, &z->memory, "zero rows", err);
}

static void divide(kith_zero_rows *z)
{
	const kith_vectors *v = z->job->vectors;
	uint64_t zeros = 0, others = 0;
	for (uint64_t i = 0; i < v->n; i++) {
		z->first[i] = (uint32_t)i;
		if (v->norm[i] == 0)
			z->zero[zeros++] = (uint32_t)i;
		else
			z->other[others++] = (uint32_t)i;
	}
	kith_ties_sort(&v->ties, z->first, v->n);
	kith_ties_sort(&v->ties, z->zero, z->count);
}

int kith_zero_rows_init(kith_zero_rows *z, const kith_engine_job *job, kith_err *err)
{
	const kith_vectors *v = job->vectors;
	uint32_t k = kith_info_k(job->info);
	int rc;
	*z = (kith_zero_rows){.job = job, .count = v->zero, .others = v->n - v->zero};
	if ((rc = allocate(z, k, job->info->near, err)))
		return rc;
	divide(z);
	if (z->others < 2)
		return 0;
	z->k = k < z->others - 1 ? k : (uint32_t)(z->others - 1);
	z->info = *job->info;
	z->info.n = z->others;
	for (z->info.tiers = 0; job->info->ladder[z->info.tiers] < z->k;)
		z->info.tiers++;
	z->info.ladder[z->info.tiers++] = z->info.near = z->k;
	z->rest.vectors = &z->vectors;
	z->rest.info = &z->info;
	z->rest.left = z->left;
	z->rest.zero = z;
	return kith_vectors_some(&z->vectors, v, z->other, z->others, err);
}

void kith_zero_rows_free(kith_zero_rows *z)
{
	kith_vectors_free(&z->vectors);
	free(z->memory);
	z->memory = NULL;
}

/* ---- rows ---- */

static int flush(kith_zero_rows *z, kith_graph_writer *writer, kith_err *err)
{
	uint32_t made = z->made;
	z->made = 0;
	return kith_engine_append(z->job, writer, made, z->ids, z->near_ids, z->near_dist2, err);
}

/* Of a sample that is no zero row. */
static uint64_t merge(const kith_zero_rows *z, const uint32_t *others, const double *dist, uint32_t count,
		      uint64_t left, uint32_t *out)
{
	const kith_tie_rule *ties = &z->job->vectors->ties;
	uint32_t k = kith_info_k(z->job->info), x = 0, more = 0;
	uint64_t y = 0;
	for (uint32_t p = 0; p < k; p++) {
		uint32_t id = x < count ? z->other[others[x]] : 0;
		int here = x < count &&
			   (y == z->count || !kith_comes_before(ties, KITH_ZERO_APART, z->zero[y], dist[x], id));
		out[p] = here ? id : z->zero[y];
		z->dist[p] = here ? dist[x] : KITH_ZERO_APART;
		x += (uint32_t)here;
		y += (uint64_t)!here;
	}
	double far = z->dist[k - 1];
	while (x + more < count && dist[x + more] == far)
		more++;
	return more + (count && dist[count - 1] == far ? left : 0) + (far == KITH_ZERO_APART ? z->count - y : 0);
}

/* Of a zero row, from which all others are equally far. */
static uint64_t take_first(const kith_zero_rows *z, uint32_t i, uint32_t *out)
{
	uint32_t k = kith_info_k(z->job->info);
	for (uint32_t p = 0, at = 0; p < k; at++)
		if (z->first[at] != i) {
			z->dist[p] = KITH_ZERO_APART;
			out[p++] = z->first[at];
		}
	return z->job->vectors->n - 1 - k;
}

uint64_t kith_zero_rows_row(kith_zero_rows *z, uint32_t i, const uint32_t *others, const double *dist, uint32_t count,
			    uint64_t left, uint32_t *out)
{
	return z->job->vectors->norm[i] == 0 ? take_first(z, i, out) : merge(z, others, dist, count, left, out);
}

/* The row of the next sample; of others[count] if it is no zero row. */
static int put_row(kith_zero_rows *z, kith_graph_writer *writer, const uint32_t *others, const double *dist,
		   uint32_t count, kith_err *err)
{
	const kith_graph_info *info = z->job->info;
	uint32_t i = (uint32_t)z->next++, *ids = z->ids + (uint64_t)z->made * kith_info_k(info);
	uint64_t left = kith_zero_rows_row(z, i, others, dist, count, count ? z->left[z->taken] : 0, ids);
	z->taken += z->job->vectors->norm[i] != 0;
	kith_tie_counts_add(&z->tied, info, z->dist, left);
	memcpy(z->near_ids + (uint64_t)z->made * info->near, ids, info->near * sizeof *ids);
	memcpy(z->near_dist2 + (uint64_t)z->made * info->near, z->dist, info->near * sizeof *z->dist);
	return ++z->made < z->most ? 0 : flush(z, writer, err);
}

int kith_zero_rows_append(kith_zero_rows *z, kith_graph_writer *writer, uint64_t count, const uint32_t *near_ids,
			  const double *near_dist2, kith_err *err)
{
	int rc = 0;
	for (uint64_t r = 0; !rc && r < count; r++, near_ids += z->k, near_dist2 += z->k) {
		while (!rc && z->next < z->other[z->taken])
			rc = put_row(z, writer, NULL, NULL, 0, err);
		if (!rc)
			rc = put_row(z, writer, near_ids, near_dist2, z->k, err);
	}
	return rc;
}

int kith_zero_rows_finish(kith_zero_rows *z, kith_graph_writer *writer, kith_err *err)
{
	int rc = 0;
	while (!rc && z->next < z->job->vectors->n)
		rc = put_row(z, writer, NULL, NULL, 0, err);
	z->tied.zero = z->count;
	return rc || !z->made ? rc : flush(z, writer, err);
}
