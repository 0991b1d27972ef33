/* counts.c - see counts.h */
#include "counts.h"

#include <string.h>

#include "cpu.h"

static uint64_t layers_by_tier(const kith_count_plan *p)
{
	return (uint64_t)p->tiers * p->layers;
}

void kith_counts_list(kith_workspace *w, kith_counts *c, const kith_count_plan *p)
{
	*c = (kith_counts){.plan = p, .kernels = kith_bit_kernels_get()};
	KITH_BUFFER_ZERO(w, c->overlap, p->start[p->tiers]);
	KITH_BUFFER_ZERO(w, c->edges, layers_by_tier(p));
	KITH_BUFFER_ZERO(w, c->lane, kith_plan_lanes(p));
	for (int g = 0; g < 2; g++)
		if (p->graphs[g])
			KITH_BUFFER_ZERO(w, c->pairs[g], layers_by_tier(p));
	kith_runs_list(w, &c->runs, p);
}

void kith_counts_take_lanes(kith_counts *c, uint64_t *to)
{
	for (uint32_t v = 0; v < c->plan->layers; v++)
		to[v] += c->lane[v];
	memset(c->lane, 0, kith_plan_lanes(c->plan) * sizeof *c->lane);
}

KITH_CLONES static void join_words(int graph, const uint64_t *x, const uint64_t *y, uint32_t words, uint64_t *joined)
{
	if (graph == KITH_UNION)
		for (uint32_t w = 0; w < words; w++)
			joined[w] = x[w] | y[w];
	else
		for (uint32_t w = 0; w < words; w++)
			joined[w] = x[w] & y[w];
}

void kith_counts_join(int graph, const uint64_t *rows, const uint64_t *reverse, uint32_t words, uint64_t *joined)
{
	join_words(graph, rows, reverse, words, joined);
}

void kith_counts_add(kith_counts *into, const kith_counts *from)
{
	const kith_count_plan *p = into->plan;
	for (uint64_t i = 0; i < p->start[p->tiers]; i++)
		into->overlap[i] += from->overlap[i];
	for (uint64_t i = 0; i < layers_by_tier(p); i++)
		into->edges[i] += from->edges[i];
	for (int g = 0; g < 2; g++)
		for (uint64_t i = 0; p->graphs[g] && i < layers_by_tier(p); i++)
			into->pairs[g][i] += from->pairs[g][i];
	kith_runs_add(&into->runs, &from->runs);
}
