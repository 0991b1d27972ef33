/* kith/pairs.h - every pair of samples through all layers of a stack, on disk (.kpr).
 *
 * A pair store is written once, in ascending order of pairs, and then never changes. Its byte layout is
 * store/FORMAT.md.
 *
 *   pair    two samples i < j that are linked, in either direction, in at least one layer at the largest k
 *   tier    of i -> j in a layer: the smallest q such that j is among the k[q] nearest of i there
 *
 * so that at k[q] the pair is present in the union graph if either tier is at most q, in the mutual one if both are,
 * and the directed rows can be had back as well.
 *
 * Pairs are stored in blocks of info->block_pairs pairs, whichever samples they belong to: a sample with millions of
 * pairs spans many, and nothing ever needs all of one sample's pairs at once. A reader that wants some layers decodes
 * only these. */
#ifndef KITH_PAIRS_H
#define KITH_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"
#include "kith/graph.h"
#include "kith/layer.h"
#include "kith/limits.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KITH_MAX_PAIR_BLOCK     (1u << 20)
#define KITH_PAIR_BLOCK_DEFAULT 65536u

typedef struct kith_pair_info {
	uint64_t n;                 /* samples, 2..KITH_MAX_NODES */
	uint64_t pairs;             /* in the whole file; the writer counts them */
	uint32_t layer_count;       /* 1..KITH_MAX_LAYERS */
	uint32_t tiers;             /* 1..KITH_MAX_TIERS */
	uint32_t k[KITH_MAX_TIERS]; /* ascending, 1 <= k[q] <= n-1 */
	uint32_t block_pairs;       /* pairs per block, 1..KITH_MAX_PAIR_BLOCK, the last has what is left; when
				       creating, 0 lets the store choose: KITH_PAIR_BLOCK_DEFAULT, or less where the
				       layers are so many that a block's sets of bits would take more than 8 MiB */
	kith_layer *layers;         /* layer_count of them, in causal order; NULL strings count as "" */
	char command[1024];         /* the command line that made it, for people */
	char version[32];           /* the version of kith that wrote it */
} kith_pair_info;

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* A writer holds one block for each thread that encodes, what it encodes these to, and pages to be written. It is
 * used by one thread at a time. */
typedef struct kith_pair_writer kith_pair_writer;

/* Starts writing a part of `path`, which becomes `path` at the end, as kith_graph_create does (kith/graph.h).
 * Everything in `info` is copied; pairs and version are filled in by the store. At most `threads` OpenMP threads (1 or
 * more; more than 64 count as 64) encode a block each; the file does not depend on them. */
int kith_pair_writer_create(kith_pair_writer **out, const char *path, const kith_pair_info *info, int threads,
			    kith_err *err);

/* Bytes that a writer of such a file takes at most. */
uint64_t kith_pair_writer_bytes(const kith_pair_info *info, int threads);

/* Appends `count` pairs i[p] < j[p], in ascending order of (i, j) and after all that came before, in batches of any
 * size: bit p of planes laid out as in kith_pair_planes (cumulative in q), each of `stride` words. Bits from `count` on
 * are not looked at. What breaks the contract (order, an id out of range, a pair absent everywhere, or absent at a
 * tier but not at the one below) is KITH_EBUG; then the writer can only be aborted. */
int kith_pair_writer_append_planes(kith_pair_writer *writer, uint64_t count, const uint32_t *i, const uint32_t *j,
				   const uint64_t *bits, size_t stride, kith_err *err);

/* Seals the file, syncs it and renames it to its name: from then on it exists, whole. Releases the writer, on failure
 * too (then nothing is left behind). */
int kith_pair_writer_finish(kith_pair_writer *writer, kith_err *err);

/* Releases the writer and removes what it wrote. NULL is fine. */
void kith_pair_writer_abort(kith_pair_writer *writer);

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* One kith_pair_store is used by one thread at a time; open the file as often as there are readers. Besides the block
 * that the caller holds, it keeps some 20 bytes for each pair of a block, and the stored bits of one layer. */
