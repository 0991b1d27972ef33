/* names.h - what a source's name means: which files, which array of each, which part of it (source.h). */
#ifndef KITH_NAMES_H
#define KITH_NAMES_H

#include <stddef.h>

#include "kith/err.h"

typedef struct kith_file_name {
	char *path;  /* to be freed */
	char *entry; /* the array's name in the file, to be freed; or NULL */
} kith_file_name;

typedef struct kith_names {
	kith_file_name *file; /* in the order of their rows */
	size_t count;
	char *selection; /* "[:,3]", or NULL */
	int many;        /* a pattern or a list, even if it is of one file */
	char *list;      /* the list, or NULL */
} kith_names;

/* A name that is there as a file is that file, and nothing in it stands for anything. KITH_EUSAGE if a pattern or a
 * list names no file. */
int kith_names_find(const char *name, kith_names *out, kith_err *err);
void kith_names_free(kith_names *names);

#endif
