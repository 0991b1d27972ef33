/* candidates.h - for each row of a panel, the samples that may still be among its k nearest, in bounded memory.
 *
 * A row collects the columns that pass the screen. When its room is used up, the k-th smallest upper bound rules out
 * what it can; where bounds cannot tell (ties, duplicates, data the screen does not hold for), the caller computes
 * canonical distances and the row keeps its k best by those. In the end only what lies within the bounds' error of a
 * tier's boundary, or is to have its distance stored, needs a canonical distance; the rest is certain. */
#ifndef KITH_CANDIDATES_H
#define KITH_CANDIDATES_H

#include "kith/graph.h"
#include "screen.h"

/* dist[] of a candidate: what is known of its canonical distance. */
#define KITH_DIST_UNKNOWN (-1.0) /* needed, not yet computed */
#define KITH_DIST_SPARED  (-2.0) /* its tier is certain without */

typedef struct kith_candidates {
	const kith_screen *screen;
	const kith_graph_info *info;
	uint32_t rows, capacity; /* candidates per row */
	/* row r's candidates, ascending by id, are [r * capacity, r * capacity + count[r]) of: */
	uint32_t *id;
	float *low; /* t of screen.h */
	double *dist;
	uint8_t *tier; /* least possible tier, and greatest possible tier << 4 */
	uint32_t *count;
	float *bound;   /* a candidate with a greater t is not among the k nearest */
	uint8_t *exact; /* the first k candidates' dist is known, and bound comes from the k-th */
} kith_candidates;

/* Scratch of one thread. */
typedef struct kith_candidate_scratch {
	float *values; /* 2 x capacity */
	struct kith_ranked {
		double dist;
		uint32_t id, at;
	} * ranked; /* capacity */
} kith_candidate_scratch;

uint32_t kith_candidates_capacity(uint64_t n, uint32_t k);
uint64_t kith_candidates_row_bytes(uint32_t capacity);
int kith_candidates_init(kith_candidates *c, const kith_screen *screen, const kith_graph_info *info, uint32_t rows,
			 kith_err *err);
void kith_candidates_free(kith_candidates *c);
int kith_candidate_scratch_init(kith_candidate_scratch *s, const kith_candidates *c, kith_err *err);
void kith_candidate_scratch_free(kith_candidate_scratch *s);

/* Empties all rows. bound[r] is what is known of row r's k-th distance, or bound is NULL. */
void kith_candidates_reset(kith_candidates *c, const float *bound, uint32_t rows);

/* Columns i < count whose lo[i] - 2 g[i] does not exceed the bound, into hits[count]; returns how many. */
uint32_t kith_hits(const float *g, const float *lo, uint32_t count, float bound, uint32_t *hits);

/* Takes in sample `id` with its t for panel row r, which is sample `node`; ids must come in ascending order. Returns 0,
 * or -1 if the room is used up and bounds cannot tell more apart: then the caller sets the unknown dist[] of all
 * candidates, calls kith_candidates_settle, and offers the sample again. */
int kith_candidates_take(kith_candidates *c, uint32_t r, uint64_t node, uint32_t id, float t,
			 kith_candidate_scratch *s);

/* All dist[] of row r are known: keeps the k best (distance, id) and makes the row exact. Returns 0, or -1 if fewer
 * than k dist[] are numbers. */
int kith_candidates_settle(kith_candidates *c, uint32_t r, uint64_t node, kith_candidate_scratch *s);

/* All columns are in: narrows every candidate's tier, and sets dist[] to KITH_DIST_UNKNOWN where it must be computed.
 */
void kith_candidates_mark(kith_candidates *c, uint32_t r, uint64_t node, kith_candidate_scratch *s);

/* All marked dist[] are computed: the row, tier by tier, and its near list. Returns 0, or -1 if the bounds contradicted
 * the distances (a bug). */
int kith_candidates_finish(const kith_candidates *c, uint32_t r, uint32_t *ids, uint32_t *near_ids, double *near_dist2,
			   kith_candidate_scratch *s);

#endif
