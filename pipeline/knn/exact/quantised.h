/* quantised.h - vectors as the tiles see them: in order, KITH_LANES side by side, in 16-bit integers.
 *
 * A vector v_i of floats for which bounds hold (float_bounds.h: lo_i + lo_j - 2 v_i.v_j <= s^2 c_ij) becomes q_i,
 * integers, and a scale: v_i is about scale_i q_i. Products of such are exact in 32 bits, at twice the speed of floats,
 * and
 *
 *         t_ij = (lo_i + lo_j) - 2 (scale_i scale_j) q_i.q_j          (float operations; 2 scale_i first)
 *
 * with this file's lo, lower than that of the bounds by slack_i, is a lower bound of s^2 c_ij again. If the bounds'
 * upper one is t + (w_i + w_j), that of this t is t + (w_i + 2 slack_i) + (w_j + 2 slack_j). quantised.c derives it.
 *
 * In memory a block is width / 2 lines of 64 bytes, so that one load has a pair of values of 16 vectors, as the
 * instructions that multiply and add pairs of 16-bit integers (VPDPWSSD, VPMADDWD) want them:
 *
 *              vector 0       vector 1             vector 15
 *           +--------------+--------------+- - -+--------------+
 *     q ->  | v[0]    v[1] | v[0]    v[1] |     | v[0]    v[1] |
 *   +32 ->  | v[2]    v[3] | v[2]    v[3] |     | v[2]    v[3] |      value 2p + e of vector i: q[32 p + 2 i + e]
 *           :              :              :     :              :
 */
#ifndef KITH_QUANTISED_H
#define KITH_QUANTISED_H

#include "float_bounds.h"

typedef struct kith_quantised {
	uint32_t width;            /* values of a vector, even */
	uint64_t groups;           /* of KITH_GROUP positions: the vectors, and zeros that fill the last group up */
	int16_t *q;                /* block after block */
	float *scale, *lo, *slack; /* of each position */
	kith_area area;            /* holds these; release it with kith_area_free() */
} kith_quantised;

uint64_t kith_quantised_bytes(uint64_t m, uint64_t values);
/* Room for m vectors of `values` floats, and zeros in it. `spill`: as for kith_area_alloc. */
int kith_quantised_alloc(kith_quantised *b, uint64_t m, uint64_t values, const char *spill, kith_err *err);

/* Puts the vector at position `at` in. Threads may put different positions at once. */
void kith_quantised_put(kith_quantised *b, uint64_t at, const float *v, uint64_t values);

/* After the last: fills in lo and slack. Position `at` < m is sample id[at], whose lo in the bounds is lo[id[at]];
 * positions from m on are nobody's neighbour (lo = infinity). */
void kith_quantised_bound(kith_quantised *b, const uint32_t *id, uint64_t m, const float *lo);

/* For vectors that are put in again and again, to be joined with others than those beside them. After putting m in,
 * their lo is no less than their squared lengths, and this is the greatest of their eps (quantised.c); the greatest of
 * both sides' then makes their slacks, from such squared lengths. Before a vector is put in again its scale is to be 0.
 */
double kith_quantised_eps(const kith_quantised *b, uint64_t m);
float kith_quantised_slack(float squared, double eps);

/* Of the m vectors of b, `count` at even steps, as blocks of their own. */
int kith_quantised_pick(kith_quantised *out, const kith_quantised *b, uint64_t m, uint64_t count, kith_err *err);

static inline const int16_t *kith_quantised_block(const kith_quantised *b, uint64_t block)
{
	return b->q + block * KITH_LANES * b->width;
}

/* The same integers vector after vector: for tiles of vectors that do not stand together. */
typedef struct kith_codes {
	uint64_t n;
	uint32_t values;           /* of a vector, even */
	uint32_t width;            /* from one vector to the next, filled up with zeros: a multiple of KITH_LANES */
	int16_t *q;                /* n x width */
	float *scale, *lo, *slack; /* n */
	void *memory;              /* holds these; release it with free() */
} kith_codes;

uint64_t kith_codes_bytes(uint64_t n, uint64_t values);
/* Room for n vectors of `values` floats, and zeros in it. */
int kith_codes_alloc(kith_codes *codes, uint64_t n, uint64_t values, kith_err *err);
/* Puts vector `at` in. Threads may put different ones at once. */
void kith_codes_put(kith_codes *codes, uint64_t at, const float *v, uint64_t values);
/* After the last: fills in lo and slack from the lo of `bounds`, and adds 2 slack to their w, which then is that of
 * bounds made of codes. */
void kith_codes_bound(kith_codes *codes, kith_bounds *bounds);
/* t of quantised.h for vectors a and b. */
float kith_codes_distance(const kith_codes *codes, uint64_t a, uint64_t b);
/* Keeps the m vectors id[], in that order. */
int kith_codes_arrange(kith_codes *codes, const uint32_t *id, uint64_t m, int threads, kith_err *err);

#endif
