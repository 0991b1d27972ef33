/* measures.c - see measures.h */
#include "measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

/* Source and offsets of a measure. */
#define NNTS(values)     KITH_FROM_NNTS, offsetof(kith_nnts, values)
#define CHANCE(values)   KITH_FROM_CHANCE, offsetof(kith_chance, values)
#define NNTP(values)     KITH_FROM_NNTP, offsetof(kith_nntp, values)
#define DYNAMICS(values) KITH_FROM_DYNAMICS, offsetof(kith_dynamics, values)
#define TESTED           .may_lack = 1, .extent = KITH_TESTED_STACKS
#define JACKKNIFED       .may_lack = 1, .extent = KITH_JACKKNIFED_STACKS
#define ERRORS(values)   .errors = offsetof(kith_nnts, values)

/* clang-format off */
const kith_measure kith_measures[] = {
	{"nnts", NULL, KITH_SQUARE, KITH_MEAN, KITH_PER_K, NNTS(mean), ERRORS(std_err), .title = "NNTS"},
	{"expected", "expected", KITH_SCALAR, KITH_RATIO, KITH_PER_K, CHANCE(expected), .title = NULL},
	{"corrected", "corrected", KITH_SQUARE, KITH_RATIO, KITH_PER_K, CHANCE(corrected),
	 .errors = offsetof(kith_chance, corrected_err), .title = "NNTS corrected for chance"},
	{"overlap", "overlap", KITH_SQUARE, KITH_MEAN, KITH_PER_K, NNTS(overlap), ERRORS(overlap_err),
	 .title = "Overlap", .may_lack = 1},

	{"recall", "recall", KITH_LAYERS, KITH_RATIO, KITH_PER_K, NNTS(recall), .title = "recall", .may_lack = 1,
	 .extent = KITH_APPROXIMATE_STACKS},
	{"recall_low", "recall_low", KITH_LAYERS, KITH_RATIO, KITH_PER_K, NNTS(recall_low), .title = "from",
	 .may_lack = 1, .extent = KITH_APPROXIMATE_STACKS},
	{"recall_high", "recall_high", KITH_LAYERS, KITH_RATIO, KITH_PER_K, NNTS(recall_high), .title = "to",
	 .may_lack = 1, .extent = KITH_APPROXIMATE_STACKS},
	{"estimate", "estimate", KITH_SQUARE, KITH_ESTIMATE, KITH_PER_K, NNTS(estimate), ERRORS(estimate_err),
	 .title = "NNTS of the exact graphs, estimated from the audits, &#177; its standard error", .may_lack = 1,
	 .extent = KITH_APPROXIMATE_STACKS},

	{"calibrated", "calibrated", KITH_SQUARE, KITH_RATIO, KITH_PER_K, CHANCE(calibrated), TESTED,
	 .title = "NNTS calibrated by its threshold of 95&#8239;%: above 0 where p &#8804; 0.05"},
	{"null_mean", "null_mean", KITH_SQUARE, KITH_RATIO, KITH_PER_K, NNTS(null_mean), TESTED},
	{"null_sd", "null_sd", KITH_SQUARE, KITH_RATIO, KITH_PER_K, NNTS(null_sd), TESTED},
	{"null_q95", "null_q95", KITH_SQUARE, KITH_RATIO, KITH_PER_K, NNTS(null_q95), TESTED},
	{"null_q99", "null_q99", KITH_SQUARE, KITH_RATIO, KITH_PER_K, NNTS(null_q99), TESTED},
	{"null_p", "null_p", KITH_SQUARE, KITH_RATIO, KITH_PER_K, NNTS(null_p), TESTED, .title = "p of each pair alone"},
	{"null_family_p", "null_family_p", KITH_SQUARE, KITH_RATIO, KITH_PER_K, NNTS(null_family_p), TESTED,
	 .title = "p of each pair among all (family-wise)"},
	{"null_max_mean", "null_max_mean", KITH_NUMBER, KITH_RATIO, KITH_PER_K, NNTS(null_max_mean), TESTED},
	{"null_max_sd", "null_max_sd", KITH_NUMBER, KITH_RATIO, KITH_PER_K, NNTS(null_max_sd), TESTED},
	{"null_max_q95", "null_max_q95", KITH_NUMBER, KITH_RATIO, KITH_PER_K, NNTS(null_max_q95), TESTED},
	{"null_max_q99", "null_max_q99", KITH_NUMBER, KITH_RATIO, KITH_PER_K, NNTS(null_max_q99), TESTED},

	{"nntp", "count", KITH_TRIANGLE, KITH_COUNT, KITH_PER_ALPHA, NNTP(count), .unit = "runs", .title = "NNTP"},
	{"pairs", "pairs", KITH_LAYERS, KITH_COUNT, KITH_PER_GRAPH, NNTP(pairs), .unit = "pairs", .title = "present",
	 .sentence = "are present in the layer"},
	{"isolated", "isolated", KITH_LAYERS, KITH_COUNT, KITH_PER_GRAPH, NNTP(isolated), .unit = "samples",
	 .title = "isolated", .sentence = "isolated, the samples without a mutual neighbour", .may_lack = 1,
	 .mutual_only = 1},

	{"births", "births", KITH_LAYERS, KITH_COUNT, KITH_PER_GRAPH, DYNAMICS(births), .unit = "pairs", .title = "born",
	 .sentence = "are new there"},
	{"deaths", "deaths", KITH_LAYERS, KITH_COUNT, KITH_PER_GRAPH, DYNAMICS(deaths), .unit = "pairs", .title = "die",
	 .sentence = "are gone in the next", .open_ended = 1},
	{"survivors", "survivors", KITH_STEPS, KITH_COUNT, KITH_PER_GRAPH, DYNAMICS(survivors), .unit = "pairs",
	 .title = "stay", .sentence = "are in both"},
	{"removal", "removal", KITH_LAYERS, KITH_RATIO, KITH_PER_GRAPH, DYNAMICS(removal), .title = "removal score",
	 .sentence = "the removal score, the Jaccard index of the pairs present in the layer and in the one before"},
	{"survival", "survival", KITH_TRIANGLE, KITH_COUNT, KITH_PER_GRAPH, DYNAMICS(survival), .unit = "pairs"},
	{"share", "share", KITH_TRIANGLE, KITH_RATIO, KITH_PER_GRAPH, DYNAMICS(share),
	 .title = "Of the pairs born in the row&#8217;s layer, the share that dies in the column&#8217;s"},
	{"returns", "returns", KITH_GAPS, KITH_COUNT, KITH_PER_GRAPH, DYNAMICS(returns), .unit = "pairs",
	 .title = "Returns: of the pairs that die in a layer, the share that comes back after a gap of g layers"},

	{"births_stderr", "births_stderr", KITH_LAYERS, KITH_ERROR, KITH_PER_GRAPH, NNTP(births_stderr), JACKKNIFED,
	 .unit = "pairs", .title = "&#177; born", .sentence = "the standard error of births (jackknife over samples)"},
	{"deaths_stderr", "deaths_stderr", KITH_LAYERS, KITH_ERROR, KITH_PER_GRAPH, NNTP(deaths_stderr), JACKKNIFED,
	 .unit = "pairs", .title = "&#177; die", .sentence = "the standard error of deaths", .open_ended = 1},
	{"removal_stderr", "removal_stderr", KITH_LAYERS, KITH_ERROR, KITH_PER_GRAPH, NNTP(removal_stderr), JACKKNIFED,
	 .title = "&#177; removal score", .sentence = "the standard error of the removal score"},
	{"share_stderr", "share_stderr", KITH_TRIANGLE, KITH_ERROR, KITH_PER_GRAPH, NNTP(share_stderr), JACKKNIFED},
	{.name = NULL},
};
/* clang-format on */

