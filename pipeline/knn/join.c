/* join.c - see join.h */
#include "join.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "select.h"
#include "tile.h"

#define LANES    KITH_LANES
#define GROUP    KITH_GROUP /* rows of a group: LANES blocks */
#define NONE     UINT32_MAX
#define STRIP    4u /* groups */
#define BOX_DIMS 16u

/* What every block pair is tried with: its samples' floats, value by value, and bounds. Positions are places in the
 * order, rounded up to whole groups; what fills up is nobody's neighbour (lo = infinity, bound = -infinity). */
struct blocks {
	const float *v; /* width x LANES for each block */
	float *own_v;
	uint32_t width;
	float *lo;    /* of each position */
	uint32_t *id; /* of each position, or NONE */
	/* boxes around the first values of each block, which vary most; value t of block b of a group at
	 * (group * dims + t) * LANES + b */
	uint32_t dims;
	float *least, *most;
	float *slack; /* of each block */
	uint64_t groups;
};

struct worker {
	kith_refiner refiner;
	float *t;                 /* LANES x LANES */
	float most_b[LANES];      /* greatest bound of each block of group b */
	float *bound_a, *bound_b; /* GROUP */
	float *low;               /* LANES x GROUP, of the hits of each row */
	uint32_t *hit;            /* LANES x GROUP: places in group b */
	uint32_t hits[LANES];
	const float **y; /* GROUP, or the probed rows */
	float *centre, *probed, *values;
	uint32_t *nearest, *place; /* place: three times the probed rows */
	kith_err err;
	int rc;
};

struct join {
	const kith_join *in;
	const kith_level *fine; /* whose bounds the candidates' are */
	int two_level;
	int tight; /* the fine level's upper bounds are close: first bounds come from them, unmeasured */
	struct blocks blocks;
	float *centres; /* of blocks: values x blocks */
	kith_candidates candidates;
	struct worker *workers;
	uint64_t panel_groups;
};

static uint64_t groups_of(uint64_t m)
{
	return (m + GROUP - 1) / GROUP;
}

/* Values of the coarse sketch, and those of them that boxes are made of. */
static uint32_t coarse_width(const kith_plan *plan)
{
	return plan->coarse + 1;
}

static uint32_t box_dims(const kith_plan *plan)
{
	return coarse_width(plan) < BOX_DIMS ? coarse_width(plan) : BOX_DIMS;
}

static uint64_t worker_bytes(const kith_plan *plan)
{
	return LANES * GROUP * 16ull + plan->probes * LANES * (LANES + 5) * sizeof(float) +
	       plan->probes * LANES * sizeof(float *);
}

uint64_t kith_join_fixed_bytes(const kith_plan *plan, uint64_t m, uint64_t threads)
{
	uint64_t groups = groups_of(m), positions = groups * GROUP, blocks = groups * LANES;
	uint64_t v = plan->kind == KITH_PLAN_FULL ? 0 : coarse_width(plan) * sizeof(float);
	return positions * (v + 8) + blocks * (box_dims(plan) * 3 + 2 + 2 * threads) * sizeof(float) +
	       threads * worker_bytes(plan);
}

/* ---- blocks ---- */

/* Value t of the coarse sketch of the sample at position `at`. */
static float coarse_value(const kith_sketch *s, uint64_t at, uint32_t id, uint32_t t)
{
	return t < s->coarse ? s->level.v[at * s->level.width + t] : s->rho[id];
}

/* Makes block `block`'s box hold the sample at position `at`. */
static void stretch_box(struct blocks *b, const kith_sketch *s, uint64_t block, uint64_t at, uint32_t id)
{
	int outside = s->lo[id] == KITH_LO_OUTSIDE;
	for (uint32_t t = 0; t < b->dims; t++) {
		uint64_t side = (block / LANES * b->dims + t) * LANES + block % LANES;
		float x = coarse_value(s, at, id, t), below = outside ? -FLT_MAX : x, above = outside ? FLT_MAX : x;
		b->least[side] = below < b->least[side] ? below : b->least[side];
		b->most[side] = above > b->most[side] ? above : b->most[side];
	}
	b->slack[block] = s->slack[id] > b->slack[block] ? s->slack[id] : b->slack[block];
}

