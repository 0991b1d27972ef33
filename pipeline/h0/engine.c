/* engine.c - see engine.h */
#include "engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cutoff.h"
#include "in_edges.h"
#include "order.h"
#include "out_lists.h"
#include "workspace.h"

#define AHEAD 16u /* in loops over all units or edges: what these need, all over memory, is asked for */

struct kith_h0_engine {
	const kith_network *network;
	kith_out_lists *lists; /* of each operation */
	/* By layer: the operations that begin there, ops_from[from_at[l]..from_at[l+1]-1], and those that end there. */
	uint32_t *from_at, *ops_from, *to_at, *ops_to;
	uint16_t *layer; /* of each vertex */
	void *memory;
};

/* An edge of the forest as it is found. */
typedef struct found {
	double phi;
	uint64_t id;
	uint32_t a, b;
} found;

/* A vertex while trees are looked through: all that most looks need. */
typedef struct unit {
	double phi; /* phi, id, other: its first edge from a source that is in another tree, or a bound (kith_first) */
	uint64_t id;
	uint32_t other;
	uint32_t vertex;
	double out; /* no less than any of its bounds as a source */
} unit;

struct kith_h0_work {
	kith_in_edges in;
	kith_cutoff cutoff;
	/* By vertex. */
	kith_first *heaviest; /* its first edge from a source */
	uint32_t *parent;     /* union-find */
	uint32_t *first_tree; /* the first round's tree */
	/* By tree; in the first round each vertex is one, and after it these trees, whose units stand side by side, are
	 * what all later ones are made of. A tree has the number of one of them. */
	kith_first *leaving; /* the first edge that leaves the tree; `other` is the end outside */
	uint32_t *inside;    /* and its end inside */
	uint32_t *tree;      /* of a tree of the first round: the one that it is part of */
	uint32_t *next;      /* the next of its parts */
	uint32_t *start;     /* units start[t]..start[t + 1] - 1 */
	uint32_t *size;      /* vertices */
	unit *unit;
	uint32_t **at;                     /* of each operation and source unit: where it is in its list */
	double **bound;                    /* and phi there, or more: what the unit can still find */
	uint64_t touched;                  /* vertices with an edge */
	uint64_t *heap, heap_count, trees; /* unfinished trees, and how many */
	/* The forest. */
	uint64_t edges;
	found *found;
	kith_key *keys, *other_keys;
	uint32_t *a, *b, *birth;
	uint64_t *id;
	double *phi, *sorted_phi;
	uint8_t *mark, *sorted_mark;
	uint32_t *source;
	float *activation;
	void *memory;
};

/* ---- what is the same for all samples ---- */

uint64_t kith_h0_engine_bytes(const kith_network *network)
{
	uint64_t bytes = sizeof(kith_h0_engine) + 8ull * (network->info.layer_count + network->info.op_count) +
			 sizeof(uint16_t) * network->info.vertices;
	for (uint32_t o = 0; o < network->info.op_count; o++)
		bytes = kith_add_bytes(bytes, sizeof(kith_out_lists) +
						      kith_out_lists_bytes(&network->info, &network->info.ops[o]));
	return bytes;
}

uint64_t kith_h0_engine_scratch_bytes(const kith_network *network)
{
	uint64_t most = 0;
	for (uint32_t o = 0; o < network->info.op_count; o++) {
		uint64_t bytes = kith_out_lists_scratch_bytes(&network->info, &network->info.ops[o]);
		most = bytes > most ? bytes : most;
	}
	return most;
}

static void list_ops(kith_h0_engine *e)
{
	const kith_h0_info *info = &e->network->info;
	uint32_t from = 0, to = 0;
	for (uint32_t l = 0; l < info->layer_count; l++) {
		e->from_at[l] = from;
		e->to_at[l] = to;
		for (uint32_t o = 0; o < info->op_count; o++) {
			if (info->ops[o].from == l)
				e->ops_from[from++] = o;
			if (info->ops[o].to == l)
				e->ops_to[to++] = o;
		}
	}
	for (uint32_t l = 0; l < info->layer_count; l++)
		for (uint64_t u = 0; u < info->layers[l].units; u++)
			e->layer[info->layers[l].first_vertex + u] = (uint16_t)l;
	e->from_at[info->layer_count] = from;
	e->to_at[info->layer_count] = to;
}

