/* outfile.c - see outfile.h */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kith/alloc.h"

struct kith_outfile {
	char *path; /* where the result goes, symbolic links followed */
	char *part; /* PATH.part, locked while it is ours */
	int fd;
	int write_errno; /* of the first write that failed; 0 if none did */
	FILE *stream;
};

/* stdio forgets why a write failed; this remembers. */
static ssize_t write_all(void *cookie, const char *bytes, size_t size)
{
	kith_outfile *file = cookie;
	size_t done = 0;
	while (done < size) {
		ssize_t n = write(file->fd, bytes + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (!file->write_errno)
				file->write_errno = errno;
			return 0; /* stdio's sign of an error */
		}
		done += (size_t)n;
	}
	return (ssize_t)size;
}

static void release(kith_outfile *file)
{
	if (file->stream)
		fclose(file->stream);
	if (file->fd >= 0)
		close(file->fd); /* gives the lock back */
	free(file->path);
	free(file->part);
	free(file);
}

/* A link stays a link: what it points at is replaced. Anything else that is not a plain file (a directory, /dev/null)
 * must not be renamed over. */
static int resolve(kith_outfile *file, const char *path, kith_err *err)
{
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
		file->path = realpath(path, NULL);
		if (!file->path)
			return kith_fail_errno(err, "%s: cannot follow this link", path);
	} else {
		file->path = strdup(path);
	}
	if (!file->path || asprintf(&file->part, "%s.part", file->path) < 0) {
		file->part = NULL;
		return kith_fail_nomem(err, "a file name", strlen(path) + 6);
	}
	if (stat(file->path, &st) == 0 && !S_ISREG(st.st_mode))
		return kith_fail(err, KITH_EUSAGE, "%s: cannot write: %s", path,
				 S_ISDIR(st.st_mode) ? "it is a directory" : "it is not a plain file");
	return 0;
}

static int open_part(kith_outfile *file, kith_err *err)
{
	struct stat ours, named;
	for (;;) {
		file->fd = open(file->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
		if (file->fd < 0)
			return kith_fail_errno(err, "%s: cannot create", file->part);
		if (fstat(file->fd, &ours))
			return kith_fail_errno(err, "%s: cannot examine", file->part);
		if (!S_ISREG(ours.st_mode))
			return kith_fail(err, KITH_EUSAGE, "%s: in the way, and not a plain file: remove it",
					 file->part);
		if (flock(file->fd, LOCK_EX | LOCK_NB)) {
			if (errno != EWOULDBLOCK)
				return kith_fail_errno(err, "%s: cannot lock", file->part);
			return kith_fail(err, KITH_EIO, "%s: another program is writing this file (%s is locked)",
					 file->path, file->part);
		}
		/* Between open and lock another writer may have finished and renamed this very file to its name, and
		 * truncating it would destroy a finished result: the lock counts only on what is still called PART. */
		if (lstat(file->part, &named) == 0 && named.st_dev == ours.st_dev && named.st_ino == ours.st_ino)
			break;
		close(file->fd);
	}
	return 0;
}

int kith_outfile_open(kith_outfile **out, const char *path, kith_err *err)
{
	static const cookie_io_functions_t calls = {.write = write_all};
	kith_outfile *file = kith_alloc_zero(1, sizeof *file);
	int status;
	if (!file)
		return kith_fail_nomem(err, "an output file", sizeof *file);
	file->fd = -1;
	status = resolve(file, path, err);
	if (!status)
		status = open_part(file, err);
	if (status) { /* a part that exists now is someone else's */
		release(file);
		return status;
	}
	if (ftruncate(file->fd, 0)) {
		status = kith_fail_errno(err, "%s: cannot empty", file->part);
		goto done;
	}
	file->stream = fopencookie(file, "w", calls);
	if (!file->stream || setvbuf(file->stream, NULL, _IOFBF, 1 << 16)) {
		status = kith_fail_nomem(err, "an output buffer", 1 << 16);
		goto done;
	}
	*out = file;
done:
	if (status)
		kith_outfile_abort(file);
	return status;
}

FILE *kith_outfile_stream(kith_outfile *file)
{
	return file->stream;
}

/* A rename is safe on disk once its directory is. Some file systems cannot sync directories and say EINVAL. */
static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, status = -1;
	if (!copy)
		return -1;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		status = fsync(fd) && errno != EINVAL ? -1 : 0;
		close(fd);
	}
	free(copy);
	return status;
}

int kith_outfile_commit(kith_outfile *file, kith_err *err)
{
	int status = 0;
	if (fflush(file->stream) || ferror(file->stream)) {
		errno = file->write_errno ? file->write_errno : EIO;
		status = kith_fail_errno(err, "%s: cannot write", file->path);
	} else if (fsync(file->fd)) {
		status = kith_fail_errno(err, "%s: cannot sync", file->path);
	} else if (rename(file->part, file->path)) {
		status = kith_fail_errno(err, "%s: cannot rename %s to it", file->path, file->part);
	} else if (sync_directory(file->path)) {
		status = kith_fail_errno(err, "%s: cannot sync its directory", file->path);
		unlink(file->path); /* what may not survive a crash must not look finished */
	}
	if (status)
		kith_outfile_abort(file);
	else
		release(file);
	return status;
}

void kith_outfile_abort(kith_outfile *file)
{
	if (!file)
		return;
	unlink(file->part); /* before the lock goes: afterwards the name may be another writer's */
	release(file);
}
