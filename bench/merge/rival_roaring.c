/* rival_roaring.c - NNTS of all pairs of layers with CRoaring.
 *
 *   rival_roaring THREADS STACK.json GRAPH...
 *       seconds, peak resident MiB; fails if a mean is not that of kith-merge's STACK.json of the same graphs
 *   rival_roaring version
 *
 * Every row of every layer becomes a bitmap, a sample's bitmaps one after another in memory; that is not timed. What
 * is: for each sample and each two layers roaring_bitmap_and_cardinality, samples spread over the threads. The graphs
 * have one k, so the intersection is all that IoU needs, and counting how often each size occurs is all there is to do.
 */
#include <math.h>
#include <omp.h>
#include <roaring/roaring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "alloc.h"
#include "kith/graph.h"
#include "kith/stack.h"

#define WINDOW 4096 /* nodes */

typedef struct rival {
	uint64_t n;
	uint32_t layers, k;
	kith_graph **graphs;
	roaring_bitmap_t **bitmaps; /* n x layers */
	uint64_t *sizes;            /* (layers over 2) x (k + 1): how many samples have so many neighbours in common */
} rival;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int open_graphs(rival *r, char **paths, kith_err *err)
{
	for (uint32_t v = 0; v < r->layers; v++) {
		int rc = kith_graph_open(&r->graphs[v], paths[v], err);
		if (rc)
			return rc;
		const kith_graph_info *i = kith_graph_get_info(r->graphs[v]);
		if (!v) {
			r->n = i->n;
			r->k = kith_info_k(i);
		}
		if (i->n != r->n || i->tiers != 1 || kith_info_k(i) != r->k)
			return kith_fail(err, KITH_EUSAGE, "%s: all graphs must have one n, and one k", paths[v]);
	}
	return 0;
}

static int read_bitmaps(rival *r, kith_err *err)
{
	int rc = 0;
	size_t row = r->k, layer = WINDOW * row;
	uint32_t *ids = kith_alloc(r->layers * layer, sizeof *ids);
	if (!ids)
		return kith_fail_nomem(err, "rows", r->layers * layer * sizeof *ids);
	for (uint64_t first = 0; first < r->n; first += WINDOW) {
		uint64_t count = WINDOW < r->n - first ? WINDOW : r->n - first;
		for (uint32_t v = 0; v < r->layers; v++)
			if ((rc = kith_graph_read_rows(r->graphs[v], first, count, 1, ids + v * layer, err)))
				goto done;
		for (uint64_t i = 0; i < count; i++)
			for (uint32_t v = 0; v < r->layers; v++) {
				roaring_bitmap_t *b = roaring_bitmap_of_ptr(r->k, ids + v * layer + i * row);
				if (!b) {
					rc = kith_fail_nomem(err, "a bitmap", r->k);
					goto done;
				}
				roaring_bitmap_shrink_to_fit(b);
				r->bitmaps[(first + i) * r->layers + v] = b;
			}
	}
done:
	free(ids);
	return rc;
}

static void count_sizes(const roaring_bitmap_t *const *sample, uint32_t layers, uint32_t k, uint64_t *sizes)
{
	for (uint32_t a = 0; a < layers; a++)
		for (uint32_t b = a + 1; b < layers; b++, sizes += k + 1)
			sizes[roaring_bitmap_and_cardinality(sample[a], sample[b])]++;
}

static int intersect(rival *r, int threads, kith_err *err)
{
	size_t items = (size_t)r->layers * (r->layers - 1) / 2 * (r->k + 1);
	uint64_t *sizes = kith_alloc_zero(items * (size_t)threads, sizeof *sizes);
	if (!sizes)
		return kith_fail_nomem(err, "counts", items * (size_t)threads * sizeof *sizes);
#pragma omp parallel for num_threads(threads) schedule(static)
	for (uint64_t i = 0; i < r->n; i++)
		count_sizes((const roaring_bitmap_t *const *)r->bitmaps + i * r->layers, r->layers, r->k,
			    sizes + (size_t)omp_get_thread_num() * items);
	for (int t = 1; t < threads; t++)
		for (size_t s = 0; s < items; s++)
			sizes[s] += sizes[(size_t)t * items + s];
	r->sizes = sizes;
	return 0;
}

