/* values.h - stored values as the numbers that kith works with. They may lie at any address. */
#ifndef KITH_VALUES_H
#define KITH_VALUES_H

#include "source.h"

/* `count` values as doubles. Returns how many of them, from the first on, are integers that doubles hold, or no
 * integers at all: `count` if nothing is wrong. */
uint64_t kith_values_to_doubles(kith_dtype dtype, const void *raw, uint64_t count, double *out);

/* As floats, of types that are not wide. */
void kith_values_to_floats(kith_dtype dtype, const void *raw, uint64_t count, float *out);

/* As integers. Returns how many of them, from the first on, are whole and within 64 bits. */
uint64_t kith_values_to_ints(kith_dtype dtype, const void *raw, uint64_t count, int64_t *out);

/* Turns the order of the bytes of `count` values of `size` bytes, in place. */
void kith_values_swap(void *raw, uint64_t count, uint64_t size);

#endif
