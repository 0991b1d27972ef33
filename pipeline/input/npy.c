/* npy.c - see npy.h. The header is a Python dict literal; numpy.lib.format fixes its keys and their kinds of
 * value. */
#include "npy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cpu.h"
#include "hash.h"

#define MAX_HEADER (1u << 20)
#define MEAN_ROWS  8192u /* rows that the column means come from, about */

struct kith_npy {
	char *path;
	int fd;
	kith_dtype dtype;
	uint64_t n, d, data_at, bytes; /* data_at: where row 0 starts */
	void *map;
};

/* ---- the header ---- */

struct header {
	char descr[32];
	int fortran;
	uint64_t shape[32];
	int dims;
};

static void skip_space(const char **p)
{
	while (isspace((unsigned char)**p))
		++*p;
}

static int take(const char **p, char c)
{
	skip_space(p);
	if (**p != c)
		return 0;
	++*p;
	return 1;
}

/* A quoted string without escapes, into out[size]. */
static int take_string(const char **p, char *out, size_t size)
{
	skip_space(p);
	char quote = **p;
	if (quote != '\'' && quote != '"')
		return 0;
	const char *start = ++*p, *end = strchr(start, quote);
	if (!end || (size_t)(end - start) >= size)
		return 0;
	memcpy(out, start, (size_t)(end - start));
	out[end - start] = 0;
	*p = end + 1;
	return 1;
}

static int take_word(const char **p, const char *word)
{
	skip_space(p);
	size_t length = strlen(word);
	if (strncmp(*p, word, length))
		return 0;
	*p += length;
	return 1;
}

static int take_shape(const char **p, struct header *h)
{
	if (!take(p, '('))
		return 0;
	h->dims = 0;
	while (!take(p, ')')) {
		char *end;
		skip_space(p);
		if (!isdigit((unsigned char)**p) || h->dims == 32)
			return 0;
		errno = 0;
		h->shape[h->dims++] = strtoull(*p, &end, 10);
		if (errno)
			return 0;
		*p = end + (*end == 'L'); /* Python 2 wrote long integers so */
		if (!take(p, ',')) {
			if (!take(p, ')'))
				return 0;
			break;
		}
	}
	return 1;
}

/* Parses "{'descr': ..., 'fortran_order': ..., 'shape': ...}": each key once, in any order. `structured` is set instead
 * of failing where descr is not a string (a structured type). */
static int parse_header(const char *p, struct header *h, int *structured)
{
	int seen_descr = 0, seen_order = 0, seen_shape = 0;
	char key[32];
	*structured = 0;
	if (!take(&p, '{'))
		return 0;
	while (!take(&p, '}')) {
		if (!take_string(&p, key, sizeof key) || !take(&p, ':'))
			return 0;
		if (!strcmp(key, "descr")) {
			if (!take_string(&p, h->descr, sizeof h->descr)) {
				*structured = 1;
				return 1;
			}
			seen_descr++;
		} else if (!strcmp(key, "fortran_order")) {
			h->fortran = take_word(&p, "True");
			if (!h->fortran && !take_word(&p, "False"))
				return 0;
			seen_order++;
		} else if (!strcmp(key, "shape")) {
			if (!take_shape(&p, h))
				return 0;
			seen_shape++;
		} else {
			return 0;
		}
		if (!take(&p, ',')) {
			if (!take(&p, '}'))
				return 0;
			break;
		}
	}
	skip_space(&p);
	return seen_descr == 1 && seen_order == 1 && seen_shape == 1 && !*p;
}

