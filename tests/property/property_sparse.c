/* property_sparse.c - kith_knn_build of generators, on small random networks of every operation, against the
 * definition: every row, tier and distance those of the rows with all their zeros, whatever the blocks, threads and
 * memory. And l2 and cosine also those of a file that has the zeros. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kith/h0.h"
#include "npy_write.h"
#include "random_net.h"
#include "sandbox.h"
#include "slow.h"
#include "slow_sparse.h"
#include "sparse.h"

static uint64_t units_of(const kith_net_layer *l)
{
	uint64_t units = 1;
	for (uint32_t t = 0; t < l->dims; t++)
		units *= l->shape[t];
	return units;
}

/* Some samples that are the same as others, and some in which nothing is active. */
static void repeat_samples(random_net *net, rng *r)
{
	uint64_t n = net->net.info.n;
	for (uint64_t i = 0; i < n; i++) {
		int zero = rng_chance(r, 3);
		uint64_t from = rng_below(r, n);
		if (!zero && !rng_chance(r, 10))
			continue;
		for (uint32_t l = 0; l < net->net.info.layer_count; l++) {
			uint64_t units = units_of(&net->layers[l]);
			for (uint64_t t = 0; t < units; t++)
				net->activations[l][i * units + t] = zero ? 0 : net->activations[l][from * units + t];
		}
	}
}

/* Activations so far below the first sample's that all squares of phi are subnormal, or 0. */
static void spread_samples(random_net *net, rng *r)
{
	for (uint32_t l = 0; l < net->net.info.layer_count; l++) {
		uint64_t units = units_of(&net->layers[l]);
		net->activation_types[l] = KITH_F8;
		for (uint64_t i = 0; i < net->net.info.n; i++) {
			int exponent = i ? -587 - (int)rng_below(r, 3) : 440;
			for (uint64_t t = 0; t < units; t++)
				net->activations[l][i * units + t] =
					ldexp(net->activations[l][i * units + t], exponent);
		}
	}
}

/* --ops, and the operations that it means: all that join the same layers. */
static void draw_ops(const random_net *net, kith_row_options *rows, uint8_t *op_wanted, char *text, size_t size, rng *r)
{
	const kith_h0_info *info = &net->net.info;
	size_t at = 0;
	memset(op_wanted, 1, info->op_count);
	if (rng_chance(r, 60))
		return;
	memset(op_wanted, 0, info->op_count);
	for (uint64_t some = rng_between(r, 1, 3); some; some--) {
		const kith_op *op = &info->ops[rng_below(r, info->op_count)];
		at += (size_t)snprintf(text + at, size - at, "%s%s:%s", at ? "," : "", info->layers[op->from].name,
				       info->layers[op->to].name);
		for (uint32_t o = 0; o < info->op_count; o++)
			op_wanted[o] |= info->ops[o].from == op->from && info->ops[o].to == op->to;
	}
	rows->ops = text;
}

static void draw_options(kith_knn_options *o, size_t n, int values, rng *r)
{
	kith_knn_defaults(o);
	o->tiers = slow_random_ladder(r, (uint32_t)n - 1, 4, o->ladder);
	o->metric = (kith_metric)rng_below(r, 3);
	o->ties = rng_chance(r, 50) ? KITH_TIES_CONTENT : KITH_TIES_INDEX;
	o->refuse_zero = rng_chance(r, 30);
	o->rows.weights =
		o->metric == KITH_JACCARD || rng_chance(r, 30)
			? rng_chance(r, 50) ? KITH_WEIGHTS_DEFAULT : KITH_WEIGHTS_ONE
			: (kith_weights)rng_between(r, KITH_WEIGHTS_LIFETIME,
						    values ? KITH_WEIGHTS_LIFETIME_PHI : KITH_WEIGHTS_LIFETIME);
	if (rng_chance(r, 40)) {
		o->rows.classes = (uint32_t)rng_between(r, 1, 5);
		o->rows.longest = rng_chance(r, 50);
	}
	o->memory = 1ull << rng_between(r, 12, 26);
	o->threads = (int)rng_between(r, 1, 3);
	if (rng_chance(r, 30))
		o->near = (uint32_t)rng_below(r, n);
	o->command = "property_sparse";
	kith_sparse_tuned = (kith_sparse_tuning){.columns = rng_chance(r, 50) ? rng_between(r, 1, n) : 0,
						 .panel = rng_chance(r, 50) ? rng_between(r, 1, n) : 0,
						 .dense_part = rng_chance(r, 50) ? (int)rng_between(r, 1, 6) : 0,
						 .read_again = rng_chance(r, 50)};
}

