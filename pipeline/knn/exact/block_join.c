/* block_join.c - see block_join.h */
#include "block_join.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "select.h"
#include "tile_kernels.h"

#define LANES    KITH_LANES
#define GROUP    KITH_GROUP /* rows of a group: LANES blocks */
#define STRIP    4u         /* groups */
#define BOX_DIMS 16u

/* Boxes around the first values of each block, which vary most: value t of block b of a group at (group * dims + t) *
 * LANES + b. */
struct boxes {
	uint32_t dims;
	float *least, *most;
	float *slack; /* of each block */
};

/* What one sample has met in a group: places in it, and their t. */
struct hits {
	uint32_t count;
	uint8_t place[GROUP];
	float low[GROUP];
};

/* Rows in work together: groups group..group+groups-1 of the order, and their candidates. */
struct panel {
	kith_candidates *candidates;
	uint64_t group, groups;
};

struct worker {
	kith_refiner refiner;
	float *t;                  /* LANES x LANES */
	float most_b[LANES];       /* greatest bound of each block of group b */
	float *bound_a, *bound_b;  /* GROUP */
	struct hits *row, *column; /* LANES and GROUP: of the rows of block a in group b, and the other way round */
	const float **y;           /* GROUP, or the probed rows */
	float *centre, *probed, *values;
	uint32_t *nearest, *place; /* place: three times the probed rows */
	void *memory;              /* holds all of these */
	kith_err err;
	int rc;
};

struct join {
	const kith_join *in;
	const kith_blocks *blocks;
	const kith_level *fine; /* whose bounds the candidates' are */
	int two_level;
	int tight; /* the fine level's upper bounds are close: first bounds come from them, unmeasured */
	struct boxes boxes;
	float *centres; /* of boxes: values x blocks */
	/* where bounds are guessed: samples at even steps through the order, as blocks; and of those, about how many
	 * are among a row's k nearest */
	kith_blocks some;
	uint32_t rank;
	void *memory; /* holds boxes and centres */
	kith_candidates candidates;
	void *beside; /* holds what of the candidates is not lists */
	struct worker *workers;
	uint64_t panel_groups;
};

/* Values that boxes are made of. */
static uint32_t box_dims(const kith_plan *plan)
{
	return plan->coarse + 1 < BOX_DIMS ? plan->coarse + 1 : BOX_DIMS;
}

static uint64_t blocks_of(const struct join *j)
{
	return j->blocks->groups * LANES;
}

/* ---- boxes ---- */

static void fill_box(struct join *j, uint64_t block)
{
	const kith_sketch *s = j->in->sketch;
	struct boxes *b = &j->boxes;
	b->slack[block] = 0;
	for (uint32_t t = 0; t < b->dims; t++) {
		float least = INFINITY, most = -INFINITY;
		for (uint64_t at = block * LANES; at < block * LANES + LANES && at < j->in->m; at++) {
			uint32_t id = j->in->id[at];
			int outside = s->lo[id] == KITH_LO_OUTSIDE;
			float x = kith_sketch_coarse(s, at, id, t), below = outside ? -FLT_MAX : x,
			      above = outside ? FLT_MAX : x;
			least = below < least ? below : least;
			most = above > most ? above : most;
			b->slack[block] = s->slack[id] > b->slack[block] ? s->slack[id] : b->slack[block];
		}
		b->least[(block / LANES * b->dims + t) * LANES + block % LANES] = least;
		b->most[(block / LANES * b->dims + t) * LANES + block % LANES] = most;
	}
}

/* The middles of the boxes: where to look for near blocks. */
static void fill_centres(struct join *j)
{
	const struct boxes *b = &j->boxes;
	uint64_t blocks = blocks_of(j);
	for (uint64_t block = 0; block < blocks; block++)
		for (uint32_t t = 0; t < b->dims; t++) {
			uint64_t at = (block / LANES * b->dims + t) * LANES + block % LANES;
			float middle = b->least[at] / 2 + b->most[at] / 2;
			j->centres[t * blocks + block] = b->least[at] <= b->most[at] ? middle : FLT_MAX;
		}
}

static kith_side side_of(const kith_blocks *b, uint64_t block, const float *bound)
{
	return (kith_side){kith_blocks_q(b, block), b->scale + block * LANES, b->lo + block * LANES, bound};
}

/* ---- work space ---- */

