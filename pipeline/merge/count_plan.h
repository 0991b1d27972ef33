/* count_plan.h - what is counted of a stack of graphs, what it is counted from, and the sizes that follow.
 *
 * The *tier* of a neighbour or pair in a layer is the index of the smallest k asked for that includes it. The tiers of
 * a graph file, which may serve more values of k, are graph tiers. */
#ifndef KITH_COUNT_PLAN_H
#define KITH_COUNT_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "kith/graph.h"
#include "kith/limits.h"

typedef struct kith_count_plan {
	uint64_t n;
	uint32_t layers;
	const char *const *paths;          /* of the layers' graphs, for messages */
	uint32_t tiers, k[KITH_MAX_TIERS]; /* the values of k asked for, ascending */
	uint32_t alpha;                    /* the greatest */
	int graphs[2];                     /* KITH_UNION, KITH_MUTUAL: is it asked for? */
	uint32_t sparse_ids;  /* samples with at most this many ids, repetitions included, are counted sparsely */
	uint32_t dense_slots; /* ids that the dense accumulator holds at a time, a multiple of 64 */
	uint32_t pair_room; /* pairs that a thread collects for a pair store, a multiple of 64; 0: none is asked for */
	uint32_t groups;    /* of samples, for the jackknife; 0: none is asked for */
	const uint16_t *group;              /* of each sample; NULL without groups */
	uint64_t start[KITH_MAX_TIERS + 1]; /* histograms of |K_i^a n K_i^b|: the one of a tier and pair of layers is
					       at start[tier] + pair * (k[tier] + 1); pairs as in bit_kernels.h */
} kith_count_plan;

/* ---- what is counted from ---- */

/* The ids that enter one sample's row, or its reverse list, in one layer at one tier: ascending, or as bits. */
typedef struct kith_count_set {
	const uint32_t *id; /* KITH_SETS_SPARE more may be read */
	size_t count;
	const uint64_t *bits; /* NULL: ids. Else words base..(n + 63) / 64 - 1 of the set, and `count` is undefined */
	size_t base;
	uint32_t layer, tier;
} kith_count_set;

/* The same for many samples. */
typedef struct kith_count_source {
	const kith_sets *sets;
	uint32_t layer, tier;
} kith_count_source;

/* Those of all samples of a window: `count` sources of their rows, by ascending tier and by ascending layer within a
 * tier, then as many of their reverse lists. */
typedef struct kith_count_sources {
	kith_count_source *source;
	size_t count;
} kith_count_sources;

static inline kith_count_set kith_count_set_at(const kith_count_source *source, uint64_t node)
{
	const kith_sets *sets = source->sets;
	kith_count_set set = {.layer = source->layer, .tier = source->tier};
	uint64_t r = node - sets->first;
	if (sets->dense) {
		set.bits = sets->bits + r * sets->stride;
		set.base = sets->base;
	} else {
		set.id = sets->id + sets->offset[r];
		set.count = sets->offset[r + 1] - sets->offset[r];
	}
	return set;
}

/* ---- sizes ---- */

static inline uint64_t kith_layer_pairs(uint64_t layers)
{
	return layers * (layers - 1) / 2;
}

static inline uint64_t kith_plan_square(const kith_count_plan *p)
{
	return (uint64_t)p->layers * p->layers;
}

static inline uint64_t kith_plan_graphs(const kith_count_plan *p)
{
	return (uint64_t)(p->graphs[KITH_UNION] + p->graphs[KITH_MUTUAL]);
}

/* Layers, rounded up to the eight that bit_kernels.h counts at a time. */
static inline uint32_t kith_plan_lanes(const kith_count_plan *p)
{
	return (p->layers + 7) & ~7u;
}

/* ---- masks ----
 *
 * The mask of an id has a bit for each layer whose row has it, and one for each layer whose reverse list has it:
 *
 *   up to 32 layers, one word:      bit v                   layer v's row
 *                                   bit 32 + v              its reverse list
 *   more layers, 2 W words:         bit v % 64 of word v / 64          layer v's row
 *                                   bit v % 64 of word W + v / 64      its reverse list
 *
 * where W = row_words = (layers + 63) / 64. */

#define KITH_MASK_HALF 32u

static inline int kith_mask_is_halved(const kith_count_plan *p)
{
	return p->layers <= KITH_MASK_HALF;
}

/* Words that hold the bits of rows. */
static inline uint32_t kith_mask_row_words(const kith_count_plan *p)
{
	return (p->layers + 63) / 64;
}

static inline uint32_t kith_mask_words(const kith_count_plan *p)
{
	return kith_mask_is_halved(p) ? 1 : 2 * kith_mask_row_words(p);
}

/* The bits of these words that stand for rows. */
static inline uint64_t kith_mask_row_bits(const kith_count_plan *p)
{
	return kith_mask_is_halved(p) ? (1ull << KITH_MASK_HALF) - 1 : ~0ull;
}

/* From the bit of a layer's row to that of its reverse list. */
static inline uint32_t kith_mask_to_reverse(const kith_count_plan *p)
{
	return kith_mask_is_halved(p) ? KITH_MASK_HALF : 64 * kith_mask_row_words(p);
}

#endif
