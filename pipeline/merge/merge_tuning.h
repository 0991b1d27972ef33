/* merge_tuning.h - what tests choose of a merge that kith/merge.h leaves to it. No result depends on it. */
#ifndef KITH_MERGE_TUNING_H
#define KITH_MERGE_TUNING_H

#include "kith/merge.h"

/* kith_merge, with accumulators for `slots` ids at a time, a multiple of 64, and pairs of a thread alike, and
 * for --null a thirty-second as many layers in memory together; 0: as many as
 * pay. */
int kith_merge_tuned(size_t layers, const char *const *paths, const char *const *names,
		     const kith_merge_options *options, uint32_t slots, kith_stack **out, kith_err *err);

#endif