static void want_info(kith_graph_info *want, size_t d, const random_net *net, const kith_knn_options *o)
{
	static const char *const metrics[] = {"l2", "cosine", "jaccard"};
	memset(want, 0, sizeof *want);
	want->n = net->net.info.n;
	want->d = d;
	want->tiers = o->tiers;
	memcpy(want->ladder, o->ladder, sizeof want->ladder);
	want->near = want->ladder[want->tiers - 1] < o->near ? want->ladder[want->tiers - 1] : o->near;
	want->recall = 1;
	want->ties = o->ties;
	strcpy(want->metric, metrics[o->metric]);
	strcpy(want->engine, "exact");
}

/* The graph's own: no slow checker has a hash. */
static void take_digest(kith_graph_info *want, const char *nng)
{
	kith_graph *graph;
	if (kith_graph_open(&graph, nng, NULL))
		return;
	strcpy(want->digest, kith_graph_get_info(graph)->digest);
	kith_graph_close(graph);
}

/* Compares the graph of `input` with the rank table, or its status where the rows are to be refused. */
static int graph_differs(const char *input, kith_graph_info *want, const kith_knn_options *o, int refused,
			 const uint32_t *ranks, const double *dist2, rng *r, char *why, size_t size)
{
	kith_knn_summary summary = {0};
	kith_err err = {0};
	char nng[SANDBOX_PATH];
	size_t entries;
	int differs = 0;
	remove(sandbox_path(nng, "h0.nng"));
	entries = sandbox_entries();
	kith_knn_options more = *o;
	int status;
	while ((status = kith_knn_build(input, nng, &more, &summary, &err)) == KITH_EUSAGE &&
	       strstr(err.msg, "more than -m gives") && more.memory < 1ull << 30)
		more.memory *= 2;
	if (refused ? status != KITH_EUSAGE : status)
		differs = snprintf(why, size, "status %d: %.900s", status, err.msg) > 0;
	else if (!status && (summary.n != want->n || summary.d != want->d || summary.recall != 1 || !summary.plan[0]))
		differs = snprintf(why, size, "summary is wrong (plan \"%s\")", summary.plan) > 0;
	take_digest(want, nng);
	if (!differs && !status)
		differs = slow_graph_differs(nng, want, want->ladder[want->tiers - 1], ranks, dist2, r, why, size);
	if (!differs && sandbox_entries() != entries + (status == 0))
		differs = snprintf(why, size, "something is left behind") > 0;
	return differs;
}

/* All rows with their zeros, and what the metric makes of them. */
typedef struct expected {
	size_t n, d;
	double *x, *dist2, *all; /* all: to all others */
	double *stored;          /* dist2 as the graph should have it */
	uint32_t *ranks;
	int refused;
} expected;

static expected expect(const random_net *net, double keep, const uint8_t *op_wanted, const kith_knn_options *o,
		       const char *npy)
{
	size_t n = net->net.info.n, width = o->ladder[o->tiers - 1];
	expected e = {.n = n, .d = slow_h0_ids(&net->net), .x = slow_sparse_rows(&net->net, keep, &o->rows, op_wanted)};
	uint64_t *order = must_alloc(n, sizeof *order);
	uint32_t *others = must_alloc(n * (n - 1), sizeof *others);
	char place[64] = "";
	int shift = 0;
	e.ranks = must_alloc(n * width, sizeof *e.ranks);
	e.dist2 = must_alloc(n * width, sizeof *e.dist2);
	e.stored = must_alloc(n * width, sizeof *e.stored);
	npy_write(npy, KITH_F8, n, e.d, e.x);
	if (o->metric == KITH_JACCARD) {
		e.all = must_alloc(n * (n - 1), sizeof *e.all);
		slow_jaccard_order(e.x, n, e.d, o->ties, order);
		slow_jaccard(e.x, n, e.d, order, n - 1, others, e.all);
		slow_jaccard(e.x, n, e.d, order, width, e.ranks, e.dist2);
	} else {
		slow_tie_order(e.x, n, e.d, o->ties, order);
		shift = slow_prepare(e.x, n, e.d, o->metric == KITH_COSINE, 1, place, sizeof place);
		e.refused = *place && (o->metric == KITH_L2 || o->refuse_zero);
		e.all = slow_distances(e.x, n, e.d);
		if (!e.refused)
			slow_nearest(e.all, n, order, width, e.ranks, e.dist2);
	}
	for (size_t i = 0; i < n * width; i++)
		e.stored[i] = ldexp(e.dist2[i], -2 * shift);
	free(order);
	free(others);
	return e;
}

