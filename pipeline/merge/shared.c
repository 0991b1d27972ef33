/* shared.c - see shared.h. Of a block: which layers have each pair of a fresh layer is read off the woven sets, as
 * masks of bytes; the pair's two edges are put with the owners of their samples; then each owner adds the masks of its
 * edges, a bit to a counter, to the counters of these samples. */
#include "shared.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc.h"
#include "cpu.h"

#define OWNED     64u /* samples in a row whose counters one thread has */
#define WORDS     4u  /* of sets that are transposed together */
#define HUGE_PAGE (2u << 20)
#define AHEAD     16u /* pairs that their counters are fetched before */

/* Of a fresh layer, to be added to the counters of a sample. */
typedef struct kith_shared_edge {
	uint64_t row;   /* which counters: sample x fresh layers + layer */
	uint32_t mask;  /* which mask: pair x 2 + direction */
	uint32_t level; /* from where on it is there */
} edge;

/* ---- memory ---- */

/* Layers by eights. */
static uint32_t eights(const kith_tally_plan *p)
{
	return (p->layers + 7) / 8;
}

/* Bytes of the masks of a pair. */
static uint32_t mask_bytes(const kith_tally_plan *p)
{
	return 2 * p->levels * eights(p);
}

static uint32_t counter_width(const kith_tally_plan *p)
{
	uint32_t most = p->k[p->levels - 1];
	return most <= UINT8_MAX ? 1 : most <= UINT16_MAX ? 2 : 4;
}

uint64_t kith_shared_bytes(const kith_tally_plan *p, uint32_t fresh)
{
	return p->n * fresh * p->levels * eights(p) * counter_width(p) * sizeof(uint64_t);
}

uint64_t kith_shared_pair_bytes(const kith_tally_plan *p)
{
	return mask_bytes(p) + 2 * sizeof(edge);
}

/* Counters are met in any order: small pages would make nearly each a walk through the page tables. The system clears
 * pages as they are first touched, so that is done in parallel. */
