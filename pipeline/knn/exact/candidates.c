/* candidates.c - see candidates.h */
#include "candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select.h"

void kith_candidates_init(kith_candidates *c, const kith_bounds *bounds, uint32_t k, uint32_t rows, uint32_t capacity,
			  uint32_t near, uint32_t room_known, kith_workspace *lists, kith_workspace *w)
{
	uint64_t stride = capacity > 3ull * near ? capacity : 3ull * near;
	stride += stride & 1; /* even, so that rows of floats are aligned for doubles */
	*c = (kith_candidates){
		.bounds = bounds, .k = k, .capacity = capacity, .stride = stride, .room_known = room_known};
	KITH_BUFFER(lists, c->id, rows * stride);
	KITH_BUFFER(lists, c->low, rows * stride);
	KITH_BUFFER(w, c->count, rows);
	KITH_BUFFER(w, c->bound, rows);
	KITH_BUFFER_ZERO(w, c->locked, rows);
	KITH_BUFFER_ZERO(w, c->tied, rows);
	KITH_BUFFER(w, c->tied_at, rows);
	KITH_BUFFER_ZERO(w, c->known, rows);
	KITH_BUFFER(w, c->known_id, (uint64_t)rows * room_known);
	KITH_BUFFER(w, c->known_dist, (uint64_t)rows * room_known);
}

uint64_t kith_candidates_row_bytes(uint32_t capacity, uint32_t near, uint32_t room_known)
{
	enum { MANY = 1024 }; /* rows, so that rounding each buffer up adds nothing */
	kith_candidates c;
	kith_workspace w = {0};
	kith_candidates_init(&c, NULL, 1, MANY, capacity, near, room_known, &w, &w);
	return kith_workspace_bytes(&w) / MANY;
}

void kith_candidates_reset(kith_candidates *c, const uint32_t *self, uint32_t rows)
{
	c->self = self;
	memset(c->count, 0, rows * sizeof *c->count);
	memset(c->known, 0, rows * sizeof *c->known);
	memset(c->tied, 0, rows * sizeof *c->tied);
	for (uint32_t r = 0; r < rows; r++)
		c->bound[r] = INFINITY;
}

void kith_candidates_upper(const kith_candidates *c, uint32_t r, float *out)
{
	const uint32_t *id = c->id + (size_t)r * c->stride;
	const float *low = c->low + (size_t)r * c->stride, *w = c->bounds->w;
	float own = w[c->self[r]];
	for (uint32_t e = 0; e < c->count[r]; e++)
		out[e] = low[e] + (w[id[e]] + own);
}

/* Other threads may read the bound meanwhile. */
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

static int by_rank(const void *a, const void *b, void *ties)
{
	const struct kith_ranked *x = a, *y = b;
	if (x->dist != y->dist)
		return x->dist < y->dist ? -1 : 1;
	uint64_t i = kith_tie_rank(ties, x->id), j = kith_tie_rank(ties, y->id);
	return (i > j) - (i < j);
}

void kith_rank(const kith_tie_rule *ties, struct kith_ranked *x, uint32_t count)
{
	if (count > 24) {
		qsort_r(x, count, sizeof *x, by_rank, (void *)(uintptr_t)ties);
		return;
	}
	for (uint32_t i = 1; i < count; i++) {
		struct kith_ranked moved = x[i];
		uint32_t at = i;
		for (; at && kith_comes_before(ties, moved.dist, moved.id, x[at - 1].dist, x[at - 1].id); at--)
			x[at] = x[at - 1];
		x[at] = moved;
	}
}

void kith_candidates_settle(kith_candidates *c, uint32_t r, const kith_scaling *scaling, struct kith_ranked *ranked)
{
	size_t base = (size_t)r * c->stride;
	uint32_t kept = 0, count = c->count[r];
	kith_rank(&scaling->vectors->ties, ranked, count);
	struct kith_ranked last = ranked[c->k - 1];
	if (c->tied[r] && last.dist != c->tied_at[r])
		c->tied[r] = 0;
	c->tied_at[r] = last.dist;
	for (uint32_t i = c->k; i < count; i++) {
		if (ranked[i].dist == last.dist)
			c->tied[r] += c->weight ? c->weight[ranked[i].id] : 1;
		c->id[base + ranked[i].at] = UINT32_MAX;
	}
	for (uint32_t e = 0; e < count; e++) {
		c->id[base + kept] = c->id[base + e];
		c->low[base + kept] = c->low[base + e];
		kept += c->id[base + e] != UINT32_MAX;
	}
	c->count[r] = kept;
	lower_bound(c, r, kith_scaling_bound(scaling, last.dist));
}
