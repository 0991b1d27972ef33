/* search.h - the lists of all samples' neighbours: a forest, then rounds of descent. */
#ifndef KITH_SEARCH_H
#define KITH_SEARCH_H

#include "approx_plan.h"
#include "descent.h"
#include "duplicates.h"
#include "forest.h"
#include "recall.h"

typedef struct kith_search {
	const kith_approx_plan *plan;
	const kith_engine_job *job;
	const kith_duplicates *duplicates; /* whose samples left out have no place */
	uint64_t seed;
	kith_codes *codes;
	/* of kith_search_arrange: */
	uint64_t m;      /* samples that have a place */
	uint32_t *order; /* m: they, in the order of the first tree's leaves */
	uint32_t *place; /* n: where each stands in it; UINT32_MAX: nowhere */
	/* of kith_search_run: */
	kith_neighbour_lists lists; /* m, by place, of places */
	uint32_t trees, rounds;     /* that it took */
	kith_recall reached;        /* the least of the ladder's, if the job has an audit */
	/* scratch */
	uint32_t *work; /* m: the order of another tree */
	kith_local_join *joins;
	void *memory; /* holds order, place, work and joins */
} kith_search;

/* Puts the samples that are not left out, and their codes, into the order of the first tree. The caller has set the
 * members before `m`, and all others to 0. Release it with kith_search_free, also after a failure. */
int kith_search_arrange(kith_search *search, kith_err *err);

/* Fills the lists. They do not depend on the number of threads. */
int kith_search_run(kith_search *search, kith_err *err);

/* Offers the rows of another layer's graph of the same samples to the lists: each pair to both. Sample i is the graph's
 * sample[i], ascending; NULL: its i-th. */
int kith_search_offer(kith_search *search, kith_graph *graph, const uint32_t *sample, kith_err *err);

void kith_search_free(kith_search *search);

#endif
