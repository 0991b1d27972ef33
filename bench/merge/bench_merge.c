/* bench_merge.c - what bench/merge/bench.py measures kith-merge with.
 *
 *   bench_merge run COMMAND...
 *       seconds and peak resident MiB of a program, from fork to exit; its exit code is ours. Graph files are mapped
 *       into memory, so what is read of them counts as resident.
 *   bench_merge decode THREADS GRAPH...
 *       seconds, peak resident MiB, bytes of the records read, bytes decoded
 *   bench_merge bits GRAPH
 *       bits per directed edge: in all but near lists; of these the rows and the reverse lists; then near lists; and
 *       the least that n random sets of k take, log2 C(n-1, k) / k
 *   bench_merge shape GRAPH
 *       n, ladder
 *   bench_merge rows GRAPH OUT.npy
 *       the rows as an n x k array of i4, ids ascending (graphs of one k)
 *
 * decode is the least that any merge through kith/graph.h must do: it opens the graphs and reads of every layer the
 * rows and the reverse lists, as kith-merge does, over windows of the largest block's nodes, layers in parallel, and
 * throws them away. Bytes decoded are 4 for a neighbour, and 5 for a pair (its larger node, its tiers). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "container.h"
#include "kith/graph.h"
#include "npy_write.h"
#include "value.h"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static long mebibytes(const struct rusage *used)
{
	return (used->ru_maxrss + 1023) / 1024;
}

/* What a graph takes on disk, in bytes: the records of its rows, near lists and reverse lists, and the whole file. */
typedef struct sizes {
	uint64_t rows, near, reverse, file;
} sizes;

static int add_records(kith_container *c, uint32_t table, uint64_t records, uint64_t *total, kith_err *err)
{
	int rc = 0;
	for (uint64_t r = 0; !rc && r < records; r++) {
		const void *bytes;
		size_t size;
		if (!(rc = kith_container_get(c, table, (uint32_t)r, &bytes, &size, err)))
			*total += size;
	}
	return rc;
}

static int get_sizes(const kith_graph *graph, sizes *s, kith_err *err)
{
	const kith_graph_info *info = kith_graph_get_info(graph);
	uint64_t blocks = (info->n + info->block_nodes - 1) / info->block_nodes;
	uint64_t near = info->near ? (info->n + info->near_nodes - 1) / info->near_nodes : 0;
	kith_container *c;
	struct stat st;
	int rc = kith_container_open(&c, kith_graph_path(graph), KITH_CONTAINER_GRAPH, err);
	*s = (sizes){0};
	if (rc)
		return rc;
	if (!(rc = add_records(c, KITH_TABLE_ROWS, blocks, &s->rows, err)) &&
	    !(rc = add_records(c, KITH_TABLE_NEAR, near, &s->near, err)))
		rc = add_records(c, KITH_TABLE_REVERSE, blocks * info->tiers, &s->reverse, err);
	if (!rc && stat(kith_graph_path(graph), &st))
		rc = kith_fail_errno(err, "%s", kith_graph_path(graph));
	s->file = rc ? 0 : (uint64_t)st.st_size;
	kith_container_close(c);
	return rc;
}

/* ---- run ---- */

