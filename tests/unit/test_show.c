/* test_show.c - kith-show's JSON stays JSON whatever text a graph's header holds; a stack's rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inspect.h"
#include "kith/graph.h"
#include "kith/stack.h"
#include "sandbox.h"

static void test_graph(void **state)
{
	static const char expected[] =
		"{\"format\": \"kith-graph\", \"version\": 1, \"n\": 2, \"d\": 3, \"k\": [1],\n"
		" \"metric\": \"l\\\\2\", \"engine\": \"faiss:\\\"IVF\\\"\\n\", \"recall\": "
		"0.5, \"digest\": \"xxh3:\\u0001\", \"precision\": \"single\", \"ties\": \"index\",\n"
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
	if (kith_graph_create(&writer, path, &info, 16 << 20, 2, &err) ||
	    kith_graph_append(writer, 2, ids, near_ids, dist2, &err) || kith_graph_finish(writer, NULL, &err))
		fail_msg("%s", err.msg);
	FILE *out = open_memstream(&text, &size);
	if (kith_show(path, &options, out, &err))
		fail_msg("%s", err.msg);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

/* Node 0's true neighbour is 2, not 1. */
static void test_audit(void **state)
{
	static const char rows[] =
		"# node\tneighbour\tk\trank\tdist2\n0\t1\t1\t0\tnan\n1\t0\t1\t0\tnan\n2\t0\t1\t0\tnan\n";
	static const char header[] = "# kith graph\n# n\t3\n# d\t3\n# k\t1\n# metric\tl2\n# engine\tapprox\n"
				     "# recall\t0.5\n# digest\t\n# ties\tindex\n# audit\tsamples\t2\tseed\t7\n"
				     "# audit\tk\t1\trecall\t0.5\tlow\t0.25\thigh\t0.75\n# near\t0\n";
	static const char json[] =
		"{\"format\": \"kith-graph\", \"version\": 1, \"n\": 3, \"d\": 3, \"k\": [1],\n"
		" \"metric\": \"l2\", \"engine\": \"approx\", \"recall\": 0.5, \"digest\": \"\", \"ties\": \"index\",\n"
		" \"audit\": {\"samples\": 2, \"seed\": 7, \"recall\": [0.5], \"low\": [0.25], "
		"\"high\": [0.75]},\n";
	kith_graph_info info = {
		.n = 3, .d = 3, .tiers = 1, .ladder = {1}, .recall = 1, .metric = "l2", .engine = "approx"};
	uint32_t ids[] = {1, 0, 0}, id[] = {0, 1}, exact[] = {2, 0};
	kith_graph_audit audit = {
		.rows = 2, .seed = 7, .id = id, .exact = exact, .recall = {0.5}, .low = {0.25}, .high = {0.75}};
	kith_show_options options = {.last = UINT64_MAX};
	kith_graph_writer *writer = NULL;
	char path[SANDBOX_PATH], *text = NULL;
	size_t size;
	kith_err err;
	(void)state;
	sandbox_path(path, "audited.nng");
	if (kith_graph_create(&writer, path, &info, 16 << 20, 1, &err) ||
	    kith_graph_append(writer, 3, ids, ids, &(double){0}, &err) || kith_graph_put_audit(writer, &audit, &err) ||
	    kith_graph_finish(writer, NULL, &err))
		fail_msg("%s", err.msg);
	for (options.json = 0; options.json < 2; options.json++) {
		FILE *out = open_memstream(&text, &size);
		if (kith_show(path, &options, out, &err))
			fail_msg("%s", err.msg);
		fclose(out);
		assert_non_null(strstr(text, options.json ? json : header));
		assert_int_equal(strstr(text, rows) != NULL, !options.json);
		free(text);
	}
	assert_int_equal(kith_check(path, &(kith_progress){0}, &err), 0);
}

