/* runs.c - the runs of pairs over layers, at every alpha up to the greatest asked for. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bit_kernels.h"
#include "count_parts.h"

#define MASK_WORDS 8192u /* of masks that are remembered */

/* ---- sizes ---- */

static uint64_t runs_count(const kith_tally_plan *p)
{
	return p->levels * (p->alpha + 1ull) * kith_tally_square(p);
}

static uint64_t graphs(const kith_tally_plan *p)
{
	return (uint64_t)(p->counts[KITH_UNION] + p->counts[KITH_MUTUAL]);
}

/* Masks of one graph and level that are remembered, a power of two. */
static uint64_t masks_count(const kith_tally_plan *p)
{
	uint64_t count = 64;
	while (count * 2 * (kith_tally_mask_words(p) + 1) <= MASK_WORDS)
		count *= 2;
	return count;
}

int kith_runs_by_layers(const kith_tally_plan *p)
{
	return p->alpha == 0 && p->layers <= KITH_BITS_CHAIN;
}

static uint64_t masks_size(const kith_tally_plan *p)
{
	return kith_runs_by_layers(p) ? 0 : masks_count(p) * (kith_tally_mask_words(p) + 1);
}

static uint64_t chain_size(const kith_tally_plan *p)
{
	return kith_runs_by_layers(p) ? (uint64_t)p->layers * kith_tally_lanes(p) : 0;
}

/* Chains and masks of a graph and level come after those of the graphs and levels before. */
static uint64_t place_of(const kith_tally_plan *p, int graph, uint32_t level)
{
	return (graph == KITH_MUTUAL && p->counts[KITH_UNION] ? p->levels : 0) + level;
}

uint64_t kith_runs_bytes(const kith_tally_plan *p)
{
	return graphs(p) * (p->levels * (chain_size(p) + masks_size(p)) + runs_count(p)) * 8 + p->layers * 8ull;
}

int kith_runs_init(kith_runs *runs, const kith_tally_plan *p)
{
	uint64_t places = graphs(p) * p->levels;
	int missing = 0;
	for (int g = 0; g < 2; g++)
		if (p->counts[g])
			missing |= !(runs->table[g] = kith_alloc_zero(runs_count(p), sizeof **runs->table));
	missing |= !(runs->chains = kith_alloc_zero(places * chain_size(p), sizeof *runs->chains));
	missing |= !(runs->masks = kith_alloc_zero(places * masks_size(p), sizeof *runs->masks));
	missing |= !(runs->start = kith_alloc(p->layers, sizeof *runs->start));
	missing |= !(runs->end = kith_alloc(p->layers, sizeof *runs->end));
	return missing;
}

void kith_runs_free(kith_runs *runs)
{
	free(runs->table[0]);
	free(runs->table[1]);
	free(runs->chains);
	free(runs->masks);
	free(runs->start);
	free(runs->end);
}

void kith_runs_add(kith_runs *into, const kith_runs *from, const kith_tally_plan *p)
{
	for (int g = 0; g < 2; g++)
		for (uint64_t i = 0; p->counts[g] && i < runs_count(p); i++)
			into->table[g][i] += from->table[g][i];
}

/* ---- a mask ---- */

/* The runs of ones of a mask, as layers start..end, in order. */
static uint32_t find_runs(const kith_tally *t, const uint64_t *mask, uint32_t *start, uint32_t *end)
{
	uint32_t found = 0, words = kith_tally_mask_words(t->plan);
	for (uint32_t w = 0; w < words; w++)
		for (uint64_t rest = mask[w]; rest;) {
			uint32_t first = (uint32_t)__builtin_ctzll(rest);
			uint64_t above = ~(rest >> first); /* its lowest one: how many ones follow `first` */
			uint32_t length = above ? (uint32_t)__builtin_ctzll(above) : 64;
			uint32_t from = 64 * w + first;
			if (found && end[found - 1] + 1 == from) /* goes on across words */
				end[found - 1] += length;
			else {
				start[found] = from;
				end[found++] = from + length - 1;
			}
			rest = first + length < 64 ? rest & ~0ull << (first + length) : 0;
		}
	return found;
}

/* All alpha at once: the runs at alpha are those at alpha - 1 with the gaps of length alpha closed. So the table of
 * alpha holds what changes there: closing a gap takes two runs away and adds their union. `pairs` pairs have them. */
