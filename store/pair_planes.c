/* pair_planes.c - see pair_planes.h. */
#include "pair_planes.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"

int kith_planes_reserve_bits(kith_pair_planes *b, uint32_t count, uint32_t layers, uint32_t levels, kith_err *err)
{
	void *bits = b->bits;
	size_t stride = kith_plane_words(count);
	int rc = kith_scratch(&bits, &b->bits_capacity, 2 * stride * levels * layers, sizeof *b->bits, err);
	b->bits = bits;
	b->count = count;
	b->layers = layers;
	b->levels = levels;
	b->stride = stride;
	return rc;
}

int kith_planes_reserve(kith_pair_planes *b, uint32_t count, uint32_t layers, uint32_t levels, kith_err *err)
{
	void *i = b->i, *j = b->j;
	int rc = kith_scratch(&i, &b->pair_capacity, count, sizeof *b->i, err);
	if (!rc)
		rc = kith_scratch(&j, &b->j_capacity, count, sizeof *b->j, err);
	b->i = i;
	b->j = j;
	return rc ? rc : kith_planes_reserve_bits(b, count, layers, levels, err);
}

void kith_pair_planes_free(kith_pair_planes *b)
{
	free(b->i);
	free(b->j);
	free(b->bits);
	memset(b, 0, sizeof *b);
}

KITH_CLONES static void join_planes(uint64_t *out, const uint64_t *there, const uint64_t *back, size_t words,
				    int mutual)
{
	for (size_t x = 0; x < words; x++)
		out[x] = mutual ? there[x] & back[x] : there[x] | back[x];
}

void kith_pair_planes_join(const kith_pair_planes *b, uint32_t w, uint32_t q, int mutual, size_t from, size_t words,
			   uint64_t *out)
{
	join_planes(out, kith_pair_plane(b, w, q, 0) + from, kith_pair_plane(b, w, q, 1) + from, words, mutual);
}

/* Adds to a level's set that of the level below; what both had is returned. */
KITH_CLONES static uint64_t accumulate(uint64_t *level, const uint64_t *below, size_t words)
{
	uint64_t both = 0;
	for (size_t x = 0; x < words; x++) {
		both |= level[x] & below[x];
		level[x] |= below[x];
	}
	return both;
}

int kith_planes_from_bitmaps(kith_pair_planes *b, uint32_t w, const uint8_t *bitmaps)
{
	size_t bytes = (b->count + 7) / 8, plane_bytes = b->stride * sizeof *b->bits;
	uint8_t spare = b->count % 8 ? (uint8_t)(0xff << b->count % 8) : 0;
	uint64_t wrong = 0;
	for (uint32_t direction = 0; direction < 2; direction++)
		for (uint32_t q = 0; q < b->levels; q++, bitmaps += bytes) {
			uint64_t *plane = kith_pair_plane(b, w, q, direction);
			wrong |= bitmaps[bytes - 1] & spare;
			memcpy(plane, bitmaps, bytes);
			memset((uint8_t *)plane + bytes, 0, plane_bytes - bytes);
			if (q)
				wrong |= accumulate(plane, kith_pair_plane(b, w, q - 1, direction), b->stride);
		}
	return wrong ? -1 : 0;
}

void kith_planes_to_bitmaps(const kith_pair_planes *b, uint32_t w, uint32_t count, uint8_t *bitmaps)
{
	size_t bytes = (count + 7) / 8;
	for (uint32_t direction = 0; direction < 2; direction++)
		for (uint32_t q = 0; q < b->levels; q++, bitmaps += bytes) {
			memcpy(bitmaps, kith_pair_plane(b, w, q, direction), bytes);
			if (!q)
				continue;
			const uint8_t *below = (const uint8_t *)kith_pair_plane(b, w, q - 1, direction);
			for (size_t x = 0; x < bytes; x++)
				bitmaps[x] &= (uint8_t)~below[x];
		}
}

