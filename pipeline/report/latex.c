/* latex.c - the NNTP matrices as LaTeX tables in the manner of the paper's Table 1, and layer dynamics. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "approximate.h"
#include "report_parts.h"
#include "text.h"

#define SHADE_MOST 85 /* percent of the shade's colour in the fullest cell */
#define WHITE_FROM 60 /* above this many percent, white reads better than black */
#define NAME_LONG  4  /* longer names are written upwards */

static void put_layer(FILE *out, const kith_layer *layer)
{
	kith_put_latex(out, layer->name);
	if (!kith_layer_is_exact(layer))
		fputs("$^{\\approx}$", out);
}

static int names_long(const kith_stack *s)
{
	for (size_t v = 0; v < s->layer_count; v++)
		if (strlen(s->layers[v].name) > NAME_LONG)
			return 1;
	return 0;
}

static void put_number(FILE *out, const char *text)
{
	fprintf(out, "%s%s", *text == '<' ? "$<$" : "", *text == '<' ? text + 1 : text);
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
	put_number(out, text);
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
		data->approximate ? " $\\approx$: the layer's graph is approximate (Table~\\ref{tab:recall}); a "
				    "missed neighbour breaks a run."
				  : "");
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

/* ---- recall -------------------------------------------------------------------------------------------------- */

static void put_recall_cell(const kith_stack *s, size_t layer, size_t nnts, FILE *out)
{
	kith_layer_recall r = kith_layer_recall_at(s, layer, nnts);
	char text[KITH_RECALL_TEXT];
	if (kith_layer_is_exact(&s->layers[layer])) {
		fputs(" & 1", out);
		return;
	}
	fputs(" & ", out);
	kith_put_latex(out, kith_layer_recall_text(&r, text));
}

/* If there is an approximate layer. */
static void put_recall(const kith_report_data *data, FILE *out)
{
	const kith_stack *s = data->stack;
	if (!data->approximate)
		return;
	fputs("\n\\begin{table}\n\\centering\n\\caption{Recall: the part of the true $k$ nearest neighbours that each "
	      "layer's graph has, and its 95\\,\\% confidence interval; 1: the graph is exact.}\n\\label{tab:recall}\n"
	      "\\smallskip\n\\footnotesize\n\\begin{tabular}{@{}l",
	      out);
	for (size_t i = 0; i < s->nnts_count; i++)
		putc('r', out);
	fputs("}\n\\toprule\n", out);
	for (size_t i = 0; i < s->nnts_count; i++)
		fprintf(out, " & $k = %" PRIu32 "$", s->nnts[i].k);
	fputs(" \\\\\n\\midrule\n", out);
	for (size_t v = 0; v < s->layer_count; v++) {
		put_layer(out, &s->layers[v]);
		for (size_t i = 0; i < s->nnts_count; i++)
			put_recall_cell(s, v, i, out);
		fputs(" \\\\\n", out);
	}
	fputs("\\bottomrule\n\\end{tabular}\n\\end{table}\n", out);
}

/* ---- layer dynamics ------------------------------------------------------------------------------------------ */

static void put_value(const kith_report_data *data, const kith_column *c, size_t layer, FILE *out)
{
	char text[32];
	fputs(" & ", out);
	if (!kith_column_shows(c, layer))
		return;
	if (c->values.counts)
		kith_count_text(c->values.counts[layer], kith_unit_of(data, c->measure), text, sizeof text);
	else if (c->measure->kind == KITH_ERROR)
		snprintf(text, sizeof text, "%.3g",
			 c->values.ratios[layer] / (double)(c->measure->unit ? kith_unit_of(data, c->measure) : 1));
	else
		snprintf(text, sizeof text, "%.3f", c->values.ratios[layer]);
	put_number(out, text);
}

static int is_of_pairs(const kith_column *c)
{
	return c->values.counts && !strcmp(c->measure->unit, "pairs");
}

