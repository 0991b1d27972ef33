/* cutoff.h - the last edge of an operation that --keep leaves. */
#ifndef KITH_CUTOFF_H
#define KITH_CUTOFF_H

#include "in_edges.h"

/* What comes after no edge. */
kith_cut kith_cut_none(void);

/* Scratch of one thread. */
typedef struct kith_cutoff {
	double *row; /* phi of one target's places */
	uint64_t *histogram;
	kith_cut *found;
} kith_cutoff;
void kith_cutoff_list(kith_workspace *w, kith_cutoff *c, const kith_h0_info *info);

/* Of operation o's N edges for this sample, the max(1, floor(keep * N))-th in their order, or kith_cut_none if that has
 * phi 0. It is looked for by the leading bits of phi, sixteen at a time, until few enough edges are left to be listed.
 */
kith_cut kith_cutoff_find(kith_cutoff *c, const kith_in_edges *in, uint32_t o, double keep);

#endif
