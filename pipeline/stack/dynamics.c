/* dynamics.c - see kith/dynamics.h */
#include "kith/dynamics.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "measures.h"

/* Counts the tables of alpha = 1, 2, ... that follow, up to the longest gap that there can be, L - 2. */
static uint32_t count_gaps(const kith_stack *s, size_t table)
{
	const kith_nntp *p = &s->nntp[table];
	uint32_t gaps = 0;
	while (table + gaps + 1 < s->nntp_count && gaps + 2 < s->layer_count && p[gaps + 1].k == p->k &&
	       p[gaps + 1].graph == p->graph && p[gaps + 1].alpha == gaps + 1)
		gaps++;
	return gaps;
}

void kith_dynamics_free(kith_dynamics *d)
{
	kith_measures_free(KITH_FROM_DYNAMICS, d);
	memset(d, 0, sizeof *d);
}

/* Quadruple precision holds every count exactly, and its own rounding is too small to change the double's. */
static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)((__float128)part / whole) : NAN;
}

/* Runs that end at b. */
static uint64_t ends(const kith_nntp *p, size_t L, size_t b)
{
	uint64_t sum = 0;
	for (size_t a = 0; a <= b; a++)
		sum += p->count[a * L + b];
	return sum;
}

static void fill_births(kith_dynamics *d, size_t a)
{
	size_t L = d->layers;
	uint64_t left = 0;
	for (size_t b = L; b-- > a;)
		d->survival[a * L + b] = left += d->runs->count[a * L + b];
	d->births[a] = left;
	for (size_t b = 0; b < L; b++)
		d->share[a * L + b] = ratio(d->runs->count[a * L + b], left);
}

int kith_dynamics_make(kith_dynamics *out, const kith_stack *stack, size_t table, kith_err *err)
{
	kith_dynamics d = {.runs = &stack->nntp[table], .layers = stack->layer_count, .gaps = count_gaps(stack, table)};
	const uint64_t *pairs = d.runs->pairs;
	int rc = kith_measures_alloc(KITH_FROM_DYNAMICS, KITH_ALL_STACKS, &d, d.layers, d.gaps, err);
	assert(d.runs->alpha == 0);
	if (rc)
		goto done;
	for (size_t v = 0; v < d.layers; v++) {
		fill_births(&d, v);
		d.deaths[v] = ends(d.runs, d.layers, v);
		for (uint32_t g = 0; g < d.gaps; g++)
			d.returns[v * d.gaps + g] = ends(d.runs + g, d.layers, v) - ends(d.runs + g + 1, d.layers, v);
	}
	d.removal[0] = NAN;
	for (size_t v = 1; v < d.layers; v++) {
		uint64_t both = d.survivors[v - 1] = pairs[v - 1] - d.deaths[v - 1];
		d.removal[v] = ratio(both, pairs[v - 1] + pairs[v] - both);
	}
done:
	if (rc)
		kith_dynamics_free(&d);
	else
		*out = d;
	return rc;
}
