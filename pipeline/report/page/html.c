/* html.c - the report as one page that needs nothing else: no network, no scripts, no fonts of its own. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "html_approximate.h"
#include "html_dynamics.h"
#include "html_table.h"
#include "html_tested.h"
#include "page_text.h"
#include "text.h"

#define OPEN_TABLES 4 /* NNTP tables that are shown unfolded, alpha = 0 first */

/* ---- the opening --------------------------------------------------------------------------------------------- */

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void put_k_list(FILE *out, const kith_stack *s)
{
	char k[32];
	for (size_t i = 0; i < s->nnts_count; i++) {
		kith_grouped(s->nnts[i].k, k, sizeof k);
		fprintf(out, "%s%s", i == 0 ? "" : i + 1 == s->nnts_count ? " and " : ", ", k);
	}
}

/* NNTS of a layer and the next at the smallest k: that of the exact graphs, as far as it is known. */
static double step(const kith_report_data *d, size_t v)
{
	const kith_nnts *t = &d->stack->nnts[0];
	size_t at = v * d->stack->layer_count + v + 1;
	return t->estimate && !isnan(t->estimate[at]) ? t->estimate[at] : t->mean[at];
}

/* The steps of the network that keep most and fewest neighbours. */
static void put_nnts_finding(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	const kith_nnts *t = &s->nnts[0];
	size_t L = s->layer_count, most = 0, least = 0;
	if (L < 3 || s->rows)
		return;
	for (size_t v = 0; v + 1 < L; v++) {
		most = step(d, v) > step(d, most) ? v : most;
		least = step(d, v) < step(d, least) ? v : least;
	}
	if (step(d, most) == step(d, least))
		return;
	fprintf(out,
		" From one layer to the next, neighbourhoods change least from <b>%s</b> to <b>%s</b> (NNTS %s%.2f at "
		"k&nbsp;=&nbsp;%" PRIu32 ") and most from <b>%s</b> to <b>%s</b> (%.2f).",
		d->html[most], d->html[most + 1], d->approximate ? "about " : "", step(d, most), t->k, d->html[least],
		d->html[least + 1], step(d, least));
}

static void put_summary(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	char n[32];
	kith_grouped(s->n, n, sizeof n);
	fprintf(out, "<p><b>%s samples, %zu layer%s", n, s->layer_count, plural(s->layer_count));
	if (s->rows)
		fprintf(out, " of two networks, %zu and %zu", s->rows, s->layer_count - s->rows);
	else if (s->layer_count > 1)
		fprintf(out, " from %s to %s", d->html[0], d->html[s->layer_count - 1]);
	fputs(".</b> In every layer each sample was joined with its ", out);
	put_k_list(out, s);
	fputs(s->rows ? " nearest neighbours; this page shows how alike these are in the two."
		      : " nearest neighbours; this page shows which of them stay neighbours, layer by layer.",
	      out);
	put_nnts_finding(d, out);
	fputs("</p>\n", out);
}

/* ---- NNTP ---------------------------------------------------------------------------------------------------- */

/* What the first and the last corner of this very table say, in words. */
static void put_corners(const kith_report_data *d, const kith_nntp *p, FILE *out)
{
	size_t L = d->stack->layer_count;
	const char *unit = d->unit == 1000 ? " thousand" : "";
	char first[KITH_HTML_COUNT], gone[KITH_HTML_COUNT], last[KITH_HTML_COUNT];
	fprintf(out, " Of the %s%s pairs present in %s, %s%s are gone in the next layer%s, and %s%s last%s to %s.",
		kith_html_count(p->pairs[0], d->unit, first), unit, d->html[0],
		kith_html_count(p->count[0], d->unit, gone), unit,
		p->alpha ? " and do not return within such a gap" : "", kith_html_count(p->count[L - 1], d->unit, last),
		unit, p->alpha ? ", with such gaps," : "", d->html[L - 1]);
}

static void put_nntp_reading(const kith_report_data *d, const kith_nntp *p, FILE *out)
{
	size_t L = d->stack->layer_count;
	fprintf(out,
		"A pair of samples is present in a layer if %s is among the other&#8217;s %" PRIu32 " nearest. Each "
		"cell counts the runs that begin in the row&#8217;s layer and end in the column&#8217;s",
		p->graph == KITH_UNION ? "either" : "each", p->k);
	if (p->alpha)
		fprintf(out, ", gaps of up to %" PRIu32 " layer%s allowed", p->alpha, plural(p->alpha));
	fputs(d->unit == 1000 ? ", in thousands, to three significant digits" : "", out);
	fputs("; shading follows the square root of the count.", out);
	if (L > 1)
		put_corners(d, p, out);
	kith_html_nntp_caution(d, p, out);
}

