/* matrix.c - see matrix.h. The only file that knows OpenBLAS.
 *
 * OpenBLAS asks OpenMP for the number of threads: 1 inside an active parallel region, else that of the task that calls
 * it. A parallel region of one thread is not active and has a task of its own, so that what is set there is forgotten
 * when it ends. */
#include "matrix.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

/* Of LAPACK, which is part of OpenBLAS; its headers declare it nowhere. */
extern void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
		   const int *lwork, int *info);

void kith_multiply(int threads, int transpose_a, int transpose_b, uint64_t m, uint64_t n, uint64_t k, const double *a,
		   uint64_t a_width, const double *b, double *c)
{
#pragma omp parallel num_threads(1)
	{
		omp_set_num_threads(threads);
		cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
			    transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
			    (blasint)a_width, b, (blasint)(transpose_b ? k : n), 0, c, (blasint)n);
	}
}

/* Row `row`, which follows `kept` orthonormal ones, made orthogonal to them and of length 1. Returns 0 if nothing of it
 * is left. */
static int add_direction(double *basis, uint32_t kept, uint64_t d, int times, double *work)
{
	double *row = basis + kept * d, before = cblas_dnrm2((blasint)d, row, 1);
	for (int time = 0; time < times && kept; time++) {
		cblas_dgemv(CblasRowMajor, CblasNoTrans, (blasint)kept, (blasint)d, 1, basis, (blasint)d, row, 1, 0,
			    work, 1);
		cblas_dgemv(CblasRowMajor, CblasTrans, (blasint)kept, (blasint)d, -1, basis, (blasint)d, work, 1, 1,
			    row, 1);
	}
	double after = cblas_dnrm2((blasint)d, row, 1);
	if (!(after > 1e-8 * before) || !isfinite(1 / after))
		return 0;
	cblas_dscal((blasint)d, 1 / after, row, 1);
	return 1;
}

uint32_t kith_orthonormalise(double *basis, uint32_t r, uint64_t d, int times, double *work)
{
	uint32_t kept = 0;
#pragma omp parallel num_threads(1)
	{
		omp_set_num_threads(1); /* products as small as these are done before a thread has woken up */
		for (uint32_t a = 0; a < r; a++) {
			if (kept < a)
				memcpy(basis + kept * d, basis + a * d, d * sizeof *basis);
			kept += (uint32_t)add_direction(basis, kept, d, times, work);
		}
	}
	return kept;
}

int kith_eigenvectors(int threads, double *a, uint32_t r, double *work)
{
	int n = (int)r, lwork = 34 * n + 1, info = 1;
#pragma omp parallel num_threads(1)
	{
		omp_set_num_threads(threads);
		dsyev_("V", "U", &n, a, &n, work, work + n, &lwork, &info);
	}
	return info; /* row b of a is LAPACK's column b */
}
