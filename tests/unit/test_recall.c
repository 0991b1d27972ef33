/* test_recall.c - the interval of a measured recall, against binomial sums, integrals and simulated audits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kith/graph.h"
#include "recall.h"
#include "rng.h"

static void assert_near(double a, double b, double tolerance)
{
	if (!(fabs(a - b) <= tolerance * fmax(1, fabs(b))))
		fail_msg("%.17g is not %.17g", a, b);
}

/* P(X >= x) of a binomial, term by term. */
static double binomial_tail(uint32_t of, uint32_t x, double p)
{
	long double sum = 0;
	for (uint32_t i = x; i <= of; i++)
		sum += expl(lgammal(of + 1.0L) - lgammal(i + 1.0L) - lgammal(of - i + 1.0L) + i * logl(p) +
			    (of - i) * log1pl(-p));
	return (double)sum;
}

static void test_beta(void **state)
{
	(void)state;
	assert_near(kith_beta_share(0.5, 2, 3), 0.6875, 1e-14);
	assert_near(kith_beta_share(0.3, 1, 7), 1 - pow(0.7, 7), 1e-14);
	assert_near(kith_beta_share(0.3, 7, 1), pow(0.3, 7), 1e-14);
	assert_near(kith_beta_share(0.25, 0.5, 0.5), 1.0 / 3, 1e-14); /* arcsine */
	assert_true(kith_beta_share(0, 2, 3) == 0 && kith_beta_share(1, 2, 3) == 1);
	rng r = {5};
	for (int i = 0; i < 2000; i++) {
		uint32_t of = (uint32_t)rng_between(&r, 1, 400), x = (uint32_t)rng_between(&r, 1, of);
		double p = rng_unit(&r), share = kith_beta_share(p, x, of - x + 1.0);
		assert_near(share, binomial_tail(of, x, p), 1e-11);
		assert_near(share + kith_beta_share(1 - p, of - x + 1.0, x), 1, 1e-11);
		double q = kith_beta_quantile(0.025, x, of - x + 1.0);
		assert_near(kith_beta_share(q, x, of - x + 1.0), 0.025, 1e-9);
	}
	/* as large as audits come */
	double q = kith_beta_quantile(0.025, 11.9e6, 0.1e6);
	assert_near(kith_beta_share(q, 11.9e6, 0.1e6), 0.025, 1e-6);
	assert_near(q, 11.9 / 12 - 1.959964 * sqrt(11.9 / 12 * 0.1 / 12 / 12e6), 1e-7);
}

/* With k = 1 rows are independent neighbours: the textbook's interval. */
static void test_independent(void **state)
{
	uint32_t hits[400];
	(void)state;
	for (uint32_t rows = 2; rows < 400; rows += 1 + rows / 3)
		for (uint32_t found = 0; found <= rows; found += 1 + rows / 9) {
			for (uint32_t i = 0; i < rows; i++)
				hits[i] = i < found;
			kith_recall got = kith_recall_of(hits, rows, 1);
			assert_true(got.recall == kith_recall_part(found, rows));
			if (found)
				assert_near(binomial_tail(rows, found, got.low), 0.025, 1e-9);
			else
				assert_true(got.low == 0);
			if (found < rows)
				assert_near(1 - binomial_tail(rows, found + 1, got.high), 0.025, 1e-9);
		}
	for (uint32_t i = 0; i < 10; i++)
		hits[i] = i < 8;
	assert_near(kith_recall_of(hits, 10, 1).low, 0.4439045, 1e-7); /* Clopper and Pearson's tables */
	assert_near(kith_recall_of(hits, 10, 1).high, 0.9747893, 1e-7);
}

static void assert_sound(kith_recall x)
{
	assert_true(0 <= x.low && x.low <= x.recall && x.recall <= x.high && x.high < 1);
	assert_true(x.low > 0 || x.recall == 0);
}