static void close_gaps(const kith_tally *t, int64_t *table, uint32_t *start, uint32_t *end, uint32_t count,
		       int64_t pairs)
{
	uint32_t layers = t->plan->layers;
	while (count > 1) {
		uint32_t least = UINT32_MAX, kept = 0;
		for (uint32_t r = 1; r < count; r++) {
			uint32_t gap = start[r] - end[r - 1] - 1;
			least = gap < least ? gap : least;
		}
		if (least > t->plan->alpha)
			return;
		int64_t *change = table + least * kith_tally_square(t->plan);
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
static void count_mask(kith_tally *t, int64_t *table, const uint64_t *mask, int64_t pairs)
{
	uint32_t count = find_runs(t, mask, t->runs.start, t->runs.end);
	for (uint32_t r = 0; r < count; r++)
		table[t->runs.start[r] * t->plan->layers + t->runs.end[r]] += pairs;
	close_gaps(t, table, t->runs.start, t->runs.end, count, pairs);
}

/* Many pairs have the same mask: its runs are counted when another mask takes its place, or at the end. A place holds
 * the mask's words, and how many pairs had it. */
static void meet_mask(kith_tally *t, int64_t *table, uint64_t *masks, const uint64_t *mask)
{
	uint64_t words = kith_tally_mask_words(t->plan), hash = 0, different = 0;
	for (uint64_t w = 0; w < words; w++)
		hash = (hash ^ mask[w]) * 0x9e3779b97f4a7c15ull;
	uint64_t *place = masks + (hash >> 40 & (masks_count(t->plan) - 1)) * (words + 1);
	for (uint64_t w = 0; w < words; w++)
		different |= place[w] ^ mask[w];
	if (different) {
		if (place[words])
			count_mask(t, table, place, (int64_t)place[words]);
		memcpy(place, mask, words * sizeof *mask);
		place[words] = 0;
	}
	place[words]++;
}

static int64_t *runs_table(kith_tally *t, int graph, uint32_t level)
{
	return t->runs.table[graph] + level * (t->plan->alpha + 1ull) * kith_tally_square(t->plan);
}

static int64_t *chain_of(kith_tally *t, int graph, uint32_t level)
{
	return t->runs.chains + place_of(t->plan, graph, level) * chain_size(t->plan);
}

static uint64_t *masks_of(kith_tally *t, int graph, uint32_t level)
{
	return t->runs.masks + place_of(t->plan, graph, level) * masks_size(t->plan);
}

void kith_runs_mask(kith_tally *t, int graph, uint32_t level, const uint64_t *mask)
{
	meet_mask(t, runs_table(t, graph, level), masks_of(t, graph, level), mask);
}

/* ---- sets ---- */

void kith_runs_columns(kith_tally *t, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t step)
{
	const kith_tally_plan *p = t->plan;
	kith_bits_chains_columns(bits, words, step, kith_tally_lanes(p), p->layers, chain_of(t, graph, level));
}

/* The runs of one graph and level, slot by slot; sets in rows. */
static void runs_by_masks(kith_tally *t, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t stride)
{
	uint32_t layers = t->plan->layers, parts = kith_tally_mask_words(t->plan);
	uint64_t turned[64], mask[64][KITH_MAX_LAYERS / 64];
	for (uint32_t w = 0; w < words; w++) {
		uint64_t any = 0;
		for (uint32_t part = 0; part < parts; part++) {
			uint32_t rows = layers - 64 * part < 64 ? layers - 64 * part : 64;
			memset(turned, 0, sizeof turned);
			for (uint32_t v = 0; v < rows; v++)
				any |= turned[v] = bits[(64 * part + v) * stride + w];
			kith_bits_transpose(turned, turned);
			for (uint32_t s = 0; s < 64; s++)
				mask[s][part] = turned[s];
		}
		for (; any; any &= any - 1)
			kith_runs_mask(t, graph, level, mask[__builtin_ctzll(any)]);
	}
}

void kith_runs_rows(kith_tally *t, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t stride)
{
	const kith_tally_plan *p = t->plan;
	if (kith_runs_by_layers(p))
		kith_bits_chains_rows(bits, words, stride, p->layers, kith_tally_lanes(p), chain_of(t, graph, level));
	else
		runs_by_masks(t, graph, level, bits, words, stride);
}

/* ---- the end ---- */

/* Pairs in all of a..b are those whose run reaches from a or before to b or after; so those whose run is a..b are what
 * is left of them without those in all of a-1..b or of a..b+1, of which those in all of a-1..b+1 are both. Rows upwards
 * and columns forwards, so that what is needed is not overwritten yet. */
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

/* What chains, or the masks remembered, say of one graph and level. */
static void finish(kith_tally *t, int graph, uint32_t level)
{
	const kith_tally_plan *p = t->plan;
	uint64_t words = kith_tally_mask_words(p);
	uint32_t lanes = kith_tally_lanes(p);
	int64_t *table = runs_table(t, graph, level);
	if (kith_runs_by_layers(p)) {
		const int64_t *chain = chain_of(t, graph, level);
		for (uint32_t a = 0; a < p->layers; a++)
			for (uint32_t b = a; b < p->layers; b++)
				table[(size_t)a * p->layers + b] = chain[(size_t)(b - a) * lanes + a];
		make_runs(table, p->layers);
		return;
	}
	uint64_t *at = masks_of(t, graph, level);
	for (uint64_t i = 0; i < masks_count(p); i++, at += words + 1) {
		if (at[words])
			count_mask(t, table, at, (int64_t)at[words]);
		at[words] = 0;
	}
}

void kith_runs_finish(kith_tally *t)
{
	for (int g = 0; g < 2; g++)
		for (uint32_t q = 0; t->plan->counts[g] && q < t->plan->levels; q++)
			finish(t, g, q);
}
