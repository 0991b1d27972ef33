/* pair_builder.c - see pair_builder.h. Each thread takes a part of the samples, or of the larger ones that a single
 * sample is paired with, and makes of its pairs sets of bits; the parts then go to the writer in order.
 *
 * Within a part, one sample at a time: the ids that it is paired with in any layer are marked in a set of all ids; from
 * how many are marked before each word of it follows an id's place among the pairs, and there each layer has its bits.
 */
#include "pair_builder.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"

#define SHARE_BYTES (4u << 20) /* of pairs that a thread makes, about */
#define MOST_PAIRS  (1u << 17)
#define SPAN        (1u << 22) /* ids that are marked at a time */

/* The pairs of samples from..to-1 with ids low..high-1, no more of them than there is room for. */
typedef struct part {
	uint64_t from, to, low, high;
} part;

typedef struct kith_pair_share {
	uint32_t layers, tiers, room;
	part part;
	uint32_t count; /* pairs made */
	uint32_t *i, *j;
	size_t stride;
	uint64_t *bits;       /* as in kith_pair_planes */
	kith_count_set *sets; /* of the sample at hand: `rows` of its rows, as many of its reverse lists */
	size_t rows;
	size_t *next, *stop; /* by set of ids: those in the span at hand */
	uint64_t *marked;    /* ids of the span at hand */
	uint64_t *words;     /* those of its words that have any, as bits */
	uint32_t *before;    /* pairs made when such a word was come to */
} share;

static uint64_t bytes_of_pair(const kith_pair_info *info)
{
	return info->layer_count * (uint64_t)info->tiers / 4 + 2 * sizeof(uint32_t);
}

static uint32_t room_for(const kith_pair_info *info)
{
	uint64_t room = SHARE_BYTES / bytes_of_pair(info) / 64 * 64;
	return room < 64 ? 64 : room < MOST_PAIRS ? (uint32_t)room : MOST_PAIRS;
}

static size_t span_of(uint64_t n)
{
	size_t ids = n < SPAN ? (size_t)n + 64 : SPAN; /* it begins with a whole word */
	return (ids + 4095) / 4096 * 4096;             /* whole words of bits of words */
}

uint64_t kith_pair_rows_bytes(const kith_pair_info *info, uint32_t threads, size_t most_sets)
{
	uint64_t marks = span_of(info->n) / 64 * (sizeof(uint64_t) + sizeof(uint32_t)) + span_of(info->n) / 512;
	uint64_t by_set = sizeof(kith_count_set) + 2 * sizeof(size_t);
	return kith_pair_writer_bytes(info, threads) +
	       threads * (room_for(info) * bytes_of_pair(info) + marks + 2 * most_sets * by_set);
}

static int init_share(share *s, const kith_pair_info *info, size_t most_sets, uint32_t room, kith_err *err)
{
	size_t span = span_of(info->n), planes = 2 * (size_t)info->tiers * info->layer_count;
	*s = (share){.layers = info->layer_count, .tiers = info->tiers, .room = room, .stride = room / 64};
	s->i = kith_alloc(room, sizeof *s->i);
	s->j = kith_alloc(room, sizeof *s->j);
	s->bits = kith_alloc_zero(planes * s->stride, sizeof *s->bits);
	s->sets = kith_alloc(2 * most_sets, sizeof *s->sets);
	s->next = kith_alloc(2 * most_sets, sizeof *s->next);
	s->stop = kith_alloc(2 * most_sets, sizeof *s->stop);
	s->marked = kith_alloc_zero(span / 64, sizeof *s->marked);
	s->words = kith_alloc_zero(span / 4096, sizeof *s->words);
	s->before = kith_alloc(span / 64, sizeof *s->before);
	if (!s->i || !s->j || !s->bits || !s->sets || !s->next || !s->stop || !s->marked || !s->words || !s->before)
		return kith_fail_nomem(err, "pairs on their way out", room * bytes_of_pair(info));
	return 0;
}

static void free_share(share *s)
{
	free(s->i);
	free(s->j);
	free(s->bits);
	free(s->sets);
	free(s->next);
	free(s->stop);
	free(s->marked);
	free(s->words);
	free(s->before);
}

int kith_pair_rows_init(kith_pair_rows *p, const char *path, const kith_pair_info *info, uint32_t threads,
			size_t most_sets, uint32_t room, kith_err *err)
{
	int rc = 0;
	*p = (kith_pair_rows){.n = info->n, .threads = threads};
	if (!(p->shares = kith_alloc_zero(threads, sizeof *p->shares)))
		return kith_fail_nomem(err, "pairs on their way out", threads * sizeof *p->shares);
	for (uint32_t t = 0; !rc && t < threads; t++)
		rc = init_share(&p->shares[t], info, most_sets, room ? room : room_for(info), err);
	if (!rc && !(rc = kith_pair_writer_create(&p->writer, path, info, err)))
		kith_pair_writer_set_threads(p->writer, threads);
	return rc;
}

