/* pair_planes.c - see pair_planes.h. */
#include "pair_planes.h"

#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "workspace.h"

int kith_planes_reserve(kith_pair_planes *b, uint32_t count, uint32_t layers, uint32_t tiers, kith_err *err)
{
	kith_workspace w = {0};
	b->count = count;
	b->layers = layers;
	b->tiers = tiers;
	b->stride = kith_plane_words(count);
	KITH_BUFFER(&w, b->i, count);
	KITH_BUFFER(&w, b->j, count);
	KITH_BUFFER(&w, b->bits, 2 * b->stride * tiers * layers);
	return kith_workspace_place(&w, &b->memory, &b->capacity, "a block of pairs", err);
}

void kith_pair_planes_free(kith_pair_planes *b)
{
	free(b->memory);
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

/* Makes a tier's bits cumulative by adding those of the tier below. Returns the bits that both had. */
KITH_CLONES static uint64_t accumulate(uint64_t *tier, const uint64_t *below, size_t words)
{
	uint64_t both = 0;
	for (size_t x = 0; x < words; x++) {
		both |= tier[x] & below[x];
		tier[x] |= below[x];
	}
	return both;
}

int kith_planes_from_bitmaps(kith_pair_planes *b, uint32_t w, const uint8_t *bitmaps)
{
	size_t bytes = (b->count + 7) / 8, plane_bytes = b->stride * sizeof *b->bits;
	uint8_t spare = b->count % 8 ? (uint8_t)(0xff << b->count % 8) : 0;
	uint64_t wrong = 0;
	for (uint32_t direction = 0; direction < 2; direction++)
		for (uint32_t q = 0; q < b->tiers; q++, bitmaps += bytes) {
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
		for (uint32_t q = 0; q < b->tiers; q++, bitmaps += bytes) {
			memcpy(bitmaps, kith_pair_plane(b, w, q, direction), bytes);
			if (!q)
				continue;
			const uint8_t *below = (const uint8_t *)kith_pair_plane(b, w, q - 1, direction);
			for (size_t x = 0; x < bytes; x++)
				bitmaps[x] &= (uint8_t)~below[x];
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

/* Adds whole words; word w of the source begins at bit `shift` of from[w]. */
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
