/* stack_read.c - stack.json read, and verified; the one file that knows the JSON library. */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "measures.h"
#include "stack_format.h"
#include "unchanged.h"

#define MAX_NNTP ((size_t)KITH_MAX_TIERS * STACK_GRAPH_KINDS * KITH_MAX_LAYERS)

/* Where we are, for messages: "stack.json: nnts[1].mean: row 3 has 11 numbers, 12 layers". */
typedef struct place {
	const char *path;
	char part[32]; /* "nnts[1]", or "" at the top */
	kith_err *err;
} place;

static place place_in(const place *top, const char *list, size_t index)
{
	place in = *top;
	snprintf(in.part, sizeof in.part, "%s[%zu]", list, index);
	return in;
}

static place place_in_member(const place *in, const char *member)
{
	place of = *in;
	snprintf(of.part + strlen(of.part), sizeof of.part - strlen(of.part), "%s%s", *of.part ? "." : "", member);
	return of;
}

__attribute__((format(printf, 3, 4))) static int broken(const place *at, const char *member, const char *format, ...)
{
	char what[256];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return kith_fail(at->err, KITH_ECORRUPT, "%s: %s%s%s: %s", at->path, at->part, *at->part ? "." : "", member,
			 what);
}

static int get_count(const place *at, const json_t *object, const char *member, uint64_t least, uint64_t most,
		     uint64_t *out)
{
	const json_t *value = json_object_get(object, member);
	json_int_t x = json_integer_value(value);
	if (!value)
		return broken(at, member, "missing");
	if (!json_is_integer(value))
		return broken(at, member, "not a whole number");
	if (x < 0 || (uint64_t)x < least || (uint64_t)x > most)
		return broken(at, member, "%lld is outside %" PRIu64 "..%" PRIu64, (long long)x, least, most);
	*out = (uint64_t)x;
	return 0;
}

/* Takes a copy into *out; an absent member is "" if it may be. */
static int get_string(const place *at, const json_t *object, const char *member, int may_lack, char **out)
{
	const json_t *value = json_object_get(object, member);
	if (!value && !may_lack)
		return broken(at, member, "missing");
	if (value && !json_is_string(value))
		return broken(at, member, "not a string");
	*out = strdup(value ? json_string_value(value) : "");
	return *out ? 0 : kith_fail_nomem(at->err, "a string", json_string_length(value) + 1);
}

/* ---- measures ------------------------------------------------------------------------------------------------- */

/* Checks a list of numbers, or of nulls, too: row `row` of a matrix or, if `row` is -1, a list of its own. */
static int check_row(const place *at, const char *member, long row, const json_t *list, size_t count, int nulls)
{
	char which[48] = "";
	if (row >= 0)
		snprintf(which, sizeof which, "row %ld ", row);
	if (!json_is_array(list))
		return broken(at, member, "%sis not a list", which);
	if (json_array_size(list) != count)
		return broken(at, member, "%shas %zu numbers, %zu layers", which, json_array_size(list), count);
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(list, i);
		if (!json_is_number(value) && !(nulls && json_is_null(value)))
			return broken(at, member, "%shas no number at column %zu", which, i);
	}
	return 0;
}

static int check_rows(const place *at, const char *member, const json_t *value, size_t rows)
{
	if (!json_is_array(value))
		return broken(at, member, "not a list of rows");
	if (json_array_size(value) != rows)
		return broken(at, member, "%zu rows, %zu layers", json_array_size(value), rows);
	return 0;
}

/* The least and greatest that a measure may be. */
static void get_range(const kith_measure *m, int errors, double *least, double *most)
{
	*least = m->kind == KITH_ESTIMATE && !errors ? -1 : 0;
	*most = m->kind == KITH_ESTIMATE ? 2 : m->kind == KITH_ERROR ? DBL_MAX : 1;
}

