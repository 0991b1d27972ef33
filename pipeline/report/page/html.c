/* html.c - the report as one page that needs nothing else: no network, no scripts, no fonts of its own. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "html_table.h"
#include "report_parts.h"
#include "text.h"

#define OPEN_TABLES 4 /* so many NNTP tables stand open, alpha = 0 first; the others fold away */

static const char style[] =
	":root{--ink:#1c1c1c;--soft:#5a5a5a;--rule:#d4d4d4;--paper:#fff;--card:#f6f6f4;--warn:#fdf1d8;--link:#0b5394;"
	"--shade:33,113,181;--on:#fff;color-scheme:light dark}\n"
	"@media(prefers-color-scheme:dark){:root{--ink:#e6e6e3;--soft:#a5a5a0;--rule:#43433f;--paper:#191918;"
	"--card:#242422;--warn:#40341a;--link:#8ab8e6;--shade:122,180,236;--on:#0d1a26}}\n"
	"*{box-sizing:border-box}\n"
	"html{-webkit-text-size-adjust:100%}\n"
	"body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.55 Charter,'Bitstream Charter','Iowan Old "
	"Style','Palatino Linotype',Palatino,Georgia,serif}\n"
	"main{max-width:68rem;margin:0 auto;padding:3rem 1.25rem 4rem}\n"
	"h1,h2,h3,p,dl,.note{max-width:44rem}\n"
	"h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem;font-weight:600}\n"
	"h2{font-size:1.35rem;line-height:1.3;margin:3rem 0 .6rem;font-weight:600}\n"
	"h3{font-size:1.1rem;line-height:1.3;margin:2.2rem 0 .5rem;font-weight:600}\n"
	"p{margin:0 0 1rem}\n"
	"a{color:var(--link)}\n"
	"code{font:.82em/1.5 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;overflow-wrap:anywhere}\n"
	"figure{margin:1.5rem 0}\n"
	"figcaption,caption,.soft{color:var(--soft);font-size:.9rem;line-height:1.45}\n"
	"figcaption{max-width:44rem;margin-top:.6rem}\n"
	".card{background:#fff;border:1px solid var(--rule);border-radius:4px;padding:.5rem;overflow-x:auto}\n"
	".card svg{display:block;height:auto;margin:0 auto;max-width:max(100%,34rem)}\n"
	".scroll{overflow-x:auto;margin:1.2rem 0}\n"
	"table{border-collapse:collapse;font:.8rem/1.3 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',"
	"'DejaVu Sans',Arial,sans-serif;font-variant-numeric:tabular-nums}\n"
	"caption{text-align:left;padding:0 0 .5rem;font:600 .9rem/1.45 Charter,'Bitstream Charter',Georgia,serif;"
	"color:var(--ink);white-space:nowrap}\n"
	".scroll{margin-top:.4rem}\n"
	"p.soft{margin-top:1.8rem}\n"
	"sub,sup{line-height:0}\n"
	"caption b{color:var(--ink)}\n"
	"th,td{padding:.32rem .45rem;text-align:right;white-space:nowrap}\n"
	"th{font-weight:600}\n"
	"thead tr>*{border-bottom:1px solid var(--ink);vertical-align:bottom}\n"
	"thead tr:first-child>*{border-top:2px solid var(--ink)}\n"
	"tbody tr:last-child>*{border-bottom:1px solid var(--ink)}\n"
	"table.m tbody th,table.m tfoot th,.left{text-align:left}\n"
	"table.m tbody th{position:sticky;left:0;background:var(--paper);max-width:22rem;overflow:hidden;"
	"text-overflow:ellipsis}\n"
	"@media(max-width:48rem){table.m tbody th{max-width:8rem}}\n"
	"table.m tbody td{min-width:2.9rem;background:rgba(var(--shade),var(--s,0))}\n"
	"table.m td.w{color:var(--on)}\n"
	"table.m tfoot>tr>*{border-bottom:2px solid var(--ink);font-weight:400}\n"
	"table.t th>span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:17rem;overflow:hidden;"
	"text-overflow:ellipsis}\n"
	"table.p td.path{white-space:normal;min-width:9rem}\n"
	"table.p tr.approx td,table.p tr.approx th{background:var(--warn)}\n"
	"tbody:last-child tr:last-child>*{border-bottom-width:2px}\n"
	".warn{background:var(--warn);padding:.7rem 1rem;border-radius:4px}\n"
	"details{margin:.8rem 0;border-left:3px solid var(--rule);padding-left:.9rem}\n"
	"summary{cursor:pointer}\n"
	"dt{font-weight:600}dd{margin:0 0 .9rem}\n"
	"ol.cmd{padding-left:2rem;max-width:none}\n"
	"footer{margin-top:3rem;border-top:1px solid var(--rule);padding-top:.8rem}\n"
	"math{font-size:1.05em}\n"
	"@media "
	"print{body{font-size:10pt}main{max-width:none;padding:0}h2,h3{break-after:avoid}figure,tr,.scroll{break-"
	"inside:"
	"avoid}tfoot{display:table-row-group}"
	".scroll,.card{overflow:visible}td{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
	"details::details-content{content-visibility:visible;height:auto}}\n";

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