static void fill_block(struct blocks *b, const kith_join *in, uint64_t block)
{
	const kith_sketch *s = in->sketch;
	float *v = b->own_v ? b->own_v + block * LANES * b->width : NULL;
	for (uint32_t t = 0; t < b->dims; t++) {
		uint64_t side = (block / LANES * b->dims + t) * LANES + block % LANES;
		b->least[side] = INFINITY;
		b->most[side] = -INFINITY;
	}
	b->slack[block] = 0;
	for (uint32_t i = 0; i < LANES; i++) {
		uint64_t at = block * LANES + i;
		uint32_t id = b->id[at] = at < in->m ? in->id[at] : NONE;
		b->lo[at] = id == NONE ? INFINITY : v ? s->lo[id] : in->full->lo[id];
		for (uint32_t t = 0; v && t < b->width; t++)
			v[t * LANES + i] = id == NONE ? 0 : coarse_value(s, at, id, t);
		if (id != NONE)
			stretch_box(b, s, block, at, id);
	}
}

static void init_blocks(struct blocks *b, const kith_join *in)
{
	uint64_t groups = groups_of(in->m), count = groups * LANES;
	b->groups = groups;
	b->dims = box_dims(in->plan);
	b->width = in->plan->kind == KITH_PLAN_FULL ? (uint32_t)in->screen->rows->d : coarse_width(in->plan);
	b->own_v = in->plan->kind == KITH_PLAN_FULL ? NULL : kith_alloc(count * LANES * b->width, sizeof *b->own_v);
	b->v = b->own_v ? b->own_v : in->full ? in->full->v : NULL;
	b->lo = kith_alloc(count * LANES, sizeof *b->lo);
	b->id = kith_alloc(count * LANES, sizeof *b->id);
	b->least = kith_alloc(count * b->dims, sizeof *b->least);
	b->most = kith_alloc(count * b->dims, sizeof *b->most);
	b->slack = kith_alloc(count, sizeof *b->slack);
}

/* The middles of the boxes: where to look for near blocks. */
static void fill_centres(struct join *j)
{
	const struct blocks *b = &j->blocks;
	uint64_t blocks = b->groups * LANES;
	for (uint64_t block = 0; block < blocks; block++)
		for (uint32_t t = 0; t < b->dims; t++) {
			uint64_t at = (block / LANES * b->dims + t) * LANES + block % LANES;
			float middle = b->least[at] / 2 + b->most[at] / 2;
			j->centres[t * blocks + block] = b->least[at] <= b->most[at] ? middle : FLT_MAX;
		}
}

static const float *block_v(const struct blocks *b, uint64_t block)
{
	return b->v + block * LANES * b->width;
}

/* ---- work space ---- */

static int init_worker(struct worker *w, const struct join *j, kith_err *err)
{
	const kith_plan *plan = j->in->plan;
	size_t probed = (size_t)plan->probes * LANES;
	w->t = kith_alloc(GROUP, sizeof *w->t);
	w->bound_a = kith_alloc(GROUP, sizeof *w->bound_a);
	w->bound_b = kith_alloc(GROUP, sizeof *w->bound_b);
	w->low = kith_alloc(LANES * GROUP, sizeof *w->low);
	w->hit = kith_alloc(LANES * GROUP, sizeof *w->hit);
	w->y = kith_alloc(probed > GROUP ? probed : GROUP, sizeof *w->y);
	w->centre = kith_alloc(2 * j->blocks.groups * LANES, sizeof *w->centre);
	w->probed = kith_alloc(probed * LANES, sizeof *w->probed);
	w->values = kith_alloc(2 * probed, sizeof *w->values);
	w->nearest = kith_alloc(plan->probes, sizeof *w->nearest);
	w->place = kith_alloc(3 * probed, sizeof *w->place);
	if (!w->t || !w->bound_a || !w->bound_b || !w->low || !w->hit || !w->y || !w->centre || !w->probed ||
	    !w->values || !w->nearest || !w->place)
		return kith_fail_nomem(err, "a thread's work space", worker_bytes(plan));
	return kith_refiner_init(&w->refiner, j->in->screen, j->in->info, plan->capacity, plan->batch, err);
}

