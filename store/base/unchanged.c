/* unchanged.c - see unchanged.h */
#include "unchanged.h"

#include <sys/stat.h>

static kith_file_state state_of(const struct stat *st)
{
	return (kith_file_state){.regular = S_ISREG(st->st_mode),
				 .device = st->st_dev,
				 .inode = st->st_ino,
				 .bytes = (uint64_t)st->st_size,
				 .seconds = st->st_mtim.tv_sec,
				 .nanoseconds = st->st_mtim.tv_nsec};
}

int kith_file_state_get(kith_file_state *out, int fd, const char *path, kith_err *err)
{
	struct stat st;
	if (fstat(fd, &st))
		return kith_fail_errno(err, "%s", path);
	*out = state_of(&st);
	return 0;
}

int kith_fail_changed(kith_err *err, const char *path)
{
	return kith_fail(err, KITH_EIO, "%s: changed while it was read: run this again when nothing writes to it",
			 path);
}

static int is_same(const kith_file_state *a, const kith_file_state *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes && a->seconds == b->seconds &&
	       a->nanoseconds == b->nanoseconds;
}

int kith_file_unchanged(const kith_file_state *was, int fd, const char *path, kith_err *err)
{
	struct stat st;
	kith_file_state is;
	int rc = was->regular && fd >= 0 ? kith_file_state_get(&is, fd, path, err) : 0;
	if (rc || !was->regular)
		return rc;
	if (fd >= 0 && !is_same(was, &is))
		return kith_fail_changed(err, path);
	if (stat(path, &st))
		return fd < 0 ? kith_fail_errno(err, "%s", path) : 0;
	is = state_of(&st);
	return is_same(was, &is) ? 0 : kith_fail_changed(err, path);
}