int kith_h0_engine_create(kith_h0_engine **out, const kith_network *network, int threads, const kith_progress *progress,
			  kith_err *err)
{
	const kith_h0_info *info = &network->info;
	kith_h0_engine *e = kith_alloc_zero(1, sizeof *e);
	kith_workspace w = {0};
	if (!e)
		return kith_fail_nomem(err, "an engine", sizeof *e);
	e->network = network;
	KITH_BUFFER_ZERO(&w, e->lists, info->op_count);
	KITH_BUFFER(&w, e->ops_from, info->op_count);
	KITH_BUFFER(&w, e->ops_to, info->op_count);
	KITH_BUFFER(&w, e->from_at, info->layer_count + 1ull);
	KITH_BUFFER(&w, e->to_at, info->layer_count + 1ull);
	KITH_BUFFER(&w, e->layer, info->vertices);
	int rc = kith_workspace_alloc(&w, &e->memory, "lists of edges", err);
	if (!rc)
		list_ops(e);
	for (uint32_t o = 0; !rc && o < info->op_count; o++)
		if (!(rc = kith_progress_tick(progress, "sorting weights", o, info->op_count, err)))
			rc = kith_out_lists_make(&e->lists[o], network, o, threads, err);
	if (rc)
		kith_h0_engine_free(e);
	else
		*out = e;
	return rc;
}

void kith_h0_engine_free(kith_h0_engine *e)
{
	if (!e)
		return;
	for (uint32_t o = 0; e->lists && o < e->network->info.op_count; o++)
		kith_out_lists_free(&e->lists[o]);
	free(e->memory);
	free(e);
}

/* ---- scratch ---- */

static uint64_t source_units(const kith_h0_info *info)
{
	uint64_t units = 0;
	for (uint32_t o = 0; o < info->op_count; o++)
		units += info->layers[info->ops[o].from].units;
	return units;
}

static void list_buffers(kith_workspace *w, kith_h0_work *k, const kith_network *network, float **singles,
			 uint32_t **winners, uint32_t **places, double **bounds)
{
	uint64_t vertices = network->info.vertices;
	kith_in_edges_list(w, &k->in, network, singles, winners);
	kith_cutoff_list(w, &k->cutoff, &network->info);
	KITH_BUFFER(w, k->heaviest, vertices);
	KITH_BUFFER(w, k->parent, vertices);
	KITH_BUFFER(w, k->first_tree, vertices);
	KITH_BUFFER(w, k->tree, vertices);
	KITH_BUFFER(w, k->next, vertices);
	KITH_BUFFER(w, k->start, vertices + 1);
	KITH_BUFFER(w, k->leaving, vertices);
	KITH_BUFFER(w, k->inside, vertices);
	KITH_BUFFER(w, k->unit, vertices);
	KITH_BUFFER(w, k->heap, vertices);
	KITH_BUFFER(w, k->size, vertices);
	KITH_BUFFER(w, k->at, network->info.op_count);
	KITH_BUFFER(w, *places, source_units(&network->info));
	KITH_BUFFER(w, k->bound, network->info.op_count);
	KITH_BUFFER(w, *bounds, source_units(&network->info));
	KITH_BUFFER(w, k->found, vertices);
	KITH_BUFFER(w, k->keys, vertices);
	KITH_BUFFER(w, k->other_keys, vertices);
	KITH_BUFFER(w, k->a, vertices);
	KITH_BUFFER(w, k->b, vertices);
	KITH_BUFFER(w, k->birth, vertices);
	KITH_BUFFER(w, k->id, vertices);
	KITH_BUFFER(w, k->phi, vertices);
	KITH_BUFFER(w, k->sorted_phi, vertices);
	KITH_BUFFER(w, k->mark, vertices);
	KITH_BUFFER(w, k->sorted_mark, vertices);
	KITH_BUFFER(w, k->source, vertices);
	KITH_BUFFER(w, k->activation, vertices);
}