/* The steps of the network that keep most and fewest neighbours, at the smallest k. */
static void put_nnts_finding(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	const kith_nnts *t = &s->nnts[0];
	size_t L = s->layer_count, most = 0, least = 0;
	if (L < 3)
		return;
#define STEP(v) t->mean[(v)*L + (v) + 1]
	for (size_t v = 0; v + 1 < L; v++) {
		most = STEP(v) > STEP(most) ? v : most;
		least = STEP(v) < STEP(least) ? v : least;
	}
	if (STEP(most) == STEP(least))
		return;
	fprintf(out, " From one layer to the next, neighbourhoods change least from <b>");
	kith_put_html(out, d->labels[most]);
	fputs("</b> to <b>", out);
	kith_put_html(out, d->labels[most + 1]);
	fprintf(out, "</b> (NNTS %.2f at k&nbsp;=&nbsp;%" PRIu32 ") and most from <b>", STEP(most), t->k);
	kith_put_html(out, d->labels[least]);
	fputs("</b> to <b>", out);
	kith_put_html(out, d->labels[least + 1]);
	fprintf(out, "</b> (%.2f).", STEP(least));
#undef STEP
}

static void put_summary(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	char n[32];
	kith_grouped(s->n, n, sizeof n);
	fprintf(out, "<p><b>%s samples, %zu layer%s", n, s->layer_count, plural(s->layer_count));
	if (s->layer_count > 1) {
		fputs(" from ", out);
		kith_put_html(out, d->labels[0]);
		fputs(" to ", out);
		kith_put_html(out, d->labels[s->layer_count - 1]);
	}
	fputs(".</b> In every layer each sample was joined with its ", out);
	put_k_list(out, s);
	fputs(" nearest neighbours; this page shows which of them stay neighbours, layer by layer.", out);
	put_nnts_finding(d, out);
	fputs("</p>\n", out);
}

static void put_warning(const kith_report_data *d, FILE *out)
{
	int first = 1;
	if (!d->approximate)
		return;
	fputs("<p class=\"warn\"><b>Approximate.</b> These layers&#8217; graphs were not built exactly, and everything "
	      "that involves them is an estimate; they are marked " KITH_APPROX_MARK ": ",
	      out);
	for (size_t v = 0; v < d->stack->layer_count; v++) {
		const kith_layer *layer = &d->stack->layers[v];
		if (layer->recall >= 1)
			continue;
		fputs(first ? "" : ", ", out);
		kith_put_html(out, layer->name);
		fprintf(out, " (recall %.4g)", layer->recall);
		first = 0;
	}
	fputs(".</p>\n", out);
}

/* ---- NNTP ---------------------------------------------------------------------------------------------------- */

