/* slow_h0.h - the graph that a sample induces in a network, and its persistent classes, once more from the definitions:
 * sets and a sort. Shares nothing with kith but the names in kith/generators.h. */
#ifndef SLOW_H0_H
#define SLOW_H0_H

#include <stddef.h>
#include <stdint.h>

#include "kith/generators.h"
#include "rng.h"

/* A network with its numbers: weights[o] of operation o, C order, NULL if it has none; activations[l] of layer l for
 * all samples, NULL if it is the source of nothing. Of `info`, layers' names, dims and shapes, and operations' kind,
 * rule, from, to and window are looked at; all that follows from these is worked out anew. */
typedef struct slow_net {
	kith_h0_info info;
	double **weights, **activations;
} slow_net;

typedef struct slow_h0_edge {
	uint64_t id;
	double phi;
	uint32_t a, b; /* vertices: units of all layers, one layer after the other */
	uint32_t op;
	uint64_t source, target;
} slow_h0_edge;

typedef struct slow_h0_class {
	size_t birth, death; /* places in the forest; SIZE_MAX: never */
	size_t parent;       /* SIZE_MAX: none */
} slow_h0_class;

/* Of one sample. */
typedef struct slow_h0 {
	size_t kept;  /* edges with phi above 0 that `keep` leaves */
	size_t edges; /* of the forest, in its order */
	slow_h0_edge *edge;
	size_t *basin; /* of each; SIZE_MAX: a death */
	size_t classes, zero_lifetime;
	slow_h0_class *class_;
	size_t vertices, components; /* of the graph */
} slow_h0;

/* Everything of sample i. */
slow_h0 slow_h0_of(const slow_net *net, double keep, size_t i);
void slow_h0_free(slow_h0 *h);

/* Which of the forest's edges are in the component of a class: in[e] is set to 0 or 1. */
void slow_h0_component(const slow_h0 *h, size_t class_, unsigned char *in);

/* Edge ids, and places that are not on padding in operation o. */
uint64_t slow_h0_ids(const slow_net *net);
uint64_t slow_h0_places(const slow_net *net, uint32_t o);

/* Compares the file at `path`, every number of every sample, with what the network makes with `keep`: also each
 * component, where `components` of 100 say so, and what follows from a file without values. Returns 0, or 1 with one
 * line in `why`.
 */
int slow_h0_file_differs(const char *path, const slow_net *net, double keep, unsigned components, rng *r, char *why,
			 size_t size);

#endif