uint64_t kith_h0_work_bytes(const kith_network *network)
{
	kith_h0_work k = {0};
	kith_workspace w = {0};
	float *singles;
	uint32_t *winners, *places;
	double *bounds;
	list_buffers(&w, &k, network, &singles, &winners, &places, &bounds);
	return kith_add_bytes(sizeof k, kith_workspace_bytes(&w));
}

int kith_h0_work_create(kith_h0_work **out, const kith_h0_engine *engine, kith_err *err)
{
	const kith_h0_info *info = &engine->network->info;
	kith_h0_work *k = kith_alloc_zero(1, sizeof *k);
	kith_workspace w = {0};
	float *singles;
	uint32_t *winners, *places;
	double *bounds;
	if (!k)
		return kith_fail_nomem(err, "work space", sizeof *k);
	list_buffers(&w, k, engine->network, &singles, &winners, &places, &bounds);
	int rc = kith_workspace_alloc(&w, &k->memory, "a sample's graph", err);
	if (rc) {
		free(k);
		return rc;
	}
	kith_in_edges_point(&k->in, singles, winners);
	for (uint32_t o = 0; o < info->op_count; o++) {
		k->at[o] = places;
		k->bound[o] = bounds;
		places += info->layers[info->ops[o].from].units;
		bounds += info->layers[info->ops[o].from].units;
	}
	*out = k;
	return 0;
}

void kith_h0_work_free(kith_h0_work *k)
{
	if (!k)
		return;
	free(k->memory);
	free(k);
}

/* ---- the edges that leave a tree ---- */

static inline uint32_t find(uint32_t *parent, uint32_t x)
{
	while (parent[x] != x)
		x = parent[x] = parent[parent[x]];
	return x;
}

static inline uint32_t tree_of(const kith_h0_work *k, uint32_t vertex)
{
	return k->tree[k->first_tree[vertex]];
}

static inline void offer(kith_h0_work *k, uint32_t tree, double phi, uint64_t id, uint32_t inside, uint32_t outside)
{
	if (!kith_is_before(phi, id, &k->leaving[tree]))
		return;
	k->leaving[tree] = (kith_first){phi, id, outside};
	k->inside[tree] = inside;
}

/* A source unit of an operation: where its edges lead. */
typedef struct source {
	const kith_op *op;
	const uint32_t *winner; /* of a maxpool with rule max: the place that each target passes on; else NULL */
	uint32_t unit, y, x;    /* with padding */
	uint32_t height, width; /* of the target */
	uint64_t place;         /* of the first element of its channel in a target's window */
	uint64_t list;          /* the number of its list */
} source;

static source source_at(const kith_h0_work *k, uint32_t o, uint32_t unit)
{
	const kith_h0_info *info = &k->in.network->info;
	const kith_op *op = &info->ops[o];
	source s = {.op = op, .unit = unit};
	if (op->kind == KITH_DENSE)
		s.list = unit;
	if (op->kind == KITH_DENSE || op->kind == KITH_IDENTITY)
		return s;
	uint32_t rows = (uint32_t)info->layers[op->from].shape[1], columns = (uint32_t)info->layers[op->from].shape[2];
	uint32_t row = unit / columns, channel = row / rows;
	s.winner = op->rule == KITH_POOL_MAX ? k->in.winner[o] : NULL;
	s.y = row - channel * rows + op->padding[0];
	s.x = unit - row * columns + op->padding[1];
	s.height = (uint32_t)info->layers[op->to].shape[1];
	s.width = (uint32_t)info->layers[op->to].shape[2];
	s.list = channel;
	if (op->kind == KITH_CONV2D)
		s.place = channel % ((uint32_t)info->layers[op->from].shape[0] / op->groups) * (uint64_t)op->kernel[0] *
			  op->kernel[1];
	return s;
}

