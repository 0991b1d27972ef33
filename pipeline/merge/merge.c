/* merge.c - see kith/merge.h. One walk over windows of nodes: the rows and reverse lists of a window are decoded for
 * every layer (layers in parallel), then its samples are counted (samples in parallel). No layer is ever held whole. */
#include "kith/merge.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "against.h"
#include "alloc.h"
#include "count_nodes.h"
#include "estimates.h"
#include "first_error.h"
#include "isolated.h"
#include "jackknife.h"
#include "machine.h"
#include "merge_tuning.h"
#include "node_window.h"
#include "pair_builder.h"
#include "permutation_test.h"
#include "text.h"
#include "to_stack.h"

#define NO_TIER  255u
#define TOGETHER 64 /* samples that a thread counts at a time, at most */
#define OPENED   16 /* files that a thread opens between two calls of progress */

struct merge {
	const kith_merge_options *options;
	uint32_t slots; /* merge_tuning.h */
	uint32_t threads;
	size_t count;
	kith_window_layer *layers; /* graph tiers as far as the k asked for reach */
	kith_count_plan plan;
	kith_counter *counters; /* one per thread */
	kith_window window;
	kith_isolated isolated;
	kith_estimates estimates;
	kith_against against;
	uint16_t *group;         /* of each sample; NULL without groups */
	kith_pair_writer *pairs; /* NULL: no pair store is asked for */
	kith_pair_info pair_info;
	uint64_t nodes; /* of a window */
};

static const kith_graph_info *info_of(const struct merge *m, size_t v)
{
	return kith_graph_get_info(m->layers[v].graph);
}

void kith_merge_defaults(kith_merge_options *o)
{
	memset(o, 0, sizeof *o);
	o->with_union = 1;
	o->memory = kith_machine_budget(1ull << 30);
	o->threads = kith_machine_cores();
}

/* ---- fitting the layers together ---- */

static int tier_of_k(const kith_graph_info *info, uint32_t k)
{
	for (uint32_t t = 0; t < info->tiers; t++)
		if (info->ladder[t] == k)
			return (int)t;
	return -1;
}

/* The k asked for, or by default all that every layer has. */
static int choose_k(struct merge *m, kith_err *err)
{
	const kith_merge_options *o = m->options;
	char have[256], want[256];
	kith_count_plan *p = &m->plan;

	if (o->k_count) {
		p->tiers = o->k_count;
		memcpy(p->k, o->k, o->k_count * sizeof *p->k);
	} else {
		const kith_graph_info *first = info_of(m, 0);
		for (uint32_t t = 0; t < first->tiers; t++) {
			int shared = 1;
			for (size_t v = 1; v < m->count; v++)
				shared &= tier_of_k(info_of(m, v), first->ladder[t]) >= 0;
			if (shared)
				p->k[p->tiers++] = first->ladder[t];
		}
		if (!p->tiers)
			return kith_fail(err, KITH_EUSAGE,
					 "the layers share no k: rebuild them with one ladder (%s has k=%s)",
					 kith_graph_path(m->layers[0].graph),
					 kith_ladder_text(first->ladder, first->tiers, have, sizeof have));
	}
	for (size_t v = 0; v < m->count; v++)
		for (uint32_t q = 0; q < p->tiers; q++)
			if (tier_of_k(info_of(m, v), p->k[q]) < 0) {
				const kith_graph_info *i = info_of(m, v);
				kith_ladder_text(i->ladder, i->tiers, have, sizeof have);
				kith_ladder_text(p->k, p->tiers, want, sizeof want);
				return kith_fail(err, KITH_EUSAGE,
						 "%s: has k=%s, but k=%u was asked: rebuild it with kith-knn -k %s",
						 kith_graph_path(m->layers[v].graph), have, p->k[q], want);
			}
	return 0;
}

/* Translates a layer's graph tiers into tiers, once, into a table. */
static void plan_layer(kith_window_layer *l, const kith_count_plan *p)
{
	const kith_graph_info *info = kith_graph_get_info(l->graph);
	memset(l->tier_of, NO_TIER, sizeof l->tier_of);
	for (uint32_t q = p->tiers; q-- > 0;)
		for (int t = tier_of_k(info, p->k[q]); t >= 0; t--)
			l->tier_of[t] = (uint8_t)q;
	l->tiers = (uint32_t)tier_of_k(info, p->k[p->tiers - 1]) + 1;
}

