/* workspace.c - see workspace.h */
#include "workspace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define RED_ZONE 64u /* bytes after each buffer, so that running over its end is seen */
#else
#define RED_ZONE                                 0u
#define ASAN_POISON_MEMORY_REGION(start, size)   ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

#define ALIGNMENT 64u

void kith_workspace_add(kith_workspace *w, void *to, uint64_t count, size_t size, int zero)
{
	assert(w->count < KITH_WORKSPACE_BUFFERS);
	if (w->count < KITH_WORKSPACE_BUFFERS)
		w->buffer[w->count] = (kith_buffer){to, count, size, zero};
	w->count++;
}

/* Bytes from the start of a buffer to the start of the next; UINT64_MAX if that overflows. */
static uint64_t stride_of(const kith_buffer *b)
{
	uint64_t bytes;
	if (__builtin_mul_overflow(b->count, (uint64_t)b->size, &bytes) ||
	    __builtin_add_overflow(bytes, ALIGNMENT - 1 + RED_ZONE, &bytes))
		return UINT64_MAX;
	return bytes / ALIGNMENT * ALIGNMENT;
}

uint64_t kith_workspace_bytes(const kith_workspace *w)
{
	uint64_t total = 0;
	if (w->count > KITH_WORKSPACE_BUFFERS) /* a mistake, which becomes memory that is not to be had */
		return UINT64_MAX;
	for (size_t b = 0; b < w->count; b++)
		if (__builtin_add_overflow(total, stride_of(&w->buffer[b]), &total))
			return UINT64_MAX;
	return total;
}

/* Sets the pointers to where their buffers are in the memory. */
static void carve(const kith_workspace *w, unsigned char *at)
{
	for (size_t i = 0; i < w->count; i++) {
		const kith_buffer *b = &w->buffer[i];
		uint64_t stride = stride_of(b), used = b->count * b->size;
		memcpy(b->to, &at, sizeof at); /* pointers of any type have one representation */
		if (b->zero)
			memset(at, 0, used);
		ASAN_POISON_MEMORY_REGION(at + used, stride - used);
		at += stride;
	}
}

int kith_workspace_alloc(const kith_workspace *w, void **memory, const char *what, kith_err *err)
{
	uint64_t bytes = kith_workspace_bytes(w);
	*memory = kith_alloc(bytes, 1);
	if (!*memory)
		return kith_fail_nomem(err, what, bytes);
	carve(w, *memory);
	return 0;
}

int kith_workspace_place(const kith_workspace *w, void **memory, uint64_t *capacity, const char *what, kith_err *err)
{
	uint64_t bytes = kith_workspace_bytes(w);
	if (*memory && bytes <= *capacity) {
		ASAN_UNPOISON_MEMORY_REGION(*memory, *capacity);
		carve(w, *memory);
		return 0;
	}
	free(*memory);
	int rc = kith_workspace_alloc(w, memory, what, err);
	*capacity = rc ? 0 : bytes;
	return rc;
}

void kith_workspace_leave(void *memory, uint64_t capacity)
{
	ASAN_UNPOISON_MEMORY_REGION(memory, capacity);
}