/* Which target's window has its place `at` of a side there; 0 if none. */
static inline int find_window(uint32_t at, uint32_t place, uint32_t dilation, uint32_t stride, uint32_t size,
			      uint32_t *out)
{
	uint32_t reach = place * dilation;
	if (at < reach)
		return 0;
	*out = at - reach;
	if (stride > 1) {
		if (*out % stride)
			return 0;
		*out /= stride;
	}
	return *out < size;
}

/* Where an entry of the unit's list leads; 0 if nowhere. */
static inline int lead(const source *s, const kith_out_entry *entry, uint32_t *target, uint64_t *id)
{
	const kith_op *op = s->op;
	uint64_t j = s->unit;
	if (op->kind == KITH_DENSE) {
		*target = entry->target;
	} else if (op->kind == KITH_IDENTITY) {
		*target = s->unit;
		j = 0;
	} else {
		uint32_t y, x;
		if (!find_window(s->y, entry->ky, op->dilation[0], op->stride[0], s->height, &y) ||
		    !find_window(s->x, entry->kx, op->dilation[1], op->stride[1], s->width, &x))
			return 0;
		*target = (entry->target * s->height + y) * s->width + x;
		j = (uint64_t)entry->ky * op->kernel[1] + entry->kx;
		if (s->winner && s->winner[*target] != j)
			return 0;
		j += s->place;
	}
	*id = op->base + *target * op->fan_in + j;
	return 1;
}

/* All edges of a unit whose list has come to its end, though there are more. */
static void scan_column(const kith_h0_engine *e, kith_h0_work *k, uint32_t o, uint32_t unit, uint32_t tree)
{
	const kith_h0_info *info = &e->network->info;
	const kith_op *op = &info->ops[o];
	uint32_t to = info->layers[op->to].first_vertex, from = info->layers[op->from].first_vertex;
	double h = k->in.h[op->from][unit];
	for (uint32_t v = 0; v < info->layers[op->to].units; v++) {
		uint64_t at = v * op->fan_in + unit;
		double phi = kith_weight_at(&e->network->weights[o], at) * h;
		if (phi >= k->leaving[tree].phi && tree_of(k, to + v) != tree &&
		    kith_is_kept(phi, op->base + at, &k->in.cut[o]))
			offer(k, tree, phi, op->base + at, from + unit, to + v);
	}
}

/* Goes on in a unit's list until an edge leaves its tree, or comes after what the tree has already. Entries before
 * at[unit] lead nowhere, or into the tree. Returns where the list is to be taken up again; `list` is the unit's. */
static uint32_t walk_list(const kith_h0_engine *e, kith_h0_work *k, uint32_t o, const source *s,
			  const kith_out_entry *list, uint32_t tree)
{
	const kith_op *op = s->op;
	const kith_out_lists *lists = &e->lists[o];
	double h = k->in.h[op->from][s->unit], least = k->in.cut[o].phi;
	uint32_t to = e->network->info.layers[op->to].first_vertex,
		 vertex = e->network->info.layers[op->from].first_vertex + s->unit;
	uint32_t at = k->at[o][s->unit], next = at;
	for (; next < lists->length; next++) {
		double phi = list[next].w * h;
		uint32_t target;
		uint64_t id;
		if (phi < k->leaving[tree].phi || phi < least)
			return at;
		if (!lead(s, &list[next], &target, &id) || tree_of(k, to + target) == tree ||
		    !kith_is_kept(phi, id, &k->in.cut[o])) {
			at += at == next;
			continue;
		}
		offer(k, tree, phi, id, vertex, to + target);
		if (!lists->rounds)
			return at;
		least = phi; /* of equal products the first id need not come first */
	}
	if (!lists->whole && !(list[lists->length - 1].w * h < k->leaving[tree].phi))
		scan_column(e, k, o, s->unit, tree);
	return at;
}

