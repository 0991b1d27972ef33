/* tree_join.c - see tree_join.h */
#include "tree_join.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "first_error.h"
#include "select.h"

#define LANES  KITH_LANES
#define GROUP  KITH_GROUP
#define TOP    (KITH_BOX_LEVELS - 1)
#define BESIDE 64u /* samples that a row's first bound comes from, or 4 k */

/* A node of the top level, and how far it is. */
struct top {
	float distance;
	uint32_t node;
};

struct worker {
	kith_refiner refiner;
	kith_candidates candidates; /* of the group of rows in work, */
	uint64_t group;             /* from position group * GROUP on */
	uint32_t rows;
	int32_t *code;   /* GROUP x width / 2 */
	int32_t *limit;  /* GROUP */
	uint32_t *open;  /* GROUP: the nodes of the group of boxes in work that a row's limit does not rule out */
	uint32_t *place; /* most: positions */
	const float **y; /* most: their vectors, */
	float *t;        /* 2 x most: and bounds */
	struct top *top; /* the top level's nodes */
	void *memory;    /* holds these */
};

struct join {
	const kith_tree_join *in;
	kith_box_kernels kernels;
	uint32_t beside;
	struct worker *workers;
	kith_first_error failed;
};

/* ---- work space ---- */

/* Samples beside a row: a power of two, so that they are whole nodes of the order. */
static uint32_t beside(uint32_t k)
{
	uint32_t count = BESIDE;
	while (count < 4 * (uint64_t)k)
		count *= 2;
	return count;
}

static void init_worker(struct worker *w, const kith_plan *plan, const kith_vectors *vectors, uint32_t k, uint32_t near,
			uint64_t m, const kith_bounds *bounds, kith_workspace *space)
{
	uint32_t most = beside(k) > GROUP ? beside(k) : GROUP;
	uint64_t nodes = m / ((uint64_t)GROUP * LANES) + 1;
	KITH_BUFFER(space, w->code, GROUP * ((plan->coarse + 2) / 2));
	KITH_BUFFER(space, w->limit, GROUP);
	KITH_BUFFER(space, w->open, GROUP);
	KITH_BUFFER(space, w->place, most);
	KITH_BUFFER(space, w->y, most);
	KITH_BUFFER(space, w->t, 2 * most);
	KITH_BUFFER(space, w->top, nodes);
	kith_refiner_init(&w->refiner, vectors, 1, plan->capacity, plan->batch, space);
	kith_candidates_init(&w->candidates, bounds, k, GROUP, plan->capacity, near, plan->known, space, space);
}

uint64_t kith_tree_join_bytes(const kith_plan *plan, const kith_vectors *vectors, uint32_t k, uint32_t near, uint64_t m)
{
	struct worker worker;
	kith_workspace w = {0};
	init_worker(&worker, plan, vectors, k, near, m, NULL, &w);
	return (uint64_t)plan->threads * kith_workspace_bytes(&w);
}

static int init_workers(struct join *j, kith_err *err)
{
	const kith_tree_join *in = j->in;
	const kith_plan *plan = in->plan;
	int rc = 0;
	if (!(j->workers = kith_alloc_zero((size_t)plan->threads, sizeof *j->workers)))
		return kith_fail_nomem(err, "work spaces", (size_t)plan->threads * sizeof *j->workers);
	for (int t = 0; !rc && t < plan->threads; t++) {
		struct worker *w = &j->workers[t];
		kith_workspace space = {0};
		init_worker(w, plan, in->scaling->vectors, kith_info_k(in->info), in->info->near, in->m,
			    &in->projections->bounds, &space);
		w->candidates.weight = in->weight;
		w->refiner.scaling = in->scaling;
		w->refiner.info = in->info;
		rc = kith_workspace_alloc(&space, &w->memory, "a thread's work space", err);
	}
	return rc;
}

static void release(struct join *j)
{
	for (int t = 0; j->workers && t < j->in->plan->threads; t++)
		free(j->workers[t].memory);
	free(j->workers);
}

/* ---- rows ---- */

static uint64_t position(const struct worker *w, uint32_t r)
{
	return w->group * GROUP + r;
}

/* The bounds t of row r with the samples at w->place[0..count-1], into w->t. */
static void fine_bounds(const struct join *j, struct worker *w, uint32_t r, uint32_t count)
{
	const kith_bounds *fine = &j->in->projections->bounds;
	const uint32_t *id = j->in->id;
	uint64_t own = position(w, r);
	float lo = fine->lo[id[own]];
	for (uint32_t i = 0; i < count; i++)
		w->y[i] = fine->v + w->place[i] * (uint64_t)fine->width;
	kith_dot_products(fine->v + own * fine->width, w->y, count, fine->width, w->t);
	for (uint32_t i = 0; i < count; i++)
		w->t[i] = (lo + fine->lo[id[w->place[i]]]) - 2 * w->t[i];
}

static void set_limit(const struct join *j, struct worker *w, uint32_t r)
{
	w->limit[r] = kith_box_tree_limit(j->in->tree, position(w, r), w->candidates.bound[r]);
}

