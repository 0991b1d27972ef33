/* tally.c - see tally.h */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/cpu.h"
#include "kith/transpose.h"

#define EMPTY      UINT32_MAX
#define LEAST      256u        /* slots */
#define SPARE      16u         /* times the usual: some samples are many others' neighbour */
#define MAX_BITS   (64u << 20) /* of all sets together */
#define MASK_WORDS 8192u       /* of masks that are remembered */
#define SLOT_BITS  2560u       /* to find an id's slot costs as much as to look at so many bits of two layers */
#define BY_LAYERS  32u         /* up to so many layers, runs at alpha 0 are counted layer by layer, not mask by mask */

/* Of an id, or EMPTY. */
struct kith_slot {
	uint32_t id, slot;
};

/* A part of a sample's ids: those in [lo, hi). */
struct part {
	uint64_t lo, hi;
	uint32_t mask; /* slots come from this much of the table, or, if 0, id - lo is the slot */
	int whole;     /* there is no other part */
};

/* ---- sizes ---- */

static uint64_t square(const kith_tally_plan *p)
{
	return (uint64_t)p->layers * p->layers;
}

static uint64_t layer_pairs(const kith_tally_plan *p)
{
	return (uint64_t)p->layers * (p->layers - 1) / 2;
}

static uint64_t runs_count(const kith_tally_plan *p)
{
	return p->levels * (p->alpha + 1ull) * square(p);
}

static uint64_t graphs(const kith_tally_plan *p)
{
	return (uint64_t)(p->counts[KITH_UNION] + p->counts[KITH_MUTUAL]);
}

static uint64_t sets(const kith_tally_plan *p)
{
	uint64_t of_pairs = graphs(p) * p->levels * p->layers;
	return of_pairs > p->layers ? of_pairs : p->layers;
}

static uint64_t table_size(const kith_tally_plan *p)
{
	uint64_t size = 2;
	while (size <= 2ull * p->hashed)
		size *= 2;
	return size;
}

static uint64_t mask_words(const kith_tally_plan *p)
{
	return (p->layers + 63) / 64;
}

/* Masks of one graph and level that are remembered, a power of two. */
static uint64_t masks_count(const kith_tally_plan *p)
{
	uint64_t count = 64;
	while (count * 2 * (mask_words(p) + 1) <= MASK_WORDS)
		count *= 2;
	return count;
}

static int by_layers(const kith_tally_plan *p)
{
	return p->alpha == 0 && p->layers <= BY_LAYERS;
}

static uint64_t masks_size(const kith_tally_plan *p)
{
	return by_layers(p) ? 0 : graphs(p) * p->levels * masks_count(p) * (mask_words(p) + 1);
}

void kith_tally_choose_slots(kith_tally_plan *p, uint64_t usual, uint32_t forced)
{
	uint64_t most = MAX_BITS / sets(p), slots = SPARE * usual;
	slots = slots < p->n ? slots : p->n;
	slots = slots < most ? slots : most;
	slots = forced ? forced : slots > LEAST ? slots : LEAST;
	p->slots = (uint32_t)((slots + 63) / 64 * 64);
	most = forced ? p->slots : p->n * square(p) * p->levels / SLOT_BITS;
	p->hashed = (uint32_t)(most < p->slots ? most : p->slots);
}

/* Words from one set to the next: not a power of two, so that sets do not crowd the same lines of a cache. */
static uint64_t stride_of(const kith_tally_plan *p)
{
	return p->slots / 64 | 8;
}

uint64_t kith_tally_bytes(const kith_tally_plan *p)
{
	return sets(p) * stride_of(p) * 8 + table_size(p) * sizeof(struct kith_slot) + p->hashed * 4ull +
	       p->levels * layer_pairs(p) * 4 + p->start[p->levels] * 4 +
	       graphs(p) * (runs_count(p) + p->levels * p->layers) * 8 + masks_size(p) * 8 +
	       p->layers * (256 * 8 + 16 + KITH_MAX_TIERS * sizeof(size_t)) + p->slots / 8;
}

