/* fault_alloc.c - the n-th allocation fails, for every n: each stage then says so, leaves no file and (under asan)
 * leaks nothing, and works once memory is there again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "approx.h"
#include "audit.h"
#include "engine.h"
#include "exact.h"
#include "faiss_spec.h"
#include "import.h"
#include "inspect.h"
#include "kith/h0.h"
#include "kith/merge.h"
#include "kith/pairs.h"
#include "npy_write.h"
#include "pair_output.h"
#include "random_net.h"
#include "rng.h"
#include "sandbox.h"
#include "slow.h"

#define LAYERS  3
#define NODES   40
#define COLUMNS 5

static char npy[LAYERS][SANDBOX_PATH], nng[LAYERS][SANDBOX_PATH], output[SANDBOX_PATH];
/* Layers that the exact engine divides: most samples near zero, copies, equidistant ones. */
static char crowded[3][SANDBOX_PATH];

static void write_layers(void)
{
	rng r = {7};
	float values[NODES * COLUMNS];
	for (int v = 0; v < LAYERS; v++) {
		for (size_t i = 0; i < NODES * COLUMNS; i++)
			values[i] = (float)rng_normal(&r);
		sandbox_path(npy[v], "layer%d.npy", v);
		sandbox_path(nng[v], "layer%d.nng", v);
		npy_write(npy[v], KITH_F4, NODES, COLUMNS, values);
	}
}

static void write_crowded(void)
{
	rng r = {8};
	float values[3][NODES * NODES] = {{0}};
	for (size_t i = 0; i < NODES * COLUMNS; i++) {
		values[0][i] = (float)((i / COLUMNS % 4 ? 1e-6 : 1) * rng_normal(&r));
		values[1][i] = (float)(i / COLUMNS % 3 + i % COLUMNS * 0.3);
	}
	for (size_t i = 0; i < NODES; i++)
		values[2][i * NODES + i] = 1;
	for (int v = 0; v < 3; v++) {
		sandbox_path(crowded[v], "crowded%d.npy", v);
		npy_write(crowded[v], KITH_F4, NODES, v == 2 ? NODES : COLUMNS, values[v]);
	}
}

static int build(const char *input, const char *path, kith_metric metric, kith_err *err)
{
	kith_knn_options options;
	kith_knn_summary summary;
	kith_knn_defaults(&options);
	options.tiers = 2;
	options.ladder[0] = 3;
	options.ladder[1] = 12;
	options.metric = metric;
	options.memory = (uint64_t)32 << 20;
	options.threads = 1; /* the countdown is not thread safe */
	return kith_knn_build_with(input, path, &options, &(kith_exact_options){.block_nodes = 16, .divide = 2},
				   &summary, err);
}

static int try_knn(kith_err *err)
{
	return build(npy[0], output, KITH_L2, err);
}

static int try_cosine(kith_err *err)
{
	return build(npy[0], output, KITH_COSINE, err);
}

static int try_parts(kith_err *err)
{
	return build(crowded[0], output, KITH_L2, err);
}

static int try_copies(kith_err *err)
{
	return build(crowded[1], output, KITH_L2, err);
}

static int try_lattice(kith_err *err)
{
	return build(crowded[2], output, KITH_L2, err);
}

/* An approximate layer with an audit. */
static int write_approximate(const char *path, kith_err *err)
{
	kith_graph_info info = {
		.n = NODES, .d = COLUMNS, .tiers = 2, .ladder = {3, 12}, .metric = "l2", .engine = "approx"};
	uint32_t truth[NODES * (NODES - 1)], ranks[NODES * (NODES - 1)];
	kith_graph_audit audit;
	rng r = {8};
	slow_random_ranks(&r, NODES, NULL, truth);
	slow_random_ranks(&r, NODES, truth, ranks);
	slow_audit(&info, NODES - 1, truth, ranks, 9, &r, &audit);
	int status = slow_graph_write(path, &info, NODES - 1, ranks, NULL, &audit, (uint64_t)16 << 20, &r, err);
	free(audit.memory);
	return status;
}

