/* test_tally.c - a sample that is refused leaves nothing behind for the next one to trip over: threads go on with their
 * share of a window before anyone looks. One sample of a damaged graph has itself in its rows, or an id twice, met by
 * either way of counting; those after it are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox.h"
#include "tally.h"

#define N      200u
#define K      70u
#define LAYERS 2u
#define BAD    150u
#define FEW    (2 * K + 52) /* slots, and ids that are few: more than a sample has */

/* Sample i's neighbours are those that follow it, round and round, in every layer; no reverse lists. */
static kith_sets make_rows(int with_ids)
{
	kith_sets sets = {.count = N, .items = with_ids ? N * K : 0};
	sets.offset = must_alloc(N + 1, sizeof *sets.offset);
	sets.id = must_alloc(N * K + KITH_SETS_SPARE, sizeof *sets.id);
	memset(sets.id, 0, (N * K + KITH_SETS_SPARE) * sizeof *sets.id);
	for (uint32_t i = 0; i <= N; i++)
		sets.offset[i] = with_ids ? i * K : 0;
	for (uint32_t i = 0; with_ids && i < N; i++) {
		uint32_t *row = sets.id + i * K, at = 0;
		for (uint32_t j = 0; j < N; j++)
			if (j != i && (j + N - i) % N <= K)
				row[at++] = j;
	}
	return sets;
}

static void count(uint32_t slots, int by_hash, int twice)
{
	kith_tally_plan plan = {.n = N, .layers = LAYERS, .levels = 1, .k = {K}, .counts = {1, 1}, .by_hash = by_hash};
	kith_sets sets[2 * LAYERS];
	kith_tally_source sources[2 * LAYERS];
	kith_tally tally;
	kith_err err;
	uint64_t bad = 0;

	plan.start[1] = K + 1;
	kith_tally_choose_slots(&plan, 3ull * LAYERS * K, slots);
	assert_int_equal(kith_tally_init(&tally, &plan, &err), 0);
	for (uint32_t s = 0; s < 2 * LAYERS; s++) {
		sets[s] = make_rows(s < LAYERS);
		sources[s] = (kith_tally_source){&sets[s], s % LAYERS, 0};
	}
	uint32_t *row = sets[1].id + BAD * K; /* 0..20, 151..199 */
	if (twice)
		row[30] = row[29];
	else
		row[21] = BAD;
	assert_int_equal(kith_tally_nodes(&tally, sources, LAYERS, BAD - 20, 40, &bad), 1);
	assert_int_equal(bad, BAD);
	for (uint32_t i = 0; tally.few.place && i < N; i++)
		assert_int_equal(tally.few.place[i], 0);
	for (uint64_t node = BAD + 1; node < N; node++)
		assert_int_equal(kith_tally_nodes(&tally, sources, LAYERS, node, 1, &bad), -1);
	kith_tally_finish(&tally);
	kith_tally_free(&tally);
	for (uint32_t s = 0; s < 2 * LAYERS; s++)
		kith_sets_free(&sets[s]);
}

static void test_few(void **state)
{
	(void)state;
	for (int by_hash = 0; by_hash < 2; by_hash++) {
		count(FEW, by_hash, 0);
		count(FEW, by_hash, 1);
	}
}

/* Slots for a part of the ids: several ranges. */
static void test_many(void **state)
{
	(void)state;
	count(64, 0, 0);
	count(64, 0, 1);
	count(128, 0, 0);
	count(128, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