/* The first edge of a source unit that leaves its tree, unless it comes after what the tree has already. */
static inline void visit_source(const kith_h0_engine *e, kith_h0_work *k, uint32_t o, uint32_t unit, uint32_t tree)
{
	const kith_out_lists *lists = &e->lists[o];
	double *bound = &k->bound[o][unit];
	if (*bound < k->leaving[tree].phi || !(*bound >= k->in.cut[o].phi))
		return;
	source s = source_at(k, o, unit);
	const kith_out_entry *list = lists->entry + s.list * lists->length;
	uint32_t at = k->at[o][unit] = walk_list(e, k, o, &s, list, tree);
	if (at < lists->length)
		*bound = list[at].w * k->in.h[s.op->from][unit];
	else if (lists->whole)
		*bound = 0;
}

/* The same in all operations that begin at a unit. */
static inline void visit_sources(const kith_h0_engine *e, kith_h0_work *k, unit *u, uint32_t tree)
{
	if (u->out < k->leaving[tree].phi)
		return;
	uint32_t layer = e->layer[u->vertex], at = u->vertex - e->network->info.layers[layer].first_vertex;
	u->out = 0;
	for (uint32_t i = e->from_at[layer]; i < e->from_at[layer + 1]; i++) {
		uint32_t o = e->ops_from[i];
		visit_source(e, k, o, at, tree);
		u->out = k->bound[o][at] > u->out ? k->bound[o][at] : u->out;
	}
}

/* The first edge to a target unit that leaves its tree, if that is known. */
static inline void visit_known(const kith_h0_engine *e, kith_h0_work *k, unit *u, uint32_t tree)
{
	(void)e;
	if (u->other != KITH_NO_UNIT && kith_is_before(u->phi, u->id, &k->leaving[tree]) &&
	    tree_of(k, u->other) != tree)
		offer(k, tree, u->phi, u->id, u->vertex, u->other);
}

/* The same where it has to be found again, unless its bound comes after what the tree has already. */
static inline void visit_target(const kith_h0_engine *e, kith_h0_work *k, unit *u, uint32_t tree)
{
	if (!kith_is_before(u->phi, u->id, &k->leaving[tree]) ||
	    (u->other != KITH_NO_UNIT && tree_of(k, u->other) != tree))
		return;
	uint32_t layer = e->layer[u->vertex], v = u->vertex - e->network->info.layers[layer].first_vertex;
	kith_trees trees = {k->first_tree, k->tree, tree};
	kith_first best = k->leaving[tree];
	best.other = KITH_NO_UNIT;
	for (uint32_t i = e->to_at[layer]; i < e->to_at[layer + 1]; i++)
		kith_in_edges_leave(&k->in, e->ops_to[i], v, &trees, &best);
	u->phi = best.phi;
	u->id = best.id;
	u->other = best.other;
	if (best.other != KITH_NO_UNIT)
		offer(k, tree, best.phi, best.id, u->vertex, best.other);
}

/* ---- each unit at first ---- */

/* phi of each source unit's heaviest edge in an operation, by its list's first entry. */
static void start_bounds(const kith_h0_engine *e, kith_h0_work *k, uint32_t o)
{
	const kith_op *op = &e->network->info.ops[o];
	const double *h = k->in.h[op->from], *heads = e->lists[o].head;
	uint64_t units = e->network->info.layers[op->from].units, run = units / e->lists[o].count;
	for (uint64_t list = 0; list < e->lists[o].count; list++)
		for (uint64_t u = list * run; u < (list + 1) * run; u++)
			k->bound[o][u] = heads[list] * h[u];
	memset(k->at[o], 0, units * sizeof *k->at[o]);
}

