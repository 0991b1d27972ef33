/* sparse_rows.c - see sparse_rows.h */
#include "sparse_rows.h"

#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "first_error.h"
#include "text.h"
#include "vectors.h"
#include "workspace.h"

/* One thread's: the file, a block of it, and what of that makes rows. */
struct kith_sparse_reader {
	kith_h0_store *store;
	kith_h0_samples samples;
	uint64_t *at, *id; /* as in kith_sparse_rows */
	double *value;
	uint8_t *class_wanted;
	struct life {
		double length;
		uint32_t class_;
	} * lives;
	void *memory;
	uint64_t capacity;
};

/* ---- opening ---- */

int kith_sparse_recognise(const char *path)
{
	uint32_t lmdb = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int is = fd >= 0 && pread(fd, &lmdb, sizeof lmdb, 16) == sizeof lmdb && lmdb == 0xBEEFC0DEu;
	if (fd >= 0)
		close(fd);
	return is;
}

/* "FROM:TO" of an operation; names may have colons and commas. */
static size_t op_text(const kith_h0_info *info, uint32_t o, char *out, size_t size)
{
	return (size_t)snprintf(out, size, "%s:%s", info->layers[info->ops[o].from].name,
				info->layers[info->ops[o].to].name);
}

static int refuse_ops(const kith_sparse_source *s, const char *at, kith_err *err)
{
	char all[512] = "", text[512];
	size_t used = 0;
	for (uint32_t o = 0; o < s->info->op_count && used < sizeof all; o++) {
		op_text(s->info, o, text, sizeof text);
		used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", o ? ", " : "", text);
	}
	return kith_fail(err, KITH_EUSAGE, "%s: --ops %.200s: no operation joins these layers: there are %s", s->path,
			 at, all);
}

/* Marks the operations that --ops lists: at each place, those of the longest name that fits. */
static int take_ops(kith_sparse_source *s, kith_err *err)
{
	const char *at = s->options.ops;
	char text[4096];
	s->all_ops = !at;
	if (!(s->op_wanted = kith_alloc_zero(s->info->op_count, 1)))
		return kith_fail_nomem(err, "operations", s->info->op_count);
	while (at) {
		size_t longest = 0;
		for (int mark = 0; mark < 2; mark++)
			for (uint32_t o = 0; o < s->info->op_count; o++) {
				size_t length = op_text(s->info, o, text, sizeof text);
				if (length >= sizeof text || strncmp(at, text, length) ||
				    (at[length] && at[length] != ','))
					continue;
				longest = length > longest ? length : longest;
				s->op_wanted[o] |= mark && length == longest;
			}
		if (!longest)
			return refuse_ops(s, at, err);
		at = at[longest] ? at + longest + 1 : NULL;
	}
	return 0;
}

__attribute__((format(printf, 2, 3))) static void add(FILE *out, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (ftell(out) > 0)
		fputc(',', out);
	vfprintf(out, format, args);
	va_end(args);
}

static int describe(kith_sparse_source *s, kith_err *err)
{
	static const char *const names[] = {"one", "one", "lifetime", "phi", "lifetime-phi"};
	const kith_row_options *o = &s->options;
	size_t size;
	char keep[KITH_DOUBLE_TEXT], text[4096];
	FILE *out = open_memstream(&s->parameters, &size);
	if (!out)
		return kith_fail_nomem(err, "parameters", 1);
	add(out, "weights=%s", names[o->weights]);
	if (o->classes)
		add(out, "classes=%u:%s", o->classes, o->longest ? "lifetime" : "birth");
	if (s->info->keep < 1)
		add(out, "keep=%s", kith_double_text(s->info->keep, keep));
	for (uint32_t i = 0, listed = 0; !s->all_ops && i < s->info->op_count; i++) {
		op_text(s->info, i, text, sizeof text);
		if (s->op_wanted[i])
			fprintf(out, "%s%s", listed++ ? "+" : ",ops=", text);
	}
	if (fclose(out))
		return kith_fail_nomem(err, "parameters", 1);
	return 0;
}

