/* property_update.c - random stacks merged twice: from scratch, and with the pair store of an earlier stack at hand
 * that has some of the layers, in another order, at other k. Stack and new pair store must be the same, and the layers
 * that could be kept must have been. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kith/merge.h"
#include "kith/pairs.h"
#include "sandbox.h"
#include "slow.h"

#define MOST_LAYERS 140

/* Graphs to draw stacks from. */
typedef struct pool {
	size_t n, width, count;
	uint32_t shared, k[4]; /* every graph's ladder holds these */
	uint32_t *ranks[MOST_LAYERS];
	kith_graph_info info[MOST_LAYERS];
	char path[MOST_LAYERS][SANDBOX_PATH];
} pool;

/* Some of them in some order, maybe one twice. */
typedef struct stack {
	size_t layers;
	uint32_t graph[MOST_LAYERS];
	char name[MOST_LAYERS][32];
} stack;

/* A layer is new, or like an earlier one. */
static void draw_ranks(pool *p, size_t v, rng *r)
{
	const uint32_t *like = v && rng_chance(r, 80) ? p->ranks[rng_below(r, v)] : NULL;
	p->ranks[v] = must_alloc(p->n * p->width, sizeof **p->ranks);
	slow_random_ranks(r, p->n, like, p->ranks[v]);
}

/* Nearly all exact: others are not known again. */
static void draw_info(const pool *p, kith_graph_info *info, rng *r)
{
	static const uint32_t blocks[] = {0, 1, 2, 8, 64};
	char wanted[1024] = {0};
	memset(info, 0, sizeof *info);
	info->n = p->n;
	info->d = rng_between(r, 1, 1000);
	for (uint32_t t = 0; t < p->shared; t++)
		wanted[p->k[t]] = 1;
	if (rng_chance(r, 20))
		wanted[rng_between(r, 1, p->width)] = 1;
	for (uint32_t k = 1; k <= p->width; k++)
		if (wanted[k])
			info->ladder[info->tiers++] = k;
	info->block_nodes = blocks[rng_below(r, 5)];
	info->recall = rng_chance(r, 95) ? 1 : rng_unit(r);
	strcpy(info->metric, rng_chance(r, 70) ? "l2" : "cosine");
	strcpy(info->engine, info->recall == 1 ? "exact" : "faiss:HNSW32");
	if (rng_chance(r, 3))
		strcpy(info->parameters, "seed=1");
	snprintf(info->digest, sizeof info->digest, "xxh3:%016llx", (unsigned long long)rng_next(r));
}

static void draw_shape(pool *p, rng *r)
{
	if (rng_chance(r, 8)) { /* layers around the width of machine words */
		p->n = rng_between(r, 2, 5);
		p->count = rng_between(r, 125, MOST_LAYERS - 5);
	} else if (rng_chance(r, 20)) {
		p->n = rng_between(r, 30, 150);
		p->count = rng_between(r, 1, 5);
	} else {
		p->n = rng_between(r, 2, 30);
		p->count = rng_between(r, 1, 12);
	}
	p->width = p->n - 1;
	uint32_t most = rng_chance(r, 40) && p->width > 8 ? (uint32_t)p->width / 8 : (uint32_t)p->width;
	p->shared = slow_random_ladder(r, most, 4, p->k);
}

static int draw_pool(pool *p, rng *r, char *why, size_t size)
{
	int failed = 0;
	draw_shape(p, r);
	for (size_t v = 0; v < p->count; v++) {
		kith_err err = {0};
		draw_ranks(p, v, r);
		draw_info(p, &p->info[v], r);
		sandbox_path(p->path[v], "layer%zu.nng", v);
		remove(p->path[v]);
		if (slow_graph_write(p->path[v], &p->info[v], p->width, p->ranks[v], NULL, (uint64_t)16 << 20, r, &err))
			failed = snprintf(why, size, "writing: %.900s", err.msg) > 0;
	}
	for (size_t v = 0; v < p->count; v++)
		free(p->ranks[v]);
	return failed;
}

