/* tally.h - the counts behind NNTS and NNTP, kept by one thread each and added up at the end. All are integers, so no
 * result depends on the order in which samples are met. */
#ifndef KITH_TALLY_H
#define KITH_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "kith/graph.h"
#include "kith/stack.h"

/* What is counted. A neighbour's or pair's *level* in a layer is the index of the smallest k asked for that includes
 * it; `levels` or more if none does. */
typedef struct kith_tally_plan {
	uint64_t n;
	uint32_t layers, words; /* words: 64-bit words of a mask over layers */
	uint32_t levels, k[KITH_MAX_TIERS];
	uint32_t alpha; /* greatest */
	int counts[2];  /* KITH_UNION, KITH_MUTUAL: is it asked for? */
	/* histograms of |K_i^a n K_i^b|: level q's are at start[q] + pair * (k[q] + 1), pair counting a < b row by row
	 */
	uint64_t start[KITH_MAX_TIERS + 1];
} kith_tally_plan;

typedef struct kith_tally {
	const kith_tally_plan *plan;
	uint64_t *mask;    /* n x words: which layers an id has been met in; zero between samples */
	uint32_t *touched; /* ids with a mask, `touched_count` of them; room for n */
	uint32_t touched_count;
	uint32_t *common;   /* layers x layers, a < b: |K_i^a n K_i^b| of the sample at hand */
	uint32_t *overlap;  /* the histograms */
	int64_t *runs[2];   /* per graph: levels x (alpha + 1) x layers x layers; alpha > 0: change from alpha - 1 */
	uint64_t *pairs[2]; /* per graph: levels x layers */
	uint64_t *edges;    /* levels x layers: directed edges met in pair lists */
	uint32_t *run_start, *run_end; /* scratch */
} kith_tally;

/* Bytes that one tally takes. */
uint64_t kith_tally_bytes(const kith_tally_plan *plan);
int kith_tally_init(kith_tally *tally, const kith_tally_plan *plan, kith_err *err);
void kith_tally_free(kith_tally *tally);
void kith_tally_add(kith_tally *into, const kith_tally *from);

/* One sample's directed rows. For each level q in order, and within it each layer in order: kith_tally_row with the ids
 * that enter at that level; then kith_tally_overlaps(q). After the last level kith_tally_clear. kith_tally_row returns
 * 0, or -1 if an id is `node` itself or stands twice in the layer's row. */
int kith_tally_row(kith_tally *tally, uint32_t layer, uint64_t node, const uint32_t *ids, size_t count);
void kith_tally_overlaps(kith_tally *tally, uint32_t level);
void kith_tally_clear(kith_tally *tally);

/* One sample's pairs with larger ones, for one graph and level: for each layer kith_tally_pairs, then kith_tally_runs.
 * `level_of` maps a stored tier byte to the pair's level in that layer and graph. */
void kith_tally_pairs(kith_tally *tally, kith_graph_kind graph, uint32_t level, uint32_t layer, const uint32_t *ids,
		      const uint8_t *tiers, size_t count, const uint8_t level_of[256]);
void kith_tally_runs(kith_tally *tally, kith_graph_kind graph, uint32_t level);

#endif
