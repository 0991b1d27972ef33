/* local_join.c - see local_join.h */
#include "local_join.h"

#include <math.h>
#include <string.h>

#include "cpu.h"

#define LANES KITH_LANES

void kith_local_join_init(kith_local_join *j, const kith_codes *codes, kith_neighbour_lists *lists, uint32_t most,
			  int shared, kith_workspace *w)
{
	uint64_t positions = ((uint64_t)most + LANES - 1) / LANES * LANES;
	*j = (kith_local_join){.codes = codes, .lists = lists, .tile = kith_tile_kernel_best(), .shared = shared};
	KITH_BUFFER(w, j->q, positions * codes->width);
	KITH_BUFFER(w, j->scale, positions);
	KITH_BUFFER(w, j->lo, positions);
	KITH_BUFFER(w, j->bound, positions);
	KITH_BUFFER(w, j->t, LANES * LANES);
}

typedef uint32_t pairs8 __attribute__((vector_size(32)));

/* Eight vectors' pairs p..p+7 become eight rows of the pair p of all eight, and so on. */
static inline __attribute__((always_inline)) void turn_8(const uint32_t *const *from, uint32_t p, uint32_t *to)
{
	pairs8 x[8], y[8];
	for (int i = 0; i < 8; i++)
		memcpy(&x[i], from[i] + p, sizeof x[i]);
	for (int i = 0; i < 8; i += 2) {
		y[i] = __builtin_shufflevector(x[i], x[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
		y[i + 1] = __builtin_shufflevector(x[i], x[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
	}
	for (int i = 0; i < 8; i += 4)
		for (int e = 0; e < 2; e++) {
			x[i + 2 * e] = __builtin_shufflevector(y[i + e], y[i + 2 + e], 0, 1, 8, 9, 4, 5, 12, 13);
			x[i + 2 * e + 1] = __builtin_shufflevector(y[i + e], y[i + 2 + e], 2, 3, 10, 11, 6, 7, 14, 15);
		}
	for (int i = 0; i < 4; i++) {
		y[i] = __builtin_shufflevector(x[i], x[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
		y[i + 4] = __builtin_shufflevector(x[i], x[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
	}
	for (int i = 0; i < 8; i++)
		memcpy(to + (size_t)i * LANES, &y[i], sizeof y[i]);
}

/* Vectors one after the other, as from[] says, become a block of them side by side: `pairs` of values, filled up to a
 * multiple of eight in both. */
KITH_CLONES static void turn_block(const uint32_t *const from[LANES], uint32_t pairs, uint32_t *to)
{
	for (uint32_t p = 0; p < pairs; p += 8) {
		turn_8(from, p, to + (size_t)p * LANES);
		turn_8(from + 8, p, to + (size_t)p * LANES + 8);
	}
}

/* Where the block at `position` begins: blocks have room for whole eights of pairs. */
static int16_t *block_at(const kith_local_join *j, uint32_t position)
{
	return j->q + (size_t)position * j->codes->width;
}

static void gather(kith_local_join *j, const uint32_t *member, uint32_t count)
{
	const kith_codes *c = j->codes;
	const uint32_t *from[LANES];
	for (uint32_t m = 0; m < (count + LANES - 1) / LANES * LANES; m++) {
		uint64_t own = member[m < count ? m : count - 1]; /* the last one again fills its block */
		from[m % LANES] = (const uint32_t *)(const void *)(c->q + own * c->width);
		j->scale[m] = c->scale[own];
		j->lo[m] = c->lo[own];
		j->bound[m] = m < count ? kith_list_bound(j->lists, own) : -INFINITY;
		if (m % LANES == LANES - 1)
			turn_block(from, c->width / 2, (uint32_t *)(void *)block_at(j, m / LANES * LANES));
	}
}

static kith_tile_side side_of(const kith_local_join *j, uint32_t block)
{
	uint32_t at = block * LANES;
	return (kith_tile_side){block_at(j, at), j->scale + at, j->lo + at, j->bound + at};
}

/* The hits of row i of a tile: bits of columns from position `columns` on. */
static void offer_row(kith_local_join *j, const uint32_t *member, uint32_t row, uint32_t columns, uint32_t bits,
		      const float *t)
{
	for (; bits; bits &= bits - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(bits), column = columns + lane;
		if (t[lane] <= j->bound[row])
			j->bound[row] = kith_list_offer(j->lists, member[row], member[column], t[lane], j->shared);
		if (t[lane] <= j->bound[column])
			j->bound[column] = kith_list_offer(j->lists, member[column], member[row], t[lane], j->shared);
	}
}

void kith_local_join_fetch(const kith_local_join *j, const uint32_t *member, uint32_t count)
{
	for (uint32_t m = 0; m < count; m++) {
		const char *code = (const char *)(j->codes->q + (size_t)member[m] * j->codes->width);
		for (size_t line = 0; line < j->codes->values * sizeof *j->codes->q; line += 64)
			__builtin_prefetch(code + line);
		kith_list_fetch(j->lists, member[m]);
	}
}

void kith_local_join_run(kith_local_join *j, const uint32_t *member, uint32_t count, uint32_t fresh)
{
	uint32_t blocks = (count + LANES - 1) / LANES;
	uint16_t hits[LANES];
	gather(j, member, count);
	for (uint32_t a = 0; a < blocks && a * LANES < fresh; a++) {
		kith_tile_side rows = side_of(j, a);
		for (uint32_t b = a; b < blocks; b++) {
			kith_tile_side columns = side_of(j, b);
			uint32_t left = count - b * LANES, real = left < LANES ? (1u << left) - 1 : 0xffff;
			if (!j->tile(&rows, &columns, j->codes->values, j->t, hits))
				continue;
			for (uint32_t i = 0; i < LANES && a * LANES + i < fresh; i++) {
				uint32_t bits = hits[i] & real & (a == b ? ~((2u << i) - 1) : ~0u);
				offer_row(j, member, a * LANES + i, b * LANES, bits, j->t + i * LANES);
			}
		}
	}
}
