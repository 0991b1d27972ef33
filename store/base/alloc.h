/* alloc.h - allocation with overflow-checked sizes, and the unit of every memory budget. */
#ifndef KITH_ALLOC_H
#define KITH_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Memory for count x size bytes, uninitialised, aligned to 64 bytes so that vector loads need no peeling; release it
 * with free(). A zero count gives a valid pointer to nothing. NULL if count x size overflows or memory is short. */
void *kith_alloc(size_t count, size_t size);

/* The same, filled with zeros. */
void *kith_alloc_zero(size_t count, size_t size);

/* Makes the pointer at address `block` (of any type) point at room for at least `count` items of `size` bytes;
 * *capacity, in items, says how many it has room for and is updated. The contents are NOT kept: this is for scratch
 * that is filled anew. Returns 0 or KITH_ENOMEM, in which case the pointer is NULL and *capacity 0. */
int kith_scratch(void *block, size_t *capacity, size_t count, size_t size, kith_err *err);
#define KITH_SCRATCH(pointer, capacity, count, err)                                                                    \
	kith_scratch(&(pointer), &(capacity), (count), sizeof *(pointer), (err))

/* Test hook: the n-th allocation from now (1 = the next) through the functions above fails, once. 0 switches it off.
 * Not thread safe; for the tests that walk a failure through every allocation. */
void kith_alloc_fail_nth(long n);

#ifdef __cplusplus
}
#endif
#endif
