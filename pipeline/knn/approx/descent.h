/* descent.h - a round of NN-Descent (Dong, Moses and Li 2011): a neighbour's neighbour is likely a neighbour, so the
 * neighbours of every sample, in both directions, are joined with one another.
 *
 * A round reads the lists as they were when it began, and all that it finds is offered to the lists as they are, so
 * that what comes of it does not depend on the order in which samples had their turn. */
#ifndef KITH_DESCENT_H
#define KITH_DESCENT_H

#include "local_join.h"

typedef struct kith_descent {
	const kith_codes *codes;
	kith_neighbour_lists *lists;
	uint32_t forward; /* of each list, the nearest that take part, at most its length */
	uint32_t reverse; /* of the lists that a sample is in (among those nearest), the nearest that take part */
	int threads;
	const kith_progress *progress;
} kith_descent;

int kith_descent_round(const kith_descent *descent, kith_err *err);
uint64_t kith_descent_bytes(const kith_descent *descent, uint64_t n);

#endif
