/* outfile.c - see outfile.h */
#include "outfile.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "atomic_file.h"
#include "io.h"

struct kith_outfile {
	kith_atomic_file *part;
	int write_errno; /* of the first write that failed; 0 if none did */
	FILE *stream;
};

/* stdio forgets why a write failed; this remembers. */
static ssize_t write_bytes(void *cookie, const char *bytes, size_t size)
{
	kith_outfile *file = cookie;
	if (kith_write_all(kith_atomic_file_fd(file->part), bytes, size)) {
		if (!file->write_errno)
			file->write_errno = errno;
		return 0; /* stdio's sign of an error */
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
	static const cookie_io_functions_t calls = {.write = write_bytes, .seek = seek_to};
	kith_outfile *file = kith_alloc_zero(1, sizeof *file);
	if (!file)
		return kith_fail_nomem(err, "an output file", sizeof *file);
	int rc = kith_atomic_file_open(&file->part, path, err);
	if (!rc && (!(file->stream = fopencookie(file, "w", calls)) || setvbuf(file->stream, NULL, _IOFBF, 1 << 16)))
		rc = kith_fail_nomem(err, "an output buffer", 1 << 16);
	if (rc)
		return kith_outfile_close(file, rc, err);
	*out = file;
	return 0;
}

FILE *kith_outfile_stream(kith_outfile *file)
{
	return file->stream;
}

int kith_outfile_flush(kith_outfile *file, int rc, kith_err *err)
{
	if (rc || !file || !(fflush(file->stream) || ferror(file->stream)))
		return rc;
	errno = file->write_errno ? file->write_errno : EIO;
	return kith_fail_errno(err, "%s: cannot write", kith_atomic_file_path(file->part));
}

int kith_outfile_close(kith_outfile *file, int rc, kith_err *err)
{
	if (!file)
		return rc;
	kith_atomic_file *part = file->part;
	rc = kith_outfile_flush(file, rc, err);
	if (file->stream)
		fclose(file->stream);
	free(file);
	if (!rc)
		return kith_atomic_file_commit(part, err);
	kith_atomic_file_abort(part);
	return rc;
}

void kith_put_npy_header(FILE *out, const char *descr, uint64_t rows, uint64_t columns)
{
	char text[KITH_NPY_HEADER];
	snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu, %llu), }", descr,
		 (unsigned long long)rows, (unsigned long long)columns);
	fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, out); /* 0x76 + 10 = 128 bytes */
	fprintf(out, "%-117s\n", text);
}