/* ---- stacks, and edits of them ---- */

static void insert(stack *s, size_t at, uint32_t graph)
{
	memmove(s->graph + at + 1, s->graph + at, (s->layers - at) * sizeof *s->graph);
	s->graph[at] = graph;
	s->layers++;
}

static void drop(stack *s, size_t at)
{
	s->layers--;
	memmove(s->graph + at, s->graph + at + 1, (s->layers - at) * sizeof *s->graph);
}

/* Most often of such a length that the edited one may be about as long as a word. */
static void draw_stack(const pool *p, stack *s, rng *r)
{
	static const size_t around[] = {31, 32, 33, 62, 63, 64, 65, 66, 126, 127, 128, 129};
	uint32_t order[MOST_LAYERS];
	for (uint32_t v = 0; v < p->count; v++)
		order[v] = v;
	rng_shuffle(r, order, p->count);
	s->layers = p->count > 100 ? around[rng_below(r, 12)] : rng_between(r, 1, p->count);
	if (s->layers > p->count)
		s->layers = p->count;
	memcpy(s->graph, order, s->layers * sizeof *order);
	if (rng_chance(r, 5))
		insert(s, rng_below(r, s->layers + 1), s->graph[0]);
}

static void edit(const pool *p, stack *s, rng *r)
{
	for (uint64_t edits = rng_chance(r, 60) ? 1 : rng_below(r, 5); edits > 0; edits--) {
		uint32_t any = (uint32_t)rng_below(r, p->count);
		size_t at = rng_below(r, s->layers);
		switch (rng_below(r, 5)) {
		case 0:
			insert(s, s->layers, any);
			break;
		case 1:
			s->graph[at] = any;
			break;
		case 2:
			if (s->layers > 1)
				drop(s, at);
			break;
		case 3:
			insert(s, at, any);
			break;
		default:
			rng_shuffle(r, s->graph, rng_between(r, 1, s->layers));
		}
	}
	for (size_t v = 0; v < s->layers; v++)
		snprintf(s->name[v], sizeof s->name[v], "%c%zu", (int)('A' + rng_below(r, 26)), v);
}

/* ---- merging ---- */

static int merge(const pool *p, const stack *s, const kith_merge_options *options, const char *json, kith_err *err)
{
	const char *paths[MOST_LAYERS], *names[MOST_LAYERS];
	kith_stack *got = NULL;
	for (size_t v = 0; v < s->layers; v++) {
		paths[v] = p->path[s->graph[v]];
		names[v] = s->name[v];
	}
	int status = kith_merge(s->layers, paths, names, options, &got, err);
	if (!status)
		status = kith_stack_write(got, json, err);
	kith_stack_free(got);
	return status;
}

static void draw_options(const pool *p, const stack *s, kith_merge_options *options, rng *r)
{
	kith_merge_defaults(options);
	if (rng_chance(r, 50))
		for (uint32_t t = 0; t < p->shared; t++)
			if (rng_chance(r, 60))
				options->k[options->k_count++] = p->k[t];
	options->alpha = rng_chance(r, 30) && s->layers <= 33 ? KITH_ALPHA_ALL : (uint32_t)rng_below(r, 4);
	options->with_union = rng_chance(r, 70);
	options->with_mutual = !options->with_union || rng_chance(r, 40);
	options->threads = (int)rng_between(r, 1, 4);
	options->block_pairs = rng_chance(r, 30) ? 0 : (uint32_t)rng_between(r, 1, 100);
}

static int files_differ(const char *a, const char *b)
{
	size_t a_size = 0, b_size = 0;
	unsigned char *x = sandbox_read(a, &a_size), *y = sandbox_read(b, &b_size);
	int differ = !x || !y || a_size != b_size || memcmp(x, y, a_size) != 0;
	free(x);
	free(y);
	return differ;
}

