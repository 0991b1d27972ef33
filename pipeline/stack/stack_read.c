/* stack_read.c - stack.json read; the one file that knows the JSON library. Two passes: the first checks every shape,
 * so that what is then allocated is never more than the file itself holds. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kith/dynamics.h"
#include "kith/graph.h"
#include "kith/stack.h"
#include "stack_format.h"

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

/* `value` is a list of `count` numbers. `row` is for the message; -1 if it is no row of a matrix. */
static int check_list(const place *at, const char *member, const json_t *value, long row, size_t count)
{
	char which[48] = "";
	if (row >= 0)
		snprintf(which, sizeof which, "row %ld ", row);
	if (!json_is_array(value))
		return broken(at, member, "%sis not a list", which);
	if (json_array_size(value) != count)
		return broken(at, member, "%shas %zu numbers, %zu layers", which, json_array_size(value), count);
	for (size_t i = 0; i < count; i++)
		if (!json_is_number(json_array_get(value, i)))
			return broken(at, member, "%shas no number at column %zu", which, i);
	return 0;
}

static int check_matrix(const place *at, const json_t *object, const char *member, size_t L)
{
	const json_t *rows = json_object_get(object, member);
	int status = 0;
	if (!rows)
		return broken(at, member, "missing");
	if (!json_is_array(rows))
		return broken(at, member, "not a list of rows");
	if (json_array_size(rows) != L)
		return broken(at, member, "%zu rows, %zu layers", json_array_size(rows), L);
	for (size_t a = 0; a < L && !status; a++)
		status = check_list(at, member, json_array_get(rows, a), (long)a, L);
	return status;
}

static place place_of(const place *in, const char *member)
{
	place of = *in;
	snprintf(of.part + strlen(of.part), sizeof of.part - strlen(of.part), ".%s", member);
	return of;
}

/* A mean and its standard error. */
static int check_mean(const place *at, const json_t *object, size_t L)
{
	int status = check_matrix(at, object, "mean", L);
	return status ? status : check_matrix(at, object, "stderr", L);
}

/* The shapes of every matrix and list, before anything is allocated for them. */
static int check_shapes(const place *top, const json_t *nnts, const json_t *nntp, size_t L)
{
	int status = 0;
	for (size_t i = 0; i < json_array_size(nnts) && !status; i++) {
		place at = place_in(top, "nnts", i), in_overlap = place_of(&at, "overlap");
		const json_t *entry = json_array_get(nnts, i), *overlap = json_object_get(entry, "overlap");
		status = check_mean(&at, entry, L);
		if (!status && overlap)
			status = check_mean(&in_overlap, overlap, L);
		if (!status && json_is_array(json_object_get(entry, "corrected")))
			status = check_matrix(&at, entry, "corrected", L);
	}
	for (size_t i = 0; i < json_array_size(nntp) && !status; i++) {
		place at = place_in(top, "nntp", i);
		const json_t *entry = json_array_get(nntp, i);
		status = check_matrix(&at, entry, "count", L);
		if (!status && !json_object_get(entry, "pairs"))
			status = broken(&at, "pairs", "missing");
		if (!status)
			status = check_list(&at, "pairs", json_object_get(entry, "pairs"), -1, L);
	}
	return status;
}

static int get_doubles(const place *at, const json_t *object, const char *member, size_t L, double *out)
{
	const json_t *rows = json_object_get(object, member);
	for (size_t a = 0; a < L; a++)
		for (size_t b = 0; b < L; b++) {
			double x = json_number_value(json_array_get(json_array_get(rows, a), b));
			if (!(x >= 0 && x <= 1)) /* also a NaN, should a JSON reader ever let one in */
				return broken(at, member, "%.17g at row %zu, column %zu is outside 0..1", x, a, b);
			out[a * L + b] = x;
		}
	return 0;
}

static int get_counts(const place *at, const char *member, const json_t *list, size_t count, uint64_t *out)
{
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(list, i);
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return broken(at, member, "%.17g at column %zu is not a count", json_number_value(value), i);
		out[i] = (uint64_t)json_integer_value(value);
	}
	return 0;
}

