/* counts.h - the counts behind NNTS and NNTP, kept by one thread each and added up at the end. All are integers, so no
 * result depends on the order in which samples are met.
 *
 * Counting is done on sets of bits (bit_kernels.h). The ids that one sample meets, in whatever layer, get a slot each,
 * and every layer has the bits of the slots it has: |K_i^a n K_i^b| is the number of bits of two layers together, and
 * the runs of many pairs are found at once. Few ids get their slots by hash (count_sparse.c); where they are many, or
 * come as bits already, ids are their own slots, a range of them at a time (count_dense.c). */
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

/* All pairs of so many layers. */
static inline uint64_t kith_tally_pair_count(uint64_t layers)
{
	return layers * (layers - 1) / 2;
}

/* Ids that enter a sample's row, or its reverse list, in one layer at one level: ascending, or as bits. */
typedef struct kith_tally_set {
	const uint32_t *id; /* KITH_SETS_SPARE more may be read */
	size_t count;
	const uint64_t
		*bits; /* NULL: ids. Else the words from `base` on of (n + 63) / 64, and `count` does not matter */
	size_t base;
	uint32_t layer, level;
} kith_tally_set;

/* The same for many samples. */
typedef struct kith_tally_source {
	const kith_sets *sets;
	uint32_t layer, level;
} kith_tally_source;

static inline kith_tally_set kith_tally_set_at(const kith_tally_source *source, uint64_t node)
{
	const kith_sets *sets = source->sets;
	kith_tally_set set = {.layer = source->layer, .level = source->level};
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

/* Runs of pairs, and what is needed to find them. */
typedef struct kith_runs {
	int64_t *table[2]; /* per graph: levels x (alpha + 1) x layers x layers; alpha > 0: change from alpha - 1 */
	int64_t *chains;   /* per graph and level, where runs are counted by layers: what bit_kernels.h makes of them */
	uint64_t *masks;   /* else: masks over layers, and how often each has been met since it was last counted */
	uint32_t *start, *end; /* of the runs of a mask */
} kith_runs;

#define KITH_TALLY_TOGETHER 16u /* samples whose ids are brought together at once */

/* Ids whose bits go to the same word of their masks at the same level: of each sample, those from the from-th on. */
typedef struct kith_few_stretch {
	uint32_t level, word, from[KITH_TALLY_TOGETHER];
} kith_few_stretch;

/* Samples whose ids are few. */
typedef struct kith_few {
	/* of several: */
	uint32_t *id; /* all that they meet, with repetitions */
	uint8_t *bit; /* of each: which one of a word of its mask stands for where it was met */
	uint32_t start[KITH_TALLY_TOGETHER], end[KITH_MAX_TIERS][KITH_TALLY_TOGETHER]; /* of a sample; of a level, from
											   there */
	kith_few_stretch *stretch;
	uint32_t stretches;
	/* of the one at hand: */
	uint16_t *hash, *table; /* of each id; where an id of that hash is met first */
	uint16_t *again;        /* 1 + the same for ids that came to the place of another: a second table, empty between
				   samples */
	uint32_t *used, used_count; /* its places in use */
	uint64_t *mask;             /* over layers, in rows and in reverse lists, of each id, at one of the places
				       of the first level that has it */
	uint64_t *slots, *columns;  /* masks of rows side by side, and turned */
	uint32_t *lists;            /* scratch of bit_kernels.h */
	uint16_t *shared;           /* neighbours that two layers share, at one level */
	/* of some that have been counted: */
	uint8_t *numbers;                 /* per level: neighbours shared, sample by sample, where k is small, */
	uint32_t waiting[KITH_MAX_TIERS]; /* of so many samples */
	uint8_t *young;                   /* histograms of the last ones alone, */
	uint32_t young_samples;           /* so many */
	uint64_t *pool;                   /* per level: masks of pairs not counted yet, */
	uint32_t pooled[KITH_MAX_TIERS];  /* so many */
	uint64_t *turned, *both;          /* some of them in columns, and as pairs of one graph */
} kith_few;

/* One whose ids are many. */
typedef struct kith_many {
	uint64_t *rows;       /* sets in rows: of rows, of reverse lists, and of pairs, `layers` each */
	uint32_t *common;     /* levels x pairs of layers: |K_i^a n K_i^b|, as far as it has been counted */
	kith_tally_set *sets; /* of rows, then of reverse lists */
	size_t *cursor;       /* of those that come in parts */
	uint8_t *filled;      /* rows, reverse lists: is something there already? */
} kith_many;

typedef struct kith_tally {
	const kith_tally_plan *plan;
	uint32_t *overlap;  /* the histograms */
	uint64_t *pairs[2]; /* per graph: levels x layers, pairs met */
	uint64_t *edges;    /* levels x layers: edges between the sample and larger ones met, in either direction */
	kith_runs runs;
	uint64_t *counts; /* lanes: scratch, 0 */
	kith_few few;
	kith_many many;
} kith_tally;

/* Chooses plan->slots and hashed for samples whose lists have about `usual` ids together, or takes `forced` for both
 * unless it is 0; the rest of the plan is filled in. */
void kith_tally_choose_slots(kith_tally_plan *plan, uint64_t usual, uint32_t forced);

/* Bytes that one tally takes. */
uint64_t kith_tally_bytes(const kith_tally_plan *plan);
int kith_tally_init(kith_tally *tally, const kith_tally_plan *plan, kith_err *err);
void kith_tally_free(kith_tally *tally);

/* Samples first..first+nodes-1: `count` sources of their rows by ascending level, and by ascending layer within a
 * level, then as many of their reverse lists. Returns the layer that has an id twice, or has the sample itself, in some
 * row, that of *bad, or -1 if there is none; then nothing that was counted means anything. */
int kith_tally_nodes(kith_tally *tally, const kith_tally_source *sources, size_t count, uint64_t first, uint64_t nodes,
		     uint64_t *bad);

/* After the last sample, before the counts are looked at or added. */
void kith_tally_finish(kith_tally *tally);
void kith_tally_add(kith_tally *into, const kith_tally *from);

#endif
