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

/* What it goes by, in bytes; tests make it small. */
typedef struct kith_gather_tuning {
	uint64_t window; /* what is copied from at once: it stays in a core's cache */
	uint64_t line;   /* of one column in a window: long enough to be worth a call */
	uint64_t near;   /* what is read over in the time that another call takes, about */
} kith_gather_tuning;
extern kith_gather_tuning kith_gather_tuned;

/* The same from memory to memory. */
void kith_gather_memory(const void *from, kith_axis *axes, int dims, uint64_t size, void *out);

#endif