static int check_layer(struct merge *m, size_t v, kith_err *err)
{
	const kith_graph_info *info = info_of(m, v), *first = info_of(m, 0);
	if (info->n != first->n)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: has n=%llu samples, but %s has n=%llu: layers of one stack see the same samples",
				 kith_graph_path(m->layers[v].graph), (unsigned long long)info->n,
				 kith_graph_path(m->layers[0].graph), (unsigned long long)first->n);
	if (!m->options->mixed && (strcmp(info->metric, first->metric) || info->ties != first->ties))
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: is of metric %s with ties by %s, but %s of %s with ties by %s: such layers look less "
			"alike than they are; build them alike, or say --mixed",
			kith_graph_path(m->layers[v].graph), info->metric, kith_ties_name(info->ties),
			kith_graph_path(m->layers[0].graph), first->metric, kith_ties_name(first->ties));
	if (info->block_nodes > m->nodes)
		m->nodes = info->block_nodes;
	return 0;
}

/* Layers from..to-1. Of several that cannot be opened, or do not fit, the first is reported. */
static int open_some(struct merge *m, const char *const *paths, size_t from, size_t to, kith_err *err)
{
	kith_first_error failed = {0};
	int rc = 0;
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, 1)
	for (size_t v = from; v < to; v++) {
		kith_err why;
		kith_first_error_note(&failed, v, kith_graph_open(&m->layers[v].graph, paths[v], &why), &why);
	}
	for (size_t v = from; !rc && v < to && m->layers[v].graph; v++)
		rc = check_layer(m, v, err);
	return rc ? rc : kith_first_error_get(&failed, err);
}

/* Each open reads its file's index, so that is done in parallel. */
static int open_layers(struct merge *m, const char *const *paths, kith_err *err)
{
	size_t at_once = OPENED * (size_t)m->threads;
	for (size_t from = 0, to; from < m->count; from = to) {
		int rc = kith_progress_tick(&m->options->progress, "opening", from, m->count, err);
		if (rc)
			return rc;
		to = m->count - from < at_once ? m->count : from + at_once;
		if ((rc = open_some(m, paths, from, to, err)))
			return rc;
	}
	return 0;
}

/* The bytes that counting takes: nearly all of them grow with the threads. */
static uint64_t count_bytes(const struct merge *m)
{
	return m->threads * kith_counter_bytes(&m->plan) + kith_isolated_bytes(&m->plan) +
	       kith_estimates_bytes(&m->estimates, m->threads) + (m->plan.groups ? kith_jackknife_bytes(&m->plan) : 0) +
	       (m->options->pairs ? kith_pair_writer_bytes(&m->pair_info, (int)m->threads) : 0);
}

/* Every sample left out, or its group, some pair has to be left. */
static int check_groups(const struct merge *m, kith_err *err)
{
	uint64_t groups = m->options->groups, n = info_of(m, 0)->n;
	if (groups && (groups < 2 || groups > KITH_MAX_GROUPS || groups > n || n - (n + groups - 1) / groups < 2))
		return kith_fail(
			err, KITH_EUSAGE,
			"--jackknife %llu: n=%llu samples cannot be left out in so many groups: give 2 to %u, and "
			"no more than there are samples",
			(unsigned long long)groups, (unsigned long long)n, KITH_MAX_GROUPS);
	return 0;
}

/* Fills in the plan, but for the sizes of accumulators, and the header of the pair store, but for its layers. */
static int plan(struct merge *m, kith_err *err)
{
	const kith_merge_options *o = m->options;
	kith_count_plan *p = &m->plan;
	uint64_t pairs_of_layers = kith_layer_pairs(m->count), most = m->count >= 2 ? (uint64_t)m->count - 2 : 0;
	int rc = choose_k(m, err);
	if (!rc)
		rc = check_groups(m, err);
	if (rc)
		return rc;
	p->n = info_of(m, 0)->n;
	p->layers = (uint32_t)m->count;
	/* a larger alpha than any gap is no mistake: its tables repeat the last one */
	p->alpha = o->alpha == KITH_ALPHA_ALL ? (uint32_t)most : o->alpha;
	p->groups = o->groups;
	p->graphs[KITH_UNION] = o->with_union != 0;
	p->graphs[KITH_MUTUAL] = o->with_mutual != 0;
	for (uint32_t q = 0; q < p->tiers; q++)
		p->start[q + 1] = p->start[q] + pairs_of_layers * (p->k[q] + 1ull);
	for (size_t v = 0; v < m->count; v++)
		plan_layer(&m->layers[v], p);
	m->pair_info = (kith_pair_info){.n = p->n, .layer_count = p->layers, .tiers = p->tiers};
	memcpy(m->pair_info.k, p->k, sizeof p->k);
	if (o->command)
		snprintf(m->pair_info.command, sizeof m->pair_info.command, "%s", o->command);
	return 0;
}

