/* merge.c - see kith/merge.h. One walk over windows of nodes: each window's rows and pair lists are decoded for every
 * layer (layers in parallel), then its samples are tallied (samples in parallel). No layer is ever held whole. */
#include "kith/merge.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "kith/alloc.h"
#include "pair_rows.h"
#include "result.h"
#include "tally.h"

#define MAX_THREADS 256
#define NO_LEVEL    255u
#define TOGETHER    64 /* samples that a thread takes at once */
#define AHEAD       2  /* samples that their rows are fetched before */

struct layer {
	kith_graph *graph;
	const kith_graph_info *info;
	uint32_t tiers;                      /* how many of its tiers the k asked for reach */
	uint32_t stride;                     /* neighbours per row read: ladder[tiers - 1] */
	uint8_t level[16];                   /* of a tier */
	uint8_t level_of[2][256];            /* tier byte of a pair -> level, per graph */
	uint8_t forward[256], backward[256]; /* tier byte -> level of each direction */
	uint8_t stored[256];                 /* -> tier byte of the pair store */
	uint32_t *rows;
	kith_pairs pairs;
	kith_err err;
	int rc;
};

struct merge {
	const kith_merge_options *options;
	uint32_t threads;
	size_t count;
	struct layer *layers;
	kith_tally_plan plan;
	kith_tally *tallies;    /* one per thread */
	kith_tally_list *lists; /* one for each tier of each layer, for each thread */
	size_t row_lists;
	kith_pair_rows pairs; /* to the pair store, if there is to be one */
	kith_pair_info pair_info;
	uint64_t window; /* nodes */
};

void kith_merge_defaults(kith_merge_options *o)
{
	memset(o, 0, sizeof *o);
	o->with_union = 1;
	o->memory = 1ull << 30;
	o->threads = kith_cli_machine_cores();
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
	kith_tally_plan *p = &m->plan;

	if (o->k_count) {
		p->levels = o->k_count;
		memcpy(p->k, o->k, o->k_count * sizeof *p->k);
	} else {
		const kith_graph_info *first = m->layers[0].info;
		for (uint32_t t = 0; t < first->tiers; t++) {
			int shared = 1;
			for (size_t v = 1; v < m->count; v++)
				shared &= tier_of_k(m->layers[v].info, first->ladder[t]) >= 0;
			if (shared)
				p->k[p->levels++] = first->ladder[t];
		}
		if (!p->levels)
			return kith_fail(err, KITH_EUSAGE,
					 "the layers share no k: rebuild them with one ladder (%s has k=%s)",
					 kith_graph_path(m->layers[0].graph),
					 kith_cli_ladder_text(first->ladder, first->tiers, have, sizeof have));
	}
	for (size_t v = 0; v < m->count; v++)
		for (uint32_t q = 0; q < p->levels; q++)
			if (tier_of_k(m->layers[v].info, p->k[q]) < 0) {
				const kith_graph_info *i = m->layers[v].info;
				kith_cli_ladder_text(i->ladder, i->tiers, have, sizeof have);
				kith_cli_ladder_text(p->k, p->levels, want, sizeof want);
				return kith_fail(err, KITH_EUSAGE,
						 "%s: has k=%s, but k=%u was asked: rebuild it with kith-knn -k %s",
						 kith_graph_path(m->layers[v].graph), have, p->k[q], want);
			}
	return 0;
}

/* Translates a layer's tiers into levels, once, into tables. */
static void plan_layer(struct layer *l, const kith_tally_plan *p)
{
	uint8_t *level = l->level;
	memset(level, NO_LEVEL, sizeof l->level);
	for (uint32_t q = p->levels; q-- > 0;)
		for (int t = tier_of_k(l->info, p->k[q]); t >= 0; t--)
			level[t] = (uint8_t)q;
	l->tiers = (uint32_t)tier_of_k(l->info, p->k[p->levels - 1]) + 1;
	l->stride = p->k[p->levels - 1];
	for (uint32_t b = 0; b < 256; b++) {
		uint8_t f = level[b & 15], r = level[b >> 4];
		l->forward[b] = f;
		l->backward[b] = r;
		l->level_of[KITH_UNION][b] = f < r ? f : r;
		l->level_of[KITH_MUTUAL][b] = f > r ? f : r;
		l->stored[b] =
			(uint8_t)((f == NO_LEVEL ? KITH_TIER_ABSENT : f) | (r == NO_LEVEL ? KITH_TIER_ABSENT : r) << 4);
	}
}