/* ---- a part --------------------------------------------------------------------------------------------------- */

/* The first id that is `least` or more. */
static size_t first_from(const kith_count_set *set, size_t at, uint64_t least)
{
	size_t end = set->count;
	if (at == end || set->id[end - 1] < least)
		return end;
	while (at < end) {
		size_t middle = at + (end - at) / 2;
		if (set->id[middle] < least)
			at = middle + 1;
		else
			end = middle;
	}
	return at;
}

/* Of a set that comes as bits, those of ids 64 word..64 word + 63 that are in low..high-1. */
static uint64_t word_of(const kith_count_set *set, uint64_t word, uint64_t low, uint64_t high)
{
	uint64_t bits = word < set->base ? 0 : set->bits[word - set->base];
	if (low > 64 * word)
		bits &= ~0ull << low % 64;
	if (high < 64 * word + 64)
		bits &= ~(~0ull << high % 64);
	return bits;
}

/* In these three what is in memory is copied first: for all the compiler knows, the numbers that they write are the
 * pointers that they read. The span begins at `base`, a multiple of 64; the ids are low..high-1. */
static void mark(share *s, uint64_t base, uint64_t low, uint64_t high)
{
	uint64_t *marked = s->marked, *words = s->words;
	for (size_t at = 0; at < 2 * s->rows; at++) {
		const kith_count_set set = s->sets[at];
		if (set.bits) {
			for (uint64_t word = base / 64, x = 0; 64 * word < high; word++, x++) {
				uint64_t bits = word_of(&set, word, low, high);
				marked[x] |= bits;
				words[x / 64] |= (uint64_t)(bits != 0) << x % 64;
			}
			continue;
		}
		for (size_t x = s->next[at], stop = s->stop[at]; x < stop; x++) {
			uint64_t id = set.id[x] - base;
			marked[id / 64] |= 1ull << id % 64;
			words[id / 4096] |= 1ull << id / 64 % 64;
		}
	}
}

/* The ids marked are the sample's pairs. */
static void list(share *s, uint64_t base, size_t ids, uint32_t node)
{
	uint32_t *i = s->i, *j = s->j, *before = s->before, count = s->count;
	const uint64_t *marked = s->marked, *words = s->words;
	for (size_t w = 0; 4096 * w < ids; w++)
		for (uint64_t some = words[w]; some; some &= some - 1) {
			size_t word = 64 * w + (unsigned)__builtin_ctzll(some);
			before[word] = count;
			for (uint64_t left = marked[word]; left; left &= left - 1) {
				i[count] = node;
				j[count++] = (uint32_t)(base + 64 * word + (unsigned)__builtin_ctzll(left));
			}
		}
	s->count = count;
}

/* The place of an id of the span among the pairs. */
static inline uint32_t place(const uint64_t *marked, const uint32_t *before, uint64_t id)
{
	uint64_t below = marked[id / 64] & ((1ull << id % 64) - 1);
	return before[id / 64] + (unsigned)__builtin_popcountll(below);
}

KITH_CLONES static void set_bits(share *s, uint64_t base, uint64_t low, uint64_t high)
{
	const uint64_t *marked = s->marked;
	const uint32_t *before = s->before;
	for (size_t at = 0; at < 2 * s->rows; at++) {
		const kith_count_set set = s->sets[at];
		size_t direction = at >= s->rows;
		uint64_t *plane = s->bits + ((direction * s->tiers + set.tier) * s->layers + set.layer) * s->stride;
		if (set.bits) {
			for (uint64_t word = base / 64; 64 * word < high; word++)
				for (uint64_t left = word_of(&set, word, low, high); left; left &= left - 1) {
					uint64_t id = 64 * word - base + (unsigned)__builtin_ctzll(left);
					uint32_t p = place(marked, before, id);
					plane[p / 64] |= 1ull << p % 64;
				}
			continue;
		}
		for (size_t x = s->next[at], stop = s->stop[at]; x < stop; x++) {
			uint32_t p = place(marked, before, set.id[x] - base);
			plane[p / 64] |= 1ull << p % 64;
		}
	}
}

static void unmark(share *s, size_t ids)
{
	uint64_t *marked = s->marked, *words = s->words;
	for (size_t w = 0; 4096 * w < ids; words[w++] = 0)
		for (uint64_t some = words[w]; some; some &= some - 1)
			marked[64 * w + (unsigned)__builtin_ctzll(some)] = 0;
}

