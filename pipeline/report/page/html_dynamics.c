/* html_dynamics.c - the page's section on layer dynamics. */
#include <inttypes.h>
#include <math.h>

#include "html_table.h"
#include "report_parts.h"
#include "text.h"

#define OPEN_GRAPHS 4 /* so many graphs' dynamics stand open, the first of each k; the others fold away */

static void put_title(const kith_dynamics *d, FILE *out)
{
	fprintf(out, "k = %" PRIu32 ", %s graph", d->runs->k, kith_graph_kind_name(d->runs->graph));
}

static void put_name(const kith_report_data *d, size_t v, FILE *out)
{
	fputs("<b>", out);
	kith_put_html(out, d->labels[v]);
	fputs("</b>", out);
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
	put_name(data, most, out);
	fprintf(out, " changes least who is whose neighbour (removal score %.2f), ", d->removal[most]);
	put_name(data, least, out);
	fprintf(out, " most (%.2f). ", d->removal[least]);
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
	fputs("Of the pairs born in ", out);
	put_name(data, at / L, out);
	fprintf(out, ", %.0f&nbsp;%% die exactly at ", 100 * d->share[at]);
	put_name(data, at % L, out);
	fputs(", the greatest such share, apart from pairs that are gone at once or last to the end.", out);
}

/* ---- tables -------------------------------------------------------------------------------------------------- */

/* A cell with a count, or an empty one. */
static void put_count(const kith_report_data *data, int there, uint64_t count, FILE *out)
{
	fputs("<td>", out);
	if (there)
		kith_html_count(out, count, data->unit);
	fputs("</td>", out);
}

/* Nobody can tell which of the last layer's pairs would stay. */
static void put_layer(const kith_report_data *data, const kith_dynamics *d, size_t v, FILE *out)
{
	int has_next = v + 1 < d->layers;
	kith_html_open_row(data, out, v);
	put_count(data, 1, d->runs->pairs[v], out);
	put_count(data, 1, d->births[v], out);
	put_count(data, has_next, d->deaths[v], out);
	put_count(data, has_next, has_next ? d->survivors[v] : 0, out);
	if (isnan(d->removal[v])) {
		fputs("<td></td></tr>\n", out);
		return;
	}
	kith_html_open_cell(out, d->removal[v]);
	fprintf(out, "%.3f</td></tr>\n", d->removal[v]);
}

static void put_layers(const kith_report_data *data, const kith_dynamics *d, FILE *out)
{
	fputs("<div class=\"scroll\" tabindex=\"0\">\n<table class=\"m\"><caption>Layer dynamics, ", out);
	put_title(d, out);
	fputs(data->unit == 1000 ? "; pairs in thousands" : "", out);
	fputs("</caption>\n<thead><tr><td></td><th scope=\"col\">present</th><th scope=\"col\">born</th><th "
	      "scope=\"col\">die</th><th scope=\"col\">stay</th><th scope=\"col\">removal "
	      "score</th></tr></thead>\n<tbody>\n",
	      out);
	for (size_t v = 0; v < d->layers; v++)
		put_layer(data, d, v, out);
	fputs("</tbody></table></div>\n", out);
}

