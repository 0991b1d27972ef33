/* readers.c - the table of formats: who reads a file, and what all readers do alike. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io.h"
#include "nameless_file.h"
#include "reader.h"

#define MAPPED_BYTES 1024u /* of a mapped file, so much is copied in less time than a call takes */

const kith_reader *const kith_readers[] = {
	&kith_reader_npy,    &kith_reader_safetensors, &kith_reader_npz,   &kith_reader_hdf5,    &kith_reader_fbin,
	&kith_reader_f16bin, &kith_reader_u8bin,       &kith_reader_i8bin, &kith_reader_ibin,    &kith_reader_fvecs,
	&kith_reader_bvecs,  &kith_reader_ivecs,       &kith_reader_raw,   &kith_reader_foreign, NULL};

static int recognise(const kith_reader *r, const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	char suffix[32];
	if (r->recognise)
		return r->recognise(path, head, size, bytes);
	snprintf(suffix, sizeof suffix, ".%s", r->name);
	return kith_path_ends(path, suffix) ? KITH_BY_NAME : KITH_NOT_MINE;
}

static const kith_reader *find_reader(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	const kith_reader *best = NULL;
	int most = KITH_NOT_MINE;
	for (const kith_reader *const *r = kith_readers; *r; r++) {
		int sure = recognise(*r, path, head, size, bytes);
		if (sure > most) {
			most = sure;
			best = *r;
		}
	}
	return best;
}

const char *kith_source_recognise(const char *path, const void *head, size_t size, uint64_t bytes)
{
	const kith_reader *reader = find_reader(path, head, size, bytes);
	return reader ? reader->name : NULL;
}

static int find_named(const kith_input_how *how, const char *path, const kith_reader **out, kith_err *err)
{
	char known[256] = "";
	for (const kith_reader *const *r = kith_readers; *r; r++) {
		if (!(*r)->refused && !strcmp((*r)->name, how->format)) {
			*out = *r;
			return 0;
		}
		size_t at = strlen(known);
		if (!(*r)->refused)
			snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", (*r)->name);
	}
	return kith_fail(err, KITH_EUSAGE, "%s: --format %s: not one of %s", path, how->format, known);
}

int kith_part_find_reader(kith_part *p, kith_err *err)
{
	uint8_t head[KITH_HEAD_BYTES];
	size_t size = p->bytes < sizeof head ? p->bytes : sizeof head;
	if (p->how->format)
		return find_named(p->how, p->path, &p->reader, err);
	if (kith_part_read(p, head, size, 0))
		return kith_fail_errno(err, "%s: cannot read", p->path);
	p->reader = find_reader(p->path, head, size, p->bytes);
	if (!p->reader)
		p->reader = p->how->shape ? &kith_reader_raw : kith_readers[0];
	return 0;
}

/* ---- what readers do alike ---- */

int kith_path_ends(const char *path, const char *suffix)
{
	size_t length = strlen(path), end = strlen(suffix);
	return length > end && !strcasecmp(path + length - end, suffix);
}

int kith_part_read(const kith_part *p, void *out, size_t size, uint64_t at)
{
	if (p->map && size <= MAPPED_BYTES && at < p->bytes && size <= p->bytes - at) {
		memcpy(out, p->map + at, size);
		return 0;
	}
	return kith_read_all(p->rows_fd >= 0 ? p->rows_fd : p->fd, out, size, at);
}

int kith_part_fail_read(const kith_part *p, kith_err *err)
{
	return errno == ENODATA ? kith_fail_changed(err, p->path) : kith_fail_errno(err, "%s: cannot read", p->path);
}

int kith_part_read_header(const kith_part *p, void *out, size_t size, uint64_t at, kith_err *err)
{
	if (at > p->bytes || size > p->bytes - at)
		return kith_fail(err, KITH_EUSAGE, "%s: truncated in its header", p->path);
	return kith_part_read(p, out, size, at) ? kith_part_fail_read(p, err) : 0;
}