static int init(struct join *j, kith_err *err)
{
	const kith_join *in = j->in;
	const kith_plan *plan = in->plan;
	struct blocks *b = &j->blocks;

	j->fine = in->full ? in->full : &in->sketch->level;
	j->two_level = plan->kind != KITH_PLAN_FULL && (in->full || plan->coarse < plan->dims);
	j->tight = in->full || plan->tight;
	init_blocks(b, in);
	j->centres = kith_alloc(b->groups * LANES * b->dims, sizeof *j->centres);
	j->workers = kith_alloc_zero((size_t)in->plan->threads, sizeof *j->workers);
	if (!b->v || !b->lo || !b->id || !b->least || !b->most || !b->slack || !j->centres || !j->workers)
		return kith_fail_nomem(err, "blocks of samples",
				       kith_join_fixed_bytes(plan, in->m, (uint64_t)in->plan->threads));
#pragma omp parallel for num_threads(in->plan->threads) schedule(static)
	for (uint64_t block = 0; block < b->groups * LANES; block++)
		fill_block(b, in, block);
	fill_centres(j);
	j->panel_groups = (plan->panel + GROUP - 1) / GROUP;
	if (plan->in_place || j->panel_groups > b->groups)
		j->panel_groups = b->groups;
	int rc = kith_candidates_init(&j->candidates, j->fine, kith_info_k(in->info),
				      (uint32_t)(j->panel_groups * GROUP), plan->capacity, in->info->near, plan->known,
				      err);
	for (int t = 0; !rc && t < in->plan->threads; t++)
		rc = init_worker(&j->workers[t], j, err);
	return rc;
}

static void release(struct join *j)
{
	for (int t = 0; j->workers && t < j->in->plan->threads; t++) {
		struct worker *w = &j->workers[t];
		free(w->t);
		free(w->bound_a);
		free(w->bound_b);
		free(w->low);
		free(w->hit);
		free(w->y);
		free(w->centre);
		free(w->probed);
		free(w->values);
		free(w->nearest);
		free(w->place);
		kith_refiner_free(&w->refiner);
	}
	free(j->workers);
	free(j->centres);
	free(j->blocks.own_v);
	free(j->blocks.lo);
	free(j->blocks.id);
	free(j->blocks.least);
	free(j->blocks.most);
	free(j->blocks.slack);
	kith_candidates_free(&j->candidates);
}

static struct worker *me(struct join *j)
{
	return &j->workers[omp_get_thread_num()];
}

static int gather_errors(struct join *j, kith_err *err)
{
	for (int t = 0; t < j->in->plan->threads; t++)
		if (j->workers[t].rc)
			return kith_fail(err, j->workers[t].rc, "%s", j->workers[t].err.msg);
	return 0;
}

/* One thread tells how far all have come. */
static int tick(struct join *j, struct worker *w, const char *what, uint64_t done, uint64_t total)
{
	if (!w->rc && omp_get_thread_num() == 0)
		w->rc = kith_progress_tick(j->in->progress, what, done, total, &w->err);
	return w->rc;
}

/* ---- first bounds ---- */

/* The blocks nearest to `block`, nearest first and itself before all, into w->nearest; returns how many. */
static uint32_t find_nearest(struct join *j, struct worker *w, uint64_t block)
{
	const struct blocks *b = &j->blocks;
	uint64_t real = (j->in->m + LANES - 1) / LANES, blocks = b->groups * LANES;
	uint32_t probes = j->in->plan->probes, found = 0;
	float *sorted = w->centre + blocks;
	kith_spread(j->centres, blocks, b->dims, block, w->centre);
	probes = probes < real ? probes : (uint32_t)real;
	memcpy(sorted, w->centre, real * sizeof *sorted);
	float limit = kith_kth_smallest(sorted, (uint32_t)real, probes);
	w->nearest[found++] = (uint32_t)block;
	for (uint64_t at = 0; at < real && found < probes; at++)
		if (w->centre[at] <= limit && at != block) {
			uint32_t place = found++;
			for (; place > 1 && w->centre[w->nearest[place - 1]] > w->centre[at]; place--)
				w->nearest[place] = w->nearest[place - 1];
			w->nearest[place] = (uint32_t)at;
		}
	return found;
}

/* Of x[0..count-1], the places of `wanted` of the smallest (all, if there are no more), into at[]. Returns how many.
 * The first of x are mostly small: their own `wanted`-th drops most of the others at little cost. */
static uint32_t smallest(const float *x, uint32_t count, uint32_t wanted, float *scratch, uint32_t *at)
{
	uint32_t found = 0, first = 4 * wanted < count ? 2 * wanted : count, kept = 0;
	float limit = INFINITY;
	if (wanted < count) {
		memcpy(scratch, x, first * sizeof *x);
		limit = kith_kth_smallest(scratch, first, wanted);
	}
	for (uint32_t i = 0; i < count; i++) {
		at[kept] = i;
		scratch[kept] = x[i];
		kept += x[i] <= limit && x[i] < INFINITY;
	}
	if (kept <= wanted)
		return kept;
	limit = kith_kth_smallest(scratch, kept, wanted);
	for (uint32_t i = 0; i < kept && found < wanted; i++) {
		at[found] = at[i];
		found += x[at[i]] <= limit;
	}
	return found;
}

