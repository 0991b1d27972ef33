/* kith/layer.h - what a stack or a pair store says of one of its layers: what the layer's graph says of itself. */
#ifndef KITH_LAYER_H
#define KITH_LAYER_H

#include <stdint.h>
#include <string.h>

#include "kith/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The strings are as in kith_graph_info (kith/graph.h) and belong to whoever holds the layer. */
typedef struct kith_layer {
	char *name;
	uint64_t dim; /* activations per sample, 1..KITH_MAX_VALUES; 0: not known */
	char *metric, *engine, *digest, *input, *command;
	double recall;    /* 1 for an exact graph, else measured; NaN: not known */
	uint32_t audited; /* samples of the graph's audit (kith/graph.h); 0: none. Pair stores do not keep it */
	/* The order of neighbours that are equally far; and for each k of the stack, how many are (kith/graph.h). Pair
	 * stores keep neither */
	kith_ties ties;
	kith_tie_counts tied;
} kith_layer;

/* Whether the layer's graph has all true neighbours, for certain. A recall of 1 is not enough: it may be measured. */
static inline int kith_layer_is_exact(const kith_layer *layer)
{
	return layer->engine && !strcmp(layer->engine, "exact");
}

#ifdef __cplusplus
}
#endif
#endif