static int read_fully(int fd, void *out, size_t size, uint64_t at)
{
	char *to = out;
	while (size) {
		ssize_t got = pread(fd, to, size, (off_t)at);
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

/* Reads magic, version and the header's text (zero-terminated, to be freed); sets data_at. */
static int read_header(kith_npy *npy, char **text, kith_err *err)
{
	uint8_t head[12];
	uint64_t length, at;

	if (npy->bytes < 10 || read_fully(npy->fd, head, 10, 0) || memcmp(head, "\x93NUMPY", 6))
		return kith_fail(err, KITH_EUSAGE, "%s: not a .npy file: save activations with numpy.save", npy->path);
	if (head[6] < 1 || head[6] > 3)
		return kith_fail(err, KITH_EUSAGE, "%s: .npy format version %u.%u, but 1 to 3 are known", npy->path,
				 head[6], head[7]);
	if (head[6] == 1) {
		length = head[8] | (unsigned)head[9] << 8;
		at = 10;
	} else {
		if (npy->bytes < 12 || read_fully(npy->fd, head, 12, 0))
			return kith_fail(err, KITH_EUSAGE, "%s: truncated in its header", npy->path);
		length = head[8] | (unsigned)head[9] << 8 | (unsigned)head[10] << 16 | (uint64_t)head[11] << 24;
		at = 12;
	}
	if (length > MAX_HEADER || length > npy->bytes - at)
		return kith_fail(err, KITH_EUSAGE, "%s: truncated in its header", npy->path);
	if (!(*text = kith_alloc(length + 1, 1)))
		return kith_fail_nomem(err, "a header", length);
	if (read_fully(npy->fd, *text, length, at)) {
		free(*text);
		*text = NULL;
		return kith_fail_errno(err, "%s: cannot read", npy->path);
	}
	(*text)[length] = 0;
	npy->data_at = at + length;
	return 0;
}

static const struct {
	const char *descr, *name;
	kith_dtype dtype;
	uint64_t size;
} dtypes[] = {
	{"<f2", "f2", KITH_F2, 2}, {"<f4", "f4", KITH_F4, 4}, {"<f8", "f8", KITH_F8, 8},
	{"|u1", "u1", KITH_U1, 1}, {"|i1", "i1", KITH_I1, 1},
};
#define DTYPES (sizeof dtypes / sizeof *dtypes)

const char *kith_dtype_name(kith_dtype dtype)
{
	return dtypes[dtype].name;
}

uint64_t kith_dtype_size(kith_dtype dtype)
{
	return dtypes[dtype].size;
}

static int set_dtype(kith_npy *npy, const char *descr, kith_err *err)
{
	for (size_t i = 0; i < DTYPES; i++)
		/* one-byte types have no byte order: '<', '=' and '|' all occur */
		if (!strcmp(descr, dtypes[i].descr) ||
		    (dtypes[i].size == 1 && strchr("<=|>", descr[0]) && !strcmp(descr + 1, dtypes[i].descr + 1))) {
			npy->dtype = dtypes[i].dtype;
			return 0;
		}
	if (descr[0] == '>')
		return kith_fail(err, KITH_EUSAGE,
				 "%s: big-endian numbers (%s): save x.astype(x.dtype.newbyteorder('<'))", npy->path,
				 descr);
	return kith_fail(err, KITH_EUSAGE, "%s: element type %s is not one of f2, f4, f8, u1, i1: save x.astype('f4')",
			 npy->path, descr);
}

static int set_shape(kith_npy *npy, const struct header *h, kith_err *err)
{
	if (h->dims < 1)
		return kith_fail(err, KITH_EUSAGE, "%s: a single number, not an array of samples", npy->path);
	npy->n = h->shape[0];
	npy->d = 1;
	for (int i = 1; i < h->dims; i++)
		if (__builtin_mul_overflow(npy->d, h->shape[i], &npy->d) || npy->d > KITH_MAX_DIM)
			return kith_fail(err, KITH_EUSAGE, "%s: more than %u values per sample", npy->path,
					 KITH_MAX_DIM);
	if (!npy->n || !npy->d)
		return kith_fail(err, KITH_EUSAGE, "%s: holds no values (shape starts %llu, %llu values per sample)",
				 npy->path, (unsigned long long)npy->n, (unsigned long long)npy->d);
	if (npy->n > KITH_MAX_NODES)
		return kith_fail(err, KITH_EUSAGE, "%s: %llu samples, more than the %u that kith can number", npy->path,
				 (unsigned long long)npy->n, KITH_MAX_NODES);
	/* numpy writes C order whenever both orders are the same; a true Fortran order would mean reading by columns */
	int longer = 0;
	for (int i = 0; i < h->dims; i++)
		longer += h->shape[i] > 1;
	if (h->fortran && longer > 1)
		return kith_fail(err, KITH_EUSAGE, "%s: Fortran order: save numpy.ascontiguousarray(x)", npy->path);
	return 0;
}

/* n < 2^31, d < 2^27 and 8 bytes: no overflow. */
static int check_size(const kith_npy *npy, kith_err *err)
{
	uint64_t want = npy->data_at + npy->n * npy->d * kith_dtype_size(npy->dtype);
	if (npy->bytes < want)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: truncated: %llu x %llu values of %s need %llu bytes, but it has %llu", npy->path,
				 (unsigned long long)npy->n, (unsigned long long)npy->d, kith_dtype_name(npy->dtype),
				 (unsigned long long)want, (unsigned long long)npy->bytes);
	if (npy->bytes > want)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: %llu bytes follow the array: one array per file, or the header's shape is wrong",
				 npy->path, (unsigned long long)(npy->bytes - want));
	return 0;
}

