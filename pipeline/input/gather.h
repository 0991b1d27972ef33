/* gather.h - values that do not lie in a file as they are wanted in memory: of an array in Fortran order, or of a part
 * of an array. */
#ifndef KITH_GATHER_H
#define KITH_GATHER_H

#include "reader.h"

/* A dimension: how many indices, and how many bytes it is from one to the next, in the file and in memory. Neither goes
 * over anything twice. */
typedef struct kith_axis {
	uint64_t count;
	int64_t from, to;
} kith_axis;

/* Values of `size` bytes, whose first is at byte `at` of the part's file, to `out` and on. The axes are scratch
 * afterwards. Reads in the order of the file, close ones together. Returns 0, or -1 with errno set: ENODATA if the file
 * ends before, ENOMEM. Thread safe. */
int kith_gather(const kith_part *p, uint64_t at, kith_axis *axes, int dims, uint64_t size, void *out);

/* The same from memory to memory. */
void kith_gather_memory(const void *from, kith_axis *axes, int dims, uint64_t size, void *out);

#endif
