/* test_chance.c - what chance gives: every draw counted, closed forms where there are any, and sizes at which careless
 * arithmetic would run out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kith/stack.h"
#include "sandbox.h"
#include "slow.h"

/* All sets of k of the others, one by one, against the first k. */
static double every_draw(uint64_t n, uint32_t k)
{
	uint64_t *times = must_alloc(k + 1, sizeof *times);
	uint32_t *p = must_alloc(k + 1, sizeof *p), *q = must_alloc(k + 1, sizeof *q), marked = (1u << k) - 1;
	double mean, std_err;
	for (uint32_t set = 0; set < 1u << (n - 1); set++) {
		uint32_t both = (uint32_t)__builtin_popcount(set & marked);
		if ((uint32_t)__builtin_popcount(set) != k)
			continue;
		times[both]++;
		p[both] = both;
		q[both] = (uint32_t)__builtin_popcount(set | marked);
	}
	slow_mean(times, p, q, k + 1, 2 * k, &mean, &std_err);
	free(times);
	free(p);
	free(q);
	return mean;
}

static void test_every_draw(void **state)
{
	(void)state;
	for (uint64_t n = 2; n <= 14; n++)
		for (uint32_t k = 1; k < n; k++)
			assert_true(kith_nnts_expected(n, k) == every_draw(n, k));
}

static void test_against_binomials(void **state)
{
	static const struct {
		uint64_t n;
		uint32_t k;
	} cases[] = {{60000, 1}, {60000, 15}, {60000, 100}, {1000, 200}, {300, 298}, {2000000000, 15}, {101, 50}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_true(kith_nnts_expected(cases[i].n, cases[i].k) == slow_expected(cases[i].n, cases[i].k));
}

static void test_closed_forms(void **state)
{
	(void)state;
	for (uint64_t n = 2; n <= 1u << 30; n = 3 * n + 1) {
		__float128 others = n - 1;
		uint32_t k = (uint32_t)n - 1;
		assert_true(kith_nnts_expected(n, 1) == (double)(1 / others)); /* hit or miss */
		assert_true(kith_nnts_expected(n, k) == 1);
		if (n > 2) /* either set lacks one: the same, or another and then k - 1 of k + 1 are common */
			assert_true(kith_nnts_expected(n, k - 1) ==
				    (double)((others + (others - 1) * (others - 2)) / (others * others)));
	}
}

/* IoU is convex in the overlap, whose mean is k / (n-1), and spreads by next to nothing. */
static void test_millions(void **state)
{
	static const uint32_t sizes[] = {1000, 100000, 1000000, 1999998};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		double overlap = sizes[i] / 2e6, least = overlap / (2 - overlap);
		double got = kith_nnts_expected(2000001, sizes[i]);
		assert_true(got > least && got < least + 1e-6);
	}
}

static void test_corrected(void **state)
{
	(void)state;
	assert_true(kith_nnts_corrected(1, 0.25) == 1);
	assert_true(kith_nnts_corrected(0.25, 0.25) == 0);
	assert_true(kith_nnts_corrected(0, 0.25) == -1.0 / 3);
	assert_true(kith_nnts_corrected(0.625, 0.25) == 0.5);
	assert_true(kith_nnts_corrected(0.1, 0) == 0.1);
	assert_true(isnan(kith_nnts_corrected(1, 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_draw),   cmocka_unit_test(test_against_binomials),
		cmocka_unit_test(test_closed_forms), cmocka_unit_test(test_millions),
		cmocka_unit_test(test_corrected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
