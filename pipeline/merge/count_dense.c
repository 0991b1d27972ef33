/* count_dense.c - counts samples whose ids are many, or come as bits: ids are slots of themselves, a range of them at a
 * time.
 */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bit_kernels.h"
#include "count_parts.h"
#include "cpu.h"

/* Words from one set in rows to the next: not a power of two, so that sets do not crowd the same lines of a cache. */
static uint64_t row_stride(const kith_tally_plan *p)
{
	return p->slots / 64 | 8;
}

uint64_t kith_many_bytes(const kith_tally_plan *p)
{
	return 24 * row_stride(p) * p->layers + p->levels * kith_tally_layer_pairs(p) * 4 +
	       p->layers * (2 * KITH_MAX_TIERS * (sizeof(size_t) + sizeof(kith_tally_set)) + 2);
}

int kith_many_init(kith_many *m, const kith_tally_plan *p)
{
	int missing = 0;
	missing |= !(m->rows = kith_alloc(3 * row_stride(p) * p->layers, sizeof *m->rows));
	missing |= !(m->common = kith_alloc_zero(p->levels * kith_tally_layer_pairs(p), sizeof *m->common));
	missing |= !(m->sets = kith_alloc(2 * (size_t)p->layers * KITH_MAX_TIERS, sizeof *m->sets));
	missing |= !(m->filled = kith_alloc(2 * (size_t)p->layers, sizeof *m->filled));
	missing |= !(m->cursor = kith_alloc(2 * (size_t)p->layers * KITH_MAX_TIERS, sizeof *m->cursor));
	return missing;
}

void kith_many_free(kith_many *m)
{
	free(m->rows);
	free(m->common);
	free(m->sets);
	free(m->filled);
	free(m->cursor);
}

struct range {
	uint64_t lo, hi; /* ids; lo is a multiple of 64 */
	uint32_t words;
	uint32_t above; /* the first word that has ids above the sample */
	uint64_t mask;  /* and which of its bits are */
	int whole;      /* there is no other range */
};

/* The first of the range's words that a set of bits has, or how many words there are if it has none. */
static uint64_t first_word(const kith_tally_set *set, const struct range *range)
{
	uint64_t from = range->lo / 64 > set->base ? 0 : set->base - range->lo / 64;
	return from < range->words ? from : range->words;
}

static const uint64_t *words_of(const kith_tally_set *set, const struct range *range, uint64_t from)
{
	return set->bits + (range->lo / 64 + from - set->base);
}

/* What a set of bits has within the range, and nothing else. */
static void put_range(const kith_tally_set *set, const struct range *range, uint64_t *to)
{
	uint64_t from = first_word(set, range);
	memset(to, 0, from * sizeof *to);
	if (from < range->words)
		memcpy(to + from, words_of(set, range, from), (range->words - from) * sizeof *to);
}

/* Adds what the set has within the range, from *at on. Returns other than 0 if some of it is there already. */
static uint64_t add_range(const kith_tally_set *set, const struct range *range, uint64_t *to, size_t *at)
{
	uint64_t seen = 0;
	size_t i = *at;
	if (set->bits) {
		uint64_t from = first_word(set, range);
		return from < range->words ? kith_bits_or(to + from, words_of(set, range, from), range->words - from)
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
		const uint64_t *x = t->many.rows + v * stride + range->above, *y = x + layers * stride;
		uint64_t *to = t->many.rows + (2 * layers + v) * stride;
		if (graph == KITH_UNION)
			for (uint32_t w = 0; w < words; w++)
				to[w] = x[w] | y[w];
		else
			for (uint32_t w = 0; w < words; w++)
				to[w] = x[w] & y[w];
		to[0] &= range->mask; /* no reverse list has less */
	}
}

/* What layers share in all ranges together. */
static void count_histogram(kith_tally *t, uint32_t level, uint32_t *common)
{
	const kith_tally_plan *p = t->plan;
	uint64_t pairs = kith_tally_layer_pairs(p), bins = p->k[level] + 1ull;
	uint32_t *histogram = t->overlap + p->start[level];
	for (uint64_t pair = 0; pair < pairs; pair++, histogram += bins) {
		histogram[common[pair]]++;
		common[pair] = 0;
	}
}

