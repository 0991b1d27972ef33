/* test_dynamics.c - layer dynamics of the paper's Table 1, and of stacks that are hardly any. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kith/dynamics.h"
#include "sandbox.h"

enum { I, C0, R0, P0, C1, R1, P1, C2, R2, M3, R3, O, LAYERS };

/* Table 1 in tens of pairs, with the digits that it prints. */
static const uint64_t table1[LAYERS][LAYERS] = {
	{45500, 12200, 699, 595, 251, 302, 3600, 99, 59, 394, 32, 2870},
	{0, 42700, 294, 530, 65, 52, 227, 123, 6, 18, 1, 62},
	{0, 0, 55000, 272, 57, 61, 1020, 13, 2, 9, 1, 46},
	{0, 0, 0, 49400, 1900, 2210, 608, 54, 35, 250, 42, 53},
	{0, 0, 0, 0, 11000, 11400, 28600, 171, 17, 82, 10, 283},
	{0, 0, 0, 0, 0, 6720, 5770, 133, 23, 29, 4, 39},
	{0, 0, 0, 0, 0, 0, 20500, 453, 254, 57, 12, 55},
	{0, 0, 0, 0, 0, 0, 0, 52800, 3630, 879, 57, 46},
	{0, 0, 0, 0, 0, 0, 0, 0, 29100, 10400, 1040, 16800},
	{0, 0, 0, 0, 0, 0, 0, 0, 0, 17000, 1910, 14100},
	{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14900, 12800},
	{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 18000},
};

static kith_stack *make_stack(size_t layers, const uint64_t *count)
{
	kith_stack *s = NULL;
	kith_err err;
	assert_int_equal(kith_stack_new(&s, 60000, layers, 0, 1, &err), 0);
	s->nntp[0].k = 15;
	memcpy(s->nntp[0].count, count, layers * layers * sizeof *count);
	for (size_t v = 0; v < layers; v++)
		for (size_t i = 0; i < layers * layers; i++)
			if (i / layers <= v && v <= i % layers)
				s->nntp[0].pairs[v] += count[i];
	if (kith_stack_check(s, &err))
		fail_msg("%s", err.msg);
	return s;
}

/* What kith/dynamics.h says of the paper: its anomaly is the greatest share, its candidates for removal score lowest.
 */
static void test_table1(void **state)
{
	kith_stack *s = make_stack(LAYERS, table1[0]);
	kith_dynamics d;
	kith_err err;
	(void)state;
	assert_int_equal(kith_dynamics_make(&d, s, 0, &err), 0);
	assert_int_equal(d.gaps, 0);
	assert_int_equal(d.births[C1], 51563);
	assert_int_equal(d.survival[C1 * LAYERS + P1], 51563 - 11000 - 11400);
	assert_true(d.share[C1 * LAYERS + P1] == 28600.0 / 51563);
	for (size_t a = 0; a < LAYERS; a++)
		for (size_t b = a + 1; b + 1 < LAYERS; b++)
			assert_true(d.share[a * LAYERS + b] <= d.share[C1 * LAYERS + P1]);
	assert_int_equal(d.survivors[P1], 5791);
	assert_true(fabs(d.removal[C2] - 0.047) < 0.001);
	assert_true(fabs(d.removal[R2] - 0.078) < 0.001);
	for (size_t v = 1; v < LAYERS; v++)
		assert_true(v == C2 || v == R2 || d.removal[v] > d.removal[R2]);
	kith_dynamics_free(&d);
	kith_stack_free(s);
}

/* One layer; two with no pair in common; two without any pair. */
static void test_small(void **state)
{
	static const uint64_t one[] = {7}, apart[] = {3, 0, 0, 4}, none[] = {0, 0, 0, 0};
	kith_stack *s = make_stack(1, one);
	kith_dynamics d;
	kith_err err;
	(void)state;
	assert_int_equal(kith_dynamics_make(&d, s, 0, &err), 0);
	assert_int_equal(d.births[0], 7);
	assert_int_equal(d.deaths[0], 7);
	assert_true(d.share[0] == 1);
	assert_true(isnan(d.removal[0]));
	kith_dynamics_free(&d);
	kith_stack_free(s);
	s = make_stack(2, apart);
	assert_int_equal(kith_dynamics_make(&d, s, 0, &err), 0);
	assert_int_equal(d.survivors[0], 0);
	assert_true(d.removal[1] == 0);
	kith_dynamics_free(&d);
	kith_stack_free(s);
	s = make_stack(2, none);
	assert_int_equal(kith_dynamics_make(&d, s, 0, &err), 0);
	assert_true(isnan(d.removal[1]));
	assert_true(isnan(d.share[1]));
	kith_dynamics_free(&d);
	kith_stack_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table1), cmocka_unit_test(test_small)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
