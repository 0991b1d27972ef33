/* csv.c - every matrix and list as CSV: layer names in the first row and column, numbers in full. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "outfile.h"
#include "report_parts.h"
#include "text.h"

int kith_make_directory(const char *path, kith_err *err)
{
	struct stat st;
	if (mkdir(path, 0777) == 0)
		return 0;
	if (errno != EEXIST)
		return kith_fail_errno(err, "%s: cannot create this directory", path);
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return kith_fail(err, KITH_EUSAGE, "%s: is not a directory", path);
	return 0;
}

static void put_names(FILE *out, const kith_stack *s)
{
	for (size_t v = 0; v < s->layer_count; v++) {
		putc(',', out);
		kith_put_csv(out, s->layers[v].name);
	}
	putc('\n', out);
}

/* What a file holds: puts it, with what it takes. */
typedef struct content {
	void (*put)(FILE *out, const kith_stack *s, const struct content *what);
	const double *doubles;
	double expected; /* by chance; the doubles are corrected for it */
	const uint64_t *counts;
	const kith_dynamics *dynamics;
} content;

/* NaN, which is 0/0, leaves a field empty. */
static void put_double(FILE *out, double x)
{
	char text[KITH_DOUBLE_TEXT];
	putc(',', out);
	fputs(isnan(x) ? "" : kith_double_text(x, text), out);
}

static void put_matrix(FILE *out, const kith_stack *s, const content *what)
{
	size_t L = s->layer_count;
	fputs("layer", out);
	put_names(out, s);
	for (size_t i = 0; i < L * L; i++) {
		if (i % L == 0)
			kith_put_csv(out, s->layers[i / L].name);
		if (what->counts)
			fprintf(out, ",%" PRIu64, what->counts[i]);
		else
			put_double(out, kith_nnts_corrected(what->doubles[i], what->expected));
		if (i % L + 1 == L)
			putc('\n', out);
	}
}

static void put_expected(FILE *out, const kith_stack *s, const content *what)
{
	(void)what;
	fputs("k,expected\n", out);
	for (size_t i = 0; i < s->nnts_count; i++) {
		fprintf(out, "%" PRIu32, s->nnts[i].k);
		put_double(out, kith_nnts_expected(s->n, s->nnts[i].k));
		putc('\n', out);
	}
}

/* Pairs present do not depend on alpha: one row for each k and graph. */
static void put_pairs(FILE *out, const kith_stack *s, const content *what)
{
	(void)what;
	fputs("k,graph", out);
	put_names(out, s);
	for (size_t i = 0; i < s->nntp_count; i++) {
		const kith_nntp *p = &s->nntp[i];
		if (i && p[-1].k == p->k && p[-1].graph == p->graph)
			continue;
		fprintf(out, "%" PRIu32 ",%s", p->k, kith_graph_kind_name(p->graph));
		for (size_t v = 0; v < s->layer_count; v++)
			fprintf(out, ",%" PRIu64, p->pairs[v]);
		putc('\n', out);
	}
}

static void put_layers(FILE *out, const kith_stack *s, const content *what)
{
	const kith_dynamics *d = what->dynamics;
	fputs("layer,pairs,births,deaths,survivors,removal\n", out);
	for (size_t v = 0; v < d->layers; v++) {
		kith_put_csv(out, s->layers[v].name);
		fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", d->runs->pairs[v], d->births[v], d->deaths[v]);
		if (v + 1 < d->layers)
			fprintf(out, "%" PRIu64, d->survivors[v]);
		put_double(out, d->removal[v]);
		putc('\n', out);
	}
}

static void put_returns(FILE *out, const kith_stack *s, const content *what)
{
	const kith_dynamics *d = what->dynamics;
	fputs("layer", out);
	for (uint32_t g = 1; g <= d->gaps; g++)
		fprintf(out, ",%" PRIu32, g);
	putc('\n', out);
	for (size_t b = 0; b < d->layers; b++) {
		kith_put_csv(out, s->layers[b].name);
		for (uint32_t g = 0; g < d->gaps; g++)
			fprintf(out, ",%" PRIu64, d->returns[b * d->gaps + g]);
		putc('\n', out);
	}
}

static int write_csv(const kith_stack *s, const char *directory, const char *stem, const content *what, kith_err *err)
{
	kith_outfile *file = NULL;
	char path[4096];
	int status;
	if (snprintf(path, sizeof path, "%s/%s.csv", directory, stem) >= (int)sizeof path)
		return kith_fail(err, KITH_EUSAGE, "%s: this path is too long", directory);
	status = kith_outfile_open(&file, path, err);
	if (status)
		return status;
	what->put(kith_outfile_stream(file), s, what);
	return kith_outfile_commit(file, err);
}

static int write_nnts(const kith_stack *s, const kith_nnts *t, const char *directory, kith_err *err)
{
	double expected = kith_nnts_expected(s->n, t->k);
	const struct {
		const char *ending;
		content what;
		int there;
	} files[] = {{"", {.put = put_matrix, .doubles = t->mean}, 1},
		     {"_stderr", {.put = put_matrix, .doubles = t->std_err}, 1},
		     {"_corrected", {.put = put_matrix, .doubles = t->mean, .expected = expected}, expected < 1},
		     {"_overlap", {.put = put_matrix, .doubles = t->overlap}, t->overlap != NULL},
		     {"_overlap_stderr", {.put = put_matrix, .doubles = t->overlap_err}, t->overlap != NULL}};
	char stem[96];
	int status = 0;
	for (size_t i = 0; i < sizeof files / sizeof *files && !status; i++) {
		kith_nnts_stem(t, stem, sizeof stem);
		strcat(stem, files[i].ending);
		status = files[i].there ? write_csv(s, directory, stem, &files[i].what, err) : 0;
	}
	return status;
}

static int write_dynamics(const kith_stack *s, const kith_dynamics *d, const char *directory, kith_err *err)
{
	const struct {
		const char *name;
		content what;
		int there;
	} files[] = {{"dynamics", {.put = put_layers, .dynamics = d}, 1},
		     {"survival", {.put = put_matrix, .counts = d->survival}, 1},
		     {"share", {.put = put_matrix, .doubles = d->share}, 1},
		     {"returns", {.put = put_returns, .dynamics = d}, d->gaps > 0}};
	char stem[96];
	int status = 0;
	for (size_t i = 0; i < sizeof files / sizeof *files && !status; i++) {
		kith_dynamics_stem(files[i].name, d, stem, sizeof stem);
		status = files[i].there ? write_csv(s, directory, stem, &files[i].what, err) : 0;
	}
	return status;
}

int kith_report_csv(const kith_report_data *data, const char *directory, kith_err *err)
{
	const kith_stack *s = data->stack;
	char stem[96];
	int status = kith_make_directory(directory, err);
	for (size_t i = 0; i < s->nnts_count && !status; i++)
		status = write_nnts(s, &s->nnts[i], directory, err);
	if (!status)
		status = write_csv(s, directory, "expected", &(content){.put = put_expected}, err);
	for (size_t i = 0; i < s->nntp_count && !status; i++) {
		kith_nntp_stem(&s->nntp[i], stem, sizeof stem);
		status = write_csv(s, directory, stem, &(content){.put = put_matrix, .counts = s->nntp[i].count}, err);
	}
	if (!status)
		status = write_csv(s, directory, "pairs", &(content){.put = put_pairs}, err);
	for (size_t i = 0; i < data->dynamics_count && !status; i++)
		status = write_dynamics(s, &data->dynamics[i], directory, err);
	return status;
}