int kith_part_set_shape(kith_part *p, const uint64_t *shape, int dims, int fortran, kith_err *err)
{
	uint64_t all = kith_dtype_size(p->dtype);
	if (dims < 1)
		return kith_fail(err, KITH_EUSAGE, "%s: a single number, not an array of samples", p->path);
	p->dims = dims;
	memcpy(p->shape, shape, (size_t)dims * sizeof *shape);
	for (int t = 0; t < dims; t++) {
		int i = fortran ? t : dims - 1 - t;
		p->stride[i] = (int64_t)all;
		if (!shape[i])
			return kith_fail(err, KITH_EUSAGE, "%s: holds no values (dimension %d of its shape is 0)",
					 p->path, i);
		if (__builtin_mul_overflow(all, shape[i], &all) || all > INT64_MAX)
			return kith_fail(err, KITH_EUSAGE,
					 "%s: truncated: its shape is of more values than any file has", p->path);
	}
	return 0;
}

uint64_t kith_part_value_bytes(const kith_part *p)
{
	uint64_t bytes = kith_dtype_size(p->dtype);
	for (int i = 0; i < p->dims; i++)
		bytes *= p->shape[i];
	return bytes;
}

int kith_part_spill(const kith_part *p, uint64_t bytes, int *out, uint64_t *at, kith_err *err)
{
	struct statvfs disk;
	const char *folder = getenv("TMPDIR"), *beside = p->how->spill;
	char own[4096];
	snprintf(own, sizeof own, "%s/kith", folder && *folder ? folder : "/tmp");
	beside = beside ? beside : own;
	if (*p->spill < 0 && (*p->spill = kith_nameless_file(beside)) < 0)
		return kith_fail_errno(err, "%s: no temporary file for its values, beside %s", p->path, beside);
	off_t end = lseek(*p->spill, 0, SEEK_END);
	if (end < 0)
		return kith_fail_errno(err, "%s: the temporary file of its values", p->path);
	if (!fstatvfs(*p->spill, &disk) && (uint64_t)disk.f_bavail * disk.f_frsize < bytes)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: needs a temporary file of %llu bytes, more than are free beside %s", p->path,
				 (unsigned long long)bytes, beside);
	*out = *p->spill;
	*at = (uint64_t)end;
	return 0;
}

/* ---- names of arrays ---- */

#define SHOWN 5 /* names in a message */

typedef struct nearest {
	const char *wanted; /* NULL: the first ones are wanted */
	uint64_t count;
	struct {
		char name[96];
		size_t distance;
	} shown[SHOWN];
} nearest;

/* Letters to insert, drop or change to make one of the other (Levenshtein), of names cut to 64. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[65], m = strnlen(a, 64), n = strnlen(b, 64);
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = corner + (a[i - 1] != b[j - 1]),
			       least = row[j] < row[j - 1] ? row[j] : row[j - 1];
			corner = row[j];
			row[j] = change < least + 1 ? change : least + 1;
		}
	}
	return row[n];
}

static int see_name(void *context, const kith_source_entry *entry, kith_err *err)
{
	nearest *n = context;
	size_t distance = n->wanted ? edit_distance(n->wanted, entry->name) : 0, at = SHOWN;
	(void)err;
	n->count++;
	while (at > 0 && (!*n->shown[at - 1].name || n->shown[at - 1].distance > distance))
		at--;
	if (at == SHOWN)
		return 0;
	memmove(n->shown + at + 1, n->shown + at, (SHOWN - 1 - at) * sizeof *n->shown);
	snprintf(n->shown[at].name, sizeof n->shown[at].name, "%s", entry->name);
	n->shown[at].distance = distance;
	return 0;
}

int kith_part_no_entry(kith_part *p, kith_err *err)
{
	nearest n = {.wanted = p->entry};
	char names[SHOWN * 100 + 64] = "";
	int rc = p->reader->list(p, see_name, &n, err);
	if (rc)
		return rc;
	if (!n.count)
		return kith_fail(err, KITH_EUSAGE, "%s: holds no array", p->path);
	for (size_t i = 0; i < SHOWN && *n.shown[i].name; i++) {
		size_t at = strlen(names);
		snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", n.shown[i].name);
	}
	if (p->entry)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: has no array \"%.128s\": it has %s%s (kith-show --list names all)", p->path,
				 p->entry, names, n.count > SHOWN ? ", ..." : "");
	return kith_fail(err, KITH_EUSAGE,
			 "%s: has %llu arrays: name one, as in %s:%s (there are %s%s; kith-show --list names all)",
			 p->path, (unsigned long long)n.count, p->path, n.shown[0].name, names,
			 n.count > SHOWN ? ", ..." : "");
}
