/* slow_h0.c - see slow_h0.h */
#include "slow_h0.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *get(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);
	assert(p);
	return p;
}

static uint64_t units_of(const kith_net_layer *l)
{
	uint64_t units = 1;
	for (uint32_t t = 0; t < l->dims; t++)
		units *= l->shape[t];
	return units;
}

static uint64_t fan_in_of(const slow_net *net, const kith_op *op)
{
	const kith_net_layer *from = &net->info.layers[op->from];
	uint64_t window = (uint64_t)op->kernel[0] * op->kernel[1];
	switch (op->kind) {
	case KITH_DENSE:
		return units_of(from);
	case KITH_CONV2D:
		return from->shape[0] / op->groups * window;
	case KITH_IDENTITY:
		return 1;
	default:
		return window;
	}
}

uint64_t slow_h0_ids(const slow_net *net)
{
	uint64_t ids = 0;
	for (uint32_t o = 0; o < net->info.op_count; o++)
		ids += units_of(&net->info.layers[net->info.ops[o].to]) * fan_in_of(net, &net->info.ops[o]);
	return ids;
}

/* Place j of target v: its source unit, or -1; and the element of the weights, as PyTorch has them. */
static long long place(const slow_net *net, const kith_op *op, uint64_t v, uint64_t j, uint64_t *weight)
{
	const uint64_t *from = net->info.layers[op->from].shape, *to = net->info.layers[op->to].shape;
	uint64_t fan_in = fan_in_of(net, op);
	if (op->kind == KITH_DENSE || op->kind == KITH_IDENTITY) {
		*weight = v * fan_in + j;
		return (long long)(op->kind == KITH_DENSE ? j : v);
	}
	uint64_t o = v / to[2] / to[1], y = v / to[2] % to[1], x = v % to[2];
	uint64_t c = j / op->kernel[1] / op->kernel[0], ky = j / op->kernel[1] % op->kernel[0], kx = j % op->kernel[1];
	*weight = o * fan_in + j;
	if (op->kind == KITH_CONV2D)
		c += o / (to[0] / op->groups) * (from[0] / op->groups);
	else
		c = o;
	long long sy = (long long)(y * op->stride[0] + ky * op->dilation[0]) - (long long)op->padding[0];
	long long sx = (long long)(x * op->stride[1] + kx * op->dilation[1]) - (long long)op->padding[1];
	if (sy < 0 || sx < 0 || sy >= (long long)from[1] || sx >= (long long)from[2])
		return -1;
	return ((long long)c * (long long)from[1] + sy) * (long long)from[2] + sx;
}

uint64_t slow_h0_places(const slow_net *net, uint32_t o)
{
	const kith_op *op = &net->info.ops[o];
	uint64_t places = 0, weight;
	for (uint64_t v = 0; v < units_of(&net->info.layers[op->to]); v++)
		for (uint64_t j = 0; j < fan_in_of(net, op); j++)
			places += place(net, op, v, j, &weight) >= 0;
	return places;
}

/* The place that a maxpool's window passes on. */
static uint64_t first_largest(const slow_net *net, const kith_op *op, const double *h, uint64_t v)
{
	uint64_t best = UINT64_MAX, weight;
	double most = 0;
	for (uint64_t j = 0; j < fan_in_of(net, op); j++) {
		long long u = place(net, op, v, j, &weight);
		if (u >= 0 && (best == UINT64_MAX || h[u] > most)) {
			best = j;
			most = h[u];
		}
	}
	return best;
}

static double phi_of(const slow_net *net, uint32_t o, const double *h, uint64_t v, uint64_t j, uint64_t u,
		     uint64_t weight)
{
	const kith_op *op = &net->info.ops[o];
	double w = 1;
	if (op->kind == KITH_DENSE || op->kind == KITH_CONV2D)
		w = fabs(net->weights[o][weight]);
	else if (op->kind == KITH_AVGPOOL)
		w = 1.0 / ((double)op->kernel[0] * op->kernel[1]);
	else if (op->kind == KITH_MAXPOOL && op->rule == KITH_POOL_MAX && first_largest(net, op, h, v) != j)
		w = 0;
	return w * fabs(h[u]);
}

