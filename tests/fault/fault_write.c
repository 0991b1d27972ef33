/* fault_write.c - the n-th write or sync of a file of generators fails, for every n: kith_h0_build then says so, leaves
 * nothing behind and an older file as it was, and works once the disk does. This program's own calls stand before the C
 * library's, for kith and for LMDB. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kith/h0.h"
#include "random_net.h"
#include "rng.h"
#include "sandbox.h"

static long left; /* calls until the one that fails; 0: none does */

static int fails(int why)
{
	if (!left || --left)
		return 0;
	errno = why;
	return 1;
}

#pragma GCC visibility push(default) /* for LMDB */
ssize_t write(int fd, const void *bytes, size_t size)
{
	return fails(ENOSPC) ? -1 : (ssize_t)syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	return fails(ENOSPC) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return fails(ENOSPC) ? -1 : (ssize_t)syscall(SYS_writev, fd, parts, count);
}

int ftruncate(int fd, off_t size)
{
	return fails(ENOSPC) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fsync(int fd)
{
	return fails(EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fails(EIO) ? -1 : (int)syscall(SYS_fdatasync, fd);
}
#pragma GCC visibility pop

static int holds(const char *path, const char *text)
{
	size_t size = 0;
	unsigned char *bytes = sandbox_read(path, &size);
	int same = bytes && size == strlen(text) && !memcmp(bytes, text, size);
	free(bytes);
	return same;
}

/* Until nothing is left to fail. */
static int walk(const char *net, const char *output, int values)
{
	static const char older[] = "older";
	long failures = 0;
	int status = -1;
	for (long nth = 1; status; nth++) {
		kith_h0_options options;
		kith_h0_summary summary;
		kith_err err = {0};
		kith_h0_defaults(&options);
		options.threads = 1; /* the countdown is not thread safe */
		options.values = values;
		sandbox_write(output, older, strlen(older));
		size_t entries = sandbox_entries();
		left = nth;
		status = kith_h0_build(net, output, &options, &summary, &err);
		left = 0;
		failures += status != 0;
		if (sandbox_entries() != entries ||
		    (status && (status != KITH_EIO || !err.msg[0] || !holds(output, older)))) {
			printf("FAILED: write or sync %ld: status %d, \"%s\"\n", nth, status, err.msg);
			return 1;
		}
	}
	printf("kith_h0_build: %ld writes and syncs failed one by one\n", failures);
	return failures < 4; /* pages, tail, file, folder */
}

int main(void)
{
	rng r = {9};
	random_net net;
	char json[SANDBOX_PATH], output[SANDBOX_PATH];
	random_net_draw(&net, &r);
	random_net_write(&net, "net", json, sizeof json);
	sandbox_path(output, "output.kh0");
	int failed = walk(json, output, 1) + walk(json, output, 0);
	random_net_free(&net);
	return failed != 0;
}
