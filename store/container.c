/* container.c - the one file that includes lmdb.h; see container.h and FORMAT.md. */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "atomic_file.h"
#include "hash.h"
#include "infile.h"
#include "unchanged.h"

#define PAGE        4096u       /* LMDB's page is the system's, and the format fixes it */
#define HEAD        16u         /* bytes of a page before what is in it */
#define BATCH_BYTES (16u << 20) /* values per transaction: large enough for speed, small enough for any budget */
#define MAP_SLACK   (1u << 20)

struct kith_container {
	kith_container_kind kind;
	kith_atomic_file *part; /* NULL when reading, and once sealed */
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *reading, *writing;
	size_t written;        /* bytes put in the open write transaction */
	kith_file_state state; /* when reading: of the file as it was opened */
	char path[];
};

static int lmdb_fail(const kith_container *c, int code, const char *what, kith_err *err)
{
	if (code == ENOMEM)
		return kith_fail(err, KITH_ENOMEM, "%s: %s: not enough memory or address space (ulimit -v?)", c->path,
				 what);
	if (code == EMFILE)
		return kith_fail(err, KITH_EIO, "%s: %s: too many open files: raise the limit, ulimit -n", c->path,
				 what);
	/* LMDB reports a short write, as a full disk causes, as an I/O error */
	return kith_fail(err, KITH_EIO, "%s: %s: %s%s", c->part ? kith_atomic_file_temporary(c->part) : c->path, what,
			 mdb_strerror(code), c->part && code == EIO ? " (is the disk full?)" : "");
}

static kith_container *new_container(const char *path, kith_container_kind kind, kith_err *err)
{
	size_t bytes = sizeof(kith_container) + strlen(path) + 1;
	kith_container *c = kith_alloc_zero(bytes, 1);
	if (!c) {
		kith_fail_nomem(err, "a file", bytes);
		return NULL;
	}
	c->kind = kind;
	strcpy(c->path, path);
	return c;
}

/* Keys sort by table, then block: LMDB compares bytes, so both are big-endian. */
static void make_key(uint8_t key[5], uint32_t table, uint32_t block)
{
	key[0] = (uint8_t)table;
	for (int i = 0; i < 4; i++)
		key[1 + i] = (uint8_t)(block >> (24 - 8 * i));
}

/* ---- the tail ---- */

/* The last page of a sealed file. `hash` covers the tail's own bytes before it. */
struct tail {
	char magic[8];
	uint32_t version, page;
	uint64_t file_bytes;
	uint64_t structure; /* structure_hash of all the pages before the tail */
	uint64_t hash;
};
#define TAIL_VERSION 1

/* By kind: the tail's magic, and the name of such a file in messages. */
static const struct kind {
	char magic[9];
	const char *name;
} kinds[] = {
	[KITH_CONTAINER_GRAPH] = {"KITHTAIL", "a kith graph (kith-knn makes them)"},
	[KITH_CONTAINER_PAIRS] = {"KITHPAIR", "a pair store (.kpr)"},
	[KITH_CONTAINER_GENERATORS] = {"KITHGENS", "a file of generators (.kh0)"},
};

/* Reads a page's head and, unless it begins an overflow run (as nearly all pages do), the rest of the page. */
static int read_page(int fd, uint64_t p, uint8_t *page, int *is_run)
{
	off_t at = (off_t)(p * PAGE);
	uint16_t flags;
	if (pread(fd, page, HEAD, at) != (ssize_t)HEAD)
		return -1;
	memcpy(&flags, page + 10, 2);
	*is_run = flags & 4;
	return *is_run || pread(fd, page + HEAD, PAGE - HEAD, at + HEAD) == (ssize_t)(PAGE - HEAD) ? 0 : -1;
}

/* Hashes every page except the insides of overflow pages, where values live. An LMDB page starts with pgno u64, pad
 * u16, flags u16, then for an overflow run (flag 4) its length in pages u32. Whatever the bytes, this is a function of
 * them, so a change anywhere outside the values changes it; it need not know which pages are in use. */
