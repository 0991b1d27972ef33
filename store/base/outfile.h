/* outfile.h - text and image outputs: a kith_atomic_file (atomic_file.h) with a stream, so whole or not there at all.
 */
#ifndef KITH_OUTFILE_H
#define KITH_OUTFILE_H

#include <stdio.h>

#include "kith/err.h"

typedef struct kith_outfile kith_outfile;

/* Starts writing `path`. The stream is for stdio output, and can seek; do not fclose it. */
int kith_outfile_open(kith_outfile **out, const char *path, kith_err *err);
FILE *kith_outfile_stream(kith_outfile *file);

/* Ends the work on an outfile, which came to `rc`. If that is 0, commits it as kith_atomic_file_commit does; any write
 * error since open is reported here. If not, or on failure, removes what was written. Releases the outfile and returns
 * `rc`, or the status of the commit. NULL is fine. */
int kith_outfile_close(kith_outfile *file, int rc, kith_err *err);

#endif
