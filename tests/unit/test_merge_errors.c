/* test_merge_errors.c - what stops a merge on its way is told in the same words however many threads there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kith/merge.h"
#include "sandbox.h"
#include "slow.h"

#define N      1000u
#define K      60u
#define BLOCK  64u /* a block's ids take more than a page holds: damage to them is not seen before they are read */
#define LAYERS 3u

static char path[LAYERS][SANDBOX_PATH];

/* Random rows. */
static void write_graph(uint32_t v)
{
	rng r = {v + 1};
	kith_graph_info info = {.n = N, .d = 1, .tiers = 1, .ladder = {K}, .block_nodes = BLOCK, .recall = 1};
	uint32_t *ranks = must_alloc(N * K, sizeof *ranks), *all = must_alloc(N, sizeof *all);
	kith_err err;
	strcpy(info.metric, "l2");
	strcpy(info.engine, "exact");
	for (uint32_t i = 0; i < N; i++) {
		for (uint32_t j = 0; j < N; j++)
			all[j] = j;
		all[i] = all[N - 1];
		for (uint32_t t = 0; t < K; t++) {
			uint32_t x = (uint32_t)rng_between(&r, t, N - 2), id = all[x];
			all[x] = all[t];
			ranks[i * K + t] = all[t] = id;
		}
	}
	sandbox_path(path[v], "layer%u.nng", v);
	remove(path[v]);
	if (slow_graph_write(path[v], &info, K, ranks, NULL, NULL, 64 << 20, &r, &err))
		fail_msg("%s", err.msg);
	free(ranks);
	free(all);
}

/* Turns a bit inside a value, the first one from `share` tenths of the file on: the file still opens. */
static void damage(const char *name, size_t share)
{
	size_t size;
	unsigned char *bytes = sandbox_read(name, &size);
	for (size_t at = size / 10 * share; at < size; at += 64) {
		bytes[at] ^= 1;
		sandbox_write(name, bytes, size);
		kith_graph *graph = NULL;
		kith_err err;
		if (!kith_graph_open(&graph, name, &err)) {
			int rc = kith_graph_check(graph, 64 << 20, 2, NULL, &err);
			kith_graph_close(graph);
			if (rc) {
				free(bytes);
				return;
			}
		}
		bytes[at] ^= 1;
	}
	fail_msg("%s: no damage is seen", name);
}

static int merge(int threads, const kith_progress *progress, kith_err *err)
{
	static const char *const names[] = {"a", "b", "c"};
	const char *paths[] = {path[0], path[1], path[2]};
	kith_merge_options options;
	kith_stack *stack = NULL;
	kith_merge_defaults(&options);
	options.threads = threads;
	if (progress)
		options.progress = *progress;
	int rc = kith_merge(LAYERS, paths, names, &options, &stack, err);
	kith_stack_free(stack);
	return rc;
}

static void test_damage(void **state)
{
	kith_err want, err;
	(void)state;
	for (uint32_t v = 0; v < LAYERS; v++)
		write_graph(v);
	assert_int_equal(merge(4, NULL, &err), 0);
	damage(path[1], 3);
	damage(path[0], 6); /* behind it in its file, in a reverse list: that of an earlier window */
	assert_int_equal(merge(1, NULL, &want), KITH_ECORRUPT);
	assert_non_null(strstr(want.msg, "fails its checksum"));
	for (int round = 0; round < 20; round++)
		for (int threads = 1; threads <= 4; threads++) {
			assert_int_equal(merge(threads, NULL, &err), KITH_ECORRUPT);
			assert_string_equal(err.msg, want.msg);
		}
}

static int stop(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	int *windows = context;
	return !strcmp(what, "merging") && done < total && ++*windows > 2;
}

static void test_stops(void **state)
{
	kith_err err;
	(void)state;
	for (uint32_t v = 0; v < LAYERS; v++)
		write_graph(v);
	for (int threads = 1; threads <= 2; threads++) {
		int windows = 0;
		kith_progress progress = {stop, &windows};
		assert_int_equal(merge(threads, &progress, &err), KITH_ECANCELED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
