/* found_rows.c - see found_rows.h */
#include "found_rows.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "first_error.h"
#include "some_rows.h"
#include "zero_rows.h"

#define MAX_BLOCK 1024u
#define MAX_PANEL 4096u
#define FEW       64u /* rows that are compared with all samples sooner than products with these are made ready */

typedef struct kith_ranked_id {
	double dist2;
	uint32_t id;
} ranked_id;

static int by_rank(const void *a, const void *b, void *ties)
{
	const ranked_id *x = a, *y = b;
	return kith_comes_before(ties, y->dist2, y->id, x->dist2, x->id) -
	       kith_comes_before(ties, x->dist2, x->id, y->dist2, y->id);
}

/* ---- work space ---- */

static uint64_t sample_bytes(const kith_ranker *q)
{
	return q->vectors->d * q->vectors->value_size;
}

void kith_ranker_init(kith_ranker *q, const kith_vectors *vectors, uint32_t k, uint64_t most, uint64_t memory,
		      int threads, const kith_progress *progress, kith_workspace *w)
{
	*q = (kith_ranker){.vectors = vectors,
			   .memory = memory,
			   .progress = progress,
			   .k = k,
			   .most = most,
			   .threads = threads,
			   .panel = MAX_PANEL,
			   .block = vectors->n < MAX_BLOCK ? (uint32_t)vectors->n : MAX_BLOCK};
	uint64_t sample = vectors->all ? 0 : sample_bytes(q), stored = vectors->all ? 0 : vectors->row_bytes;
	while (q->panel > 1 && (q->panel + q->block) * sample + q->block * stored > memory) {
		q->panel = (q->panel + 1) / 2;
		q->block = (q->block + 1) / 2;
	}
	KITH_BUFFER(w, q->ranked, (uint64_t)threads * (most + k));
	KITH_BUFFER(w, q->values, (uint64_t)threads * (KITH_CANONICAL_PAIRS + 1) * sample);
	KITH_BUFFER(w, q->raw, (uint64_t)threads * stored);
	KITH_BUFFER(w, q->wanted, q->panel);
	KITH_BUFFER(w, q->wanted_values, q->panel * sample);
	KITH_BUFFER(w, q->block_values, q->block * sample);
	KITH_BUFFER(w, q->block_raw, q->block * stored);
}

/* Sample i's values, put at `to` where they are not in memory. */
static int get_sample(const kith_ranker *q, uint64_t i, char *to, const void **values, kith_err *err)
{
	const kith_vectors *v = q->vectors;
	if (v->all) {
		*values = kith_vectors_at(v, i);
		return 0;
	}
	*values = to;
	return kith_vectors_read_values(v, i, 1, to, q->raw + (uint64_t)omp_get_thread_num() * v->row_bytes, err);
}

/* ---- taking what was found ---- */

void kith_found_rows_clear(kith_found_rows *rows, uint32_t k)
{
	memset(rows->ids, 0xff, rows->count * k * sizeof *rows->ids);
	memset(rows->left, 0, rows->count * sizeof *rows->left);
}

/* Zero rows, which have no direction, are as far from all others (zero_rows.h). */
static void measure_zero(const kith_vectors *v, uint64_t own, ranked_id *ranked, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (v->norm[own] == 0 || v->norm[ranked[i].id] == 0)
			ranked[i].dist2 = KITH_ZERO_APART;
}

/* The canonical distances of sample `own` and ranked[0..count-1].id. */
static int measure(const kith_ranker *q, uint64_t own, ranked_id *ranked, uint64_t count, kith_err *err)
{
	uint64_t sample = sample_bytes(q);
	char *room = q->vectors->all ? NULL
				     : q->values + (uint64_t)omp_get_thread_num() * (KITH_CANONICAL_PAIRS + 1) * sample;
	const void *x, *y[KITH_CANONICAL_PAIRS];
	double dist2[KITH_CANONICAL_PAIRS];
	int rc = get_sample(q, own, room, &x, err);
	for (uint64_t at = 0; !rc && at < count; at += KITH_CANONICAL_PAIRS) {
		uint32_t some = (uint32_t)(count - at < KITH_CANONICAL_PAIRS ? count - at : KITH_CANONICAL_PAIRS);
		for (uint32_t i = 0; !rc && i < some; i++)
			rc = get_sample(q, ranked[at + i].id, room ? room + (i + 1) * sample : NULL, &y[i], err);
		if (rc)
			break;
		kith_canonical_distances(q->vectors, &x, 1, y, some, dist2);
		for (uint32_t i = 0; i < some; i++)
			ranked[at + i].dist2 = dist2[i];
	}
	if (q->vectors->zero)
		measure_zero(q->vectors, own, ranked, count);
	return rc;
}