/* Joins the columns' sentences: those of pairs in one list, then each of the others. */
static void put_sentences(const kith_column *columns, size_t count, FILE *out)
{
	size_t left = 0, first = 1;
	for (size_t c = 0; c < count; c++)
		left += (size_t)is_of_pairs(&columns[c]);
	for (size_t c = 0; c < count; c++)
		if (is_of_pairs(&columns[c])) {
			fprintf(out, "%s%s", first ? "" : left > 1 ? ", " : ", and ", columns[c].measure->sentence);
			first = 0;
			left--;
		}
	for (size_t c = 0; c < count; c++)
		if (!is_of_pairs(&columns[c]))
			fprintf(out, "; and %s", columns[c].measure->sentence);
}

static void put_dynamics(const kith_report_data *data, const kith_entry *e, FILE *out)
{
	kith_column columns[KITH_MAX_COLUMNS];
	size_t count = kith_columns_of(e, columns);
	char stem[96];
	kith_dynamics_stem("dynamics", e->dynamics, stem, sizeof stem);
	fprintf(out,
		"\n\\begin{table}\n\\centering\n\\caption{Layer dynamics, $k = %" PRIu32
		"$, %s graph: %s of pairs that ",
		e->nntp->k, kith_graph_kind_name(e->nntp->graph), data->unit == 1000 ? "thousands" : "numbers");
	put_sentences(columns, count, out);
	fprintf(out, ".}\n\\label{tab:%s}\n\\smallskip\n\\footnotesize\n\\begin{tabular}{@{}l", stem);
	for (size_t c = 0; c < count; c++)
		putc('r', out);
	fputs("}\n\\toprule\n", out);
	for (size_t c = 0; c < count; c++) /* a ratio goes by its name, which is narrower than its title */
		if (columns[c].measure->kind == KITH_ERROR)
			fprintf(out, " & $\\pm$ %.*s", (int)strcspn(columns[c].measure->name, "_"),
				columns[c].measure->name);
		else
			fprintf(out, " & %s",
				columns[c].values.counts ? columns[c].measure->title : columns[c].measure->name);
	fputs(" \\\\\n\\midrule\n", out);
	for (size_t v = 0; v < e->layers; v++) {
		put_layer(out, &data->stack->layers[v]);
		for (size_t c = 0; c < count; c++)
			put_value(data, &columns[c], v, out);
		fputs(" \\\\\n", out);
	}
	fputs("\\bottomrule\n\\end{tabular}\n\\end{table}\n", out);
}

/* NNTS of two networks' layers, the best match of each row in bold, with its family-wise p if there is one. */
static void put_networks(const kith_report_data *data, const kith_nnts *t, FILE *out)
{
	const kith_stack *s = data->stack;
	fprintf(out, "\n\\begin{table}\n\\centering\n\\begin{tabular}{l*{%zu}{r}%s}\n\\toprule\n",
		s->layer_count - s->rows, s->relabellings ? "r" : "");
	for (size_t b = s->rows; b < s->layer_count; b++) {
		fputs(" & ", out);
		put_layer(out, &s->layers[b]);
	}
	fputs(s->relabellings ? " & $p$ \\\\\n\\midrule\n" : " \\\\\n\\midrule\n", out);
	for (size_t a = 0; a < s->rows; a++) {
		size_t best = kith_best_match(s, t, a);
		put_layer(out, &s->layers[a]);
		for (size_t b = s->rows; b < s->layer_count; b++)
			fprintf(out, b == best ? " & \\textbf{%.3f}" : " & %.3f", t->mean[a * s->layer_count + b]);
		if (s->relabellings)
			fprintf(out, " & %.3f", t->null_family_p[a * s->layer_count + best]);
		fputs(" \\\\\n", out);
	}
	fprintf(out,
		"\\bottomrule\n\\end{tabular}\n\\caption{NNTS of the layers of two networks (rows, columns), $k = "
		"%" PRIu32 "$; the best match of each row in bold%s.}\n\\end{table}\n",
		t->k, s->relabellings ? ", with its family-wise $p$" : "");
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
	for (size_t i = 0; data->stack->rows && i < data->stack->nnts_count; i++)
		put_networks(data, &data->stack->nnts[i], out);
	for (size_t i = 0; i < data->stack->nntp_count; i++)
		put_table(data, &data->stack->nntp[i], out);
	put_recall(data, out);
	for (size_t i = 0; i < data->entry_count; i++)
		if (data->entries[i].dynamics)
			put_dynamics(data, &data->entries[i], out);
}
