/* property_h0.c - kith_h0_build on small random networks of every operation, against the definition: every edge, value,
 * class, basin and component equal, whatever the threads and memory; and against itself, on networks changed in ways
 * that leave its forests or its diagrams as they were. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kith/h0.h"
#include "random_net.h"
#include "sandbox.h"
#include "slow_h0.h"

#define MAX_CHANNELS 160

static int say(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%.900s", what);
	return 1;
}

static int build(const random_net *net, const kith_h0_options *options, const char *name, char kh0[SANDBOX_PATH],
		 char *why, size_t size)
{
	kith_h0_summary summary = {0};
	kith_err err = {0};
	char json[SANDBOX_PATH];
	random_net_write(net, name, json, sizeof json);
	remove(sandbox_path(kh0, "%s.kh0", name));
	size_t entries = sandbox_entries();
	if (kith_h0_build(json, kh0, options, &summary, &err))
		return say(why, size, err.msg);
	return sandbox_entries() == entries + 1 ? 0 : say(why, size, "something is left behind");
}

/* ---- what must not matter ---- */

/* A file, all of it in one block. */
typedef struct forests {
	kith_h0_store *store;
	const kith_h0_info *info;
	kith_h0_samples samples;
} forests;

static int open_forests(forests *f, const char *kh0, char *why, size_t size)
{
	kith_err err = {0};
	if (kith_h0_store_open(&f->store, kh0, &err) ||
	    kith_h0_store_read(f->store, 0, KITH_H0_CLASSES | KITH_H0_VALUES, &f->samples, &err))
		return say(why, size, err.msg);
	f->info = kith_h0_store_get_info(f->store);
	return kith_h0_info_blocks(f->info) == 1 ? 0 : say(why, size, "more than one block");
}

static void close_forests(forests *f)
{
	kith_h0_samples_free(&f->samples);
	kith_h0_store_close(f->store);
}

/* What the second network is of the first: values times 2^exponent; channel c of `layer` is old_of[c] of the first, or
 * a new one (-1). */
typedef struct change {
	int exponent;
	uint32_t layer;
	uint64_t channels, block; /* block: units of a channel */
	int64_t old_of[MAX_CHANNELS];
} change;

static uint64_t old_unit(const change *c, uint32_t layer, uint64_t unit)
{
	return layer == c->layer ? (uint64_t)c->old_of[unit / c->block] * c->block + unit % c->block : unit;
}

static int edge_differs(const forests *a, const forests *b, const change *c, uint64_t e)
{
	const kith_h0_samples *x = &a->samples, *y = &b->samples;
	kith_edge old, new;
	if (kith_edge_find(a->info, x->edge[e], &old) || kith_edge_find(b->info, y->edge[e], &new))
		return 1;
	const kith_op *op = &b->info->ops[new.op];
	return old.op != new.op || old.source != old_unit(c, op->from, new.source) ||
	       old.target != old_unit(c, op->to, new.target) || x->mark[e] != y->mark[e] ||
	       x->basin[e] != y->basin[e] || ldexp(x->phi[e], c->exponent) != y->phi[e];
}

/* The same edges in the same order, the same classes, values times 2^exponent. */
static int forests_differ(const forests *a, const forests *b, const change *c, char *why, size_t size)
{
	const kith_h0_samples *x = &a->samples, *y = &b->samples;
	for (uint32_t s = 0; s <= x->count; s++)
		if (x->edge_at[s] != y->edge_at[s] || x->class_at[s] != y->class_at[s])
			return say(why, size, "other numbers of edges or classes");
	for (uint64_t e = 0; e < x->edge_at[x->count]; e++)
		if (edge_differs(a, b, c, e))
			return say(why, size, "another edge");
	for (uint64_t k = 0; k < x->class_at[x->count]; k++) {
		const kith_h0_class *p = &x->classes[k], *q = &y->classes[k];
		if (p->birth != q->birth || p->death != q->death || p->parent != q->parent ||
		    ldexp(p->birth_value, c->exponent) != q->birth_value ||
		    ldexp(p->death_value, c->exponent) != q->death_value)
			return say(why, size, "another class");
	}
	return 0;
}

static int by_values(const void *left, const void *right)
{
	const kith_h0_class *p = left, *q = right;
	if (p->birth_value != q->birth_value)
		return p->birth_value > q->birth_value ? -1 : 1;
	return (p->death_value < q->death_value) - (p->death_value > q->death_value);
}

