/* repeats.h - how many of many hashes occur more than once: of rows, which ones are the same as another. */
#ifndef KITH_REPEATS_H
#define KITH_REPEATS_H

#include <stdint.h>

/* Zero but for slot: `mask` + 1 of them, a power of two and more than there will be hashes, all 0. */
typedef struct kith_repeats {
	uint64_t *slot; /* a hash without its lowest bits: 1, and whether it came twice */
	uint64_t mask;
	uint64_t repeated; /* hashes that are equal to another */
} kith_repeats;

/* The slots for `count` hashes. */
static inline uint64_t kith_repeats_slots(uint64_t count)
{
	uint64_t slots = 4;
	while (slots < count + count / 2)
		slots *= 2;
	return slots;
}

static inline void kith_repeats_add(kith_repeats *r, uint64_t hash)
{
	uint64_t at = (hash >> 2) & r->mask, kept = hash | 3;
	while (r->slot[at] && (r->slot[at] | 3) != kept)
		at = (at + 1) & r->mask;
	if (!r->slot[at]) {
		r->slot[at] = kept ^ 2;
	} else {
		r->repeated += r->slot[at] == kept ? 1 : 2; /* the first of them, too */
		r->slot[at] = kept;
	}
}

#endif
