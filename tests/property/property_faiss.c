/* property_faiss.c - the engine faiss on small random inputs. Where FAISS looks at everything, its graph is the exact
 * one, by the definition: in one index and in shards, in blocks of any size, for any threads and memory. Where it does
 * not, the graph still is sound: k distinct ids a row, none its own, canonical distances in canonical order; and rows
 * that FAISS could not fill are exact. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "faiss_spec.h"
#include "hash.h"
#include "npy_write.h"
#include "sandbox.h"
#include "slow.h"

typedef struct input {
	size_t n, d;
	kith_dtype dtype;
	const char *kind;
	double *x;
	void *raw;
	uint64_t *order; /* of samples that are equally far */
} input;

/* Values whose distances floats tell apart, once they are centred. */
static double draw_value(const char *kind, size_t t, rng *r)
{
	if (!strcmp(kind, "offset"))
		return 1e6 + rng_normal(r);
	if (!strcmp(kind, "small"))
		return 1e-100 * rng_normal(r);
	if (!strcmp(kind, "large"))
		return 1e100 * rng_normal(r);
	if (!strcmp(kind, "constant columns") && t % 3 == 1)
		return 1000;
	return rng_normal(r);
}

/* Rows that are the same, or all but the same: FAISS may take any of them. */
static void spoil(input *in, rng *r)
{
	size_t kinds = rng_between(r, 1, 4);
	for (size_t i = kinds; i < in->n; i++)
		if (rng_chance(r, 70))
			memcpy(in->x + i * in->d, in->x + rng_below(r, kinds) * in->d, in->d * sizeof *in->x);
}

static void draw_input(input *in, int alike, rng *r)
{
	static const char *const kinds[] = {"normal", "normal", "constant columns", "offset", "small", "large"};
	in->n = rng_between(r, 2, rng_chance(r, 50) ? 400 : 60);
	in->d = rng_between(r, 2, rng_chance(r, 50) ? 40 : 5);
	in->kind = kinds[rng_below(r, 6)];
	in->dtype = !strcmp(in->kind, "offset") || !strcmp(in->kind, "small") || !strcmp(in->kind, "large") ||
				    rng_chance(r, 50)
			    ? KITH_F8
			    : KITH_F4;
	in->x = must_alloc(in->n * in->d, sizeof *in->x);
	in->raw = must_alloc(in->n * in->d, npy_size(in->dtype));
	for (size_t i = 0; i < in->n; i++)
		for (size_t t = 0; t < in->d; t++)
			in->x[i * in->d + t] = draw_value(in->kind, t, r);
	if (alike)
		spoil(in, r);
	npy_encode(in->dtype, in->x, in->n * in->d, in->raw);
	npy_decode(in->dtype, in->raw, in->n * in->d, in->x);
}

static void draw_options(kith_knn_options *options, size_t n, rng *r)
{
	static const uint64_t memory[] = {8, 16, 64, 1024};
	kith_knn_defaults(options);
	options->tiers = slow_random_ladder(r, (uint32_t)n - 1, 3, options->ladder);
	options->metric = rng_chance(r, 35) ? KITH_COSINE : KITH_L2;
	options->memory = memory[rng_below(r, 4)] << 20;
	options->ties = rng_chance(r, 50) ? KITH_TIES_CONTENT : KITH_TIES_INDEX;
	options->threads = (int)rng_between(r, 1, 2);
}

/* An index that looks at everything, or at some. */
static void draw_factory(char out[64], int whole, size_t n, rng *r)
{
	static const char *const some[] = {"SQ8", "HNSW4", "LSH", "PCA2,Flat", "SQ4"};
	size_t lists = rng_between(r, 1, n < 12 ? n : 12);
	if (whole && rng_chance(r, 60))
		strcpy(out, "Flat");
	else if (whole)
		snprintf(out, 64, "IVF%zu,Flat;nprobe=%zu", lists, lists);
	else if (rng_chance(r, 60))
		snprintf(out, 64, "IVF%zu,Flat", lists);
	else
		strcpy(out, some[rng_below(r, 5)]);
}

/* Of cosine: rows of zeros, but so few that as many others are left as an index of `draw_factory` has lists. */
static void clear_rows(input *in, rng *r)
{
	for (size_t i = 12; i < in->n; i++)
		if (rng_chance(r, 40))
			memset(in->x + i * in->d, 0, in->d * sizeof *in->x);
	npy_encode(in->dtype, in->x, in->n * in->d, in->raw);
}

/* The rows of a graph against distances by the definition. Returns how many are the exact ones. */
static int check_rows(const char *path, const input *in, size_t k, const char *parameters, const uint32_t *ranks,
		      const double *dist2, size_t *exact, char *why, size_t size)
{
	kith_graph *graph = NULL;
	kith_err err;
	size_t n = in->n, width = n - 1;
	int bad = kith_graph_open(&graph, path, &err) || kith_graph_check(graph, 1 << 24, 1, NULL, &err);
	if (bad) {
		snprintf(why, size, "%.900s", err.msg);
		kith_graph_close(graph);
		return 1;
	}
	if (strcmp(kith_graph_get_info(graph)->parameters, parameters)) {
		snprintf(why, size, "the header has the parameters %s", kith_graph_get_info(graph)->parameters);
		kith_graph_close(graph);
		return 1;
	}
	size_t near = kith_graph_get_info(graph)->near;
	uint32_t *ids = must_alloc(n * near, sizeof *ids);
	double *found = must_alloc(n * near, sizeof *found), *want = must_alloc(near, sizeof *want);
	bad = kith_graph_read_near(graph, 0, n, ids, found, &err);
	*exact = 0;
	for (size_t i = 0; i < n && !bad; i++) {
		size_t at = 0;
		int same = near == k;
		for (size_t t = 0; t < near && !bad; t++) { /* ranks ascend: so must what is found */
			while (at < width && ranks[i * width + at] != ids[i * near + t])
				at++;
			bad = at == width;
			want[t] = bad ? 0 : dist2[i * width + at];
			same &= at == t;
		}
		slow_single(want, near, want);
		bad |= memcmp(want, found + i * near, near * sizeof *found) != 0;
		*exact += (size_t)same;
		if (bad)
			snprintf(why, size, "row %zu has a distance or an order that is not canonical", i);
	}
	free(ids);
	free(found);
	free(want);
	kith_graph_close(graph);
	return bad;
}