static void put_nntp_title(const kith_nntp *p, FILE *out)
{
	fprintf(out, "k = %" PRIu32 ", %s graph, &#945; = %" PRIu32, p->k, kith_graph_kind_name(p->graph), p->alpha);
}

static void put_nntp_table(const kith_report_data *d, const kith_nntp *p, FILE *out)
{
	size_t L = d->stack->layer_count, count;
	uint64_t most = kith_nntp_largest(p, L);
	kith_column columns[KITH_MAX_COLUMNS];
	char stem[96], text[KITH_HTML_COUNT];
	kith_nntp_stem(p, stem, sizeof stem);
	fprintf(out, "<p class=\"soft\" id=\"%s-reading\">", stem);
	put_nntp_reading(d, p, out);
	fprintf(out,
		"</p>\n<div class=\"scroll\" tabindex=\"0\">\n<table class=\"%s\" aria-describedby=\"%s-reading\">"
		"<caption>NNTP, ",
		kith_html_matrix_class(d), stem);
	put_nntp_title(p, out);
	fputs("</caption>\n", out);
	kith_html_matrix_head(d, out);
	for (size_t a = 0; a < L; a++) {
		kith_html_open_row(d, out, a);
		for (size_t b = 0; b < L; b++) {
			uint64_t runs = p->count[a * L + b];
			if (b < a) {
				fputs("<td></td>", out);
				continue;
			}
			kith_html_open_cell(out, kith_count_shade(runs, most));
			fprintf(out, "%s</td>", kith_html_count(runs, d->unit, text));
		}
		fputs("</tr>\n", out);
	}
	fputs("</tbody>\n<tfoot>", out);
	count = kith_columns_of(&(kith_entry){.layers = L, .nntp = p}, columns);
	for (size_t c = 0; c < count; c++) {
		fprintf(out, "<tr><th scope=\"row\">%s %s</th>", columns[c].measure->unit, columns[c].measure->title);
		for (size_t v = 0; v < L; v++)
			kith_html_value(d, &columns[c], v, out);
		fputs("</tr>", out);
	}
	kith_html_recall_row(d, p, out);
	fputs("</tfoot></table></div>\n", out);
}

static int put_nntp_figure(const kith_report_data *d, const kith_nntp *p, FILE *out, kith_err *err)
{
	char stem[96];
	kith_nntp_stem(p, stem, sizeof stem);
	int rc = kith_html_figure(d, kith_figure_nntp, p, stem, out, err);
	fputs("<b>NNTP, ", out);
	put_nntp_title(p, out);
	fputs(".</b> ", out);
	put_nntp_reading(d, p, out);
	fputs(" The numbers are in the CSV files (<code>--csv</code>)." KITH_FIGURE_END, out);
	return rc;
}

/* ---- sections ------------------------------------------------------------------------------------------------ */

/* "0.000129 at k = 15 and 0.000838 at k = 100" */
static void put_chances(const kith_stack *s, FILE *out)
{
	for (size_t i = 0; i < s->nnts_count; i++)
		fprintf(out, "%s%.3g at k&nbsp;=&nbsp;%" PRIu32,
			i == 0                   ? ""
			: i + 1 == s->nnts_count ? " and "
						 : ", ",
			kith_nnts_expected(s->n, s->nnts[i].k), s->nnts[i].k);
}

static void put_nnts_tables(const kith_report_data *d, const kith_entry *e, FILE *out)
{
	char caption[160];
	kith_values v;
	for (const kith_measure *m = kith_measures; m->name; m++) {
		if (m->shape != KITH_SQUARE || !m->title || !kith_measure_get(m, e, &v) || v.undefined)
			continue;
		snprintf(caption, sizeof caption, "%s, k = %" PRIu32, m->title, e->nnts->k);
		kith_html_ratios(d, caption, m, &v, out);
	}
}

static int put_nnts_section(const kith_report_data *d, FILE *out, kith_err *err)
{
	const kith_stack *s = d->stack;
	double worst = 0;
	int rc;
	for (size_t i = 0; i < s->nnts_count; i++)
		for (size_t j = 0; j < s->layer_count * s->layer_count; j++)
			worst = fmax(worst, s->nnts[i].std_err[j]);
	fputs("<h2 id=\"nnts\">Similarity between layers (NNTS)</h2>\n", out);
	rc = kith_html_figure(d, kith_figure_nnts, NULL, "nnts", out, err);
	fprintf(out, "%s The largest standard error is %.2g. Chance alone gives ", kith_nnts_html, worst);
	put_chances(s, out);
	fputs(".", out);
	kith_html_estimates(d, out);
	fputs(KITH_FIGURE_END, out);
	if (s->layer_count > KITH_TABLE_LAYERS)
		return rc;
	fputs("<details><summary>The same as numbers; corrected for chance; and as overlap</summary>\n", out);
	for (size_t i = 0; i < d->entry_count; i++)
		if (d->entries[i].nnts)
			put_nnts_tables(d, &d->entries[i], out);
	fputs("</details>\n", out);
	return rc;
}