/* Null, where it may be, is NaN. */
static int get_row(const place *at, const kith_measure *m, const char *member, long row, const json_t *list,
		   size_t count, int errors, void *out)
{
	int nulls = m->kind == KITH_RATIO || m->kind == KITH_ERROR || m->kind == KITH_ESTIMATE;
	char part[48];
	double least, most;
	int rc = check_row(at, member, row, list, count, nulls);
	get_range(m, errors, &least, &most);
	snprintf(part, sizeof part, row >= 0 ? "%s[%ld]" : "%s", member, row);
	for (size_t i = 0; i < count && !rc; i++) {
		const json_t *value = json_array_get(list, i);
		double x = json_is_null(value) ? NAN : json_number_value(value);
		if (m->kind == KITH_COUNT && (!json_is_integer(value) || json_integer_value(value) < 0))
			rc = broken(at, part, "%.17g at column %zu is not a count", x, i);
		else if (m->kind == KITH_COUNT)
			((uint64_t *)out)[i] = (uint64_t)json_integer_value(value);
		else if ((x >= least && x <= most) || json_is_null(value))
			((double *)out)[i] = x;
		else if (row < 0)
			rc = broken(at, member, "%.17g at column %zu is outside %g..%g", x, i, least, most);
		else /* also a NaN, should a JSON reader ever let one in */
			rc = broken(at, member, "%.17g at row %ld, column %zu is outside %g..%g", x, row, i, least,
				    most);
	}
	return rc;
}

/* A number by itself. */
static int get_value(const place *at, const kith_measure *m, const char *member, const json_t *value, int errors,
		     double *out)
{
	double least, most, x = json_is_null(value) ? NAN : json_number_value(value);
	get_range(m, errors, &least, &most);
	if (x < least || x > most)
		return broken(at, member, "%.17g is outside %g..%g", x, least, most);
	*out = x;
	return 0;
}

/* Allocates a measure's values, or else their errors, and takes them from a member of the object; they belong to `out`,
 * a struct of the measure's source. A file cannot claim much with little: memory is touched row by row. */
static int get_values(const place *at, const kith_measure *m, const json_t *object, const char *member, size_t L,
		      int errors, void *out)
{
	const json_t *value = json_object_get(object, member);
	int is_matrix = kith_measure_is_matrix(m), rc = 0;
	size_t rows, columns;
	char *numbers;
	kith_measure_size(m, L, 0, &rows, &columns);
	if (!value)
		return broken(at, member, "missing");
	if (m->shape == KITH_NUMBER && !json_is_number(value) && !json_is_null(value))
		return broken(at, member, "not a number");
	if (is_matrix && (rc = check_rows(at, member, value, rows)))
		return rc;
	if (!(numbers = kith_alloc(rows * columns, sizeof(double))))
		return kith_fail_nomem(at->err, m->name, 1ull * rows * columns * sizeof(double));
	if (m->shape == KITH_NUMBER)
		rc = get_value(at, m, member, value, errors, (double *)(void *)numbers);
	for (size_t a = 0; m->shape != KITH_NUMBER && a < rows && !rc; a++)
		rc = get_row(at, m, member, is_matrix ? (long)a : -1, is_matrix ? json_array_get(value, a) : value,
			     columns, errors, numbers + a * columns * sizeof(double));
	if (rc)
		free(numbers);
	else
		kith_measure_set(m, out, errors, numbers);
	return rc;
}

static int get_mean(const place *at, const kith_measure *m, const json_t *object, size_t L, void *out)
{
	int rc = get_values(at, m, object, "mean", L, 0, out);
	return rc ? rc : get_values(at, m, object, "stderr", L, 1, out);
}

/* Takes every measure of a source from an entry into `out`, a struct of that source. */
static int get_measures(const place *at, const json_t *entry, kith_source source, size_t L, void *out)
{
	int rc = 0;
	for (const kith_measure *m = kith_measures; m->name && !rc; m++) {
		const json_t *value = m->key ? json_object_get(entry, m->key) : entry;
		if (m->source != source || (m->may_lack && !value))
			continue;
		if (!kith_measure_has_errors(m)) {
			rc = get_values(at, m, entry, m->key, L, 0, out);
		} else {
			place inside = m->key ? place_in_member(at, m->key) : *at;
			rc = get_mean(&inside, m, value, L, out);
		}
	}
	return rc;
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

/* One of a layer's counts of ties: as many as there are k. */
static int get_tied(const place *at, const json_t *object, const char *member, size_t k, uint64_t most, uint64_t *out)
{
	const json_t *list = json_object_get(object, member);
	if (!json_is_array(list) || json_array_size(list) != k || k > KITH_MAX_TIERS)
		return broken(at, member, "not a list of a number for each k");
	for (size_t i = 0; i < k; i++) {
		const json_t *value = json_array_get(list, i);
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    (uint64_t)json_integer_value(value) > most)
			return broken(at, member, "number %zu is not one from 0 to %" PRIu64, i, most);
		out[i] = (uint64_t)json_integer_value(value);
	}
	return 0;
}

