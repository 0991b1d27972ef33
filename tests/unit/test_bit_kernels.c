/* test_bit_kernels.c - the kernels that count on bit matrices, which differ from processor to processor, against bits
 * looked at one by one: few and many layers, words around the eight that are counted at once, sets empty and full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bit_kernels.h"
#include "rng.h"
#include "sandbox.h"
#include "transpose.h"

#define ROUNDS 400
#define MANY   40u /* layers */

/* The same sets in both layouts; what lies between sets must not matter. */
typedef struct sets {
	uint32_t layers, lanes, words;
	size_t step, stride;
	uint64_t *slot_major, *layer_major;
} sets;

static uint64_t draw_word(rng *r)
{
	uint64_t x = rng_next(r);
	switch (rng_below(r, 5)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return x & rng_next(r) & rng_next(r);
	default:
		return x;
	}
}

/* Of many layers few words: the definition is slow. */
static sets draw_sets(rng *r, uint32_t most_layers)
{
	sets s = {.layers = (uint32_t)rng_between(r, 1, most_layers),
		  .words = (uint32_t)(rng_chance(r, 3) ? rng_between(r, 250, 530) : rng_below(r, 40))};
	s.words = most_layers > MANY ? s.words % 4 : s.words;
	s.lanes = (s.layers + 7) & ~7u;
	s.step = s.lanes + rng_below(r, 9);
	s.stride = s.words + rng_below(r, 9);
	s.slot_major = must_alloc((s.words + 1) * s.step + KITH_BITS_SPARE, 8);
	s.layer_major = must_alloc(s.layers * s.stride + 1, 8);
	for (size_t i = 0; i < s.layers * s.stride; i++)
		s.layer_major[i] = draw_word(r);
	for (uint32_t w = 0; w < s.words; w++)
		for (size_t v = 0; v < s.step; v++)
			s.slot_major[w * s.step + v] = v < s.layers  ? s.layer_major[v * s.stride + w]
						       : v < s.lanes ? 0
								     : rng_next(r);
	return s;
}

static void free_sets(sets *s)
{
	free(s->slot_major);
	free(s->layer_major);
}

/* How many slots are in all of layers a..b and in layer c. */
static uint64_t slow_count(const sets *s, uint32_t a, uint32_t b, uint32_t c)
{
	uint64_t count = 0;
	for (uint32_t slot = 0; slot < 64 * s->words; slot++) {
		int in = s->layer_major[c * s->stride + slot / 64] >> slot % 64 & 1;
		for (uint32_t v = a; in && v <= b; v++)
			in &= s->layer_major[v * s->stride + slot / 64] >> slot % 64 & 1;
		count += (uint64_t)in;
	}
	return count;
}

static void test_overlaps_and_counts(void **state)
{
	rng r = {11};
	const kith_bit_kernels *kernels = kith_bit_kernels_get();
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		sets s = draw_sets(&r, round % 20 ? 34 : 70);
		uint32_t pairs = s.layers * (s.layers - 1) / 2, pair = 0;
		uint32_t *layer_major = must_alloc(pairs + 1, 4);
		uint16_t *slot_major = must_alloc(pairs + KITH_BITS_SPARE, 2);
		uint64_t *by_slot_major = must_alloc(s.lanes, 8), *by_layer_major = must_alloc(s.lanes, 8);
		for (uint32_t p = 0; p < pairs; p++)
			layer_major[p] = 5; /* they add */
		memset(by_slot_major, 0, s.lanes * 8);
		memset(by_layer_major, 0, s.lanes * 8);
		kernels->overlaps_slot_major(s.slot_major, s.words, s.step, s.layers, slot_major);
		kith_bits_overlaps_layer_major(kernels, s.layer_major, s.words, s.stride, s.layers, layer_major);
		kernels->count_slot_major(s.slot_major, s.words, s.step, s.lanes, by_slot_major);
		kith_bits_count_layer_major(kernels, s.layer_major, s.words, s.stride, s.layers, by_layer_major);
		for (uint32_t a = 0; a < s.layers; a++) {
			assert_int_equal(by_slot_major[a], slow_count(&s, a, a, a));
			assert_int_equal(by_layer_major[a], by_slot_major[a]);
			for (uint32_t b = a + 1; b < s.layers; b++, pair++) {
				assert_int_equal(layer_major[pair], 5 + slow_count(&s, a, a, b));
				assert_int_equal(slot_major[pair] + 5, layer_major[pair]);
			}
		}
		free(slot_major);
		free(layer_major);
		free(by_slot_major);
		free(by_layer_major);
		free_sets(&s);
	}
}

