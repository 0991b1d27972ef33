/* candidates.c - see candidates.h */
#include "candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "select.h"

/* Even, so that rows of floats are aligned for doubles. */
static uint64_t stride_of(uint32_t capacity, uint32_t near)
{
	uint64_t least = capacity > 3ull * near ? capacity : 3ull * near;
	return least + (least & 1);
}

uint64_t kith_candidates_row_bytes(uint32_t capacity, uint32_t near, uint32_t room_known)
{
	return stride_of(capacity, near) * (sizeof(uint32_t) + sizeof(float)) +
	       (uint64_t)room_known * (sizeof(uint32_t) + sizeof(double)) + 13;
}

int kith_candidates_init(kith_candidates *c, const kith_level *level, uint32_t k, uint32_t rows, uint32_t capacity,
			 uint32_t near, uint32_t room_known, kith_err *err)
{
	*c = (kith_candidates){.level = level, .k = k, .capacity = capacity, .room_known = room_known};
	c->stride = stride_of(capacity, near);
	size_t all = (size_t)rows * c->stride;
	c->id = kith_alloc(all, sizeof *c->id);
	c->low = kith_alloc(all, sizeof *c->low);
	c->count = kith_alloc(rows, sizeof *c->count);
	c->bound = kith_alloc(rows, sizeof *c->bound);
	c->locked = kith_alloc_zero(rows, 1);
	c->known = kith_alloc_zero(rows, sizeof *c->known);
	c->known_id = kith_alloc((size_t)rows * room_known, sizeof *c->known_id);
	c->known_dist = kith_alloc((size_t)rows * room_known, sizeof *c->known_dist);
	if (!c->id || !c->low || !c->count || !c->bound || !c->locked || !c->known || !c->known_id || !c->known_dist)
		return kith_fail_nomem(err, "candidates", rows * kith_candidates_row_bytes(capacity, near, room_known));
	return 0;
}

void kith_candidates_free(kith_candidates *c)
{
	if (!c->lent) {
		free(c->id);
		free(c->low);
	}
	free(c->count);
	free(c->bound);
	free(c->locked);
	free(c->known);
	free(c->known_id);
	free(c->known_dist);
	*c = (kith_candidates){0};
}

void kith_candidates_reset(kith_candidates *c, const uint32_t *self, uint32_t rows)
{
	c->self = self;
	memset(c->count, 0, rows * sizeof *c->count);
	memset(c->known, 0, rows * sizeof *c->known);
	for (uint32_t r = 0; r < rows; r++)
		c->bound[r] = INFINITY;
}

void kith_candidates_upper(const kith_candidates *c, uint32_t r, float *out)
{
	const uint32_t *id = c->id + (size_t)r * c->stride;
	const float *low = c->low + (size_t)r * c->stride, *w = c->level->w;
	float own = w[c->self[r]];
	for (uint32_t e = 0; e < c->count[r]; e++)
		out[e] = low[e] + (w[id[e]] + own);
}

/* Where rows are shared, others look at the bound without the row's lock. */
static void lower_bound(kith_candidates *c, uint32_t r, float bound)
{
	if (bound < c->bound[r])
		__atomic_store(&c->bound[r], &bound, __ATOMIC_RELAXED);
}

void kith_candidates_compact(kith_candidates *c, uint32_t r, float *scratch)
{
	size_t base = (size_t)r * c->stride;
	uint32_t kept = 0;
	if (c->count[r] <= c->k)
		return;
	kith_candidates_upper(c, r, scratch);
	float bound = kith_kth_smallest(scratch, c->count[r], c->k);
	lower_bound(c, r, bound);
	for (uint32_t e = 0; e < c->count[r]; e++) {
		c->id[base + kept] = c->id[base + e];
		c->low[base + kept] = c->low[base + e];
		kept += c->low[base + e] <= c->bound[r];
	}
	c->count[r] = kept;
}

int kith_candidates_take(kith_candidates *c, uint32_t r, uint32_t id, float t, float *scratch)
{
	size_t base = (size_t)r * c->stride;
	if (t > c->bound[r])
		return 0;
	if (c->count[r] == c->capacity) {
		kith_candidates_compact(c, r, scratch);
		/* less than half of the spare room won back: compacting would become the whole work */
		if (c->count[r] > c->capacity - (c->capacity - c->k) / 2)
			return -1;
		if (t > c->bound[r])
			return 0;
	}
	uint32_t e = c->count[r]++;
	c->id[base + e] = id;
	c->low[base + e] = t;
	return 0;
}

static int by_rank(const void *a, const void *b)
{
	const struct kith_ranked *x = a, *y = b;
	if (x->dist != y->dist)
		return x->dist < y->dist ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

void kith_rank(struct kith_ranked *x, uint32_t count)
{
	if (count > 24) {
		qsort(x, count, sizeof *x, by_rank);
		return;
	}
	for (uint32_t i = 1; i < count; i++) {
		struct kith_ranked moved = x[i];
		uint32_t at = i;
		for (; at && by_rank(&moved, &x[at - 1]) < 0; at--)
			x[at] = x[at - 1];
		x[at] = moved;
	}
}

void kith_candidates_settle(kith_candidates *c, uint32_t r, const kith_screen *screen, struct kith_ranked *ranked)
{
	size_t base = (size_t)r * c->stride;
	uint32_t kept = 0, count = c->count[r];
	kith_rank(ranked, count);
	struct kith_ranked last = ranked[c->k - 1];
	for (uint32_t i = c->k; i < count; i++)
		c->id[base + ranked[i].at] = UINT32_MAX;
	for (uint32_t e = 0; e < count; e++) {
		c->id[base + kept] = c->id[base + e];
		c->low[base + kept] = c->low[base + e];
		kept += c->id[base + e] != UINT32_MAX;
	}
	c->count[r] = kept;
	float bound = kith_screen_bound(screen, last.dist);
	lower_bound(c, r, bound);
}
