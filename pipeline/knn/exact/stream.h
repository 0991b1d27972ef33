/* stream.h - the join where projections of all samples do not fit in memory, or are no help: a panel of rows stays in
 * memory while all columns (samples, too) stream past it. */
#ifndef KITH_STREAM_H
#define KITH_STREAM_H

#include "duplicates.h"
#include "engine_plan.h"

typedef struct kith_stream {
	const kith_plan *plan;
	const kith_scaling *scaling;
	const kith_graph_info *info;
	const kith_bounds *bounds;         /* of all d values, without v */
	const kith_duplicates *duplicates; /* whose samples left out are nobody's neighbours */
	const uint32_t *rows;              /* the samples to find neighbours of; NULL: all */
	uint64_t count;                    /* of them */
	const char *work;                  /* what progress calls it */
	const kith_progress *progress;
} kith_stream;

/* The results of these samples. */
int kith_stream_run(const kith_stream *stream, kith_results *results, kith_err *err);

/* Chooses the plan's panel, tile, capacity and batch for `count` rows so that all stays within `memory` bytes. `panel`
 * and `tile`: to be used instead, if not 0. Returns the bytes it will take, or the least it can do with if that is more
 * than `memory`. */
uint64_t kith_stream_sizes(kith_plan *plan, const kith_vectors *vectors, uint64_t count, uint32_t k, uint64_t memory,
			   uint32_t panel, uint32_t tile);

#endif