int kith_npy_open(kith_npy **out, const char *path, kith_err *err)
{
	struct stat st;
	struct header h = {0};
	char *text = NULL;
	int structured, rc = 0;
	kith_npy *npy = kith_alloc_zero(1, sizeof *npy);

	if (!npy || !(npy->path = strdup(path))) {
		free(npy);
		return kith_fail_nomem(err, "an input file", sizeof *npy);
	}
	npy->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (npy->fd < 0 || fstat(npy->fd, &st)) {
		rc = kith_fail_errno(err, "%s: cannot open", path);
		goto done;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = kith_fail(err, KITH_EUSAGE, "%s: not a regular file (it is read more than once)", path);
		goto done;
	}
	npy->bytes = (uint64_t)st.st_size;
	if ((rc = read_header(npy, &text, err)))
		goto done;
	if (!parse_header(text, &h, &structured))
		rc = kith_fail(err, KITH_EUSAGE, "%s: its .npy header cannot be understood", path);
	else if (structured)
		rc = kith_fail(err, KITH_EUSAGE, "%s: a structured element type: save one plain array", path);
	if (rc || (rc = set_dtype(npy, h.descr, err)) || (rc = set_shape(npy, &h, err)) || (rc = check_size(npy, err)))
		goto done;
done:
	free(text);
	if (rc)
		kith_npy_close(npy);
	else
		*out = npy;
	return rc;
}

void kith_npy_close(kith_npy *npy)
{
	if (!npy)
		return;
	if (npy->map)
		munmap(npy->map, npy->bytes);
	if (npy->fd >= 0)
		close(npy->fd);
	free(npy->path);
	free(npy);
}

uint64_t kith_npy_n(const kith_npy *npy)
{
	return npy->n;
}

uint64_t kith_npy_d(const kith_npy *npy)
{
	return npy->d;
}

kith_dtype kith_npy_dtype(const kith_npy *npy)
{
	return npy->dtype;
}

uint64_t kith_npy_row_bytes(const kith_npy *npy)
{
	return npy->d * kith_dtype_size(npy->dtype);
}

uint64_t kith_npy_bytes(const kith_npy *npy)
{
	return npy->bytes;
}

const char *kith_npy_path(const kith_npy *npy)
{
	return npy->path;
}

/* ---- the data ---- */

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

#define CONVERT(type, value)                                                                                           \
	for (uint64_t i = 0; i < count; i++) {                                                                         \
		type x;                                                                                                \
		memcpy(&x, raw + i * sizeof x, sizeof x);                                                              \
		out[i] = (number)(value);                                                                              \
	}                                                                                                              \
	break

