/* weave.c - see weave.h. Pairs move only by ranks: sets of bits are squeezed where pairs go, and spread where pairs
 * come between. */
#include "weave.h"

#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/cpu.h"

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

/* The first pair of the block, from p on, that does not come before `key`. Eight pairs at a time, as how many of these
 * come before it is found without a jump for each. */
KITH_CLONES static uint32_t first_from(const kith_pair_planes *b, uint32_t p, uint64_t key)
{
	for (uint32_t before = 8; before == 8 && p + 8 <= b->count; p += before) {
		before = 0;
		for (uint32_t x = p; x < p + 8; x++)
			before += kith_pair_key(b->i[x], b->j[x]) < key;
	}
	while (p < b->count && kith_pair_key(b->i[p], b->j[p]) < key)
		p++;
	return p;
}

/* Where the fresh pairs go. `old` has ones but where a pair comes in; returns the pairs in all. */
static uint32_t find_places(const kith_weave *w, const kith_pair_planes *b, const size_t *from, const size_t *to,
			    size_t *cursor, uint64_t *old, uint32_t *i, uint32_t *j)
{
	uint32_t p = 0, came = 0;
	memcpy(cursor, from, w->fresh_count * sizeof *cursor);
	for (;;) {
		uint64_t key = UINT64_MAX;
		for (uint32_t f = 0; f < w->fresh_count; f++)
			if (cursor[f] < to[f] && w->fresh[f].key[cursor[f]] < key)
				key = w->fresh[f].key[cursor[f]];
		uint32_t next = first_from(b, p, key);
		if (i) {
			memcpy(i + p + came, b->i + p, (next - p) * sizeof *i);
			memcpy(j + p + came, b->j + p, (next - p) * sizeof *j);
		}
		p = next;
		if (key == UINT64_MAX)
			return p + came;
		uint32_t at = p + came;
		if (p == b->count || kith_pair_key(b->i[p], b->j[p]) != key) {
			old[at / 64] &= ~(1ull << (at & 63));
			if (i) {
				i[at] = (uint32_t)(key >> 32);
				j[at] = (uint32_t)key;
			}
			came++;
		}
		for (uint32_t f = 0; f < w->fresh_count; f++)
			if (cursor[f] < to[f] && w->fresh[f].key[cursor[f]] == key)
				w->fresh[f].at[cursor[f]++] = at;
	}
}

/* A fresh layer's planes. */
static void set_bits(const kith_weave *w, const kith_fresh *f, size_t from, size_t to, kith_pair_planes *out)
{
	for (uint32_t d = 0; d < 2; d++) {
		for (uint32_t q = 0; q < w->levels; q++)
			memset(kith_pair_plane(out, f->layer, q, d), 0, out->stride * sizeof *out->bits);
		for (size_t p = from; p < to; p++)
			for (uint32_t q = f->tier[p] >> 4 * d & 15; q < w->levels; q++)
				kith_pair_plane(out, f->layer, q, d)[f->at[p] / 64] |= 1ull << (f->at[p] & 63);
	}
}

int kith_weave_block(const kith_weave *w, const kith_pair_planes *b, const size_t *from, const size_t *to,
		     kith_pair_planes *out, kith_err *err)
{
	size_t most = b->count, words;
	int rc = 0;
	for (uint32_t f = 0; f < w->fresh_count; f++)
		most += to[f] - from[f];
	out->count = 0;
	if (!most)
		return 0;
	uint64_t *old = kith_alloc(words_of(most), sizeof *old);
	size_t *cursor = kith_alloc(w->fresh_count, sizeof *cursor);
	if (!old || !cursor) {
		rc = kith_fail_nomem(err, "a set of pairs", most / 8);
		goto done;
	}
	if (w->with_ids && ((rc = kith_scratch((void **)&out->i, &out->pair_capacity, most, sizeof *out->i, err)) ||
			    (rc = kith_scratch((void **)&out->j, &out->j_capacity, most, sizeof *out->j, err))))
		goto done;
	memset(old, 0xff, words_of(most) * sizeof *old);
	out->count = find_places(w, b, from, to, cursor, old, w->with_ids ? out->i : NULL, out->j);
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
	free(cursor);
	return rc;
}

uint64_t kith_weave_bytes(const kith_weave *w, uint64_t pairs, uint64_t more)
{
	return (pairs + more + 512) * (2ull * w->levels * w->layers + 1) / 8 + (w->with_ids ? 8 * (pairs + more) : 0);
}