/* What the numbers of this very table say: its first and its last corner, in words. */
static void put_nntp_reading(const kith_report_data *d, const kith_nntp *p, FILE *out)
{
	size_t L = d->stack->layer_count;
	const char *unit = d->unit == 1000 ? " thousand" : "";
	fputs("A pair of samples is present in a layer if ", out);
	fputs(p->graph == KITH_UNION ? "either is" : "each is", out);
	fprintf(out,
		" among the other&#8217;s %" PRIu32 " nearest. Each cell counts the runs that begin in the row&#8217;s "
		"layer and end in the column&#8217;s",
		p->k);
	if (p->alpha)
		fprintf(out, ", gaps of up to %" PRIu32 " layer%s allowed", p->alpha, plural(p->alpha));
	fputs(d->unit == 1000 ? ", in thousands, to three significant digits" : "", out);
	fputs("; shading follows the square root of the count.", out);
	if (L < 2)
		return;
	fputs(" Of the ", out);
	kith_html_count(out, p->pairs[0], d->unit);
	fprintf(out, "%s pairs present in ", unit);
	kith_put_html(out, d->labels[0]);
	fputs(", ", out);
	kith_html_count(out, p->count[0], d->unit);
	fprintf(out, "%s are gone in the next layer%s, and ", unit,
		p->alpha ? " and do not return within such a gap" : "");
	kith_html_count(out, p->count[L - 1], d->unit);
	fprintf(out, "%s last%s to ", unit, p->alpha ? ", with such gaps," : "");
	kith_put_html(out, d->labels[L - 1]);
	fputs(".", out);
}

static void put_nntp_title(const kith_nntp *p, FILE *out)
{
	fprintf(out, "k = %" PRIu32 ", %s graph, &#945; = %" PRIu32, p->k, kith_graph_kind_name(p->graph), p->alpha);
}

static void put_nntp_table(const kith_report_data *d, const kith_nntp *p, FILE *out)
{
	size_t L = d->stack->layer_count;
	uint64_t most = kith_nntp_largest(p, L);
	char stem[96];
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
			if (b < a) {
				fputs("<td></td>", out);
				continue;
			}
			kith_html_open_cell(out, kith_count_shade(p->count[a * L + b], most));
			kith_html_count(out, p->count[a * L + b], d->unit);
			fputs("</td>", out);
		}
		fputs("</tr>\n", out);
	}
	fputs("</tbody>\n<tfoot><tr><th scope=\"row\">pairs present</th>", out);
	for (size_t v = 0; v < L; v++) {
		fputs("<td>", out);
		kith_html_count(out, p->pairs[v], d->unit);
		fputs("</td>", out);
	}
	fputs("</tr></tfoot></table></div>\n", out);
}

