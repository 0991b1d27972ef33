/* golden_h0.c - networks in h0/ with the forests that an independent program found in them: in order, with phi to the
 * last bit, basins, classes and, for the small ones, each component. expected*.txt has for each sample
 *
 *     sample NUMBER EDGES ZERO FOREST CLASSES      edges kept, classes of no lifetime, edges of the forest, classes
 *     ID PHI BASIN                                 a line for each edge of the forest, in its order; -1: a death
 *     BIRTH DEATH PARENT BIRTH_PHI DEATH_PHI N ID...    a line for each class, with its component (N = 0: not given)
 *
 * The slow checker is held against them, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "activations.h"
#include "kith/h0.h"
#include "network.h"
#include "sandbox.h"
#include "slow_h0.h"

typedef struct want_edge {
	uint64_t id;
	double phi;
	long basin;
} want_edge;

/* The sample's block, its place in it, and the slow checker's view. */
typedef struct sample {
	const kith_h0_info *info;
	const kith_h0_samples *samples;
	uint32_t s;
	slow_h0 slow;
	want_edge *edge;
	size_t edges;
} sample;

static uint64_t position_of(const sample *s, uint64_t id)
{
	uint64_t first = s->samples->edge_at[s->s], end = s->samples->edge_at[s->s + 1], e = first;
	while (e < end && s->samples->edge[e] != id)
		e++;
	assert_true(e < end);
	return e - first;
}

static void check_edges(const sample *s)
{
	uint64_t first = s->samples->edge_at[s->s];
	assert_int_equal(s->samples->edge_at[s->s + 1] - first, s->edges);
	assert_int_equal(s->slow.edges, s->edges);
	for (size_t e = 0; e < s->edges; e++) {
		uint64_t at = first + position_of(s, s->edge[e].id);
		long basin = s->samples->basin[at] == KITH_NO_CLASS ? -1 : (long)s->samples->basin[at];
		assert_true(s->samples->phi[at] == s->edge[e].phi);
		assert_int_equal(basin, s->edge[e].basin);
		assert_int_equal(s->slow.edge[e].id, s->edge[e].id);
		assert_true(s->slow.edge[e].phi == s->edge[e].phi);
		assert_int_equal(s->slow.basin[e], (size_t)s->edge[e].basin);
	}
}

static void check_component(const sample *s, uint32_t class_, unsigned long long count, FILE *f)
{
	kith_h0_scratch scratch = {0};
	uint32_t *positions = must_alloc(s->edges, sizeof *positions), found = 0;
	kith_err err;
	assert_int_equal(kith_h0_component(s->info, s->samples, s->s, class_, &scratch, positions, &found, &err), 0);
	assert_int_equal(found, count);
	for (unsigned long long p = 0; p < count; p++) { /* both ascend by id */
		unsigned long long id;
		assert_int_equal(fscanf(f, "%llu", &id), 1);
		assert_int_equal(s->samples->edge[s->samples->edge_at[s->s] + positions[p]], id);
	}
	kith_h0_scratch_free(&scratch);
	free(positions);
}

static void check_class(const sample *s, uint32_t class_, FILE *f)
{
	long long birth, death;
	long parent;
	double birth_value, death_value;
	unsigned long long count;
	assert_int_equal(
		fscanf(f, "%lld %lld %ld %lf %lf %llu", &birth, &death, &parent, &birth_value, &death_value, &count),
		6);
	const kith_h0_class *got = &s->samples->classes[s->samples->class_at[s->s] + class_];
	assert_int_equal(got->birth, position_of(s, (uint64_t)birth));
	if (death < 0)
		assert_int_equal(got->death, KITH_NO_CLASS);
	else
		assert_int_equal(got->death, position_of(s, (uint64_t)death));
	assert_int_equal(got->parent, parent < 0 ? KITH_NO_CLASS : (uint32_t)parent);
	assert_true(got->birth_value == birth_value && got->death_value == death_value);
	if (count)
		check_component(s, class_, count, f);
}

static void check_sample(sample *s, const slow_net *net, double keep, FILE *f)
{
	unsigned long long number, kept, zero, edges, classes;
	assert_int_equal(fscanf(f, " sample %llu %llu %llu %llu %llu", &number, &kept, &zero, &edges, &classes), 5);
	assert_int_equal(number, s->samples->first + s->s);
	s->slow = slow_h0_of(net, keep, number);
	s->edges = edges;
	s->edge = must_alloc(edges, sizeof *s->edge);
	for (size_t e = 0; e < edges; e++) {
		unsigned long long id;
		assert_int_equal(fscanf(f, "%llu %lf %ld", &id, &s->edge[e].phi, &s->edge[e].basin), 3);
		s->edge[e].id = id;
	}
	assert_int_equal(s->slow.kept, kept);
	assert_int_equal(s->slow.zero_lifetime, zero);
	check_edges(s);
	assert_int_equal(s->samples->class_at[s->s + 1] - s->samples->class_at[s->s], classes);
	assert_int_equal(s->slow.classes, classes);
	for (uint32_t c = 0; c < classes; c++)
		check_class(s, c, f);
	slow_h0_free(&s->slow);
	free(s->edge);
}