/* Older files have no tie rule: it was by index, and nobody counted. */
static int get_ties(const place *at, const json_t *object, const kith_stack *s, kith_layer *out)
{
	const json_t *ties = json_object_get(object, "ties");
	const char *text = ties ? json_string_value(ties) : kith_ties_name(KITH_TIES_INDEX);
	int rc = 0;
	out->ties = KITH_TIES_INDEX;
	if (text && !strcmp(text, kith_ties_name(KITH_TIES_CONTENT)))
		out->ties = KITH_TIES_CONTENT;
	else if (!text || strcmp(text, kith_ties_name(KITH_TIES_INDEX)))
		return broken(at, "ties", "neither \"index\" nor \"content\"");
	if (!json_object_get(object, "tied_rows"))
		return 0;
	out->tied.counted = 1;
	if (!(rc = get_tied(at, object, "tied_rows", s->nnts_count, s->n, out->tied.rows)))
		rc = get_tied(at, object, "tied_most", s->nnts_count, s->n - 1, out->tied.most);
	if (!rc && json_object_get(object, "zero_rows"))
		rc = get_count(at, object, "zero_rows", 0, s->n, &out->tied.zero);
	return rc;
}

/* What may be null, not known: of neighbours from elsewhere. */
static int get_known(const place *at, const json_t *object, kith_layer *out)
{
	const json_t *recall = json_object_get(object, "recall");
	out->dim = 0;
	out->recall = json_is_null(recall) ? NAN : json_number_value(recall);
	if (!json_is_number(recall) && !json_is_null(recall))
		return broken(at, "recall", recall ? "not a number" : "missing");
	if (out->recall < 0 || out->recall > 1)
		return broken(at, "recall", "%.17g is outside 0..1", out->recall);
	return json_is_null(json_object_get(object, "dim"))
		       ? 0
		       : get_count(at, object, "dim", 1, KITH_MAX_VALUES, &out->dim);
}

static int get_layer(const place *at, const json_t *object, kith_stack *s, size_t v)
{
	kith_layer *out = &s->layers[v];
	const struct {
		const char *member;
		int may_lack;
		char **text;
	} texts[] = {{"name", 0, &out->name},     {"metric", 0, &out->metric}, {"engine", 0, &out->engine},
		     {"digest", 0, &out->digest}, {"input", 1, &out->input},   {"command", 1, &out->command}};
	uint64_t audited = 0;
	int rc = get_known(at, object, out);
	if (!rc && json_object_get(object, "audited"))
		rc = get_count(at, object, "audited", 0, s->n, &audited);
	if (!rc)
		rc = get_ties(at, object, s, out);
	out->audited = (uint32_t)audited;
	for (size_t i = 0; i < sizeof texts / sizeof *texts && !rc; i++)
		rc = get_string(at, object, texts[i].member, texts[i].may_lack, texts[i].text);
	return rc;
}

static int get_nnts(const place *at, const json_t *object, kith_stack *s, size_t i)
{
	kith_nnts *out = &s->nnts[i];
	uint64_t k = 0;
	int rc = get_count(at, object, "k", 1, s->n - 1, &k);
	if (rc)
		return rc;
	if (i && k <= out[-1].k)
		return broken(at, "k", "%" PRIu64 " does not ascend", k);
	out->k = (uint32_t)k;
	return get_measures(at, object, KITH_FROM_NNTS, s->layer_count, out);
}

static int get_graph(const place *at, const json_t *object, kith_graph_kind *out)
{
	const char *text = json_string_value(json_object_get(object, "graph"));
	for (int g = 0; text && g < STACK_GRAPH_KINDS; g++)
		if (!strcmp(text, kith_graph_kind_name((kith_graph_kind)g))) {
			*out = (kith_graph_kind)g;
			return 0;
		}
	return broken(at, "graph", "neither \"union\" nor \"mutual\"");
}

