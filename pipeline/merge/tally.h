/* tally.h - the counts behind NNTS and NNTP, kept by one thread each and added up at the end. All are integers, so no
 * result depends on the order in which samples are met.
 *
 * Counting is done on sets of bits. The ids that one sample meets, in whatever layer, get a slot each, and every layer
 * has the bits of the slots it has: |K_i^a n K_i^b| is the number of bits of two layers together, and the runs of many
 * pairs are found at once. Few ids get their slots from a hash table; where they are many, ids are their own slots, a
 * range of them at a time. */
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
	uint32_t layers;
	uint32_t levels, k[KITH_MAX_TIERS];
	uint32_t alpha;  /* greatest */
	int counts[2];   /* KITH_UNION, KITH_MUTUAL: is it asked for? */
	uint32_t slots;  /* a multiple of 64 */
	uint32_t hashed; /* up to so many ids of a sample, with repetitions, get their slots from the table */
	/* histograms of |K_i^a n K_i^b|: level q's are at start[q] + pair * (k[q] + 1), pair counting a < b row by row
	 */
	uint64_t start[KITH_MAX_TIERS + 1];
} kith_tally_plan;

/* Ascending ids of one sample in one layer: neighbours that enter at `level`, or pairs with their stored tiers. */
typedef struct kith_tally_list {
	const uint32_t *id;
	const uint8_t *tier; /* pairs */
	size_t count;
	uint32_t layer;
	uint32_t level;             /* neighbours */
	const uint8_t *level_of[2]; /* pairs: per graph, of a tier byte */
} kith_tally_list;

struct kith_slot;

typedef struct kith_tally {
	const kith_tally_plan *plan;
	uint32_t *overlap;    /* the histograms */
	int64_t *runs[2];     /* per graph: levels x (alpha + 1) x layers x layers; alpha > 0: change from alpha - 1 */
	uint64_t *pairs[2];   /* per graph: levels x layers, pairs met */
	uint64_t *tier_bytes; /* layers x 256: pairs met with each tier byte */
	/* of the sample at hand: */
	uint64_t *bits;          /* sets of `slots` bits; for pairs graph by graph, level by level, layer by layer */
	uint64_t *some;          /* one set: scratch */
	uint32_t *first, *last;  /* layers: the words of a set that are not all zero */
	uint32_t *common;        /* levels x pairs of layers: |K_i^a n K_i^b|, where it comes in parts */
	struct kith_slot *table; /* of slots by id, half empty */
	uint32_t *taken, used;   /* places in it */
	size_t *cursor;          /* of lists that come in parts */
	uint64_t *masks;         /* over layers, and how often each has been met since it was last counted */
	uint32_t *run_start, *run_end; /* scratch */
} kith_tally;

/* Chooses plan->slots and hashed for samples whose lists have about `usual` ids together, or takes `forced` for both
 * unless it is 0; the rest of the plan is filled in. */
void kith_tally_choose_slots(kith_tally_plan *plan, uint64_t usual, uint32_t forced);

/* Bytes that one tally takes. */
uint64_t kith_tally_bytes(const kith_tally_plan *plan);
int kith_tally_init(kith_tally *tally, const kith_tally_plan *plan, kith_err *err);
void kith_tally_free(kith_tally *tally);

/* One sample's directed rows: `lists` by level, all ids of a layer in them. Returns the layer whose row has an id twice
 * or has `node` itself, or -1 if there is none. */
int kith_tally_rows(kith_tally *tally, uint64_t node, const kith_tally_list *lists, size_t count);

/* One sample's pairs with larger ones: a list for each layer. */
void kith_tally_pairs(kith_tally *tally, const kith_tally_list *lists);

/* Runs of pairs whose bits others have set, up to plan->slots of them: at one level of one graph, layer v's are `words`
 * words at bits + v * kith_tally_stride(plan). `bits` may be the tally's own. */
void kith_tally_runs(kith_tally *tally, int graph, uint32_t level, const uint64_t *bits, uint32_t words);
uint32_t kith_tally_stride(const kith_tally_plan *plan);

/* After the last sample, before the counts are looked at or added. */
void kith_tally_finish(kith_tally *tally);
void kith_tally_add(kith_tally *into, const kith_tally *from);

#endif