/* The boxes of `blocks` blocks. */
static void init_boxes(struct join *j, const kith_plan *plan, uint64_t blocks, kith_workspace *w)
{
	struct boxes *b = &j->boxes;
	b->dims = box_dims(plan);
	KITH_BUFFER(w, b->least, blocks * b->dims);
	KITH_BUFFER(w, b->most, blocks * b->dims);
	KITH_BUFFER(w, b->slack, blocks);
	KITH_BUFFER(w, j->centres, blocks * b->dims);
}

/* A thread's buffers, beside its refiner. */
static void init_worker(struct worker *w, const kith_plan *plan, uint64_t blocks, kith_workspace *space)
{
	uint64_t probed = (uint64_t)plan->probes * LANES;
	KITH_BUFFER(space, w->t, GROUP);
	KITH_BUFFER(space, w->bound_a, GROUP);
	KITH_BUFFER(space, w->bound_b, GROUP);
	KITH_BUFFER(space, w->row, LANES);
	KITH_BUFFER(space, w->column, GROUP);
	KITH_BUFFER(space, w->y, probed > GROUP ? probed : GROUP);
	KITH_BUFFER(space, w->centre, 2 * blocks);
	KITH_BUFFER(space, w->probed, probed * LANES);
	KITH_BUFFER(space, w->values, 2 * probed);
	KITH_BUFFER(space, w->nearest, plan->probes);
	KITH_BUFFER(space, w->place, 3 * probed);
}

uint64_t kith_join_bytes(const kith_plan *plan, uint64_t m)
{
	uint64_t blocks = (m + GROUP - 1) / GROUP * LANES;
	struct join j;
	struct worker worker;
	kith_workspace shared = {0}, own = {0};
	init_boxes(&j, plan, blocks, &shared);
	init_worker(&worker, plan, blocks, &own);
	return kith_workspace_bytes(&shared) + (uint64_t)plan->threads * kith_workspace_bytes(&own);
}

/* A row's k nearest are k / m of all samples, and about that many of some; three standard deviations more are hardly
 * ever too few. */
static int pick_some(struct join *j, kith_err *err)
{
	uint64_t m = j->in->m, count = (uint64_t)j->in->plan->probes * LANES;
	double share = (double)kith_info_k(j->in->info) / (double)m, expected;
	count = count < m ? count : m;
	expected = share * (double)count;
	j->rank = (uint32_t)ceil(expected + 3 * sqrt(expected * (1 - share)) + 1);
	return kith_blocks_pick(&j->some, j->blocks, m, count, err);
}

static int init_workers(struct join *j, kith_err *err)
{
	const kith_plan *plan = j->in->plan;
	int rc = 0;
	if (!(j->workers = kith_alloc_zero((size_t)plan->threads, sizeof *j->workers)))
		return kith_fail_nomem(err, "work spaces", (size_t)plan->threads * sizeof *j->workers);
	for (int t = 0; !rc && t < plan->threads; t++) {
		struct worker *w = &j->workers[t];
		kith_workspace space = {0};
		init_worker(w, plan, blocks_of(j), &space);
		kith_refiner_init(&w->refiner, j->in->screen->rows, plan->resident, plan->capacity, plan->batch,
				  &space);
		w->refiner.screen = j->in->screen;
		w->refiner.info = j->in->info;
		rc = kith_workspace_alloc(&space, &w->memory, "a thread's work space", err);
	}
	return rc;
}

static int init_panels(struct join *j, void **lists, kith_err *err)
{
	const kith_join *in = j->in;
	const kith_plan *plan = in->plan;
	kith_workspace kept = {0}, w = {0};
	j->panel_groups = (plan->panel + GROUP - 1) / GROUP;
	if (plan->in_place || j->panel_groups > j->blocks->groups)
		j->panel_groups = j->blocks->groups;
	kith_candidates_init(&j->candidates, j->fine, kith_info_k(in->info), (uint32_t)(j->panel_groups * GROUP),
			     plan->capacity, in->info->near, plan->known, &kept, &w);
	int rc = kith_workspace_alloc(&kept, lists, "candidates", err);
	return rc ? rc : kith_workspace_alloc(&w, &j->beside, "candidates", err);
}

