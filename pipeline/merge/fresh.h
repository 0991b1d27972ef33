/* fresh.h - the pairs of one graph in order, a window of nodes at a time: a layer that a pair store does not have. */
#ifndef KITH_FRESH_H
#define KITH_FRESH_H

#include "kith/graph.h"

typedef struct kith_fresh {
	kith_graph *graph;
	const uint8_t *level; /* 16: of a tier; `levels` or more if it is beyond every k */
	uint32_t levels;
	uint32_t layer;   /* of the stack */
	uint64_t next;    /* the pairs of nodes below are loaded, or have been dropped */
	kith_pairs pairs; /* the window that was read last */
	size_t count, capacity;
	uint64_t *key; /* i << 32 | j, ascending */
	uint8_t *tier; /* levels as in a pair store: of i -> j in the low 4 bits, of j -> i in the high 4 */
	uint32_t *at;  /* a place that the user may note for each */
	int rc;        /* for the user, too */
	kith_err err;
} kith_fresh;

static inline uint64_t kith_pair_key(uint32_t i, uint32_t j)
{
	return (uint64_t)i << 32 | j;
}

/* Loads until all pairs of the nodes below `nodes` are there. Pairs beyond every k are left out. */
int kith_fresh_load(kith_fresh *f, uint64_t nodes, kith_err *err);
/* The number of loaded pairs up to and with `key`. */
size_t kith_fresh_until(const kith_fresh *f, uint64_t key);
/* The first `count` of them are done with. */
void kith_fresh_drop(kith_fresh *f, size_t count);
/* Bytes that it holds, its window included. */
uint64_t kith_fresh_bytes(const kith_fresh *f);
/* And bytes that the largest window needs as it is loaded, those that the graph keeps for it included. */
int kith_fresh_window(const kith_fresh *f, uint64_t *bytes, kith_err *err);
void kith_fresh_free(kith_fresh *f); /* not the graph */

#endif
