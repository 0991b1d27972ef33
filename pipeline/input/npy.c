/* npy.c - NumPy's .npy files: format versions 1, 2 and 3; little-endian f2, f4, f8, u1, i1, and bfloat16 as NumPy
 * leaves it, V2; C order; any shape (n, ...). The header is a Python dict literal; numpy.lib.format fixes its keys and
 * their kinds of value. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "reader.h"

#define MAX_HEADER (1u << 20)

struct header {
	char descr[32];
	int fortran;
	uint64_t shape[KITH_MAX_DIMS];
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
		if (!isdigit((unsigned char)**p) || h->dims == KITH_MAX_DIMS)
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

static int is_npy(const char *path, const uint8_t *head, size_t size)
{
	(void)path;
	return size >= 6 && !memcmp(head, "\x93NUMPY", 6);
}

/* Reads magic, version and the header's text (zero-terminated, to be freed); sets data_at. */
static int read_header(kith_activations *a, char **text, kith_err *err)
{
	const char *path = a->info.path;
	uint8_t head[12];
	uint64_t length, at;

	if (a->bytes < 10 || kith_reader_read(a, head, 10, 0) || !is_npy(path, head, 10))
		return kith_fail(err, KITH_EUSAGE, "%s: not a .npy file: save activations with numpy.save", path);
	if (head[6] < 1 || head[6] > 3)
		return kith_fail(err, KITH_EUSAGE, "%s: .npy format version %u.%u, but 1 to 3 are known", path, head[6],
				 head[7]);
	if (head[6] == 1) {
		length = head[8] | (unsigned)head[9] << 8;
		at = 10;
	} else {
		if (a->bytes < 12 || kith_reader_read(a, head, 12, 0))
			return kith_fail(err, KITH_EUSAGE, "%s: truncated in its header", path);
		length = head[8] | (unsigned)head[9] << 8 | (unsigned)head[10] << 16 | (uint64_t)head[11] << 24;
		at = 12;
	}
	if (length > a->bytes - at)
		return kith_fail(err, KITH_EUSAGE, "%s: truncated in its header", path);
	if (length > MAX_HEADER)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: its header has %llu bytes, more than the %u that are read: save one plain array",
				 path, (unsigned long long)length, MAX_HEADER);
	if (!(*text = kith_alloc(length + 1, 1)))
		return kith_fail_nomem(err, "a header", length);
	if (kith_reader_read(a, *text, length, at)) {
		free(*text);
		*text = NULL;
		return kith_fail_errno(err, "%s: cannot read", path);
	}
	(*text)[length] = 0;
	a->data_at = at + length;
	return 0;
}

static int set_dtype(kith_activations *a, const char *descr, kith_err *err)
{
	/* `orders`: what may stand before the name, or nothing. One-byte types and those that NumPy takes for bytes
	 * have no byte order, and all marks occur. */
	static const struct {
		const char *name, *orders;
	} known[] = {[KITH_F2] = {"f2", "<="},   [KITH_F4] = {"f4", "<="},   [KITH_F8] = {"f8", "<="},
		     [KITH_U1] = {"u1", "<=|>"}, [KITH_I1] = {"i1", "<=|>"}, [KITH_BF16] = {"V2", "<=|"}};
	char order = *descr && strchr("<=|>", *descr) ? *descr : 0;
	const char *name = descr + (order != 0), *path = a->info.path;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i].name) && (!order || strchr(known[i].orders, order))) {
			a->info.dtype = (kith_dtype)i;
			return 0;
		}
	if (order == '>')
		return kith_fail(err, KITH_EUSAGE,
				 "%s: big-endian numbers (%s): save x.astype(x.dtype.newbyteorder('<'))", path, descr);
	if (*name == 'V') /* of which NumPy knows nothing, so that astype raises */
		return kith_fail(err, KITH_EUSAGE,
				 "%s: element type %s is bytes without a meaning (V2 is read as bfloat16): convert to "
				 "f4 before numpy.save",
				 path, descr);
	return kith_fail(err, KITH_EUSAGE,
			 "%s: element type %s is not one of f2, f4, f8, bfloat16, u1, i1: save x.astype('f4')", path,
			 descr);
}

/* numpy writes C order whenever both orders are the same; a true Fortran order would mean reading by columns. */
static int check_order(const kith_activations *a, const struct header *h, kith_err *err)
{
	int longer = 0;
	for (int i = 0; i < h->dims; i++)
		longer += h->shape[i] > 1;
	if (h->fortran && longer > 1)
		return kith_fail(err, KITH_EUSAGE, "%s: Fortran order: save numpy.ascontiguousarray(x)", a->info.path);
	return 0;
}

static int check_end(const kith_activations *a, kith_err *err)
{
	uint64_t end = a->data_at + a->info.n * a->info.d * kith_dtype_size(a->info.dtype);
	if (a->bytes > end)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: %llu bytes follow the array: one array per file, or the header's shape is wrong",
				 a->info.path, (unsigned long long)(a->bytes - end));
	return 0;
}

static int open_npy(kith_activations *a, kith_err *err)
{
	struct header h = {0};
	char *text = NULL;
	int structured, rc = read_header(a, &text, err);
	if (rc)
		return rc;
	if (!parse_header(text, &h, &structured))
		rc = kith_fail(err, KITH_EUSAGE, "%s: its .npy header cannot be understood", a->info.path);
	else if (structured)
		rc = kith_fail(err, KITH_EUSAGE, "%s: a structured element type: save one plain array", a->info.path);
	if (!rc && !(rc = set_dtype(a, h.descr, err)) && !(rc = kith_reader_set_shape(a, h.shape, h.dims, err)) &&
	    !(rc = check_order(a, &h, err)))
		rc = check_end(a, err);
	free(text);
	return rc;
}

const kith_reader kith_reader_npy = {"npy", is_npy, open_npy};