static int nntp_order(const kith_nntp *x, const kith_nntp *y)
{
	if (x->k != y->k)
		return x->k < y->k ? -1 : 1;
	if (x->graph != y->graph)
		return x->graph < y->graph ? -1 : 1;
	return x->alpha < y->alpha ? -1 : x->alpha > y->alpha;
}

static int get_nntp(const place *at, const json_t *object, kith_stack *s, size_t i)
{
	kith_nntp *out = &s->nntp[i];
	uint64_t k, alpha;
	int rc = get_count(at, object, "k", 1, s->n - 1, &k);
	if (!rc)
		rc = get_graph(at, object, &out->graph);
	if (!rc)
		rc = get_count(at, object, "alpha", 0, KITH_MAX_LAYERS, &alpha);
	if (rc)
		return rc;
	out->k = (uint32_t)k;
	out->alpha = (uint32_t)alpha;
	if (i && nntp_order(out - 1, out) >= 0)
		return broken(at, "k", "out of order: entries ascend by k, then graph, then alpha");
	return get_measures(at, object, KITH_FROM_NNTP, s->layer_count, out);
}

static int get_list(const place *top, const json_t *root, const char *member, size_t least, size_t most,
		    const json_t **out)
{
	const json_t *list = json_object_get(root, member);
	if (!list)
		return broken(top, member, "missing");
	if (!json_is_array(list))
		return broken(top, member, "not a list");
	if (json_array_size(list) < least || json_array_size(list) > most)
		return broken(top, member, "%zu entries; there must be %zu..%zu", json_array_size(list), least, most);
	*out = list;
	return 0;
}

static int check_format(const char *path, const json_t *root, kith_err *err)
{
	const char *format = json_string_value(json_object_get(root, "format"));
	const json_t *version = json_object_get(root, "version");
	if (!format || strcmp(format, STACK_FORMAT))
		return kith_fail(err, KITH_EUSAGE, "%s: not a kith stack (no \"format\": \"" STACK_FORMAT "\")", path);
	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return kith_fail(err, KITH_EUSAGE, "%s: not a kith stack (no version)", path);
	if (json_integer_value(version) > STACK_VERSION_TWO)
		return kith_fail(err, KITH_EUSAGE, "%s: version %lld; this kith reads version %d: use a newer one",
				 path, (long long)json_integer_value(version), STACK_VERSION_TWO);
	return 0;
}

/* The pairs of layers of a match, and one of its three lists of counts. */
static int get_match_layers(const place *at, const json_t *list, const kith_stack *s, kith_match *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const json_t *two = json_array_get(list, i), *row = json_array_get(two, 0),
			     *column = json_array_get(two, 1);
		json_int_t a = json_integer_value(row), b = json_integer_value(column);
		if (!json_is_integer(row) || !json_is_integer(column) || a < 0 || (size_t)a >= s->rows ||
		    (size_t)b < s->rows || (size_t)b >= s->layer_count)
			return broken(at, "layers", "entry %zu is not a layer of each network", i);
		m->row[i] = (uint32_t)a;
		m->column[i] = (uint32_t)b;
	}
	return 0;
}

static int get_match_counts(const place *at, const json_t *object, const char *member, size_t count, uint64_t *out)
{
	const json_t *list = json_object_get(object, member);
	if (!json_is_array(list) || json_array_size(list) != count)
		return broken(at, member, "not a list of %zu", count);
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(list, i);
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return broken(at, member, "entry %zu is not a count", i);
		out[i] = (uint64_t)json_integer_value(value);
	}
	return 0;
}

static int get_match(const place *at, const json_t *object, const kith_stack *s, kith_match *m)
{
	uint64_t k;
	int rc = get_count(at, object, "k", 1, s->n - 1, &k);
	if (!rc)
		rc = get_graph(at, object, &m->graph);
	if (rc)
		return rc;
	m->k = (uint32_t)k;
	if (json_array_size(json_object_get(object, "layers")) != m->count)
		return broken(at, "layers", "not a list of %zu", m->count);
	if ((rc = get_match_layers(at, json_object_get(object, "layers"), s, m)) ||
	    (rc = get_match_counts(at, object, "kept", m->count, m->kept)) ||
	    (rc = get_match_counts(at, object, "lost", m->count, m->lost)))
		return rc;
	return get_match_counts(at, object, "gained", m->count, m->gained);
}

