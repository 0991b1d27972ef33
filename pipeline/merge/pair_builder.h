/* pair_builder.h - the pairs of all layers side by side, on their way into a pair store (kith/pairs.h). */
#ifndef KITH_PAIR_ROWS_H
#define KITH_PAIR_ROWS_H

#include "count_plan.h"
#include "kith/pairs.h"

/* Writes down the sets of sample `node` in all layers, up to the largest k: those of its rows, then as many of its
 * reverse lists; returns how many of each, `most_sets` at most. Called by several threads at once. */
typedef size_t kith_pair_sets_of(const void *context, uint64_t node, kith_count_set *sets);

struct kith_pair_share;

typedef struct kith_pair_rows {
	kith_pair_writer *writer;
	uint64_t n;
	uint32_t threads;
	struct kith_pair_share *shares; /* one per thread */
} kith_pair_rows;

/* Bytes that it takes, its writer's included, at most. Of `info`, n, layer_count, tiers and k count. */
uint64_t kith_pair_rows_bytes(const kith_pair_info *info, uint32_t threads, size_t most_sets);
/* Starts the file; info->block_pairs is chosen by the store. The file does not depend on the threads, nor on `room`,
 * the pairs that a thread takes at once, a multiple of 64; 0: as many as pay. Release with kith_pair_rows_finish or, at
 * any time, kith_pair_rows_abort, which leaves no file behind. */
int kith_pair_rows_init(kith_pair_rows *p, const char *path, const kith_pair_info *info, uint32_t threads,
			size_t most_sets, uint32_t room, kith_err *err);
/* The pairs of the next `count` samples, from `first` on, with larger ones. Samples come in order; those without pairs
 * may be left out. */
int kith_pair_rows_add(kith_pair_rows *p, uint64_t first, uint64_t count, kith_pair_sets_of *sets_of,
		       const void *context, kith_err *err);
int kith_pair_rows_finish(kith_pair_rows *p, kith_err *err);
void kith_pair_rows_abort(kith_pair_rows *p);

#endif