static int put_nntp_figure(const kith_report_data *d, const kith_nntp *p, FILE *out, kith_err *err)
{
	char stem[96];
	int status;
	kith_nntp_stem(p, stem, sizeof stem);
	fputs("<figure>\n<div class=\"card\" tabindex=\"0\">", out);
	status = kith_figure_nntp(d, p, out, KITH_SVG_INLINE, stem, err);
	fputs("</div>\n<figcaption><b>NNTP, ", out);
	put_nntp_title(p, out);
	fputs(".</b> ", out);
	put_nntp_reading(d, p, out);
	fputs(" The numbers are in the CSV files (<code>--csv</code>).</figcaption></figure>\n", out);
	return status;
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

static void put_nnts_tables(const kith_report_data *d, const kith_nnts *t, FILE *out)
{
	double expected = kith_nnts_expected(d->stack->n, t->k);
	char caption[96];
	snprintf(caption, sizeof caption, "NNTS, k = %" PRIu32, t->k);
	kith_html_ratios(d, caption, t->mean, 0, 0, out);
	if (expected < 1) {
		snprintf(caption, sizeof caption, "NNTS corrected for chance, k = %" PRIu32, t->k);
		kith_html_ratios(d, caption, t->mean, expected, 0, out);
	}
	if (t->overlap) {
		snprintf(caption, sizeof caption, "Overlap, k = %" PRIu32, t->k);
		kith_html_ratios(d, caption, t->overlap, 0, 0, out);
	}
}

static int put_nnts_section(const kith_report_data *d, FILE *out, kith_err *err)
{
	const kith_stack *s = d->stack;
	double worst = 0;
	int status;
	for (size_t i = 0; i < s->nnts_count; i++)
		for (size_t j = 0; j < s->layer_count * s->layer_count; j++)
			worst = fmax(worst, s->nnts[i].std_err[j]);
	fputs("<h2 id=\"nnts\">Similarity between layers (NNTS)</h2>\n<figure>\n<div class=\"card\" "
	      "tabindex=\"0\">",
	      out);
	status = kith_figure_nnts(d, out, KITH_SVG_INLINE, "nnts", err);
	fprintf(out,
		"</div>\n<figcaption>The share of neighbours that two layers have in common, averaged over all "
		"samples: 1 "
		"means that every sample has the same k nearest neighbours in both, 0 that none has one in common. "
		"Layers "
		"run in causal order, downwards and to the right. The largest standard error is %.2g. Chance alone "
		"gives ",
		worst);
	put_chances(s, out);
	fputs(".</figcaption></figure>\n", out);
	if (s->layer_count > KITH_TABLE_LAYERS)
		return status;
	fputs("<details><summary>The same as numbers; corrected for chance; and as overlap</summary>\n", out);
	for (size_t i = 0; i < s->nnts_count; i++)
		put_nnts_tables(d, &s->nnts[i], out);
	fputs("</details>\n", out);
	return status;
}

static int put_nntp(const kith_report_data *d, const kith_nntp *p, FILE *out, kith_err *err)
{
	if (d->stack->layer_count > KITH_TABLE_LAYERS)
		return put_nntp_figure(d, p, out, err);
	put_nntp_table(d, p, out);
	return 0;
}

/* alpha = 0 on the first graph of each k, as in the paper, stands open; what else there is folds away. */
static int put_nntp_section(const kith_report_data *d, FILE *out, kith_err *err)
{
	const kith_stack *s = d->stack;
	size_t open = 0;
	int status = 0;
	fputs("<h2 id=\"nntp\">Persistence of neighbours (NNTP)</h2>\n", out);
	for (size_t i = 0; i < s->nntp_count && !status; i++) {
		const kith_nntp *p = &s->nntp[i];
		int first_of_k = i == 0 || p[-1].k != p->k;
		if (s->nntp_count <= 2 || (first_of_k && open < OPEN_TABLES)) {
			status = put_nntp(d, p, out, err);
			open++;
			continue;
		}
		fputs("<details><summary>", out);
		put_nntp_title(p, out);
		fputs("</summary>\n", out);
		status = put_nntp(d, p, out, err);
		fputs("</details>\n", out);
	}
	return status;
}

static void put_definitions(FILE *out)
{
	fputs("<h2 id=\"definitions\">Definitions</h2>\n<dl>\n"
	      "<dt>Neighbours</dt><dd>K<sub>i</sub><sup>v</sup>(k): the k samples nearest to sample i in layer v, i "
	      "itself "
	      "excluded, ties broken by sample index. Pairs of samples are present in a layer on the <em>union</em> "
	      "graph if "
	      "either is a neighbour of the other, on the <em>mutual</em> graph if both are.</dd>\n"
	      "<dt>Nearest Neighbour Topological Similarity</dt><dd>NNTS(a,&nbsp;b;&nbsp;k) = "
	      "(1/n)&nbsp;&#931;<sub>i</sub> "
	      "|K<sub>i</sub><sup>a</sup>&nbsp;&#8745;&nbsp;K<sub>i</sub><sup>b</sup>| / "
	      "|K<sub>i</sub><sup>a</sup>&nbsp;&#8746;&nbsp;K<sub>i</sub><sup>b</sup>|, over the n samples (equations "
	      "1 and "
	      "2 of the paper). Its standard error is that of a mean over samples, which is what the delete-one "
	      "jackknife gives.</dd>\n"
	      "<dt>Chance</dt><dd>E, the NNTS expected of k neighbours drawn at random: |K<sup>a</sup> &#8745; "
	      "K<sup>b</sup>| is hypergeometric then (n &#8722; 1 others, k of them marked, k drawn). Corrected for "
	      "chance: (NNTS &#8722; E) / (1 &#8722; E), which is 0 for random neighbours and 1 for equal ones; its "
	      "standard error is that of NNTS over 1 &#8722; E. At k = n &#8722; 1 there is nothing to "
	      "correct.</dd>\n"
	      "<dt>Overlap</dt><dd>(1/n)&nbsp;&#931;<sub>i</sub> "
	      "|K<sub>i</sub><sup>a</sup>&nbsp;&#8745;&nbsp;K<sub>i</sub><sup>b</sup>| / k, the convention of the "
	      "literature on neighbourhood overlap (Doimo et al., 2020); chance gives k / (n &#8722; 1).</dd>\n"
	      "<dt>Nearest Neighbour Topological Persistence</dt><dd>An &#945;-run of a pair is a maximal chain of "
	      "layers "
	      "that starts and ends with a layer where the pair is present and in which no more than &#945; contiguous "
	      "layers lack it. NNTP(&#945;,&nbsp;k)[a][b] counts the &#945;-runs, over all pairs, whose first layer is "
	      "a "
	      "and whose last is b. A pair that returns after a longer absence begins a new run. &#945;&nbsp;=&nbsp;0 "
	      "is "
	      "the paper&#8217;s Table&nbsp;1.</dd>\n"
	      "<dt>Layer dynamics</dt><dd>Runs are those of &#945;&nbsp;=&nbsp;0. A pair is born in the first layer of "
	      "a run and dies in the last; what is present in the last layer of all counts as dying there. It returns "
	      "after a gap of g layers if just g layers in between lack it.</dd>\n"
	      "<dt>Removal score</dt><dd>|P&nbsp;&#8745;&nbsp;Q| / |P&nbsp;&#8746;&nbsp;Q| of the pairs P present in "
	      "the layer before and those Q present in this one. Near 1, the layer hardly changes who is whose "
	      "neighbour, and could perhaps be removed; the first layer has no score. The paper calls C2 and R2 of its "
	      "LeNet-5 candidates for removal, because they add long-lived pairs and let most others through. The "
	      "score also asks how much is left of what was there before, and from the paper&#8217;s own Table&nbsp;1 "
	      "these two score lowest, 0.05 and 0.08.</dd>\n</dl>\n"
	      "<p>A. Hryniowski and A. Wong, <cite>Inter-layer Information Similarity Assessment of Deep Neural "
	      "Networks Via "
	      "Topological Similarity and Persistence Analysis of Data Neighbour Dynamics</cite>, 2020, "
	      "<a href=\"https://arxiv.org/abs/2012.03793\">arXiv:2012.03793</a>.</p>\n",
	      out);
}

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
	fprintf(out, "<tr%s><td>%zu</td><th scope=\"row\" class=\"left\">",
		layer->recall < 1 ? " class=\"approx\"" : "", v);
	kith_put_html(out, d->labels[v]);
	fprintf(out, "</th><td>%s</td>", dim);
	put_text_cell(out, layer->metric, 0);
	put_text_cell(out, layer->engine, 0);
	if (layer->recall < 1)
		fprintf(out, "<td>" KITH_APPROX_MARK "&nbsp;%.4g</td>", layer->recall);
	else
		fputs("<td>1</td>", out);
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
	fputs("<h2 id=\"provenance\">Provenance</h2>\n<div class=\"scroll\" tabindex=\"0\">\n<table class=\"p\">"
	      "<caption>Layers in causal order. Recall 1: the graph is exact. The digest is that of the "
	      "activations file.</caption>\n<thead><tr><th scope=\"col\">#</th><th scope=\"col\" "
	      "class=\"left\">layer"
	      "</th><th scope=\"col\">dim</th><th scope=\"col\" class=\"left\">metric</th><th scope=\"col\" "
	      "class=\"left\">"
	      "engine</th><th scope=\"col\">recall</th><th scope=\"col\" class=\"left\">input</th><th scope=\"col\" "
	      "class=\"left\">digest</th></tr></thead>\n<tbody>\n",
	      out);
	for (size_t v = 0; v < d->stack->layer_count; v++)
		put_provenance_row(d, v, out);
	fputs("</tbody></table></div>\n", out);
	put_commands(d, out);
}

int kith_report_html(const kith_report_data *data, FILE *out, kith_err *err)
{
	int status;
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
	      "content=\"width=device-width, initial-scale=1\">\n<meta name=\"generator\" "
	      "content=\"kith-report " KITH_VERSION
	      "\">\n<title>Which samples stay neighbours, layer by layer</title>\n<style>\n",
	      out);
	fputs(style, out);
	fputs("</style>\n</head>\n<body>\n<main>\n<h1>Which samples stay neighbours, layer by layer</h1>\n", out);
	put_summary(data, out);
	put_warning(data, out);
	status = put_nnts_section(data, out, err);
	if (!status)
		status = put_nntp_section(data, out, err);
	if (!status)
		status = kith_html_dynamics(data, out, err);
	put_definitions(out);
	put_provenance(data, out);
	fputs("<footer class=\"soft\">Made by kith-report " KITH_VERSION ".</footer>\n</main>\n</body>\n</html>\n",
	      out);
	return status;
}
