/* ranked_rows.h - rows in the making: of each sample the nearest that are known, with their canonical distances, in
 * order. */
#ifndef KITH_RANKED_ROWS_H
#define KITH_RANKED_ROWS_H

#include <math.h>

#include "engine.h"

typedef struct kith_ranked_rows {
	uint64_t n;
	uint32_t k;
	uint32_t *count; /* n: how many are known */
	kith_tie_rule ties;
	uint32_t *id;           /* n x k: nearest first, equal distances by the tie rule */
	double *dist;           /* n x k */
	uint64_t *left;         /* n: samples that are not in the row, and exactly as far as its last, if it is full */
	const uint32_t *weight; /* n: how many samples each stands for there; NULL: itself */
	void *memory;           /* holds these; release it with free() */
} kith_ranked_rows;

uint64_t kith_ranked_rows_bytes(uint64_t n, uint32_t k);
/* Of all of the samples, with their tie rule. */
int kith_ranked_rows_alloc(kith_ranked_rows *rows, const kith_vectors *vectors, uint32_t k, kith_err *err);

/* A sample that is farther than this is not in row i. */
static inline double kith_ranked_rows_bound(const kith_ranked_rows *rows, uint64_t i)
{
	return rows->count[i] < rows->k ? INFINITY : rows->dist[i * rows->k + rows->k - 1];
}

/* Whether there is room for it in row i. */
static inline int kith_ranked_rows_wants(const kith_ranked_rows *rows, uint64_t i, uint32_t id, double dist)
{
	uint64_t last = i * rows->k + rows->k - 1;
	return rows->count[i] < rows->k || kith_comes_before(&rows->ties, dist, id, rows->dist[last], rows->id[last]);
}

/* Takes sample `id`, which row i does not have, into it if it is among the k nearest. Whoever is not in the row then
 * may be left. */
void kith_ranked_rows_take(kith_ranked_rows *rows, uint64_t i, uint32_t id, double dist);

/* All rows, which are full: counts their ties. */
void kith_ranked_rows_count(const kith_ranked_rows *rows, const kith_graph_info *info, kith_tie_counts *counts);

/* All rows, which are full, to the graph's writer. */
int kith_ranked_rows_write(const kith_ranked_rows *rows, const kith_engine_job *job, kith_graph_writer *writer,
			   kith_err *err);

#endif
