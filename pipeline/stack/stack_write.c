/* stack_write.c - stack.json written: one matrix row and one layer to a line, so that people and diff can read it too.
 */
#include <inttypes.h>
#include <math.h>

#include "json.h"
#include "measures.h"
#include "outfile.h"
#include "stack_format.h"

#define ENTRY_LINE  "\n    "
#define MEMBER_LINE "\n     " /* before a list or a matrix of an entry */
#define ROW_LINE    "\n       "

/* Refuses values that could not be read back. */
static int check_values(const kith_measure *m, const kith_values *v, kith_err *err)
{
	for (size_t i = 0; i < v->rows * v->columns; i++) {
		if (m->kind == KITH_COUNT && v->counts[i] > INT64_MAX) /* JSON readers have signed 64 bits */
			return kith_fail(err, KITH_EBUG, "count %" PRIu64 " is beyond 2^63", v->counts[i]);
		if (m->kind == KITH_MEAN && (!isfinite(v->ratios[i]) || !isfinite(v->errors[i])))
			return kith_fail(err, KITH_EBUG, "%s[%zu][%zu] is not a finite number",
					 isfinite(v->ratios[i]) ? "stderr" : "mean", i / v->columns, i % v->columns);
	}
	return 0;
}

/* Counts, or else doubles: a number, a list, or a matrix with a row to a line. */
static void put_values(kith_json *j, const kith_measure *m, const kith_values *v, const double *doubles)
{
	int is_matrix = kith_measure_is_matrix(m);
	if (is_matrix)
		kith_json_begin(j, '[');
	for (size_t a = 0; a < v->rows; a++) {
		if (is_matrix)
			kith_json_gap(j, ROW_LINE);
		if (!kith_measure_is_number(m))
			kith_json_begin(j, '[');
		for (size_t i = a * v->columns; i < (a + 1) * v->columns; i++)
			if (doubles)
				kith_json_number(j, doubles[i]);
			else
				kith_json_count(j, v->counts[i]);
		if (!kith_measure_is_number(m))
			kith_json_end(j);
	}
	if (is_matrix)
		kith_json_end(j);
}

/* As an object or, if the measure has no key, as members of the entry itself. */
static void put_mean(kith_json *j, const kith_measure *m, const kith_values *v)
{
	if (m->key)
		kith_json_begin(j, '{');
	kith_json_key(j, "mean");
	put_values(j, m, v, v->ratios);
	kith_json_gap(j, MEMBER_LINE);
	kith_json_key(j, "stderr");
	put_values(j, m, v, v->errors);
	if (m->key)
		kith_json_end(j);
}

static int put_measure(kith_json *j, const kith_measure *m, const kith_entry *e, kith_err *err)
{
	kith_values v;
	int rc;
	if (!kith_measure_get(m, e, &v))
		return 0;
	if ((rc = check_values(m, &v, err)))
		return rc;
	if (!kith_measure_is_number(m))
		kith_json_gap(j, MEMBER_LINE);
	if (m->key)
		kith_json_key(j, m->key);
	if (v.undefined)
		kith_json_null(j);
	else if (kith_measure_has_errors(m))
		put_mean(j, m, &v);
	else
		put_values(j, m, &v, v.ratios);
	return 0;
}

/* Writes every measure that the entry has; numbers stand on its first line. */
static int put_entry(kith_json *j, const kith_entry *e, kith_err *err)
{
	const kith_nntp *table = kith_entry_table(e);
	int rc = 0;
	kith_json_gap(j, ENTRY_LINE);
	kith_json_begin(j, '{');
	kith_json_put_count(j, "k", table ? table->k : e->nnts->k);
	if (table) {
		kith_json_put_string(j, "graph", kith_graph_kind_name(table->graph));
	}
	if (e->nntp) {
		kith_json_put_count(j, "alpha", e->nntp->alpha);
	}
	for (int lists = 0; lists < 2; lists++)
		for (const kith_measure *m = kith_measures; m->name && !rc; m++)
			if (kith_measure_is_number(m) != lists)
				rc = put_measure(j, m, e, err);
	kith_json_end(j);
	return rc;
}

/* ---- lists of entries ---------------------------------------------------------------------------------------- */

/* One of a layer's counts of ties, for each k. */
static void put_tied(kith_json *j, const char *name, const uint64_t *counts, size_t k)
{
	kith_json_open(j, name, '[');
	for (size_t i = 0; i < k; i++)
		kith_json_count(j, counts[i]);
	kith_json_end(j);
}

static int put_layer(kith_json *j, const kith_stack *s, size_t v, kith_err *err)
{
	const kith_layer *layer = &s->layers[v];
	if (layer->recall < 0 || layer->recall > 1)
		return kith_fail(err, KITH_EBUG, "recall %g of layer %s is outside 0..1", layer->recall,
				 layer->name ? layer->name : "");
	kith_json_gap(j, ENTRY_LINE);
	kith_json_begin(j, '{');
	kith_json_put_string(j, "name", layer->name);
	kith_json_put_known(j, "dim", layer->dim);
	kith_json_put_string(j, "metric", layer->metric);
	kith_json_put_string(j, "ties", kith_ties_name(layer->ties));
	if (layer->tied.counted) {
		put_tied(j, "tied_rows", layer->tied.rows, s->nnts_count);
		put_tied(j, "tied_most", layer->tied.most, s->nnts_count);
		if (layer->tied.zero)
			kith_json_put_count(j, "zero_rows", layer->tied.zero);
	}
	kith_json_put_string(j, "engine", layer->engine);
	kith_json_put_number(j, "recall", layer->recall);
	if (layer->audited)
		kith_json_put_count(j, "audited", layer->audited);
	kith_json_put_string(j, "digest", layer->digest);
	kith_json_put_string(j, "input", layer->input);
	kith_json_put_string(j, "command", layer->command);
	kith_json_end(j);
	return 0;
}