/* Lowers the threads to those that there is memory for: KITH_EUSAGE if there is not enough for one. */
static int fit_memory(struct merge *m, kith_err *err)
{
	const kith_merge_options *o = m->options;
	kith_count_plan *p = &m->plan;
	uint64_t window = kith_window_bytes(m->layers, m->count, m->nodes);
	kith_counter_choose_sizes(p, (uint64_t)p->layers * p->k[p->tiers - 1] * 3 / 2, o->pairs != NULL, m->slots);
	while (m->threads > 1 && window + count_bytes(m) > o->memory)
		m->threads--;
	if (window + count_bytes(m) > o->memory)
		return kith_fail(err, KITH_EUSAGE, "-m is too small: n=%llu, %u layers and k=%u need %llu bytes",
				 (unsigned long long)p->n, p->layers, p->k[p->tiers - 1],
				 (unsigned long long)(window + count_bytes(m)));
	return 0;
}

static int prepare(struct merge *m, kith_err *err)
{
	int rc = 0;
	m->counters = kith_alloc_zero(m->threads, sizeof *m->counters);
	if (!m->counters)
		return kith_fail_nomem(err, "the counts", m->threads * sizeof *m->counters);
	if (m->plan.groups) {
		if (!(m->group = kith_alloc(m->plan.n, sizeof *m->group)))
			return kith_fail_nomem(err, "the groups of samples", m->plan.n * sizeof *m->group);
		kith_jackknife_deal(m->options->groups_seed, m->plan.n, m->plan.groups, m->group);
		m->plan.group = m->group;
	}
	for (uint32_t t = 0; !rc && t < m->threads; t++)
		rc = kith_counter_init(&m->counters[t], &m->plan, err);
	if (!rc)
		rc = kith_isolated_init(&m->isolated, &m->plan, err);
	if (!rc)
		rc = kith_estimates_init(&m->estimates, m->threads, err);
	return rc ? rc : kith_window_init(&m->window, m->layers, m->count, m->plan.tiers, err);
}

/* ---- the walk ---- */

/* Counts the samples of a window by all threads: a few at a time or, for a pair store, in order. */
static int count_window(struct merge *m, uint64_t first, uint64_t count, kith_err *err)
{
	const kith_count_sources *sources = &m->window.sources;
	uint64_t share = count / (16 * m->threads) + 1, together = share < TOGETHER ? share : TOGETHER;
	kith_first_error failed = {0};
	if (m->pairs)
		return kith_pair_builder_run(m->pairs, m->counters, m->threads, sources, first, count, err);
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, 1)
	for (uint64_t r = 0; r < count; r += together) {
		kith_err why;
		int rc = kith_counter_run(&m->counters[omp_get_thread_num()], sources, first + r,
					  count - r < together ? count - r : together, &why);
		kith_first_error_note(&failed, r, rc, &why);
	}
	return kith_first_error_get(&failed, err);
}

static int walk(struct merge *m, kith_err *err)
{
	uint64_t memory = m->options->memory, room = memory - count_bytes(m);
	int rc = 0;
	for (uint64_t first = 0; !rc && first < m->plan.n; first += m->nodes) {
		uint64_t count = m->nodes < m->plan.n - first ? m->nodes : m->plan.n - first;
		if (!(rc = kith_progress_tick(&m->options->progress, "merging", first, m->plan.n, err)) &&
		    !(rc = kith_window_check(&m->window, first, count, room, memory, err)) &&
		    !(rc = kith_window_read(&m->window, first, count, m->threads, err)))
			rc = count_window(m, first, count, err);
		if (rc)
			break;
		kith_isolated_add(&m->isolated, &m->window.sources, first, count, m->threads);
		kith_estimates_add(&m->estimates, &m->window.sources, first, count, m->threads);
	}
	return rc;
}

/* ---- the result ---- */

static int fill_layers(const struct merge *m, const char *const *names, kith_stack *stack, kith_err *err)
{
	int rc = 0;
	for (size_t v = 0; !rc && v < m->count; v++)
		rc = kith_to_stack_layer(&stack->layers[v], info_of(m, v), &m->plan, names[v], err);
	return rc;
}

/* Rows and reverse lists together hold each directed edge of a layer once, at its smaller sample: n k of them, at every
 * k. */