static int take_row(const kith_ranker *q, kith_found_rows *rows, uint64_t r, const int64_t *labels, uint64_t found,
		    uint64_t offset, kith_err *err)
{
	ranked_id *ranked = q->ranked + (uint64_t)omp_get_thread_num() * (q->most + q->k);
	uint64_t own = rows->first + r, count = 0, had;
	uint32_t *ids = rows->ids + r * q->k, kept = 0, last = KITH_NOBODY;
	double *dist2 = rows->dist2 + r * q->k, far = dist2[q->k - 1];
	uint64_t left = 0;
	for (uint64_t i = 0; i < found; i++) {
		uint64_t id = labels[i] < 0 ? UINT64_MAX : (uint64_t)labels[i] + offset;
		if (id < q->vectors->n && id != own)
			ranked[count++].id = (uint32_t)id;
	}
	int rc = measure(q, own, ranked, count, err);
	for (had = 0; had < q->k && ids[had] != KITH_NOBODY; had++)
		ranked[count++] = (ranked_id){dist2[had], ids[had]};
	qsort_r(ranked, count, sizeof *ranked, by_rank, (void *)(uintptr_t)&q->vectors->ties);
	for (uint64_t i = 0; !rc && i < count && (kept < q->k || ranked[i].dist2 == dist2[q->k - 1]); i++) {
		if (last == ranked[i].id)
			continue; /* an index may hold a sample twice */
		last = ranked[i].id;
		left += kept == q->k;
		if (kept == q->k)
			continue;
		ids[kept] = ranked[i].id;
		dist2[kept++] = ranked[i].dist2;
	}
	if (had < q->k || dist2[q->k - 1] != far)
		rows->left[r] = 0;
	rows->left[r] = left > rows->left[r] ? left : rows->left[r];
	return rc;
}

int kith_found_rows_take(kith_ranker *q, kith_found_rows *rows, const int64_t *labels, uint64_t found, uint64_t offset,
			 kith_err *err)
{
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(q->threads) schedule(dynamic, 16)
	for (uint64_t r = 0; r < rows->count; r++) {
		kith_err why;
		int rc = take_row(q, rows, r, labels + r * found, found, offset, &why);
		kith_first_error_note(&failed, r, rc, &why);
	}
	return kith_first_error_get(&failed, err);
}

/* ---- completing rows ---- */

/* Row r with sample `id` in it, if it is near enough. */
static void insert(const kith_ranker *q, kith_found_rows *rows, uint64_t r, uint32_t id, double dist)
{
	uint32_t *ids = rows->ids + r * q->k, low = 0, high = q->k;
	double *dist2 = rows->dist2 + r * q->k;
	while (low < high) { /* the first place that is empty or holds a farther one */
		uint32_t mid = low + (high - low) / 2;
		if (ids[mid] == KITH_NOBODY || kith_comes_before(&q->vectors->ties, dist, id, dist2[mid], ids[mid]))
			high = mid;
		else
			low = mid + 1;
	}
	double far = dist2[q->k - 1];
	int full = ids[q->k - 1] != KITH_NOBODY;
	if (low == q->k) {
		rows->left[r] += dist == far;
		return;
	}
	memmove(ids + low + 1, ids + low, (q->k - low - 1) * sizeof *ids);
	memmove(dist2 + low + 1, dist2 + low, (q->k - low - 1) * sizeof *dist2);
	ids[low] = id;
	dist2[low] = dist;
	rows->left[r] = full && dist2[q->k - 1] == far ? rows->left[r] + 1 : 0;
}

/* Row r against samples first..first+count-1, whose values stand at `columns`. */
static void compare(const kith_ranker *q, kith_found_rows *rows, uint64_t r, const void *x, uint64_t first,
		    uint64_t count, const char *columns)
{
	const void *y[KITH_CANONICAL_PAIRS];
	double dist2[KITH_CANONICAL_PAIRS];
	for (uint64_t at = 0; at < count; at += KITH_CANONICAL_PAIRS) {
		uint32_t some = (uint32_t)(count - at < KITH_CANONICAL_PAIRS ? count - at : KITH_CANONICAL_PAIRS);
		for (uint32_t i = 0; i < some; i++)
			y[i] = columns + (at + i) * sample_bytes(q);
		kith_canonical_distances(q->vectors, &x, 1, y, some, dist2);
		for (uint32_t i = 0; i < some; i++)
			if (first + at + i != rows->first + r)
				insert(q, rows, r, (uint32_t)(first + at + i), dist2[i]);
	}
}

