/* test_null.c - p of layers that have nothing in common is uniform, of each pair and of the greatest of all pairs; of
 * layers that have, it is not. Chi-square against 20 equal cells; seeds are fixed, so the outcome is always the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kith/merge.h"
#include "sandbox.h"
#include "slow.h"

#define N      80u
#define K      8u
#define LAYERS 6u
#define STACKS 160u
#define R      19u /* relabellings: p is one of 20 */
#define CELLS  (R + 1u)
#define MOST   43.82 /* chi-square of 19 degrees of freedom is more than this once in 1,000 */

static double chi_square(const unsigned *cell)
{
	double all = 0, sum = 0;
	for (unsigned c = 0; c < CELLS; c++)
		all += cell[c];
	for (unsigned c = 0; c < CELLS; c++)
		sum += (cell[c] - all / CELLS) * (cell[c] - all / CELLS) / (all / CELLS);
	return sum;
}

static unsigned cell_of(double p)
{
	return (unsigned)(p * CELLS + 0.5) - 1;
}

/* A stack of random graphs; if they are alike, each second one is like the one before. */
static kith_stack *draw_stack(uint64_t seed, int alike)
{
	rng r = {seed};
	uint32_t *ranks[LAYERS];
	char path[LAYERS][SANDBOX_PATH];
	const char *paths[LAYERS];
	kith_merge_options o;
	kith_graph_info info = {
		.n = N, .d = 1, .tiers = 1, .ladder = {K}, .recall = 1, .metric = "l2", .engine = "exact"};
	kith_stack *stack = NULL;
	kith_err err;
	for (unsigned v = 0; v < LAYERS; v++) {
		ranks[v] = must_alloc(N * (N - 1), sizeof **ranks);
		slow_random_ranks(&r, N, alike && v % 2 ? ranks[v - 1] : NULL, ranks[v]);
		paths[v] = sandbox_path(path[v], "layer%u.nng", v);
		remove(path[v]);
		assert_int_equal(slow_graph_write(path[v], &info, N - 1, ranks[v], NULL, NULL, 1 << 24, &r, &err), 0);
	}
	kith_merge_defaults(&o);
	o.relabellings = R;
	o.null_seed = seed;
	o.threads = 1;
	o.memory = 64u << 20;
	assert_int_equal(kith_merge(LAYERS, paths, paths, &o, &stack, &err), 0);
	for (unsigned v = 0; v < LAYERS; v++)
		free(ranks[v]);
	return stack;
}

/* Counts p of the pairs (0,1), (2,3), ..., which have no layer in common, and so are independent; and p of the greatest
 * of all pairs. */
static void count(unsigned stacks, int alike, unsigned *alone, unsigned *greatest)
{
	memset(alone, 0, CELLS * sizeof *alone);
	memset(greatest, 0, CELLS * sizeof *greatest);
	for (unsigned s = 0; s < stacks; s++) {
		kith_stack *stack = draw_stack(1000 + s, alike);
		const kith_nnts *t = stack->nnts;
		double least = 1;
		for (unsigned v = 0; v < LAYERS; v += 2)
			alone[cell_of(t->null_p[v * LAYERS + v + 1])]++;
		for (unsigned i = 0; i < LAYERS * LAYERS; i++)
			if (i / LAYERS != i % LAYERS && t->null_family_p[i] < least)
				least = t->null_family_p[i];
		greatest[cell_of(least)]++;
		kith_stack_free(stack);
	}
}

static void unrelated_layers(void **state)
{
	unsigned alone[CELLS], greatest[CELLS];
	(void)state;
	count(STACKS, 0, alone, greatest);
	print_message("chi-square: %.1f alone, %.1f of the greatest\n", chi_square(alone), chi_square(greatest));
	assert_true(chi_square(alone) < MOST);
	assert_true(chi_square(greatest) < MOST);
}

static void related_layers(void **state)
{
	unsigned alone[CELLS], greatest[CELLS];
	(void)state;
	count(20, 1, alone, greatest);
	assert_true(chi_square(alone) > MOST);
	assert_true(chi_square(greatest) > MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(unrelated_layers), cmocka_unit_test(related_layers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
