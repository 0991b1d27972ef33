/* activations.c - see activations.h */
#include "activations.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "cpu.h"
#include "first_error.h"
#include "hash.h"
#include "infile.h"
#include "reader.h"
#include "repeats.h"
#include "workspace.h"

/* One hash is of so many: about as fast as longer ones, and most reads hold some whole. */
#define BLOCK_BYTES  (16u << 10)
#define HEAD_BYTES   64u   /* that a format is recognised by */
#define MEAN_ROWS    8192u /* rows that the column means come from, about */
#define LOOK_SECONDS 0.05  /* between two looks at the file's time */

/* The first is also for files that none recognises: it says what it wants. */
static const kith_reader *const readers[] = {&kith_reader_npy};
#define READERS (sizeof readers / sizeof *readers)

static const struct {
	const char *name;
	uint64_t size;
} dtypes[] = {[KITH_F2] = {"f2", 2}, [KITH_F4] = {"f4", 4}, [KITH_F8] = {"f8", 8},
	      [KITH_U1] = {"u1", 1}, [KITH_I1] = {"i1", 1}, [KITH_BF16] = {"bfloat16", 2}};

const char *kith_dtype_name(kith_dtype dtype)
{
	return dtypes[dtype].name;
}

uint64_t kith_dtype_size(kith_dtype dtype)
{
	return dtypes[dtype].size;
}

/* ---- opening ---- */