int kith_measure_is_number(const kith_measure *m)
{
	return m->shape == KITH_SCALAR || m->shape == KITH_NUMBER;
}

int kith_measure_is_list(const kith_measure *m)
{
	return m->shape == KITH_LAYERS || m->shape == KITH_STEPS;
}

int kith_measure_is_matrix(const kith_measure *m)
{
	return m->shape >= KITH_SQUARE;
}

int kith_measure_has_errors(const kith_measure *m)
{
	return m->kind == KITH_MEAN || m->kind == KITH_ESTIMATE;
}

void kith_measure_size(const kith_measure *m, size_t layers, size_t gaps, size_t *rows, size_t *columns)
{
	*rows = kith_measure_is_matrix(m) ? layers : 1;
	*columns = kith_measure_is_number(m) ? 1
		   : m->shape == KITH_STEPS  ? layers - 1
		   : m->shape == KITH_GAPS   ? gaps
					     : layers;
}

/* ---- the pointers, of whatever type -------------------------------------------------------------------------- */

static void *get_pointer(const void *object, size_t offset)
{
	void *p;
	memcpy(&p, (const char *)object + offset, sizeof p);
	return p;
}

static void set_pointer(void *object, size_t offset, void *p)
{
	memcpy((char *)object + offset, &p, sizeof p);
}

