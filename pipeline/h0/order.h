/* order.h - sorting by numbers of 64 bits, many at a time. */
#ifndef KITH_H0_ORDER_H
#define KITH_H0_ORDER_H

#include <stdint.h>

typedef struct kith_key {
	uint64_t key;
	uint32_t item;
} kith_key;

/* Sorts by key, ascending; equal keys stay in their order. `other` is scratch of the same size. */
void kith_keys_sort(kith_key *keys, kith_key *other, uint64_t count);

/* The same for keys of which few share the upper half and differ in the lower one; faster, and no less right. */
void kith_keys_sort_upper(kith_key *keys, kith_key *other, uint64_t count);

#endif
