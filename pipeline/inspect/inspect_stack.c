/* inspect_stack.c - a stack as text: a row for each number, as R and pandas like it, or the file itself, which is JSON.
 */
#include <inttypes.h>

#include "filetype.h"
#include "infile.h"
#include "measures.h"
#include "text.h"
#include "unchanged.h"

/* The layers that value i is about. Returns 0 if there are none: below the diagonal, or beyond the last layer. */
static int find_layers(const kith_measure *m, const kith_values *v, size_t i, size_t layers, size_t *first,
		       size_t *last)
{
	*first = kith_measure_is_matrix(m) ? i / v->columns : i;
	*last = m->shape == KITH_GAPS       ? *first + i % v->columns + 2
		: m->shape == KITH_STEPS    ? i + 1
		: kith_measure_is_matrix(m) ? i % v->columns
					    : i;
	return i < v->rows * v->columns && *last < layers && (m->shape != KITH_TRIANGLE || *first <= *last);
}

static void put_value(const kith_stack *s, const kith_entry *e, const kith_measure *m, const kith_values *v, size_t i,
		      FILE *out)
{
	char value[KITH_DOUBLE_TEXT], error[KITH_DOUBLE_TEXT];
	size_t first, last;
	if (!find_layers(m, v, i, s->layer_count, &first, &last))
		return;
	if (s->rows && kith_measure_is_matrix(m) && (first >= s->rows || last < s->rows))
		return; /* names would be those of either network */
	fprintf(out, "%s\t%" PRIu32 "\t%s\t", m->name, e->nntp ? e->nntp->k : e->nnts->k,
		e->nntp ? kith_graph_kind_name(e->nntp->graph) : "-");
	fprintf(out, m->per == KITH_PER_ALPHA ? "%" PRIu32 "\t" : "-\t", e->nntp ? e->nntp->alpha : 0);
	fprintf(out, "%s\t%s\t", kith_measure_is_number(m) ? "-" : s->layers[first].name,
		kith_measure_is_number(m) ? "-" : s->layers[last].name);
	if (v->counts)
		fprintf(out, "%" PRIu64 "\t0\n", v->counts[i]);
	else
		fprintf(out, "%s\t%s\n", kith_double_text(v->ratios[i], value),
			kith_double_text(v->errors ? v->errors[i] : 0, error));
}

/* Do the values of two measures stand side by side, layer by layer? Those of one struct do, if they are alike. */
static int is_beside(const kith_measure *a, const kith_measure *b)
{
	return a->source == b->source && (a->shape == b->shape || (kith_measure_is_list(a) && kith_measure_is_list(b)));
}

/* What does not depend on alpha is shown once. */
static int get_values(const kith_measure *m, const kith_entry *e, kith_values *v)
{
	return (!e->nntp || !e->nntp->alpha || m->per == KITH_PER_ALPHA) && kith_measure_get(m, e, v);
}

static void put_entry(const kith_stack *s, const kith_entry *e, FILE *out)
{
	for (const kith_measure *m = kith_measures, *end; m->name; m = end) {
		size_t count = 0;
		kith_values v;
		for (end = m; end->name && is_beside(m, end); end++)
			if (get_values(end, e, &v) && v.rows * v.columns > count)
				count = v.rows * v.columns;
		for (size_t i = 0; i < count; i++)
			for (const kith_measure *x = m; x < end; x++)
				if (get_values(x, e, &v))
					put_value(s, e, x, &v, i, out);
	}
}

static int put_nnts(const kith_stack *s, size_t i, FILE *out, kith_err *err)
{
	kith_chance chance;
	int rc = kith_chance_make(&chance, s, i, err);
	if (rc)
		return rc;
	put_entry(s, &(kith_entry){.layers = s->layer_count, .nnts = &s->nnts[i], .chance = &chance}, out);
	kith_chance_free(&chance);
	return 0;
}

static int put_nntp(const kith_stack *s, size_t i, FILE *out, kith_err *err)
{
	kith_entry e = {.layers = s->layer_count, .nntp = &s->nntp[i]};
	kith_dynamics dynamics = {0};
	int rc = e.nntp->alpha ? 0 : kith_dynamics_make(&dynamics, s, i, err);
	if (rc)
		return rc;
	e.dynamics = e.nntp->alpha ? NULL : &dynamics;
	put_entry(s, &e, out);
	kith_dynamics_free(&dynamics);
	return 0;
}

static void put_matches(const kith_stack *s, FILE *out)
{
	static const char *const names[] = {"kept", "lost", "gained"};
	for (const kith_match *m = s->matches; m < s->matches + s->match_count; m++)
		for (size_t i = 0; i < m->count; i++) {
			const uint64_t counts[] = {m->kept[i], m->lost[i], m->gained[i]};
			for (int c = 0; c < 3; c++)
				fprintf(out, "%s\t%" PRIu32 "\t%s\t-\t%s\t%s\t%" PRIu64 "\t0\n", names[c], m->k,
					kith_graph_kind_name(m->graph), s->layers[m->row[i]].name,
					s->layers[m->column[i]].name, counts[c]);
		}
}

static int put_stack(const char *path, FILE *out, kith_err *err)
{
	kith_stack *s;
	int rc = kith_stack_read(&s, path, err);
	if (rc)
		return rc;
	fprintf(out, "# kith stack\n# n\t%" PRIu64 "\n# layers\t%zu\n", s->n, s->layer_count);
	if (s->rows)
		fprintf(out, "# of the first network\t%zu\n", s->rows);
	if (s->relabellings)
		fprintf(out, "# relabellings\t%" PRIu32 "\n", s->relabellings);
	if (s->groups)
		fprintf(out, "# groups of the jackknife\t%" PRIu32 "\n", s->groups);
	fputs("# measure\tk\tgraph\talpha\tfirst\tlast\tvalue\tstderr\n", out);
	for (size_t i = 0; i < s->nnts_count && !rc; i++)
		rc = put_nnts(s, i, out, err);
	for (size_t i = 0; i < s->nntp_count && !rc; i++)
		rc = put_nntp(s, i, out, err);
	if (!rc)
		put_matches(s, out);
	kith_stack_free(s);
	return rc;
}

/* The file itself, once it is known to be a stack. */
static int copy_file(const char *path, FILE *out, kith_err *err)
{
	char buffer[1 << 16];
	size_t got;
	kith_file_state state;
	FILE *file;
	int rc = kith_infile_stream(&file, path, NULL, err);
	if (rc)
		return rc;
	if (!(rc = kith_file_state_get(&state, fileno(file), path, err)) && !(rc = kith_stack_verify(path, err)))
		while ((got = fread(buffer, 1, sizeof buffer, file)))
			fwrite(buffer, 1, got, out);
	if (!rc)
		rc = kith_file_unchanged(&state, fileno(file), path, err);
	fclose(file);
	return rc;
}

static int show(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	return o->json ? copy_file(path, out, err) : put_stack(path, out, err);
}

static int check(const char *path, const kith_progress *progress, kith_err *err)
{
	(void)progress;
	return kith_stack_verify(path, err);
}

static int recognise(const char *path, const kith_file_ends *ends)
{
	(void)path;
	return ends->head[strspn((const char *)ends->head, " \t\r\n")] == '{';
}

const kith_filetype kith_stack_file = {recognise, show, .check = check};