/* The fine bounds t of the sample at position `own` with those at at[]. */
static void fine_bounds(struct join *j, struct worker *w, uint64_t own, const uint32_t *at, uint32_t count, float *t)
{
	const kith_level *level = j->fine;
	const uint32_t *id = j->blocks.id;
	float lo = level->lo[id[own]];
	for (uint32_t i = 0; i < count; i++)
		w->y[i] = level->v + at[i] * (uint64_t)level->width;
	kith_dots(level->v + own * level->width, w->y, count, level->width, t);
	for (uint32_t i = 0; i < count; i++)
		t[i] = (lo + level->lo[id[at[i]]]) - 2 * t[i];
}

/* Row r of the panel, of which t[count] are the tile bounds with the samples at places[]: its first bound, or (where
 * upper bounds are loose) the candidates to measure for it. `first`: the panel's first position. */
static void first_bound(struct join *j, struct worker *w, uint32_t r, float *t, const uint32_t *places, uint32_t count,
			uint64_t first)
{
	const uint32_t *id = j->blocks.id;
	kith_candidates *c = &j->candidates;
	const kith_level *fine = j->fine;
	uint32_t own = c->self[r], k = c->k, *at = w->place, *some = at + count;
	uint32_t tries = !j->two_level ? count : j->tight ? k + k / 8 + 8 : 2 * k + 16;
	uint32_t found = smallest(t, count, tries, w->values, at);
	for (uint32_t i = 0; i < found; i++)
		some[i] = places[at[i]];
	float *bound = w->values;
	if (j->two_level)
		fine_bounds(j, w, first + r, some, found, bound);
	else
		for (uint32_t i = 0; i < found; i++)
			bound[i] = t[at[i]];
	if (!j->tight) { /* the sketch's upper bounds are loose: measure the best of it */
		found = smallest(bound, found, j->in->plan->known, bound + found, at);
		for (uint32_t i = 0; i < found; i++)
			c->id[(size_t)r * c->stride + i] = id[some[at[i]]];
		c->count[r] = found;
		return;
	}
	if (found < k)
		return;
	for (uint32_t i = 0; i < found; i++)
		bound[i] = bound[i] + (fine->w[id[some[i]]] + fine->w[own]);
	c->bound[r] = kith_kth_smallest(bound, found, k);
}

/* The panel's rows are measured, as many together as a thread has room for: for their bounds or, if `results` is not
 * NULL, for good. */
static int in_batches(struct join *j, uint64_t group, uint64_t groups, const char *what, kith_results *results,
		      kith_err *err)
{
	uint64_t rows = j->in->m - group * GROUP, most = groups * GROUP, batch = j->in->plan->batch;
	rows = rows < most ? rows : most;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t at = 0; at < rows; at += batch) {
		struct worker *w = me(j);
		uint32_t some = (uint32_t)(rows - at < batch ? rows - at : batch);
		if (tick(j, w, what, group * GROUP + at, j->in->m))
			continue;
		w->rc = results ? kith_refine_rows(&w->refiner, &j->candidates, (uint32_t)at, some, results, &w->err)
				: kith_refine_bounds(&w->refiner, &j->candidates, (uint32_t)at, some, &w->err);
	}
	return gather_errors(j, err);
}

/* The rows of one block; `first` is the panel's first position. */
static void probe_block(struct join *j, struct worker *w, uint64_t block, uint64_t first)
{
	const struct blocks *b = &j->blocks;
	uint32_t near = find_nearest(j, w, block), count = near * LANES;
	float none[LANES] __attribute__((aligned(64)));
	uint16_t hits[LANES];
	uint32_t *places = w->place + 2 * count;
	for (uint32_t i = 0; i < LANES; i++)
		none[i] = -INFINITY;
	for (uint32_t p = 0; p < near; p++) {
		uint64_t other = w->nearest[p];
		kith_tile(block_v(b, block), block_v(b, other), b->width, b->lo + block * LANES, b->lo + other * LANES,
			  none, none, w->t, hits);
		for (uint32_t i = 0; i < LANES; i++)
			memcpy(w->probed + i * (size_t)count + p * LANES, w->t + i * LANES, LANES * sizeof *w->t);
		for (uint32_t i = 0; i < LANES; i++)
			places[p * LANES + i] = (uint32_t)(other * LANES + i);
	}
	for (uint32_t i = 0; i < LANES && b->id[block * LANES + i] != NONE; i++) {
		float *t = w->probed + i * (size_t)count;
		t[i] = INFINITY; /* itself: its own block is the first */
		first_bound(j, w, (uint32_t)(block * LANES + i - first), t, places, count, first);
	}
}

