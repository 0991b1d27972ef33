/* refine.h - from candidates to neighbours: canonical distances of those that bounds cannot place, read in an order
 * that reads each sample once for many rows. */
#ifndef KITH_REFINE_H
#define KITH_REFINE_H

#include "area.h"
#include "candidates.h"

/* The finished rows of n samples: in the place of their candidates; or, where those of all do not fit into memory
 * together, in one piece of memory; or, where that is too much, in a file.
 *
 * In the place of candidates, sample i's row is row place[i] of their lists, which are no longer needed:
 *
 *     id   ->  | k ids, tier by tier                     | unused   |
 *     low  ->  | near doubles: distances | near ids      | unused   |      stride values of 4 bytes each
 *
 * In a file, all that a row has lies together, in pages that no other row is in, where rows fill pages: rows come in an
 * order of their own, and a page that was given back half full would have to be read again.
 */
typedef struct kith_results {
	uint32_t k, near;
	/* Sample i's row is row place[i]; NULL: row i. */
	const uint32_t *place;
	uint32_t *ids;        /* n x k */
	uint32_t *near_ids;   /* n x near */
	double *near_dist2;   /* n x near */
	uint64_t record;      /* bytes of a row in a file: near distances, near ids, ids; 0: not in a file */
	char *records;        /* n of these, in place of the three */
	kith_area area;       /* holds all of them; nothing: they are in the place of candidates */
	kith_tie_counts tied; /* of all rows that are finished, and of those that are left out for theirs */
	/* by sample: how many that are not in its row are exactly as far as the last there; NULL: not wanted. The
	 * caller's, before init */
	uint64_t *left;
	float *low;
	uint64_t stride;
} kith_results;

/* Where one sample's results are. */
typedef struct kith_row {
	uint32_t *ids;      /* k, tier by tier */
	uint32_t *near_ids; /* near, nearest first */
	double *near_dist2; /* near */
} kith_row;

uint64_t kith_results_bytes(uint64_t n, uint32_t k, uint32_t near);
/* If `spill` is not NULL, the results live in a nameless file in the folder of that path (without ids, k = 0, as they
 * do in memory). */
int kith_results_init(kith_results *results, uint64_t n, uint32_t k, uint32_t near, const char *spill, kith_err *err);
/* The rows are to take the place of the candidates of all samples that have a place, in the candidates' memory. */
void kith_results_in_place(kith_results *results, const kith_candidates *c, const uint32_t *place, uint32_t near);
kith_row kith_results_row(const kith_results *results, uint64_t sample);
void kith_results_free(kith_results *results);

/* One thread's work space, for up to `batch` rows at a time, each of up to `capacity` candidates and all together of up
 * to `pool`: where rows come from the file, more rows than are sure to fit make use of what most rows do not need. */
typedef struct kith_refiner {
	const kith_vectors *vectors;
	const kith_scaling *scaling;
	const kith_graph_info *info;
	uint32_t capacity, batch, pool;
	float *values;              /* 4 x capacity */
	struct kith_ranked *ranked; /* capacity */
	uint32_t *ids;              /* capacity: places of candidates, or a row in the making */
	/* The tiers that row b's candidates may still be in: [start[b], start[b + 1]) of `tiers`. */
	uint32_t *start; /* batch + 1 */
	uint8_t *tiers;  /* pool: the lowest, and the highest << 4 */
	/* The candidates of row b whose distance is wanted: [first[b], first[b + 1]) of `open` and `dist`. */
	uint32_t *first;          /* batch + 1 */
	uint32_t *open;           /* pool: places among the row's candidates */
	double *dist;             /* pool: canonical distances */
	struct kith_wanted *want; /* 2 x pool: those to compute, and room to sort them */
	uint32_t wanted;          /* how many there are to compute */
	/* Samples on their way from the file; nothing where all are in memory. */
	char *x, *y;     /* batch x d and slots x d values */
	uint32_t slots;  /* samples that are read before they are measured, */
	uint32_t gap;    /* with up to this many unwanted ones between two, rather than in two pieces */
	uint8_t *raw;    /* slots samples as they are stored */
	uint32_t *table; /* of known distances, by id */
} kith_refiner;

/* Lists the buffers of a refiner in `w`, with whose allocation they become valid. `resident`: all samples are in
 * memory. The caller sets scaling and info. */
void kith_refiner_init(kith_refiner *f, const kith_vectors *vectors, int resident, uint32_t capacity, uint32_t batch,
		       kith_workspace *w);
uint64_t kith_refiner_bytes(const kith_vectors *vectors, int resident, uint32_t capacity, uint32_t batch);
/* As many rows at a time as fit into `memory`, `most` halved as often as it takes; at least one. */
uint32_t kith_refiner_batch(const kith_vectors *vectors, int resident, uint32_t capacity, uint32_t most,
			    uint64_t memory);

/* Panel row r, full as it may be, keeps its k nearest (see kith_candidates_take). */
int kith_refine_settle(kith_refiner *f, kith_candidates *c, uint32_t r, kith_err *err);

/* For panel rows first..first+count-1, no more than a batch, lowers bound[r] to the k-th smallest canonical distance of
 * the candidates, if there are k, makes known what was measured, as far as there is room, and empties the rows. */
int kith_refine_bounds(kith_refiner *f, kith_candidates *c, uint32_t first, uint32_t count, kith_err *err);

/* All candidates are in: the results of panel rows first..first+count-1, no more than a batch. KITH_EBUG if the bounds
 * contradicted the distances. */
int kith_refine_rows(kith_refiner *f, const kith_candidates *c, uint32_t first, uint32_t count, kith_results *results,
		     kith_err *err);

#endif
