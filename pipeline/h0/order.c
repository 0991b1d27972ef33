/* order.c - see order.h */
#include "order.h"

#include <string.h>

#define DIGIT  8u
#define DIGITS (64u / DIGIT)
#define VALUES (1u << DIGIT)

/* By digits first..DIGITS-1, the others as they are. */
static void sort_digits(kith_key *keys, kith_key *other, uint64_t count, unsigned first)
{
	uint64_t histogram[DIGITS][VALUES] = {0};
	kith_key *from = keys, *to = other;
	for (uint64_t i = 0; i < count; i++)
		for (unsigned d = first; d < DIGITS; d++)
			histogram[d][keys[i].key >> (DIGIT * d) & (VALUES - 1)]++;
	for (unsigned d = first; d < DIGITS && count; d++) {
		uint64_t *place = histogram[d], sum = 0;
		if (place[keys->key >> (DIGIT * d) & (VALUES - 1)] == count) /* all have the same */
			continue;
		for (unsigned value = 0; value < VALUES; value++) {
			uint64_t here = place[value];
			place[value] = sum;
			sum += here;
		}
		for (uint64_t i = 0; i < count; i++)
			to[place[from[i].key >> (DIGIT * d) & (VALUES - 1)]++] = from[i];
		kith_key *swap = from;
		from = to;
		to = swap;
	}
	if (from != keys)
		memcpy(keys, from, count * sizeof *keys);
}

void kith_keys_sort(kith_key *keys, kith_key *other, uint64_t count)
{
	sort_digits(keys, other, count, 0);
}

void kith_keys_sort_upper(kith_key *keys, kith_key *other, uint64_t count)
{
	uint64_t steps = 0;
	sort_digits(keys, other, count, DIGITS / 2);
	for (uint64_t i = 1; i < count && steps <= count; i++) {
		kith_key key = keys[i];
		uint64_t at = i;
		for (; at && keys[at - 1].key > key.key; at--, steps++)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
	if (steps > count) /* more than few: equal keys are in their order still */
		sort_digits(keys, other, count, 0);
}
