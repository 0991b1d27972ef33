/* vecs.c - rows of numbers with next to no header, whose type their names say.
 *
 *     .fbin .f16bin .u8bin .i8bin .ibin    cuVS, big-ann-benchmarks, DiskANN: n and d, 32 bits each, then n rows of d
 *                                          values. An .ibin of neighbours may have as many distances behind them.
 *     .fvecs .bvecs .ivecs                 TEXMEX: before each row of d values d itself, 32 bits
 *
 * All is little-endian. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "reader.h"

#define COPY_BYTES (256u << 10) /* of rows that are read together to leave out their first four bytes */

static uint32_t little_endian(const uint8_t *b)
{
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* The type of a format, by its name. */
static kith_dtype dtype_of(const kith_reader *reader)
{
	static const struct {
		const kith_reader *reader;
		kith_dtype dtype;
	} known[] = {{&kith_reader_fbin, KITH_F4},  {&kith_reader_f16bin, KITH_F2}, {&kith_reader_u8bin, KITH_U1},
		     {&kith_reader_i8bin, KITH_I1}, {&kith_reader_ibin, KITH_I4},   {&kith_reader_fvecs, KITH_F4},
		     {&kith_reader_bvecs, KITH_U1}, {&kith_reader_ivecs, KITH_I4}};
	size_t i = 0;
	while (known[i].reader != reader)
		i++;
	return known[i].dtype;
}

/* ---- .fbin and its like ---- */

static int open_bin(kith_part *p, kith_err *err)
{
	uint8_t head[8];
	int rc = kith_part_read_header(p, head, sizeof head, 0, err);
	if (rc)
		return rc;
	uint64_t shape[2] = {little_endian(head), little_endian(head + 4)};
	p->dtype = dtype_of(p->reader);
	p->data_at = p->head_bytes = sizeof head;
	if ((rc = kith_part_set_shape(p, shape, 2, 0, err)))
		return rc;
	uint64_t rows = shape[0] * shape[1] * kith_dtype_size(p->dtype), there = p->bytes - sizeof head;
	if (there == rows || (p->reader == &kith_reader_ibin && there == 2 * rows))
		return 0;
	return kith_fail(err, KITH_EUSAGE,
			 "%s: its header says %llu x %llu values of %s, which are %llu bytes, but %llu follow it: %s",
			 p->path, (unsigned long long)shape[0], (unsigned long long)shape[1], kith_dtype_name(p->dtype),
			 (unsigned long long)rows, (unsigned long long)there,
			 there < rows ? "truncated, or not a file of this format" : "not a file of this format");
}

/* ---- .fvecs and its like ---- */

static int check_row(const kith_part *p, uint64_t row, const uint8_t *at, kith_err *err)
{
	uint32_t d = little_endian(at);
	if (d == p->shape[1])
		return 0;
	return kith_fail(err, KITH_EUSAGE,
			 "%s: row %llu says that it has %lu values, and row 0 that it has %llu: rows of one length are "
			 "read",
			 p->path, (unsigned long long)row, (unsigned long)d, (unsigned long long)p->shape[1]);
}

static int read_vecs(const kith_part *p, uint64_t first, uint64_t count, void *out, kith_err *err)
{
	uint64_t bytes = p->shape[1] * kith_dtype_size(p->dtype), stored = bytes + 4, most = COPY_BYTES / stored + 1;
	most = most < count ? most : count;
	uint8_t *rows = kith_alloc(most, stored), *to = out;
	int rc = rows ? 0 : kith_fail_nomem(err, "rows", most * stored);
	for (uint64_t done = 0; !rc && done < count; done += most) {
		uint64_t now = most < count - done ? most : count - done;
		if (kith_part_read(p, rows, now * stored, (first + done) * stored))
			rc = kith_part_fail_read(p, err);
		for (uint64_t i = 0; !rc && i < now; i++, to += bytes) {
			rc = check_row(p, first + done + i, rows + i * stored, err);
			memcpy(to, rows + i * stored + 4, bytes);
		}
	}
	free(rows);
	return rc;
}

static int open_vecs(kith_part *p, kith_err *err)
{
	uint8_t head[4];
	int rc = kith_part_read_header(p, head, sizeof head, 0, err);
	if (rc)
		return rc;
	p->dtype = dtype_of(p->reader);
	uint64_t d = little_endian(head), row = 4 + d * kith_dtype_size(p->dtype);
	if (p->bytes % row)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: rows of %llu values of %s are %llu bytes each, and its %llu are no whole rows: "
				 "truncated, or not a file of this format",
				 p->path, (unsigned long long)d, kith_dtype_name(p->dtype), (unsigned long long)row,
				 (unsigned long long)p->bytes);
	p->head_bytes = sizeof head;
	p->read = read_vecs;
	return kith_part_set_shape(p, (uint64_t[]){p->bytes / row, d}, 2, 0, err);
}

const kith_reader kith_reader_fbin = {.name = "fbin", .open = open_bin};
const kith_reader kith_reader_f16bin = {.name = "f16bin", .open = open_bin};
const kith_reader kith_reader_u8bin = {.name = "u8bin", .open = open_bin};
const kith_reader kith_reader_i8bin = {.name = "i8bin", .open = open_bin};
const kith_reader kith_reader_ibin = {.name = "ibin", .open = open_bin};
const kith_reader kith_reader_fvecs = {.name = "fvecs", .open = open_vecs};
const kith_reader kith_reader_bvecs = {.name = "bvecs", .open = open_vecs};
const kith_reader kith_reader_ivecs = {.name = "ivecs", .open = open_vecs};
