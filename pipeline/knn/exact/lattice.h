/* lattice.h - samples whose values are few whole steps: one-hot codes, signs, small integers. Their distances are whole
 * numbers, which integer products give exactly, so no pair is measured. That matters where most samples are equally far
 * from each other, and no bound that leaves a doubt rules any out. */
#ifndef KITH_LATTICE_H
#define KITH_LATTICE_H

#include "ranked_rows.h"

/* If all samples, which stand for `all`, are such, at least `least` (0: as many as make it worth it), most seem to be
 * equally far from each other, and few seem to be copies (divide.h): allocates rows of k, the caller's to free, also
 * after a failure, fills them in, and sets *done. */
int kith_lattice_rank(const kith_vectors *vectors, uint32_t k, uint64_t all, uint64_t least, uint64_t memory,
		      int threads, const kith_progress *progress, kith_ranked_rows *rows, int *done, kith_err *err);

#endif
