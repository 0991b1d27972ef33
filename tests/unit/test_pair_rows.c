/* test_pair_rows.c - pairs of few samples among very many, on their way into a pair store: samples with more pairs than
 * a thread takes at once, partners on either side of where marks begin anew; every thread count and share gives the
 * same file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair_rows.h"
#include "rng.h"
#include "sandbox.h"

#define N       9000000u /* more than twice the ids that are marked at a time */
#define LAYERS  3
#define SAMPLES 6
#define FIRST   100
#define SPAN    4194304u
#define SOME    80000u /* more than any thread takes at once */

typedef struct rows {
	uint8_t stored[256];
	uint32_t *id[LAYERS][SAMPLES];
	uint8_t *tier[LAYERS][SAMPLES];
	size_t count[LAYERS][SAMPLES];
} rows;

/* Two tiers that the k asked for reach, and one beyond. */
static void draw_tiers(rows *s)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t low = b & 15, high = b >> 4;
		s->stored[b] =
			(uint8_t)((low < 2 ? low : KITH_TIER_ABSENT) | (high < 2 ? high : KITH_TIER_ABSENT) << 4);
	}
}

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

static void draw_row(rows *s, uint32_t layer, uint32_t sample, rng *r)
{
	static const uint8_t tiers[] = {0, 1, 2, KITH_TIER_ABSENT};
	uint32_t *id = must_alloc(3 * SOME, sizeof *id);
	uint8_t *tier = must_alloc(3 * SOME, 1);
	size_t count = 0;
	for (uint32_t x = FIRST + sample + 1; x < N; x++) {
		if (!is_partner(sample, x, r))
			continue;
		uint8_t b;
		do
			b = (uint8_t)(tiers[rng_below(r, 4)] | tiers[rng_below(r, 4)] << 4);
		while (b == KITH_PAIR_ABSENT);
		assert_true(count < 3 * SOME);
		id[count] = x;
		tier[count++] = b;
	}
	s->id[layer][sample] = id;
	s->tier[layer][sample] = tier;
	s->count[layer][sample] = count;
}

static void row_of(const void *context, uint64_t node, uint32_t layer, kith_pair_row *row)
{
	const rows *s = context;
	uint64_t sample = node - FIRST;
	*row = (kith_pair_row){s->id[layer][sample], s->tier[layer][sample], s->count[layer][sample], s->stored};
}

static void write_rows(const char *path, const rows *s, uint32_t threads, uint32_t room)
{
	static char name[] = "a";
	kith_stack_layer layers[LAYERS] = {{.name = name}, {.name = name}, {.name = name}};
	kith_pair_info info = {.n = N, .layer_count = LAYERS, .levels = 2, .k = {3, 5}, .layers = layers};
	kith_pair_rows pairs = {0};
	kith_err err;
	if (kith_pair_rows_init(&pairs, path, &info, threads, room, &err) ||
	    kith_pair_rows_add(&pairs, FIRST, 2, row_of, s, &err) ||
	    kith_pair_rows_add(&pairs, FIRST + 2, SAMPLES - 2, row_of, s, &err) || kith_pair_rows_finish(&pairs, &err))
		fail_msg("%s", err.msg);
}

/* All pairs, in order: a byte for every id and layer. */
static void assert_pairs(const char *path, const rows *s)
{
	uint8_t *tier = must_alloc((size_t)N * LAYERS, 1);
	kith_pair_store *store = NULL;
	kith_pair_block block = {0};
	uint64_t at = 0, blocks;
	uint32_t p = 0;
	kith_err err;
	if (kith_pair_store_open(&store, path, &err))
		fail_msg("%s", err.msg);
	blocks = kith_pair_info_blocks(kith_pair_store_get_info(store));
	for (uint32_t sample = 0; sample < SAMPLES; sample++) {
		memset(tier, KITH_PAIR_ABSENT, (size_t)N * LAYERS);
		for (uint32_t v = 0; v < LAYERS; v++)
			for (size_t x = 0; x < s->count[v][sample]; x++)
				tier[(size_t)s->id[v][sample][x] * LAYERS + v] = s->stored[s->tier[v][sample][x]];
		for (uint32_t j = 0; j < N; j++) {
			const uint8_t *want = tier + (size_t)j * LAYERS;
			if ((want[0] & want[1] & want[2]) == KITH_PAIR_ABSENT)
				continue;
			if (p == block.count) {
				assert_int_equal(kith_pair_store_read(store, at++, 0, NULL, &block, &err), 0);
				p = 0;
			}
			assert_int_equal(block.i[p], FIRST + sample);
			assert_int_equal(block.j[p], j);
			for (uint32_t v = 0; v < LAYERS; v++)
				assert_int_equal(block.tier[(size_t)v * block.count + p], want[v]);
			p++;
		}
	}
	assert_int_equal(p, block.count);
	assert_int_equal(at, blocks);
	assert_true(blocks > 4);
	kith_pair_block_free(&block);
	kith_pair_store_close(store);
	free(tier);
}

static void test_rows(void **state)
{
	static const uint32_t ways[][2] = {{2, 0}, {3, 64}, {2, 4096}, {5, 1024}}; /* threads, room */
	char path[SANDBOX_PATH], other[SANDBOX_PATH];
	size_t size, other_size;
	rows *s = must_alloc(1, sizeof *s);
	rng r = {1};
	(void)state;
	draw_tiers(s);
	for (uint32_t v = 0; v < LAYERS; v++)
		for (uint32_t sample = 0; sample < SAMPLES; sample++)
			draw_row(s, v, sample, &r);
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
	for (uint32_t v = 0; v < LAYERS; v++)
		for (uint32_t sample = 0; sample < SAMPLES; sample++) {
			free(s->id[v][sample]);
			free(s->tier[v][sample]);
		}
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
