/* atomic_file.c - see atomic_file.h */
#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"

struct kith_atomic_file {
	char *path;    /* NAME: where the result goes, symbolic links followed */
	char *part;    /* NAME.part */
	int fd;        /* of NAME.part, locked */
	int directory; /* that it is in; -1 if it may not be read, and so not synced */
};

static void release(kith_atomic_file *p)
{
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
	if (!p->path || asprintf(&p->part, "%s.part", p->path) < 0) {
		p->part = NULL;
		return kith_fail_nomem(err, "a file name", strlen(path) + 6);
	}
	if (!stat(p->path, &st) && !S_ISREG(st.st_mode))
		return kith_fail(err, KITH_EUSAGE, "%s: cannot write: it is %s", path,
				 S_ISDIR(st.st_mode) ? "a directory" : "not a plain file");
	return 0;
}

/* Opened before the work, so that only the sync itself is left to fail after it. */
static int open_directory(kith_atomic_file *p, kith_err *err)
{
	int rc = 0;
	char *copy = strdup(p->path);
	if (!copy)
		return kith_fail_nomem(err, "a file name", strlen(p->path));
	p->directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->directory < 0 &&
	    errno != EACCES) /* the right to create files in a directory does not imply the right to read it */
		rc = kith_fail_errno(err, "%s: cannot open its directory", p->path);
	free(copy);
	return rc;
}

/* Between open and lock the writer that had the lock may have renamed the file to NAME, or removed it: what we then
 * locked is a finished result, which must not be emptied, or nothing. So the lock counts only if the name still leads
 * to the file. */
static int lock_part(kith_atomic_file *p, kith_err *err)
{
	struct stat ours, named;
	for (int tries = 0; tries < 10; tries++) {
		if (!lstat(p->part, &named) && !S_ISREG(named.st_mode))
			return kith_fail(err, KITH_EUSAGE, "%s: in the way, and not a plain file: remove it", p->part);
		p->fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
		if (p->fd < 0)
			return kith_fail_errno(err, "%s: cannot create", p->part);
		if (flock(p->fd, LOCK_EX | LOCK_NB)) {
			if (errno != EWOULDBLOCK)
				return kith_fail_errno(err, "%s: cannot lock", p->part);
			break;
		}
		if (!fstat(p->fd, &ours) && !lstat(p->part, &named) && S_ISREG(ours.st_mode) &&
		    ours.st_dev == named.st_dev && ours.st_ino == named.st_ino)
			return 0;
		close(p->fd);
		p->fd = -1;
	}
	return kith_fail(err, KITH_EIO, "%s: another program is writing this file (%s is locked)", p->path, p->part);
}

int kith_atomic_file_open(kith_atomic_file **out, const char *path, kith_err *err)
{
	int rc;
	kith_atomic_file *p = kith_alloc_zero(1, sizeof *p);
	if (!p)
		return kith_fail_nomem(err, "an output file", sizeof *p);
	p->fd = p->directory = -1;
	if ((rc = resolve(p, path, err)) || (rc = open_directory(p, err)) || (rc = lock_part(p, err))) {
		release(p); /* a part that exists now is someone else's */
		return rc;
	}
	if (ftruncate(p->fd, 0)) {
		rc = kith_fail_errno(err, "%s: cannot empty", p->part);
		kith_atomic_file_abort(p);
		return rc;
	}
	*out = p;
	return 0;
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

/* The rename is safe on disk once the directory is. Some file systems cannot sync directories, and say so. */
static int sync_directory(const kith_atomic_file *p)
{
	return p->directory >= 0 && fsync(p->directory) && errno != EINVAL && errno != ENOTSUP ? -1 : 0;
}

int kith_atomic_file_commit(kith_atomic_file *p, kith_err *err)
{
	int rc = 0;
	if (fsync(p->fd))
		rc = kith_fail_errno(err, "%s: cannot sync", p->part);
	else if (rename(p->part, p->path))
		rc = kith_fail_errno(err, "%s: cannot rename to %s", p->part, p->path);
	if (rc) {
		kith_atomic_file_abort(p);
		return rc;
	}
	if (sync_directory(p)) {
		rc = kith_fail_errno(err, "%s: cannot sync its directory", p->path);
		unlink(p->path); /* what may not survive a crash must not look finished */
	}
	release(p);
	return rc;
}

void kith_atomic_file_abort(kith_atomic_file *p)
{
	if (!p)
		return;
	unlink(p->part); /* before the lock goes: afterwards the name may be another writer's */
	release(p);
}
