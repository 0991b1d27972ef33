/* html_table.c - see html_table.h */
#include "html_table.h"

#include <math.h>
#include <string.h>

#define WHITE_FROM 0.6 /* cells shaded more than this have their text inverted */
#define NAME_LONG  6   /* longer names are written upwards */

const char *kith_html_count(uint64_t count, uint64_t unit, char out[KITH_HTML_COUNT])
{
	char text[32];
	kith_count_text(count, unit, text, sizeof text);
	snprintf(out, KITH_HTML_COUNT, "%s%s", *text == '<' ? "&lt;" : "", *text == '<' ? text + 1 : text);
	return out;
}

static int names_long(const kith_report_data *d)
{
	for (size_t v = 0; v < d->stack->layer_count; v++)
		if (strlen(d->labels[v]) > NAME_LONG)
			return 1;
	return 0;
}

const char *kith_html_matrix_class(const kith_report_data *d)
{
	return names_long(d) ? "m t" : "m";
}

void kith_html_matrix_head(const kith_report_data *d, FILE *out)
{
	const char *format = names_long(d) ? "<th scope=\"col\"><span>%s</span></th>" : "<th scope=\"col\">%s</th>";
	fputs("<thead><tr><td></td>", out);
	for (size_t v = 0; v < d->stack->layer_count; v++)
		fprintf(out, format, d->html[v]);
	fputs("</tr></thead>\n<tbody>\n", out);
}

void kith_html_open_row(const kith_report_data *d, FILE *out, size_t v)
{
	fprintf(out, "<tr><th scope=\"row\">%s</th>", d->html[v]);
}

void kith_html_open_cell(FILE *out, double shade)
{
	shade = fmin(shade, 1);
	if (shade < 0.005)
		fputs("<td>", out);
	else
		fprintf(out, "<td%s style=\"--s:%.2f\">", shade > WHITE_FROM ? " class=\"w\"" : "", shade);
}

void kith_html_ratio(FILE *out, double ratio)
{
	if (isnan(ratio)) {
		fputs("<td></td>", out);
		return;
	}
	kith_html_open_cell(out, ratio);
	fprintf(out, "%.3f</td>", ratio);
}

/* With its standard error, unless that is 0. */
static void put_estimate(double x, double error, FILE *out)
{
	if (isnan(x) || isnan(error) || error == 0) {
		kith_html_ratio(out, x);
		return;
	}
	kith_html_open_cell(out, x);
	fprintf(out, "%.4f&nbsp;&#177;&nbsp;%.4f</td>", x, error);
}

void kith_html_value(const kith_report_data *d, const kith_column *c, size_t layer, FILE *out)
{
	char text[KITH_HTML_COUNT];
	if (!kith_column_shows(c, layer))
		fputs("<td></td>", out);
	else if (c->values.counts)
		fprintf(out, "<td>%s</td>",
			kith_html_count(c->values.counts[layer], kith_unit_of(d, c->measure), text));
	else if (c->measure->kind == KITH_ERROR)
		fprintf(out, "<td>%.3g</td>",
			c->values.ratios[layer] / (double)(c->measure->unit ? kith_unit_of(d, c->measure) : 1));
	else
		kith_html_ratio(out, c->values.ratios[layer]);
}

void kith_html_ratios(const kith_report_data *d, const char *caption, const kith_measure *m, const kith_values *v,
		      FILE *out)
{
	fprintf(out, "<div class=\"scroll\" tabindex=\"0\">\n<table class=\"%s\"><caption>%s</caption>\n",
		kith_html_matrix_class(d), caption);
	kith_html_matrix_head(d, out);
	for (size_t a = 0; a < v->rows; a++) {
		kith_html_open_row(d, out, a);
		for (size_t b = 0; b < v->columns; b++)
			if (m->kind == KITH_ESTIMATE || (m->shape == KITH_TRIANGLE && b >= a && v->errors))
				put_estimate(v->ratios[a * v->columns + b], v->errors[a * v->columns + b], out);
			else
				kith_html_ratio(
					out, m->shape == KITH_TRIANGLE && b < a ? NAN : v->ratios[a * v->columns + b]);
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

int kith_html_figure(const kith_report_data *d, kith_figure *draw, const void *of, const char *stem, FILE *out,
		     kith_err *err)
{
	fputs("<figure>\n<div class=\"card\" tabindex=\"0\">", out);
	int rc = draw(d, of, out, KITH_SVG_INLINE, stem, err);
	fputs("</div>\n<figcaption>", out);
	return rc;
}