int kith_reader_read(const kith_activations *a, void *out, size_t size, uint64_t at)
{
	char *to = out;
	while (size) {
		ssize_t got = pread(a->fd, to, size, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (!got)
				errno = ENODATA;
			return -1;
		}
		to += got;
		at += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

int kith_reader_set_shape(kith_activations *a, const uint64_t *shape, int dims, kith_err *err)
{
	kith_activations_info *i = &a->info;
	if (dims < 1)
		return kith_fail(err, KITH_EUSAGE, "%s: a single number, not an array of samples", i->path);
	i->n = shape[0];
	i->d = 1;
	for (int t = 1; t < dims; t++)
		if (__builtin_mul_overflow(i->d, shape[t], &i->d) || i->d > KITH_MAX_DIM)
			return kith_fail(err, KITH_EUSAGE, "%s: more than %u values per sample", i->path, KITH_MAX_DIM);
	if (!i->n || !i->d)
		return kith_fail(err, KITH_EUSAGE, "%s: holds no values (shape starts %llu, %llu values per sample)",
				 i->path, (unsigned long long)i->n, (unsigned long long)i->d);
	if (i->n > KITH_MAX_NODES)
		return kith_fail(err, KITH_EUSAGE, "%s: %llu samples, more than the %u that kith can number", i->path,
				 (unsigned long long)i->n, KITH_MAX_NODES);
	return 0;
}

static const kith_reader *reader_of(const char *path, const uint8_t *head, size_t size)
{
	for (size_t r = 0; r < READERS; r++)
		if (readers[r]->recognise(path, head, size))
			return readers[r];
	return NULL;
}

const char *kith_activations_recognise(const char *path, const void *head, size_t size)
{
	const kith_reader *reader = reader_of(path, head, size);
	return reader ? reader->name : NULL;
}

/* n < 2^31, d < 2^27 and 8 bytes: no overflow. */
static int check_size(const kith_activations *a, kith_err *err)
{
	const kith_activations_info *i = &a->info;
	uint64_t want = a->data_at + i->n * i->row_bytes;
	if (a->bytes < want)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: truncated: %llu x %llu values of %s need %llu bytes, but it has %llu", i->path,
				 (unsigned long long)i->n, (unsigned long long)i->d, kith_dtype_name(i->dtype),
				 (unsigned long long)want, (unsigned long long)a->bytes);
	return 0;
}

static int open_file(kith_activations *a, kith_err *err)
{
	uint8_t head[HEAD_BYTES];
	int rc = kith_infile_open(&a->fd, a->info.path, &a->bytes, err);
	if (rc || (rc = kith_file_state_get(&a->state, a->fd, a->info.path, err)))
		return rc;
	size_t known = a->bytes < HEAD_BYTES ? a->bytes : HEAD_BYTES;
	const kith_reader *reader = kith_reader_read(a, head, known, 0) ? NULL : reader_of(a->info.path, head, known);
	reader = reader ? reader : readers[0];
	rc = reader->open(a, err);
	a->info.format = reader->name;
	a->info.row_bytes = a->info.d * kith_dtype_size(a->info.dtype);
	return rc ? rc : check_size(a, err);
}

int kith_activations_open(kith_activations **out, const char *path, kith_err *err)
{
	kith_activations *a = kith_alloc_zero(1, sizeof *a);
	if (!a || !(a->info.path = strdup(path))) {
		free(a);
		return kith_fail_nomem(err, "an input file", sizeof *a);
	}
	int rc = open_file(a, err);
	if (rc)
		kith_activations_close(a);
	else
		*out = a;
	return rc;
}

void kith_activations_close(kith_activations *a)
{
	if (!a)
		return;
	if (a->map)
		munmap(a->map, a->bytes);
	if (a->fd >= 0)
		close(a->fd);
	free(a->block_hash);
	free((char *)(uintptr_t)a->info.path);
	free(a);
}

const kith_activations_info *kith_activations_get_info(const kith_activations *a)
{
	return &a->info;
}

/* ---- rows ---- */

/* IEEE binary16 by hand: shift its fields into a double's and rescale, which also normalises denormals exactly;
 * exponent 31 is infinity or NaN. */
static inline double half_to_double(uint16_t half)
{
	uint64_t magnitude = (uint64_t)(half & 0x7fff) << 42, sign = (uint64_t)(half >> 15) << 63;
	double x;
	if ((half & 0x7c00) == 0x7c00)
		magnitude |= 0x7ff0000000000000ull;
	memcpy(&x, &magnitude, 8);
	if ((half & 0x7c00) != 0x7c00)
		x *= 0x1p1008; /* 2^(1023 - 15) */
	uint64_t bits;
	memcpy(&bits, &x, 8);
	bits |= sign;
	memcpy(&x, &bits, 8);
	return x;
}

static inline float bfloat_to_float(uint16_t upper)
{
	uint32_t bits = (uint32_t)upper << 16;
	float x;
	memcpy(&x, &bits, 4);
	return x;
}

/* Stored values, which may lie at any address. */
typedef uint16_t stored_f2 __attribute__((may_alias, aligned(1))); /* and bfloat16 */
typedef float stored_f4 __attribute__((may_alias, aligned(1)));
typedef double stored_f8 __attribute__((may_alias, aligned(1)));

KITH_CLONES static void to_doubles(kith_dtype dtype, const void *restrict raw, uint64_t count, double *restrict out)
{
	const stored_f2 *f2 = raw;
	const stored_f4 *f4 = raw;
	const uint8_t *u1 = raw;
	const int8_t *i1 = raw;
	switch (dtype) {
	case KITH_F2:
		for (uint64_t i = 0; i < count; i++)
			out[i] = half_to_double(f2[i]);
		break;
	case KITH_F4:
		for (uint64_t i = 0; i < count; i++)
			out[i] = f4[i];
		break;
	case KITH_F8:
		memcpy(out, raw, count * sizeof *out);
		break;
	case KITH_U1:
		for (uint64_t i = 0; i < count; i++)
			out[i] = u1[i];
		break;
	case KITH_I1:
		for (uint64_t i = 0; i < count; i++)
			out[i] = i1[i];
		break;
	case KITH_BF16:
		for (uint64_t i = 0; i < count; i++)
			out[i] = bfloat_to_float(f2[i]);
		break;
	}
}

/* Of the types that floats hold and are not. */
KITH_CLONES static void values_to_floats(kith_dtype dtype, const void *restrict raw, uint64_t count,
					 float *restrict out)
{
	const stored_f2 *f2 = raw;
	const uint8_t *u1 = raw;
	const int8_t *i1 = raw;
	if (dtype == KITH_F2)
		for (uint64_t i = 0; i < count; i++)
			out[i] = (float)half_to_double(f2[i]);
	else if (dtype == KITH_BF16)
		for (uint64_t i = 0; i < count; i++)
			out[i] = bfloat_to_float(f2[i]);
	else if (dtype == KITH_U1)
		for (uint64_t i = 0; i < count; i++)
			out[i] = u1[i];
	else
		for (uint64_t i = 0; i < count; i++)
			out[i] = i1[i];
}

/* Rows first..first+count-1, read again: are the blocks that are all there those that were digested? */
static int compare_blocks(const kith_activations *a, uint64_t first, uint64_t count, const void *raw, kith_err *err)
{
	const kith_activations_info *i = &a->info;
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
	const kith_activations_info *i = &a->info;
	if (first > i->n || count > i->n - first)
		return kith_fail(err, KITH_EBUG, "%s: rows %llu:%llu of %llu", i->path, (unsigned long long)first,
				 (unsigned long long)(first + count), (unsigned long long)i->n);
	if (!kith_reader_read(a, raw, count * i->row_bytes, a->data_at + first * i->row_bytes))
		return a->block_hash ? compare_blocks(a, first, count, raw, err) : 0;
	if (errno == ENODATA)
		return kith_fail_changed(err, i->path);
	return kith_fail_errno(err, "%s: cannot read rows %llu:%llu", i->path, (unsigned long long)first,
			       (unsigned long long)(first + count));
}

int kith_activations_read(const kith_activations *a, uint64_t first, uint64_t count, double *out, void *raw,
			  kith_err *err)
{
	const kith_activations_info *i = &a->info;
	void *own = NULL;
	if (!raw && !(raw = own = kith_alloc(count, i->row_bytes)))
		return kith_fail_nomem(err, "rows", count * i->row_bytes);
	int rc = read_stored(a, first, count, raw, err);
	if (!rc)
		to_doubles(i->dtype, raw, count * i->d, out);
	free(own);
	return rc;
}

int kith_activations_read_floats(const kith_activations *a, uint64_t first, uint64_t count, float *out, void *raw,
				 kith_err *err)
{
	const kith_activations_info *i = &a->info;
	if (i->dtype == KITH_F8)
		return kith_fail(err, KITH_EBUG, "%s: f8 read as floats", i->path);
	int rc = read_stored(a, first, count, i->dtype == KITH_F4 ? (void *)out : raw, err);
	if (!rc && i->dtype != KITH_F4)
		values_to_floats(i->dtype, raw, count * i->d, out);
	return rc;
}

const void *kith_activations_map(kith_activations *a)
{
	if (!a->map && a->data_at % kith_dtype_size(a->info.dtype) == 0) {
		void *map = mmap(NULL, a->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, a->fd, 0);
		a->map = map == MAP_FAILED ? NULL : map;
	}
	return a->map ? (const char *)a->map + a->data_at : NULL;
}

void kith_activations_will_read(const kith_activations *a, uint64_t first, uint64_t count)
{
	(void)posix_fadvise(a->fd, (off_t)(a->data_at + first * a->info.row_bytes), (off_t)(count * a->info.row_bytes),
			    POSIX_FADV_WILLNEED);
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

static int report_not_finite(const kith_activations_info *a, uint64_t first, const double *rows, uint64_t count,
			     kith_err *err)
{
	for (uint64_t i = 0; i < count * a->d; i++)
		if (!isfinite(rows[i]))
			return kith_fail(
				err, KITH_EUSAGE,
				"%s: row %llu, column %llu is %s, which is at no distance: mend the recording%s, "
				"or drop that sample from every layer",
				a->path, (unsigned long long)(first + i / a->d), (unsigned long long)(i % a->d),
				isnan(rows[i]) ? "NaN" : "infinite",
				a->dtype == KITH_F2 && isinf(rows[i]) ? " (f2 ends at 65504: record f4)" : "");
	return 0;
}

/* A pass, whose blocks are taken in the order of the file by whichever thread has read them. */
struct scan {
	kith_activations *a;
	uint64_t step;      /* rows that are read together: whole blocks */
	uint8_t *head;      /* data_at bytes */
	uint8_t *raw;       /* threads x step rows, as they are stored */
	double *rows;       /* the same as doubles */
	uint64_t *row_hash; /* threads x step: of their values */
	kith_repeats repeats;
	uint64_t zero_hash; /* of a row of zeros */
	kith_scan found;
	kith_hash_state *hash, *values;
	uint64_t *block_hash; /* as in kith_activations */
	uint64_t block_rows;
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
	const kith_activations_info *i = &s->a->info;
	int rc = kith_progress_tick(s->progress, "reading", first, i->n, &s->err);
	if (rc || !isfinite(most))
		return rc ? rc : report_not_finite(i, first, rows, count, &s->err);
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
	uint64_t row_bytes = s->a->info.row_bytes, rows = s->block_rows;
	for (uint64_t from = 0; from < count; from += rows)
		s->block_hash[(first + from) / rows] =
			kith_hash(raw + from * row_bytes, (rows < count - from ? rows : count - from) * row_bytes);
}

static void scan_rows(struct scan *s, int threads)
{
	const kith_activations_info *i = &s->a->info;
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
			to_doubles(i->dtype, raw, count * i->d, rows);
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
	const kith_activations_info *i = &s->a->info;
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
	a->head_hash = kith_hash(s->head, a->data_at);
	s->block_hash = NULL;
}

int kith_activations_scan(kith_activations *a, uint64_t memory, int threads, const kith_progress *progress,
			  kith_scan *out, double *mean, kith_err *err)
{
	const kith_activations_info *i = &a->info;
	struct scan s = {.a = a, .mean = mean, .stride = i->n / MEAN_ROWS + 1, .progress = progress};
	kith_workspace w = {0};
	void *space = NULL;

	choose_steps(&s, memory, threads);
	s.repeats.mask = kith_repeats_slots(i->n) - 1;
	/* each term is divided before it is added, so that the sum of huge numbers stays finite */
	s.weight = 1.0 / (double)((i->n + s.stride - 1) / s.stride);
	KITH_BUFFER(&w, s.head, a->data_at);
	KITH_BUFFER(&w, s.raw, (uint64_t)threads * s.step * i->row_bytes);
	KITH_BUFFER(&w, s.rows, (uint64_t)threads * s.step * i->d);
	KITH_BUFFER(&w, s.row_hash, (uint64_t)threads * s.step);
	KITH_BUFFER_ZERO(&w, s.repeats.slot, s.repeats.mask + 1);
	if ((s.rc = kith_workspace_alloc(&w, &space, "blocks of rows", &s.err)))
		goto done;
	s.block_hash = kith_alloc((i->n + s.block_rows - 1) / s.block_rows, sizeof *s.block_hash);
	if (!(s.hash = kith_hash_new()) || !(s.values = kith_hash_new()) || !s.block_hash)
		s.rc = kith_fail_nomem(&s.err, "a digest", 1);
	else if (kith_reader_read(a, s.head, a->data_at, 0))
		s.rc = kith_fail_errno(&s.err, "%s: cannot read", i->path);
	if (s.rc)
		goto done;
	if (mean)
		memset(mean, 0, i->d * sizeof *mean);
	memset(s.rows, 0, i->d * sizeof *s.rows);
	s.zero_hash = kith_hash(s.rows, i->d * sizeof *s.rows);
	kith_hash_update(s.hash, s.head, a->data_at);
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
	return kith_file_unchanged(&a->state, a->fd, a->info.path, err);
}

static int verify_head(const kith_activations *a, kith_err *err)
{
	uint8_t *head = kith_alloc(a->data_at, 1);
	int rc = 0;
	if (!head)
		return kith_fail_nomem(err, "a header", a->data_at);
	if (kith_reader_read(a, head, a->data_at, 0) || kith_hash(head, a->data_at) != a->head_hash)
		rc = kith_fail_changed(err, a->info.path);
	free(head);
	return rc;
}

int kith_activations_verify(const kith_activations *a, int threads, const kith_progress *progress, kith_err *err)
{
	const kith_activations_info *i = &a->info;
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
	if (t - w->looked < LOOK_SECONDS)
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
