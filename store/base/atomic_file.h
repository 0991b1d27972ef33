/* atomic_file.h - an output that exists whole or not at all: written as NAME.part, synced, renamed to NAME.
 *
 * NAME.part is locked while it is written, so that two writers of one output cannot mix; one that a crash left behind
 * is written over. A kith_atomic_file is used by one thread at a time. */
#ifndef KITH_ATOMIC_FILE_H
#define KITH_ATOMIC_FILE_H

#include "kith/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kith_atomic_file kith_atomic_file;

/* Creates and locks an empty `path`.part. If `path` is a symbolic link, the link stays and NAME is what it points at.
 * KITH_EUSAGE if NAME is empty, or something that is not a plain file stands at NAME (a directory, /dev/null) or at
 * NAME.part (a link too: what it points at must not be emptied). KITH_EIO if another writer has NAME.part, or if the
 * system refuses. */
int kith_atomic_file_open(kith_atomic_file **out, const char *path, kith_err *err);

int kith_atomic_file_fd(const kith_atomic_file *part); /* for reading and writing; do not close it */

/* NAME, and NAME.part, which is the one that is there. Both live as long as the part. */
const char *kith_atomic_file_path(const kith_atomic_file *part);
const char *kith_atomic_file_temporary(const kith_atomic_file *part);

/* Syncs the file, renames it to NAME and syncs the directory, where that can be done: a directory that may not be read,
 * or whose file system cannot sync directories, is no error. Releases the part, on failure too; then nothing is left
 * behind, and an older NAME is untouched unless it was the directory's sync that failed, which comes after the rename.
 */
int kith_atomic_file_commit(kith_atomic_file *part, kith_err *err);

/* Gives up: removes NAME.part and releases the part. NULL is fine. */
void kith_atomic_file_abort(kith_atomic_file *part);

#ifdef __cplusplus
}
#endif
#endif