int kith_tally_init(kith_tally *t, const kith_tally_plan *p, kith_err *err)
{
	int missing = 0;
	*t = (kith_tally){.plan = p};
	missing |= !(t->bits = kith_alloc_zero(sets(p) * stride_of(p), sizeof *t->bits));
	missing |= !(t->some = kith_alloc(p->slots / 64, sizeof *t->some));
	missing |= !(t->first = kith_alloc(p->layers, sizeof *t->first));
	missing |= !(t->last = kith_alloc(p->layers, sizeof *t->last));
	missing |= !(t->common = kith_alloc_zero(p->levels * layer_pairs(p), sizeof *t->common));
	missing |= !(t->table = kith_alloc(table_size(p), sizeof *t->table));
	missing |= !(t->taken = kith_alloc(p->hashed, sizeof *t->taken));
	missing |= !(t->cursor = kith_alloc((size_t)p->layers * KITH_MAX_TIERS, sizeof *t->cursor));
	missing |= !(t->masks = kith_alloc_zero(masks_size(p), sizeof *t->masks));
	missing |= !(t->overlap = kith_alloc_zero(p->start[p->levels], sizeof *t->overlap));
	missing |= !(t->tier_bytes = kith_alloc_zero((size_t)p->layers * 256, sizeof *t->tier_bytes));
	missing |= !(t->run_start = kith_alloc(p->layers, sizeof *t->run_start));
	missing |= !(t->run_end = kith_alloc(p->layers, sizeof *t->run_end));
	for (int g = 0; g < 2; g++)
		if (p->counts[g]) {
			missing |= !(t->runs[g] = kith_alloc_zero(runs_count(p), sizeof *t->runs[g]));
			missing |= !(t->pairs[g] = kith_alloc_zero((size_t)p->levels * p->layers, sizeof *t->pairs[g]));
		}
	if (missing)
		return kith_fail_nomem(err, "the counts", kith_tally_bytes(p));
	memset(t->table, 0xff, table_size(p) * sizeof *t->table);
	return 0;
}

void kith_tally_free(kith_tally *t)
{
	free(t->bits);
	free(t->some);
	free(t->first);
	free(t->last);
	free(t->common);
	free(t->table);
	free(t->taken);
	free(t->cursor);
	free(t->masks);
	free(t->overlap);
	free(t->tier_bytes);
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
	for (uint64_t i = 0; i < p->start[p->levels]; i++)
		into->overlap[i] += from->overlap[i];
	for (uint64_t i = 0; i < p->layers * 256ull; i++)
		into->tier_bytes[i] += from->tier_bytes[i];
	for (int g = 0; g < 2; g++)
		for (uint64_t i = 0; p->counts[g] && i < runs_count(p); i++)
			into->runs[g][i] += from->runs[g][i];
}

/* ---- slots ---- */

static uint32_t slot_of(kith_tally *t, uint32_t id, uint32_t mask)
{
	uint32_t at = (id * 2654435769u >> 7) & mask;
	while (t->table[at].id != id) {
		if (t->table[at].id == EMPTY) {
			t->table[at] = (struct kith_slot){id, t->used};
			t->taken[t->used] = at;
			return t->used++;
		}
		at = (at + 1) & mask;
	}
	return t->table[at].slot;
}

/* Words of a set that the part uses. */
static uint32_t words_of(const kith_tally *t, const struct part *part)
{
	return (uint32_t)(((part->mask ? t->used : part->hi - part->lo) + 63) / 64);
}

/* Empties `count` sets, and the table. */
static void clear(kith_tally *t, uint64_t count, uint32_t words)
{
	uint64_t stride = stride_of(t->plan);
	for (uint64_t s = 0; s < count; s++)
		memset(t->bits + s * stride, 0, words * sizeof *t->bits);
	for (uint32_t i = 0; i < t->used; i++)
		t->table[t->taken[i]].id = EMPTY;
	t->used = 0;
}

/* The parts that `total` ids below n come in, one after the other: *part is {0}, or the last. Returns 0 after the last.
 */
static int next_part(const kith_tally_plan *p, uint64_t total, struct part *part)
{
	if (part->hi >= p->n)
		return 0;
	if (total <= p->hashed) {
		*part = (struct part){0, p->n, 1, 1};
		while (part->mask < 2 * total)
			part->mask = 2 * part->mask + 1;
		return 1;
	}
	part->lo = part->hi;
	part->hi = p->n - part->lo > p->slots ? part->lo + p->slots : p->n;
	part->whole = p->n <= p->slots;
	return 1;
}

/* ---- NNTS ---- */

/* The ids of the list within the part, from *at on, into the layer's set. Returns 0, or -1 if one is there already or
 * is `node`. */
