/* html_dynamics.c - see html_dynamics.h */
#include <inttypes.h>
#include <math.h>

#include "html_dynamics.h"
#include "html_table.h"
#include "page_text.h"

#define OPEN_GRAPHS 4 /* graphs whose dynamics are shown unfolded, the first of each k */

static void put_title(const kith_dynamics *d, FILE *out)
{
	fprintf(out, "k = %" PRIu32 ", %s graph", d->runs->k, kith_graph_kind_name(d->runs->graph));
}

/* ---- what the numbers say ------------------------------------------------------------------------------------ */

static void put_removal_finding(const kith_report_data *data, const kith_dynamics *d, FILE *out)
{
	size_t most = 0, least = 0;
	for (size_t v = 1; v < d->layers; v++) {
		most = !isnan(d->removal[v]) && (!most || d->removal[v] > d->removal[most]) ? v : most;
		least = !isnan(d->removal[v]) && (!least || d->removal[v] < d->removal[least]) ? v : least;
	}
	if (most == least)
		return;
	fprintf(out, "<b>%s</b> changes least who is whose neighbour (removal score %.2f), <b>%s</b> most (%.2f). ",
		data->html[most], d->removal[most], data->html[least], d->removal[least]);
}

/* The greatest share of births that end at one later layer; the last is left out, where what never dies ends. */
static void put_share_finding(const kith_report_data *data, const kith_dynamics *d, FILE *out)
{
	size_t L = d->layers, at = 0;
	for (size_t a = 0; a < L; a++)
		for (size_t b = a + 1; b + 1 < L; b++)
			at = d->share[a * L + b] > (at ? d->share[at] : 0) ? a * L + b : at;
	if (!at)
		return;
	fprintf(out,
		"Of the pairs born in <b>%s</b>, %.0f&nbsp;%% die exactly at <b>%s</b>, the greatest such share, apart "
		"from pairs that are gone at once or last to the end.",
		data->html[at / L], 100 * d->share[at], data->html[at % L]);
}

/* ---- tables -------------------------------------------------------------------------------------------------- */

static void put_layers(const kith_report_data *data, const kith_entry *e, FILE *out)
{
	kith_column columns[KITH_MAX_COLUMNS];
	size_t count = kith_columns_of(e, columns);
	fputs("<div class=\"scroll\" tabindex=\"0\">\n<table class=\"m\"><caption>Layer dynamics, ", out);
	put_title(e->dynamics, out);
	fputs(data->unit == 1000 ? "; pairs in thousands" : "", out);
	fputs("</caption>\n<thead><tr><td></td>", out);
	for (size_t c = 0; c < count; c++)
		fprintf(out, "<th scope=\"col\">%s</th>", columns[c].measure->title);
	fputs("</tr></thead>\n<tbody>\n", out);
	for (size_t v = 0; v < e->layers; v++) {
		kith_html_open_row(data, out, v);
		for (size_t c = 0; c < count; c++)
			kith_html_value(data, &columns[c], v, out);
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

/* By the length of the gap; after the last layers there are no long ones. */
static void put_returns(const kith_report_data *data, const kith_dynamics *d, const char *title, FILE *out)
{
	fprintf(out, "<div class=\"scroll\" tabindex=\"0\">\n<table class=\"m\"><caption>%s, ", title);
	put_title(d, out);
	fputs("</caption>\n<thead><tr><td></td>", out);
	for (uint32_t g = 1; g <= d->gaps; g++)
		fprintf(out, "<th scope=\"col\">%s%" PRIu32 "</th>", g == 1 ? "g = " : "", g);
	fputs("</tr></thead>\n<tbody>\n", out);
	for (size_t b = 0; b + 2 < d->layers; b++) {
		kith_html_open_row(data, out, b);
		for (uint32_t g = 1; g <= d->gaps; g++)
			kith_html_ratio(out, b + g + 1 < d->layers && d->deaths[b]
						     ? (double)d->returns[b * d->gaps + g - 1] / (double)d->deaths[b]
						     : NAN);
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

/* The matrices that have a title. */
static void put_matrices(const kith_report_data *data, const kith_entry *e, FILE *out)
{
	char caption[192];
	kith_values v;
	fputs("<details><summary>When what is born in a layer dies", out);
	fputs(e->dynamics->gaps ? "; and what returns</summary>\n" : "</summary>\n", out);
	for (const kith_measure *m = kith_measures; m->name; m++) {
		if (m->source != KITH_FROM_DYNAMICS || !kith_measure_is_matrix(m) || !m->title ||
		    !kith_measure_get(m, e, &v))
			continue;
		snprintf(caption, sizeof caption, "%s, k = %" PRIu32 ", %s graph", m->title, e->nntp->k,
			 kith_graph_kind_name(e->nntp->graph));
		if (m->shape == KITH_TRIANGLE && m->kind == KITH_RATIO)
			v.errors = e->nntp->share_stderr;
		if (m->shape == KITH_GAPS)
			put_returns(data, e->dynamics, m->title, out);
		else
			kith_html_ratios(data, caption, m, &v, out);
	}
	fputs("</details>\n", out);
}

/* ---- the section --------------------------------------------------------------------------------------------- */

static int put_figure(const kith_report_data *data, const kith_dynamics *d, const char *what, kith_figure *draw,
		      const char *caption, FILE *out, kith_err *err)
{
	char stem[96];
	kith_dynamics_stem(what, d, stem, sizeof stem);
	int rc = kith_html_figure(data, draw, d, stem, out, err);
	fprintf(out, "%s" KITH_FIGURE_END, caption);
	return rc;
}

static int put_graph(const kith_report_data *data, const kith_entry *e, FILE *out, kith_err *err)
{
	const kith_dynamics *d = e->dynamics;
	int tables = d->layers <= KITH_TABLE_LAYERS, rc;
	fputs("<p>", out);
	put_removal_finding(data, d, out);
	put_share_finding(data, d, out);
	fputs("</p>\n", out);
	if ((rc = put_figure(data, d, "flow", kith_figure_flow, kith_flow_html, out, err)) ||
	    (rc = put_figure(data, d, "survival", kith_figure_survival, kith_survival_html, out, err)))
		return rc;
	if (!tables)
		fputs("<details><summary>Layer by layer</summary>\n", out);
	put_layers(data, e, out);
	fputs(tables ? "" : "</details>\n", out);
	if (tables)
		put_matrices(data, e, out);
	return 0;
}

int kith_html_dynamics(const kith_report_data *data, FILE *out, kith_err *err)
{
	uint32_t k = 0;
	size_t open = 0;
	int rc = 0;
	if (data->dynamics_count)
		fprintf(out, "%s\n", kith_dynamics_html);
	for (size_t i = 0; i < data->entry_count && !rc; i++) {
		const kith_entry *e = &data->entries[i];
		if (!e->dynamics)
			continue;
		int is_open = data->dynamics_count <= 2 || (e->nntp->k != k && open++ < OPEN_GRAPHS);
		k = e->nntp->k;
		fputs(is_open ? "<h3>" : "<details><summary>", out);
		put_title(e->dynamics, out);
		fputs(is_open ? "</h3>\n" : "</summary>\n", out);
		rc = put_graph(data, e, out, err);
		fputs(is_open ? "" : "</details>\n", out);
	}
	return rc;
}
