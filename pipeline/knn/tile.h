/* tile.h - the inner loops: bounds (screen.h) of 16 x 16 pairs at once, and float products of single pairs.
 *
 * A block is KITH_LANES samples, value by value: v[t * 16 + i] is value t of sample i. */
#ifndef KITH_TILE_H
#define KITH_TILE_H

#include <stdint.h>

#include "screen.h"

/* The t of screen.h for the samples of block a (rows) and block b (columns), `width` values each, into t[16 * i + j];
 * and hits[i], the bits j of those that do not exceed max(bound_a[i], bound_b[j]). Returns whether there are any. v, lo
 * and bounds are aligned to 64 bytes. */
int kith_tile(const float *a, const float *b, uint32_t width, const float *lo_a, const float *lo_b,
	      const float *bound_a, const float *bound_b, float *t, uint16_t *hits);

/* Columns i < count whose (lo + lo_b[i]) - 2 g[i] does not exceed the bound, into hits[count]; returns how many. */
uint32_t kith_row_hits(const float *g, float lo, const float *lo_b, uint32_t count, float bound, uint32_t *hits);

/* Squared gaps between one box and 16 others, into gap[16]: value t of the one's least and most is at [16 t], the
 * others' at [16 t + b]. */
void kith_gaps(const float *least_a, const float *most_a, const float *least_b, const float *most_b, uint32_t dims,
	       float *gap);

/* Squared distances of point `own` to all n points, value t of point i at [t * n + i]. */
void kith_spread(const float *points, uint64_t n, uint32_t dims, uint64_t own, float *out);

/* Float products of x with `count` vectors y[], all of `width` values, a multiple of KITH_LANES. */
void kith_dots(const float *x, const float *const *y, uint32_t count, uint32_t width, float *out);

#endif
