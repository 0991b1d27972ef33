/* components.h - connected components of the samples whose edges are pairs, by union-find. */
#ifndef KITH_COMPONENTS_H
#define KITH_COMPONENTS_H

#include <stdint.h>

#include "kith/err.h"

/* Takes 4 bytes per sample while pairs come in, 8 once they are counted. */
typedef struct kith_components {
	uint64_t n;
	uint32_t *of;   /* n: while joining, a smaller or equal sample of the same component; in the end the smallest */
	uint32_t *size; /* n, after kith_components_finish: samples of the component whose smallest is i, else 0 */
} kith_components;

/* n samples, each its own component. */
int kith_components_init(kith_components *c, uint64_t n, kith_err *err);
void kith_components_free(kith_components *c); /* all zeros is fine */

/* Joins the components of i and j. */
void kith_components_join(kith_components *c, uint32_t i, uint32_t j);

/* To be called after the last pair: fills `of` and `size`, and sets *count to the number of components. */
int kith_components_finish(kith_components *c, uint64_t *count, kith_err *err);

#endif