/* Rows wanted[0..count-1] against all samples. */
static int complete_panel(kith_ranker *q, kith_found_rows *rows, uint32_t count, kith_err *err)
{
	const kith_vectors *v = q->vectors;
	uint64_t sample = sample_bytes(q);
	const void *x;
	int rc = 0;
	for (uint32_t w = 0; w < count; w++) {
		memset(rows->ids + (uint64_t)q->wanted[w] * q->k, 0xff, q->k * sizeof *rows->ids);
		rows->left[q->wanted[w]] = 0;
		if ((rc = get_sample(q, rows->first + q->wanted[w], q->wanted_values + w * sample, &x, err)))
			return rc;
	}
	for (uint64_t first = 0; !rc && first < v->n; first += q->block) {
		uint64_t some = v->n - first < q->block ? v->n - first : q->block;
		const char *columns = v->all ? kith_vectors_at(v, first) : q->block_values;
		if (!v->all && (rc = kith_vectors_read_values(v, first, some, q->block_values, q->block_raw, err)))
			break;
#pragma omp parallel for num_threads(q->threads) schedule(dynamic, 1)
		for (uint32_t w = 0; w < count; w++) {
			uint64_t r = q->wanted[w];
			const char *own = v->all ? kith_vectors_at(v, rows->first + r) : q->wanted_values + w * sample;
			compare(q, rows, r, own, first, some, columns);
		}
	}
	return rc;
}

/* The same for many: whom a row has is found by products of all values, and their distances are measured then. */
static int complete_many(kith_ranker *q, kith_found_rows *rows, uint32_t count, kith_err *err)
{
	void *memory = NULL;
	uint32_t *sample, *ids;
	int64_t *labels;
	kith_workspace w = {0};
	kith_first_error failed = {0};
	KITH_BUFFER(&w, sample, count);
	KITH_BUFFER(&w, ids, (uint64_t)count * q->k);
	KITH_BUFFER(&w, labels, (uint64_t)count * q->k);
	int rc = kith_workspace_alloc(&w, &memory, "rows to complete", err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		sample[i] = (uint32_t)rows->first + q->wanted[i];
	rc = kith_some_rows_find(&(kith_some_rows){.vectors = q->vectors,
						   .ladder = &q->k,
						   .tiers = 1,
						   .rows = sample,
						   .count = count,
						   .memory = q->memory,
						   .threads = q->threads,
						   .work = "completing",
						   .progress = q->progress},
				 ids, NULL, err);
	for (uint64_t i = 0; !rc && i < (uint64_t)count * q->k; i++)
		labels[i] = ids[i];
#pragma omp parallel for num_threads(q->threads) schedule(dynamic, 16)
	for (uint32_t i = 0; i < (rc ? 0 : count); i++) {
		uint64_t r = q->wanted[i];
		kith_err why;
		memset(rows->ids + r * q->k, 0xff, q->k * sizeof *rows->ids);
		int bad = take_row(q, rows, r, labels + (uint64_t)i * q->k, q->k, 0, &why);
		kith_first_error_note(&failed, i, bad, &why);
	}
	free(memory);
	return rc ? rc : kith_first_error_get(&failed, err);
}

static int complete(kith_ranker *q, kith_found_rows *rows, uint32_t count, kith_err *err)
{
	int rc = count > FEW ? complete_many(q, rows, count, err) : KITH_EUSAGE;
	return rc == KITH_EUSAGE ? complete_panel(q, rows, count, err) : rc; /* there may be no room for products */
}

int kith_found_rows_complete(kith_ranker *q, kith_found_rows *rows, uint64_t *completed, kith_err *err)
{
	uint32_t count = 0;
	int rc = 0;
	for (uint64_t r = 0; !rc && r < rows->count; r++) {
		if (rows->ids[(r + 1) * q->k - 1] == KITH_NOBODY)
			q->wanted[count++] = (uint32_t)r;
		if (count == q->panel || (count && r + 1 == rows->count)) {
			*completed += count;
			rc = complete(q, rows, count, err);
			count = 0;
		}
	}
	return rc;
}

/* ---- full rows ---- */

/* The writer sorts ids in place, so the nearest are put aside. */
int kith_found_rows_append(kith_found_rows *rows, const kith_engine_job *job, kith_graph_writer *writer,
			   uint32_t *near_ids, kith_tie_counts *tied, kith_err *err)
{
	uint64_t k = kith_info_k(job->info), near = job->info->near;
	for (uint64_t r = 0; r < rows->count; r++) {
		kith_tie_counts_add(tied, job->info, rows->dist2 + r * k, rows->left[r]);
		memcpy(near_ids + r * near, rows->ids + r * k, near * sizeof *near_ids);
		memmove(rows->dist2 + r * near, rows->dist2 + r * k, near * sizeof *rows->dist2);
	}
	return kith_engine_append(job, writer, rows->count, rows->ids, near_ids, rows->dist2, err);
}
