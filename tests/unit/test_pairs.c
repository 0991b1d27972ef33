/* test_pairs.c - a pair store of five pairs in every form it is written in, what is refused, and files whose checksums
 * are right but whose contents are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hash.h"
#include "inspect.h"
#include "kith/graph.h"
#include "kith/pairs.h"
#include "outfile.h"
#include "pair_output.h"
#include "rng.h"
#include "sandbox.h"
#include "slow.h"

#define LAYERS 3
#define PAIRS  5

/* n = 4, k = 1, 2, layers "a:b", "1" and "<c>". In each layer rows are 0: 1 2, 1: 0 2, 2: 3 0, 3: 2 1, but in the
 * middle one 1: 2 0. */
static uint32_t is[PAIRS] = {0, 0, 1, 1, 2}, js[PAIRS] = {1, 2, 2, 3, 3};
static uint8_t tiers[PAIRS][LAYERS] = {
	{0x00, 0x10, 0x00}, {0x11, 0x11, 0x11}, {0xf1, 0xf0, 0xf1}, {0x1f, 0x1f, 0x1f}, {0x00, 0x00, 0x00}};
static const slow_pairs five = {PAIRS, LAYERS, is, js, tiers[0]};
static char path[SANDBOX_PATH];

static kith_pair_info info_of_five(void)
{
	static char names[][4] = {"a:b", "1", "<c>"}, metric[] = "l2", engine[] = "exact", digest[] = "xxh3:1";
	static kith_layer layers[LAYERS];
	for (int v = 0; v < LAYERS; v++)
		layers[v] = (kith_layer){
			.name = names[v], .dim = 7, .metric = metric, .engine = engine, .digest = digest, .recall = 1};
	return (kith_pair_info){
		.n = 4, .layer_count = LAYERS, .tiers = 2, .k = {1, 2}, .block_pairs = 2, .layers = layers};
}

static kith_pair_store *store_of_five(void)
{
	kith_pair_info info = info_of_five();
	kith_pair_writer *writer = NULL;
	kith_pair_store *store = NULL;
	kith_err err;
	sandbox_path(path, "five.kpr");
	if (kith_pair_writer_create(&writer, path, &info, 2, &err) ||
	    slow_pairs_append(writer, &five, 2, 0, PAIRS, NULL, &err) || kith_pair_writer_finish(writer, &err) ||
	    kith_pair_store_open(&store, path, &err))
		fail_msg("%s", err.msg);
	return store;
}

