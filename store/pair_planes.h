/* pair_planes.h - the planes of a block of pairs (kith_pair_planes, kith/pairs.h), to and from the bitmaps that are
 * stored. Inside the store only.
 *
 * In memory, planes are cumulative: plane q of a layer and direction has the pairs of tier q or less. A layer's bitmaps
 * in a file have each pair once, under its own tier:
 *
 *     layer w:   i -> j: tier 0 | tier 1 | ...   j -> i: tier 0 | tier 1 | ...     (count + 7) / 8 bytes each */
#ifndef KITH_PAIR_PLANES_H
#define KITH_PAIR_PLANES_H

#include "kith/pairs.h"

/* Words of a plane of `count` bits: whole cache lines. */
static inline size_t kith_plane_words(size_t count)
{
	return (count + 511) / 512 * 8;
}

/* Bytes of the bitmaps of one layer, as they are stored. */
static inline size_t kith_layer_bitmap_bytes(uint32_t tiers, size_t count)
{
	return 2 * (size_t)tiers * ((count + 7) / 8);
}

/* Sets count, layers, tiers and stride, and makes i, j and bits large enough for them; these are to be filled in. */
int kith_planes_reserve(kith_pair_planes *planes, uint32_t count, uint32_t layers, uint32_t tiers, kith_err *err);

/* Layer w from its stored bitmaps. Returns 0, or -1 where a pair has two tiers in one direction or a spare bit is set.
 */
int kith_planes_from_bitmaps(kith_pair_planes *planes, uint32_t w, const uint8_t *bitmaps);
void kith_planes_to_bitmaps(const kith_pair_planes *planes, uint32_t w, uint32_t count, uint8_t *bitmaps);

/* Adds bits from..from+count-1 of one set to another, from its bit `to_at` on. */
void kith_bits_copy(uint64_t *to, size_t to_at, const uint64_t *from, size_t from_at, size_t count);

#endif
