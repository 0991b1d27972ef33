/* local_join.h - all pairs of a few samples, each offered to both of its lists: the leaf of a tree, or the neighbours
 * of one sample (the "local join" of NN-Descent: Dong, Moses and Li 2011). */
#ifndef KITH_LOCAL_JOIN_H
#define KITH_LOCAL_JOIN_H

#include "neighbour_lists.h"
#include "tile_kernels.h"
#include "workspace.h"

/* One thread's work space, for up to `most` samples at a time. */
typedef struct kith_local_join {
	const kith_codes *codes;
	kith_neighbour_lists *lists;
	kith_tile_kernel tile;
	int shared;                /* other threads join some of the same samples meanwhile */
	int16_t *q;                /* of the samples, in blocks (quantised.h) */
	float *scale, *lo, *bound; /* of each position in them */
	float *t;                  /* of a tile */
} kith_local_join;

/* Lists its buffers in `w`, with whose allocation they become valid. */
void kith_local_join_init(kith_local_join *join, const kith_codes *codes, kith_neighbour_lists *lists, uint32_t most,
			  int shared, kith_workspace *w);

/* Joins member[count], places among the codes and lists, all different, of which the first `fresh` are new to one
 * another: of pairs, those that at least one of these is in. */
void kith_local_join_run(kith_local_join *join, const uint32_t *member, uint32_t count, uint32_t fresh);

/* Fetches into the cache what joining these will read: for a join that comes after the next one. */
void kith_local_join_fetch(const kith_local_join *join, const uint32_t *member, uint32_t count);

#endif
