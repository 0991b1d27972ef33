/* outfile.h - text and image outputs: a kith_atomic_file (atomic_file.h) with a stream, so whole or not there at all.
 */
#ifndef KITH_OUTFILE_H
#define KITH_OUTFILE_H

#include <stdint.h>
#include <stdio.h>

#include "kith/err.h"

typedef struct kith_outfile kith_outfile;

/* Starts writing `path`. The stream is for stdio output, and can seek; do not fclose it. */
int kith_outfile_open(kith_outfile **out, const char *path, kith_err *err);
FILE *kith_outfile_stream(kith_outfile *file);

/* The header, of KITH_NPY_HEADER bytes, of a .npy file of `rows` x `columns` values of type `descr`, such as "<i4",
 * which then follow row by row. */
#define KITH_NPY_HEADER 128
void kith_put_npy_header(FILE *out, const char *descr, uint64_t rows, uint64_t columns);

/* Of work that came to `rc`: if that is 0, hands all that was written to the system, and returns whether that could be
 * done; else `rc`. So that of two files that belong together none is committed where the other's disk is full. */
int kith_outfile_flush(kith_outfile *file, int rc, kith_err *err); /* NULL is fine */

/* Ends the work on an outfile, which came to `rc`. If that is 0, commits it as kith_atomic_file_commit does; any write
 * error since open is reported here. If not, or on failure, removes what was written. Releases the outfile and returns
 * `rc`, or the status of the commit. NULL is fine. */
int kith_outfile_close(kith_outfile *file, int rc, kith_err *err);

#endif
