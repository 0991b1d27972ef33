/* kith/stack.h - a stack of layers and the paper's two results about it; stack.json in memory.
 *
 * Matrices are L x L, row-major, row = first layer, column = second (last) layer, layers in causal order. */
#ifndef KITH_STACK_H
#define KITH_STACK_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"
#include "kith/graph.h"
#include "kith/layer.h"
#include "kith/limits.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* NNTS(a,b;k) = (1/n) sum_i |K_i^a n K_i^b| / |K_i^a u K_i^b| (paper, eq. 1 and 2), over directed sets; and beside it
 * the neighbourhood overlap (1/n) sum_i |K_i^a n K_i^b| / k of the literature (Doimo et al. 2020; DADApy's
 * return_data_overlap), which is 2 q / (1 + q) of each sample's IoU q.
 *
 * Standard errors: with q_i for a sample's value, sqrt(sum_i (q_i - mean)^2 / (n (n-1))), 0 when n is 1. For a mean
 * this is the delete-one jackknife's over the samples: without sample i the mean moves by (mean - q_i) / (n-1), and the
 * jackknife's variance, (n-1)/n times the sum of these squared, is just that. A sample's value is left out, not the
 * sample: the graphs stay as they are. */
typedef struct kith_nnts {
	uint32_t k;
	double *mean;    /* L x L, symmetric, diagonal 1, each the correctly rounded mean over the samples */
	double *std_err; /* L x L ("stderr" in the file) */
	double *overlap, *overlap_err; /* the overlap's; NULL if the file they were read from has none */

	/* What a stack has only where some layer is approximate (kith_layer_is_exact); else NULL.
	 *
	 * L: the part of the true k nearest neighbours that each layer's graph has, and the 95 % confidence interval of
	 * its audit. 1 of exact layers, NaN of layers without an audit. */
	double *recall, *recall_low, *recall_high;

	/* L x L: NNTS of the exact graphs, by the difference estimator: mean, and to it the mean over the m samples of
	 * the layers' audits of d_i, the IoU of their exact rows less that of the rows in the graphs. It is unbiased
	 * whatever the graphs lack. Its standard error, sqrt((1 - m/n) sum_i (d_i - mean d)^2 / (m (m-1))), tells how
	 * far the exact graphs' NNTS of these n samples may be, not what other samples would give. It may lie outside
	 * 0..1. NaN where two layers were not audited by the same two or more samples; an exact layer needs no audit,
	 * and of two exact ones it is the mean, with an error of 0. */
	double *estimate, *estimate_err;

	/* What a stack has only where its null distribution was asked for (kith_stack_add_null); else NULL. Under each
	 * of R relabellings every layer's graph but the first's has its samples renamed by a random permutation of its
	 * own, node and neighbours alike, so that what two graphs have in common is chance (a permutation test).
	 *
	 * L x L, NaN on the diagonal: mean and standard deviation (divided by R - 1) of the R values of NNTS; the
	 * thresholds of 95 and 99 %, the values of rank ceil(0.95 (R + 1)) and ceil(0.99 (R + 1)), NaN if R is smaller;
	 * and p = (1 + values at least as great as NNTS) / (R + 1) (Phipson and Smyth 2010). NNTS is above the
	 * threshold of 95 % exactly if p <= 0.05. The mean's expectation is kith_nnts_expected. */
	double *null_mean, *null_sd, *null_q95, *null_q99, *null_p;

	/* L x L: p of the greatest: as many of the R greatest values of all pairs of layers, a relabelling at a time,
	 * are as great. To have p <= 0.05 anywhere by chance alone has a probability of 0.05 (family-wise; Westfall
	 * and Young 1993). And 1 each: the mean, standard deviation and thresholds of those R. */
	double *null_family_p;
	double *null_max_mean, *null_max_sd, *null_max_q95, *null_max_q99; /* NaN where one layer is all there is */
} kith_nnts;

/* What chance gives: the expected IoU of two independent random sets of k of a sample's n-1 others,
 * E = sum_c P(c) c / (2k - c) with P hypergeometric (n-1 others, k of them marked, k drawn); correctly rounded, the
 * same on every machine. 1 <= k <= n-1; at k = n-1 it is 1. (The overlap's is k / (n-1).) */
double kith_nnts_expected(uint64_t n, uint32_t k);

/* NNTS corrected for chance, (mean - expected) / (1 - expected): 1 for equal neighbourhoods, 0 for what chance gives,
 * below 0 for less. Computed from these two doubles and rounded once, so that it can be computed again from them. Its
 * standard error is std_err / (1 - expected). NaN if expected is 1: at k = n-1 all sets are equal and there is nothing
 * to correct. */
double kith_nnts_corrected(double mean, double expected);

/* NNTP(alpha,k)[a][b]: how many alpha-runs, over all pairs i < j, have first layer a and last layer b; an alpha-run is
 * a maximal chain of layers that starts and ends with the pair present and lacks it in no more than alpha contiguous
 * layers (paper, section 3; alpha = 0 is its Table 1). */