/* The same multisets of births and deaths. Orders the classes anew. */
static int diagrams_differ(forests *a, forests *b, char *why, size_t size)
{
	kith_h0_samples *x = &a->samples, *y = &b->samples;
	for (uint32_t s = 0; s < x->count; s++) {
		kith_h0_class *p = x->classes + x->class_at[s], *q = y->classes + y->class_at[s];
		uint64_t classes = x->class_at[s + 1] - x->class_at[s];
		if (y->class_at[s + 1] - y->class_at[s] != classes)
			return say(why, size, "another number of classes");
		qsort(p, classes, sizeof *p, by_values);
		qsort(q, classes, sizeof *q, by_values);
		for (uint64_t k = 0; k < classes; k++)
			if (by_values(&p[k], &q[k]))
				return say(why, size, "another diagram");
	}
	return 0;
}

/* The components of the classes that never die: each edge of the forest is in one of them. */
static int components_differ(const forests *f, char *why, size_t size)
{
	const kith_h0_samples *x = &f->samples;
	kith_h0_scratch scratch = {0};
	kith_err err = {0};
	int bad = 0;
	for (uint32_t s = 0; s < x->count && !bad; s++) {
		uint64_t edges = x->edge_at[s + 1] - x->edge_at[s], found = 0;
		uint32_t *positions = must_alloc(edges, sizeof *positions), count = 0;
		unsigned char *in = must_alloc(edges, 1);
		for (uint32_t k = 0; k < x->class_at[s + 1] - x->class_at[s] && !bad; k++) {
			if (x->classes[x->class_at[s] + k].death != KITH_NO_CLASS)
				continue;
			if (kith_h0_component(f->info, x, s, k, &scratch, positions, &count, &err))
				bad = say(why, size, err.msg);
			for (uint32_t p = 0; p < count && !bad; p++)
				found += !in[positions[p]]++;
			for (uint32_t p = 0; p < count && !bad; p++)
				bad = in[positions[p]] > 1 && say(why, size, "components overlap");
		}
		if (!bad && found != edges)
			bad = say(why, size, "components are not all of the forest");
		free(positions);
		free(in);
	}
	kith_h0_scratch_free(&scratch);
	return bad;
}

/* Activations times 2^exponent, as doubles: these have room. */
static void scale(random_net *n, change *c, rng *r)
{
	c->exponent = (int)rng_between(r, 0, 400) - 200;
	for (uint32_t l = 0; l < n->net.info.layer_count; l++) {
		n->activation_types[l] = KITH_F8;
		for (uint64_t i = 0; i < n->net.info.n * random_net_units(&n->layers[l]); i++)
			n->activations[l][i] = ldexp(n->activations[l][i], c->exponent);
	}
}

/* A type that holds all values of `type`. */
static kith_dtype draw_wider(kith_dtype type, rng *r)
{
	static const kith_dtype floats[] = {KITH_F8, KITH_F4, KITH_F2};
	return floats[rng_below(r, type == KITH_F8 ? 1 : type == KITH_F4 || type == KITH_BF16 ? 2 : 3)];
}

static void retype(random_net *n, rng *r)
{
	for (uint32_t l = 0; l < n->net.info.layer_count; l++)
		n->activation_types[l] = draw_wider(n->activation_types[l], r);
	for (uint32_t o = 0; o < n->net.info.op_count; o++)
		n->weight_types[o] = draw_wider(n->weight_types[o], r);
}

/* `array` is outer x channels x inner: the channels as `c` says, `fill` where they are new. */
static void rechannel(double **array, uint64_t outer, uint64_t channels, uint64_t inner, const change *c, double fill)
{
	double *out = must_alloc(outer * c->channels * inner, sizeof *out);
	for (uint64_t i = 0; i < outer; i++)
		for (uint64_t k = 0; k < c->channels; k++)
			for (uint64_t t = 0; t < inner; t++)
				out[(i * c->channels + k) * inner + t] =
					c->old_of[k] < 0
						? fill
						: (*array)[(i * channels + (uint64_t)c->old_of[k]) * inner + t];
	free(*array);
	*array = out;
}

/* Channels of a layer (units, if it is a list of these) change with all of their weights; new ones have none. */
static void change_channels(random_net *n, const change *c)
{
	kith_net_layer *layer = &n->layers[c->layer];
	uint64_t channels = layer->shape[0], rows, columns;
	rechannel(&n->activations[c->layer], n->net.info.n, channels, c->block, c, 1);
	for (uint32_t o = 0; o < n->net.info.op_count; o++) {
		random_net_weight_shape(n, o, &rows, &columns);
		if (n->ops[o].to == c->layer)
			rechannel(&n->weights[o], 1, channels, rows / channels * columns, c, 0);
		else if (n->ops[o].from == c->layer)
			rechannel(&n->weights[o], rows, channels, columns / channels, c, 0);
	}
	layer->shape[0] = c->channels;
}

