/* kd_order.c - see kd_order.h */
#include "kd_order.h"

#include <omp.h>
#include <stdlib.h>

#include "first_error.h"
#include "select.h"
#include "workspace.h"

#define SAMPLE   256u  /* samples that tell which value varies most */
#define PARALLEL 8192u /* samples that are worth a task of their own, */
#define TELLING  2048u /* and to tell how far it is */

struct keyed {
	float key;
	uint32_t id;
};

struct order {
	const kith_projections *projections;
	const kith_progress *progress;
	uint64_t m, placed; /* samples in all, and those that are where they belong */
	kith_first_error failed;
};

static uint32_t widest(const kith_projections *p, const struct keyed *x, uint64_t count)
{
	uint32_t best = 0;
	double most = -1;
	uint64_t step = count > SAMPLE ? count / SAMPLE : 1;
	for (uint32_t t = 0; t < p->coarse; t++) {
		double sum = 0, squares = 0, seen = 0;
		for (uint64_t i = 0; i < count; i += step) {
			double v = p->bounds.v[x[i].id * (uint64_t)p->bounds.width + t];
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

/* One thread tells how far all have come, as often as a few thousand samples have been looked at. */
static int stops(struct order *o, uint64_t count)
{
	if (count > TELLING && omp_get_thread_num() == 0)
		kith_first_error_tick(&o->failed, 0, o->progress, "arranging",
				      __atomic_load_n(&o->placed, __ATOMIC_RELAXED), o->m);
	return kith_first_error_seen(&o->failed);
}

static void arrange(struct order *o, struct keyed *x, float *keys, uint64_t count)
{
	const kith_projections *p = o->projections;
	if (count <= KITH_LANES) {
		__atomic_fetch_add(&o->placed, count, __ATOMIC_RELAXED);
		return;
	}
	if (stops(o, count))
		return;
	uint32_t value = widest(p, x, count);
	uint64_t half = KITH_LANES;
	while (half * 2 < count)
		half *= 2;
	for (uint64_t i = 0; i < count; i++)
		x[i].key = p->bounds.v[x[i].id * (uint64_t)p->bounds.width + value];
	split(x, keys, count, half);
#pragma omp task if (count > PARALLEL)
	arrange(o, x, keys, half);
	arrange(o, x + half, keys + half, count - half);
}

int kith_kd_order(const kith_projections *p, uint32_t *id, uint64_t m, int threads, const kith_progress *progress,
		  kith_err *err)
{
	struct order o = {.projections = p, .progress = progress, .m = m};
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
		x[p->bounds.lo[id[i]] == KITH_LO_OUTSIDE ? --outside : inside++].id = id[i];
#pragma omp parallel num_threads(threads)
#pragma omp master /* who may tell how far it is, and has half of it to do */
	arrange(&o, x, keys, inside);
	for (uint64_t i = 0; i < m; i++)
		id[i] = x[i].id;
	free(memory);
	return kith_first_error_get(&o.failed, err);
}
