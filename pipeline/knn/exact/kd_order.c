/* kd_order.c - see kd_order.h */
#include "kd_order.h"

#include <omp.h>
#include <stdlib.h>

#include "select.h"
#include "workspace.h"

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

static void swap(struct keyed *a, struct keyed *b)
{
	struct keyed t = *a;
	*a = *b;
	*b = t;
}

/* Reorders x so that the first `half` have the smallest keys: less than the half-th smallest, equal to it, greater.
 * keys: scratch for `count`. */
static void split(struct keyed *x, float *keys, uint64_t count, uint64_t half)
{
	for (uint64_t i = 0; i < count; i++)
		keys[i] = x[i].key;
	float middle = kith_kth_smallest(keys, (uint32_t)count, (uint32_t)half);
	uint64_t low = 0, high = count;
	for (uint64_t i = 0; i < high;)
		if (x[i].key < middle)
			swap(&x[i++], &x[low++]);
		else if (x[i].key > middle)
			swap(&x[i], &x[--high]);
		else
			i++;
}

static void arrange(const kith_sketch *s, struct keyed *x, float *keys, uint64_t count)
{
	if (count <= KITH_LANES)
		return;
	uint32_t value = widest(s, x, count);
	uint64_t half = KITH_LANES;
	while (half * 2 < count)
		half *= 2;
	for (uint64_t i = 0; i < count; i++)
		x[i].key = s->level.v[x[i].id * (uint64_t)s->level.width + value];
	split(x, keys, count, half);
#pragma omp task if (count > PARALLEL)
	arrange(s, x, keys, half);
	arrange(s, x + half, keys + half, count - half);
}

int kith_order(const kith_sketch *s, uint32_t *id, uint64_t m, int threads, kith_err *err)
{
	struct keyed *x = NULL;
	float *keys = NULL;
	uint64_t inside = 0, outside = m;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, x, m);
	KITH_BUFFER(&w, keys, m);
	int rc = kith_workspace_alloc(&w, &memory, "the order of the samples", err);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < m; i++)
		x[s->level.lo[id[i]] == KITH_LO_OUTSIDE ? --outside : inside++].id = id[i];
#pragma omp parallel num_threads(threads)
#pragma omp single
	arrange(s, x, keys, inside);
	for (uint64_t i = 0; i < m; i++)
		id[i] = x[i].id;
	free(memory);
	return 0;
}
