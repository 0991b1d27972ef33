/* test_pair_builder.c - pairs of some samples among very many, on their way into a pair store: samples with more pairs
 * than a thread collects, counted sparsely and densely, over many ranges of ids; every thread count and room gives the
 * same file, and it holds what the definition says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair_builder.h"
#include "rng.h"
#include "sandbox.h"
#include "slow.h"

#define N       8500000u
#define LAYERS  3
#define SAMPLES 6
#define FIRST   1000
#define SPAN    4194304u
#define SOME    80000u /* two thirds of them, in three layers, are more than a thread collects */

#define TIERS 2
#define SETS  (LAYERS * TIERS) /* of rows, tier by tier; then as many of reverse lists */
#define WORDS ((N + 63) / 64)

static const uint32_t ladder[TIERS] = {300, 500};

typedef struct rows {
	kith_sets set[2 * SETS];
	kith_count_source source[2 * SETS];
	uint8_t *tiers; /* samples x n x layers: what is to be found */
} rows;

/* Does the sample stand in a reverse list? The first in some everywhere, the second near the ends of spans, the third
 * in a lot of one place, the fourth in none, the fifth in all that follow closely, the sixth in a lot everywhere. */
static int is_partner(uint32_t sample, uint64_t id, rng *r)
{
	uint64_t base = (FIRST + sample + 1) / 64 * 64;
	switch (sample) {
	case 0:
		return rng_below(r, 30000) == 0;
	case 1:
		return (id + 3 - base) % SPAN < 7 || id >= N - 2 || id == FIRST + 2;
	case 2:
		return id > 4000000 && id <= 4000000 + SOME * 2 && rng_chance(r, 60);
	case 3:
		return 0;
	case 4:
		return id < 40000;
	default:
		return rng_below(r, 60) == 0;
	}
}

/* The tiers of a sample in a layer: from it in the low four bits, to it in the high ones. Rows have as many ids as the
 * ladder says, some of them mutual; the fourth sample's are all smaller. */
static void draw_tiers(uint8_t *tiers, uint32_t sample, rng *r)
{
	uint32_t node = FIRST + sample, listed = 0, *list = must_alloc(3 * SOME, sizeof *list);
	memset(tiers, SLOW_PAIR_ABSENT, N);
	for (uint32_t j = node + 1; j < N; j++)
		if (is_partner(sample, j, r) && rng_below(r, 3)) {
			tiers[j] = (uint8_t)(SLOW_TIER_ABSENT | rng_below(r, TIERS) << 4);
			assert_true(listed < 3 * SOME);
			list[listed++] = j;
		}
	for (uint32_t found = 0; found < ladder[TIERS - 1];) {
		uint32_t j = (uint32_t)rng_below(r, sample == 3 ? node : N);
		if (listed > 9 && rng_chance(r, 20))
			j = list[rng_below(r, listed)];
		if (j != node && (tiers[j] & 15) == SLOW_TIER_ABSENT)
			tiers[j] = (uint8_t)((tiers[j] & 0xf0) | (found++ >= ladder[0]));
	}
	free(list);
}

/* The sets of one side, tier and layer, as ids or as bits. */
static void fill_sets(kith_sets *sets, const uint8_t *tiers, uint32_t layer, uint32_t side, uint32_t tier, int dense)
{
	*sets = (kith_sets){.first = FIRST, .count = SAMPLES, .dense = dense, .base = side ? FIRST / 64 : 0};
	sets->stride = WORDS - sets->base;
	if (dense)
		sets->bits = must_alloc(SAMPLES * sets->stride, sizeof *sets->bits);
	sets->offset = must_alloc(SAMPLES + 1, sizeof *sets->offset);
	sets->id = must_alloc(SAMPLES * 3 * SOME + KITH_SETS_SPARE, sizeof *sets->id);
	for (uint32_t sample = 0; sample < SAMPLES; sample++) {
		for (uint32_t j = 0; j < N; j++) {
			if ((tiers[((size_t)sample * LAYERS + layer) * N + j] >> 4 * side & 15u) != tier)
				continue;
			if (dense)
				sets->bits[sample * sets->stride + j / 64 - sets->base] |= 1ull << j % 64;
			else
				sets->id[sets->items] = j;
			sets->items++;
		}
		sets->offset[sample + 1] = dense ? 0 : sets->items;
	}
}

static void draw_rows(rows *s, int dense)
{
	rng r = {1};
	s->tiers = must_alloc((size_t)SAMPLES * LAYERS, N);
	for (uint32_t x = 0; x < SAMPLES * LAYERS; x++)
		draw_tiers(s->tiers + (size_t)x * N, x / LAYERS, &r);
	for (uint32_t x = 0; x < 2 * SETS; x++) {
		uint32_t side = x / SETS, tier = x % SETS / LAYERS, layer = x % LAYERS;
		fill_sets(&s->set[x], s->tiers, layer, side, tier, dense && x % 3 == 1);
		s->source[x] = (kith_count_source){&s->set[x], layer, tier};
	}
}