static void assert_shown(const kith_show_options *options, const char *expected)
{
	char *text = NULL;
	size_t size;
	kith_err err;
	FILE *out = open_memstream(&text, &size);
	if (kith_show(path, options, out, &err))
		fail_msg("%s", err.msg);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void test_show(void **state)
{
	(void)state;
	kith_pair_store_close(store_of_five());
	assert_shown(&(kith_show_options){.last = UINT64_MAX},
		     "# kith pairs\n# n\t4\n# k\t1,2\n# pairs\t5\n# layers\t3\n"
		     "# layer\tname\td\tmetric\tengine\trecall\tdigest\n"
		     "# 0\ta:b\t7\tl2\texact\t1\txxh3:1\n# 1\t1\t7\tl2\texact\t1\txxh3:1\n"
		     "# 2\t<c>\t7\tl2\texact\t1\txxh3:1\n# i\tj\ta:b\t1\t<c>\n"
		     "0\t1\t1/1\t1/2\t1/1\n0\t2\t2/2\t2/2\t2/2\n1\t2\t2/-\t1/-\t2/-\n1\t3\t-/2\t-/2\t-/2\n"
		     "2\t3\t1/1\t1/1\t1/1\n");
	assert_shown(
		&(kith_show_options){.first = 1, .last = 2, .json = 1},
		"{\"format\": \"kith-pairs\", \"version\": 1, \"n\": 4, \"k\": [1,2], \"pairs\": 5,\n \"layers\": [\n"
		"  {\"name\": \"a:b\", \"dim\": 7, \"metric\": \"l2\", \"engine\": \"exact\", \"recall\": 1, "
		"\"digest\": \"xxh3:1\"},\n"
		"  {\"name\": \"1\", \"dim\": 7, \"metric\": \"l2\", \"engine\": \"exact\", \"recall\": 1, "
		"\"digest\": \"xxh3:1\"},\n"
		"  {\"name\": \"<c>\", \"dim\": 7, \"metric\": \"l2\", \"engine\": \"exact\", \"recall\": 1, "
		"\"digest\": \"xxh3:1\"}],\n"
		" \"extras\": [],\n \"rows\": [\n"
		"  {\"i\": 1, \"j\": 2, \"to\": [2, 1, 2], \"from\": [null, null, null]},\n"
		"  {\"i\": 1, \"j\": 3, \"to\": [null, null, null], \"from\": [2, 2, 2]}\n ]}\n");
}

static void test_check(void **state)
{
	kith_err err;
	kith_pair_store *store = store_of_five();
	(void)state;
	if (kith_pair_store_check(store, NULL, &err))
		fail_msg("%s", err.msg);
	kith_pair_store_close(store);
}

/* Which pairs are there at k = 1: {0,1} in all layers, {2,3} in all, {1,2} in the middle one. */
static void assert_answer(kith_pair_store *store, const kith_pair_query *query, kith_pair_format format, uint64_t count,
			  const void *expected, size_t size)
{
	char name[SANDBOX_PATH];
	kith_outfile *file = NULL;
	uint64_t got;
	size_t got_size;
	kith_err err;
	assert_int_equal(kith_outfile_open(&file, sandbox_path(name, "answer"), &err), 0);
	kith_pair_output output = {format, kith_outfile_stream(file), name, "a <question>"};
	if (kith_outfile_close(file, kith_pair_answer(store, query, &output, &got, &err), &err))
		fail_msg("%s", err.msg);
	assert_int_equal(got, count);
	unsigned char *bytes = sandbox_read(name, &got_size);
	assert_int_equal(got_size, size);
	assert_memory_equal(bytes, expected, size);
	free(bytes);
	remove(name);
}

#define TEXT(t) t, sizeof(t) - 1

static void test_answers(void **state)
{
	static const uint32_t array[] = {0, 1, 2, 3};
	unsigned char npy[128 + sizeof array];
	kith_pair_store *store = store_of_five();
	kith_pair_query all = {.ask = KITH_ASK_ALL}, persist = {.ask = KITH_ASK_PERSIST, .last = 2},
			born = {.ask = KITH_ASK_BORN, .first = 1, .last = 1};
	(void)state;
	assert_answer(store, &all, KITH_PAIRS_COUNT, 3, TEXT("3\n"));
	assert_answer(store, &all, KITH_PAIRS_TSV, 3,
		      TEXT("# kith pairs\n# n\t4\n# k\t1\n# graph\tunion\n# pairs\ta <question>\n# i\tj\tfirst\tlast\n"
			   "0\t1\ta:b\t<c>\n1\t2\t1\t1\n2\t3\ta:b\t<c>\n"));
	assert_answer(store, &persist, KITH_PAIRS_COMPONENTS, 2,
		      TEXT("# kith components\n# n\t4\n# k\t1\n# graph\tunion\n# pairs\ta <question>\n"
			   "# components\t2\n# size\tcomponents\n# 2\t2\n# node\tcomponent\n0\t0\n1\t0\n2\t2\n3\t2\n"));
	assert_answer(store, &all, KITH_PAIRS_COMPONENTS_COUNT, 1, TEXT("1\n"));
	memset(npy, ' ', sizeof npy);
	memcpy(npy, "\x93NUMPY\x01\x00\x76", 10); /* and the literal's zero */
	memcpy(npy + 10, "{'descr': '<u4', 'fortran_order': False, 'shape': (2, 2), }", 59);
	npy[127] = '\n';
	memcpy(npy + 128, array, sizeof array);
	assert_answer(store, &persist, KITH_PAIRS_NPY, 2, npy, sizeof npy);
	assert_answer(
		store, &born, KITH_PAIRS_GRAPHML, 1,
		TEXT("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		     "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n"
		     "<key id=\"pairs\" for=\"graph\" attr.name=\"pairs\" attr.type=\"string\"/>\n"
		     "<key id=\"first\" for=\"edge\" attr.name=\"first\" attr.type=\"string\"/>\n"
		     "<key id=\"last\" for=\"edge\" attr.name=\"last\" attr.type=\"string\"/>\n"
		     "<graph edgedefault=\"undirected\">\n<data key=\"pairs\">a &lt;question&gt;</data>\n"
		     "<node id=\"0\"/>\n<node id=\"1\"/>\n<node id=\"2\"/>\n<node id=\"3\"/>\n"
		     "<edge source=\"1\" target=\"2\"><data key=\"first\">1</data><data key=\"last\">1</data></edge>\n"
		     "</graph>\n</graphml>\n"));
	kith_pair_store_close(store);
}

static void assert_range(kith_pair_store *store, const char *text, int first, int last)
{
	uint32_t a = 9, b = 9;
	kith_err err = {0};
	int status = kith_pair_find_range(store, "--persist", text, &a, &b, &err);
	if (first < 0) {
		assert_int_equal(status, KITH_EUSAGE);
		assert_memory_equal(err.msg, "--persist ", 10);
		return;
	}
	assert_int_equal(status, 0);
	assert_int_equal(a, first);
	assert_int_equal(b, last);
}

static void test_ranges(void **state)
{
	kith_pair_store *store = store_of_five();
	(void)state;
	assert_range(store, "a:b", 0, 0); /* a name, before it is a range */
	assert_range(store, "a:b:<c>", 0, 2);
	assert_range(store, "0:1", 0, 1);
	assert_range(store, "0:2", 0, 2);
	assert_range(store, "1:", 1, 2);
	assert_range(store, ":a:b", 0, 0);
	assert_range(store, "2", 2, 2);
	assert_range(store, "2:0", -1, -1);
	assert_range(store, "3", -1, -1);
	assert_range(store, "b:<c>", -1, -1);
	assert_range(store, "", -1, -1);
	kith_pair_store_close(store);
}

static void test_refusals(void **state)
{
	static const uint32_t order[] = {1, 0}, beyond[] = {3};
	kith_pair_info info = info_of_five();
	kith_pair_store *store = store_of_five();
	kith_pair_writer *writer = NULL;
	kith_pair_planes planes = {0};
	kith_graph *graph = NULL;
	char other[SANDBOX_PATH];
	kith_err err;
	(void)state;
	assert_int_equal(kith_graph_open(&graph, path, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "is a pair store"));
	assert_int_equal(kith_pair_store_read_planes(store, 0, 2, order, &planes, &err), KITH_EUSAGE);
	assert_int_equal(kith_pair_store_read_planes(store, 3, 0, NULL, &planes, &err), KITH_EUSAGE);
	assert_int_equal(kith_pair_store_read_planes(store, 0, 1, beyond, &planes, &err), KITH_EUSAGE);
	kith_pair_store_close(store);

	sandbox_path(other, "other.kpr");
	info.k[1] = 4; /* n - 1 is 3 */
	assert_int_equal(kith_pair_writer_create(&writer, other, &info, 2, &err), KITH_EUSAGE);
	info.k[1] = 1;
	assert_int_equal(kith_pair_writer_create(&writer, other, &info, 2, &err), KITH_EUSAGE);
	info.k[1] = 2;
	info.block_pairs = KITH_MAX_PAIR_BLOCK + 1;
	assert_int_equal(kith_pair_writer_create(&writer, other, &info, 2, &err), KITH_EUSAGE);
	info.block_pairs = 0;
	assert_int_equal(kith_pair_writer_create(&writer, other, &info, 2, &err), 0);
	kith_pair_writer_abort(writer);
	assert_null(fopen(other, "r"));
}

/* One pair, {0, 1}, in its only layer at k = 1 and 2: the first bit of the sets of i -> j. */
static int append_bits(uint64_t at_1, uint64_t at_2)
{
	kith_pair_info info = info_of_five();
	kith_pair_writer *writer = NULL;
	const uint64_t bits[4] = {at_1, at_2};
	char other[SANDBOX_PATH];
	kith_err err;
	info.layer_count = 1;
	sandbox_path(other, "other.kpr");
	assert_int_equal(kith_pair_writer_create(&writer, other, &info, 2, &err), 0);
	int status = kith_pair_writer_append_planes(writer, 1, is, js, bits, 1, &err);
	kith_pair_writer_abort(writer);
	return status;
}

static void test_bits(void **state)
{
	(void)state;
	assert_int_equal(append_bits(0, 1), 0);
	assert_int_equal(append_bits(1, 1), 0);
	assert_int_equal(append_bits(6, ~0ull), 0); /* only the first bit is looked at */
	assert_int_equal(append_bits(0, 0), KITH_EBUG);
	assert_int_equal(append_bits(2, 2), KITH_EBUG);
	assert_int_equal(append_bits(1, 0), KITH_EBUG); /* a neighbour at k = 1 is one at k = 2 */
}

/* ---- forged files --------------------------------------------------------------------------------------------- */

/* Two blocks of one sample each, in so many layers of random tiers that every layer's stream is stored as it is, and
 * the values are large enough for pages of their own, which the tail does not vouch for (store/FORMAT.md). */
#define FORGED_LAYERS 60
#define FORGED_PAIRS  125 /* 3 spare bits */
#define BITMAP        16
#define STREAM        (4 * BITMAP) /* two directions, two tiers */

static void write_forgeable(void)
{
	static kith_layer layers[FORGED_LAYERS];
	kith_pair_info info = {.n = 256,
			       .layer_count = FORGED_LAYERS,
			       .tiers = 2,
			       .k = {1, 2},
			       .block_pairs = FORGED_PAIRS,
			       .layers = layers};
	uint32_t i[2 * FORGED_PAIRS], j[2 * FORGED_PAIRS];
	static uint8_t tiers[2 * FORGED_PAIRS][FORGED_LAYERS];
	const slow_pairs pairs = {2 * FORGED_PAIRS, FORGED_LAYERS, i, j, tiers[0]};
	kith_pair_writer *writer = NULL;
	rng r = {1};
	kith_err err;
	for (uint32_t p = 0; p < 2 * FORGED_PAIRS; p++) {
		i[p] = p < FORGED_PAIRS ? 10 : 20;
		j[p] = i[p] + 1 + p % FORGED_PAIRS;
		for (int v = 0; v < FORGED_LAYERS; v++)
			tiers[p][v] = (uint8_t)(rng_below(&r, 2) | rng_below(&r, 2) << 4);
	}
	sandbox_path(path, "forged.kpr");
	if (kith_pair_writer_create(&writer, path, &info, 2, &err) ||
	    slow_pairs_append(writer, &pairs, 2, 0, 2 * FORGED_PAIRS, NULL, &err) ||
	    kith_pair_writer_finish(writer, &err))
		fail_msg("%s", err.msg);
}

/* Block 1 of the pairs in the bytes of a file: a value on pages of its own, which begin with 16 bytes of LMDB's. Its
 * size stands elsewhere; it is the one with which its checksum is right. */
static unsigned char *find_block_1(unsigned char *bytes, size_t size, size_t *value_size)
{
	for (size_t at = 0; at + 4096 < size; at += 4096) {
		unsigned char *value = bytes + at + 16;
		uint64_t hash;
		uint32_t key[2];
		memcpy(&hash, value, 8);
		memcpy(key, value + 8, 8);
		if (!(bytes[at + 10] & 4) || key[0] != 4 || key[1] != 1)
			continue;
		for (size_t s = 32; value + s <= bytes + size; s++)
			if (hash == kith_hash(value + 8, s - 8)) {
				*value_size = s;
				return value;
			}
	}
	fail_msg("block 1 is not found");
	return NULL;
}

static void assert_forged(void (*forge)(unsigned char *value, unsigned char *end), const char *message)
{
	kith_pair_store *store = NULL;
	size_t size, value_size = 0;
	kith_err err = {0};
	write_forgeable();
	unsigned char *bytes = sandbox_read(path, &size), *value = find_block_1(bytes, size, &value_size);
	if (forge)
		forge(value, value + value_size);
	uint64_t hash = kith_hash(value + 8, value_size - 8);
	memcpy(value, &hash, 8);
	sandbox_write(path, bytes, size);
	free(bytes);
	assert_int_equal(kith_pair_store_open(&store, path, &err), 0);
	assert_int_equal(kith_pair_store_check(store, NULL, &err), KITH_ECORRUPT);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" should say \"%s\"", err.msg, message);
	kith_pair_store_close(store);
}