static int open_layers(struct merge *m, const char *const *paths, kith_err *err)
{
	for (size_t v = 0; v < m->count; v++) {
		struct layer *l = &m->layers[v];
		int rc = kith_progress_tick(&m->options->progress, "opening", v, m->count, err);
		if (rc || (rc = kith_graph_open(&l->graph, paths[v], err)))
			return rc;
		l->info = kith_graph_get_info(l->graph);
		if (l->info->n != m->layers[0].info->n)
			return kith_fail(
				err, KITH_EUSAGE,
				"%s: has n=%llu samples, but %s has n=%llu: layers of one stack see the same samples",
				paths[v], (unsigned long long)l->info->n, paths[0],
				(unsigned long long)m->layers[0].info->n);
		if (l->info->block_nodes > m->window)
			m->window = l->info->block_nodes;
	}
	return 0;
}

/* What grows with the threads. */
static uint64_t thread_bytes(const struct merge *m)
{
	return m->threads * kith_tally_bytes(&m->plan) +
	       (m->options->pairs ? kith_pair_rows_bytes(&m->pair_info, m->threads) : 0);
}

static int plan(struct merge *m, kith_err *err)
{
	const kith_merge_options *o = m->options;
	kith_tally_plan *p = &m->plan;
	uint64_t pairs_of_layers = m->count * (m->count - 1) / 2, most = m->count >= 2 ? (uint64_t)m->count - 2 : 0;
	int rc = choose_k(m, err);
	if (rc)
		return rc;
	p->n = m->layers[0].info->n;
	p->layers = (uint32_t)m->count;
	/* a larger alpha than any gap is no mistake: its tables repeat the last one */
	p->alpha = o->alpha == KITH_ALPHA_ALL ? (uint32_t)most : o->alpha;
	p->counts[KITH_UNION] = o->with_union != 0;
	p->counts[KITH_MUTUAL] = o->with_mutual != 0;
	for (uint32_t q = 0; q < p->levels; q++)
		p->start[q + 1] = p->start[q] + pairs_of_layers * (p->k[q] + 1ull);

	uint64_t decoded = 0, row_ids = 0;
	for (size_t v = 0; v < m->count; v++) {
		plan_layer(&m->layers[v], p);
		row_ids += m->layers[v].stride;
		m->row_lists += m->layers[v].tiers;
		/* rows; pairs, about one per edge or fewer, at 5 bytes (check_window looks again); the reader's scratch
		 */
		decoded += m->window * m->layers[v].stride * 9ull + kith_graph_reader_bytes(m->layers[v].graph);
	}
	kith_tally_choose_slots(p, row_ids, o->slots);
	/* fewer threads rather than no result; with one it must fit */
	m->pair_info = (kith_pair_info){.n = p->n, .layer_count = p->layers, .levels = p->levels};
	memcpy(m->pair_info.k, p->k, sizeof p->k);
	while (m->threads > 1 && decoded + thread_bytes(m) > o->memory)
		m->threads--;
	if (decoded + thread_bytes(m) > o->memory)
		return kith_fail(err, KITH_EUSAGE, "-m is too small: n=%llu, %u layers and k=%u need %llu bytes",
				 (unsigned long long)p->n, p->layers, p->k[p->levels - 1],
				 (unsigned long long)(decoded + thread_bytes(m)));
	return 0;
}

