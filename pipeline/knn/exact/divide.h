/* divide.h - inputs that one run of the engine over all pairs is slow on, divided into those that it is not: parts
 * (parts.h) that are run by themselves and joined, and, where many samples are copies, the distinct ones.
 *
 * Distinct samples: of identical ones the first by the tie rule stands for all. If sample x is among i's k nearest, it
 * is identical to i or to one of the k distinct samples nearest to i: else k samples, the first of k groups, come
 * before x. So rows of distinct samples, all of their copies put in, make everyone's. */
#ifndef KITH_DIVIDE_H
#define KITH_DIVIDE_H

#include "float_bounds.h"
#include "ranked_rows.h"

/* If it is worth it, divides the samples and finds their rows: allocates `rows`, which is the caller's to free, also
 * after a failure. `hash` (n, of each sample's values): there are many copies, and only the distinct samples are to be
 * run; NULL: look for parts, or a lattice (lattice.h). *how: in a few words, what was done; NULL: nothing. */
int kith_divide(const kith_engine_job *job, const kith_scaling *scaling, const uint64_t *hash, kith_ranked_rows *rows,
		const char **how, kith_err *err);

/* How many copies are many: one in so many samples. 0: none are, as there is no room for rows. */
uint32_t kith_divide_copies(const kith_engine_job *job);

/* exact.c: the rows of all of the job's samples by one run. Where copies are many, it is not, but *hash is what they
 * have, the caller's to free. */
int kith_exact_rank(const kith_engine_job *job, const kith_scaling *scaling, uint32_t many_copies,
		    kith_ranked_rows *rows, uint64_t **hash, kith_err *err);

#endif
