/* pair_rows.h - the pairs of all layers side by side, on their way into a pair store (kith/pairs.h). */
#ifndef KITH_PAIR_ROWS_H
#define KITH_PAIR_ROWS_H

#include "kith/pairs.h"

/* One sample's pairs with larger ones in one layer, ascending. */
typedef struct kith_pair_row {
	const uint32_t *id;
	const uint8_t *tier; /* as the graph has it */
	size_t count;
	const uint8_t *stored; /* 256: the byte of the pair store for each of these; KITH_PAIR_ABSENT: beyond every k */
} kith_pair_row;

typedef struct kith_pair_rows {
	kith_pair_writer *writer;
	uint32_t layers, room, count; /* pairs that wait to be appended */
	uint32_t *i, *j;
	uint8_t *tier; /* layers x room */
	size_t *cursor;
} kith_pair_rows;

/* Bytes that it takes, its writer's included, at most. */
uint64_t kith_pair_rows_bytes(uint32_t layers);
/* Starts the file; info->block_pairs is chosen by the store. Release with kith_pair_rows_finish or, at any time,
 * kith_pair_rows_abort, which leaves no file behind. */
int kith_pair_rows_init(kith_pair_rows *p, const char *path, const kith_pair_info *info, kith_err *err);
/* The next sample's rows, one for each layer. Samples come in order; those without pairs may be left out. */
int kith_pair_rows_add(kith_pair_rows *p, uint32_t node, const kith_pair_row *rows, kith_err *err);
int kith_pair_rows_finish(kith_pair_rows *p, kith_err *err);
void kith_pair_rows_abort(kith_pair_rows *p);

#endif
