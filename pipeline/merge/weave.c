/* weave.c - see weave.h. Pairs move only by ranks: sets of bits are squeezed where pairs go, and spread where pairs
 * come between. */
#include "weave.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"

/* ---- squeezing and spreading ---- */

/* The bits of x where the mask has ones, side by side, and the other way round. One step for each one or zero of the
 * mask, whichever are fewer. */
static uint64_t squeeze_word(uint64_t x, uint64_t mask)
{
	uint64_t out = 0;
	if (__builtin_popcountll(mask) > 32) {
		for (uint64_t zeros = ~mask; zeros; zeros &= ~(1ull << (63 - __builtin_clzll(zeros)))) {
			uint64_t low = (1ull << (63 - __builtin_clzll(zeros))) - 1;
			x = (x & low) | (x >> 1 & ~low);
		}
		return x & ~0ull >> __builtin_popcountll(~mask);
	}
	for (uint32_t at = 0; mask; mask &= mask - 1, at++)
		out |= (x >> __builtin_ctzll(mask) & 1) << at;
	return out;
}

static uint64_t spread_word(uint64_t x, uint64_t mask)
{
	uint64_t out = 0;
	if (__builtin_popcountll(mask) > 32) {
		for (uint64_t zeros = ~mask; zeros; zeros &= zeros - 1) {
			uint64_t low = (zeros & -zeros) - 1;
			x = (x & low) | (x & ~low) << 1;
		}
		return x & mask;
	}
	for (; mask; mask &= mask - 1, x >>= 1)
		out |= (x & 1) << __builtin_ctzll(mask);
	return out;
}

/* `set` keeps the bits that the mask has, side by side from 0 on; what follows them, up to `words`, is 0. */
#define SQUEEZE(word_of)                                                                                               \
	uint64_t held = 0;                                                                                             \
	uint32_t bits = 0;                                                                                             \
	size_t at = 0;                                                                                                 \
	for (size_t w = 0; w < words; w++) {                                                                           \
		uint64_t x = word_of(set[w], mask[w]);                                                                 \
		uint32_t more = (uint32_t)__builtin_popcountll(mask[w]);                                               \
		held |= x << bits;                                                                                     \
		if (bits + more >= 64) {                                                                               \
			set[at++] = held;                                                                              \
			held = bits ? x >> (64 - bits) : 0;                                                            \
			bits -= 64;                                                                                    \
		}                                                                                                      \
		bits += more;                                                                                          \
	}                                                                                                              \
	for (; at < words; at++, held = 0)                                                                             \
	set[at] = held

/* The bits of `from` go where the mask has ones. */
#define SPREAD(word_of)                                                                                                \
	size_t at = 0;                                                                                                 \
	for (size_t w = 0; w < words; w++) {                                                                           \
		uint32_t shift = (uint32_t)at & 63, more = (uint32_t)__builtin_popcountll(mask[w]);                    \
		uint64_t x = more ? from[at / 64] >> shift : 0;                                                        \
		if (shift + more > 64)                                                                                 \
			x |= from[at / 64 + 1] << (64 - shift);                                                        \
		to[w] = word_of(x, mask[w]);                                                                           \
		at += more;                                                                                            \
	}

static void squeeze_any(uint64_t *set, const uint64_t *mask, size_t words)
{
	SQUEEZE(squeeze_word);
}

static void spread_any(uint64_t *to, const uint64_t *from, const uint64_t *mask, size_t words)
{
	SPREAD(spread_word)
}

#if defined(__x86_64__) && !defined(KITH_NO_CLONES)

#include <immintrin.h>

__attribute__((target("bmi2,popcnt"))) static void squeeze_bmi2(uint64_t *set, const uint64_t *mask, size_t words)
{
	SQUEEZE(_pext_u64);
}

__attribute__((target("bmi2,popcnt"))) static void spread_bmi2(uint64_t *to, const uint64_t *from, const uint64_t *mask,
							       size_t words)
{
	SPREAD(_pdep_u64)
}

