/* infile.h - inputs: every file that a program reads is opened here. */
#ifndef KITH_INFILE_H
#define KITH_INFILE_H

#include <stdint.h>
#include <stdio.h>

#include "kith/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens a plain file for reading; never waits. KITH_EUSAGE if `path` is something else: a pipe, as inputs are read more
 * than once, a directory, a device. KITH_EIO if the system refuses. `bytes` (may be NULL): its size. */
int kith_infile_open(int *fd, const char *path, uint64_t *bytes, kith_err *err);

/* The same, as a stream. */
int kith_infile_stream(FILE **out, const char *path, uint64_t *bytes, kith_err *err);

/* Whether two names are of one file that is there, whatever they are: writing to the one would destroy the other. */
int kith_is_same_file(const char *one, const char *other);

/* A name that leads to the open file itself, whatever happens to its own name, for a library that opens by name:
 * /proc/self/fd/N or, where there is no /proc, `path`. */
#define KITH_FD_NAME 32
const char *kith_fd_name(int fd, const char *path, char out[KITH_FD_NAME]);

#ifdef __cplusplus
}
#endif
#endif