static int init(struct join *j, void **lists, kith_err *err)
{
	const kith_join *in = j->in;
	const kith_plan *plan = in->plan;
	uint64_t blocks = blocks_of(j);
	kith_workspace w = {0};
	int rc;

	j->fine = in->full ? in->full : &in->sketch->level;
	j->two_level = kith_plan_two_level(plan);
	j->tight = in->full || plan->tight;
	init_boxes(j, plan, blocks, &w);
	if ((rc = kith_workspace_alloc(&w, &j->memory, "boxes around the samples", err)))
		return rc;
#pragma omp parallel for num_threads(plan->threads) schedule(static)
	for (uint64_t block = 0; block < blocks; block++)
		fill_box(j, block);
	fill_centres(j);
	if ((plan->guess && (rc = pick_some(j, err))) || (rc = init_panels(j, lists, err)))
		return rc;
	return init_workers(j, err);
}

static void release(struct join *j)
{
	for (int t = 0; j->workers && t < j->in->plan->threads; t++)
		free(j->workers[t].memory);
	free(j->workers);
	free(j->memory);
	free(j->beside);
	free(j->some.memory);
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
	uint64_t real = (j->in->m + LANES - 1) / LANES, blocks = blocks_of(j);
	uint32_t probes = j->in->plan->probes, found = 0;
	float *sorted = w->centre + blocks;
	kith_spread(j->centres, blocks, j->boxes.dims, block, w->centre);
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
	const uint32_t *id = j->in->id;
	float lo = level->lo[id[own]];
	for (uint32_t i = 0; i < count; i++)
		w->y[i] = level->v + at[i] * (uint64_t)level->width;
	kith_dots(level->v + own * level->width, w->y, count, level->width, t);
	for (uint32_t i = 0; i < count; i++)
		t[i] = (lo + level->lo[id[at[i]]]) - 2 * t[i];
}

/* Row r of the panel, of which t[count] are the tile bounds with the samples at places[]: its first bound, or (where
 * upper bounds are loose) the candidates to measure for it. */
static void first_bound(struct join *j, struct worker *w, const struct panel *p, uint32_t r, float *t,
			const uint32_t *places, uint32_t count)
{
	const uint32_t *id = j->in->id;
	kith_candidates *c = p->candidates;
	const kith_level *fine = j->fine;
	uint32_t own = c->self[r], k = c->k, *at = w->place, *some = at + count;
	uint32_t tries = !j->two_level ? count : j->tight ? k + k / 8 + 8 : 2 * k + 16;
	uint32_t found = smallest(t, count, tries, w->values, at);
	for (uint32_t i = 0; i < found; i++)
		some[i] = places[at[i]];
	float *bound = w->values;
	if (j->two_level)
		fine_bounds(j, w, p->group * GROUP + r, some, found, bound);
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
static int in_batches(struct join *j, const struct panel *p, const char *what, kith_results *results, kith_err *err)
{
	uint64_t rows = j->in->m - p->group * GROUP, most = p->groups * GROUP, batch = j->in->plan->batch;
	rows = rows < most ? rows : most;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t at = 0; at < rows; at += batch) {
		struct worker *w = me(j);
		uint32_t some = (uint32_t)(rows - at < batch ? rows - at : batch);
		if (tick(j, w, what, p->group * GROUP + at, j->in->m))
			continue;
		w->rc = results ? kith_refine_rows(&w->refiner, p->candidates, (uint32_t)at, some, results, &w->err)
				: kith_refine_bounds(&w->refiner, p->candidates, (uint32_t)at, some, &w->err);
	}
	return gather_errors(j, err);
}

/* The t of the rows of `block` with `near` blocks of `others` (which[], or the first), row by row, into w->probed. */
static void probe(struct join *j, struct worker *w, uint64_t block, const kith_blocks *others, const uint32_t *which,
		  uint32_t near)
{
	float none[LANES] __attribute__((aligned(64)));
	uint16_t hits[LANES];
	for (uint32_t i = 0; i < LANES; i++)
		none[i] = -INFINITY;
	kith_side rows = side_of(j->blocks, block, none);
	for (uint32_t o = 0; o < near; o++) {
		kith_side columns = side_of(others, which ? which[o] : o, none);
		kith_tile(&rows, &columns, others->width, w->t, hits);
		for (uint32_t i = 0; i < LANES; i++)
			memcpy(w->probed + (i * (size_t)near + o) * LANES, w->t + i * LANES, LANES * sizeof *w->t);
	}
}

