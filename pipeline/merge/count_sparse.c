/* count_sparse.c - see count_sparse.h */
#include "count_sparse.h"

#include <string.h>

#include "cpu.h"

#define MOST_IDS      (UINT16_MAX - 1u) /* positions are stored in 16 bits */
#define MOST_BYTES    (128u << 20)      /* of the buffers that grow with the ids of a sample */
#define POSITION_BITS 16u               /* of the position of a mask, below an id */
#define ROOMY_BITS    12u               /* hashes of up to this many bits have eight slots for each id: few collide */
#define PAIRS         512u              /* pairs that are counted together */
#define SQUARES       8u                /* squares of 64 pairs that are transposed together */
#define ROOM          16384u            /* ids that are collected at once */

/* ---- sizes ---- */

/* From word to word of the masks of one sample, and of those of pairs. */
static size_t mask_stride(const kith_count_plan *p)
{
	return p->sparse_ids + 64ull;
}

static size_t pair_stride(const kith_count_plan *p)
{
	return p->sparse_ids + PAIRS + 64ull;
}

/* Bits of a hash of `ids` ids. */
static uint32_t hash_bits(uint64_t ids)
{
	uint32_t bits = 2;
	while (1ull << bits < 8 * ids && bits < ROOMY_BITS)
		bits++;
	while (1ull << bits < 2 * ids && bits < 16)
		bits++;
	return bits;
}

static size_t slot_major_words(const kith_count_plan *p)
{
	return (p->sparse_ids / 64 + 1) * 64ull * kith_mask_row_words(p) + KITH_BITS_SPARE;
}

/* Segments, and one after the last. */
static uint64_t most_segments(const kith_count_plan *p)
{
	return p->tiers * 2ull * kith_mask_row_words(p) + 1;
}

uint64_t kith_count_sparse_room(const kith_count_plan *p)
{
	return p->sparse_ids + KITH_SETS_SPARE > ROOM ? p->sparse_ids + KITH_SETS_SPARE : ROOM;
}

uint64_t kith_count_sparse_most(const kith_count_plan *p)
{
	/* words of an id: its mask (2 at most), its row mask and that transposed (3), and its masks as a pair */
	uint64_t most = MOST_BYTES / (8ull * kith_mask_row_words(p) * (5 + 2 * p->tiers));
	return most < MOST_IDS ? most : MOST_IDS;
}

void kith_count_sparse_list(kith_workspace *w, kith_count_sparse *s, const kith_count_plan *p)
{
	uint64_t words = kith_mask_words(p), row_words = kith_mask_row_words(p);
	memset(s, 0, sizeof *s);
	KITH_BUFFER(w, s->id, kith_count_sparse_room(p));
	KITH_BUFFER(w, s->layer_bit, kith_count_sparse_room(p));
	KITH_BUFFER(w, s->segment, most_segments(p));
	KITH_BUFFER(w, s->hash, mask_stride(p));
	KITH_BUFFER(w, s->table, 1ull << hash_bits(p->sparse_ids));
	KITH_BUFFER_ZERO(w, s->overflow, 1ull << hash_bits(p->sparse_ids));
	KITH_BUFFER(w, s->overflow_used, mask_stride(p));
	KITH_BUFFER_ZERO(w, s->mask, words * mask_stride(p));
	KITH_BUFFER(w, s->row_masks, row_words * mask_stride(p));
	KITH_BUFFER_ZERO(w, s->slot_major, slot_major_words(p));
	for (int o = 0; o < 2; o++)
		KITH_BUFFER(w, s->order[o], p->pair_room || p->groups ? mask_stride(p) : 0);
	KITH_BUFFER(w, s->shared, kith_layer_pairs(p->layers) + KITH_BITS_SPARE);
	KITH_BUFFER_ZERO(w, s->batch, p->start[p->tiers]);
	KITH_BUFFER(w, s->pair_masks, p->tiers * words * pair_stride(p));
	KITH_BUFFER(w, s->pair_slot_major, 64ull * SQUARES * words);
	KITH_BUFFER(w, s->joined, 64ull * SQUARES * row_words);
}

/* ---- ids ---- */

/* Collects the sources of one side (rows or reverse lists) and tier, from the *at-th on; those of sample x from
 * place[x] on. Copies sixteen ids at a time. All samples' ids of a source are taken together, since they lie together;
 * going sample by sample would read from more streams than processors prefetch. */