/* The first edge to each unit. KITH_EUSAGE if phi overflows. */
static int start(const kith_h0_engine *e, kith_h0_work *k, double *const *h, kith_err *err)
{
	const kith_h0_info *info = &e->network->info;
	kith_in_edges_start(&k->in, h);
	memset(k->heaviest, 0, info->vertices * sizeof *k->heaviest);
	for (uint32_t x = 0; x < info->vertices; x++)
		k->heaviest[x].other = KITH_NO_UNIT;
	for (uint32_t o = 0; o < info->op_count; o++) {
		k->in.cut[o] = kith_cutoff_find(&k->cutoff, &k->in, o, info->keep);
		kith_in_edges_first(&k->in, o, k->heaviest + info->layers[info->ops[o].to].first_vertex);
		start_bounds(e, k, o);
	}
	for (uint32_t x = 0; x < info->vertices; x++) {
		k->parent[x] = k->first_tree[x] = k->tree[x] = x;
		if (isinf(k->heaviest[x].phi))
			return kith_fail(err, KITH_EUSAGE,
					 "phi of edge %llu overflows: scale weights or activations by a power of two",
					 (unsigned long long)k->heaviest[x].id);
	}
	k->edges = k->touched = 0;
	return 0;
}

/* The first round, in which each unit is a tree: the heaviest of its edges, from its sources and to its targets. */
static void visit_all(const kith_h0_engine *e, kith_h0_work *k)
{
	const kith_h0_info *info = &e->network->info;
	for (uint32_t x = 0; x < info->vertices; x++) {
		k->leaving[x] = k->heaviest[x];
		k->inside[x] = x;
	}
	for (uint32_t o = 0; o < info->op_count; o++) {
		const kith_net_layer *from = &info->layers[info->ops[o].from];
		for (uint32_t u = 0; u < from->units; u++)
			visit_source(e, k, o, u, from->first_vertex + u);
	}
}

static void add_edge(kith_h0_work *k, uint32_t tree)
{
	const kith_first *edge = &k->leaving[tree];
	k->found[k->edges++] = (found){edge->phi, edge->id, k->inside[tree], edge->other};
}

/* Joins each unit with the one that its heaviest edge leads to. Both may have the same. */
static void join_all(kith_h0_work *k, uint32_t vertices)
{
	for (uint32_t x = 0; x < vertices; x++) {
		if (x + AHEAD < vertices && k->leaving[x + AHEAD].other != KITH_NO_UNIT)
			__builtin_prefetch(&k->parent[k->leaving[x + AHEAD].other]);
		if (!(k->leaving[x].phi > 0))
			continue;
		uint32_t a = find(k->parent, x), b = find(k->parent, k->leaving[x].other);
		k->touched++;
		if (a == b)
			continue;
		k->parent[a] = b;
		add_edge(k, x);
	}
}

/* ---- then the smallest tree of all, again and again ---- */

/* Trees by size, the smallest first: a heap of size << 32 | tree. Sizes that have become others stay in it. */
static void push(kith_h0_work *k, uint64_t key)
{
	uint64_t at = k->heap_count++;
	for (; at && k->heap[(at - 1) / 2] > key; at = (at - 1) / 2)
		k->heap[at] = k->heap[(at - 1) / 2];
	k->heap[at] = key;
}

static uint64_t pop(kith_h0_work *k)
{
	uint64_t least = k->heap[0], key = k->heap[--k->heap_count], at = 0, child;
	while ((child = 2 * at + 1) < k->heap_count) {
		child += child + 1 < k->heap_count && k->heap[child + 1] < k->heap[child];
		if (k->heap[child] >= key)
			break;
		k->heap[at] = k->heap[child];
		at = child;
	}
	k->heap[at] = key;
	return least;
}

