/* report.c - see report.h */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "approximate.h"
#include "infile.h"
#include "outfile.h"
#include "report_parts.h"
#include "text.h"

#define THOUSANDS_FROM 10000 /* below this, counts are printed in full */

/* A copy of a layer's name in which control characters, which neither XML nor a font has, are U+FFFD. */
static char *make_label(const kith_layer *layer, int second)
{
	char *label = malloc(3 * strlen(layer->name) + sizeof KITH_SECOND_MARK KITH_APPROX_MARK), *o = label;
	if (!label)
		return NULL;
	for (const char *s = layer->name; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			o = stpcpy(o, KITH_REPLACEMENT_CHARACTER);
		else
			*o++ = *s;
	o = stpcpy(o, second ? KITH_SECOND_MARK : "");
	strcpy(o, kith_layer_is_exact(layer) ? "" : KITH_APPROX_MARK);
	return label;
}

/* NULL if memory is short. */
static char *make_html(const char *text)
{
	char *html = NULL;
	size_t size;
	FILE *out = open_memstream(&html, &size);
	if (!out)
		return NULL;
	kith_put_html(out, text);
	fclose(out);
	return html;
}

static int make_labels(kith_report_data *data, kith_err *err)
{
	const kith_stack *s = data->stack;
	data->labels = kith_alloc_zero(s->layer_count, sizeof *data->labels);
	data->html = kith_alloc_zero(s->layer_count, sizeof *data->html);
	for (size_t v = 0; data->labels && data->html && v < s->layer_count; v++) {
		data->labels[v] = make_label(&s->layers[v], s->rows && v >= s->rows);
		data->html[v] = data->labels[v] ? make_html(data->labels[v]) : NULL;
		if (!data->html[v])
			return kith_fail_nomem(err, "layer names", strlen(s->layers[v].name));
	}
	return data->labels && data->html ? 0
					  : kith_fail_nomem(err, "layer names", s->layer_count * sizeof *data->labels);
}

/* A single layer has no dynamics. */
static int make_entries(kith_report_data *data, kith_err *err)
{
	const kith_stack *s = data->stack;
	kith_entry *e = data->entries = kith_alloc_zero(s->nnts_count + s->nntp_count, sizeof *data->entries);
	int rc = 0;
	data->chances = kith_alloc_zero(s->nnts_count, sizeof *data->chances);
	data->dynamics = kith_alloc_zero(s->nntp_count, sizeof *data->dynamics);
	if (!data->entries || !data->chances || !data->dynamics)
		return kith_fail_nomem(err, "what follows from the stack", s->nntp_count * sizeof *data->dynamics);
	for (size_t i = 0; i < s->nnts_count && !rc; i++) {
		rc = kith_chance_make(&data->chances[i], s, i, err);
		*e++ = (kith_entry){.layers = s->layer_count, .nnts = &s->nnts[i], .chance = &data->chances[i]};
	}
	for (size_t i = 0; i < s->nntp_count && !rc; i++) {
		kith_dynamics *d = &data->dynamics[data->dynamics_count];
		int has_dynamics = !s->nntp[i].alpha && s->layer_count > 1;
		if (has_dynamics && !(rc = kith_dynamics_make(d, s, i, err)))
			data->dynamics_count++;
		*e++ = (kith_entry){.layers = s->layer_count, .nntp = &s->nntp[i], .dynamics = has_dynamics ? d : NULL};
	}
	data->entry_count = (size_t)(e - data->entries);
	return rc;
}

int kith_report_data_make(kith_report_data *out, const kith_stack *stack, kith_err *err)
{
	kith_report_data data = {.stack = stack, .unit = 1, .approximate = !kith_stack_is_exact(stack)};
	int rc = make_labels(&data, err);
	if (!rc)
		rc = make_entries(&data, err);
	for (size_t i = 0; i < stack->nntp_count; i++)
		if (kith_nntp_largest(&stack->nntp[i], stack->layer_count) >= THOUSANDS_FROM)
			data.unit = 1000;
	if (rc)
		kith_report_data_free(&data);
	else
		*out = data;
	return rc;
}

void kith_report_data_free(kith_report_data *data)
{
	for (size_t v = 0; data->labels && data->html && v < data->stack->layer_count; v++) {
		free(data->labels[v]);
		free(data->html[v]);
	}
	free(data->labels);
	free(data->html);
	for (size_t i = 0; data->chances && i < data->stack->nnts_count; i++)
		kith_chance_free(&data->chances[i]);
	free(data->chances);
	for (size_t i = 0; i < data->dynamics_count; i++)
		kith_dynamics_free(&data->dynamics[i]);
	free(data->dynamics);
	free(data->entries);
	memset(data, 0, sizeof *data);
}

/* ---- figures into files -------------------------------------------------------------------------------------- */

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

int kith_report_open(kith_outfile **out, const char *directory, const char *stem, const char *ending, kith_err *err)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s.%s", directory, stem, ending) >= (int)sizeof path)
		return kith_fail(err, KITH_EUSAGE, "%s: this path is too long", directory);
	return kith_outfile_open(out, path, err);
}

