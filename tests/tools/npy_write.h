/* npy_write.h - .npy files for tests, good ones and any kind of bad one, and the element types both ways. */
#ifndef NPY_WRITE_H
#define NPY_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "activations.h"

/* Writes magic, version (1, 2 or 3; others are written as asked, laid out like 2), the header text padded with spaces
 * to a multiple of 64 bytes and ended with a newline, then `bytes` bytes of data. */
void npy_write_raw(const char *path, int version, const char *header, const void *data, size_t bytes);

/* The header numpy writes: descr as "<f4", shape as "(3, 4)". The text stays good until the next call. */
const char *npy_header(const char *descr, int fortran, const char *shape);

/* A good version 1 file of n x d values of `dtype`. */
void npy_write(const char *path, kith_dtype dtype, size_t n, size_t d, const void *data);

const char *npy_descr(kith_dtype dtype); /* "<f2", ..., "|V2" */
size_t npy_size(kith_dtype dtype);

/* Stores each value as the nearest one that the type has: halves to even, and what is too large becomes the largest.
 * NaN and infinities stay what they are in the types that have them. */
void npy_encode(kith_dtype dtype, const double *values, size_t count, void *out);
void npy_decode(kith_dtype dtype, const void *data, size_t count, double *out);

#endif