/* From union-find to numbered trees: their sizes and where their units stand. Vertices without an edge are in none. */
static uint32_t number_trees(kith_h0_work *k, uint32_t vertices)
{
	uint32_t trees = 0, at = 0;
	memset(k->size, 0, vertices * sizeof *k->size);
	for (uint32_t x = 0; x < vertices; x++) {
		k->first_tree[x] = find(k->parent, x);
		k->size[k->first_tree[x]]++;
	}
	for (uint32_t x = 0; x < vertices; x++) {
		if (k->size[x] < 2)
			continue;
		uint32_t size = k->size[x]; /* trees <= x: what is overwritten has been read */
		k->parent[x] = trees;
		k->size[trees] = size;
		k->tree[trees] = trees;
		k->next[trees] = KITH_NO_UNIT;
		k->start[trees++] = at;
		at += size;
	}
	k->start[trees] = at;
	return trees;
}

/* The first round's trees, and their units in the order of trees. */
static void list_trees(const kith_h0_engine *e, kith_h0_work *k)
{
	const kith_h0_info *info = &e->network->info;
	uint32_t trees = number_trees(k, (uint32_t)info->vertices), *at = k->inside;
	memcpy(at, k->start, trees * sizeof *at);
	for (uint32_t l = 0; l < info->layer_count; l++)
		for (uint32_t i = 0; i < info->layers[l].units; i++) {
			uint32_t x = info->layers[l].first_vertex + i;
			const kith_first *first = &k->heaviest[x];
			double out = 0;
			if (!(k->leaving[x].phi > 0) && k->first_tree[x] == x) { /* no edge */
				k->first_tree[x] = 0;
				continue;
			}
			k->first_tree[x] = k->parent[k->first_tree[x]];
			for (uint32_t f = e->from_at[l]; f < e->from_at[l + 1]; f++)
				out = k->bound[e->ops_from[f]][i] > out ? k->bound[e->ops_from[f]][i] : out;
			k->unit[at[k->first_tree[x]]++] = (unit){first->phi, first->id, first->other, x, out};
		}
	k->heap_count = 0;
	k->trees = trees;
	for (uint32_t t = 0; t < trees; t++)
		push(k, (uint64_t)k->size[t] << 32 | t);
}

/* Visits all units of a tree. */
static inline __attribute__((always_inline)) void visit_units(const kith_h0_engine *e, kith_h0_work *k, uint32_t tree,
							      void visit(const kith_h0_engine *, kith_h0_work *, unit *,
									 uint32_t))
{
	for (uint32_t part = tree, next; part != KITH_NO_UNIT; part = next) {
		if ((next = k->next[part]) != KITH_NO_UNIT)
			__builtin_prefetch(k->unit + k->start[next]);
		for (uint32_t at = k->start[part]; at < k->start[part + 1]; at++)
			visit(e, k, k->unit + at, tree);
	}
}

/* The first edge that leaves a tree. What costs least comes first, and leaves the others little to look for. */
static void visit_tree(const kith_h0_engine *e, kith_h0_work *k, uint32_t tree)
{
	k->leaving[tree] = (kith_first){0, 0, KITH_NO_UNIT};
	visit_units(e, k, tree, visit_known);
	visit_units(e, k, tree, visit_sources);
	visit_units(e, k, tree, visit_target);
}

/* A tree becomes part of a larger one. */
static void join(kith_h0_work *k, uint32_t tree, uint32_t larger)
{
	uint32_t last = tree;
	for (uint32_t part = tree; part != KITH_NO_UNIT; part = k->next[part]) {
		k->tree[part] = larger;
		last = part;
	}
	k->next[last] = k->next[larger];
	k->next[larger] = tree;
	k->size[larger] += k->size[tree];
	push(k, (uint64_t)k->size[larger] << 32 | larger);
}

/* The last tree that is not finished has nothing to be joined to. */
static void join_trees(const kith_h0_engine *e, kith_h0_work *k)
{
	while (k->trees > 1) {
		uint64_t key = pop(k);
		uint32_t tree = (uint32_t)key;
		if (k->tree[tree] != tree || k->size[tree] != key >> 32)
			continue;
		visit_tree(e, k, tree);
		k->trees--;
		if (!(k->leaving[tree].phi > 0))
			continue;
		add_edge(k, tree);
		join(k, tree, tree_of(k, k->leaving[tree].other));
	}
}

