/* candidates.c - see candidates.h */
#include "candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/cpu.h"
#include "select.h"

#define OUT 15u /* a tier beyond the ladder */

static uint32_t largest_k(const kith_candidates *c)
{
	return c->info->ladder[c->info->tiers - 1];
}

uint32_t kith_candidates_capacity(uint64_t n, uint32_t k)
{
	uint64_t room = (uint64_t)k + (k / 2 > 256 ? k / 2 : 256);
	return (uint32_t)(room < n - 1 ? room : n - 1);
}

uint64_t kith_candidates_row_bytes(uint32_t capacity)
{
	return (uint64_t)capacity * (sizeof(uint32_t) + sizeof(float) + sizeof(double) + 1) + 16;
}

int kith_candidates_init(kith_candidates *c, const kith_screen *screen, const kith_graph_info *info, uint32_t rows,
			 kith_err *err)
{
	memset(c, 0, sizeof *c);
	c->screen = screen;
	c->info = info;
	c->rows = rows;
	c->capacity = kith_candidates_capacity(info->n, largest_k(c));
	size_t all = (size_t)rows * c->capacity;
	c->id = kith_alloc(all, sizeof *c->id);
	c->low = kith_alloc(all, sizeof *c->low);
	c->dist = kith_alloc(all, sizeof *c->dist);
	c->tier = kith_alloc(all, 1);
	c->count = kith_alloc(rows, sizeof *c->count);
	c->bound = kith_alloc(rows, sizeof *c->bound);
	c->exact = kith_alloc(rows, 1);
	if (!c->id || !c->low || !c->dist || !c->tier || !c->count || !c->bound || !c->exact)
		return kith_fail_nomem(err, "candidates", rows * kith_candidates_row_bytes(c->capacity));
	return 0;
}

void kith_candidates_free(kith_candidates *c)
{
	free(c->id);
	free(c->low);
	free(c->dist);
	free(c->tier);
	free(c->count);
	free(c->bound);
	free(c->exact);
	memset(c, 0, sizeof *c);
}

int kith_candidate_scratch_init(kith_candidate_scratch *s, const kith_candidates *c, kith_err *err)
{
	s->values = kith_alloc(2 * (size_t)c->capacity, sizeof *s->values);
	s->ranked = kith_alloc(c->capacity, sizeof *s->ranked);
	return s->values && s->ranked ? 0 : kith_fail_nomem(err, "work space", (uint64_t)c->capacity * 24);
}

void kith_candidate_scratch_free(kith_candidate_scratch *s)
{
	free(s->values);
	free(s->ranked);
}

void kith_candidates_reset(kith_candidates *c, const float *bound, uint32_t rows)
{
	memset(c->count, 0, rows * sizeof *c->count);
	memset(c->exact, 0, rows);
	for (uint32_t r = 0; r < rows; r++)
		c->bound[r] = bound ? bound[r] : INFINITY;
}

/* ---- selection ---- */

/* Upper bounds of row r's candidates, shifted like their t. */
static void upper_bounds(const kith_candidates *c, uint32_t r, uint64_t node, float *out)
{
	const uint32_t *id = c->id + (size_t)r * c->capacity;
	const float *low = c->low + (size_t)r * c->capacity, *w = c->screen->w;
	float own = w[node];
	for (uint32_t e = 0; e < c->count[r]; e++)
		out[e] = (low[e] + w[id[e]]) + own;
}

/* Rules out what the k-th smallest upper bound can. */
static void compact(kith_candidates *c, uint32_t r, uint64_t node, kith_candidate_scratch *s)
{
	size_t base = (size_t)r * c->capacity;
	uint32_t k = largest_k(c), kept = 0;
	if (c->exact[r] || c->count[r] <= k)
		return;
	upper_bounds(c, r, node, s->values);
	float bound = kith_kth_smallest(s->values, c->count[r], k);
	if (bound < c->bound[r])
		c->bound[r] = bound;
	for (uint32_t e = 0; e < c->count[r]; e++) {
		c->id[base + kept] = c->id[base + e];
		c->low[base + kept] = c->low[base + e];
		kept += c->low[base + e] <= c->bound[r];
	}
	c->count[r] = kept;
}

