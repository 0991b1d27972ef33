/* test_graph_codec.c - stored values of a graph whose checksums are right but whose contents are not: each is refused
 * with its reason, and nothing is read or allocated for what it claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph_codec.h"

/* Nodes 64..127 are block 1. Tier 0 (4 neighbours) is stored as ids, tier 1 (16 more) as bits. */
#define NODES 64
#define N     200
#define WORDS 4 /* of N bits; reverse lists of block 1 have those from word 1 on */

static const kith_graph_info info = {.n = N, .d = 1, .tiers = 2, .ladder = {4, 20}, .block_nodes = NODES, .recall = 1};

static kith_block_scratch scratch;
static kith_sets sets;
static uint32_t counts[NODES], gaps[NODES * 4];
static uint64_t words[NODES * WORDS];

static int setup(void **state)
{
	kith_err err;
	(void)state;
	return kith_block_scratch_init(&scratch, &err);
}

static int teardown(void **state)
{
	(void)state;
	kith_sets_free(&sets);
	kith_block_scratch_free(&scratch);
	return 0;
}

typedef int decode(kith_block_scratch *, const kith_graph_info *, uint32_t, uint64_t, const void *, size_t, kith_sets *,
		   kith_err *);

static void assert_value(decode *read, uint32_t tier, const char *message)
{
	kith_err err = {0};
	kith_value_seal(&scratch.encoder);
	int rc = read(&scratch, &info, tier, 1, scratch.encoder.bytes, scratch.encoder.size, &sets, &err);
	if (!message) {
		assert_int_equal(rc, 0);
		return;
	}
	assert_int_equal(rc, KITH_ECORRUPT);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" should say \"%s\"", err.msg, message);
}

/* ---- reverse lists as ids: node 64 has 65 and 199, node 65 has 66 ---- */

static void put_ids(uint64_t items, int streams)
{
	kith_err err;
	assert_int_equal(kith_value_start(&scratch.encoder, KITH_TABLE_REVERSE,
					  kith_block_number(&info, KITH_TABLE_REVERSE, 0, 1), NODES, items, &err),
			 0);
	assert_int_equal(kith_value_u32s(&scratch.encoder, counts, NODES, 4, &err), 0);
	if (streams > 1)
		assert_int_equal(kith_value_u32s(&scratch.encoder, gaps, items, 1, &err), 0);
	if (streams > 2)
		assert_int_equal(kith_value_stream(&scratch.encoder, gaps, 1, &err), 0);
}

static void good_ids(void)
{
	memset(counts, 0, sizeof counts);
	memset(gaps, 0, sizeof gaps);
	counts[0] = 2;
	counts[1] = 1;
	gaps[1] = 133;
}

static void test_reverse_ids(void **state)
{
	(void)state;
	good_ids();
	put_ids(3, 2);
	assert_value(kith_reverse_decode, 0, NULL);
	assert_int_equal(sets.items, 3);
	assert_int_equal(sets.id[0], 65);
	assert_int_equal(sets.id[1], 199);
	assert_int_equal(sets.id[2], 66);
	assert_int_equal(sets.offset[1], 2);
	assert_int_equal(sets.offset[NODES], 3);

	gaps[1] = 134; /* id 200 */
	put_ids(3, 2);
	assert_value(kith_reverse_decode, 0, "impossible id");

	good_ids();
	counts[1] = 2; /* more than there are */
	put_ids(3, 2);
	assert_value(kith_reverse_decode, 0, "do not add up");

	good_ids();
	counts[0] = UINT32_MAX; /* a sum that would wrap around */
	counts[1] = 4;
	put_ids(3, 2);
	assert_value(kith_reverse_decode, 0, "do not add up");

	good_ids();
	counts[1] = 0;
	put_ids(3, 2);
	assert_value(kith_reverse_decode, 0, "do not add up");

	good_ids();
	put_ids(3, 1);
	assert_value(kith_reverse_decode, 0, "lacks a stream");
	put_ids(3, 3);
	assert_value(kith_reverse_decode, 0, "bytes too many");
}

/* What a header claims is refused before anything is allocated for it. */
static void test_too_many(void **state)
{
	kith_err err;
	static const uint64_t claims[] = {N * 4 + 1, NODES * N + 1, 1ull << 40, UINT64_MAX};
	(void)state;
	for (size_t c = 0; c < sizeof claims / sizeof *claims; c++) {
		assert_int_equal(kith_value_start(&scratch.encoder, KITH_TABLE_REVERSE,
						  kith_block_number(&info, KITH_TABLE_REVERSE, 0, 1), NODES, claims[c],
						  &err),
				 0);
		assert_value(kith_reverse_decode, 0, "too long");
	}
}

/* ---- bits ---- */

static void put_bits(uint32_t table, uint32_t number, uint64_t items, size_t count)
{
	kith_err err;
	assert_int_equal(kith_value_start(&scratch.encoder, table, number, NODES, items, &err), 0);
	if (table == KITH_TABLE_ROWS) /* tier 0 */
		assert_int_equal(kith_value_u32s(&scratch.encoder, gaps, NODES * 4, 1, &err), 0);
	assert_int_equal(kith_value_stream(&scratch.encoder, words, count * sizeof *words, &err), 0);
}