static int extras_differ(kith_pair_store *a, kith_pair_store *b)
{
	void *x = NULL, *y = NULL;
	uint64_t x_size = 0, y_size = 0;
	int differ = kith_pair_store_get_info(a)->extras != 1 || kith_pair_store_get_info(b)->extras != 1 ||
		     kith_pair_store_get_extra(a, "nnts", &x, &x_size, NULL) ||
		     kith_pair_store_get_extra(b, "nnts", &y, &y_size, NULL) || x_size != y_size ||
		     memcmp(x, y, x_size) != 0;
	free(x);
	free(y);
	return differ;
}

static int layers_differ(const kith_pair_info *a, const kith_pair_info *b)
{
	int differ = 0;
	for (uint32_t v = 0; !differ && v < a->layer_count; v++) {
		const kith_layer *x = &a->layers[v], *y = &b->layers[v];
		differ = strcmp(x->name, y->name) || x->dim != y->dim || strcmp(x->metric, y->metric) ||
			 strcmp(x->engine, y->engine) || strcmp(x->digest, y->digest) || strcmp(x->input, y->input) ||
			 strcmp(x->command, y->command) || x->recall != y->recall;
	}
	return differ;
}

static int blocks_differ(kith_pair_store *a, kith_pair_store *b, uint64_t block)
{
	kith_pair_planes x = {0}, y = {0};
	int differ = kith_pair_store_read_planes(a, block, 0, NULL, &x, NULL) ||
		     kith_pair_store_read_planes(b, block, 0, NULL, &y, NULL) || x.count != y.count ||
		     x.stride != y.stride || memcmp(x.i, y.i, x.count * sizeof *x.i) != 0 ||
		     memcmp(x.j, y.j, x.count * sizeof *x.j) != 0 ||
		     memcmp(x.bits, y.bits, 2 * x.stride * x.levels * x.layers * sizeof *x.bits) != 0;
	kith_pair_planes_free(&x);
	kith_pair_planes_free(&y);
	return differ;
}

/* Everything but the command. */
static int stores_differ(const char *path, const char *other, char *why, size_t size)
{
	kith_pair_store *a = NULL, *b = NULL;
	kith_err err = {0};
	int differ = 0;
	if (kith_pair_store_open(&a, path, &err) || kith_pair_store_open(&b, other, &err) ||
	    kith_pair_store_check(b, NULL, &err)) {
		differ = snprintf(why, size, "pair store: %.900s", err.msg) > 0;
		goto done;
	}
	const kith_pair_info *x = kith_pair_store_get_info(a), *y = kith_pair_store_get_info(b);
	if (x->n != y->n || x->pairs != y->pairs || x->layer_count != y->layer_count || x->levels != y->levels ||
	    memcmp(x->k, y->k, sizeof x->k) != 0 || x->block_pairs != y->block_pairs || layers_differ(x, y))
		differ = snprintf(why, size, "pair store: what it says of itself") > 0;
	else if (extras_differ(a, b))
		differ = snprintf(why, size, "pair store: its extra record") > 0;
	for (uint64_t block = 0; !differ && block < kith_pair_info_blocks(x); block++)
		if (blocks_differ(a, b, block))
			differ = snprintf(why, size, "pair store: block %llu", (unsigned long long)block) > 0;
done:
	kith_pair_store_close(a);
	kith_pair_store_close(b);
	return differ;
}

