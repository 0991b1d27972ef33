/* io.c - see io.h */
#include "io.h"

#include <errno.h>
#include <unistd.h>

int kith_read_all(int fd, void *out, size_t size, uint64_t at)
{
	char *to = out;
	while (size) {
		ssize_t got = pread(fd, to, size, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (!got)
				errno = ENODATA;
			return -1;
		}
		to += got;
		at += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

int kith_write_all(int fd, const void *data, size_t bytes)
{
	const char *from = data;
	while (bytes) {
		ssize_t done = write(fd, from, bytes);
		if (done < 0 && errno != EINTR)
			return -1;
		from += done > 0 ? done : 0;
		bytes -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}