static void put_reverse_bits(uint64_t items)
{
	put_bits(KITH_TABLE_REVERSE, kith_block_number(&info, KITH_TABLE_REVERSE, 1, 1), items, NODES * (WORDS - 1));
}

static void test_reverse_bits(void **state)
{
	uint64_t *last = words + (NODES - 1) * (WORDS - 1); /* node 127 */
	(void)state;
	memset(words, 0, sizeof words);
	words[0] = 2;       /* node 64: 65 */
	words[2] = 1u << 7; /* and 199 */
	last[1] = 1;        /* node 127: 128 */
	put_reverse_bits(3);
	assert_value(kith_reverse_decode, 1, NULL);
	assert_int_equal(sets.items, 3);
	assert_int_equal(sets.base, 1);

	put_reverse_bits(4);
	assert_value(kith_reverse_decode, 1, "do not add up");

	words[0] = 1; /* node 64: itself */
	put_reverse_bits(3);
	assert_value(kith_reverse_decode, 1, "impossible id");
	words[0] = 2;
	last[0] = 1ull << 63; /* node 127: itself */
	put_reverse_bits(4);
	assert_value(kith_reverse_decode, 1, "impossible id");
	last[0] = 1; /* a smaller one */
	put_reverse_bits(4);
	assert_value(kith_reverse_decode, 1, "impossible id");
	last[0] = 0;
	words[2] = 1u << 8; /* id 200 */
	put_reverse_bits(3);
	assert_value(kith_reverse_decode, 1, "impossible id");
	put_bits(KITH_TABLE_REVERSE, kith_block_number(&info, KITH_TABLE_REVERSE, 1, 1), 3, NODES * (WORDS - 1) - 1);
	assert_value(kith_reverse_decode, 1, "bytes where");
}

static void put_row_bits(void)
{
	put_bits(KITH_TABLE_ROWS, 1, NODES * 20, NODES * WORDS);
}

static void test_row_bits(void **state)
{
	(void)state;
	memset(gaps, 0, sizeof gaps);
	memset(words, 0, sizeof words);
	for (int r = 0; r < NODES; r++)
		words[r * WORDS] = 0xffff;
	put_row_bits();
	assert_value(kith_row_sets_decode, 0, NULL);
	assert_value(kith_row_sets_decode, 1, NULL);
	assert_int_equal(sets.items, NODES * 16);

	words[5 * WORDS] = 0x1ffff;
	put_row_bits();
	assert_value(kith_row_sets_decode, 1, "a row of tier 1");
	words[5 * WORDS] = 0x7fff;
	put_row_bits();
	assert_value(kith_row_sets_decode, 1, "a row of tier 1");
	words[5 * WORDS + 3] = 1u << 8; /* id 200 */
	put_row_bits();
	assert_value(kith_row_sets_decode, 1, "a row of tier 1");
	gaps[7] = 200;
	put_row_bits();
	assert_value(kith_row_sets_decode, 0, "a row of tier 0");
}

/* ---- near lists: of nodes 64..127, the nearest 3 of tier 0's four and none of tier 1 ---- */

static kith_graph_info near_info(void)
{
	kith_graph_info x = info;
	x.near = 3;
	x.near_nodes = NODES;
	x.near_bits = KITH_NEAR_BITS;
	return x;
}

static void assert_near(const kith_graph_info *x, uint32_t *positions, double *dist2, const char *message)
{
	kith_err err = {0};
	kith_value_seal(&scratch.encoder);
	int rc = kith_near_decode(&scratch, x, 1, scratch.encoder.bytes, scratch.encoder.size, positions, dist2, &err);
	assert_int_equal(rc, message ? KITH_ECORRUPT : 0);
	if (message && !strstr(err.msg, message))
		fail_msg("\"%s\" should say \"%s\"", err.msg, message);
}

/* 24 orders in 5 bits a row, and then the numbers' five byte planes. */
static void put_near(const uint8_t *orders, size_t size, const uint64_t *numbers)
{
	kith_err err;
	assert_int_equal(kith_value_start(&scratch.encoder, KITH_TABLE_NEAR, 1, NODES, NODES * 3, &err), 0);
	assert_int_equal(kith_value_stream(&scratch.encoder, orders, size, &err), 0);
	assert_int_equal(kith_value_u64s(&scratch.encoder, numbers, NODES * 3, 5, NODES, &err), 0);
}