static void take_sample(share *s, uint64_t node)
{
	uint64_t low = s->part.low > node ? s->part.low : node + 1, high = s->part.high;
	for (size_t at = 0; at < 2 * s->rows; at++)
		if (!s->sets[at].bits)
			s->next[at] = first_from(&s->sets[at], 0, low);
	for (uint64_t base = low / 64 * 64; base < high; base += SPAN) {
		uint64_t end = high - base < SPAN ? high : base + SPAN;
		for (size_t at = 0; at < 2 * s->rows; at++)
			if (!s->sets[at].bits)
				s->stop[at] = first_from(&s->sets[at], s->next[at], end);
		mark(s, base, low, end);
		list(s, base, end - base, (uint32_t)node);
		set_bits(s, base, low, end);
		unmark(s, end - base);
		memcpy(s->next, s->stop, 2 * s->rows * sizeof *s->next);
	}
}

static void take_part(share *s, kith_pair_sets_of *sets_of, const void *context)
{
	size_t used = (s->count + 63) / 64, tier = s->layers * s->stride, side = s->tiers * tier;
	for (size_t at = 0; at < 2 * side; at += s->stride) /* what the last part left */
		memset(s->bits + at, 0, used * sizeof *s->bits);
	s->count = 0;
	for (uint64_t node = s->part.from; node < s->part.to; node++) {
		s->rows = sets_of(context, node, s->sets);
		take_sample(s, node);
	}
	used = (s->count + 63) / 64;
	for (size_t direction = 0; direction < 2; direction++)
		for (size_t at = direction * side + tier; at < (direction + 1) * side; at += s->stride)
			for (size_t x = at; x < at + used; x++)
				s->bits[x] |= s->bits[x - tier];
}

/* ---- parts in order ------------------------------------------------------------------------------------------- */

/* The pairs of a sample are no more than this. */
static uint64_t pairs_at_most(share *s, uint64_t n, uint64_t node, kith_pair_sets_of *sets_of, const void *context)
{
	uint64_t pairs = 0;
	s->rows = sets_of(context, node, s->sets);
	for (size_t at = 0; at < 2 * s->rows; at++)
		pairs += s->sets[at].bits ? n : s->sets[at].count;
	return pairs < n - 1 - node ? pairs : n - 1 - node;
}

/* The next part, from sample *node and id *low on, which are moved past it; samples end at `end`. */
static void cut_part(const kith_pair_rows *p, share *s, uint64_t *node, uint64_t *low, uint64_t end,
		     kith_pair_sets_of *sets_of, const void *context)
{
	uint64_t pairs = 0, more;
	s->part = (part){.from = *node, .low = *low, .high = p->n};
	while (*node < end && !*low && (more = pairs_at_most(s, p->n, *node, sets_of, context)) <= s->room - pairs) {
		pairs += more;
		++*node;
	}
	s->part.to = *node;
	if (*node == end || *node > s->part.from)
		return;
	/* one sample has more pairs than there is room for: so many ids of it */
	s->part.to = *node + 1;
	s->part.low = *low > *node ? *low : *node + 1;
	if (p->n - s->part.low > s->room) {
		*low = s->part.high = s->part.low + s->room;
	} else {
		++*node;
		*low = 0;
	}
}

int kith_pair_rows_add(kith_pair_rows *p, uint64_t first, uint64_t count, kith_pair_sets_of *sets_of,
		       const void *context, kith_err *err)
{
	uint64_t node = first, low = 0;
	int rc = 0;
	while (!rc && node < first + count) {
		for (uint32_t t = 0; t < p->threads; t++)
			cut_part(p, &p->shares[t], &node, &low, first + count, sets_of, context);
#pragma omp parallel for num_threads(p->threads) schedule(static, 1)
		for (uint32_t t = 0; t < p->threads; t++)
			take_part(&p->shares[t], sets_of, context);
		for (uint32_t t = 0; !rc && t < p->threads; t++) {
			const share *s = &p->shares[t];
			rc = kith_pair_writer_append_planes(p->writer, s->count, s->i, s->j, s->bits, s->stride, err);
		}
	}
	return rc;
}

int kith_pair_rows_finish(kith_pair_rows *p, kith_err *err)
{
	int rc = kith_pair_writer_finish(p->writer, err);
	p->writer = NULL;
	kith_pair_rows_abort(p);
	return rc;
}

void kith_pair_rows_abort(kith_pair_rows *p)
{
	kith_pair_writer_abort(p->writer);
	for (uint32_t t = 0; p->shares && t < p->threads; t++)
		free_share(&p->shares[t]);
	free(p->shares);
	*p = (kith_pair_rows){0};
}
