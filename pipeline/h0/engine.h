/* engine.h - the maximum spanning forest of the graph that a sample induces, without a look at most of its edges.
 *
 * Under a strict order the forest is unique, so any algorithm finds it: the first edge that leaves a tree is in it,
 * whichever tree looks. At first each unit is a tree and takes its heaviest edge (Boruvka's first round); from then on
 * it is always the smallest tree's turn, so that few units are looked at, and few of them often. What keeps edges from
 * being looked at:
 *
 *   - phi = |w| |h_u|, so the order of a unit's edges to its targets is that of |w|, the same for every sample. It is
 *     sorted once (out_lists.h), and a unit only goes on from where it was in its list;
 *   - the first of a unit's edges from its sources is found once, in a pass that is as regular as the layer itself
 *     (in_edges.h). Later it bounds what that unit can still find;
 *   - a unit is passed over if that bound, or the next edge in its list, comes after what its tree has found already.
 */
#ifndef KITH_H0_ENGINE_H
#define KITH_H0_ENGINE_H

#include "network.h"

/* What is the same for all samples: operations prepared, read by any number of threads. */
typedef struct kith_h0_engine kith_h0_engine;
int kith_h0_engine_create(kith_h0_engine **out, const kith_network *network, int threads, const kith_progress *progress,
			  kith_err *err);
void kith_h0_engine_free(kith_h0_engine *engine); /* NULL is fine */

/* Scratch of one thread. */
typedef struct kith_h0_work kith_h0_work;
int kith_h0_work_create(kith_h0_work **out, const kith_h0_engine *engine, kith_err *err);
void kith_h0_work_free(kith_h0_work *work); /* NULL is fine */

/* Bytes that each takes, beside the network's weights. */
uint64_t kith_h0_engine_bytes(const kith_network *network);
uint64_t kith_h0_work_bytes(const kith_network *network);

/* Bytes that kith_h0_engine_create takes of each thread besides, and gives back. */
uint64_t kith_h0_engine_scratch_bytes(const kith_network *network);

/* A forest, ids ascending. It lives in the work until that is used again. */
typedef struct kith_h0_forest {
	uint64_t edges;
	const uint64_t *id;
	const double *phi;
	const uint8_t *mark;     /* KITH_MARK_* */
	const uint32_t *source;  /* vertices */
	const float *activation; /* their |h|, rounded if that is no float */
} kith_h0_forest;

/* The forest of one sample, whose activations of layer l are h[l] (NULL if that is no source). They are made absolute.
 * KITH_EUSAGE if phi of an edge is not finite: then `err` names it, without file or sample. KITH_EBUG if the result
 * breaks one of the identities that hold of every forest. */
int kith_h0_engine_run(const kith_h0_engine *engine, kith_h0_work *work, double *const *h, kith_h0_forest *out,
		       kith_err *err);

#endif
