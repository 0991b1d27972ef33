/* import_lists.c - see import_lists.h */
#include "import_lists.h"

#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "first_error.h"
#include "hash.h"
#include "workspace.h"

#define MOST_LISTS 16384u
#define PART       256u /* lists that one thread reads and checks together */

/* ---- opening ---- */

/* Of whole numbers, a type holds every one below 2 to this. */
static int whole_bits(kith_dtype dtype)
{
	static const uint8_t bits[KITH_DTYPES] = {
		[KITH_F2] = 11, [KITH_F4] = 24, [KITH_F8] = 53, [KITH_BF16] = 8, [KITH_B1] = 1,
		[KITH_U1] = 8,  [KITH_I1] = 7,  [KITH_U2] = 16, [KITH_I2] = 15,  [KITH_U4] = 32,
		[KITH_I4] = 31, [KITH_U8] = 63, [KITH_I8] = 63};
	return bits[dtype];
}

static int check_shapes(const kith_import_lists *l, kith_err *err)
{
	const kith_source_info *i = kith_source_get_info(l->index), *d;
	if (i->n < 2)
		return kith_fail(err, KITH_EUSAGE, "%s: holds the list of 1 sample, which has no neighbours", i->path);
	if ((i->n - !l->one_based) >> whole_bits(i->dtype)) /* they were rounded, or began anew at 0 */
		return kith_fail(err, KITH_EUSAGE,
				 "%s: its type, %s, has no room for the numbers of %llu samples: save integers of 32 "
				 "or 64 bits",
				 i->path, kith_dtype_name(i->dtype), (unsigned long long)i->n);
	if (l->least > l->columns)
		return kith_fail(err, KITH_EUSAGE, "%s: k=%u, but its lists have %u columns: use a smaller k", i->path,
				 l->least, l->columns);
	if (!l->distance)
		return 0;
	d = kith_source_get_info(l->distance);
	if (d->n != i->n || d->d > i->d)
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: %llu rows of %llu distances, but the lists of %s are %llu rows of %llu: these are not "
			"their distances",
			d->path, (unsigned long long)d->n, (unsigned long long)d->d, i->path, (unsigned long long)i->n,
			(unsigned long long)i->d);
	return 0;
}

/* What a list takes: of the largest buffers. */
static uint64_t list_bytes(const kith_import_lists *l)
{
	return 8ull * l->columns + 8ull * l->known + l->stored;
}

static void list_buffers(kith_import_lists *l, kith_workspace *w)
{
	KITH_BUFFER(w, l->id, l->most * l->columns);
	KITH_BUFFER(w, l->given, l->most * l->known);
	KITH_BUFFER(w, l->own, l->most);
	KITH_BUFFER_ZERO(w, l->faulty, l->most);
	KITH_BUFFER(w, l->raw, l->most * l->stored);
	KITH_BUFFER_ZERO(w, l->seen, (uint64_t)l->threads << l->bits);
}

int kith_import_lists_open(kith_import_lists *l, const char *indices, const kith_import_options *o, uint64_t memory,
			   kith_err *err)
{
	kith_workspace w = {0};
	*l = (kith_import_lists){.one_based = o->one_based,
				 .absent = o->self == KITH_SELF_ABSENT,
				 .mend = o->complete,
				 .threads = o->knn.threads,
				 .least = o->knn.tiers ? o->knn.ladder[o->knn.tiers - 1] : 0,
				 .beyond = o->squared ? INFINITY : 0x1p511,
				 .most = 1,
				 .bits = 2};
	kith_input_how how = kith_input_within(&o->how, memory), plain = {.spill = o->how.spill, .memory = memory};
	int rc = kith_source_open(&l->index, indices, &how, err);
	if (rc || (o->distances && (rc = kith_source_open(&l->distance, o->distances, &plain, err))))
		return rc;
	l->n = kith_source_get_info(l->index)->n;
	l->columns = (uint32_t)kith_source_get_info(l->index)->d;
	l->known = l->distance ? (uint32_t)kith_source_get_info(l->distance)->d : 0;
	l->stored = kith_source_get_info(l->index)->row_bytes;
	if (l->distance && kith_source_get_info(l->distance)->row_bytes > l->stored)
		l->stored = kith_source_get_info(l->distance)->row_bytes;
	while (1ull << l->bits < 2ull * l->columns)
		l->bits++;
	if ((rc = check_shapes(l, err)))
		return rc;
	uint64_t kept = kith_source_get_info(l->index)->kept;
	kept += l->distance ? kith_source_get_info(l->distance)->kept : 0;
	l->most = (kept < memory ? memory - kept : 0) / list_bytes(l);
	l->most = l->most < 1 ? 1 : l->most < MOST_LISTS ? l->most : MOST_LISTS;
	l->most = l->most < l->n ? l->most : l->n;
	list_buffers(l, &w);
	if ((rc = kith_workspace_alloc(&w, &l->memory, "lists of neighbours", err)))
		return rc;
	return kith_import_lists_rewind(l, err);
}

