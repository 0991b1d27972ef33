/* kith/input.h - how an input file is to be read where it does not say so itself. */
#ifndef KITH_INPUT_H
#define KITH_INPUT_H

#include <stdint.h>

/* All zeros: the file says all of it, as most formats do. Texts are as on the command line; what is wrong with them is
 * KITH_EUSAGE when the file is opened. */
typedef struct kith_input_how {
	const char *format; /* "raw", "npy", ...; NULL: recognised by its first bytes, then by its name */
	const char *dtype;  /* "f4", "bf16", ...: of raw files; "bf16" also of 16-bit integers that are none */
	const char *shape;  /* "N,D[,...]", of raw files; N may be -1: as many as the file holds */
	uint64_t offset;    /* of raw files: bytes before the first value */
	/* Temporary files, of formats that need one, are made beside this; NULL: in $TMPDIR. If it is said, rows in
	 * Fortran order of which `memory` does not hold twice as many are written to one, too, in C order, unless the
	 * disk is too full: read one by one where they are they take far longer. */
	const char *spill;
	/* Bytes: a file of which more would have to be in memory to open it is KITH_EUSAGE, and an eighth at most is
	 * kept until it is closed. 0, or more than 1 GiB: 1 GiB */
	uint64_t memory;
} kith_input_how;

#endif
