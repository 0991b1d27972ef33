/* outfile.c - see outfile.h */
#include "outfile.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "atomic_file.h"

struct kith_outfile {
	kith_atomic_file *part;
	int write_errno; /* of the first write that failed; 0 if none did */
	FILE *stream;
};

/* stdio forgets why a write failed; this remembers. */
static ssize_t write_all(void *cookie, const char *bytes, size_t size)
{
	kith_outfile *file = cookie;
	size_t done = 0;
	while (done < size) {
		ssize_t n = write(kith_atomic_file_fd(file->part), bytes + done, size - done);
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

static int seek_to(void *cookie, off64_t *offset, int whence)
{
	kith_outfile *file = cookie;
	off64_t at = lseek(kith_atomic_file_fd(file->part), *offset, whence);
	if (at < 0)
		return -1;
	*offset = at;
	return 0;
}

int kith_outfile_open(kith_outfile **out, const char *path, kith_err *err)
{
	static const cookie_io_functions_t calls = {.write = write_all, .seek = seek_to};
	kith_outfile *file = kith_alloc_zero(1, sizeof *file);
	int status;
	if (!file)
		return kith_fail_nomem(err, "an output file", sizeof *file);
	if ((status = kith_atomic_file_open(&file->part, path, err)))
		goto done;
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

int kith_outfile_commit(kith_outfile *file, kith_err *err)
{
	kith_atomic_file *part = file->part;
	int status;
	if (fflush(file->stream) || ferror(file->stream)) {
		errno = file->write_errno ? file->write_errno : EIO;
		status = kith_fail_errno(err, "%s: cannot write", kith_atomic_file_path(part));
		kith_outfile_abort(file);
		return status;
	}
	fclose(file->stream);
	free(file);
	return kith_atomic_file_commit(part, err);
}

void kith_outfile_abort(kith_outfile *file)
{
	if (!file)
		return;
	if (file->stream)
		fclose(file->stream);
	kith_atomic_file_abort(file->part);
	free(file);
}