#define DEFINE_CONVERT(name, to)                                                                                       \
	KITH_CLONES static void name(kith_dtype dtype, const uint8_t *raw, uint64_t count, to *out)                    \
	{                                                                                                              \
		typedef to number;                                                                                     \
		switch (dtype) {                                                                                       \
		case KITH_F2:                                                                                          \
			CONVERT(uint16_t, half_to_double(x));                                                          \
		case KITH_F4:                                                                                          \
			CONVERT(float, x);                                                                             \
		case KITH_F8:                                                                                          \
			CONVERT(double, x);                                                                            \
		case KITH_U1:                                                                                          \
			CONVERT(uint8_t, x);                                                                           \
		case KITH_I1:                                                                                          \
			CONVERT(int8_t, x);                                                                            \
		}                                                                                                      \
	}

DEFINE_CONVERT(convert, double)
DEFINE_CONVERT(convert_floats, float)

static int read_raw(const kith_npy *npy, uint64_t first, uint64_t count, void *raw, kith_err *err)
{
	if (first > npy->n || count > npy->n - first)
		return kith_fail(err, KITH_EBUG, "%s: rows %llu:%llu of %llu", npy->path, (unsigned long long)first,
				 (unsigned long long)(first + count), (unsigned long long)npy->n);
	if (read_fully(npy->fd, raw, count * kith_npy_row_bytes(npy), npy->data_at + first * kith_npy_row_bytes(npy)))
		return errno == ENODATA
			       ? kith_fail(err, KITH_EIO, "%s: became shorter while it was read", npy->path)
			       : kith_fail_errno(err, "%s: cannot read rows %llu:%llu", npy->path,
						 (unsigned long long)first, (unsigned long long)(first + count));
	return 0;
}

int kith_npy_read(const kith_npy *npy, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err)
{
	void *own = raw ? NULL : kith_alloc(count, kith_npy_row_bytes(npy));
	int rc = !raw && !own ? kith_fail_nomem(err, "rows", count * kith_npy_row_bytes(npy)) : 0;
	if (!rc)
		rc = read_raw(npy, first, count, raw ? raw : own, err);
	if (!rc)
		convert(npy->dtype, raw ? raw : own, count * npy->d, out);
	free(own);
	return rc;
}

const void *kith_npy_map(kith_npy *npy)
{
	if (!npy->map && npy->data_at % dtypes[npy->dtype].size == 0) {
		void *map = mmap(NULL, npy->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, npy->fd, 0);
		npy->map = map == MAP_FAILED ? NULL : map;
	}
	return npy->map ? (const char *)npy->map + npy->data_at : NULL;
}

int kith_npy_read_floats(const kith_npy *npy, uint64_t first, uint64_t count, float *out, void *raw, kith_err *err)
{
	if (npy->dtype == KITH_F8)
		return kith_fail(err, KITH_EBUG, "%s: f8 read as floats", npy->path);
	int rc = read_raw(npy, first, count, npy->dtype == KITH_F4 ? (void *)out : raw, err);
	if (!rc && npy->dtype != KITH_F4)
		convert_floats(npy->dtype, raw, count * npy->d, out);
	return rc;
}

void kith_npy_will_read(const kith_npy *npy, uint64_t first, uint64_t count)
{
	(void)posix_fadvise(npy->fd, (off_t)(npy->data_at + first * kith_npy_row_bytes(npy)),
			    (off_t)(count * kith_npy_row_bytes(npy)), POSIX_FADV_WILLNEED);
}

/* ---- the scan ---- */

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

KITH_CLONES static void add_row(double *sum, const double *row, uint64_t d, double weight)
{
	for (uint64_t t = 0; t < d; t++)
		sum[t] += row[t] * weight;
}

static int report_not_finite(const kith_npy *npy, uint64_t first, const double *rows, uint64_t count, kith_err *err)
{
	for (uint64_t i = 0; i < count * npy->d; i++)
		if (!isfinite(rows[i]))
			return kith_fail(err, KITH_EUSAGE, "%s: row %llu, column %llu is %s", npy->path,
					 (unsigned long long)(first + i / npy->d), (unsigned long long)(i % npy->d),
					 isnan(rows[i]) ? "NaN" : "infinite");
	return 0;
}

