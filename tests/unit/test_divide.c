/* test_divide.c - inputs that the exact engine divides (divide.h): that it does, and that the graph is the
 * definition's, whatever the memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine.h"
#include "exact.h"
#include "hash.h"
#include "npy_write.h"
#include "rng.h"
#include "sandbox.h"
#include "slow.h"

typedef void fill(double *row, size_t i, size_t d, rng *r);

/* Half of them nothing but noise. */
static void nearly_zero(double *row, size_t i, size_t d, rng *r)
{
	for (size_t t = 0; t < d; t++)
		row[t] = (i % 2 ? 1e-7 : 3) * rng_normal(r);
}

/* About three points, and some that are about none. */
static void tight(double *row, size_t i, size_t d, rng *r)
{
	for (size_t t = 0; t < d; t++)
		row[t] = (i % 9 ? sin((double)(t * (i % 3 + 1))) : 0) + (i % 9 ? 1e-9 : 0.4) * rng_normal(r);
}

static void lengths(double *row, size_t i, size_t d, rng *r)
{
	double length = exp(4 * rng_normal(r));
	(void)i;
	for (size_t t = 0; t < d; t++)
		row[t] = length * rng_normal(r);
}

/* Parts in parts. */
static void nested(double *row, size_t i, size_t d, rng *r)
{
	double small = i % 3 == 0 ? 1 : i % 3 == 1 ? 1e-4 : 1e-9;
	for (size_t t = 0; t < d; t++)
		row[t] = small * (5 + rng_normal(r));
}

/* Far from all, beside the near ones, some that squares of floats cannot hold. */
static void outsiders(double *row, size_t i, size_t d, rng *r)
{
	nearly_zero(row, i, d, r);
	if (i % 400 == 2)
		row[i % d] = 1e25;
}

static void copies(double *row, size_t i, size_t d, rng *r)
{
	rng own = {rng_below(r, 700) + 1};
	(void)i;
	for (size_t t = 0; t < d; t++)
		row[t] = rng_normal(&own);
}

/* Two values, whose difference is rounded. */
static void one_of_many(double *row, size_t i, size_t d, rng *r)
{
	(void)r;
	for (size_t t = 0; t < d; t++)
		row[t] = t == i * 7 % d ? 0.9 : 0.1 / 3;
}

/* Three values, steps of 0.75. */
static void two_of_many(double *row, size_t i, size_t d, rng *r)
{
	(void)r;
	memset(row, 0, d * sizeof *row);
	row[i * 11 % d] = 2.25;
	row[(i * 11 + 5 + i / d) % d] = -1.5;
}

typedef struct sample {
	fill *fill;
	kith_dtype dtype;
	kith_metric metric;
	size_t n, d;
	const char *plan;
} sample;

static void check(const sample *s)
{
	size_t n = s->n, d = s->d, size;
	rng r = {n + d};
	double *x = must_alloc(n * d, sizeof *x), *dist2 = must_alloc(n * 15, sizeof *dist2), *all;
	void *raw = must_alloc(n * d, npy_size(s->dtype));
	uint32_t *ranks = must_alloc(n * 15, sizeof *ranks);
	uint64_t *order = must_alloc(n, sizeof *order);
	kith_graph_info want = {.n = n, .d = d, .tiers = 2, .ladder = {4, 15}, .near = 15, .recall = 1};
	kith_knn_options options;
	kith_exact_options own = {0};
	kith_knn_summary summary = {0};
	kith_err err = {0};
	char npy[SANDBOX_PATH], nng[SANDBOX_PATH], why[1024] = "";
	for (size_t i = 0; i < n; i++)
		s->fill(x + i * d, i, d, &r);
	npy_encode(s->dtype, x, n * d, raw);
	npy_decode(s->dtype, raw, n * d, x);
	sandbox_path(npy, "layer.npy");
	sandbox_path(nng, "layer.nng");
	npy_write(npy, s->dtype, n, d, raw);
	unsigned char *file = sandbox_read(npy, &size);
	snprintf(want.digest, sizeof want.digest, "xxh3:%016llx", (unsigned long long)kith_hash(file, size));
	strcpy(want.engine, "exact");
	strcpy(want.metric, s->metric == KITH_COSINE ? "cosine" : "l2");
	slow_tie_order(x, n, d, KITH_TIES_CONTENT, order);
	if (s->metric == KITH_COSINE)
		slow_normalise(x, n, d);
	all = slow_distances(x, n, d);
	int first = getenv("KITH_SANITIZED") ? 2 : 0; /* where all is slow, the default tie rule alone */
	kith_knn_defaults(&options);
	options.tiers = 2;
	memcpy(options.ladder, want.ladder, sizeof want.ladder);
	options.metric = s->metric;
	options.threads = 2;
	options.command = "test_divide";
	for (int run = first; run < 4; run++) {
		int low = run & 1;
		options.ties = want.ties = run < 2 ? KITH_TIES_INDEX : KITH_TIES_CONTENT;
		if (!low)
			slow_nearest(all, n, run < 2 ? NULL : order, 15, ranks, dist2);
		options.memory = low ? 12u << 20 : 1u << 30;
		remove(nng);
		if (kith_knn_build_with(npy, nng, &options, &own, &summary, &err))
			fail_msg("%s", err.msg);
		if (slow_graph_differs(nng, &want, 15, ranks, dist2, &r, why, sizeof why))
			fail_msg("%s: %s", summary.plan, why);
		if (run == first && slow_ties_differ(nng, all, n, dist2, 15, why, sizeof why))
			fail_msg("%s: %s", summary.plan, why);
		if (!low)
			assert_string_equal(summary.plan, s->plan);
	}
	free(file);
	free(all);
	free(x);
	free(raw);
	free(ranks);
	free(order);
	free(dist2);
}

static void test_divided(void **state)
{
	static const sample samples[] = {
		{nearly_zero, KITH_F4, KITH_L2, 2600, 40, "exact (in parts)"},
		{tight, KITH_F8, KITH_L2, 2300, 33, "exact (in parts)"},
		{tight, KITH_F8, KITH_COSINE, 2300, 33, "exact (in parts)"},
		{lengths, KITH_F4, KITH_L2, 2500, 30, "exact (in parts)"},
		{nested, KITH_F8, KITH_L2, 2100, 20, "exact (in parts)"},
		{outsiders, KITH_F8, KITH_L2, 2400, 17, "exact (in parts)"},
		{copies, KITH_F4, KITH_L2, 2200, 25, "exact (distinct samples)"},
		{copies, KITH_F2, KITH_COSINE, 2200, 25, "exact (distinct samples)"},
		{one_of_many, KITH_F8, KITH_L2, 1100, 1101, "exact (whole steps)"},
		{two_of_many, KITH_F4, KITH_L2, 1300, 700, "exact (whole steps)"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
		check(&samples[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_divided)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