KITH_CLONES static void collect_side(kith_count_sparse *s, const kith_count_plan *p, const kith_count_sources *sources,
				     uint32_t side, uint32_t tier, size_t *at, uint64_t first, uint32_t nodes,
				     uint32_t *place)
{
	uint32_t word = UINT32_MAX;
	int halved = kith_mask_is_halved(p);
	size_t i = *at;
	for (; i < sources->count && sources->source[i].tier <= tier; i++) {
		const kith_count_source *source = &sources->source[side * sources->count + i];
		const kith_sets *sets = source->sets;
		const uint64_t *offset = sets->offset + (first - sets->first);
		uint32_t layer = source->layer, own = halved ? 0 : side * kith_mask_row_words(p) + layer / 64;
		int bit = (int)(halved ? side * KITH_MASK_HALF + layer : layer % 64);
		if (own != word) {
			kith_sparse_segment *segment = &s->segment[s->segments++];
			segment->tier = tier;
			segment->word = word = own;
			for (uint32_t x = 0; x < nodes; x++)
				segment->from[x] = place[x] - s->start[x];
		}
		for (uint32_t x = 0; x < nodes; x++) {
			const uint32_t *from = sets->id + offset[x];
			uint32_t size = (uint32_t)(offset[x + 1] - offset[x]), *to = s->id + place[x];
			uint8_t *to_bit = s->layer_bit + place[x];
			__builtin_prefetch(from + (offset[nodes] - offset[0]), 0, 1);
			place[x] += size;
			memcpy(to, from, KITH_SETS_SPARE * sizeof *to);
			memset(to_bit, bit, KITH_SETS_SPARE);
			for (uint32_t e = KITH_SETS_SPARE; e < size; e += KITH_SETS_SPARE) {
				memcpy(to + e, from + e, KITH_SETS_SPARE * sizeof *to);
				memset(to_bit + e, bit, KITH_SETS_SPARE);
			}
		}
	}
	*at = i;
}

void kith_count_sparse_collect(kith_count_sparse *s, const kith_count_plan *p, const kith_count_sources *sources,
			       uint64_t first, uint32_t nodes, uint32_t tiers, const uint32_t *ids)
{
	uint32_t place[KITH_SPARSE_SAMPLES], all = 0;
	size_t row = 0, reverse = 0;
	for (uint32_t x = 0; x < nodes; x++) {
		s->start[x] = place[x] = all;
		all += ids[x] + KITH_SETS_SPARE;
	}
	s->segments = 0;
	for (uint32_t q = 0; q < tiers; q++) {
		collect_side(s, p, sources, 0, q, &row, first, nodes, place);
		collect_side(s, p, sources, 1, q, &reverse, first, nodes, place);
		for (uint32_t x = 0; x < nodes; x++)
			s->end[q][x] = place[x] - s->start[x];
	}
	memcpy(s->segment[s->segments].from, s->end[tiers - 1], sizeof s->end[0]);
}

/* The owner of the mask of id[e], whose slot of the table another id has. */
static uint32_t find_overflow(kith_count_sparse *s, const uint32_t *id, uint32_t e, uint32_t bits)
{
	uint32_t last = (1u << bits) - 1, slot = id[e] * 2246822519u >> (32 - bits);
	while (s->overflow[slot] && id[s->overflow[slot] - 1] != id[e])
		slot = (slot + 1) & last;
	if (!s->overflow[slot]) {
		s->overflow[slot] = (uint16_t)(e + 1);
		s->overflow_used[s->overflow_count++] = slot;
	}
	return s->overflow[slot] - 1u;
}

/* Adds the bits of occurrences from..to-1 to their owners' masks. For nearly all, the table has the owner; no branch
 * depends on which have not. Not inlined: in its caller the loop would run out of registers. */
static __attribute__((noinline)) void add_bits(kith_count_sparse *s, const uint32_t *id, const uint8_t *bit,
					       uint64_t *mask, uint32_t from, uint32_t to, uint32_t bits)
{
	const uint16_t *table = s->table, *hash = s->hash;
	for (uint32_t e = from; e < to;) {
		uint32_t here = to - e < 32 ? to - e : 32, found = 0;
		for (uint32_t i = 0; i < here; i++, e++) {
			uint32_t owner = table[hash[e]], same = id[owner] == id[e];
			mask[owner] |= (uint64_t)same << bit[e];
			found += found + same;
		}
		for (uint32_t others = ~found << (32 - here) >> (32 - here); others; others &= others - 1) {
			uint32_t other = e - 1 - (uint32_t)__builtin_ctz(others);
			mask[find_overflow(s, id, other, bits)] |= 1ull << bit[other];
		}
	}
}

/* ---- overlaps ---- */

