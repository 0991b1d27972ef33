/* golden.c - tiny stacks worked by hand, from .npy files to the stack, through the public interface.
 *
 * THE FIRST STACK: 5 samples, 4 layers of one activation each, ladder 1, 2, 4 (4 = n-1).
 *
 *   layer 0 (f8)  0 1 3 7 15       layer 1 (i1)  0 1 2 3 4       layer 2 (u1)  5 5 5 0 0       layer 3 (f2)  as layer 0
 *
 * Neighbours in order, distance in brackets; ties go to the lower index:
 *
 *     i   layer 0, 3                  layer 1                     layer 2
 *     0   1(1)  2(3)  3(7)  4(15)     1(1)  2(2)  3(3)  4(4)      1(0)  2(0)  3(5)  4(5)
 *     1   0(1)  2(2)  3(6)  4(14)     0(1)  2(1)  3(2)  4(3)      0(0)  2(0)  3(5)  4(5)
 *     2   1(2)  0(3)  3(4)  4(12)     1(1)  3(1)  0(2)  4(2)      0(0)  1(0)  3(5)  4(5)
 *     3   2(4)  1(6)  0(7)  4(8)      2(1)  4(1)  1(2)  0(3)      4(0)  0(5)  1(5)  2(5)
 *     4   3(8)  2(12) 1(14) 0(15)     3(1)  2(2)  1(3)  0(4)      3(0)  0(5)  1(5)  2(5)
 *
 * NNTS, k=1. Layers 0, 1, 3 have the same sets: 1, standard error 0. Against layer 2, samples 0, 1, 4 agree and 2, 3 do
 *   not: mean 3/5; the squares of the deviations sum to 3 (2/5)^2 + 2 (3/5)^2 = 6/5; over n (n-1) = 20: 3/50.
 * NNTS, k=2.
 *   (0,1): 1 1 1/3 1/3 1      mean 11/15; 3 (4/15)^2 + 2 (6/15)^2 = 8/15;          over 20: 2/75
 *   (0,2): 1 1 1 0 1/3        mean 2/3;   3 (1/3)^2 + (2/3)^2 + (1/3)^2 = 8/9;     over 20: 2/45
 *   (1,2): 1 1 1/3 1/3 1/3    mean 3/5;   2 (2/5)^2 + 3 (4/15)^2 = 8/15;           over 20: 2/75
 *   (0,3): 1; (1,3) is (0,1) and (2,3) is (0,2).
 * NNTS, k=4. Everyone is everyone's neighbour: 1, standard error 0.
 *
 * Overlap, k=1: as NNTS. k=2: a third of the union is half of the neighbours.
 *   (0,1): 1 1 1/2 1/2 1      mean 4/5;   3 (1/5)^2 + 2 (3/10)^2 = 3/10;           over 20: 3/200
 *   (0,2): 1 1 1 0 1/2        mean 7/10;  3 (3/10)^2 + (7/10)^2 + (1/5)^2 = 4/5;   over 20: 1/25
 *   (1,2): 1 1 1/2 1/2 1/2    mean 7/10;  2 (3/10)^2 + 3 (1/5)^2 = 3/10;           over 20: 3/200
 *
 * Chance: of the 4 others, k=1 is the same one with probability 1/4: E = 1/4. k=2: of the 6 pairs one is the same (1),
 * one disjoint (0), four have one in common (1/3): E = 7/18. k=4: E = 1. Corrected: k=1, 3/5 becomes 7/15; k=2, 11/15
 *   becomes 31/55, 2/3 becomes 5/11, 3/5 becomes 19/55.
 *
 * NNTP: the presence of each pair through layers 0..3 (pairs not named are in no layer).
 *   k=1 union    01 1111   12 1101   23 1101   34 1111   02 0010               pairs per layer 4 4 3 4
 *   k=1 mutual   01 1111   34 0010                                             pairs per layer 1 1 2 1
 *   k=2 union    01 1111   02 1111   12 1111   34 1111   23 1101   24 1101
 *                13 1001   03 0010   04 0010                                   pairs per layer 7 6 6 7
 *   k=2 mutual   01 1111   12 1111   02 1011   23 0100   34 0110               pairs per layer 3 4 4 3
 *   k=4 both     all ten pairs 1111                                            pairs per layer 10 10 10 10
 *
 * Isolated, mutual, from these pairs: k=1 all but 0 and 1, in layer 2 all but 0, 1, 3 and 4; k=2 in layers 0 and 3 the
 *   samples 3 and 4; k=4 none.
 *
 * Layer dynamics, k=2 union, from these presence lists. Seven pairs are born in layer 0; 03 and 04 in layer 2; 23, 24,
 * 13 again in layer 3. After layer 0, 13 is gone and returns two layers later; after layer 1, 23 and 24 are, and return
 * one later; after layer 2, 03 and 04 are for good. Of the seven, 7 6 4 4 are still there. Removal: layers 0 and 1 have
 * 6 of 7 pairs in common, 1 and 2 4 of 8 (01 02 12 34; 23 24 03 04), 2 and 3 4 of 9.
 *
 * So at k=2, union: 23 and 24 are two runs (0..1 and 3..3) at alpha 0 and one (0..3) from alpha 1 on; 13 becomes one
 * run only at alpha 2. The matrices below follow. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine.h"
#include "exact.h"
#include "kith/dynamics.h"
#include "kith/merge.h"
#include "npy_write.h"
#include "sandbox.h"

static char paths[4][SANDBOX_PATH];
static kith_exact_options own;

static void build(int layer, kith_dtype dtype, size_t n, size_t d, const double *values, kith_metric metric,
		  uint32_t tiers, const uint32_t *ladder)
{
	kith_knn_options options;
	kith_knn_summary summary;
	kith_err err = {0};
	char npy[SANDBOX_PATH];
	void *raw = must_alloc(n * d, npy_size(dtype));
	npy_encode(dtype, values, n * d, raw);
	npy_write(sandbox_path(npy, "layer%d.npy", layer), dtype, n, d, raw);
	free(raw);
	kith_knn_defaults(&options);
	options.tiers = tiers;
	memcpy(options.ladder, ladder, tiers * sizeof *ladder);
	options.metric = metric;
	options.ties = KITH_TIES_INDEX; /* what is expected here was made by it */
	options.memory = (uint64_t)64 << 20;
	options.threads = 2;
	if (kith_knn_build_with(npy, sandbox_path(paths[layer], "layer%d.nng", layer), &options, &own, &summary, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(summary.n, n);
	assert_int_equal(summary.d, d);
	assert_true(summary.recall == 1);
}

static void expect_rows(int layer, size_t n, uint32_t tiers, uint32_t width, const uint32_t *want)
{
	kith_graph *graph;
	kith_err err = {0};
	uint32_t got[64];
	if (kith_graph_open(&graph, paths[layer], &err) || kith_graph_read_rows(graph, 0, n, tiers, got, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(kith_graph_get_info(graph)->ladder[tiers - 1], width);
	assert_memory_equal(got, want, n * width * sizeof *want);
	kith_graph_close(graph);
}

/* Ranks and squared distances, as far as the near list goes (here: to n-1). */
static void expect_near(int layer, size_t n, uint32_t near, const uint32_t *ids, const double *dist2)
{
	kith_graph *graph;
	kith_err err = {0};
	uint32_t got[64];
	double got_dist2[64];
	if (kith_graph_open(&graph, paths[layer], &err) || kith_graph_read_near(graph, 0, n, got, got_dist2, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(kith_graph_get_info(graph)->near, near);
	assert_memory_equal(got, ids, n * near * sizeof *ids);
	for (size_t c = 0; dist2 && c < n * near; c++)
		assert_true(got_dist2[c] == dist2[c]);
	kith_graph_close(graph);
}

static kith_stack *merge(size_t layers, uint32_t alpha, int threads)
{
	static const char *const names[] = {"I", "C0", "R0", "O"};
	const char *files[] = {paths[0], paths[1], paths[2], paths[3]};
	kith_merge_options options;
	kith_stack *stack = NULL;
	kith_err err = {0};
	kith_merge_defaults(&options);
	options.alpha = alpha;
	options.with_union = options.with_mutual = 1;
	options.threads = threads;
	if (kith_merge(layers, files, names, &options, &stack, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(kith_stack_check(stack, &err), 0);
	assert_int_equal(stack->layer_count, layers);
	for (size_t v = 0; v < layers; v++)
		assert_string_equal(stack->layers[v].name, names[v]);
	return stack;
}

static void expect_nnts(const kith_stack *stack, size_t at, uint32_t k, const double *mean, const double *variance)
{
	const kith_nnts *got = &stack->nnts[at];
	assert_int_equal(got->k, k);
	for (size_t c = 0; c < stack->layer_count * stack->layer_count; c++) {
		assert_true(got->mean[c] == mean[c]);
		assert_true(fabs(got->std_err[c] - sqrt(variance[c])) <= 1e-16);
	}
}

static void expect_overlap(const kith_stack *stack, size_t at, const double *mean, const double *variance)
{
	const kith_nnts *got = &stack->nnts[at];
	for (size_t c = 0; c < stack->layer_count * stack->layer_count; c++) {
		assert_true(got->overlap[c] == mean[c]);
		assert_true(fabs(got->overlap_err[c] - sqrt(variance[c])) <= 1e-16);
	}
}

static void expect_nntp(const kith_stack *stack, size_t at, uint32_t k, kith_graph_kind graph, uint32_t alpha,
			const uint64_t *pairs, const uint64_t *count)
{
	const kith_nntp *got = &stack->nntp[at];
	size_t layers = stack->layer_count;
	assert_int_equal(got->k, k);
	assert_int_equal(got->graph, graph);
	assert_int_equal(got->alpha, alpha);
	assert_memory_equal(got->pairs, pairs, layers * sizeof *pairs);
	assert_memory_equal(got->count, count, layers * layers * sizeof *count);
}

static void expect_isolated(const kith_stack *stack, size_t at, const uint64_t *isolated)
{
	assert_memory_equal(stack->nntp[at].isolated, isolated, stack->layer_count * sizeof *isolated);
}

static void build_first_stack(void)
{
	static const double powers[] = {0, 1, 3, 7, 15}, steps[] = {0, 1, 2, 3, 4}, copies[] = {5, 5, 5, 0, 0};
	static const uint32_t ladder[] = {1, 2, 4};
	build(0, KITH_F8, 5, 1, powers, KITH_L2, 3, ladder);
	build(1, KITH_I1, 5, 1, steps, KITH_L2, 3, ladder);
	build(2, KITH_U1, 5, 1, copies, KITH_L2, 3, ladder);
	build(3, KITH_F2, 5, 1, powers, KITH_L2, 3, ladder);
}

static void test_neighbours(void **state)
{
	/* Tier by tier: rank 0 | rank 1 | ranks 2 and 3 by id. */
	static const uint32_t powers[] = {1, 2, 3, 4, 0, 2, 3, 4, 1, 0, 3, 4, 2, 1, 0, 4, 3, 2, 0, 1};
	static const uint32_t steps[] = {1, 2, 3, 4, 0, 2, 3, 4, 1, 3, 0, 4, 2, 4, 0, 1, 3, 2, 0, 1};
	static const uint32_t copies[] = {1, 2, 3, 4, 0, 2, 3, 4, 0, 1, 3, 4, 4, 0, 1, 2, 3, 0, 1, 2};
	static const uint32_t steps_in_order[] = {1, 2, 3, 4, 0, 2, 3, 4, 1, 3, 0, 4, 2, 4, 1, 0, 3, 2, 1, 0};
	static const double steps_dist2[] = {1, 4, 9, 16, 1, 1, 4, 9, 1, 1, 4, 4, 1, 1, 4, 9, 1, 4, 9, 16};
	static const double copies_dist2[] = {0, 0, 25, 25, 0, 0, 25, 25, 0, 0, 25, 25, 0, 25, 25, 25, 0, 25, 25, 25};
	static const uint32_t steps_two[] = {1, 2, 0, 2, 1, 3, 2, 4, 3, 2};
	(void)state;
	build_first_stack();
	expect_rows(0, 5, 3, 4, powers);
	expect_rows(1, 5, 3, 4, steps);
	expect_rows(1, 5, 2, 2, steps_two);
	expect_rows(2, 5, 3, 4, copies);
	expect_rows(3, 5, 3, 4, powers);
	expect_near(1, 5, 4, steps_in_order, steps_dist2);
	expect_near(2, 5, 4, copies, copies_dist2); /* here ranks 2 and 3 ascend by id as well */
}

static void test_reverse_lists(void **state)
{
	/* Layer 1, by tier: which larger samples have 0, 1, 2, 3, 4 as a neighbour. Tier 0: 1 -> 0, 2 -> 1, 3 -> 2, 4
	 * -> 3; tier 1: 4 -> 2; tier 2: 2 -> 0, 3 -> 0, 4 -> 0, 3 -> 1, 4 -> 1. Each holds a fifth of all samples:
	 * bits. */
	static const uint64_t lists[3][5] = {{0x02, 0x04, 0x08, 0x10, 0}, {0, 0, 0x10, 0, 0}, {0x1c, 0x18, 0, 0, 0}};
	kith_sets sets[3] = {0};
	kith_graph *graph;
	kith_err err = {0};
	(void)state;
	build_first_stack();
	if (kith_graph_open(&graph, paths[1], &err) || kith_graph_read_reverse(graph, 0, 5, 3, sets, &err))
		fail_msg("%s", err.msg);
	for (int tier = 0; tier < 3; tier++) {
		assert_true(sets[tier].dense && sets[tier].stride == 1 && sets[tier].base == 0);
		assert_memory_equal(sets[tier].bits, lists[tier], sizeof lists[tier]);
		kith_sets_free(&sets[tier]);
	}
	kith_graph_close(graph);
}

static void test_nnts(void **state)
{
	static const double m = 3.0 / 5, v = 3.0 / 50, p = 11.0 / 15, q = 2.0 / 3, pv = 2.0 / 75, qv = 2.0 / 45;
	const double mean1[] = {1, 1, m, 1, 1, 1, m, 1, m, m, 1, m, 1, 1, m, 1};
	const double variance1[] = {0, 0, v, 0, 0, 0, v, 0, v, v, 0, v, 0, 0, v, 0};
	const double mean2[] = {1, p, q, 1, p, 1, m, p, q, m, 1, q, 1, p, q, 1};
	const double variance2[] = {0, pv, qv, 0, pv, 0, pv, pv, qv, pv, 0, qv, 0, pv, qv, 0};
	const double one[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, zero[16] = {0};
	kith_stack *stack;
	(void)state;
	build_first_stack();
	for (int threads = 1; threads <= 2; threads++) {
		stack = merge(4, 0, threads);
		assert_int_equal(stack->n, 5);
		assert_int_equal(stack->nnts_count, 3);
		expect_nnts(stack, 0, 1, mean1, variance1);
		expect_nnts(stack, 1, 2, mean2, variance2);
		expect_nnts(stack, 2, 4, one, zero);
		kith_stack_free(stack);
	}
}

static void test_overlap_and_chance(void **state)
{
	static const double m = 3.0 / 5, v = 3.0 / 50, p = 4.0 / 5, q = 7.0 / 10, pv = 3.0 / 200, qv = 1.0 / 25;
	const double mean1[] = {1, 1, m, 1, 1, 1, m, 1, m, m, 1, m, 1, 1, m, 1};
	const double variance1[] = {0, 0, v, 0, 0, 0, v, 0, v, v, 0, v, 0, 0, v, 0};
	const double mean2[] = {1, p, q, 1, p, 1, q, p, q, q, 1, q, 1, p, q, 1};
	const double variance2[] = {0, pv, qv, 0, pv, 0, pv, pv, qv, pv, 0, qv, 0, pv, qv, 0};
	const double one[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, zero[16] = {0};
	double e = kith_nnts_expected(5, 2);
	kith_stack *stack;
	(void)state;
	build_first_stack();
	stack = merge(4, 0, 1);
	expect_overlap(stack, 0, mean1, variance1);
	expect_overlap(stack, 1, mean2, variance2);
	expect_overlap(stack, 2, one, zero);
	assert_true(kith_nnts_expected(5, 1) == 0.25);
	assert_true(e == 7.0 / 18);
	assert_true(kith_nnts_expected(5, 4) == 1);
	assert_true(fabs(kith_nnts_corrected(stack->nnts[0].mean[2], 0.25) - 7.0 / 15) <= 1e-15);
	assert_true(fabs(kith_nnts_corrected(stack->nnts[1].mean[1], e) - 31.0 / 55) <= 1e-15);
	assert_true(fabs(kith_nnts_corrected(stack->nnts[1].mean[2], e) - 5.0 / 11) <= 1e-15);
	assert_true(fabs(kith_nnts_corrected(stack->nnts[1].mean[6], e) - 19.0 / 55) <= 1e-15);
	kith_stack_free(stack);
}

static void test_nntp(void **state)
{
	static const uint64_t pairs1u[] = {4, 4, 3, 4}, pairs1m[] = {1, 1, 2, 1}, pairs2u[] = {7, 6, 6, 7};
	static const uint64_t pairs2m[] = {3, 4, 4, 3}, pairs4[] = {10, 10, 10, 10};
	static const uint64_t k1u_alpha0[] = {0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2};
	static const uint64_t k1u_alpha1[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
	static const uint64_t k1m[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
	static const uint64_t k2u_alpha0[] = {1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3};
	static const uint64_t k2u_alpha1[] = {1, 0, 0, 6, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1};
	static const uint64_t k2u_alpha2[] = {0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0};
	static const uint64_t k2m_alpha0[] = {1, 0, 0, 2, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0};
	static const uint64_t k2m_alpha1[] = {0, 0, 0, 3, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint64_t k4[] = {0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	kith_stack *stack;
	(void)state;
	build_first_stack();
	static const uint64_t none[4] = {0}, isolated1[] = {3, 3, 1, 3}, isolated2[] = {2, 0, 0, 2};
	for (int threads = 1; threads <= 2; threads++) {
		stack = merge(4, threads == 1 ? 2 : KITH_ALPHA_ALL, threads); /* which are the same for 4 layers */
		assert_int_equal(stack->nntp_count, 18);
		expect_nntp(stack, 0, 1, KITH_UNION, 0, pairs1u, k1u_alpha0);
		expect_nntp(stack, 1, 1, KITH_UNION, 1, pairs1u, k1u_alpha1);
		expect_nntp(stack, 2, 1, KITH_UNION, 2, pairs1u, k1u_alpha1);
		expect_nntp(stack, 6, 2, KITH_UNION, 0, pairs2u, k2u_alpha0);
		expect_nntp(stack, 7, 2, KITH_UNION, 1, pairs2u, k2u_alpha1);
		expect_nntp(stack, 8, 2, KITH_UNION, 2, pairs2u, k2u_alpha2);
		expect_nntp(stack, 9, 2, KITH_MUTUAL, 0, pairs2m, k2m_alpha0);
		expect_nntp(stack, 10, 2, KITH_MUTUAL, 1, pairs2m, k2m_alpha1);
		expect_nntp(stack, 11, 2, KITH_MUTUAL, 2, pairs2m, k2m_alpha1);
		for (uint32_t alpha = 0; alpha <= 2; alpha++) {
			expect_nntp(stack, 3 + alpha, 1, KITH_MUTUAL, alpha, pairs1m, k1m);
			expect_nntp(stack, 12 + alpha, 4, KITH_UNION, alpha, pairs4, k4);
			expect_nntp(stack, 15 + alpha, 4, KITH_MUTUAL, alpha, pairs4, k4);
			expect_isolated(stack, 0 + alpha, none);
			expect_isolated(stack, 3 + alpha, isolated1);
			expect_isolated(stack, 9 + alpha, isolated2);
			expect_isolated(stack, 15 + alpha, none);
		}
		kith_stack_free(stack);
	}
}

static void test_dynamics(void **state)
{
	static const uint64_t births[] = {7, 0, 2, 3}, deaths[] = {1, 2, 2, 7}, survivors[] = {6, 4, 4};
	static const uint64_t survival[] = {7, 6, 4, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3};
	static const uint64_t returns[] = {0, 1, 2, 0, 0, 0, 0, 0};
	static const double share[] = {1.0 / 7, 2.0 / 7, 0, 4.0 / 7, NAN, NAN, NAN, NAN, 0, 0, 1, 0, 0, 0, 0, 1};
	static const double removal[] = {NAN, 6.0 / 7, 1.0 / 2, 4.0 / 9};
	kith_stack *stack;
	kith_dynamics got;
	kith_err err;
	(void)state;
	build_first_stack();
	stack = merge(4, KITH_ALPHA_ALL, 1);
	assert_int_equal(kith_dynamics_make(&got, stack, 6, &err), 0);
	assert_ptr_equal(got.runs, &stack->nntp[6]);
	assert_int_equal(got.layers, 4);
	assert_int_equal(got.gaps, 2);
	assert_memory_equal(got.births, births, sizeof births);
	assert_memory_equal(got.deaths, deaths, sizeof deaths);
	assert_memory_equal(got.survivors, survivors, sizeof survivors);
	assert_memory_equal(got.survival, survival, sizeof survival);
	assert_memory_equal(got.returns, returns, sizeof returns);
	for (int i = 0; i < 16; i++)
		assert_true(isnan(share[i]) ? isnan(got.share[i]) : got.share[i] == share[i]);
	for (int v = 0; v < 4; v++)
		assert_true(isnan(removal[v]) ? isnan(got.removal[v]) : got.removal[v] == removal[v]);
	kith_dynamics_free(&got);
	kith_stack_free(stack);
}

/* Directions of 0, 0, 90, 45 and 180 degrees; lengths do not matter. With s = sqrt(1/2), sample 3 is at squared
 * distance s^2 + (1-s)^2 from 0, 1 and 2 alike, and sample 2 at exactly 2 from 0, 1 and 4. Samples 0 and 1 are the same
 * once normalised, and their ties go to the lower index in the rows of 2, 3 and 4. */
static void test_cosine(void **state)
{
	static const double values[] = {1, 0, 0x1p600, 0, 0, 3e-200, 7, 7, -1e-5, 0};
	static const uint32_t ladder[] = {1, 4};
	static const uint32_t order[] = {1, 3, 2, 4, 0, 3, 2, 4, 3, 0, 1, 4, 0, 1, 2, 4, 2, 3, 0, 1};
	(void)state;
	build(0, KITH_F8, 5, 2, values, KITH_COSINE, 2, ladder);
	expect_near(0, 5, 4, order, NULL);
}

/* All samples alike: every distance is 0, so everyone's neighbours are the lowest other indices.
 * k=2: 0:{1,2} 1:{0,2} 2:{0,1} 3:{0,1}; pairs 01 02 12 03 13 by union, 01 02 12 by mutual. One layer: all runs are
 * (0,0), NNTS is 1. */
static void test_all_alike(void **state)
{
	static const double values[] = {4, -1, 9, 4, -1, 9, 4, -1, 9, 4, -1, 9};
	static const uint32_t ladder[] = {2, 3};
	static const uint32_t rows[] = {1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2};
	static const double one[] = {1}, zero[] = {0};
	static const uint64_t five[] = {5}, three[] = {3}, six[] = {6};
	kith_stack *stack;
	(void)state;
	build(0, KITH_F4, 4, 3, values, KITH_L2, 2, ladder);
	expect_rows(0, 4, 2, 3, rows);
	stack = merge(1, 0, 1);
	expect_nnts(stack, 0, 2, one, zero);
	expect_nntp(stack, 0, 2, KITH_UNION, 0, five, five);
	expect_nntp(stack, 1, 2, KITH_MUTUAL, 0, three, three);
	expect_nntp(stack, 2, 3, KITH_UNION, 0, six, six);
	expect_nntp(stack, 3, 3, KITH_MUTUAL, 0, six, six);
	kith_stack_free(stack);
}

/* The smallest graph there is: two samples, k = 1 = n-1. The second layer is the same graph. */
static void test_two_samples(void **state)
{
	static const double apart[] = {-3, 3}, same[] = {2, 2};
	static const uint32_t one_k[] = {1}, rows[] = {1, 0};
	static const double mean[] = {1, 1, 1, 1}, variance[] = {0, 0, 0, 0}, dist2[] = {36, 36};
	static const uint64_t pairs[] = {1, 1}, count[] = {0, 1, 0, 0};
	kith_stack *stack;
	(void)state;
	build(0, KITH_F4, 2, 1, apart, KITH_L2, 1, one_k);
	build(1, KITH_F4, 2, 1, same, KITH_L2, 1, one_k);
	expect_rows(0, 2, 1, 1, rows);
	expect_near(0, 2, 1, rows, dist2);
	stack = merge(2, KITH_ALPHA_ALL, 2);
	assert_int_equal(stack->nntp_count, 2); /* L-2 = 0: alpha 0 alone */
	expect_nnts(stack, 0, 1, mean, variance);
	expect_nntp(stack, 0, 1, KITH_UNION, 0, pairs, count);
	expect_nntp(stack, 1, 1, KITH_MUTUAL, 0, pairs, count);
	kith_stack_free(stack);
}

/* 2^-1074 is another row than 0, but as near to it as another 0 is, where there is 2^100, too: the difference vanishes
 * when it is squared, even after a scaling that leaves room for the square of 2^100. So the nearest of every zero is
 * sample 0, also where the zeros are so many that the last are found by way of their twin. With 5 in place of 2^100
 * that of 1e-200 does not vanish. */
static void test_difference_that_vanishes_when_squared(void **state)
{
	static const double x[] = {0x1p-1074, 0, 0, 0, 0, 0x1p100}, y[] = {1e-200, 0, 0, 0, 0, 5};
	static const uint32_t k = 1, nearest[] = {1, 0, 0, 0, 0, 0}, nearest_y[] = {1, 2, 1, 1, 1, 0};
	(void)state;
	for (own.plan = KITH_PLAN_AUTO; own.plan <= KITH_PLAN_STREAM; own.plan++) {
		build(0, KITH_F8, 6, 1, x, KITH_L2, 1, &k);
		expect_rows(0, 6, 1, 1, nearest);
		build(1, KITH_F8, 6, 1, y, KITH_L2, 1, &k);
		expect_rows(1, 6, 1, 1, nearest_y);
	}
	own.plan = KITH_PLAN_AUTO;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours),  cmocka_unit_test(test_reverse_lists),
		cmocka_unit_test(test_nnts),        cmocka_unit_test(test_overlap_and_chance),
		cmocka_unit_test(test_nntp),        cmocka_unit_test(test_dynamics),
		cmocka_unit_test(test_cosine),      cmocka_unit_test(test_all_alike),
		cmocka_unit_test(test_two_samples), cmocka_unit_test(test_difference_that_vanishes_when_squared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
