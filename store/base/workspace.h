/* workspace.h - the buffers that a piece of work needs, as a table: listed once, from which follow what they take, one
 * allocation that holds them all, and its release.
 *
 *     static void list_buffers(kith_workspace *w, kith_counts *c, const kith_count_plan *p)
 *     {
 *             KITH_BUFFER(w, c->id, p->slots);
 *             KITH_BUFFER_ZERO(w, c->mask, p->slots * p->mask_words);
 *     }
 *
 * kith_workspace_bytes of such a list answers a memory budget; kith_workspace_alloc makes it true:
 *
 *     +----------------+----------------+- - - -+      each buffer begins at a multiple of 64 bytes;
 *     | c->id          | c->mask        |       |      under the address sanitizer, bytes that may
 *     +----------------+----------------+- - - -+      not be touched stand between them
 *     ^ one allocation
 *
 * A kith_workspace is used by one thread at a time; buffers of different work spaces share nothing. */
#ifndef KITH_WORKSPACE_H
#define KITH_WORKSPACE_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

#define KITH_WORKSPACE_BUFFERS 64 /* in one list, at most */

typedef struct kith_buffer {
	void *to; /* the address of the pointer that is set to the buffer */
	uint64_t count;
	size_t size; /* of an item, in bytes */
	int zero;    /* filled with zeros; else uninitialised */
} kith_buffer;

/* Zero it, then list the buffers. */
typedef struct kith_workspace {
	size_t count;
	kith_buffer buffer[KITH_WORKSPACE_BUFFERS];
} kith_workspace;

/* Lists a buffer of `items` items of the type that `pointer` points at. A count of 0 gives a pointer to nothing. */
#define KITH_BUFFER(w, pointer, items)      kith_workspace_add((w), &(pointer), (items), sizeof *(pointer), 0)
#define KITH_BUFFER_ZERO(w, pointer, items) kith_workspace_add((w), &(pointer), (items), sizeof *(pointer), 1)
void kith_workspace_add(kith_workspace *w, void *to, uint64_t count, size_t size, int zero);

/* Their sum; UINT64_MAX if that overflows. */
static inline uint64_t kith_add_bytes(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* What the listed buffers take, in bytes; UINT64_MAX if that overflows. */
uint64_t kith_workspace_bytes(const kith_workspace *w);

/* Allocates them together and sets their pointers. *memory, which then holds them all, is released with free(). On
 * KITH_ENOMEM (`what` names what the memory was for) *memory is NULL and the pointers are as they were. */
int kith_workspace_alloc(const kith_workspace *w, void **memory, const char *what, kith_err *err);

/* The same for buffers that are wanted again and again, with other counts: *memory, which has *capacity bytes (both 0
 * to begin with), is used again if they fit in it, and replaced if they do not. What was there is lost. On KITH_ENOMEM
 * *memory is NULL and *capacity 0. */
int kith_workspace_place(const kith_workspace *w, void **memory, uint64_t *capacity, const char *what, kith_err *err);

/* Of memory that is not released with free(), and that others may get: the address sanitizer forgets what stood there.
 */
void kith_workspace_leave(void *memory, uint64_t capacity);

#endif