static int in_order(const void *left, const void *right)
{
	const slow_h0_edge *e = left, *f = right;
	if (e->phi != f->phi)
		return e->phi > f->phi ? -1 : 1;
	return e->id < f->id ? -1 : 1;
}

/* Appends an operation's edges: those that `keep` leaves, with a phi above 0. */
static size_t add_edges(const slow_net *net, uint32_t o, double keep, size_t i, uint64_t base, slow_h0_edge *out)
{
	const kith_op *op = &net->info.ops[o];
	uint64_t targets = units_of(&net->info.layers[op->to]), sources = units_of(&net->info.layers[op->from]);
	uint64_t fan_in = fan_in_of(net, op), weight;
	const double *h = net->activations[op->from] + i * sources;
	uint32_t a = 0, b = 0;
	size_t count = 0, kept = 0;
	for (uint32_t l = 0; l < op->from; l++)
		a += (uint32_t)units_of(&net->info.layers[l]);
	for (uint32_t l = 0; l < op->to; l++)
		b += (uint32_t)units_of(&net->info.layers[l]);
	for (uint64_t v = 0; v < targets; v++)
		for (uint64_t j = 0; j < fan_in; j++) {
			long long u = place(net, op, v, j, &weight);
			if (u >= 0)
				out[count++] = (slow_h0_edge){base + v * fan_in + j,
							      phi_of(net, o, h, v, j, (uint64_t)u, weight),
							      a + (uint32_t)u,
							      b + (uint32_t)v,
							      o,
							      (uint64_t)u,
							      v};
		}
	qsort(out, count, sizeof *out, in_order);
	size_t most = (size_t)floor(keep * (double)count);
	if (most < 1)
		most = 1;
	while (kept < count && kept < most && out[kept].phi > 0)
		kept++;
	return kept;
}

/* The tree of each vertex as a label, relabelled by hand where two are joined. */
static void join(size_t *label, size_t vertices, size_t from, size_t to)
{
	for (size_t x = 0; x < vertices; x++)
		if (label[x] == from)
			label[x] = to;
}

static size_t all_units(const slow_net *net)
{
	size_t units = 0;
	for (uint32_t l = 0; l < net->info.layer_count; l++)
		units += units_of(&net->info.layers[l]);
	return units;
}

/* Kruskal's forest, in place; the births of all classes and their deaths, by forest edge: dies[e] is the birth that
 * ends at e or SIZE_MAX, elder[e] the one that lives on. */
static void grow(slow_h0 *h, size_t vertices, size_t count, size_t *dies, size_t *elder)
{
	size_t *label = get(vertices, sizeof *label), *birth = get(vertices, sizeof *birth);
	for (size_t x = 0; x < vertices; x++) {
		label[x] = x;
		birth[x] = SIZE_MAX; /* of the tree with this label */
	}
	for (size_t e = 0; e < count; e++) {
		size_t x = label[h->edge[e].a], y = label[h->edge[e].b], f = h->edges;
		if (x == y)
			continue;
		h->edge[f] = h->edge[e];
		h->edges++;
		dies[f] = elder[f] = SIZE_MAX;
		size_t first = birth[x] < birth[y] ? birth[x] : birth[y],
		       second = birth[x] < birth[y] ? birth[y] : birth[x];
		if (first == SIZE_MAX) {
			first = f;
		} else if (second != SIZE_MAX) {
			dies[f] = second;
			elder[f] = first;
		}
		join(label, vertices, y, x);
		birth[x] = first;
	}
	free(label);
	free(birth);
}

/* Which class is the birth at forest edge e of? */
static size_t class_born_at(const slow_h0 *h, size_t e)
{
	for (size_t c = 0; c < h->classes; c++)
		if (h->class_[c].birth == e)
			return c;
	return SIZE_MAX;
}

