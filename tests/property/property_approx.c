/* property_approx.c - engine "approx" on small random inputs of every awkward kind. With one leaf that holds all
 * samples it has every neighbour, so its graph is the exact one, by the definition. Otherwise it may miss neighbours,
 * and all else is as exact: every row k different samples in canonical order by canonical distances, and the same bytes
 * whatever the threads and memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approx.h"
#include "engine.h"
#include "npy_write.h"
#include "random_input.h"
#include "sandbox.h"
#include "slow.h"

static void draw_options(kith_knn_options *options, const random_layer *in, rng *r)
{
	kith_knn_defaults(options);
	options->tiers = slow_random_ladder(r, (uint32_t)in->n - 1, 4, options->ladder);
	options->ties = rng_chance(r, 50) ? KITH_TIES_CONTENT : KITH_TIES_INDEX;
	options->metric = rng_chance(r, 35) ? KITH_COSINE : KITH_L2;
	options->engine = "approx";
	options->threads = (int)rng_between(r, 1, 3);
	options->command = "property_approx";
	options->memory = 256ull << 20;
}

static void draw_own(kith_approx_options *own, const random_layer *in, int whole, rng *r)
{
	own->leaf = whole ? (uint32_t)in->n : (uint32_t)rng_between(r, 1, 40);
	if (rng_chance(r, 70))
		own->trees = (uint32_t)rng_between(r, 1, 5);
	if (rng_chance(r, 70))
		own->rounds = (uint32_t)rng_between(r, 1, 4);
	if (!whole && rng_chance(r, 40))
		own->cells = (uint32_t)rng_between(r, 1, 9);
	own->seed = rng_next(r);
	own->block_nodes = 1u << rng_below(r, 11);
}

static void want_info(kith_graph_info *want, const kith_graph_info *got, const random_layer *in,
		      const kith_knn_options *options)
{
	*want = *got; /* what the store chose, digest and recall are others' to test */
	want->n = in->n;
	want->d = in->d;
	want->tiers = options->tiers;
	memcpy(want->ladder, options->ladder, sizeof want->ladder);
	want->ties = options->ties;
	strcpy(want->metric, options->metric == KITH_COSINE ? "cosine" : "l2");
	strcpy(want->engine, "approx");
}

/* Puts the k ids of a row into the order of the definition, with their distances. */
static void sort_row(const double *x, size_t d, const uint64_t *order, size_t own, uint32_t *ids, double *dist2,
		     uint32_t k)
{
	for (uint32_t p = 0; p < k; p++)
		dist2[p] = slow_distance(x + own * d, x + ids[p] * d, d);
	for (uint32_t p = 1; p < k; p++) {
		uint32_t id = ids[p], at = p;
		double dist = dist2[p];
		for (; at && (dist2[at - 1] > dist || (dist2[at - 1] == dist && order[ids[at - 1]] > order[id]));
		     at--) {
			ids[at] = ids[at - 1];
			dist2[at] = dist2[at - 1];
		}
		ids[at] = id;
		dist2[at] = dist;
	}
}

/* The graph's rows, each in canonical order: what it would be if these were the nearest. */
static void sorted_rows(kith_graph *graph, const double *x, const uint64_t *order, uint32_t *ranks, double *dist2)
{
	const kith_graph_info *info = kith_graph_get_info(graph);
	uint32_t k = kith_info_k(info);
	kith_err err;
	if (kith_graph_read_rows(graph, 0, info->n, info->tiers, ranks, &err))
		abort();
	for (uint64_t i = 0; i < info->n; i++)
		sort_row(x, info->d, order, i, ranks + i * k, dist2 + i * k, k);
}

static int compare(const char *path, const random_layer *in, const uint64_t *order, int shift,
		   const kith_knn_options *options, int whole, rng *r, char *why, size_t size)
{
	uint32_t k = options->ladder[options->tiers - 1];
	uint32_t *ranks = must_alloc(in->n * k, sizeof *ranks);
	double *dist2 = must_alloc(in->n * k, sizeof *dist2), *all = whole ? slow_distances(in->x, in->n, in->d) : NULL;
	kith_graph *graph;
	kith_graph_info want;
	kith_err err;
	int differs = 0;
	if (kith_graph_open(&graph, path, &err))
		differs = snprintf(why, size, "%.900s", err.msg) > 0;
	if (!differs) {
		want_info(&want, kith_graph_get_info(graph), in, options);
		if (kith_graph_check(graph, 1 << 24, 1, NULL, &err))
			differs = snprintf(why, size, "%.900s", err.msg) > 0;
		else if (whole)
			slow_nearest(all, in->n, order, k, ranks, dist2);
		else
			sorted_rows(graph, in->x, order, ranks, dist2);
		kith_graph_close(graph);
	}
	if (!differs && whole)
		differs = slow_ties_differ(path, all, in->n, dist2, k, why, size);
	for (size_t i = 0; i < in->n * k; i++)
		dist2[i] = ldexp(dist2[i], -2 * shift);
	if (!differs)
		differs = slow_graph_differs(path, &want, k, ranks, dist2, r, why, size);
	free(all);
	free(ranks);
	free(dist2);
	return differs;
}

