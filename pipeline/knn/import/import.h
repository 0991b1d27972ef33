/* import.h - neighbours that others found, as a graph: by cuVS, hnswlib, PyNNDescent, UMAP, DADApy, FAISS, ... Beside
 * the engines, because with the activations it is one: rows come from a file instead of a search, and all else,
 * distances, their order, the audit, is as in theirs (engine.h). */
#ifndef KITH_IMPORT_H
#define KITH_IMPORT_H

#include "kith/input.h"
#include "kith/knn.h"

/* Whether a sample's list has the sample itself. */
typedef enum kith_import_self {
	KITH_SELF_DROP,   /* it may, anywhere, and is dropped: k, if not given, is one less than there are columns */
	KITH_SELF_ABSENT, /* it must not */
	KITH_SELF_AUTO    /* what the lists say: DROP if one of them has its own sample, else ABSENT */
} kith_import_self;

typedef struct kith_import_options {
	/* Ladder (tiers 0: one k, as many neighbours as the lists have), metric, near, memory, threads, command,
	 * progress; with activations also ties, refuse_zero and the audit. */
	kith_knn_options knn;
	const char *activations; /* NULL: distances are those given, or none, and recall is not known */
	const char *distances;   /* NULL: none. Without activations only */
	int squared;             /* they are */
	kith_input_how how; /* of indices; knn.how is of activations, and distances say themselves how they are read */
	kith_import_self self;
	int one_based; /* samples are numbered from 1 */
	int complete;  /* with activations: lists with something wrong become the true ones */
	const char *source;
} kith_import_options;

#define KITH_IMPORT_SOURCE 100u /* bytes of options->source, at most */

typedef struct kith_import_summary {
	kith_knn_summary knn; /* without activations: n, and recall, low and high are NaN */
	uint32_t tiers, ladder[KITH_MAX_TIERS];
	uint64_t own;       /* lists that had their own sample */
	uint64_t completed; /* lists that became the true ones */
	uint64_t unsorted;  /* lists that were put in the order of their distances */
} kith_import_summary;

/* Reads lists, `indices` of shape (n, columns) and any type whose values are whole, and writes the graph `output`: list
 * i is of sample i, and names samples 0..n-1. A type that does not hold all of these numbers is refused.
 *
 * A list is refused, by row and column, that names nobody (-1, as FAISS and PyNNDescent do where they found none), a
 * sample that there is not, one twice, or itself where that may not be; or that has fewer than k others. Its own sample
 * is dropped, and of the rest the first k are the row:
 *
 * - with activations, by canonical distance and the tie rule. The graph is audited as those of engines that are not
 *   exact, and like theirs in all else. With `complete`, lists are not refused, but found anew by exact search;
 * - without, in the order given; but a list whose distances do not ascend is sorted by these, equal ones by index. Its
 *   recall is not known (NaN), and its tie rule, as far as it has one, is by index.
 *
 * distances, of shape (n, known), are of each list's first `known` entries, 0 or more, and with finite squares; where
 * those are not all, they have to ascend. Where all lists descend that have different ones, these are similarities, and
 * refused. They are kept as kith_graph_append says, of no more neighbours than every list has
 * distances of; the square of one that is not squared is, where it is the root of a number of 24 bits, that number.
 *
 * The engine is "import" or "import:SOURCE". KITH_EIO if a file changes while it is read. */
int kith_import_build(const char *indices, const char *output, const kith_import_options *options,
		      kith_import_summary *summary, kith_err *err);

/* Their defaults: those of kith_knn_defaults, but for the ladder; KITH_SELF_AUTO. */
void kith_import_defaults(kith_import_options *options);

#endif