static void other_block(unsigned char *value, unsigned char *end)
{
	(void)end;
	value[12] = 7;
}

/* The first stream is the one sample's number, a byte. */
static void earlier_sample(unsigned char *value, unsigned char *end)
{
	(void)end;
	assert_int_equal(value[48], 20);
	value[48] = 10;
}

static void sample_beyond(unsigned char *value, unsigned char *end)
{
	(void)end;
	value[48] = 140;
}

static void other_count(unsigned char *value, unsigned char *end)
{
	(void)end;
	assert_int_equal(value[65], FORGED_PAIRS);
	value[65]--;
}

/* The last layer's bitmaps end the value. */
static void two_tiers(unsigned char *value, unsigned char *end)
{
	(void)value;
	end[-STREAM] = end[BITMAP - STREAM] = 1;
}

static void two_tiers_backward(unsigned char *value, unsigned char *end)
{
	(void)value;
	end[-2] = end[-2 - BITMAP] = 64;
}

static void spare_bit(unsigned char *value, unsigned char *end)
{
	(void)value;
	end[BITMAP - 1 - STREAM] |= 128;
}

static void last_spare_bit(unsigned char *value, unsigned char *end)
{
	(void)value;
	end[-1] |= 32;
}

static void other_size(unsigned char *value, unsigned char *end)
{
	(void)value;
	assert_int_equal(end[-STREAM - 16], STREAM);
	end[-STREAM - 16]++;
}

