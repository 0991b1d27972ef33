/* quantised.h - samples as the tiles see them: in order, KITH_LANES side by side, in 16-bit integers.
 *
 * A vector v_i of floats for which a level holds (float_bounds.h: lo_i + lo_j - 2 v_i.v_j <= s^2 c_ij) becomes q_i,
 * integers, and a scale: v_i is about scale_i q_i. Products of such are exact in 32 bits, at twice the speed of floats,
 * and
 *
 *         t_ij = (lo_i + lo_j) - 2 (scale_i scale_j) q_i.q_j          (float operations; 2 scale_i first)
 *
 * with this file's lo, lower than the level's by slack_i, is a lower bound of s^2 c_ij again. If the level's upper
 * bound is t + (w_i + w_j), that of this t is t + (w_i + 2 slack_i) + (w_j + 2 slack_j). quantised.c derives it. */
#ifndef KITH_TILE_BLOCKS_H
#define KITH_TILE_BLOCKS_H

#include "float_bounds.h"

typedef struct kith_blocks {
	uint32_t width;            /* values of a sample, even */
	uint64_t groups;           /* of KITH_GROUP positions: the samples, and what fills the last group up */
	int16_t *q;                /* values 2p and 2p + 1 of position `at`: see kith_blocks_q */
	float *scale, *lo, *slack; /* of each position */
	void *memory;              /* holds these; release it with free() */
} kith_blocks;

uint64_t kith_blocks_bytes(uint64_t m, uint64_t values);
/* Room for m samples of `values` floats, and zeros in it. */
int kith_blocks_alloc(kith_blocks *b, uint64_t m, uint64_t values, kith_err *err);

/* Puts the vector of the sample at position `at` in. Threads may put different positions at once. */
void kith_blocks_put(kith_blocks *b, uint64_t at, const float *v, uint64_t values);

/* After the last: fills in lo and slack. Position `at` < m is sample id[at], whose lo in the level is level_lo[id[at]];
 * positions from m on are nobody's neighbour (lo = infinity). */
void kith_blocks_bound(kith_blocks *b, const uint32_t *id, uint64_t m, const float *level_lo);

/* Of the m samples of b, `count` at even steps, as blocks of their own. */
int kith_blocks_pick(kith_blocks *out, const kith_blocks *b, uint64_t m, uint64_t count, kith_err *err);

/* Block `block`: values 2p and 2p + 1 of its sample i are at [32 p + 2 i] and [32 p + 2 i + 1]. */
static inline const int16_t *kith_blocks_q(const kith_blocks *b, uint64_t block)
{
	return b->q + block * KITH_LANES * b->width;
}

#endif