/* Transposes squares of 64 masks, of `words` words each, to slot-major bits. */
static void transpose(const kith_bit_kernels *kernels, const uint64_t *masks, size_t stride, uint32_t words,
		      uint32_t squares, uint64_t *to)
{
	for (uint32_t x = 0; x < squares; x++)
		for (uint32_t w = 0; w < words; w++, to += 64)
			kernels->transpose(to, masks + w * stride + 64ull * x);
}

/* Appends empty masks up to a multiple of 64. Returns the number of squares of 64. */
static uint32_t fill_square(uint64_t *masks, size_t stride, uint32_t words, uint32_t count)
{
	for (uint32_t w = 0; w < words; w++)
		memset(masks + w * stride + count, 0, (-count & 63) * sizeof *masks);
	return (count + 63) / 64;
}

/* Adds the overlaps of a sample to the batch histograms. These count in bytes the few samples of a batch, and fit a
 * cache that the histograms of all samples would not. */
static void add_overlaps(kith_count_sparse *s, const kith_count_plan *p, uint32_t tier)
{
	uint32_t pairs = (uint32_t)kith_layer_pairs(p->layers), bins = p->k[tier] + 1;
	const uint16_t *shared = s->shared;
	uint8_t *histogram = s->batch + p->start[tier];
	for (uint32_t pair = 0; pair < pairs; pair++, histogram += bins)
		histogram[shared[pair]]++;
}

/* Adds the batch histograms to those of all samples, and clears them. */
KITH_CLONES static void flush_batch(kith_counts *c, kith_count_sparse *s)
{
	uint64_t size = c->plan->start[c->plan->tiers];
	uint32_t *to = c->overlap;
	const uint8_t *from = s->batch;
	for (uint64_t i = 0; i < size; i++)
		to[i] += from[i];
	memset(s->batch, 0, size);
	s->batch_samples = 0;
}

/* ---- pairs ---- */

/* The layers in which the e-th pair is present. Returns 0 if there are none. */
static inline uint64_t join_mask(const kith_count_plan *p, int graph, const uint64_t *masks, uint32_t e, uint64_t *mask)
{
	uint32_t words = kith_mask_row_words(p);
	int halved = kith_mask_is_halved(p);
	size_t stride = pair_stride(p);
	uint64_t any = 0;
	for (uint32_t w = 0; w < words; w++) {
		uint64_t x = masks[w * stride + e], y = halved ? x >> KITH_MASK_HALF : masks[(words + w) * stride + e];
		any |= mask[w] = (graph == KITH_UNION ? x | y : x & y) & kith_mask_row_bits(p);
	}
	return any;
}

static void count_runs(kith_counts *c, int graph, uint32_t tier, const uint64_t *masks, uint32_t count)
{
	uint64_t mask[KITH_MAX_LAYERS / 64];
	for (uint32_t e = 0; e < count; e++)
		if (join_mask(c->plan, graph, masks, e, mask))
			kith_runs_count_mask(&c->runs, graph, tier, mask);
}

/* Counts the pairs of some transposed squares: edges, pairs, and runs that follow from spans. */
static void count_squares(kith_counts *c, kith_count_sparse *s, uint32_t tier, uint32_t squares)
{
	const kith_count_plan *p = c->plan;
	uint32_t lanes = kith_plan_lanes(p);
	size_t step = 64ull * kith_mask_words(p), joined_step = 64ull * kith_mask_row_words(p),
	       to = (size_t)tier * p->layers;
	c->kernels->count_slot_major(s->pair_slot_major, squares, step, lanes, c->lane);
	c->kernels->count_slot_major(s->pair_slot_major + kith_mask_to_reverse(p), squares, step, lanes, c->lane);
	kith_counts_take_lanes(c, c->edges + to);
	for (int g = 0; g < 2; g++) {
		if (!p->graphs[g])
			continue;
		for (uint32_t x = 0; x < squares; x++) {
			const uint64_t *rows = s->pair_slot_major + x * step;
			kith_counts_join(g, rows, rows + kith_mask_to_reverse(p), lanes, s->joined + x * joined_step);
		}
		c->kernels->count_slot_major(s->joined, squares, joined_step, lanes, c->lane);
		kith_counts_take_lanes(c, c->pairs[g] + to);
		if (kith_runs_from_spans(p))
			kith_runs_count_slot_major(&c->runs, g, tier, s->joined, squares, joined_step);
	}
}

