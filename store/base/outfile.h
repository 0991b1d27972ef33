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

/* Flushes, then as kith_atomic_file_commit; any write error since open is reported here. Releases the outfile, on
 * failure too.
 */
int kith_outfile_commit(kith_outfile *file, kith_err *err);

/* Gives up: removes what was written. NULL is fine. */
void kith_outfile_abort(kith_outfile *file);

#endif