/* Most groups of 16 have no hit. */
KITH_CLONES static uint32_t find_hits(const float *g, const float *lo, uint32_t count, float bound, uint32_t *hits)
{
	uint32_t found = 0, i = 0;
	for (; i + 16 <= count; i += 16) {
		int any = 0;
		for (uint32_t j = i; j < i + 16; j++)
			any |= lo[j] - 2 * g[j] <= bound;
		if (any)
			for (uint32_t j = i; j < i + 16; j++)
				if (lo[j] - 2 * g[j] <= bound)
					hits[found++] = j;
	}
	for (; i < count; i++)
		if (lo[i] - 2 * g[i] <= bound)
			hits[found++] = i;
	return found;
}

uint32_t kith_hits(const float *g, const float *lo, uint32_t count, float bound, uint32_t *hits)
{
	return find_hits(g, lo, count, bound, hits);
}

int kith_candidates_take(kith_candidates *c, uint32_t r, uint64_t node, uint32_t id, float t, kith_candidate_scratch *s)
{
	size_t base = (size_t)r * c->capacity;
	if (t > c->bound[r] || id == node)
		return 0;
	if (c->count[r] == c->capacity) {
		compact(c, r, node, s);
		/* less than half of the spare room won back: compacting would become the whole work */
		if (c->count[r] > c->capacity - (c->capacity - largest_k(c)) / 2)
			return -1;
		if (t > c->bound[r])
			return 0;
	}
	uint32_t e = c->count[r]++;
	c->id[base + e] = id;
	c->low[base + e] = t;
	c->dist[base + e] = KITH_DIST_UNKNOWN;
	return 0;
}