static int find_bounds(struct join *j, uint64_t group, uint64_t groups, kith_err *err)
{
	uint64_t first = group * GROUP;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t g = group; g < group + groups; g++) {
		struct worker *w = me(j);
		uint64_t rows = j->in->m - g * GROUP < GROUP ? j->in->m - g * GROUP : GROUP;
		if (tick(j, w, "first bounds", g, j->blocks.groups))
			continue;
		for (uint64_t block = g * LANES; block * LANES < g * GROUP + rows; block++)
			probe_block(j, w, block, first);
	}
	int rc = gather_errors(j, err);
	return rc || j->tight ? rc : in_batches(j, group, groups, "first bounds", NULL, err);
}

/* ---- the join ---- */

/* Both sides of a pair may push to one row at once: it is locked meanwhile. */
static void lock(struct join *j, uint64_t r)
{
	while (__atomic_test_and_set(&j->candidates.locked[r], __ATOMIC_ACQUIRE))
		;
}

static void unlock(struct join *j, uint64_t r)
{
	__atomic_clear(&j->candidates.locked[r], __ATOMIC_RELEASE);
}

static void push(struct join *j, struct worker *w, uint64_t r, uint32_t id, float t)
{
	kith_candidates *c = &j->candidates;
	while (!w->rc && kith_candidates_take(c, (uint32_t)r, id, t, w->refiner.values))
		w->rc = kith_refine_settle(&w->refiner, c, (uint32_t)r, &w->err);
}

/* Row i of block a, with the hits it has collected in group gb. */
static void push_row(struct join *j, struct worker *w, uint32_t i, uint64_t at, uint64_t gb, uint64_t first)
{
	const uint32_t *id = j->blocks.id, *hit = w->hit + i * GROUP;
	uint32_t count = w->hits[i], some[GROUP];
	float *low = w->low + i * GROUP, bound = w->bound_a[at % GROUP];
	for (uint32_t h = 0; h < count; h++)
		some[h] = (uint32_t)(gb * GROUP + hit[h]);
	if (j->two_level)
		fine_bounds(j, w, at, some, count, low);
	lock(j, at - first);
	for (uint32_t h = 0; h < count; h++)
		if (low[h] <= bound)
			push(j, w, at - first, id[some[h]], low[h]);
	unlock(j, at - first);
	for (uint32_t h = 0; h < count; h++)
		if (low[h] <= w->bound_b[hit[h]]) {
			lock(j, some[h] - first);
			push(j, w, some[h] - first, id[at], low[h]);
			unlock(j, some[h] - first);
		}
}

/* Collects the hits of a tile: block b of group gb; `same`: of the block with itself. */
static void collect(struct worker *w, const uint16_t *hits, const uint32_t *id_a, const uint32_t *id_b, uint32_t b,
		    int same)
{
	for (uint32_t i = 0; i < LANES; i++) {
		uint32_t bits = same ? hits[i] & ~((2u << i) - 1) : hits[i];
		if (bits && id_a[i] == NONE)
			continue;
		for (; bits; bits &= bits - 1) {
			uint32_t lane = (uint32_t)__builtin_ctz(bits), at = i * GROUP + w->hits[i];
			if (id_b[lane] == NONE)
				continue;
			w->hit[at] = b * LANES + lane;
			w->low[at] = w->t[i * LANES + lane];
			w->hits[i]++;
		}
	}
}

static float greatest(const float *x)
{
	float most = -INFINITY;
	for (uint32_t i = 0; i < LANES; i++)
		most = x[i] > most ? x[i] : most;
	return most;
}

