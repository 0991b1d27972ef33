/* stream.h - the engine where sketches of all samples do not fit in memory, or are no help: a panel of rows stays in
 * memory while all columns stream past it. */
#ifndef KITH_STREAM_H
#define KITH_STREAM_H

#include "duplicates.h"
#include "engine_plan.h"

typedef struct kith_stream {
	const kith_plan *plan;
	const kith_screen *screen;
	const kith_graph_info *info;
	const kith_level *level;           /* the bounds of all d columns, without v */
	const kith_duplicates *duplicates; /* whose samples left out are nobody's neighbours */
	const kith_progress *progress;
} kith_stream;

/* The results of all n samples. */
int kith_stream_run(const kith_stream *stream, kith_results *results, kith_err *err);

/* Chooses the plan's panel, tile, capacity and batch so that all stays within `memory` bytes. `panel`
 * and `tile`: to be used instead, if not 0. Returns the bytes it will take, or the least it can do with if that is more
 * than `memory`. */
uint64_t kith_stream_sizes(kith_plan *plan, const kith_rows *rows, uint32_t k, int threads, uint64_t memory,
			   uint32_t panel, uint32_t tile);

#endif
