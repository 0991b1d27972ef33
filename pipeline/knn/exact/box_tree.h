/* box_tree.h - samples in their order as a hierarchy of boxes: a leaf is KITH_LANES samples, and KITH_LANES nodes that
 * follow each other are a node of the next level.
 *
 * Samples are integers here: code q_i of the float vector v_i (projection.h: its remainder first, then the directions)
 * is the nearest point of a grid. Between such points squared distances are exact in 32 bits, whatever part of the
 * values they are summed over is a lower bound, and so is the squared gap between a code and a box around others: one
 * limit serves all of them. box_tree.c derives it.
 *
 *                      value 2p and 2p + 1 of samples 0..15 of a leaf            `least` of the 16 nodes of a group
 *     line p of  q ->  | q_0[2p] q_0[2p+1] | q_1[2p] q_1[2p+1] | ...  | q_15 |   and `most`: the same                */
#ifndef KITH_BOX_TREE_H
#define KITH_BOX_TREE_H

#include "projection.h"
#include "tile_kernels.h"

#define KITH_BOX_LEVELS 3u  /* boxes around 16, 256 and 4,096 samples */
#define KITH_BOX_VALUES 16u /* the first values of codes, which boxes are around, at most */

typedef struct kith_box_level {
	uint64_t nodes;
	int16_t *least, *most; /* group after group of KITH_LANES nodes */
} kith_box_level;

typedef struct kith_box_tree {
	uint64_t m, inside; /* samples, and those of them that bounds hold for, which stand first */
	uint32_t width;     /* values of a code, even */
	uint32_t boxed;     /* of them, those that boxes are around, even */
	int16_t *q;         /* leaf after leaf */
	float *off;         /* of each sample: no less than its distance from its code, in steps */
	float *slack;       /* of each sample: that of the projections */
	float most_off, most_slack;
	double step; /* of the grid */
	kith_box_level level[KITH_BOX_LEVELS];
	void *memory; /* holds these; release it with free() */
} kith_box_tree;

/* The place of value t of the at-th of codes or boxes, of which KITH_LANES stand together. */
static inline uint64_t kith_box_place(uint64_t at, uint32_t width, uint32_t t)
{
	return at / KITH_LANES * KITH_LANES * width + t / 2 * 2 * KITH_LANES + at % KITH_LANES * 2 + t % 2;
}

uint64_t kith_box_tree_bytes(uint64_t m, uint32_t coarse);

/* Of the samples id[0..m-1], in whose order the v of the projections' bounds stand; those outside the float range are
 * the last. */
int kith_box_tree_make(kith_box_tree *tree, const kith_projections *projections, const uint32_t *id, uint64_t m,
		       int threads, kith_err *err);

/* Whoever has a squared distance of more than this, in steps, from sample `at`'s code has an s^2 c above `bound`. */
int32_t kith_box_tree_limit(const kith_box_tree *tree, uint64_t at, float bound);

/* Pairs of values of sample `at`, into to[width / 2]. */
void kith_box_tree_code(const kith_box_tree *tree, uint64_t at, int32_t *to);

static inline const int16_t *kith_box_tree_leaf(const kith_box_tree *tree, uint64_t leaf)
{
	return tree->q + leaf * KITH_LANES * tree->width;
}

static inline const int16_t *kith_box_tree_least(const kith_box_tree *tree, uint32_t level, uint64_t group)
{
	return tree->level[level].least + group * KITH_LANES * tree->boxed;
}

static inline const int16_t *kith_box_tree_most(const kith_box_tree *tree, uint32_t level, uint64_t group)
{
	return tree->level[level].most + group * KITH_LANES * tree->boxed;
}

#endif