static void test_ends(void **state)
{
	static uint32_t hits[1000];
	(void)state;
	for (uint32_t k = 1; k <= 12000; k = k * 4 + 1)
		for (uint32_t rows = 1; rows <= 1000; rows = rows * 9 + 1) {
			for (uint32_t i = 0; i < rows; i++)
				hits[i] = k;
			kith_recall all = kith_recall_of(hits, rows, k);
			assert_sound(all);
			assert_true(all.recall > 1 - 1e-15);
			hits[0]--;
			kith_recall one = kith_recall_of(hits, rows, k);
			assert_sound(one);
			assert_true(one.recall == kith_recall_part((uint64_t)rows * k - 1, (uint64_t)rows * k));
			memset(hits, 0, sizeof hits);
			kith_recall none = kith_recall_of(hits, rows, k);
			assert_sound(none);
			assert_true(none.recall == 0 && none.low == 0 && none.high > 0);
		}
	/* rows that are wholly right or wholly wrong are worth one neighbour each */
	for (uint32_t i = 0; i < 1000; i++)
		hits[i] = i < 900 ? 15 : 0;
	kith_recall rows = kith_recall_of(hits, 1000, 15);
	assert_near(rows.high - rows.low, 2 * 1.96 * sqrt(0.9 * 0.1 / 1000), 0.002);
	/* no miss in 15,000: as if they were fewer, because misses cluster */
	for (uint32_t i = 0; i < 1000; i++)
		hits[i] = 15;
	rows = kith_recall_of(hits, 1000, 15);
	assert_true(rows.low < pow(0.025, 1 / 15000.0) && rows.low > 0.998);
	/* one row says little, however many neighbours it has */
	assert_true(kith_recall_of(hits, 1, 15).low < 0.03);
}

/* How a row's misses come: each neighbour by itself, a share of each row that varies from row to row, or all misses in
 * some rows, which lose the part `cluster`. */
typedef struct misses {
	double recall;
	uint32_t rows, k;
	double cluster; /* 0: independent; below 0: varying */
} misses;

static uint32_t draw_hits(const misses *m, rng *r)
{
	double part = m->recall;
	if (m->cluster > 0)
		part = rng_unit(r) < (1 - m->recall) / m->cluster ? 1 - m->cluster : 1;
	else if (m->cluster < 0) /* misses' share is u^5 of the most, 6 times its mean */
		part = 1 - 6 * (1 - m->recall) * pow(rng_unit(r), 5);
	uint32_t hits = 0;
	for (uint32_t i = 0; i < m->k; i++)
		hits += rng_unit(r) < part;
	return hits;
}

static void test_coverage(void **state)
{
	static const misses cases[] = {
		{0.5, 20, 15, 0},      {0.95, 20, 15, -1},    {0.9, 100, 15, 0.5},   {0.8, 100, 15, 1},
		{0.95, 100, 15, 0},    {0.95, 100, 100, -1},  {0.95, 100, 15, 0.5},  {0.99, 1000, 15, 0},
		{0.99, 1000, 15, -1},  {0.99, 1000, 15, 1},   {0.995, 1000, 15, 1},  {0.98, 1000, 15, 0.3},
		{0.999, 1000, 15, -1}, {0.9995, 1000, 15, 0}, {0.99, 1000, 15, 0.5}, {0.9, 1000, 15, 0.7},
	};
	const int rounds = getenv("KITH_SANITIZED") ? 200 : 1000;
	static uint32_t hits[1000];
	rng r = {3};
	(void)state;
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		int held = 0;
		for (int i = 0; i < rounds; i++) {
			for (uint32_t row = 0; row < cases[c].rows; row++)
				hits[row] = draw_hits(&cases[c], &r);
			kith_recall x = kith_recall_of(hits, cases[c].rows, cases[c].k);
			held += x.low <= cases[c].recall && cases[c].recall <= x.high;
		}
		if (held < 0.93 * rounds)
			fail_msg("case %zu: the interval holds in %d of %d audits", c, held, rounds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beta),
		cmocka_unit_test(test_independent),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
