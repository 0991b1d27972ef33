/* pair_output.h - the answer to a question, written as it is found: pairs as text, array or graph; components. */
#ifndef KITH_PAIR_OUTPUT_H
#define KITH_PAIR_OUTPUT_H

#include <stdio.h>

#include "query.h"

typedef enum kith_pair_format {
	KITH_PAIRS_COUNT,      /* the number of pairs (with components: of components), a line */
	KITH_PAIRS_TSV,        /* header lines with #, then i, j, first and last layer (kith_pair_found) */
	KITH_PAIRS_NPY,        /* an array (pairs, 2) of <u4; the stream must be able to seek */
	KITH_PAIRS_GRAPHML,    /* every sample a node, first and last layer on the edges */
	KITH_PAIRS_COMPONENTS, /* header lines with how many there are of each size, then node and component, the
				  component's smallest node; takes 12 bytes per sample */
	KITH_PAIRS_COMPONENTS_COUNT
} kith_pair_format;

typedef struct kith_pair_output {
	kith_pair_format format;
	FILE *stream;
	const char *name;     /* of the stream, for messages */
	const char *question; /* what was asked, in words, for headers */
} kith_pair_output;

/* Asks `query` of the store and writes the answer; the stream is flushed. `*count` is the number of pairs, or of
 * components. */
int kith_pair_answer(kith_pair_store *store, const kith_pair_query *query, const kith_pair_output *output,
		     uint64_t *count, kith_err *err);

#endif