typedef struct kith_nntp {
	uint32_t k;
	kith_graph_kind graph;
	uint32_t alpha;
	uint64_t *count;    /* L x L, upper triangular */
	uint64_t *pairs;    /* L: pairs present in each layer */
	uint64_t *isolated; /* L: of the mutual graph, samples that are in no pair; 0 of the union graph, as every
			       sample has k neighbours */

	/* What a stack has only where it was asked for (kith_stack_add_jackknife), and then at alpha 0; else NULL.
	 * Standard errors of what follows from the table (kith/dynamics.h), by the delete-a-group jackknife over
	 * samples: those that n samples drawn anew would make, with the graphs as they are. The samples are dealt out
	 * to G random groups, as evenly as can be. To leave out group j, of n_j samples, is to leave out the pairs that
	 * touch it; counts of what is left are multiplied by n (n-1) / ((n - n_j) (n - n_j - 1)), as so many fewer
	 * pairs could be. With h_j = n / n_j, the values t of all and t_j without group j, the pseudo-values
	 * p_j = h_j t - (h_j - 1) t_j and t_J = G t - sum_j (1 - n_j/n) t_j, it is
	 * sqrt((1/G) sum_j (p_j - t_J)^2 / (h_j - 1)) (Busing, Meijer and van der Leeden 1999, Delete-m jackknife for
	 * unequal m); where G divides n, sqrt((G-1)/G sum_j (t_j - mean t_j)^2). NaN where t, or a t_j, is not defined.
	 * Of a sum over pairs it is rather too large than too small (Efron and Stein 1981). */
	double *births_stderr, *deaths_stderr, *removal_stderr; /* L each */
	double *share_stderr;                                   /* L x L, upper triangular */
} kith_nntp;

/* Of two networks, each two layers of one name: the pairs of samples that both have, that only the first network's
 * has, and that only the second's. */
typedef struct kith_match {
	uint32_t k;
	kith_graph_kind graph;
	size_t count;           /* such layers of each network */
	uint32_t *row, *column; /* count: their indices in the stack */
	uint64_t *kept, *lost, *gained;
	void *memory; /* holds these five */
} kith_match;

typedef struct kith_stack {
	uint64_t n;
	size_t layer_count, nnts_count, nntp_count;
	kith_layer *layers;
	kith_nnts *nnts; /* ascending k */
	kith_nntp *nntp; /* by k, then graph (union first), then alpha */
	/* Of two networks: how many layers, the first ones, are of the first; the others are of the second, and there
	 * is no NNTP, as no layer of one follows one of the other. 0: all are of one. */
	size_t rows, match_count;
	kith_match *matches;   /* by k, then graph */
	uint32_t relabellings; /* R of the null distribution; 0: there is none */
	uint64_t null_seed;    /* relabellings follow from it, n and the layers' indices alone */
	uint32_t groups;       /* G of the jackknife; 0: it was not asked for */
	uint64_t groups_seed;  /* groups follow from it, n and G alone */
} kith_stack;

/* A stack of n samples with everything allocated that a stack of exact layers has, all numbers zero and all strings
 * NULL. */
int kith_stack_new(kith_stack **out, uint64_t n, size_t layers, size_t nnts, size_t nntp, kith_err *err);

/* Allocates what a stack has for approximate layers, all zeros, too; once. */
int kith_stack_add_estimates(kith_stack *stack, kith_err *err);

/* Makes it one of two networks, and allocates its matches, all zeros: `count` of `layers` layers each; once. */
int kith_stack_add_matches(kith_stack *stack, size_t rows, size_t count, size_t layers, kith_err *err);

/* Allocates what a stack has for its null distribution, all zeros, too, and sets `relabellings`; once. */
int kith_stack_add_null(kith_stack *stack, uint32_t relabellings, uint64_t seed, kith_err *err);

/* Allocates what a stack has for the jackknife in its tables of alpha 0, all zeros, too, and sets `groups`; once. */
int kith_stack_add_jackknife(kith_stack *stack, uint32_t groups, uint64_t seed, kith_err *err);

void kith_stack_free(kith_stack *stack); /* NULL is fine */

/* Writes stack.json: a temporary name, synced, then renamed. Doubles are written with the fewest digits that read back
 * the same, so equal results give equal bytes. */
int kith_stack_write(const kith_stack *stack, const char *path, kith_err *err);

/* Reads stack.json, tolerating members it does not know. KITH_EUSAGE if it is not a kith stack of a version it can
 * read, KITH_ECORRUPT if it is one but a shape or a number cannot be right, or an identity (kith_stack_check) is
 * broken. What follows from other numbers ("expected", "corrected", "calibrated", "dynamics") is not read; it can be
 * computed. `*out` belongs to the caller. */
int kith_stack_read(kith_stack **out, const char *path, kith_err *err);

/* Reads stack.json in the same way, and checks that what follows from other numbers agrees, too, where it is there;
 * older files lack it. KITH_ECORRUPT with the first number that does not. */
int kith_stack_verify(const char *path, kith_err *err);

/* Checks the identities every result satisfies: NNTS and overlap in [0,1], symmetric, diagonal 1, and
 * overlap >= NNTS >= overlap / (2 - overlap) (of each sample, equal to the latter, which is convex); an estimate of
 * NNTS symmetric with diagonal 1, and no further from it than 1; recall in its interval; NNTP upper
 * triangular, sum over a <= v <= b of NNTP(0,k)[a][b] = pairs[v]; for alpha > 0 that sum is >= pairs[v]; the runs over
 * all (a,b), and those that begin or end at a layer, never grow with alpha; of two networks' layers of one name, the
 * pairs of union and mutual graph together are each layer's n k edges, and those kept never get fewer with k. KITH_EBUG
 * with the first one broken. */
int kith_stack_check(const kith_stack *stack, kith_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
