/* pair_builder.h - counts samples and writes their pairs, in one walk: each thread counts a part of the samples and
 * collects their pairs; then the parts are written, in order. */
#ifndef KITH_PAIR_BUILDER_H
#define KITH_PAIR_BUILDER_H

#include "count_nodes.h"

#define KITH_MAX_COUNTERS 256u /* threads */

/* Counts samples first..first+nodes-1, as kith_counter_run does, with `threads` counters whose plan has a pair_room,
 * and appends their pairs to the writer. Samples come in order; those without pairs may be left out. The file depends
 * neither on the threads nor on the room. Fails as counting or writing does. */
int kith_pair_builder_run(kith_pair_writer *writer, kith_counter *counters, uint32_t threads,
			  const kith_count_sources *sources, uint64_t first, uint64_t nodes, kith_err *err);

#endif
