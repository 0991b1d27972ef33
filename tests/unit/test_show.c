/* test_show.c - kith-show's JSON stays JSON whatever text a graph's header holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json_string.h"
#include "kith/graph.h"
#include "sandbox.h"
#include "show.h"

static void test_strings(void **state)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{NULL, "\"\""},
		{"", "\"\""},
		{"a \"b\" \\ /", "\"a \\\"b\\\" \\\\ /\""},
		{"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001F\x7f\""},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\xff-\xe2\x82", "\"\xef\xbf\xbd-\xef\xbf\xbd\xef\xbf\xbd\""}, /* no UTF-8; cut inside a character */
		{"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                   /* overlong */
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char got[64] = {0};
		FILE *out = fmemopen(got, sizeof got, "w");
		kith_json_string(out, cases[i].text);
		fclose(out);
		assert_string_equal(got, cases[i].json);
	}
}

static void test_graph(void **state)
{
	static const char expected[] = "{\"format\": \"kith-graph\", \"version\": 1, \"n\": 2, \"d\": 3, \"k\": [1],\n"
				       " \"metric\": \"l\\\\2\", \"engine\": \"faiss:\\\"IVF\\\"\\n\", \"recall\": "
				       "0.5, \"digest\": \"xxh3:\\u0001\",\n"
				       " \"nodes\": [\n"
				       "  {\"node\": 0, \"tiers\": [[1]], \"near\": [[1, 0.25]]},\n"
				       "  {\"node\": 1, \"tiers\": [[0]], \"near\": [[0, 0.25]]}\n"
				       " ]}\n";
	kith_graph_info info = {.n = 2,
				.d = 3,
				.tiers = 1,
				.ladder = {1},
				.near = 1,
				.recall = 0.5,
				.metric = "l\\2",
				.engine = "faiss:\"IVF\"\n",
				.digest = "xxh3:\x01"};
	uint32_t ids[] = {1, 0}, near_ids[] = {1, 0};
	double dist2[] = {0.25, 0.25};
	kith_show_options options = {.last = UINT64_MAX, .json = 1};
	kith_graph_writer *writer = NULL;
	char path[SANDBOX_PATH], *text = NULL;
	size_t size;
	kith_err err;
	(void)state;
	sandbox_path(path, "odd.nng");
	if (kith_graph_create(&writer, path, &info, 16 << 20, &err) ||
	    kith_graph_append(writer, 2, ids, near_ids, dist2, &err) || kith_graph_finish(writer, NULL, &err))
		fail_msg("%s", err.msg);
	FILE *out = open_memstream(&text, &size);
	if (kith_show(path, &options, out, &err))
		fail_msg("%s", err.msg);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_strings), cmocka_unit_test(test_graph)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
