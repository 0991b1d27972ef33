/* count_dense.c - see count_dense.h */
#include "count_dense.h"

#include <string.h>

/* Words from one set to the next: not a power of two, so that sets do not compete for the same lines of a cache. */
static uint64_t set_stride(const kith_count_plan *p)
{
	return p->dense_slots / 64 | 8;
}

void kith_count_dense_list(kith_workspace *w, kith_count_dense *d, const kith_count_plan *p)
{
	uint64_t most_sets = 2ull * p->layers * KITH_MAX_TIERS;
	KITH_BUFFER(w, d->bits, 3 * set_stride(p) * p->layers);
	KITH_BUFFER_ZERO(w, d->common, p->tiers * kith_layer_pairs(p->layers));
	KITH_BUFFER(w, d->sets, most_sets);
	KITH_BUFFER(w, d->cursor, most_sets);
	KITH_BUFFER(w, d->ids, p->pair_room ? set_stride(p) : 0);
	KITH_BUFFER_ZERO(w, d->square, p->pair_room ? 64ull * kith_mask_words(p) : 0);
}

/* A range of ids. */
typedef struct range {
	uint64_t lo, hi; /* lo is a multiple of 64 */
	uint32_t words;
	uint32_t above;      /* the first word that has ids above the sample, */
	uint64_t above_bits; /* and which of its bits are */
} range;

/* Adds the part of a set that lies within the range, of ids those from *at on. Returns other than 0 if some of it is
 * there already. */
static uint64_t add_set(const kith_count_set *set, const range *r, uint64_t *to, size_t *at)
{
	uint64_t seen = 0;
	size_t i = *at;
	if (set->bits) {
		uint64_t from =
			set->base > r->lo / 64 ? set->base - r->lo / 64 : 0; /* the first of the range's words */
		return from >= r->words
			       ? 0
			       : kith_bits_or(to + from, set->bits + (r->lo / 64 + from - set->base), r->words - from);
	}
	for (; i < set->count && set->id[i] < r->hi; i++) {
		uint64_t slot = set->id[i] - r->lo, bit = 1ull << (slot & 63);
		seen |= to[slot / 64] & bit;
		to[slot / 64] |= bit;
	}
	*at = i;
	return seen;
}

/* Adds the sets of tiers after..tier; with after < 0 they are the first. Returns the layer that
 * has an id twice, or -1. */
static int add_sets(const kith_count_plan *p, kith_count_dense *d, const range *r, int after, int tier)
{
	uint64_t stride = set_stride(p);
	for (size_t at = 0; after < 0 && at < 2ull * p->layers; at++)
		memset(d->bits + at * stride, 0, r->words * sizeof *d->bits);
	for (size_t i = 0; i < 2 * d->set_count; i++) {
		const kith_count_set *set = &d->sets[i];
		size_t side = i >= d->set_count;
		if ((int)set->tier > after && (int)set->tier <= tier &&
		    add_set(set, r, d->bits + (side * p->layers + set->layer) * stride, &d->cursor[i]))
			return (int)set->layer;
	}
	return -1;
}

/* The pairs of one graph in the range: what rows, above the sample, and reverse lists have in either, or in both. */
static void join_sides(const kith_count_plan *p, kith_count_dense *d, const range *r, int graph)
{
	uint64_t layers = p->layers, stride = set_stride(p);
	for (uint64_t v = 0; v < layers; v++) {
		const uint64_t *rows = d->bits + v * stride + r->above;
		uint64_t *to = d->bits + (2 * layers + v) * stride;
		kith_counts_join(graph, rows, rows + layers * stride, r->words - r->above, to);
		to[0] &= r->above_bits; /* reverse lists have no ids below */
	}
}

/* Adds the overlaps of a sample, counted in all its ranges, to the histograms. */
static void add_overlaps(kith_counts *c, kith_count_dense *d, uint32_t tier)
{
	const kith_count_plan *p = c->plan;
	uint64_t pairs = kith_layer_pairs(p->layers), bins = p->k[tier] + 1ull;
	uint32_t *histogram = c->overlap + p->start[tier], *common = d->common + tier * pairs;
	for (uint64_t pair = 0; pair < pairs; pair++, histogram += bins) {
		histogram[common[pair]]++;
		common[pair] = 0;
	}
}

/* Counts the pairs of a tier in a range that has ids above the sample. */
static void count_pairs(kith_counts *c, kith_count_dense *d, uint64_t node, uint32_t tier, const range *r)
{
	const kith_count_plan *p = c->plan;
	uint64_t stride = set_stride(p), to = (uint64_t)tier * p->layers;
	uint32_t words = r->words - r->above;
	const uint64_t *rows = d->bits + r->above, *reverse = rows + p->layers * stride;
	const uint64_t *pairs = d->bits + 2 * p->layers * stride;
	kith_bits_count_layer_major(c->kernels, rows, words, stride, p->layers, c->lane);
	kith_bits_count_layer_major(c->kernels, reverse, words, stride, p->layers, c->lane);
	for (uint32_t v = 0; v < p->layers; v++) /* without ids below the sample in its word */
		c->lane[v] -= (uint64_t)__builtin_popcountll(rows[v * stride] & ~r->above_bits);
	kith_counts_take_lanes(c, c->edges + to);
	for (int g = 0; g < 2; g++) {
		if (!p->graphs[g])
			continue;
		join_sides(p, d, r, g);
		kith_bits_count_layer_major(c->kernels, pairs, words, stride, p->layers, c->lane);
		kith_counts_take_lanes(c, c->pairs[g] + to);
		kith_runs_count_layer_major(&c->runs, g, tier, pairs, words, stride);
		if (p->groups)
			kith_runs_count_layer_major_touching(&c->runs, g, tier, pairs, words, stride, (uint32_t)node,
							     (uint32_t)(r->lo + 64ull * r->above));
	}
}

