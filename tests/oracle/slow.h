/* slow.h - kith's definitions once more, written to be obviously right. They share no code with kith: only headers.
 *
 * A layer here is its *rank table*: ranks[i * width + r] is the r-th nearest neighbour of sample i, so that K_i(k) is
 * the first k entries of row i for every k <= width. */
#ifndef SLOW_H
#define SLOW_H

#include <stddef.h>
#include <stdint.h>

#include "kith/graph.h"
#include "kith/pairs.h"
#include "kith/stack.h"
#include "rng.h"

#define SLOW_TIER_ABSENT 15u   /* no edge */
#define SLOW_PAIR_ABSENT 0xffu /* none in either direction */

/* ---- k nearest neighbours ------------------------------------------------------------------------------------- */

/* Divides each row by its norm, as kith/knn.h defines it for cosine; zero rows become NaNs. Returns the first, or n. */
size_t slow_normalise(double *x, size_t n, size_t d);

/* What l2 makes of doubles near the ends of their range: multiplies them by a power of two where squares might
 * underflow, and returns its exponent; or -1, and the place of what is out of range. */
int slow_range(double *x, size_t n, size_t d, size_t *row, size_t *column);

/* What either metric makes of samples whose file has doubles, or other types, in place. If they are refused, `place` is
 * what the message has to hold, else "". Returns slow_range's exponent, or 0. */
int slow_prepare(double *x, size_t n, size_t d, int cosine, int is_double, char *place, size_t size);

/* The canonical squared distance of two vectors (every operation in double, in index order); 2 from one of NaNs. */
double slow_distance(const double *x, const double *y, size_t d);

/* Where each of n samples stands among those that are equally far, by the tie rule (kith/knn.h); x has what the file
 * says, before slow_prepare. */
void slow_tie_order(const double *x, size_t n, size_t d, kith_ties ties, uint64_t *order);
/* The same from a key. */
void slow_tie_order_of(uint64_t key, size_t n, kith_ties ties, uint64_t *order);

/* The squared distances of all pairs: row i of n - 1 has those from sample i to all others, in their order. Release it
 * with free(). */
double *slow_distances(const double *x, size_t n, size_t d);

/* Sorts each row of them by (squared distance, order), which is the index if `order` is NULL. Fills ranks[n][width] and
 * dist2[n][width]. */
void slow_nearest(const double *all, size_t n, const uint64_t *order, size_t width, uint32_t *ranks, double *dist2);

/* Both. */
void slow_knn(const double *x, size_t n, size_t d, const uint64_t *order, size_t width, uint32_t *ranks, double *dist2);

/* Compares the counts of ties that the graph at `path` has, at every k up to `width`, with the definition: the rows of
 * whose k nearest the last is exactly as far as some other sample, and the most samples that are as far in one of these
 * rows. all[n][n - 1]: all distances, in any order; dist2[n][width]: the smallest, sorted. Returns 0, or 1 with one
 * line in `why`. */
int slow_ties_differ(const char *path, const double *all, size_t n, const double *dist2, size_t width, char *why,
		     size_t size);

/* ---- neighbours made elsewhere -------------------------------------------------------------------------------- */

/* Lists as kith-import takes them, and the activations, if there are any (pipeline/knn/import/import.h). */
typedef struct slow_lists {
	size_t n, columns, known; /* the first `known` columns have distances */
	const int64_t *index;     /* n x columns */
	const double *distance;   /* n x known */
	int one_based, squared, absent, complete;
	const double *x;       /* n x d, after slow_prepare; NULL: none */
	const uint64_t *order; /* of samples that are equally far */
	size_t d;
} slow_lists;

/* Fills ranks[n][k] and dist2[n][k] (0 where nothing is known), and returns how many lists were completed; or puts what
 * the message has to hold into `fault`, which is "" otherwise. */
size_t slow_import(const slow_lists *lists, uint32_t k, uint32_t *ranks, double *dist2, char *fault, size_t size);

/* How many lists' distances do not ascend, and whether some descend and nowhere one is more than the one before. */
size_t slow_import_unsorted(const slow_lists *lists, int *similarities);

