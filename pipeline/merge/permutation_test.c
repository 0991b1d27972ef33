/* permutation_test.c - see permutation_test.h. Relabellings are dealt out to threads, each of which relabels all layers
 * that are in memory for itself. Where memory is too short for the rows of all layers, these are cut into groups, and
 * every two groups are in memory together once. */
#include "permutation_test.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc.h"
#include "first_error.h"
#include "relabelled.h"
#include "to_stack.h"

#define PAGE  4096u
#define READ  (1u << 18) /* ids that a thread reads at a time, about */
#define DEALT 2u         /* relabellings of a thread between two calls of progress */

/* How memory is used. */
typedef struct layout {
	uint32_t slots, threads; /* layers in memory together; half of them are a group unless they are all */
	uint64_t bytes;
} layout;

typedef struct work {
	const kith_permutation_test *test;
	layout layout;
	kith_count_plan plan;    /* of the layers in memory */
	uint32_t *layer;         /* slots: which layers these are, */
	uint32_t *number;        /* and which permutations are theirs */
	unsigned char *repeated; /* slots: whether the layer is in a slot before, too */
	unsigned char **rows;    /* slots */
	double *value;           /* pairs in memory x tiers x relabellings: NNTS */
	double *greatest;        /* tiers x relabellings: of all pairs so far */
	double *sorted;          /* threads x relabellings */
	unsigned char *ids;      /* slots x n x the largest k: the rows */
	uint32_t *block;         /* threads x READ ids and a row's: rows on their way there */
	kith_relabelled_rows from;
	kith_relabelled *counters; /* one per thread */
	void *memory;
} work;

static uint32_t row_length(const kith_count_plan *p)
{
	return p->k[p->tiers - 1];
}

/* The same plan for so many layers. */
static kith_count_plan plan_of(const kith_count_plan *all, uint32_t layers)
{
	kith_count_plan p = *all;
	p.layers = layers;
	for (uint32_t q = 0; q < p.tiers; q++)
		p.start[q + 1] = p.start[q] + kith_layer_pairs(layers) * (p.k[q] + 1ull);
	return p;
}

/* The bytes of a layer's rows. */
static uint64_t layer_size(const kith_count_plan *p)
{
	return p->n * row_length(p) * kith_relabelled_id_size(p->n);
}

/* Nodes whose rows are read together. */
static uint32_t nodes_read(const kith_count_plan *p)
{
	return READ / row_length(p) + 1;
}

