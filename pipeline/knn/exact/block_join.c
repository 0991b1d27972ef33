/* block_join.c - see block_join.h */
#include "block_join.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "first_error.h"
#include "select.h"
#include "tile_kernels.h"

#define LANES    KITH_LANES
#define GROUP    KITH_GROUP /* rows of a group: LANES blocks */
#define STRIP    4u         /* groups */
#define BOX_DIMS 16u

/* Boxes around the first values of each block, which vary most. Those of a group lie side by side: value t of its block
 * b at [(group * dims + t) * LANES + b]. */
struct boxes {
	uint32_t dims;
	float *least, *most;
	float *slack;   /* of each block */
	float *centres; /* the boxes' middles: value t of block b of all `blocks` at [t * blocks + b] */
};

/* The samples of a group that are within the bound of one row: their places in the group, and their t. */
struct hits {
	uint32_t count;
	uint8_t place[GROUP];
	float low[GROUP];
};

struct worker {
	kith_refiner refiner;
	float *t;                  /* LANES x LANES */
	float most_b[LANES];       /* greatest bound of each block of group b */
	float *bound_a, *bound_b;  /* GROUP: of the rows of groups a and b */
	struct hits *row, *column; /* LANES and GROUP: of the rows of block a in group b, and the other way round */
	const float **y;           /* vectors to multiply with */
	float *distance;           /* 2 x blocks: squared distances of centres, and room to select from them */
	/* First bounds come from `probes` blocks, which are `probed` samples: */
	uint32_t *nearest; /* probes: the blocks */
	float *probed_t;   /* LANES x probed: the t of each pair */
	float *values;     /* 2 x probed */
	uint32_t *place;   /* 3 x probed */
	void *memory;      /* holds all of these */
};

struct join {
	const kith_block_join *in;
	const kith_quantised *blocks;
	const kith_bounds *fine; /* the bounds that candidates are kept by */
	int two_level;           /* pairs that pass the tiles are looked at again, by `fine` */
	int tight;               /* the upper bounds of `fine` are close: first bounds come from them, unmeasured */
	kith_tile_kernel tile;
	struct boxes boxes;
	/* Where first bounds are guessed: samples at even steps through the order, as blocks; and about how many of
	 * them are among a row's k nearest. */
	kith_quantised sample;
	uint32_t rank;
	kith_candidates candidates; /* of the panel of rows in work: groups group..group+groups-1 of the order */
	uint64_t group, groups, most_groups;
	struct worker *workers;
	void *boxes_memory, *candidates_memory;
	kith_first_error failed;
};

static uint64_t blocks_of(const struct join *j)
{
	return j->blocks->groups * LANES;
}

/* Whether to stop: some thread failed, or the user wishes it. One thread tells how far all have come. */
static int stops(struct join *j, const char *what, uint64_t done, uint64_t total)
{
	if (omp_get_thread_num() == 0 && !kith_first_error_seen(&j->failed))
		kith_first_error_tick(&j->failed, 0, j->in->progress, what, done, total);
	return kith_first_error_seen(&j->failed);
}

/* ---- boxes ---- */

static void fill_box(struct join *j, uint64_t block)
{
	const kith_projections *p = j->in->projections;
	struct boxes *b = &j->boxes;
	b->slack[block] = 0;
	for (uint32_t t = 0; t < b->dims; t++) {
		uint64_t place = (block / LANES * b->dims + t) * LANES + block % LANES;
		float least = INFINITY, most = -INFINITY;
		for (uint64_t at = block * LANES; at < block * LANES + LANES && at < j->in->m; at++) {
			uint32_t id = j->in->id[at];
			int outside = p->lo[id] == KITH_LO_OUTSIDE;
			float x = kith_projections_coarse(p, at, id, t);
			least = fminf(least, outside ? -FLT_MAX : x);
			most = fmaxf(most, outside ? FLT_MAX : x);
			b->slack[block] = fmaxf(b->slack[block], p->slack[id]);
		}
		b->least[place] = least;
		b->most[place] = most;
		b->centres[t * blocks_of(j) + block] = least <= most ? least / 2 + most / 2 : FLT_MAX;
	}
}