static int structure_hash(int fd, uint64_t bytes, uint64_t *out, const char *path, kith_err *err)
{
	uint8_t page[PAGE];
	uint64_t pages = bytes / PAGE;
	int rc = 0;
	kith_hash_state *hash = kith_hash_new();
	if (!hash)
		return kith_fail_nomem(err, "a hash", 1024);

	for (uint64_t p = 0; p < pages;) {
		uint32_t run = 1;
		int is_run;
		if (read_page(fd, p, page, &is_run)) {
			rc = kith_fail_errno(err, "%s: cannot read page %llu", path, (unsigned long long)p);
			break;
		}
		if (is_run)
			memcpy(&run, page + 12, 4);
		kith_hash_update(hash, page, is_run ? HEAD : PAGE);
		p += run ? run : 1;
	}
	*out = kith_hash_value(hash);
	kith_hash_free(hash);
	return rc;
}

static int append_tail(kith_atomic_file *part, kith_container_kind kind, kith_err *err)
{
	uint8_t page[PAGE] = {0};
	struct stat st;
	const char *name = kith_atomic_file_temporary(part);
	int fd = kith_atomic_file_fd(part);
	if (fstat(fd, &st))
		return kith_fail_errno(err, "%s", name);
	uint64_t bytes = ((uint64_t)st.st_size + PAGE - 1) / PAGE * PAGE;
	struct tail tail = {.version = TAIL_VERSION, .page = PAGE, .file_bytes = bytes + PAGE};

	memcpy(tail.magic, kinds[kind].magic, sizeof tail.magic);
	if (bytes != (uint64_t)st.st_size && ftruncate(fd, (off_t)bytes))
		return kith_fail_errno(err, "%s", name);
	if (structure_hash(fd, bytes, &tail.structure, name, err))
		return KITH_EIO;
	tail.hash = kith_hash(&tail, offsetof(struct tail, hash));
	memcpy(page, &tail, sizeof tail);
	if (pwrite(fd, page, PAGE, (off_t)bytes) != PAGE)
		return kith_fail_errno(err, "%s: cannot write", name);
	return 0;
}

/* Refuses a tail of another kind; bytes that are no tail mean that the file is not whole. */
static int check_kind(const struct tail *tail, uint64_t size, kith_container_kind kind, const char *path, kith_err *err)
{
	if (!memcmp(tail->magic, kinds[kind].magic, sizeof tail->magic))
		return 0;
	for (size_t other = 0; other < sizeof kinds / sizeof *kinds; other++)
		if (!memcmp(tail->magic, kinds[other].magic, sizeof tail->magic))
			return kith_fail(err, KITH_EUSAGE, "%s: is %s, not %s", path, kinds[other].name,
					 kinds[kind].name);
	return kith_fail(err, KITH_ECORRUPT,
			 "%s: truncated or grown: %llu bytes, which do not end as a whole file does; build it again",
			 path, (unsigned long long)size);
}

/* Checks that the file is whole and its pages are as they were written; *bytes is then its size. */
static int check_tail(int fd, kith_container_kind kind, const char *path, uint64_t *bytes, kith_err *err)
{
	struct stat st;
	struct tail tail = {0};
	uint32_t lmdb_magic = 0;
	uint64_t structure;
	int rc;

	if (fstat(fd, &st))
		return kith_fail_errno(err, "%s", path);
	uint64_t size = (uint64_t)st.st_size;
	if (size < 24 || pread(fd, &lmdb_magic, 4, 16) != 4 || lmdb_magic != 0xBEEFC0DEu)
		return kith_fail(err, KITH_EUSAGE, "%s: not %s", path, kinds[kind].name);
	if (size % PAGE == 0 && size >= 3 * PAGE && pread(fd, &tail, sizeof tail, (off_t)(size - PAGE)) != sizeof tail)
		return kith_fail_errno(err, "%s: cannot read its last page", path);
	if ((rc = check_kind(&tail, size, kind, path, err)))
		return rc;
	if (tail.hash != kith_hash(&tail, offsetof(struct tail, hash)))
		return kith_fail(err, KITH_ECORRUPT, "%s: its last page is damaged; build it again", path);
	if (tail.version != TAIL_VERSION || tail.page != PAGE)
		return kith_fail(err, KITH_EUSAGE, "%s: container version %u, page size %u: this kith reads %d and %u",
				 path, tail.version, tail.page, TAIL_VERSION, PAGE);
	if (tail.file_bytes != size)
		return kith_fail(err, KITH_ECORRUPT, "%s: holds %llu bytes, but was written with %llu; build it again",
				 path, (unsigned long long)size, (unsigned long long)tail.file_bytes);
	if (structure_hash(fd, size - PAGE, &structure, path, err))
		return KITH_EIO;
	if (structure != tail.structure)
		return kith_fail(err, KITH_ECORRUPT, "%s: its index pages are damaged; build it again", path);
	*bytes = size;
	return 0;
}