static void stored_beyond(unsigned char *value, unsigned char *end)
{
	(void)value;
	end[-STREAM - 16]++;
	end[-STREAM - 8]++;
}

static void stream_too_many(unsigned char *value, unsigned char *end)
{
	(void)value;
	memset(end - STREAM, 0, STREAM); /* two of 24 bytes where one of 64 was */
	end[-STREAM - 16] = end[-STREAM - 8] = 24;
	end[-STREAM + 24] = end[-STREAM + 32] = 24;
}

/* The first pair's bits in every layer. */
static void in_no_layer(unsigned char *value, unsigned char *end)
{
	(void)value;
	for (int v = 1; v <= FORGED_LAYERS; v++)
		for (int bitmap = 0; bitmap < 4; bitmap++)
			end[-v * (STREAM + 16) + 16 + bitmap * BITMAP] &= 0xfe;
}

static void test_forged(void **state)
{
	(void)state;
	assert_forged(NULL, "directed edges at k=1");
	assert_forged(other_block, "value 4/7 stands where 4/1 belongs");
	assert_forged(earlier_sample, "pair {10, 11} does not follow those before it");
	assert_forged(sample_beyond, "an impossible pair");
	assert_forged(other_count, "an impossible pair");
	assert_forged(two_tiers, "block 1 has two levels for a pair");
	assert_forged(two_tiers_backward, "block 1 has two levels for a pair");
	assert_forged(spare_bit, "or a level for none");
	assert_forged(last_spare_bit, "or a level for none");
	assert_forged(other_size, "a stream holds 65 bytes where 64 belong");
	assert_forged(stored_beyond, "a stream runs past its value");
	assert_forged(stream_too_many, "a stream holds 24 bytes where 64 belong");
	assert_forged(in_no_layer, "pair {20, 21} is in no layer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_show),     cmocka_unit_test(test_check),
					   cmocka_unit_test(test_answers),  cmocka_unit_test(test_ranges),
					   cmocka_unit_test(test_refusals), cmocka_unit_test(test_bits),
					   cmocka_unit_test(test_forged)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
