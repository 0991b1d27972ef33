/* isolated.c - see isolated.h. A layer's bits belong to one thread at a time, so no two threads write one word. */
#include "isolated.h"

#include <stdlib.h>

#include "workspace.h"

static uint64_t words_of(const kith_count_plan *p)
{
	return (p->n + 63) / 64;
}

static void list_buffers(kith_workspace *w, kith_isolated *s, const kith_count_plan *p)
{
	*s = (kith_isolated){.plan = p};
	KITH_BUFFER_ZERO(w, s->linked, p->graphs[KITH_MUTUAL] ? p->tiers * p->layers * words_of(p) : 0);
}

uint64_t kith_isolated_bytes(const kith_count_plan *p)
{
	kith_workspace w = {0};
	kith_isolated s;
	list_buffers(&w, &s, p);
	return kith_workspace_bytes(&w);
}

int kith_isolated_init(kith_isolated *s, const kith_count_plan *p, kith_err *err)
{
	kith_workspace w = {0};
	list_buffers(&w, s, p);
	return kith_workspace_alloc(&w, &s->memory, "the isolated samples", err);
}

void kith_isolated_free(kith_isolated *s)
{
	free(s->memory);
	*s = (kith_isolated){0};
}

static uint64_t *linked_at(const kith_isolated *s, uint32_t tier, uint32_t layer)
{
	return s->linked + ((uint64_t)tier * s->plan->layers + layer) * words_of(s->plan);
}

static void mark(uint64_t *linked, uint64_t id)
{
	linked[id / 64] |= 1ull << id % 64;
}

/* Marks the ids that two sets share; returns whether there are any. */
static int mark_ids(const kith_count_set *x, const kith_count_set *y, uint64_t *linked)
{
	int any = 0;
	for (size_t a = 0, b = 0; a < x->count && b < y->count;) {
		if (x->id[a] == y->id[b]) {
			mark(linked, x->id[a]);
			any = 1;
		}
		size_t next = a + (x->id[a] <= y->id[b]);
		b += y->id[b] <= x->id[a];
		a = next;
	}
	return any;
}

static int mark_words(const kith_count_set *x, const kith_count_set *y, uint64_t words, uint64_t *linked)
{
	uint64_t any = 0;
	for (uint64_t w = x->base > y->base ? x->base : y->base; w < words; w++) {
		uint64_t both = x->bits[w - x->base] & y->bits[w - y->base];
		linked[w] |= both;
		any |= both;
	}
	return any != 0;
}

static int mark_ids_in_words(const kith_count_set *ids, const kith_count_set *words, uint64_t *linked)
{
	int any = 0;
	for (size_t a = 0; a < ids->count; a++) {
		uint64_t id = ids->id[a];
		if (id / 64 < words->base || !(words->bits[id / 64 - words->base] >> id % 64 & 1))
			continue;
		mark(linked, id);
		any = 1;
	}
	return any;
}

/* A sample's row and reverse list of one layer, at one tier each: what is in both is a mutual neighbour, at the larger
 * tier. Reverse lists hold larger ids only. */
static void add_sets(kith_isolated *s, uint64_t node, const kith_count_set *row, const kith_count_set *reverse)
{
	uint64_t *linked = linked_at(s, row->tier > reverse->tier ? row->tier : reverse->tier, row->layer);
	int any = row->bits && reverse->bits ? mark_words(row, reverse, words_of(s->plan), linked)
		  : row->bits                ? mark_ids_in_words(reverse, row, linked)
		  : reverse->bits            ? mark_ids_in_words(row, reverse, linked)
					     : mark_ids(row, reverse, linked);
	if (any)
		mark(linked, node);
}

static void add_layer(kith_isolated *s, const kith_count_sources *sources, uint32_t layer, uint64_t first,
		      uint64_t nodes)
{
	const kith_count_source *rows = sources->source, *reverse = rows + sources->count;
	for (size_t a = 0; a < sources->count; a++)
		for (size_t b = 0; rows[a].layer == layer && b < sources->count; b++)
			for (uint64_t node = first; reverse[b].layer == layer && node < first + nodes; node++) {
				const kith_count_set row = kith_count_set_at(&rows[a], node);
				const kith_count_set back = kith_count_set_at(&reverse[b], node);
				add_sets(s, node, &row, &back);
			}
}

void kith_isolated_add(kith_isolated *s, const kith_count_sources *sources, uint64_t first, uint64_t nodes,
		       uint32_t threads)
{
	if (!s->plan->graphs[KITH_MUTUAL])
		return;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
	for (uint32_t layer = 0; layer < s->plan->layers; layer++)
		add_layer(s, sources, layer, first, nodes);
}

/* The samples of a layer that have a mutual neighbour at k or less. */
static uint64_t count_linked(const kith_isolated *s, uint32_t k, uint32_t layer)
{
	const kith_count_plan *p = s->plan;
	uint64_t count = 0;
	for (uint64_t w = 0; w < words_of(p); w++) {
		uint64_t linked = 0;
		for (uint32_t q = 0; q < p->tiers && p->k[q] <= k; q++)
			linked |= linked_at(s, q, layer)[w];
		count += (uint64_t)__builtin_popcountll(linked);
	}
	return count;
}

void kith_isolated_fill(const kith_isolated *s, kith_stack *stack)
{
	for (kith_nntp *t = stack->nntp; t < stack->nntp + stack->nntp_count; t++)
		for (uint32_t v = 0; v < s->plan->layers; v++)
			t->isolated[v] = t->graph == KITH_MUTUAL ? s->plan->n - count_linked(s, t->k, v) : 0;
}
