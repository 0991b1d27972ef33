/* activations.c - see activations.h */
#include "activations.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "cpu.h"
#include "first_error.h"
#include "hash.h"
#include "repeats.h"
#include "unchanged.h"
#include "workspace.h"

/* One hash is of so many: about as fast as longer ones, and most reads hold some whole. */
#define BLOCK_BYTES  (16u << 10)
#define MEAN_ROWS    8192u /* rows that the column means come from, about */
#define LOOK_SECONDS 0.05  /* between two looks at the file's time, */
#define LOOK_EACH    1e-3  /* or so many for each of many files */

struct kith_activations {
	kith_source *source;
	const kith_source_info *info; /* the source's */
	/* Once it has been scanned: hashes of its headers and of each block of block_rows rows, so that later reads
	 * can be compared with what was digested. */
	uint64_t head_hash, *block_hash, block_rows;
};

int kith_activations_open_as(kith_activations **out, const char *name, const kith_input_how *how, kith_err *err)
{
	kith_activations *a = kith_alloc_zero(1, sizeof *a);
	if (!a)
		return kith_fail_nomem(err, "an input file", sizeof *a);
	int rc = kith_source_open(&a->source, name, how, err);
	if (rc) {
		free(a);
		return rc;
	}
	a->info = kith_source_get_info(a->source);
	*out = a;
	return 0;
}

int kith_activations_open(kith_activations **out, const char *name, kith_err *err)
{
	return kith_activations_open_as(out, name, NULL, err);
}

void kith_activations_close(kith_activations *a)
{
	if (!a)
		return;
	kith_source_close(a->source);
	free(a->block_hash);
	free(a);
}

const kith_activations_info *kith_activations_get_info(const kith_activations *a)
{
	return a->info;
}

const kith_source *kith_activations_source(const kith_activations *a)
{
	return a->source;
}

/* ---- rows ---- */

/* Rows first..first+count-1, read again: are the blocks that are all there those that were digested? */
static int compare_blocks(const kith_activations *a, uint64_t first, uint64_t count, const void *raw, kith_err *err)
{
	const kith_activations_info *i = a->info;
	uint64_t rows = a->block_rows, end = first + count;
	for (uint64_t block = (first + rows - 1) / rows; block * rows < end; block++) {
		uint64_t from = block * rows, to = from + rows < i->n ? from + rows : i->n;
		const char *bytes = (const char *)raw + (from - first) * i->row_bytes;
		if (to <= end && kith_hash(bytes, (to - from) * i->row_bytes) != a->block_hash[block])
			return kith_fail_changed(err, i->path);
	}
	return 0;
}

static int read_stored(const kith_activations *a, uint64_t first, uint64_t count, void *raw, kith_err *err)
{
	int rc = kith_source_read_stored(a->source, first, count, raw, err);
	return rc || !a->block_hash ? rc : compare_blocks(a, first, count, raw, err);
}

int kith_activations_read(const kith_activations *a, uint64_t first, uint64_t count, double *out, void *raw,
			  kith_err *err)
{
	void *own = NULL;
	if (!raw && !(raw = own = kith_alloc(count, a->info->row_bytes)))
		return kith_fail_nomem(err, "rows", count * a->info->row_bytes);
	int rc = read_stored(a, first, count, raw, err);
	if (!rc)
		rc = kith_source_to_doubles(a->source, first, count, raw, out, err);
	free(own);
	return rc;
}

int kith_activations_read_floats(const kith_activations *a, uint64_t first, uint64_t count, float *out, void *raw,
				 kith_err *err)
{
	kith_dtype dtype = a->info->dtype;
	if (kith_dtype_is_wide(dtype))
		return kith_fail(err, KITH_EBUG, "%s: %s read as floats", a->info->path, kith_dtype_name(dtype));
	int rc = read_stored(a, first, count, dtype == KITH_F4 ? (void *)out : raw, err);
	if (!rc && dtype != KITH_F4)
		kith_source_to_floats(a->source, count, raw, out);
	return rc;
}

const void *kith_activations_map(kith_activations *a)
{
	return kith_source_map(a->source);
}

