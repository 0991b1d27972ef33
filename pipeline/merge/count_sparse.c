/* count_sparse.c - counts samples whose ids are few. Each id that is met, in several layers or in several rows and
 * reverse lists of one, gets a mask over the layers that have it, which is found by hash. Masks of rows, turned into
 * columns, are what NNTS is counted from, sample by sample. Masks of pairs need not know their sample: they wait in a
 * pool until there are enough to be counted together. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bit_kernels.h"
#include "count_parts.h"
#include "cpu.h"

#define MOST_FEW   (UINT16_MAX - 1u)
#define FEW_BYTES  (128u << 20) /* of what grows with the ids of a sample */
#define ROOMY      12u          /* bits of a hash: up to here eight places for each id, so that few share one */
#define POOL       512u         /* pairs that are worth counting */
#define TURNED     8u           /* times 64 of them are counted at a time */
#define ROOM       16384u       /* ids of samples brought together */
#define SMALL_K    31u          /* up to here it pays to look for each number among all pairs of layers */
#define WAITING    16u          /* samples whose numbers are looked through at once, */
#define NUMBERS    (1u << 20)   /* or fewer, so that they take no more than so many bytes */
#define LEAST_MASK 32u          /* up to so many layers, rows and reverse lists share the words of a mask */

/* ---- sizes ---- */

/* Rows and reverse lists of few layers are the lower and upper half of one word; else rows have the first half of all
 * words. */
static int halves(const kith_tally_plan *p)
{
	return p->layers <= LEAST_MASK;
}

static uint32_t row_words(const kith_tally_plan *p)
{
	return kith_tally_mask_words(p);
}

static uint32_t all_words(const kith_tally_plan *p)
{
	return halves(p) ? 1 : 2 * row_words(p);
}

/* The bits of a mask's first words that are of rows. */
static uint64_t row_bits(const kith_tally_plan *p)
{
	return halves(p) ? (1ull << LEAST_MASK) - 1 : ~0ull;
}

/* From a layer's column to that of its reverse lists. */
static uint32_t to_reverse(const kith_tally_plan *p)
{
	return halves(p) ? LEAST_MASK : 64 * row_words(p);
}

/* From word to word of the masks met or side by side, and in the pool. */
static size_t met_stride(const kith_tally_plan *p)
{
	return p->hashed + 64ull;
}

static size_t pool_stride(const kith_tally_plan *p)
{
	return p->hashed + POOL + 64ull;
}

/* Places of a table, a power of two, for so many ids. */
static uint32_t table_bits(uint64_t ids)
{
	uint32_t bits = 2;
	while (1ull << bits < 8 * ids && bits < ROOMY)
		bits++;
	while (1ull << bits < 2 * ids && bits < 16)
		bits++;
	return bits;
}

static size_t column_words(const kith_tally_plan *p)
{
	return (p->hashed / 64 + 1) * 64ull * row_words(p) + KITH_BITS_SPARE;
}

/* Stretches, and one behind the last. */
static uint64_t stretches(const kith_tally_plan *p)
{
	return p->levels * 2ull * row_words(p) + 1;
}

/* Pairs of layers, in a row of numbers: a multiple of 64. */
static size_t number_stride(const kith_tally_plan *p)
{
	return (kith_tally_layer_pairs(p) + 63) / 64 * 64;
}

static int is_small(const kith_tally_plan *p, uint32_t level)
{
	return p->k[level] <= SMALL_K;
}

/* Where the young histograms of a level begin: where k is small, number by number, else pair by pair. */
static size_t young_start(const kith_tally_plan *p, uint32_t level)
{
	size_t at = 0;
	for (uint32_t q = 0; q < level; q++)
		at += (is_small(p, q) ? number_stride(p) : kith_tally_layer_pairs(p)) * (p->k[q] + 1ull);
	return at;
}

static uint32_t most_waiting(const kith_tally_plan *p)
{
	size_t fit = NUMBERS / (number_stride(p) + 1);
	return fit > WAITING ? WAITING : fit ? (uint32_t)fit : 1;
}

static size_t numbers_size(const kith_tally_plan *p)
{
	return p->levels * most_waiting(p) * number_stride(p);
}

uint64_t kith_few_room(const kith_tally_plan *p)
{
	return p->hashed + KITH_SETS_SPARE > ROOM ? p->hashed + KITH_SETS_SPARE : ROOM;
}

