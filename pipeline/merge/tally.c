/* tally.c - see tally.h */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "kith/alloc.h"
#include "kith/cpu.h"

#define LEAST      256u        /* slots */
#define SPARE      16u         /* times the usual: some samples are many others' neighbour */
#define MAX_BITS   (64u << 20) /* of all sets together */
#define MASK_WORDS 8192u       /* of masks that are remembered */
#define SLOT_BITS  2560u       /* to find an id's slot costs as much as to look at so many bits of two layers */

#define MOST_FEW  UINT16_MAX   /* ids, where they are few */
#define FEW_BYTES (128u << 20) /* of their sets */
#define ROOMY     (1u << 15)   /* places of the table: up to here eight for each id, so that few share one */

/* ---- sizes ---- */

static uint64_t square(const kith_tally_plan *p)
{
	return (uint64_t)p->layers * p->layers;
}

static uint64_t layer_pairs(const kith_tally_plan *p)
{
	return (uint64_t)p->layers * (p->layers - 1) / 2;
}

static uint32_t lanes_of(const kith_tally_plan *p)
{
	return (p->layers + 7) & ~7u;
}

static uint64_t runs_count(const kith_tally_plan *p)
{
	return p->levels * (p->alpha + 1ull) * square(p);
}

static uint64_t graphs(const kith_tally_plan *p)
{
	return (uint64_t)(p->counts[KITH_UNION] + p->counts[KITH_MUTUAL]);
}

/* Places of the table, a power of two, for so many ids. */
static uint32_t table_bits(uint64_t ids)
{
	uint32_t bits = 2;
	while (1ull << bits < 8 * ids && 1u << bits < ROOMY)
		bits++;
	while (1ull << bits < 2 * ids)
		bits++;
	return bits;
}

static uint64_t mask_words(const kith_tally_plan *p)
{
	return (p->layers + 63) / 64;
}

/* From a column to the next: masks over layers are turned over 64 layers at a time. */
static size_t step_of(const kith_tally_plan *p)
{
	return 64 * mask_words(p);
}

/* Words of all columns together: those below the sample and those above it begin a word each. */
static uint64_t column_words(const kith_tally_plan *p)
{
	return (p->hashed / 64 + 2) * step_of(p);
}

/* Words from one set in rows to the next: not a power of two, so that sets do not crowd the same lines of a cache. */
static uint64_t row_stride(const kith_tally_plan *p)
{
	return p->slots / 64 | 8;
}

/* Masks of one graph and level that are remembered, a power of two. */
static uint64_t masks_count(const kith_tally_plan *p)
{
	uint64_t count = 64;
	while (count * 2 * (mask_words(p) + 1) <= MASK_WORDS)
		count *= 2;
	return count;
}

/* Runs at alpha 0 of few layers are counted layer by layer, not mask by mask. */
static int by_layers(const kith_tally_plan *p)
{
	return p->alpha == 0 && p->layers <= KITH_BITS_CHAIN;
}

static uint64_t masks_size(const kith_tally_plan *p)
{
	return by_layers(p) ? 0 : masks_count(p) * (mask_words(p) + 1);
}

static uint64_t chain_size(const kith_tally_plan *p)
{
	return by_layers(p) ? (uint64_t)p->layers * lanes_of(p) : 0;
}

/* Chains and masks of a graph and level come after those of the graphs and levels before. */
static uint64_t place_of(const kith_tally_plan *p, int graph, uint32_t level)
{
	return (graph == KITH_MUTUAL && p->counts[KITH_UNION] ? p->levels : 0) + level;
}

void kith_tally_choose_slots(kith_tally_plan *p, uint64_t usual, uint32_t forced)
{
	uint64_t most = MAX_BITS / (3ull * lanes_of(p)), room = SPARE * usual, slots, few;
	slots = room < p->n ? room : p->n;
	slots = slots < most ? slots : most;
	slots = forced ? forced : slots > LEAST ? slots : LEAST;
	p->slots = (uint32_t)((slots + 63) / 64 * 64);

	most = FEW_BYTES / (40 * mask_words(p)); /* two masks, and three columns */
	few = p->n * square(p) * p->levels / SLOT_BITS;
	few = few < room ? few : room;
	few = few < most ? few : most;
	few = forced ? p->slots : few;
	p->hashed = (uint32_t)(few < MOST_FEW ? few : MOST_FEW);
}

