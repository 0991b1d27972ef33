/* against.c - see against.h */
#include "against.h"

#include <stdlib.h>
#include <string.h>

#include "measures.h"
#include "workspace.h"

#define NONE SIZE_MAX

/* The first layer from..to-1 of this name, or NONE. */
static size_t find_name(const char *const *names, size_t from, size_t to, const char *name)
{
	for (size_t v = from; v < to; v++)
		if (!strcmp(names[v], name))
			return v;
	return NONE;
}

static int check_names(const kith_against *x, const char *const *names, kith_err *err)
{
	for (size_t v = 0; v < x->layers; v++)
		if (find_name(names, v + 1, v < x->rows ? x->rows : x->layers, names[v]) != NONE)
			return kith_fail(err, KITH_EUSAGE,
					 "layer %s: two layers of one network have this name: give one another, "
					 "NAME=LAYER.nng",
					 names[v]);
	return 0;
}

static void choose_walk(kith_against *x, const char *const *names)
{
	size_t at = 0;
	for (size_t v = 0; v < x->rows; v++) {
		size_t other = find_name(names, x->rows, x->layers, names[v]);
		if (other == NONE)
			continue;
		x->walk[at++] = (uint32_t)v;
		x->walk[at++] = (uint32_t)other;
		x->matched++;
	}
	for (size_t v = 0; v < x->layers; v++) {
		size_t other = v < x->rows ? find_name(names, x->rows, x->layers, names[v])
					   : find_name(names, 0, x->rows, names[v]);
		if (other == NONE)
			x->walk[at++] = (uint32_t)v;
	}
	for (size_t v = 0; v < x->layers; v++)
		x->column[v] = x->walk[v] >= x->rows;
}

int kith_against_init(kith_against *x, const char *const *names, size_t layers, size_t rows, kith_err *err)
{
	kith_workspace w = {0};
	int rc;
	*x = (kith_against){.layers = layers, .rows = rows};
	if (!rows)
		return 0;
	KITH_BUFFER(&w, x->walk, layers);
	KITH_BUFFER(&w, x->column, layers);
	if ((rc = check_names(x, names, err)) || (rc = kith_workspace_alloc(&w, &x->memory, "two networks", err)))
		return rc;
	choose_walk(x, names);
	return 0;
}

void kith_against_free(kith_against *x)
{
	free(x->memory);
	*x = (kith_against){0};
}

/* ---- the result ---------------------------------------------------------------------------------------------- */

/* Lists and matrices of a k, in the order given. */
static void reorder_measures(const kith_against *x, const kith_nnts *from, kith_nnts *to)
{
	size_t L = x->layers;
	kith_entry in = {.layers = L, .nnts = from}, of = {.layers = L, .nnts = to};
	kith_values a, b;
	for (const kith_measure *m = kith_measures; m->name; m++) {
		if (m->source != KITH_FROM_NNTS || !kith_measure_get(m, &in, &a) || !kith_measure_get(m, &of, &b))
			continue;
		for (size_t i = 0; i < a.rows * a.columns; i++) {
			size_t row = a.rows == L ? x->walk[i / L] : 0, column = a.columns == L ? x->walk[i % L] : 0;
			b.ratios[row * a.columns + column] = a.ratios[i];
			if (a.errors)
				b.errors[row * a.columns + column] = a.errors[i];
		}
	}
	to->k = from->k;
}

/* The pairs of each two layers of one name, neighbours in the walk: those that both have do not end at the first. */
static void fill_match(const kith_against *x, const kith_nntp *p, kith_match *to)
{
	size_t L = x->layers;
	to->k = p->k;
	to->graph = p->graph;
	for (size_t i = 0; i < x->matched; i++) {
		size_t v = 2 * i;
		uint64_t kept = p->pairs[v];
		for (size_t a = 0; a <= v; a++)
			kept -= p->count[a * L + v];
		to->row[i] = x->walk[v];
		to->column[i] = x->walk[v + 1];
		to->kept[i] = kept;
		to->lost[i] = p->pairs[v] - kept;
		to->gained[i] = p->pairs[v + 1] - kept;
	}
}

int kith_against_stack(const kith_against *x, kith_stack *walked, kith_stack **out, kith_err *err)
{
	kith_stack *s = NULL;
	int rc = kith_stack_new(&s, walked->n, x->layers, walked->nnts_count, 0, err);
	if (!rc && walked->nnts[0].estimate)
		rc = kith_stack_add_estimates(s, err);
	if (!rc && walked->relabellings)
		rc = kith_stack_add_null(s, walked->relabellings, walked->null_seed, err);
	if (!rc)
		rc = kith_stack_add_matches(s, x->rows, x->matched ? walked->nntp_count : 0, x->matched, err);
	if (rc) {
		kith_stack_free(s);
		return rc;
	}
	for (size_t v = 0; v < x->layers; v++) {
		s->layers[x->walk[v]] = walked->layers[v];
		walked->layers[v] = (kith_layer){0};
	}
	for (size_t i = 0; i < s->nnts_count; i++)
		reorder_measures(x, &walked->nnts[i], &s->nnts[i]);
	for (size_t i = 0; i < s->match_count; i++)
		fill_match(x, &walked->nntp[i], &s->matches[i]);
	*out = s;
	return 0;
}
