/* tile_kernels.h - the inner loops: bounds of 16 x 16 pairs at once (quantised.h), and float products of single pairs.
 */
#ifndef KITH_TILE_KERNELS_H
#define KITH_TILE_KERNELS_H

#include <stdint.h>

#include "quantised.h"

/* A block as one side of a tile: its integers (kith_quantised_block), and of each of its KITH_LANES vectors the scale,
 * the lo and a bound on t. All are aligned to 64 bytes. */
typedef struct kith_tile_side {
	const int16_t *q;
	const float *scale, *lo, *bound;
} kith_tile_side;

/* The t of quantised.h for the vectors of a (rows) and b (columns), `width` values each (even), into t[16 * i + j];
 * and hits[i], the bits j of those that do not exceed max(a's bound i, b's bound j). Returns whether there are any. */
typedef int (*kith_tile_kernel)(const kith_tile_side *a, const kith_tile_side *b, uint32_t width, float *t,
				uint16_t *hits);

/* The fastest kernel that this processor has and KITH_CPU (cpu.h) allows. */
kith_tile_kernel kith_tile_kernel_best(void);

/* For x86-64: with AVX2 and FMA four rows at a time, two registers each; with AVX-512 F and VNNI sixteen, a register
 * each. */
int kith_tile_avx2(const kith_tile_side *a, const kith_tile_side *b, uint32_t width, float *t, uint16_t *hits);
int kith_tile_avx512(const kith_tile_side *a, const kith_tile_side *b, uint32_t width, float *t, uint16_t *hits);

/* Codes of 16 samples that stand together, or boxes around 16 nodes, against one code (box_tree.h): `pairs` pairs of
 * values each. The bits of those whose squared distance from it, or gap to it, does not exceed `limit`. All but `code`
 * are aligned to 64 bytes. */
typedef struct kith_box_kernels {
	uint32_t (*near)(const int16_t *q, const int32_t *code, uint32_t pairs, int32_t limit);
	uint32_t (*gaps)(const int16_t *least, const int16_t *most, const int32_t *code, uint32_t pairs, int32_t limit);
} kith_box_kernels;

/* The fastest ones, as above. */
kith_box_kernels kith_box_kernels_best(void);
uint32_t kith_near_avx2(const int16_t *q, const int32_t *code, uint32_t pairs, int32_t limit);
uint32_t kith_gaps_avx2(const int16_t *least, const int16_t *most, const int32_t *code, uint32_t pairs, int32_t limit);
uint32_t kith_near_avx512(const int16_t *q, const int32_t *code, uint32_t pairs, int32_t limit);
uint32_t kith_gaps_avx512(const int16_t *least, const int16_t *most, const int32_t *code, uint32_t pairs,
			  int32_t limit);

/* Squared gaps between one box and 16 others, into gap[16]: value t of the one's least and most is at [16 t], the
 * others' at [16 t + b]. */
void kith_box_gaps(const float *least_a, const float *most_a, const float *least_b, const float *most_b, uint32_t dims,
		   float *gap);

/* Squared distances of point `own` to all n points, value t of point i at [t * n + i]. */
void kith_distances_from(const float *points, uint64_t n, uint32_t dims, uint64_t own, float *out);

/* Float products of x with `count` vectors y[], all of `width` values, a multiple of KITH_LANES. */
void kith_dot_products(const float *x, const float *const *y, uint32_t count, uint32_t width, float *out);

#endif
