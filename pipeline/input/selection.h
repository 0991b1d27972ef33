/* selection.h - "[:,3,0,2:8]": which part of an array is wanted, as NumPy's basic indexing says it. */
#ifndef KITH_SELECTION_H
#define KITH_SELECTION_H

#include "source.h"

/* Of one dimension: `count` indices from `start` on, each `step` after the one before. */
typedef struct kith_choice {
	uint64_t start, count;
	int64_t step;
	int dropped; /* one index, and the dimension is gone; else there is a dimension of `count` */
} kith_choice;

/* What `text` chooses of an array of this shape: a choice for each of its dimensions. The first dimension stays.
 * NULL chooses everything. KITH_EUSAGE if it cannot be understood, is beyond a dimension, or leaves nothing; `path` is
 * for messages. */
int kith_selection_apply(const char *text, const uint64_t *shape, int dims, kith_choice *out, const char *path,
			 kith_err *err);

#endif
