#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

void slow_nnts(const uint32_t *a, const uint32_t *b, size_t n, size_t width, uint32_t k, double *mean, double *std_err,
	       double *overlap, double *overlap_err)
{
	/* A sample is its pair of cardinalities; equal ones are counted, so that the exact sums stay affordable. */
	uint64_t *times = must_alloc(k + 1, sizeof *times);
	uint32_t *p = must_alloc(k + 1, sizeof *p), *q = must_alloc(k + 1, sizeof *q),
		 *of = must_alloc(k + 1, sizeof *of);
	unsigned char *in_a = must_alloc(n, 1), *in_b = must_alloc(n, 1);
	for (size_t i = 0; i < n; i++) {
		uint32_t both = 0, either = 0;
		memset(in_a, 0, n);
		memset(in_b, 0, n);
		for (uint32_t r = 0; r < k; r++) {
			in_a[a[i * width + r]] = 1;
			in_b[b[i * width + r]] = 1;
		}
		for (size_t j = 0; j < n; j++) {
			both += in_a[j] && in_b[j];
			either += in_a[j] || in_b[j];
		}
		times[both]++;
		p[both] = both;
		q[both] = either;
	}
	for (uint32_t m = 0; m <= k; m++)
		of[m] = k;
	slow_mean(times, p, q, k + 1, 2 * k, mean, std_err);
	slow_mean(times, p, of, k + 1, k, overlap, overlap_err);
	free(times);
	free(p);
	free(q);
	free(of);
	free(in_a);
	free(in_b);
}

/* Is [a, b] a maximal chain that starts and ends present and lacks no more than alpha layers in a row? */
static int is_run(const unsigned char *present, size_t layers, size_t a, size_t b, uint32_t alpha)
{
	size_t missing = 0;
	if (!present[a] || !present[b])
		return 0;
	for (size_t v = a; v <= b; v++) {
		missing = present[v] ? 0 : missing + 1;
		if (missing > alpha)
			return 0;
	}
	for (size_t v = 0; v < a; v++) /* it could begin earlier */
		if (present[v] && a - v - 1 <= alpha)
			return 0;
	for (size_t v = b + 1; v < layers; v++) /* or end later */
		if (present[v] && v - b - 1 <= alpha)
			return 0;
	return 1;
}

/* The presence lists of all pairs i < j: layers entries for (0,1), then (0,2), ... */
static unsigned char *presence_lists(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k,
				     kith_graph_kind graph)
{
	unsigned char *linked = must_alloc(layers * n * n, 1), *present = must_alloc(layers * n * n, 1), *at = present;
	for (size_t v = 0; v < layers; v++)
		for (size_t i = 0; i < n; i++)
			for (uint32_t r = 0; r < k; r++)
				linked[(v * n + i) * n + ranks[v][i * width + r]] = 1;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			for (size_t v = 0; v < layers; v++) {
				int to = linked[(v * n + i) * n + j], from = linked[(v * n + j) * n + i];
				*at++ = (unsigned char)(graph == KITH_UNION ? to || from : to && from);
			}
	free(linked);
	return present;
}

void slow_nntp(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k, kith_graph_kind graph,
	       uint32_t alpha, uint64_t *count, uint64_t *pairs)
{
	unsigned char *lists = presence_lists(ranks, layers, n, width, k, graph);
	memset(count, 0, layers * layers * sizeof *count);
	memset(pairs, 0, layers * sizeof *pairs);
	for (size_t pair = 0; pair < n * (n - 1) / 2; pair++) {
		const unsigned char *present = lists + pair * layers;
		if (!memchr(present, 1, layers))
			continue;
		for (size_t a = 0; a < layers; a++) {
			pairs[a] += present[a];
			for (size_t b = a; b < layers; b++)
				count[a * layers + b] += (uint64_t)is_run(present, layers, a, b, alpha);
		}
	}
	free(lists);
}

/* ---- layer dynamics ------------------------------------------------------------------------------------------- */

static int begins_at(const unsigned char *present, size_t v)
{
	return present[v] && (v == 0 || !present[v - 1]);
}

static int ends_at(const unsigned char *present, size_t layers, size_t v)
{
	return present[v] && (v + 1 == layers || !present[v + 1]);
}

/* Is the pair there, or else missing, in all of from..to? */
static int all_of(const unsigned char *present, size_t from, size_t to, int there)
{
	for (size_t v = from; v <= to; v++)
		if (present[v] != there)
			return 0;
	return 1;
}

