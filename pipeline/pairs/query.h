/* query.h - the pairs of a pair store that answer a question, at one k in one graph. */
#ifndef KITH_QUERY_H
#define KITH_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "kith/pairs.h"

/* `first` and `last` are layers; where a question names only one, last is first. */
typedef enum kith_pair_ask {
	KITH_ASK_ALL,     /* present in some layer */
	KITH_ASK_PERSIST, /* present in all of first..last: those whose run, of alpha = 0, covers them. With first =
			     last, as many as the stack's pairs[first] */
	KITH_ASK_RUN,     /* a run that begins at first and ends at last: as many as NNTP[first][last] at alpha = 0 */
	KITH_ASK_BORN,    /* present in first, not in the layer before */
	KITH_ASK_DIES,    /* present in first, not in the layer after */
	KITH_ASK_RETURNS, /* present, then absent, then present again, wherever */
	KITH_ASK_GAP      /* present in first and last > first + 1, in none between: as many as the stack's
			     returns[first][last - first - 2] */
} kith_pair_ask;

typedef struct kith_pair_query {
	kith_pair_ask ask;
	uint32_t first, last;
	uint32_t tier; /* index of k */
	kith_graph_kind graph;
	kith_progress progress;
} kith_pair_query;

/* A pair found. Where the question names a run (persist, run, born, dies), first and last are where that run begins and
 * ends; else the first and the last layer where the pair is present. Both are 0 unless the taker wants them. */
typedef struct kith_pair_found {
	uint32_t i, j, first, last;
} kith_pair_found;

/* Receives the pairs in ascending order. Returns 0, or a status with `err` filled, which ends the walk. */
typedef struct kith_pair_taker {
	int (*take)(void *context, const kith_pair_found *found, kith_err *err); /* NULL: only count */
	void *context;
	int wants_layers; /* of a pair found: makes the walk read every layer */
} kith_pair_taker;

/* Walks the store's blocks, decoding the layers that the question is about, and hands each pair that answers it to
 * `taker`. `*count` is how many there were. Work space: a block, and once more a bit for each of its pairs and layers.
 */
int kith_pair_query_run(kith_pair_store *store, const kith_pair_query *query, const kith_pair_taker *taker,
			uint64_t *count, kith_err *err);

/* Options' values. KITH_EUSAGE, naming the option, if the store has no such layer or k. A layer is called by its name
 * or, where no layer has that name, its number from 0; a range is A:B, A (A:A), A: (to the last) or :B. */
int kith_pair_find_range(const kith_pair_store *store, const char *option, const char *text, uint32_t *first,
			 uint32_t *last, kith_err *err);
int kith_pair_find_tier(const kith_pair_store *store, uint32_t k, uint32_t *tier, kith_err *err);

#endif
