/* first_error.c - see first_error.h */
#include "first_error.h"

#include <pthread.h>

void kith_first_error_note(kith_first_error *first, uint64_t index, int rc, const kith_err *why)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one for all loops: errors are rare */
	if (!rc)
		return;
	pthread_mutex_lock(&lock);
	if (!first->rc || index < first->index) {
		__atomic_store_n(&first->index, index, __ATOMIC_RELAXED);
		first->err = *why;
		__atomic_store_n(&first->rc, rc, __ATOMIC_RELEASE); /* after the index */
	}
	pthread_mutex_unlock(&lock);
}

void kith_first_error_tick(kith_first_error *first, uint64_t index, const kith_progress *progress, const char *what,
			   uint64_t done, uint64_t total)
{
	kith_err why;
	kith_first_error_note(first, index, kith_progress_tick(progress, what, done, total, &why), &why);
}

int kith_first_error_get(const kith_first_error *first, kith_err *err)
{
	if (first->rc && err)
		*err = first->err;
	return first->rc;
}