static void probe_block(struct join *j, struct worker *w, const struct panel *p, uint64_t block)
{
	uint32_t near = find_nearest(j, w, block), count = near * LANES;
	uint32_t *places = w->place + 2 * count;
	probe(j, w, block, j->blocks, w->nearest, near);
	for (uint32_t x = 0; x < count; x++)
		places[x] = w->nearest[x / LANES] * LANES + x % LANES;
	for (uint32_t i = 0; i < LANES && block * LANES + i < j->in->m; i++) {
		float *t = w->probed + i * (size_t)count;
		t[i] = INFINITY; /* itself: its own block is the first */
		first_bound(j, w, p, (uint32_t)(block * LANES + i - p->group * GROUP), t, places, count);
	}
}

/* A guess is no bound until it has proved to be one (redo_panel). A row that is one of the samples is its own
 * nearest: the guess is but a little lower for it. */
static void guess_block(struct join *j, struct worker *w, const struct panel *p, uint64_t block)
{
	uint32_t near =
		j->some.groups * LANES < j->in->plan->probes ? (uint32_t)j->some.groups * LANES : j->in->plan->probes;
	uint32_t count = near * LANES;
	probe(j, w, block, &j->some, NULL, near);
	for (uint32_t i = 0; i < LANES && block * LANES + i < j->in->m; i++)
		p->candidates->bound[block * LANES + i - p->group * GROUP] =
			j->rank < count ? kith_kth_smallest(w->probed + i * (size_t)count, count, j->rank) : INFINITY;
}

static void probe_group(struct join *j, struct worker *w, const struct panel *p, uint64_t group)
{
	for (uint64_t block = group * LANES; block < group * LANES + LANES && block * LANES < j->in->m; block++)
		(j->in->plan->guess ? guess_block : probe_block)(j, w, p, block);
}

static int find_bounds(struct join *j, const struct panel *p, kith_err *err)
{
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t g = p->group; g < p->group + p->groups; g++) {
		struct worker *w = me(j);
		if (!tick(j, w, "first bounds", g, j->blocks->groups))
			probe_group(j, w, p, g);
	}
	int rc = gather_errors(j, err);
	return rc || j->tight ? rc : in_batches(j, p, "first bounds", NULL, err);
}

/* ---- the join ---- */

/* Both sides of a pair may push to one row at once: it is locked meanwhile. */
static void lock(const struct panel *p, uint64_t r)
{
	while (__atomic_test_and_set(&p->candidates->locked[r], __ATOMIC_ACQUIRE))
		;
}

static void unlock(const struct panel *p, uint64_t r)
{
	__atomic_clear(&p->candidates->locked[r], __ATOMIC_RELEASE);
}

/* Candidates of panel row r: the samples at positions from + hit[h], of which low[h] are the t. */
static void push(struct join *j, struct worker *w, const struct panel *p, uint64_t r, uint64_t from, const uint8_t *hit,
		 const float *low, uint32_t count)
{
	kith_candidates *c = p->candidates;
	const uint32_t *id = j->in->id + from;
	lock(p, r);
	uint32_t have = c->count[r], *to_id = c->id + r * c->stride;
	float bound = c->bound[r], *to_low = c->low + r * c->stride;
	if (have + count <= c->capacity) {
		for (uint32_t h = 0; h < count; h++) {
			to_id[have] = id[hit[h]];
			to_low[have] = low[h];
			have += low[h] <= bound;
		}
		c->count[r] = have;
	} else {
		for (uint32_t h = 0; h < count; h++)
			while (!w->rc && kith_candidates_take(c, (uint32_t)r, id[hit[h]], low[h], w->refiner.values))
				w->rc = kith_refine_settle(&w->refiner, c, (uint32_t)r, &w->err);
	}
	unlock(p, r);
}

/* Row i of block a, with the hits it has collected in group gb: to its own candidates, and those within the columns'
 * bounds to what these collect. */
static void push_row(struct join *j, struct worker *w, const struct panel *p, uint32_t i, uint64_t a, uint64_t gb)
{
	struct hits *row = &w->row[i];
	uint32_t some[GROUP], kept = 0;
	uint64_t at = a * LANES + i;
	float bound = w->bound_a[at % GROUP];
	if (j->two_level) {
		for (uint32_t h = 0; h < row->count; h++)
			some[h] = (uint32_t)(gb * GROUP + row->place[h]);
		fine_bounds(j, w, at, some, row->count, row->low);
	}
	for (uint32_t h = 0; h < row->count; h++) {
		struct hits *column = &w->column[row->place[h]];
		column->place[column->count] = (uint8_t)(at % GROUP);
		column->low[column->count] = row->low[h];
		column->count += row->low[h] <= w->bound_b[row->place[h]];
		row->place[kept] = row->place[h];
		row->low[kept] = row->low[h];
		kept += row->low[h] <= bound;
	}
	if (kept)
		push(j, w, p, at - p->group * GROUP, gb * GROUP, row->place, row->low, kept);
}

