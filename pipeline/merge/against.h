/* against.h - the layers of two networks that saw the same samples: walked in an order in which layers of equal name
 * are neighbours, so that a walk's survivors are the pairs that both have; and brought back into the order given. */
#ifndef KITH_AGAINST_H
#define KITH_AGAINST_H

#include "kith/stack.h"

typedef struct kith_against {
	size_t layers, rows;   /* the first `rows` are of the first network; 0: there is but one */
	uint32_t *walk;        /* layers: as they are walked, their indices in the order given; matched ones first */
	unsigned char *column; /* layers: by the walk, whether it is of the second network */
	size_t matched;        /* layers of the first network that the second has, too: two each of the walk */
	void *memory;
} kith_against;

/* KITH_EUSAGE if a network has two layers of one name, as which of them is meant is then not known. */
int kith_against_init(kith_against *against, const char *const *names, size_t layers, size_t rows, kith_err *err);
void kith_against_free(kith_against *against); /* one that is all zeros is fine */

/* The stack of the two networks, in the order given and without NNTP, from the one that was walked, whose NNTP has
 * alpha 0 only; what the latter says of layers moves to the former. */
int kith_against_stack(const kith_against *against, kith_stack *walked, kith_stack **out, kith_err *err);

#endif
