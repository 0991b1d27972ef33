/* rival_sort.c - what a plain program in C does: all edges of a sample by a radix sort, then Kruskal's algorithm.
 * Prints, for each sample, the seconds of CPU time, the forest's edges, and the sum of their phi.
 *
 *     rival_sort NET.json SAMPLES */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "network.h"
#include "order.h"

static double cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* All edges, in order of ids: what does not depend on the sample. */
typedef struct edges {
	uint64_t count;
	uint32_t *a, *b;
	double *w;
	kith_key *keys, *other;
	uint32_t *parent;
	double *h; /* by vertex */
} edges;

static void *need(uint64_t count, size_t size)
{
	void *p = kith_alloc(count, size);
	if (!p)
		exit(1);
	return p;
}

static void list_edges(const kith_network *n, edges *e)
{
	const kith_h0_info *info = &n->info;
	e->a = need(info->ids, sizeof *e->a);
	e->b = need(info->ids, sizeof *e->b);
	e->w = need(info->ids, sizeof *e->w);
	e->keys = need(info->ids, sizeof *e->keys);
	e->other = need(info->ids, sizeof *e->other);
	e->parent = need(info->vertices, sizeof *e->parent);
	e->h = need(info->vertices, sizeof *e->h);
	for (uint32_t o = 0; o < info->op_count; o++) {
		const kith_op *op = &info->ops[o];
		uint64_t channel =
			op->kind == KITH_CONV2D ? info->layers[op->to].shape[1] * info->layers[op->to].shape[2] : 1;
		for (uint64_t v = 0; v < info->layers[op->to].units; v++)
			for (uint64_t j = 0; j < op->fan_in; j++) {
				int64_t u = kith_op_source(info, op, v, j);
				if (u < 0)
					continue;
				e->a[e->count] = info->layers[op->from].first_vertex + (uint32_t)u;
				e->b[e->count] = info->layers[op->to].first_vertex + (uint32_t)v;
				e->w[e->count++] =
					n->files[o] ? kith_weight_at(&n->weights[o], v / channel * op->fan_in + j)
						    : kith_op_weight(op);
			}
	}
}

static uint32_t find(uint32_t *parent, uint32_t x)
{
	while (parent[x] != x)
		x = parent[x] = parent[parent[x]];
	return x;
}

/* Returns the forest's edges; *sum is of their phi, heaviest first. */
static uint64_t run(edges *e, uint64_t vertices, double *sum)
{
	uint64_t count = 0, forest = 0;
	for (uint64_t i = 0; i < e->count; i++) {
		double phi = e->w[i] * e->h[e->a[i]];
		uint64_t bits;
		memcpy(&bits, &phi, sizeof bits);
		if (phi > 0)
			e->keys[count++] = (kith_key){~bits, (uint32_t)i};
	}
	kith_keys_sort(e->keys, e->other, count);
	for (uint64_t x = 0; x < vertices; x++)
		e->parent[x] = (uint32_t)x;
	*sum = 0;
	for (uint64_t i = 0; i < count; i++) {
		uint32_t edge = e->keys[i].item, x = find(e->parent, e->a[edge]), y = find(e->parent, e->b[edge]);
		if (x == y)
			continue;
		e->parent[y] = x;
		*sum += e->w[edge] * e->h[e->a[edge]];
		forest++;
	}
	return forest;
}

int main(int argc, char **argv)
{
	kith_network *n = NULL;
	edges e = {0};
	kith_err err = {0};
	if (argc < 3 || kith_network_read(&n, argv[1], NULL, &err) || kith_network_load(n, 1 << 20, 1, NULL, &err)) {
		fprintf(stderr, "rival_sort: %s\n", err.msg);
		return 2;
	}
	list_edges(n, &e);
	for (uint64_t i = 0; i < strtoull(argv[2], NULL, 10) && i < n->info.n; i++) {
		double start = cpu(), sum;
		for (uint32_t l = 0; l < n->info.layer_count; l++) {
			double *h = e.h + n->info.layers[l].first_vertex;
			if (!kith_network_is_source(n, l))
				continue;
			if (kith_activations_read(n->activations[l], i, 1, h, NULL, &err))
				return 1;
			for (uint64_t u = 0; u < n->info.layers[l].units; u++)
				h[u] = __builtin_fabs(h[u]);
		}
		uint64_t forest = run(&e, n->info.vertices, &sum);
		printf("%.6f %llu %.17g\n", cpu() - start, (unsigned long long)forest, sum);
	}
	kith_network_free(n);
	return 0;
}
