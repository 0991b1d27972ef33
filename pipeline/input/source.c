/* source.c - see source.h */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "gather.h"
#include "infile.h"
#include "io.h"
#include "names.h"
#include "reader.h"
#include "selection.h"
#include "values.h"

/* More files than that are opened whenever they are read: 1,000 open ones are beyond what many systems allow. */
#define KEPT_OPEN   64u
#define MOST_MEMORY (1ull << 30) /* that readers take to open a file */
#define WHOLE_BYTES (1u << 20)   /* of rows that are read whole to take some of their columns */
#define HEAD_BYTES  (64u << 10)  /* of a header that are hashed together */

struct kith_source {
	kith_source_info info;
	kith_part *part;
	uint64_t parts;
	uint64_t rows;                     /* of all parts together */
	uint64_t whole_d;                  /* values of a row of theirs */
	int whole;                         /* all columns are chosen */
	int chosen;                        /* something was chosen */
	int many;                          /* by a pattern or a list */
	kith_choice choice[KITH_MAX_DIMS]; /* of each dimension of the parts */
	int spill;                         /* a temporary file, of parts that need one; -1: none does */
	void *map;
	size_t map_bytes;
};

static const kith_input_how nothing; /* to be told of a file */

/* ---- opening ---- */

static uint64_t opening_memory(uint64_t memory)
{
	return memory && memory < MOST_MEMORY ? memory : MOST_MEMORY;
}

uint64_t kith_source_most_kept(uint64_t memory)
{
	return opening_memory(memory) / 8;
}

kith_input_how kith_input_within(const kith_input_how *how, uint64_t memory)
{
	kith_input_how own = *how;
	own.memory = own.memory && own.memory < memory ? own.memory : memory;
	return own;
}

static void unmap(kith_part *p)
{
	if (p->map)
		munmap((void *)(uintptr_t)p->map, p->bytes);
	p->map = NULL;
}

static void close_part(kith_part *p)
{
	if (p->close)
		p->close(p);
	p->close = NULL;
	unmap(p);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static int is_c_order(const kith_part *p)
{
	int64_t size = (int64_t)kith_dtype_size(p->dtype);
	for (int i = p->dims; i-- > 0; size *= (int64_t)p->shape[i])
		if (p->shape[i] > 1 && p->stride[i] != size)
			return 0;
	return !p->read;
}

/* The last byte that the strides lead to; set_shape has seen that an array in one piece fits a 64-bit number. */
static int check_size(const kith_part *p, kith_err *err)
{
	uint64_t end = p->data_at + kith_dtype_size(p->dtype), n = p->shape[0], d = 1;
	for (int i = 0; i < p->dims; i++)
		end += (p->shape[i] - 1) * (uint64_t)p->stride[i];
	for (int i = 1; i < p->dims; i++)
		d *= p->shape[i];
	if (p->read || p->rows_fd >= 0 || p->bytes >= end)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s: truncated: %llu x %llu values of %s need %llu bytes, but it has %llu",
			 p->path, (unsigned long long)n, (unsigned long long)d, kith_dtype_name(p->dtype),
			 (unsigned long long)end, (unsigned long long)p->bytes);
}

/* --dtype of a file that says its own type: the one thing that types do not say is that 16 bits are a bfloat16. */
static int reinterpret(kith_part *p, kith_err *err)
{
	const char *dtype = p->how->dtype;
	if (!dtype || p->reader->takes_shape)
		return 0;
	kith_dtype named = kith_dtype_named(dtype);
	int bits = p->dtype == KITH_I2 || p->dtype == KITH_U2;
	if (named == p->dtype)
		return 0;
	if (named == KITH_BF16 && bits) {
		p->dtype = named;
		p->canonical = 0;
		return 0;
	}
	return kith_fail(err, KITH_EUSAGE,
			 "%s: --dtype %s, but its values are %s: only i2 and u2 can be taken for another type, bf16",
			 p->path, dtype, kith_dtype_name(p->dtype));
}

