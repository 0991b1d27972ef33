/* approximate.h - what a stack says of layers whose graphs are approximate, or whose neighbours are a matter of ties,
 * in words that never make one look exact. */
#ifndef KITH_APPROXIMATE_H
#define KITH_APPROXIMATE_H

#include <stddef.h>

#include "kith/stack.h"
#include "text.h"

#define KITH_RECALL_WARNS 0.99 /* below this, NNTP is far off */

/* Whether all layers' graphs are exact. */
int kith_stack_is_exact(const kith_stack *stack);

/* Of a layer and one of the stack's k, or the k where it is lowest. */
typedef struct kith_layer_recall {
	uint32_t k;
	double recall;    /* NaN: it was not measured */
	double low, high; /* NaN: it was not audited */
} kith_layer_recall;

kith_layer_recall kith_layer_recall_at(const kith_stack *stack, size_t layer, size_t nnts);
kith_layer_recall kith_layer_recall_lowest(const kith_stack *stack, size_t layer);

/* As kith_recall_text; "0.93" without an audit, or "not measured". Returns `out`. */
const char *kith_layer_recall_text(const kith_layer_recall *recall, char out[KITH_RECALL_TEXT]);

/* What is to be known before an approximate layer's results are used, for a line on stderr: "recall 0.93 (0.92 to
 * 0.94): NNTP of mutual pairs may be off by tens of percent". Returns 0 if there is nothing to say. */
int kith_layer_warning(const kith_stack *stack, size_t layer, char *out, size_t size);

#define KITH_TIES_WARN 0.01 /* of the rows */

/* If in more of a layer's rows than that the last neighbour is as far as a sample left out, how many they are, at the k
 * where they are most: "k=15: 571 of 1,000 rows tied at the last neighbour, groups up to 572". Returns 0 if they are
 * fewer, or were not counted. */
int kith_layer_ties(const kith_stack *stack, size_t layer, char out[KITH_TIES_TEXT]);

#endif
