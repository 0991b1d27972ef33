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

struct kith_h0_engine {
	const kith_network *network;
	kith_out_lists *lists; /* of each operation */
	/* By layer: the operations that begin there, ops_from[from_at[l]..from_at[l+1]-1], and those that end there. */
	uint32_t *from_at, *ops_from, *to_at, *ops_to;
	void *memory;
};

/* An edge of the forest as it is found. */
typedef struct found {
	double phi;
	uint64_t id;
	uint32_t a, b;
} found;

struct kith_h0_work {
	kith_in_edges in;
	kith_cutoff cutoff;
	/* By vertex. */
	kith_first *heaviest; /* its first edge from a source that is in another tree, or a bound */
	uint32_t *parent;     /* union-find */
	uint32_t *tree;       /* the root, as it was when the round began */
	kith_first *leaving;  /* of a root: the first edge that leaves the tree; `other` is the end outside */
	uint32_t *inside;     /* and its end inside */
	uint32_t *active;     /* vertices whose trees still look for edges */
	uint32_t *size;       /* of a root */
	uint32_t **at;        /* of each operation and source unit: where it is in its list */
	uint64_t active_count;
	/* The forest. */
	uint64_t edges;
	found *found;
	kith_key *keys, *other_keys;
	uint32_t *a, *b, *birth;
	uint64_t *id;
	double *phi, *sorted_phi;
	uint8_t *mark, *sorted_mark;
	void *memory;
};

/* ---- what is the same for all samples ---- */

uint64_t kith_h0_engine_bytes(const kith_network *network)
{
	uint64_t bytes = sizeof(kith_h0_engine) + 8ull * (network->info.layer_count + network->info.op_count);
	for (uint32_t o = 0; o < network->info.op_count; o++)
		bytes += sizeof(kith_out_lists) + kith_out_lists_bytes(&network->info, &network->info.ops[o]);
	return bytes;
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
	int rc = kith_workspace_alloc(&w, &e->memory, "lists of edges", err);
	if (!rc)
		list_ops(e);
	for (uint32_t o = 0; !rc && o < info->op_count; o++)
		if (!(rc = kith_progress_tick(progress, "sorting weights", o, info->op_count, err)))
			rc = kith_out_lists_make(&e->lists[o], info, &info->ops[o], &network->weights[o], threads, err);
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
			 uint32_t **winners, uint32_t **places)
{
	uint64_t vertices = network->info.vertices;
	kith_in_edges_list(w, &k->in, network, singles, winners);
	kith_cutoff_list(w, &k->cutoff, &network->info);
	KITH_BUFFER(w, k->heaviest, vertices);
	KITH_BUFFER(w, k->parent, vertices);
	KITH_BUFFER(w, k->tree, vertices);
	KITH_BUFFER(w, k->leaving, vertices);
	KITH_BUFFER(w, k->inside, vertices);
	KITH_BUFFER(w, k->active, vertices);
	KITH_BUFFER(w, k->size, vertices);
	KITH_BUFFER(w, k->at, network->info.op_count);
	KITH_BUFFER(w, *places, source_units(&network->info));
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
}

uint64_t kith_h0_work_bytes(const kith_network *network)
{
	kith_h0_work k = {0};
	kith_workspace w = {0};
	float *singles;
	uint32_t *winners, *places;
	list_buffers(&w, &k, network, &singles, &winners, &places);
	return sizeof k + kith_workspace_bytes(&w);
}

