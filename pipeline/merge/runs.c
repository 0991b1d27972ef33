/* runs.c - see runs.h */
#include "runs.h"

#include <string.h>

#define CACHE_WORDS 8192u /* of the masks of one graph and tier that are cached */

/* ---- sizes ---- */

static uint64_t table_size(const kith_count_plan *p)
{
	return p->tiers * (p->alpha + 1ull) * kith_plan_square(p);
}

static uint64_t touching_size(const kith_count_plan *p)
{
	return (uint64_t)p->tiers * p->groups * kith_plan_square(p);
}

/* Masks of one graph and tier that are cached, a power of two. */
static uint64_t cache_slots(const kith_count_plan *p)
{
	uint64_t count = 64;
	while (count * 2 * (kith_mask_row_words(p) + 1) <= CACHE_WORDS)
		count *= 2;
	return count;
}

int kith_runs_from_spans(const kith_count_plan *p)
{
	return p->alpha == 0 && p->layers <= KITH_BITS_SPAN_LAYERS;
}

static uint64_t cache_size(const kith_count_plan *p)
{
	return kith_runs_from_spans(p) ? 0 : cache_slots(p) * (kith_mask_row_words(p) + 1);
}

static uint64_t spans_size(const kith_count_plan *p)
{
	return kith_runs_from_spans(p) ? (uint64_t)p->layers * kith_plan_lanes(p) : 0;
}

/* Spans and masks of a graph and tier come after those of the graphs and tiers before. */
static uint64_t index_of(const kith_count_plan *p, int graph, uint32_t tier)
{
	return (graph == KITH_MUTUAL && p->graphs[KITH_UNION] ? p->tiers : 0) + tier;
}

void kith_runs_list(kith_workspace *w, kith_runs *runs, const kith_count_plan *p)
{
	uint64_t parts = kith_plan_graphs(p) * p->tiers;
	*runs = (kith_runs){.plan = p, .kernels = kith_bit_kernels_get()};
	for (int g = 0; g < 2; g++)
		if (p->graphs[g]) {
			KITH_BUFFER_ZERO(w, runs->table[g], table_size(p));
			KITH_BUFFER_ZERO(w, runs->touching[g], touching_size(p));
		}
	KITH_BUFFER_ZERO(w, runs->spans, parts * spans_size(p));
	KITH_BUFFER_ZERO(w, runs->masks, parts * cache_size(p));
	KITH_BUFFER(w, runs->start, p->layers);
	KITH_BUFFER(w, runs->end, p->layers);
}

void kith_runs_add(kith_runs *into, const kith_runs *from)
{
	for (int g = 0; g < 2; g++) {
		for (uint64_t i = 0; into->plan->graphs[g] && i < table_size(into->plan); i++)
			into->table[g][i] += from->table[g][i];
		for (uint64_t i = 0; into->plan->graphs[g] && i < touching_size(into->plan); i++)
			into->touching[g][i] += from->touching[g][i];
	}
}

static int64_t *table_of(kith_runs *runs, int graph, uint32_t tier)
{
	return runs->table[graph] + tier * (runs->plan->alpha + 1ull) * kith_plan_square(runs->plan);
}

static int64_t *spans_of(kith_runs *runs, int graph, uint32_t tier)
{
	return runs->spans + index_of(runs->plan, graph, tier) * spans_size(runs->plan);
}

static uint64_t *cache_of(kith_runs *runs, int graph, uint32_t tier)
{
	return runs->masks + index_of(runs->plan, graph, tier) * cache_size(runs->plan);
}

/* ---- masks ---- */

/* The runs of ones of a mask, as layers start..end, ascending. Returns how many there are. */
static uint32_t find_runs(const uint64_t *mask, uint32_t words, uint32_t *start, uint32_t *end)
{
	uint32_t found = 0;
	for (uint32_t w = 0; w < words; w++)
		for (uint64_t rest = mask[w]; rest;) {
			uint32_t first = (uint32_t)__builtin_ctzll(rest);
			uint64_t above = ~(rest >> first); /* its lowest one: how many ones follow `first` */
			uint32_t length = above ? (uint32_t)__builtin_ctzll(above) : 64;
			uint32_t from = 64 * w + first;
			if (found && end[found - 1] + 1 == from) /* continues from the word before */
				end[found - 1] += length;
			else {
				start[found] = from;
				end[found++] = from + length - 1;
			}
			rest = first + length < 64 ? rest & ~0ull << (first + length) : 0;
		}
	return found;
}

