/* tally.c - see tally.h */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "kith/alloc.h"
#include "kith/cpu.h"
#include "kith/transpose.h"

#define LEAST      256u        /* slots */
#define SPARE      16u         /* times the usual: some samples are many others' neighbour */
#define MAX_BITS   (64u << 20) /* of all sets together */
#define MASK_WORDS 8192u       /* of masks that are remembered */
#define SLOT_BITS  2560u       /* to find an id's slot costs as much as to look at so many bits of two layers */

/* An entry of the table: id, epoch, slot. */
#define EPOCH_SHIFT 32
#define SLOT_SHIFT  40
#define EPOCHS      255u
#define MOST_HASHED (1u << 23)

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

static uint64_t table_size(const kith_tally_plan *p)
{
	uint64_t size = 4;
	while (size < 2ull * p->hashed)
		size *= 2;
	return size;
}

/* Words of a set whose slots come from the table. */
static uint64_t column_words(const kith_tally_plan *p)
{
	return p->hashed / 64 + 1;
}

/* Words from one set in rows to the next: not a power of two, so that sets do not crowd the same lines of a cache. */
static uint64_t row_stride(const kith_tally_plan *p)
{
	return p->slots / 64 | 8;
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
	uint64_t most = MAX_BITS / (3ull * lanes_of(p)), slots = SPARE * usual;
	slots = slots < p->n ? slots : p->n;
	slots = slots < most ? slots : most;
	slots = forced ? forced : slots > LEAST ? slots : LEAST;
	p->slots = (uint32_t)((slots + 63) / 64 * 64);
	most = forced ? p->slots : p->n * square(p) * p->levels / SLOT_BITS;
	most = most < MOST_HASHED ? most : MOST_HASHED;
	p->hashed = (uint32_t)(most < p->slots ? most : p->slots);
}

uint64_t kith_tally_bytes(const kith_tally_plan *p)
{
	uint64_t words = 4 * column_words(p) * lanes_of(p) + 3 * row_stride(p) * p->layers + p->slots / 64 +
			 lanes_of(p) + table_size(p) + graphs(p) * p->levels * (chain_size(p) + masks_size(p)) +
			 (graphs(p) + 1) * p->levels * p->layers + graphs(p) * runs_count(p);
	return words * 8 + p->levels * layer_pairs(p) * 4 + p->start[p->levels] * 4 +
	       p->layers * (8 + 2 * KITH_MAX_TIERS * sizeof(size_t));
}