typedef struct kith_pair_store kith_pair_store;

/* Opens a finished file. The checks are against accidents, not malice: do not open files made to deceive. Refuses with
 * a reason: not a pair store (KITH_EUSAGE), an older version (KITH_EVERSION), a newer one (KITH_EUSAGE), truncated or
 * grown, index pages or meta record damaged (KITH_ECORRUPT). Values are verified as they are read. */
int kith_pair_store_open(kith_pair_store **out, const char *path, kith_err *err);
void kith_pair_store_close(kith_pair_store *store); /* NULL is fine */

/* KITH_EIO if the file has been written to, or another one has taken its name, since it was opened. */
int kith_pair_store_unchanged(const kith_pair_store *store, kith_err *err);

/* Both live as long as the store. */
const kith_pair_info *kith_pair_store_get_info(const kith_pair_store *store);
const char *kith_pair_store_path(const kith_pair_store *store);

static inline uint64_t kith_pair_info_blocks(const kith_pair_info *info)
{
	return info->pairs / info->block_pairs + (info->pairs % info->block_pairs != 0);
}

/* A decoded block as planes of bits. Plane (w, q, direction) is at
 * bits + ((direction * tiers + q) * layers + w) * stride: its bit p (bit p % 64 of word p / 64) says whether pair p
 * has tier q or less in the w-th layer asked for, from i to j (direction 0) or from j to i (1).
 *
 *     bits   direction 0   tier 0   layer 0: stride words | layer 1 | ...
 *                          tier 1   layer 0 | layer 1 | ...
 *            direction 1   tier 0   ...
 *
 * Bits from `count` on are 0. stride is a multiple of 8 words, and bits is aligned to 64 bytes. Its memory grows as
 * needed: start from a zeroed struct, release with kith_pair_planes_free. */
typedef struct kith_pair_planes {
	uint32_t count, layers, tiers;
	size_t stride;   /* words */
	uint32_t *i, *j; /* count each, ascending (i, j), i < j < n */
	uint64_t *bits;
	void *memory; /* holds i, j and bits */
	uint64_t capacity;
} kith_pair_planes;

static inline uint64_t *kith_pair_plane(const kith_pair_planes *planes, uint32_t w, uint32_t q, uint32_t direction)
{
	return planes->bits + (((size_t)direction * planes->tiers + q) * planes->layers + w) * planes->stride;
}

/* Pairs of one graph (edges in either direction, or with `mutual` in both) with tier q or less in the w-th layer:
 * words from..from + words - 1 of its planes, into out[0..words-1]. */
void kith_pair_planes_join(const kith_pair_planes *planes, uint32_t w, uint32_t q, int mutual, size_t from,
			   size_t words, uint64_t *out);

/* Decodes block `block` (of kith_pair_info_blocks), in `layers` layers, ascending and distinct; a `wanted` of NULL
 * means all of them, 0 layers means the pairs alone. Pair p of the block is pair block * block_pairs + p of the file.
 */
int kith_pair_store_read_planes(kith_pair_store *store, uint64_t block, uint32_t layers, const uint32_t *wanted,
				kith_pair_planes *out, kith_err *err);
void kith_pair_planes_free(kith_pair_planes *planes);

/* The first block that can hold a pair whose smaller sample is `node` or a larger one; the number of blocks if none
 * can. Reads about log2(blocks) blocks. */
int kith_pair_store_find(kith_pair_store *store, uint64_t node, uint64_t *block, kith_err *err);

/* Reads everything and checks every rule of the format and of the definitions: checksums, pairs ascending through the
 * whole file, each present in some layer, and in each layer at each k exactly n k directed edges. Takes a block and
 * 8 bytes per layer and k. Returns 0 or KITH_ECORRUPT with the first thing found wrong. */
int kith_pair_store_check(kith_pair_store *store, const kith_progress *progress, kith_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