/* Where figures go, and how many have been written. */
typedef struct album {
	const kith_report_data *data;
	const char *directory;
	const kith_progress *progress;
	size_t done, count;
} album;

static int write_image(const album *a, kith_figure *draw, const void *of, const char *stem, kith_image image,
		       kith_err *err)
{
	kith_outfile *file = NULL;
	int rc = kith_report_open(&file, a->directory, stem, image == KITH_PNG ? "png" : "svg", err);
	if (!rc)
		rc = draw(a->data, of, kith_outfile_stream(file), image, stem, err);
	return kith_outfile_close(file, rc, err);
}

static int write_figure(album *a, kith_figure *draw, const void *of, const char *stem, kith_err *err)
{
	static const kith_image images[] = {KITH_SVG, KITH_PNG};
	int rc = 0;
	for (size_t i = 0; i < 2 && !rc; i++)
		if (!(rc = kith_progress_tick(a->progress, "figures", a->done++, a->count, err)))
			rc = write_image(a, draw, of, stem, images[i], err);
	return rc;
}

static int write_figures(const kith_report_data *data, const char *directory, const kith_progress *progress,
			 kith_err *err)
{
	const kith_stack *s = data->stack;
	album a = {data, directory, progress, 0, 2 * (1 + s->nntp_count + 2 * data->dynamics_count)};
	char stem[96];
	int rc = kith_make_directory(directory, err);
	if (!rc)
		rc = write_figure(&a, kith_figure_nnts, NULL, "nnts", err);
	for (size_t i = 0; i < s->nntp_count && !rc; i++) {
		kith_nntp_stem(&s->nntp[i], stem, sizeof stem);
		rc = write_figure(&a, kith_figure_nntp, &s->nntp[i], stem, err);
	}
	for (size_t i = 0; i < data->dynamics_count && !rc; i++) {
		const kith_dynamics *d = &data->dynamics[i];
		kith_dynamics_stem("flow", d, stem, sizeof stem);
		if ((rc = write_figure(&a, kith_figure_flow, d, stem, err)))
			break;
		kith_dynamics_stem("survival", d, stem, sizeof stem);
		rc = write_figure(&a, kith_figure_survival, d, stem, err);
	}
	return rc;
}

static int write_latex(const kith_report_data *data, const char *path, kith_err *err)
{
	kith_outfile *file = NULL;
	int rc = kith_outfile_open(&file, path, err);
	if (!rc)
		kith_report_latex(data, kith_outfile_stream(file));
	return kith_outfile_close(file, rc, err);
}

/* ---- the stage ----------------------------------------------------------------------------------------------- */

static int refuse_input(const char *input, const char *output, kith_err *err)
{
	if (output && kith_is_same_file(input, output))
		return kith_fail(err, KITH_EUSAGE, "%s: is the input, and would be overwritten", output);
	return 0;
}

static void summarise(const kith_stack *s, kith_report_summary *out)
{
	size_t used = 0;
	out->n = s->n;
	out->layers = s->layer_count;
	out->k[0] = '\0';
	for (size_t i = 0; i < s->nnts_count && used < sizeof out->k; i++)
		used += (size_t)snprintf(out->k + used, sizeof out->k - used, i ? ",%" PRIu32 : "%" PRIu32,
					 s->nnts[i].k);
}

/* Everything but the page, then the page; `page` is open from the start, so that a place where it cannot be written, or
 * another run that is writing it, is found before anything else is. */
static int write_all(const kith_report_data *data, const kith_report_options *options, FILE *page, kith_err *err)
{
	int rc = 0;
	if (options->csv)
		rc = kith_report_csv(data, options->csv, err);
	if (!rc && options->svg)
		rc = write_figures(data, options->svg, &options->progress, err);
	if (!rc && options->latex)
		rc = write_latex(data, options->latex, err);
	if (!rc)
		rc = kith_progress_tick(&options->progress, "page", 0, 1, err);
	if (!rc)
		rc = kith_report_html(data, page, err);
	if (!rc)
		rc = kith_progress_tick(&options->progress, "page", 1, 1, err);
	return rc;
}

int kith_report(const char *input, const char *output, const kith_report_options *options, kith_report_summary *summary,
		kith_err *err)
{
	kith_stack *stack = NULL;
	kith_report_data data = {0};
	kith_outfile *page = NULL;
	int rc = refuse_input(input, output, err);
	if (!rc)
		rc = refuse_input(input, options->latex, err);
	if (!rc)
		rc = kith_stack_read(&stack, input, err);
	if (!rc)
		rc = kith_report_data_make(&data, stack, err);
	if (!rc)
		rc = kith_outfile_open(&page, output, err);
	if (!rc)
		rc = write_all(&data, options, kith_outfile_stream(page), err);
	rc = kith_outfile_close(page, rc, err);
	if (!rc && summary)
		summarise(stack, summary);
	kith_report_data_free(&data);
	kith_stack_free(stack);
	return rc;
}
