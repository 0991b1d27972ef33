/* stored.h - what a graph file's records take, table by table. */
#ifndef STORED_H
#define STORED_H

#include <stdint.h>

#include "kith/err.h"

enum { STORED_META, STORED_ROWS, STORED_NEAR, STORED_PAIRS, STORED_TABLES }; /* FORMAT.md, section 1 */

typedef struct stored {
	uint64_t file;                 /* bytes of the whole file: records, their pages' slack, index, tail */
	uint64_t table[STORED_TABLES]; /* bytes of the records alone */
} stored;

int stored_read(const char *path, stored *out, kith_err *err);

#endif