static int compare(const rival *r, const char *path, kith_err *err)
{
	kith_stack *stack = NULL;
	const uint64_t *sizes = r->sizes;
	int rc = kith_stack_read(&stack, path, err);
	if (rc)
		return rc;
	if (stack->n != r->n || stack->layer_count != r->layers || stack->nnts_count != 1 || stack->nnts[0].k != r->k) {
		rc = kith_fail(err, KITH_EUSAGE, "%s: not the stack of these graphs", path);
		goto done;
	}
	for (uint32_t a = 0; a < r->layers; a++)
		for (uint32_t b = a + 1; b < r->layers; b++, sizes += r->k + 1) {
			long double sum = 0;
			for (uint32_t c = 1; c <= r->k; c++)
				sum += (long double)sizes[c] * c / (2 * r->k - c);
			double mean = (double)(sum / r->n), theirs = stack->nnts[0].mean[a * r->layers + b];
			if (!(fabs(mean - theirs) <= 1e-12)) {
				rc = kith_fail(err, KITH_EBUG, "NNTS(%u, %u) is %.17g here, and %.17g in %s", a, b,
					       mean, theirs, path);
				goto done;
			}
		}
done:
	kith_stack_free(stack);
	return rc;
}

static int rival_run(rival *r, int threads, const char *stack, char **paths, double *seconds, kith_err *err)
{
	int rc = open_graphs(r, paths, err);
	if (rc)
		return rc;
	r->bitmaps = kith_alloc_zero(r->n * r->layers, sizeof(roaring_bitmap_t *));
	if (!r->bitmaps)
		return kith_fail_nomem(err, "the bitmaps", r->n * r->layers * sizeof(roaring_bitmap_t *));
	if ((rc = read_bitmaps(r, err)))
		return rc;
	double start = now();
	rc = intersect(r, threads, err);
	*seconds = now() - start;
	return rc ? rc : compare(r, stack, err);
}

static void rival_free(rival *r)
{
	for (uint64_t b = 0; r->bitmaps && b < r->n * r->layers; b++)
		if (r->bitmaps[b])
			roaring_bitmap_free(r->bitmaps[b]);
	for (uint32_t v = 0; r->graphs && v < r->layers; v++)
		kith_graph_close(r->graphs[v]);
	free(r->bitmaps);
	free(r->graphs);
	free(r->sizes);
}

int main(int argc, char **argv)
{
	struct rusage used;
	double seconds = 0;
	kith_err err;
	if (argc == 2 && !strcmp(argv[1], "version")) {
		printf("%d.%d.%d\n", ROARING_VERSION_MAJOR, ROARING_VERSION_MINOR, ROARING_VERSION_REVISION);
		return 0;
	}
	if (argc < 5 || atoi(argv[1]) < 1) {
		fprintf(stderr, "usage: rival_roaring THREADS STACK.json GRAPH GRAPH...\n");
		return 2;
	}
	rival r = {.layers = (uint32_t)argc - 3};
	r.graphs = kith_alloc_zero(r.layers, sizeof(kith_graph *));
	int rc = r.graphs ? rival_run(&r, atoi(argv[1]), argv[2], argv + 3, &seconds, &err)
			  : kith_fail_nomem(&err, "the graphs", r.layers * sizeof(kith_graph *));
	getrusage(RUSAGE_SELF, &used);
	rival_free(&r);
	if (rc) {
		fprintf(stderr, "rival_roaring: %s\n", err.msg);
		return 1;
	}
	printf("%.3f %ld\n", seconds, (used.ru_maxrss + 1023) / 1024);
	return 0;
}
