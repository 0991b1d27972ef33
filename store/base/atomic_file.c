/* atomic_file.c - see atomic_file.h */
#include "atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"

#define LETTERS 6
#define ENDING  ".part"
#define ADDED   (1 + LETTERS + sizeof ENDING) /* what a part's name has more than NAME, and the end of the string */
#define SLOTS   16

struct kith_atomic_file {
	char *path;          /* NAME: where the result goes, symbolic links followed */
	char *part;          /* NAME.xxxxxx.part; if NAME is very long, the first bytes of it */
	size_t folder, stem; /* bytes of `part` up to the last slash and with it, and after it up to the letters' dot */
	int fd;              /* of the part, locked */
	int directory;       /* that it is in; -1 if it may not be read, and so not synced */
	int has_lock, slot;
};

/* ---- for a signal handler ---- */

/* The names of all parts. They stand in fixed places, as a handler may look at any time: a slot is taken (1), then
 * filled (2), then given back (0). */
static struct slot {
	int state;
	char name[PATH_MAX];
} slots[SLOTS];

static int take_slot(const char *name)
{
	for (int s = 0; strlen(name) < PATH_MAX && s < SLOTS; s++) {
		int nobody = 0;
		if (!__atomic_compare_exchange_n(&slots[s].state, &nobody, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		strcpy(slots[s].name, name);
		__atomic_store_n(&slots[s].state, 2, __ATOMIC_RELEASE);
		return s;
	}
	return -1;
}

static void give_slot_back(int slot)
{
	if (slot >= 0)
		__atomic_store_n(&slots[slot].state, 0, __ATOMIC_RELEASE);
}

void kith_atomic_file_remove_all(void)
{
	int saved = errno;
	for (int s = 0; s < SLOTS; s++)
		if (__atomic_load_n(&slots[s].state, __ATOMIC_ACQUIRE) == 2)
			unlink(slots[s].name);
	errno = saved;
}

/* ---- the names ---- */

static void release(kith_atomic_file *p)
{
	give_slot_back(p->slot);
	if (p->directory >= 0)
		close(p->directory);
	if (p->fd >= 0)
		close(p->fd); /* gives the lock back */
	free(p->path);
	free(p->part);
	free(p);
}

/* Anything but a plain file must not be renamed over: that fails on a directory, after all the work, and puts a file in
 * the place of a device. */
static int resolve(kith_atomic_file *p, const char *path, kith_err *err)
{
	struct stat st;
	if (!*path)
		return kith_fail(err, KITH_EUSAGE, "the output's name is empty: name a file");
	if (!lstat(path, &st) && S_ISLNK(st.st_mode)) {
		if (!(p->path = realpath(path, NULL)))
			return kith_fail_errno(err, "%s: cannot follow this link", path);
	} else {
		p->path = strdup(path);
	}
	if (!p->path || !(p->part = kith_alloc(strlen(p->path) + ADDED, 1)))
		return kith_fail_nomem(err, "a file name", strlen(path) + ADDED);
	if (!stat(p->path, &st) && !S_ISREG(st.st_mode))
		return kith_fail(err, KITH_EUSAGE, "%s: cannot write: it is %s", path,
				 S_ISDIR(st.st_mode) ? "a directory" : "not a plain file");
	const char *slash = strrchr(p->path, '/');
	p->folder = slash ? (size_t)(slash + 1 - p->path) : 0;
	p->stem = strnlen(p->path + p->folder, NAME_MAX + 1 - ADDED);
	memcpy(p->part, p->path, p->folder + p->stem);
	return 0;
}

/* Opened before the work, so that only the sync itself is left to fail after it. */
static int open_directory(kith_atomic_file *p, kith_err *err)
{
	int rc = 0;
	char *name = p->folder ? strndup(p->path, p->folder) : strdup(".");
	if (!name)
		return kith_fail_nomem(err, "a file name", p->folder);
	p->directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->directory < 0 &&
	    errno != EACCES) /* the right to create files in a directory does not imply the right to read it */
		rc = kith_fail_errno(err, "%s: cannot open its directory", p->path);
	free(name);
	return rc;
}

static int draw_name(kith_atomic_file *p, kith_err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	unsigned char random[LETTERS];
	char *at = p->part + p->folder + p->stem;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return kith_fail_errno(err, "%s: cannot draw a name for its part", p->path);
	*at++ = '.';
	for (int l = 0; l < LETTERS; l++)
		*at++ = letters[random[l] % (sizeof letters - 1)];
	strcpy(at, ENDING);
	return 0;
}

/* Whether the part's name still leads to the file that is written. */
static int is_there(const kith_atomic_file *p)
{
	struct stat ours, named;
	return !fstat(p->fd, &ours) && !lstat(p->part, &named) && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

/* Creates a part. Until it is locked, another writer may take it for what a killed one left behind, and remove it: then
 * there must be another one. */
static int create_part(kith_atomic_file *p, kith_err *err)
{
	for (int tries = 0; tries < 100; tries++) {
		int rc = draw_name(p, err);
		if (rc)
			return rc;
		p->slot = take_slot(p->part);
		p->fd = open(p->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (p->fd < 0 && errno != EEXIST)
			return kith_fail_errno(err, "%s: cannot create", p->part);
		if (p->fd >= 0) {
			p->has_lock = !flock(p->fd, LOCK_EX | LOCK_NB);
			if ((p->has_lock || errno != EWOULDBLOCK) && is_there(p))
				return 0;
			close(p->fd);
			p->fd = -1;
		}
		give_slot_back(p->slot);
		p->slot = -1;
	}
	return kith_fail(err, KITH_EIO, "%s: cannot create: another program removes its parts", p->path);
}

/* ---- other parts of the same output ---- */

/* Whether `name` is that of a part of our output, and not our own. */
static int is_sibling(const kith_atomic_file *p, const char *name)
{
	const char *own = p->part + p->folder;
	return strlen(name) == strlen(own) && strcmp(name, own) && !memcmp(name, own, p->stem + 1) &&
	       !strcmp(name + p->stem + 1 + LETTERS, ENDING);
}

/* Removes what a writer that was killed has left. Returns 1 if the writer lives. A file of another user, or one that
 * another name leads to, is none of ours. */
static int look_at_sibling(const kith_atomic_file *p, const char *name)
{
	struct stat ours, its, named;
	int lives = 0;
	if (fstatat(p->directory, name, &named, AT_SYMLINK_NOFOLLOW) || !S_ISREG(named.st_mode))
		return 0;
	int fd = openat(p->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	if (!fstat(p->fd, &ours) && !fstat(fd, &its) && S_ISREG(its.st_mode) && its.st_uid == ours.st_uid &&
	    its.st_nlink == 1) {
		if (flock(fd, LOCK_EX | LOCK_NB))
			lives = errno == EWOULDBLOCK;
		else if (!fstatat(p->directory, name, &named, AT_SYMLINK_NOFOLLOW) && named.st_dev == its.st_dev &&
			 named.st_ino == its.st_ino) /* its writer has not finished since */
			unlinkat(p->directory, name, 0);
	}
	close(fd);
	return lives;
}

static int look_at_siblings(const kith_atomic_file *p, kith_err *err)
{
	int rc = 0, fd = p->has_lock && p->directory >= 0 ? openat(p->directory, ".", O_RDONLY | O_CLOEXEC) : -1;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !folder)
		close(fd);
	for (struct dirent *entry; folder && !rc && (entry = readdir(folder));)
		if (is_sibling(p, entry->d_name) && look_at_sibling(p, entry->d_name))
			rc = kith_fail(err, KITH_EIO, "%s: another program is writing this file (%s is locked)",
				       p->path, entry->d_name);
	if (folder)
		closedir(folder);
	return rc;
}

/* ---- */

int kith_atomic_file_open(kith_atomic_file **out, const char *path, kith_err *err)
{
	int rc;
	kith_atomic_file *p = kith_alloc_zero(1, sizeof *p);
	if (!p)
		return kith_fail_nomem(err, "an output file", sizeof *p);
	p->fd = p->directory = p->slot = -1;
	if ((rc = resolve(p, path, err)) || (rc = open_directory(p, err)) || (rc = create_part(p, err)))
		release(p);
	else if ((rc = look_at_siblings(p, err)))
		kith_atomic_file_abort(p);
	else
		*out = p;
	return rc;
}

int kith_atomic_file_fd(const kith_atomic_file *p)
{
	return p->fd;
}

const char *kith_atomic_file_path(const kith_atomic_file *p)
{
	return p->path;
}

const char *kith_atomic_file_temporary(const kith_atomic_file *p)
{
	return p->part;
}

/* ---- the end ---- */

enum older { NONE, KEPT, LOST }; /* what was NAME: nothing; now the part's name leads to it; written over */

static int exchange(const kith_atomic_file *p)
{
	return renameat2(AT_FDCWD, p->part, AT_FDCWD, p->path, RENAME_EXCHANGE);
}

/* Gives the part NAME, and if possible what has been NAME the part's name, so that it can come back. */
static int put_in_place(const kith_atomic_file *p, enum older *older)
{
	struct stat st;
	if (!exchange(p)) {
		*older = KEPT;
		if (lstat(p->part, &st) || !S_ISDIR(st.st_mode))
			return 0;
		exchange(p); /* a directory that somebody has made there meanwhile */
		errno = EISDIR;
		return -1;
	}
	*older = lstat(p->path, &st) ? NONE : LOST; /* the file system may not know how to exchange */
	return rename(p->part, p->path);
}

/* The rename is safe on disk once the directory is. Some file systems cannot sync directories, and say so. */
static int sync_directory(const kith_atomic_file *p)
{
	return p->directory >= 0 && fsync(p->directory) && errno != EINVAL && errno != ENOTSUP ? -1 : 0;
}

/* What may not survive a crash must not look finished. */
static int undo(const kith_atomic_file *p, enum older older, kith_err *err)
{
	int rc = kith_fail_errno(err, "%s: cannot sync its directory%s", p->path,
				 older == LOST   ? " (the file is whole, but after a crash it may be the older one)"
				 : older == KEPT ? " (the older file stays)"
						 : "");
	if (older == NONE)
		unlink(p->path);
	else if (older == KEPT && !exchange(p))
		unlink(p->part);
	return rc;
}

int kith_atomic_file_commit(kith_atomic_file *p, kith_err *err)
{
	enum older older = NONE;
	int rc = 0;
	if (fsync(p->fd))
		rc = kith_fail_errno(err, "%s: cannot sync", p->part);
	else if (!is_there(p))
		rc = kith_fail(err, KITH_EIO, "%s: another program has removed it", p->part);
	else if (put_in_place(p, &older))
		rc = kith_fail_errno(err, "%s: cannot rename to %s", p->part, p->path);
	if (rc) {
		kith_atomic_file_abort(p);
		return rc;
	}
	if (sync_directory(p))
		rc = undo(p, older, err);
	else if (older == KEPT)
		unlink(p->part);
	release(p);
	return rc;
}

void kith_atomic_file_abort(kith_atomic_file *p)
{
	if (!p)
		return;
	if (is_there(p))
		unlink(p->part);
	release(p);
}
