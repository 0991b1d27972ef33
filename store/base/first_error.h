/* first_error.h - what goes wrong in a parallel loop: of all the errors that its iterations report, the one of the
 * least index, so that what a user is told does not depend on which thread came first.
 *
 *     kith_first_error failed = {0};
 *     #pragma omp parallel for num_threads(threads)
 *     for (size_t i = 0; i < count; i++) {
 *             kith_err why;
 *             kith_first_error_note(&failed, i, work(i, &why), &why);
 *     }
 *     return kith_first_error_get(&failed, err); */
#ifndef KITH_FIRST_ERROR_H
#define KITH_FIRST_ERROR_H

#include <stdint.h>

#include "kith/err.h"

/* Zero it before the loop. */
typedef struct kith_first_error {
	int rc; /* 0: no error has been reported */
	uint64_t index;
	kith_err err;
} kith_first_error;

/* Iteration `index` came to `rc`, and to `why` unless that is 0. Thread safe. */
void kith_first_error_note(kith_first_error *first, uint64_t index, int rc, const kith_err *why);

/* For one of the threads: tells how far all have come, and notes for iteration `index` that the user wishes to stop. */
void kith_first_error_tick(kith_first_error *first, uint64_t index, const kith_progress *progress, const char *what,
			   uint64_t done, uint64_t total);

/* Has an error been reported? Thread safe; for iterations that are of no use after one. */
static inline int kith_first_error_seen(const kith_first_error *first)
{
	return __atomic_load_n(&first->rc, __ATOMIC_RELAXED) != 0;
}

/* The same of an iteration before this one, whose errors count for more. */
static inline int kith_first_error_before(const kith_first_error *first, uint64_t index)
{
	return __atomic_load_n(&first->rc, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&first->index, __ATOMIC_RELAXED) < index;
}

/* After the loop: its status, 0 or the error's, which then fills `err`. */
int kith_first_error_get(const kith_first_error *first, kith_err *err);

#endif
