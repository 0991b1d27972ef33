/* estimates.c - see estimates.h. Audited samples are looked at some at a time: their rows are brought into one order of
 * ids, layer by layer in parallel, and then compared, the pairs of layers in parallel and the samples of each in
 * ascending order, so that no sum depends on the threads. */
#include "estimates.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "workspace.h"

#define TOGETHER  16 /* samples whose rows are there at a time */
#define TIER_BITS 4
_Static_assert(KITH_MAX_TIERS < 1 << TIER_BITS, "a tier fits beside its id");

struct kith_difference {
	__float128 first, sum, squares;
	uint64_t count;
};

/* ---- audits -------------------------------------------------------------------------------------------------- */

static void find_sample(kith_estimates *e, size_t v)
{
	const kith_graph_audit *x = &e->layers[v].audit, *y;
	e->layers[v].sample = v;
	for (size_t u = 0; u < v; u++) {
		y = &e->layers[u].audit;
		if (x->rows == y->rows && !memcmp(x->id, y->id, x->rows * sizeof *x->id)) {
			e->layers[v].sample = u;
			return;
		}
	}
}

static int open_layer(kith_estimates *e, size_t v, const kith_layer *as, kith_err *err)
{
	kith_audited_layer *layer = &e->layers[v];
	int rc;
	layer->sample = v;
	layer->exact = kith_layer_is_exact(as);
	if (layer->exact)
		return 0;
	e->any_approximate = 1;
	if ((rc = kith_graph_read_audit(e->windows[v].graph, &layer->audit, err)) || !layer->audit.rows)
		return rc;
	e->any_audit = 1;
	find_sample(e, v);
	return 0;
}

int kith_estimates_open(kith_estimates *e, const kith_window_layer *windows, const kith_layer *layers,
			const kith_count_plan *plan, kith_err *err)
{
	int rc = 0;
	*e = (kith_estimates){.plan = plan, .windows = windows};
	e->layers = kith_alloc_zero(plan->layers, sizeof *e->layers);
	if (!e->layers)
		return kith_fail_nomem(err, "the audits", plan->layers * sizeof *e->layers);
	for (size_t v = 0; v < plan->layers && !rc; v++)
		rc = open_layer(e, v, &layers[v], err);
	return rc;
}

