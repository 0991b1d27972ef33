/* cells.c - numbers as the report prints them; see report_parts.h */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report_parts.h"

/* x / step, halves up, without the overflow that x + step / 2 could have */
static uint64_t rounded(uint64_t x, uint64_t step)
{
	return x / step + (x % step >= step - step / 2);
}

/* Each branch rounds the count itself, never a rounded value, and passes on what rounds up into the next one. */
static void thousands_text(uint64_t count, char *out, size_t size)
{
	uint64_t step = 1000, r;
	if (count == 0) {
		snprintf(out, size, "0");
	} else if (count < 5) {
		snprintf(out, size, "<0.01");
	} else if ((r = rounded(count, 10)) < 1000) {
		snprintf(out, size, "%" PRIu64 ".%02" PRIu64, r / 100, r % 100);
	} else if ((r = rounded(count, 100)) < 1000) {
		snprintf(out, size, "%" PRIu64 ".%" PRIu64, r / 10, r % 10);
	} else {
		while ((r = rounded(count, step)) >= 1000)
			step *= 10;
		snprintf(out, size, "%" PRIu64, r * (step / 1000));
	}
}

void kith_count_text(uint64_t count, uint64_t unit, char *out, size_t size)
{
	if (unit == 1000)
		thousands_text(count, out, size);
	else
		snprintf(out, size, "%" PRIu64, count);
}

double kith_count_shade(uint64_t count, uint64_t most)
{
	return most ? sqrt((double)count / (double)most) : 0;
}

uint64_t kith_nntp_largest(const kith_nntp *p, size_t layers)
{
	uint64_t most = 0;
	for (size_t i = 0; i < layers * layers; i++)
		most = p->count[i] > most ? p->count[i] : most;
	return most;
}

void kith_nnts_stem(const kith_nnts *t, char *out, size_t size)
{
	snprintf(out, size, "nnts_k%" PRIu32, t->k);
}

void kith_nntp_stem(const kith_nntp *p, char *out, size_t size)
{
	snprintf(out, size, "nntp_k%" PRIu32 "_%s_alpha%" PRIu32, p->k, kith_graph_kind_name(p->graph), p->alpha);
}

void kith_dynamics_stem(const char *what, const kith_dynamics *d, char *out, size_t size)
{
	snprintf(out, size, "%s_k%" PRIu32 "_%s", what, d->runs->k, kith_graph_kind_name(d->runs->graph));
}

void kith_measure_stem(const kith_measure *m, const kith_entry *e, char *out, size_t size)
{
	if (m->per == KITH_PER_ALPHA) {
		kith_nntp_stem(e->nntp, out, size);
	} else if (m->per == KITH_PER_GRAPH) {
		kith_dynamics_stem(m->name, e->dynamics, out, size);
	} else {
		kith_nnts_stem(e->nnts, out, size);
		if (m->key)
			snprintf(out + strlen(out), size - strlen(out), "_%s", m->name);
	}
}

size_t kith_best_match(const kith_stack *s, const kith_nnts *t, size_t row)
{
	const double *of = t->mean + row * s->layer_count;
	size_t best = s->rows;
	for (size_t b = s->rows; b < s->layer_count; b++)
		best = of[b] > of[best] ? b : best;
	return best;
}

uint64_t kith_unit_of(const kith_report_data *data, const kith_measure *m)
{
	return strcmp(m->unit, "samples") ? data->unit : 1;
}

size_t kith_columns_of(const kith_entry *e, kith_column out[KITH_MAX_COLUMNS])
{
	size_t count = 0;
	for (const kith_measure *m = kith_measures; m->name; m++)
		if (kith_measure_is_list(m) && kith_measure_get(m, e, &out[count].values)) {
			out[count++].measure = m;
			assert(count < KITH_MAX_COLUMNS);
		}
	return count;
}

int kith_column_shows(const kith_column *c, size_t layer)
{
	const kith_values *v = &c->values;
	return layer < v->columns && !(c->measure->open_ended && layer + 1 == v->columns) &&
	       (v->counts || !isnan(v->ratios[layer]));
}
