/* make_stack.c - synthetic graphs of a stack of layers, of any size, that overlap as a network's do.
 *
 *   make_stack N K LAYERS SEED FOLDER
 *       FOLDER/000.nng, FOLDER/001.nng, ...: the same every time
 *
 * How it is made. Sample i has a place x_i on a circle, drawn uniformly, and a weight w_i, log-normal, that it keeps.
 * Its neighbours are the k samples j of least |x_i - x_j| w_j among the 4k samples beside it on the circle. From layer
 * to layer some samples go to a new place anywhere, and the others move by a normal step; how many do, and how far,
 * goes round in a cycle of four kinds of layer.
 *
 * Why that is realistic. What merging costs depends on how much rows share from layer to layer, how often pairs go and
 * come back, how many edges are mutual, how uneven in-degrees are, and how ids lie in memory. Twelve such layers, at
 * any n and k = 15, and in parentheses LeNet-5's on MNIST, n = 60,000:
 *   - NNTS of consecutive layers is 0.81, 0.55, 0.70 or 0.35, in turn (from 0.84, where ReLU follows a convolution,
 *     to 0.38); with the first layer it falls to 0.22 after four layers, 0.09 after eight and 0.06 after eleven (0.50,
 *     0.20, 0.06).
 *   - All layers together have 2.3 n k pairs, which make 2.6 n k runs (2.4, 2.9).
 *   - A layer has 0.71 n k pairs (0.70 to 0.74): samples of small weight are neighbours of many that are not theirs.
 *   - A sample's neighbours are each other's in every layer, but their indices have nothing to do with it: a row's ids
 *     are scattered over all n, as samples in random order are.
 *
 * There are no activations: a graph's digest is that of n, k, the seed and the layer.
 *
 * Distances are the true |x_i - x_j| w_j, squared. One layer is in memory at a time, at 20 bytes per sample, 36 while
 * it is sorted, and what the writer takes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "kith/graph.h"
#include "machine.h"
#include "rng.h"

#define SPREAD 0.8 /* standard deviation of log w */
#define BATCH  16384

/* The kinds of layer: standard deviation of the step, in mean gaps between places where k = 15; share that goes
 * anywhere. */
static const struct {
	double step, anywhere;
} kinds[] = {{0.6, 0.03}, {2.5, 0.08}, {1.2, 0.05}, {5, 0.15}};

typedef struct place {
	double x;
	float weight;
	uint32_t id;
} place;

typedef struct circle {
	uint32_t n, k;
	place *places;  /* by x */
	uint32_t *rank; /* of a sample in places */
} circle;

static int by_x(const void *a, const void *b)
{
	const place *p = a, *q = b;
	return p->x != q->x ? (p->x > q->x) - (p->x < q->x) : (p->id > q->id) - (p->id < q->id);
}

static void move(circle *c, double step, double anywhere, rng *r)
{
	for (uint32_t i = 0; i < c->n; i++) { /* by place, which is as good as by sample */
		double x = c->places[i].x + step * rng_normal(r);
		c->places[i].x = rng_unit(r) < anywhere ? rng_unit(r) : x - floor(x);
	}
}

static void sort(circle *c)
{
	qsort(c->places, c->n, sizeof *c->places, by_x);
	for (uint32_t i = 0; i < c->n; i++)
		c->rank[c->places[i].id] = i;
}

static void find_row(const circle *c, uint32_t node, uint32_t *ids, double *dist2)
{
	uint32_t here = c->rank[node], found = 0;
	for (uint32_t step = 2; step < 4 * c->k + 2; step++) { /* either side in turn, outwards */
		uint32_t away = step / 2;
		const place *p = &c->places[(step & 1 ? here + away : here + c->n - away) % c->n];
		double gap = fabs(p->x - c->places[here].x);
		double d = (gap < 0.5 ? gap : 1 - gap) * (double)p->weight, d2 = d * d;
		if (found == c->k && d2 >= dist2[found - 1])
			continue;
		uint32_t at = found < c->k ? found++ : found - 1;
		for (; at && d2 < dist2[at - 1]; at--) {
			dist2[at] = dist2[at - 1];
			ids[at] = ids[at - 1];
		}
		dist2[at] = d2;
		ids[at] = p->id;
	}
}