/* ---- pairs for a pair store ---- */

/* Appends the pairs of the range, as ids that any layer has at any tier; their masks are still undefined. Returns how
 * many there are. */
static uint32_t append_ids(kith_count_dense *d, kith_pair_batch *pairs, uint64_t node, const range *r)
{
	uint32_t found = 0;
	memset(d->ids, 0, r->words * sizeof *d->ids);
	for (size_t i = 0; i < 2 * d->set_count; i++) {
		size_t at = d->cursor[i];
		add_set(&d->sets[i], r, d->ids, &at);
	}
	memset(d->ids, 0, r->above * sizeof *d->ids);
	if (r->above < r->words)
		d->ids[r->above] &= r->above_bits;
	for (uint32_t w = r->above; w < r->words; w++)
		found += (uint32_t)__builtin_popcountll(d->ids[w]);
	kith_pair_batch_reserve(pairs, found);
	uint32_t *i = pairs->i + pairs->count, *j = pairs->j + pairs->count;
	for (uint32_t w = r->above; w < r->words; w++)
		for (uint64_t left = d->ids[w]; left; left &= left - 1) {
			*i++ = (uint32_t)node;
			*j++ = (uint32_t)(r->lo + 64ull * w + (unsigned)__builtin_ctzll(left));
		}
	return found;
}

/* The masks of these pairs at a tier whose sets have been added: 64 ids at a time are transposed. */
static void append_masks(const kith_counts *c, kith_count_dense *d, kith_pair_batch *pairs, uint32_t tier,
			 const range *r)
{
	const kith_count_plan *p = c->plan;
	uint32_t at = pairs->count, reverse = kith_mask_to_reverse(p);
	uint64_t stride = set_stride(p), mask[64];
	for (uint32_t word = r->above; word < r->words; word++) {
		uint64_t ids = d->ids[word];
		if (!ids)
			continue;
		for (uint32_t v = 0; v < p->layers; v++) {
			d->square[v] = d->bits[v * stride + word];
			d->square[reverse + v] = d->bits[(p->layers + v) * stride + word];
		}
		for (uint32_t w = 0; w < kith_mask_words(p); w++) {
			uint64_t *to = kith_pair_batch_masks(pairs, tier, w) + at;
			c->kernels->transpose(mask, d->square + 64 * w);
			for (uint64_t left = ids; left; left &= left - 1)
				*to++ = mask[__builtin_ctzll(left)];
		}
		at += (uint32_t)__builtin_popcountll(ids);
	}
}

/* ---- samples ---- */

static int count_range(kith_counts *c, kith_count_dense *d, kith_pair_batch *pairs, uint64_t node, uint32_t from,
		       const range *r)
{
	const kith_count_plan *p = c->plan;
	uint64_t stride = set_stride(p), own = node - r->lo, layer_pairs = kith_layer_pairs(p->layers);
	uint32_t found = p->pair_room ? append_ids(d, pairs, node, r) : 0;
	for (int q = (int)from, after = -1; q < (int)p->tiers; after = q++) {
		int bad = add_sets(p, d, r, after, q);
		for (uint32_t v = 0; bad < 0 && node >= r->lo && node < r->hi && v < p->layers; v++)
			if (d->bits[v * stride + own / 64] >> own % 64 & 1)
				bad = (int)v;
		if (bad >= 0)
			return bad;
		kith_bits_overlaps_layer_major(c->kernels, d->bits, r->words, stride, p->layers,
					       d->common + (uint32_t)q * layer_pairs);
		if (r->above < r->words)
			count_pairs(c, d, node, (uint32_t)q, r);
		if (found)
			append_masks(c, d, pairs, (uint32_t)q, r);
	}
	pairs->count += found;
	return -1;
}

/* The range that begins at `lo`. */
static range range_at(const kith_count_plan *p, uint64_t node, uint64_t lo)
{
	range r = {.lo = lo, .hi = p->n - lo > p->dense_slots ? lo + p->dense_slots : p->n};
	r.words = (uint32_t)((r.hi - lo + 63) / 64);
	uint64_t above = node + 1 > lo ? node + 1 - lo : 0;
	r.above = above / 64 < r.words ? (uint32_t)(above / 64) : r.words;
	r.above_bits = ~0ull << above % 64;
	return r;
}

int kith_count_dense_node(kith_counts *c, kith_count_dense *d, kith_pair_batch *pairs, uint64_t node, uint32_t from,
			  const kith_count_sources *sources)
{
	const kith_count_plan *p = c->plan;
	range r = {0};
	d->set_count = sources->count;
	for (size_t i = 0; i < 2 * d->set_count; i++) {
		d->sets[i] = kith_count_set_at(&sources->source[i], node);
		d->cursor[i] = 0;
	}
	for (uint64_t lo = 0; lo < p->n; lo = r.hi) {
		r = range_at(p, node, lo);
		int bad = count_range(c, d, pairs, node, from, &r);
		if (bad >= 0) { /* the thread may count other samples before anyone looks */
			memset(d->common, 0, p->tiers * kith_layer_pairs(p->layers) * sizeof *d->common);
			return bad;
		}
	}
	for (uint32_t q = from; q < p->tiers; q++)
		add_overlaps(c, d, q);
	return -1;
}
