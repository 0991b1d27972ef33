/* stack_write.c - stack.json written: by hand, one matrix row and one layer to a line, so that people and diff can read
 * it too. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "alloc.h"
#include "kith/dynamics.h"
#include "kith/stack.h"
#include "outfile.h"
#include "stack_format.h"
#include "text.h"

/* Texts of up to so many layers' numbers are made before they are written, by all threads, and those of a symmetric
 * matrix once: they take most of the time that writing takes. */
#define TEXTS_MADE 512u

typedef char number_text[KITH_DOUBLE_TEXT];

/* Whose text stands at (a, b): below the diagonal that of (b, a), unless they differ. */
static size_t text_of(const double *m, size_t L, size_t a, size_t b)
{
	return b < a && m[a * L + b] == m[b * L + a] ? b * L + a : a * L + b;
}

static void make_texts(const double *m, size_t L, double expected, number_text *texts)
{
#pragma omp parallel for schedule(dynamic, 8) if (L > 32)
	for (size_t a = 0; a < L; a++)
		for (size_t b = 0; b < L; b++)
			if (text_of(m, L, a, b) == a * L + b)
				kith_double_text(kith_nnts_corrected(m[a * L + b], expected), texts[a * L + b]);
}

/* A symmetric matrix, corrected for what chance gives (0: as it is). */
static int write_doubles(FILE *f, const char *name, const double *m, size_t L, double expected, kith_err *err)
{
	number_text *texts = L <= TEXTS_MADE ? kith_alloc(L * L, sizeof *texts) : NULL, one;
	for (size_t i = 0; i < L * L; i++)
		if (!isfinite(m[i])) {
			free(texts);
			return kith_fail(err, KITH_EBUG, "%s[%zu][%zu] is not a finite number", name, i / L, i % L);
		}
	if (texts)
		make_texts(m, L, expected, texts);
	fprintf(f, "\"%s\": [", name);
	for (size_t a = 0; a < L; a++) {
		fputs(a ? ",\n       [" : "\n       [", f);
		for (size_t b = 0; b < L; b++) {
			fputs(b ? ", " : "", f);
			fputs(texts ? texts[text_of(m, L, a, b)]
				    : kith_double_text(kith_nnts_corrected(m[a * L + b], expected), one),
			      f);
		}
		fputs("]", f);
	}
	fputs("]", f);
	free(texts);
	return 0;
}

static int write_counts(FILE *f, const uint64_t *c, size_t count, kith_err *err)
{
	fputs("[", f);
	for (size_t i = 0; i < count; i++) {
		if (c[i] > INT64_MAX) /* what JSON readers, ours among them, can take */
			return kith_fail(err, KITH_EBUG, "count %" PRIu64 " is beyond 2^63", c[i]);
		fprintf(f, i ? ", %" PRIu64 : "%" PRIu64, c[i]);
	}
	fputs("]", f);
	return 0;
}

/* One list to a line. */
static int write_rows(FILE *f, const char *name, const uint64_t *c, size_t rows, size_t columns, kith_err *err)
{
	int status = 0;
	fprintf(f, ",\n     \"%s\": [", name);
	for (size_t a = 0; a < rows && !status; a++) {
		fputs(a ? ",\n       " : "\n       ", f);
		status = write_counts(f, c + a * columns, columns, err);
	}
	fputs("]", f);
	return status;
}

/* What is undefined, 0/0, is null. */
static void write_ratios(FILE *f, const double *r, size_t count)
{
	char text[KITH_DOUBLE_TEXT];
	for (size_t i = 0; i < count; i++)
		fprintf(f, i ? ", %s" : "[%s", isnan(r[i]) ? "null" : kith_double_text(r[i], text));
	fputs("]", f);
}

static void write_text(FILE *f, const char *name, const char *text)
{
	fprintf(f, ", \"%s\": ", name);
	kith_put_json(f, text);
}

static int write_layer(FILE *f, const kith_layer *layer, kith_err *err)
{
	char text[KITH_DOUBLE_TEXT];
	if (!(layer->recall > 0 && layer->recall <= 1))
		return kith_fail(err, KITH_EBUG, "recall %g of layer %s is outside 0..1", layer->recall,
				 layer->name ? layer->name : "");
	fputs("{\"name\": ", f);
	kith_put_json(f, layer->name);
	fprintf(f, ", \"dim\": %" PRIu64, layer->dim);
	write_text(f, "metric", layer->metric);
	write_text(f, "engine", layer->engine);
	fprintf(f, ", \"recall\": %s", kith_double_text(layer->recall, text));
	write_text(f, "digest", layer->digest);
	write_text(f, "input", layer->input);
	write_text(f, "command", layer->command);
	fputs("}", f);
	return 0;
}