/* ---- writing ---- */

static int commit(kith_container *c, kith_err *err)
{
	if (!c->writing)
		return 0;
	int code = mdb_txn_commit(c->writing);
	c->writing = NULL;
	c->written = 0;
	return code ? lmdb_fail(c, code, "cannot write", err) : 0;
}

static void stop_reading(kith_container *c)
{
	if (c->reading)
		mdb_txn_abort(c->reading);
	c->reading = NULL;
}

/* Whether LMDB has opened the file that `fd` is, and no other one of that name. */
static int is_same_file(MDB_env *env, int fd)
{
	struct stat ours, its;
	int other;
	return !mdb_env_get_fd(env, &other) && !fstat(fd, &ours) && !fstat(other, &its) && ours.st_dev == its.st_dev &&
	       ours.st_ino == its.st_ino;
}

/* Opens the environment on an open file: by a name that leads to that one, as its own may lead elsewhere meanwhile.
 * Returns 0 or what LMDB says. */
static int open_environment(kith_container *c, int fd, const char *path, size_t map, unsigned flags)
{
	char name[KITH_FD_NAME];
	int code;
	if ((code = mdb_env_create(&c->env)) || (code = mdb_env_set_mapsize(c->env, map)) ||
	    (code = mdb_env_open(c->env, kith_fd_name(fd, path, name), MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | flags,
				 0666)))
		return code;
	return is_same_file(c->env, fd) ? 0 : EBUSY;
}

int kith_container_create(kith_container **out, const char *path, kith_container_kind kind, kith_err *err)
{
	int rc, code;
	kith_container *c = new_container(path, kind, err);
	if (!c)
		return KITH_ENOMEM;
	if ((rc = kith_atomic_file_open(&c->part, path, err)))
		goto done;
	/* No lock file: the part's lock keeps writers apart, and readers see only sealed files. No sync per commit: one
	 * at the end, before the rename, is what durability here means. */
	if ((code = open_environment(c, kith_atomic_file_fd(c->part), kith_atomic_file_temporary(c->part), MAP_SLACK,
				     MDB_NOSYNC)) ||
	    (code = mdb_txn_begin(c->env, NULL, 0, &c->writing)) || (code = mdb_dbi_open(c->writing, NULL, 0, &c->dbi)))
		rc = lmdb_fail(c, code, "cannot create", err);
	else
		rc = commit(c, err);
done:
	if (rc)
		kith_container_close(c);
	else
		*out = c;
	return rc;
}

/* Opens a write transaction with room in the map for `size` bytes and a batch more. Growing before it is needed means
 * that MDB_MAP_FULL, which would lose the transaction, cannot happen; growing by what is used means that a small
 * address space (ulimit -v) is asked for no more than the file needs. */
static int begin_writing(kith_container *c, size_t size, kith_err *err)
{
	MDB_envinfo info;
	int code;

	stop_reading(c);
	mdb_env_info(c->env, &info);
	size_t need = (info.me_last_pgno + 1) * PAGE + size + BATCH_BYTES + MAP_SLACK;
	if (need > info.me_mapsize && (code = mdb_env_set_mapsize(c->env, need + need / 4 / PAGE * PAGE)))
		return lmdb_fail(c, code, "cannot map", err);
	code = mdb_txn_begin(c->env, NULL, 0, &c->writing);
	return code ? lmdb_fail(c, code, "cannot write", err) : 0;
}

