/* test_pair_builder.c - pairs of few samples among very many, on their way into a pair store: samples with more pairs
 * than a thread takes at once, partners on either side of where marks begin anew; every thread count and share gives
 * the same file. */
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

#define N       8500000u /* more than twice the ids that are marked at a time */
#define LAYERS  3
#define SAMPLES 6
#define FIRST   100
#define SPAN    4194304u
#define SOME    80000u /* more than any thread takes at once */

#define LEVELS 2
#define SETS   (LAYERS * LEVELS)
#define WORDS  ((N + 63) / 64)

/* By sample: the sets of its rows, then of its reverse lists. */
typedef struct rows {
	kith_count_set set[SAMPLES][2 * SETS];
	uint8_t *tiers; /* samples x n x layers: what is to be found */
} rows;

/* Of the samples the first has partners everywhere, the second near the ends of spans, the third a lot of them in one
 * place, the fourth none, the fifth all that follow it closely, the sixth a lot everywhere. */
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

/* Ids below the sample are in its sets, too, and count for nothing. */
static void draw_layer(rows *s, uint32_t sample, uint32_t layer, rng *r)
{
	static const unsigned tiers[] = {0, 1, SLOW_TIER_ABSENT};
	uint8_t *tier = s->tiers + (size_t)sample * N * LAYERS + layer;
	uint32_t *id[2 * LEVELS];
	size_t count[2 * LEVELS] = {0};
	for (size_t x = 0; x < 2 * LEVELS; x++)
		id[x] = must_alloc(3 * SOME, sizeof **id);
	for (uint32_t j = 0; j < N; j++) {
		int below = j < FIRST + sample && j % 7 == 0;
		if (j == FIRST + sample || (!below && (j < FIRST + sample || !is_partner(sample, j, r))))
			continue;
		unsigned to = tiers[rng_below(r, 3)], from = tiers[rng_below(r, 3)];
		if (to != SLOW_TIER_ABSENT)
			id[to][count[to]++] = j;
		if (from != SLOW_TIER_ABSENT)
			id[LEVELS + from][count[LEVELS + from]++] = j;
		if (!below)
			tier[(size_t)j * LAYERS] = (uint8_t)(to | from << 4);
	}
	for (uint32_t x = 0; x < 2 * LEVELS; x++) {
		assert_true(count[x] <= 3 * SOME);
		s->set[sample][x / LEVELS * SETS + layer * LEVELS + x % LEVELS] =
			(kith_count_set){.id = id[x], .count = count[x], .layer = layer, .tier = x % LEVELS};
	}
}

/* As bits; what is below the words that are there is in no set. */
static void make_dense(kith_count_set *set)
{
	size_t base = set->count ? set->id[0] / 64 : 0;
	uint64_t *bits = must_alloc(WORDS - base, sizeof *bits);
	for (size_t x = 0; x < set->count; x++)
		bits[set->id[x] / 64 - base] |= 1ull << set->id[x] % 64;
	free((void *)(uintptr_t)set->id);
	*set = (kith_count_set){.bits = bits, .base = base, .layer = set->layer, .tier = set->tier};
}

static void draw_rows(rows *s)
{
	rng r = {1};
	s->tiers = must_alloc((size_t)SAMPLES * N, LAYERS);
	memset(s->tiers, SLOW_PAIR_ABSENT, (size_t)SAMPLES * N * LAYERS);
	for (uint32_t sample = 0; sample < SAMPLES; sample++) {
		for (uint32_t v = 0; v < LAYERS; v++)
			draw_layer(s, sample, v, &r);
		for (uint32_t x = 0; sample % 2 && x < 2 * SETS; x += 3)
			make_dense(&s->set[sample][x]);
	}
}

static void free_rows(rows *s)
{
	for (uint32_t sample = 0; sample < SAMPLES; sample++)
		for (uint32_t x = 0; x < 2 * SETS; x++) {
			free((void *)(uintptr_t)s->set[sample][x].id);
			free((void *)(uintptr_t)s->set[sample][x].bits);
		}
	free(s->tiers);
	free(s);
}

static size_t sets_of(const void *context, uint64_t node, kith_count_set *sets)
{
	const rows *s = context;
	memcpy(sets, s->set[node - FIRST], sizeof s->set[0]);
	return SETS;
}

static void write_rows(const char *path, const rows *s, uint32_t threads, uint32_t room)
{
	static char name[] = "a";
	kith_layer layers[LAYERS] = {{.name = name}, {.name = name}, {.name = name}};
	kith_pair_info info = {.n = N, .layer_count = LAYERS, .tiers = LEVELS, .k = {3, 5}, .layers = layers};
	kith_pair_rows pairs = {0};
	kith_err err;
	if (kith_pair_rows_init(&pairs, path, &info, threads, SETS, room, &err) ||
	    kith_pair_rows_add(&pairs, FIRST, 2, sets_of, s, &err) ||
	    kith_pair_rows_add(&pairs, FIRST + 2, SAMPLES - 2, sets_of, s, &err) || kith_pair_rows_finish(&pairs, &err))
		fail_msg("%s", err.msg);
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
			const uint8_t *want = s->tiers + ((size_t)sample * N + j) * LAYERS;
			if ((want[0] & want[1] & want[2]) == SLOW_PAIR_ABSENT)
				continue;
			if (p == block.count) {
				assert_int_equal(kith_pair_store_read_planes(store, at++, 0, NULL, &block, &err), 0);
				p = 0;
			}
			assert_int_equal(block.i[p], FIRST + sample);
			assert_int_equal(block.j[p], j);
			for (uint32_t v = 0; v < LAYERS; v++)
				assert_int_equal(slow_pair_tiers(&block, v, p), want[v]);
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
	(void)state;
	draw_rows(s);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
