/* jackknife.c - see jackknife.h */
#include "jackknife.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"
#include "workspace.h"

#define NOISE 0x1p-80 /* of a value: smaller errors are no more than what quadruple precision rounds */

void kith_jackknife_deal(uint64_t seed, uint64_t n, uint32_t groups, uint16_t *group)
{
	for (uint64_t i = 0; i < n; i++)
		group[i] = (uint16_t)(i % groups);
	for (uint64_t i = n; i-- > 1;) {
		uint64_t j = kith_random_below(&seed, i + 1);
		uint16_t was = group[i];
		group[i] = group[j];
		group[j] = was;
	}
}

/* One table, with each group left out in turn. */
typedef struct left_out {
	const kith_nntp *all;
	const uint64_t *touching; /* groups x L x L */
	size_t layers;
	uint32_t groups;
	const uint64_t *size;               /* of each group, */
	uint64_t n;                         /* and of all */
	uint64_t *births, *deaths, *shared; /* (1 + groups) x L: of all, then without each group; shared[v]: pairs in
					       the layer before, too */
	uint64_t *pairs;
} left_out;

static void list_buffers(kith_workspace *w, left_out *x, uint64_t **size, const kith_count_plan *p)
{
	uint64_t lists = (1ull + p->groups) * p->layers;
	KITH_BUFFER_ZERO(w, *size, p->groups);
	KITH_BUFFER_ZERO(w, x->births, lists);
	KITH_BUFFER_ZERO(w, x->deaths, lists);
	KITH_BUFFER_ZERO(w, x->shared, lists);
	KITH_BUFFER_ZERO(w, x->pairs, lists);
}

uint64_t kith_jackknife_bytes(const kith_count_plan *p)
{
	kith_workspace w = {0};
	left_out x;
	uint64_t *size;
	list_buffers(&w, &x, &size, p);
	return p->n * sizeof *p->group + kith_workspace_bytes(&w);
}

/* Runs from a to b, of all (which = 0) or without group which - 1. */
static uint64_t runs(const left_out *x, uint32_t which, size_t a, size_t b)
{
	size_t at = a * x->layers + b;
	return x->all->count[at] - (which ? x->touching[(which - 1) * x->layers * x->layers + at] : 0);
}

/* What a layer has: pairs in the layer before are gone there, or are in this one, too. */
static void fill_lists(left_out *x, uint32_t which)
{
	size_t L = x->layers;
	uint64_t *births = x->births + which * L, *deaths = x->deaths + which * L;
	for (size_t a = 0; a < L; a++)
		for (size_t b = a; b < L; b++) {
			births[a] += runs(x, which, a, b);
			deaths[b] += runs(x, which, a, b);
		}
	for (size_t v = 0; v < L; v++) {
		uint64_t shared = v ? x->pairs[which * L + v - 1] - deaths[v - 1] : 0;
		x->shared[which * L + v] = shared;
		x->pairs[which * L + v] = shared + births[v];
	}
}

/* t[0] is the value of all, t[j] without group j - 1; see kith/stack.h. What is summed are the differences to t[0], so
 * that it is 0 where there are none. */
static double error_of(const left_out *x, const __float128 *t)
{
	__float128 shift = 0, squares = 0, most = 0;
	for (uint32_t j = 0; j <= x->groups; j++) {
		__float128 size = t[j] < 0 ? -t[j] : t[j];
		if (t[j] != t[j])
			return NAN;
		most = size > most ? size : most;
		if (j)
			shift += (1 - (__float128)x->size[j - 1] / x->n) * (t[j] - t[0]);
	}
	for (uint32_t j = 1; j <= x->groups; j++) {
		__float128 less = (__float128)x->n / x->size[j - 1] - 1, off = shift - less * (t[j] - t[0]);
		squares += off * off / less;
	}
	double error = (double)sqrtl((long double)(squares / x->groups));
	return error > NOISE * most ? error : 0;
}

static double error_of_count(const left_out *x, const uint64_t *counts, __float128 *t)
{
	__float128 n = x->n;
	t[0] = counts[0];
	for (uint32_t j = 1; j <= x->groups; j++) {
		__float128 left = x->n - x->size[j - 1];
		t[j] = counts[j * x->layers] * (n * (n - 1) / (left * (left - 1)));
	}
	return error_of(x, t);
}

static __float128 ratio(uint64_t part, uint64_t whole)
{
	return whole ? (__float128)part / whole : (__float128)NAN;
}

static double error_of_removal(const left_out *x, size_t v, __float128 *t)
{
	for (uint32_t j = 0; j <= x->groups; j++) {
		size_t at = j * x->layers + v;
		t[j] = v ? ratio(x->shared[at], x->pairs[at - 1] + x->pairs[at] - x->shared[at]) : (__float128)NAN;
	}
	return error_of(x, t);
}

static double error_of_share(const left_out *x, size_t a, size_t b, __float128 *t)
{
	for (uint32_t j = 0; j <= x->groups; j++)
		t[j] = ratio(runs(x, j, a, b), x->births[j * x->layers + a]);
	return error_of(x, t);
}

static void fill_table(left_out *x, kith_nntp *out, uint32_t threads)
{
	size_t L = x->layers;
#pragma omp parallel for num_threads(threads)
	for (uint32_t which = 0; which <= x->groups; which++)
		fill_lists(x, which);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
	for (size_t a = 0; a < L; a++) {
		__float128 t[1 + KITH_MAX_GROUPS];
		out->births_stderr[a] = error_of_count(x, x->births + a, t);
		out->deaths_stderr[a] = error_of_count(x, x->deaths + a, t);
		out->removal_stderr[a] = error_of_removal(x, a, t);
		for (size_t b = a; b < L; b++)
			out->share_stderr[a * L + b] = error_of_share(x, a, b, t);
	}
}

int kith_jackknife_fill(kith_stack *stack, const kith_counts *c, uint32_t threads, kith_err *err)
{
	const kith_count_plan *p = c->plan;
	uint32_t tier = 0;
	for (size_t i = 0; i < stack->nntp_count; i++) {
		kith_nntp *out = &stack->nntp[i];
		left_out x = {.all = out, .layers = p->layers, .groups = p->groups, .n = p->n};
		kith_workspace w = {0};
		uint64_t *size;
		void *memory = NULL;
		int rc;
		if (out->alpha)
			continue;
		while (p->k[tier] != out->k)
			tier++;
		list_buffers(&w, &x, &size, p);
		if ((rc = kith_workspace_alloc(&w, &memory, "the jackknife", err)))
			return rc;
		for (uint64_t s = 0; s < p->n; s++)
			size[p->group[s]]++;
		x.size = size;
		x.touching = c->runs.touching[out->graph] + (uint64_t)tier * p->groups * kith_plan_square(p);
		fill_table(&x, out, threads);
		free(memory);
	}
	return 0;
}
