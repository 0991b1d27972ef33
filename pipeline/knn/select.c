/* select.c - see select.h: Hoare's quickselect with a median of three, and a sort if the pivots keep being poor. */
#include "select.h"

#include <stdlib.h>

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

float kith_kth_smallest(float *x, uint32_t count, uint32_t k)
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
