/* permutation_test.h - is NNTS more than chance? Its null distribution over relabellings of the graphs at hand, from
 * their rows in memory, and what follows from it (kith/stack.h: null_mean to null_max_q99). */
#ifndef KITH_PERMUTATION_TEST_H
#define KITH_PERMUTATION_TEST_H

#include "count_plan.h"
#include "kith/stack.h"
#include "node_window.h"

/* What is tested. */
typedef struct kith_permutation_test {
	const kith_count_plan *plan;      /* of all layers */
	const kith_window_layer *windows; /* the layers' graphs */
	const uint32_t *number;           /* of each layer, which permutation is its; NULL: its index */
	const unsigned char *column;      /* of each layer, whether it is of the second network: the greatest is then
					     that of pairs of one of each; NULL: of all */
	uint32_t relabellings;
	uint64_t seed;
	uint64_t memory; /* bytes to work in: with less, the graphs are read more often */
	uint32_t threads;
	uint32_t slots; /* layers in memory together, if there are so many, and an even number; 0: as memory allows */
	const kith_progress *progress;
} kith_permutation_test;

/* The least bytes that it can do with. */
uint64_t kith_permutation_test_least(const kith_permutation_test *test);

/* Fills in what kith_stack_add_null has allocated, from the stack's means. The rows have been counted: each has k
 * distinct ids. The result depends neither on memory nor on threads. KITH_EUSAGE if memory is less than the least;
 * KITH_ENOMEM; KITH_ECANCELED; or what reading comes to. */
int kith_permutation_test_run(const kith_permutation_test *test, kith_stack *stack, kith_err *err);

#endif
