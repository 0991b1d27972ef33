/* csv.c - every matrix as CSV: layer names in the first row and column, numbers in full. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "number.h"
#include "outfile.h"
#include "report_parts.h"

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

/* RFC 4180: quotes around what holds a comma, a quote or a line end; quotes doubled. */
void kith_put_csv(FILE *out, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void put_names(FILE *out, const kith_stack *s)
{
	for (size_t v = 0; v < s->layer_count; v++) {
		putc(',', out);
		kith_put_csv(out, s->layers[v].name);
	}
	putc('\n', out);
}

static void put_doubles(FILE *out, const kith_stack *s, const double *m)
{
	char text[KITH_DOUBLE_TEXT];
	fputs("layer", out);
	put_names(out, s);
	for (size_t a = 0; a < s->layer_count; a++) {
		kith_put_csv(out, s->layers[a].name);
		for (size_t b = 0; b < s->layer_count; b++)
			fprintf(out, ",%s", kith_double_text(m[a * s->layer_count + b], text));
		putc('\n', out);
	}
}

static void put_counts(FILE *out, const kith_stack *s, const uint64_t *m)
{
	fputs("layer", out);
	put_names(out, s);
	for (size_t a = 0; a < s->layer_count; a++) {
		kith_put_csv(out, s->layers[a].name);
		for (size_t b = 0; b < s->layer_count; b++)
			fprintf(out, ",%" PRIu64, m[a * s->layer_count + b]);
		putc('\n', out);
	}
}

/* Pairs present do not depend on alpha: one row for each k and graph. */
static void put_pairs(FILE *out, const kith_stack *s)
{
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

/* One file: the matrix of doubles or the matrix of counts that is given, or else the pairs. */
static int write_csv(const kith_stack *s, const char *directory, const char *stem, const double *doubles,
		     const uint64_t *counts, kith_err *err)
{
	kith_outfile *file = NULL;
	char path[4096];
	int status;
	if (snprintf(path, sizeof path, "%s/%s.csv", directory, stem) >= (int)sizeof path)
		return kith_fail(err, KITH_EUSAGE, "%s: this path is too long", directory);
	status = kith_outfile_open(&file, path, err);
	if (status)
		return status;
	if (doubles)
		put_doubles(kith_outfile_stream(file), s, doubles);
	else if (counts)
		put_counts(kith_outfile_stream(file), s, counts);
	else
		put_pairs(kith_outfile_stream(file), s);
	return kith_outfile_commit(file, err);
}

int kith_report_csv(const kith_report_data *data, const char *directory, kith_err *err)
{
	const kith_stack *s = data->stack;
	char stem[96];
	int status = kith_make_directory(directory, err);
	for (size_t i = 0; i < s->nnts_count && !status; i++) {
		kith_nnts_stem(&s->nnts[i], stem, sizeof stem);
		status = write_csv(s, directory, stem, s->nnts[i].mean, NULL, err);
		strcat(stem, "_stderr");
		if (!status)
			status = write_csv(s, directory, stem, s->nnts[i].std_err, NULL, err);
	}
	for (size_t i = 0; i < s->nntp_count && !status; i++) {
		kith_nntp_stem(&s->nntp[i], stem, sizeof stem);
		status = write_csv(s, directory, stem, NULL, s->nntp[i].count, err);
	}
	if (!status)
		status = write_csv(s, directory, "pairs", NULL, NULL, err);
	return status;
}