static int compare(const char *path, const input *in, const kith_knn_options *options, const char *factory, int whole,
		   const kith_knn_summary *summary, rng *r, char *why, size_t size)
{
	size_t n = in->n, width = n - 1, exact, k = options->ladder[options->tiers - 1];
	uint32_t *ranks = must_alloc(n * width, sizeof *ranks);
	double *dist2 = must_alloc(n * width, sizeof *dist2);
	unsigned long long completed = 0;
	const char *plan = summary->plan, *said = strstr(plan, " rows completed");
	slow_knn(in->x, n, in->d, in->order, width, ranks, dist2);
	int differs = check_rows(path, in, k, strchr(factory, ';') ? strchr(factory, ';') + 1 : "", ranks, dist2,
				 &exact, why, size);
	if (!differs && whole) {
		size_t size_of_file;
		unsigned char *file = sandbox_read(options->command, &size_of_file);
		kith_graph_info want = {
			.n = n, .d = in->d, .tiers = options->tiers, .recall = summary->recall, .ties = options->ties};
		memcpy(want.ladder, options->ladder, sizeof want.ladder);
		want.near = k < KITH_NEAR_DEFAULT ? (uint32_t)k : KITH_NEAR_DEFAULT;
		strcpy(want.metric, options->metric == KITH_COSINE ? "cosine" : "l2");
		snprintf(want.engine, sizeof want.engine, "faiss:%.*s", (int)strcspn(factory, ";"), factory);
		snprintf(want.digest, sizeof want.digest, "xxh3:%016llx",
			 (unsigned long long)kith_hash(file, size_of_file));
		free(file);
		differs = slow_graph_differs(path, &want, width, ranks, dist2, r, why, size);
	}
	while (said && said > plan && said[-1] >= '0' && said[-1] <= '9')
		said--;
	if (said)
		completed = strtoull(said, NULL, 10);
	if (!differs && k <= KITH_NEAR_DEFAULT && exact < completed)
		differs = snprintf(why, size, "%llu rows completed, but %zu exact", completed, exact) > 0;
	free(ranks);
	free(dist2);
	return differs;
}

static int round_faiss(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	int whole = rng_chance(&r, 50);
	input in;
	kith_knn_options options;
	kith_faiss_spec own = {0};
	kith_knn_summary summary = {0};
	kith_err err = {0};
	char npy[SANDBOX_PATH], nng[SANDBOX_PATH], factory[64], engine[80], what[1024] = "";
	draw_input(&in, !whole && rng_chance(&r, 50), &r);
	draw_options(&options, in.n, &r);
	if (options.metric == KITH_COSINE && rng_chance(&r, 50))
		clear_rows(&in, &r);
	in.order = must_alloc(in.n, sizeof *in.order);
	slow_tie_order(in.x, in.n, in.d, options.ties, in.order);
	draw_factory(factory, whole, in.n, &r);
	if (rng_chance(&r, 50))
		own.shard_rows = rng_between(&r, 12, 12 + in.n);
	if (rng_chance(&r, 50))
		own.block_rows = rng_between(&r, 1, in.n);
	snprintf(engine, sizeof engine, "faiss:%s", factory);
	sandbox_path(npy, "layer.npy");
	sandbox_path(nng, "layer.nng");
	npy_write(npy, in.dtype, in.n, in.d, in.raw);
	remove(nng);
	options.engine = engine;
	options.command = npy;
	size_t entries = sandbox_entries();
	if (options.metric == KITH_COSINE)
		slow_normalise(in.x, in.n, in.d);
	int status = kith_knn_build_with(npy, nng, &options, &own, &summary, &err), differs;
	if (status)
		differs = snprintf(what, sizeof what, "status %d: %.900s", status, err.msg) > 0;
	else
		differs = compare(nng, &in, &options, factory, whole, &summary, &r, what, sizeof what);
	if (!differs && sandbox_entries() != entries + 1)
		differs = snprintf(what, sizeof what, "something is left behind") > 0;
	if (differs)
		snprintf(why, size,
			 "%s, %s, n=%zu d=%zu %s, %u tiers to %u, %s, threads %d, memory %lluM, shards of %llu, "
			 "blocks of %llu, %s: %s",
			 factory, in.kind, in.n, in.d, npy_descr(in.dtype), options.tiers,
			 options.ladder[options.tiers - 1], options.metric == KITH_COSINE ? "cosine" : "l2",
			 options.threads, (unsigned long long)options.memory >> 20, (unsigned long long)own.shard_rows,
			 (unsigned long long)own.block_rows, summary.plan, what);
	free(in.x);
	free(in.raw);
	free(in.order);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_faiss", property_start(argc, argv, 500), round_faiss);
}
