/* raw.c - values without a header, as a memory map or a program's own format leaves them: what they are, the user says
 * (--dtype, --shape, --offset). */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

static int is_raw(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	(void)head;
	(void)size;
	(void)bytes;
	return kith_path_ends(path, ".bin") || kith_path_ends(path, ".raw") ? KITH_BY_NAME : KITH_NOT_MINE;
}

/* "f4", ">f4" */
static int take_dtype(kith_part *p, kith_err *err)
{
	const char *text = p->how->dtype, *name = text + (*text && strchr("<>", *text));
	p->dtype = kith_dtype_named(name);
	p->swapped = *text == '>' && p->dtype != KITH_DTYPES && kith_dtype_size(p->dtype) > 1;
	if (p->dtype != KITH_DTYPES)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s: --dtype %s: not one of f2, f4, f8, bf16, i1 to i8, u1 to u8, b1",
			 p->path, text);
}

/* "60000,784" or "-1,784": the dimensions, or 0 of them if the text is something else. */
static int parse_shape(const char *text, uint64_t shape[KITH_MAX_DIMS])
{
	int dims = 0;
	for (const char *at = text;; at++) {
		char *end;
		int any = !dims && at[0] == '-' && at[1] == '1';
		if (dims == KITH_MAX_DIMS || (!any && !isdigit((unsigned char)*at)))
			return 0;
		errno = 0;
		shape[dims++] = any ? UINT64_MAX : strtoull(at, &end, 10);
		at = any ? at + 2 : end;
		if (errno || (*at && *at != ','))
			return 0;
		if (!*at)
			return dims;
	}
}

/* How many rows there are, if the user leaves that to the file. */
static uint64_t count_rows(const kith_part *p, const uint64_t *shape, int dims)
{
	uint64_t row = kith_dtype_size(p->dtype);
	for (int i = 1; i < dims; i++)
		if (__builtin_mul_overflow(row, shape[i], &row))
			return 1; /* which is refused */
	return row ? (p->bytes - p->data_at) / row : 1;
}

static int open_raw(kith_part *p, kith_err *err)
{
	uint64_t shape[KITH_MAX_DIMS];
	int rc, dims;
	if (!p->how->dtype || !p->how->shape)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: raw values: say what they are, as in --dtype f4 --shape 60000,784 (or -1,784)",
				 p->path);
	if ((rc = take_dtype(p, err)))
		return rc;
	if (!(dims = parse_shape(p->how->shape, shape)))
		return kith_fail(err, KITH_EUSAGE, "%s: --shape %s: not N,D[,...]", p->path, p->how->shape);
	if (p->how->offset >= p->bytes)
		return kith_fail(err, KITH_EUSAGE, "%s: --offset %llu, but it has %llu bytes", p->path,
				 (unsigned long long)p->how->offset, (unsigned long long)p->bytes);
	p->data_at = p->how->offset;
	shape[0] = shape[0] == UINT64_MAX ? count_rows(p, shape, dims) : shape[0];
	if ((rc = kith_part_set_shape(p, shape, dims, 0, err)))
		return rc;
	uint64_t want = shape[0] * (uint64_t)p->stride[0], left = p->bytes - p->data_at;
	if (left > want)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: --shape %s of %s takes %llu bytes, but there are %llu: is it another shape? (-1 "
				 "for N takes all; a part is chosen by FILE:[0:N])",
				 p->path, p->how->shape, p->how->dtype, (unsigned long long)want,
				 (unsigned long long)left);
	return 0;
}

const kith_reader kith_reader_raw = {.name = "raw", .recognise = is_raw, .open = open_raw, .takes_shape = 1};