void kith_estimates_free(kith_estimates *e)
{
	for (size_t v = 0; e->layers && v < e->plan->layers; v++)
		free(e->layers[v].audit.memory);
	free(e->layers);
	free(e->memory);
	*e = (kith_estimates){0};
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static uint32_t largest_k(const kith_estimates *e)
{
	return e->plan->k[e->plan->tiers - 1];
}

static void list_buffers(kith_workspace *w, kith_estimates *e, uint32_t threads)
{
	const kith_count_plan *p = e->plan;
	uint64_t rows = (uint64_t)TOGETHER * p->layers * largest_k(e);
	KITH_BUFFER_ZERO(w, e->differences, p->tiers * kith_layer_pairs(p->layers));
	KITH_BUFFER(w, e->stored, rows);
	KITH_BUFFER(w, e->exact, rows);
	KITH_BUFFER(w, e->ids, (uint64_t)threads * largest_k(e));
	for (uint32_t q = 0; q < p->tiers; q++)
		KITH_BUFFER(w, e->iou[q], p->k[q] + 1ull);
}

uint64_t kith_estimates_bytes(const kith_estimates *e, uint32_t threads)
{
	kith_workspace w = {0};
	kith_estimates listed = *e;
	uint64_t audits = 0;
	if (!e->any_audit)
		return 0;
	list_buffers(&w, &listed, threads);
	for (size_t v = 0; v < e->plan->layers; v++) {
		const kith_graph_audit *audit = &e->layers[v].audit;
		uint64_t k = kith_info_k(kith_graph_get_info(e->windows[v].graph));
		audits += audit->rows * (k + 1) * sizeof *audit->exact;
	}
	return kith_workspace_bytes(&w) + audits;
}

int kith_estimates_init(kith_estimates *e, uint32_t threads, kith_err *err)
{
	kith_workspace w = {0};
	int rc;
	if (!e->any_audit)
		return 0;
	list_buffers(&w, e, threads);
	if ((rc = kith_workspace_alloc(&w, &e->memory, "the audited samples", err)))
		return rc;
	for (uint32_t q = 0; q < e->plan->tiers; q++)
		for (uint32_t c = 0; c <= e->plan->k[q]; c++)
			e->iou[q][c] = (__float128)c / (2ull * e->plan->k[q] - c);
	return 0;
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

/* Merges ascending ids of a tier into a row of `have`, from the end, where there is room. */
static size_t merge_ids(uint64_t *row, size_t have, const uint32_t *id, size_t count, uint32_t tier)
{
	size_t all = have + count;
	for (size_t at = all; count; at--)
		if (have && row[have - 1] >> TIER_BITS > id[count - 1])
			row[at - 1] = row[--have];
		else
			row[at - 1] = (uint64_t)id[--count] << TIER_BITS | tier;
	return all;
}

static size_t list_bits(const kith_count_set *set, uint64_t n, uint32_t *ids)
{
	size_t count = 0;
	for (uint64_t w = set->base; w < (n + 63) / 64; w++)
		for (uint64_t word = set->bits[w - set->base]; word; word &= word - 1)
			ids[count++] = (uint32_t)(64 * w + (uint64_t)__builtin_ctzll(word));
	return count;
}

static void take_stored_row(const kith_estimates *e, const kith_count_sources *sources, size_t layer, uint64_t node,
			    uint64_t *row)
{
	uint32_t *ids = e->ids + (size_t)omp_get_thread_num() * largest_k(e);
	size_t have = 0;
	for (const kith_count_source *s = sources->source; s < sources->source + sources->count; s++) {
		if (s->layer != layer)
			continue;
		kith_count_set set = kith_count_set_at(s, node);
		if (set.bits) {
			set.count = list_bits(&set, e->plan->n, ids);
			set.id = ids;
		}
		have = merge_ids(row, have, set.id, set.count, set.tier);
	}
}

static void take_exact_row(const kith_estimates *e, size_t layer, size_t at, uint64_t *row)
{
	const kith_window_layer *window = &e->windows[layer];
	const kith_graph_info *info = kith_graph_get_info(window->graph);
	const uint32_t *ids = e->layers[layer].audit.exact + at * kith_info_k(info);
	for (uint32_t t = 0; t < window->tiers; t++) {
		uint32_t before = t ? info->ladder[t - 1] : 0;
		merge_ids(row, before, ids + before, info->ladder[t] - before, window->tier_of[t]);
	}
}

/* ---- differences --------------------------------------------------------------------------------------------- */

/* common[q] = how many ids two rows share among their nearest k[q]. */
static void count_common(const uint64_t *x, const uint64_t *y, size_t k, uint32_t tiers, uint32_t *common)
{
	const uint64_t *x_end = x + k, *y_end = y + k, tier = (1 << TIER_BITS) - 1;
	memset(common, 0, tiers * sizeof *common);
	while (x < x_end && y < y_end) {
		uint64_t a = *x >> TIER_BITS, b = *y >> TIER_BITS;
		if (a == b)
			common[(*x & tier) > (*y & tier) ? *x & tier : *y & tier]++;
		x += a <= b;
		y += b <= a;
	}
	for (uint32_t q = 1; q < tiers; q++)
		common[q] += common[q - 1];
}

static void add_difference(kith_difference *to, __float128 d)
{
	__float128 off;
	if (!to->count++)
		to->first = d;
	off = d - to->first;
	if (off == 0) /* most often: the row lacks nothing */
		return;
	to->sum += off;
	to->squares += off * off;
}

/* Layers a and b, of which one is not exact; of an exact one, its own rows are the exact ones. */
static void compare(kith_estimates *e, size_t a, size_t b, size_t samples)
{
	const kith_count_plan *p = e->plan;
	size_t L = p->layers, k = largest_k(e), pair = a * (2 * L - a - 1) / 2 + b - a - 1;
	const uint64_t *exact_a = e->layers[a].exact ? e->stored : e->exact;
	const uint64_t *exact_b = e->layers[b].exact ? e->stored : e->exact;
	uint32_t had[KITH_MAX_TIERS], should[KITH_MAX_TIERS];
	for (size_t s = 0; s < samples; s++) {
		size_t at_a = (s * L + a) * k, at_b = (s * L + b) * k;
		count_common(e->stored + at_a, e->stored + at_b, k, p->tiers, had);
		count_common(exact_a + at_a, exact_b + at_b, k, p->tiers, should);
		for (uint32_t q = 0; q < p->tiers; q++)
			add_difference(&e->differences[q * kith_layer_pairs(L) + pair],
				       e->iou[q][should[q]] - e->iou[q][had[q]]);
	}
}

/* Whether layer v can be compared with those that were audited by the samples of layer `sample`. */
static int takes_part(const kith_estimates *e, size_t v, size_t sample)
{
	return e->layers[v].exact || e->layers[v].sample == sample;
}

/* Samples from..from+samples-1 of an audit. */
static void add_samples(kith_estimates *e, const kith_count_sources *sources, size_t sample, size_t from,
			size_t samples, uint32_t threads)
{
	size_t L = e->plan->layers, k = largest_k(e);
	const uint32_t *id = e->layers[sample].audit.id + from;
#pragma omp parallel num_threads(threads)
	{
#pragma omp for schedule(dynamic, 1)
		for (size_t v = 0; v < L; v++)
			for (size_t s = 0; takes_part(e, v, sample) && s < samples; s++) {
				take_stored_row(e, sources, v, id[s], e->stored + (s * L + v) * k);
				if (!e->layers[v].exact)
					take_exact_row(e, v, from + s, e->exact + (s * L + v) * k);
			}
#pragma omp for schedule(dynamic, 1)
		for (size_t a = 0; a < L; a++)
			for (size_t b = a + 1; takes_part(e, a, sample) && b < L; b++)
				if (takes_part(e, b, sample) && !(e->layers[a].exact && e->layers[b].exact))
					compare(e, a, b, samples);
	}
}

void kith_estimates_add(kith_estimates *e, const kith_count_sources *sources, uint64_t first, uint64_t nodes,
			uint32_t threads)
{
	for (size_t v = 0; e->any_audit && v < e->plan->layers; v++) {
		const kith_graph_audit *audit = &e->layers[v].audit;
		size_t from = 0, to;
		if (e->layers[v].sample != v)
			continue;
		while (from < audit->rows && audit->id[from] < first)
			from++;
		for (to = from; to < audit->rows && audit->id[to] < first + nodes;)
			to++;
		for (; from < to; from += TOGETHER)
			add_samples(e, sources, v, from, to - from < TOGETHER ? to - from : TOGETHER, threads);
	}
}

/* ---- the result ---------------------------------------------------------------------------------------------- */

/* The mean of the differences and its standard error; NaN of less than two. */
static __float128 mean_difference(const kith_difference *d, uint64_t n, double *std_err)
{
	__float128 m = d->count, variance;
	*std_err = NAN;
	if (d->count < 2)
		return NAN;
	variance = (d->squares - d->sum * d->sum / m) / (m * (m - 1)) * (1 - m / n);
	*std_err = variance > 0 ? (double)sqrtl((long double)variance) : 0;
	return d->first + d->sum / m;
}

static void fill_estimates(const kith_estimates *e, kith_nnts *t, uint32_t q)
{
	size_t L = e->plan->layers;
	const kith_difference *d = e->differences ? e->differences + q * kith_layer_pairs(L) : NULL;
	for (size_t a = 0; a < L; a++) {
		t->estimate[a * L + a] = 1;
		for (size_t b = a + 1; b < L; b++) {
			size_t ab = a * L + b, ba = b * L + a;
			int both_exact = e->layers[a].exact && e->layers[b].exact;
			double error = both_exact ? 0 : NAN;
			__float128 off = both_exact ? 0 : NAN;
			if (d && !both_exact)
				off = mean_difference(d, e->plan->n, &error);
			t->estimate[ab] = t->estimate[ba] = (double)(t->mean[ab] + off);
			t->estimate_err[ab] = t->estimate_err[ba] = error;
			d += d != NULL;
		}
	}
}

static void fill_recall(const kith_estimates *e, kith_nnts *t, uint32_t q)
{
	for (size_t v = 0; v < e->plan->layers; v++) {
		const kith_audited_layer *layer = &e->layers[v];
		uint32_t last = 0;
		for (uint32_t graph_tier = 0; graph_tier < e->windows[v].tiers; graph_tier++)
			if (e->windows[v].tier_of[graph_tier] == q)
				last = graph_tier;
		t->recall[v] = layer->exact ? 1 : layer->audit.rows ? layer->audit.recall[last] : NAN;
		t->recall_low[v] = layer->exact ? 1 : layer->audit.rows ? layer->audit.low[last] : NAN;
		t->recall_high[v] = layer->exact ? 1 : layer->audit.rows ? layer->audit.high[last] : NAN;
	}
}

int kith_estimates_fill(const kith_estimates *e, kith_stack *stack, kith_err *err)
{
	int rc;
	if (!e->any_approximate)
		return 0;
	if ((rc = kith_stack_add_estimates(stack, err)))
		return rc;
	for (size_t v = 0; v < e->plan->layers; v++)
		stack->layers[v].audited = e->layers[v].audit.rows;
	for (uint32_t q = 0; q < e->plan->tiers; q++) {
		fill_recall(e, &stack->nnts[q], q);
		fill_estimates(e, &stack->nnts[q], q);
	}
	return 0;
}
