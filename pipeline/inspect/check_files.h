/* check_files.h - is a file of each type what it should be, all the way down? Everything is read: every checksum, every
 * rule of the format, every identity that the definitions imply. Returns 0, or the status with the first thing wrong.
 */
#ifndef KITH_CHECK_FILES_H
#define KITH_CHECK_FILES_H

#include "kith/err.h"

int kith_check_graph(const char *path, const kith_progress *progress, kith_err *err);
int kith_check_pairs(const char *path, const kith_progress *progress, kith_err *err);
int kith_check_stack(const char *path, const kith_progress *progress, kith_err *err);
int kith_check_activations(const char *path, const kith_progress *progress, kith_err *err);

#endif