static int put_nnts(kith_json *j, const kith_stack *s, size_t i, kith_err *err)
{
	kith_chance chance;
	int rc = kith_chance_make(&chance, s, i, err);
	if (rc)
		return rc;
	rc = put_entry(j, &(kith_entry){.layers = s->layer_count, .nnts = &s->nnts[i], .chance = &chance}, err);
	kith_chance_free(&chance);
	return rc;
}

static int put_nntp(kith_json *j, const kith_stack *s, size_t i, kith_err *err)
{
	return put_entry(j, &(kith_entry){.layers = s->layer_count, .nntp = &s->nntp[i]}, err);
}

/* For each k and graph, one at a time: together they are as large as the stack. */
static int put_dynamics(kith_json *j, const kith_stack *s, size_t i, kith_err *err)
{
	kith_dynamics d;
	int rc;
	if (s->nntp[i].alpha)
		return 0;
	if ((rc = kith_dynamics_make(&d, s, i, err)))
		return rc;
	rc = put_entry(j, &(kith_entry){.layers = s->layer_count, .dynamics = &d}, err);
	kith_dynamics_free(&d);
	return rc;
}

static void put_drawn(kith_json *j, const char *name, const char *of, uint64_t count, uint64_t seed)
{
	kith_json_gap(j, "\n  ");
	kith_json_open(j, name, '{');
	kith_json_put_count(j, of, count);
	kith_json_put_count(j, "seed", seed);
	kith_json_end(j);
}

static void put_counts(kith_json *j, const char *name, const uint64_t *counts, size_t count)
{
	kith_json_gap(j, MEMBER_LINE);
	kith_json_open(j, name, '[');
	for (size_t i = 0; i < count; i++)
		kith_json_count(j, counts[i]);
	kith_json_end(j);
}

static int put_match(kith_json *j, const kith_stack *s, size_t i, kith_err *err)
{
	const kith_match *m = &s->matches[i];
	(void)err;
	kith_json_gap(j, ENTRY_LINE);
	kith_json_begin(j, '{');
	kith_json_put_count(j, "k", m->k);
	kith_json_put_string(j, "graph", kith_graph_kind_name(m->graph));
	kith_json_gap(j, MEMBER_LINE);
	kith_json_open(j, "layers", '[');
	for (size_t x = 0; x < m->count; x++) {
		kith_json_begin(j, '[');
		kith_json_count(j, m->row[x]);
		kith_json_count(j, m->column[x]);
		kith_json_end(j);
	}
	kith_json_end(j);
	put_counts(j, "kept", m->kept, m->count);
	put_counts(j, "lost", m->lost, m->count);
	put_counts(j, "gained", m->gained, m->count);
	kith_json_end(j);
	return 0;
}

static int put_stack(FILE *out, const kith_stack *s, kith_err *err)
{
	const struct {
		const char *key;
		size_t count;
		int (*put)(kith_json *j, const kith_stack *s, size_t i, kith_err *err);
	} lists[] = {{"layers", s->layer_count, put_layer},
		     {"nnts", s->nnts_count, put_nnts},
		     {"nntp", s->nntp_count, put_nntp},
		     {"dynamics", s->nntp_count, put_dynamics},
		     {"matches", s->match_count, put_match}};
	size_t list_count = sizeof lists / sizeof *lists - (s->rows ? 0 : 1);
	kith_json j = {.out = out};
	int rc = 0;
	kith_json_begin(&j, '{');
	kith_json_gap(&j, " ");
	kith_json_put_string(&j, "format", STACK_FORMAT);
	kith_json_put_count(&j, "version", s->rows ? STACK_VERSION_TWO : STACK_VERSION);
	kith_json_put_string(&j, "made_by", "kith-merge " KITH_VERSION);
	kith_json_put_count(&j, "n", s->n);
	if (s->rows)
		kith_json_put_count(&j, "rows", s->rows);
	if (s->relabellings)
		put_drawn(&j, "null", "relabellings", s->relabellings, s->null_seed);
	if (s->groups)
		put_drawn(&j, "jackknife", "groups", s->groups, s->groups_seed);
	for (size_t l = 0; l < list_count && !rc; l++) {
		kith_json_gap(&j, "\n  ");
		kith_json_open(&j, lists[l].key, '[');
		for (size_t i = 0; i < lists[l].count && !rc; i++)
			rc = lists[l].put(&j, s, i, err);
		kith_json_gap(&j, "\n  ");
		kith_json_end(&j);
	}
	kith_json_gap(&j, "\n");
	kith_json_end(&j);
	putc('\n', out);
	return rc;
}

int kith_stack_write(const kith_stack *stack, const char *path, kith_err *err)
{
	kith_outfile *file = NULL;
	int rc = kith_outfile_open(&file, path, err);
	if (!rc)
		rc = put_stack(kith_outfile_stream(file), stack, err);
	return kith_outfile_close(file, rc, err);
}
