/* infile.c - see infile.h */
#include "infile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_kind(const struct stat *st, const char *path, kith_err *err)
{
	if (S_ISREG(st->st_mode))
		return 0;
	if (S_ISDIR(st->st_mode))
		return kith_fail(err, KITH_EUSAGE, "%s: is a directory: name a file", path);
	if (S_ISFIFO(st->st_mode))
		return kith_fail(err, KITH_EUSAGE, "%s: a pipe: kith reads a file more than once: save it first", path);
	return kith_fail(err, KITH_EUSAGE, "%s: not a regular file: kith reads a file more than once: save it first",
			 path);
}

int kith_infile_open(int *out, const char *path, uint64_t *bytes, kith_err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* the open of a pipe would wait */
	if (fd < 0 && errno == EMFILE)
		return kith_fail(err, KITH_EIO, "%s: cannot open: too many open files: raise the limit, ulimit -n",
				 path);
	if (fd < 0)
		return kith_fail_errno(err, "%s: cannot open", path);
	int rc = fstat(fd, &st) ? kith_fail_errno(err, "%s: cannot open", path) : check_kind(&st, path, err);
	if (rc) {
		close(fd);
		return rc;
	}
	if (bytes)
		*bytes = (uint64_t)st.st_size;
	*out = fd;
	return 0;
}

int kith_infile_stream(FILE **out, const char *path, uint64_t *bytes, kith_err *err)
{
	int fd, rc = kith_infile_open(&fd, path, bytes, err);
	if (rc)
		return rc;
	FILE *file = fdopen(fd, "re");
	if (!file) {
		close(fd);
		return kith_fail_nomem(err, "a file", BUFSIZ);
	}
	*out = file;
	return 0;
}

int kith_is_same_file(const char *one, const char *other)
{
	struct stat a, b;
	return !stat(one, &a) && !stat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

const char *kith_fd_name(int fd, const char *path, char out[KITH_FD_NAME])
{
	snprintf(out, KITH_FD_NAME, "/proc/self/fd/%d", fd);
	return access(out, F_OK) ? path : out;
}