/* The samples at w->place[0..count-1] become candidates of row r, as far as its bound lets them. */
static int take(struct join *j, struct worker *w, uint32_t r, uint32_t count, kith_err *err)
{
	kith_candidates *c = &w->candidates;
	float bound = c->bound[r];
	int rc = 0;
	fine_bounds(j, w, r, count);
	for (uint32_t i = 0; i < count; i++)
		while (!rc && kith_candidates_take(c, r, j->in->id[w->place[i]], w->t[i], w->refiner.values))
			rc = kith_refine_settle(&w->refiner, c, r, err);
	if (c->bound[r] < bound)
		set_limit(j, w, r);
	return rc;
}

/* Row r's first bound, from those beside it, or (where upper bounds are loose) the candidates to measure for it. */
static void first_bound(struct join *j, struct worker *w, uint32_t r)
{
	const kith_bounds *fine = &j->in->projections->bounds;
	const uint32_t *id = j->in->id;
	kith_candidates *c = &w->candidates;
	uint64_t own = position(w, r), from = own / j->beside * j->beside;
	uint32_t found = 0;
	float *upper = w->t + j->beside, limit = INFINITY;
	for (uint64_t at = from; at < from + j->beside && at < j->in->m; at++) {
		w->place[found] = (uint32_t)at;
		found += at != own;
	}
	if (found < c->k)
		return;
	fine_bounds(j, w, r, found);
	if (j->in->plan->tight) {
		for (uint32_t i = 0; i < found; i++)
			upper[i] = w->t[i] + (fine->w[id[w->place[i]]] + fine->w[id[own]]);
		c->bound[r] = kith_kth_smallest(upper, found, c->k);
		return;
	}
	memcpy(upper, w->t, found * sizeof *upper);
	if (c->room_known < found)
		limit = kith_kth_smallest(upper, found, c->room_known);
	for (uint32_t i = 0; i < found && c->count[r] < c->room_known; i++)
		if (w->t[i] <= limit)
			c->id[(size_t)r * c->stride + c->count[r]++] = id[w->place[i]];
}

/* ---- the search ---- */

/* The samples of group `g` that row r's limit does not rule out become its candidates. */
static int search_group(struct join *j, struct worker *w, uint64_t g, uint32_t r, kith_err *err)
{
	const kith_box_tree *b = j->in->tree;
	const int32_t *code = w->code + (size_t)r * (b->width / 2);
	uint64_t own = position(w, r);
	uint32_t found = 0;
	uint32_t leaves = j->kernels.gaps(kith_box_tree_least(b, 0, g), kith_box_tree_most(b, 0, g), code, b->boxed / 2,
					  w->limit[r]);
	for (; leaves; leaves &= leaves - 1) {
		uint64_t leaf = g * LANES + (uint32_t)__builtin_ctz(leaves);
		if (leaf >= b->level[0].nodes)
			break;
		for (uint32_t near = j->kernels.near(kith_box_tree_leaf(b, leaf), code, b->width / 2, w->limit[r]);
		     near; near &= near - 1) {
			uint64_t at = leaf * LANES + (uint32_t)__builtin_ctz(near);
			w->place[found] = (uint32_t)at;
			found += at != own && at < b->inside;
		}
	}
	return found ? take(j, w, r, found, err) : 0;
}

/* All rows against top node `node`: what is in it, the rows' own group first. */
static int search_node(struct join *j, struct worker *w, uint64_t node, kith_err *err)
{
	const kith_box_tree *b = j->in->tree;
	uint32_t any = 0, first = node == w->group / LANES ? (uint32_t)(w->group % LANES) : 0;
	int rc = 0;
	for (uint32_t r = 0; r < w->rows; r++) {
		w->open[r] = j->kernels.gaps(kith_box_tree_least(b, 1, node), kith_box_tree_most(b, 1, node),
					     w->code + (size_t)r * (b->width / 2), b->boxed / 2, w->limit[r]);
		any |= w->open[r];
	}
	for (uint32_t o = 0; o < LANES && !rc; o++) {
		uint32_t child = o ^ first; /* all of them, `first` first, then those beside it */
		uint64_t g = node * LANES + child;
		if (!(any >> child & 1) || g >= b->level[1].nodes)
			continue;
		for (uint32_t r = 0; r < w->rows && !rc; r++)
			if (w->open[r] >> child & 1)
				rc = search_group(j, w, g, r, err);
	}
	return rc;
}

static int by_distance(const void *a, const void *b)
{
	const struct top *x = a, *y = b;
	return x->distance != y->distance ? (x->distance > y->distance) - (x->distance < y->distance)
					  : (x->node > y->node) - (x->node < y->node);
}

/* The top nodes from the one whose box's middle is nearest to that of the rows' box, their own before all. */
static uint64_t order_nodes(struct join *j, struct worker *w)
{
	const kith_box_tree *b = j->in->tree;
	uint64_t nodes = b->level[TOP].nodes, own = w->group;
	for (uint64_t node = 0; node < nodes; node++)
		w->top[node] = (struct top){0, (uint32_t)node};
	for (uint32_t t = 0; t < b->boxed; t++) {
		uint64_t here = kith_box_place(own, b->boxed, t);
		float middle = (float)(b->level[1].least[here] + b->level[1].most[here]);
		for (uint64_t node = 0; node < nodes; node++) {
			uint64_t at = kith_box_place(node, b->boxed, t);
			float apart = (float)(b->level[TOP].least[at] + b->level[TOP].most[at]) - middle;
			w->top[node].distance += apart * apart;
		}
	}
	w->top[own / LANES].distance = -1;
	qsort(w->top, nodes, sizeof *w->top, by_distance);
	return nodes;
}