/* ids[BATCH][k] and dist2[BATCH][k] are scratch; near lists hold near <= k of them. */
static int write_rows(const circle *c, kith_graph_writer *writer, uint32_t near, uint32_t *ids, double *dist2,
		      uint32_t *near_ids, double *near_dist2, kith_err *err)
{
	size_t k = c->k;
	for (uint32_t first = 0; first < c->n; first += BATCH) {
		uint32_t count = c->n - first < BATCH ? c->n - first : BATCH;
#pragma omp parallel for schedule(static)
		for (uint32_t r = 0; r < count; r++) {
			find_row(c, first + r, ids + r * k, dist2 + r * k);
			memcpy(near_ids + r * (size_t)near, ids + r * k, near * sizeof *near_ids);
			memcpy(near_dist2 + r * (size_t)near, dist2 + r * k, near * sizeof *near_dist2);
		}
		int rc = kith_graph_append(writer, count, ids, near_ids, near_dist2, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* Of numbers: one that two lists of them hardly share. */
static uint64_t digest_of(const uint64_t *numbers, size_t count)
{
	rng r = {0};
	for (size_t i = 0; i < count; i++)
		r.state = rng_next(&r) ^ numbers[i];
	return rng_next(&r);
}

static int write_layer(const circle *c, const char *path, uint64_t digest, kith_err *err)
{
	kith_graph_writer *writer = NULL;
	kith_graph_info info = {.n = c->n, .d = 1, .tiers = 1, .ladder = {c->k}, .recall = 1};
	info.near = c->k < KITH_NEAR_DEFAULT ? c->k : KITH_NEAR_DEFAULT;
	strcpy(info.metric, "l2");
	strcpy(info.engine, "exact");
	strcpy(info.input, "synthetic");
	snprintf(info.digest, sizeof info.digest, "xxh3:%016llx", (unsigned long long)digest);
	uint32_t *ids = kith_alloc((size_t)BATCH * c->k, sizeof *ids);
	uint32_t *near_ids = kith_alloc((size_t)BATCH * info.near, sizeof *near_ids);
	double *dist2 = kith_alloc((size_t)BATCH * c->k, sizeof *dist2);
	double *near_dist2 = kith_alloc((size_t)BATCH * info.near, sizeof *near_dist2);
	int rc = ids && near_ids && dist2 && near_dist2 ? 0 : kith_fail_nomem(err, "rows", BATCH * c->k * 24ull);
	if (rc || (rc = kith_graph_create(&writer, path, &info, 1ull << 30, kith_machine_cores(), err)) ||
	    (rc = write_rows(c, writer, info.near, ids, dist2, near_ids, near_dist2, err)))
		goto done;
	rc = kith_graph_finish(writer, &(kith_progress){0}, err);
	writer = NULL;
done:
	kith_graph_abort(writer);
	free(ids);
	free(near_ids);
	free(dist2);
	free(near_dist2);
	return rc;
}

static int make_stack(circle *c, uint32_t layers, uint64_t seed, const char *folder, kith_err *err)
{
	char path[4096];
	rng r = {seed};
	double gap = (double)c->k / 15 / c->n;
	size_t count = sizeof kinds / sizeof *kinds;

	c->places = kith_alloc(c->n, sizeof *c->places);
	c->rank = kith_alloc(c->n, sizeof *c->rank);
	if (!c->places || !c->rank)
		return kith_fail_nomem(err, "the places", c->n * 20ull);
	for (uint32_t i = 0; i < c->n; i++) {
		c->places[i].x = rng_unit(&r);
		c->places[i].weight = (float)exp(SPREAD * rng_normal(&r));
		c->places[i].id = i;
	}
	for (uint32_t v = 0; v < layers; v++) {
		if (v)
			move(c, kinds[(v - 1) % count].step * gap, kinds[(v - 1) % count].anywhere, &r);
		sort(c);
		snprintf(path, sizeof path, "%s/%03u.nng", folder, v);
		int rc = write_layer(c, path, digest_of((uint64_t[]){c->n, c->k, seed, v}, 4), err);
		if (rc)
			return rc;
	}
	return 0;
}

int main(int argc, char **argv)
{
	kith_err err;
	if (argc != 6) {
		fprintf(stderr, "usage: make_stack N K LAYERS SEED FOLDER\n");
		return 2;
	}
	unsigned long n = strtoul(argv[1], NULL, 10), k = strtoul(argv[2], NULL, 10),
		      layers = strtoul(argv[3], NULL, 10);
	if (k < 1 || n > UINT32_MAX / 2 || k > n / 4 || n <= 4 * k || layers < 1 || layers > 1000) {
		fprintf(stderr, "make_stack: N is above 4 K, K at least 1, LAYERS 1 to 1000\n");
		return 2;
	}
	circle c = {.n = (uint32_t)n, .k = (uint32_t)k};
	int rc = make_stack(&c, (uint32_t)layers, strtoull(argv[4], NULL, 10), argv[5], &err);
	if (rc)
		fprintf(stderr, "make_stack: %s\n", err.msg);
	free(c.places);
	free(c.rank);
	return rc ? 1 : 0;
}
