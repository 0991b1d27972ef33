/* filetype.h - what a file is, by its first bytes and, for those that LMDB keeps, the tail. */
#ifndef KITH_FILETYPE_H
#define KITH_FILETYPE_H

#include "kith/err.h"

typedef enum kith_filetype { KITH_FILE_GRAPH, KITH_FILE_PAIRS, KITH_FILE_STACK, KITH_FILE_NPY } kith_filetype;

/* KITH_EIO if the file cannot be read, KITH_EUSAGE if it is nothing that kith makes or reads. */
int kith_filetype_of(const char *path, kith_filetype *out, kith_err *err);

#endif
