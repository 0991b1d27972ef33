/* report.c - see report.h */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "outfile.h"
#include "report_parts.h"

#define THOUSANDS_FROM 10000 /* below this, counts are printed in full */

/* A copy of a layer's name in which control characters, which neither XML nor a font has, are U+FFFD. */
static char *make_label(const kith_layer *layer)
{
	const char *replacement = "\xef\xbf\xbd";
	char *label = malloc(3 * strlen(layer->name) + sizeof KITH_APPROX_MARK), *o = label;
	if (!label)
		return NULL;
	for (const char *s = layer->name; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			o = stpcpy(o, replacement);
		else
			*o++ = *s;
	strcpy(o, layer->recall < 1 ? KITH_APPROX_MARK : "");
	return label;
}

static int make_dynamics(kith_report_data *data, kith_err *err)
{
	const kith_stack *s = data->stack;
	int status = 0;
	if (s->layer_count < 2)
		return 0;
	if (!(data->dynamics = kith_alloc_zero(s->nntp_count, sizeof *data->dynamics)))
		return kith_fail_nomem(err, "layer dynamics", s->nntp_count * sizeof *data->dynamics);
	for (size_t i = 0; i < s->nntp_count && !status; i++)
		if (s->nntp[i].alpha == 0) {
			status = kith_dynamics_make(&data->dynamics[data->dynamics_count], s, i, err);
			data->dynamics_count += !status;
		}
	return status;
}

int kith_report_data_make(kith_report_data *out, const kith_stack *stack, kith_err *err)
{
	uint64_t most = 0;
	int status;
	*out = (kith_report_data){.stack = stack};
	out->labels = kith_alloc_zero(stack->layer_count, sizeof *out->labels);
	for (size_t v = 0; out->labels && v < stack->layer_count; v++) {
		out->labels[v] = make_label(&stack->layers[v]);
		out->approximate |= stack->layers[v].recall < 1;
		if (!out->labels[v])
			kith_report_data_free(out);
	}
	if (!out->labels)
		return kith_fail_nomem(err, "layer names", stack->layer_count * sizeof *out->labels);
	if ((status = make_dynamics(out, err))) {
		kith_report_data_free(out);
		return status;
	}
	for (size_t i = 0; i < stack->nntp_count; i++) {
		uint64_t here = kith_nntp_largest(&stack->nntp[i], stack->layer_count);
		most = here > most ? here : most;
	}
	out->unit = most >= THOUSANDS_FROM ? 1000 : 1;
	return 0;
}

void kith_report_data_free(kith_report_data *data)
{
	for (size_t v = 0; data->labels && v < data->stack->layer_count; v++)
		free(data->labels[v]);
	free(data->labels);
	for (size_t i = 0; i < data->dynamics_count; i++)
		kith_dynamics_free(&data->dynamics[i]);
	free(data->dynamics);
	memset(data, 0, sizeof *data);
}

/* ---- figures into files -------------------------------------------------------------------------------------- */

/* Figure number `i`: NNTS, then NNTP, then the two of each k and graph's dynamics. */
static int draw_figure(const kith_report_data *data, size_t i, FILE *out, kith_image image, const char *stem,
		       kith_err *err)
{
	size_t nntp = data->stack->nntp_count;
	const kith_dynamics *d;
	if (i == 0)
		return kith_figure_nnts(data, out, image, stem, err);
	if (i <= nntp)
		return kith_figure_nntp(data, &data->stack->nntp[i - 1], out, image, stem, err);
	d = &data->dynamics[(i - nntp - 1) / 2];
	return ((i - nntp) % 2 ? kith_figure_flow : kith_figure_survival)(data, d, out, image, stem, err);
}

static void figure_stem(const kith_report_data *data, size_t i, char *out, size_t size)
{
	size_t nntp = data->stack->nntp_count;
	if (i == 0)
		snprintf(out, size, "nnts");
	else if (i <= nntp)
		kith_nntp_stem(&data->stack->nntp[i - 1], out, size);
	else
		kith_dynamics_stem((i - nntp) % 2 ? "flow" : "survival", &data->dynamics[(i - nntp - 1) / 2], out,
				   size);
}

static int write_figure(const kith_report_data *data, size_t i, const char *directory, kith_image image, kith_err *err)
{
	kith_outfile *file = NULL;
	char stem[96], path[4096];
	int status;
	figure_stem(data, i, stem, sizeof stem);
	if (snprintf(path, sizeof path, "%s/%s.%s", directory, stem, image == KITH_PNG ? "png" : "svg") >=
	    (int)sizeof path)
		return kith_fail(err, KITH_EUSAGE, "%s: this path is too long", directory);
	status = kith_outfile_open(&file, path, err);
	if (status)
		return status;
	status = draw_figure(data, i, kith_outfile_stream(file), image, stem, err);
	if (status) {
		kith_outfile_abort(file);
		return status;
	}
	return kith_outfile_commit(file, err);
}

static int write_figures(const kith_report_data *data, const char *directory, const kith_progress *progress,
			 kith_err *err)
{
	static const kith_image images[] = {KITH_SVG, KITH_PNG};
	size_t count = 1 + data->stack->nntp_count + 2 * data->dynamics_count;
	int status = kith_make_directory(directory, err);
	for (size_t i = 0; i < count && !status; i++)
		for (size_t j = 0; j < 2 && !status; j++) {
			status = kith_progress_tick(progress, "figures", 2 * i + j, 2 * count, err);
			if (!status)
				status = write_figure(data, i, directory, images[j], err);
		}
	return status;
}

static int write_latex(const kith_report_data *data, const char *path, kith_err *err)
{
	kith_outfile *file = NULL;
	int status = kith_outfile_open(&file, path, err);
	if (status)
		return status;
	kith_report_latex(data, kith_outfile_stream(file));
	return kith_outfile_commit(file, err);
}

/* ---- the stage ----------------------------------------------------------------------------------------------- */

static int refuse_input(const char *input, const char *output, kith_err *err)
{
	struct stat in, out;
	if (output && stat(input, &in) == 0 && stat(output, &out) == 0 && in.st_dev == out.st_dev &&
	    in.st_ino == out.st_ino)
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
	int status = 0;
	if (options->csv)
		status = kith_report_csv(data, options->csv, err);
	if (!status && options->svg)
		status = write_figures(data, options->svg, &options->progress, err);
	if (!status && options->latex)
		status = write_latex(data, options->latex, err);
	if (!status)
		status = kith_progress_tick(&options->progress, "page", 0, 1, err);
	if (!status)
		status = kith_report_html(data, page, err);
	if (!status)
		status = kith_progress_tick(&options->progress, "page", 1, 1, err);
	return status;
}

int kith_report(const char *input, const char *output, const kith_report_options *options, kith_report_summary *summary,
		kith_err *err)
{
	kith_stack *stack = NULL;
	kith_report_data data = {0};
	kith_outfile *page = NULL;
	int status = refuse_input(input, output, err);
	if (!status)
		status = refuse_input(input, options->latex, err);
	if (!status)
		status = kith_stack_read(&stack, input, err);
	if (!status)
		status = kith_report_data_make(&data, stack, err);
	if (!status)
		status = kith_outfile_open(&page, output, err);
	if (status)
		goto done;
	status = write_all(&data, options, kith_outfile_stream(page), err);
	if (status) {
		kith_outfile_abort(page);
		goto done;
	}
	status = kith_outfile_commit(page, err);
	if (!status && summary)
		summarise(stack, summary);
done:
	kith_report_data_free(&data);
	kith_stack_free(stack);
	return status;
}
