/* spill.c - see spill.h */
#include "spill.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "nameless_file.h"

int kith_spill_open(kith_spill *s, const char *beside, kith_err *err)
{
	int fd = kith_nameless_file(beside);
	*s = (kith_spill){.open = fd >= 0, .fd = fd};
	return s->open ? 0 : kith_fail(err, KITH_EIO, "%s: no temporary file beside it: %s", beside, strerror(errno));
}

void kith_spill_close(kith_spill *s)
{
	if (s->open)
		close(s->fd);
	*s = (kith_spill){0};
}

void kith_spill_buffer(kith_spill *s, char *buffer, size_t size)
{
	s->buffer = buffer;
	s->size = size;
	s->begin = s->end = 0;
}

static int write_all(kith_spill *s, const void *data, size_t bytes, kith_err *err)
{
	return kith_write_all(s->fd, data, bytes) ? kith_fail_errno(err, "a temporary file beside the output") : 0;
}

int kith_spill_flush(kith_spill *s, kith_err *err)
{
	size_t held = s->end;
	s->end = 0;
	return write_all(s, s->buffer, held, err);
}

int kith_spill_append(kith_spill *s, const void *data, size_t bytes, kith_err *err)
{
	int rc = s->end + bytes > s->size ? kith_spill_flush(s, err) : 0;
	s->bytes += bytes;
	if (rc || bytes > s->size)
		return rc ? rc : write_all(s, data, bytes, err);
	memcpy(s->buffer + s->end, data, bytes);
	s->end += bytes;
	return 0;
}

static int read_at(const kith_spill *s, uint64_t at, char *out, size_t bytes, kith_err *err)
{
	if (kith_read_all(s->fd, out, bytes, at))
		return kith_fail(err, KITH_EIO, "a temporary file beside the output: %s",
				 errno == ENODATA ? "is short" : strerror(errno));
	return 0;
}

int kith_spill_read(const kith_spill *s, void *out, kith_err *err)
{
	return read_at(s, 0, out, s->bytes, err);
}

int kith_spill_next(kith_spill *s, void *out, size_t bytes, kith_err *err)
{
	char *to = out;
	while (bytes) {
		size_t there = s->end - s->begin, part = bytes < there ? bytes : there;
		memcpy(to, s->buffer + s->begin, part);
		s->begin += part;
		to += part;
		bytes -= part;
		if (!bytes)
			break;
		size_t more = s->bytes - s->at < s->size ? s->bytes - s->at : s->size;
		int rc = more ? read_at(s, s->at, s->buffer, more, err)
			      : kith_fail(err, KITH_EIO, "a temporary file beside the output: is short");
		if (rc)
			return rc;
		s->at += more;
		s->begin = 0;
		s->end = more;
	}
	return 0;
}
