/* test_counts.c - a sample that is refused leaves nothing behind for the next one to trip over: threads go on with
 * their share of a window before anyone looks. One sample of a damaged graph has itself in its rows, or an id twice,
 * and is counted by either accumulator; those after it are counted. And both accumulators count the same, of few layers
 * and of many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "count_nodes.h"
#include "rng.h"
#include "sandbox.h"

#define N      200u
#define K      70u
#define LAYERS 2u
#define BAD    150u
#define SPARSE (2 * K + 52) /* more ids than a sample has */

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

static void free_sets(kith_sets *sets)
{
	free(sets->offset);
	free(sets->id);
}

static void count(uint32_t slots, int twice)
{
	static const char *const paths[] = {"a", "b"};
	kith_count_plan plan = {.n = N, .layers = LAYERS, .paths = paths, .tiers = 1, .k = {K}, .graphs = {1, 1}};
	kith_sets sets[2 * LAYERS];
	kith_count_source source[2 * LAYERS];
	const kith_count_sources sources = {source, LAYERS};
	kith_counter counter;
	kith_err err;

	plan.start[1] = K + 1;
	kith_counter_choose_sizes(&plan, 3ull * LAYERS * K, 0, slots);
	assert_int_equal(kith_counter_init(&counter, &plan, &err), 0);
	for (uint32_t s = 0; s < 2 * LAYERS; s++) {
		sets[s] = make_rows(s < LAYERS);
		source[s] = (kith_count_source){&sets[s], s % LAYERS, 0};
	}
	uint32_t *row = sets[1].id + BAD * K; /* 0..20, 151..199 */
	if (twice)
		row[30] = row[29];
	else
		row[21] = BAD;
	assert_int_equal(kith_counter_run(&counter, &sources, BAD - 20, 40, &err), KITH_ECORRUPT);
	assert_string_equal(err.msg, "b: row 150 is not 70 distinct neighbours: build it again");
	for (uint64_t node = BAD + 1; node < N; node++)
		assert_int_equal(kith_counter_run(&counter, &sources, node, 1, &err), 0);
	kith_counter_finish(&counter);
	kith_counter_free(&counter);
	for (uint32_t s = 0; s < 2 * LAYERS; s++)
		free_sets(&sets[s]);
}

static void test_sparse(void **state)
{
	(void)state;
	count(SPARSE, 0);
	count(SPARSE, 1);
}

/* With slots for a part of the ids: several ranges. */
static void test_dense(void **state)
{
	(void)state;
	count(64, 0);
	count(64, 1);
	count(128, 0);
	count(128, 1);
}

/* ---- both accumulators count the same ---- */

#define SOME 60u /* samples */

/* Rows of k ids drawn near those of the layer before, and the reverse lists that they make. */
static void draw_layer(rng *r, uint32_t k, const kith_sets *before, kith_sets *rows, kith_sets *reverse)
{
	unsigned char in[SOME][SOME] = {{0}};
	size_t at = 0;
	for (uint32_t i = 0; i < SOME; i++) {
		uint32_t found = 0;
		for (uint32_t t = 0; before && t < k; t++)
			if (rng_chance(r, 80)) {
				in[i][before->id[i * k + t]] = 1;
				found++;
			}
		while (found < k) {
			uint32_t j = (uint32_t)rng_below(r, SOME);
			if (j != i && !in[i][j]) {
				in[i][j] = 1;
				found++;
			}
		}
	}
	*rows = (kith_sets){.count = SOME, .items = SOME * k};
	*reverse = (kith_sets){.count = SOME};
	rows->offset = must_alloc(SOME + 1, sizeof *rows->offset);
	reverse->offset = must_alloc(SOME + 1, sizeof *reverse->offset);
	rows->id = must_alloc(SOME * k + KITH_SETS_SPARE, sizeof *rows->id);
	reverse->id = must_alloc(SOME * k + KITH_SETS_SPARE, sizeof *reverse->id);
	for (uint32_t i = 0; i < SOME; i++) {
		for (uint32_t j = 0; j < SOME; j++)
			if (in[i][j])
				rows->id[at++] = j;
		rows->offset[i + 1] = at;
		for (uint32_t j = i + 1; j < SOME; j++)
			if (in[j][i])
				reverse->id[reverse->items++] = j;
		reverse->offset[i + 1] = reverse->items;
	}
}

/* By the sparse accumulator or, with sparse == 0, by the dense one. */
static void count_all(kith_counter *counter, kith_count_plan *plan, const kith_count_sources *sources, int sparse)
{
	kith_err err;
	kith_counter_choose_sizes(plan, 0, 0, SOME);
	plan->sparse_ids = sparse ? (uint32_t)(2 * plan->layers * SOME) : 0;
	assert_int_equal(kith_counter_init(counter, plan, &err), 0);
	assert_int_equal(kith_counter_run(counter, sources, 0, SOME, &err), 0);
	kith_counter_finish(counter);
}

static void compare_ways(uint32_t layers, uint32_t k, uint32_t alpha)
{
	rng r = {layers + k};
	kith_sets *rows = must_alloc(layers, sizeof *rows), *reverse = must_alloc(layers, sizeof *reverse);
	kith_count_sources sources = {must_alloc(2 * (size_t)layers, sizeof *sources.source), layers};
	kith_count_plan plans[2];
	kith_counter counter[2];
	const kith_counts *one = &counter[0].counts, *other = &counter[1].counts;
	size_t squares = (size_t)layers * layers, pairs = kith_layer_pairs(layers);
	for (uint32_t v = 0; v < layers; v++) {
		draw_layer(&r, k, v ? &rows[v - 1] : NULL, &rows[v], &reverse[v]);
		sources.source[v] = (kith_count_source){&rows[v], v, 0};
		sources.source[layers + v] = (kith_count_source){&reverse[v], v, 0};
	}
	for (int sparse = 0; sparse < 2; sparse++) {
		plans[sparse] = (kith_count_plan){
			.n = SOME, .layers = layers, .tiers = 1, .k = {k}, .alpha = alpha, .graphs = {1, 1}};
		plans[sparse].start[1] = pairs * (k + 1);
		count_all(&counter[sparse], &plans[sparse], &sources, sparse);
	}
	assert_memory_equal(one->overlap, other->overlap, pairs * (k + 1) * sizeof *one->overlap);
	assert_memory_equal(one->edges, other->edges, layers * sizeof *one->edges);
	for (int g = 0; g < 2; g++) {
		assert_memory_equal(one->pairs[g], other->pairs[g], layers * sizeof *one->pairs[g]);
		assert_memory_equal(one->runs.table[g], other->runs.table[g], squares * (alpha + 1) * sizeof(int64_t));
	}
	for (uint32_t v = 0; v < layers; v++) {
		assert_int_equal(one->edges[v], SOME * k);
		free_sets(&rows[v]);
		free_sets(&reverse[v]);
	}
	kith_counter_free(&counter[0]);
	kith_counter_free(&counter[1]);
	free(rows);
	free(reverse);
	free(sources.source);
}

static void test_many_layers(void **state)
{
	static const uint32_t layers[] = {1, 2, 32, 33, 64, 65, 256, 257, 300, 511, 512, 513},
			      k[] = {5, 15, 16, 20, 40};
	(void)state;
	for (size_t a = 0; a < sizeof layers / sizeof *layers; a++)
		for (size_t b = 0; b < sizeof k / sizeof *k; b++)
			compare_ways(layers[a], k[b], layers[a] > 2 ? (uint32_t)b % 3 : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_many_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