int kith_container_put(kith_container *c, uint32_t table, uint32_t block, const void *bytes, size_t size, kith_err *err)
{
	uint8_t name[5];
	int rc, code;

	if (size > 0xfffffff0u)
		return kith_fail(err, KITH_EUSAGE, "%s: a block of %zu bytes is more than the store can hold", c->path,
				 size);
	if (c->writing && c->written + size > BATCH_BYTES && (rc = commit(c, err)))
		return rc;
	if (!c->writing && (rc = begin_writing(c, size, err)))
		return rc;
	make_key(name, table, block);
	MDB_val key = {5, name}, value = {size, (void *)(uintptr_t)bytes};
	if ((code = mdb_put(c->writing, c->dbi, &key, &value, MDB_NOOVERWRITE))) {
		mdb_txn_abort(c->writing);
		c->writing = NULL;
		return lmdb_fail(c, code, "cannot write", err);
	}
	/* each value costs its pages, and up to a few index pages copied on write */
	c->written += size + 4 * PAGE;
	return 0;
}

int kith_container_seal(kith_container *c, kith_err *err)
{
	kith_atomic_file *part = c->part;
	int rc = commit(c, err);
	if (rc)
		return rc;
	stop_reading(c);
	mdb_env_close(c->env);
	c->env = NULL;
	if ((rc = append_tail(part, c->kind, err)))
		return rc;
	c->part = NULL;
	return kith_atomic_file_commit(part, err);
}

/* ---- reading ---- */

int kith_container_open(kith_container **out, const char *path, kith_container_kind kind, kith_err *err)
{
	int code, fd = -1;
	uint64_t bytes = 0;
	kith_container *c = NULL;
	kith_file_state state;
	int rc = kith_infile_open(&fd, path, NULL, err);

	if (rc || (rc = kith_file_state_get(&state, fd, path, err)) || (rc = check_tail(fd, kind, path, &bytes, err)))
		goto done;
	if (!(c = new_container(path, kind, err))) {
		rc = KITH_ENOMEM;
		goto done;
	}
	c->state = state;
	/* The map is as large as the file, no larger: the writer's map size, which LMDB would use, may be. */
	if ((code = open_environment(c, fd, path, (size_t)bytes, MDB_RDONLY)) ||
	    (code = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->reading)) ||
	    (code = mdb_dbi_open(c->reading, NULL, 0, &c->dbi)))
		rc = lmdb_fail(c, code, "cannot open", err);
done:
	if (fd >= 0)
		close(fd);
	if (rc)
		kith_container_close(c);
	else
		*out = c;
	return rc;
}

int kith_container_unchanged(const kith_container *c, kith_err *err)
{
	int fd, code = mdb_env_get_fd(c->env, &fd);
	return code ? lmdb_fail(c, code, "cannot read", err) : kith_file_unchanged(&c->state, fd, c->path, err);
}

int kith_container_get(kith_container *c, uint32_t table, uint32_t block, const void **bytes, size_t *size,
		       kith_err *err)
{
	uint8_t name[5];
	int code;

	/* Where a transaction ends decides which pages the next one takes, so that is left to the puts alone: a file's
	 * bytes do not depend on when it is read on the way. */
	if (!c->writing && !c->reading && (code = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->reading)))
		return lmdb_fail(c, code, "cannot read", err);
	make_key(name, table, block);
	MDB_val key = {5, name}, value;
	code = mdb_get(c->writing ? c->writing : c->reading, c->dbi, &key, &value);
	if (code == MDB_NOTFOUND)
		return kith_fail(err, KITH_ECORRUPT, "%s: value %u/%u is missing", c->path, table, block);
	if (code)
		return lmdb_fail(c, code, "cannot read", err);
	*bytes = value.mv_data;
	*size = value.mv_size;
	return 0;
}

const char *kith_container_path(const kith_container *c)
{
	return c->path;
}

void kith_container_close(kith_container *c)
{
	if (!c)
		return;
	if (c->writing)
		mdb_txn_abort(c->writing);
	stop_reading(c);
	if (c->env)
		mdb_env_close(c->env);
	kith_atomic_file_abort(c->part);
	free(c);
}
