/* jackknife.h - standard errors of what follows from NNTP at alpha 0 (kith/dynamics.h), by the delete-a-group jackknife
 * over samples. While pairs are counted, runs are counted for each group as well, of the pairs that touch it (runs.h);
 * what is left without a group are all runs but these. */
#ifndef KITH_JACKKNIFE_H
#define KITH_JACKKNIFE_H

#include "counts.h"
#include "kith/merge.h"
#include "kith/stack.h"

/* Deals samples 0..n-1 out to the groups: i goes to group i mod `groups`, then the bits of splitmix64 (random.h) from
 * the seed on shuffle them (Fisher and Yates). 1 <= groups <= KITH_MAX_GROUPS. */
void kith_jackknife_deal(uint64_t seed, uint64_t n, uint32_t groups, uint16_t *group);

/* The bytes that kith_jackknife_fill takes beyond the stack. */
uint64_t kith_jackknife_bytes(const kith_count_plan *plan);

/* Fills in the errors of a stack that has its NNTP and room for them (kith_stack_add_jackknife), from the counts of all
 * threads. KITH_ENOMEM. */
int kith_jackknife_fill(kith_stack *stack, const kith_counts *counts, uint32_t threads, kith_err *err);

#endif