/* What a scan's threads share; only the one whose block is next in the file touches it. */
struct scan {
	kith_npy_scan found;
	kith_hash_state *hash;
	double *mean; /* NULL: not wanted */
	uint64_t stride;
	double weight;
	int rc;
	kith_err err;
};

/* The block in its turn: hashed, checked, some of its rows added to the mean. */
static void take_block(struct scan *s, const kith_npy *npy, uint64_t first, uint64_t count, const uint8_t *raw,
		       const double *rows, double most, const kith_progress *progress)
{
	if (s->rc || (s->rc = kith_progress_tick(progress, "reading", first, npy->n, &s->err)))
		return;
	if (!isfinite(most)) {
		s->rc = report_not_finite(npy, first, rows, count, &s->err);
		return;
	}
	kith_hash_update(s->hash, raw, count * kith_npy_row_bytes(npy));
	s->found.max_abs = most > s->found.max_abs ? most : s->found.max_abs;
	for (uint64_t r = (s->stride - first % s->stride) % s->stride; s->mean && r < count; r += s->stride)
		add_row(s->mean, rows + r * npy->d, npy->d, s->weight);
}

static void scan_rows(struct scan *s, const kith_npy *npy, uint64_t step, const kith_progress *progress)
{
#pragma omp parallel
	{
		uint8_t *raw = kith_alloc(step, kith_npy_row_bytes(npy));
		double *rows = kith_alloc(step * npy->d, sizeof *rows);
		kith_err err = {0};
		int rc = raw && rows ? 0
				     : kith_fail_nomem(&err, "a block of rows",
						       step * (kith_npy_row_bytes(npy) + npy->d * 8));
#pragma omp for ordered schedule(static, 1)
		for (uint64_t first = 0; first < npy->n; first += step) {
			uint64_t count = step < npy->n - first ? step : npy->n - first;
			double most = 0;
			if (!rc && !(rc = read_raw(npy, first, count, raw, &err))) {
				convert(npy->dtype, raw, count * npy->d, rows);
				most = largest(rows, count * npy->d);
			}
#pragma omp ordered
			{
				if (rc && !s->rc) {
					s->rc = rc;
					s->err = err;
				}
				take_block(s, npy, first, count, raw, rows, most, progress);
			}
		}
		free(raw);
		free(rows);
	}
}

int kith_npy_scan_all(const kith_npy *npy, uint64_t memory, const kith_progress *progress, kith_npy_scan *out,
		      double *mean, kith_err *err)
{
	uint64_t per_row = (kith_npy_row_bytes(npy) + npy->d * sizeof(double)) * (uint64_t)omp_get_max_threads();
	uint64_t step = memory / per_row;
	struct scan s = {.mean = mean, .stride = npy->n / MEAN_ROWS + 1, .hash = kith_hash_new()};
	uint8_t *head = kith_alloc(npy->data_at, 1);

	step = step < 1 ? 1 : step > npy->n ? npy->n : step;
	/* each term is divided before it is added, so that the sum of huge numbers stays finite */
	s.weight = 1.0 / (double)((npy->n + s.stride - 1) / s.stride);
	if (!head || !s.hash)
		s.rc = kith_fail_nomem(&s.err, "a header", npy->data_at);
	else if (read_fully(npy->fd, head, npy->data_at, 0))
		s.rc = kith_fail_errno(&s.err, "%s: cannot read", npy->path);
	if (mean)
		memset(mean, 0, npy->d * sizeof *mean);
	if (!s.rc) {
		kith_hash_update(s.hash, head, npy->data_at);
		scan_rows(&s, npy, step, progress);
	}
	if (s.rc)
		*err = s.err;
	else {
		s.found.digest = kith_hash_value(s.hash);
		*out = s.found;
	}
	free(head);
	kith_hash_free(s.hash);
	return s.rc;
}