static int check_how(const kith_part *p, kith_err *err)
{
	if (!p->reader->takes_shape && (p->how->shape || p->how->offset))
		return kith_fail(err, KITH_EUSAGE, "%s: --%s is for raw files, and this is %s%s", p->path,
				 p->how->shape ? "shape" : "offset", p->reader->name,
				 p->how->format ? "" : " by its first bytes (--format raw takes it for raw)");
	if (p->entry && !p->reader->list && !p->reader->refused)
		return kith_fail(err, KITH_EUSAGE, "%s: holds one array without a name: leave out \":%s\"", p->path,
				 p->entry);
	return 0;
}

static int open_reader(kith_part *p, kith_err *err)
{
	p->memory = opening_memory(p->how->memory);
	int rc = kith_infile_open(&p->fd, p->path, &p->bytes, err);
	if (rc == KITH_EUSAGE)
		kith_part_refuse_folder(p->path, p->entry, err); /* with a better reason, if it can */
	if (!rc && !(rc = kith_file_state_get(&p->state, p->fd, p->path, err)))
		p->bytes = p->state.bytes;
	return rc ? rc : kith_part_find_reader(p, err);
}

static int open_array(kith_part *p, kith_err *err)
{
	int rc = check_how(p, err);
	if (!rc && !(rc = p->reader->open(p, err)) && !(rc = reinterpret(p, err)))
		rc = check_size(p, err);
	return rc;
}

/* Whether a row is as many places in the file as it has values, as in Fortran order. */
static int lies_by_columns(const kith_part *p)
{
	return !p->read && p->stride[0] <= (int64_t)kith_dtype_size(p->dtype) && !is_c_order(p);
}

/* These are too many places to ask the system for each. */
static void map_columns(kith_part *p)
{
	if (!lies_by_columns(p))
		return;
	void *map = mmap(NULL, p->bytes, PROT_READ, MAP_SHARED, p->rows_fd >= 0 ? p->rows_fd : p->fd, 0);
	p->map = map == MAP_FAILED ? NULL : map;
}

/* All but the first dimension, and the type, as the first file has them. */
static int check_alike(const kith_part *a, const kith_part *b, kith_err *err)
{
	if (a->dtype != b->dtype)
		return kith_fail(err, KITH_EUSAGE, "%s: values of type %s, but those of %s before it are %s", b->path,
				 kith_dtype_name(b->dtype), a->path, kith_dtype_name(a->dtype));
	if (a->dims != b->dims)
		return kith_fail(err, KITH_EUSAGE, "%s: an array of %d dimensions, but %s before it has %d", b->path,
				 b->dims, a->path, a->dims);
	for (int i = 1; i < a->dims; i++)
		if (a->shape[i] != b->shape[i])
			return kith_fail(err, KITH_EUSAGE, "%s: %llu in dimension %d, but %s before it has %llu",
					 b->path, (unsigned long long)b->shape[i], i, a->path,
					 (unsigned long long)a->shape[i]);
	return 0;
}

static int open_parts(kith_source *s, kith_names *names, const kith_input_how *how, kith_err *err)
{
	int rc = 0;
	if (!(s->part = kith_alloc_zero(names->count, sizeof *s->part)))
		return kith_fail_nomem(err, "input files", names->count * sizeof *s->part);
	for (size_t i = 0; !rc && i < names->count; i++) {
		kith_part *p = &s->part[s->parts++];
		*p = (kith_part){.path = names->file[i].path,
				 .entry = names->file[i].entry,
				 .how = how,
				 .spill = &s->spill,
				 .fd = -1,
				 .rows_fd = -1,
				 .first = s->rows};
		names->file[i].path = NULL;
		if (!(rc = open_reader(p, err)) && !(rc = open_array(p, err)) && i)
			rc = check_alike(s->part, p, err);
		if (!rc && (__builtin_add_overflow(s->rows, p->shape[0], &s->rows) || s->rows > INT64_MAX))
			rc = kith_fail(err, KITH_EUSAGE, "%s: more samples than can be counted", s->info.path);
		s->info.spilled += p->spilled;
		s->info.kept += p->kept;
		if (s->info.kept > kith_source_most_kept(p->memory)) /* parts that are more close each other's */
			s->info.kept = kith_source_most_kept(p->memory);
		if (names->count > KEPT_OPEN && p->fd >= 0) {
			close(p->fd);
			p->fd = -1;
		} else if (!rc) {
			map_columns(p);
		}
		p->entry = NULL;
		p->how = NULL;
	}
	return rc;
}