static uint64_t *counters_new(uint64_t bytes, uint32_t threads)
{
	char *counters = kith_alloc(bytes, 1);
	if (!counters)
		return NULL;
	uintptr_t from = ((uintptr_t)counters + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
		  to = ((uintptr_t)counters + bytes) / HUGE_PAGE * HUGE_PAGE;
	if (to > from)
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* no matter if the system has none */
#pragma omp parallel for num_threads(threads) schedule(static)
	for (uint64_t at = 0; at < bytes; at += HUGE_PAGE)
		memset(counters + at, 0, bytes - at < HUGE_PAGE ? bytes - at : HUGE_PAGE);
	return (uint64_t *)counters;
}

int kith_shared_init(kith_shared *s, const kith_tally_plan *p, const kith_weave *weave, uint32_t threads, kith_err *err)
{
	uint64_t bytes = kith_shared_bytes(p, weave->fresh_count);
	s->plan = p;
	s->weave = weave;
	s->threads = threads;
	s->width = counter_width(p);
	s->counters = counters_new(bytes, threads);
	s->ones = kith_alloc_zero(256 * s->width, sizeof *s->ones);
	if (!s->counters || !s->ones)
		return kith_fail_nomem(err, "counters", bytes);
	for (uint32_t b = 0; b < 256 * 8; b++)
		((uint8_t *)s->ones)[b * s->width] = b / 8 >> b % 8 & 1; /* the lowest byte of a number */
	return 0;
}

void kith_shared_free(kith_shared *s)
{
	free(s->counters);
	free(s->ones);
}

int kith_shared_edges_init(kith_shared_edges *e, uint32_t threads, kith_err *err)
{
	e->begin = kith_alloc_zero(threads + 3, sizeof *e->begin);
	return e->begin ? 0 : kith_fail_nomem(err, "ranges of edges", (threads + 3) * sizeof *e->begin);
}

void kith_shared_edges_free(kith_shared_edges *e)
{
	free(e->masks);
	free(e->edges);
	free(e->begin);
}

/* ---- one block ---- */

static size_t pairs_of(const kith_weave *w, const size_t *from, const size_t *to)
{
	size_t pairs = 0;
	for (uint32_t f = 0; f < w->fresh_count; f++)
		pairs += to[f] - from[f];
	return pairs;
}

/* Of up to eight layers' bits of four words of pairs, a byte for each pair: in word w, that of pair 8 b + t is byte b
 * of out[t][w]. */
KITH_CLONES static void transpose(const uint64_t *plane, size_t stride, uint32_t layers, uint64_t out[8][WORDS])
{
	for (uint32_t v = 0; v < 8; v++)
		for (uint32_t w = 0; w < WORDS; w++)
			out[v][w] = v < layers ? plane[v * stride + w] : 0;
#define SWAP(step, lower)                                                                                              \
	for (uint32_t v = 0; v < 8; v = (v + step + 1) & ~step)                                                        \
		for (uint32_t w = 0; w < WORDS; w++) {                                                                 \
			uint64_t swap = ((out[v][w] >> step) ^ out[v + step][w]) & lower;                              \
			out[v + step][w] ^= swap;                                                                      \
			out[v][w] ^= swap << step;                                                                     \
		}
	SWAP(4u, 0x0f0f0f0f0f0f0f0f)
	SWAP(2u, 0x3333333333333333)
	SWAP(1u, 0x5555555555555555)
#undef SWAP
}

/* The masks of `count` pairs of a fresh layer, all in the same WORDS words of the sets. */
static void note_words(const kith_tally_plan *p, const kith_pair_planes *b, const uint32_t *at, size_t count,
		       uint8_t *masks)
{
	uint32_t layers = p->layers, bytes = mask_bytes(p);
	uint64_t turned[8][WORDS];
	uint8_t place[64 * WORDS]; /* of a pair's byte there */
	for (size_t x = 0; x < count; x++)
		place[x] = (uint8_t)(((at[x] & 7) * WORDS + at[x] / 64 % WORDS) * 8 + (at[x] >> 3 & 7));
	for (uint32_t plane = 0; plane < 2 * p->levels; plane++)
		for (uint32_t v = 0; v < layers; v += 8, masks++) {
			transpose(b->bits + (plane * (size_t)layers + v) * b->stride + *at / 64 / WORDS * WORDS,
				  b->stride, layers - v < 8 ? layers - v : 8, turned);
			for (size_t x = 0; x < count; x++)
				masks[x * bytes] = ((const uint8_t *)turned)[place[x]];
		}
}

/* Notes, for each pair that fresh layers have in the block, which layers have it: a mask for each direction and level.
 */
static int note_masks(const kith_shared *s, const kith_pair_planes *block, const size_t *from, const size_t *to,
		      kith_shared_edges *out, kith_err *err)
{
	const kith_weave *w = s->weave;
	uint32_t bytes = mask_bytes(s->plan);
	int rc = kith_scratch((void **)&out->masks, &out->masks_capacity, pairs_of(w, from, to), bytes, err);
	uint8_t *masks = out->masks;
	for (uint32_t f = 0; !rc && f < w->fresh_count; f++) {
		const uint32_t *at = w->fresh[f].at;
		for (size_t first = from[f], end = first; first < to[f]; first = end) {
			while (end < to[f] && at[end] / 64 / WORDS == at[first] / 64 / WORDS)
				end++;
			note_words(s->plan, block, at + first, end - first, masks);
			masks += (end - first) * bytes;
		}
	}
	return rc;
}

/* Every thread has counters of its own samples, so that no two write to the same: this one's, without a division. */
static inline uint32_t owner_of(const kith_shared *s, uint32_t node)
{
	return (node / OWNED * 2654435769u >> 16) * s->threads >> 16;
}

/* Whose counters an edge of a fresh layer adds to; the last of all where there is no such edge. */
static inline uint32_t edge_owner(const kith_shared *s, uint64_t key, uint8_t tier, int direction, edge *e)
{
	uint32_t node = direction ? (uint32_t)key : (uint32_t)(key >> 32);
	e->row = node;
	e->level = direction ? tier >> 4 : tier & 15;
	return e->level < s->plan->levels ? owner_of(s, node) : s->threads;
}

/* The fresh layers' edges in the block by the owners of their counters. */
static int sort_edges(const kith_shared *s, const size_t *from, const size_t *to, kith_shared_edges *out, kith_err *err)
{
	const kith_weave *w = s->weave;
	uint64_t fresh = w->fresh_count;
	size_t *begin = out->begin;
	edge e;
	int rc = kith_scratch((void **)&out->edges, &out->edges_capacity, 2 * pairs_of(w, from, to), sizeof e, err);
	if (rc)
		return rc;
	/* begin[o + 2], 0 so far, counts o's; from their sums, begin[o + 1] goes from o's first edge to the end of its
	 * last */
	for (uint32_t f = 0; f < fresh; f++)
		for (size_t p = from[f]; p < to[f]; p++)
			for (int d = 0; d < 2; d++)
				begin[edge_owner(s, w->fresh[f].key[p], w->fresh[f].tier[p], d, &e) + 2]++;
	for (uint32_t o = 0; o < s->threads; o++)
		begin[o + 2] += begin[o + 1];
	uint32_t mask = 0;
	for (uint32_t f = 0; f < fresh; f++)
		for (size_t p = from[f]; p < to[f]; p++)
			for (int d = 0; d < 2; d++) {
				uint32_t o = edge_owner(s, w->fresh[f].key[p], w->fresh[f].tier[p], d, &e);
				e.row = e.row * fresh + f;
				e.mask = mask++;
				out->edges[begin[o + 1]++] = e;
			}
	return 0;
}

int kith_shared_note(const kith_shared *s, const kith_pair_planes *block, const size_t *from, const size_t *to,
		     kith_shared_edges *out, kith_err *err)
{
	memset(out->begin, 0, (s->threads + 3) * sizeof *out->begin);
	if (!block->count)
		return 0;
	int rc = note_masks(s, block, from, to, out, err);
	return rc ? rc : sort_edges(s, from, to, out, err);
}

/* Adds to a sample's counters, at each level from the edge's on, the layers that have the edge. No counter runs over
 * into the next: none comes to more than k. */
void kith_shared_add(kith_shared *s, const kith_shared_edges *from, uint32_t owner)
{
	uint32_t width = s->width, step = eights(s->plan), bytes = s->plan->levels * step;
	uint64_t *counters = s->counters, row = (uint64_t)bytes * width;
	const uint64_t *ones = s->ones;
	const edge *end = from->edges + from->begin[owner + 1];
	for (const edge *e = from->edges + from->begin[owner]; e < end; e++) {
		const uint8_t *masks = from->masks + e->mask * (size_t)bytes;
		uint64_t *counter = counters + e->row * row;
		if (e + AHEAD < end)
			__builtin_prefetch(counters + e[AHEAD].row * row);
		if (width == 1)
			for (uint32_t x = e->level * step; x < bytes; x++)
				counter[x] += ones[masks[x]];
		else
			for (uint32_t x = e->level * step * width; x < bytes * width; x++)
				counter[x] += ones[masks[x / width] * width + x % width];
	}
}

/* ---- the counts ---- */

static uint32_t counter_of(const uint64_t *at, uint32_t v, uint32_t width)
{
	return width == 1   ? ((const uint8_t *)at)[v]
	       : width == 2 ? ((const uint16_t *)at)[v]
			    : ((const uint32_t *)at)[v];
}

#define NOWHERE UINT64_MAX

/* Where the histograms of a fresh layer with each other one begin, at each level: levels x layers. Two fresh layers'
 * numbers are taken from the first one's counters. */
static void find_histograms(const kith_shared *s, uint32_t f, uint64_t *begin)
{
	const kith_tally_plan *p = s->plan;
	uint32_t self = s->weave->fresh[f].layer;
	for (uint32_t q = 0; q < p->levels; q++)
		for (uint32_t v = 0; v < p->layers; v++)
			*begin++ = v > self || (v < self && s->weave->kept[v] != KITH_NOT_KEPT)
					   ? p->start[q] + kith_tally_pair_of(p->layers, self, v) * (p->k[q] + 1ull)
					   : NOWHERE;
}

/* A sample's counters of a fresh layer into the histograms. Returns 0, or -1 if the layer's row is not k neighbours, or
 * a counter more. */
static int add_counters(const kith_shared *s, uint32_t *overlap, uint64_t node, uint32_t f, const uint64_t *begin)
{
	const kith_tally_plan *p = s->plan;
	uint32_t step = eights(p) * s->width, self = s->weave->fresh[f].layer;
	const uint64_t *at = s->counters + (node * s->weave->fresh_count + f) * p->levels * step;
	int bad = 0;
	for (uint32_t q = 0; q < p->levels; q++, at += step, begin += p->layers) {
		bad |= counter_of(at, self, s->width) != p->k[q];
		for (uint32_t v = 0; v < p->layers; v++) {
			uint32_t shared = counter_of(at, v, s->width);
			if (shared > p->k[q])
				bad = 1;
			else if (begin[v] != NOWHERE)
				overlap[begin[v] + shared]++;
		}
	}
	return bad ? -1 : 0;
}

int kith_shared_count(const kith_shared *s, kith_tally *tallies, kith_err *err)
{
	uint32_t fresh = s->weave->fresh_count, bad_layer = 0;
	uint64_t bad_node = UINT64_MAX, each = (uint64_t)s->plan->levels * s->plan->layers;
	uint64_t *begin = kith_alloc(fresh * each, sizeof *begin);
	if (!begin)
		return kith_fail_nomem(err, "where histograms begin", fresh * each * sizeof *begin);
	for (uint32_t f = 0; f < fresh; f++)
		find_histograms(s, f, begin + f * each);
#pragma omp parallel for num_threads(s->threads) schedule(static)
	for (uint64_t node = 0; node < s->plan->n; node++)
		for (uint32_t f = 0; f < fresh; f++)
			if (add_counters(s, tallies[omp_get_thread_num()].overlap, node, f, begin + f * each)) {
#pragma omp critical(kith_shared_bad)
				if (node < bad_node) {
					bad_node = node;
					bad_layer = f;
				}
			}
	free(begin);
	if (bad_node == UINT64_MAX)
		return 0;
	return kith_fail(err, KITH_ECORRUPT, "%s: row %llu is not %u distinct neighbours: build it again",
			 kith_graph_path(s->weave->fresh[bad_layer].graph), (unsigned long long)bad_node,
			 s->plan->k[s->plan->levels - 1]);
}