static int get_layer(const place *at, const json_t *object, kith_layer *out)
{
	const json_t *recall = json_object_get(object, "recall");
	int status = get_string(at, object, "name", 0, &out->name);
	if (!status)
		status = get_count(at, object, "dim", 1, KITH_MAX_DIM, &out->dim);
	if (!status)
		status = get_string(at, object, "metric", 0, &out->metric);
	if (!status)
		status = get_string(at, object, "engine", 0, &out->engine);
	if (!status)
		status = get_string(at, object, "digest", 0, &out->digest);
	if (!status)
		status = get_string(at, object, "input", 1, &out->input);
	if (!status)
		status = get_string(at, object, "command", 1, &out->command);
	if (status)
		return status;
	out->recall = json_number_value(recall);
	if (!json_is_number(recall))
		return broken(at, "recall", recall ? "not a number" : "missing");
	if (!(out->recall > 0 && out->recall <= 1))
		return broken(at, "recall", "%.17g is outside 0..1", out->recall);
	return 0;
}

static int get_overlap(const place *at, const json_t *overlap, size_t L, kith_nnts *out)
{
	int status;
	if (!overlap) {
		free(out->overlap);
		free(out->overlap_err);
		out->overlap = out->overlap_err = NULL;
		return 0;
	}
	status = get_doubles(at, overlap, "mean", L, out->overlap);
	return status ? status : get_doubles(at, overlap, "stderr", L, out->overlap_err);
}

static int get_nnts(const place *at, const json_t *object, const kith_stack *s, kith_nnts *out, const kith_nnts *before)
{
	place in_overlap = place_of(at, "overlap");
	uint64_t k;
	int status = get_count(at, object, "k", 1, s->n - 1, &k);
	if (status)
		return status;
	if (before && k <= before->k)
		return broken(at, "k", "%" PRIu64 " does not ascend", k);
	out->k = (uint32_t)k;
	status = get_doubles(at, object, "mean", s->layer_count, out->mean);
	if (!status)
		status = get_doubles(at, object, "stderr", s->layer_count, out->std_err);
	if (!status)
		status = get_overlap(&in_overlap, json_object_get(object, "overlap"), s->layer_count, out);
	return status;
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

static int get_nntp(const place *at, const json_t *object, const kith_stack *s, kith_nntp *out, const kith_nntp *before)
{
	const json_t *rows = json_object_get(object, "count");
	size_t L = s->layer_count;
	uint64_t k, alpha;
	int status = get_count(at, object, "k", 1, s->n - 1, &k);
	if (!status)
		status = get_graph(at, object, &out->graph);
	if (!status)
		status = get_count(at, object, "alpha", 0, KITH_MAX_LAYERS, &alpha);
	if (status)
		return status;
	out->k = (uint32_t)k;
	out->alpha = (uint32_t)alpha;
	if (before && nntp_order(before, out) >= 0)
		return broken(at, "k", "out of order: entries ascend by k, then graph, then alpha");
	for (size_t a = 0; a < L && !status; a++) {
		char member[32];
		snprintf(member, sizeof member, "count[%zu]", a);
		status = get_counts(at, member, json_array_get(rows, a), L, out->count + a * L);
	}
	if (!status)
		status = get_counts(at, "pairs", json_object_get(object, "pairs"), L, out->pairs);
	return status;
}

static int get_list(const place *top, const json_t *root, const char *member, size_t most, const json_t **out)
{
	const json_t *list = json_object_get(root, member);
	if (!list)
		return broken(top, member, "missing");
	if (!json_is_array(list))
		return broken(top, member, "not a list");
	if (json_array_size(list) < 1 || json_array_size(list) > most)
		return broken(top, member, "%zu entries; there must be 1..%zu", json_array_size(list), most);
	*out = list;
	return 0;
}

/* ---- what follows --------------------------------------------------------------------------------------------- */

/* What follows from other numbers is not taken over, but has to agree; files from before it was written lack it. */
static int match_chance(const place *at, const json_t *object, uint64_t n, const kith_nnts *t, size_t L)
{
	const json_t *stored = json_object_get(object, "expected"), *rows = json_object_get(object, "corrected");
	double expected = kith_nnts_expected(n, t->k);
	if (stored && json_number_value(stored) != expected)
		return broken(at, "expected", "%.17g, but chance gives %.17g", json_number_value(stored), expected);
	if (rows && json_is_array(rows) != (expected < 1))
		return broken(at, "corrected", "%s", expected < 1 ? "not a list of rows" : "not null");
	for (size_t i = 0; json_is_array(rows) && i < L * L; i++) {
		double x = json_number_value(json_array_get(json_array_get(rows, i / L), i % L));
		if (x != kith_nnts_corrected(t->mean[i], expected))
			return broken(at, "corrected", "%.17g at row %zu, column %zu does not follow from the mean", x,
				      i / L, i % L);
	}
	return 0;
}

/* `list` holds just these counts, or else ratios, of which NaN is null. */
static int match_list(const place *at, const char *member, const json_t *list, size_t count, const uint64_t *counts,
		      const double *ratios)
{
	if (!json_is_array(list) || json_array_size(list) != count)
		return broken(at, member, "not a list of %zu", count);
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(list, i);
		int same = counts ? json_is_integer(value) && (uint64_t)json_integer_value(value) == counts[i]
			   : isnan(ratios[i]) ? json_is_null(value)
					      : json_is_number(value) && json_number_value(value) == ratios[i];
		if (!same)
			return broken(at, member, "entry %zu does not follow from nntp", i);
	}
	return 0;
}