/* ---- the paper's two results ---------------------------------------------------------------------------------- */

/* Mean of the per-sample IoU and its standard error, and the same of the overlap |A n B| / k, from exact rational
 * arithmetic: means are correctly rounded; standard errors are a literal delete-one jackknife's, the double nearest to
 * the long double root of the long double nearest to the variance. */
void slow_nnts(const uint32_t *a, const uint32_t *b, size_t n, size_t width, uint32_t k, double *mean, double *std_err,
	       double *overlap, double *overlap_err);

/* One of these, of samples whose values are p[m]/q[m], times[m] of each; 1 <= q[m] <= bound. */
void slow_mean(const uint64_t *times, const uint32_t *p, const uint32_t *q, size_t count, uint32_t bound, double *mean,
	       double *std_err);

/* NNTS of layers whose true rank tables are exact_a and exact_b, by the difference estimator (kith/stack.h), from that
 * of the tables a and b, which is `mean`, and `rows` audited samples; and its standard error. */
void slow_estimate(const uint32_t *a, const uint32_t *exact_a, const uint32_t *b, const uint32_t *exact_b, size_t n,
		   size_t width, uint32_t k, const uint32_t *id, uint32_t rows, double mean, double *estimate,
		   double *std_err);

/* The mean IoU of a set of k of the n-1 others with each of all such sets, from the binomials, correctly rounded. */
double slow_expected(uint64_t n, uint32_t k);

/* (mean - expected) / (1 - expected) of these two doubles, correctly rounded; NaN if expected is 1. */
double slow_corrected(double mean, double expected);

/* count[L][L] and pairs[L] by asking of every pair and every a <= b whether [a, b] is an alpha-run. */
void slow_nntp(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k, kith_graph_kind graph,
	       uint32_t alpha, uint64_t *count, uint64_t *pairs);

/* A statistic of one k and graph, under the name that kith-show gives it, of the size that kith/stack.h and
 * kith/dynamics.h say: counts, or else ratios, NaN where 0/0. */
typedef struct slow_measure {
	const char *name; /* NULL ends a list of them */
	uint64_t *counts;
	double *ratios;
} slow_measure;

/* Every statistic of one k, graph and alpha, by asking every pair; at alpha 0 those of layer dynamics, too, with
 * returns for gaps of 1..gaps layers. */
slow_measure *slow_measures_of(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k,
			       kith_graph_kind graph, uint32_t alpha, size_t gaps);
void slow_measures_free(slow_measure *measures);

/* ---- null distribution ---------------------------------------------------------------------------------------- */

/* old_name[x]: whose graph node x has under a relabelling, from the definition (merge/relabelled.h). free() it. */
uint32_t *slow_permutation(uint64_t seed, uint32_t relabelling, uint32_t layer, size_t n);

/* The rank table of the relabelled graph. free() it. */
uint32_t *slow_relabelled(const uint32_t *ranks, size_t n, size_t width, const uint32_t *old_name);

/* NNTS of every two relabelled layers; number[v] is the one whose permutation is layer v's. */
void slow_null_values(const uint32_t *const *ranks, const uint32_t *number, size_t layers, size_t n, size_t width,
		      uint32_t k, uint64_t seed, uint32_t relabelling, double *value);

/* What `count` values say of a score (kith/stack.h). Sums are taken in the order of the values, in quadruple
 * precision. */
typedef struct slow_null {
	double mean, sd, q95, q99, p;
} slow_null;
slow_null slow_null_of(const double *value, size_t count, double score);

/* ---- jackknife ------------------------------------------------------------------------------------------------ */

/* Standard errors of births, deaths and removal scores (L each) and shares (L x L) from the definition (kith/stack.h):
 * everything is counted once more without the pairs of each group. */
typedef struct slow_errors {
	double *births, *deaths, *removal, *share;
} slow_errors;
slow_errors slow_jackknife(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k,
			   kith_graph_kind graph, uint32_t groups, uint64_t seed);
void slow_errors_free(slow_errors *errors);

/* ---- pairs through the layers --------------------------------------------------------------------------------- */