void kith_activations_will_read(const kith_activations *a, uint64_t first, uint64_t count)
{
	kith_source_will_read(a->source, first, count);
}

/* ---- the pass over all rows ---- */

/* Largest |x|; anything that is not finite makes it infinite or NaN, which is looked into afterwards. */
KITH_CLONES static double largest(const double *x, uint64_t count)
{
	uint64_t most = 0; /* |x| as bits: ordered like the numbers, and NaN is above infinity */
	for (uint64_t i = 0; i < count; i++) {
		uint64_t bits;
		memcpy(&bits, &x[i], 8);
		bits &= 0x7fffffffffffffffull;
		most = bits > most ? bits : most;
	}
	double result;
	memcpy(&result, &most, 8);
	return result;
}

/* Smallest |x| that is not 0, or 0. */
KITH_CLONES static double smallest(const double *x, uint64_t count)
{
	uint64_t least = UINT64_MAX; /* |x| as bits, less 1, so that 0 is above all others */
	for (uint64_t i = 0; i < count; i++) {
		uint64_t bits;
		memcpy(&bits, &x[i], 8);
		bits = (bits & 0x7fffffffffffffffull) - 1;
		least = bits < least ? bits : least;
	}
	double result;
	least++;
	memcpy(&result, &least, 8);
	return result;
}

/* So that equal values are equal bytes. */
KITH_CLONES static void drop_negative_zeros(double *x, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		x[i] += 0.0;
}

KITH_CLONES static void add_row(double *sum, const double *row, uint64_t d, double weight)
{
	for (uint64_t t = 0; t < d; t++)
		sum[t] += row[t] * weight;
}

static int report_not_finite(const kith_activations *a, uint64_t first, const double *rows, uint64_t count,
			     kith_err *err)
{
	char place[KITH_PLACE_TEXT];
	uint64_t d = a->info->d;
	for (uint64_t i = 0; i < count * d; i++)
		if (!isfinite(rows[i]))
			return kith_fail(
				err, KITH_EUSAGE,
				"%s: %s is %s, which is at no distance: mend the recording%s, or drop that sample "
				"from every layer",
				a->info->path, kith_source_place(a->source, first + i / d, i % d, place),
				isnan(rows[i]) ? "NaN" : "infinite",
				a->info->dtype == KITH_F2 && isinf(rows[i]) ? " (f2 ends at 65504: record f4)" : "");
	return 0;
}

/* A pass, whose blocks are taken in the order of the file by whichever thread has read them. */
struct scan {
	kith_activations *a;
	uint64_t step;      /* rows that are read together: whole blocks */
	uint8_t *raw;       /* threads x step rows, as they are stored */
	double *rows;       /* the same as doubles */
	uint64_t *row_hash; /* threads x step: of their values */
	kith_repeats repeats;
	uint64_t zero_hash; /* of a row of zeros */
	kith_scan found;
	kith_hash_state *hash, *values;
	uint64_t *block_hash; /* as in kith_activations */
	uint64_t block_rows, head_hash;
	double *mean; /* NULL: not wanted */
	uint64_t stride;
	double weight;
	const kith_progress *progress;
	int rc;
	kith_err err;
};

/* The block in its turn: hashed, checked, some of its rows added to the mean. */
static int take_block(struct scan *s, uint64_t first, uint64_t count, const uint8_t *raw, const double *rows,
		      const uint64_t *row_hash, double most, double least)
{
	const kith_activations_info *i = s->a->info;
	int rc = kith_progress_tick(s->progress, "reading", first, i->n, &s->err);
	if (rc || !isfinite(most))
		return rc ? rc : report_not_finite(s->a, first, rows, count, &s->err);
	kith_hash_update(s->hash, raw, count * i->row_bytes);
	kith_hash_update(s->values, row_hash, count * sizeof *row_hash);
	s->found.max_abs = most > s->found.max_abs ? most : s->found.max_abs;
	for (uint64_t r = 0; r < count; r++) {
		kith_repeats_add(&s->repeats, row_hash[r]);
		s->found.unwritten += row_hash[r] == s->zero_hash;
	}
	if (least > 0 && (s->found.min_abs == 0 || least < s->found.min_abs))
		s->found.min_abs = least;
	for (uint64_t r = (s->stride - first % s->stride) % s->stride; s->mean && r < count; r += s->stride)
		add_row(s->mean, rows + r * i->d, i->d, s->weight);
	return 0;
}