static int compare(const char *kh0, const random_net *net, double keep, const uint8_t *op_wanted,
		   const kith_knn_options *o, rng *r, char *why, size_t size)
{
	kith_graph_info want;
	char npy[SANDBOX_PATH], nng[SANDBOX_PATH];
	expected e = expect(net, keep, op_wanted, o, sandbox_path(npy, "dense.npy"));
	want_info(&want, e.d, net, o);
	sandbox_path(nng, "h0.nng");
	int differs = graph_differs(kh0, &want, o, e.refused, e.ranks, e.stored, r, why, size);
	if (!differs && !e.refused)
		differs = slow_ties_differ(nng, e.all, e.n, e.dist2, o->ladder[o->tiers - 1], why, size);
	if (!differs && o->metric != KITH_JACCARD && rng_chance(r, 20)) {
		kith_knn_options dense = *o;
		char what[1024] = "";
		dense.rows = (kith_row_options){0};
		dense.memory = 64 << 20;
		differs = graph_differs(npy, &want, &dense, e.refused, e.ranks, e.stored, r, what, sizeof what);
		if (differs)
			snprintf(why, size, "of the dense file: %.900s", what);
	}
	free(e.x);
	free(e.dist2);
	free(e.all);
	free(e.stored);
	free(e.ranks);
	return differs;
}

static int round_sparse(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	random_net net;
	kith_h0_options h0;
	kith_knn_options o;
	kith_h0_summary summary = {0};
	kith_err err = {0};
	uint8_t op_wanted[16];
	char json[SANDBOX_PATH], kh0[SANDBOX_PATH], ops[256], what[1024] = "";
	int differs = 0;
	random_net_draw_of(&net, rng_between(&r, 2, rng_chance(&r, 20) ? 60 : 20), &r);
	repeat_samples(&net, &r);
	int spread = rng_chance(&r, 10);
	if (spread)
		spread_samples(&net, &r);
	kith_h0_defaults(&h0);
	h0.keep = rng_chance(&r, 80) ? 1 : 0.5;
	h0.values = rng_chance(&r, 80);
	h0.command = "property_sparse";
	draw_options(&o, net.net.info.n, h0.values, &r);
	if (spread && h0.values) {
		o.metric = KITH_L2;
		o.rows.weights = KITH_WEIGHTS_PHI;
	}
	draw_ops(&net, &o.rows, op_wanted, ops, sizeof ops, &r);
	random_net_write(&net, "net", json, sizeof json);
	if (kith_h0_build(json, sandbox_path(kh0, "net.kh0"), &h0, &summary, &err))
		differs = snprintf(what, sizeof what, "%.900s", err.msg) > 0;
	else
		differs = compare(kh0, &net, h0.keep, op_wanted, &o, &r, what, sizeof what);
	if (differs)
		snprintf(why, size,
			 "%s, n=%llu, metric %d, weights %d, classes %u%s, ops %s, k to %u, %d threads, memory %llu, "
			 "columns %llu, panel %llu, dense %d, again %d: %s",
			 net.kind, (unsigned long long)net.net.info.n, (int)o.metric, (int)o.rows.weights,
			 o.rows.classes, o.rows.longest ? " longest" : "", o.rows.ops ? o.rows.ops : "all",
			 o.ladder[o.tiers - 1], o.threads, (unsigned long long)o.memory,
			 (unsigned long long)kith_sparse_tuned.columns, (unsigned long long)kith_sparse_tuned.panel,
			 kith_sparse_tuned.dense_part, kith_sparse_tuned.read_again, what);
	random_net_free(&net);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_sparse", property_start(argc, argv, 1000), round_sparse);
}
