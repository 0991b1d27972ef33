/* neighbour_lists.h - the nearest samples found so far, of every sample.
 *
 * A list has `length` entries, a sample and the bound t (quantised.h) of its distance each, ascending by (t, sample);
 * of all that was offered to it, it has the first ones, whatever the order they came in. So what threads do at once
 * does not show. */
#ifndef KITH_NEIGHBOUR_LISTS_H
#define KITH_NEIGHBOUR_LISTS_H

#include <stdint.h>

#include "kith/err.h"

#define KITH_ENTRY_NEW  0x80000000u /* in an id: no round of descent (descent.h) has had it yet */
#define KITH_ENTRY_NONE 0x7fffffffu /* a place that is still empty; its t is infinity */

typedef struct kith_neighbour_lists {
	uint64_t n;
	uint32_t length;
	uint32_t *id; /* n x length */
	float *t;     /* n x length */
	float *bound; /* n: what is farther does not enter the list. Other threads may read it meanwhile, atomically */
	uint8_t *locked; /* n */
	void *memory;    /* holds these; release it with free() */
} kith_neighbour_lists;

uint64_t kith_neighbour_lists_bytes(uint64_t n, uint32_t length);
/* Empty lists. */
int kith_neighbour_lists_alloc(kith_neighbour_lists *lists, uint64_t n, uint32_t length, int threads, kith_err *err);

static inline float kith_list_bound(const kith_neighbour_lists *l, uint64_t i)
{
	float bound;
	__atomic_load(&l->bound[i], &bound, __ATOMIC_RELAXED);
	return bound;
}

/* Offers sample `id` at t to list i; returns the list's bound. Threads may offer to one list if all of them say that it
 * is `shared`. */
float kith_list_offer(kith_neighbour_lists *lists, uint64_t i, uint32_t id, float t, int shared);

/* Fetches list i into the cache. */
static inline void kith_list_fetch(const kith_neighbour_lists *l, uint64_t i)
{
	for (uint32_t e = 0; e < l->length; e += 16) {
		__builtin_prefetch(l->id + i * l->length + e);
		__builtin_prefetch(l->t + i * l->length + e);
	}
	__builtin_prefetch(l->bound + i);
	__builtin_prefetch(l->locked + i);
}

#endif