static void test_spans(void **state)
{
	rng r = {12};
	const kith_bit_kernels *kernels = kith_bit_kernels_get();
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		sets s = draw_sets(&r, round % 20 ? MANY : KITH_BITS_SPAN_LAYERS);
		size_t items = (size_t)s.layers * s.lanes;
		int64_t *slot_major = must_alloc(items, 8), *layer_major = must_alloc(items, 8);
		memset(slot_major, 0, items * 8);
		memset(layer_major, 0, items * 8);
		kernels->spans_slot_major(s.slot_major, s.words, s.step, s.lanes, s.layers, slot_major);
		kith_bits_spans_layer_major(kernels, s.layer_major, s.words, s.stride, s.layers, s.lanes, layer_major);
		for (uint32_t a = 0; a < s.layers; a++)
			for (uint32_t b = a; b < s.layers; b++) {
				assert_int_equal(slot_major[(b - a) * s.lanes + a], slow_count(&s, a, b, a));
				assert_int_equal(layer_major[(b - a) * s.lanes + a], slot_major[(b - a) * s.lanes + a]);
			}
		free(slot_major);
		free(layer_major);
		free_sets(&s);
	}
}

static void test_transpose(void **state)
{
	rng r = {13};
	const kith_bit_kernels *kernels = kith_bit_kernels_get();
	uint64_t x[64], fast[64], plain[64], own[64];
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 64; i++)
			x[i] = own[i] = plain[i] = draw_word(&r);
		kernels->transpose(fast, x);
		kernels->transpose(own, own);
		kith_transpose(plain);
		for (int i = 0; i < 64; i++)
			for (int j = 0; j < 64; j++)
				assert_int_equal(fast[j] >> i & 1, x[i] >> j & 1);
		assert_memory_equal(fast, plain, sizeof fast);
		assert_memory_equal(fast, own, sizeof fast);
	}
}

static void test_hash(void **state)
{
	rng r = {14};
	uint32_t id[80];
	uint16_t hash[80];
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t count = (uint32_t)rng_below(&r, 80), bits = (uint32_t)rng_between(&r, 1, 16);
		for (uint32_t e = 0; e < count; e++)
			id[e] = e && rng_chance(&r, 3) ? id[rng_below(&r, e)] : (uint32_t)rng_next(&r);
		kith_bits_hash(id, count, bits, hash);
		for (uint32_t e = 0; e < count; e++) {
			assert_true(hash[e] < 1u << bits);
			for (uint32_t f = 0; f < e; f++)
				assert_true(id[e] != id[f] || hash[e] == hash[f]);
		}
	}
}

#define IDS 208u

/* Masks of one word, whose lower half is of rows, and of several; ids near the sample, which are it now and then. */
static void test_select(void **state)
{
	rng r = {16};
	const kith_bit_kernels *kernels = kith_bit_kernels_get();
	static uint64_t mask[6 * IDS], rows[6 * IDS], above[6 * (IDS + 3)];
	uint32_t id[IDS];
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t node = (uint32_t)(round % 3 ? 1u << 31 : rng_next(&r)), found[2], a = 0, b = 0;
		uint32_t half = (uint32_t)rng_between(&r, 1, 3);
		int own = 0, rarely = round % 2;
		kith_bits_masks m = {.id = id,
				     .mask = mask,
				     .stride = IDS,
				     .words = round % 4 ? 1 : 2 * half,
				     .row_words = round % 4 ? 1 : half,
				     .row_bits = round % 4 ? 0xffffffff : ~0ull,
				     .count = (uint32_t)rng_below(&r, IDS - 7)};
		for (uint32_t e = 0; e < IDS; e++) {
			id[e] = node + (uint32_t)rng_below(&r, 9) - 4 + !rarely * 5;
			for (uint32_t w = 0; w < m.words; w++)
				mask[w * IDS + e] = draw_word(&r) & draw_word(&r);
		}
		int got = kernels->select(&m, node, rows, above, IDS + 3, found);
		for (uint32_t e = 0; e < m.count; e++) {
			uint64_t row = 0, any = 0;
			for (uint32_t w = 0; w < m.words; w++) {
				any |= mask[w * IDS + e];
				row |= w < m.row_words ? mask[w * IDS + e] & m.row_bits : 0;
			}
			own |= row && id[e] == node;
			for (uint32_t w = 0; row && w < m.row_words; w++)
				assert_int_equal(rows[w * IDS + a], mask[w * IDS + e] & m.row_bits);
			for (uint32_t w = 0; any && id[e] > node && w < m.words; w++)
				assert_int_equal(above[w * (IDS + 3) + b], mask[w * IDS + e]);
			a += row != 0;
			b += any && id[e] > node;
		}
		assert_int_equal(found[0], a);
		assert_int_equal(found[1], b);
		assert_int_equal(got != 0, own);
	}
}

static void test_or(void **state)
{
	rng r = {15};
	uint64_t to[40], from[40], was[40];
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t words = rng_below(&r, 40);
		uint64_t shared = 0;
		for (size_t w = 0; w < 40; w++) {
			was[w] = to[w] = draw_word(&r) & (round % 2 ? ~0ull : 0x5555);
			from[w] = draw_word(&r) & (round % 2 ? ~0ull : 0xaaaa);
			shared |= w < words ? to[w] & from[w] : 0;
		}
		assert_int_equal(kith_bits_or(to, from, words) != 0, shared != 0);
		for (size_t w = 0; w < 40; w++)
			assert_int_equal(to[w], w < words ? was[w] | from[w] : was[w]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlaps_and_counts),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_transpose),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_or),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