static kith_tile_side side_of(const kith_quantised *b, uint64_t block, const float *bound)
{
	return (kith_tile_side){kith_quantised_block(b, block), b->scale + block * LANES, b->lo + block * LANES, bound};
}

/* ---- work space ---- */

/* The boxes of `blocks` blocks. */
static void init_boxes(struct boxes *b, const kith_plan *plan, uint64_t blocks, kith_workspace *w)
{
	b->dims = plan->coarse + 1 < BOX_DIMS ? plan->coarse + 1 : BOX_DIMS;
	KITH_BUFFER(w, b->least, blocks * b->dims);
	KITH_BUFFER(w, b->most, blocks * b->dims);
	KITH_BUFFER(w, b->slack, blocks);
	KITH_BUFFER(w, b->centres, blocks * b->dims);
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
	KITH_BUFFER(space, w->distance, 2 * blocks);
	KITH_BUFFER(space, w->probed_t, probed * LANES);
	KITH_BUFFER(space, w->values, 2 * probed);
	KITH_BUFFER(space, w->nearest, plan->probes);
	KITH_BUFFER(space, w->place, 3 * probed);
}

uint64_t kith_block_join_bytes(const kith_plan *plan, uint64_t m)
{
	uint64_t blocks = (m + GROUP - 1) / GROUP * LANES;
	struct boxes boxes;
	struct worker worker;
	kith_workspace shared = {0}, own = {0};
	init_boxes(&boxes, plan, blocks, &shared);
	init_worker(&worker, plan, blocks, &own);
	return kith_workspace_bytes(&shared) + (uint64_t)plan->threads * kith_workspace_bytes(&own);
}

/* A row's k nearest are k / m of all samples, and about that share of a sample of them: with three standard deviations
 * more they are hardly ever too few. */
static int pick_sample(struct join *j, kith_err *err)
{
	uint64_t m = j->in->m, count = (uint64_t)j->in->plan->probes * LANES;
	double share = (double)kith_info_k(j->in->info) / (double)m, expected;
	count = count < m ? count : m;
	expected = share * (double)count;
	j->rank = (uint32_t)ceil(expected + 3 * sqrt(expected * (1 - share)) + 1);
	return kith_quantised_pick(&j->sample, j->blocks, m, count, err);
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
		kith_refiner_init(&w->refiner, j->in->scaling->vectors, plan->resident, plan->capacity, plan->batch,
				  &space);
		w->refiner.scaling = j->in->scaling;
		w->refiner.info = j->in->info;
		rc = kith_workspace_alloc(&space, &w->memory, "a thread's work space", err);
	}
	return rc;
}

static int init_panels(struct join *j, void **lists, kith_err *err)
{
	const kith_block_join *in = j->in;
	const kith_plan *plan = in->plan;
	kith_workspace kept = {0}, w = {0};
	j->most_groups = (plan->panel + GROUP - 1) / GROUP;
	if (plan->in_place || j->most_groups > j->blocks->groups)
		j->most_groups = j->blocks->groups;
	kith_candidates_init(&j->candidates, j->fine, kith_info_k(in->info), (uint32_t)(j->most_groups * GROUP),
			     plan->capacity, in->info->near, plan->known, &kept, &w);
	j->candidates.weight = in->weight;
	int rc = kith_workspace_alloc(&kept, lists, "candidates", err);
	return rc ? rc : kith_workspace_alloc(&w, &j->candidates_memory, "candidates", err);
}

