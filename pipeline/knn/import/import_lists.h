/* import_lists.h - lists of neighbours in a file, some consecutive ones at a time: whether they are such lists, and
 * whom they name. */
#ifndef KITH_IMPORT_LISTS_H
#define KITH_IMPORT_LISTS_H

#include "import.h"
#include "source.h"

#define KITH_NOWHERE UINT32_MAX /* in the place of a column */

typedef struct kith_import_lists {
	kith_source *index, *distance; /* distance: NULL if there are none */
	uint64_t n;
	uint32_t columns, known; /* known: those with distances */
	uint32_t least;          /* others that a list has to have; 0: any number */
	double beyond;           /* distances are below it */
	int one_based, absent, mend;
	int threads;

	/* The lists of samples first..first+count-1, no more than `most`: */
	uint64_t most, first, count;
	int64_t *id;     /* most x columns: samples from 0 on; -1 throughout where it is faulty */
	double *given;   /* most x known: distances as they are given */
	uint32_t *own;   /* most: the column of its own sample, or KITH_NOWHERE */
	uint8_t *faulty; /* most: with `mend`, whether there is something wrong; else that is an error */

	uint8_t *raw;    /* most rows of either file as they are stored, */
	uint64_t stored; /* of so many bytes at most */
	uint64_t *seen;  /* threads x 2^bits: tables of whom a list has named */
	uint32_t bits, pass;
	kith_hash_state *hash[2];
	void *memory;
} kith_import_lists;

/* Opens the files, and takes about `memory` bytes. Release it with kith_import_lists_close, also after a failure. */
int kith_import_lists_open(kith_import_lists *lists, const char *indices, const kith_import_options *options,
			   uint64_t memory, kith_err *err);
void kith_import_lists_close(kith_import_lists *lists); /* all zeros is fine */

/* Goes back to the first list. */
int kith_import_lists_rewind(kith_import_lists *lists, kith_err *err);

/* The next lists, all of which are checked; count is 0 at the end. KITH_EUSAGE, by row and column, of the first that is
 * none. */
int kith_import_lists_next(kith_import_lists *lists, const kith_progress *progress, kith_err *err);

/* At the end: XXH3-64 of all indices as they are given, as 64-bit integers; with distances, of this hash and that of
 * these as doubles. */
uint64_t kith_import_lists_digest(const kith_import_lists *lists);

#endif
