/* property_estimate.c - NNTS of degraded graphs, estimated from audits, against that of the exact graphs: over many
 * stacks, it is nearly always within three of its standard errors, and the graphs' own NNTS is not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kith/merge.h"
#include "sandbox.h"
#include "slow.h"

#define N      300u
#define WIDTH  40u /* candidates of a sample */
#define K      10u
#define LAYERS 4u
#define ROWS   100u
#define TRIALS 50u /* stacks of a round */
#define CELLS  (TRIALS * LAYERS * (LAYERS - 1) / 2)

/* Points that drift from layer to layer; ranks are of the nearest WIDTH. */
static void draw_truth(rng *r, uint32_t *const *truth)
{
	double *x = must_alloc(N * 6, sizeof *x), *dist2 = must_alloc((size_t)N * WIDTH, sizeof *dist2);
	for (size_t v = 0; v < LAYERS; v++) {
		for (size_t i = 0; i < N * 6; i++)
			x[i] += (v ? 0.4 : 1) * rng_normal(r);
		slow_knn(x, N, 6, NULL, WIDTH, truth[v], dist2);
	}
	free(x);
	free(dist2);
}

/* Leaves out about a tenth of each row's k nearest, in rows of various hardness: at random, or mostly the farthest.
 * Those that follow move up, as they do in a search that misses some. */
static void degrade(rng *r, int farthest, const uint32_t *truth, uint32_t *ranks)
{
	for (size_t i = 0; i < N; i++) {
		const uint32_t *from = truth + i * WIDTH;
		uint32_t *to = ranks + i * WIDTH, kept = 0, missed = 0, dropped[WIDTH];
		double hard = 0.2 * rng_unit(r);
		for (uint32_t p = 0; p < WIDTH; p++) {
			double chance = farthest ? hard * 2 * (p + 0.5) / K : hard;
			if (p < WIDTH / 2 && rng_unit(r) < chance)
				dropped[missed++] = from[p];
			else
				to[kept++] = from[p];
		}
		memcpy(to + kept, dropped, missed * sizeof *dropped);
	}
}

static int write_layer(const char *path, const uint32_t *truth, const uint32_t *ranks, rng *r, uint64_t audit_seed,
		       kith_err *err)
{
	kith_graph_info info = {.n = N, .d = 6, .tiers = 1, .ladder = {K}};
	kith_graph_audit audit;
	rng own = {audit_seed};
	strcpy(info.metric, "l2");
	strcpy(info.engine, truth == ranks ? "exact" : "approx");
	info.recall = 1;
	if (truth == ranks)
		return slow_graph_write(path, &info, WIDTH, ranks, NULL, NULL, 16 << 20, r, err);
	slow_audit(&info, WIDTH, truth, ranks, ROWS, &own, &audit);
	int rc = slow_graph_write(path, &info, WIDTH, ranks, NULL, &audit, 16 << 20, r, err);
	free(audit.memory);
	return rc;
}

/* How far the estimates and the graphs' own NNTS are off, in standard errors, of the pairs of layers. */
static int one_stack(rng *r, double *estimate_off, double *mean_off, kith_err *err)
{
	static char path[LAYERS][SANDBOX_PATH];
	uint32_t *truth[LAYERS], *ranks[LAYERS];
	const char *paths[LAYERS], *names[LAYERS] = {"a", "b", "c", "d"};
	uint64_t audit_seed = rng_next(r);
	int farthest = rng_chance(r, 50), rc = 0;
	kith_merge_options options;
	kith_stack *stack = NULL;
	double want, ignored;
	for (size_t v = 0; v < LAYERS; v++)
		truth[v] = must_alloc((size_t)N * WIDTH, sizeof **truth);
	draw_truth(r, truth);
	for (size_t v = 0; v < LAYERS; v++) {
		ranks[v] = v == 1 ? truth[v] : must_alloc((size_t)N * WIDTH, sizeof **ranks); /* one is exact */
		if (v != 1)
			degrade(r, farthest, truth[v], ranks[v]);
		paths[v] = sandbox_path(path[v], "layer%zu.nng", v);
		remove(path[v]);
		rc = rc ? rc : write_layer(path[v], truth[v], ranks[v], r, audit_seed, err);
	}
	kith_merge_defaults(&options);
	options.threads = 2;
	rc = rc ? rc : kith_merge(LAYERS, paths, names, &options, &stack, err);
	for (size_t a = 0; !rc && a < LAYERS; a++)
		for (size_t b = a + 1; b < LAYERS; b++) {
			const kith_nnts *t = &stack->nnts[0];
			double std_err = t->estimate_err[a * LAYERS + b];
			slow_nnts(truth[a], truth[b], N, WIDTH, K, &want, &ignored, &ignored, &ignored);
			*estimate_off++ = (t->estimate[a * LAYERS + b] - want) / std_err;
			*mean_off++ = (t->mean[a * LAYERS + b] - want) / std_err;
		}
	kith_stack_free(stack);
	for (size_t v = 0; v < LAYERS; v++) {
		if (ranks[v] != truth[v])
			free(ranks[v]);
		free(truth[v]);
	}
	return rc;
}

/* Of CELLS numbers, how many are beyond three, and what they are on average and on average squared. */
static size_t beyond(const double *off, double *mean, double *square)
{
	size_t count = 0;
	*mean = *square = 0;
	for (size_t c = 0; c < CELLS; c++) {
		count += !(fabs(off[c]) <= 3);
		*mean += off[c] / CELLS;
		*square += off[c] * off[c] / CELLS;
	}
	return count;
}

static int round_estimate(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	double estimate_off[CELLS], mean_off[CELLS], mean, square, raw_mean, raw_square;
	kith_err err = {0};
	for (size_t t = 0, each = CELLS / TRIALS; t < TRIALS; t++)
		if (one_stack(&r, estimate_off + t * each, mean_off + t * each, &err))
			return snprintf(why, size, "%.900s", err.msg) > 0;
	size_t wrong = beyond(estimate_off, &mean, &square), raw = beyond(mean_off, &raw_mean, &raw_square);
	if (wrong > CELLS / 100 || fabs(mean) > 0.5 || square < 0.5 || square > 2 || raw < CELLS / 10)
		return snprintf(
			       why, size,
			       "%zu of %u estimates are off by more than 3 standard errors, the mean is %.2f, the mean "
			       "square %.2f; NNTS itself %zu, %.2f",
			       wrong, CELLS, mean, square, raw, raw_mean) > 0;
	return 0;
}

int main(int argc, char **argv)
{
	return property_run_all("property_estimate", property_start(argc, argv, 4), round_estimate);
}