static void hash_blocks(struct scan *s, uint64_t first, uint64_t count, const uint8_t *raw)
{
	uint64_t row_bytes = s->a->info->row_bytes, rows = s->block_rows;
	for (uint64_t from = 0; from < count; from += rows)
		s->block_hash[(first + from) / rows] =
			kith_hash(raw + from * row_bytes, (rows < count - from ? rows : count - from) * row_bytes);
}

static void scan_rows(struct scan *s, int threads)
{
	const kith_activations_info *i = s->a->info;
	uint64_t step = s->step;
#pragma omp parallel for ordered num_threads(threads) schedule(static, 1)
	for (uint64_t first = 0; first < i->n; first += step) {
		uint64_t thread = (uint64_t)omp_get_thread_num(), count = step < i->n - first ? step : i->n - first;
		uint8_t *raw = s->raw + thread * step * i->row_bytes;
		uint64_t *row_hash = s->row_hash + thread * step;
		double *rows = s->rows + thread * step * i->d, most = 0, least = 0;
		kith_err err;
		int rc = read_stored(s->a, first, count, raw, &err);
		if (!rc) {
			hash_blocks(s, first, count, raw);
			rc = kith_source_to_doubles(s->a->source, first, count, raw, rows, &err);
			drop_negative_zeros(rows, count * i->d);
			for (uint64_t r = 0; r < count; r++)
				row_hash[r] = kith_hash(rows + r * i->d, i->d * sizeof *rows);
			most = largest(rows, count * i->d);
			least = i->dtype == KITH_F8 ? smallest(rows, count * i->d) : 0;
		}
#pragma omp ordered
		if (rc && !s->rc) {
			s->rc = rc;
			s->err = err;
		} else if (!s->rc) {
			s->rc = take_block(s, first, count, raw, rows, row_hash, most, least);
		}
	}
}

/* Sets step and block_rows: the latter a power of two, as later passes read, and the former a multiple of it. */
static void choose_steps(struct scan *s, uint64_t memory, int threads)
{
	const kith_activations_info *i = s->a->info;
	uint64_t step = memory / ((i->row_bytes + (i->d + 1) * sizeof(double)) * (uint64_t)threads), rows = 1;
	step = step < 1 ? 1 : step > i->n ? i->n : step;
	while (2 * rows <= step && rows * i->row_bytes < BLOCK_BYTES)
		rows *= 2;
	s->block_rows = rows;
	s->step = step / rows * rows;
}

/* From now on, reads are compared with what was found. */
static void keep_hashes(struct scan *s)
{
	kith_activations *a = s->a;
	free(a->block_hash);
	a->block_hash = s->block_hash;
	a->block_rows = s->block_rows;
	a->head_hash = s->head_hash;
	s->block_hash = NULL;
}