int kith_h0_work_create(kith_h0_work **out, const kith_h0_engine *engine, kith_err *err)
{
	const kith_h0_info *info = &engine->network->info;
	kith_h0_work *k = kith_alloc_zero(1, sizeof *k);
	kith_workspace w = {0};
	float *singles;
	uint32_t *winners, *places;
	if (!k)
		return kith_fail_nomem(err, "work space", sizeof *k);
	list_buffers(&w, k, engine->network, &singles, &winners, &places);
	int rc = kith_workspace_alloc(&w, &k->memory, "a sample's graph", err);
	if (rc) {
		free(k);
		return rc;
	}
	kith_in_edges_point(&k->in, singles, winners);
	for (uint32_t o = 0; o < info->op_count; o++) {
		k->at[o] = places;
		places += info->layers[info->ops[o].from].units;
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

static void offer(kith_h0_work *k, uint32_t tree, double phi, uint64_t id, uint32_t inside, uint32_t outside)
{
	if (!kith_is_before(phi, id, &k->leaving[tree]))
		return;
	k->leaving[tree] = (kith_first){phi, id, outside};
	k->inside[tree] = inside;
}

/* Where an entry of a source unit's list leads; 0 if nowhere. */
typedef struct source {
	const kith_h0_info *info;
	const kith_op *op;
	const uint32_t *winner; /* NULL: all places count */
	uint64_t unit;
	int64_t y, x; /* with padding */
} source;

static source source_at(const kith_h0_work *k, uint32_t o, uint64_t unit)
{
	const kith_h0_info *info = &k->in.network->info;
	const kith_op *op = &info->ops[o];
	source s = {info, op, op->rule == KITH_POOL_MAX ? k->in.winner[o] : NULL, unit, 0, 0};
	if (op->kind == KITH_DENSE || op->kind == KITH_IDENTITY)
		return s;
	const uint64_t *from = info->layers[op->from].shape;
	s.y = (int64_t)(unit / from[2] % from[1]) + op->padding[0];
	s.x = (int64_t)(unit % from[2]) + op->padding[1];
	return s;
}

static int lead(const source *s, const kith_out_entry *entry, uint64_t *target, uint64_t *id)
{
	const kith_op *op = s->op;
	uint64_t j = s->unit;
	if (op->kind == KITH_DENSE) {
		*target = entry->target;
	} else if (op->kind == KITH_IDENTITY) {
		*target = s->unit;
		j = 0;
	} else {
		const uint64_t *to = s->info->layers[op->to].shape, *from = s->info->layers[op->from].shape;
		int64_t y = s->y - (int64_t)entry->ky * op->dilation[0],
			x = s->x - (int64_t)entry->kx * op->dilation[1];
		if (y < 0 || x < 0 || y % op->stride[0] || x % op->stride[1])
			return 0;
		y /= op->stride[0];
		x /= op->stride[1];
		if (y >= (int64_t)to[1] || x >= (int64_t)to[2])
			return 0;
		*target = ((uint64_t)entry->target * to[1] + (uint64_t)y) * to[2] + (uint64_t)x;
		j = (uint64_t)entry->ky * op->kernel[1] + entry->kx;
		if (s->winner && s->winner[*target] != j)
			return 0;
		if (op->kind == KITH_CONV2D)
			j += s->unit / (from[1] * from[2]) % (from[0] / op->groups) * op->kernel[0] * op->kernel[1];
	}
	*id = op->base + *target * op->fan_in + j;
	return 1;
}

/* The channel whose list a unit has. */
static uint64_t list_of(const kith_h0_info *info, const kith_op *op, uint64_t unit)
{
	const uint64_t *from = info->layers[op->from].shape;
	return op->kind == KITH_DENSE ? unit : op->kind == KITH_IDENTITY ? 0 : unit / (from[1] * from[2]);
}

/* All edges of a unit whose list has come to its end, though there are more. */
static void scan_column(const kith_h0_engine *e, kith_h0_work *k, uint32_t o, uint64_t unit, uint32_t tree)
{
	const kith_h0_info *info = &e->network->info;
	const kith_op *op = &info->ops[o];
	uint32_t to = info->layers[op->to].first_vertex, from = info->layers[op->from].first_vertex;
	double h = k->in.h[op->from][unit];
	for (uint64_t v = 0; v < info->layers[op->to].units; v++) {
		uint64_t at = v * op->fan_in + unit;
		double phi = kith_weight_at(&e->network->weights[o], at) * h;
		if (phi >= k->leaving[tree].phi && k->tree[to + v] != tree &&
		    kith_is_kept(phi, op->base + at, &k->in.cut[o]))
			offer(k, tree, phi, op->base + at, from + (uint32_t)unit, to + (uint32_t)v);
	}
}

/* The first edge of a source unit that leaves its tree, unless it comes after what the tree has already. Entries before
 * at[unit] lead nowhere, or into the tree. */
static void visit_source(const kith_h0_engine *e, kith_h0_work *k, uint32_t o, uint64_t unit, uint32_t tree)
{
	const kith_h0_info *info = &e->network->info;
	const kith_op *op = &info->ops[o];
	const kith_out_lists *lists = &e->lists[o];
	const kith_out_entry *list = lists->entry + list_of(info, op, unit) * lists->length;
	double h = k->in.h[op->from][unit], first = 0; /* phi of the first edge that leaves the tree */
	uint32_t to = info->layers[op->to].first_vertex, vertex = info->layers[op->from].first_vertex + (uint32_t)unit;
	uint32_t *at = &k->at[o][unit], next = *at;
	int rounds = kith_op_rounds(e->network, o);
	source s = source_at(k, o, unit);
	for (; next < lists->length; next++) {
		double phi = list[next].w * h;
		uint64_t target, id;
		if (phi < k->leaving[tree].phi || phi < first || phi < k->in.cut[o].phi)
			return;
		if (!lead(&s, &list[next], &target, &id) || k->tree[to + target] == tree ||
		    !kith_is_kept(phi, id, &k->in.cut[o])) {
			*at += *at == next;
			continue;
		}
		offer(k, tree, phi, id, vertex, to + (uint32_t)target);
		if (!rounds)
			return;
		first = phi; /* of equal products the first id need not come first */
	}
	if (!lists->whole && h > 0 && !(list[lists->length - 1].w * h < k->leaving[tree].phi))
		scan_column(e, k, o, unit, tree);
}

/* The first edge to a target unit that leaves its tree, if it is before what the tree has already. */
static void visit_target(const kith_h0_engine *e, kith_h0_work *k, uint32_t layer, uint32_t unit, uint32_t tree)
{
	const kith_h0_info *info = &k->in.network->info;
	uint32_t vertex = info->layers[layer].first_vertex + unit;
	kith_first *heaviest = &k->heaviest[vertex];
	if (!kith_is_before(heaviest->phi, heaviest->id, &k->leaving[tree]))
		return;
	if (heaviest->other == KITH_NO_UNIT || k->tree[heaviest->other] == tree) {
		kith_first best = k->leaving[tree];
		best.other = KITH_NO_UNIT;
		for (uint32_t i = e->to_at[layer]; i < e->to_at[layer + 1]; i++)
			kith_in_edges_leave(&k->in, e->ops_to[i], unit, k->tree, tree, &best);
		*heaviest = best;
	}
	if (heaviest->other != KITH_NO_UNIT)
		offer(k, tree, heaviest->phi, heaviest->id, vertex, heaviest->other);
}

/* ---- rounds ---- */

/* The first edge to each unit. KITH_EUSAGE if phi overflows. */
static int start(const kith_h0_engine *e, kith_h0_work *k, double *const *h, kith_err *err)
{
	const kith_h0_info *info = &e->network->info;
	kith_in_edges_start(&k->in, h);
	memset(k->heaviest, 0, info->vertices * sizeof *k->heaviest);
	for (uint32_t o = 0; o < info->op_count; o++) {
		const kith_op *op = &info->ops[o];
		k->in.cut[o] = kith_cutoff_find(&k->cutoff, &k->in, o, info->keep);
		kith_in_edges_first(&k->in, o, k->heaviest + info->layers[op->to].first_vertex);
		memset(k->at[o], 0, info->layers[op->from].units * sizeof *k->at[o]);
	}
	for (uint32_t x = 0; x < info->vertices; x++) {
		k->parent[x] = x;
		k->active[x] = x;
		if (isinf(k->heaviest[x].phi))
			return kith_fail(err, KITH_EUSAGE,
					 "phi of edge %llu overflows: scale weights or activations by a power of two",
					 (unsigned long long)k->heaviest[x].id);
	}
	k->active_count = info->vertices;
	k->edges = 0;
	return 0;
}

/* Visits the active units of all layers, as sources or as targets: calls are cheap, so sources come first and leave
 * targets little to look for. */
static void visit_all(const kith_h0_engine *e, kith_h0_work *k, int sources)
{
	const kith_h0_info *info = &e->network->info;
	uint32_t layer = 0;
	for (uint64_t i = 0; i < k->active_count; i++) { /* vertices ascend */
		uint32_t x = k->active[i];
		while (x >= info->layers[layer].first_vertex + info->layers[layer].units)
			layer++;
		uint32_t unit = x - info->layers[layer].first_vertex, tree = k->tree[x];
		if (!sources) {
			visit_target(e, k, layer, unit, tree);
			continue;
		}
		for (uint32_t o = e->from_at[layer]; o < e->from_at[layer + 1] && k->in.h[layer][unit] > 0; o++)
			visit_source(e, k, e->ops_from[o], unit, tree);
	}
}

/* Joins each tree with the one that its first edge leads to. Two trees may have found the same edge. */
static int join(kith_h0_work *k)
{
	int joined = 0;
	for (uint64_t i = 0; i < k->active_count; i++) {
		uint32_t root = k->active[i];
		const kith_first *edge = &k->leaving[root];
		if (k->tree[root] != root || !(edge->phi > 0))
			continue;
		uint32_t x = find(k->parent, k->inside[root]), y = find(k->parent, edge->other);
		if (x == y)
			continue;
		k->parent[x] = y;
		k->found[k->edges++] = (found){edge->phi, edge->id, k->inside[root], edge->other};
		joined = 1;
	}
	return joined;
}

/* Trees as they are now, and their sizes; a vertex of the largest. */
static uint32_t relabel(kith_h0_work *k, uint64_t vertices)
{
	uint32_t largest = 0;
	memset(k->size, 0, vertices * sizeof *k->size);
	for (uint32_t x = 0; x < vertices; x++) {
		k->tree[x] = find(k->parent, x);
		if (++k->size[k->tree[x]] > k->size[largest])
			largest = k->tree[x];
	}
	return largest;
}

/* Trees that no edge leaves look for none any more. */
static void drop_finished(kith_h0_work *k)
{
	uint64_t left = 0;
	for (uint64_t i = 0; i < k->active_count; i++)
		if (k->leaving[k->tree[k->active[i]]].phi > 0)
			k->active[left++] = k->active[i];
	k->active_count = left;
}

/* Nor does the tree of one vertex: all others of its component find it in the end. */
static void drop_tree(kith_h0_work *k, uint32_t vertex)
{
	uint64_t left = 0;
	for (uint64_t i = 0; i < k->active_count; i++)
		if (k->tree[k->active[i]] != k->tree[vertex])
			k->active[left++] = k->active[i];
	k->active_count = left;
}

static void run_rounds(const kith_h0_engine *e, kith_h0_work *k)
{
	uint64_t vertices = e->network->info.vertices;
	uint32_t idle = KITH_NO_UNIT;
	for (uint32_t x = 0; x < vertices; x++) {
		k->tree[x] = x;
		k->size[x] = 1;
	}
	do {
		for (uint64_t i = 0; i < k->active_count; i++)
			k->leaving[k->tree[k->active[i]]] = (kith_first){0, 0, KITH_NO_UNIT};
		visit_all(e, k, 1);
		visit_all(e, k, 0);
		drop_finished(k);
		if (!join(k))
			break;
		uint32_t largest = relabel(k, vertices);
		idle = idle == KITH_NO_UNIT ? largest : idle;
		drop_tree(k, idle);
	} while (k->active_count);
}

/* ---- the forest as it is handed on ---- */

/* Into the forest's order, marked, and back into that of ids. */
static int arrange(kith_h0_work *k, uint32_t *classes, kith_err *err)
{
	uint64_t edges = k->edges;
	for (uint64_t i = 0; i < edges; i++)
		k->keys[i] = (kith_key){k->found[i].id, (uint32_t)i};
	kith_keys_sort(k->keys, k->other_keys, edges);
	for (uint64_t i = 0; i < edges; i++) {
		const found *f = &k->found[k->keys[i].item];
		uint64_t bits;
		k->id[i] = f->id;
		k->phi[i] = f->phi;
		k->inside[i] = k->keys[i].item;
		memcpy(&bits, &f->phi, sizeof bits);
		k->keys[i] = (kith_key){~bits, (uint32_t)i};
	}
	kith_keys_sort(k->keys, k->other_keys, edges);
	for (uint64_t i = 0; i < edges; i++) {
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

/* |F| = vertices - components; persistent classes without a death = components. (That each class has one basin is what
 * the readers check.) */
static int check(const kith_h0_work *k, uint64_t vertices, uint32_t classes, kith_err *err)
{
	uint64_t touched = 0, components = 0, deaths = 0;
	for (uint32_t x = 0; x < vertices; x++) {
		components += k->size[x] > 1 && k->tree[x] == x;
		touched += k->size[k->tree[x]] > 1;
	}
	for (uint64_t i = 0; i < k->edges; i++)
		deaths += k->mark[i] == KITH_MARK_DEATH;
	if (k->edges != touched - components || classes - deaths != components)
		return kith_fail(err, KITH_EBUG,
				 "%llu edges, %llu units, %llu components, %u classes, %llu deaths do not fit together",
				 (unsigned long long)k->edges, (unsigned long long)touched,
				 (unsigned long long)components, classes, (unsigned long long)deaths);
	return 0;
}

int kith_h0_engine_run(const kith_h0_engine *e, kith_h0_work *k, double *const *h, kith_h0_forest *out, kith_err *err)
{
	uint64_t vertices = e->network->info.vertices;
	uint32_t classes;
	int rc = start(e, k, h, err);
	if (rc)
		return rc;
	run_rounds(e, k);
	if ((rc = arrange(k, &classes, err)) || (rc = check(k, vertices, classes, err)))
		return rc;
	*out = (kith_h0_forest){k->edges, k->id, k->phi, k->mark};
	return 0;
}
