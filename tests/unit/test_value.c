/* test_value.c - streams of every kind of bytes come back as they were, and sets of ids as they were, whatever the
 * processor unpacks them with: at the numbers of samples where gaps take another byte, sets that are empty, of one
 * register, and longer, ids next to each other and at the ends; and an id that is none is noticed. Some of a row are
 * picked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rng.h"
#include "sandbox.h"
#include "set_kernels.h"
#include "value.h"

static kith_encoder value;
static kith_decoder decoder;

static int setup(void **state)
{
	kith_err err;
	(void)state;
	return kith_encoder_init(&value, &err) || kith_decoder_init(&decoder, &err);
}

static int teardown(void **state)
{
	(void)state;
	kith_encoder_free(&value);
	kith_decoder_free(&decoder);
	return 0;
}

static void start(uint64_t items)
{
	kith_err err;
	assert_int_equal(kith_value_start(&value, KITH_TABLE_ROWS, 7, 1, items, &err), 0);
}

static kith_view open_value(void)
{
	kith_err err;
	kith_view view;
	kith_value_seal(&value);
	assert_int_equal(kith_view_open(&view, &decoder, value.bytes, value.size, KITH_TABLE_ROWS, 7, &err), 0);
	return view;
}

/* Bytes it takes in the value. */
static size_t round_trip(const uint8_t *raw, size_t size)
{
	kith_err err;
	uint8_t *back = must_alloc(size + 1, 1);
	start(0);
	size_t before = value.size;
	assert_int_equal(kith_value_stream(&value, raw, size, &err), 0);
	kith_view view = open_value();
	assert_int_equal(kith_view_stream(&view, back, size, &err), 0);
	assert_int_equal(kith_view_end(&view, &err), 0);
	assert_memory_equal(raw, back, size);
	free(back);
	return value.size - before;
}

#define BYTES 300000u
#define ROW   7504u

static void test_streams(void **state)
{
	static uint8_t noise[BYTES], few[BYTES], rows[BYTES], zero[BYTES];
	rng r = {21};
	(void)state;
	for (size_t i = 0; i < BYTES; i++) {
		noise[i] = (uint8_t)rng_next(&r);
		few[i] = (uint8_t)(rng_next(&r) & rng_next(&r) & 7);
		rows[i] = i < ROW || rng_chance(&r, 1) ? few[i] | (noise[i] & 0x30) : rows[i - ROW];
	}
	static const size_t sizes[] = {0, 1, 2, 15, 1000, 65535, 65536, 65537, BYTES};
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		assert_true(round_trip(noise, sizes[s]) == sizes[s] + 16); /* as they are */
		round_trip(few, sizes[s]);
		round_trip(rows, sizes[s]);
		round_trip(zero, sizes[s]);
	}
	assert_true(round_trip(few, BYTES) < BYTES / 3);  /* 2.2 bits a byte */
	assert_true(round_trip(rows, BYTES) < BYTES / 8); /* only matches make that of them */
	assert_true(round_trip(zero, BYTES) < 1000);
}

/* `count` ids of base..n-1, ascending. */
static void draw_set(rng *r, uint32_t *ids, size_t count, uint64_t base, uint64_t n)
{
	uint64_t next = base;
	int dense = rng_chance(r, 20);
	for (size_t i = 0; i < count; i++) {
		uint64_t room = n - next - (count - i) + 1; /* what is left to choose from */
		next += dense ? 0 : rng_chance(r, 3) ? room - 1 : rng_below(r, room < 1000 ? room : room / (count - i));
		ids[i] = (uint32_t)next++;
	}
}

#define SETS 40u
#define IDS  (SETS * 50)

static void test_sets(void **state)
{
	static const uint64_t ns[] = {3,           200,        256, 257, 65536, 65537, 1u << 24, (1u << 24) + 1,
				      3000000000u, 0xffffffffu};
	static uint32_t ids[IDS], gaps[IDS], back[IDS + KITH_SPARE];
	rng r = {22};
	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint64_t n = ns[(size_t)round % (sizeof ns / sizeof *ns)], offset[SETS + 1] = {0};
		uint64_t step = rng_below(&r, 2), base = step ? rng_below(&r, n < 1000 ? n : 1000) : 0;
		kith_err err;
		int bad = 2;
		size_t longest = 0;
		for (size_t s = 0; s < SETS; s++) {
			uint64_t own = base + s * step, most = own < n ? n - own : 0;
			size_t count = (size_t)rng_below(&r, round % 2 ? 17 : 50);
			count = count < most ? count : (size_t)most;
			offset[s + 1] = offset[s] + count;
			draw_set(&r, ids + offset[s], count, own, n);
			kith_gaps_encode(ids + offset[s], count, (uint32_t)own, gaps + offset[s]);
			longest = count ? s : longest;
		}
		size_t count = offset[SETS];
		/* an id of n: the last of some set, where there is any and its gap has room for it */
		int spoilt = count && rng_chance(&r, 30) && kith_width(n) == kith_width(n + 1);
		if (spoilt) {
			size_t last = offset[longest + 1] - 1;
			gaps[last] += (uint32_t)(n - ids[last]);
		}
		start(count);
		assert_int_equal(kith_value_u32s(&value, gaps, count, kith_width(n), &err), 0);
		kith_view view = open_value();
		assert_int_equal(kith_view_sets(&view, offset, SETS, base, step, n, back, &bad, &err), 0);
		assert_int_equal(kith_view_end(&view, &err), 0);
		assert_int_equal(bad != 0, spoilt);
		if (!spoilt)
			assert_memory_equal(back, ids, count * sizeof *ids);
	}
}

/* Wide numbers, in runs of another kind each; stored in as much as they need. */
static void test_wide(void **state)
{
	static uint64_t numbers[50000], back[50000];
	rng r = {7};
	(void)state;
	for (int width = 1; width <= 8; width++) {
		size_t count = (size_t)rng_below(&r, 50000), run = (size_t)rng_between(&r, 1, 20000);
		kith_err err;
		for (size_t i = 0; i < count; i++) {
			numbers[i] = rng_next(&r) >> (64 - 8 * width);
			numbers[i] >>= i / run % 3 * 2;
		}
		start(count);
		assert_int_equal(kith_value_u64s(&value, numbers, count, width, run, &err), 0);
		kith_view view = open_value();
		assert_int_equal(kith_view_next_size(&view), count);
		assert_int_equal(kith_view_u64s(&view, back, count, width, &err), 0);
		assert_int_equal(kith_view_end(&view, &err), 0);
		assert_int_equal(kith_view_next_size(&view), 0);
		assert_memory_equal(back, numbers, count * sizeof *numbers);
	}
}

/* Every eight of them, and whatever comes behind. */
static void test_pick(void **state)
{
	enum { MOST = 70 };
	rng r = {8};
	(void)state;
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t from[MOST + 8], to[MOST + 8], want[MOST];
		uint8_t which[MOST + 8] = {0};
		size_t count = round < 256 ? 8 : (size_t)rng_below(&r, MOST + 1), found = 0;
		for (size_t i = 0; i < MOST + 8; i++)
			from[i] = (uint32_t)rng_next(&r);
		for (size_t i = 0; i < count; i++) {
			which[i] = round < 256 ? round >> i & 1 : (uint8_t)rng_below(&r, 2);
			if (which[i])
				want[found++] = from[i];
		}
		assert_int_equal(kith_set_kernels_get()->pick(from, which, count, to), found);
		assert_memory_equal(to, want, found * sizeof *to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_pick),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
