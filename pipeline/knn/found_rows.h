/* found_rows.h - rows in the making: of some consecutive samples the k nearest found so far, by canonical distances,
 * whoever found them. */
#ifndef KITH_FOUND_ROWS_H
#define KITH_FOUND_ROWS_H

#include "engine.h"
#include "workspace.h"

#define KITH_NOBODY UINT32_MAX /* in the place of an id: no more were found */

/* Samples first..first+count-1: of each, k ids in rank order, with their squared distances. */
typedef struct kith_found_rows {
	uint64_t first, count;
	uint32_t *ids;  /* count x k */
	double *dist2;  /* count x k */
	uint64_t *left; /* count: those found that are not in the row, and exactly as far as its last, at least */
} kith_found_rows;

/* What finding them takes. */
typedef struct kith_ranker {
	const kith_vectors *vectors;
	uint32_t k;
	uint64_t most;   /* candidates of a row that come at a time */
	uint64_t memory; /* bytes, for what completing takes */
	int threads;
	const kith_progress *progress;
	struct kith_ranked_id *ranked; /* threads x (most + k) */
	/* Samples on their way from the file; nothing where all are in memory. */
	char *values; /* threads x (KITH_CANONICAL_PAIRS + 1) x d */
	uint8_t *raw; /* threads samples as they are stored */
	/* Rows that are completed together, and samples that they are compared with at a time. */
	uint32_t panel, block;
	uint32_t *wanted;    /* panel */
	char *wanted_values; /* panel x d */
	char *block_values;  /* block x d */
	uint8_t *block_raw;
} kith_ranker;

/* Lists the buffers of a ranker in `w`, with whose allocation they become valid: about `memory` bytes, where the
 * samples are not in memory (vectors->all). */
void kith_ranker_init(kith_ranker *ranker, const kith_vectors *vectors, uint32_t k, uint64_t most, uint64_t memory,
		      int threads, const kith_progress *progress, kith_workspace *w);

/* Nobody is in the rows. */
void kith_found_rows_clear(kith_found_rows *rows, uint32_t k);

/* Puts what a search has found into the rows: labels[count][found], which are samples less `offset`. Labels that are no
 * samples, and a row's own sample, are nobody. */
int kith_found_rows_take(kith_ranker *ranker, kith_found_rows *rows, const int64_t *labels, uint64_t found,
			 uint64_t offset, kith_err *err);

/* Finds the rows that lack somebody anew, among all samples, and adds their number to *completed. */
int kith_found_rows_complete(kith_ranker *ranker, kith_found_rows *rows, uint64_t *completed, kith_err *err);

/* Appends the rows, which are full, to the graph, and adds their ties. near_ids: scratch, count x near. */
int kith_found_rows_append(kith_found_rows *rows, const kith_engine_job *job, kith_graph_writer *writer,
			   uint32_t *near_ids, kith_tie_counts *tied, kith_err *err);

#endif