static int prepare(struct merge *m, kith_err *err)
{
	m->tallies = kith_alloc_zero(m->threads, sizeof *m->tallies);
	if (!m->tallies)
		return kith_fail_nomem(err, "the counts", m->threads * sizeof *m->tallies);
	for (uint32_t t = 0; t < m->threads; t++) {
		int rc = kith_tally_init(&m->tallies[t], &m->plan, err);
		if (rc)
			return rc;
	}
	if (!(m->lists = kith_alloc(m->threads * m->row_lists, sizeof *m->lists)))
		return kith_fail_nomem(err, "lists of neighbours", m->threads * m->row_lists * sizeof *m->lists);
	for (size_t v = 0; v < m->count; v++) {
		struct layer *l = &m->layers[v];
		if (!(l->rows = kith_alloc(m->window * l->stride, sizeof *l->rows)))
			return kith_fail_nomem(err, "a window of rows", m->window * l->stride * 4);
	}
	return 0;
}

/* ---- the walk ---- */

/* A window's pair lists hold the edges from all later nodes, too: where nearly all edges lead to a few nodes (identical
 * rows), they can be many times what its rows suggest. Better to say so than to be killed for it. */
static int check_window(struct merge *m, uint64_t first, uint64_t count, kith_err *err)
{
	uint64_t total = 0, pairs, rows = 0;
	for (size_t v = 0; v < m->count; v++) {
		int rc = kith_graph_count_pairs(m->layers[v].graph, first, count, &pairs, err);
		if (rc)
			return rc;
		total += pairs * 5;
		rows += m->window * m->layers[v].stride * 4ull;
	}
	uint64_t needed = total + rows + thread_bytes(m);
	if (needed > m->options->memory)
		return kith_fail(err, KITH_EUSAGE, "-m is too small: the pairs of samples %llu:%llu need %llu bytes",
				 (unsigned long long)first, (unsigned long long)(first + count),
				 (unsigned long long)needed);
	return 0;
}

static int decode_window(struct merge *m, uint64_t first, uint64_t count, kith_err *err)
{
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, 1)
	for (size_t v = 0; v < m->count; v++) {
		struct layer *l = &m->layers[v];
		if (!(l->rc = kith_graph_read_rows(l->graph, first, count, l->tiers, l->rows, &l->err)))
			l->rc = kith_graph_read_pairs(l->graph, first, count, &l->pairs, &l->err);
	}
	for (size_t v = 0; v < m->count; v++)
		if (m->layers[v].rc)
			return kith_fail(err, m->layers[v].rc, "%s", m->layers[v].err.msg);
	return 0;
}

/* NNTS of one sample. Returns the layer whose row is no set of k others, or -1. */
static int tally_rows(struct merge *m, kith_tally *t, kith_tally_list *lists, uint64_t node, uint64_t r)
{
	const kith_tally_plan *p = &m->plan;
	size_t count = 0;
	for (uint32_t q = 0; q < p->levels; q++)
		for (uint32_t v = 0; v < p->layers; v++) {
			const struct layer *l = &m->layers[v];
			if (q == 0) /* each layer's window is a stream of its own: too many to be foreseen */
				__builtin_prefetch(l->rows + (r + AHEAD) * l->stride);
			for (uint32_t tier = 0; tier < l->tiers; tier++) {
				uint32_t from = tier ? l->info->ladder[tier - 1] : 0;
				if (l->level[tier] == q)
					lists[count++] = (kith_tally_list){.id = l->rows + r * l->stride + from,
									   .count = l->info->ladder[tier] - from,
									   .layer = v,
									   .level = q};
			}
		}
	return kith_tally_rows(t, node, lists, count);
}

/* NNTP of one sample's pairs with larger ones. */
static void tally_pairs(struct merge *m, kith_tally *t, kith_tally_list *lists, uint64_t r)
{
	for (uint32_t v = 0; v < m->plan.layers; v++) {
		const struct layer *l = &m->layers[v];
		uint64_t from = l->pairs.offset[r], to = l->pairs.offset[r + 1];
		__builtin_prefetch(l->pairs.id + to + AHEAD * (to - from));
		__builtin_prefetch(l->pairs.tier + to + AHEAD * (to - from));
		lists[v] = (kith_tally_list){.id = l->pairs.id + from,
					     .tier = l->pairs.tier + from,
					     .count = to - from,
					     .layer = v,
					     .level_of = {l->level_of[KITH_UNION], l->level_of[KITH_MUTUAL]}};
	}
	kith_tally_pairs(t, lists);
}