static int init(struct join *j, void **lists, kith_err *err)
{
	const kith_block_join *in = j->in;
	const kith_plan *plan = in->plan;
	uint64_t blocks = blocks_of(j);
	kith_workspace w = {0};
	int rc;

	j->tile = kith_tile_kernel_best();
	j->fine = in->full ? in->full : &in->projections->bounds;
	j->two_level = kith_plan_two_level(plan);
	j->tight = in->full || plan->tight;
	init_boxes(&j->boxes, plan, blocks, &w);
	if ((rc = kith_workspace_alloc(&w, &j->boxes_memory, "boxes around the samples", err)))
		return rc;
#pragma omp parallel for num_threads(plan->threads) schedule(static)
	for (uint64_t block = 0; block < blocks; block++)
		if (block % GROUP || !stops(j, "first bounds", 0, blocks))
			fill_box(j, block);
	if ((rc = kith_first_error_get(&j->failed, err)) || (plan->guess && (rc = pick_sample(j, err))) ||
	    (rc = init_panels(j, lists, err)))
		return rc;
	return init_workers(j, err);
}

static void release(struct join *j)
{
	for (int t = 0; j->workers && t < j->in->plan->threads; t++)
		free(j->workers[t].memory);
	free(j->workers);
	free(j->boxes_memory);
	free(j->candidates_memory);
	kith_area_free(&j->sample.area);
}

static struct worker *this_worker(struct join *j)
{
	return &j->workers[omp_get_thread_num()];
}

/* ---- first bounds ---- */