/* By trees and rounds until an audit is content. */
static int try_approx_in(uint32_t cells, kith_err *err)
{
	kith_knn_options options;
	kith_knn_summary summary;
	kith_approx_options own = {.leaf = 8, .cells = cells};
	kith_knn_defaults(&options);
	options.ladder[0] = 3;
	options.engine = "approx:recall=0.5";
	options.memory = (uint64_t)32 << 20;
	options.threads = 1;
	return kith_knn_build_with(npy[0], output, &options, &own, &summary, err);
}

static int try_approx(kith_err *err)
{
	return try_approx_in(0, err);
}

static int try_cells(kith_err *err)
{
	return try_approx_in(3, err);
}

/* In shards, with rows to complete and a parameter to find. */
static int try_faiss(kith_err *err)
{
	kith_knn_options options;
	kith_knn_summary summary;
	kith_faiss_spec own = {.shard_rows = 20, .block_rows = 16};
	kith_knn_defaults(&options);
	options.engine = "faiss:IVF4,Flat;nprobe=auto,recall=0.1";
	options.memory = (uint64_t)32 << 20;
	options.threads = 1;
	return kith_knn_build_with(npy[0], output, &options, &own, &summary, err);
}

static char sound[SANDBOX_PATH], faulty[SANDBOX_PATH];

/* Four neighbours of each sample; and the same, but of the last one nobody. */
static void write_lists(void)
{
	int8_t ids[NODES * 4];
	for (int p = 0; p < NODES * 4; p++)
		ids[p] = (int8_t)((p / 4 + 1 + p % 4) % NODES);
	npy_write(sandbox_path(sound, "sound.npy"), KITH_I1, NODES, 4, ids);
	memset(ids + (NODES - 1) * 4, -1, 4);
	npy_write(sandbox_path(faulty, "faulty.npy"), KITH_I1, NODES, 4, ids);
}

static int import(const char *lists, kith_import_options *options, kith_err *err)
{
	kith_import_summary summary;
	options->knn.memory = (uint64_t)32 << 20;
	options->knn.threads = 1;
	return kith_import_build(lists, output, options, &summary, err);
}

static int try_measured(kith_err *err)
{
	kith_import_options options;
	kith_import_defaults(&options);
	options.activations = npy[0];
	options.complete = 1;
	return import(faulty, &options, err);
}

static int try_given(kith_err *err)
{
	kith_import_options options;
	kith_import_defaults(&options);
	options.distances = sound; /* numbers that do */
	return import(sound, &options, err);
}

static int try_arrays(kith_err *err)
{
	kith_show_options options = {.last = UINT64_MAX, .indices = output};
	return kith_show(nng[0], &options, stdout, err);
}

static int has_faiss(void)
{
	kith_knn_options options;
	kith_knn_estimate estimate;
	kith_knn_defaults(&options);
	options.engine = "faiss:Flat";
	return !kith_knn_foresee(npy[0], &options, &estimate, NULL);
}

static int try_merge(kith_err *err)
{
	static const char *const names[] = {"a", "b", "c"};
	const char *paths[] = {nng[0], nng[1], nng[2]};
	kith_merge_options options;
	kith_stack *stack = NULL, *again = NULL;
	int status;
	kith_merge_defaults(&options);
	options.mixed = 1;
	options.alpha = KITH_ALPHA_ALL;
	options.with_union = options.with_mutual = 1;
	options.memory = (uint64_t)32 << 20;
	options.threads = 1;
	status = kith_merge(LAYERS, paths, names, &options, &stack, err);
	if (!status)
		status = kith_stack_write(stack, output, err);
	if (!status)
		status = kith_stack_read(&again, output, err);
	if (status)
		remove(output); /* a whole one, if it is the reading that failed */
	kith_stack_free(stack);
	kith_stack_free(again);
	return status;
}

static int try_check(kith_err *err)
{
	kith_graph *graph = NULL;
	int status = kith_graph_open(&graph, nng[0], err);
	if (!status)
		status = kith_graph_check(graph, (uint64_t)16 << 20, 2, NULL, err);
	kith_graph_close(graph);
	return status;
}