static int put_nntp(const kith_report_data *d, const kith_nntp *p, FILE *out, kith_err *err)
{
	if (d->stack->layer_count > KITH_TABLE_LAYERS)
		return put_nntp_figure(d, p, out, err);
	put_nntp_table(d, p, out);
	return 0;
}

/* Unfolded is alpha = 0 on the first graph of each k, as in the paper; the other tables are folded. */
static int put_nntp_section(const kith_report_data *d, FILE *out, kith_err *err)
{
	const kith_stack *s = d->stack;
	size_t open = 0;
	int rc = 0;
	fputs("<h2 id=\"nntp\">Persistence of neighbours (NNTP)</h2>\n", out);
	for (size_t i = 0; i < s->nntp_count && !rc; i++) {
		const kith_nntp *p = &s->nntp[i];
		int first_of_k = i == 0 || p[-1].k != p->k;
		if (s->nntp_count <= 2 || (first_of_k && open < OPEN_TABLES)) {
			rc = put_nntp(d, p, out, err);
			open++;
			continue;
		}
		fputs("<details><summary>", out);
		put_nntp_title(p, out);
		fputs("</summary>\n", out);
		rc = put_nntp(d, p, out, err);
		fputs("</details>\n", out);
	}
	return rc;
}

/* ---- provenance ---------------------------------------------------------------------------------------------- */

static void put_text_cell(FILE *out, const char *text, int code)
{
	fputs(code ? "<td class=\"left path\"><code>" : "<td class=\"left\">", out);
	kith_put_html(out, text);
	fputs(code ? "</code></td>" : "</td>", out);
}

static void put_provenance_row(const kith_report_data *d, size_t v, FILE *out)
{
	const kith_layer *layer = &d->stack->layers[v];
	char dim[32];
	kith_grouped(layer->dim, dim, sizeof dim);
	if (!layer->dim)
		strcpy(dim, "?");
	fprintf(out, "<tr%s><td>%zu</td><th scope=\"row\" class=\"left\">%s</th><td>%s</td>",
		kith_layer_is_exact(layer) ? "" : " class=\"approx\"", v, d->html[v], dim);
	put_text_cell(out, layer->metric, 0);
	put_text_cell(out, layer->engine, 0);
	kith_html_recall_cell(d, v, out);
	put_text_cell(out, layer->input, 1);
	put_text_cell(out, layer->digest, 1);
	fputs("</tr>\n", out);
}

static void put_commands(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	int any = 0;
	for (size_t v = 0; v < s->layer_count; v++)
		any |= *s->layers[v].command != '\0';
	if (!any)
		return;
	fputs("<details><summary>The commands that built the graphs</summary>\n<ol class=\"cmd\" start=\"0\">\n", out);
	for (size_t v = 0; v < s->layer_count; v++) {
		fputs("<li><code>", out);
		kith_put_html(out, s->layers[v].command);
		fputs("</code></li>\n", out);
	}
	fputs("</ol></details>\n", out);
}

static void put_provenance(const kith_report_data *d, FILE *out)
{
	fprintf(out, "%s\n", kith_provenance_html);
	for (size_t v = 0; v < d->stack->layer_count; v++)
		put_provenance_row(d, v, out);
	fputs("</tbody></table></div>\n", out);
	put_commands(d, out);
}

int kith_report_html(const kith_report_data *data, FILE *out, kith_err *err)
{
	int rc;
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
	      "content=\"width=device-width, initial-scale=1\">\n<meta name=\"generator\" "
	      "content=\"kith-report " KITH_VERSION
	      "\">\n<title>Which samples stay neighbours, layer by layer</title>\n<style>\n",
	      out);
	fprintf(out, "%s\n", kith_report_css);
	fputs("</style>\n</head>\n<body>\n<main>\n<h1>Which samples stay neighbours, layer by layer</h1>\n", out);
	put_summary(data, out);
	kith_html_warning(data, out);
	kith_html_networks(data, out);
	kith_html_ties(data, out);
	rc = put_nnts_section(data, out, err);
	kith_html_tested(data, out);
	if (!rc && !data->stack->rows)
		rc = put_nntp_section(data, out, err);
	if (!rc && !data->stack->rows)
		rc = kith_html_dynamics(data, out, err);
	fprintf(out, "%s\n", kith_definitions_html);
	put_provenance(data, out);
	fputs("<footer class=\"soft\">Made by kith-report " KITH_VERSION ".</footer>\n</main>\n</body>\n</html>\n",
	      out);
	return rc;
}