/* A birth is the first of its tree: neither vertex is in an earlier edge. */
static int is_birth(const slow_h0 *h, size_t e)
{
	for (size_t f = 0; f < e; f++)
		if (h->edge[f].a == h->edge[e].a || h->edge[f].a == h->edge[e].b || h->edge[f].b == h->edge[e].a ||
		    h->edge[f].b == h->edge[e].b)
			return 0;
	return 1;
}

static void list_classes(slow_h0 *h, const size_t *dies, const size_t *elder)
{
	h->class_ = get(h->edges, sizeof *h->class_);
	for (size_t e = 0; e < h->edges; e++) {
		size_t death = SIZE_MAX;
		if (!is_birth(h, e))
			continue;
		for (size_t f = 0; f < h->edges; f++)
			if (dies[f] == e)
				death = f;
		if (death == SIZE_MAX || h->edge[e].phi > h->edge[death].phi)
			h->class_[h->classes++] = (slow_h0_class){e, death, SIZE_MAX};
		else
			h->zero_lifetime++;
	}
	for (size_t c = 0; c < h->classes; c++)
		if (h->class_[c].death != SIZE_MAX) {
			h->class_[c].parent = class_born_at(h, elder[h->class_[c].death]);
			assert(h->class_[c].parent != SIZE_MAX);
		}
}

/* Labels vertices by what the forest's edges that are not `out` connect. */
static size_t *connect(const slow_h0 *h, size_t vertices, const unsigned char *out)
{
	size_t *label = get(vertices, sizeof *label);
	for (size_t x = 0; x < vertices; x++)
		label[x] = x;
	for (size_t e = 0; e < h->edges; e++)
		if (!out[e])
			join(label, vertices, label[h->edge[e].b], label[h->edge[e].a]);
	return label;
}

static size_t most_vertex(const slow_h0 *h)
{
	size_t most = 0;
	for (size_t e = 0; e < h->edges; e++) {
		most = h->edge[e].a > most ? h->edge[e].a : most;
		most = h->edge[e].b > most ? h->edge[e].b : most;
	}
	return most + 1;
}

static void find_basins(slow_h0 *h)
{
	unsigned char *is_death = get(h->edges, 1);
	for (size_t c = 0; c < h->classes; c++)
		if (h->class_[c].death != SIZE_MAX)
			is_death[h->class_[c].death] = 1;
	size_t *label = connect(h, most_vertex(h), is_death);
	h->basin = get(h->edges, sizeof *h->basin);
	for (size_t e = 0; e < h->edges; e++) {
		size_t found = 0;
		h->basin[e] = SIZE_MAX;
		for (size_t c = 0; c < h->classes && !is_death[e]; c++)
			if (label[h->edge[h->class_[c].birth].a] == label[h->edge[e].a]) {
				h->basin[e] = c;
				found++;
			}
		assert(is_death[e] || found == 1);
	}
	free(label);
	free(is_death);
}

void slow_h0_component(const slow_h0 *h, size_t class_, unsigned char *in)
{
	size_t death = h->class_[class_].death == SIZE_MAX ? h->edges : h->class_[class_].death;
	unsigned char *out = get(h->edges, 1);
	for (size_t e = 0; e < h->edges; e++)
		out[e] = e >= death;
	size_t *label = connect(h, most_vertex(h), out);
	for (size_t e = 0; e < h->edges; e++)
		in[e] = !out[e] && label[h->edge[e].a] == label[h->edge[h->class_[class_].birth].a];
	free(label);
	free(out);
}

slow_h0 slow_h0_of(const slow_net *net, double keep, size_t i)
{
	slow_h0 h = {0};
	uint64_t base = 0, ids = slow_h0_ids(net);
	size_t count = 0, units = all_units(net);
	h.edge = get(ids, sizeof *h.edge);
	for (uint32_t o = 0; o < net->info.op_count; o++) {
		const kith_op *op = &net->info.ops[o];
		count += add_edges(net, o, keep, i, base, h.edge + count);
		base += units_of(&net->info.layers[op->to]) * fan_in_of(net, op);
	}
	qsort(h.edge, count, sizeof *h.edge, in_order);
	size_t *dies = get(count, sizeof *dies), *elder = get(count, sizeof *elder);
	unsigned char *touched = get(units, 1);
	for (size_t e = 0; e < count; e++)
		touched[h.edge[e].a] = touched[h.edge[e].b] = 1;
	for (size_t x = 0; x < units; x++)
		h.vertices += touched[x];
	grow(&h, units, count, dies, elder);
	list_classes(&h, dies, elder);
	find_basins(&h);
	h.kept = count;
	h.components = h.vertices - h.edges;
	free(dies);
	free(elder);
	free(touched);
	return h;
}