uint64_t kith_tally_bytes(const kith_tally_plan *p)
{
	uint64_t words = 3 * column_words(p) + 2 * p->hashed * mask_words(p) + 3 * row_stride(p) * p->layers +
			 lanes_of(p) + graphs(p) * p->levels * (chain_size(p) + masks_size(p)) +
			 (graphs(p) + 1) * p->levels * p->layers + graphs(p) * runs_count(p);
	return words * 8 + 2ull * p->layers * lanes_of(p) + p->start[p->levels] + p->hashed * 16ull +
	       (2ull << table_bits(p->hashed)) + p->levels * layer_pairs(p) * 4 + p->start[p->levels] * 4 +
	       p->layers * (8 + 2 * KITH_MAX_TIERS * sizeof(size_t));
}

int kith_tally_init(kith_tally *t, const kith_tally_plan *p, kith_err *err)
{
	uint64_t places = graphs(p) * p->levels;
	int missing = 0;
	*t = (kith_tally){.plan = p};
	missing |= !(t->id = kith_alloc(p->hashed + KITH_SETS_SPARE, sizeof *t->id));
	missing |= !(t->rep = kith_alloc(p->hashed + KITH_SETS_SPARE, sizeof *t->rep));
	missing |= !(t->table = kith_alloc(1ull << table_bits(p->hashed), sizeof *t->table));
	missing |= !(t->below = kith_alloc(p->hashed + KITH_SETS_SPARE, sizeof *t->below));
	missing |= !(t->above = kith_alloc(p->hashed + KITH_SETS_SPARE, sizeof *t->above));
	missing |= !(t->pending = kith_alloc(p->hashed + 1ull, sizeof *t->pending));
	for (int side = 0; side < 2; side++)
		missing |= !(t->mask[side] = kith_alloc(p->hashed * mask_words(p), sizeof **t->mask));
	missing |= !(t->out = kith_alloc(column_words(p), sizeof *t->out));
	missing |= !(t->in = kith_alloc(column_words(p), sizeof *t->in));
	missing |= !(t->both = kith_alloc(column_words(p), sizeof *t->both));
	missing |= !(t->rows = kith_alloc(3 * row_stride(p) * p->layers, sizeof *t->rows));
	missing |= !(t->counts = kith_alloc(lanes_of(p), sizeof *t->counts));
	missing |= !(t->shared = kith_alloc((size_t)p->layers * lanes_of(p), sizeof *t->shared));
	missing |= !(t->young = kith_alloc_zero(p->start[p->levels], sizeof *t->young));
	missing |= !(t->common = kith_alloc_zero(p->levels * layer_pairs(p), sizeof *t->common));
	missing |= !(t->cursor = kith_alloc(2 * (size_t)p->layers * KITH_MAX_TIERS, sizeof *t->cursor));
	missing |= !(t->chains = kith_alloc_zero(places * chain_size(p), sizeof *t->chains));
	missing |= !(t->masks = kith_alloc_zero(places * masks_size(p), sizeof *t->masks));
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
	free(t->id);
	free(t->rep);
	free(t->below);
	free(t->above);
	free(t->pending);
	free(t->mask[0]);
	free(t->mask[1]);
	free(t->out);
	free(t->in);
	free(t->both);
	free(t->rows);
	free(t->counts);
	free(t->common);
	free(t->shared);
	free(t->young);
	free(t->table);
	free(t->cursor);
	free(t->chains);
	free(t->masks);
	free(t->overlap);
	free(t->edges);
	free(t->run_start);
	free(t->run_end);
	for (int g = 0; g < 2; g++) {
		free(t->runs[g]);
		free(t->pairs[g]);
	}
	*t = (kith_tally){0};
}

void kith_tally_add(kith_tally *into, const kith_tally *from)
{
	const kith_tally_plan *p = into->plan;
	uint64_t sets = (uint64_t)p->levels * p->layers;
	for (uint64_t i = 0; i < p->start[p->levels]; i++)
		into->overlap[i] += from->overlap[i];
	for (uint64_t i = 0; i < sets; i++)
		into->edges[i] += from->edges[i];
	for (int g = 0; g < 2; g++) {
		for (uint64_t i = 0; p->counts[g] && i < runs_count(p); i++)
			into->runs[g][i] += from->runs[g][i];
		for (uint64_t i = 0; p->counts[g] && i < sets; i++)
			into->pairs[g][i] += from->pairs[g][i];
	}
}