static void list_buffers(kith_workspace *w, work *x)
{
	const kith_count_plan *p = &x->plan;
	uint64_t slots = p->layers, relabellings = x->test->relabellings;
	KITH_BUFFER(w, x->layer, slots);
	KITH_BUFFER(w, x->number, slots);
	KITH_BUFFER(w, x->repeated, slots);
	KITH_BUFFER(w, x->rows, slots);
	KITH_BUFFER(w, x->value, kith_layer_pairs(slots) * p->tiers * relabellings);
	KITH_BUFFER_ZERO(w, x->greatest, p->tiers * relabellings);
	KITH_BUFFER(w, x->sorted, x->layout.threads * relabellings);
	KITH_BUFFER(w, x->ids, slots * layer_size(p));
	KITH_BUFFER(w, x->block, x->layout.threads * (uint64_t)nodes_read(p) * row_length(p));
	KITH_BUFFER_ZERO(w, x->counters, x->layout.threads);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static layout lay_out(const kith_permutation_test *test, uint32_t slots, uint32_t threads)
{
	kith_workspace w = {0};
	work x = {.test = test, .layout = {slots, threads, 0}, .plan = plan_of(test->plan, slots)};
	uint64_t readers = 0;
	list_buffers(&w, &x);
	for (uint32_t v = 0; v < test->plan->layers; v++)
		readers += kith_graph_reader_bytes(test->windows[v].graph);
	x.layout.bytes = kith_workspace_bytes(&w) + threads * kith_relabelled_bytes(&x.plan) + readers;
	return x.layout;
}

/* How often groups are read, together. */
static uint64_t count_steps(uint32_t layers, uint32_t slots)
{
	uint64_t groups = slots < layers ? (layers + slots / 2 - 1) / (slots / 2) : 2;
	return groups * (groups - 1) / 2;
}

/* The layout that takes the least time: layers are relabelled in every step, by so many threads at once. */
static layout choose_layout(const kith_permutation_test *test)
{
	uint32_t layers = test->plan->layers;
	layout best = lay_out(test, layers < 2 ? layers : 2, 1);
	double least = HUGE_VAL;
	if (test->slots)
		return lay_out(test, test->slots < layers ? test->slots : layers, test->threads);
	for (uint32_t threads = test->threads; threads > 0; threads--)
		for (uint32_t slots = layers; slots >= 2; slots = (slots - 1) & ~1u) {
			layout here = lay_out(test, slots, threads);
			double time = (double)count_steps(layers, slots) * slots / threads;
			if (here.bytes > test->memory)
				continue;
			best = time < least ? here : best;
			least = time < least ? time : least;
			break;
		}
	return best;
}

uint64_t kith_permutation_test_least(const kith_permutation_test *test)
{
	return lay_out(test, test->plan->layers < 2 ? test->plan->layers : 2, 1).bytes;
}

static int prepare(work *x, kith_err *err)
{
	kith_workspace w = {0};
	int rc;
	x->plan = plan_of(x->test->plan, x->layout.slots);
	list_buffers(&w, x);
	if ((rc = kith_workspace_alloc(&w, &x->memory, "relabelled graphs", err)))
		return rc;
	/* rows are read in any order: large pages, where the system has them, take a sixth of the time away */
	(void)madvise(x->ids + (PAGE - (uintptr_t)x->ids % PAGE) % PAGE, x->layout.slots * layer_size(&x->plan),
		      MADV_HUGEPAGE);
	for (uint32_t s = 0; s < x->layout.slots; s++)
		x->rows[s] = x->ids + s * layer_size(&x->plan);
	x->from = (kith_relabelled_rows){&x->plan, (const void *const *)x->rows, x->number};
	return 0;
}

/* ---- relabellings -------------------------------------------------------------------------------------------- */

static int read_layer(work *x, uint32_t slot, kith_err *err)
{
	const kith_count_plan *p = &x->plan;
	const kith_window_layer *layer = &x->test->windows[x->layer[slot]];
	uint64_t k = row_length(p), at_once = nodes_read(p), size = kith_relabelled_id_size(p->n);
	uint32_t *block = x->block + (uint64_t)omp_get_thread_num() * at_once * k;
	int rc = 0;
	for (uint64_t first = 0; !rc && first < p->n; first += at_once) {
		uint64_t nodes = at_once < p->n - first ? at_once : p->n - first;
		unsigned char *to = x->rows[slot] + first * k * size;
		rc = kith_graph_read_rows(layer->graph, first, nodes, layer->tiers, block, err);
		if (size == sizeof *block)
			memcpy(to, block, nodes * k * size);
		for (uint64_t i = 0; size != sizeof *block && i < nodes * k; i++)
			((uint16_t *)(void *)to)[i] = (uint16_t)block[i];
	}
	return rc;
}

static int read_layers(work *x, uint32_t from_slot, uint32_t slots, kith_err *err)
{
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(x->layout.threads) schedule(dynamic, 1)
	for (uint32_t s = from_slot; s < from_slot + slots; s++) {
		kith_err why;
		kith_first_error_note(&failed, s, read_layer(x, s, &why), &why);
	}
	return kith_first_error_get(&failed, err);
}

/* Whether two layers, by slot, are among the pairs whose greatest is asked for. */
static int is_among(const work *x, uint32_t a, uint32_t b)
{
	const unsigned char *column = x->test->column;
	return !x->repeated[a] && !x->repeated[b] && (!column || column[x->layer[a]] != column[x->layer[b]]);
}

/* NNTS of every two layers in memory, from what relabelling r has been counted to. */
static void take_values(work *x, const kith_relabelled *counted, uint32_t r)
{
	const kith_count_plan *p = &x->plan;
	uint64_t all = x->test->relabellings;
	for (uint32_t q = 0; q < p->tiers; q++) {
		const uint32_t *histogram = counted->overlap + p->start[q];
		double *greatest = &x->greatest[q * all + r];
		uint64_t pair = 0;
		for (uint32_t a = 0; a < p->layers; a++)
			for (uint32_t b = a + 1; b < p->layers; b++, pair++, histogram += p->k[q] + 1) {
				double *value = &x->value[(pair * p->tiers + q) * all + r], std_err;
				kith_mean_of_histogram(histogram, p->k[q], p->n, 1, value, &std_err);
				if (is_among(x, a, b) && *value > *greatest)
					*greatest = *value;
			}
	}
}

static int relabel(work *x, uint64_t step, uint64_t steps, kith_err *err)
{
	uint32_t all = x->test->relabellings, at_once = DEALT * x->layout.threads;
	for (uint32_t from = 0; from < all; from += at_once) {
		uint32_t count = all - from < at_once ? all - from : at_once;
		int rc = kith_progress_tick(x->test->progress, "relabelling", step * all + from, steps * all, err);
		if (rc)
			return rc;
#pragma omp parallel for num_threads(x->layout.threads) schedule(dynamic, 1)
		for (uint32_t r = from; r < from + count; r++) {
			kith_relabelled *counter = &x->counters[omp_get_thread_num()];
			kith_relabelled_count(counter, x->test->seed, r);
			take_values(x, counter, r);
		}
	}
	return 0;
}

/* ---- what follows -------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;
	return (a > b) - (a < b);
}

/* The threshold that `percent` of a hundred stay at or below: of R ascending values the one of rank
 * ceil(percent (R + 1) / 100), above which exactly those scores are whose p is at most 1 - percent / 100. NaN if R is
 * too small for that. */
static double threshold(const double *sorted, uint64_t count, uint32_t percent)
{
	uint64_t rank = (percent * (count + 1) + 99) / 100;
	return rank > count ? NAN : sorted[rank - 1];
}

/* Mean and standard deviation of values, and two thresholds; `sorted` is for them in order. */
static void summarise(const double *value, uint64_t count, double *sorted, double out[4])
{
	__float128 mean = 0, squares = 0;
	for (uint64_t r = 0; r < count; r++)
		mean += value[r];
	mean /= count;
	for (uint64_t r = 0; r < count; r++)
		squares += (value[r] - mean) * (value[r] - mean);
	memcpy(sorted, value, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, compare_doubles);
	out[0] = (double)mean;
	out[1] = count > 1 ? (double)sqrtl((long double)(squares / (count - 1))) : NAN;
	out[2] = threshold(sorted, count, 95);
	out[3] = threshold(sorted, count, 99);
}

/* How likely a score as great as this is by chance: the score itself is one of count + 1. */
static double p_value(const double *value, uint64_t count, double score)
{
	uint64_t as_great = 1;
	for (uint64_t r = 0; r < count; r++)
		as_great += value[r] >= score;
	return (double)as_great / (double)(count + 1);
}

/* Of a pair of layers, by slot. */
static void fill_pair(const work *x, uint32_t a, uint32_t b, uint64_t pair, kith_stack *stack)
{
	uint64_t all = x->test->relabellings;
	size_t L = stack->layer_count, ab = x->layer[a] * L + x->layer[b], ba = x->layer[b] * L + x->layer[a];
	for (uint32_t q = 0; q < x->plan.tiers; q++) {
		kith_nnts *t = &stack->nnts[q];
		const double *value = x->value + (pair * x->plan.tiers + q) * all;
		double *to[] = {t->null_mean, t->null_sd, t->null_q95, t->null_q99}, found[4];
		summarise(value, all, x->sorted + (uint64_t)omp_get_thread_num() * all, found);
		for (int i = 0; i < 4; i++)
			to[i][ab] = to[i][ba] = found[i];
		t->null_p[ab] = t->null_p[ba] = p_value(value, all, t->mean[ab]);
	}
}

static void fill_pairs(const work *x, kith_stack *stack)
{
	uint32_t slots = x->layout.slots;
#pragma omp parallel for num_threads(x->layout.threads) schedule(dynamic, 1)
	for (uint32_t a = 0; a < slots; a++) {
		uint64_t pair = a * (2ull * slots - a - 1) / 2;
		for (uint32_t b = a + 1; b < slots; b++, pair++)
			if (!x->repeated[a] && !x->repeated[b])
				fill_pair(x, a, b, pair, stack);
	}
}

/* What follows from the greatest of all pairs; and nothing is said of a layer with itself. */
static void fill_greatest(const work *x, kith_stack *stack)
{
	const unsigned char *column = x->test->column;
	uint64_t all = x->test->relabellings;
	size_t L = stack->layer_count;
	for (uint32_t q = 0; q < x->plan.tiers; q++) {
		kith_nnts *t = &stack->nnts[q];
		const double *greatest = x->greatest + q * all;
		double *to[] = {t->null_max_mean, t->null_max_sd, t->null_max_q95, t->null_max_q99}, found[4];
		double *of_itself[] = {t->null_mean, t->null_sd, t->null_q95, t->null_q99, t->null_p, t->null_family_p};
		summarise(greatest, all, x->sorted, found);
		for (int i = 0; i < 4; i++)
			*to[i] = L > 1 ? found[i] : NAN; /* of one layer there are no pairs */
		for (size_t a = 0; a < L; a++)
			for (size_t b = 0; b < L; b++)
				t->null_family_p[a * L + b] = !column || column[a] != column[b]
								      ? p_value(greatest, all, t->mean[a * L + b])
								      : NAN;
		for (size_t i = 0; i < sizeof of_itself / sizeof *of_itself; i++)
			for (size_t a = 0; a < L; a++)
				of_itself[i][a * L + a] = NAN;
	}
}

/* ---- groups -------------------------------------------------------------------------------------------------- */

/* Puts layers first..first+count-1 into the slots from `slot` on. */
static int load(work *x, uint32_t slot, uint32_t first, uint32_t count, kith_err *err)
{
	for (uint32_t s = 0; s < count; s++) {
		x->layer[slot + s] = first + s;
		x->number[slot + s] = x->test->number ? x->test->number[first + s] : first + s;
		x->repeated[slot + s] = 0;
		for (uint32_t other = 0; other < slot; other++)
			x->repeated[slot + s] |= x->layer[other] == first + s;
	}
	return read_layers(x, slot, count, err);
}

/* All layers, or every two groups of them. The last group reaches back where layers are too few for it. */
static int run(work *x, kith_stack *stack, kith_err *err)
{
	uint32_t layers = x->test->plan->layers, slots = x->layout.slots, half = slots < layers ? slots / 2 : slots;
	uint64_t step = 0, steps = count_steps(layers, slots);
	int rc = 0;
	for (uint32_t a = 0; !rc && a < layers; a += half) {
		if (half < slots && a + half >= layers)
			break;
		rc = load(x, 0, a, half, err);
		for (uint32_t b = half < slots ? a + half : a; !rc && b < layers; b += half, step++) {
			uint32_t last = b + half > layers ? layers - half : b;
			if (half < slots && (rc = load(x, half, last, half, err)))
				break;
			if (!(rc = relabel(x, step, steps, err)))
				fill_pairs(x, stack);
			if (half == slots)
				return rc;
		}
	}
	return rc;
}

int kith_permutation_test_run(const kith_permutation_test *test, kith_stack *stack, kith_err *err)
{
	work x = {.test = test, .layout = choose_layout(test)};
	int rc = 0;
	if (x.layout.bytes > test->memory)
		return kith_fail(err, KITH_EUSAGE, "-m is too small: --null with n=%llu and k=%u needs %llu bytes",
				 (unsigned long long)test->plan->n, row_length(test->plan),
				 (unsigned long long)x.layout.bytes);
	if (!(rc = prepare(&x, err))) {
		for (uint32_t t = 0; !rc && t < x.layout.threads; t++)
			rc = kith_relabelled_init(&x.counters[t], &x.from, err);
		if (!rc && x.layout.slots > 1)
			rc = run(&x, stack, err);
		if (!rc)
			fill_greatest(&x, stack);
		for (uint32_t t = 0; t < x.layout.threads; t++)
			kith_relabelled_free(&x.counters[t]);
	}
	free(x.memory);
	return rc;
}
