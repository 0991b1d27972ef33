/* kith/layer.h - what a stack or a pair store says of one of its layers: what the layer's graph says of itself. */
#ifndef KITH_LAYER_H
#define KITH_LAYER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The strings are as in kith_graph_info (kith/graph.h) and belong to whoever holds the layer. */
typedef struct kith_layer {
	char *name;
	uint64_t dim; /* activations per sample, 1..KITH_MAX_DIM */
	char *metric, *engine, *digest, *input, *command;
	double recall; /* 1 for an exact graph, else measured; above 0 */
} kith_layer;

#ifdef __cplusplus
}
#endif
#endif
