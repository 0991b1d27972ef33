/* matrix.c - see matrix.h. The only file that knows OpenBLAS.
 *
 * OpenBLAS asks OpenMP for the number of threads: 1 inside an active parallel region, else that of the task that calls
 * it. A parallel region of one thread is not active and has a task of its own, so that what is set there is forgotten
 * when it ends. Two things make OpenBLAS wait for ever: fewer threads than it asked OpenMP for, as each waits for a
 * part that another one makes; and no address space for the buffer that every thread takes, which it asks for until it
 * is there. So it is told how many threads there will be, and where there is no room, plain loops do its work. */
#include "matrix.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "cpu.h"
#include "machine.h"

#define OPENBLAS_BUFFER                                                                                                \
	(129ull << 20) /* bytes of address space, and few of memory, for each thread and each caller                   \
			*/

/* Of LAPACK, which is part of OpenBLAS; its headers declare it nowhere. */
extern void dsyev_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
		   const int *lwork, int *info);

/* ---- room for OpenBLAS ---- */

static uint64_t wanted; /* buffers that those who are in OpenBLAS may be about to take */

static int is_limited(int resource)
{
	struct rlimit limit;
	return !getrlimit((__rlimit_resource_t)resource, &limit) && limit.rlim_cur != RLIM_INFINITY;
}

/* Whether there is address space for so many buffers. Without a limit, only a first one can be missing: the system
 * promises more than it has. */
static int has_room(uint64_t buffers)
{
	uint64_t bytes = (is_limited(RLIMIT_AS) || is_limited(RLIMIT_DATA) ? buffers : 1) * OPENBLAS_BUFFER;
	void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room != MAP_FAILED)
		munmap(room, bytes);
	return room != MAP_FAILED;
}

int kith_openblas_fits(int threads)
{
	return has_room(2 * (uint64_t)threads + 1);
}

/* Whether OpenBLAS will find room for `threads` threads; leave_openblas must follow if so. It may have its buffers
 * already, which nobody can know: near the limit this says no too often, and never yes too often. */
static int enter_openblas(int threads)
{
	uint64_t own = (uint64_t)threads + 1, all = __atomic_add_fetch(&wanted, own, __ATOMIC_RELAXED);
	int fits = has_room(all);
	if (!fits)
		__atomic_sub_fetch(&wanted, own, __ATOMIC_RELAXED);
	return fits;
}

static void leave_openblas(int threads)
{
	__atomic_sub_fetch(&wanted, (uint64_t)threads + 1, __ATOMIC_RELAXED);
}

/* ---- products ---- */

KITH_CLONES
static double plain_dot(const double *x, const double *y, uint64_t n)
{
	double sum = 0;
#pragma omp simd reduction(+ : sum)
	for (uint64_t t = 0; t < n; t++)
		sum += x[t] * y[t];
	return sum;
}

KITH_CLONES
static void plain_add(double *to, double factor, const double *x, uint64_t n)
{
	for (uint64_t t = 0; t < n; t++)
		to[t] += factor * x[t];
}

/* What kith_multiply promises, row by row. */
static void multiply_plainly(int threads, int transpose_a, int transpose_b, uint64_t m, uint64_t n, uint64_t k,
			     const double *a, uint64_t a_width, const double *b, double *c)
{
#pragma omp parallel for num_threads(threads) schedule(static)
	for (uint64_t i = 0; i < m; i++) {
		double *row = c + i * n;
		if (transpose_b && !transpose_a) {
			for (uint64_t j = 0; j < n; j++)
				row[j] = plain_dot(a + i * a_width, b + j * k, k);
			continue;
		}
		memset(row, 0, n * sizeof *row);
		for (uint64_t t = 0; t < k; t++) {
			double factor = transpose_a ? a[t * a_width + i] : a[i * a_width + t];
			for (uint64_t j = 0; transpose_b && j < n; j++)
				row[j] += factor * b[j * k + t];
			if (!transpose_b)
				plain_add(row, factor, b + t * n, n);
		}
	}
}

void kith_multiply(int threads, int transpose_a, int transpose_b, uint64_t m, uint64_t n, uint64_t k, const double *a,
		   uint64_t a_width, const double *b, double *c)
{
	if (!enter_openblas(threads)) {
		multiply_plainly(threads, transpose_a, transpose_b, m, n, k, a, a_width, b, c);
		return;
	}
#pragma omp parallel num_threads(1)
	{
		omp_set_num_threads(kith_threads_granted(threads));
		cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
			    transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
			    (blasint)a_width, b, (blasint)(transpose_b ? k : n), 0, c, (blasint)n);
	}
	leave_openblas(threads);
}

/* ---- bases ---- */

/* Row `row` less its parts in the directions of the `kept` orthonormal ones. */
static void take_parts_away(int openblas, const double *basis, uint32_t kept, uint64_t d, double *row, double *work)
{
	if (openblas) {
		cblas_dgemv(CblasRowMajor, CblasNoTrans, (blasint)kept, (blasint)d, 1, basis, (blasint)d, row, 1, 0,
			    work, 1);
		cblas_dgemv(CblasRowMajor, CblasTrans, (blasint)kept, (blasint)d, -1, basis, (blasint)d, work, 1, 1,
			    row, 1);
		return;
	}
	for (uint32_t b = 0; b < kept; b++)
		work[b] = plain_dot(basis + b * d, row, d);
	for (uint32_t b = 0; b < kept; b++)
		plain_add(row, -work[b], basis + b * d, d);
}

/* Row `row`, which follows `kept` orthonormal ones, made orthogonal to them and of length 1. Returns 0 if nothing of it
 * is left. */
static int add_direction(int openblas, double *basis, uint32_t kept, uint64_t d, int times, double *work)
{
	double *row = basis + kept * d, before = cblas_dnrm2((blasint)d, row, 1);
	for (int time = 0; time < times && kept; time++)
		take_parts_away(openblas, basis, kept, d, row, work);
	double after = cblas_dnrm2((blasint)d, row, 1);
	if (!(after > 1e-8 * before) || !isfinite(1 / after))
		return 0;
	cblas_dscal((blasint)d, 1 / after, row, 1);
	return 1;
}

uint32_t kith_orthonormalise(double *basis, uint32_t r, uint64_t d, int times, double *work)
{
	uint32_t kept = 0;
	int openblas = enter_openblas(1);
#pragma omp parallel num_threads(1)
	{
		omp_set_num_threads(1); /* products as small as these are done before a thread has woken up */
		for (uint32_t a = 0; a < r; a++) {
			if (kept < a)
				memcpy(basis + kept * d, basis + a * d, d * sizeof *basis);
			kept += (uint32_t)add_direction(openblas, basis, kept, d, times, work);
		}
	}
	if (openblas)
		leave_openblas(1);
	return kept;
}

int kith_eigenvectors(int threads, double *a, uint32_t r, double *work)
{
	int n = (int)r, lwork = 34 * n + 1, info = 1;
	if (!enter_openblas(threads))
		return info;
#pragma omp parallel num_threads(1)
	{
		omp_set_num_threads(kith_threads_granted(threads));
		dsyev_("V", "U", &n, a, &n, work, work + n, &lwork, &info);
	}
	leave_openblas(threads);
	return info; /* row b of a is LAPACK's column b */
}