/* Counts the runs at every alpha > 0 of `pairs` pairs whose runs at alpha 0 are given. The runs at alpha are those at
 * alpha - 1 with the gaps of length alpha closed, so the table of alpha holds what changes there: closing a gap takes
 * two runs away and adds one that covers both. */
static void close_gaps(const kith_count_plan *p, int64_t *table, uint32_t *start, uint32_t *end, uint32_t count,
		       int64_t pairs)
{
	uint32_t layers = p->layers;
	while (count > 1) {
		uint32_t least = UINT32_MAX, kept = 0;
		for (uint32_t r = 1; r < count; r++) {
			uint32_t gap = start[r] - end[r - 1] - 1;
			least = gap < least ? gap : least;
		}
		if (least > p->alpha)
			return;
		int64_t *change = table + least * kith_plan_square(p);
		for (uint32_t r = 1; r < count; r++) {
			if (start[r] - end[kept] - 1 == least) {
				change[start[kept] * layers + end[kept]] -= pairs;
				change[start[r] * layers + end[r]] -= pairs;
				change[start[kept] * layers + end[r]] += pairs;
				end[kept] = end[r];
			} else {
				kept++;
				start[kept] = start[r];
				end[kept] = end[r];
			}
		}
		count = kept + 1;
	}
}

/* Counts the runs of a mask that `pairs` pairs have. */
static void count_mask(kith_runs *runs, int64_t *table, const uint64_t *mask, int64_t pairs)
{
	const kith_count_plan *p = runs->plan;
	uint32_t count = find_runs(mask, kith_mask_row_words(p), runs->start, runs->end);
	for (uint32_t r = 0; r < count; r++)
		table[runs->start[r] * p->layers + runs->end[r]] += pairs;
	close_gaps(p, table, runs->start, runs->end, count, pairs);
}

/* Many pairs have the same mask, so masks are cached: the runs of one are counted when another takes its slot, or at
 * the end. A slot holds a mask's words, then the number of pairs that had it. */
void kith_runs_count_mask(kith_runs *runs, int graph, uint32_t tier, const uint64_t *mask)
{
	uint64_t words = kith_mask_row_words(runs->plan), hash = 0, different = 0;
	for (uint64_t w = 0; w < words; w++)
		hash = (hash ^ mask[w]) * 0x9e3779b97f4a7c15ull;
	uint64_t *slot = cache_of(runs, graph, tier) + (hash >> 40 & (cache_slots(runs->plan) - 1)) * (words + 1);
	for (uint64_t w = 0; w < words; w++)
		different |= slot[w] ^ mask[w];
	if (different) {
		if (slot[words])
			count_mask(runs, table_of(runs, graph, tier), slot, (int64_t)slot[words]);
		memcpy(slot, mask, words * sizeof *mask);
		slot[words] = 0;
	}
	slot[words]++;
}

void kith_runs_count_mask_touching(kith_runs *runs, int graph, uint32_t tier, const uint64_t *mask, uint32_t i,
				   uint32_t j)
{
	const kith_count_plan *p = runs->plan;
	uint64_t square = kith_plan_square(p);
	uint64_t *table = runs->touching[graph] + (uint64_t)tier * p->groups * square;
	uint64_t *of_i = table + p->group[i] * square, *of_j = table + p->group[j] * square;
	uint32_t count = find_runs(mask, kith_mask_row_words(p), runs->start, runs->end);
	for (uint32_t r = 0; r < count; r++) {
		uint64_t at = (uint64_t)runs->start[r] * p->layers + runs->end[r];
		of_i[at]++;
		of_j[at] += of_i != of_j;
	}
}

/* ---- bit matrices ---- */

void kith_runs_count_slot_major(kith_runs *runs, int graph, uint32_t tier, const uint64_t *bits, uint32_t words,
				size_t step)
{
	const kith_count_plan *p = runs->plan;
	runs->kernels->spans_slot_major(bits, words, step, kith_plan_lanes(p), p->layers, spans_of(runs, graph, tier));
}