/* All of a file as doubles. */
static double *read_array(const kith_activations *a)
{
	kith_err err;
	if (!a)
		return NULL;
	const kith_activations_info *i = kith_activations_get_info(a);
	double *x = must_alloc(i->n * i->d, sizeof *x);
	assert_int_equal(kith_activations_read(a, 0, i->n, x, NULL, &err), 0);
	return x;
}

static slow_net read_network(const kith_network *n)
{
	slow_net net = {.info = n->info};
	net.weights = must_alloc(n->info.op_count, sizeof *net.weights);
	net.activations = must_alloc(n->info.layer_count, sizeof *net.activations);
	for (uint32_t o = 0; o < n->info.op_count; o++)
		net.weights[o] = read_array(n->files[o]);
	for (uint32_t l = 0; l < n->info.layer_count; l++)
		net.activations[l] = read_array(n->activations[l]);
	return net;
}

static void free_network(slow_net *net)
{
	for (uint32_t o = 0; o < net->info.op_count; o++)
		free(net->weights[o]);
	for (uint32_t l = 0; l < net->info.layer_count; l++)
		free(net->activations[l]);
	free(net->weights);
	free(net->activations);
}

static void check_file(const char *kh0, const slow_net *net, double keep, FILE *f)
{
	kith_h0_store *store = NULL;
	kith_h0_samples samples = {0};
	kith_err err;
	assert_int_equal(kith_h0_store_open(&store, kh0, &err), 0);
	const kith_h0_info *info = kith_h0_store_get_info(store);
	for (uint64_t b = 0; b < kith_h0_info_blocks(info); b++) {
		assert_int_equal(kith_h0_store_read(store, b, KITH_H0_CLASSES | KITH_H0_VALUES, &samples, &err), 0);
		for (uint32_t s = 0; s < samples.count; s++) {
			sample one = {.info = info, .samples = &samples, .s = s};
			check_sample(&one, net, keep, f);
		}
	}
	assert_int_equal(kith_h0_store_check(store, NULL, &err), 0);
	kith_h0_samples_free(&samples);
	kith_h0_store_close(store);
}

static void check_folder(const char *folder, const char *expected, double keep)
{
	char json[512], kh0[SANDBOX_PATH], text[512];
	kith_h0_options options;
	kith_h0_summary summary;
	kith_network *network = NULL;
	kith_err err = {0};
	snprintf(json, sizeof json, KITH_GOLDEN "/h0/%s/net.json", folder);
	snprintf(text, sizeof text, KITH_GOLDEN "/h0/%s/%s.txt", folder, expected);
	sandbox_path(kh0, "golden.kh0");
	kith_h0_defaults(&options);
	options.keep = keep;
	if (kith_h0_build(json, kh0, &options, &summary, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(kith_network_read(&network, json, NULL, &err), 0);
	slow_net net = read_network(network);
	FILE *f = fopen(text, "r");
	assert_non_null(f);
	check_file(kh0, &net, keep, f);
	assert_int_equal(fscanf(f, " %*c"), EOF);
	fclose(f);
	free_network(&net);
	kith_network_free(network);
}

static void dense(void **state)
{
	(void)state;
	check_folder("dense", "expected", 1);
	check_folder("dense", "expected_keep0.25", 0.25);
	check_folder("dense-ties", "expected", 1);
	check_folder("dense-ties", "expected_keep0.25", 0.25);
}

static void conv(void **state)
{
	(void)state;
	check_folder("conv", "expected", 1);
	check_folder("conv", "expected_keep0.25", 0.25);
	check_folder("conv-ties", "expected", 1);
	check_folder("conv-ties", "expected_keep0.25", 0.25);
}

/* Padded, strided, dilated and grouped windows, the max rule, an average, a residual addition; and doubles whose
 * products are equal though their weights are not. By make.py. */
static void windows(void **state)
{
	(void)state;
	check_folder("windows", "expected", 1);
	check_folder("rounding", "expected", 1);
}

/* A trained network of two convolutions and two dense layers, two Fashion-MNIST images. */
static void trained(void **state)
{
	(void)state;
	check_folder("ccff", "expected", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(dense), cmocka_unit_test(conv), cmocka_unit_test(windows),
					   cmocka_unit_test(trained)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