/* Whether no row's limit lets it into top node `node`: by the gap between the rows' box and the node's. */
static int ruled_out(const struct join *j, const struct worker *w, uint64_t node)
{
	const kith_box_tree *b = j->in->tree;
	uint64_t gap = 0, own = w->group;
	int32_t most = 0;
	for (uint32_t r = 0; r < w->rows; r++)
		most = w->limit[r] > most ? w->limit[r] : most;
	if (most == INT32_MAX) /* a row that has to see everything: one outside the floats' range is in no box */
		return 0;
	for (uint32_t t = 0; t < b->boxed; t++) {
		uint64_t here = kith_box_place(own, b->boxed, t), at = kith_box_place(node, b->boxed, t);
		int32_t below = b->level[TOP].least[at] - b->level[1].most[here];
		int32_t above = b->level[1].least[here] - b->level[TOP].most[at];
		int32_t apart = below > above ? below : above;
		gap += apart > 0 ? (uint64_t)apart * (uint64_t)apart : 0;
	}
	return gap > (uint64_t)most;
}

/* Samples outside the float range are candidates of all rows. */
static int take_outside(struct join *j, struct worker *w, uint32_t r, kith_err *err)
{
	uint64_t own = position(w, r);
	int rc = 0;
	for (uint64_t at = j->in->tree->inside; at < j->in->m && !rc; at++)
		if (at != own) {
			w->place[0] = (uint32_t)at;
			rc = take(j, w, r, 1, err);
		}
	return rc;
}

static int begin_group(struct join *j, struct worker *w, kith_err *err)
{
	const kith_box_tree *b = j->in->tree;
	kith_candidates *c = &w->candidates;
	int rc = 0;
	kith_candidates_reset(c, j->in->id + position(w, 0), w->rows);
	for (uint32_t r = 0; r < w->rows; r++) {
		kith_box_tree_code(b, position(w, r), w->code + (size_t)r * (b->width / 2));
		first_bound(j, w, r);
	}
	for (uint32_t r = 0, batch = j->in->plan->batch; r < w->rows && !rc && !j->in->plan->tight; r += batch)
		rc = kith_refine_bounds(&w->refiner, c, r, w->rows - r < batch ? w->rows - r : batch, err);
	for (uint32_t r = 0; r < w->rows; r++)
		set_limit(j, w, r);
	return rc;
}

/* The results of the rows of group g. */
static int join_group(struct join *j, struct worker *w, uint64_t g, kith_results *results, kith_err *err)
{
	uint64_t left = j->in->m - g * GROUP;
	uint32_t batch = j->in->plan->batch;
	w->group = g;
	w->rows = (uint32_t)(left < GROUP ? left : GROUP);
	int rc = begin_group(j, w, err);
	uint64_t nodes = order_nodes(j, w);
	for (uint64_t i = 0; i < nodes && !rc; i++) {
		if (!ruled_out(j, w, w->top[i].node))
			rc = search_node(j, w, w->top[i].node, err);
		for (uint32_t r = 0; r < w->rows && !rc && i == 0; r++) { /* what is nearest is in: bounds are close */
			kith_candidates_compact(&w->candidates, r, w->refiner.values);
			set_limit(j, w, r);
		}
	}
	for (uint32_t r = 0; r < w->rows && !rc; r++)
		rc = take_outside(j, w, r, err);
	for (uint32_t r = 0; r < w->rows && !rc; r += batch)
		rc = kith_refine_rows(&w->refiner, &w->candidates, r, w->rows - r < batch ? w->rows - r : batch,
				      results, err);
	return rc;
}

int kith_tree_join_run(const kith_tree_join *in, kith_results *results, kith_err *err)
{
	struct join j = {.in = in, .kernels = kith_box_kernels_best(), .beside = beside(kith_info_k(in->info))};
	uint64_t groups = (in->m + GROUP - 1) / GROUP, some = (groups + in->every - 1) / in->every;
	int rc = init_workers(&j, err);
#pragma omp parallel for num_threads(in->plan->threads) schedule(dynamic, 1)
	for (uint64_t g = 0; g < (rc ? 0 : some); g++) {
		kith_err why;
		int bad = 0;
		if (kith_first_error_seen(&j.failed))
			continue;
		if (omp_get_thread_num() == 0)
			bad = kith_progress_tick(in->progress, "neighbours", g, some, &why);
		if (!bad)
			bad = join_group(&j, &j.workers[omp_get_thread_num()], g * in->every, results, &why);
		kith_first_error_note(&j.failed, g, bad, &why);
	}
	release(&j);
	return rc ? rc : kith_first_error_get(&j.failed, err);
}