int kith_activations_scan(kith_activations *a, uint64_t memory, int threads, const kith_progress *progress,
			  kith_scan *out, double *mean, kith_err *err)
{
	const kith_activations_info *i = a->info;
	struct scan s = {.a = a, .mean = mean, .stride = i->n / MEAN_ROWS + 1, .progress = progress};
	kith_workspace w = {0};
	void *space = NULL;

	choose_steps(&s, memory, threads);
	s.repeats.mask = kith_repeats_slots(i->n) - 1;
	/* each term is divided before it is added, so that the sum of huge numbers stays finite */
	s.weight = 1.0 / (double)((i->n + s.stride - 1) / s.stride);
	KITH_BUFFER(&w, s.raw, (uint64_t)threads * s.step * i->row_bytes);
	KITH_BUFFER(&w, s.rows, (uint64_t)threads * s.step * i->d);
	KITH_BUFFER(&w, s.row_hash, (uint64_t)threads * s.step);
	KITH_BUFFER_ZERO(&w, s.repeats.slot, s.repeats.mask + 1);
	if ((s.rc = kith_workspace_alloc(&w, &space, "blocks of rows", &s.err)))
		goto done;
	s.block_hash = kith_alloc((i->n + s.block_rows - 1) / s.block_rows, sizeof *s.block_hash);
	if (!(s.hash = kith_hash_new()) || !(s.values = kith_hash_new()) || !s.block_hash)
		s.rc = kith_fail_nomem(&s.err, "a digest", 1);
	else if (!(s.rc = kith_source_hash_heads(a->source, &s.head_hash, &s.err)))
		s.rc = kith_source_hash_header(a->source, s.hash, &s.err);
	if (s.rc)
		goto done;
	if (mean)
		memset(mean, 0, i->d * sizeof *mean);
	memset(s.rows, 0, i->d * sizeof *s.rows);
	s.zero_hash = kith_hash(s.rows, i->d * sizeof *s.rows);
	scan_rows(&s, threads);
	s.found.digest = kith_hash_value(s.hash);
	s.found.values = kith_hash_value(s.values);
	s.found.repeated = s.repeats.repeated;
	if (!s.rc)
		keep_hashes(&s);
done:
	if (s.rc)
		*err = s.err;
	else
		*out = s.found;
	kith_hash_free(s.hash);
	kith_hash_free(s.values);
	free(s.block_hash);
	free(space);
	return s.rc;
}

/* ---- what changes meanwhile ---- */

int kith_activations_unchanged(const kith_activations *a, kith_err *err)
{
	return kith_source_unchanged(a->source, err);
}

static int verify_head(const kith_activations *a, kith_err *err)
{
	uint64_t now = 0;
	int rc = kith_source_hash_heads(a->source, &now, err);
	return !rc && now != a->head_hash ? kith_fail_changed(err, a->info->path) : rc;
}

int kith_activations_verify(const kith_activations *a, int threads, const kith_progress *progress, kith_err *err)
{
	const kith_activations_info *i = a->info;
	uint64_t size = a->block_rows * i->row_bytes;
	kith_first_error failed = {0};
	int rc = kith_activations_unchanged(a, err);
	if (rc || !a->block_hash || (rc = verify_head(a, err)))
		return rc;
	uint8_t *raw = kith_alloc((uint64_t)threads * size, 1);
	if (!raw)
		return kith_fail_nomem(err, "blocks of rows", (uint64_t)threads * size);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
	for (uint64_t first = 0; first < i->n; first += a->block_rows) {
		uint64_t count = a->block_rows < i->n - first ? a->block_rows : i->n - first;
		int thread = omp_get_thread_num(), bad = 0;
		kith_err why;
		if (kith_first_error_seen(&failed))
			continue;
		if (thread == 0)
			bad = kith_progress_tick(progress, "verifying", first, i->n, &why);
		if (!bad)
			bad = read_stored(a, first, count, raw + (uint64_t)thread * size, &why);
		kith_first_error_note(&failed, first, bad, &why);
	}
	free(raw);
	rc = kith_first_error_get(&failed, err);
	return rc ? rc : kith_activations_unchanged(a, err);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int watch(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	kith_activations_watch *w = context;
	double t = now();
	if (w->progress && w->progress->call && w->progress->call(w->progress->context, what, done, total))
		return w->canceled = 1;
	if (t - w->looked < LOOK_SECONDS || t - w->looked < LOOK_EACH * (double)w->input->info->files)
		return 0;
	w->looked = t;
	return kith_activations_unchanged(w->input, NULL) != 0;
}

kith_progress kith_activations_watched(kith_activations_watch *w, const kith_activations *input,
				       const kith_progress *progress)
{
	*w = (kith_activations_watch){.input = input, .progress = progress, .looked = now()};
	return (kith_progress){watch, w};
}

int kith_activations_blame(const kith_activations_watch *w, int rc, kith_err *err)
{
	kith_err why;
	if (!rc || w->canceled || !w->input || !kith_activations_unchanged(w->input, &why))
		return rc;
	if (err)
		*err = why;
	return why.code;
}