static int have_bmi2(void)
{
	return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

static void squeeze(uint64_t *set, const uint64_t *mask, size_t words)
{
	if (have_bmi2())
		squeeze_bmi2(set, mask, words);
	else
		squeeze_any(set, mask, words);
}

static void spread(uint64_t *to, const uint64_t *from, const uint64_t *mask, size_t words)
{
	if (have_bmi2())
		spread_bmi2(to, from, mask, words);
	else
		spread_any(to, from, mask, words);
}

#else

static void squeeze(uint64_t *set, const uint64_t *mask, size_t words)
{
	squeeze_any(set, mask, words);
}

static void spread(uint64_t *to, const uint64_t *from, const uint64_t *mask, size_t words)
{
	spread_any(to, from, mask, words);
}

#endif

/* ---- blocks ---- */

static size_t words_of(size_t count)
{
	return (count + 63) / 64;
}

int kith_weave_drop(const kith_weave *w, kith_pair_planes *b, kith_err *err)
{
	size_t words = words_of(b->count);
	uint32_t left = 0;
	if (!w->some_go || !b->count)
		return 0;
	uint64_t *some = kith_alloc_zero(words, sizeof *some);
	if (!some)
		return kith_fail_nomem(err, "a set of pairs", words * sizeof *some);
	for (uint32_t d = 0; d < 2; d++)
		for (uint32_t v = 0; v < b->layers; v++) {
			const uint64_t *plane = kith_pair_plane(b, v, w->level[w->levels - 1], d);
			for (size_t at = 0; at < words; at++)
				some[at] |= plane[at];
		}
	for (size_t at = 0; at < words; at++)
		for (uint64_t rest = some[at]; rest; rest &= rest - 1, left++) {
			size_t p = 64 * at + (size_t)__builtin_ctzll(rest);
			b->i[left] = b->i[p];
			b->j[left] = b->j[p];
		}
	for (uint32_t d = 0; left < b->count && d < 2; d++)
		for (uint32_t q = 0; q < w->levels; q++)
			for (uint32_t v = 0; v < b->layers; v++)
				squeeze(kith_pair_plane(b, v, w->level[q], d), some, words);
	b->count = left;
	free(some);
	return 0;
}

typedef int32_t eight __attribute__((vector_size(32))); /* ids take 31 bits: KITH_MAX_NODES */

/* How many of eight pairs, which ascend, come before {i, j}. */
static inline uint32_t count_before(const uint32_t *is, const uint32_t *js, uint32_t i, uint32_t j)
{
	eight x, y, here = (eight){} + (int32_t)i;
	uint64_t before[4], ones = 0x100000001;
	memcpy(&x, is, sizeof x);
	memcpy(&y, js, sizeof y);
	x = (x < here) | ((x == here) & (y < (int32_t)j));
	memcpy(before, &x, sizeof before);
	ones = (before[0] & ones) + (before[1] & ones) + (before[2] & ones) + (before[3] & ones);
	return (uint32_t)ones + (uint32_t)(ones >> 32);
}

/* The first pair of the block, from p on, that does not come before `key`. Eight pairs at a time, as how many of these
 * come before it is found without a jump for each. With i, the pairs before it are copied there, to be `came` places
 * further; what is copied beyond them is written over by what follows. */
static inline uint32_t first_from(const kith_pair_planes *b, uint32_t p, uint64_t key, uint32_t came, uint32_t *i,
				  uint32_t *j)
{
	for (uint32_t before = 8; before == 8 && p + 8 <= b->count; p += before) {
		before = count_before(b->i + p, b->j + p, (uint32_t)(key >> 32), (uint32_t)key);
		if (i) {
			memcpy(i + p + came, b->i + p, 8 * sizeof *i);
			memcpy(j + p + came, b->j + p, 8 * sizeof *j);
		}
	}
	for (; p < b->count && kith_pair_key(b->i[p], b->j[p]) < key; p++)
		if (i) {
			i[p + came] = b->i[p];
			j[p + came] = b->j[p];
		}
	return p;
}

/* Where the pairs of these keys go: at[x]. `old` has ones but where a pair comes in. With i, what the pairs are then.
 * Returns how many there are in all. */
KITH_CLONES static uint32_t find_places(const kith_pair_planes *b, const uint64_t *key, size_t keys, uint32_t *at,
					uint64_t *old, uint32_t *i, uint32_t *j)
{
	uint32_t p = 0, came = 0;
	for (size_t x = 0; x < keys; x++) {
		p = first_from(b, p, key[x], came, i, j);
		uint32_t here = p + came, comes = p == b->count || kith_pair_key(b->i[p], b->j[p]) != key[x];
		at[x] = here;
		old[here / 64] &= ~((uint64_t)comes << (here & 63));
		if (i) {
			i[here] = (uint32_t)(key[x] >> 32);
			j[here] = (uint32_t)key[x];
		}
		came += comes;
	}
	if (i) {
		memcpy(i + p + came, b->i + p, (b->count - p) * sizeof *i);
		memcpy(j + p + came, b->j + p, (b->count - p) * sizeof *j);
	}
	return b->count + came;
}

/* The keys of all fresh layers' pairs, each once. Returns how many. */
static size_t unite(const kith_weave *w, const size_t *from, const size_t *to, size_t *cursor, uint64_t *out)
{
	size_t found = 0;
	memcpy(cursor, from, w->fresh_count * sizeof *cursor);
	for (uint64_t key;; out[found++] = key) {
		key = UINT64_MAX;
		for (uint32_t f = 0; f < w->fresh_count; f++)
			if (cursor[f] < to[f] && w->fresh[f].key[cursor[f]] < key)
				key = w->fresh[f].key[cursor[f]];
		if (key == UINT64_MAX)
			return found;
		for (uint32_t f = 0; f < w->fresh_count; f++)
			cursor[f] += cursor[f] < to[f] && w->fresh[f].key[cursor[f]] == key;
	}
}

/* As find_places, for all fresh layers. */
static int find_all_places(const kith_weave *w, const kith_pair_planes *b, const size_t *from, const size_t *to,
			   size_t most, uint64_t *old, kith_pair_planes *out, kith_err *err)
{
	uint32_t *i = w->with_ids ? out->i : NULL;
	if (w->fresh_count == 1) {
		const kith_fresh *f = w->fresh;
		out->count = find_places(b, f->key + *from, *to - *from, f->at + *from, old, i, out->j);
		return 0;
	}
	size_t *cursor = kith_alloc(w->fresh_count, sizeof *cursor), keys = 0;
	uint64_t *key = kith_alloc(most, sizeof *key);
	uint32_t *at = kith_alloc(most, sizeof *at);
	int rc = cursor && key && at ? 0 : kith_fail_nomem(err, "pairs of several layers", most * 12);
	if (!rc) {
		keys = unite(w, from, to, cursor, key);
		out->count = find_places(b, key, keys, at, old, i, out->j);
	}
	for (uint32_t f = 0; !rc && f < w->fresh_count; f++)
		for (size_t p = from[f], x = 0; p < to[f]; p++) {
			while (key[x] != w->fresh[f].key[p])
				x++;
			w->fresh[f].at[p] = at[x];
		}
	free(cursor);
	free(key);
	free(at);
	return rc;
}

/* A fresh layer's planes. */
static void set_bits(const kith_weave *w, const kith_fresh *f, size_t from, size_t to, kith_pair_planes *out)
{
	for (uint32_t d = 0; d < 2; d++)
		for (uint32_t q = 0; q < w->levels; q++) {
			uint64_t *plane = kith_pair_plane(out, f->layer, q, d);
			memset(plane, 0, out->stride * sizeof *plane);
			for (size_t p = from; p < to; p++)
				plane[f->at[p] / 64] |= (uint64_t)((f->tier[p] >> 4 * d & 15u) <= q) << (f->at[p] & 63);
		}
}

int kith_weave_block(const kith_weave *w, const kith_pair_planes *b, const size_t *from, const size_t *to,
		     kith_pair_planes *out, kith_err *err)
{
	size_t most = 0, words;
	int rc = 0;
	for (uint32_t f = 0; f < w->fresh_count; f++)
		most += to[f] - from[f];
	out->count = 0;
	size_t all = b->count + most;
	if (!all)
		return 0;
	uint64_t *old = kith_alloc(words_of(all), sizeof *old);
	if (!old)
		return kith_fail_nomem(err, "a set of pairs", all / 8);
	if (w->with_ids && ((rc = kith_scratch((void **)&out->i, &out->pair_capacity, all, sizeof *out->i, err)) ||
			    (rc = kith_scratch((void **)&out->j, &out->j_capacity, all, sizeof *out->j, err))))
		goto done;
	memset(old, 0xff, words_of(all) * sizeof *old);
	if ((rc = find_all_places(w, b, from, to, most, old, out, err)))
		goto done;
	out->layers = w->layers;
	out->levels = w->levels;
	out->stride = (out->count + 511ull) / 512 * 8;
	words = words_of(out->count);
	if (out->count % 64)
		old[words - 1] &= (1ull << out->count % 64) - 1;
	if ((rc = kith_scratch((void **)&out->bits, &out->bits_capacity, 2 * out->stride * w->levels * w->layers,
			       sizeof *out->bits, err)))
		goto done;
	for (uint32_t d = 0; d < 2; d++)
		for (uint32_t q = 0; q < w->levels; q++)
			for (uint32_t v = 0; v < w->layers; v++) {
				uint64_t *plane = kith_pair_plane(out, v, q, d);
				if (w->kept[v] == KITH_NOT_KEPT)
					continue;
				spread(plane, kith_pair_plane(b, w->kept[v], w->level[q], d), old, words);
				memset(plane + words, 0, (out->stride - words) * sizeof *plane);
			}
	for (uint32_t f = 0; f < w->fresh_count; f++)
		set_bits(w, &w->fresh[f], from[f], to[f], out);
done:
	free(old);
	return rc;
}

uint64_t kith_weave_bytes(const kith_weave *w, uint64_t pairs, uint64_t more)
{
	return (pairs + more + 512) * (2ull * w->levels * w->layers + 1) / 8 + (w->with_ids ? 8 * (pairs + more) : 0);
}
