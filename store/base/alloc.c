/* alloc.c - see alloc.h */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

static long fail_in; /* 0: never */

void kith_alloc_fail_nth(long n)
{
	fail_in = n;
}

static int fails_now(void)
{
	return fail_in > 0 && --fail_in == 0;
}

void *kith_alloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT || fails_now())
		return NULL;
	/* aligned_alloc wants a multiple of the alignment, and at least one unit so that zero is not NULL */
	bytes = bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
	return aligned_alloc(ALIGNMENT, bytes);
}

void *kith_alloc_zero(size_t count, size_t size)
{
	void *p = kith_alloc(count, size);
	if (p)
		memset(p, 0, count * size);
	return p;
}

int kith_scratch(void *block, size_t *capacity, size_t count, size_t size, kith_err *err)
{
	void *memory; /* pointers of any type have one representation */
	memcpy(&memory, block, sizeof memory);
	if (memory && *capacity >= count)
		return 0;
	free(memory);
	memory = kith_alloc(count, size);
	*capacity = memory ? count : 0;
	memcpy(block, &memory, sizeof memory);
	return memory ? 0 : kith_fail_nomem(err, "work space", (unsigned long long)count * size);
}