static int write_nnts(FILE *f, const kith_nnts *t, uint64_t n, size_t L, kith_err *err)
{
	double expected = kith_nnts_expected(n, t->k);
	char text[KITH_DOUBLE_TEXT];
	int status;
	fprintf(f, "{\"k\": %" PRIu32 ", \"expected\": %s,\n     ", t->k, kith_double_text(expected, text));
	if ((status = write_doubles(f, "mean", t->mean, L, 0, err)))
		return status;
	fputs(",\n     ", f);
	if ((status = write_doubles(f, "stderr", t->std_err, L, 0, err)))
		return status;
	fputs(",\n     ", f);
	if (expected == 1)
		fputs("\"corrected\": null", f);
	else if ((status = write_doubles(f, "corrected", t->mean, L, expected, err)))
		return status;
	if (t->overlap) {
		fputs(",\n     \"overlap\": {", f);
		if ((status = write_doubles(f, "mean", t->overlap, L, 0, err)))
			return status;
		fputs(",\n     ", f);
		status = write_doubles(f, "stderr", t->overlap_err, L, 0, err);
		fputs("}", f);
	}
	fputs("}", f);
	return status;
}

static int write_nntp(FILE *f, const kith_nntp *p, size_t L, kith_err *err)
{
	int status;
	fprintf(f, "{\"k\": %" PRIu32 ", \"graph\": \"%s\", \"alpha\": %" PRIu32, p->k, stack_graph_names[p->graph],
		p->alpha);
	status = write_rows(f, "count", p->count, L, L, err);
	fputs(",\n     \"pairs\": ", f);
	if (!status)
		status = write_counts(f, p->pairs, L, err);
	fputs("}", f);
	return status;
}

static int write_dynamics(FILE *f, const kith_dynamics *d, kith_err *err)
{
	size_t L = d->layers;
	int status;
	fprintf(f, "{\"k\": %" PRIu32 ", \"graph\": \"%s\",\n     \"births\": ", d->runs->k,
		stack_graph_names[d->runs->graph]);
	if ((status = write_counts(f, d->births, L, err)))
		return status;
	fputs(",\n     \"deaths\": ", f);
	if ((status = write_counts(f, d->deaths, L, err)))
		return status;
	fputs(",\n     \"survivors\": ", f);
	if ((status = write_counts(f, d->survivors, L - 1, err)))
		return status;
	fputs(",\n     \"removal\": ", f);
	write_ratios(f, d->removal, L);
	if ((status = write_rows(f, "survival", d->survival, L, L, err)))
		return status;
	fputs(",\n     \"share\": [", f);
	for (size_t a = 0; a < L; a++) {
		fputs(a ? ",\n       " : "\n       ", f);
		write_ratios(f, d->share + a * L, L);
	}
	fputs("]", f);
	if (d->gaps)
		status = write_rows(f, "returns", d->returns, L, d->gaps, err);
	fputs("}", f);
	return status;
}

/* For each k and graph, one at a time: together they are as large as the stack. */
static int write_all_dynamics(FILE *f, const kith_stack *s, kith_err *err)
{
	int status = 0, first = 1;
	for (size_t i = 0; i < s->nntp_count && !status; i++) {
		kith_dynamics d;
		if (s->nntp[i].alpha || (status = kith_dynamics_make(&d, s, i, err)))
			continue;
		fputs(first ? "\n    " : ",\n    ", f);
		first = 0;
		status = write_dynamics(f, &d, err);
		kith_dynamics_free(&d);
	}
	return status;
}

static int write_stack(FILE *f, const kith_stack *s, kith_err *err)
{
	int status = 0;
	fprintf(f,
		"{ \"format\": \"" STACK_FORMAT "\", \"version\": %d, \"made_by\": \"kith-merge " KITH_VERSION
		"\", \"n\": %" PRIu64 ",\n  \"layers\": [",
		STACK_VERSION, s->n);
	for (size_t v = 0; v < s->layer_count && !status; v++) {
		fputs(v ? ",\n    " : "\n    ", f);
		status = write_layer(f, &s->layers[v], err);
	}
	fputs("\n  ],\n  \"nnts\": [", f);
	for (size_t i = 0; i < s->nnts_count && !status; i++) {
		fputs(i ? ",\n    " : "\n    ", f);
		status = write_nnts(f, &s->nnts[i], s->n, s->layer_count, err);
	}
	fputs("\n  ],\n  \"nntp\": [", f);
	for (size_t i = 0; i < s->nntp_count && !status; i++) {
		fputs(i ? ",\n    " : "\n    ", f);
		status = write_nntp(f, &s->nntp[i], s->layer_count, err);
	}
	fputs("\n  ],\n  \"dynamics\": [", f);
	if (!status)
		status = write_all_dynamics(f, s, err);
	fputs("\n  ]\n}\n", f);
	return status;
}

int kith_stack_write(const kith_stack *stack, const char *path, kith_err *err)
{
	kith_outfile *file = NULL;
	int status = kith_outfile_open(&file, path, err);
	if (status)
		return status;
	status = write_stack(kith_outfile_stream(file), stack, err);
	if (status) {
		kith_outfile_abort(file);
		return status;
	}
	return kith_outfile_commit(file, err);
}
