/* npy.c - NumPy's .npy files: format versions 1, 2 and 3; all of its numbers of up to 8 bytes that are real, and
 * bfloat16 as NumPy leaves it, V2; both orders of bytes and of dimensions; any shape (n, ...). The header is a Python
 * dict literal; numpy.lib.format fixes its keys and their kinds of value. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "reader.h"
#include "take.h"

#define MAX_HEADER (1u << 20)

struct header {
	char descr[32];
	int fortran;
	uint64_t shape[KITH_MAX_DIMS];
	int dims;
};

/* A quoted string without escapes, into out[size]. */
static int take_string(const char **p, char *out, size_t size)
{
	kith_skip_space(p);
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
	kith_skip_space(p);
	size_t length = strlen(word);
	if (strncmp(*p, word, length))
		return 0;
	*p += length;
	return 1;
}

static int take_shape(const char **p, struct header *h)
{
	if (!kith_take(p, '('))
		return 0;
	h->dims = 0;
	while (!kith_take(p, ')')) {
		char *end;
		kith_skip_space(p);
		if (!isdigit((unsigned char)**p) || h->dims == KITH_MAX_DIMS)
			return 0;
		errno = 0;
		h->shape[h->dims++] = strtoull(*p, &end, 10);
		if (errno)
			return 0;
		*p = end + (*end == 'L'); /* Python 2 wrote long integers so */
		if (!kith_take(p, ',')) {
			if (!kith_take(p, ')'))
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
	if (!kith_take(&p, '{'))
		return 0;
	while (!kith_take(&p, '}')) {
		if (!take_string(&p, key, sizeof key) || !kith_take(&p, ':'))
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
		if (!kith_take(&p, ',')) {
			if (!kith_take(&p, '}'))
				return 0;
			break;
		}
	}
	kith_skip_space(&p);
	return seen_descr == 1 && seen_order == 1 && seen_shape == 1 && !*p;
}

static int is_npy(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	(void)path;
	(void)bytes;
	return size >= 6 && !memcmp(head, "\x93NUMPY", 6) ? KITH_BY_CONTENT : KITH_NOT_MINE;
}

/* Reads magic, version and the header's text (zero-terminated, to be freed) of what lies from byte `from` to `end`;
 * sets data_at. */
static int read_header(kith_part *p, uint64_t from, uint64_t end, char **text, kith_err *err)
{
	uint8_t head[12] = {0};
	uint64_t bytes = end - from, length, at = 10;
	int rc = bytes < at ? 0 : kith_part_read_header(p, head, at, from, err);
	if (rc)
		return rc;
	if (!is_npy(p->path, head, at, bytes))
		return kith_fail(err, KITH_EUSAGE, "%s: not a .npy file: save activations with numpy.save", p->path);
	if (head[6] < 1 || head[6] > 3)
		return kith_fail(err, KITH_EUSAGE, "%s: .npy format version %u.%u, but 1 to 3 are known", p->path,
				 head[6], head[7]);
	length = head[8] | (unsigned)head[9] << 8;
	if (head[6] > 1) {
		at = 12;
		if (bytes >= at && (rc = kith_part_read_header(p, head, at, from, err)))
			return rc;
		length |= (unsigned)head[10] << 16 | (uint64_t)head[11] << 24;
	}
	if (bytes < at || length > bytes - at)
		return kith_fail(err, KITH_EUSAGE, "%s: truncated in its header", p->path);
	if (length > MAX_HEADER)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: its header has %llu bytes, more than the %u that are read: save one plain array",
				 p->path, (unsigned long long)length, MAX_HEADER);
	if (!(*text = kith_alloc(length + 1, 1)))
		return kith_fail_nomem(err, "a header", length);
	(*text)[length] = 0;
	p->data_at = from + at + length;
	p->head_at = from;
	p->head_bytes = at + length;
	if ((rc = kith_part_read_header(p, *text, length, from + at, err))) {
		free(*text);
		*text = NULL;
	}
	return rc;
}

/* One-byte types, and those that NumPy takes for bytes, have no order of bytes, and all marks occur before them: |u1,
 * <V2. Others have one of < and =, which is this machine's, or none; or >, the other. */
static int set_dtype(kith_part *p, const char *descr, kith_err *err)
{
	char order = *descr && strchr("<=|>", *descr) ? *descr : 0;
	const char *name = descr + (order != 0);
	int is_v2 = !strcmp(name, "V2") && order != '>';
	kith_dtype dtype = is_v2 ? KITH_BF16 : strlen(name) == 2 ? kith_dtype_named(name) : KITH_DTYPES;
	if (dtype != KITH_DTYPES && (order != '|' || is_v2 || kith_dtype_size(dtype) == 1)) {
		p->dtype = dtype;
		p->swapped = order == '>' && kith_dtype_size(dtype) > 1;
		return 0;
	}
	if (*name == 'V') /* of which NumPy knows nothing, so that astype raises */
		return kith_fail(err, KITH_EUSAGE,
				 "%s: element type %s is bytes without a meaning (V2 is read as bfloat16): convert to "
				 "f4 before numpy.save",
				 p->path, descr);
	return kith_fail(err, KITH_EUSAGE,
			 "%s: element type %s is none of f2, f4, f8, bfloat16, i1 to i8, u1 to u8, b1: save "
			 "x.astype('f4')",
			 p->path, descr);
}

int kith_npy_open_at(kith_part *p, uint64_t at, uint64_t end, kith_err *err)
{
	struct header h = {0};
	char *text = NULL;
	int structured, rc = read_header(p, at, end, &text, err);
	if (rc)
		return rc;
	if (!parse_header(text, &h, &structured))
		rc = kith_fail(err, KITH_EUSAGE, "%s: its .npy header cannot be understood", p->path);
	else if (structured)
		rc = kith_fail(err, KITH_EUSAGE, "%s: a structured element type: save one plain array", p->path);
	else if (!(rc = set_dtype(p, h.descr, err)))
		rc = kith_part_set_shape(p, h.shape, h.dims, h.fortran, err);
	free(text);
	uint64_t want = rc ? 0 : kith_part_value_bytes(p);
	if (!rc && end - p->data_at > want)
		rc = kith_fail(err, KITH_EUSAGE,
			       "%s: %llu bytes follow the array: one array per file, or the header's shape is wrong",
			       p->path, (unsigned long long)(end - p->data_at - want));
	return rc;
}

static int open_npy(kith_part *p, kith_err *err)
{
	p->canonical = 1;
	return kith_npy_open_at(p, 0, p->bytes, err);
}

const kith_reader kith_reader_npy = {.name = "npy", .recognise = is_npy, .open = open_npy};
