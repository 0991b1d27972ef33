/* sparse_index.h - a block of samples by edges: what a row has in common with each of them.
 *
 * Most entries of forests are in few edges, those that many samples have. Of these each sample has a bit, and two
 * samples' are counted by words; every other edge lists its samples, who are then counted one by one. Of rows with
 * values edges that many samples have are a matrix with the zeros of the others, which is multiplied as such, and the
 * other edges' lists have the values. */
#ifndef KITH_SPARSE_INDEX_H
#define KITH_SPARSE_INDEX_H

#include "sparse_rows.h"

#define KITH_SPARSE_TILE  8u  /* rows that are tried together, so that the samples' bits stay in the cache; even */
#define KITH_SPARSE_GROUP 16u /* samples whose values stand side by side in the matrix */

/* Edges of the block are numbered in the order of their ids, and found by a bit for each id of the network:
 *
 *     has    | 64 ids | 64 ids | 64 ids | ...     the edges that any sample has
 *     before |      0 |      5 |     11 | ...     how many of these come before the word
 *     begin  | 0 | 7 | 7 | 9 | ...                of each such edge: its list is sample[begin[e]..begin[e+1]-1]
 *     bit    | - | 0 | - | - | ...                or its bit, or its number in the matrix */
typedef struct kith_sparse_index {
	kith_sparse_rows rows; /* the samples; borrowed */
	uint64_t *has;
	uint32_t *before;
	uint64_t ids, edges;
	uint32_t *begin, *bit; /* edges + 1, edges */
	uint32_t words;        /* of a sample's bits, a multiple of 4 */
	uint64_t *bits;        /* rows.count x words */
	uint64_t columns;      /* edges of the matrix */
	double *matrix;        /* groups of samples x columns x KITH_SPARSE_GROUP */
	uint16_t *sample;
	double *value;                 /* beside it */
	void *table, *numbers, *lists; /* hold these */
	uint64_t number_capacity, list_capacity;
} kith_sparse_index;
#define KITH_NO_BIT        UINT32_MAX
#define KITH_SPARSE_MOST   4096u /* samples of an index */
#define KITH_SPARSE_DENSE  20 /* an edge that one of so many samples has becomes a bit: both ways take about as long */
#define KITH_SPARSE_MATRIX 3  /* and with values a column of the matrix: zeros cost less than lists do, but memory */

/* What an index of so many ids takes, whatever the rows; what those take besides, at most; and a thread's
 * scratch for `samples` of them. */
uint64_t kith_sparse_table_bytes(uint64_t ids);
uint64_t kith_sparse_index_bytes(uint64_t samples, uint64_t entries, uint64_t ids, int valued);
uint64_t kith_sparse_scratch_bytes(uint64_t samples, uint64_t row_entries, int valued);

/* Zero the index; release it with kith_sparse_index_free. Then it may be built as often as wanted, of up to
 * KITH_SPARSE_MOST rows; dense_part: KITH_SPARSE_DENSE, with values KITH_SPARSE_MATRIX, or what tests want. */
int kith_sparse_index_init(kith_sparse_index *index, uint64_t ids, kith_err *err);
int kith_sparse_index_build(kith_sparse_index *index, const kith_sparse_rows *rows, int dense_part, kith_err *err);
void kith_sparse_index_free(kith_sparse_index *index);

/* Scratch of one thread. Zero it; release memory with free(). */
typedef struct kith_sparse_scratch {
	uint64_t *bits;   /* KITH_SPARSE_TILE x index->words */
	double *dense;    /* KITH_SPARSE_TILE x index->columns */
	uint32_t *common; /* KITH_SPARSE_TILE x samples: edges that both have */
	double *product;  /* the same with values: sums of products, in any order */
	double *distance; /* samples; the caller's */
	void *memory;
	uint64_t capacity;
} kith_sparse_scratch;
int kith_sparse_scratch_place(kith_sparse_scratch *scratch, const kith_sparse_index *index, kith_err *err);

/* What rows first..first+count-1 (up to KITH_SPARSE_TILE) have in common with all samples: common or product, row after
 * row. Thread safe with a scratch for each. */
void kith_sparse_index_count(const kith_sparse_index *index, const kith_sparse_rows *rows, uint64_t first,
			     uint32_t count, kith_sparse_scratch *scratch);

#endif
