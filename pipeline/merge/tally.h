/* tally.h - the counts behind NNTS and NNTP, kept by one thread each and added up at the end. All are integers, so no
 * result depends on the order in which samples are met.
 *
 * Counting is done on sets of bits (bits.h). The ids that one sample meets, in whatever layer, get a slot each, and
 * every layer has the bits of the slots it has: |K_i^a n K_i^b| is the number of bits of two layers together, and the
 * runs of many pairs are found at once. Few ids get their slots from a hash table, those above the sample apart from
 * those below; where they are many, or come as bits already, ids are their own slots, a range of them at a time. */
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
	uint32_t hashed; /* up to so many ids of a sample, with repetitions, are few */
	/* histograms of |K_i^a n K_i^b|: level q's are at start[q] + pair * (k[q] + 1), pair counting a < b row by row
	 */
	uint64_t start[KITH_MAX_TIERS + 1];
} kith_tally_plan;

/* Ids that enter a sample's row, or its reverse list, in one layer at one level: ascending, or as bits. */
typedef struct kith_tally_set {
	const uint32_t *id; /* KITH_SETS_SPARE more may be read */
	size_t count;
	const uint64_t
		*bits; /* NULL: ids. Else the words from `base` on of (n + 63) / 64, and `count` does not matter */
	size_t base;
	uint32_t layer, level;
} kith_tally_set;

typedef struct kith_tally {
	const kith_tally_plan *plan;
	uint32_t *overlap;  /* the histograms */
	int64_t *runs[2];   /* per graph: levels x (alpha + 1) x layers x layers; alpha > 0: change from alpha - 1 */
	uint64_t *pairs[2]; /* per graph: levels x layers, pairs met */
	uint64_t *edges;    /* levels x layers: edges between the sample and larger ones met, in either direction */
	/* of the sample at hand, where its ids are few: */
	uint32_t *id;              /* all that it meets, with repetitions */
	uint16_t *rep;             /* where each is met first */
	uint16_t *table;           /* some id, by hash */
	uint32_t *below, *above;   /* where slots are met first */
	uint16_t *pending;         /* scratch */
	uint64_t *mask[2];         /* over layers, of what is met first: rows, reverse lists */
	uint64_t *out, *in, *both; /* sets in columns: rows, slots below the sample first; reverse lists; pairs */
	uint16_t *shared;          /* layers x lanes: neighbours shared (bits.h), at one level */
	uint8_t *young;            /* histograms of the last samples alone, */
	uint32_t young_samples;    /* so many */
	/* where they are many: */
	uint64_t *rows;   /* sets in rows: of rows, of reverse lists, and of pairs, `layers` each */
	uint64_t *counts; /* lanes: scratch */
	uint32_t *common; /* levels x pairs of layers: |K_i^a n K_i^b|, as far as it has been counted */
	size_t *cursor;   /* of sets that come in parts: rows, then reverse lists */
	int64_t *chains;  /* per graph and level, where runs are counted by layers: what bits.h makes of them */
	uint64_t *masks;  /* over layers, and how often each has been met since it was last counted */
	uint32_t *run_start, *run_end; /* scratch */
} kith_tally;

/* Chooses plan->slots and hashed for samples whose lists have about `usual` ids together, or takes `forced` for both
 * unless it is 0; the rest of the plan is filled in. */
void kith_tally_choose_slots(kith_tally_plan *plan, uint64_t usual, uint32_t forced);

/* Bytes that one tally takes. */
uint64_t kith_tally_bytes(const kith_tally_plan *plan);
int kith_tally_init(kith_tally *tally, const kith_tally_plan *plan, kith_err *err);
void kith_tally_free(kith_tally *tally);

/* One sample: the sets of its rows, and of its reverse lists, each by ascending level. Returns the layer that has an id
 * twice, or has the sample itself, or -1 if there is none; then nothing that was counted means anything. */
int kith_tally_node(kith_tally *tally, uint64_t node, const kith_tally_set *rows, size_t row_count,
		    const kith_tally_set *reverse, size_t reverse_count);

/* Pairs whose sets others have made: of one graph and level, in rows (bits.h). Counts their runs, not the pairs. */
void kith_tally_runs(kith_tally *tally, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t stride);

/* After the last sample, before the counts are looked at or added. */
void kith_tally_finish(kith_tally *tally);
void kith_tally_add(kith_tally *into, const kith_tally *from);

#endif
