/* refine.h - from candidates to neighbours: canonical distances of those that bounds cannot place, read in an order
 * that reads each sample once for many rows. */
#ifndef KITH_REFINE_H
#define KITH_REFINE_H

#include "candidates.h"

/* The finished rows of all n samples: in the place of their candidates; or, where those of all do not fit into memory
 * together, in one piece of memory; or, where that is too much, of a file. */
typedef struct kith_results {
	uint32_t k, near;
	uint32_t *ids;      /* n x k */
	uint32_t *near_ids; /* n x near */
	double *near_dist2; /* n x near */
	void *block;
	uint64_t bytes;
	int spilled;
	/* in the place of candidates: sample i's row of `ids` and `low` is place[i] */
	const uint32_t *place;
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
/* If `spill` is not NULL, the results live in a nameless file in the folder of that path. */
int kith_results_init(kith_results *results, uint64_t n, uint32_t k, uint32_t near, const char *spill, kith_err *err);
/* The rows take the place of the candidates, which are those of all samples that have a place, and lie in their memory.
 */
void kith_results_in_place(kith_results *results, const kith_candidates *c, const uint32_t *place, uint32_t near);
kith_row kith_results_row(const kith_results *results, uint64_t sample);
void kith_results_free(kith_results *results);

/* One thread's work space. */
typedef struct kith_refiner {
	const kith_rows *rows;
	const kith_screen *screen;
	const kith_graph_info *info;
	uint32_t capacity, batch;
	float *values; /* 3 x capacity */
	struct kith_ranked *ranked;
	/* of up to `batch` rows, with pool = batch x capacity candidates: */
	uint32_t *start; /* batch + 1 */
	uint8_t *tier;   /* least possible tier, and greatest possible tier << 4 */
	/* Those whose distance is wanted: row b's are [first[b], first[b + 1]) of: */
	uint32_t *first;          /* batch + 1 */
	uint32_t *open;           /* pool: places among the row's candidates */
	double *dist;             /* pool: canonical distances */
	struct kith_wanted *want; /* pool */
	void *x, *y;              /* batch x d and (KITH_SIDE + 1) x d cells; nothing where all rows are in memory */
	uint8_t *raw;             /* one row as it is stored */
	uint32_t *table;          /* of known distances, by id */
	uint32_t *ids;            /* capacity: places of candidates, or a row in the making */
} kith_refiner;

/* Lists the buffers of a refiner for rows of up to `capacity` candidates, `batch` at a time, in `w`, with whose
 * allocation they become valid. `resident`: all samples are in memory. The caller sets screen and info. */
void kith_refiner_init(kith_refiner *f, const kith_rows *rows, int resident, uint32_t capacity, uint32_t batch,
		       kith_workspace *w);
uint64_t kith_refiner_bytes(const kith_rows *rows, int resident, uint32_t capacity, uint32_t batch);
/* As many rows at a time, a power of two times less than `most`, as fit into `memory`; at least one. */
uint32_t kith_refiner_batch(const kith_rows *rows, int resident, uint32_t capacity, uint32_t most, uint64_t memory);
/* Panel row r, full as it may be, keeps its k nearest (see kith_candidates_take). */
int kith_refine_settle(kith_refiner *f, kith_candidates *c, uint32_t r, kith_err *err);

/* For panel rows first..first+count-1, lowers bound[r] to the k-th smallest canonical distance of the candidates, if
 * there are k, makes known what was measured, as far as there is room, and empties the rows. */
int kith_refine_bounds(kith_refiner *f, kith_candidates *c, uint32_t first, uint32_t count, kith_err *err);

/* All candidates are in: the results of panel rows first..first+count-1. KITH_EBUG if the bounds contradicted the
 * distances. */
int kith_refine_rows(kith_refiner *f, kith_candidates *c, uint32_t first, uint32_t count, kith_results *results,
		     kith_err *err);

#endif
