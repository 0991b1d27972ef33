/* kith/dynamics.h - how pairs of neighbours come and go from layer to layer: what the NNTP tables of one k and graph
 * say about each layer. All of it follows from the tables alone, as exact counts or as ratios of two, correctly
 * rounded.
 *
 * A run is one of alpha = 0 here: it begins at a layer that has the pair after one that lacks it (the pair is born
 * there), and ends at the last layer before one that lacks it (there it dies; what is present in the last layer ends
 * there). */
#ifndef KITH_DYNAMICS_H
#define KITH_DYNAMICS_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"
#include "kith/stack.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kith_dynamics {
	/* The table of alpha = 0, the stack's: k, graph, runs by first and last layer, pairs present. */
	const kith_nntp *runs;

	size_t layers;       /* L */
	uint64_t *births;    /* L: runs that begin at v */
	uint64_t *deaths;    /* L: runs that end at v */
	uint64_t *survivors; /* L - 1: pairs present in both v and v + 1 */

	/* L x L, upper triangular: of the runs that begin at a, how many are still present at b. */
	uint64_t *survival;

	/* L x L: the share of the runs that begin at a that end exactly at b, runs->count[a][b] / births[a]; NaN where
	 * no run begins. The paper's observation that C2 kills what C1 made, (C1, P1), is the greatest of its Table 1
	 * apart from the diagonal (gone at once) and the last column (never gone). */
	double *share;

	/* L: the removal score of layer v, |P n Q| / |P u Q| of the pairs present in v - 1 and in v. Near 1 the
	 * operation hardly changes neighbourhoods, and is a candidate for removal. NaN for the first
	 * layer, and where neither has any pair.
	 *
	 * The paper calls C2 and R2 candidates for removal, because they add long-lived pairs and let most others
	 * through. That reads the rows of Table 1: of what is born at R2, half outlives it. The score asks the columns
	 * as well: of what was there before, how much is left? By the paper's own table C2 keeps 58 of 661 thousand,
	 * score 0.05, and R2 scores 0.08: the two lowest of all. */
	double *removal;

	/* L x gaps: of the runs that end at b, how many come back after a gap of g layers, [b][g - 1]. Those are the
	 * ends that alpha = g closes and alpha = g - 1 does not, so they are known for gaps up to the stack's greatest
	 * alpha; and no gap is longer than L - 2. kith-merge counts only the alphas asked for, so that -m bounds it
	 * at any number of layers. */
	uint32_t gaps;
	uint64_t *returns;
} kith_dynamics;

/* What the stack says about the k and graph of its table nntp[table], whose alpha is 0; the stack satisfies
 * kith_stack_check and outlives `out`. */
int kith_dynamics_make(kith_dynamics *out, const kith_stack *stack, size_t table, kith_err *err);
void kith_dynamics_free(kith_dynamics *dynamics); /* all zeros is fine */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
