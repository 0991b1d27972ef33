/* zero_rows.h - samples of zeros under the metric cosine. They have no direction: their similarity with any sample,
 * with each other, too, is 0, and so their squared distance exactly 2 (as in scikit-learn's cosine_distances). Bounds
 * about vectors know nothing of that, so an engine gets the other samples only, and zero rows are put in where the
 * engine's rows arrive: each by the tie rule, behind whoever is nearer than that. */
#ifndef KITH_ZERO_ROWS_H
#define KITH_ZERO_ROWS_H

#include "engine.h"

#define KITH_ZERO_APART 2.0 /* the squared distance of a zero row from any other */

/* A job without its zero rows. */
typedef struct kith_zero_rows {
	const kith_engine_job *job; /* of all samples */
	uint64_t count;             /* zero rows, */
	uint32_t *zero;             /* in the order of the tie rule */
	uint64_t others;
	uint32_t *other;  /* the other samples, ascending */
	uint32_t *first;  /* the first k + 1 of all samples (or all), in the order of the tie rule */
	uint32_t k, near; /* of a row of the engine's, which has all of its distances */
	kith_vectors vectors;
	kith_graph_info info;     /* the ladder as far as there are so many others, then k */
	kith_engine_job rest;     /* the engine's: these samples */
	uint64_t *left;           /* by its samples (engine.h) */
	uint64_t next, taken;     /* the next sample whose row goes to the graph; the engine's rows that have come */
	kith_tie_counts tied;     /* of the rows that have gone */
	uint32_t *ids, *near_ids; /* `most` rows of the graph, `made` of which wait */
	double *near_dist2, *dist;
	uint32_t made, most;
	void *memory;
} kith_zero_rows;

/* Zero rows are those whose norm is 0. `job` is borrowed. Where there are fewer than two others, there is nothing for
 * an engine to do. KITH_EUSAGE if that takes more than half of the job's memory. Release it with kith_zero_rows_free,
 * also after a failure. */
int kith_zero_rows_init(kith_zero_rows *zero, const kith_engine_job *job, kith_err *err);
void kith_zero_rows_free(kith_zero_rows *zero); /* all zeros is fine */

/* The k nearest of sample i, in order, into out[k], and their squared distances into zero->dist: of all samples, where
 * others[count] at dist[count] are the nearest of the others (by their own numbers, in order; of a zero row, nothing).
 * `left`: as in engine.h. Returns how many that are not among the k are as far as the last. */
uint64_t kith_zero_rows_row(kith_zero_rows *zero, uint32_t i, const uint32_t *others, const double *dist,
			    uint32_t count, uint64_t left, uint32_t *out);

/* The engine's next `count` rows, of `k` neighbours each and with all of their distances: they, and those of the zero
 * rows that come before or between them, go to the graph. */
int kith_zero_rows_append(kith_zero_rows *zero, kith_graph_writer *writer, uint64_t count, const uint32_t *near_ids,
			  const double *near_dist2, kith_err *err);

/* All of the engine's rows have come, and left[] is there: the rest of the rows, and the counts of ties. */
int kith_zero_rows_finish(kith_zero_rows *zero, kith_graph_writer *writer, kith_err *err);

#endif
