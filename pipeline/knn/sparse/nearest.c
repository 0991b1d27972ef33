/* nearest.c - see nearest.h */
#include "nearest.h"

#include <sched.h>

#include "workspace.h"

#define LEAST_ROOM 16u /* beyond k */

static uint32_t room_of(uint32_t k)
{
	return k + (k < LEAST_ROOM ? LEAST_ROOM : k);
}

static void list(kith_nearest *n, uint64_t rows, uint32_t k, kith_workspace *w)
{
	*n = (kith_nearest){.k = k, .room = room_of(k)};
	KITH_BUFFER(w, n->count, rows);
	KITH_BUFFER(w, n->bound, rows);
	KITH_BUFFER(w, n->left, rows);
	KITH_BUFFER_ZERO(w, n->locked, rows);
	KITH_BUFFER(w, n->of, rows * n->room);
}

uint64_t kith_nearest_row_bytes(uint32_t k)
{
	return sizeof(uint32_t) + sizeof(uint64_t) + sizeof(double) + 1 + room_of(k) * sizeof(struct kith_ranked);
}

int kith_nearest_alloc(kith_nearest *n, uint64_t rows, uint32_t k, const kith_tie_rule *ties, kith_err *err)
{
	kith_workspace w = {0};
	list(n, rows, k, &w);
	n->ties = *ties;
	return kith_workspace_alloc(&w, &n->memory, "rows of neighbours", err);
}

void kith_nearest_reset(kith_nearest *n, uint64_t rows)
{
	for (uint64_t r = 0; r < rows; r++) {
		n->count[r] = 0;
		n->left[r] = 0;
		n->bound[r] = INFINITY;
	}
}

struct kith_ranked *kith_nearest_rank(kith_nearest *n, uint64_t r)
{
	struct kith_ranked *of = n->of + r * n->room;
	uint64_t left = n->left[r];
	kith_rank(&n->ties, of, n->count[r]);
	if (n->count[r] >= n->k) {
		double last = of[n->k - 1].dist;
		left = last < n->bound[r] ? 0 : left;
		for (uint32_t i = n->k; i < n->count[r] && of[i].dist == last; i++)
			left++;
		n->count[r] = n->k;
		n->left[r] = left;
		__atomic_store(&n->bound[r], &last, __ATOMIC_RELAXED);
	}
	return of;
}

void kith_nearest_offer(kith_nearest *n, uint64_t r, uint32_t id, double dist)
{
	while (__atomic_test_and_set(&n->locked[r], __ATOMIC_ACQUIRE))
		sched_yield();
	if (dist <= n->bound[r]) {
		n->of[r * n->room + n->count[r]++] = (struct kith_ranked){dist, id, 0};
		if (n->count[r] == n->room)
			kith_nearest_rank(n, r);
	}
	__atomic_clear(&n->locked[r], __ATOMIC_RELEASE);
}
