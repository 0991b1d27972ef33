/* kith/stack.h - a stack of layers and the paper's two results about it; stack.json in memory.
 *
 * Matrices are L x L, row-major, row = first layer, column = second (last) layer, layers in causal order. */
#ifndef KITH_STACK_H
#define KITH_STACK_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KITH_MAX_LAYERS 4096u

typedef enum kith_graph_kind {
	KITH_UNION,
	KITH_MUTUAL
} kith_graph_kind; /* the paper's e_ij, and its stricter sister */

typedef struct kith_stack_layer {
	char *name;
	uint64_t dim;
	char *metric, *engine, *digest, *input, *command; /* as in kith_graph_info */
	double recall;
} kith_stack_layer;

/* NNTS(a,b;k) = (1/n) sum_i |K_i^a n K_i^b| / |K_i^a u K_i^b| (paper, eq. 1 and 2), over directed sets. */
typedef struct kith_nnts {
	uint32_t k;
	double *mean;    /* L x L, symmetric, diagonal 1, each the correctly rounded mean over the samples */
	double *std_err; /* L x L: sqrt(sum_i (q_i - mean)^2 / (n (n-1))); 0 when n is 1 ("stderr" in the file) */
} kith_nnts;

/* NNTP(alpha,k)[a][b]: how many alpha-runs, over all pairs i < j, have first layer a and last layer b; an alpha-run is
 * a maximal chain of layers that starts and ends with the pair present and lacks it in no more than alpha contiguous
 * layers (paper, section 3; alpha = 0 is its Table 1). */
typedef struct kith_nntp {
	uint32_t k;
	kith_graph_kind graph;
	uint32_t alpha;
	uint64_t *count; /* L x L, upper triangular */
	uint64_t *pairs; /* L: pairs present in each layer */
} kith_nntp;

typedef struct kith_stack {
	uint64_t n;
	size_t layer_count, nnts_count, nntp_count;
	kith_stack_layer *layers;
	kith_nnts *nnts; /* ascending k */
	kith_nntp *nntp; /* by k, then graph (union first), then alpha */
} kith_stack;

/* A stack of n samples with room for everything, all numbers zero and all strings NULL. */
int kith_stack_new(kith_stack **out, uint64_t n, size_t layers, size_t nnts, size_t nntp, kith_err *err);
void kith_stack_free(kith_stack *stack); /* NULL is fine */

/* Writes stack.json: a temporary name, synced, then renamed. Doubles are written with the fewest digits that read back
 * the same, so equal results give equal bytes. */
int kith_stack_write(const kith_stack *stack, const char *path, kith_err *err);

/* Reads stack.json, tolerating members it does not know. KITH_EUSAGE if it is not a kith stack of a version it can
 * read, KITH_ECORRUPT if it is one but its parts do not fit together. `*out` belongs to the caller. */
int kith_stack_read(kith_stack **out, const char *path, kith_err *err);

/* Checks the identities every result satisfies: NNTS in [0,1], symmetric, diagonal 1; NNTP upper triangular,
 * sum over a <= v <= b of NNTP(0,k)[a][b] = pairs[v]; for alpha > 0 that sum is >= pairs[v]; the total over all (a,b)
 * never grows with alpha. KITH_EBUG with the first one broken. */
int kith_stack_check(const kith_stack *stack, kith_err *err);

#ifdef __cplusplus
}
#endif
#endif
