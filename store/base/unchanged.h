/* unchanged.h - whether an input file still is what it was when it was opened. */
#ifndef KITH_UNCHANGED_H
#define KITH_UNCHANGED_H

#include <stdint.h>

#include "kith/err.h"

/* A file as it was. */
typedef struct kith_file_state {
	int regular; /* else nothing is known: a pipe's times say nothing */
	uint64_t device, inode, bytes;
	int64_t seconds, nanoseconds; /* of its last modification */
} kith_file_state;

/* Of the open file `fd`. KITH_EIO if the system refuses. */
int kith_file_state_get(kith_file_state *out, int fd, const char *path, kith_err *err);

/* KITH_EIO, and a message that begins with `path` and says what to do, if `fd` has another size or time of modification
 * than it had, or if `path` names another file by now, which is what whoever reads the result would find there. (Not if
 * it names none: a file that was moved or removed still is what it was.) `fd` -1: it is not open, and the name alone
 * tells; then it has to be there.
 *
 * What this cannot see: two changes within one tick of the file system's clock, some milliseconds; changes whose author
 * sets the time back to the nanosecond; stores through a mapping to pages that were written before and are not yet on
 * disk. Changes of owner, mode or links are none. */
int kith_file_unchanged(const kith_file_state *was, int fd, const char *path, kith_err *err);

/* The failure itself, for callers that see a change in the bytes. */
int kith_fail_changed(kith_err *err, const char *path);

#endif
