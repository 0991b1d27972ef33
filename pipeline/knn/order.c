/* order.c - see order.h */
#include "order.h"

#include <omp.h>
#include <stdlib.h>

#include "kith/alloc.h"

#define SAMPLE   256u  /* samples that tell which value varies most */
#define PARALLEL 8192u /* samples that are worth a task of their own */

struct keyed {
	float key;
	uint32_t id;
};

static uint32_t widest(const kith_sketch *s, const struct keyed *x, uint64_t count)
{
	uint32_t best = 0;
	double most = -1;
	uint64_t step = count > SAMPLE ? count / SAMPLE : 1;
	for (uint32_t t = 0; t < s->coarse; t++) {
		double sum = 0, squares = 0, seen = 0;
		for (uint64_t i = 0; i < count; i += step) {
			double v = s->level.v[x[i].id * (uint64_t)s->level.width + t];
			sum += v;
			squares += v * v;
			seen++;
		}
		double variance = squares - sum * sum / seen;
		if (variance > most) {
			most = variance;
			best = t;
		}
	}
	return best;
}

static int by_key(const void *a, const void *b)
{
	float x = ((const struct keyed *)a)->key, y = ((const struct keyed *)b)->key;
	return (x > y) - (x < y);
}

/* Reorders x so that the first `half` have the smallest keys: quickselect, and a sort if the pivots keep being poor. */
static void split(struct keyed *x, uint64_t count, uint64_t half)
{
	int64_t low = 0, high = (int64_t)count - 1, target = (int64_t)half;
	for (int rounds = 0; low < high; rounds++) {
		if (rounds == 64) {
			qsort(x + low, (size_t)(high - low + 1), sizeof *x, by_key);
			return;
		}
		float a = x[low].key, b = x[(low + high) / 2].key, c = x[high].key;
		float pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
		int64_t i = low, j = high;
		while (i <= j) {
			while (x[i].key < pivot)
				i++;
			while (x[j].key > pivot)
				j--;
			if (i <= j) {
				struct keyed t = x[i];
				x[i++] = x[j];
				x[j--] = t;
			}
		}
		if (target <= j)
			high = j;
		else if (target >= i)
			low = i;
		else
			return;
	}
}

static void arrange(const kith_sketch *s, struct keyed *x, uint64_t count)
{
	if (count <= KITH_LANES)
		return;
	uint32_t value = widest(s, x, count);
	uint64_t half = KITH_LANES;
	while (half * 2 < count)
		half *= 2;
	for (uint64_t i = 0; i < count; i++)
		x[i].key = s->level.v[x[i].id * (uint64_t)s->level.width + value];
	split(x, count, half);
#pragma omp task if (count > PARALLEL)
	arrange(s, x, half);
	arrange(s, x + half, count - half);
}

int kith_order(const kith_sketch *s, uint32_t *id, uint64_t m, int threads, kith_err *err)
{
	struct keyed *x = kith_alloc(m, sizeof *x);
	uint64_t inside = 0, outside = m;
	if (!x)
		return kith_fail_nomem(err, "the order of the samples", m * sizeof *x);
	for (uint64_t i = 0; i < m; i++)
		x[s->level.lo[id[i]] == KITH_LO_OUTSIDE ? --outside : inside++].id = id[i];
#pragma omp parallel num_threads(threads)
#pragma omp single
	arrange(s, x, inside);
	for (uint64_t i = 0; i < m; i++)
		id[i] = x[i].id;
	free(x);
	return 0;
}
