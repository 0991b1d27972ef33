/* html_table.c - see html_table.h */
#include "html_table.h"
#include "text.h"

#include <math.h>
#include <string.h>

#define WHITE_FROM 0.6 /* cells shaded more than this have their text inverted */
#define NAME_LONG  6   /* longer names turn the head of a table */

void kith_html_count(FILE *out, uint64_t count, uint64_t unit)
{
	char text[32];
	kith_count_text(count, unit, text, sizeof text);
	kith_put_html(out, text);
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
	int turned = names_long(d);
	fputs("<thead><tr><td></td>", out);
	for (size_t v = 0; v < d->stack->layer_count; v++) {
		fputs(turned ? "<th scope=\"col\"><span>" : "<th scope=\"col\">", out);
		kith_put_html(out, d->labels[v]);
		fputs(turned ? "</span></th>" : "</th>", out);
	}
	fputs("</tr></thead>\n<tbody>\n", out);
}

void kith_html_open_row(const kith_report_data *d, FILE *out, size_t v)
{
	fputs("<tr><th scope=\"row\">", out);
	kith_put_html(out, d->labels[v]);
	fputs("</th>", out);
}

void kith_html_open_cell(FILE *out, double shade)
{
	if (shade < 0.005)
		fputs("<td>", out);
	else
		fprintf(out, "<td%s style=\"--s:%.2f\">", shade > WHITE_FROM ? " class=\"w\"" : "", shade);
}

void kith_html_ratios(const kith_report_data *d, const char *caption, const double *m, double expected, int triangular,
		      FILE *out)
{
	size_t L = d->stack->layer_count;
	fprintf(out, "<div class=\"scroll\" tabindex=\"0\">\n<table class=\"%s\"><caption>%s</caption>\n",
		kith_html_matrix_class(d), caption);
	kith_html_matrix_head(d, out);
	for (size_t a = 0; a < L; a++) {
		kith_html_open_row(d, out, a);
		for (size_t b = 0; b < L; b++) {
			double x = kith_nnts_corrected(m[a * L + b], expected);
			if (isnan(x) || (triangular && b < a)) {
				fputs("<td></td>", out);
				continue;
			}
			kith_html_open_cell(out, x);
			fprintf(out, "%.3f</td>", x);
		}
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}