int kith_tally_init(kith_tally *t, const kith_tally_plan *p, kith_err *err)
{
	uint64_t column = column_words(p) * lanes_of(p), places = graphs(p) * p->levels;
	int missing = 0;
	*t = (kith_tally){.plan = p};
	missing |= !(t->out = kith_alloc_zero(2 * column, sizeof *t->out));
	missing |= !(t->in = kith_alloc_zero(column, sizeof *t->in));
	missing |= !(t->both = kith_alloc(column, sizeof *t->both));
	missing |= !(t->rows = kith_alloc(3 * row_stride(p) * p->layers, sizeof *t->rows));
	missing |= !(t->some = kith_alloc(p->slots / 64, sizeof *t->some));
	missing |= !(t->counts = kith_alloc(lanes_of(p), sizeof *t->counts));
	missing |= !(t->common = kith_alloc_zero(p->levels * layer_pairs(p), sizeof *t->common));
	missing |= !(t->table = kith_alloc_zero(table_size(p), sizeof *t->table));
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
	free(t->out);
	free(t->in);
	free(t->both);
	free(t->rows);
	free(t->some);
	free(t->counts);
	free(t->common);
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

/* The runs of one graph and level, slot by slot; sets in rows or in columns. */
static void runs_by_masks(kith_tally *t, const uint64_t *bits, uint32_t words, size_t word_step, size_t layer_step,
			  int64_t *table, uint64_t *masks)
{
	uint32_t layers = t->plan->layers, parts = (uint32_t)mask_words(t->plan);
	uint64_t turned[64], mask[64][KITH_MAX_LAYERS / 64];
	for (uint32_t w = 0; w < words; w++) {
		const uint64_t *at = bits + w * word_step;
		uint64_t any = 0;
		for (uint32_t part = 0; part < parts; part++) {
			uint32_t rows = layers - 64 * part < 64 ? layers - 64 * part : 64;
			memset(turned, 0, sizeof turned);
			for (uint32_t v = 0; v < rows; v++)
				any |= turned[v] = at[(64 * part + v) * layer_step];
			kith_transpose(turned);
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

static void runs_of_columns(kith_tally *t, int graph, uint32_t level, const uint64_t *bits, uint32_t words)
{
	const kith_tally_plan *p = t->plan;
	uint64_t place = place_of(p, graph, level);
	if (by_layers(p))
		kith_bits_chains_columns(bits, words, lanes_of(p), p->layers, t->chains + place * chain_size(p));
	else
		runs_by_masks(t, bits, words, lanes_of(p), 1, runs_table(t, graph, level),
			      t->masks + place * masks_size(p));
}

void kith_tally_runs(kith_tally *t, int graph, uint32_t level, const uint64_t *bits, uint32_t words, size_t stride)
{
	const kith_tally_plan *p = t->plan;
	uint64_t place = place_of(p, graph, level), most = p->slots / 64;
	if (!by_layers(p)) {
		runs_by_masks(t, bits, words, 1, stride, runs_table(t, graph, level), t->masks + place * masks_size(p));
		return;
	}
	for (uint64_t w = 0; w < words; w += most)
		kith_bits_chains_rows(bits + w, (uint32_t)(words - w < most ? words - w : most), stride, p->layers,
				      lanes_of(p), t->chains + place * chain_size(p), t->some);
}

/* ---- few ids ---- */

/* What the loop over ids needs of the tally; the slots in use come back from it. */
struct adding {
	uint64_t *table, epoch, node;
	uint32_t shift, mask, lanes;
};

/* The slot of an id: above the sample or below it, the next free one if it is new. */
static inline uint32_t slot_of(const struct adding *a, uint32_t id, uint32_t is_above, uint32_t used[2])
{
	uint32_t at = id * 2654435769u >> a->shift;
	uint64_t mine = a->epoch | id;
	for (;; at = (at + 1) & a->mask) {
		uint64_t entry = a->table[at];
		if ((entry & ((1ull << SLOT_SHIFT) - 1)) == mine)
			return (uint32_t)(entry >> SLOT_SHIFT);
		if ((entry & ((1ull << SLOT_SHIFT) - (1ull << EPOCH_SHIFT))) != a->epoch) {
			uint32_t slot = used[is_above]++;
			a->table[at] = mine | (uint64_t)slot << SLOT_SHIFT;
			return slot;
		}
	}
}

/* Adds ids to a layer's column of the rows (middle: the first word above the sample). Returns other than 0 if one is
 * there already, or is the sample. */
static uint64_t add_out(const struct adding *a, const kith_tally_set *set, uint64_t *middle, uint32_t used[2])
{
	uint64_t seen = 0;
	for (size_t i = 0; i < set->count; i++) {
		uint32_t id = set->id[i], is_above = id > a->node, slot = slot_of(a, id, is_above, used);
		/* words go up above the sample, and down below it */
		int64_t word = (int64_t)(slot / 64) ^ ((int64_t)is_above - 1);
		uint64_t *at = middle + word * (int64_t)a->lanes + set->layer, bit = 1ull << (slot & 63);
		seen |= (*at & bit) | (id == a->node);
		*at |= bit;
	}
	return seen;
}

/* Adds ids, all above the sample, to a layer's column of the reverse lists. */
static uint64_t add_in(const struct adding *a, const kith_tally_set *set, uint64_t *in, uint32_t used[2])
{
	uint64_t seen = 0;
	for (size_t i = 0; i < set->count; i++) {
		uint32_t slot = slot_of(a, set->id[i], 1, used);
		uint64_t *at = in + (size_t)(slot / 64) * a->lanes + set->layer, bit = 1ull << (slot & 63);
		seen |= *at & bit;
		*at |= bit;
	}
	return seen;
}

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

/* One level, whose ids have been added. */
static void count_columns(kith_tally *t, uint32_t level, uint64_t *middle)
{
	const kith_tally_plan *p = t->plan;
	uint32_t lanes = lanes_of(p), below = (t->below + 63) / 64, above = (t->above + 63) / 64;
	size_t size = (size_t)above * lanes;

	kith_bits_overlaps_columns(middle - (size_t)below * lanes, below + above, lanes, p->layers, t->common);
	count_histogram(t, level, t->common);

	memset(t->counts, 0, lanes * sizeof *t->counts);
	kith_bits_count_columns(middle, above, lanes, t->counts);
	kith_bits_count_columns(t->in, above, lanes, t->counts);
	add_counts(t, t->edges + (size_t)level * p->layers);
	for (int g = 0; g < 2; g++) {
		if (!p->counts[g])
			continue;
		for (size_t i = 0; i < size; i++)
			t->both[i] = g == KITH_UNION ? middle[i] | t->in[i] : middle[i] & t->in[i];
		kith_bits_count_columns(t->both, above, lanes, t->counts);
		add_counts(t, t->pairs[g] + (size_t)level * p->layers);
		runs_of_columns(t, g, level, t->both, above);
	}
}

static int few_ids(kith_tally *t, uint64_t node, const kith_tally_set *rows, size_t row_count,
		   const kith_tally_set *reverse, size_t reverse_count, uint64_t total)
{
	const kith_tally_plan *p = t->plan;
	uint32_t lanes = lanes_of(p), used[2] = {0}, bits = 2;
	uint64_t *middle = t->out + column_words(p) * lanes;
	size_t r = 0, v = 0;
	int bad = -1;

	while (1ull << bits < 2 * total)
		bits++;
	if (++t->epoch > EPOCHS) {
		memset(t->table, 0, table_size(p) * sizeof *t->table);
		t->epoch = 1;
	}
	struct adding a = {.table = t->table,
			   .epoch = (uint64_t)t->epoch << EPOCH_SHIFT,
			   .node = node,
			   .shift = 32 - bits,
			   .mask = (1u << bits) - 1,
			   .lanes = lanes};
	for (uint32_t q = 0; q < p->levels && bad < 0; q++) {
		for (; r < row_count && rows[r].level <= q; r++)
			if (add_out(&a, &rows[r], middle, used) && bad < 0)
				bad = (int)rows[r].layer;
		for (; v < reverse_count && reverse[v].level <= q; v++)
			if (add_in(&a, &reverse[v], t->in, used) && bad < 0)
				bad = (int)reverse[v].layer;
		t->below = used[0];
		t->above = used[1];
		if (bad < 0)
			count_columns(t, q, middle);
	}
	uint32_t below = (t->below + 63) / 64, above = (t->above + 63) / 64;
	memset(middle - (size_t)below * lanes, 0, (size_t)(below + above) * lanes * sizeof *middle);
	memset(t->in, 0, (size_t)above * lanes * sizeof *t->in);
	return bad;
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
 * reverse lists, or in both, or alone. */
enum which { OR, AND, ALONE };
KITH_CLONES static void make_pairs(kith_tally *t, const struct range *range, enum which which)
{
	uint64_t layers = t->plan->layers, stride = row_stride(t->plan);
	uint32_t words = range->words - range->above;
	for (uint64_t v = 0; v < layers; v++) {
		const uint64_t *x = t->rows + v * stride + range->above, *y = x + layers * stride;
		uint64_t *to = t->rows + (2 * layers + v) * stride;
		if (which == OR)
			for (uint32_t w = 0; w < words; w++)
				to[w] = x[w] | y[w];
		else if (which == AND)
			for (uint32_t w = 0; w < words; w++)
				to[w] = x[w] & y[w];
		else
			memcpy(to, x, words * sizeof *to);
		to[0] = which == OR ? (x[0] & range->mask) | y[0] : to[0] & range->mask;
	}
}

/* One level, whose ids have been added. */
static void count_rows(kith_tally *t, uint32_t level, const struct range *range)
{
	const kith_tally_plan *p = t->plan;
	uint64_t stride = row_stride(p), words = range->words - range->above;
	const uint64_t *in = t->rows + p->layers * stride + range->above, *pairs = t->rows + 2 * p->layers * stride;

	kith_bits_overlaps_rows(t->rows, range->words, stride, p->layers, t->common + level * layer_pairs(p));
	if (range->whole)
		count_histogram(t, level, t->common + level * layer_pairs(p));
	if (!words)
		return;
	memset(t->counts, 0, lanes_of(p) * sizeof *t->counts);
	make_pairs(t, range, ALONE);
	kith_bits_count_rows(pairs, (uint32_t)words, stride, p->layers, t->counts);
	kith_bits_count_rows(in, (uint32_t)words, stride, p->layers, t->counts);
	add_counts(t, t->edges + (size_t)level * p->layers);
	for (int g = 0; g < 2; g++) {
		if (!p->counts[g])
			continue;
		make_pairs(t, range, g == KITH_UNION ? OR : AND);
		kith_bits_count_rows(pairs, (uint32_t)words, stride, p->layers, t->counts);
		add_counts(t, t->pairs[g] + (size_t)level * p->layers);
		kith_tally_runs(t, g, level, pairs, (uint32_t)words, stride);
	}
}

static int count_range(kith_tally *t, uint64_t node, const kith_tally_set *rows, size_t row_count,
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
		count_rows(t, q, range);
	}
	return -1;
}

static int many_ids(kith_tally *t, uint64_t node, const kith_tally_set *rows, size_t row_count,
		    const kith_tally_set *reverse, size_t reverse_count)
{
	const kith_tally_plan *p = t->plan;
	struct range range = {.whole = p->n <= p->slots};
	memset(t->cursor, 0, (row_count + reverse_count) * sizeof *t->cursor);
	for (; range.lo < p->n; range.lo = range.hi) {
		range.hi = p->n - range.lo > p->slots ? range.lo + p->slots : p->n;
		range.words = (uint32_t)((range.hi - range.lo + 63) / 64);
		uint64_t from = node + 1 > range.lo ? node + 1 - range.lo : 0;
		range.above = from / 64 < range.words ? (uint32_t)(from / 64) : range.words;
		range.mask = ~0ull << from % 64;
		int bad = count_range(t, node, rows, row_count, reverse, reverse_count, &range);
		if (bad >= 0)
			return bad;
	}
	for (uint32_t q = 0; !range.whole && q < p->levels; q++)
		count_histogram(t, q, t->common + q * layer_pairs(p));
	return -1;
}

/* ---- a sample ---- */

int kith_tally_node(kith_tally *t, uint64_t node, const kith_tally_set *rows, size_t row_count,
		    const kith_tally_set *reverse, size_t reverse_count)
{
	uint64_t total = 0, bits = 0;
	for (size_t r = 0; r < row_count; r++) {
		total += rows[r].count;
		bits |= rows[r].bits != NULL;
	}
	for (size_t v = 0; v < reverse_count; v++) {
		total += reverse[v].count;
		bits |= reverse[v].bits != NULL;
	}
	return bits || total > t->plan->hashed ? many_ids(t, node, rows, row_count, reverse, reverse_count)
					       : few_ids(t, node, rows, row_count, reverse, reverse_count, total);
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