static int get_matches(const place *top, const json_t *root, kith_stack *s, uint64_t rows)
{
	const json_t *list = NULL;
	size_t layers;
	int rc = get_list(top, root, "matches", 0, (size_t)KITH_MAX_TIERS * STACK_GRAPH_KINDS, &list);
	if (!rc && rows >= s->layer_count)
		rc = broken(top, "rows", "%" PRIu64 " of %zu layers", rows, s->layer_count);
	if (rc)
		return rc;
	layers = json_array_size(json_object_get(json_array_get(list, 0), "layers"));
	rc = kith_stack_add_matches(s, rows, json_array_size(list), layers < rows ? layers : rows, top->err);
	for (size_t i = 0; i < s->match_count && !rc; i++) {
		place at = place_in(top, "matches", i);
		rc = get_match(&at, json_array_get(list, i), s, &s->matches[i]);
	}
	return rc;
}

/* The member `name`, {"`of`": ..., "seed": ...}, if it is there. */
static int get_drawn(const place *top, const json_t *root, const char *name, const char *of, uint32_t *count,
		     uint64_t *seed)
{
	const json_t *object = json_object_get(root, name);
	place at = place_in_member(top, name);
	uint64_t drawn = 0;
	int rc = object ? get_count(&at, object, of, 1, UINT32_MAX, &drawn) : 0;
	*count = (uint32_t)drawn;
	return rc || !object ? rc : get_count(&at, object, "seed", 0, INT64_MAX, seed);
}

static int get_stack(const place *top, const json_t *root, kith_stack **out)
{
	static const struct {
		const char *name;
		size_t most;
		int (*get)(const place *at, const json_t *object, kith_stack *s, size_t i);
	} lists[] = {{"layers", KITH_MAX_LAYERS, get_layer},
		     {"nnts", KITH_MAX_TIERS, get_nnts},
		     {"nntp", MAX_NNTP, get_nntp}};
	const json_t *list[3] = {NULL};
	kith_stack *s = NULL;
	kith_err why;
	uint64_t n;
	int rc = get_count(top, root, "n", 2, KITH_MAX_NODES, &n);
	uint64_t rows = 0;
	if (!rc && json_object_get(root, "rows"))
		rc = get_count(top, root, "rows", 1, KITH_MAX_LAYERS - 1, &rows);
	for (size_t l = 0; l < 3 && !rc; l++)
		rc = get_list(top, root, lists[l].name, l < 2 || !rows, l < 2 || !rows ? lists[l].most : 0, &list[l]);
	if (!rc)
		rc = stack_new_empty(&s, n, json_array_size(list[0]), json_array_size(list[1]),
				     json_array_size(list[2]), top->err);
	if (!rc)
		rc = get_drawn(top, root, "null", "relabellings", &s->relabellings, &s->null_seed);
	if (!rc)
		rc = get_drawn(top, root, "jackknife", "groups", &s->groups, &s->groups_seed);
	for (size_t l = 0; l < 3; l++)
		for (size_t i = 0; i < json_array_size(list[l]) && !rc; i++) {
			place at = place_in(top, lists[l].name, i);
			rc = lists[l].get(&at, json_array_get(list[l], i), s, i);
		}
	if (!rc && rows)
		rc = get_matches(top, root, s, rows);
	if (!rc && kith_stack_check(s, &why))
		rc = kith_fail(top->err, KITH_ECORRUPT, "%s: %s", top->path, why.msg);
	if (rc)
		kith_stack_free(s);
	else
		*out = s;
	return rc;
}

/* The reader's message quotes the file, which may hold anything: keep it to one printable line. */
static int not_json(const char *path, const json_error_t *why, kith_err *err)
{
	char text[JSON_ERROR_TEXT_LENGTH];
	if (json_error_code(why) == json_error_out_of_memory)
		return kith_fail(err, KITH_ENOMEM, "%s: not enough memory to read it", path);
	snprintf(text, sizeof text, "%s", why->text);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return kith_fail(err, KITH_EUSAGE, "%s: line %d, column %d: not JSON: %s", path, why->line, why->column, text);
}