/* Format 2: positions as they are, and doubles. */
static void test_near_of_format_2(void **state)
{
	static uint32_t positions[NODES * 3], back[NODES * 3];
	static uint64_t numbers[NODES * 3];
	kith_graph_info x = near_info();
	const struct {
		uint32_t at, position;
		const char *message;
	} cases[] = {{0, 0, NULL},
		     {4, 0, "names a position twice"},
		     {5, 4, "or one of another tier"},
		     {190, kith_info_k(&x), "outside its row"}};
	(void)state;
	x.near_bits = 53;
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		kith_err err;
		for (uint32_t i = 0; i < NODES * 3; i++)
			positions[i] = i % 3;
		positions[cases[c].at] = cases[c].position;
		assert_int_equal(kith_value_start(&scratch.encoder, KITH_TABLE_NEAR, 1, NODES, NODES * 3, &err), 0);
		assert_int_equal(kith_value_u32s(&scratch.encoder, positions, NODES * 3, 1, &err), 0);
		assert_int_equal(kith_value_u64s(&scratch.encoder, numbers, NODES * 3, 8, NODES, &err), 0);
		assert_near(&x, back, NULL, cases[c].message);
	}
}

static void test_near(void **state)
{
	static uint32_t positions[NODES * 3], back[NODES * 3];
	static double dist2[NODES * 3], got[NODES * 3];
	static uint64_t numbers[NODES * 3];
	uint8_t orders[NODES * 5 / 8] = {0};
	kith_graph_info x = near_info();
	kith_err err = {0};
	(void)state;
	for (uint32_t i = 0; i < NODES; i++) {
		positions[3 * i] = i % 4;
		positions[3 * i + 1] = (i + 1 + i % 3) % 4;
		positions[3 * i + 2] = (i + 1 + (i + 1) % 3) % 4;
		dist2[3 * i] = 0;
		dist2[3 * i + 1] = i % 2 ? 3 : 3 + 0x1p-30; /* rounded to sqrt(3) as a float */
		dist2[3 * i + 2] = 16777215;
	}
	assert_int_equal(kith_near_encode(&scratch, &x, 1, positions, dist2, &err), 0);
	assert_near(&x, back, got, NULL);
	assert_memory_equal(back, positions, sizeof positions);
	for (uint32_t i = 0; i < NODES; i++) {
		assert_true(got[3 * i] == 0 && got[3 * i + 2] > 16777214 && got[3 * i + 2] < 16777217);
		assert_true(got[3 * i + 1] == (i % 2 ? 3 : (double)1.7320508f * 1.7320508f));
	}

	positions[4] = positions[3]; /* twice */
	assert_int_equal(kith_near_encode(&scratch, &x, 1, positions, dist2, &err), KITH_EBUG);
	positions[4] = 4; /* of tier 1 */
	assert_int_equal(kith_near_encode(&scratch, &x, 1, positions, dist2, &err), KITH_EBUG);

	memset(orders, 0, sizeof orders);
	put_near(orders, sizeof orders, numbers);
	assert_near(&x, back, got, NULL);
	assert_true(back[0] == 0 && back[1] == 1 && back[2] == 2);
	orders[0] = 23;
	put_near(orders, sizeof orders, numbers);
	assert_near(&x, back, got, NULL);
	assert_true(back[0] == 3 && back[1] == 0 && back[2] == 1); /* digits 3, 2, 1 */
	orders[0] = 24;
	put_near(orders, sizeof orders, numbers);
	assert_near(&x, back, got, "outside its row");
	orders[0] = 0;
	numbers[7] = 0x7ffull << 23;
	put_near(orders, sizeof orders, numbers);
	assert_near(&x, back, got, NULL);
	assert_true(got[3 * 7] > 1e308);
	numbers[NODES + 7] = 1;
	put_near(orders, sizeof orders, numbers);
	assert_near(&x, back, got, "impossible distance");
	put_near(orders, sizeof orders - 1, numbers);
	assert_near(&x, back, got, "bytes where");
}

/* What kith/graph.h says of a reader's scratch, where a value holds one node. */
static void test_near_of_one_node(void **state)
{
	enum { K = 4000 };
	static uint32_t positions[K], back[K];
	static double dist2[K], got[K];
	kith_graph_info x = {.n = 5000, .d = 1, .tiers = 1, .ladder = {K}, .near = K, .block_nodes = 1, .recall = 1};
	kith_block_scratch s = {0};
	kith_err err = {0};
	(void)state;
	x.near_nodes = 1;
	x.near_bits = KITH_NEAR_BITS;
	for (uint32_t r = 0; r < K; r++) {
		positions[r] = K - 1 - r;
		dist2[r] = r;
	}
	assert_int_equal(kith_block_scratch_init(&s, &err), 0);
	assert_int_equal(kith_near_encode(&s, &x, 1, positions, dist2, &err), 0);
	assert_true(s.order_capacity < 28 * K); /* nothing for rows that are not read together */
	assert_int_equal(kith_near_decode(&s, &x, 1, s.encoder.bytes, s.encoder.size, back, got, &err), 0);
	assert_memory_equal(back, positions, sizeof back);
	assert_memory_equal(got, dist2, sizeof got);
	assert_true(sizeof back + sizeof got + s.encoder.size + s.order_capacity + s.bits_capacity * sizeof *s.bits +
			    s.decoder.plane_capacity <
		    40 * 3 * K + 8 * K);
	kith_block_scratch_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reverse_ids),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_reverse_bits),
		cmocka_unit_test(test_row_bits),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_near_of_format_2),
		cmocka_unit_test(test_near_of_one_node),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
