/* spill.h - a nameless temporary file that is written once, from its beginning to its end, and then read. It is gone
 * with the process. */
#ifndef KITH_SPILL_H
#define KITH_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

typedef struct kith_spill {
	int open, fd;
	uint64_t bytes; /* appended */
	uint64_t at;    /* of which have been read in turn */
	char *buffer;   /* the caller's */
	size_t size, begin, end;
} kith_spill;

/* Opens one in the folder of `beside`. Until kith_spill_close, also after a failure, the struct is not moved; one that
 * is all zeros is closed. */
int kith_spill_open(kith_spill *spill, const char *beside, kith_err *err);
void kith_spill_close(kith_spill *spill);

/* What appends and reads in turn go through from now on: buffer[size]; appends that are still in another one are
 * lost unless they have been flushed. */
void kith_spill_buffer(kith_spill *spill, char *buffer, size_t size);

int kith_spill_append(kith_spill *spill, const void *data, size_t bytes, kith_err *err);
int kith_spill_flush(kith_spill *spill, kith_err *err);

/* All of it. */
int kith_spill_read(const kith_spill *spill, void *out, kith_err *err);
/* The next `bytes` of it, which are there. */
int kith_spill_next(kith_spill *spill, void *out, size_t bytes, kith_err *err);

#endif