/* One level, whose ids have been added. */
static void count_rows(kith_tally *t, uint32_t level, const struct range *range)
{
	const kith_tally_plan *p = t->plan;
	uint64_t stride = row_stride(p), words = range->words - range->above;
	const uint64_t *out = t->many.rows + range->above, *in = out + p->layers * stride;
	const uint64_t *pairs = t->many.rows + 2 * p->layers * stride;

	kith_bits_overlaps_rows(t->many.rows, range->words, stride, p->layers,
				t->many.common + level * kith_tally_layer_pairs(p));
	if (range->whole)
		count_histogram(t, level, t->many.common + level * kith_tally_layer_pairs(p));
	if (!words)
		return;
	kith_bits_count_rows(out, (uint32_t)words, stride, p->layers, t->counts);
	kith_bits_count_rows(in, (uint32_t)words, stride, p->layers, t->counts);
	for (uint32_t v = 0; v < p->layers; v++) /* not those below the sample in the same word */
		t->counts[v] -= (uint64_t)__builtin_popcountll(out[v * stride] & ~range->mask);
	kith_tally_add_counts(t, t->edges + (size_t)level * p->layers);
	for (int g = 0; g < 2; g++) {
		if (!p->counts[g])
			continue;
		make_pairs(t, range, g);
		kith_bits_count_rows(pairs, (uint32_t)words, stride, p->layers, t->counts);
		kith_tally_add_counts(t, t->pairs[g] + (size_t)level * p->layers);
		kith_runs_rows(t, g, level, pairs, (uint32_t)words, stride);
	}
}

/* Adds the sets of levels after..level, `count` of each side. With after < 0 they are the first: nothing has to be
 * cleared for those that come as bits, and the order does not matter. Returns the layer that has an id twice, or -1. */
static int add_sets(kith_tally *t, const struct range *range, size_t count, int after, int level)
{
	kith_many *m = &t->many;
	uint64_t stride = row_stride(t->plan);
	uint32_t layers = t->plan->layers;
	memset(m->filled, after >= 0, 2ull * layers);
	for (int bits = 1; bits >= 0; bits--) {
		for (size_t i = 0; i < 2 * count; i++) {
			const kith_tally_set *set = &m->sets[i];
			size_t side = i >= count, row = side * layers + set->layer;
			uint64_t *to = m->rows + row * stride;
			if ((int)set->level <= after || (int)set->level > level || !set->bits != !bits)
				continue;
			if (bits && !m->filled[row]) {
				put_range(set, range, to);
				m->filled[row] = 1;
			} else if (add_range(set, range, to, &m->cursor[i]))
				return (int)set->layer;
		}
		for (size_t row = 0; bits && row < 2ull * layers; row++)
			if (!m->filled[row])
				memset(m->rows + row * stride, 0, range->words * sizeof *m->rows);
	}
	return -1;
}

static int count_range(kith_tally *t, uint64_t node, uint32_t from, size_t count, const struct range *range)
{
	const kith_tally_plan *p = t->plan;
	uint64_t stride = row_stride(p), own = node - range->lo;
	for (int q = (int)from, after = -1; q < (int)p->levels; after = q++) {
		int bad = add_sets(t, range, count, after, q);
		for (uint32_t v = 0; bad < 0 && node >= range->lo && node < range->hi && v < p->layers; v++)
			if (t->many.rows[v * stride + own / 64] >> own % 64 & 1)
				bad = (int)v;
		if (bad >= 0)
			return bad;
		count_rows(t, (uint32_t)q, range);
	}
	return -1;
}

int kith_many_node(kith_tally *t, uint64_t node, uint32_t from, const kith_tally_source *sources, size_t count)
{
	const kith_tally_plan *p = t->plan;
	struct range range = {.whole = p->n <= p->slots};
	for (size_t i = 0; i < 2 * count; i++) {
		t->many.sets[i] = kith_tally_set_at(&sources[i], node);
		t->many.cursor[i] = 0;
	}
	for (; range.lo < p->n; range.lo = range.hi) {
		range.hi = p->n - range.lo > p->slots ? range.lo + p->slots : p->n;
		range.words = (uint32_t)((range.hi - range.lo + 63) / 64);
		uint64_t above = node + 1 > range.lo ? node + 1 - range.lo : 0;
		range.above = above / 64 < range.words ? (uint32_t)(above / 64) : range.words;
		range.mask = ~0ull << above % 64;
		int bad = count_range(t, node, from, count, &range);
		if (bad >= 0) { /* other samples may follow before anyone looks */
			memset(t->many.common, 0, p->levels * kith_tally_layer_pairs(p) * sizeof *t->many.common);
			return bad;
		}
	}
	for (uint32_t q = from; !range.whole && q < p->levels; q++)
		count_histogram(t, q, t->many.common + q * kith_tally_layer_pairs(p));
	return -1;
}