uint64_t kith_few_most(const kith_tally_plan *p)
{
	/* of each id: its mask, twice at most; that of its row, twice, and its columns; and its place in the pools */
	uint64_t most = FEW_BYTES / (8ull * row_words(p) * (5 + 2 * p->levels));
	return most < MOST_FEW ? most : MOST_FEW;
}

uint64_t kith_few_bytes(const kith_tally_plan *p)
{
	uint64_t words = (all_words(p) + row_words(p)) * met_stride(p) + column_words(p) +
			 p->levels * all_words(p) * pool_stride(p) + TURNED * 64 * (all_words(p) + row_words(p));
	return words * 8 + kith_few_room(p) * 5 + met_stride(p) * 18 + stretches(p) * sizeof(kith_few_stretch) +
	       (4ull << table_bits(p->hashed)) + 2 * (kith_tally_layer_pairs(p) + KITH_BITS_SPARE) +
	       young_start(p, p->levels) + numbers_size(p);
}

int kith_few_init(kith_few *f, const kith_tally_plan *p)
{
	int missing = 0;
	missing |= !(f->id = kith_alloc(kith_few_room(p), sizeof *f->id));
	missing |= !(f->bit = kith_alloc(kith_few_room(p), sizeof *f->bit));
	missing |= !(f->stretch = kith_alloc(stretches(p), sizeof *f->stretch));
	missing |= !(f->hash = kith_alloc(met_stride(p), sizeof *f->hash));
	missing |= !(f->table = kith_alloc(1ull << table_bits(p->hashed), sizeof *f->table));
	missing |= !(f->again = kith_alloc_zero(1ull << table_bits(p->hashed), sizeof *f->again));
	missing |= !(f->used = kith_alloc(met_stride(p), sizeof *f->used));
	missing |= !(f->mask = kith_alloc_zero(all_words(p) * met_stride(p), sizeof *f->mask));
	missing |= !(f->slots = kith_alloc(row_words(p) * met_stride(p), sizeof *f->slots));
	missing |= !(f->columns = kith_alloc_zero(column_words(p), sizeof *f->columns));
	missing |= !(f->shared = kith_alloc(kith_tally_layer_pairs(p) + KITH_BITS_SPARE, sizeof *f->shared));
	missing |= !(f->lists = kith_alloc(2 * met_stride(p), sizeof *f->lists));
	missing |= !(f->numbers = kith_alloc_zero(numbers_size(p), sizeof *f->numbers));
	missing |= !(f->young = kith_alloc_zero(young_start(p, p->levels), sizeof *f->young));
	missing |= !(f->pool = kith_alloc(p->levels * all_words(p) * pool_stride(p), sizeof *f->pool));
	missing |= !(f->turned = kith_alloc(64ull * TURNED * all_words(p), sizeof *f->turned));
	missing |= !(f->both = kith_alloc(64ull * TURNED * row_words(p), sizeof *f->both));
	return missing;
}

void kith_few_free(kith_few *f)
{
	free(f->id);
	free(f->bit);
	free(f->stretch);
	free(f->hash);
	free(f->table);
	free(f->again);
	free(f->used);
	free(f->mask);
	free(f->slots);
	free(f->columns);
	free(f->shared);
	free(f->lists);
	free(f->numbers);
	free(f->young);
	free(f->pool);
	free(f->turned);
	free(f->both);
}

/* ---- ids ---- */

/* Takes the sources of one side and level, from the *at-th on, sample x's to the at[x]-th place: sixteen ids at a time,
 * and for each the bit that its layer and side have in a word of the masks. All samples' ids of a source are taken
 * together, since they lie together; samples' own lie far apart, too many streams to be foreseen. */