void kith_measure_set(const kith_measure *m, void *object, int errors, void *values)
{
	set_pointer(object, errors ? m->errors : m->values, values);
}

int kith_measures_alloc(kith_source source, kith_extent extent, void *object, size_t layers, size_t gaps, kith_err *err)
{
	_Static_assert(sizeof(double) == sizeof(uint64_t), "counts and ratios take the same");
	for (const kith_measure *m = kith_measures; m->name; m++) {
		size_t rows, columns;
		if (m->source != source || m->shape == KITH_SCALAR || m->extent != extent)
			continue;
		kith_measure_size(m, layers, gaps, &rows, &columns);
		for (int errors = 0; errors <= (m->errors != 0); errors++) {
			void *values = kith_alloc_zero(rows * columns, sizeof(double));
			if (!values)
				return kith_fail_nomem(err, m->name, 1ull * rows * columns * sizeof(double));
			kith_measure_set(m, object, errors, values);
		}
	}
	return 0;
}

void kith_measures_free(kith_source source, void *object)
{
	for (const kith_measure *m = kith_measures; m->name; m++) {
		if (m->source != source || m->shape == KITH_SCALAR)
			continue;
		free(get_pointer(object, m->values));
		if (m->errors)
			free(get_pointer(object, m->errors));
	}
}

const kith_nntp *kith_entry_table(const kith_entry *e)
{
	return e->dynamics ? e->dynamics->runs : e->nntp;
}

/* Is nothing of a matrix known? */
static int is_undefined(const kith_values *v)
{
	for (size_t i = 0; i < v->rows * v->columns; i++)
		if (!isnan(v->ratios[i]))
			return 0;
	return 1;
}

int kith_measure_get(const kith_measure *m, const kith_entry *e, kith_values *out)
{
	const void *objects[] = {e->nnts, e->chance, e->nntp, e->dynamics}; /* by kith_source */
	const char *object = objects[m->source];
	kith_values v = {0};
	void *values;
	if (!object || (m->mutual_only && kith_entry_table(e)->graph != KITH_MUTUAL))
		return 0;
	values = m->shape == KITH_SCALAR ? (void *)(object + m->values) : get_pointer(object, m->values);
	kith_measure_size(m, e->layers, e->dynamics ? e->dynamics->gaps : 0, &v.rows, &v.columns);
	if (!values || (m->shape == KITH_GAPS && !v.columns))
		return 0;
	if (m->kind == KITH_COUNT) {
		v.counts = values;
	} else {
		v.ratios = values;
		v.errors = m->errors ? get_pointer(object, m->errors) : NULL;
		v.undefined = m->source == KITH_FROM_CHANCE && is_undefined(&v);
	}
	*out = v;
	return 1;
}