/* How many layers of `s` the store of `before` holds, at the k of `after`. */
static uint32_t layers_held(const pool *p, const stack *before, const stack *s, const char *previous, const char *json)
{
	kith_pair_store *store = NULL;
	kith_stack *got = NULL;
	uint32_t held = 0, missing = 0;
	if (kith_pair_store_open(&store, previous, NULL) || kith_stack_read(&got, json, NULL))
		abort();
	const kith_pair_info *info = kith_pair_store_get_info(store);
	for (size_t q = 0; q < got->nnts_count; q++) {
		uint32_t there = 0;
		for (uint32_t t = 0; t < info->levels; t++)
			there |= info->k[t] == got->nnts[q].k;
		missing += !there;
	}
	for (size_t v = 0; !missing && v < s->layers; v++) {
		const kith_graph_info *g = &p->info[s->graph[v]];
		int here = 0;
		for (size_t b = 0; b < before->layers; b++)
			here |= before->graph[b] == s->graph[v];
		held += here && !strcmp(g->engine, "exact") && !*g->parameters;
	}
	kith_stack_free(got);
	kith_pair_store_close(store);
	return held;
}

/* `s` from scratch and with the store `previous` of `before`. */
static int compare(const pool *p, const stack *before, const stack *s, const char *previous, rng *r, char *why,
		   size_t size)
{
	char scratch_json[SANDBOX_PATH], update_json[SANDBOX_PATH], scratch_kpr[SANDBOX_PATH], update_kpr[SANDBOX_PATH];
	kith_merge_origin origin = {0};
	kith_merge_options options;
	kith_err err = {0};
	int with_pairs = rng_chance(r, 60), status;
	draw_options(p, s, &options, r);
	sandbox_path(scratch_json, "scratch.json");
	sandbox_path(update_json, "update.json");
	options.pairs = with_pairs ? sandbox_path(scratch_kpr, "scratch.kpr") : NULL;
	if (merge(p, s, &options, scratch_json, &err))
		return snprintf(why, size, "from scratch: %.900s", err.msg) > 0;
	uint32_t held = layers_held(p, before, s, previous, scratch_json);
	options.from = previous;
	options.fresh = (uint32_t)s->layers;
	options.origin = &origin;
	options.pairs = !with_pairs ? NULL : rng_chance(r, 30) ? previous : sandbox_path(update_kpr, "update.kpr");
	options.threads = (int)rng_between(r, 1, 4);
	int small = rng_chance(r, 15);
	if (small)
		options.memory = (uint64_t)rng_between(r, 1, 64) << (rng_chance(r, 50) ? 17 : 20);
	if ((status = merge(p, s, &options, update_json, &err)))
		return small && status == KITH_EUSAGE && strstr(err.msg, "-m is too small")
			       ? 0
			       : snprintf(why, size, "with a store: status %d: %.900s", status, err.msg) > 0;
	if (files_differ(scratch_json, update_json))
		return snprintf(why, size, "stack.json differs (%u layers kept)", origin.kept) > 0;
	if (origin.kept != held && !(small && !origin.kept))
		return snprintf(why, size, "%u layers kept, not %u: %s", origin.kept, held,
				origin.why ? origin.why : "") > 0;
	return with_pairs && stores_differ(scratch_kpr, options.pairs, why, size);
}

static int round_update(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	pool *p = must_alloc(1, sizeof *p);
	stack before = {0}, after;
	kith_merge_options options;
	kith_err err = {0};
	char what[1024] = "", previous[SANDBOX_PATH], json[SANDBOX_PATH];
	int differs = draw_pool(p, &r, what, sizeof what);
	draw_stack(p, &before, &r);
	after = before;
	edit(p, &before, &r);
	edit(p, &after, &r);
	draw_options(p, &before, &options, &r);
	options.pairs = sandbox_path(previous, "previous.kpr");
	remove(previous);
	if (!differs && merge(p, &before, &options, sandbox_path(json, "previous.json"), &err))
		differs = snprintf(what, sizeof what, "the first merge: %.900s", err.msg) > 0;
	differs = differs || compare(p, &before, &after, previous, &r, what, sizeof what);
	if (differs)
		snprintf(why, size, "n=%zu, %zu layers after %zu, %u shared k: %s", p->n, after.layers, before.layers,
			 p->shared, what);
	free(p);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_update", property_start(argc, argv, 500), round_update);
}
