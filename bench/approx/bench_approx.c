/* bench_approx.c - what bench/approx/bench.py needs to know of graphs.
 *
 *   bench_approx recall EXACT.nng FOUND
 *       the part of the exact neighbours, at the exact graph's largest k, that FOUND has: a graph, or lists as the
 * rivals write them (rival.h) bench_approx parameters GRAPH.nng what the graph says of how it was made: its engine, a
 * semicolon, its parameters */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "kith/graph.h"

#define ROWS 4096 /* at a time */

/* Rows to compare with the exact ones: from a graph, or from a file of lists. */
typedef struct source {
	kith_graph *graph;
	FILE *lists;
	const char *path;
	uint32_t k;
} source;

static int open_source(source *s, const char *path, const kith_graph_info *exact, kith_err *err)
{
	size_t length = strlen(path);
	*s = (source){.path = path, .k = kith_info_k(exact)};
	if (length < 4 || strcmp(path + length - 4, ".nng")) {
		s->lists = fopen(path, "rb");
		return s->lists ? 0 : kith_fail_errno(err, "%s: cannot open", path);
	}
	int rc = kith_graph_open(&s->graph, path, err);
	if (rc)
		return rc;
	const kith_graph_info *info = kith_graph_get_info(s->graph);
	if (info->n != exact->n || kith_info_k(info) != s->k)
		return kith_fail(err, KITH_EUSAGE, "%s: of another n or k than the exact graph", path);
	return 0;
}

static int read_source(source *s, uint64_t first, uint64_t count, uint32_t tiers, uint32_t *ids, kith_err *err)
{
	if (s->graph)
		return kith_graph_read_rows(s->graph, first, count, tiers, ids, err);
	if (fread(ids, sizeof *ids * s->k, count, s->lists) != count)
		return kith_fail(err, KITH_EIO, "%s: too short", s->path);
	return 0;
}

static void close_source(source *s)
{
	kith_graph_close(s->graph);
	if (s->lists)
		fclose(s->lists);
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Both are sorted on the way. */
static uint32_t count_common(uint32_t *a, uint32_t *b, uint32_t k)
{
	uint32_t common = 0;
	qsort(a, k, sizeof *a, compare_ids);
	qsort(b, k, sizeof *b, compare_ids);
	for (uint32_t s = 0, t = 0; s < k && t < k;) {
		common += a[s] == b[t];
		if (a[s] < b[t])
			s++;
		else if (a[s] > b[t])
			t++;
		else
			s++, t++;
	}
	return common;
}

static int count_found(kith_graph *exact, source *found, uint64_t *out, kith_err *err)
{
	const kith_graph_info *info = kith_graph_get_info(exact);
	uint32_t k = kith_info_k(info), *a = kith_alloc(ROWS, k * sizeof *a), *b = kith_alloc(ROWS, k * sizeof *b);
	uint32_t tiers = found->graph ? kith_graph_get_info(found->graph)->tiers : 0;
	uint64_t common = 0;
	int rc = a && b ? 0 : kith_fail_nomem(err, "the rows", 2ull * ROWS * k * sizeof *a);
	for (uint64_t first = 0; !rc && first < info->n; first += ROWS) {
		uint64_t count = info->n - first < ROWS ? info->n - first : ROWS;
		if ((rc = kith_graph_read_rows(exact, first, count, info->tiers, a, err)) ||
		    (rc = read_source(found, first, count, tiers, b, err)))
			break;
		for (uint64_t i = 0; i < count; i++)
			common += count_common(a + i * k, b + i * k, k);
	}
	free(a);
	free(b);
	*out = common;
	return rc;
}

static int print_recall(char **argv, kith_err *err)
{
	kith_graph *exact = NULL;
	source found = {0};
	uint64_t common;
	int rc = kith_graph_open(&exact, argv[0], err);
	if (rc)
		return rc;
	const kith_graph_info *info = kith_graph_get_info(exact);
	if (!(rc = open_source(&found, argv[1], info, err)) && !(rc = count_found(exact, &found, &common, err)))
		printf("%.5f\n", (double)common / ((double)info->n * kith_info_k(info)));
	close_source(&found);
	kith_graph_close(exact);
	return rc;
}

static int print_parameters(char **argv, kith_err *err)
{
	kith_graph *graph = NULL;
	int rc = kith_graph_open(&graph, argv[0], err);
	if (!rc)
		printf("%s;%s\n", kith_graph_get_info(graph)->engine, kith_graph_get_info(graph)->parameters);
	kith_graph_close(graph);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int arguments;
		int (*call)(char **, kith_err *);
	} verbs[] = {{"recall", 2, print_recall}, {"parameters", 1, print_parameters}};
	kith_err err;
	for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
		if (argc < 2 || strcmp(argv[1], verbs[v].name) || argc != 2 + verbs[v].arguments)
			continue;
		if (verbs[v].call(argv + 2, &err)) {
			fprintf(stderr, "bench_approx: %s\n", err.msg);
			return 1;
		}
		return 0;
	}
	fprintf(stderr, "bench_approx: wrong usage; the head of bench_approx.c says what there is\n");
	return 2;
}