/* ---- the forest as it is handed on ---- */

/* Into the forest's order, marked, and back into that of ids. */
static int arrange(const kith_h0_engine *e, kith_h0_work *k, uint32_t *classes, kith_err *err)
{
	uint64_t edges = k->edges;
	for (uint64_t i = 0; i < edges; i++)
		k->keys[i] = (kith_key){k->found[i].id, (uint32_t)i};
	kith_keys_sort(k->keys, k->other_keys, edges);
	for (uint64_t i = 0; i < edges; i++) {
		const found *f = &k->found[k->keys[i].item];
		uint64_t bits;
		__builtin_prefetch(&k->found[k->keys[i + AHEAD < edges ? i + AHEAD : i].item]);
		k->id[i] = f->id;
		k->phi[i] = f->phi;
		k->inside[i] = k->keys[i].item;
		k->source[i] = f->a < f->b ? f->a : f->b; /* layers are in causal order */
		uint32_t layer = e->layer[k->source[i]];
		k->activation[i] = (float)k->in.h[layer][k->source[i] - e->network->info.layers[layer].first_vertex];
		memcpy(&bits, &f->phi, sizeof bits);
		k->keys[i] = (kith_key){~bits, (uint32_t)i};
	}
	kith_keys_sort_upper(k->keys, k->other_keys, edges);
	for (uint64_t i = 0; i < edges; i++) {
		uint64_t ahead = k->keys[i + 2 * AHEAD < edges ? i + 2 * AHEAD : i].item;
		__builtin_prefetch(&k->inside[ahead]);
		ahead = k->keys[i + AHEAD < edges ? i + AHEAD : i].item;
		__builtin_prefetch(&k->found[k->inside[ahead]]);
		const found *f = &k->found[k->inside[k->keys[i].item]];
		k->a[i] = f->a;
		k->b[i] = f->b;
		k->sorted_phi[i] = f->phi;
		k->parent[f->a] = f->a;
		k->parent[f->b] = f->b;
	}
	*classes = kith_h0_mark(edges, k->a, k->b, k->sorted_phi, k->parent, k->birth, k->sorted_mark);
	for (uint64_t i = 0; i < edges; i++)
		k->mark[k->keys[i].item] = k->sorted_mark[i];
	return *classes == KITH_NO_CLASS ? kith_fail(err, KITH_EBUG, "a forest has a cycle") : 0;
}

/* |F| = vertices - components, which are the classes without a death. (That each class has one basin is what readers
 * check.) */
static int check(const kith_h0_work *k, uint32_t classes, kith_err *err)
{
	uint64_t deaths = 0;
	for (uint64_t i = 0; i < k->edges; i++)
		deaths += k->mark[i] == KITH_MARK_DEATH;
	if (k->edges + classes - deaths != k->touched)
		return kith_fail(err, KITH_EBUG,
				 "%llu edges of %llu units, %u classes and %llu deaths do not fit together",
				 (unsigned long long)k->edges, (unsigned long long)k->touched, classes,
				 (unsigned long long)deaths);
	return 0;
}

int kith_h0_engine_run(const kith_h0_engine *e, kith_h0_work *k, double *const *h, kith_h0_forest *out, kith_err *err)
{
	uint32_t classes;
	int rc = start(e, k, h, err);
	if (rc)
		return rc;
	visit_all(e, k);
	join_all(k, (uint32_t)e->network->info.vertices);
	list_trees(e, k);
	join_trees(e, k);
	if ((rc = arrange(e, k, &classes, err)) || (rc = check(k, classes, err)))
		return rc;
	*out = (kith_h0_forest){k->edges, k->id, k->phi, k->mark, k->source, k->activation};
	return 0;
}