void kith_import_lists_close(kith_import_lists *l)
{
	kith_source_close(l->index);
	kith_source_close(l->distance);
	kith_hash_free(l->hash[0]);
	kith_hash_free(l->hash[1]);
	free(l->memory);
	*l = (kith_import_lists){0};
}

int kith_import_lists_rewind(kith_import_lists *l, kith_err *err)
{
	l->first = l->count = 0;
	l->pass++;
	for (int h = 0; h < 2; h++) {
		kith_hash_free(l->hash[h]);
		if (!(l->hash[h] = kith_hash_new()))
			return kith_fail_nomem(err, "a digest", 1);
	}
	return 0;
}

uint64_t kith_import_lists_digest(const kith_import_lists *l)
{
	uint64_t both[2] = {kith_hash_value(l->hash[0]), kith_hash_value(l->hash[1])};
	return l->distance ? kith_hash(both, sizeof both) : both[0];
}

/* ---- one list ---- */

/* Says what is wrong with a list, at a column; KITH_EUSAGE. */
#define REFUSE(l, source, r, column, err, ...) refuse((source), (l)->first + (r), (column), (err), __VA_ARGS__)
static __attribute__((format(printf, 5, 6))) int refuse(const kith_source *source, uint64_t row, uint64_t column,
							kith_err *err, const char *format, ...)
{
	char place[KITH_PLACE_TEXT], what[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	return kith_fail(err, KITH_EUSAGE, "%s: %s %s", kith_source_get_info(source)->path,
			 kith_source_place(source, row, column, place), what);
}

/* Whom the list has named so far: tables of columns, each entry with the pass and the row that it is of, so that they
 * need not be emptied. Returns the column that named `id` before, or KITH_NOWHERE, and puts `column` there. */
static uint32_t note(const kith_import_lists *l, uint64_t *table, uint64_t row, const int64_t *ids, uint32_t column)
{
	uint64_t mark = ((uint64_t)(l->pass & 1) << 31 | row) + 1, mask = (1ull << l->bits) - 1;
	uint64_t at = ((uint64_t)ids[column] * 0x9e3779b97f4a7c15u) >> (64 - l->bits);
	for (; table[at] >> 32 == mark; at = (at + 1) & mask)
		if (ids[(uint32_t)table[at]] == ids[column])
			return (uint32_t)table[at];
	table[at] = mark << 32 | column;
	return KITH_NOWHERE;
}

/* What is wrong with whom list r names, if anything. */
static int check_ids(const kith_import_lists *l, uint64_t r, uint64_t *table, kith_err *err)
{
	int64_t *ids = l->id + r * l->columns;
	uint64_t row = l->first + r;
	uint32_t others = l->columns, before;
	long long base = l->one_based ? 1 : 0, n = (long long)l->n;
	l->own[r] = KITH_NOWHERE;
	for (uint32_t c = 0; c < l->columns; c++) {
		long long given = ids[c];
		if (given == -1 || given < base || given >= n + base)
			return REFUSE(l, l->index, r, c, err, "is %lld: %s", given,
				      given == -1           ? "nobody was found there: search wider, or give the "
							      "activations and --complete"
				      : given == n && !base ? "samples are numbered from 0; if here from 1, --one-based"
				      : given == 0          ? "samples are numbered from 1 with --one-based"
							    : "there is no such sample");
		ids[c] = given - base;
		if ((before = note(l, table, row, ids, c)) != KITH_NOWHERE)
			return REFUSE(l, l->index, r, c, err,
				      "is %lld, as is column %u of that row: a sample is a neighbour "
				      "once",
				      given, before);
		if ((uint64_t)ids[c] != row)
			continue;
		if (l->absent)
			return REFUSE(l, l->index, r, c, err, "is the sample itself: --self drop takes it out");
		l->own[r] = c;
		others--;
	}
	if (others < l->least)
		return REFUSE(l, l->index, r, UINT64_MAX, err, "has %u other samples, but k=%u: use a smaller k",
			      others, l->least);
	return 0;
}

/* And with its distances. */
static int check_distances(const kith_import_lists *l, uint64_t r, kith_err *err)
{
	const double *given = l->given + r * l->known;
	double last = 0;
	for (uint32_t c = 0; c < l->known; c++) {
		if (!(given[c] >= 0))
			return REFUSE(l, l->distance, r, c, err, "is %g: distances are 0 or more%s", given[c],
				      given[c] < 0 && given[c] > -1e-3 ? "; if that is rounding, make it 0" : "");
		if (given[c] >= l->beyond)
			return REFUSE(l, l->distance, r, c, err, "is %g: distances are finite%s", given[c],
				      isfinite(given[c]) ? ", and so are their squares" : "");
		if (c == l->own[r])
			continue;
		if (l->known < l->columns && given[c] < last)
			return REFUSE(l, l->distance, r, c, err,
				      "is %g, less than the one before: where distances are not of "
				      "all neighbours, they have to ascend",
				      given[c]);
		last = given[c];
	}
	return 0;
}

static int check_list(const kith_import_lists *l, uint64_t r, uint64_t *table, kith_err *err)
{
	int rc = check_ids(l, r, table, err);
	if (!rc)
		rc = check_distances(l, r, err);
	l->faulty[r] = rc != 0;
	if (!rc || !l->mend)
		return rc;
	l->own[r] = KITH_NOWHERE;
	memset(l->id + r * l->columns, 0xff, l->columns * sizeof *l->id);
	return 0;
}

/* ---- some lists ---- */

/* Lists from..from+count-1 of those at hand. */
static int read_part(const kith_import_lists *l, uint64_t from, uint64_t count, kith_err *err)
{
	uint64_t first = l->first + from;
	uint8_t *raw = l->raw + from * l->stored;
	int rc = kith_source_read_ints(l->index, first, count, l->id + from * l->columns, raw, err);
	if (rc || !l->distance)
		return rc;
	return kith_source_read(l->distance, first, count, l->given + from * l->known, raw, err);
}

/* The digests are of what is given, before it is looked at. */
static int read_lists(kith_import_lists *l, kith_err *err)
{
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(l->threads) schedule(dynamic, 1)
	for (uint64_t from = 0; from < l->count; from += PART) {
		kith_err why;
		int rc = read_part(l, from, l->count - from < PART ? l->count - from : PART, &why);
		kith_first_error_note(&failed, from, rc, &why);
	}
	int rc = kith_first_error_get(&failed, err);
	if (rc)
		return rc;
	kith_hash_update(l->hash[0], l->id, l->count * l->columns * sizeof *l->id);
	kith_hash_update(l->hash[1], l->given, l->count * l->known * sizeof *l->given);
	return 0;
}

int kith_import_lists_next(kith_import_lists *l, const kith_progress *progress, kith_err *err)
{
	kith_first_error failed = {0};
	l->first += l->count;
	l->count = l->n - l->first < l->most ? l->n - l->first : l->most;
	int rc = kith_progress_tick(progress, l->pass > 1 ? "neighbours" : "reading", l->first, l->n, err);
	if (rc || (rc = read_lists(l, err)))
		return rc;
#pragma omp parallel for num_threads(l->threads) schedule(dynamic, PART)
	for (uint64_t r = 0; r < l->count; r++) {
		kith_err why;
		int bad = check_list(l, r, l->seen + ((uint64_t)omp_get_thread_num() << l->bits), &why);
		kith_first_error_note(&failed, r, bad, &why);
	}
	return kith_first_error_get(&failed, err);
}