static int add_row(kith_tally *t, const kith_tally_list *list, const struct part *part, uint64_t node, size_t *at)
{
	uint64_t *set = t->bits + list->layer * stride_of(t->plan), seen = 0, held = 0; /* held: set[word] */
	uint32_t first = t->first[list->layer], last = t->last[list->layer], word = 0;
	size_t i = *at;
	held = set[0];
	for (; i < list->count && list->id[i] < part->hi; i++) {
		uint32_t id = list->id[i], slot = part->mask ? slot_of(t, id, part->mask) : (uint32_t)(id - part->lo);
		uint64_t bit = 1ull << (slot & 63);
		if (slot / 64 != word) {
			set[word] = held;
			word = slot / 64;
			held = set[word];
		}
		seen |= (held & bit) | (id == node);
		held |= bit;
		first = word < first ? word : first;
		last = word > last ? word : last;
	}
	set[word] = held;
	*at = i;
	t->first[list->layer] = first;
	t->last[list->layer] = last;
	return seen ? -1 : 0;
}

/* Adds to what layers have in common, or, where the part is the whole, straight to the histogram. */
KITH_CLONES static void add_overlaps(kith_tally *t, uint32_t level, int whole)
{
	const kith_tally_plan *p = t->plan;
	uint32_t *common = t->common + level * layer_pairs(p), *histogram = t->overlap + p->start[level];
	uint32_t stride = (uint32_t)stride_of(p), bins = p->k[level] + 1;
	for (uint32_t a = 0; a < p->layers; a++) {
		const uint64_t *x = t->bits + (size_t)a * stride;
		uint32_t a_first = t->first[a], a_last = t->last[a];
		for (uint32_t b = a + 1; b < p->layers; b++, common++, histogram += bins) {
			const uint64_t *y = t->bits + (size_t)b * stride;
			uint32_t from = t->first[b] > a_first ? t->first[b] : a_first, both = 0;
			uint32_t to = t->last[b] < a_last ? t->last[b] : a_last;
			for (uint32_t w = from; w <= to; w++)
				both += (uint32_t)__builtin_popcountll(x[w] & y[w]);
			if (whole)
				histogram[both]++;
			else
				*common += both;
		}
	}
}

static void count_common(kith_tally *t)
{
	const kith_tally_plan *p = t->plan;
	uint32_t *common = t->common;
	for (uint32_t q = 0; q < p->levels; q++) {
		uint32_t *histogram = t->overlap + p->start[q];
		for (uint64_t pair = 0; pair < layer_pairs(p); pair++, histogram += p->k[q] + 1) {
			histogram[*common]++;
			*common++ = 0;
		}
	}
}

int kith_tally_rows(kith_tally *t, uint64_t node, const kith_tally_list *lists, size_t count)
{
	const kith_tally_plan *p = t->plan;
	struct part part = {0};
	uint64_t total = 0;
	int bad = -1;
	for (size_t l = 0; l < count; l++) {
		t->cursor[l] = 0;
		total += lists[l].count;
	}
	while (next_part(p, total, &part)) {
		size_t l = 0;
		memset(t->first, 0xff, p->layers * sizeof *t->first);
		memset(t->last, 0, p->layers * sizeof *t->last);
		for (uint32_t q = 0; q < p->levels; q++) {
			for (; l < count && lists[l].level <= q; l++)
				if (add_row(t, &lists[l], &part, node, &t->cursor[l]) && bad < 0)
					bad = (int)lists[l].layer;
			if (bad < 0)
				add_overlaps(t, q, part.whole);
		}
		clear(t, p->layers, words_of(t, &part));
		if (bad >= 0)
			return bad;
		if (!part.whole && part.hi >= p->n)
			count_common(t);
	}
	return -1;
}

/* ---- NNTP ---- */

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

/* The runs of one graph and level, slot by slot. */
static void runs_by_masks(kith_tally *t, const uint64_t *bits, uint32_t words, int64_t *table, uint64_t *masks)
{
	uint32_t layers = t->plan->layers, stride = (uint32_t)stride_of(t->plan), parts = (uint32_t)mask_words(t->plan);
	uint64_t turned[64], mask[64][KITH_MAX_LAYERS / 64];
	for (uint32_t w = 0; w < words; w++) {
		uint64_t any = 0;
		for (uint32_t part = 0; part < parts; part++) {
			uint32_t rows = layers - 64 * part < 64 ? layers - 64 * part : 64;
			memset(turned, 0, sizeof turned);
			for (uint32_t v = 0; v < rows; v++)
				any |= turned[v] = bits[(64 * part + v) * (size_t)stride + w];
			kith_transpose(turned);
			for (uint32_t s = 0; s < 64; s++)
				mask[s][part] = turned[s];
		}
		for (; any; any &= any - 1)
			meet_mask(t, table, masks, mask[__builtin_ctzll(any)]);
	}
}

