/* matrix.h - products and bases of matrices, by OpenBLAS, which would take its number of threads from the process: here
 * it is an argument. Matrices are stored row by row. Where the address space has no room for OpenBLAS (ulimit -v),
 * plain loops multiply, several times slower, and eigenvectors are not found. */
#ifndef KITH_MATRIX_H
#define KITH_MATRIX_H

#include <stdint.h>

/* c = a b, of m x n, with inner dimension k. a is stored as m rows of k values, or if `transpose_a` as k rows of m,
 * each a_width values after the one before; b as k rows of n or, if `transpose_b`, n rows of k, close together. */
void kith_multiply(int threads, int transpose_a, int transpose_b, uint64_t m, uint64_t n, uint64_t k, const double *a,
		   uint64_t a_width, const double *b, double *c);

/* Makes the rows of `basis` (r x d) orthonormal by Gram-Schmidt and drops those that have no direction of their own
 * left. Once is enough between rounds, twice makes them orthonormal to the last bits. Returns how many stay. `work`
 * holds r values. */
uint32_t kith_orthonormalise(double *basis, uint32_t r, uint64_t d, int times, double *work);

/* Replaces the symmetric r x r matrix `a` by its eigenvectors, one a row, in the order of ascending eigenvalues. `work`
 * holds KITH_EIGEN_WORK(r) values. Returns 0, or not 0 if they are not found, and `a` is lost. */
#define KITH_EIGEN_WORK(r) (35ull * (r) + 1)
int kith_eigenvectors(int threads, double *a, uint32_t r, double *work);

/* Whether the address space has room for a library that calls OpenBLAS in `threads` threads, alone or together. */
int kith_openblas_fits(int threads);

#endif