/* A graph with an audit: found, written, read. */
static int try_audit(kith_err *err)
{
	kith_graph_info info = {.n = NODES, .d = COLUMNS, .tiers = 2, .ladder = {3, 12}, .recall = 1};
	kith_activations *activations = NULL;
	kith_vectors vectors = {0};
	kith_audit audit = {0};
	kith_graph_audit read = {0};
	kith_graph_writer *writer = NULL;
	kith_graph *graph = NULL;
	uint32_t ids[NODES * 12];
	for (uint32_t i = 0; i < NODES; i++)
		for (uint32_t p = 0; p < 12; p++)
			ids[12 * i + p] = (i + 1 + p) % NODES;
	int status = kith_activations_open(&activations, npy[0], err);
	if (!status && !(status = kith_vectors_init(&vectors, activations, KITH_L2, 1 << 20, 1, NULL, err)) &&
	    !(status = kith_audit_init(&audit, &vectors, NULL, &info, 9, 4, 0, 8 << 20, 1, NULL, err)) &&
	    !(status = kith_graph_create(&writer, output, &info, 8 << 20, 1, err)) &&
	    !(status = kith_graph_append(writer, NODES, ids, ids, &(double){0}, err))) {
		kith_audit_note(&audit, NODES, ids);
		kith_audit_close(&audit);
		if (!(status = kith_graph_put_audit(writer, &audit.record, err))) {
			status = kith_graph_finish(writer, NULL, err);
			writer = NULL;
		}
	}
	kith_graph_abort(writer);
	if (!status && !(status = kith_graph_open(&graph, output, err)) &&
	    !(status = kith_graph_read_audit(graph, &read, err)))
		status = kith_graph_check(graph, 8 << 20, 1, NULL, err);
	if (status)
		remove(output); /* a whole one, if it is the reading that failed */
	free(read.memory);
	kith_graph_close(graph);
	kith_audit_free(&audit);
	kith_vectors_free(&vectors);
	kith_activations_close(activations);
	return status;
}

static int try_recall(kith_err *err)
{
	kith_knn_options options;
	kith_graph_audit found = {0};
	kith_knn_defaults(&options);
	options.memory = 16 << 20;
	options.threads = 1;
	int status = kith_knn_audit(npy[0], nng[0], &options, &found, err);
	free(found.memory);
	return status;
}

static int try_merge_pairs(kith_err *err)
{
	static const char *const names[] = {"a", "b", "c"};
	const char *paths[] = {nng[0], nng[1], nng[2]};
	kith_merge_options options;
	kith_stack *stack = NULL;
	kith_merge_defaults(&options);
	options.mixed = 1;
	options.threads = 1;
	options.pairs = output;
	int status = kith_merge(LAYERS, paths, names, &options, &stack, err);
	kith_stack_free(stack);
	return status;
}

/* Two samples, two layers, one pair. */
static int write_pairs(kith_err *err)
{
	static char name[] = "a";
	kith_layer layers[2] = {{.name = name, .recall = 1}, {.name = name, .recall = 1}};
	kith_pair_info info = {.n = 2, .layer_count = 2, .tiers = 1, .k = {1}, .block_pairs = 4, .layers = layers};
	const uint32_t i = 0, j = 1;
	const uint64_t bits[] = {1, 1, 1, 1};
	kith_pair_writer *writer = NULL;
	int status = kith_pair_writer_create(&writer, output, &info, 2, err);
	if (status)
		return status;
	if ((status = kith_pair_writer_append_planes(writer, 1, &i, &j, bits, 1, err))) {
		kith_pair_writer_abort(writer);
		return status;
	}
	return kith_pair_writer_finish(writer, err);
}

static int read_pairs(kith_err *err)
{
	kith_pair_store *store = NULL;
	kith_pair_query query = {.ask = KITH_ASK_PERSIST, .last = 1};
	kith_pair_output answer = {KITH_PAIRS_COMPONENTS, fopen("/dev/null", "w"), "/dev/null", "persist 0:1"};
	uint64_t count, block;
	int status = kith_pair_store_open(&store, output, err);
	if (!status)
		status = kith_pair_store_check(store, NULL, err);
	if (!status)
		status = kith_pair_store_find(store, 1, &block, err);
	if (!status)
		status = kith_pair_answer(store, &query, &answer, &count, err);
	kith_pair_store_close(store);
	fclose(answer.stream);
	return status;
}