/* Whose pairs a bit matrix has: those of sample i with the samples from `first` on. */
typedef struct pairs_of {
	uint32_t i, first;
} pairs_of;

/* Transposes 64 slots at a time into masks. Counts them, or with `of` for the groups that they touch. */
static void count_as_masks(kith_runs *runs, int graph, uint32_t tier, const uint64_t *bits, uint32_t words,
			   size_t stride, const pairs_of *of)
{
	uint32_t layers = runs->plan->layers, parts = kith_mask_row_words(runs->plan);
	uint64_t square[64], mask[64][KITH_MAX_LAYERS / 64];
	for (uint32_t w = 0; w < words; w++) {
		uint64_t any = 0;
		for (uint32_t part = 0; part < parts; part++) {
			uint32_t rows = layers - 64 * part < 64 ? layers - 64 * part : 64;
			memset(square, 0, sizeof square);
			for (uint32_t v = 0; v < rows; v++)
				any |= square[v] = bits[(64 * part + v) * stride + w];
			runs->kernels->transpose(square, square);
			for (uint32_t s = 0; s < 64; s++)
				mask[s][part] = square[s];
		}
		for (; any; any &= any - 1) {
			uint32_t s = (uint32_t)__builtin_ctzll(any);
			if (of)
				kith_runs_count_mask_touching(runs, graph, tier, mask[s], of->i,
							      of->first + 64 * w + s);
			else
				kith_runs_count_mask(runs, graph, tier, mask[s]);
		}
	}
}

void kith_runs_count_layer_major(kith_runs *runs, int graph, uint32_t tier, const uint64_t *bits, uint32_t words,
				 size_t stride)
{
	const kith_count_plan *p = runs->plan;
	if (kith_runs_from_spans(p))
		kith_bits_spans_layer_major(runs->kernels, bits, words, stride, p->layers, kith_plan_lanes(p),
					    spans_of(runs, graph, tier));
	else
		count_as_masks(runs, graph, tier, bits, words, stride, NULL);
}

void kith_runs_count_layer_major_touching(kith_runs *runs, int graph, uint32_t tier, const uint64_t *bits,
					  uint32_t words, size_t stride, uint32_t i, uint32_t first)
{
	count_as_masks(runs, graph, tier, bits, words, stride, &(pairs_of){i, first});
}

/* ---- the end ---- */

/* Turns the number of pairs present in all of a..b into the number whose run is exactly a..b, by inclusion and
 * exclusion: without those present in all of a-1..b or of a..b+1, where those in all of a-1..b+1 are in both. Goes
 * upwards in a and forwards in b, so that no number is overwritten before it is needed. */
static void make_runs(int64_t *table, uint32_t layers)
{
	for (uint32_t a = layers; a-- > 0;)
		for (uint32_t b = a; b < layers; b++) {
			int64_t *at = table + (size_t)a * layers + b;
			if (a)
				*at -= *(at - layers);
			if (b + 1 < layers)
				*at -= at[1];
			if (a && b + 1 < layers)
				*at += *(at - layers + 1);
		}
}

/* The table at alpha 0. */
static void finish_spans(const kith_count_plan *p, const int64_t *span, int64_t *table)
{
	uint32_t lanes = kith_plan_lanes(p);
	for (uint32_t a = 0; a < p->layers; a++)
		for (uint32_t b = a; b < p->layers; b++)
			table[(size_t)a * p->layers + b] = span[(size_t)(b - a) * lanes + a];
	make_runs(table, p->layers);
}

static void finish_masks(kith_runs *runs, uint64_t *slot, int64_t *table)
{
	uint64_t words = kith_mask_row_words(runs->plan);
	for (uint64_t i = 0; i < cache_slots(runs->plan); i++, slot += words + 1) {
		if (slot[words])
			count_mask(runs, table, slot, (int64_t)slot[words]);
		slot[words] = 0;
	}
}

void kith_runs_finish(kith_runs *runs)
{
	const kith_count_plan *p = runs->plan;
	for (int g = 0; g < 2; g++)
		for (uint32_t q = 0; p->graphs[g] && q < p->tiers; q++)
			if (kith_runs_from_spans(p))
				finish_spans(p, spans_of(runs, g, q), table_of(runs, g, q));
			else
				finish_masks(runs, cache_of(runs, g, q), table_of(runs, g, q));
}