void slow_h0_free(slow_h0 *h)
{
	free(h->edge);
	free(h->basin);
	free(h->class_);
	memset(h, 0, sizeof *h);
}

/* ---- files ---- */

/* A sample as it was read, and which place of the forest each of its edges has. */
typedef struct comparison {
	const kith_h0_info *info;
	const kith_h0_samples *samples;
	const slow_h0 *h;
	uint32_t s;
	size_t *place;
	char *why;
	size_t size;
} comparison;

__attribute__((format(printf, 2, 3))) static int differs(const comparison *c, const char *format, ...)
{
	va_list args;
	int at = snprintf(c->why, c->size, "sample %llu: ", (unsigned long long)(c->samples->first + c->s));
	va_start(args, format);
	vsnprintf(c->why + at, c->size - (size_t)at, format, args);
	va_end(args);
	return 1;
}

static int edges_differ(comparison *c)
{
	uint64_t first = c->samples->edge_at[c->s], edges = c->samples->edge_at[c->s + 1] - first;
	if (edges != c->h->edges)
		return differs(c, "%llu edges, not %zu", (unsigned long long)edges, c->h->edges);
	for (uint64_t e = 0; e < edges; e++) {
		size_t p = 0;
		while (p < edges && c->h->edge[p].id != c->samples->edge[first + e])
			p++;
		if (p == edges)
			return differs(c, "edge %llu is not in the forest",
				       (unsigned long long)c->samples->edge[first + e]);
		if (e && c->samples->edge[first + e] <= c->samples->edge[first + e - 1])
			return differs(c, "ids do not ascend");
		c->place[e] = p;
		double phi = c->samples->phi[first + e];
		int known = c->info->values || c->samples->mark[first + e] != KITH_MARK_NONE;
		if (phi != (known ? c->h->edge[p].phi : 0))
			return differs(c, "phi of edge %llu is %a, not %a", (unsigned long long)c->h->edge[p].id, phi,
				       c->h->edge[p].phi);
		kith_edge ends;
		const slow_h0_edge *want = &c->h->edge[p];
		if (kith_edge_find(c->info, want->id, &ends) || ends.op != want->op || ends.source != want->source ||
		    ends.target != want->target)
			return differs(c, "the ends of edge %llu", (unsigned long long)want->id);
	}
	return 0;
}

static int classes_differ(const comparison *c)
{
	uint64_t first = c->samples->edge_at[c->s], edges = c->samples->edge_at[c->s + 1] - first,
		 at = c->samples->class_at[c->s], classes = c->samples->class_at[c->s + 1] - at;
	if (classes != c->h->classes)
		return differs(c, "%llu classes, not %zu", (unsigned long long)classes, c->h->classes);
	for (uint64_t k = 0; k < classes; k++) {
		const kith_h0_class *got = &c->samples->classes[at + k];
		const slow_h0_class *want = &c->h->class_[k];
		size_t death = got->death == KITH_NO_CLASS ? SIZE_MAX : c->place[got->death];
		size_t parent = got->parent == KITH_NO_CLASS ? SIZE_MAX : got->parent;
		if (c->place[got->birth] != want->birth || death != want->death || parent != want->parent)
			return differs(c, "class %llu: birth, death or parent", (unsigned long long)k);
		if (got->birth_value != c->h->edge[want->birth].phi ||
		    got->death_value != (want->death == SIZE_MAX ? 0 : c->h->edge[want->death].phi))
			return differs(c, "class %llu: values", (unsigned long long)k);
	}
	for (uint64_t e = 0; e < edges; e++) {
		size_t basin = c->samples->basin[first + e] == KITH_NO_CLASS ? SIZE_MAX : c->samples->basin[first + e];
		if (basin != c->h->basin[c->place[e]])
			return differs(c, "the basin of edge %llu", (unsigned long long)c->samples->edge[first + e]);
	}
	return 0;
}