static int check_limits(const kith_source_info *i, kith_err *err)
{
	if (i->d > KITH_MAX_DIM)
		return kith_fail(err, KITH_EUSAGE, "%s: more than %u values per sample", i->path, KITH_MAX_DIM);
	if (i->n > KITH_MAX_NODES)
		return kith_fail(err, KITH_EUSAGE, "%s: %llu samples, more than the %u that kith can number", i->path,
				 (unsigned long long)i->n, KITH_MAX_NODES);
	return 0;
}

static int choose(kith_source *s, const char *selection, kith_err *err)
{
	kith_source_info *info = &s->info;
	const kith_part *p = s->part;
	uint64_t shape[KITH_MAX_DIMS];
	memcpy(shape, p->shape, sizeof shape);
	shape[0] = s->rows;
	int rc = kith_selection_apply(selection, shape, p->dims, s->choice, info->path, err);
	if (rc)
		return rc;
	s->chosen = selection != NULL;
	s->whole = 1;
	s->whole_d = info->d = 1;
	for (int i = 0; i < p->dims; i++) {
		const kith_choice *c = &s->choice[i];
		if (!c->dropped)
			info->shape[info->dims++] = c->count;
		if (!i)
			continue;
		s->whole &= c->count == shape[i] && c->step == 1;
		s->whole_d *= shape[i];
		info->d *= c->count;
	}
	info->n = info->shape[0];
	info->dtype = p->dtype;
	info->format = p->reader->name;
	info->files = s->parts;
	info->row_bytes = info->d * kith_dtype_size(p->dtype);
	if (p->read && s->whole_d > KITH_MAX_DIM) /* each thread has whole rows of those */
		return kith_fail(err, KITH_EUSAGE,
				 "%s: rows of %llu values, which are only read whole, and at most %u of them",
				 info->path, (unsigned long long)s->whole_d, KITH_MAX_DIM);
	return check_limits(info, err);
}

static int set_out_columns(kith_source *s, const kith_input_how *how, kith_err *err);

int kith_source_open(kith_source **out, const char *name, const kith_input_how *how, kith_err *err)
{
	how = how ? how : &nothing;
	kith_names names;
	kith_source *s = kith_alloc_zero(1, sizeof *s);
	if (!s || !(s->info.path = strdup(name))) {
		free(s);
		return kith_fail_nomem(err, "an input file", sizeof *s);
	}
	s->spill = -1;
	int rc = kith_names_find(name, &names, err);
	if (!rc) {
		s->many = names.many;
		if (!(rc = open_parts(s, &names, how, err)) && !(rc = choose(s, names.selection, err)))
			rc = set_out_columns(s, how, err);
		kith_names_free(&names);
	}
	if (rc)
		kith_source_close(s);
	else
		*out = s;
	return rc;
}

void kith_source_close(kith_source *s)
{
	if (!s)
		return;
	if (s->map)
		munmap(s->map, s->map_bytes);
	for (uint64_t i = 0; i < s->parts; i++) {
		close_part(&s->part[i]);
		free(s->part[i].path);
	}
	if (s->spill >= 0)
		close(s->spill);
	free(s->part);
	free((char *)(uintptr_t)s->info.path);
	free(s);
}

const kith_source_info *kith_source_get_info(const kith_source *s)
{
	return &s->info;
}

const char *kith_source_file(const kith_source *s, uint64_t i)
{
	return s->part[i].path;
}

void kith_source_label(const kith_source *s, char *out, size_t size)
{
	const char *name = s->info.path, *base = name;
	for (size_t end = strcspn(name, ":[*?"), i = 0; i < end; i++)
		base = name[i] == '/' ? name + i + 1 : base;
	snprintf(out, size, strcmp(s->info.format, "npy") ? "%s%s (%s)" : "%s%s",
		 name[0] == '@' && base > name ? "@" : "", base, s->info.format);
}