static int by_rank(const void *a, const void *b)
{
	const struct kith_ranked *x = a, *y = b;
	if (x->dist != y->dist)
		return x->dist < y->dist ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Row r's candidates whose distance is known, sorted by (distance, id). */
static uint32_t rank_known(const kith_candidates *c, uint32_t r, kith_candidate_scratch *s)
{
	size_t base = (size_t)r * c->capacity;
	uint32_t known = 0;
	for (uint32_t e = 0; e < c->count[r]; e++)
		if (c->dist[base + e] >= 0)
			s->ranked[known++] = (struct kith_ranked){c->dist[base + e], c->id[base + e], e};
	qsort(s->ranked, known, sizeof *s->ranked, by_rank);
	return known;
}

int kith_candidates_settle(kith_candidates *c, uint32_t r, uint64_t node, kith_candidate_scratch *s)
{
	size_t base = (size_t)r * c->capacity;
	uint32_t k = largest_k(c), kept = 0, known = rank_known(c, r, s);
	if (known < k)
		return -1;
	struct kith_ranked last = s->ranked[k - 1];
	for (uint32_t e = 0; e < c->count[r]; e++) { /* stable: ids stay ascending */
		struct kith_ranked this = {c->dist[base + e], c->id[base + e], e};
		if (by_rank(&this, &last) > 0)
			continue;
		c->id[base + kept] = c->id[base + e];
		c->low[base + kept] = c->low[base + e];
		c->dist[base + kept++] = c->dist[base + e];
	}
	c->count[r] = kept;
	c->exact[r] = 1;
	float bound = kith_screen_bound(c->screen, node, last.dist);
	if (bound < c->bound[r])
		c->bound[r] = bound;
	return 0;
}

/* ---- the end of a row ---- */

/* Boundary of the m nearest: what is provably inside (upper < *inside) and provably outside (low > *outside). */
static void boundary(const kith_candidates *c, uint32_t r, uint64_t node, uint32_t m, kith_candidate_scratch *s,
		     float *inside, float *outside)
{
	memcpy(s->values, c->low + (size_t)r * c->capacity, c->count[r] * sizeof *s->values);
	*inside = kith_kth_smallest(s->values, c->count[r], m);
	upper_bounds(c, r, node, s->values);
	*outside = kith_kth_smallest(s->values, c->count[r], m);
}

static void mark_exact(kith_candidates *c, uint32_t r)
{
	/* all distances will be known: every tier is open until they are */
	memset(c->tier + (size_t)r * c->capacity, (int)(OUT << 4), c->count[r]);
}

void kith_candidates_mark(kith_candidates *c, uint32_t r, uint64_t node, kith_candidate_scratch *s)
{
	const kith_graph_info *info = c->info;
	size_t base = (size_t)r * c->capacity;
	float inside, outside, *upper = s->values + c->capacity;

	if (c->exact[r]) {
		mark_exact(c, r);
		return;
	}
	compact(c, r, node, s);
	upper_bounds(c, r, node, upper);
	memset(c->tier + base, (int)(OUT | OUT << 4), c->count[r]);
	for (uint32_t t = info->tiers; t-- > 0;) {
		boundary(c, r, node, info->ladder[t], s, &inside, &outside);
		for (uint32_t e = 0; e < c->count[r]; e++) {
			uint8_t *tier = &c->tier[base + e];
			if (c->low[base + e] <= outside)
				*tier = (uint8_t)((*tier & 0xf0) | t);
			if (upper[e] < inside)
				*tier = (uint8_t)((*tier & 0x0f) | t << 4);
		}
	}
	for (uint32_t e = 0; e < c->count[r]; e++)
		c->dist[base + e] =
			(c->tier[base + e] & 15) == c->tier[base + e] >> 4 ? KITH_DIST_SPARED : KITH_DIST_UNKNOWN;
	if (info->near) {
		boundary(c, r, node, info->near, s, &inside, &outside);
		for (uint32_t e = 0; e < c->count[r]; e++)
			if (c->low[base + e] <= outside)
				c->dist[base + e] = KITH_DIST_UNKNOWN;
	}
}

int kith_candidates_finish(const kith_candidates *c, uint32_t r, uint32_t *ids, uint32_t *near_ids, double *near_dist2,
			   kith_candidate_scratch *s)
{
	const kith_graph_info *info = c->info;
	size_t base = (size_t)r * c->capacity;
	uint8_t *tier = c->tier + base;
	uint32_t known = rank_known(c, r, s), put[KITH_MAX_TIERS], end[KITH_MAX_TIERS];
	int64_t open[KITH_MAX_TIERS]; /* places among the ladder[t] nearest that certain candidates leave */

	if (known < info->near)
		return -1;
	for (uint32_t t = 0; t < info->tiers; t++) {
		open[t] = info->ladder[t];
		put[t] = t ? info->ladder[t - 1] : 0;
		end[t] = info->ladder[t];
	}
	for (uint32_t e = 0; e < c->count[r]; e++)
		for (uint32_t t = tier[e] >> 4; t < info->tiers; t++)
			open[t]--;
	/* the uncertain, nearest first, each into the first tier that has a place for it */
	for (uint32_t i = 0; i < known; i++) {
		uint8_t *mine = &tier[s->ranked[i].at];
		uint32_t t = *mine & 15, most = *mine >> 4;
		while (t < most && t < info->tiers && open[t] <= 0)
			t++;
		*mine = (uint8_t)((*mine & 0xf0) | (t < info->tiers ? t : OUT));
		for (; t < most && t < info->tiers; t++)
			open[t]--;
	}
	for (uint32_t t = 0; t < info->tiers; t++)
		if (open[t] != 0)
			return -1;
	for (uint32_t e = 0; e < c->count[r]; e++) {
		uint32_t t = tier[e] & 15;
		if (t >= info->tiers)
			continue;
		if (put[t] == end[t])
			return -1;
		ids[put[t]++] = c->id[base + e];
	}
	for (uint32_t i = 0; i < info->near; i++) {
		near_ids[i] = s->ranked[i].id;
		near_dist2[i] = s->ranked[i].dist;
	}
	return 0;
}
