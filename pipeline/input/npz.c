/* npz.c - .npz, as numpy.savez writes it: a zip file of .npy files, acts.npz:conv1 being conv1.npy in it. Members that
 * are stored are read where they lie, at whatever byte that is; others, which numpy.savez_compressed writes, are
 * inflated once, into a temporary file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "alloc.h"
#include "io.h"
#include "reader.h"

#define COPY_BYTES   (1u << 20)
#define HEADER_BYTES (64u << 10) /* of a deflated array, for a list: more than numpy.save writes of most */

/* An archive, and where it is being read: libzip reads through this, so that it says where a member lies. */
typedef struct archive {
	kith_part *part;
	uint64_t at, last_read;
	zip_error_t error;
	zip_t *zip;
} archive;

static zip_int64_t read_archive(archive *a, void *data, zip_uint64_t size)
{
	uint64_t left = a->at < a->part->bytes ? a->part->bytes - a->at : 0;
	size = size < left ? size : left;
	a->last_read = a->at;
	if (kith_part_read(a->part, data, size, a->at)) {
		zip_error_set(&a->error, ZIP_ER_READ, 0);
		return -1;
	}
	a->at += size;
	return (zip_int64_t)size;
}

static zip_int64_t seek_archive(archive *a, void *data, zip_uint64_t size)
{
	zip_int64_t at = zip_source_seek_compute_offset(a->at, a->part->bytes, data, size, &a->error);
	if (at < 0)
		return -1;
	a->at = (uint64_t)at;
	return 0;
}

static zip_int64_t serve_libzip(void *context, void *data, zip_uint64_t size, zip_source_cmd_t command)
{
	archive *a = context;
	zip_stat_t *st = data;
	switch (command) {
	case ZIP_SOURCE_SUPPORTS:
		return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
						      ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
						      ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, -1);
	case ZIP_SOURCE_OPEN:
		a->at = 0;
		return 0;
	case ZIP_SOURCE_READ:
		return read_archive(a, data, size);
	case ZIP_SOURCE_SEEK:
		return seek_archive(a, data, size);
	case ZIP_SOURCE_TELL:
		return (zip_int64_t)a->at;
	case ZIP_SOURCE_STAT:
		zip_stat_init(st);
		st->size = a->part->bytes;
		st->valid |= ZIP_STAT_SIZE;
		return sizeof *st;
	case ZIP_SOURCE_ERROR:
		return zip_error_to_data(&a->error, data, size);
	default: /* close and free: there is nothing to release */
		return 0;
	}
}

static int open_archive(archive *a, kith_part *p, kith_err *err)
{
	zip_error_t why;
	*a = (archive){.part = p};
	zip_error_init(&a->error);
	zip_error_init(&why);
	zip_source_t *source = zip_source_function_create(serve_libzip, a, &why);
	if (source && !(a->zip = zip_open_from_source(source, ZIP_RDONLY, &why)))
		zip_source_free(source);
	int rc = a->zip ? 0
			: kith_fail(err, KITH_EUSAGE, "%s: not a whole zip file, as numpy.savez writes it: %s", p->path,
				    zip_error_strerror(&why));
	zip_error_fini(&why);
	return rc;
}

static void close_archive(archive *a)
{
	if (a->zip)
		zip_discard(a->zip);
	zip_error_fini(&a->error);
}

/* ---- members ---- */

/* The length of an array's name, which is a member's without .npy; 0 if it is none. */
static size_t array_name(const char *member)
{
	size_t length = member ? strlen(member) : 0;
	return length > 4 && !strcmp(member + length - 4, ".npy") ? length - 4 : 0;
}

static int is_named(const char *member, const char *entry)
{
	size_t length = array_name(member);
	return length && (!strcmp(member, entry) || (strlen(entry) == length && !strncmp(member, entry, length)));
}

/* ".." is no name that numpy.savez writes, and in an archive it is there for mischief. */
static int leads_up(const char *name)
{
	for (const char *at = name; (at = strstr(at, "..")); at++)
		if ((at == name || at[-1] == '/' || at[-1] == '\\') && (!at[2] || at[2] == '/' || at[2] == '\\'))
			return 1;
	return 0;
}