/* The same for alpha = 0, layer by layer: here the table counts the slots that are in all of a..b, from which
 * kith_tally_finish makes runs. */
KITH_CLONES static void runs_by_layers(kith_tally *t, const uint64_t *bits, uint32_t words, int64_t *table)
{
	uint32_t layers = t->plan->layers, stride = (uint32_t)stride_of(t->plan);
	uint64_t *all = t->some;
	for (uint32_t a = 0; a < layers; a++) {
		uint64_t count = 1;
		memcpy(all, bits + (size_t)a * stride, words * sizeof *all);
		for (uint32_t b = a; b < layers && count; b++) {
			const uint64_t *here = bits + (size_t)b * stride;
			count = 0;
			for (uint32_t w = 0; w < words; w++) {
				all[w] &= here[w];
				count += (uint64_t)__builtin_popcountll(all[w]);
			}
			table[a * layers + b] += (int64_t)count;
		}
	}
}

/* The pairs of the list within the part, from *at on, into the sets of their levels. */
static void add_pairs(kith_tally *t, const kith_tally_list *list, const struct part *part, size_t *at)
{
	const kith_tally_plan *p = t->plan;
	uint64_t stride = stride_of(p), *both[2], *set = t->bits + list->layer * stride;
	uint64_t *tier_bytes = t->tier_bytes + list->layer * 256ull;
	size_t i = *at;
	both[KITH_UNION] = set;
	both[KITH_MUTUAL] = set + (p->counts[KITH_UNION] ? p->levels * p->layers * stride : 0);
	for (; i < list->count && list->id[i] < part->hi; i++) {
		uint32_t id = list->id[i], slot = part->mask ? slot_of(t, id, part->mask) : (uint32_t)(id - part->lo);
		uint8_t tier = list->tier[i];
		tier_bytes[tier]++;
		for (int g = 0; g < 2; g++) {
			uint32_t level = list->level_of[g][tier];
			if (p->counts[g] && level < p->levels)
				both[g][level * p->layers * stride + slot / 64] |= 1ull << (slot & 63);
		}
	}
	*at = i;
}

/* A level's pairs are those of the level before, too. */
static void add_level(kith_tally *t, uint64_t *bits, uint32_t words)
{
	uint64_t layers = t->plan->layers, stride = stride_of(t->plan);
	const uint64_t *before = bits - layers * stride;
	for (uint64_t v = 0; v < layers; v++)
		for (uint32_t w = 0; w < words; w++)
			bits[v * stride + w] |= before[v * stride + w];
}

void kith_tally_pairs(kith_tally *t, const kith_tally_list *lists)
{
	const kith_tally_plan *p = t->plan;
	uint64_t level_sets = p->layers * stride_of(p), total = 0;
	struct part part = {0};
	for (uint32_t v = 0; v < p->layers; v++) {
		t->cursor[v] = 0;
		total += lists[v].count;
	}
	while (total && next_part(p, total, &part)) {
		uint64_t *bits = t->bits, *masks = t->masks;
		for (uint32_t v = 0; v < p->layers; v++)
			add_pairs(t, &lists[v], &part, &t->cursor[v]);
		uint32_t words = words_of(t, &part);
		for (int g = 0; g < 2; g++)
			for (uint32_t q = 0; p->counts[g] && q < p->levels; q++, bits += level_sets) {
				int64_t *table = t->runs[g] + q * (p->alpha + 1ull) * square(p);
				if (q)
					add_level(t, bits, words);
				if (by_layers(p))
					runs_by_layers(t, bits, words, table);
				else {
					runs_by_masks(t, bits, words, table, masks);
					masks += masks_count(p) * (mask_words(p) + 1);
				}
			}
		clear(t, graphs(p) * p->levels * p->layers, words);
	}
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
	uint64_t words = mask_words(p), *place = t->masks;
	for (int g = 0; g < 2; g++)
		for (uint32_t q = 0; p->counts[g] && q < p->levels; q++) {
			int64_t *table = t->runs[g] + q * (p->alpha + 1ull) * square(p);
			if (by_layers(p)) {
				make_runs(table, p->layers);
				continue;
			}
			for (uint64_t i = 0; i < masks_count(p); i++, place += words + 1) {
				if (place[words])
					count_mask(t, table, place, (int64_t)place[words]);
				place[words] = 0;
			}
		}
}
