/* test_ties.c - neighbours that are equally far: by content, layers that have nothing in common have the NNTS of
 * chance, however many ties they have, and a layer has 1 with its copies, in whatever shape and type; by index, they do
 * not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kith/knn.h"
#include "kith/merge.h"
#include "npy_write.h"
#include "sandbox.h"
#include "slow.h"
#include "vectors.h"

#define N     1000u
#define D     12u
#define K     15u
#define PAIRS 60u

typedef void fill(double *x, rng *r);

/* One of three classes each. */
static void one_hot(double *x, rng *r)
{
	for (size_t i = 0; i < N; i++) {
		size_t class = rng_below(r, 3);
		for (size_t t = 0; t < D; t++)
			x[i * D + t] = t == class;
	}
}

/* 57 % of all samples drive no unit. */
static void relu(double *x, rng *r)
{
	for (size_t i = 0; i < N; i++) {
		int dead = rng_chance(r, 57);
		for (size_t t = 0; t < D; t++)
			x[i * D + t] = dead ? 0 : fmax(0, (float)rng_normal(r));
	}
}

static void constant(double *x, rng *r)
{
	double value = (float)rng_normal(r);
	for (size_t i = 0; i < N * D; i++)
		x[i] = value;
}

static void build(const char *name, const char *npy, kith_ties ties, kith_metric metric, kith_tie_counts *tied)
{
	kith_knn_options o;
	kith_knn_summary summary;
	kith_err err;
	char path[SANDBOX_PATH];
	kith_knn_defaults(&o);
	o.ladder[0] = K;
	o.ties = ties;
	o.metric = metric;
	o.threads = 1;
	o.memory = 64 << 20;
	if (kith_knn_build(npy, sandbox_path(path, "%s.nng", name), &o, &summary, &err))
		fail_msg("%s", err.msg);
	if (tied)
		*tied = summary.tied;
}

static void write_layer(const char *name, const double *x, kith_dtype dtype, kith_ties ties)
{
	char npy[SANDBOX_PATH];
	void *raw = must_alloc(N * D, npy_size(dtype));
	npy_encode(dtype, x, N * D, raw);
	npy_write(sandbox_path(npy, "%s.npy", name), dtype, N, D, raw);
	build(name, npy, ties, KITH_L2, NULL);
	free(raw);
}

/* NNTS of a.nng and b.nng. */
static double nnts(void)
{
	kith_merge_options o;
	kith_stack *stack;
	kith_err err;
	char a[SANDBOX_PATH], b[SANDBOX_PATH];
	const char *paths[] = {sandbox_path(a, "a.nng"), sandbox_path(b, "b.nng")}, *names[] = {"a", "b"};
	kith_merge_defaults(&o);
	o.threads = 1;
	if (kith_merge(2, paths, names, &o, &stack, &err))
		fail_msg("%s", err.msg);
	double mean = stack->nnts[0].mean[1];
	kith_stack_free(stack);
	return mean;
}

/* Over pairs of independent layers: the mean NNTS, and its standard error. */
static double mean_nnts(fill *draw, kith_ties ties, size_t pairs, double *std_err)
{
	double sum = 0, squares = 0, *x = must_alloc(N * D, sizeof *x);
	rng r = {1};
	for (size_t p = 0; p < pairs; p++) {
		draw(x, &r);
		write_layer("a", x, KITH_F4, ties);
		draw(x, &r);
		write_layer("b", x, KITH_F4, ties);
		double q = nnts();
		sum += q;
		squares += q * q;
	}
	free(x);
	*std_err = sqrt((squares / pairs - sum / pairs * (sum / pairs)) / (double)(pairs - 1));
	return sum / pairs;
}

static void test_independent_layers(void **state)
{
	static const struct {
		const char *name;
		fill *draw;
		double by_index; /* at least */
	} layers[] = {{"one-hot", one_hot, 0.15}, {"ReLU", relu, 0.1}, {"constant", constant, 1}};
	double chance = kith_nnts_expected(N, K), error;
	(void)state;
	for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
		double content = mean_nnts(layers[l].draw, KITH_TIES_CONTENT, PAIRS, &error);
		printf("%s: by content %.5f +- %.5f, chance %.5f\n", layers[l].name, content, error, chance);
		assert_true(fabs(content - chance) <= 3 * error);
		assert_true(error < chance / 2);
		assert_true(mean_nnts(layers[l].draw, KITH_TIES_INDEX, 3, &error) >= layers[l].by_index);
	}
}