static int run(int count, char **argv, kith_err *err)
{
	struct rusage used;
	int status;
	double start = now();
	pid_t child = fork();
	(void)count; /* argv ends with NULL */
	if (child < 0)
		return kith_fail_errno(err, "fork");
	if (!child) {
		dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is for the figures */
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (wait4(child, &status, 0, &used) < 0)
		return kith_fail_errno(err, "wait");
	double seconds = now() - start;
	if (status)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	printf("%.3f %ld\n", seconds, mebibytes(&used));
	return 0;
}

/* ---- decode ---- */

typedef struct layer {
	kith_graph *graph;
	const kith_graph_info *info;
	kith_sets rows[KITH_MAX_TIERS], reverse[KITH_MAX_TIERS];
	uint64_t decoded; /* bytes */
	kith_err err;
	int rc;
} layer;

static uint64_t set_bytes(const kith_sets *sets, uint32_t tiers)
{
	uint64_t bytes = 0;
	for (uint32_t t = 0; t < tiers; t++)
		bytes += sets[t].dense ? sets[t].count * sets[t].stride * 8 : sets[t].items * 4;
	return bytes;
}

static void decode_layer(layer *l, uint64_t first, uint64_t count)
{
	uint32_t tiers = l->info->tiers;
	if ((l->rc = kith_graph_read_row_sets(l->graph, first, count, tiers, l->rows, &l->err)) ||
	    (l->rc = kith_graph_read_reverse(l->graph, first, count, tiers, l->reverse, &l->err)))
		return;
	l->decoded += set_bytes(l->rows, tiers) + set_bytes(l->reverse, tiers);
}

static int decode_layers(layer *layers, int count, char **paths, int threads, kith_err *err)
{
	uint64_t window = 0;
	int rc = 0;
	for (int v = 0; v < count; v++) {
		if ((rc = kith_graph_open(&layers[v].graph, paths[v], err)))
			return rc;
		layers[v].info = kith_graph_get_info(layers[v].graph);
		window = layers[v].info->block_nodes > window ? layers[v].info->block_nodes : window;
	}
	uint64_t n = layers[0].info->n;
	for (int v = 0; v < count; v++)
		if (layers[v].info->n != n)
			return kith_fail(err, KITH_EUSAGE, "%s: has another n than %s", paths[v], paths[0]);
	for (uint64_t first = 0; first < n; first += window) {
		uint64_t nodes = window < n - first ? window : n - first;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
		for (int v = 0; v < count; v++)
			decode_layer(&layers[v], first, nodes);
		for (int v = 0; v < count; v++)
			if (layers[v].rc)
				return kith_fail(err, layers[v].rc, "%s", layers[v].err.msg);
	}
	return 0;
}

static int decode(int count, char **argv, kith_err *err)
{
	uint64_t read = 0, decoded = 0;
	int threads = atoi(argv[0]), rc = 0;
	char **paths = argv + 1;
	struct rusage used;

	count--;
	if (threads < 1)
		return kith_fail(err, KITH_EUSAGE, "THREADS starts at 1");
	layer *layers = kith_alloc_zero((size_t)count, sizeof *layers);
	if (!layers)
		return kith_fail_nomem(err, "the layers", (size_t)count * sizeof *layers);
	double start = now();
	rc = decode_layers(layers, count, paths, threads, err);
	double seconds = now() - start;
	getrusage(RUSAGE_SELF, &used);
	for (int v = 0; !rc && v < count; v++) {
		sizes s;
		if ((rc = get_sizes(layers[v].graph, &s, err)))
			break;
		read += s.rows + s.reverse;
		decoded += layers[v].decoded;
	}
	for (int v = 0; v < count; v++) {
		kith_graph_close(layers[v].graph);
		for (uint32_t t = 0; t < KITH_MAX_TIERS; t++) {
			kith_sets_free(&layers[v].rows[t]);
			kith_sets_free(&layers[v].reverse[t]);
		}
	}
	free(layers);
	if (!rc)
		printf("%.3f %ld %llu %llu\n", seconds, mebibytes(&used), (unsigned long long)read,
		       (unsigned long long)decoded);
	return rc;
}

/* ---- one graph ---- */

static int print_bits(int count, char **argv, kith_err *err)
{
	kith_graph *graph = NULL;
	sizes s;
	int rc = kith_graph_open(&graph, argv[0], err);
	(void)count;
	if (rc)
		return rc;
	const kith_graph_info *i = kith_graph_get_info(graph);
	double n = (double)i->n, k = kith_info_k(i);
	if (!(rc = get_sizes(graph, &s, err))) {
		double bound = (lgamma(n) - lgamma(k + 1) - lgamma(n - k)) / log(2) / k, bit = 8 / (n * k);
		printf("%.2f %.2f %.2f %.2f %.2f\n", bit * (double)(s.file - s.near), bit * (double)s.rows,
		       bit * (double)s.reverse, bit * (double)s.near, bound);
	}
	kith_graph_close(graph);
	return rc;
}

static int print_shape(int count, char **argv, kith_err *err)
{
	kith_graph *graph = NULL;
	int rc = kith_graph_open(&graph, argv[0], err);
	(void)count;
	if (rc)
		return rc;
	const kith_graph_info *i = kith_graph_get_info(graph);
	printf("%llu ", (unsigned long long)i->n);
	for (uint32_t t = 0; t < i->tiers; t++)
		printf(t ? ",%u" : "%u", i->ladder[t]);
	puts("");
	kith_graph_close(graph);
	return 0;
}

static int write_rows(int count, char **argv, kith_err *err)
{
	kith_graph *graph = NULL;
	uint32_t *ids = NULL;
	char shape[64];
	int rc = kith_graph_open(&graph, argv[0], err);
	(void)count;
	if (rc)
		return rc;
	const kith_graph_info *i = kith_graph_get_info(graph);
	size_t items = i->n * kith_info_k(i);
	if (i->tiers != 1)
		rc = kith_fail(err, KITH_EUSAGE, "%s: has several k", argv[0]);
	else if (!(ids = kith_alloc(items, sizeof *ids)))
		rc = kith_fail_nomem(err, "the rows", items * sizeof *ids);
	else
		rc = kith_graph_read_rows(graph, 0, i->n, 1, ids, err);
	if (!rc) {
		snprintf(shape, sizeof shape, "(%llu, %u)", (unsigned long long)i->n, kith_info_k(i));
		npy_write_raw(argv[1], 1, npy_header("<i4", 0, shape), ids, items * sizeof *ids);
	}
	free(ids);
	kith_graph_close(graph);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int least, most; /* arguments */
		int (*call)(int count, char **argv, kith_err *err);
	} verbs[] = {{"run", 1, 1 << 20, run},
		     {"decode", 2, 1 << 20, decode},
		     {"bits", 1, 1, print_bits},
		     {"shape", 1, 1, print_shape},
		     {"rows", 2, 2, write_rows}};
	kith_err err;
	for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
		if (argc < 2 || strcmp(argv[1], verbs[v].name) || argc - 2 < verbs[v].least || argc - 2 > verbs[v].most)
			continue;
		if (verbs[v].call(argc - 2, argv + 2, &err)) {
			fprintf(stderr, "bench_merge: %s\n", err.msg);
			return 1;
		}
		return 0;
	}
	fprintf(stderr, "bench_merge: wrong usage; the head of bench_merge.c says what there is\n");
	return 2;
}
