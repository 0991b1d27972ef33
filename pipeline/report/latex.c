/* latex.c - the NNTP matrices as LaTeX tables in the manner of the paper's Table 1, and layer dynamics. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report_parts.h"
#include "text.h"

#define SHADE_MOST 85 /* percent of the shade's colour in the fullest cell */
#define WHITE_FROM 60 /* above this many percent, white reads better than black */
#define NAME_LONG  4  /* longer names turn the head of the table */

static void put_layer(FILE *out, const kith_layer *layer)
{
	kith_put_latex(out, layer->name);
	if (layer->recall < 1)
		fputs("$^{\\approx}$", out);
}

static int names_long(const kith_stack *s)
{
	for (size_t v = 0; v < s->layer_count; v++)
		if (strlen(s->layers[v].name) > NAME_LONG)
			return 1;
	return 0;
}

static void put_cell(FILE *out, uint64_t count, uint64_t most, uint64_t unit)
{
	int percent = (int)lround(SHADE_MOST * kith_count_shade(count, most));
	char text[32];
	kith_count_text(count, unit, text, sizeof text);
	if (percent)
		fprintf(out, "\\cellcolor{kithshade!%d}", percent);
	if (percent > WHITE_FROM)
		fputs("\\color{white}", out);
	fputs(text[0] == '<' ? "$<$" : "", out);
	fputs(text[0] == '<' ? text + 1 : text, out);
}

static void put_head(FILE *out, const kith_stack *s)
{
	int turned = names_long(s);
	fputs("\\begin{tabular}{@{}l", out);
	for (size_t v = 0; v < s->layer_count; v++)
		putc('r', out);
	fputs("}\n\\toprule\n", out);
	for (size_t v = 0; v < s->layer_count; v++) {
		fputs(turned ? " & \\rotatebox{90}{" : " & ", out);
		put_layer(out, &s->layers[v]);
		fputs(turned ? "}" : "", out);
	}
	fputs(" \\\\\n\\midrule\n", out);
}

static void put_caption(const kith_report_data *data, const kith_nntp *p, FILE *out)
{
	char n[32];
	kith_grouped(data->stack->n, n, sizeof n);
	fprintf(out,
		"\\caption{NNTP, $k = %" PRIu32 "$, %s graph, $\\alpha = %" PRIu32
		"$: %s of pairs (three significant digits) by the first layer (row) and the last layer (column) of a "
		"run in "
		"which they are neighbours; $n$ = %s. Shading follows the square root.%s}\n",
		p->k, kith_graph_kind_name(p->graph), p->alpha, data->unit == 1000 ? "thousands" : "numbers", n,
		data->approximate ? " $\\approx$: the layer's graph is approximate." : "");
}

static void put_table(const kith_report_data *data, const kith_nntp *p, FILE *out)
{
	const kith_stack *s = data->stack;
	uint64_t most = kith_nntp_largest(p, s->layer_count);
	char stem[96];
	kith_nntp_stem(p, stem, sizeof stem);
	fputs("\n\\begin{table}\n\\centering\n", out);
	put_caption(data, p, out);
	fprintf(out, "\\label{tab:%s}\n\\smallskip\n\\footnotesize\\setlength{\\tabcolsep}{3pt}%%\n", stem);
	/* scaled to the line if it is wider, and only then */
	fputs("\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n", out);
	put_head(out, s);
	for (size_t a = 0; a < s->layer_count; a++) {
		put_layer(out, &s->layers[a]);
		for (size_t b = 0; b < s->layer_count; b++) {
			fputs(" & ", out);
			if (b >= a)
				put_cell(out, p->count[a * s->layer_count + b], most, data->unit);
		}
		fputs(" \\\\\n", out);
	}
	fputs("\\bottomrule\n\\end{tabular}}\n\\end{table}\n", out);
}

static void put_count(FILE *out, int there, uint64_t count, uint64_t unit)
{
	char text[32];
	kith_count_text(count, unit, text, sizeof text);
	fputs(" & ", out);
	if (there)
		fprintf(out, "%s%s", text[0] == '<' ? "$<$" : "", text[0] == '<' ? text + 1 : text);
}

static void put_dynamics(const kith_report_data *data, const kith_dynamics *d, FILE *out)
{
	const char *graph = kith_graph_kind_name(d->runs->graph);
	char stem[96];
	kith_dynamics_stem("dynamics", d, stem, sizeof stem);
	fprintf(out,
		"\n\\begin{table}\n\\centering\n\\caption{Layer dynamics, $k = %" PRIu32
		"$, %s graph: %s of pairs that "
		"are present in the layer, are new there, are gone in the next, and are in both; and the removal "
		"score, "
		"the Jaccard index of the pairs present in the layer and in the one before.}\n\\label{tab:%s}\n"
		"\\smallskip\n\\footnotesize\n\\begin{tabular}{@{}lrrrrr}\n\\toprule\n & present & born & die & stay & "
		"removal \\\\\n\\midrule\n",
		d->runs->k, graph, data->unit == 1000 ? "thousands" : "numbers", stem);
	for (size_t v = 0; v < d->layers; v++) {
		int has_next = v + 1 < d->layers;
		put_layer(out, &data->stack->layers[v]);
		put_count(out, 1, d->runs->pairs[v], data->unit);
		put_count(out, 1, d->births[v], data->unit);
		put_count(out, has_next, d->deaths[v], data->unit);
		put_count(out, has_next, has_next ? d->survivors[v] : 0, data->unit);
		fputs(" & ", out);
		if (!isnan(d->removal[v]))
			fprintf(out, "%.3f", d->removal[v]);
		fputs(" \\\\\n", out);
	}
	fputs("\\bottomrule\n\\end{tabular}\n\\end{table}\n", out);
}

void kith_report_latex(const kith_report_data *data, FILE *out)
{
	fputs("% Made by kith-report " KITH_VERSION ". \\input this file; the preamble needs\n"
	      "%   \\usepackage[T1]{fontenc}\n"
	      "%   \\usepackage{booktabs}\n"
	      "%   \\usepackage[table]{xcolor}\n"
	      "%   \\usepackage{graphicx}\n"
	      "\\definecolor{kithshade}{RGB}{33,113,181}\n",
	      out);
	for (size_t i = 0; i < data->stack->nntp_count; i++)
		put_table(data, &data->stack->nntp[i], out);
	for (size_t i = 0; i < data->dynamics_count; i++)
		put_dynamics(data, &data->dynamics[i], out);
}