/* The member that p->entry names, or the one that there is. */
static int find_member(const archive *a, uint64_t *index, kith_err *err)
{
	kith_part *p = a->part;
	uint64_t count = (uint64_t)zip_get_num_entries(a->zip, 0), found = 0;
	for (uint64_t i = 0; i < count; i++) {
		const char *member = zip_get_name(a->zip, i, 0);
		if (!(p->entry ? is_named(member, p->entry) : array_name(member) > 0))
			continue;
		if (found++ && p->entry)
			return kith_fail(err, KITH_EUSAGE, "%s: has two arrays \"%.128s\"", p->path, p->entry);
		*index = i;
	}
	return found == 1 ? 0 : kith_part_no_entry(p, err);
}

static int fail_member(const archive *a, const zip_stat_t *st, const char *why, kith_err *err)
{
	return kith_fail(err, KITH_EUSAGE, "%s: %.128s in it %s", a->part->path, st->name, why);
}

/* What the archive says of a member, if it is one that can be read. */
static int get_member(const archive *a, uint64_t index, zip_stat_t *st, kith_err *err)
{
	static const zip_uint64_t needed =
		ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
	char why[64];
	if (zip_stat_index(a->zip, index, 0, st) || (st->valid & needed) != needed)
		return kith_fail(err, KITH_EUSAGE, "%s: damaged: %s", a->part->path, zip_strerror(a->zip));
	if (leads_up(st->name))
		return fail_member(a, st, "leads out of the archive", err);
	if (st->encryption_method != ZIP_EM_NONE)
		return fail_member(a, st, "is encrypted: decrypt it first", err);
	if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE) {
		snprintf(why, sizeof why, "is compressed by method %u: use numpy.savez", st->comp_method);
		return fail_member(a, st, why, err);
	}
	return 0;
}

static zip_file_t *open_member(const archive *a, uint64_t index, const zip_stat_t *st, kith_err *err)
{
	zip_file_t *file = zip_fopen_index(a->zip, index, 0);
	if (!file)
		fail_member(a, st, zip_strerror(a->zip), err);
	return file;
}

/* Where a stored member lies: where libzip reads its first byte. */
static int locate(archive *a, uint64_t index, const zip_stat_t *st, uint64_t *at, kith_err *err)
{
	char first;
	zip_file_t *file = open_member(a, index, st, err);
	if (!file)
		return KITH_EUSAGE;
	int is_read = zip_fread(file, &first, 1) == 1;
	*at = a->last_read;
	zip_fclose(file);
	if (!is_read || st->comp_size != st->size || *at > a->part->bytes || st->size > a->part->bytes - *at)
		return fail_member(a, st, "is not all there: truncated, or its size is wrong", err);
	return 0;
}

/* Its first `bytes`, or all of it and its checksum, to the end of a file. */
static int inflate_to(const archive *a, uint64_t index, const zip_stat_t *st, int fd, uint64_t bytes, kith_err *err)
{
	zip_file_t *file = open_member(a, index, st, err);
	if (!file)
		return KITH_EUSAGE;
	char *buffer = kith_alloc(COPY_BYTES, 1);
	int rc = buffer ? 0 : kith_fail_nomem(err, "a buffer", COPY_BYTES);
	uint64_t done = 0, whole = bytes == st->size;
	for (zip_int64_t got = 1; !rc && got > 0 && (whole || done < bytes);) {
		got = zip_fread(file, buffer, COPY_BYTES < bytes - done || whole ? COPY_BYTES : bytes - done);
		if (got < 0 || (uint64_t)got > bytes - done || (got == 0 && done < bytes))
			rc = fail_member(a, st,
					 got < 0 ? "is damaged: it does not inflate" : "has another size than it says",
					 err);
		else if (kith_write_all(fd, buffer, (size_t)got))
			rc = kith_fail_errno(err, "%s: cannot write the temporary file that it is inflated to",
					     a->part->path);
		done += rc ? 0 : (uint64_t)got;
	}
	free(buffer);
	zip_fclose(file);
	return rc;
}

/* Whether the array ends where its member does: what is behind it in a file is another's. */
static int check_end(const kith_part *p, uint64_t end, kith_err *err)
{
	uint64_t bytes = kith_part_value_bytes(p);
	if (bytes <= end - p->data_at)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s: %.128s in it is truncated: its values need %llu bytes, but it has %llu",
			 p->path, p->entry ? p->entry : "the array", (unsigned long long)bytes,
			 (unsigned long long)(end - p->data_at));
}

