/* filetype.h - the types of files that kith-show and kith-check take, and what they do with each. */
#ifndef KITH_FILETYPE_H
#define KITH_FILETYPE_H

#include <stdio.h>

#include "kith/err.h"
#include "show_files.h"

/* The ends of a file that tell its type. */
typedef struct kith_file_ends {
	unsigned char head[64]; /* a 0 follows what there is of it */
	size_t head_size;
	int has_tail;
	char tail[8]; /* the first bytes of the tail, if LMDB keeps the file (store/FORMAT.md, section 2) */
} kith_file_ends;

typedef struct kith_filetype {
	int (*recognise)(const char *path, const kith_file_ends *ends);
	int (*show)(const char *path, const kith_show_options *options, FILE *out, kith_err *err);
	int (*check)(const char *path, const kith_progress *progress, kith_err *err);
} kith_filetype;

/* KITH_EIO if the file cannot be read, KITH_EUSAGE if it is nothing that kith makes or reads. */
int kith_filetype_of(const char *path, const kith_filetype **out, kith_err *err);

#endif