KITH_CLONES static void take_side(kith_few *f, const kith_tally_plan *p, const kith_tally_source *sources, size_t count,
				  uint32_t side, uint32_t level, size_t *at, uint64_t first, uint32_t nodes,
				  uint32_t *place)
{
	uint32_t half = side * LEAST_MASK, word = UINT32_MAX;
	int by_halves = halves(p);
	size_t s = *at;
	for (; s < count && sources[s].level <= level; s++) {
		const kith_sets *sets = sources[s].sets;
		const uint64_t *offset = sets->offset + (first - sets->first);
		uint32_t layer = sources[s].layer, own = by_halves ? 0 : side * row_words(p) + layer / 64;
		int bit = (int)(by_halves ? half + layer : layer % 64);
		if (own != word) {
			kith_few_stretch *stretch = &f->stretch[f->stretches++];
			stretch->level = level;
			stretch->word = word = own;
			for (uint32_t x = 0; x < nodes; x++)
				stretch->from[x] = place[x] - f->start[x];
		}
		for (uint32_t x = 0; x < nodes; x++) {
			const uint32_t *from = sets->id + offset[x];
			uint32_t size = (uint32_t)(offset[x + 1] - offset[x]), *to = f->id + place[x];
			uint8_t *to_bit = f->bit + place[x];
			__builtin_prefetch(from + (offset[nodes] - offset[0]), 0, 1);
			place[x] += size;
			memcpy(to, from, KITH_SETS_SPARE * sizeof *to);
			memset(to_bit, bit, KITH_SETS_SPARE);
			for (uint32_t i = KITH_SETS_SPARE; i < size; i += KITH_SETS_SPARE) {
				memcpy(to + i, from + i, KITH_SETS_SPARE * sizeof *to);
				memset(to_bit + i, bit, KITH_SETS_SPARE);
			}
		}
	}
	*at = s;
}

void kith_few_take(kith_tally *t, const kith_tally_source *sources, size_t count, uint64_t first, uint32_t nodes,
		   uint32_t levels, const uint32_t *ids)
{
	kith_few *f = &t->few;
	uint32_t place[KITH_TALLY_TOGETHER], all = 0;
	size_t r = 0, v = count;
	for (uint32_t x = 0; x < nodes; x++) {
		f->start[x] = place[x] = all;
		all += ids[x] + KITH_SETS_SPARE;
	}
	f->stretches = 0;
	for (uint32_t q = 0; q < levels; q++) { /* rows of a level before its reverse lists */
		take_side(f, t->plan, sources, count, 0, q, &r, first, nodes, place);
		take_side(f, t->plan, sources, 2 * count, 1, q, &v, first, nodes, place);
		for (uint32_t x = 0; x < nodes; x++)
			f->end[q][x] = place[x] - f->start[x];
	}
	memcpy(f->stretch[f->stretches].from, f->end[levels - 1], sizeof f->end[0]);
}

/* The place of the e-th id's mask, of those whose place in the table another has: where it was looked for first. */
static uint32_t find_again(kith_few *f, const uint32_t *id, uint32_t e, uint32_t bits)
{
	uint32_t last = (1u << bits) - 1, place = id[e] * 2246822519u >> (32 - bits);
	while (f->again[place] && id[f->again[place] - 1] != id[e])
		place = (place + 1) & last;
	if (!f->again[place]) {
		f->again[place] = (uint16_t)(e + 1);
		f->used[f->used_count++] = place;
	}
	return f->again[place] - 1u;
}

/* Adds the bits of ids from..to-1 to their masks. Nearly all have the place in the table where they were met first, and
 * no branch depends on which that is. Kept out of its caller, in which its loop would run out of registers. */
static __attribute__((noinline)) void add_bits(kith_few *f, const uint32_t *id, const uint8_t *bit, uint64_t *mask,
					       uint32_t from, uint32_t to, uint32_t hash_bits)
{
	const uint16_t *table = f->table, *hash = f->hash;
	for (uint32_t e = from; e < to;) {
		uint32_t here = to - e < 32 ? to - e : 32, met = 0;
		for (uint32_t i = 0; i < here; i++, e++) {
			uint32_t first = table[hash[e]], same = id[first] == id[e];
			mask[first] |= (uint64_t)same << bit[e];
			met += met + same;
		}
		for (uint32_t others = ~met << (32 - here) >> (32 - here); others; others &= others - 1) {
			uint32_t other = e - 1 - (uint32_t)__builtin_ctz(others);
			mask[find_again(f, id, other, hash_bits)] |= 1ull << bit[other];
		}
	}
}

/* ---- counting ---- */

/* Squares of 64 masks, in `words` words each, as columns. */
static void turn(const uint64_t *masks, size_t stride, uint32_t words, uint32_t squares, uint64_t *to)
{
	for (uint32_t s = 0; s < squares; s++)
		for (uint32_t w = 0; w < words; w++, to += 64)
			kith_bits_transpose(to, masks + w * stride + 64ull * s);
}

/* After the last of `count` masks, empty ones up to a multiple of 64. Returns how many times 64. */
static uint32_t fill_up(uint64_t *masks, size_t stride, uint32_t words, uint32_t count)
{
	for (uint32_t w = 0; w < words; w++)
		memset(masks + w * stride + count, 0, (-count & 63) * sizeof *masks);
	return (count + 63) / 64;
}