/* Counts the pairs collected at a tier. */
static void flush_pairs(kith_counts *c, kith_count_sparse *s, uint32_t tier)
{
	const kith_count_plan *p = c->plan;
	uint32_t words = kith_mask_words(p), here;
	size_t stride = pair_stride(p);
	uint64_t *masks = s->pair_masks + tier * words * stride;
	uint32_t count = s->pair_count[tier], squares = fill_square(masks, stride, words, count);
	for (uint32_t x = 0; x < squares; x += here) {
		here = squares - x < SQUARES ? squares - x : SQUARES;
		transpose(c->kernels, masks + 64ull * x, stride, words, here, s->pair_slot_major);
		count_squares(c, s, tier, here);
	}
	for (int g = 0; g < 2; g++)
		if (p->graphs[g] && !kith_runs_from_spans(p))
			count_runs(c, g, tier, masks, count);
	s->pair_count[tier] = 0;
}

/* ---- pairs for a pair store, and for groups of samples ---- */

/* Lists the ids above the sample among the first `count` occurrences in s->order[0], ids << POSITION_BITS | the
 * position of their masks, in the order that select keeps. Returns how many there are. */
static uint32_t list_above(kith_count_sparse *s, const kith_count_plan *p, uint64_t node, const uint32_t *id,
			   uint32_t count)
{
	uint64_t *order = s->order[0];
	uint32_t found = 0;
	for (uint32_t e = 0; e < count; e++) {
		uint64_t any = 0;
		for (uint32_t w = 0; w < kith_mask_words(p); w++)
			any |= s->mask[w * mask_stride(p) + e];
		order[found] = (uint64_t)id[e] << POSITION_BITS | found;
		found += (any != 0) & (id[e] > node);
	}
	return found;
}

/* Counts the pairs of the sample just counted for the groups of their samples. Positions are as in append_pairs. */
static void count_touching(kith_counts *c, kith_count_sparse *s, uint64_t node, const uint32_t *id, uint32_t count,
			   uint32_t tiers)
{
	const kith_count_plan *p = c->plan;
	uint64_t mask[KITH_MAX_LAYERS / 64];
	list_above(s, p, node, id, count);
	for (uint32_t q = 0; q < tiers; q++) {
		const uint64_t *masks =
			s->pair_masks + q * kith_mask_words(p) * pair_stride(p) + s->pair_count[q] - s->found[q];
		for (int g = 0; g < 2; g++)
			for (uint32_t e = 0; p->graphs[g] && e < s->found[q]; e++)
				if (join_mask(p, g, masks, e, mask))
					kith_runs_count_mask_touching(&c->runs, g, q, mask, (uint32_t)node,
								      (uint32_t)(s->order[0][e] >> POSITION_BITS));
	}
}

/* Sorts s->order[0] by ids below n: a radix sort by bytes. Returns where the sorted items are. */
static const uint64_t *sort_order(kith_count_sparse *s, uint32_t count, uint64_t n)
{
	uint64_t *from = s->order[0], *to = s->order[1];
	for (uint32_t shift = POSITION_BITS; (n - 1) << POSITION_BITS >> shift; shift += 8) {
		uint32_t start[257] = {0};
		for (uint32_t e = 0; e < count; e++)
			start[(from[e] >> shift & 255) + 1]++;
		for (uint32_t byte = 0; byte < 255; byte++)
			start[byte + 1] += start[byte];
		for (uint32_t e = 0; e < count; e++)
			to[start[from[e] >> shift & 255]++] = from[e];
		uint64_t *sorted = to;
		to = from;
		from = sorted;
	}
	return from;
}

/* Appends the pairs of the sample just counted, ascending, with the masks that its tiers added. Positions are the same
 * in all tiers: each adds ids after those of the tiers before. */
static void append_pairs(kith_count_sparse *s, kith_pair_batch *pairs, uint64_t node, const uint32_t *id,
			 uint32_t count)
{
	const kith_count_plan *p = pairs->plan;
	uint32_t words = kith_mask_words(p), above = list_above(s, p, node, id, count);
	const uint64_t *order = sort_order(s, above, p->n);
	kith_pair_batch_reserve(pairs, above);
	for (uint32_t e = 0; e < above; e++) {
		pairs->i[pairs->count + e] = (uint32_t)node;
		pairs->j[pairs->count + e] = (uint32_t)(order[e] >> POSITION_BITS);
	}
	for (uint32_t q = 0; q < p->tiers; q++)
		for (uint32_t w = 0; w < words; w++) {
			uint32_t found = s->found[q];
			const uint64_t *from =
				s->pair_masks + (q * words + w) * pair_stride(p) + s->pair_count[q] - found;
			uint64_t *to = kith_pair_batch_masks(pairs, q, w) + pairs->count;
			for (uint32_t e = 0; e < above; e++) {
				uint32_t at = order[e] & ((1u << POSITION_BITS) - 1);
				to[e] = at < found ? from[at] : 0;
			}
		}
	pairs->count += above;
}