static int match_rows(const place *at, const json_t *object, const char *name, size_t rows, size_t columns,
		      const uint64_t *counts, const double *ratios)
{
	const json_t *list = json_object_get(object, name);
	int status = 0;
	if (!json_is_array(list) || json_array_size(list) != rows)
		return broken(at, name, "not a list of %zu rows", rows);
	for (size_t a = 0; a < rows && !status; a++) {
		char member[32];
		snprintf(member, sizeof member, "%s[%zu]", name, a);
		status = match_list(at, member, json_array_get(list, a), columns, counts ? counts + a * columns : NULL,
				    ratios ? ratios + a * columns : NULL);
	}
	return status;
}

static int match_entry(const place *at, const json_t *object, const kith_dynamics *d)
{
	size_t L = d->layers;
	kith_graph_kind graph = KITH_UNION;
	uint64_t k;
	int status = get_count(at, object, "k", 1, UINT32_MAX, &k);
	if (!status)
		status = get_graph(at, object, &graph);
	if (!status && (k != d->runs->k || graph != d->runs->graph))
		status = broken(at, "k", "out of order: one entry for each k and graph of nntp with alpha 0");
	if (!status)
		status = match_list(at, "births", json_object_get(object, "births"), L, d->births, NULL);
	if (!status)
		status = match_list(at, "deaths", json_object_get(object, "deaths"), L, d->deaths, NULL);
	if (!status)
		status = match_list(at, "survivors", json_object_get(object, "survivors"), L - 1, d->survivors, NULL);
	if (!status)
		status = match_list(at, "removal", json_object_get(object, "removal"), L, NULL, d->removal);
	if (!status)
		status = match_rows(at, object, "survival", L, L, d->survival, NULL);
	if (!status)
		status = match_rows(at, object, "share", L, L, NULL, d->share);
	if (!status && d->gaps)
		status = match_rows(at, object, "returns", L, d->gaps, d->returns, NULL);
	return status;
}

static int match_dynamics(const place *top, const json_t *list, const kith_stack *s)
{
	size_t entry = 0;
	int status = 0;
	if (!list)
		return 0;
	for (size_t i = 0; i < s->nntp_count && !status; i++) {
		place at = place_in(top, "dynamics", entry);
		kith_dynamics d;
		if (s->nntp[i].alpha || (status = kith_dynamics_make(&d, s, i, top->err)))
			continue;
		status = match_entry(&at, json_array_get(list, entry++), &d);
		kith_dynamics_free(&d);
	}
	if (!status && json_array_size(list) != entry)
		status = broken(top, "dynamics", "not a list of %zu", entry);
	return status;
}