/* Of a sample in the window, a multiple of whose size is where it begins. */
static void pair_row(const void *context, uint64_t node, uint32_t layer, kith_pair_row *row)
{
	const struct merge *m = context;
	const struct layer *l = &m->layers[layer];
	const uint64_t *offset = l->pairs.offset + node % m->window;
	*row = (kith_pair_row){l->pairs.id + *offset, l->pairs.tier + *offset, offset[1] - *offset, l->stored};
}

static int walk(struct merge *m, kith_err *err)
{
	for (uint64_t first = 0; first < m->plan.n; first += m->window) {
		uint64_t count = m->window < m->plan.n - first ? m->window : m->plan.n - first, bad_node = UINT64_MAX;
		uint64_t share = count / (4 * m->threads) + 1, together = share < TOGETHER ? share : TOGETHER;
		int bad_layer = -1;
		int rc = kith_progress_tick(&m->options->progress, "merging", first, m->plan.n, err);
		if (rc || (rc = check_window(m, first, count, err)) || (rc = decode_window(m, first, count, err)))
			return rc;
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, (int)together)
		for (uint64_t r = 0; r < count; r++) {
			kith_tally *t = &m->tallies[omp_get_thread_num()];
			kith_tally_list *lists = m->lists + (size_t)omp_get_thread_num() * m->row_lists;
			int bad = tally_rows(m, t, lists, first + r, r);
			if (bad >= 0) {
#pragma omp critical(kith_merge_bad)
				if (first + r < bad_node) {
					bad_node = first + r;
					bad_layer = bad;
				}
				continue;
			}
			tally_pairs(m, t, lists, r);
		}
		if (bad_layer >= 0)
			return kith_fail(err, KITH_ECORRUPT,
					 "%s: row %llu is not %u distinct neighbours: build it again",
					 kith_graph_path(m->layers[bad_layer].graph), (unsigned long long)bad_node,
					 m->layers[bad_layer].stride);
		if (m->options->pairs && (rc = kith_pair_rows_add(&m->pairs, first, count, pair_row, m, err)))
			return rc;
	}
	return 0;
}

/* ---- the result ---- */

/* Pairs of layer v whose tier byte has at most level q. */
static uint64_t pairs_with(const struct merge *m, uint32_t v, const uint8_t level_of[256], uint32_t q)
{
	uint64_t pairs = 0;
	for (uint32_t b = 0; b < 256; b++)
		pairs += level_of[b] <= q ? m->tallies[0].tier_bytes[v * 256ull + b] : 0;
	return pairs;
}

static int fill_layers(const struct merge *m, const char *const *names, kith_stack *stack, kith_err *err)
{
	int rc = 0;
	for (size_t v = 0; !rc && v < m->count; v++)
		rc = kith_result_layer(&stack->layers[v], m->layers[v].info, names[v], err);
	return rc;
}

/* What the tier bytes come to. */
static void count_pairs(struct merge *m)
{
	const kith_tally_plan *p = &m->plan;
	for (int g = 0; g < 2; g++)
		for (uint32_t q = 0; p->counts[g] && q < p->levels; q++)
			for (uint32_t v = 0; v < p->layers; v++)
				m->tallies[0].pairs[g][q * p->layers + v] =
					pairs_with(m, v, m->layers[v].level_of[g], q);
}