/* By the length of the gap; the last layers have no room for long ones. */
static void put_returns(const kith_report_data *data, const kith_dynamics *d, FILE *out)
{
	fputs("<div class=\"scroll\" tabindex=\"0\">\n<table class=\"m\"><caption>Returns: of the pairs that die in a "
	      "layer, the share that comes back after a gap of g layers, ",
	      out);
	put_title(d, out);
	fputs("</caption>\n<thead><tr><td></td>", out);
	for (uint32_t g = 1; g <= d->gaps; g++)
		fprintf(out, "<th scope=\"col\">%s%" PRIu32 "</th>", g == 1 ? "g = " : "", g);
	fputs("</tr></thead>\n<tbody>\n", out);
	for (size_t b = 0; b + 2 < d->layers; b++) {
		kith_html_open_row(data, out, b);
		for (uint32_t g = 1; g <= d->gaps; g++) {
			double share = (double)d->returns[b * d->gaps + g - 1] / (double)d->deaths[b];
			if (b + g + 1 >= d->layers || !d->deaths[b]) {
				fputs("<td></td>", out);
				continue;
			}
			kith_html_open_cell(out, share);
			fprintf(out, "%.3f</td>", share);
		}
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

static void put_more_tables(const kith_report_data *data, const kith_dynamics *d, FILE *out)
{
	char caption[128];
	snprintf(caption, sizeof caption,
		 "Of the pairs born in the row&#8217;s layer, the share that dies in the "
		 "column&#8217;s, k = %" PRIu32 ", %s graph",
		 d->runs->k, kith_graph_kind_name(d->runs->graph));
	fputs("<details><summary>When what is born in a layer dies", out);
	fputs(d->gaps ? "; and what returns</summary>\n" : "</summary>\n", out);
	kith_html_ratios(data, caption, d->share, 0, 1, out);
	if (d->gaps)
		put_returns(data, d, out);
	fputs("</details>\n", out);
}

/* ---- the section --------------------------------------------------------------------------------------------- */

static int put_figures(const kith_report_data *data, const kith_dynamics *d, FILE *out, kith_err *err)
{
	char stem[96];
	int status;
	kith_dynamics_stem("flow", d, stem, sizeof stem);
	fputs("<figure>\n<div class=\"card\" tabindex=\"0\">", out);
	if ((status = kith_figure_flow(data, d, out, KITH_SVG_INLINE, stem, err)))
		return status;
	fputs("</div>\n<figcaption>Pairs as they pass through the layers. Each upright is a layer, as high as the "
	      "pairs "
	      "present in it; colours tell where they were born. New pairs come in at the top; what leaves at the "
	      "bottom, pale, is in the next layer no more.</figcaption></figure>\n",
	      out);
	kith_dynamics_stem("survival", d, stem, sizeof stem);
	fputs("<figure>\n<div class=\"card\" tabindex=\"0\">", out);
	if ((status = kith_figure_survival(data, d, out, KITH_SVG_INLINE, stem, err)))
		return status;
	fputs("</div>\n<figcaption>Of the pairs born in a layer, the share still present in each later one, without a "
	      "break. A fall that many curves share is a layer that breaks up neighbourhoods, whatever their "
	      "age.</figcaption></figure>\n",
	      out);
	return 0;
}

static int put_graph(const kith_report_data *data, const kith_dynamics *d, FILE *out, kith_err *err)
{
	int tables = d->layers <= KITH_TABLE_LAYERS, status;
	fputs("<p>", out);
	put_removal_finding(data, d, out);
	put_share_finding(data, d, out);
	fputs("</p>\n", out);
	if ((status = put_figures(data, d, out, err)))
		return status;
	if (!tables)
		fputs("<details><summary>Layer by layer</summary>\n", out);
	put_layers(data, d, out);
	fputs(tables ? "" : "</details>\n", out);
	if (tables)
		put_more_tables(data, d, out);
	return 0;
}

int kith_html_dynamics(const kith_report_data *data, FILE *out, kith_err *err)
{
	size_t open = 0;
	int status = 0;
	if (data->dynamics_count)
		fputs("<h2 id=\"dynamics\">Layer dynamics</h2>\n<p>A pair of neighbours is born in a layer if the one "
		      "before lacks it, and dies in a layer if the next one lacks it. The removal score of a layer is "
		      "the "
		      "share of pairs that it has in common with the one before, of all that either has: near 1, the "
		      "layer hardly changes who is whose neighbour.</p>\n",
		      out);
	for (size_t i = 0; i < data->dynamics_count && !status; i++) {
		const kith_dynamics *d = &data->dynamics[i];
		int first_of_k = i == 0 || d[-1].runs->k != d->runs->k;
		int stands_open = data->dynamics_count <= 2 || (first_of_k && open++ < OPEN_GRAPHS);
		fputs(stands_open ? "<h3>" : "<details><summary>", out);
		put_title(d, out);
		fputs(stands_open ? "</h3>\n" : "</summary>\n", out);
		status = put_graph(data, d, out, err);
		fputs(stands_open ? "" : "</details>\n", out);
	}
	return status;
}