/* ---- samples ---- */

/* The first layer whose row has the sample itself, which some row has. */
static int layer_of_own(const kith_bits_masks *m, uint32_t node)
{
	for (uint32_t e = 0; e < m->count; e++)
		for (uint32_t w = 0; m->id[e] == node && w < m->row_words; w++)
			if (m->mask[w * m->stride + e] & m->row_bits)
				return (int)(64 * w + (uint32_t)__builtin_ctzll(m->mask[w * m->stride + e]));
	return -1;
}

/* The first layer whose row has not exactly k ids: one of them is there twice. */
static int layer_of_repeated(kith_counts *c, uint32_t k)
{
	int layer = -1;
	for (uint32_t v = 0; layer < 0 && v < c->plan->layers; v++)
		if (c->lane[v] != k)
			layer = (int)v;
	memset(c->lane, 0, kith_plan_lanes(c->plan) * sizeof *c->lane);
	return layer;
}

/* Counts one tier from the masks of the first `count` occurrences. Returns as kith_count_sparse_node does. */
static int count_tier(kith_counts *c, kith_count_sparse *s, uint64_t node, uint32_t tier, const uint32_t *id,
		      uint32_t count)
{
	const kith_count_plan *p = c->plan;
	uint32_t words = kith_mask_row_words(p), squares, found[2];
	size_t step = 64ull * words;
	const kith_bits_masks m = {.id = id,
				   .mask = s->mask,
				   .stride = mask_stride(p),
				   .words = kith_mask_words(p),
				   .row_words = words,
				   .row_bits = kith_mask_row_bits(p),
				   .count = count};
	uint64_t *pair_masks = s->pair_masks + tier * m.words * pair_stride(p) + s->pair_count[tier];
	if (c->kernels->select(&m, (uint32_t)node, s->row_masks, pair_masks, pair_stride(p), found))
		return layer_of_own(&m, (uint32_t)node);

	squares = fill_square(s->row_masks, m.stride, words, found[0]);
	transpose(c->kernels, s->row_masks, m.stride, words, squares, s->slot_major);
	c->kernels->count_slot_major(s->slot_major, squares, step, kith_plan_lanes(p), c->lane);
	int bad = layer_of_repeated(c, p->k[tier]);
	if (bad >= 0)
		return bad;
	c->kernels->overlaps_slot_major(s->slot_major, squares, step, p->layers, s->shared);
	add_overlaps(s, p, tier);
	s->pair_count[tier] += s->found[tier] = found[1];
	return -1;
}

int kith_count_sparse_node(kith_counts *c, kith_count_sparse *s, kith_pair_batch *pairs, uint64_t node, uint32_t x,
			   uint32_t tiers)
{
	const kith_count_plan *p = c->plan;
	const uint32_t *id = s->id + s->start[x];
	const uint8_t *layer_bit = s->layer_bit + s->start[x];
	uint32_t count = s->end[tiers - 1][x], bits = hash_bits(count), i = 0;
	int bad = -1;

	kith_bits_hash(id, count, bits, s->hash);
	for (uint32_t e = count; e-- > 0;) /* of all that have a hash, the first stays */
		s->table[s->hash[e]] = (uint16_t)e;
	for (uint32_t w = 0; w < kith_mask_words(p); w++)
		memset(s->mask + w * mask_stride(p), 0, count * sizeof *s->mask);
	for (uint32_t q = 0; bad < 0 && q < tiers; q++) {
		for (; i < s->segments && s->segment[i].tier == q; i++)
			add_bits(s, id, layer_bit, s->mask + s->segment[i].word * mask_stride(p), s->segment[i].from[x],
				 s->segment[i + 1].from[x], bits);
		bad = count_tier(c, s, node, q, id, s->end[q][x]);
	}
	if (p->groups && bad < 0)
		count_touching(c, s, node, id, count, tiers);
	if (p->pair_room && bad < 0)
		append_pairs(s, pairs, node, id, count);
	while (s->overflow_count)
		s->overflow[s->overflow_used[--s->overflow_count]] = 0;
	for (uint32_t q = 0; q < tiers; q++)
		if (s->pair_count[q] >= PAIRS)
			flush_pairs(c, s, q);
	if (++s->batch_samples == UINT8_MAX)
		flush_batch(c, s);
	return bad;
}

void kith_count_sparse_finish(kith_counts *c, kith_count_sparse *s)
{
	flush_batch(c, s);
	for (uint32_t q = 0; q < c->plan->tiers; q++)
		if (s->pair_count[q])
			flush_pairs(c, s, q);
}