/* Looks through the numbers that wait, at a level whose k is small. */
static void count_numbers(kith_few *f, const kith_tally_plan *p, uint32_t level)
{
	size_t stride = number_stride(p);
	kith_bits_histograms(f->numbers + level * most_waiting(p) * stride, stride, f->waiting[level], p->k[level] + 1,
			     f->young + young_start(p, level));
	f->waiting[level] = 0;
}

/* Neighbours shared go to the young histograms, whose bytes hold a few samples and fit a cache where those of all
 * samples would not. */
KITH_CLONES static void count_shared(kith_few *f, const kith_tally_plan *p, uint32_t level)
{
	uint32_t pairs = (uint32_t)kith_tally_layer_pairs(p), bins = p->k[level] + 1;
	const uint16_t *shared = f->shared;
	if (is_small(p, level)) {
		uint8_t *numbers = f->numbers + (level * most_waiting(p) + f->waiting[level]) * number_stride(p);
		for (uint32_t pair = 0; pair < pairs; pair++)
			numbers[pair] = (uint8_t)shared[pair];
		if (++f->waiting[level] == most_waiting(p))
			count_numbers(f, p, level);
		return;
	}
	uint8_t *histogram = f->young + young_start(p, level);
	for (uint32_t pair = 0; pair < pairs; pair++, histogram += bins)
		histogram[shared[pair]]++;
}

KITH_CLONES static void grow_up(kith_tally *t)
{
	const kith_tally_plan *p = t->plan;
	kith_few *f = &t->few;
	uint64_t pairs = kith_tally_layer_pairs(p);
	for (uint32_t q = 0; f->young_samples && q < p->levels; q++) {
		uint64_t bins = p->k[q] + 1ull;
		uint32_t *to = t->overlap + p->start[q];
		const uint8_t *from = f->young + young_start(p, q);
		if (is_small(p, q)) {
			count_numbers(f, p, q);
			for (uint64_t c = 0; c < bins; c++, from += number_stride(p))
				for (uint64_t pair = 0; pair < pairs; pair++)
					to[pair * bins + c] += from[pair];
		} else
			for (uint64_t i = 0; i < pairs * bins; i++)
				to[i] += from[i];
	}
	memset(f->young, 0, young_start(p, p->levels));
	f->young_samples = 0;
}

/* Pairs of one graph from squares in columns. */
KITH_CLONES static void join_sides(const kith_tally_plan *p, const uint64_t *turned, uint32_t squares, int graph,
				   uint64_t *both)
{
	uint32_t lanes = kith_tally_lanes(p), reverse = to_reverse(p);
	for (uint32_t s = 0; s < squares; s++, turned += 64 * all_words(p), both += 64 * row_words(p))
		if (graph == KITH_UNION)
			for (uint32_t v = 0; v < lanes; v++)
				both[v] = turned[v] | turned[reverse + v];
		else
			for (uint32_t v = 0; v < lanes; v++)
				both[v] = turned[v] & turned[reverse + v];
}

static void count_runs(kith_tally *t, int graph, uint32_t level, const uint64_t *pool, uint32_t count)
{
	const kith_tally_plan *p = t->plan;
	uint32_t words = row_words(p);
	size_t stride = pool_stride(p);
	uint64_t mask[KITH_MAX_LAYERS / 64];
	for (uint32_t s = 0; s < count; s++) {
		uint64_t any = 0;
		for (uint32_t w = 0; w < words; w++) {
			uint64_t x = pool[w * stride + s],
				 y = halves(p) ? x >> LEAST_MASK : pool[(words + w) * stride + s];
			any |= mask[w] = (graph == KITH_UNION ? x | y : x & y) & row_bits(p);
		}
		if (any)
			kith_runs_mask(t, graph, level, mask);
	}
}

