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

/* What true neighbours are looked for with. */
struct finder {
	kith_audit *audit;
	const kith_vectors *vectors;
	kith_zero_rows *zero; /* NULL: there are none */
	uint64_t memory;
	int threads;
	const kith_progress *progress;
};

static kith_some_rows rows_to_find(const struct finder *f, const uint32_t *rows, uint32_t count)
{
	return (kith_some_rows){.vectors = f->zero ? &f->zero->vectors : f->vectors,
				.ladder = f->zero ? f->zero->info.ladder : f->audit->ladder,
				.tiers = f->zero ? f->zero->info.tiers : f->audit->tiers,
				.rows = rows,
				.count = count,
				.memory = f->memory,
				.threads = f->threads,
				.work = "audit",
				.progress = f->progress};
}

/* Finds the true neighbours of all samples of both records at once, and puts them where they belong. */
static int find_both(const struct finder *f, kith_err *err)
{
	kith_audit *a = f->audit;
	uint32_t rows = a->record.rows, all = rows + a->stop.rows, k = a->ladder[a->tiers - 1], *id, *exact;
	void *space = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, id, all);
	KITH_BUFFER(&w, exact, (uint64_t)all * k);
	int rc = kith_workspace_alloc(&w, &space, "an audit", err);
	if (rc || (rc = kith_audit_choose(f->vectors->n, a->record.seed, all, id, err)) ||
	    (rc = kith_audit_choose(f->vectors->n, a->record.seed, rows, a->record.id, err)))
		goto done;
	kith_some_rows some = rows_to_find(f, id, all);
	rc = kith_some_rows_find(&some, exact, NULL, err);
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

/* ---- beside zero rows ---- */

/* Of samples that are no zero rows, by their own numbers, those of the record: recorded[]. Returns how many. */
static uint32_t list_recorded(const struct finder *f, uint32_t *recorded)
{
	const kith_graph_audit *record = &f->audit->record;
	uint32_t count = 0;
	for (uint32_t r = 0; r < record->rows; r++) {
		uint32_t own = kith_id_find(f->zero->other, f->zero->others, record->id[r]);
		if (own != UINT32_MAX)
			recorded[count++] = own;
	}
	return count;
}

/* As many more of these as the audit is to stop by. */
static int choose_stop(const struct finder *f, const uint32_t *recorded, uint32_t count, kith_err *err)
{
	kith_graph_audit *stop = &f->audit->stop;
	int rc = kith_audit_choose(f->zero->others - count, f->audit->record.seed, stop->rows, stop->id, err);
	for (uint32_t s = 0, skipped = 0; !rc && s < stop->rows; s++) {
		while (skipped < count && recorded[skipped] <= stop->id[s] + skipped)
			skipped++;
		stop->id[s] += skipped;
	}
	return rc;
}

/* From the nearest of those that are no zero rows, nearest first, to the records' rows. */
static void fill_records(const struct finder *f, uint32_t *exact, const double *dist2, uint32_t stop_from)
{
	kith_audit *a = f->audit;
	kith_zero_rows *zero = f->zero;
	size_t k = a->ladder[a->tiers - 1], own_k = zero->k;
	for (uint32_t r = 0, at = 0; r < a->record.rows; r++) {
		uint32_t id = a->record.id[r], *row = a->record.exact + r * k;
		uint32_t known = f->vectors->norm[id] != 0 ? zero->k : 0;
		kith_zero_rows_row(zero, id, exact + at * own_k, dist2 + at * own_k, known, 0, row);
		kith_tiers_sort(row, a->ladder, a->tiers);
		at += known > 0;
	}
	for (uint32_t s = 0; s < a->stop.rows; s++) {
		uint32_t *row = a->stop.exact + s * own_k;
		memcpy(row, exact + (stop_from + s) * own_k, own_k * sizeof *row);
		kith_tiers_sort(row, zero->info.ladder, zero->info.tiers);
	}
}

/* What the same takes, beside the records. */
static uint64_t bytes_beside(const struct finder *f, uint64_t rows)
{
	return rows * (4 + 12ull * f->zero->k) + 256;
}

static int find_beside_zero_rows(const struct finder *f, kith_err *err)
{
	kith_audit *a = f->audit;
	uint32_t most = a->record.rows + a->stop.rows, *row, *exact, count;
	double *dist2;
	void *space = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, dist2, (uint64_t)most * f->zero->k);
	KITH_BUFFER(&w, exact, (uint64_t)most * f->zero->k);
	KITH_BUFFER(&w, row, most);
	int rc = kith_workspace_alloc(&w, &space, "an audit", err);
	if (rc || (rc = kith_audit_choose(f->vectors->n, a->record.seed, a->record.rows, a->record.id, err)))
		goto done;
	count = list_recorded(f, row);
	uint32_t left = (uint32_t)(f->zero->others - count);
	int shared = a->stop.rows > left && count >= left;
	if (a->stop.rows > left && !shared)
		a->stop.rows = left; /* few samples are no zero rows, and most of these are not in the record */
	if (shared)
		memcpy(a->stop.id, row, (a->stop.rows = count) * sizeof *row);
	else if ((rc = choose_stop(f, row, count, err)))
		goto done;
	else
		memcpy(row + count, a->stop.id, a->stop.rows * sizeof *row);
	kith_some_rows some = rows_to_find(f, row, count + (shared ? 0 : a->stop.rows));
	if (f->zero->others > 1 && some.count)
		rc = kith_some_rows_find(&some, exact, dist2, err);
	if (!rc)
		fill_records(f, exact, dist2, shared ? 0 : count);
done:
	free(space);
	return rc;
}

int kith_audit_init(kith_audit *a, const kith_vectors *vectors, kith_zero_rows *zero, const kith_graph_info *info,
		    uint32_t rows, uint32_t stop, uint64_t seed, uint64_t memory, int threads,
		    const kith_progress *progress, kith_err *err)
{
	struct finder f = {a, vectors, zero, 0, threads, progress};
	uint64_t k = kith_info_k(info), n = vectors->n, most, taken;
	kith_workspace w = {0};
	rows = rows < n ? rows : (uint32_t)n;
	most = zero && stop && stop < rows ? rows : stop; /* the record's may have to do */
	if (!zero && stop > n - rows)
		most = stop = 0;
	*a = (kith_audit){.tiers = info->tiers, .record = {.rows = rows, .seed = seed}, .stop = {.rows = stop}};
	memcpy(a->ladder, info->ladder, info->tiers * sizeof *info->ladder);
	KITH_BUFFER(&w, a->record.id, rows);
	KITH_BUFFER(&w, a->record.exact, rows * k);
	KITH_BUFFER(&w, a->stop.id, most);
	KITH_BUFFER(&w, a->stop.exact, most * k);
	KITH_BUFFER_ZERO(&w, a->found, (uint64_t)rows * a->tiers);
	a->bytes = kith_workspace_bytes(&w);
	taken = a->bytes + (zero ? bytes_beside(&f, rows + most) : (rows + most) * (k + 1) * sizeof(uint32_t));
	if (taken > memory / 2)
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: an audit of %u samples at k=%u takes %llu bytes, more than half of -m: give it more "
			"or audit fewer samples (--audit)",
			vectors->path, rows, (uint32_t)k, (unsigned long long)taken);
	int rc = kith_workspace_alloc(&w, &a->memory, "an audit", err);
	f.memory = memory - taken;
	if (!rc)
		rc = (zero ? find_beside_zero_rows : find_both)(&f, err);
	if (!rc && !zero && !stop)
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
