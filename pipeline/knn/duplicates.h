/* duplicates.h - samples that are nobody's neighbours, because too many identical ones precede them.
 *
 * If k + 1 samples with ids smaller than j have exactly j's row, then for any sample i at least k of them are not i,
 * lie as far from i as j does, and come before j by the tie rule: j is in no row. Layers with dead units have thousands
 * of such samples, and no bound can tell them apart. */
#ifndef KITH_DUPLICATES_H
#define KITH_DUPLICATES_H

#include "rows.h"

/* hash[n] is a hash of each row's doubles. Sets *out to a bitmap of n bits of the samples to leave out, to be freed, or
 * to NULL if there are none. Equal hashes only nominate: rows are compared. */
int kith_duplicates_find(const kith_rows *rows, const uint64_t *hash, uint32_t k, uint64_t **out, kith_err *err);

#endif