/* `at`: where it is in the temporary file. */
static int open_inflated(const archive *a, uint64_t index, const zip_stat_t *st, uint64_t bytes, uint64_t *at,
			 kith_err *err)
{
	kith_part *p = a->part;
	int fd, rc = kith_part_spill(p, bytes, &fd, at, err);
	if (rc || (rc = inflate_to(a, index, st, fd, bytes, err)))
		return rc;
	p->rows_fd = fd;
	p->bytes = *at + bytes; /* of what is read from now on */
	p->spilled = bytes;
	rc = kith_npy_open_at(p, *at, *at + st->size, err);
	p->head_at = p->head_bytes = 0; /* which is of the file that was given */
	return rc;
}

/* ---- the reader ---- */

static int is_npz(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	(void)bytes;
	size_t name = size > 28 ? head[26] | (size_t)head[27] << 8 : 0;
	if (size < 4 || memcmp(head, "PK\3\4", 4))
		return kith_path_ends(path, ".npz") ? KITH_BY_NAME : KITH_NOT_MINE;
	if (name > 4 && 30 + name <= size && !memcmp(head + 30 + name - 4, ".npy", 4))
		return KITH_BY_CONTENT;
	return kith_path_ends(path, ".npz") ? KITH_BY_CONTENT : KITH_NOT_MINE;
}

static int open_npz(kith_part *p, kith_err *err)
{
	archive a;
	zip_stat_t st;
	uint64_t index = 0, at = 0;
	int rc = open_archive(&a, p, err);
	if (!rc && !(rc = find_member(&a, &index, err)) && !(rc = get_member(&a, index, &st, err))) {
		if (st.comp_method != ZIP_CM_STORE)
			rc = open_inflated(&a, index, &st, st.size, &at, err);
		else if (!(rc = locate(&a, index, &st, &at, err)))
			rc = kith_npy_open_at(p, at, at + st.size, err);
		if (!rc)
			rc = check_end(p, at + st.size, err);
	}
	close_archive(&a);
	return rc;
}

/* One array's header: of a deflated one from the beginning of what it inflates to. */
static int see_header(archive *a, uint64_t index, kith_err *err)
{
	zip_stat_t st;
	uint64_t at;
	int rc = get_member(a, index, &st, err);
	if (rc)
		return rc;
	if (st.comp_method != ZIP_CM_STORE)
		return open_inflated(a, index, &st, st.size < HEADER_BYTES ? st.size : HEADER_BYTES, &at, err);
	rc = locate(a, index, &st, &at, err);
	return rc ? rc : kith_npy_open_at(a->part, at, at + st.size, err);
}

static int list_one(archive *a, uint64_t index, const char *name, kith_source_each *each, void *context, kith_err *err)
{
	int spill = -1; /* of this one alone */
	kith_part now = *a->part;
	kith_part *file = a->part;
	kith_source_entry entry = {.name = name, .type = "not one that is read"};
	now.spill = &spill;
	a->part = &now;
	int rc = see_header(a, index, NULL);
	a->part = file;
	if (rc == KITH_ENOMEM || rc == KITH_EIO)
		rc = kith_fail(err, rc, "%s: cannot read %.128s in it", file->path, name);
	else if (!rc)
		entry = (kith_source_entry){NULL,     name,      kith_dtype_name(now.dtype),
					    now.dims, now.shape, kith_part_value_bytes(&now)};
	if (spill >= 0)
		close(spill);
	return rc == KITH_ENOMEM || rc == KITH_EIO ? rc : each(context, &entry, err);
}

static int list_npz(kith_part *p, kith_source_each *each, void *context, kith_err *err)
{
	archive a;
	int rc = open_archive(&a, p, err);
	uint64_t count = rc ? 0 : (uint64_t)zip_get_num_entries(a.zip, 0);
	for (uint64_t i = 0; !rc && i < count; i++) {
		const char *member = zip_get_name(a.zip, i, 0);
		size_t length = array_name(member);
		char *name = length ? strndup(member, length) : NULL;
		if (length)
			rc = name ? list_one(&a, i, name, each, context, err) : kith_fail_nomem(err, "a name", length);
		free(name);
	}
	close_archive(&a);
	return rc;
}

const kith_reader kith_reader_npz = {.name = "npz", .recognise = is_npz, .open = open_npz, .list = list_npz};