static int check_edges(const struct merge *m, kith_err *err)
{
	const kith_count_plan *p = &m->plan;
	for (uint32_t q = 0; q < p->tiers; q++)
		for (uint32_t v = 0; v < p->layers; v++) {
			uint64_t edges = m->counters[0].counts.edges[(size_t)q * p->layers + v];
			if (edges != p->n * p->k[q])
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: its reverse lists make %llu edges at k=%u instead of n k = %llu: "
						 "build it again",
						 kith_graph_path(m->layers[v].graph), (unsigned long long)edges,
						 p->k[q], (unsigned long long)(p->n * p->k[q]));
		}
	return 0;
}

static int result(struct merge *m, kith_stack *stack, kith_err *err)
{
	int rc;
	for (uint32_t t = 0; t < m->threads; t++)
		kith_counter_finish(&m->counters[t]);
	for (uint32_t t = 1; t < m->threads; t++)
		kith_counts_add(&m->counters[0].counts, &m->counters[t].counts);
	if ((rc = check_edges(m, err)))
		return rc;
	kith_to_stack_fill(stack, &m->counters[0].counts, m->threads);
	kith_isolated_fill(&m->isolated, stack);
	if (m->plan.groups && ((rc = kith_stack_add_jackknife(stack, m->plan.groups, m->options->groups_seed, err)) ||
			       (rc = kith_jackknife_fill(stack, &m->counters[0].counts, m->threads, err))))
		return rc;
	if ((rc = kith_estimates_fill(&m->estimates, stack, err)))
		return rc;
	return kith_stack_check(stack, err);
}

/* What the walk took, before other work takes as much. */
static void free_walk(struct merge *m)
{
	for (uint32_t t = 0; m->counters && t < m->threads; t++)
		kith_counter_free(&m->counters[t]);
	free(m->counters);
	m->counters = NULL;
	free(m->group);
	m->group = NULL;
	kith_isolated_free(&m->isolated);
	kith_estimates_free(&m->estimates);
	kith_window_free(&m->window, m->threads);
}

static kith_permutation_test null_test(const struct merge *m)
{
	const kith_merge_options *o = m->options;
	const kith_against *against = m->against.rows ? &m->against : NULL;
	uint64_t writer = o->pairs ? kith_pair_writer_bytes(&m->pair_info, (int)m->threads) : 0;
	return (kith_permutation_test){.plan = &m->plan,
				       .windows = m->layers,
				       .number = against ? against->walk : NULL,
				       .column = against ? against->column : NULL,
				       .relabellings = o->relabellings,
				       .seed = o->null_seed,
				       .memory = o->memory > writer ? o->memory - writer : 0,
				       .threads = (uint32_t)kith_machine_threads(o->threads),
				       .slots = m->slots / 64 * 2,
				       .progress = &o->progress};
}

/* Before the work, which can be long. */
static int check_null(const struct merge *m, kith_err *err)
{
	kith_permutation_test test = null_test(m);
	uint64_t least = kith_permutation_test_least(&test);
	if (m->options->relabellings && least > test.memory)
		return kith_fail(err, KITH_EUSAGE,
				 "-m is too small: --null holds the rows of two layers, for n=%llu and k=%u %llu bytes",
				 (unsigned long long)m->plan.n, m->plan.k[m->plan.tiers - 1],
				 (unsigned long long)(least + m->options->memory - test.memory));
	return 0;
}

static int test_null(struct merge *m, kith_stack *stack, kith_err *err)
{
	kith_permutation_test test = null_test(m);
	int rc;
	if (!test.relabellings)
		return 0;
	free_walk(m);
	if ((rc = kith_stack_add_null(stack, test.relabellings, test.seed, err)) ||
	    (rc = kith_permutation_test_run(&test, stack, err)))
		return rc;
	return kith_stack_check(stack, err);
}

/* The work on the graphs has come to `rc`. If one was changed meanwhile, that is why, or the result is of none. */
static int blame_changes(const struct merge *m, int rc, kith_err *err)
{
	kith_err why;
	for (size_t v = 0; rc != KITH_ECANCELED && v < m->count; v++)
		if (kith_graph_unchanged(m->layers[v].graph, &why)) {
			if (err)
				*err = why;
			return why.code;
		}
	return rc;
}