static int check(const kith_sparse_source *s, kith_err *err)
{
	if (s->metric == KITH_JACCARD && s->valued)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: --metric jaccard is of sets, whose weights are one: use l2 or cosine with others",
				 s->path);
	if (kith_weights_parts(s->options.weights) & KITH_H0_VALUES && !s->info->values)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: was made with --no-values: weights by phi need them; use --weights one or "
				 "lifetime, or make the file again",
				 s->path);
	return 0;
}

int kith_sparse_source_open(kith_sparse_source *s, const char *path, const kith_knn_options *o, kith_err *err)
{
	kith_weights weights = o->rows.weights;
	int rc;
	*s = (kith_sparse_source){.path = path,
				  .options = o->rows,
				  .metric = o->metric,
				  .valued = kith_weights_parts(weights) != 0,
				  .threads = o->threads,
				  .reader = kith_alloc_zero((size_t)o->threads, sizeof *s->reader)};
	s->parts = kith_weights_parts(weights) | (o->rows.classes ? KITH_H0_CLASSES : 0);
	if (!s->reader)
		return kith_fail_nomem(err, "readers", (size_t)o->threads * sizeof *s->reader);
	for (int t = 0; t < s->threads; t++) {
		if ((rc = kith_h0_store_open(&s->reader[t].store, path, err)))
			return rc;
		s->info = kith_h0_store_get_info(s->reader[0].store);
		while (s->threads > t + 1 && kith_sparse_reader_bytes(s) > o->memory)
			s->threads--;
	}
	if ((rc = check(s, err)) || (rc = take_ops(s, err)))
		return rc;
	return describe(s, err);
}

static void close_reader(struct kith_sparse_reader *r)
{
	kith_h0_samples_free(&r->samples);
	kith_h0_store_close(r->store);
	free(r->memory);
}

void kith_sparse_source_drop(kith_sparse_source *s)
{
	if (s->threads > 1)
		close_reader(&s->reader[--s->threads]);
}

void kith_sparse_source_close(kith_sparse_source *s)
{
	for (int t = 0; s->reader && t < s->threads; t++)
		close_reader(&s->reader[t]);
	free(s->reader);
	free(s->op_wanted);
	free(s->parameters);
	*s = (kith_sparse_source){0};
}

int kith_sparse_source_unchanged(const kith_sparse_source *s, kith_err *err)
{
	int rc = 0;
	for (int t = 0; !rc && t < s->threads; t++)
		rc = kith_h0_store_unchanged(s->reader[t].store, err);
	return rc;
}

uint64_t kith_sparse_entry_bytes(const kith_sparse_source *s)
{
	return sizeof(uint64_t) + (s->valued ? sizeof(double) : 0);
}

uint64_t kith_sparse_reader_bytes(const kith_sparse_source *s)
{
	uint64_t samples = s->info->n < s->info->block_samples ? s->info->n : s->info->block_samples;
	return (uint64_t)s->threads *
	       (kith_h0_store_bytes(s->info, s->parts) + samples * s->info->vertices * kith_sparse_entry_bytes(s));
}

/* ---- reading ---- */

int kith_sparse_rows_alloc(kith_sparse_rows *rows, const kith_sparse_source *s, uint64_t row_capacity,
			   uint64_t capacity, kith_err *err)
{
	kith_workspace w = {0};
	*rows = (kith_sparse_rows){.row_capacity = row_capacity, .capacity = capacity};
	KITH_BUFFER(&w, rows->at, row_capacity + 1);
	KITH_BUFFER(&w, rows->scale, row_capacity);
	KITH_BUFFER(&w, rows->square, row_capacity);
	KITH_BUFFER(&w, rows->id, capacity);
	if (s->valued)
		KITH_BUFFER(&w, rows->value, capacity);
	return kith_workspace_alloc(&w, &rows->memory, "rows of edges", err);
}

