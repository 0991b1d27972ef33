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

/* What one pair adds. */
static void add_pair(slow_dynamics *d, const unsigned char *present, size_t layers)
{
	for (size_t a = 0; a < layers; a++) {
		d->births[a] += (uint64_t)begins_at(present, a);
		d->deaths[a] += (uint64_t)ends_at(present, layers, a);
		if (a + 1 < layers) {
			d->survivors[a] += present[a] && present[a + 1];
			d->either[a + 1] += present[a] || present[a + 1];
		}
		for (size_t b = a; b < layers; b++) {
			d->survival[a * layers + b] += begins_at(present, a) && all_of(present, a, b, 1);
			d->lived[a * layers + b] += (uint64_t)is_run(present, layers, a, b, 0);
		}
		for (size_t gap = 1; a + gap + 1 < layers; gap++)
			d->returns[a * layers + gap] +=
				present[a] && all_of(present, a + 1, a + gap, 0) && present[a + gap + 1];
	}
}

static double share_of(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : NAN; /* both below 2^53: rounded once */
}

slow_dynamics slow_dynamics_of(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k,
			       kith_graph_kind graph)
{
	unsigned char *lists = presence_lists(ranks, layers, n, width, k, graph);
	size_t square = layers * layers;
	slow_dynamics d = {
		.births = must_alloc(layers, sizeof(uint64_t)),
		.deaths = must_alloc(layers, sizeof(uint64_t)),
		.survivors = must_alloc(layers, sizeof(uint64_t)),
		.either = must_alloc(layers, sizeof(uint64_t)),
		.survival = must_alloc(square, sizeof(uint64_t)),
		.lived = must_alloc(square, sizeof(uint64_t)),
		.returns = must_alloc(square, sizeof(uint64_t)),
		.share = must_alloc(square, sizeof(double)),
		.removal = must_alloc(layers, sizeof(double)),
	};
	for (size_t pair = 0; pair < n * (n - 1) / 2; pair++)
		if (memchr(lists + pair * layers, 1, layers))
			add_pair(&d, lists + pair * layers, layers);
	for (size_t i = 0; i < square; i++)
		d.share[i] = share_of(d.lived[i], d.births[i / layers]);
	d.removal[0] = NAN;
	for (size_t v = 1; v < layers; v++)
		d.removal[v] = share_of(d.survivors[v - 1], d.either[v]);
	free(lists);
	return d;
}

void slow_dynamics_free(slow_dynamics *d)
{
	free(d->births);
	free(d->deaths);
	free(d->survivors);
	free(d->either);
	free(d->survival);
	free(d->lived);
	free(d->returns);
	free(d->share);
	free(d->removal);
}
