/* kith/merge.h - the second stage: the graphs of all layers in, one stack out. */
#ifndef KITH_MERGE_H
#define KITH_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"
#include "kith/graph.h"
#include "kith/stack.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KITH_ALPHA_ALL  UINT32_MAX
#define KITH_MAX_GROUPS 1000u

typedef struct kith_merge_options {
	uint32_t k_count;            /* 0: every k that all layers share */
	uint32_t k[KITH_MAX_TIERS];  /* ascending, distinct */
	uint32_t alpha;              /* report 0..alpha; KITH_ALPHA_ALL: 0..L-2 */
	int with_union, with_mutual; /* at least one */
	uint64_t memory;             /* bytes; holds the window, and the accumulators, of every thread */
	int threads;                 /* >= 1 */
	uint32_t relabellings;       /* of NNTS' null distribution (kith/stack.h); 0: none */
	uint64_t null_seed;          /* below 2^63 */
	uint32_t groups;             /* of samples, for jackknife errors (kith/stack.h), 2..KITH_MAX_GROUPS; 0: none */
	uint64_t groups_seed;        /* below 2^63 */
	size_t against;              /* so many of the layers, the last ones, are another network's; 0: none */
	int mixed;                   /* layers of several metrics, or tie rules, are no mistake */
	const char *pairs;           /* the pair store to write as well (kith/pairs.h); NULL: none */
	const char *command;         /* recorded in it; NULL: "" */
	kith_progress progress;
} kith_merge_options;

/* The defaults: every shared k, alpha 0, union, 1 GiB, every core. */
void kith_merge_defaults(kith_merge_options *options);

/* Walks the `layers` graphs paths[0..layers-1], in causal order, over windows of nodes, and returns the stack; names[v]
 * is layer v's name. Layers must agree in n, each must have every k asked for, and unless they may be mixed they must
 * agree in metric and tie rule (KITH_EUSAGE otherwise, naming the file). The result satisfies kith_stack_check, and the
 * stores agreed with their own promises all the way (each row k distinct neighbours, rows and reverse lists n k edges):
 * if not, KITH_ECORRUPT or KITH_EBUG and no result. The result does not depend on memory or threads. With
 * options->pairs, every pair's presence goes to that file in the same walk; it is there, whole, if and only if 0 is
 * returned.
 *
 * With options->groups, the standard errors of what follows from NNTP at alpha 0 are taken in the same walk; it is
 * KITH_EUSAGE if there are more groups than samples, or leaving one out leaves fewer than two samples.
 *
 * With options->against the stack is one of two networks (kith/stack.h): NNTS of every two layers; no NNTP, and so
 * alpha 0, no groups and no pairs (KITH_EUSAGE); for layers of one name their matches, of the graphs asked for. */
int kith_merge(size_t layers, const char *const *paths, const char *const *names, const kith_merge_options *options,
	       kith_stack **out, kith_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