/* The blocks nearest to `block`, nearest first and itself before all, into w->nearest; returns how many. */
static uint32_t find_nearest(struct join *j, struct worker *w, uint64_t block)
{
	uint64_t real = (j->in->m + LANES - 1) / LANES, blocks = blocks_of(j);
	uint32_t probes = j->in->plan->probes, found = 0;
	float *sorted = w->distance + blocks;
	kith_distances_from(j->boxes.centres, blocks, j->boxes.dims, block, w->distance);
	probes = probes < real ? probes : (uint32_t)real;
	memcpy(sorted, w->distance, real * sizeof *sorted);
	float limit = kith_kth_smallest(sorted, (uint32_t)real, probes);
	w->nearest[found++] = (uint32_t)block;
	for (uint64_t at = 0; at < real && found < probes; at++)
		if (w->distance[at] <= limit && at != block) {
			uint32_t place = found++;
			for (; place > 1 && w->distance[w->nearest[place - 1]] > w->distance[at]; place--)
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
	const kith_bounds *fine = j->fine;
	const uint32_t *id = j->in->id;
	float lo = fine->lo[id[own]];
	for (uint32_t i = 0; i < count; i++)
		w->y[i] = fine->v + at[i] * (uint64_t)fine->width;
	kith_dot_products(fine->v + own * fine->width, w->y, count, fine->width, t);
	for (uint32_t i = 0; i < count; i++)
		t[i] = (lo + fine->lo[id[at[i]]]) - 2 * t[i];
}

/* Row r of the panel, of which t[count] are the tile bounds with the samples at places[]: its first bound, or (where
 * upper bounds are loose) the candidates to measure for it. */
static void first_bound(struct join *j, struct worker *w, uint32_t r, float *t, const uint32_t *places, uint32_t count)
{
	const uint32_t *id = j->in->id;
	kith_candidates *c = &j->candidates;
	const kith_bounds *fine = j->fine;
	uint32_t own = c->self[r], k = c->k, *at = w->place, *some = at + count;
	uint32_t tries = !j->two_level ? count : j->tight ? k + k / 8 + 8 : 2 * k + 16;
	uint32_t found = smallest(t, count, tries, w->values, at);
	for (uint32_t i = 0; i < found; i++)
		some[i] = places[at[i]];
	float *bound = w->values;
	if (j->two_level)
		fine_bounds(j, w, j->group * GROUP + r, some, found, bound);
	else
		for (uint32_t i = 0; i < found; i++)
			bound[i] = t[at[i]];
	if (!j->tight) { /* measure the best of them */
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
static int in_batches(struct join *j, const char *what, kith_results *results, kith_err *err)
{
	uint64_t rows = j->in->m - j->group * GROUP, most = j->groups * GROUP, batch = j->in->plan->batch;
	rows = rows < most ? rows : most;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t at = 0; at < rows; at += batch) {
		struct worker *w = this_worker(j);
		uint32_t some = (uint32_t)(rows - at < batch ? rows - at : batch);
		kith_err why;
		if (stops(j, what, j->group * GROUP + at, j->in->m))
			continue;
		int rc = results ? kith_refine_rows(&w->refiner, &j->candidates, (uint32_t)at, some, results, &why)
				 : kith_refine_bounds(&w->refiner, &j->candidates, (uint32_t)at, some, &why);
		kith_first_error_note(&j->failed, at, rc, &why);
	}
	return kith_first_error_get(&j->failed, err);
}

/* The t of the rows of `block` with `near` blocks of `others` (which[], or the first), row by row, into w->probed_t. */
static void probe(struct join *j, struct worker *w, uint64_t block, const kith_quantised *others, const uint32_t *which,
		  uint32_t near)
{
	float none[LANES] __attribute__((aligned(64)));
	uint16_t hits[LANES];
	for (uint32_t i = 0; i < LANES; i++)
		none[i] = -INFINITY;
	kith_tile_side rows = side_of(j->blocks, block, none);
	for (uint32_t o = 0; o < near; o++) {
		kith_tile_side columns = side_of(others, which ? which[o] : o, none);
		j->tile(&rows, &columns, others->width, w->t, hits);
		for (uint32_t i = 0; i < LANES; i++)
			memcpy(w->probed_t + (i * (size_t)near + o) * LANES, w->t + i * LANES, LANES * sizeof *w->t);
	}
}

static void probe_block(struct join *j, struct worker *w, uint64_t block)
{
	uint32_t near = find_nearest(j, w, block), count = near * LANES;
	uint32_t *places = w->place + 2 * count;
	probe(j, w, block, j->blocks, w->nearest, near);
	for (uint32_t x = 0; x < count; x++)
		places[x] = w->nearest[x / LANES] * LANES + x % LANES;
	for (uint32_t i = 0; i < LANES && block * LANES + i < j->in->m; i++) {
		float *t = w->probed_t + i * (size_t)count;
		t[i] = INFINITY; /* itself: its own block is the first */
		first_bound(j, w, (uint32_t)(block * LANES + i - j->group * GROUP), t, places, count);
	}
}

/* A guess is no bound until it has proved to be one (redo_panel). A row that is in the sample is its own nearest there:
 * the guess is but a little lower for it. */
static void guess_block(struct join *j, struct worker *w, uint64_t block)
{
	uint32_t near = j->sample.groups * LANES < j->in->plan->probes ? (uint32_t)j->sample.groups * LANES
								       : j->in->plan->probes;
	uint32_t count = near * LANES;
	probe(j, w, block, &j->sample, NULL, near);
	for (uint32_t i = 0; i < LANES && block * LANES + i < j->in->m; i++)
		j->candidates.bound[block * LANES + i - j->group * GROUP] =
			j->rank < count ? kith_kth_smallest(w->probed_t + i * (size_t)count, count, j->rank) : INFINITY;
}

static void probe_group(struct join *j, struct worker *w, uint64_t group)
{
	for (uint64_t block = group * LANES; block < group * LANES + LANES && block * LANES < j->in->m; block++)
		(j->in->plan->guess ? guess_block : probe_block)(j, w, block);
}

static int find_bounds(struct join *j, kith_err *err)
{
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t g = j->group; g < j->group + j->groups; g++) {
		if (!stops(j, "first bounds", g, j->blocks->groups))
			probe_group(j, this_worker(j), g);
	}
	int rc = kith_first_error_get(&j->failed, err);
	return rc || j->tight ? rc : in_batches(j, "first bounds", NULL, err);
}

/* ---- the join ---- */

/* Threads may push candidates to one row at once: it is locked meanwhile. */
static void lock(struct join *j, uint64_t r)
{
	while (__atomic_test_and_set(&j->candidates.locked[r], __ATOMIC_ACQUIRE))
		;
}

static void unlock(struct join *j, uint64_t r)
{
	__atomic_clear(&j->candidates.locked[r], __ATOMIC_RELEASE);
}

/* Candidates of panel row r: the samples at positions from + hit[h], of which low[h] are the t. */
static void push(struct join *j, struct worker *w, uint64_t r, uint64_t from, const uint8_t *hit, const float *low,
		 uint32_t count)
{
	kith_candidates *c = &j->candidates;
	const uint32_t *id = j->in->id + from;
	lock(j, r);
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
		kith_err why;
		int rc = 0;
		for (uint32_t h = 0; h < count; h++)
			while (!rc && kith_candidates_take(c, (uint32_t)r, id[hit[h]], low[h], w->refiner.values))
				rc = kith_refine_settle(&w->refiner, c, (uint32_t)r, &why);
		kith_first_error_note(&j->failed, r, rc, &why);
	}
	unlock(j, r);
}

