/* vectors.h - the samples as the canonical distance sees them, which are vectors of doubles, normalised if the metric
 * is cosine; and that distance.
 *
 * Squares of doubles leave a double's range, above 1e154 and below 1e-154. With l2, values so large that sums of
 * squared differences might overflow are refused, and so are samples all of whose values are below KITH_SMALLEST. Where
 * only some are, all are multiplied by a power of two (2^shift) that brings the largest to about 2^490. That is exact,
 * and changes nothing but what would have underflowed: with all values at KITH_SMALLEST or above, or 0, a difference
 * that is not 0 is at least KITH_SMALLEST 2^-52, and its square a normal number. */
#ifndef KITH_VECTORS_H
#define KITH_VECTORS_H

#include <math.h>
#include <stdint.h>

#include "activations.h"
#include "kith/knn.h"
#include "random.h"

/* The order of samples that are equally far: by index; or by content, a pseudo-random permutation of the samples that
 * the values of all of them fix. So the same values break their ties alike, and others independently: where ties go by
 * index, layers with many have their low indices in common, and look as if they had more. */
typedef struct kith_tie_rule {
	kith_ties rule;
	uint64_t key;       /* by content: the digest of the values (activations.h) */
	const uint32_t *id; /* what the file calls the samples; NULL: as they are numbered here */
} kith_tie_rule;

/* A sample's place in that order: of all 64-bit numbers, so that no table is needed. Every step is a bijection. */
static inline uint64_t kith_tie_rank(const kith_tie_rule *ties, uint32_t sample)
{
	uint64_t id = ties->id ? ties->id[sample] : sample, state = id ^ ties->key;
	if (ties->rule == KITH_TIES_INDEX)
		return id;
	state = kith_random_next(&state) ^ (ties->key >> 32 | ties->key << 32);
	return kith_random_next(&state);
}

/* Whether a sample at the first distance comes before another at the second. */
static inline int kith_comes_before(const kith_tie_rule *ties, double dist, uint32_t sample, double other_dist,
				    uint32_t other)
{
	return dist != other_dist ? dist < other_dist : kith_tie_rank(ties, sample) < kith_tie_rank(ties, other);
}

/* Sorts samples that are equally far. */
void kith_ties_sort(const kith_tie_rule *ties, uint32_t *samples, uint64_t count);

typedef struct kith_vectors {
	kith_activations *input; /* NULL: `all` is all there is, of metric l2 */
	const char *path;        /* of its file */
	uint64_t row_bytes;      /* of a sample as it is stored there */
	uint64_t n, d;
	kith_metric metric;
	int shift; /* of l2 and f8: what is read is 2^shift times what the file has, and squared distances 2^(2 shift)
		      times */
	kith_tie_rule ties;           /* by content, until the caller says otherwise */
	double max_abs;               /* no |value| is larger */
	uint64_t digest;              /* of the file */
	uint64_t repeated, unwritten; /* rows, as in kith_scan */
	uint64_t zero;                /* of cosine: samples of zeros, whose norm is 0: they must not be read */
	double *mean;                 /* d: about the column means */
	double *norm;                 /* n, for cosine: each sample's norm after scaling by 2^-exponent */
	int32_t *exponent;
	/* Values for canonical distances are kept as floats where those hold every one exactly, else as doubles. */
	uint32_t value_size;   /* sizeof(float) or sizeof(double) */
	const void *all;       /* n x d values; NULL where they stay in the file */
	const uint32_t *place; /* sample i is the place[i]-th of them; NULL: the i-th, or as `id` says */
	void *own;             /* the same if it is to be freed with the struct */
	const uint32_t *id;    /* of some of a file's samples, those: sample i is id[i] there; NULL: all */
	/* How many samples each stands for, where ties are counted: itself and copies that are not here; NULL: itself
	 */
	const uint32_t *weight;
	void *memory; /* holds mean, norm and exponent, or id, mean and weight */
} kith_vectors;

#define KITH_SMALLEST 0x1p-450

/* The largest |value| of d in a sample for which no sum overflows: (2 x)^2 d is a quarter of what a double holds. */
static inline double kith_largest_value(uint64_t d)
{
	return 0x1p510 / sqrt((double)d);
}

/* The power of two that all values of l2 and f8 are multiplied by, where the largest and the smallest |value| but 0 are
 * these (0: there is none), and in range. */