/* Recognises other kith files that are given by mistake, but not in a pipe, which cannot be read twice. */
static int is_other(FILE *f, const char *path, kith_err *err)
{
	char head[24] = {0};
	size_t got = fseek(f, 0, SEEK_SET) ? 0 : fread(head, 1, sizeof head, f);
	if (got >= 6 && !memcmp(head, "\x93NUMPY", 6))
		return kith_fail(err, KITH_EUSAGE, "%s: is a .npy array, not a stack.json (kith-merge makes them)",
				 path);
	if (got >= 20 && !memcmp(head + 16, "\xde\xc0\xef\xbe", 4)) /* LMDB's magic number */
		return kith_fail(err, KITH_EUSAGE,
				 "%s: is a graph or a pair store, not a stack.json (kith-merge makes them)", path);
	return 0;
}

static int load(json_t **out, const char *path, kith_err *err)
{
	json_error_t why;
	kith_err changed;
	kith_file_state state;
	struct stat st;
	FILE *f = fopen(path, "re");
	int rc = 0;
	if (!f)
		return kith_fail_errno(err, "%s: cannot open", path);
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		rc = kith_fail(err, KITH_EUSAGE, "%s: is a directory, not a stack.json", path);
		goto done;
	}
	if ((rc = kith_file_state_get(&state, fileno(f), path, err)))
		goto done;
	errno = 0;
	*out = json_loadf(f, JSON_REJECT_DUPLICATES, &why);
	if (!*out && ferror(f))
		rc = kith_fail_errno(err, "%s: cannot read", path);
	else if (!*out && !(rc = is_other(f, path, err)))
		rc = not_json(path, &why, err);
	if (kith_file_unchanged(&state, fileno(f), path, &changed)) { /* whatever was read */
		json_decref(*out);
		*out = NULL;
		if (err)
			*err = changed;
		rc = changed.code;
	}
done:
	fclose(f);
	return rc;
}

/* ---- what follows from other numbers -------------------------------------------------------------------------- */

/* Whether there are values, and all of them NaN. */
static int is_unknown(const double *values, size_t count)
{
	for (size_t i = 0; values && i < count; i++)
		if (!isnan(values[i]))
			return 0;
	return values != NULL;
}

/* NaN stands as null. */
static int match_matrix(const place *at, const char *member, const json_t *rows, const double *values, size_t L)
{
	int rc = check_rows(at, member, rows, L);
	for (size_t a = 0; a < L && !rc; a++) {
		const json_t *row = json_array_get(rows, a);
		rc = check_row(at, member, (long)a, row, L, 1);
		for (size_t b = 0; b < L && !rc; b++) {
			const json_t *value = json_array_get(row, b);
			double x = json_is_null(value) ? NAN : json_number_value(value), want = values[a * L + b];
			if (x != want && !(isnan(x) && isnan(want)))
				rc = broken(at, member,
					    "%.17g at row %zu, column %zu does not follow from the mean: it is %.17g",
					    x, a, b, want);
		}
	}
	return rc;
}

/* Older files lack all three. */
static int match_chance(const place *at, const json_t *object, const kith_chance *chance, size_t L)
{
	const json_t *expected = json_object_get(object, "expected"), *rows = json_object_get(object, "corrected"),
		     *calibrated = json_object_get(object, "calibrated");
	int rc = 0;
	if (expected && json_number_value(expected) != chance->expected)
		return broken(at, "expected", "%.17g, but chance gives %.17g", json_number_value(expected),
			      chance->expected);
	if (rows && json_is_array(rows) != (chance->expected < 1))
		return broken(at, "corrected", "%s", chance->expected < 1 ? "not a list of rows" : "not null");
	if (json_is_array(rows) && (rc = match_matrix(at, "corrected", rows, chance->corrected, L)))
		return rc;
	if (!calibrated || (json_is_null(calibrated) && is_unknown(chance->calibrated, L * L)))
		return 0;
	return chance->calibrated ? match_matrix(at, "calibrated", calibrated, chance->calibrated, L)
				  : broken(at, "calibrated", "there is no null distribution");
}