static int get_parts(const place *top, const json_t *layers, const json_t *nnts, const json_t *nntp, kith_stack *s)
{
	kith_err why;
	int status = 0;
	for (size_t v = 0; v < s->layer_count && !status; v++) {
		place at = place_in(top, "layers", v);
		status = get_layer(&at, json_array_get(layers, v), &s->layers[v]);
	}
	for (size_t i = 0; i < s->nnts_count && !status; i++) {
		place at = place_in(top, "nnts", i);
		status = get_nnts(&at, json_array_get(nnts, i), s, &s->nnts[i], i ? &s->nnts[i - 1] : NULL);
	}
	for (size_t i = 0; i < s->nntp_count && !status; i++) {
		place at = place_in(top, "nntp", i);
		status = get_nntp(&at, json_array_get(nntp, i), s, &s->nntp[i], i ? &s->nntp[i - 1] : NULL);
	}
	if (!status && kith_stack_check(s, &why))
		status = kith_fail(top->err, KITH_ECORRUPT, "%s: %s", top->path, why.msg);
	for (size_t i = 0; i < s->nnts_count && !status; i++) {
		place at = place_in(top, "nnts", i);
		status = match_chance(&at, json_array_get(nnts, i), s->n, &s->nnts[i], s->layer_count);
	}
	return status;
}

static int check_format(const char *path, const json_t *root, kith_err *err)
{
	const char *format = json_string_value(json_object_get(root, "format"));
	const json_t *version = json_object_get(root, "version");
	if (!format || strcmp(format, STACK_FORMAT))
		return kith_fail(err, KITH_EUSAGE, "%s: not a kith stack (no \"format\": \"" STACK_FORMAT "\")", path);
	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return kith_fail(err, KITH_EUSAGE, "%s: not a kith stack (no version)", path);
	if (json_integer_value(version) != STACK_VERSION)
		return kith_fail(err, KITH_EUSAGE, "%s: version %lld; this kith reads version %d: use a newer one",
				 path, (long long)json_integer_value(version), STACK_VERSION);
	return 0;
}

static int get_stack(const place *top, const json_t *root, kith_stack **out)
{
	const json_t *layers, *nnts, *nntp;
	kith_stack *s = NULL;
	uint64_t n;
	int status = get_count(top, root, "n", 2, KITH_MAX_NODES, &n);
	if (!status)
		status = get_list(top, root, "layers", KITH_MAX_LAYERS, &layers);
	if (!status)
		status = get_list(top, root, "nnts", KITH_MAX_TIERS, &nnts);
	if (!status)
		status = get_list(top, root, "nntp", MAX_NNTP, &nntp);
	if (!status)
		status = check_shapes(top, nnts, nntp, json_array_size(layers));
	if (!status)
		status = kith_stack_new(&s, n, json_array_size(layers), json_array_size(nnts), json_array_size(nntp),
					top->err);
	if (!status)
		status = get_parts(top, layers, nnts, nntp, s);
	if (!status)
		status = match_dynamics(top, json_object_get(root, "dynamics"), s);
	if (status)
		kith_stack_free(s);
	else
		*out = s;
	return status;
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

/* Other files of kith's come here by mistake. Not known of what cannot be read twice. */
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
	struct stat st;
	FILE *f = fopen(path, "re");
	int status = 0;
	if (!f)
		return kith_fail_errno(err, "%s: cannot open", path);
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		status = kith_fail(err, KITH_EUSAGE, "%s: is a directory, not a stack.json", path);
		goto done;
	}
	errno = 0;
	*out = json_loadf(f, JSON_REJECT_DUPLICATES, &why);
	if (!*out && ferror(f))
		status = kith_fail_errno(err, "%s: cannot read", path);
	else if (!*out && !(status = is_other(f, path, err)))
		status = not_json(path, &why, err);
done:
	fclose(f);
	return status;
}

int kith_stack_read(kith_stack **out, const char *path, kith_err *err)
{
	place top = {.path = path, .err = err};
	json_t *root = NULL;
	int status = load(&root, path, err);
	if (!status)
		status = check_format(path, root, err);
	if (!status)
		status = get_stack(&top, root, out);
	json_decref(root);
	return status;
}
