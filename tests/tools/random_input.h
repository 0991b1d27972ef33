/* random_input.h - small random activations of every awkward kind: ties, copies, outliers, overflow, denormals, low
 * rank. */
#ifndef RANDOM_INPUT_H
#define RANDOM_INPUT_H

#include "activations.h"
#include "rng.h"

typedef struct random_layer {
	size_t n, d;
	kith_dtype dtype;
	int kind;
	const char *family; /* its name */
	double *x;          /* n x d, as the file has them */
	void *raw;          /* the same in the file's type */
} random_layer;

/* Release x and raw with free(). */
void random_input(random_layer *layer, rng *r);

#endif