/* Block a against all blocks of group gb, from block `from` of it on. */
static void join_block(struct join *j, struct worker *w, uint64_t a, uint64_t gb, uint32_t from, uint64_t first)
{
	const struct blocks *b = &j->blocks;
	uint64_t ga = a / LANES;
	const float *bound_a = w->bound_a + a % LANES * LANES;
	float gap[LANES], most_a = greatest(bound_a);
	uint16_t hits[LANES];
	kith_gaps(b->least + ga * b->dims * LANES + a % LANES, b->most + ga * b->dims * LANES + a % LANES,
		  b->least + gb * b->dims * LANES, b->most + gb * b->dims * LANES, b->dims, gap);
	memset(w->hits, 0, sizeof w->hits);
	for (uint32_t t = from; t < LANES; t++) {
		const float *bound_b = w->bound_b + t * LANES;
		uint64_t other = gb * LANES + t;
		float most = most_a > w->most_b[t] ? most_a : w->most_b[t];
		/* the gap is a sum of dims rounded squares, each of a rounded difference */
		if (gap[t] * (1 - 0x1p-12f) - b->slack[a] - b->slack[other] > most)
			continue;
		if (kith_tile(block_v(b, a), block_v(b, other), b->width, b->lo + a * LANES, b->lo + other * LANES,
			      bound_a, bound_b, w->t, hits))
			collect(w, hits, b->id + a * LANES, b->id + other * LANES, t, a == other);
	}
	for (uint32_t i = 0; i < LANES; i++)
		if (w->hits[i])
			push_row(j, w, i, a * LANES + i, gb, first);
}

/* What is known of the rows of a group now: threads lower bounds all the time. */
static void copy_bounds(const struct join *j, uint64_t group, uint64_t first_group, uint64_t groups, float *out)
{
	for (uint32_t i = 0; i < GROUP; i++) {
		uint64_t at = group * GROUP + i;
		out[i] = -INFINITY;
		if (group >= first_group && group < first_group + groups && at < j->in->m)
			__atomic_load(&j->candidates.bound[at - first_group * GROUP], &out[i], __ATOMIC_RELAXED);
	}
}

/* Group ga against group gb, or half of itself. */
static void join_pair(struct join *j, struct worker *w, uint64_t ga, uint64_t gb, uint64_t group, uint64_t groups)
{
	copy_bounds(j, ga, group, groups, w->bound_a);
	copy_bounds(j, gb, group, groups, w->bound_b);
	for (uint32_t t = 0; t < LANES; t++)
		w->most_b[t] = greatest(w->bound_b + t * LANES);
	for (uint32_t a = 0; a < LANES && !w->rc; a++)
		join_block(j, w, ga * LANES + a, gb, ga == gb ? a : 0, group * GROUP);
}

/* Groups of the panel go in strips, so that what a strip meets of another group is in the cache for all of it. */
static int join_groups(struct join *j, uint64_t group, uint64_t groups, kith_err *err)
{
	uint64_t all = j->blocks.groups, strip = groups / (8 * (uint64_t)j->in->plan->threads) + 1;
	strip = strip < STRIP ? strip : STRIP;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t from = group; from < group + groups; from += strip) {
		struct worker *w = me(j);
		uint64_t to = from + strip < group + groups ? from + strip : group + groups;
		for (uint64_t gb = 0; gb < all; gb++) {
			uint64_t ahead = gb > from ? gb - from : 0; /* of a triangle of pairs */
			if (tick(j, w, "neighbours", from * (2 * all - from) + 2 * strip * ahead, all * all))
				break;
			for (uint64_t ga = from; ga < to; ga++)
				if (gb < group || gb >= ga) /* else that pair was had from the other side */
					join_pair(j, w, ga, gb, group, groups);
		}
	}
	return gather_errors(j, err);
}

int kith_join_run(const kith_join *in, kith_results *results, kith_err *err)
{
	struct join j = {.in = in};
	int rc = init(&j, err);
	if (!rc && in->plan->in_place)
		kith_results_in_place(results, &j.candidates, in->place, in->info->near);
	for (uint64_t group = 0; !rc && group < j.blocks.groups; group += j.panel_groups) {
		uint64_t groups = j.panel_groups, left = in->m - group * GROUP;
		groups = groups < j.blocks.groups - group ? groups : j.blocks.groups - group;
		kith_candidates_reset(&j.candidates, in->id + group * GROUP,
				      (uint32_t)(left < groups * GROUP ? left : groups * GROUP));
		if (!(rc = find_bounds(&j, group, groups, err)) && !(rc = join_groups(&j, group, groups, err)))
			rc = in_batches(&j, group, groups, "measuring", results, err);
	}
	release(&j);
	return rc;
}