static void free_rows(rows *s)
{
	for (uint32_t x = 0; x < 2 * SETS; x++) {
		free(s->set[x].offset);
		free(s->set[x].id);
		free(s->set[x].bits);
	}
	free(s->tiers);
	free(s);
}

/* Counts the first two samples, then the others. */
static void write_rows(const char *path, const rows *s, uint32_t threads, uint32_t room)
{
	static char name[] = "a";
	kith_layer layers[LAYERS] = {{.name = name}, {.name = name}, {.name = name}};
	kith_pair_info info = {.n = N, .layer_count = LAYERS, .tiers = TIERS, .layers = layers};
	kith_count_plan plan = {.n = N, .layers = LAYERS, .tiers = TIERS, .graphs = {1, 1}};
	const kith_count_sources sources = {(kith_count_source *)(uintptr_t)s->source, SETS};
	kith_counter counter[5];
	kith_pair_writer *writer;
	kith_err err;
	memcpy(info.k, ladder, sizeof ladder);
	memcpy(plan.k, ladder, sizeof ladder);
	for (uint32_t q = 0; q < TIERS; q++)
		plan.start[q + 1] = plan.start[q] + kith_layer_pairs(LAYERS) * (ladder[q] + 1);
	kith_counter_choose_sizes(&plan, LAYERS * ladder[TIERS - 1] * 3 / 2, 1, room);
	for (uint32_t t = 0; t < threads; t++)
		assert_int_equal(kith_counter_init(&counter[t], &plan, &err), 0);
	if (kith_pair_writer_create(&writer, path, &info, 2, &err) ||
	    kith_pair_builder_run(writer, counter, threads, &sources, FIRST, 2, &err) ||
	    kith_pair_builder_run(writer, counter, threads, &sources, FIRST + 2, SAMPLES - 2, &err) ||
	    kith_pair_writer_finish(writer, &err))
		fail_msg("%s", err.msg);
	for (uint32_t t = 0; t < threads; t++)
		kith_counter_free(&counter[t]);
}

/* All pairs, in order. */
static void assert_pairs(const char *path, const rows *s)
{
	kith_pair_store *store = NULL;
	kith_pair_planes block = {0};
	uint64_t at = 0, blocks;
	uint32_t p = 0;
	kith_err err;
	if (kith_pair_store_open(&store, path, &err))
		fail_msg("%s", err.msg);
	blocks = kith_pair_info_blocks(kith_pair_store_get_info(store));
	for (uint32_t sample = 0; sample < SAMPLES; sample++) {
		for (uint32_t j = 0; j < N; j++) {
			const uint8_t *want = s->tiers + (size_t)sample * LAYERS * N + j;
			if (j <= FIRST + sample || (want[0] & want[N] & want[2 * N]) == SLOW_PAIR_ABSENT)
				continue;
			if (p == block.count) {
				assert_int_equal(kith_pair_store_read_planes(store, at++, 0, NULL, &block, &err), 0);
				p = 0;
			}
			assert_int_equal(block.i[p], FIRST + sample);
			assert_int_equal(block.j[p], j);
			for (uint32_t v = 0; v < LAYERS; v++)
				assert_int_equal(slow_pair_tiers(&block, v, p), want[(size_t)v * N]);
			p++;
		}
	}
	assert_int_equal(p, block.count);
	assert_int_equal(at, blocks);
	assert_true(blocks > 4);
	kith_pair_planes_free(&block);
	kith_pair_store_close(store);
}

static void test_rows(void **state)
{
	static const uint32_t ways[][2] = {{2, 0}, {3, 4096}, {2, 8192}, {5, 64 * 1000}}; /* threads, room */
	char path[SANDBOX_PATH], other[SANDBOX_PATH];
	size_t size, other_size;
	rows *s = must_alloc(1, sizeof *s);
	draw_rows(s, *(const int *)*state);
	write_rows(sandbox_path(path, "one.kpr"), s, 1, 0);
	assert_pairs(path, s);
	unsigned char *bytes = sandbox_read(path, &size);
	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
		write_rows(sandbox_path(other, "other.kpr"), s, ways[w][0], ways[w][1]);
		unsigned char *others = sandbox_read(other, &other_size);
		assert_int_equal(other_size, size);
		assert_int_equal(memcmp(others, bytes, size), 0);
		free(others);
		remove(other);
	}
	free(bytes);
	free_rows(s);
}

int main(void)
{
	static int ids = 0, bits = 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_rows, &ids),
		cmocka_unit_test_prestate(test_rows, &bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