/* ---- runs ---- */

/* The runs of ones of a mask, as layers start..end, in order. */
static uint32_t find_runs(const kith_tally *t, const uint64_t *mask, uint32_t *start, uint32_t *end)
{
	uint32_t found = 0, words = (uint32_t)mask_words(t->plan);
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
		int64_t *change = table + least * square(t->plan);
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
	uint32_t count = find_runs(t, mask, t->run_start, t->run_end);
	for (uint32_t r = 0; r < count; r++)
		table[t->run_start[r] * t->plan->layers + t->run_end[r]] += pairs;
	close_gaps(t, table, t->run_start, t->run_end, count, pairs);
}

/* Many pairs have the same mask: its runs are counted when another mask takes its place, or at the end. A place holds
 * the mask's words, and how many pairs had it. */
static void meet_mask(kith_tally *t, int64_t *table, uint64_t *masks, const uint64_t *mask)
{
	uint64_t words = mask_words(t->plan), hash = 0, different = 0;
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

/* The runs of one graph and level, slot by slot; sets in rows. */
static void runs_by_masks(kith_tally *t, const uint64_t *bits, uint32_t words, size_t stride, int64_t *table,
			  uint64_t *masks)
{
	uint32_t layers = t->plan->layers, parts = (uint32_t)mask_words(t->plan);
	uint64_t turned[64], mask[64][KITH_MAX_LAYERS / 64];
	for (uint32_t w = 0; w < words; w++) {
		uint64_t any = 0;
		for (uint32_t part = 0; part < parts; part++) {
			uint32_t rows = layers - 64 * part < 64 ? layers - 64 * part : 64;
			memset(turned, 0, sizeof turned);
			for (uint32_t v = 0; v < rows; v++)
				any |= turned[v] = bits[(64 * part + v) * stride + w];
			kith_bits_transpose(turned);
			for (uint32_t s = 0; s < 64; s++)
				mask[s][part] = turned[s];
		}
		for (; any; any &= any - 1)
			meet_mask(t, table, masks, mask[__builtin_ctzll(any)]);
	}
}

static int64_t *runs_table(kith_tally *t, int graph, uint32_t level)
{
	return t->runs[graph] + level * (t->plan->alpha + 1ull) * square(t->plan);
}

void kith_tally_runs(kith_tally *t, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t stride)
{
	const kith_tally_plan *p = t->plan;
	uint64_t place = place_of(p, graph, level);
	if (by_layers(p))
		kith_bits_chains_rows(bits, words, stride, p->layers, lanes_of(p), t->chains + place * chain_size(p));
	else
		runs_by_masks(t, bits, words, stride, runs_table(t, graph, level), t->masks + place * masks_size(p));
}

/* ---- what both ways of counting end in ---- */

static void count_histogram(kith_tally *t, uint32_t level, uint32_t *common)
{
	const kith_tally_plan *p = t->plan;
	uint64_t pairs = layer_pairs(p), bins = p->k[level] + 1ull;
	uint32_t *histogram = t->overlap + p->start[level];
	for (uint64_t pair = 0; pair < pairs; pair++, histogram += bins) {
		histogram[common[pair]]++;
		common[pair] = 0;
	}
}

static void add_counts(kith_tally *t, uint64_t *to)
{
	for (uint32_t v = 0; v < t->plan->layers; v++)
		to[v] += t->counts[v];
	memset(t->counts, 0, lanes_of(t->plan) * sizeof *t->counts);
}

/* ---- few ids ---- */

/* Appends a set's ids to the `met` that there are, sixteen at a time. */
static uint32_t append(uint32_t *id, uint32_t met, const kith_tally_set *set)
{
	size_t at = 0;
	do {
		memcpy(id + met + at, set->id + at, KITH_SETS_SPARE * sizeof *id);
		at += KITH_SETS_SPARE;
	} while (at < set->count);
	return met + (uint32_t)set->count;
}

/* Finds where each id is met first. Each goes to a place of the table, later ones first, so that the first one that has
 * the place stays there; who then finds there an id of its own value has found where that is met first. Those whose
 * place another value holds, a few in a hundred, try again among themselves with another hash. There is no search,
 * nothing to clear, and no branch that depends on an id. */
static void find_first(kith_tally *t, uint32_t met)
{
	uint32_t shift = 32 - table_bits(met), hash = 2654435769u, pending = 0;
	const uint32_t *id = t->id;
	uint16_t *table = t->table, *rep = t->rep, *left = t->pending;
	for (uint32_t e = met; e-- > 0;)
		table[id[e] * hash >> shift] = (uint16_t)e;
	for (uint32_t e = 0; e < met; e++) {
		uint32_t first = table[id[e] * hash >> shift];
		rep[e] = (uint16_t)first;
		left[pending] = (uint16_t)e;
		pending += id[first] != id[e];
	}
	while (pending) { /* some value is found each time: that of the first one at each place */
		uint32_t still = 0;
		hash *= 2246822519u;
		for (uint32_t i = pending; i-- > 0;)
			table[id[left[i]] * hash >> shift] = left[i];
		for (uint32_t i = 0; i < pending; i++) {
			uint16_t e = left[i], first = table[id[e] * hash >> shift];
			rep[e] = first;
			left[still] = e;
			still += id[first] != id[e];
		}
		pending = still;
	}
}

/* The bit of the set's layer to the masks of its ids, the first of which is the e-th met. */
static void add_masks(const kith_tally *t, uint64_t *mask, const kith_tally_set *set, uint32_t e)
{
	uint64_t bit = 1ull << set->layer % 64, words = mask_words(t->plan);
	const uint16_t *rep = t->rep + e;
	mask += set->layer / 64;
	if (words == 1)
		for (size_t i = 0; i < set->count; i++)
			mask[rep[i]] |= bit;
	else
		for (size_t i = 0; i < set->count; i++)
			mask[rep[i] * words] |= bit;
}

/* The masks of `count` first ones, for rows and reverse lists. */
static void clear_masks(kith_tally *t, const uint32_t *first, uint32_t count)
{
	uint64_t words = mask_words(t->plan);
	for (int side = 0; side < 2; side++) {
		uint64_t *mask = t->mask[side];
		if (words == 1)
			for (uint32_t s = 0; s < count; s++)
				mask[first[s]] = 0;
		else
			for (uint32_t s = 0; s < count; s++)
				memset(mask + first[s] * words, 0, words * sizeof *mask);
	}
}

/* The slots of `count` first ones as columns, from their masks. */
static void turn_masks(const kith_tally *t, const uint64_t *mask, const uint32_t *first, uint32_t count, uint64_t *to)
{
	uint64_t words = mask_words(t->plan);
	for (uint32_t s = 0; s < count; s += 64)
		for (uint64_t part = 0; part < words; part++, to += 64) {
			uint32_t here = count - s < 64 ? count - s : 64;
			for (uint32_t i = 0; i < here; i++)
				to[i] = mask[first[s + i] * words + part];
			memset(to + here, 0, (64 - here) * sizeof *to);
			kith_bits_transpose(to);
		}
}

/* The runs of the first `above` slots above the sample. */
static void count_runs(kith_tally *t, int graph, uint32_t level, uint32_t above)
{
	const kith_tally_plan *p = t->plan;
	uint64_t place = place_of(p, graph, level), words = mask_words(p), pair[KITH_MAX_LAYERS / 64];
	if (by_layers(p)) {
		kith_bits_chains_columns(t->both, (above + 63) / 64, step_of(p), lanes_of(p), p->layers,
					 t->chains + place * chain_size(p));
		return;
	}
	for (uint32_t s = 0; s < above; s++) {
		const uint64_t *x = t->mask[0] + t->above[s] * words, *y = t->mask[1] + t->above[s] * words;
		uint64_t any = 0;
		for (uint64_t w = 0; w < words; w++)
			any |= pair[w] = graph == KITH_UNION ? x[w] | y[w] : x[w] & y[w];
		if (any)
			meet_mask(t, runs_table(t, graph, level), t->masks + place * masks_size(p), pair);
	}
}

/* Neighbours shared go to the young histograms, whose bytes hold a few samples and fit a cache where those of all
 * samples would not. */
static void count_shared(kith_tally *t, uint32_t level)
{
	uint32_t layers = t->plan->layers, lanes = lanes_of(t->plan), bins = t->plan->k[level] + 1;
	uint8_t *histogram = t->young + t->plan->start[level];
	const uint16_t *row = t->shared;
	for (uint32_t a = 0; a < layers; a++, row += lanes)
		for (uint32_t b = a + 1; b < layers; b++, histogram += bins)
			histogram[row[b]]++;
}

KITH_CLONES static void grow_up(kith_tally *t)
{
	uint64_t count = t->young_samples ? t->plan->start[t->plan->levels] : 0;
	for (uint64_t i = 0; i < count; i++)
		t->overlap[i] += t->young[i];
	memset(t->young, 0, count * sizeof *t->young);
	t->young_samples = 0;
}

/* One level: the first so many slots below and above the sample. Returns the layer that has fewer neighbours than k,
 * one of them being there twice, or -1. */
static int count_columns(kith_tally *t, uint32_t level, uint32_t below, uint32_t above)
{
	const kith_tally_plan *p = t->plan;
	uint32_t lanes = lanes_of(p), words = (above + 63) / 64;
	size_t step = step_of(p), size = words * step;
	uint64_t *up = t->out + (below + 63) / 64 * step;

	turn_masks(t, t->mask[0], t->below, below, t->out);
	turn_masks(t, t->mask[0], t->above, above, up);
	turn_masks(t, t->mask[1], t->above, above, t->in);
	kith_bits_overlaps_columns(t->out, (below + 63) / 64 + words, step, lanes, p->layers, t->shared);
	count_shared(t, level);
	memset(t->counts, 0, lanes * sizeof *t->counts);
	kith_bits_count_columns(t->out, (below + 63) / 64, step, lanes, t->counts);
	kith_bits_count_columns(up, words, step, lanes, t->counts);
	for (uint32_t v = 0; v < p->layers; v++)
		if (t->counts[v] != p->k[level])
			return (int)v;

	memset(t->counts, 0, lanes * sizeof *t->counts);
	kith_bits_count_columns(up, words, step, lanes, t->counts);
	kith_bits_count_columns(t->in, words, step, lanes, t->counts);
	add_counts(t, t->edges + (size_t)level * p->layers);
	for (int g = 0; g < 2; g++) {
		if (!p->counts[g])
			continue;
		for (size_t i = 0; i < size; i++)
			t->both[i] = g == KITH_UNION ? up[i] | t->in[i] : up[i] & t->in[i];
		kith_bits_count_columns(t->both, words, step, lanes, t->counts);
		add_counts(t, t->pairs[g] + (size_t)level * p->layers);
		count_runs(t, g, level, above);
	}
	return -1;
}

/* The first layer of a mask that has one. */
static uint32_t first_layer(const uint64_t *mask)
{
	uint32_t w = 0;
	while (!mask[w])
		w++;
	return 64 * w + (uint32_t)__builtin_ctzll(mask[w]);
}

/* Counts the first `levels` levels. Rows of a level come before its reverse lists, and both after the level before. */
static int few_ids(kith_tally *t, uint64_t node, uint32_t levels, const kith_tally_set *rows, size_t row_count,
		   const kith_tally_set *reverse, size_t reverse_count)
{
	const kith_tally_plan *p = t->plan;
	uint32_t met = 0, end[KITH_MAX_TIERS], below[KITH_MAX_TIERS], above[KITH_MAX_TIERS], slots[2] = {0}, e = 0;
	size_t r = 0, v = 0;
	int bad;

	for (uint32_t q = 0; q < levels; q++) {
		for (; r < row_count && rows[r].level <= q; r++)
			met = append(t->id, met, &rows[r]);
		for (; v < reverse_count && reverse[v].level <= q; v++)
			met = append(t->id, met, &reverse[v]);
		end[q] = met;
	}
	find_first(t, met);
	for (uint32_t q = 0, first = 0; q < levels; first = end[q++]) {
		kith_bits_firsts(t->id, t->rep, first, end[q], (uint32_t)node, t->below, t->above, slots);
		below[q] = slots[0];
		above[q] = slots[1];
	}
	clear_masks(t, t->below, slots[0]);
	clear_masks(t, t->above, slots[1]);
	r = v = 0;
	for (uint32_t q = 0; q < levels; q++) {
		for (; r < row_count && rows[r].level <= q; e += (uint32_t)rows[r++].count)
			add_masks(t, t->mask[0], &rows[r], e);
		for (; v < reverse_count && reverse[v].level <= q; e += (uint32_t)reverse[v++].count)
			add_masks(t, t->mask[1], &reverse[v], e);
		if ((bad = count_columns(t, q, below[q], above[q])) >= 0)
			return bad;
	}
	/* the sample itself would be a slot below it */
	for (uint32_t s = 0; s < slots[0]; s++)
		if (t->id[t->below[s]] == node)
			return (int)first_layer(t->mask[0] + t->below[s] * mask_words(p));
	if (++t->young_samples == UINT8_MAX)
		grow_up(t);
	return -1;
}

/* ---- many ids: a range of them at a time ---- */

struct range {
	uint64_t lo, hi; /* ids; lo is a multiple of 64 */
	uint32_t words;
	uint32_t above; /* the first word that has ids above the sample */
	uint64_t mask;  /* and which of its bits are */
	int whole;      /* there is no other range */
};

/* Adds what the set has within the range, from *at on. Returns other than 0 if some of it is there already. */
static uint64_t add_range(const kith_tally_set *set, const struct range *range, uint64_t *to, size_t *at)
{
	uint64_t seen = 0;
	size_t i = *at;
	if (set->bits) {
		uint64_t from = range->lo / 64 > set->base ? range->lo / 64 : set->base,
			 end = range->lo / 64 + range->words;
		return from < end
			       ? kith_bits_or(to + (from - range->lo / 64), set->bits + (from - set->base), end - from)
			       : 0;
	}
	for (; i < set->count && set->id[i] < range->hi; i++) {
		uint64_t slot = set->id[i] - range->lo, bit = 1ull << (slot & 63);
		seen |= to[slot / 64] & bit;
		to[slot / 64] |= bit;
	}
	*at = i;
	return seen;
}

/* The pairs of the range, in `words` words of each layer: what is above the sample in the rows, together with the
 * reverse lists, or in both. */
KITH_CLONES static void make_pairs(kith_tally *t, const struct range *range, int graph)
{
	uint64_t layers = t->plan->layers, stride = row_stride(t->plan);
	uint32_t words = range->words - range->above;
	for (uint64_t v = 0; v < layers; v++) {
		const uint64_t *x = t->rows + v * stride + range->above, *y = x + layers * stride;
		uint64_t *to = t->rows + (2 * layers + v) * stride;
		if (graph == KITH_UNION)
			for (uint32_t w = 0; w < words; w++)
				to[w] = x[w] | y[w];
		else
			for (uint32_t w = 0; w < words; w++)
				to[w] = x[w] & y[w];
		to[0] &= range->mask; /* no reverse list has less */
	}
}

/* One level, whose ids have been added. */
static void count_rows(kith_tally *t, uint32_t level, const struct range *range)
{
	const kith_tally_plan *p = t->plan;
	uint64_t stride = row_stride(p), words = range->words - range->above;
	const uint64_t *out = t->rows + range->above, *in = out + p->layers * stride;
	const uint64_t *pairs = t->rows + 2 * p->layers * stride;

	kith_bits_overlaps_rows(t->rows, range->words, stride, p->layers, t->common + level * layer_pairs(p));
	if (range->whole)
		count_histogram(t, level, t->common + level * layer_pairs(p));
	if (!words)
		return;
	memset(t->counts, 0, lanes_of(p) * sizeof *t->counts);
	kith_bits_count_rows(out, (uint32_t)words, stride, p->layers, t->counts);
	kith_bits_count_rows(in, (uint32_t)words, stride, p->layers, t->counts);
	for (uint32_t v = 0; v < p->layers; v++) /* not those below the sample in the same word */
		t->counts[v] -= (uint64_t)__builtin_popcountll(out[v * stride] & ~range->mask);
	add_counts(t, t->edges + (size_t)level * p->layers);
	for (int g = 0; g < 2; g++) {
		if (!p->counts[g])
			continue;
		make_pairs(t, range, g);
		kith_bits_count_rows(pairs, (uint32_t)words, stride, p->layers, t->counts);
		add_counts(t, t->pairs[g] + (size_t)level * p->layers);
		kith_tally_runs(t, g, level, pairs, (uint32_t)words, stride);
	}
}

static int count_range(kith_tally *t, uint64_t node, uint32_t from, const kith_tally_set *rows, size_t row_count,
		       const kith_tally_set *reverse, size_t reverse_count, const struct range *range)
{
	const kith_tally_plan *p = t->plan;
	uint64_t stride = row_stride(p), in_range = node >= range->lo && node < range->hi;
	size_t r = 0, v = 0;
	for (uint64_t s = 0; s < 2ull * p->layers; s++)
		memset(t->rows + s * stride, 0, range->words * sizeof *t->rows);
	for (uint32_t q = 0; q < p->levels; q++) {
		for (; r < row_count && rows[r].level <= q; r++) {
			uint64_t *set = t->rows + rows[r].layer * stride;
			if (add_range(&rows[r], range, set, &t->cursor[r]) ||
			    (in_range && (set[(node - range->lo) / 64] >> (node & 63) & 1)))
				return (int)rows[r].layer;
		}
		for (; v < reverse_count && reverse[v].level <= q; v++)
			if (add_range(&reverse[v], range, t->rows + (p->layers + reverse[v].layer) * stride,
				      &t->cursor[row_count + v]))
				return (int)reverse[v].layer;
		if (q >= from)
			count_rows(t, q, range);
	}
	return -1;
}

/* Counts the levels from `from` on. */
static int many_ids(kith_tally *t, uint64_t node, uint32_t from, const kith_tally_set *rows, size_t row_count,
		    const kith_tally_set *reverse, size_t reverse_count)
{
	const kith_tally_plan *p = t->plan;
	struct range range = {.whole = p->n <= p->slots};
	memset(t->cursor, 0, (row_count + reverse_count) * sizeof *t->cursor);
	for (; range.lo < p->n; range.lo = range.hi) {
		range.hi = p->n - range.lo > p->slots ? range.lo + p->slots : p->n;
		range.words = (uint32_t)((range.hi - range.lo + 63) / 64);
		uint64_t above = node + 1 > range.lo ? node + 1 - range.lo : 0;
		range.above = above / 64 < range.words ? (uint32_t)(above / 64) : range.words;
		range.mask = ~0ull << above % 64;
		int bad = count_range(t, node, from, rows, row_count, reverse, reverse_count, &range);
		if (bad >= 0)
			return bad;
	}
	for (uint32_t q = from; !range.whole && q < p->levels; q++)
		count_histogram(t, q, t->common + q * layer_pairs(p));
	return -1;
}

/* ---- a sample ---- */

/* Ids of the sets up to a level, from the *at-th set on; UINT32_MAX if one comes as bits. */
static uint64_t ids_of(const kith_tally_set *sets, size_t count, uint32_t level, size_t *at)
{
	uint64_t ids = 0;
	for (; *at < count && sets[*at].level <= level; ++*at)
		ids += sets[*at].bits ? UINT32_MAX : sets[*at].count;
	return ids;
}

int kith_tally_node(kith_tally *t, uint64_t node, const kith_tally_set *rows, size_t row_count,
		    const kith_tally_set *reverse, size_t reverse_count)
{
	const kith_tally_plan *p = t->plan;
	uint64_t ids = 0;
	uint32_t few = 0; /* levels */
	size_t r = 0, v = 0;
	int bad = -1;
	while (few < p->levels) {
		ids += ids_of(rows, row_count, few, &r) + ids_of(reverse, reverse_count, few, &v);
		if (ids > p->hashed)
			break;
		few++;
	}
	if (few)
		bad = few_ids(t, node, few, rows, row_count, reverse, reverse_count);
	if (bad < 0 && few < p->levels)
		bad = many_ids(t, node, few, rows, row_count, reverse, reverse_count);
	return bad;
}

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

void kith_tally_finish(kith_tally *t)
{
	const kith_tally_plan *p = t->plan;
	uint64_t words = mask_words(p);
	uint32_t lanes = lanes_of(p);
	grow_up(t);
	for (int g = 0; g < 2; g++)
		for (uint32_t q = 0; p->counts[g] && q < p->levels; q++) {
			int64_t *table = runs_table(t, g, q);
			uint64_t place = place_of(p, g, q);
			if (by_layers(p)) {
				const int64_t *chain = t->chains + place * chain_size(p);
				for (uint32_t a = 0; a < p->layers; a++)
					for (uint32_t b = a; b < p->layers; b++)
						table[(size_t)a * p->layers + b] = chain[(size_t)(b - a) * lanes + a];
				make_runs(table, p->layers);
				continue;
			}
			uint64_t *at = t->masks + place * masks_size(p);
			for (uint64_t i = 0; i < masks_count(p); i++, at += words + 1) {
				if (at[words])
					count_mask(t, table, at, (int64_t)at[words]);
				at[words] = 0;
			}
		}
}