int kith_source_names_file(const char *name, const char *path)
{
	kith_names names;
	int same = 0;
	if (kith_names_find(name, &names, NULL))
		return 0;
	same = names.list && kith_is_same_file(names.list, path);
	for (size_t i = 0; !same && i < names.count; i++)
		same = kith_is_same_file(names.file[i].path, path);
	kith_names_free(&names);
	return same;
}

int kith_source_files(const char *name, kith_source_each_file *each, void *context, kith_err *err)
{
	kith_names names;
	int rc = kith_names_find(name, &names, err);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && names.many && i < names.count; i++)
		rc = each(context, names.file[i].path, i, names.count);
	kith_names_free(&names);
	return rc;
}

/* What kith_source_list was called with, and the file that is being listed. */
typedef struct listing {
	const char *file;
	kith_source_each *each;
	void *context;
} listing;

static int list_entry(void *context, const kith_source_entry *entry, kith_err *err)
{
	const listing *l = context;
	kith_source_entry own = *entry;
	own.file = l->file;
	return l->each(l->context, &own, err);
}

static int list_one(kith_part *p, listing *l, kith_err *err)
{
	int rc = open_reader(p, err);
	if (!rc && p->reader->list)
		return p->reader->list(p, list_entry, l, err);
	if (rc || (rc = open_array(p, err)))
		return rc;
	kith_source_entry one = {.type = kith_dtype_name(p->dtype),
				 .dims = p->dims,
				 .shape = p->shape,
				 .bytes = kith_part_value_bytes(p)};
	return list_entry(l, &one, err);
}

int kith_source_list(const char *name, const kith_input_how *how, kith_source_each *each, void *context, kith_err *err)
{
	kith_names names;
	int rc = kith_names_find(name, &names, err);
	if (rc)
		return rc;
	const char *part = names.selection ? names.selection : names.file[0].entry;
	if (part)
		rc = kith_fail(err, KITH_EUSAGE, "%s: all arrays of a file are listed: leave out \":%s\"", name, part);
	for (size_t i = 0; !rc && i < names.count; i++) {
		int spill = -1;
		kith_part p = {.path = names.file[i].path,
			       .how = how ? how : &nothing,
			       .spill = &spill,
			       .fd = -1,
			       .rows_fd = -1};
		listing l = {names.many ? p.path : NULL, each, context};
		rc = list_one(&p, &l, err);
		close_part(&p);
		if (spill >= 0)
			close(spill);
	}
	kith_names_free(&names);
	return rc;
}

/* ---- places ---- */

/* The part that has row `at` of all of them. */
static const kith_part *part_of(const kith_source *s, uint64_t at)
{
	uint64_t low = 0, high = s->parts;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		*(s->part[middle].first <= at ? &low : &high) = middle;
	}
	return &s->part[low];
}

/* The row of all parts together that is row `i` of what was chosen. */
static uint64_t row_of(const kith_source *s, uint64_t i)
{
	return s->choice[0].start + i * (uint64_t)s->choice[0].step;
}

/* "[17,3,0,4]" */
static void put_index(const kith_source *s, uint64_t row, uint64_t column, char *out, size_t size)
{
	const kith_part *p = s->part;
	uint64_t at[KITH_MAX_DIMS] = {row};
	size_t length = (size_t)snprintf(out, size, "[%llu", (unsigned long long)row);
	for (int i = p->dims; i-- > 1;) {
		const kith_choice *c = &s->choice[i];
		at[i] = c->start + column % c->count * (uint64_t)c->step;
		column /= c->count;
	}
	for (int i = 1; i < p->dims && length < size; i++)
		length += (size_t)snprintf(out + length, size - length, ",%llu", (unsigned long long)at[i]);
	if (length < size)
		snprintf(out + length, size - length, "]");
}