/* A layer and its copy: the same values are the same neighbours. */
static void test_copies(void **state)
{
	static fill *const draws[] = {one_hot, constant, relu};
	double *x = must_alloc(N * D, sizeof *x);
	float *raw = must_alloc(N * D, sizeof *raw);
	char npy[SANDBOX_PATH];
	rng r = {7};
	(void)state;
	for (size_t l = 0; l < 3; l++) {
		draws[l](x, &r);
		for (size_t i = 0; i < N * D; i += 3) /* a zero is a zero */
			x[i] = x[i] == 0 ? -0.0 : x[i];
		write_layer("a", x, KITH_F4, KITH_TIES_CONTENT);
		write_layer("b", x, KITH_F8, KITH_TIES_CONTENT);
		assert_true(nnts() == 1);
		for (size_t i = 0; i < N * D; i++)
			raw[i] = (float)(x[i] += 0.0);
		npy_write_raw(sandbox_path(npy, "b.npy"), 1,
			      "{'descr': '<f4', 'fortran_order': False, 'shape': (1000, 3, 4), }", raw,
			      N * D * sizeof *raw);
		build("b", npy, KITH_TIES_CONTENT, KITH_L2, NULL);
		assert_true(nnts() == 1);
		if (l == 0) {
			write_layer("b", x, KITH_U1, KITH_TIES_CONTENT);
			assert_true(nnts() == 1);
			write_layer("b", x, KITH_F2, KITH_TIES_CONTENT);
			assert_true(nnts() == 1);
		}
		x[5] += 1; /* other values, other order: but where there were ties, the rest is what it was */
		write_layer("b", x, KITH_F4, KITH_TIES_CONTENT);
		assert_true(nnts() < 0.5);
	}
	free(raw);
	free(x);
}

/* Mean IoU of two rank tables at k. */
static double mean_iou(const uint32_t *a, const uint32_t *b, size_t n, size_t width, uint32_t k)
{
	double mean, error, overlap, overlap_error;
	slow_nnts(a, b, n, width, k, &mean, &error, &overlap, &overlap_error);
	return mean;
}

static void next_permutation(uint64_t *p, size_t n)
{
	size_t i = n - 1, j = n - 1;
	while (i && p[i - 1] >= p[i])
		i--;
	if (!i)
		return;
	while (p[j] <= p[i - 1])
		j--;
	uint64_t t = p[i - 1];
	p[i - 1] = p[j];
	p[j] = t;
	for (j = n - 1; i < j; i++, j--) {
		t = p[i];
		p[i] = p[j];
		p[j] = t;
	}
}

/* The mean over all ways to break a small layer's ties, by enumeration, against that over many keys. */
static void test_all_ways(void **state)
{
	enum { SMALL = 6, WAYS = 720, KEYS = 20000 };
	static const double layers[][SMALL] = {
		{0, 0, 0, 1, 1, 5}, {2, 2, 2, 2, 2, 2}, {0, 1, 2, 3, 4, 5}, {1, 1, 3, 3, 5, 5}};
	static const double other[SMALL] = {3, 1, 4, 1.5, 9, 2.6};
	uint32_t a[SMALL * (SMALL - 1)], b[SMALL * (SMALL - 1)];
	double dist2[SMALL * (SMALL - 1)];
	rng r = {3};
	(void)state;
	slow_knn(other, SMALL, 1, NULL, SMALL - 1, b, dist2);
	for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
		for (uint32_t k = 1; k < SMALL - 1; k++) {
			uint64_t order[SMALL] = {0, 1, 2, 3, 4, 5};
			double all = 0, sum = 0, squares = 0;
			for (size_t way = 0; way < WAYS; way++, next_permutation(order, SMALL)) {
				slow_knn(layers[l], SMALL, 1, order, SMALL - 1, a, dist2);
				all += mean_iou(a, b, SMALL, SMALL - 1, k) / WAYS;
			}
			for (size_t key = 0; key < KEYS / SMALL; key++) {
				kith_tie_rule rule = {.rule = KITH_TIES_CONTENT, .key = rng_next(&r)};
				for (uint32_t i = 0; i < SMALL; i++)
					order[i] = kith_tie_rank(&rule, i);
				slow_knn(layers[l], SMALL, 1, order, SMALL - 1, a, dist2);
				double q = mean_iou(a, b, SMALL, SMALL - 1, k);
				sum += q / (KEYS / SMALL);
				squares += q * q / (KEYS / SMALL);
			}
			double error = sqrt(fmax(0, squares - sum * sum) / (KEYS / SMALL));
			assert_true(fabs(sum - all) <= 4 * error + 1e-9);
		}
}

/* What the graphs say of their ties, and of zero rows. */
static void test_counts(void **state)
{
	double *x = must_alloc(N * D, sizeof *x);
	float *raw = must_alloc(N * D, sizeof *raw);
	kith_tie_counts tied;
	char npy[SANDBOX_PATH];
	uint64_t zero = 0;
	rng r = {5};
	(void)state;
	relu(x, &r);
	for (size_t i = 0; i < N; i++) {
		int any = 0;
		for (size_t t = 0; t < D; t++) {
			raw[i * D + t] = (float)x[i * D + t];
			any |= raw[i * D + t] != 0;
		}
		zero += !any;
	}
	npy_write(sandbox_path(npy, "a.npy"), KITH_F4, N, D, raw);
	build("a", npy, KITH_TIES_CONTENT, KITH_L2, &tied);
	assert_true(tied.rows[0] >= zero && tied.most[0] >= zero - 1 && !tied.zero);
	build("a", npy, KITH_TIES_CONTENT, KITH_COSINE, &tied);
	assert_int_equal(tied.zero, zero);
	assert_true(tied.rows[0] >= zero);
	assert_int_equal(tied.most[0], N - 1);
	free(raw);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_independent_layers), cmocka_unit_test(test_copies),
					   cmocka_unit_test(test_all_ways), cmocka_unit_test(test_counts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
