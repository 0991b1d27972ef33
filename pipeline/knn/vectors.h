/* vectors.h - the samples as the canonical distance sees them: rows of doubles, normalised if the metric is cosine. */
#ifndef KITH_ROWS_H
#define KITH_ROWS_H

#include <stdint.h>

#include "activations.h"
#include "kith/knn.h"

typedef struct kith_rows {
	kith_activations *input;
	const char *path;   /* of its file */
	uint64_t row_bytes; /* of a sample as it is stored there */
	uint64_t n, d;
	kith_metric metric;
	double max_abs;  /* no |value| is larger */
	uint64_t digest; /* XXH3-64 of the file */
	double *mean;    /* d: about the column means */
	double *norm;    /* cosine: each row's norm, of the row scaled by 2^-exponent */
	int32_t *exponent;
	/* Rows kept for canonical distances are cells: floats where those hold every value exactly, else doubles. */
	uint32_t cell;   /* sizeof(float) or sizeof(double) */
	const void *all; /* n x d cells; NULL where the rows stay in the file */
	void *own;       /* what of that is to be freed */
	void *memory;    /* holds mean, norm and exponent */
} kith_rows;

/* Reads the file through, with `threads` threads: checks that every value is finite (and, for cosine, that no row is
 * zero), finds what the struct holds. `rows` borrows `input`. Release with kith_rows_free, also after a failure. */
int kith_rows_init(kith_rows *rows, kith_activations *input, kith_metric metric, uint64_t memory, int threads,
		   const kith_progress *progress, kith_err *err);
/* The same from a sample of the rows, where the metric is l2: for planning only. */
int kith_rows_glance(kith_rows *rows, kith_activations *input, kith_metric metric, uint64_t memory, int threads,
		     kith_err *err);
void kith_rows_free(kith_rows *rows);

/* Rows first..first+count-1 into out[count][d]. `raw` as for kith_activations_read. Thread safe. */
int kith_rows_read(const kith_rows *rows, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err);

/* The same as cells; `raw` must be there. */
int kith_rows_read_cells(const kith_rows *rows, uint64_t first, uint64_t count, void *out, void *raw, kith_err *err);

/* The canonical squared distances of `count` pairs (1..KITH_SIDE, and as fast as KITH_SIDE) of rows x[i] and y[i], all
 * of d cells; if `one`, of x[0] and each y[i]: for each, the sum over t in index order of (x_t - y_t)^2, every
 * operation in double. */
#define KITH_SIDE 8u
void kith_canonical(const kith_rows *rows, const void *const *x, int one, const void *const *y, uint32_t count,
		    double *out);

#endif
