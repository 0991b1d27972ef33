/* node_window.c - see node_window.h */
#include "node_window.h"

#include <stdlib.h>

#include "alloc.h"
#include "first_error.h"

struct kith_window_sets {
	kith_sets rows[KITH_MAX_TIERS], reverse[KITH_MAX_TIERS];
};

uint64_t kith_window_bytes(const kith_window_layer *layer, size_t layers, uint64_t nodes)
{
	uint64_t bytes = 0;
	for (size_t v = 0; v < layers; v++)
		bytes += kith_graph_reader_bytes(layer[v].graph) +
			 2 * kith_graph_row_sets_bytes(layer[v].graph, nodes, layer[v].tiers);
	return bytes;
}

static void list_sources(kith_window *w, uint32_t tiers)
{
	size_t count = 0;
	for (uint32_t q = 0; q < tiers; q++)
		for (uint32_t v = 0; v < w->layers; v++)
			for (uint32_t graph_tier = 0; graph_tier < w->layer[v].tiers; graph_tier++)
				if (w->layer[v].tier_of[graph_tier] == q) {
					struct kith_window_sets *s = &w->sets[v];
					w->sources.source[count] = (kith_count_source){&s->rows[graph_tier], v, q};
					w->sources.source[w->sources.count + count++] =
						(kith_count_source){&s->reverse[graph_tier], v, q};
				}
}

int kith_window_init(kith_window *w, const kith_window_layer *layer, size_t layers, uint32_t tiers, kith_err *err)
{
	*w = (kith_window){.layers = layers, .layer = layer};
	for (size_t v = 0; v < layers; v++)
		w->sources.count += layer[v].tiers;
	w->sets = kith_alloc_zero(layers, sizeof *w->sets);
	w->sources.source = kith_alloc(2 * w->sources.count, sizeof *w->sources.source);
	if (!w->sets || !w->sources.source)
		return kith_fail_nomem(err, "sets of neighbours",
				       layers * sizeof *w->sets + 2 * w->sources.count * sizeof *w->sources.source);
	list_sources(w, tiers);
	return 0;
}

void kith_window_free(kith_window *w, uint32_t threads)
{
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
	for (size_t v = 0; v < w->layers; v++) { /* in parallel: releasing memory takes a while */
		struct kith_window_sets *s = w->sets ? &w->sets[v] : NULL;
		for (uint32_t t = 0; s && t < KITH_MAX_TIERS; t++) {
			kith_sets_free(&s->rows[t]);
			kith_sets_free(&s->reverse[t]);
		}
	}
	free(w->sets);
	free(w->sources.source);
	*w = (kith_window){0};
}

/* Adds the bytes that nodes first..first+count-1 of a graph take. */
static int add_bytes(kith_graph *graph, uint32_t tiers, uint64_t first, uint64_t count, uint64_t *bytes, kith_err *err)
{
	uint64_t reverse;
	int rc = kith_graph_reverse_bytes(graph, first, count, tiers, &reverse, err);
	if (!rc)
		*bytes += reverse + kith_graph_row_sets_bytes(graph, count, tiers);
	return rc;
}

int kith_window_check(kith_window *w, uint64_t first, uint64_t count, uint64_t room, uint64_t memory, kith_err *err)
{
	uint64_t needed = 0;
	int rc = 0;
	for (size_t v = 0; !rc && v < w->layers; v++)
		rc = add_bytes(w->layer[v].graph, w->layer[v].tiers, first, count, &needed, err);
	if (!rc && needed > room)
		rc = kith_fail(err, KITH_EUSAGE, "-m is too small: the edges of samples %llu:%llu need %llu bytes",
			       (unsigned long long)first, (unsigned long long)(first + count),
			       (unsigned long long)(needed + memory - room));
	return rc;
}

int kith_window_read(kith_window *w, uint64_t first, uint64_t count, uint32_t threads, kith_err *err)
{
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
	for (size_t v = 0; v < w->layers; v++) {
		struct kith_window_sets *s = &w->sets[v];
		kith_graph *graph = w->layer[v].graph;
		uint32_t tiers = w->layer[v].tiers;
		kith_err why;
		int rc = kith_graph_read_row_sets(graph, first, count, tiers, s->rows, &why);
		if (!rc)
			rc = kith_graph_read_reverse(graph, first, count, tiers, s->reverse, &why);
		kith_first_error_note(&failed, v, rc, &why);
	}
	return kith_first_error_get(&failed, err);
}