static int by_length(const void *a, const void *b)
{
	const struct life *x = a, *y = b;
	if (x->length != y->length)
		return x->length > y->length ? -1 : 1;
	return x->class_ < y->class_ ? -1 : x->class_ > y->class_;
}

/* Which classes of sample k --classes leaves, of which there are more than that. */
static void choose_classes(struct kith_sparse_reader *r, const kith_row_options *o, uint32_t k)
{
	const kith_h0_class *classes = r->samples.classes + r->samples.class_at[k];
	uint32_t count = (uint32_t)(r->samples.class_at[k + 1] - r->samples.class_at[k]);
	memset(r->class_wanted, 0, count);
	for (uint32_t c = 0; c < count; c++)
		r->lives[c] = (struct life){o->longest ? kith_h0_lifetime(&classes[c]) : 0, c};
	if (o->longest)
		qsort(r->lives, count, sizeof *r->lives, by_length);
	for (uint32_t c = 0; c < o->classes && c < count; c++)
		r->class_wanted[r->lives[c].class_] = 1;
}

/* Appends what of sample k is in its row, at `at`; returns where the next one begins. */
static uint64_t choose_edges(const kith_sparse_source *s, struct kith_sparse_reader *r, uint32_t k, uint64_t at)
{
	const kith_h0_samples *in = &r->samples;
	uint32_t op = 0;
	for (uint64_t e = in->edge_at[k]; e < in->edge_at[k + 1]; e++) {
		while (!s->all_ops && op + 1 < s->info->op_count && s->info->ops[op + 1].base <= in->edge[e])
			op++;
		if (!s->all_ops && !s->op_wanted[op])
			continue;
		if (s->parts & KITH_H0_CLASSES &&
		    (in->basin[e] == KITH_NO_CLASS || (s->options.classes && !r->class_wanted[in->basin[e]])))
			continue;
		r->id[at] = in->edge[e];
		if (s->valued)
			r->value[at] = kith_h0_weight(in, k, e, s->options.weights);
		at++;
	}
	return at;
}

static int read_block(const kith_sparse_source *s, struct kith_sparse_reader *r, uint64_t block, kith_err *err)
{
	const kith_h0_samples *in = &r->samples;
	kith_workspace w = {0};
	uint64_t classes = 0;
	int rc = kith_h0_store_read(r->store, block, s->parts, &r->samples, err);
	if (rc)
		return rc;
	for (uint32_t k = 0; s->options.classes && k < in->count; k++) {
		uint64_t here = in->class_at[k + 1] - in->class_at[k];
		classes = here > classes ? here : classes;
	}
	KITH_BUFFER(&w, r->at, in->count + 1ull);
	KITH_BUFFER(&w, r->id, in->edge_at[in->count]);
	KITH_BUFFER(&w, r->value, s->valued ? in->edge_at[in->count] : 0);
	KITH_BUFFER(&w, r->class_wanted, classes);
	KITH_BUFFER(&w, r->lives, classes);
	if ((rc = kith_workspace_place(&w, &r->memory, &r->capacity, "rows of a block", err)))
		return rc;
	r->at[0] = 0;
	for (uint32_t k = 0; k < in->count; k++) {
		if (s->options.classes)
			choose_classes(r, &s->options, k);
		r->at[k + 1] = choose_edges(s, r, k, r->at[k]);
	}
	return 0;
}

/* Appends samples *next.. of a block, as far as `end`, or as there is room, which is then 0. */
static int append(kith_sparse_rows *rows, const struct kith_sparse_reader *r, uint64_t *next, uint64_t end)
{
	for (; *next < end && *next < r->samples.first + r->samples.count; ++*next) {
		uint64_t k = *next - r->samples.first, from = r->at[k], entries = r->at[k + 1] - from;
		uint64_t at = rows->at[rows->count];
		if (rows->count == rows->row_capacity || at + entries > rows->capacity)
			return 0;
		memcpy(rows->id + at, r->id + from, entries * sizeof *r->id);
		if (rows->value)
			memcpy(rows->value + at, r->value + from, entries * sizeof *r->value);
		rows->at[++rows->count] = at + entries;
	}
	return 1;
}

