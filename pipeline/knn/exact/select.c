/* select.c - see select.h: for many values a histogram finds the few around the wanted one; for few, Hoare's
 * quickselect with a median of three, and a sort if the pivots keep being poor. */
#include "select.h"

#include <math.h>
#include <stdlib.h>

#include "cpu.h"

#define MANY 1024u
#define BINS 512

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static void swap(float *a, float *b)
{
	float t = *a;
	*a = *b;
	*b = t;
}

static float quickselect(float *x, uint32_t count, uint32_t k)
{
	uint32_t low = 0, high = count - 1, target = k - 1;
	for (int rounds = 0; low < high; rounds++) {
		if (rounds == 64) {
			qsort(x + low, high - low + 1, sizeof *x, by_value);
			break;
		}
		uint32_t mid = low + (high - low) / 2;
		if (x[mid] < x[low])
			swap(&x[mid], &x[low]);
		if (x[high] < x[low])
			swap(&x[high], &x[low]);
		if (x[high] < x[mid])
			swap(&x[high], &x[mid]);
		float pivot = x[mid];
		int64_t i = low, j = high;
		while (i <= j) {
			while (x[i] < pivot)
				i++;
			while (x[j] > pivot)
				j--;
			if (i <= j)
				swap(&x[i++], &x[j--]);
		}
		if (target <= j)
			high = (uint32_t)j;
		else if (target >= i)
			low = (uint32_t)i;
		else
			break;
	}
	return x[target];
}

KITH_CLONES static void range(const float *x, uint32_t count, float *least, float *most)
{
	float low = x[0], high = x[0];
	for (uint32_t i = 1; i < count; i++) {
		low = x[i] < low ? x[i] : low;
		high = x[i] > high ? x[i] : high;
	}
	*least = low;
	*most = high;
}

/* The bin of x: any map that never falls as x grows will do, so rounding does no harm. */
static inline int bin_of(float x, float least, float scale)
{
	return (int)((x - least) * scale);
}

/* Gathers the values of the wanted one's bin at the front of x; returns how many, and takes those below off k. 0 where
 * the values' range does not divide (infinities, or all equal). */
static uint32_t narrow(float *x, uint32_t count, uint32_t *k)
{
	uint32_t in[BINS] = {0}, kept = 0, below = 0;
	float least, most;
	range(x, count, &least, &most);
	float scale = (BINS - 1) / (most - least);
	if (!isfinite(most - least) || !isfinite(scale))
		return 0;
	for (uint32_t i = 0; i < count; i++)
		in[bin_of(x[i], least, scale)]++;
	int bin = 0;
	while (below + in[bin] < *k)
		below += in[bin++];
	*k -= below;
	for (uint32_t i = 0; i < count; i++) {
		float here = x[i]; /* the others stay where they are, or are lost: nobody looks at them again */
		x[kept] = here;
		kept += bin_of(here, least, scale) == bin;
	}
	return kept;
}

float kith_kth_smallest(float *x, uint32_t count, uint32_t k)
{
	if (count > MANY) {
		uint32_t kept = narrow(x, count, &k);
		count = kept ? kept : count;
	}
	return quickselect(x, count, k);
}
