/* part_join.h - rows across parts (parts.h): every sample of one part against every other, by bounds about the centre
 * of the part. */
#ifndef KITH_PART_JOIN_H
#define KITH_PART_JOIN_H

#include "parts.h"
#include "pilot.h"
#include "ranked_rows.h"

typedef struct kith_part_join {
	const kith_scaling *scaling;
	const kith_parts *parts;
	double *const *mean; /* of each part but the rest, about: what bounds are centred on */
	uint64_t memory;
	int threads;
	const kith_progress *progress;
	kith_pilot *pilot; /* or NULL */
} kith_part_join;

/* rows: of all samples, complete within their parts. They become those of all. */
int kith_part_join_run(const kith_part_join *join, kith_ranked_rows *rows, kith_err *err);

#endif