/* Counts the pairs in the pool, and empties it. */
static void count_pool(kith_tally *t, uint32_t level)
{
	const kith_tally_plan *p = t->plan;
	kith_few *f = &t->few;
	uint32_t words = all_words(p), lanes = kith_tally_lanes(p), here;
	size_t stride = pool_stride(p), step = 64ull * words, both_step = 64ull * row_words(p);
	uint64_t *pool = f->pool + level * words * stride;
	uint32_t count = f->pooled[level], squares = fill_up(pool, stride, words, count);
	for (uint32_t s = 0; s < squares; s += here) {
		here = squares - s < TURNED ? squares - s : TURNED;
		turn(pool + 64ull * s, stride, words, here, f->turned);
		kith_bits_count_columns(f->turned, here, step, lanes, t->counts);
		kith_bits_count_columns(f->turned + to_reverse(p), here, step, lanes, t->counts);
		kith_tally_add_counts(t, t->edges + (size_t)level * p->layers);
		for (int g = 0; g < 2; g++) {
			if (!p->counts[g])
				continue;
			join_sides(p, f->turned, here, g, f->both);
			kith_bits_count_columns(f->both, here, both_step, lanes, t->counts);
			kith_tally_add_counts(t, t->pairs[g] + (size_t)level * p->layers);
			if (kith_runs_by_layers(p))
				kith_runs_columns(t, g, level, f->both, here, both_step);
		}
	}
	for (int g = 0; g < 2; g++)
		if (p->counts[g] && !kith_runs_by_layers(p))
			count_runs(t, g, level, pool, count);
	f->pooled[level] = 0;
}

/* The first layer whose row has the sample itself, which some row has. */
static int layer_of_own(const kith_bits_met *met, uint32_t node)
{
	for (uint32_t e = 0; e < met->count; e++)
		for (uint32_t w = 0; met->id[e] == node && w < met->row_words; w++)
			if (met->mask[w * met->stride + e] & met->row_bits)
				return (int)(64 * w + (uint32_t)__builtin_ctzll(met->mask[w * met->stride + e]));
	return -1;
}

/* One level, from the masks of the first `count` ids met. Returns as kith_few_node does. */
static int count_level(kith_tally *t, uint64_t node, uint32_t level, const uint32_t *id, uint32_t count)
{
	const kith_tally_plan *p = t->plan;
	kith_few *f = &t->few;
	uint32_t lanes = kith_tally_lanes(p), words = row_words(p), squares, found[2];
	size_t step = 64ull * words;
	int bad = -1;
	kith_bits_met met = {.id = id,
			     .mask = f->mask,
			     .stride = met_stride(p),
			     .words = all_words(p),
			     .row_words = words,
			     .row_bits = row_bits(p),
			     .count = count,
			     .lists = f->lists};
	if (kith_bits_slots(&met, (uint32_t)node, f->slots,
			    f->pool + level * met.words * pool_stride(p) + f->pooled[level], pool_stride(p), found))
		return layer_of_own(&met, (uint32_t)node);

	squares = fill_up(f->slots, met.stride, words, found[0]);
	turn(f->slots, met.stride, words, squares, f->columns);
	kith_bits_count_columns(f->columns, squares, step, lanes, t->counts);
	for (uint32_t v = 0; bad < 0 && v < p->layers; v++)
		if (t->counts[v] != p->k[level]) /* an id is there twice */
			bad = (int)v;
	memset(t->counts, 0, lanes * sizeof *t->counts);
	if (bad >= 0)
		return bad;
	kith_bits_overlaps_columns(f->columns, squares, step, p->layers, f->shared);
	count_shared(f, p, level);

	f->pooled[level] += found[1];
	if (f->pooled[level] >= POOL)
		count_pool(t, level);
	return -1;
}

int kith_few_node(kith_tally *t, uint64_t node, uint32_t x, uint32_t levels)
{
	const kith_tally_plan *p = t->plan;
	kith_few *f = &t->few;
	const uint32_t *id = f->id + f->start[x];
	uint32_t met = f->end[levels - 1][x], bits = table_bits(met), s = 0;
	int bad = -1;

	kith_bits_hash(id, met, bits, f->hash);
	for (uint32_t e = met; e-- > 0;) /* the first one of all that have a hash stays */
		f->table[f->hash[e]] = (uint16_t)e;
	for (uint32_t w = 0; w < all_words(p); w++)
		memset(f->mask + w * met_stride(p), 0, met * sizeof *f->mask);
	for (uint32_t q = 0; bad < 0 && q < levels; q++) {
		for (; s < f->stretches && f->stretch[s].level == q; s++)
			add_bits(f, id, f->bit + f->start[x], f->mask + f->stretch[s].word * met_stride(p),
				 f->stretch[s].from[x], f->stretch[s + 1].from[x], bits);
		bad = count_level(t, node, q, id, f->end[q][x]);
	}
	while (f->used_count)
		f->again[f->used[--f->used_count]] = 0;
	if (++f->young_samples == UINT8_MAX)
		grow_up(t);
	return bad;
}

void kith_few_finish(kith_tally *t)
{
	grow_up(t);
	for (uint32_t q = 0; q < t->plan->levels; q++)
		if (t->few.pooled[q])
			count_pool(t, q);
}