/* Row i of block a, with the hits it has collected in group gb: those within its own bound go to its candidates, those
 * within a column's bound to the hits of that column. */
static void push_row(struct join *j, struct worker *w, uint32_t i, uint64_t a, uint64_t gb)
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
		push(j, w, at - j->group * GROUP, gb * GROUP, row->place, row->low, kept);
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

/* Block a against the blocks of group gb from its block `from` on. */
static void join_block(struct join *j, struct worker *w, uint64_t a, uint64_t gb, uint32_t from)
{
	const struct boxes *b = &j->boxes;
	uint64_t ga = a / LANES;
	const float *bound_a = w->bound_a + a % LANES * LANES;
	float gap[LANES], most_a = greatest(bound_a);
	uint16_t hits[LANES];
	kith_tile_side rows = side_of(j->blocks, a, bound_a);
	kith_box_gaps(b->least + ga * b->dims * LANES + a % LANES, b->most + ga * b->dims * LANES + a % LANES,
		      b->least + gb * b->dims * LANES, b->most + gb * b->dims * LANES, b->dims, gap);
	for (uint32_t i = 0; i < LANES; i++)
		w->row[i].count = 0;
	for (uint32_t t = from; t < LANES; t++) {
		uint64_t other = gb * LANES + t;
		float most = most_a > w->most_b[t] ? most_a : w->most_b[t];
		/* the gap is a sum of dims rounded squares, each of a rounded difference */
		if (gap[t] * (1 - 0x1p-12f) - b->slack[a] - b->slack[other] > most)
			continue;
		kith_tile_side columns = side_of(j->blocks, other, w->bound_b + t * LANES);
		if (j->tile(&rows, &columns, j->blocks->width, w->t, hits))
			collect(j, w, hits, a, other);
	}
	for (uint32_t i = 0; i < LANES; i++)
		if (w->row[i].count)
			push_row(j, w, i, a, gb);
}

/* The bounds of the rows of a group as they are now: other threads lower them all the time. */
static void copy_bounds(const struct join *j, uint64_t group, float *out)
{
	for (uint32_t i = 0; i < GROUP; i++) {
		uint64_t at = group * GROUP + i;
		out[i] = -INFINITY;
		if (group >= j->group && group < j->group + j->groups && at < j->in->m)
			__atomic_load(&j->candidates.bound[at - j->group * GROUP], &out[i], __ATOMIC_RELAXED);
	}
}

/* Group ga against group gb, or half of itself. */
static void join_pair(struct join *j, struct worker *w, uint64_t ga, uint64_t gb)
{
	copy_bounds(j, ga, w->bound_a);
	copy_bounds(j, gb, w->bound_b);
	for (uint32_t t = 0; t < LANES; t++)
		w->most_b[t] = greatest(w->bound_b + t * LANES);
	for (uint32_t i = 0; i < GROUP; i++)
		w->column[i].count = 0;
	for (uint32_t a = 0; a < LANES; a++)
		join_block(j, w, ga * LANES + a, gb, ga == gb ? a : 0);
	for (uint32_t i = 0; i < GROUP; i++)
		if (w->column[i].count)
			push(j, w, gb * GROUP + i - j->group * GROUP, ga * GROUP, w->column[i].place, w->column[i].low,
			     w->column[i].count);
}

