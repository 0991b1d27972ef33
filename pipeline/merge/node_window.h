/* node_window.h - the rows and reverse lists of a range of nodes in all layers, decoded.
 */
#ifndef KITH_WINDOW_H
#define KITH_WINDOW_H

#include "count_plan.h"

/* Which part of a layer's graph is read. */
typedef struct kith_window_layer {
	kith_graph *graph;
	uint32_t tiers;                  /* graph tiers, from the first on */
	uint8_t tier_of[KITH_MAX_TIERS]; /* the tier that a graph tier belongs to */
} kith_window_layer;

struct kith_window_sets;

typedef struct kith_window {
	size_t layers;
	const kith_window_layer *layer;
	struct kith_window_sets *sets; /* of each layer */
	kith_count_sources sources;    /* a source for each graph tier of each layer, and side */
} kith_window;

/* Bytes that a window of `nodes` nodes takes, its readers' included, if its reverse lists are about as long as its rows
 * (kith_window_check looks again). */
uint64_t kith_window_bytes(const kith_window_layer *layer, size_t layers, uint64_t nodes);

/* `layer` and its graphs stay the caller's, and where they are; `tiers` is more than any tier. KITH_ENOMEM; free it
 * then, too. */
int kith_window_init(kith_window *w, const kith_window_layer *layer, size_t layers, uint32_t tiers, kith_err *err);
void kith_window_free(kith_window *w, uint32_t threads); /* one that is all zeros is fine */

/* A window's reverse lists hold the edges from all later nodes: where nearly all edges lead to a few nodes (identical
 * rows), they can be many times what its rows suggest. Better to say so than to be killed for it: KITH_EUSAGE if nodes
 * first..first+count-1 take more than `room` bytes, which is what is left of `memory`. */
int kith_window_check(kith_window *w, uint64_t first, uint64_t count, uint64_t room, uint64_t memory, kith_err *err);

/* Decodes these nodes, which begin and end where blocks of all layers do, `threads` layers at a time: the sources are
 * theirs. Of several layers that cannot be read, the first is reported, as kith_graph_read_row_sets does. */
int kith_window_read(kith_window *w, uint64_t first, uint64_t count, uint32_t threads, kith_err *err);

#endif