/* Five samples, k = 1; a pair in layer a only, two in both, one in b only. */
static void test_stack(void **state)
{
	static const char expected[] = "# kith stack\n# n\t5\n# layers\t2\n"
				       "# measure\tk\tgraph\talpha\tfirst\tlast\tvalue\tstderr\n"
				       "nnts\t1\t-\t-\ta\ta\t1\t0\nnnts\t1\t-\t-\ta\tb\t0.625\t0.125\n"
				       "nnts\t1\t-\t-\tb\ta\t0.625\t0.125\nnnts\t1\t-\t-\tb\tb\t1\t0\n"
				       "expected\t1\t-\t-\t-\t-\t0.25\t0\n"
				       "corrected\t1\t-\t-\ta\ta\t1\t0\n"
				       "corrected\t1\t-\t-\ta\tb\t0.5\t0.16666666666666666\n"
				       "corrected\t1\t-\t-\tb\ta\t0.5\t0.16666666666666666\n"
				       "corrected\t1\t-\t-\tb\tb\t1\t0\n"
				       "overlap\t1\t-\t-\ta\ta\t1\t0\noverlap\t1\t-\t-\ta\tb\t0.625\t0.125\n"
				       "overlap\t1\t-\t-\tb\ta\t0.625\t0.125\noverlap\t1\t-\t-\tb\tb\t1\t0\n"
				       "nntp\t1\tunion\t0\ta\ta\t1\t0\nnntp\t1\tunion\t0\ta\tb\t2\t0\n"
				       "nntp\t1\tunion\t0\tb\tb\t1\t0\n"
				       "pairs\t1\tunion\t-\ta\ta\t3\t0\npairs\t1\tunion\t-\tb\tb\t3\t0\n"
				       "births\t1\tunion\t-\ta\ta\t3\t0\ndeaths\t1\tunion\t-\ta\ta\t1\t0\n"
				       "survivors\t1\tunion\t-\ta\tb\t2\t0\n"
				       "removal\t1\tunion\t-\ta\ta\tnan\t0\n"
				       "births\t1\tunion\t-\tb\tb\t1\t0\ndeaths\t1\tunion\t-\tb\tb\t3\t0\n"
				       "removal\t1\tunion\t-\tb\tb\t0.5\t0\n"
				       "survival\t1\tunion\t-\ta\ta\t3\t0\n"
				       "share\t1\tunion\t-\ta\ta\t0.3333333333333333\t0\n"
				       "survival\t1\tunion\t-\ta\tb\t2\t0\n"
				       "share\t1\tunion\t-\ta\tb\t0.6666666666666666\t0\n"
				       "survival\t1\tunion\t-\tb\tb\t1\t0\nshare\t1\tunion\t-\tb\tb\t1\t0\n";
	static const double mean[] = {1, 0.625, 0.625, 1}, std_err[] = {0, 0.125, 0.125, 0};
	static const uint64_t count[] = {1, 2, 0, 1}, pairs[] = {3, 3};
	kith_show_options options = {.last = UINT64_MAX};
	kith_stack *s = NULL;
	char path[SANDBOX_PATH], *text = NULL;
	size_t size;
	kith_err err;
	(void)state;
	assert_int_equal(kith_stack_new(&s, 5, 2, 1, 1, &err), 0);
	s->nnts[0].k = s->nntp[0].k = 1;
	memcpy(s->nnts[0].mean, mean, sizeof mean);
	memcpy(s->nnts[0].std_err, std_err, sizeof std_err);
	memcpy(s->nnts[0].overlap, mean, sizeof mean);
	memcpy(s->nnts[0].overlap_err, std_err, sizeof std_err);
	memcpy(s->nntp[0].count, count, sizeof count);
	memcpy(s->nntp[0].pairs, pairs, sizeof pairs);
	for (size_t v = 0; v < 2; v++)
		s->layers[v] = (kith_layer){.name = strdup(v ? "b" : "a"), .dim = 1, .recall = 1};
	sandbox_path(path, "stack.json");
	assert_int_equal(kith_stack_write(s, path, &err), 0);
	kith_stack_free(s);
	FILE *out = open_memstream(&text, &size);
	if (kith_show(path, &options, out, &err))
		fail_msg("%s", err.msg);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_graph), cmocka_unit_test(test_audit),
					   cmocka_unit_test(test_stack)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
