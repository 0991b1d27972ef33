/* audit.c - see audit.h */
#include "audit.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "random.h"
#include "some_rows.h"
#include "workspace.h"

/* Which samples are audited is a promise: it does not change. */
int kith_audit_choose(uint64_t n, uint64_t seed, uint32_t rows, uint32_t *out, kith_err *err)
{
	uint64_t words = (n + 63) / 64, *chosen = kith_alloc_zero(words, sizeof *chosen), state = seed;
	if (!chosen)
		return kith_fail_nomem(err, "a bitmap of the samples", words * sizeof *chosen);
	for (uint32_t left = rows; left;) {
		uint64_t i = kith_random_below(&state, n), bit = 1ull << (i & 63);
		left -= !(chosen[i / 64] & bit);
		chosen[i / 64] |= bit;
	}
	for (uint64_t w = 0; w < words; w++)
		for (uint64_t rest = chosen[w]; rest; rest &= rest - 1)
			*out++ = (uint32_t)(64 * w + (unsigned)__builtin_ctzll(rest));
	free(chosen);
	return 0;
}

/* Of one thread of about 3 GHz with 512-bit vectors, like the exact engine's (planner.c). */
#define PAIR       0.2e-9
#define PAIR_VALUE 0.01e-9
#define READ_VALUE 8e-9 /* a value of the file: read twice, hashed, to floats, to integers */

double kith_audit_seconds(uint64_t n, uint64_t d, uint32_t rows, int threads)
{
	double pairs = (double)n * (double)(rows < n ? rows : n);
	return (pairs * (PAIR + PAIR_VALUE * (double)d) + (double)n * (double)d * READ_VALUE) / threads;
}

/* Finds the true neighbours of all samples of both records at once, and puts them where they belong. */
static int find_both(kith_audit *a, const kith_vectors *vectors, uint64_t memory, int threads,
		     const kith_progress *progress, kith_err *err)
{
	uint32_t rows = a->record.rows, all = rows + a->stop.rows, k = a->ladder[a->tiers - 1], *id, *exact;
	void *space = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, id, all);
	KITH_BUFFER(&w, exact, (uint64_t)all * k);
	int rc = kith_workspace_alloc(&w, &space, "an audit", err);
	if (rc || (rc = kith_audit_choose(vectors->n, a->record.seed, all, id, err)) ||
	    (rc = kith_audit_choose(vectors->n, a->record.seed, rows, a->record.id, err)))
		goto done;
	kith_some_rows some = {.vectors = vectors,
			       .ladder = a->ladder,
			       .tiers = a->tiers,
			       .rows = id,
			       .count = all,
			       .memory = memory,
			       .threads = threads,
			       .work = "audit",
			       .progress = progress};
	rc = kith_some_rows_find(&some, exact, err);
	for (uint32_t i = 0, r = 0; !rc && i < all; i++) {
		int recorded = r < rows && a->record.id[r] == id[i];
		kith_graph_audit *to = recorded ? &a->record : &a->stop;
		uint32_t at = recorded ? r : i - r;
		to->id[at] = id[i];
		memcpy(to->exact + (size_t)at * k, exact + (size_t)i * k, k * sizeof *exact);
		r += (uint32_t)recorded;
	}
done:
	free(space);
	return rc;
}

int kith_audit_init(kith_audit *a, const kith_vectors *vectors, const kith_graph_info *info, uint32_t rows,
		    uint32_t stop, uint64_t seed, uint64_t memory, int threads, const kith_progress *progress,
		    kith_err *err)
{
	uint64_t k = kith_info_k(info), n = vectors->n, all;
	kith_workspace w = {0};
	rows = rows < n ? rows : (uint32_t)n;
	stop = stop <= n - rows ? stop : 0;
	all = rows + stop;
	*a = (kith_audit){.tiers = info->tiers, .record = {.rows = rows, .seed = seed}, .stop = {.rows = stop}};
	memcpy(a->ladder, info->ladder, info->tiers * sizeof *info->ladder);
	KITH_BUFFER(&w, a->record.id, rows);
	KITH_BUFFER(&w, a->record.exact, rows * k);
	KITH_BUFFER(&w, a->stop.id, stop);
	KITH_BUFFER(&w, a->stop.exact, stop * k);
	KITH_BUFFER_ZERO(&w, a->found, (uint64_t)rows * a->tiers);
	a->bytes = kith_workspace_bytes(&w);
	if (a->bytes + all * (k + 1) * sizeof(uint32_t) > memory / 2)
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: an audit of %u samples at k=%u takes %llu bytes, more than half of -m: give it more "
			"or audit fewer samples (--audit)",
			vectors->path, rows, (uint32_t)k,
			(unsigned long long)(a->bytes + all * (k + 1) * sizeof(uint32_t)));
	int rc = kith_workspace_alloc(&w, &a->memory, "an audit", err);
	if (!rc)
		rc = find_both(a, vectors, memory - a->bytes - all * (k + 1) * sizeof(uint32_t), threads, progress,
			       err);
	if (!rc && !stop)
		a->stop = a->record;
	return rc;
}

/* How many ids two ascending lists share. */
static uint32_t in_both(const uint32_t *x, uint32_t count_x, const uint32_t *y, uint32_t count_y)
{
	uint32_t both = 0;
	for (uint32_t i = 0, j = 0; i < count_x && j < count_y;) {
		both += x[i] == y[j];
		uint32_t step_x = x[i] <= y[j], step_y = y[j] <= x[i];
		i += step_x;
		j += step_y;
	}
	return both;
}

void kith_audit_note_row(kith_audit *a, uint32_t r, const uint32_t *ids)
{
	const uint32_t *exact = a->record.exact + (size_t)r * a->ladder[a->tiers - 1];
	for (uint32_t t = 0, x = 0; t < a->tiers; x = a->ladder[t++])
		for (uint32_t u = 0, y = 0; u < a->tiers; y = a->ladder[u++])
			a->found[(size_t)(t > u ? t : u) * a->record.rows + r] +=
				in_both(exact + x, a->ladder[t] - x, ids + y, a->ladder[u] - y);
}

void kith_audit_note(kith_audit *a, uint64_t count, const uint32_t *ids)
{
	const kith_graph_audit *record = &a->record;
	for (; a->next < record->rows && record->id[a->next] < a->appended + count; a->next++)
		kith_audit_note_row(a, a->next, ids + (record->id[a->next] - a->appended) * a->ladder[a->tiers - 1]);
	a->appended += count;
}

void kith_audit_close(kith_audit *a)
{
	uint32_t *found = a->found, rows = a->record.rows;
	for (uint32_t t = 0; t < a->tiers; t++, found += rows) {
		for (uint32_t r = 0; t && r < rows; r++)
			found[r] += (found - rows)[r];
		kith_recall x = kith_recall_of(found, rows, a->ladder[t]);
		a->record.recall[t] = x.recall;
		a->record.low[t] = x.low;
		a->record.high[t] = x.high;
	}
}

void kith_audit_free(kith_audit *a)
{
	free(a->memory);
	*a = (kith_audit){0};
}