/* Whether two graphs have the same rows and distances. (Files may differ in the order of their pages.) */
static int same_graphs(const char *a, const char *b)
{
	kith_graph *x, *y;
	kith_err err;
	if (kith_graph_open(&x, a, &err) || kith_graph_open(&y, b, &err))
		abort();
	const kith_graph_info *info = kith_graph_get_info(x);
	size_t rows = info->n * kith_info_k(info), near = info->n * info->near;
	uint32_t *ids[2] = {must_alloc(rows, sizeof **ids), must_alloc(rows, sizeof **ids)};
	uint32_t *near_ids[2] = {must_alloc(near, sizeof **ids), must_alloc(near, sizeof **ids)};
	double *dist2[2] = {must_alloc(near, sizeof **dist2), must_alloc(near, sizeof **dist2)};
	for (int g = 0; g < 2; g++)
		if (kith_graph_read_rows(g ? y : x, 0, info->n, info->tiers, ids[g], &err) ||
		    kith_graph_read_near(g ? y : x, 0, info->n, near_ids[g], dist2[g], &err))
			abort();
	int same = !memcmp(ids[0], ids[1], rows * sizeof **ids) &&
		   !memcmp(near_ids[0], near_ids[1], near * sizeof **near_ids) &&
		   !memcmp(dist2[0], dist2[1], near * sizeof **dist2);
	for (int g = 0; g < 2; g++) {
		free(ids[g]);
		free(near_ids[g]);
		free(dist2[g]);
	}
	kith_graph_close(x);
	kith_graph_close(y);
	return same;
}

static int round_approx(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	random_layer in;
	kith_knn_options options;
	kith_approx_options own = {0};
	kith_knn_summary summary = {0};
	kith_err err = {0};
	char npy[SANDBOX_PATH], nng[SANDBOX_PATH], again[SANDBOX_PATH], what[1024] = "", place[64];
	random_input(&in, &r);
	draw_options(&options, &in, &r);
	int whole = rng_chance(&r, 40), differs = 0;
	draw_own(&own, &in, whole, &r);
	sandbox_path(npy, "layer.npy");
	sandbox_path(nng, "layer.nng");
	sandbox_path(again, "again.nng");
	npy_write(npy, in.dtype, in.n, in.d, in.raw);
	remove(nng);
	remove(again);
	uint64_t *order = must_alloc(in.n, sizeof *order);
	slow_tie_order(in.x, in.n, in.d, options.ties, order);
	int shift =
		slow_prepare(in.x, in.n, in.d, options.metric == KITH_COSINE, in.dtype == KITH_F8, place, sizeof place);
	options.refuse_zero = rng_chance(&r, 30);
	if (!options.refuse_zero && strstr(place, "is zero"))
		*place = '\0';
	size_t entries = sandbox_entries();
	int status = kith_knn_build_with(npy, nng, &options, &own, &summary, &err);
	if (status) {
		/* values that floats cannot hold are refused */
		if (status != KITH_EUSAGE || !strstr(err.msg, *place ? place : "use --engine exact"))
			differs = snprintf(what, sizeof what, "status %d: %.900s", status, err.msg) > 0;
	} else {
		differs = compare(nng, &in, order, shift, &options, whole, &r, what, sizeof what);
		options.threads = options.threads % 3 + 1;
		options.memory = 1ull << 30;
		if (!differs && kith_knn_build_with(npy, again, &options, &own, &summary, &err))
			differs = snprintf(what, sizeof what, "again: %.900s", err.msg) > 0;
		if (!differs && !same_graphs(nng, again))
			differs = snprintf(what, sizeof what, "other threads and memory, another graph") > 0;
		remove(again);
	}
	if (!differs && sandbox_entries() != entries + (status == 0))
		differs = snprintf(what, sizeof what, "something is left behind") > 0;
	if (differs)
		snprintf(why, size,
			 "%s, %s, n=%zu d=%zu %s, %u tiers to %u, threads %d, trees %u, leaf %u, rounds %u, cells %u: "
			 "%s",
			 in.family, options.metric == KITH_COSINE ? "cosine" : "l2", in.n, in.d, npy_descr(in.dtype),
			 options.tiers, options.ladder[options.tiers - 1], options.threads, own.trees, own.leaf,
			 own.rounds, own.cells, what);
	free(order);
	free(in.x);
	free(in.raw);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_approx", property_start(argc, argv, 300), round_approx);
}
