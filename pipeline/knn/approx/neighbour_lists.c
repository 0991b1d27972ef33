/* neighbour_lists.c - see neighbour_lists.h */
#include "neighbour_lists.h"

#include <math.h>
#include <string.h>

#include "cpu.h"
#include "workspace.h"

static void init(kith_neighbour_lists *l, uint64_t n, uint32_t length, kith_workspace *w)
{
	*l = (kith_neighbour_lists){.n = n, .length = length};
	KITH_BUFFER(w, l->id, n * length);
	KITH_BUFFER(w, l->t, n * length);
	KITH_BUFFER(w, l->bound, n);
	KITH_BUFFER_ZERO(w, l->locked, n);
}

uint64_t kith_neighbour_lists_bytes(uint64_t n, uint32_t length)
{
	kith_neighbour_lists l;
	kith_workspace w = {0};
	init(&l, n, length, &w);
	return kith_workspace_bytes(&w);
}

int kith_neighbour_lists_alloc(kith_neighbour_lists *l, uint64_t n, uint32_t length, int threads, kith_err *err)
{
	kith_workspace w = {0};
	init(l, n, length, &w);
	int rc = kith_workspace_alloc(&w, &l->memory, "lists of neighbours", err);
	if (rc)
		return rc;
#pragma omp parallel for num_threads(threads) schedule(static)
	for (uint64_t i = 0; i < n; i++) {
		l->bound[i] = INFINITY;
		for (uint64_t at = i * length; at < (i + 1) * length; at++) {
			l->id[at] = KITH_ENTRY_NONE;
			l->t[at] = INFINITY;
		}
	}
	return 0;
}

/* How many entries come before (t, id), and whether it is one of them. Whole vectors of entries, without a branch: most
 * of what is offered is there already. */
KITH_CLONES static uint32_t find_place(const uint32_t *restrict ids, const float *restrict ts, uint32_t length,
				       uint32_t id, float t, uint32_t *there)
{
	uint32_t before = 0, same = 0;
	for (uint32_t e = 0; e < length; e++) {
		uint32_t own = ids[e] & ~KITH_ENTRY_NEW;
		same |= own == id;
		before += (ts[e] < t) | ((ts[e] == t) & (own < id));
	}
	*there = same;
	return before;
}

static void insert(uint32_t *ids, float *ts, uint32_t length, uint32_t id, float t)
{
	uint32_t there, at = find_place(ids, ts, length, id, t, &there);
	if (there || at == length)
		return;
	memmove(ids + at + 1, ids + at, (length - 1 - at) * sizeof *ids);
	memmove(ts + at + 1, ts + at, (length - 1 - at) * sizeof *ts);
	ids[at] = id | KITH_ENTRY_NEW;
	ts[at] = t;
}

float kith_list_offer(kith_neighbour_lists *l, uint64_t i, uint32_t id, float t, int shared)
{
	uint64_t from = i * l->length;
	while (shared && __atomic_test_and_set(&l->locked[i], __ATOMIC_ACQUIRE))
		;
	insert(l->id + from, l->t + from, l->length, id, t);
	float bound = l->t[from + l->length - 1];
	__atomic_store(&l->bound[i], &bound, __ATOMIC_RELAXED);
	if (shared)
		__atomic_clear(&l->locked[i], __ATOMIC_RELEASE);
	return bound;
}