static int component_differs(const comparison *c, kith_h0_scratch *scratch, uint32_t k)
{
	uint64_t edges = c->samples->edge_at[c->s + 1] - c->samples->edge_at[c->s];
	uint32_t *positions = get(edges, sizeof *positions), count = 0;
	unsigned char *in = get(edges, 1), *got = get(edges, 1);
	kith_err err = {0};
	int bad = 0;
	if (kith_h0_component(c->info, c->samples, c->s, k, scratch, positions, &count, &err))
		bad = differs(c, "component: %.900s", err.msg);
	slow_h0_component(c->h, k, in);
	for (uint32_t p = 0; p < count; p++)
		got[c->place[positions[p]]] = 1;
	for (uint64_t e = 0; e < edges && !bad; e++)
		if (got[e] != in[e])
			bad = differs(c, "the component of class %u", k);
	free(positions);
	free(in);
	free(got);
	return bad;
}

static int sample_differs(comparison *c, const slow_net *net, double keep, unsigned components, rng *r)
{
	slow_h0 h = slow_h0_of(net, keep, c->samples->first + c->s);
	kith_h0_scratch scratch = {0};
	c->h = &h;
	c->place = get(h.edges, sizeof *c->place);
	int bad = edges_differ(c) || classes_differ(c);
	for (uint32_t k = 0; k < h.classes && !bad && c->info->values; k++)
		bad = rng_chance(r, components) && component_differs(c, &scratch, k);
	kith_h0_scratch_free(&scratch);
	free(c->place);
	slow_h0_free(&h);
	return bad;
}

static int header_differs(const kith_h0_info *info, const slow_net *net, double keep, char *why, size_t size)
{
	if (info->n != net->info.n || info->ids != slow_h0_ids(net) || info->keep != keep ||
	    info->op_count != net->info.op_count || info->layer_count != net->info.layer_count)
		return snprintf(why, size, "the header") > 0;
	for (uint32_t o = 0; o < info->op_count; o++)
		if (info->ops[o].edges != slow_h0_places(net, o) || info->ops[o].kind != net->info.ops[o].kind)
			return snprintf(why, size, "operation %u has %llu edges", o,
					(unsigned long long)info->ops[o].edges) > 0;
	return 0;
}

int slow_h0_file_differs(const char *path, const slow_net *net, double keep, unsigned components, rng *r, char *why,
			 size_t size)
{
	kith_h0_store *store = NULL;
	kith_h0_samples samples = {0};
	kith_err err = {0};
	if (kith_h0_store_open(&store, path, &err))
		return snprintf(why, size, "open: %.900s", err.msg) > 0;
	const kith_h0_info *info = kith_h0_store_get_info(store);
	int bad = header_differs(info, net, keep, why, size);
	unsigned parts = KITH_H0_CLASSES | (info->values ? KITH_H0_VALUES : 0);
	for (uint64_t b = 0; b < kith_h0_info_blocks(info) && !bad; b++) {
		if (kith_h0_store_read(store, b, parts, &samples, &err))
			bad = snprintf(why, size, "read: %.900s", err.msg) > 0;
		for (uint32_t s = 0; !bad && s < samples.count; s++) {
			comparison c = {.info = info, .samples = &samples, .s = s, .why = why, .size = size};
			bad = sample_differs(&c, net, keep, components, r);
		}
	}
	if (!bad && kith_h0_store_check(store, NULL, &err))
		bad = snprintf(why, size, "check: %.900s", err.msg) > 0;
	kith_h0_samples_free(&samples);
	kith_h0_store_close(store);
	return bad;
}
