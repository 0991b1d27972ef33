/* counts.h - the counts behind NNTS and NNTP, kept by one thread each and added up at the end. All are integers, so no
 * result depends on the order in which samples are counted. */
#ifndef KITH_COUNTS_H
#define KITH_COUNTS_H

#include "runs.h"

/* Used by one thread at a time. */
typedef struct kith_counts {
	const kith_count_plan *plan;
	const kith_bit_kernels *kernels;
	uint32_t *overlap;  /* the histograms */
	uint64_t *pairs[2]; /* per graph: tiers x layers, the pairs present */
	uint64_t *edges;    /* tiers x layers: edges between samples and larger ones, in either direction */
	kith_runs runs;
	uint64_t *lane; /* lanes: scratch of counting, zero between uses */
} kith_counts;

/* Lists the buffers, and sets what is not a buffer. */
void kith_counts_list(kith_workspace *w, kith_counts *counts, const kith_count_plan *plan);

/* Adds lane[0..layers-1] to `to`, and clears them. */
void kith_counts_take_lanes(kith_counts *counts, uint64_t *to);

/* The pairs of one graph among words of rows and reverse lists: bits that either has, or both. */
void kith_counts_join(int graph, const uint64_t *rows, const uint64_t *reverse, uint32_t words, uint64_t *joined);

void kith_counts_add(kith_counts *into, const kith_counts *from);

#endif
