/* in_edges.h - the edges to a target unit: the first of them, for all units of a layer in one pass or for one unit
 * again and again, as its tree grows. */
#ifndef KITH_IN_EDGES_H
#define KITH_IN_EDGES_H

#include "network.h"
#include "workspace.h"

#define KITH_NO_UNIT UINT32_MAX

/* The first edge that has been found; phi 0 if none has. */
typedef struct kith_first {
	double phi;
	uint64_t id;
	uint32_t other; /* the vertex at its other end; KITH_NO_UNIT: only a bound is known */
} kith_first;

static inline int kith_is_before(double phi, uint64_t id, const kith_first *than)
{
	return phi > than->phi || (phi == than->phi && id < than->id);
}

/* The last edge of an operation that `keep` leaves. Its phi is above 0, so what has none is never kept. */
typedef struct kith_cut {
	double phi;
	uint64_t id;
} kith_cut;

static inline int kith_is_kept(double phi, uint64_t id, const kith_cut *cut)
{
	return phi > cut->phi || (phi == cut->phi && id <= cut->id);
}

/* How an operation with a window is gone about: its source's channels are copied with their padding, rows and columns
 * apart that a stride takes together, so that for each place in the window all targets of a channel read one run of
 * numbers:
 *
 *     target (y, x) at place (ky, kx) reads      phase ((ky dilation) % stride, the same of kx),
 *                                                row (ky dilation) / stride + y, column (kx dilation) / stride + x
 *
 * and y * pitch + x numbers targets as well as what they read. Numbers between two rows of targets are worked out, and
 * not looked at. */
typedef struct kith_window {
	uint32_t stride[2];          /* 1 where there is one target only */
	uint64_t rows, pitch, plane; /* of a phase; `plane` numbers of a channel */
	uint64_t span;               /* targets of a channel, with what is between their rows */
} kith_window;
kith_window kith_window_of(const kith_h0_info *info, const kith_op *op);

/* Scratch of one thread, and what it knows of the sample. */
typedef struct kith_in_edges {
	const kith_network *network;
	double *const *h; /* absolute activations of each layer */
	float **single;   /* the same as floats, of each dense operation that does not round; else NULL */
	float **reach;    /* of each conv2d that does not round: by target position and source channel, the largest h in
			   * the window
			   */
	uint32_t **winner; /* of each maxpool with rule max: the place that each target passes on; KITH_NO_UNIT: none */
	kith_cut *cut;     /* of each operation */
	double *planes, *most, *place; /* of the window at work */
	float *single_planes;          /* the same numbers as planes */
	int64_t *offset;               /* places of a window, among source units */
	uint64_t *step;                /* and in planes */
} kith_in_edges;

/* Lists the buffers, and those of `single` and `winner` in kith_in_edges_point. */
void kith_in_edges_list(kith_workspace *w, kith_in_edges *in, const kith_network *network, float **singles,
			uint32_t **winners);
void kith_in_edges_point(kith_in_edges *in, float *singles, uint32_t *winners);

/* To be called for a new sample, while h still has signs: what does not depend on trees, but for cut. */
void kith_in_edges_start(kith_in_edges *in, double *const *h);

/* The first edge of operation o to each target v, if that is before first[v] and `cut` leaves it; `vertex` is the first
 * vertex of the source layer. */
void kith_in_edges_first(kith_in_edges *in, uint32_t o, kith_first *first);

/* A tree among others: vertex x is in tree now[first[x]]. */
typedef struct kith_trees {
	const uint32_t *first, *now;
	uint32_t tree;
} kith_trees;

/* The first edge of operation o to target v, if that is before *first and, unless `trees` is NULL, its source is in
 * another tree than that one. */
void kith_in_edges_leave(const kith_in_edges *in, uint32_t o, uint32_t v, const kith_trees *trees, kith_first *first);

/* phi of all places of target v, into row[fan_in]; 0 on padding, and for what a maxpool does not pass on. */
void kith_in_edges_row(const kith_in_edges *in, uint32_t o, uint64_t v, double *row);

#endif
