#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

/* The next 64 bits of splitmix64. */
static uint64_t next_bits(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t *slow_permutation(uint64_t seed, uint32_t relabelling, uint32_t layer, size_t n)
{
	uint32_t *old_name = must_alloc(n, sizeof *old_name);
	uint64_t state = seed;
	state = next_bits(&state) ^ relabelling;
	state = next_bits(&state) ^ layer;
	for (size_t i = 0; i < n; i++)
		old_name[i] = (uint32_t)i;
	if (layer == 0)
		return old_name;
	for (size_t i = n; i-- > 1;) { /* the i-th gets one of the first i + 1 */
		size_t j = (size_t)((unsigned __int128)next_bits(&state) * (i + 1) >> 64);
		uint32_t was = old_name[i];
		old_name[i] = old_name[j];
		old_name[j] = was;
	}
	return old_name;
}

uint32_t *slow_relabelled(const uint32_t *ranks, size_t n, size_t width, const uint32_t *old_name)
{
	uint32_t *out = must_alloc(n * width, sizeof *out), *new_name = must_alloc(n, sizeof *new_name);
	for (size_t x = 0; x < n; x++)
		new_name[old_name[x]] = (uint32_t)x;
	for (size_t i = 0; i < n; i++)
		for (size_t r = 0; r < width; r++)
			out[new_name[i] * width + r] = new_name[ranks[i * width + r]];
	free(new_name);
	return out;
}

void slow_null_values(const uint32_t *const *ranks, const uint32_t *number, size_t layers, size_t n, size_t width,
		      uint32_t k, uint64_t seed, uint32_t relabelling, double *value)
{
	uint32_t **renamed = must_alloc(layers, sizeof *renamed);
	double std_err, overlap, overlap_err;
	for (size_t v = 0; v < layers; v++) {
		uint32_t *old_name = slow_permutation(seed, relabelling, number[v], n);
		renamed[v] = slow_relabelled(ranks[v], n, width, old_name);
		free(old_name);
	}
	for (size_t a = 0; a < layers; a++)
		for (size_t b = a + 1; b < layers; b++) {
			slow_nnts(renamed[a], renamed[b], n, width, k, &value[a * layers + b], &std_err, &overlap,
				  &overlap_err);
			value[b * layers + a] = value[a * layers + b];
		}
	for (size_t v = 0; v < layers; v++)
		free(renamed[v]);
	free(renamed);
}

/* The least of the values that as many as `percent` of count + 1 are at or below, the score's own place being one of
 * the rest. */
static double slow_threshold(const double *value, size_t count, unsigned percent)
{
	double best = NAN;
	for (size_t i = 0; i < count; i++) {
		size_t below = 0;
		for (size_t j = 0; j < count; j++)
			below += value[j] <= value[i];
		if (100 * below >= percent * (count + 1) && !(best <= value[i]))
			best = value[i];
	}
	return best;
}

slow_null slow_null_of(const double *value, size_t count, double score)
{
	slow_null out = {0};
	__float128 sum = 0, squares = 0;
	size_t as_great = 0;
	for (size_t i = 0; i < count; i++) {
		sum += value[i];
		as_great += value[i] >= score;
	}
	for (size_t i = 0; i < count; i++)
		squares += (value[i] - sum / count) * (value[i] - sum / count);
	out.mean = (double)(sum / count);
	out.sd = count > 1 ? (double)sqrtl((long double)(squares / (count - 1))) : NAN;
	out.q95 = slow_threshold(value, count, 95);
	out.q99 = slow_threshold(value, count, 99);
	out.p = (double)(1 + as_great) / (double)(count + 1);
	return out;
}