/* Every pair i < j linked in some layer at the largest of the k, in order. Its tier byte in layer v, tiers[p * layers +
 * v], has the tier of i -> j in its low 4 bits and that of j -> i in its high 4 bits; SLOW_TIER_ABSENT where there is
 * no such edge, SLOW_PAIR_ABSENT where there is neither. */
typedef struct slow_pairs {
	size_t count, layers;
	uint32_t *i, *j;
	uint8_t *tiers;
} slow_pairs;

slow_pairs slow_pairs_of(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, const uint32_t *k,
			 uint32_t tiers);
void slow_pairs_free(slow_pairs *pairs);

/* Appends pairs from..from+count-1 to a pair store that has these tiers. With an rng, planes are some words longer
 * than they have to be, and what is beyond the last pair is random. Returns what kith_pair_writer_append_planes
 * returns. */
int slow_pairs_append(kith_pair_writer *writer, const slow_pairs *pairs, uint32_t tiers, size_t from, size_t count,
		      rng *r, kith_err *err);

/* The tier byte of a block's pair p in the w-th layer that was decoded. */
uint8_t slow_pair_tiers(const kith_pair_planes *block, uint32_t w, uint32_t p);

/* Fills present[layers] with a pair's presence at tier `tier` in `graph`, from its tier bytes. */
void slow_presence(const uint8_t *tiers, size_t layers, uint32_t tier, kith_graph_kind graph, unsigned char *present);

/* Does a pair do as asked? `ask` is the question as kith-pairs has it: "all", "persist", "run", "born", "dies",
 * "returns", "gap". */
int slow_asked(const unsigned char *present, size_t layers, const char *ask, size_t a, size_t b);

/* of[i]: the smallest sample that i is connected with through the pairs, by walking from each one. */
void slow_components(size_t n, size_t pairs, const uint32_t *i, const uint32_t *j, uint32_t *of);

/* ---- graphs on disk ------------------------------------------------------------------------------------------- */

/* Writes the graph of a rank table through kith_graph_create, _append and _finish, in pieces of random sizes, each
 * tier shuffled, by a random number of threads. dist2 is [n][width] as ranks is; NULL: every neighbour's is its rank.
 * audit: NULL if there is none. Returns 0 or the status with `err` filled. */
int slow_graph_write(const char *path, const kith_graph_info *info, size_t width, const uint32_t *ranks,
		     const double *dist2, const kith_graph_audit *audit, uint64_t memory, rng *r, kith_err *err);

/* The audit of `rows` random samples: their rows are those of the rank table `truth`, of the same width as `ranks`,
 * the graph's, and the recall what the two say. Intervals are anything around it. Release out->memory with free(). */
void slow_audit(const kith_graph_info *info, size_t width, const uint32_t *truth, const uint32_t *ranks, uint32_t rows,
		rng *r, kith_graph_audit *out);

/* Reads the graph's audit and compares it, every number. Returns 0, or 1 with one line in `why`. */
int slow_audit_differs(const char *path, const kith_graph_info *info, const kith_graph_audit *want, char *why,
		       size_t size);

/* A row's `count` squared distances as the store keeps them: those themselves if the low 29 bits of all are zero, else
 * the squares of their roots rounded to 24 bits. */
void slow_single(const double *dist2, size_t count, double *out);

/* Reads the graph at `path` in windows of random sizes and compares header, rows, near lists and reverse lists,
 * every number (distances: slow_single of those given), with the rank table and the n, d, ladder, near and metric in
 * `want`; runs kith_graph_check too. Returns 0, or 1 with one line in `why`. */
int slow_graph_differs(const char *path, const kith_graph_info *want, size_t width, const uint32_t *ranks,
		       const double *dist2, rng *r, char *why, size_t size);

/* A random ladder within 1..most, at most `tiers` of them; returns how many. */
uint32_t slow_random_ladder(rng *r, uint32_t most, uint32_t tiers, uint32_t *ladder);

/* Every row i of ranks[n][n-1] a random order of all but i; or, unless `like` is NULL, such a table as that with some
 * rows changed a little or wholly, and sometimes none. */
void slow_random_ranks(rng *r, size_t n, const uint32_t *like, uint32_t *ranks);

#endif
