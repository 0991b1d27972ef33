/* order.c - see order.h */
#include "order.h"

#include <string.h>

#define DIGIT  8u
#define DIGITS (64u / DIGIT)
#define VALUES (1u << DIGIT)

void kith_keys_sort(kith_key *keys, kith_key *other, uint64_t count)
{
	uint64_t histogram[DIGITS][VALUES] = {0};
	kith_key *from = keys, *to = other;
	for (uint64_t i = 0; i < count; i++)
		for (unsigned d = 0; d < DIGITS; d++)
			histogram[d][keys[i].key >> (DIGIT * d) & (VALUES - 1)]++;
	for (unsigned d = 0; d < DIGITS && count; d++) {
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