/* A thread takes a strip of the panel's groups at a time, so that another group stays in the cache for all of them. */
static int join_groups(struct join *j, kith_err *err)
{
	uint64_t all = j->blocks->groups, group = j->group, groups = j->groups;
	uint64_t strip = groups / (8 * (uint64_t)j->in->plan->threads) + 1;
	strip = strip < STRIP ? strip : STRIP;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t from = group; from < group + groups; from += strip) {
		struct worker *w = this_worker(j);
		uint64_t to = from + strip < group + groups ? from + strip : group + groups;
		for (uint64_t gb = 0; gb < all; gb++) {
			uint64_t ahead = gb > from ? gb - from : 0; /* of a triangle of pairs */
			if (stops(j, "neighbours", from * (2 * all - from) + 2 * strip * ahead, all * all))
				break;
			for (uint64_t ga = from; ga < to; ga++)
				if (gb < group || gb >= ga) /* else that pair was had from the other side */
					join_pair(j, w, ga, gb);
		}
	}
	return kith_first_error_get(&j->failed, err);
}

/* ---- guesses that were too low ---- */

/* Rows of block `a` whose bit is set in `rows` meet all samples again, with no bound. */
static void redo_rows(struct join *j, struct worker *w, uint64_t a, uint32_t rows)
{
	float bound[LANES] __attribute__((aligned(64))), none[LANES] __attribute__((aligned(64)));
	uint16_t hits[LANES];
	kith_candidates *c = &j->candidates;
	uint64_t first = (a - j->group * LANES) * LANES;
	for (uint32_t i = 0; i < LANES; i++) {
		none[i] = bound[i] = -INFINITY;
		if (rows >> i & 1) {
			c->count[first + i] = 0;
			c->tied[first + i] = 0;
			c->bound[first + i] = INFINITY;
		}
	}
	for (uint64_t b = 0; b * LANES < j->in->m && !kith_first_error_seen(&j->failed); b++) {
		for (uint32_t i = 0; i < LANES; i++)
			bound[i] = rows >> i & 1 ? c->bound[first + i] : -INFINITY;
		kith_tile_side mine = side_of(j->blocks, a, bound), columns = side_of(j->blocks, b, none);
		j->tile(&mine, &columns, j->blocks->width, w->t, hits);
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
				push(j, w, first + i, b * LANES, row->place, row->low, row->count);
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

static int redo_panel(struct join *j, kith_err *err)
{
	uint64_t end = (j->group + j->groups) * LANES;
#pragma omp parallel for num_threads(j->in->plan->threads) schedule(dynamic, 8)
	for (uint64_t a = j->group * LANES; a < end; a++) {
		struct worker *w = this_worker(j);
		uint32_t rows = 0;
		for (uint32_t i = 0; i < LANES && a * LANES + i < j->in->m; i++) {
			uint32_t r = (uint32_t)(a * LANES + i - j->group * GROUP);
			rows |= (uint32_t)!bound_holds(&j->candidates, r, w->refiner.values) << i;
		}
		if (rows)
			redo_rows(j, w, a, rows);
	}
	return kith_first_error_get(&j->failed, err);
}

int kith_block_join_run(const kith_block_join *in, void **lists, kith_results *results, kith_err *err)
{
	struct join j = {.in = in, .blocks = in->blocks};
	int rc = init(&j, lists, err);
	if (!rc && in->plan->in_place)
		kith_results_in_place(results, &j.candidates, in->place, in->info->near);
	for (; !rc && j.group < j.blocks->groups; j.group += j.groups) {
		uint64_t left = in->m - j.group * GROUP, most = j.blocks->groups - j.group;
		j.groups = j.most_groups < most ? j.most_groups : most;
		kith_candidates_reset(&j.candidates, in->id + j.group * GROUP,
				      (uint32_t)(left < j.groups * GROUP ? left : j.groups * GROUP));
		if (!(rc = find_bounds(&j, err)) && !(rc = join_groups(&j, err)) &&
		    !(rc = in->plan->guess ? redo_panel(&j, err) : 0))
			rc = in_batches(&j, "measuring", results, err);
	}
	release(&j);
	if (!in->plan->in_place) { /* what is written next has room for its pages then */
		free(*lists);
		*lists = NULL;
	}
	return rc;
}