int kith_sparse_rows_load(kith_sparse_rows *rows, kith_sparse_source *s, uint64_t first, uint64_t *end, kith_err *err)
{
	uint64_t step = s->info->block_samples, next = first;
	rows->first = first;
	rows->count = 0;
	rows->at[0] = 0;
	for (int room = 1; room && next < *end;) {
		uint64_t block = next / step, left = (*end - 1) / step + 1 - block;
		int some = left < (uint64_t)s->threads ? (int)left : s->threads;
		kith_first_error failed = {0};
#pragma omp parallel for num_threads(some) schedule(static, 1)
		for (int t = 0; t < some; t++) {
			kith_err why;
			kith_first_error_note(&failed, (uint64_t)t,
					      read_block(s, &s->reader[t], block + (uint64_t)t, &why), &why);
		}
		int rc = kith_first_error_get(&failed, err);
		if (rc)
			return rc;
		for (int t = 0; room && t < some; t++)
			room = append(rows, &s->reader[t], &next, *end);
	}
	*end = next;
	return 0;
}

/* ---- as the metric wants them ---- */

void kith_sparse_rows_prepare(kith_sparse_rows *rows, const kith_sparse_source *s)
{
#pragma omp parallel for num_threads(s->threads) schedule(static)
	for (uint64_t r = 0; r < rows->count; r++) {
		uint64_t size = kith_sparse_size(rows, r);
		double one = 1, *x = rows->value ? rows->value + rows->at[r] : &one, sum = 0;
		uint64_t values = rows->value ? size : 1;
		int exponent = 1; /* of ones, which are scaled to 1/2 */
		if (s->metric == KITH_COSINE) {
			double norm = rows->value ? kith_scaled_norm(x, size, &exponent) : sqrt(0.25 * (double)size);
			if (norm > 0)
				kith_normalise(x, values, exponent, norm);
		}
		for (uint64_t t = 0; t < values; t++) {
			x[t] = s->shift ? ldexp(x[t], s->shift) : x[t];
			sum += x[t] * x[t];
		}
		rows->scale[r] = one;
		rows->square[r] = rows->value ? sum : (double)size * sum;
	}
}

/* Entry e of row r. */
static inline __attribute__((always_inline)) double entry(const kith_sparse_rows *rows, uint64_t r, uint64_t e,
							  int valued)
{
	return valued ? rows->value[e] : rows->scale[r];
}

/* Terms in the order of the ids. `valued` is a constant where this is inlined. */
static inline __attribute__((always_inline)) double merge(const kith_sparse_rows *a, uint64_t r,
							  const kith_sparse_rows *b, uint64_t s, int valued)
{
	uint64_t p = a->at[r], p_end = a->at[r + 1], q = b->at[s], q_end = b->at[s + 1];
	double sum = 0;
	while (p < p_end && q < q_end) {
		uint64_t i = a->id[p], j = b->id[q];
		double x = entry(a, r, p, valued), y = entry(b, s, q, valued);
		double gap = (i <= j ? x : 0) - (j <= i ? y : 0);
		sum += gap * gap;
		p += i <= j;
		q += j <= i;
	}
	for (; p < p_end; p++)
		sum += entry(a, r, p, valued) * entry(a, r, p, valued);
	for (; q < q_end; q++)
		sum += entry(b, s, q, valued) * entry(b, s, q, valued);
	return sum;
}

double kith_sparse_distance(const kith_sparse_rows *a, uint64_t r, const kith_sparse_rows *b, uint64_t q)
{
	return a->value ? merge(a, r, b, q, 1) : merge(a, r, b, q, 0);
}
