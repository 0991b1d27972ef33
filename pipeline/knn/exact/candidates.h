/* candidates.h - for each row of a panel, the samples that may still be among its k nearest, in bounded memory.
 *
 * A row collects the samples whose lower bound does not exceed what is known of its k-th distance. When its room is
 * used up, the k-th smallest upper bound rules out what it can; where bounds cannot tell (ties, near duplicates, data
 * that the bounds do not hold for), the caller computes canonical distances and the row keeps its k best by those. */
#ifndef KITH_CANDIDATES_H
#define KITH_CANDIDATES_H

#include "float_bounds.h"
#include "kith/graph.h"
#include "workspace.h"

typedef struct kith_candidates {
	const kith_bounds *bounds; /* whose bounds low[] are */
	uint32_t k, capacity;
	uint64_t stride;      /* from one row's candidates to the next: at least capacity, and 3 near */
	const uint32_t *self; /* rows: the sample that each row is */
	/* row r's candidates are [r * stride, r * stride + count[r]) of: */
	uint32_t *id;
	float *low; /* t of float_bounds.h */
	uint32_t *count;
	float *bound;    /* a sample with a greater t is not among the row's k nearest. Threads that share rows may
			    read it without the row's lock: it is lowered atomically */
	uint8_t *locked; /* for such threads */
	const uint32_t *weight; /* n: how many samples each stands for; NULL: itself. The caller's, after init */
	/* Of those that settling has dropped from row r, how many samples are exactly as far as the k-th, and how far
	 * that is: */
	uint64_t *tied;
	double *tied_at;
	/* Canonical distances that are known already: row r's are [r * room_known, r * room_known + known[r]) of: */
	uint32_t room_known;
	uint32_t *known, *known_id;
	double *known_dist;
} kith_candidates;

/* Lists the buffers of `rows` rows of up to `capacity` candidates: id and low, where each row has room for 3 near
 * values, in `lists`, the others in `w` (which may be the same), with whose allocation they become valid. */
void kith_candidates_init(kith_candidates *c, const kith_bounds *bounds, uint32_t k, uint32_t rows, uint32_t capacity,
			  uint32_t near, uint32_t room_known, kith_workspace *lists, kith_workspace *w);
/* The bytes of one row. */
uint64_t kith_candidates_row_bytes(uint32_t capacity, uint32_t near, uint32_t room_known);

/* Empties all rows, which from now on are the samples self[] (borrowed), and of which nothing is known. */
void kith_candidates_reset(kith_candidates *c, const uint32_t *self, uint32_t rows);

/* Upper bounds of row r's candidates, into out[count[r]]. */
void kith_candidates_upper(const kith_candidates *c, uint32_t r, float *out);

/* Drops the candidates that the k-th smallest upper bound rules out, and lowers bound[r] to it. scratch: `capacity`
 * floats. */
void kith_candidates_compact(kith_candidates *c, uint32_t r, float *scratch);

/* Takes in sample `id`, not the row's own and not yet in it, with its t for row r. Returns 0, or -1 if the room is used
 * up and bounds cannot tell more apart: then the caller computes the canonical distances of all candidates, calls
 * kith_candidates_settle, and offers the sample again. */
int kith_candidates_take(kith_candidates *c, uint32_t r, uint32_t id, float t, float *scratch);

/* A sample and its canonical distance; at: where the caller keeps it. */
struct kith_ranked {
	double dist;
	uint32_t id, at;
};

/* Sorts by distance, then by the tie rule. */
void kith_rank(const kith_tie_rule *ties, struct kith_ranked *x, uint32_t count);

/* Keeps the k best of row r's candidates. ranked[at] is candidate `at` and its distance, all numbers; it is reordered.
 */
void kith_candidates_settle(kith_candidates *c, uint32_t r, const kith_scaling *scaling, struct kith_ranked *ranked);

#endif