static int try_pairs(kith_err *err)
{
	int status = write_pairs(err);
	if (status)
		return status;
	if ((status = read_pairs(err)))
		remove(output); /* a whole one */
	return status;
}

static char net[SANDBOX_PATH];

static void write_net(void)
{
	rng r = {9};
	random_net drawn;
	random_net_draw(&drawn, &r);
	random_net_write(&drawn, "net", net, sizeof net);
	random_net_free(&drawn);
}

static int read_h0(kith_err *err)
{
	kith_h0_store *store = NULL;
	kith_h0_samples samples = {0};
	kith_h0_scratch scratch = {0};
	uint32_t positions[1000], count;
	int status = kith_h0_store_open(&store, output, err);
	if (!status)
		status = kith_h0_store_check(store, NULL, err);
	if (!status && !(status = kith_h0_store_read(store, 0, KITH_H0_CLASSES | KITH_H0_VALUES, &samples, err)) &&
	    samples.class_at[1])
		status = kith_h0_component(kith_h0_store_get_info(store), &samples, 0, 0, &scratch, positions, &count,
					   err);
	kith_h0_scratch_free(&scratch);
	kith_h0_samples_free(&samples);
	kith_h0_store_close(store);
	return status;
}

static int try_h0(kith_err *err)
{
	kith_h0_options options;
	kith_h0_summary summary;
	kith_h0_defaults(&options);
	options.threads = 1;
	options.keep = 0.5;
	int status = kith_h0_build(net, output, &options, &summary, err);
	if (!status && (status = read_h0(err)))
		remove(output); /* a whole one */
	return status;
}

/* Walks until a run of successes says that there is no allocation left to fail. */
static int walk(const char *what, int (*attempt)(kith_err *))
{
	size_t entries = sandbox_entries(), made;
	long failures = 0, wrong = 0;
	for (long nth = 1, successes = 0; successes < 8 && !wrong; nth++) {
		kith_err err = {0};
		int status;
		remove(output);
		kith_alloc_fail_nth(nth);
		status = attempt(&err);
		kith_alloc_fail_nth(0);
		made = sandbox_entries() - entries;
		successes = status ? 0 : successes + 1;
		failures += status != 0;
		if (status && (status != KITH_ENOMEM || err.code != KITH_ENOMEM || !err.msg[0] || made)) {
			printf("FAILED: %s, allocation %ld: status %d, \"%s\", %zu files left\n", what, nth, status,
			       err.msg, made);
			wrong++;
		}
	}
	remove(output);
	if (!failures)
		printf("FAILED: %s: no allocation was ever made to fail\n", what);
	printf("%s: %ld allocations failed one by one\n", what, failures);
	return wrong || !failures;
}

int main(void)
{
	int failed, walks = 17;
	kith_err err = {0};
	write_layers();
	write_crowded();
	write_net();
	write_lists();
	sandbox_path(output, "output");
	failed = walk("kith_knn_build", try_knn) + walk("kith_knn_build, cosine", try_cosine);
	failed += walk("kith_knn_build, parts", try_parts) + walk("kith_knn_build, copies", try_copies) +
		  walk("kith_knn_build, lattice", try_lattice);
	for (int v = 0; v < LAYERS; v++)
		if (v == 1 ? write_approximate(nng[v], &err) : build(npy[v], nng[v], KITH_L2, &err)) {
			printf("FAILED: %s\n", err.msg);
			return 1;
		}
	failed += walk("kith_merge", try_merge) + walk("kith_merge, pairs", try_merge_pairs) +
		  walk("kith_graph_check", try_check) + walk("pair stores", try_pairs) + walk("audits", try_audit) +
		  walk("kith_knn_audit", try_recall) + walk("kith_knn_build, approx", try_approx) +
		  walk("kith_knn_build, cells", try_cells) + walk("kith_h0_build", try_h0) +
		  walk("kith_import_build", try_given) + walk("kith_import_build, measured", try_measured) +
		  walk("kith_show, arrays", try_arrays);
	if (has_faiss()) {
		failed += walk("kith_knn_build, faiss", try_faiss);
		walks++;
	}
	printf("fault_alloc: %d passed, %d failed\n", walks - failed, failed);
	return failed != 0;
}