/* A layer whose operations all have weights that are its channels' own; UINT32_MAX if there is none. */
static uint32_t draw_layer(const random_net *n, rng *r)
{
	uint32_t count = n->net.info.layer_count, first = (uint32_t)rng_below(r, count);
	for (uint32_t t = 0; t < count; t++) {
		uint32_t l = (first + t) % count;
		int good = n->layers[l].shape[0] < MAX_CHANNELS;
		for (uint32_t o = 0; o < n->net.info.op_count; o++) {
			const kith_op *op = &n->ops[o];
			if (op->from == l || op->to == l)
				good &= op->kind == KITH_DENSE || (op->kind == KITH_CONV2D && op->groups == 1);
		}
		if (good)
			return l;
	}
	return UINT32_MAX;
}

/* All channels in another order, or a new one among them. Returns 0 if no layer is fit for it. */
static int draw_channels(change *c, const random_net *n, int insert, rng *r)
{
	uint32_t order[MAX_CHANNELS];
	if ((c->layer = draw_layer(n, r)) == UINT32_MAX)
		return 0;
	const kith_net_layer *layer = &n->layers[c->layer];
	uint64_t channels = layer->shape[0], place = rng_below(r, channels + 1);
	c->channels = channels + (insert ? 1 : 0);
	c->block = random_net_units(layer) / channels;
	for (uint32_t k = 0; k < channels; k++)
		order[k] = k;
	if (!insert)
		rng_shuffle(r, order, channels);
	for (uint64_t k = 0, old = 0; k < c->channels; k++)
		c->old_of[k] = insert && k == place ? -1 : (int64_t)order[old++];
	return 1;
}

/* Changes the network and compares. */
static int change_differs(const random_net *net, kith_h0_options *options, rng *r, char *why, size_t size)
{
	enum { SCALE, TYPE, PERMUTE, INSERT } what = (int)rng_below(r, 4);
	static const char *const names[] = {"activations times 2^k", "other types", "channels permuted",
					    "a channel without weights"};
	change c = {.layer = UINT32_MAX};
	forests a = {0}, b = {0};
	random_net other;
	char kh0[2][SANDBOX_PATH], found[1000];
	if (what >= PERMUTE && !draw_channels(&c, net, what == INSERT, r))
		what = rng_chance(r, 50) ? SCALE : TYPE;
	options->values = 1;
	if (what >= PERMUTE) /* among equals, ids say which are kept; and N is another one */
		options->keep = 1;
	random_net_copy(&other, net);
	if (what == SCALE)
		scale(&other, &c, r);
	else if (what == TYPE)
		retype(&other, r);
	else
		change_channels(&other, &c);
	int bad = build(net, options, "net", kh0[0], found, sizeof found) ||
		  build(&other, options, "other", kh0[1], found, sizeof found) ||
		  open_forests(&a, kh0[0], found, sizeof found) || open_forests(&b, kh0[1], found, sizeof found) ||
		  components_differ(&a, found, sizeof found) ||
		  (what == PERMUTE ? diagrams_differ(&a, &b, found, sizeof found)
				   : forests_differ(&a, &b, &c, found, sizeof found));
	if (bad)
		snprintf(why, size, "%s: %.900s", names[what], found);
	close_forests(&a);
	close_forests(&b);
	random_net_free(&other);
	return bad;
}

/* ---- rounds ---- */

static void draw_options(kith_h0_options *options, rng *r)
{
	kith_h0_defaults(options);
	if (rng_chance(r, 40))
		options->keep = rng_chance(r, 50) ? 0.01 + 0.99 * rng_unit(r) : (double)rng_between(r, 1, 4) / 4;
	options->values = rng_chance(r, 80);
	options->threads = (int)rng_between(r, 1, 3);
	options->command = "property_h0";
}

static int round_h0(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	random_net net;
	kith_h0_options options;
	char kh0[SANDBOX_PATH], what[1024] = "";
	random_net_draw(&net, &r);
	draw_options(&options, &r);
	int differs = build(&net, &options, "net", kh0, what, sizeof what) ||
		      slow_h0_file_differs(kh0, &net.net, options.keep, 30, &r, what, sizeof what);
	if (differs)
		snprintf(why, size, "%s, keep %g, %s, %d threads: %s", net.kind, options.keep,
			 options.values ? "values" : "no values", options.threads, what);
	else if ((differs = change_differs(&net, &options, &r, what, sizeof what)))
		snprintf(why, size, "%s, keep %g: %s", net.kind, options.keep, what);
	random_net_free(&net);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_h0", property_start(argc, argv, 2000), round_h0);
}
