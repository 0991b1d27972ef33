/* csv.c - every matrix and list as CSV: layer names in the first row and column, numbers in full. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report_parts.h"
#include "text.h"

/* What a file holds. */
typedef struct content {
	const kith_report_data *data;
	const kith_measure *measure;
	const kith_entry *entry;
	kith_values values;
	int errors; /* the errors in place of the values */
} content;

/* Of two networks, matrices have a row for each layer of the first and a column for each of the second. */
static void put_names(FILE *out, const kith_stack *s, size_t from)
{
	for (size_t v = from; v < s->layer_count; v++) {
		putc(',', out);
		kith_put_csv(out, s->layers[v].name);
	}
	putc('\n', out);
}

/* NaN, which is 0/0, leaves a field empty. */
static void put_number(FILE *out, const kith_values *v, int errors, size_t i)
{
	char text[KITH_DOUBLE_TEXT];
	double x = v->counts ? 0 : (errors ? v->errors : v->ratios)[i];
	putc(',', out);
	if (v->counts)
		fprintf(out, "%" PRIu64, v->counts[i]);
	else if (!isnan(x))
		fputs(kith_double_text(x, text), out);
}

static void put_matrix(FILE *out, const content *c)
{
	const kith_stack *s = c->data->stack;
	const kith_values *v = &c->values;
	fputs("layer", out);
	if (c->measure->shape != KITH_GAPS) {
		put_names(out, s, s->rows);
	} else {
		for (size_t g = 1; g <= v->columns; g++)
			fprintf(out, ",%zu", g);
		putc('\n', out);
	}
	for (size_t row = 0; row < (s->rows ? s->rows : v->rows); row++) {
		kith_put_csv(out, s->layers[row].name);
		for (size_t i = s->rows; i < v->columns; i++)
			put_number(out, v, c->errors, row * v->columns + i);
		putc('\n', out);
	}
}

/* Gets a measure that does not depend on alpha once for each k and graph, from the first of its tables. */
static int get_once(const content *c, size_t i, kith_values *out)
{
	const kith_entry *e = &c->data->entries[i];
	int again = i && e->nntp && e[-1].nntp && e->nntp->k == e[-1].nntp->k && e->nntp->graph == e[-1].nntp->graph;
	return !again && kith_measure_get(c->measure, e, out);
}

static int is_anywhere(const content *c)
{
	kith_values v;
	for (size_t i = 0; i < c->data->entry_count; i++)
		if (get_once(c, i, &v))
			return 1;
	return 0;
}

/* A number or a list, with a line for each k, or each k and graph. */
static void put_lines(FILE *out, const content *c)
{
	kith_values v;
	fprintf(out,
		kith_measure_is_number(c->measure) ? "k,%s\n"
		: c->measure->per == KITH_PER_K    ? "k"
						   : "k,graph",
		c->measure->name);
	if (!kith_measure_is_number(c->measure))
		put_names(out, c->data->stack, 0);
	for (size_t i = 0; i < c->data->entry_count; i++) {
		const kith_entry *e = &c->data->entries[i];
		if (!get_once(c, i, &v))
			continue;
		fprintf(out, "%" PRIu32, e->nnts ? e->nnts->k : e->nntp->k);
		if (e->nntp)
			fprintf(out, ",%s", kith_graph_kind_name(e->nntp->graph));
		for (size_t x = 0; x < v.columns; x++)
			put_number(out, &v, 0, x);
		putc('\n', out);
	}
}

/* The pairs of samples in layers of one name of two networks. */
static void put_matches(FILE *out, const content *c)
{
	const kith_stack *s = c->data->stack;
	fputs("k,graph,layer,kept,lost,gained\n", out);
	for (const kith_match *m = s->matches; m < s->matches + s->match_count; m++)
		for (size_t i = 0; i < m->count; i++) {
			fprintf(out, "%" PRIu32 ",%s,", m->k, kith_graph_kind_name(m->graph));
			kith_put_csv(out, s->layers[m->row[i]].name);
			fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", m->kept[i], m->lost[i], m->gained[i]);
		}
}

/* All lists of one k and graph, a layer to a line. */
static void put_layers(FILE *out, const content *c)
{
	const kith_stack *s = c->data->stack;
	kith_column columns[KITH_MAX_COLUMNS];
	size_t count = kith_columns_of(c->entry, columns);
	fputs("layer", out);
	for (size_t x = 0; x < count; x++)
		fprintf(out, ",%s", columns[x].measure->name);
	putc('\n', out);
	for (size_t v = 0; v < s->layer_count; v++) {
		kith_put_csv(out, s->layers[v].name);
		for (size_t x = 0; x < count; x++)
			if (v < columns[x].values.columns)
				put_number(out, &columns[x].values, 0, v);
			else
				putc(',', out);
		putc('\n', out);
	}
}

static int write_csv(const char *directory, const char *stem, void (*put)(FILE *out, const content *c),
		     const content *c, kith_err *err)
{
	kith_outfile *file = NULL;
	int rc = kith_report_open(&file, directory, stem, "csv", err);
	if (!rc)
		put(kith_outfile_stream(file), c);
	return kith_outfile_close(file, rc, err);
}

/* Every matrix of an entry, and of means their standard errors. */
static int write_matrices(const kith_report_data *data, const kith_entry *e, const char *directory, kith_err *err)
{
	char stem[96];
	int rc = 0;
	for (const kith_measure *m = kith_measures; m->name && !rc; m++) {
		content c = {.data = data, .measure = m};
		if (m->per == KITH_PER_GRAPH && !e->dynamics) /* of one layer there are none */
			continue;
		if (!kith_measure_is_matrix(m) || !kith_measure_get(m, e, &c.values) || c.values.undefined)
			continue;
		kith_measure_stem(m, e, stem, sizeof stem);
		rc = write_csv(directory, stem, put_matrix, &c, err);
		if (!rc && (c.errors = kith_measure_has_errors(m)))
			rc = write_csv(directory, strcat(stem, "_stderr"), put_matrix, &c, err);
	}
	return rc;
}

int kith_report_csv(const kith_report_data *data, const char *directory, kith_err *err)
{
	char stem[96];
	int rc = kith_make_directory(directory, err);
	for (const kith_measure *m = kith_measures; m->name && !rc; m++) {
		content c = {.data = data, .measure = m};
		if ((kith_measure_is_number(m) || (kith_measure_is_list(m) && m->source != KITH_FROM_DYNAMICS)) &&
		    is_anywhere(&c))
			rc = write_csv(directory, m->name, put_lines, &c, err);
	}
	if (!rc && data->stack->match_count)
		rc = write_csv(directory, "matches", put_matches, &(content){.data = data}, err);
	for (size_t i = 0; i < data->entry_count && !rc; i++) {
		const kith_entry *e = &data->entries[i];
		rc = write_matrices(data, e, directory, err);
		if (rc || !e->dynamics)
			continue;
		kith_dynamics_stem("dynamics", e->dynamics, stem, sizeof stem);
		rc = write_csv(directory, stem, put_layers, &(content){.data = data, .entry = e}, err);
	}
	return rc;
}