/* The bits of a tile's row i that are samples: of block `a` against block `b`; of a block with itself, each pair once.
 */
static uint32_t real_hits(const struct join *j, const uint16_t *hits, uint64_t a, uint64_t b, uint32_t i)
{
	uint64_t m = j->in->m, first = b * LANES;
	uint32_t bits = a == b ? hits[i] & ~((2u << i) - 1) : hits[i];
	if (a * LANES + i >= m || first >= m)
		return 0;
	return m - first < LANES ? bits & ((1u << (m - first)) - 1) : bits;
}

/* Collects the hits of a tile. */
static void collect(const struct join *j, struct worker *w, const uint16_t *hits, uint64_t a, uint64_t b)
{
	for (uint32_t i = 0; i < LANES; i++) {
		struct hits *row = &w->row[i];
		for (uint32_t bits = hits[i] ? real_hits(j, hits, a, b, i) : 0; bits; bits &= bits - 1) {
			uint32_t lane = (uint32_t)__builtin_ctz(bits);
			row->place[row->count] = (uint8_t)(b % LANES * LANES + lane);
			row->low[row->count++] = w->t[i * LANES + lane];
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
static void join_block(struct join *j, struct worker *w, const struct panel *p, uint64_t a, uint64_t gb, uint32_t from)
{
	const struct boxes *b = &j->boxes;
	uint64_t ga = a / LANES;
	const float *bound_a = w->bound_a + a % LANES * LANES;
	float gap[LANES], most_a = greatest(bound_a);
	uint16_t hits[LANES];
	kith_side rows = side_of(j->blocks, a, bound_a);
	kith_gaps(b->least + ga * b->dims * LANES + a % LANES, b->most + ga * b->dims * LANES + a % LANES,
		  b->least + gb * b->dims * LANES, b->most + gb * b->dims * LANES, b->dims, gap);
	for (uint32_t i = 0; i < LANES; i++)
		w->row[i].count = 0;
	for (uint32_t t = from; t < LANES; t++) {
		uint64_t other = gb * LANES + t;
		float most = most_a > w->most_b[t] ? most_a : w->most_b[t];
		/* the gap is a sum of dims rounded squares, each of a rounded difference */
		if (gap[t] * (1 - 0x1p-12f) - b->slack[a] - b->slack[other] > most)
			continue;
		kith_side columns = side_of(j->blocks, other, w->bound_b + t * LANES);
		if (kith_tile(&rows, &columns, j->blocks->width, w->t, hits))
			collect(j, w, hits, a, other);
	}
	for (uint32_t i = 0; i < LANES; i++)
		if (w->row[i].count)
			push_row(j, w, p, i, a, gb);
}

/* What is known of the rows of a group now: threads lower bounds all the time. */
static void copy_bounds(const struct join *j, const struct panel *p, uint64_t group, float *out)
{
	for (uint32_t i = 0; i < GROUP; i++) {
		uint64_t at = group * GROUP + i;
		out[i] = -INFINITY;
		if (group >= p->group && group < p->group + p->groups && at < j->in->m)
			__atomic_load(&p->candidates->bound[at - p->group * GROUP], &out[i], __ATOMIC_RELAXED);
	}
}

/* Group ga against group gb, or half of itself. */
static void join_pair(struct join *j, struct worker *w, const struct panel *p, uint64_t ga, uint64_t gb)
{
	copy_bounds(j, p, ga, w->bound_a);
	copy_bounds(j, p, gb, w->bound_b);
	for (uint32_t t = 0; t < LANES; t++)
		w->most_b[t] = greatest(w->bound_b + t * LANES);
	for (uint32_t i = 0; i < GROUP; i++)
		w->column[i].count = 0;
	for (uint32_t a = 0; a < LANES && !w->rc; a++)
		join_block(j, w, p, ga * LANES + a, gb, ga == gb ? a : 0);
	for (uint32_t i = 0; i < GROUP && !w->rc; i++)
		if (w->column[i].count)
			push(j, w, p, gb * GROUP + i - p->group * GROUP, ga * GROUP, w->column[i].place,
			     w->column[i].low, w->column[i].count);
}

/* Groups of the panel go in strips, so that what a strip meets of another group is in the cache for all of it. */
static int join_groups(struct join *j, const struct panel *p, kith_err *err)
{
	uint64_t all = j->blocks->groups, group = p->group, groups = p->groups;
	uint64_t strip = groups / (8 * (uint64_t)j->in->plan->threads) + 1;
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
					join_pair(j, w, p, ga, gb);
		}
	}
	return gather_errors(j, err);
}

/* ---- guesses that were too low ---- */

/* Rows of block `a` whose bit is set in `rows` meet all samples again, with no bound. */
static void redo_rows(struct join *j, struct worker *w, const struct panel *p, uint64_t a, uint32_t rows)
{
	float bound[LANES] __attribute__((aligned(64))), none[LANES] __attribute__((aligned(64)));
	uint16_t hits[LANES];
	kith_candidates *c = p->candidates;
	uint64_t first = (a - p->group * LANES) * LANES;
	for (uint32_t i = 0; i < LANES; i++) {
		none[i] = bound[i] = -INFINITY;
		if (rows >> i & 1) {
			c->count[first + i] = 0;
			c->bound[first + i] = INFINITY;
		}
	}
	for (uint64_t b = 0; b * LANES < j->in->m && !w->rc; b++) {
		for (uint32_t i = 0; i < LANES; i++)
			bound[i] = rows >> i & 1 ? c->bound[first + i] : -INFINITY;
		kith_side mine = side_of(j->blocks, a, bound), columns = side_of(j->blocks, b, none);
		kith_tile(&mine, &columns, j->blocks->width, w->t, hits);
		for (uint32_t i = 0; i < LANES; i++) {
			struct hits *row = &w->row[i];
			row->count = 0;
			for (uint32_t bits = hits[i]; bits; bits &= bits - 1) {
				uint32_t lane = (uint32_t)__builtin_ctz(bits);
				row->place[row->count] = (uint8_t)lane;
				row->low[row->count] = w->t[i * LANES + lane];
				row->count += b * LANES + lane < j->in->m && (b != a || lane != i);
			}
			if (rows >> i & 1 && row->count)
				push(j, w, p, first + i, b * LANES, row->place, row->low, row->count);
		}
	}
}

/* Whether k candidates of row r are provably within its bound, so that it is one. */
static int bound_holds(const kith_candidates *c, uint32_t r, float *upper)
{
	uint32_t within = 0;
	kith_candidates_upper(c, r, upper);
	for (uint32_t e = 0; e < c->count[r]; e++)
		within += upper[e] <= c->bound[r];
	return within >= c->k;
}

static int redo_panel(struct join *j, const struct panel *p, kith_err *err)
{
	uint64_t end = (p->group + p->groups) * LANES;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 8)
	for (uint64_t a = p->group * LANES; a < end; a++) {
		struct worker *w = me(j);
		uint32_t rows = 0;
		for (uint32_t i = 0; i < LANES && a * LANES + i < j->in->m; i++) {
			uint32_t r = (uint32_t)(a * LANES + i - p->group * GROUP);
			rows |= (uint32_t)!bound_holds(p->candidates, r, w->refiner.values) << i;
		}
		if (rows && !w->rc)
			redo_rows(j, w, p, a, rows);
	}
	return gather_errors(j, err);
}

int kith_join_run(const kith_join *in, void **lists, kith_results *results, kith_err *err)
{
	struct join j = {.in = in, .blocks = in->blocks};
	int rc = init(&j, lists, err);
	if (!rc && in->plan->in_place)
		kith_results_in_place(results, &j.candidates, in->place, in->info->near);
	for (uint64_t group = 0; !rc && group < j.blocks->groups; group += j.panel_groups) {
		uint64_t groups = j.panel_groups, left = in->m - group * GROUP;
		groups = groups < j.blocks->groups - group ? groups : j.blocks->groups - group;
		struct panel p = {&j.candidates, group, groups};
		kith_candidates_reset(p.candidates, in->id + group * GROUP,
				      (uint32_t)(left < groups * GROUP ? left : groups * GROUP));
		if (!(rc = find_bounds(&j, &p, err)) && !(rc = join_groups(&j, &p, err)) &&
		    !(rc = in->plan->guess ? redo_panel(&j, &p, err) : 0))
			rc = in_batches(&j, &p, "measuring", results, err);
	}
	release(&j);
	return rc;
}
