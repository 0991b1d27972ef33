/* test_matrix.c - products against the definition, by OpenBLAS and by the loops that stand in for it where the address
 * space has no room. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "matrix.h"
#include "random.h"
#include "sandbox.h"

static double *random_values(uint64_t count, uint64_t *state)
{
	double *x = must_alloc(count, sizeof *x);
	for (uint64_t i = 0; i < count; i++)
		x[i] = (double)(int64_t)kith_random_next(state) * 0x1p-63;
	return x;
}

/* Returns 0 if a product of random matrices is what it should be. */
static int multiply_once(int threads, int ta, int tb, uint64_t m, uint64_t n, uint64_t k, uint64_t *state)
{
	uint64_t gap = kith_random_next(state) % 3, width = (ta ? m : k) + gap;
	double *a = random_values((ta ? k : m) * width, state), *b = random_values(n * k, state);
	double *c = must_alloc(m * n, sizeof *c), worst = 0;
	kith_multiply(threads, ta, tb, m, n, k, a, width, b, c);
	for (uint64_t i = 0; i < m; i++)
		for (uint64_t j = 0; j < n; j++) {
			double sum = 0;
			for (uint64_t t = 0; t < k; t++)
				sum += (ta ? a[t * width + i] : a[i * width + t]) * (tb ? b[j * k + t] : b[t * n + j]);
			worst = fmax(worst, fabs(sum - c[i * n + j]));
		}
	free(a);
	free(b);
	free(c);
	return !(worst <= (double)k * 0x1p-50);
}

static int multiply_all(void)
{
	uint64_t state = 7;
	int wrong = 0;
	for (int round = 0; round < 40; round++)
		wrong += multiply_once(1 + round % 3, round & 1, round / 2 & 1, 1 + kith_random_next(&state) % 40,
				       1 + kith_random_next(&state) % 40, 1 + kith_random_next(&state) % 200, &state);
	return wrong;
}

static int orthonormalise(void)
{
	enum { ROWS = 9, D = 50 };
	uint64_t state = 3;
	double *x = random_values(ROWS * D, &state), work[ROWS];
	for (int t = 0; t < D; t++)
		x[4 * D + t] = 2 * x[1 * D + t] - x[2 * D + t]; /* no direction of its own */
	int wrong = kith_orthonormalise(x, ROWS, D, 2, work) != ROWS - 1;
	for (int a = 0; a < ROWS - 1; a++)
		for (int b = 0; b < ROWS - 1; b++) {
			double sum = 0;
			for (int t = 0; t < D; t++)
				sum += x[a * D + t] * x[b * D + t];
			wrong += fabs(sum - (a == b)) > 1e-14;
		}
	free(x);
	return wrong;
}

static void test_with_room(void **state)
{
	(void)state;
	assert_int_equal(multiply_all(), 0);
	assert_int_equal(orthonormalise(), 0);
}

/* In a process of its own, which may have no more address space than it has. */
static void test_without_room(void **state)
{
	int status = -1;
	(void)state;
	if (getenv("KITH_SANITIZED"))
		skip(); /* sanitizers take address space of their own */
	pid_t child = fork();
	if (!child) {
		double matrix[4] = {2, 1, 1, 2}, work[KITH_EIGEN_WORK(2)];
		const struct rlimit none = {1, 1};
		alarm(60); /* rather than wait for ever */
		free(must_alloc(1 << 20, 1));
		if (setrlimit(RLIMIT_AS, &none))
			_exit(2);
		uint64_t seed = 5;
		int wrong = orthonormalise();
		for (int kind = 0; kind < 4; kind++)
			wrong += multiply_once(1, kind & 1, kind / 2, 9, 7, 11, &seed);
		_exit(wrong || !kith_eigenvectors(1, matrix, 2, work));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_room), /* before OpenMP has threads, which a fork would lose */
		cmocka_unit_test(test_with_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
