/* kith/knn.h - the first stage: activations in, one k-nearest-neighbour graph out. */
#ifndef KITH_KNN_H
#define KITH_KNN_H

#include <stdint.h>

#include "kith/err.h"
#include "kith/generators.h"
#include "kith/graph.h"
#include "kith/input.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef enum kith_metric { KITH_L2, KITH_COSINE, KITH_JACCARD } kith_metric;

/* Of generators: which edges make a row. All zeros: all of them, with values 1. */
typedef struct kith_row_options {
	kith_weights weights;
	uint32_t classes; /* 0: all; else only the basins of so many of a sample's classes: the first by birth, or */
	int longest;      /* the longest-lived, equal ones by birth */
	const char *ops;  /* NULL: all; else "FROM:TO[,FROM:TO...]": only edges of the operations that join these layers
			   */
} kith_row_options;

typedef struct kith_knn_options {
	uint32_t tiers;                  /* 1..KITH_MAX_TIERS */
	uint32_t ladder[KITH_MAX_TIERS]; /* ascending, distinct */
	kith_metric metric;
	kith_row_options rows; /* of input that is generators; else all zeros */
	kith_ties ties;
	int refuse_zero;    /* of metric cosine: samples of zeros are KITH_EUSAGE. Other engines than exact refuse them
			       in any case, unless they leave few samples to exact */
	const char *engine; /* "exact", or another engine's NAME[:SPEC] */
	/* Graphs of other layers of the same samples, for engines that are not exact: their rows are measured, too,
	 * before the k best are kept. Near layers share neighbours, so this finds those whose absence would make a pair
	 * look as if it had parted. May be NULL if candidate_graphs is 0. */
	const char *const *candidates;
	uint32_t candidate_graphs;
	uint32_t
		near; /* nearest of each row that keep their order and distances; more than the largest k count as it */
	uint64_t memory; /* bytes */
	int threads;     /* >= 1 */
	/* The audit of what an engine that is not exact builds: how many samples, and what they are chosen by, besides
	 * n. Layers with the same three are audited by the same samples. */
	uint32_t audit_rows; /* >= 1; more than n count as n */
	uint64_t audit_seed;
	const char *command; /* recorded in the graph; "" if none */
	kith_progress progress;
	kith_input_how how; /* of activations that do not say themselves how they are to be read */
} kith_knn_options;

typedef struct kith_knn_summary {
	uint64_t n, d;
	double recall, low, high; /* at the largest k, as measured, with its 95 % confidence interval; 1 if exact */
	kith_tie_counts tied;     /* as the graph has them */
	char plan[64];            /* what the engine did, for the closing report: "exact (sketch r=24,127)" */
	char type[16];            /* how the values are stored: "f4"; "bfloat16" */
	/* Samples that are the same as another, and samples of zeros only, which are what is left of a recording that
	 * broke off in a mapped file. */
	uint64_t repeated, zero;
} kith_knn_summary;

/* What kith_knn_build would do and take, about: seconds, where nothing else runs and the file is in the page cache, on
 * this machine (of engines that are not exact: on one like those kith was tuned on), bytes of memory, of temporary
 * files beside the output, and of the graph. */
typedef struct kith_knn_estimate {
	uint64_t n, d;
	char plan[64];
	double seconds;
	uint64_t memory, temporary, graph;
} kith_knn_estimate;

/* The defaults: k = 15, l2, ties by content, exact, the distances of the KITH_NEAR_DEFAULT nearest, 4 GiB or half of
 * the memory and every core that the machine, cgroups, limits, affinity and OMP_* leave, an audit of 1,000 samples with
 * seed 0. */
void kith_knn_defaults(kith_knn_options *options);

/* Reads the activations, or generators, `input` and writes the graph `output`. Activations are named as in kith-knn(1),
 * FILE: a file, an array in one, a part of it, or several files.
 *
 * The canonical squared distance of samples x and y is sum_t (x_t - y_t)^2, each operation in double precision, summed
 * in index order t = 0..d-1 without fused multiply-add. With KITH_COSINE, x and y are the rows divided, in double, by
 * their norm (computed after an exact power-of-two scaling that prevents over- and underflow); a zero row has no
 * direction: its squared distance from any other is 2, that of similarity 0, or it is KITH_EUSAGE and named. With
 * KITH_L2 and values of type f8, so is what would overflow, and
 * samples all of whose values are below 2^-450; if only some are, all are multiplied by an exact power of two first,
 * and distances, when they are stored, divided by its square.
 *
 * Equal distances are ordered by the tie rule: KITH_TIES_INDEX, by sample index; KITH_TIES_CONTENT, by
 *
 *         m(m(i ^ key) ^ (key << 32 | key >> 32))
 *
 * of sample i, 64-bit numbers, where m is what splitmix64 makes of a state (Steele, Lea and Flood 2014), and key the
 * XXH3-64 of the n rows' hashes; a row's is the XXH3-64 of its values as doubles, -0.0 as 0.0, whatever type and shape
 * the file has. So the same values break their ties alike, and layers that differ do so independently: NNTS of layers
 * with ties is then, in the mean, its mean over all ways to break them. By index, all layers with ties have their low
 * indices in common.
 *
 * The neighbour sets of engine "exact" equal that
 * definition's whatever the threads, memory and block sizes: floats only rule out what provably cannot be a neighbour.
 *
 * Generators (.kh0, kith/generators.h) are samples whose vectors have a value for each edge id of the network, most of
 * them 0: `rows` says which. Their graph is that of a file with these zeros in it, and values of type f8. With
 * KITH_JACCARD, and weights of 1, the distance of two samples with edges A and B is (|A u B| - |A n B|) / |A u B|, one
 * division in double, 0 if both are empty; the graph's squared distances are its squares, and the key of the tie rule
 * is the XXH3-64 of the rows' hashes, a row's that of its edge ids, ascending, as 64-bit numbers. Only engine "exact"
 * does it.
 *
 * KITH_EIO if the input, or a graph of candidates, is written to or replaced while it is read; then `output` is as it
 * was. Input that is cut short meanwhile may also raise SIGBUS: some files, as those in Fortran order, are mapped. */
int kith_knn_build(const char *input, const char *output, const kith_knn_options *options, kith_knn_summary *summary,
		   kith_err *err);

/* Looks at the header and a sample of the rows (with KITH_COSINE, at all of them); engine "exact" does its work with
 * some of them, in about half a second of processor time, or a few per cent of what the job takes. The same errors as
 * kith_knn_build, but for what only reading everything shows. */
int kith_knn_foresee(const char *input, const kith_knn_options *options, kith_knn_estimate *out, kith_err *err);

/* Measures the recall of a finished graph of `input`, whatever engine made it: finds the true neighbours of
 * options->audit_rows samples, chosen by options->audit_seed, within options->memory and with options->threads, and
 * counts those that the graph has. A graph that is exact and lacks one is KITH_ECORRUPT, and the message names it;
 * KITH_EUSAGE if it is not the graph of this input, as far as it says of which it is. Release out->memory with free().
 */
int kith_knn_audit(const char *input, const char *graph, const kith_knn_options *options, kith_graph_audit *out,
		   kith_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
