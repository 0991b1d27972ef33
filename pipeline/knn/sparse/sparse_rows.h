/* sparse_rows.h - samples of a file of generators (.kh0) as sparse rows over edge ids: which edges of a sample's forest
 * make its row, and with what values; zeros are not there.
 *
 * A row stands for the vector of info->ids values whose others are all 0. Terms of a canonical sum in which both have 0
 * are 0, and change nothing: what is summed in the order of the ids over the others is that vector's distance, bit for
 * bit. */
#ifndef KITH_SPARSE_ROWS_H
#define KITH_SPARSE_ROWS_H

#include "kith/generators.h"
#include "kith/knn.h"

/* Consecutive samples. */
typedef struct kith_sparse_rows {
	uint64_t first, count;
	uint64_t *at;                    /* count + 1: row r's entries are at[r]..at[r+1]-1 of: */
	uint64_t *id;                    /* edge ids, ascending within a row */
	double *value;                   /* NULL: each of row r is scale[r] */
	double *scale;                   /* count */
	double *square;                  /* count: the sum of the row's squares, each operation rounded, in any order */
	uint64_t row_capacity, capacity; /* rows, entries */
	void *memory;                    /* holds these */
} kith_sparse_rows;

static inline uint64_t kith_sparse_size(const kith_sparse_rows *rows, uint64_t r)
{
	return rows->at[r + 1] - rows->at[r];
}

struct kith_sparse_reader;

/* Where rows come from. Zero it; release with kith_sparse_source_close. Used by one thread at a time. */
typedef struct kith_sparse_source {
	const char *path;
	const kith_h0_info *info;
	kith_row_options options;
	kith_metric metric;
	int valued;         /* whether rows have values: all weights but `one` do */
	unsigned parts;     /* KITH_H0_*: what of the file is needed */
	int all_ops;        /* else op_wanted says of each operation whether it is */
	uint8_t *op_wanted; /* op_count */
	char *parameters;   /* the options that make rows other than the default's, in one spelling */
	int shift;          /* for l2, as in kith_vectors; 0 until the caller sets it */
	int threads;
	struct kith_sparse_reader *reader; /* threads */
} kith_sparse_source;

/* Whether `path` is in the format that kith's own files are in, whose first bytes differ from those of activations. */
int kith_sparse_recognise(const char *path);

/* Opens the file once for each thread, and refuses (KITH_EUSAGE) options that do not fit it. */
int kith_sparse_source_open(kith_sparse_source *source, const char *path, const kith_knn_options *options,
			    kith_err *err);
void kith_sparse_source_close(kith_sparse_source *source);
/* One reader less, where there are several: fewer threads read. */
void kith_sparse_source_drop(kith_sparse_source *source);
int kith_sparse_source_unchanged(const kith_sparse_source *source, kith_err *err);

/* The bytes of an entry in memory, and what reading takes besides rows. */
uint64_t kith_sparse_entry_bytes(const kith_sparse_source *source);
uint64_t kith_sparse_reader_bytes(const kith_sparse_source *source);

/* Room for so many rows and entries, and no rows yet. Released with free(rows->memory). */
int kith_sparse_rows_alloc(kith_sparse_rows *rows, const kith_sparse_source *source, uint64_t row_capacity,
			   uint64_t capacity, kith_err *err);

/* Reads rows first..end-1, or as many of them as there is room for: *end is then set. There has to be room for one,
 * which has fewer entries than the network has vertices. */
int kith_sparse_rows_load(kith_sparse_rows *rows, kith_sparse_source *source, uint64_t first, uint64_t *end,
			  kith_err *err);

/* Makes rows what their metric wants of them: multiplies by 2^shift, or divides by norms. Sets scale and square,
 * which for cosine is 0 where a row has no direction, and only there. */
void kith_sparse_rows_prepare(kith_sparse_rows *rows, const kith_sparse_source *source);

/* The canonical squared distance of row r of one and row q of another. */
double kith_sparse_distance(const kith_sparse_rows *a, uint64_t r, const kith_sparse_rows *b, uint64_t q);

#endif