const char *kith_source_place(const kith_source *s, uint64_t row, uint64_t column, char out[KITH_PLACE_TEXT])
{
	uint64_t at = row_of(s, row);
	char of[KITH_PLACE_TEXT / 2] = "";
	if (s->parts > 1) {
		const kith_part *p = part_of(s, at);
		snprintf(of, sizeof of, " (row %llu of %s)", (unsigned long long)(at - p->first), p->path);
	}
	if (column == UINT64_MAX) {
		snprintf(out, KITH_PLACE_TEXT, "row %llu%s", (unsigned long long)at, of);
	} else if (s->chosen && s->part->dims > 2) {
		put_index(s, at, column, out, KITH_PLACE_TEXT / 2);
		strcat(out, of);
	} else {
		const kith_choice *c = s->part->dims == 2 ? &s->choice[1] : NULL;
		uint64_t t = c ? c->start + column * (uint64_t)c->step : column;
		snprintf(out, KITH_PLACE_TEXT, "row %llu%s, column %llu", (unsigned long long)at, of,
			 (unsigned long long)t);
	}
	return out;
}

/* ---- rows as they are stored ---- */

/* The axes of `count` rows of what was chosen, `step` rows apart, from where values lie `stride` bytes apart. Returns
 * how far from the first value of a row of the whole the first of them is. */
static uint64_t make_axes(const kith_source *s, const kith_part *p, const int64_t *stride, uint64_t count, int64_t step,
			  kith_axis *axes)
{
	int64_t to = (int64_t)kith_dtype_size(p->dtype), offset = 0;
	for (int i = p->dims; i-- > 1;) {
		const kith_choice *c = &s->choice[i];
		axes[i] = (kith_axis){c->count, c->step * stride[i], to};
		offset += (int64_t)c->start * stride[i];
		to *= (int64_t)c->count;
	}
	axes[0] = (kith_axis){count, step * stride[0], to};
	return (uint64_t)offset;
}

/* By the reader's own way, which knows whole rows only. */
static int read_by_reader(const kith_source *s, const kith_part *p, uint64_t at, uint64_t count, int64_t step,
			  uint8_t *out, kith_err *err)
{
	uint64_t size = kith_dtype_size(p->dtype), row = s->whole_d * size, most = WHOLE_BYTES / row + 1;
	int64_t stride[KITH_MAX_DIMS], apart = (int64_t)size;
	int rc = 0;
	if (s->whole && step == 1)
		return p->read(p, at, count, out, err);
	for (int i = p->dims; i-- > 0; apart *= (int64_t)p->shape[i])
		stride[i] = apart;
	most = step == 1 ? most : 1;
	uint8_t *rows = kith_alloc(most, row);
	if (!rows)
		return kith_fail_nomem(err, "whole rows", most * row);
	for (uint64_t i = 0; !rc && i < count; i += most) {
		uint64_t now = most < count - i ? most : count - i;
		kith_axis axes[KITH_MAX_DIMS];
		uint64_t offset = make_axes(s, p, stride, now, 1, axes);
		if (!(rc = p->read(p, at + i * (uint64_t)step, now, rows, err)))
			kith_gather_memory(rows + offset, axes, p->dims, size, out + i * s->info.row_bytes);
	}
	free(rows);
	return rc;
}

/* `count` rows of an open part, from its row `at` on and `step` apart. */
static int read_open(const kith_source *s, const kith_part *p, uint64_t at, uint64_t count, int64_t step, uint8_t *out,
		     kith_err *err)
{
	kith_axis axes[KITH_MAX_DIMS];
	uint64_t size = kith_dtype_size(p->dtype);
	int rc;
	if (p->read) {
		if ((rc = read_by_reader(s, p, at, count, step, out, err)))
			return rc;
	} else {
		uint64_t from = p->data_at + at * (uint64_t)p->stride[0];
		if (s->whole && step == 1 && is_c_order(p)) {
			rc = kith_part_read(p, out, count * s->info.row_bytes, from);
		} else {
			from += make_axes(s, p, p->stride, count, step, axes);
			rc = kith_gather(p, from, axes, p->dims, size, out);
		}
		if (rc && errno == ENODATA)
			return kith_fail_changed(err, p->path);
		if (rc && errno == ENOMEM)
			return kith_fail_nomem(err, "a window", 1);
		if (rc)
			return kith_fail_errno(err, "%s: cannot read rows %llu:%llu", p->path, (unsigned long long)at,
					       (unsigned long long)(at + count));
	}
	if (p->swapped)
		kith_values_swap(out, count * s->info.d, size);
	return 0;
}

