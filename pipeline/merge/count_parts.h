/* count_parts.h - what counts.c and the files that it is made of share: count_sparse.c, count_dense.c and runs.c. */
#ifndef KITH_TALLY_PARTS_H
#define KITH_TALLY_PARTS_H

#include "counts.h"

/* ---- sizes ---- */

static inline uint64_t kith_tally_square(const kith_tally_plan *p)
{
	return (uint64_t)p->layers * p->layers;
}

static inline uint64_t kith_tally_layer_pairs(const kith_tally_plan *p)
{
	return kith_tally_pair_count(p->layers);
}

/* Layers, rounded up to the eight that bit_kernels.h counts at a time. */
static inline uint32_t kith_tally_lanes(const kith_tally_plan *p)
{
	return (p->layers + 7) & ~7u;
}

/* Words of a mask over layers. */
static inline uint32_t kith_tally_mask_words(const kith_tally_plan *p)
{
	return (p->layers + 63) / 64;
}

/* ---- count_sparse.c: a sample whose ids are few ---- */

uint64_t kith_few_bytes(const kith_tally_plan *plan);
int kith_few_init(kith_few *few, const kith_tally_plan *plan); /* other than 0: no memory */
void kith_few_free(kith_few *few);

/* The greatest number of ids that are few. */
uint64_t kith_few_most(const kith_tally_plan *plan);

/* Brings together the ids of samples first..first+nodes-1, nodes <= KITH_TALLY_TOGETHER, up to a level: `ids` of each.
 * All of them and KITH_SETS_SPARE for each have to be at most kith_few_room. */
uint64_t kith_few_room(const kith_tally_plan *plan);
void kith_few_take(kith_tally *tally, const kith_tally_source *sources, size_t count, uint64_t first, uint32_t nodes,
		   uint32_t levels, const uint32_t *ids);

/* Counts the first `levels` levels of the x-th of them, which is `node`. Returns the layer that has an id twice, or has
 * the sample itself, or -1 if there is none. */
int kith_few_node(kith_tally *tally, uint64_t node, uint32_t x, uint32_t levels);
void kith_few_finish(kith_tally *tally);

/* ---- count_dense.c: one whose ids are many ---- */

uint64_t kith_many_bytes(const kith_tally_plan *plan);
int kith_many_init(kith_many *many, const kith_tally_plan *plan); /* other than 0: no memory */
void kith_many_free(kith_many *many);

/* Counts the levels from `from` on; returns as kith_few_node does. */
int kith_many_node(kith_tally *tally, uint64_t node, uint32_t from, const kith_tally_source *sources, size_t count);

/* ---- runs.c: the runs of pairs ---- */

uint64_t kith_runs_bytes(const kith_tally_plan *plan);
int kith_runs_init(kith_runs *runs, const kith_tally_plan *plan); /* other than 0: no memory */
void kith_runs_free(kith_runs *runs);
void kith_runs_add(kith_runs *into, const kith_runs *from, const kith_tally_plan *plan);
void kith_runs_finish(kith_tally *tally);

/* Counts the runs of pairs of one graph and level, from sets in rows (bit_kernels.h). */
void kith_runs_rows(kith_tally *tally, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t stride);

/* Runs at alpha 0 of few layers are counted layer by layer, from sets in columns (bit_kernels.h). */
int kith_runs_by_layers(const kith_tally_plan *plan);
void kith_runs_columns(kith_tally *tally, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t step);

/* Others mask by mask: of one pair. */
void kith_runs_mask(kith_tally *tally, int graph, uint32_t level, const uint64_t *mask);

/* counts[0..layers-1] are added to `to`, and cleared. */
void kith_tally_add_counts(kith_tally *tally, uint64_t *to);

#endif
