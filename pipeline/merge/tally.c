/* tally.c - see tally.h */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"

static uint64_t square(const kith_tally_plan *p)
{
	return (uint64_t)p->layers * p->layers;
}

static uint64_t runs_count(const kith_tally_plan *p)
{
	return p->levels * (p->alpha + 1ull) * square(p);
}

uint64_t kith_tally_bytes(const kith_tally_plan *p)
{
	uint64_t graphs = (uint64_t)(p->counts[KITH_UNION] + p->counts[KITH_MUTUAL]);
	return p->n * (8ull * p->words + 4) + square(p) * 4 + p->start[p->levels] * 4 + graphs * runs_count(p) * 8 +
	       p->levels * p->layers * 24ull + p->layers * 8ull;
}

int kith_tally_init(kith_tally *t, const kith_tally_plan *p, kith_err *err)
{
	int missing = 0;
	memset(t, 0, sizeof *t);
	t->plan = p;
	missing |= !(t->mask = kith_alloc_zero(p->n * p->words, sizeof *t->mask));
	missing |= !(t->touched = kith_alloc(p->n, sizeof *t->touched));
	missing |= !(t->common = kith_alloc_zero(square(p), sizeof *t->common));
	missing |= !(t->overlap = kith_alloc_zero(p->start[p->levels], sizeof *t->overlap));
	missing |= !(t->edges = kith_alloc_zero((size_t)p->levels * p->layers, sizeof *t->edges));
	missing |= !(t->run_start = kith_alloc(p->layers, sizeof *t->run_start));
	missing |= !(t->run_end = kith_alloc(p->layers, sizeof *t->run_end));
	for (int g = 0; g < 2; g++)
		if (p->counts[g]) {
			missing |= !(t->runs[g] = kith_alloc_zero(runs_count(p), sizeof *t->runs[g]));
			missing |= !(t->pairs[g] = kith_alloc_zero((size_t)p->levels * p->layers, sizeof *t->pairs[g]));
		}
	return missing ? kith_fail_nomem(err, "the counts", kith_tally_bytes(p)) : 0;
}

void kith_tally_free(kith_tally *t)
{
	free(t->mask);
	free(t->touched);
	free(t->common);
	free(t->overlap);
	free(t->edges);
	free(t->run_start);
	free(t->run_end);
	for (int g = 0; g < 2; g++) {
		free(t->runs[g]);
		free(t->pairs[g]);
	}
	memset(t, 0, sizeof *t);
}

void kith_tally_add(kith_tally *into, const kith_tally *from)
{
	const kith_tally_plan *p = into->plan;
	size_t per_layer = (size_t)p->levels * p->layers;
	for (uint64_t i = 0; i < p->start[p->levels]; i++)
		into->overlap[i] += from->overlap[i];
	for (size_t i = 0; i < per_layer; i++)
		into->edges[i] += from->edges[i];
	for (int g = 0; g < 2; g++) {
		for (uint64_t i = 0; p->counts[g] && i < runs_count(p); i++)
			into->runs[g][i] += from->runs[g][i];
		for (size_t i = 0; p->counts[g] && i < per_layer; i++)
			into->pairs[g][i] += from->pairs[g][i];
	}
}

/* The id's mask, noted for clearing if this is the first time the sample meets it. */
static uint64_t *touch(kith_tally *t, uint32_t id)
{
	uint64_t *mask = t->mask + (size_t)id * t->plan->words, any = 0;
	for (uint32_t w = 0; w < t->plan->words; w++)
		any |= mask[w];
	if (!any)
		t->touched[t->touched_count++] = id;
	return mask;
}

/* ---- NNTS ---- */

int kith_tally_row(kith_tally *t, uint32_t layer, uint64_t node, const uint32_t *ids, size_t count)
{
	uint32_t words = t->plan->words, layers = t->plan->layers;
	uint64_t bit = 1ull << (layer & 63);

	for (size_t i = 0; i < count; i++) {
		uint64_t *mask = touch(t, ids[i]);
		if (ids[i] == node || (mask[layer / 64] & bit))
			return -1;
		/* every layer that has this id already gains one in common with this layer: each common id of two
		 * layers is so counted once, when the second of them brings it, and counts of one level carry over to
		 * the next */
		for (uint32_t w = 0; w < words; w++)
			for (uint64_t rest = mask[w]; rest; rest &= rest - 1) {
				uint32_t other = 64 * w + (uint32_t)__builtin_ctzll(rest);
				t->common[other < layer ? other * layers + layer : layer * layers + other]++;
			}
		mask[layer / 64] |= bit;
	}
	return 0;
}

void kith_tally_overlaps(kith_tally *t, uint32_t level)
{
	const kith_tally_plan *p = t->plan;
	uint32_t *histogram = t->overlap + p->start[level];
	for (uint32_t a = 0; a < p->layers; a++)
		for (uint32_t b = a + 1; b < p->layers; b++) {
			histogram[t->common[a * p->layers + b]]++;
			histogram += p->k[level] + 1;
		}
}

void kith_tally_clear(kith_tally *t)
{
	for (uint32_t i = 0; i < t->touched_count; i++)
		memset(t->mask + (size_t)t->touched[i] * t->plan->words, 0, t->plan->words * sizeof *t->mask);
	t->touched_count = 0;
	memset(t->common, 0, square(t->plan) * sizeof *t->common);
}

/* ---- NNTP ---- */

void kith_tally_pairs(kith_tally *t, kith_graph_kind graph, uint32_t level, uint32_t layer, const uint32_t *ids,
		      const uint8_t *tiers, size_t count, const uint8_t level_of[256])
{
	uint64_t bit = 1ull << (layer & 63);
	size_t present = 0;
	for (size_t i = 0; i < count; i++) {
		if (level_of[tiers[i]] > level)
			continue;
		touch(t, ids[i])[layer / 64] |= bit;
		present++;
	}
	t->pairs[graph][level * t->plan->layers + layer] += present;
}

/* The runs of ones of a mask, as layers start..end, in order. */
static uint32_t find_runs(const kith_tally *t, const uint64_t *mask, uint32_t *start, uint32_t *end)
{
	uint32_t found = 0;
	for (uint32_t w = 0; w < t->plan->words; w++)
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
 * alpha holds what changes there: closing a gap takes two runs away and adds their union. */
static void close_gaps(const kith_tally *t, int64_t *table, uint32_t *start, uint32_t *end, uint32_t count)
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
		int64_t *change = table + least * square(t->plan);
		for (uint32_t r = 1; r < count; r++) {
			if (start[r] - end[kept] - 1 == least) {
				change[start[kept] * layers + end[kept]]--;
				change[start[r] * layers + end[r]]--;
				change[start[kept] * layers + end[r]]++;
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

void kith_tally_runs(kith_tally *t, kith_graph_kind graph, uint32_t level)
{
	const kith_tally_plan *p = t->plan;
	int64_t *table = t->runs[graph] + level * (p->alpha + 1ull) * square(p);

	for (uint32_t i = 0; i < t->touched_count; i++) {
		uint64_t *mask = t->mask + (size_t)t->touched[i] * p->words;
		uint32_t count = find_runs(t, mask, t->run_start, t->run_end);
		for (uint32_t r = 0; r < count; r++)
			table[t->run_start[r] * p->layers + t->run_end[r]]++;
		close_gaps(t, table, t->run_start, t->run_end, count);
		memset(mask, 0, p->words * sizeof *mask);
	}
	t->touched_count = 0;
}