/* Up to 64 tiers, to be the bits from `at` on of word x of every plane. */
static unsigned word_from_tiers(kith_pair_planes *b, uint32_t w, size_t x, uint32_t at, uint32_t count,
				const uint8_t *tier)
{
	uint64_t has[2][16] = {{0}}; /* by level; 15 is where there is none */
	unsigned levels = 0;         /* that are met, a bit each */
	for (uint32_t p = 0; p < count; p++) {
		has[0][tier[p] & 15] |= 1ull << (at + p);
		has[1][tier[p] >> 4] |= 1ull << (at + p);
		levels |= 1u << (tier[p] & 15) | 1u << (tier[p] >> 4);
	}
	for (uint32_t direction = 0; direction < 2; direction++) {
		uint64_t upto = 0;
		for (uint32_t q = 0; q < b->levels; q++) {
			upto |= has[direction][q];
			kith_pair_plane(b, w, q, direction)[x] |= upto;
		}
	}
	return levels;
}

int kith_planes_from_tiers(kith_pair_planes *b, uint32_t w, uint32_t at, uint32_t count, const uint8_t *tier)
{
	unsigned levels = 0, known = ((1u << b->levels) - 1) | 1u << KITH_TIER_ABSENT;
	for (uint32_t p = 0, take; p < count; p += take, at += take) {
		take = 64 - at % 64 < count - p ? 64 - at % 64 : count - p;
		levels |= word_from_tiers(b, w, at / 64, at % 64, take, tier + p);
	}
	return levels & ~known ? -1 : 0;
}

void kith_planes_to_tiers(const kith_pair_planes *b, uint32_t w, uint8_t *tier)
{
	memset(tier, KITH_PAIR_ABSENT, b->count);
	for (uint32_t direction = 0; direction < 2; direction++)
		for (uint32_t q = 0; q < b->levels; q++) {
			const uint64_t *plane = kith_pair_plane(b, w, q, direction),
				       *below = q ? kith_pair_plane(b, w, q - 1, direction) : NULL;
			uint8_t flip = (uint8_t)((KITH_TIER_ABSENT ^ q) << 4 * direction);
			for (size_t x = 0; x < b->stride; x++)
				for (uint64_t left = plane[x] & ~(below ? below[x] : 0); left; left &= left - 1)
					tier[64 * x + (unsigned)__builtin_ctzll(left)] ^= flip;
		}
}

/* `count` bits, up to 64, from bit `at` on. */
static uint64_t bits_at(const uint64_t *from, size_t at, size_t count)
{
	unsigned shift = (unsigned)(at % 64);
	uint64_t bits = from[at / 64] >> shift;
	if (shift + count > 64)
		bits |= from[at / 64 + 1] << (64 - shift);
	return bits & ~0ull >> (64 - count);
}

/* Whole words, whose bits begin at bit `shift` of a word. */
KITH_CLONES static void copy_words(uint64_t *to, const uint64_t *from, unsigned shift, size_t words)
{
	if (!shift)
		for (size_t w = 0; w < words; w++)
			to[w] |= from[w];
	else
		for (size_t w = 0; w < words; w++)
			to[w] |= from[w] >> shift | from[w + 1] << (64 - shift);
}

void kith_bits_copy(uint64_t *to, size_t to_at, const uint64_t *from, size_t from_at, size_t count)
{
	size_t head = 64 - to_at % 64 < count ? 64 - to_at % 64 : count, words = (count - head) / 64;
	if (!count)
		return;
	to[to_at / 64] |= bits_at(from, from_at, head) << to_at % 64;
	to_at += head;
	from_at += head;
	copy_words(to + to_at / 64, from + from_at / 64, from_at % 64, words);
	to_at += 64 * words;
	from_at += 64 * words;
	count -= head + 64 * words;
	if (count)
		to[to_at / 64] |= bits_at(from, from_at, count);
}