/* Compares the list with row `row` of the values; NaN stands as null. */
static int match_list(const place *at, const char *member, const json_t *list, const kith_values *v, size_t row)
{
	if (!json_is_array(list) || json_array_size(list) != v->columns)
		return broken(at, member, "not a list of %zu", v->columns);
	for (size_t i = 0; i < v->columns; i++) {
		const json_t *value = json_array_get(list, i);
		size_t at_i = row * v->columns + i;
		int same = v->counts ? json_is_integer(value) && (uint64_t)json_integer_value(value) == v->counts[at_i]
			   : isnan(v->ratios[at_i])
				   ? json_is_null(value)
				   : json_is_number(value) && json_number_value(value) == v->ratios[at_i];
		if (!same)
			return broken(at, member, "entry %zu does not follow from nntp", i);
	}
	return 0;
}

static int match_measure(const place *at, const json_t *object, const kith_measure *m, const kith_entry *e)
{
	const json_t *value = json_object_get(object, m->key);
	kith_values v;
	int rc = 0;
	if (!kith_measure_get(m, e, &v))
		return 0;
	if (!kith_measure_is_matrix(m))
		return match_list(at, m->key, value, &v, 0);
	if (!json_is_array(value) || json_array_size(value) != v.rows)
		return broken(at, m->key, "not a list of %zu rows", v.rows);
	for (size_t a = 0; a < v.rows && !rc; a++) {
		char member[32];
		snprintf(member, sizeof member, "%s[%zu]", m->key, a);
		rc = match_list(at, member, json_array_get(value, a), &v, a);
	}
	return rc;
}

static int match_dynamics(const place *at, const json_t *object, const kith_dynamics *d)
{
	const kith_entry e = {.layers = d->layers, .dynamics = d};
	kith_graph_kind graph = KITH_UNION;
	uint64_t k;
	int rc = get_count(at, object, "k", 1, UINT32_MAX, &k);
	if (!rc)
		rc = get_graph(at, object, &graph);
	if (!rc && (k != d->runs->k || graph != d->runs->graph))
		rc = broken(at, "k", "out of order: one entry for each k and graph of nntp with alpha 0");
	for (const kith_measure *m = kith_measures; m->name && !rc; m++)
		rc = match_measure(at, object, m, &e);
	return rc;
}

static int match_all_dynamics(const place *top, const json_t *list, const kith_stack *s)
{
	size_t entry = 0;
	int rc = 0;
	if (!list)
		return 0;
	for (size_t i = 0; i < s->nntp_count && !rc; i++) {
		place at = place_in(top, "dynamics", entry);
		kith_dynamics d;
		if (s->nntp[i].alpha || (rc = kith_dynamics_make(&d, s, i, top->err)))
			continue;
		rc = match_dynamics(&at, json_array_get(list, entry++), &d);
		kith_dynamics_free(&d);
	}
	if (!rc && json_array_size(list) != entry)
		rc = broken(top, "dynamics", "not a list of %zu", entry);
	return rc;
}

static int match_stack(const place *top, const json_t *root, const kith_stack *s)
{
	int rc = 0;
	for (size_t i = 0; i < s->nnts_count && !rc; i++) {
		place at = place_in(top, "nnts", i);
		kith_chance chance;
		if ((rc = kith_chance_make(&chance, s, i, top->err)))
			continue;
		rc = match_chance(&at, json_array_get(json_object_get(root, "nnts"), i), &chance, s->layer_count);
		kith_chance_free(&chance);
	}
	return rc ? rc : match_all_dynamics(top, json_object_get(root, "dynamics"), s);
}

/* ---- the file ------------------------------------------------------------------------------------------------- */

static int read_stack(kith_stack **out, const char *path, int verify, kith_err *err)
{
	place top = {.path = path, .err = err};
	kith_stack *stack = NULL;
	json_t *root = NULL;
	int rc = load(&root, path, err);
	if (!rc)
		rc = check_format(path, root, err);
	if (!rc)
		rc = get_stack(&top, root, &stack);
	if (!rc && verify)
		rc = match_stack(&top, root, stack);
	json_decref(root);
	if (rc)
		kith_stack_free(stack);
	else
		*out = stack;
	return rc;
}

int kith_stack_read(kith_stack **out, const char *path, kith_err *err)
{
	return read_stack(out, path, 0, err);
}

int kith_stack_verify(const char *path, kith_err *err)
{
	kith_stack *stack = NULL;
	int rc = read_stack(&stack, path, 1, err);
	kith_stack_free(stack);
	return rc;
}
