/* atomic_file.h - an output that exists whole or not at all: written under a name that nobody else has, synced, renamed
 * to NAME.
 *
 * That name is NAME.xxxxxx.part, with six random letters and digits, created here and now: what another user of a
 * shared folder has put there before, or links to, is never written to. It is locked while it is written. The next
 * writer of NAME sees by the lock whether the writer still lives, and is refused, or was killed: what it left behind is
 * removed. A kith_atomic_file is used by one thread at a time. */
#ifndef KITH_ATOMIC_FILE_H
#define KITH_ATOMIC_FILE_H

#include "kith/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kith_atomic_file kith_atomic_file;

/* Creates and locks an empty part of `path`. If `path` is a symbolic link, the link stays and NAME is what it points
 * at. KITH_EUSAGE if NAME is empty, or something that is not a plain file stands there (a directory, /dev/null).
 * KITH_EIO if another program of this user is writing NAME, or if the system refuses. Where there are no locks, or the
 * folder may not be read, nobody is refused and nothing is cleaned up: two writers do not mix, the last one to finish
 * has NAME. */
int kith_atomic_file_open(kith_atomic_file **out, const char *path, kith_err *err);

int kith_atomic_file_fd(const kith_atomic_file *part); /* for reading and writing; do not close it */

/* NAME, and the part's name, which is the one that is there. Both live as long as the part. */
const char *kith_atomic_file_path(const kith_atomic_file *part);
const char *kith_atomic_file_temporary(const kith_atomic_file *part);

/* Syncs the file, gives it NAME and syncs the directory, where that can be done: a directory that may not be read, or
 * whose file system cannot sync directories, is no error. Releases the part, on failure too; then nothing is left
 * behind, and an older NAME is what it was. (One exception: where the file system cannot exchange names and it is the
 * directory's sync that fails, which comes last, the new file stays, whole, and the message says so.) KITH_EIO if
 * somebody has moved the part away. */
int kith_atomic_file_commit(kith_atomic_file *part, kith_err *err);

/* Gives up: removes the part and releases it. NULL is fine. */
void kith_atomic_file_abort(kith_atomic_file *part);

/* Removes the parts of this process from their folders, for a signal handler that is about to end it: safe to call
 * there, and at any time. What is being written cannot be committed afterwards. */
void kith_atomic_file_remove_all(void);

#ifdef __cplusplus
}
#endif
#endif
