/* to_stack.c - see to_stack.h */
#include "to_stack.h"

#include <math.h>
#include <string.h>

int kith_to_stack_new(kith_stack **out, const kith_count_plan *p, kith_err *err)
{
	size_t graphs = kith_plan_graphs(p);
	return kith_stack_new(out, p->n, p->layers, p->tiers, p->tiers * graphs * (p->alpha + 1), err);
}

/* The counts of ties at the k of the plan, which the graph's ladder has. */
static void take_ties(kith_layer *out, const kith_graph_info *i, const kith_count_plan *p)
{
	out->ties = i->ties;
	out->tied = (kith_tie_counts){.counted = i->tied.counted, .zero = i->tied.zero};
	for (uint32_t q = 0, t = 0; q < p->tiers; q++) {
		while (i->ladder[t] != p->k[q])
			t++;
		out->tied.rows[q] = i->tied.rows[t];
		out->tied.most[q] = i->tied.most[t];
	}
}

int kith_to_stack_layer(kith_layer *out, const kith_graph_info *i, const kith_count_plan *p, const char *name,
			kith_err *err)
{
	take_ties(out, i, p);
	out->dim = i->d;
	out->recall = i->recall;
	out->name = strdup(name);
	out->metric = strdup(i->metric);
	out->engine = strdup(i->engine);
	out->digest = strdup(i->digest);
	out->input = strdup(i->input);
	out->command = strdup(i->command);
	if (!out->name || !out->metric || !out->engine || !out->digest || !out->input || !out->command)
		return kith_fail_nomem(err, "a layer's names", 1024);
	return 0;
}

/* Quadruple precision makes the mean correctly rounded, and leaves nothing to the order of summation. The spread is
 * measured from the first value that occurs, so that it is exactly 0 where all samples agree. */
void kith_mean_of_histogram(const uint32_t *histogram, uint32_t k, uint64_t n, int iou, double *mean, double *std_err)
{
	__float128 origin = -1, shift = 0, squares = 0;
	for (uint32_t c = 0; c <= k; c++) {
		if (!histogram[c])
			continue;
		__float128 q = (__float128)c / (iou ? 2 * (uint64_t)k - c : k);
		origin = origin < 0 ? q : origin;
		shift += histogram[c] * (q - origin);
	}
	shift /= n;
	for (uint32_t c = 0; c <= k; c++) {
		if (!histogram[c])
			continue;
		__float128 off = (__float128)c / (iou ? 2 * (uint64_t)k - c : k) - origin - shift;
		squares += histogram[c] * off * off;
	}
	*mean = (double)(origin + shift);
	*std_err = (double)sqrtl((long double)(squares / ((__float128)n * (n - 1))));
}

static void fill_nnts(kith_stack *stack, const kith_counts *c, uint32_t threads)
{
	const kith_count_plan *p = c->plan;
	for (uint32_t q = 0; q < p->tiers; q++) {
		kith_nnts *out = &stack->nnts[q];
		out->k = p->k[q];
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
		for (size_t a = 0; a < p->layers; a++) {
			uint64_t before = a * (2ull * p->layers - a - 1) / 2; /* pairs of layers */
			const uint32_t *histogram = c->overlap + p->start[q] + before * (p->k[q] + 1ull);
			out->mean[a * p->layers + a] = out->overlap[a * p->layers + a] = 1;
			for (size_t b = a + 1; b < p->layers; b++) {
				size_t ab = a * p->layers + b, ba = b * p->layers + a;
				kith_mean_of_histogram(histogram, p->k[q], p->n, 1, &out->mean[ab], &out->std_err[ab]);
				kith_mean_of_histogram(histogram, p->k[q], p->n, 0, &out->overlap[ab],
						       &out->overlap_err[ab]);
				out->mean[ba] = out->mean[ab];
				out->std_err[ba] = out->std_err[ab];
				out->overlap[ba] = out->overlap[ab];
				out->overlap_err[ba] = out->overlap_err[ab];
				histogram += p->k[q] + 1;
			}
		}
	}
}

static void fill_nntp(kith_stack *stack, const kith_counts *c)
{
	const kith_count_plan *p = c->plan;
	size_t square = (size_t)p->layers * p->layers;
	kith_nntp *out = stack->nntp;
	for (uint32_t q = 0; q < p->tiers; q++)
		for (int g = 0; g < 2; g++)
			for (uint32_t alpha = 0; p->graphs[g] && alpha <= p->alpha; alpha++, out++) {
				const int64_t *change = c->runs.table[g] + (q * (p->alpha + 1ull) + alpha) * square;
				out->k = p->k[q];
				out->graph = (kith_graph_kind)g;
				out->alpha = alpha;
				for (size_t i = 0; i < square; i++)
					out->count[i] = (uint64_t)((alpha ? (int64_t)out[-1].count[i] : 0) + change[i]);
				memcpy(out->pairs, c->pairs[g] + (size_t)q * p->layers, p->layers * sizeof *out->pairs);
			}
}

void kith_to_stack_fill(kith_stack *stack, const kith_counts *counts, uint32_t threads)
{
	fill_nnts(stack, counts, threads);
	fill_nntp(stack, counts);
}