/* The statistics of one k and graph. */
typedef struct tables {
	size_t layers, gaps;
	uint64_t *count, *pairs;    /* runs and pairs at the alpha asked for */
	uint64_t *isolated;         /* layers: samples in no pair */
	uint64_t *births, *deaths;  /* layers */
	uint64_t *survivors;        /* layers - 1 */
	uint64_t *either;           /* layers: pairs present in v - 1 or v */
	uint64_t *survival, *lived; /* layers x layers: of those born at a, present from a to b; gone after b */
	uint64_t *returns;          /* layers x gaps: [b][gap - 1] */
	double *share, *removal;    /* layers x layers; layers */
} tables;

/* What one pair adds. */
static void add_pair(tables *t, const unsigned char *present)
{
	size_t layers = t->layers;
	for (size_t a = 0; a < layers; a++) {
		t->births[a] += (uint64_t)begins_at(present, a);
		t->deaths[a] += (uint64_t)ends_at(present, layers, a);
		if (a + 1 < layers) {
			t->survivors[a] += present[a] && present[a + 1];
			t->either[a + 1] += present[a] || present[a + 1];
		}
		for (size_t b = a; b < layers; b++) {
			t->survival[a * layers + b] += begins_at(present, a) && all_of(present, a, b, 1);
			t->lived[a * layers + b] += (uint64_t)is_run(present, layers, a, b, 0);
		}
		for (size_t gap = 1; gap <= t->gaps && a + gap + 1 < layers; gap++)
			t->returns[a * t->gaps + gap - 1] +=
				present[a] && all_of(present, a + 1, a + gap, 0) && present[a + gap + 1];
	}
}

static double share_of(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : NAN; /* both below 2^53: rounded once */
}

static void fill_dynamics(tables *t, const unsigned char *lists, size_t pairs)
{
	size_t layers = t->layers;
	for (size_t pair = 0; pair < pairs; pair++)
		if (memchr(lists + pair * layers, 1, layers))
			add_pair(t, lists + pair * layers);
	for (size_t i = 0; i < layers * layers; i++)
		t->share[i] = share_of(t->lived[i], t->births[i / layers]);
	t->removal[0] = NAN;
	for (size_t v = 1; v < layers; v++)
		t->removal[v] = share_of(t->survivors[v - 1], t->either[v]);
}

/* The samples that are in no pair of layer v. */
static uint64_t count_isolated(const unsigned char *lists, size_t layers, size_t n, size_t v)
{
	unsigned char *in_pair = must_alloc(n, 1);
	uint64_t isolated = 0;
	size_t pair = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++, pair++)
			if (lists[pair * layers + v])
				in_pair[i] = in_pair[j] = 1;
	for (size_t i = 0; i < n; i++)
		isolated += !in_pair[i];
	free(in_pair);
	return isolated;
}

slow_measure *slow_measures_of(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k,
			       kith_graph_kind graph, uint32_t alpha, size_t gaps)
{
	size_t square = layers * layers, size = sizeof(uint64_t);
	tables t = {.layers = layers,
		    .gaps = gaps,
		    .count = must_alloc(square, size),
		    .pairs = must_alloc(layers, size),
		    .isolated = must_alloc(layers, size),
		    .births = must_alloc(layers, size),
		    .deaths = must_alloc(layers, size),
		    .survivors = must_alloc(layers, size),
		    .either = must_alloc(layers, size),
		    .survival = must_alloc(square, size),
		    .lived = must_alloc(square, size),
		    .returns = must_alloc(layers * gaps, size),
		    .share = must_alloc(square, sizeof(double)),
		    .removal = must_alloc(layers, sizeof(double))};
	const slow_measure all[] = {{"nntp", t.count, NULL},
				    {"pairs", t.pairs, NULL},
				    {"isolated", t.isolated, NULL},
				    {"births", t.births, NULL},
				    {"deaths", t.deaths, NULL},
				    {"survivors", t.survivors, NULL},
				    {"removal", NULL, t.removal},
				    {"survival", t.survival, NULL},
				    {"share", NULL, t.share},
				    {"returns", t.returns, NULL},
				    {NULL, NULL, NULL}};
	slow_measure *out = must_alloc(sizeof all / sizeof *all, sizeof *out);
	slow_nntp(ranks, layers, n, width, k, graph, alpha, t.count, t.pairs);
	unsigned char *lists = presence_lists(ranks, layers, n, width, k, graph);
	for (size_t v = 0; v < layers; v++)
		t.isolated[v] = count_isolated(lists, layers, n, v);
	if (!alpha)
		fill_dynamics(&t, lists, n * (n - 1) / 2);
	free(lists);
	free(t.either);
	free(t.lived);
	memcpy(out, all, sizeof all);
	return out;
}

void slow_measures_free(slow_measure *measures)
{
	for (slow_measure *m = measures; m->name; m++) {
		free(m->counts);
		free(m->ratios);
	}
	free(measures);
}