/* A part that is not kept open is the one that was opened, or that is a change. */
static int read_part(const kith_source *s, const kith_part *p, uint64_t at, uint64_t count, int64_t step, uint8_t *out,
		     kith_err *err)
{
	if (p->fd >= 0 || p->rows_fd >= 0)
		return read_open(s, p, at, count, step, out, err);
	kith_part now = *p;
	int rc = kith_infile_open(&now.fd, p->path, NULL, err);
	if (rc)
		return rc;
	if (!(rc = kith_file_unchanged(&p->state, now.fd, p->path, err)))
		rc = read_open(s, &now, at, count, step, out, err);
	close(now.fd);
	return rc;
}

/* How many of `count` rows from row `at` of all parts on are in part `p`. */
static uint64_t rows_within(const kith_part *p, uint64_t at, uint64_t count, int64_t step)
{
	uint64_t before = at - p->first, behind = p->shape[0] - 1 - before;
	uint64_t most = step > 0 ? behind / (uint64_t)step : before / (0 - (uint64_t)step);
	return most < count ? most + 1 : count;
}

int kith_source_read_stored(const kith_source *s, uint64_t first, uint64_t count, void *out, kith_err *err)
{
	const kith_source_info *i = &s->info;
	int64_t step = s->choice[0].step;
	uint8_t *to = out;
	if (first > i->n || count > i->n - first)
		return kith_fail(err, KITH_EBUG, "%s: rows %llu:%llu of %llu", i->path, (unsigned long long)first,
				 (unsigned long long)(first + count), (unsigned long long)i->n);
	for (uint64_t done = 0, now; done < count; done += now) {
		uint64_t at = row_of(s, first + done);
		const kith_part *p = part_of(s, at);
		now = rows_within(p, at, count - done, step);
		int rc = read_part(s, p, at - p->first, now, step, to + done * i->row_bytes, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- rows in Fortran order ---- */

/* All rows of a part, into the temporary file; if there is room for them, without which they are read where they are.
 */
static int set_out_rows(kith_source *s, kith_part *p, kith_err *err)
{
	uint64_t row = s->info.row_bytes, bytes = kith_part_value_bytes(p), most = p->memory / 8 / row + 1, at = 0;
	int fd, rc = 0;
	if (kith_part_spill(p, bytes, &fd, &at, NULL))
		return 0;
	uint8_t *rows = kith_alloc(most, row);
	if (!rows)
		return kith_fail_nomem(err, "rows", most * row);
	for (uint64_t i = 0; !rc && i < p->shape[0]; i += most) {
		uint64_t count = most < p->shape[0] - i ? most : p->shape[0] - i;
		if (!(rc = read_part(s, p, i, count, 1, rows, err)) && kith_write_all(fd, rows, count * row))
			rc = kith_fail_errno(err, "%s: cannot write the temporary file of its rows", p->path);
	}
	free(rows);
	if (rc)
		return rc;
	unmap(p);
	p->rows_fd = fd;
	p->data_at = at;
	p->bytes = at + bytes;
	p->head_at = p->head_bytes = 0; /* which is of the file that was given */
	p->canonical = 0;
	p->swapped = 0;
	s->info.spilled += p->spilled = bytes;
	return kith_part_set_shape(p, p->shape, p->dims, 0, err);
}

/* Where rows have to be read one by one, because they are not all in memory, one in Fortran order takes as long as a
 * thousand in C order. */
static int set_out_columns(kith_source *s, const kith_input_how *how, kith_err *err)
{
	int rc = 0, whole = s->whole && s->info.n == s->rows;
	if (!whole || !how->memory || s->info.n * s->info.row_bytes <= how->memory / 2)
		return 0;
	for (uint64_t i = 0; !rc && i < s->parts; i++) {
		kith_part *p = &s->part[i];
		if (!lies_by_columns(p))
			continue;
		p->how = how;
		if (how->spill)
			rc = set_out_rows(s, p, err);
		else
			s->info.spilled += kith_part_value_bytes(p); /* would be */
		p->how = NULL;
	}
	return rc;
}

/* ---- rows as numbers ---- */

int kith_source_to_doubles(const kith_source *s, uint64_t first, uint64_t count, const void *raw, double *out,
			   kith_err *err)
{
	uint64_t d = s->info.d, held = kith_values_to_doubles(s->info.dtype, raw, count * d, out);
	char place[KITH_PLACE_TEXT];
	if (held == count * d)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s: %s is an integer beyond 2^53 that no double holds: save x.astype('f8')",
			 s->info.path, kith_source_place(s, first + held / d, held % d, place));
}

void kith_source_to_floats(const kith_source *s, uint64_t count, const void *raw, float *out)
{
	kith_values_to_floats(s->info.dtype, raw, count * s->info.d, out);
}

/* Rows into `raw`, or memory of their own that is to be freed, if it is NULL. */
static int read_raw(const kith_source *s, uint64_t first, uint64_t count, void **raw, void **own, kith_err *err)
{
	uint64_t bytes = count * s->info.row_bytes;
	*own = NULL;
	if (!*raw && !(*raw = *own = kith_alloc(bytes, 1)))
		return kith_fail_nomem(err, "rows", bytes);
	return kith_source_read_stored(s, first, count, *raw, err);
}

int kith_source_read(const kith_source *s, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err)
{
	void *own;
	int rc = read_raw(s, first, count, &raw, &own, err);
	if (!rc)
		rc = kith_source_to_doubles(s, first, count, raw, out, err);
	free(own);
	return rc;
}

int kith_source_read_floats(const kith_source *s, uint64_t first, uint64_t count, float *out, void *raw, kith_err *err)
{
	kith_dtype dtype = s->info.dtype;
	if (kith_dtype_is_wide(dtype))
		return kith_fail(err, KITH_EBUG, "%s: %s read as floats", s->info.path, kith_dtype_name(dtype));
	int rc = kith_source_read_stored(s, first, count, dtype == KITH_F4 ? (void *)out : raw, err);
	if (!rc && dtype != KITH_F4)
		kith_source_to_floats(s, count, raw, out);
	return rc;
}

int kith_source_read_ints(const kith_source *s, uint64_t first, uint64_t count, int64_t *out, void *raw, kith_err *err)
{
	char place[KITH_PLACE_TEXT];
	void *own;
	uint64_t d = s->info.d;
	int rc = read_raw(s, first, count, &raw, &own, err);
	uint64_t whole = rc ? 0 : kith_values_to_ints(s->info.dtype, raw, count * d, out);
	if (!rc && whole < count * d)
		rc = kith_fail(err, KITH_EUSAGE, "%s: %s is no integer of 64 bits", s->info.path,
			       kith_source_place(s, first + whole / d, whole % d, place));
	free(own);
	return rc;
}

/* ---- in place ---- */

/* Whether the rows lie in one file, one after the other; if so, from which byte on. */
static int in_one_piece(const kith_source *s, uint64_t *at)
{
	const kith_part *p = s->part;
	const kith_choice *rows = &s->choice[0];
	*at = p->data_at + rows->start * (uint64_t)p->stride[0];
	return s->parts == 1 && s->whole && rows->step == 1 && !p->swapped && is_c_order(p);
}

const void *kith_source_map(kith_source *s)
{
	const kith_part *p = s->part;
	uint64_t at;
	if (!in_one_piece(s, &at) || (p->dtype != KITH_F4 && p->dtype != KITH_F8) || at % kith_dtype_size(p->dtype))
		return NULL;
	if (!s->map) {
		int fd = p->rows_fd >= 0 ? p->rows_fd : p->fd;
		uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = at / page * page;
		s->map_bytes = at - from + s->info.n * s->info.row_bytes;
		void *map = mmap(NULL, s->map_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, (off_t)from);
		if (map == MAP_FAILED)
			return NULL;
		s->map = (char *)map;
	}
	return (const char *)s->map + at % (uint64_t)sysconf(_SC_PAGESIZE);
}

void kith_source_will_read(const kith_source *s, uint64_t first, uint64_t count)
{
	uint64_t at;
	if (in_one_piece(s, &at))
		(void)posix_fadvise(s->part->rows_fd >= 0 ? s->part->rows_fd : s->part->fd,
				    (off_t)(at + first * s->info.row_bytes), (off_t)(count * s->info.row_bytes),
				    POSIX_FADV_WILLNEED);
}

/* ---- headers, and changes ---- */

int kith_source_unchanged(const kith_source *s, kith_err *err)
{
	int rc = 0;
	for (uint64_t i = 0; !rc && i < s->parts; i++)
		rc = kith_file_unchanged(&s->part[i].state, s->part[i].fd, s->part[i].path, err);
	return rc;
}

/* The bytes of one part's header that were believed, into `hash`. */
static int hash_head(const kith_part *p, kith_hash_state *hash, kith_err *err)
{
	kith_part file = *p;
	uint64_t most = p->head_bytes < HEAD_BYTES ? p->head_bytes : HEAD_BYTES;
	uint8_t *head = kith_alloc(most, 1);
	int rc = head ? 0 : kith_fail_nomem(err, "a header", most);
	file.rows_fd = -1;
	if (!rc && p->fd < 0)
		rc = kith_infile_open(&file.fd, p->path, NULL, err);
	for (uint64_t at = 0, now; !rc && at < p->head_bytes; at += now) {
		now = p->head_bytes - at < most ? p->head_bytes - at : most;
		if (kith_part_read(&file, head, now, p->head_at + at))
			rc = kith_part_fail_read(p, err);
		else
			kith_hash_update(hash, head, now);
	}
	if (p->fd < 0 && file.fd >= 0)
		close(file.fd);
	free(head);
	return rc;
}

int kith_source_hash_heads(const kith_source *s, uint64_t *out, kith_err *err)
{
	kith_hash_state *hash = kith_hash_new();
	int rc = hash ? 0 : kith_fail_nomem(err, "a digest", 1);
	for (uint64_t i = 0; !rc && i < s->parts; i++)
		rc = hash_head(&s->part[i], hash, err);
	if (!rc)
		*out = kith_hash_value(hash);
	kith_hash_free(hash);
	return rc;
}

/* What numpy.save writes before an array: magic, version 1.0, and a dict with room for its first dimension to grow to
 * 21 digits, filled up with spaces so that rows begin at a multiple of 64 bytes. */
static size_t numpy_header(const kith_source_info *i, char *out, size_t size)
{
	static const char *const descr[KITH_DTYPES] = {
		[KITH_F2] = "<f2", [KITH_F4] = "<f4", [KITH_F8] = "<f8", [KITH_BF16] = "|V2", [KITH_B1] = "|b1",
		[KITH_U1] = "|u1", [KITH_I1] = "|i1", [KITH_U2] = "<u2", [KITH_I2] = "<i2",   [KITH_U4] = "<u4",
		[KITH_I4] = "<i4", [KITH_U8] = "<u8", [KITH_I8] = "<i8"};
	size_t at = 10, digits = (size_t)snprintf(NULL, 0, "%llu", (unsigned long long)i->n);
	at += (size_t)snprintf(out + at, size - at, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu,",
			       descr[i->dtype], (unsigned long long)i->n);
	for (int t = 1; t < i->dims; t++)
		at += (size_t)snprintf(out + at, size - at, "%s %llu", t > 1 ? "," : "",
				       (unsigned long long)i->shape[t]);
	at += (size_t)snprintf(out + at, size - at, "), }");
	size_t end = (at + (21 - digits) + 1) / 64 * 64 + 64, length = end - 10;
	memset(out + at, ' ', end - at);
	out[end - 1] = '\n';
	memcpy(out, "\x93NUMPY\1", 8);
	out[8] = (char)(length & 255);
	out[9] = (char)(length >> 8);
	return end;
}

int kith_source_hash_header(const kith_source *s, kith_hash_state *hash, kith_err *err)
{
	char text[KITH_MAX_DIMS * 24 + 256];
	uint64_t at;
	if (s->part->canonical && !s->many && !s->chosen && in_one_piece(s, &at))
		return hash_head(s->part, hash, err);
	kith_hash_update(hash, text, numpy_header(&s->info, text, sizeof text));
	return 0;
}