int kith_range_shift(double max_abs, double min_abs);

/* A squared distance of such vectors as one of the values in the file: rounded if it is below a double's range. */
static inline double kith_vectors_unshift(const kith_vectors *vectors, double dist2)
{
	return vectors->shift ? ldexp(dist2, -2 * vectors->shift) : dist2;
}

/* The norm of a row after scaling by the power of two that brings its largest |value| into [1/2, 1): exact, and no
 * square over- or underflows where it matters. Returns 0 for a zero row. Zeros in the row change nothing. And the row
 * divided by its norm, as cosine has it. */
double kith_scaled_norm(const double *row, uint64_t d, int *exponent);
void kith_normalise(double *row, uint64_t d, int exponent, double norm);

/* Reads the file through with `threads` threads in about `memory` bytes: checks that every value is finite (and, for
 * l2, the range above) and finds what the struct holds. `vectors` borrows `input`.
 * Release it with kith_vectors_free, also after a failure. */
int kith_vectors_init(kith_vectors *vectors, kith_activations *input, kith_metric metric, uint64_t memory, int threads,
		      const kith_progress *progress, kith_err *err);
/* KITH_EUSAGE, naming one, if there are zero rows. */
int kith_vectors_refuse_zero(const kith_vectors *vectors, kith_err *err);

/* The same from some of the samples, where the metric is l2: for planning only. */
int kith_vectors_glance(kith_vectors *vectors, kith_activations *input, kith_metric metric, uint64_t memory,
			int threads, kith_err *err);
void kith_vectors_free(kith_vectors *vectors);

/* Some of the samples of another, id[0..n-1], ascending, with a mean of their own. What is in memory of the other's
 * stays there, and is borrowed, as all else is. */
int kith_vectors_some(kith_vectors *vectors, const kith_vectors *of, const uint32_t *id, uint64_t n, kith_err *err);
uint64_t kith_vectors_some_bytes(const kith_vectors *of, uint64_t n); /* that they keep */

/* Sample i's values, where all are in memory. */
static inline const void *kith_vectors_at(const kith_vectors *v, uint64_t i)
{
	uint64_t at = v->place ? v->place[i] : v->id && !v->own ? v->id[i] : i;
	return (const char *)v->all + at * v->d * v->value_size;
}

/* Where `id` is among ascending ids; UINT32_MAX: nowhere. */
uint32_t kith_id_find(const uint32_t *ids, uint64_t count, uint32_t id);

/* All samples in memory where that costs none: the file itself, mapped, if it has values as they are kept. */
void kith_vectors_map(kith_vectors *vectors);
/* All samples in memory: as above; else `own`, room that a pass over the
 * samples fills, after which the caller sets `all` to it. */
int kith_vectors_keep(kith_vectors *vectors, kith_err *err);
/* The same with that pass, `rows` samples at a time. */
int kith_vectors_load(kith_vectors *vectors, uint64_t rows, kith_err *err);

/* Samples first..first+count-1 as doubles into out[count][d]. `raw` as for kith_activations_read. Thread safe. */
int kith_vectors_read(const kith_vectors *vectors, uint64_t first, uint64_t count, double *out, void *raw,
		      kith_err *err);

/* The same as values of value_size bytes; `raw` must be there. */
int kith_vectors_read_values(const kith_vectors *vectors, uint64_t first, uint64_t count, void *out, void *raw,
			     kith_err *err);

/* The canonical squared distances of `count` pairs (1..KITH_CANONICAL_PAIRS, and as fast as that many) of x[i] and
 * y[i], all of d values; if `one`, of x[0] and each y[i]: for each, the sum over t in index order of (x_t - y_t)^2,
 * every operation in double. */
#define KITH_CANONICAL_PAIRS 8u
void kith_canonical_distances(const kith_vectors *vectors, const void *const *x, int one, const void *const *y,
			      uint32_t count, double *out);

/* How many samples one stands for. */
static inline uint32_t kith_vectors_weight(const kith_vectors *vectors, uint64_t i)
{
	return vectors->weight ? vectors->weight[i] : 1;
}

/* Counts a row's ties: of its k nearest, dist[] are the distances, ascending; `left` samples that are not among them
 * are exactly as far as the last. */
void kith_tie_counts_add(kith_tie_counts *counts, const kith_graph_info *info, const double *dist, uint64_t left);

#endif