static int merge_layers(struct merge *m, kith_stack *stack, kith_err *err)
{
	const char *pairs = m->options->pairs;
	int rc;
	if ((rc = kith_estimates_open(&m->estimates, m->layers, stack->layers, &m->plan, err)) ||
	    (rc = fit_memory(m, err)) || (rc = check_null(m, err)) || (rc = prepare(m, err)))
		return rc;
	if (pairs && (rc = kith_pair_writer_create(&m->pairs, pairs, &m->pair_info, (int)m->threads, err)))
		return rc;
	if (!(rc = walk(m, err)) && !(rc = result(m, stack, err)))
		rc = test_null(m, stack, err);
	if ((rc = blame_changes(m, rc, err)) || !pairs)
		return rc;
	rc = kith_pair_writer_finish(m->pairs, err);
	m->pairs = NULL;
	return rc;
}

/* Merges m->count layers as they come. */
static int merge_files(struct merge *m, const char *const *paths, const char *const *names, kith_stack **out,
		       kith_err *err)
{
	const kith_merge_options *o = m->options;
	kith_stack *stack = NULL;
	int rc;
	m->plan.paths = paths;
	m->threads = (uint32_t)kith_machine_threads(o->threads);
	m->threads = m->threads > KITH_MAX_COUNTERS ? KITH_MAX_COUNTERS : m->threads;
	if (!(m->layers = kith_alloc_zero(m->count, sizeof *m->layers)))
		return kith_fail_nomem(err, "the layers", m->count * sizeof *m->layers);
	if ((rc = open_layers(m, paths, err)) || (rc = plan(m, err)) ||
	    (rc = kith_to_stack_new(&stack, &m->plan, err)) || (rc = fill_layers(m, names, stack, err)))
		goto done;
	m->pair_info.layers = stack->layers;
	if ((rc = merge_layers(m, stack, err)))
		goto done;
	*out = stack;
	stack = NULL;
done:
	kith_stack_free(stack);
	kith_pair_writer_abort(m->pairs);
	free_walk(m);
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, 1)
	for (size_t v = 0; v < m->count; v++) /* in parallel: unmapping a file takes a while */
		kith_graph_close(m->layers[v].graph);
	free(m->layers);
	return rc;
}

/* Layers in the order of the walk, and their stack back in the order given. */
static int merge_against(struct merge *m, const char *const *paths, const char *const *names, kith_stack **out,
			 kith_err *err)
{
	const char **walk_paths = kith_alloc(m->count, sizeof *walk_paths);
	const char **walk_names = kith_alloc(m->count, sizeof *walk_names);
	kith_stack *walked = NULL;
	int rc = 0;
	if (!walk_paths || !walk_names)
		rc = kith_fail_nomem(err, "the layers", 2 * m->count * sizeof *walk_paths);
	for (size_t v = 0; !rc && v < m->count; v++) {
		walk_paths[v] = paths[m->against.walk[v]];
		walk_names[v] = names[m->against.walk[v]];
	}
	if (!rc && !(rc = merge_files(m, walk_paths, walk_names, &walked, err)))
		rc = kith_against_stack(&m->against, walked, out, err);
	kith_stack_free(walked);
	free(walk_paths);
	free(walk_names);
	return rc;
}

static int check_options(size_t layers, const kith_merge_options *o, kith_err *err)
{
	if (layers < 1 || layers > KITH_MAX_LAYERS)
		return kith_fail(err, KITH_EUSAGE, "%zu layers: a stack has 1 to %u", layers, KITH_MAX_LAYERS);
	if (!o->with_union && !o->with_mutual)
		return kith_fail(err, KITH_EUSAGE, "neither union nor mutual pairs asked for");
	if (o->against >= layers)
		return kith_fail(err, KITH_EUSAGE, "--against: all layers are the second network's, none the first's");
	if (o->against && (o->alpha || o->pairs || o->groups))
		return kith_fail(err, KITH_EUSAGE, "--against has no %s: no layer of a network follows one of another",
				 o->pairs   ? "--pairs"
				 : o->alpha ? "--alpha"
					    : "--jackknife");
	return 0;
}

int kith_merge(size_t layers, const char *const *paths, const char *const *names, const kith_merge_options *o,
	       kith_stack **out, kith_err *err)
{
	return kith_merge_tuned(layers, paths, names, o, 0, out, err);
}

int kith_merge_tuned(size_t layers, const char *const *paths, const char *const *names, const kith_merge_options *o,
		     uint32_t slots, kith_stack **out, kith_err *err)
{
	struct merge m = {.options = o, .slots = slots, .count = layers};
	int rc = check_options(layers, o, err);
	if (!rc)
		rc = kith_against_init(&m.against, names, layers, o->against ? layers - o->against : 0, err);
	if (!rc)
		rc = o->against ? merge_against(&m, paths, names, out, err) : merge_files(&m, paths, names, out, err);
	kith_against_free(&m.against);
	return rc;
}