/* Every layer's pair lists hold each of its n k directed edges once, for each k. */
static int check_edges(const struct merge *m, kith_err *err)
{
	const kith_tally_plan *p = &m->plan;
	for (uint32_t q = 0; q < p->levels; q++)
		for (uint32_t v = 0; v < p->layers; v++) {
			const struct layer *l = &m->layers[v];
			uint64_t edges = pairs_with(m, v, l->forward, q) + pairs_with(m, v, l->backward, q);
			if (edges != p->n * p->k[q])
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: its pair list has %llu edges at k=%u instead of n k = %llu: "
						 "build it again",
						 kith_graph_path(l->graph), (unsigned long long)edges, p->k[q],
						 (unsigned long long)(p->n * p->k[q]));
		}
	return 0;
}

static int result(struct merge *m, const char *const *names, kith_stack **out, kith_err *err)
{
	const kith_tally_plan *p = &m->plan;
	kith_stack *stack = NULL;
	int rc;
	for (uint32_t t = 0; t < m->threads; t++)
		kith_tally_finish(&m->tallies[t]);
	for (uint32_t t = 1; t < m->threads; t++)
		kith_tally_add(&m->tallies[0], &m->tallies[t]);
	if ((rc = check_edges(m, err)) || (rc = kith_result_new(&stack, p, err)) ||
	    (rc = fill_layers(m, names, stack, err)))
		goto done;
	count_pairs(m);
	kith_result_fill(stack, &m->tallies[0]);
	rc = kith_stack_check(stack, err);
done:
	if (rc)
		kith_stack_free(stack);
	else
		*out = stack;
	return rc;
}

/* Starts the pair store. */
static int open_pairs(struct merge *m, const char *const *names, kith_err *err)
{
	const kith_tally_plan *p = &m->plan;
	kith_pair_info info = m->pair_info;
	kith_stack *stack = NULL;
	int rc = 0;
	if (!m->options->pairs)
		return 0;
	if (m->options->command)
		snprintf(info.command, sizeof info.command, "%s", m->options->command);
	if ((rc = kith_stack_new(&stack, p->n, p->layers, 0, 0, err)) || (rc = fill_layers(m, names, stack, err)))
		goto done;
	info.layers = stack->layers;
	rc = kith_pair_rows_init(&m->pairs, m->options->pairs, &info, m->threads, m->options->slots, err);
done:
	kith_stack_free(stack);
	return rc;
}

int kith_merge(size_t layers, const char *const *paths, const char *const *names, const kith_merge_options *o,
	       kith_stack **out, kith_err *err)
{
	struct merge m = {.options = o, .count = layers};
	kith_stack *stack = NULL;
	int rc;

	if (layers < 1 || layers > KITH_MAX_LAYERS)
		return kith_fail(err, KITH_EUSAGE, "%zu layers: a stack has 1 to %u", layers, KITH_MAX_LAYERS);
	if (!o->with_union && !o->with_mutual)
		return kith_fail(err, KITH_EUSAGE, "neither union nor mutual pairs asked for");
	m.threads = o->threads < 1 ? 1 : o->threads > MAX_THREADS ? MAX_THREADS : (uint32_t)o->threads;
	if (!(m.layers = kith_alloc_zero(layers, sizeof *m.layers)))
		return kith_fail_nomem(err, "the layers", layers * sizeof *m.layers);
	if ((rc = open_layers(&m, paths, err)) || (rc = plan(&m, err)) || (rc = prepare(&m, err)) ||
	    (rc = open_pairs(&m, names, err)) || (rc = walk(&m, err)) || (rc = result(&m, names, &stack, err)) ||
	    (o->pairs && (rc = kith_pair_rows_finish(&m.pairs, err))))
		goto done;
	*out = stack;
	stack = NULL;
done:
	kith_stack_free(stack);
	kith_pair_rows_abort(&m.pairs);
	for (uint32_t t = 0; m.tallies && t < m.threads; t++)
		kith_tally_free(&m.tallies[t]);
	free(m.tallies);
	free(m.lists);
	for (size_t v = 0; v < layers; v++) {
		kith_graph_close(m.layers[v].graph);
		kith_pairs_free(&m.layers[v].pairs);
		free(m.layers[v].rows);
	}
	free(m.layers);
	return rc;
}
