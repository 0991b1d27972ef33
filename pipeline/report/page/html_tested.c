/* html_tested.c - see html_tested.h */
#include "html_tested.h"

#include <inttypes.h>
#include <math.h>

#include "html_table.h"

#define NAMED 12 /* pairs of layers that are named, at most */

/* ---- the null distribution ----------------------------------------------------------------------------------- */

/* Whether a pair of layers is one that the greatest is taken of; each pair once. */
static int is_tested(const kith_stack *s, const kith_nnts *t, size_t a, size_t b)
{
	return b > a && !isnan(t->null_family_p[a * s->layer_count + b]);
}

/* "I and C0 (p = 0.075)", of those that chance may have made. */
static void put_doubtful(const kith_report_data *d, const kith_nnts *t, FILE *out)
{
	size_t L = d->stack->layer_count, found = 0;
	for (size_t a = 0; a < L; a++)
		for (size_t b = a + 1; b < L; b++) {
			double p = t->null_family_p[a * L + b];
			if (!is_tested(d->stack, t, a, b) || p <= 0.05 || found++ >= NAMED)
				continue;
			fprintf(out, "%s%s and %s (p&nbsp;=&nbsp;%.3f)", found == 1 ? " Not so: " : ", ", d->html[a],
				d->html[b], p);
		}
	if (found > NAMED)
		fprintf(out, " and %zu more", found - NAMED);
	fputs(found ? "." : "", out);
}

static void put_tested_k(const kith_report_data *d, const kith_nnts *t, FILE *out)
{
	size_t L = d->stack->layer_count, pairs = 0, sure = 0;
	for (size_t a = 0; a < L; a++)
		for (size_t b = a + 1; b < L; b++)
			if (is_tested(d->stack, t, a, b)) {
				pairs++;
				sure += t->null_family_p[a * L + b] <= 0.05;
			}
	fprintf(out,
		"<li>k&nbsp;=&nbsp;%" PRIu32 ": chance makes NNTS %.3g; the greatest of all pairs of layers is %.3g on "
		"average, ",
		t->k, kith_nnts_expected(d->stack->n, t->k), *t->null_max_mean);
	if (isnan(*t->null_max_q95))
		fputs("and no threshold can be told from so few relabellings.", out);
	else
		fprintf(out, "and %.3g or less in 95&#8239;%% of relabellings.", *t->null_max_q95);
	fprintf(out, " <b>%zu of %zu pairs are more than that (p&nbsp;&#8804;&nbsp;0.05, family-wise).</b>", sure,
		pairs);
	put_doubtful(d, t, out);
	fputs("</li>\n", out);
}

void kith_html_tested(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	if (!s->relabellings || s->layer_count < 2)
		return;
	fprintf(out,
		"<h2 id=\"null\">Is it more than chance?</h2>\n<p>The samples of every layer were relabelled at "
		"random, "
		"%" PRIu32
		" times, each layer for itself: what two graphs then have in common is chance, with their own "
		"hubs and clusters kept (a permutation test). p is (1 + relabellings that come to as much) / %llu, at "
		"least %.2g; family-wise p counts the greatest of all pairs of layers%s instead, so that all pairs can "
		"be read together.%s</p>\n<ul>\n",
		s->relabellings, s->relabellings + 1ull, 1 / (s->relabellings + 1.0),
		s->rows ? ", one of each network," : "",
		d->approximate ? " Of approximate graphs, it is these that are tested, not the exact ones." : "");
	for (size_t i = 0; i < s->nnts_count; i++)
		put_tested_k(d, &s->nnts[i], out);
	fputs("</ul>\n", out);
}

/* ---- two networks -------------------------------------------------------------------------------------------- */

static void put_network_row(const kith_report_data *d, const kith_nnts *t, size_t a, FILE *out)
{
	const kith_stack *s = d->stack;
	size_t best = kith_best_match(s, t, a);
	kith_html_open_row(d, out, a);
	for (size_t b = s->rows; b < s->layer_count; b++) {
		double x = t->mean[a * s->layer_count + b];
		kith_html_open_cell(out, x);
		fprintf(out, b == best ? "<b>%.3f</b></td>" : "%.3f</td>", x);
	}
	fprintf(out, "<td class=\"left\">%s", d->html[best]);
	if (s->relabellings)
		fprintf(out, ", p&nbsp;=&nbsp;%.3f", t->null_family_p[a * s->layer_count + best]);
	fputs("</td></tr>\n", out);
}

static void put_network_table(const kith_report_data *d, const kith_nnts *t, FILE *out)
{
	const kith_stack *s = d->stack;
	fprintf(out,
		"<div class=\"scroll\" tabindex=\"0\">\n<table class=\"m\"><caption>NNTS of the two networks&#8217; "
		"layers, k = %" PRIu32 "</caption>\n<thead><tr><td></td>",
		t->k);
	for (size_t b = s->rows; b < s->layer_count; b++)
		fprintf(out, "<th scope=\"col\">%s</th>", d->html[b]);
	fputs("<th scope=\"col\" class=\"left\">best match</th></tr></thead>\n<tbody>\n", out);
	for (size_t a = 0; a < s->rows; a++)
		put_network_row(d, t, a, out);
	fputs("</tbody></table></div>\n", out);
}

static void put_match(const kith_report_data *d, const kith_match *m, FILE *out)
{
	char kept[KITH_HTML_COUNT], lost[KITH_HTML_COUNT], gained[KITH_HTML_COUNT];
	fprintf(out,
		"<div class=\"scroll\" tabindex=\"0\">\n<table class=\"p\"><caption>Pairs in layers of one name, k = "
		"%" PRIu32
		", %s graph</caption>\n<thead><tr><th class=\"left\">first</th><th class=\"left\">second</th>"
		"<th>kept</th><th>lost</th><th>gained</th><th>share kept</th></tr></thead>\n<tbody>\n",
		m->k, kith_graph_kind_name(m->graph));
	for (size_t i = 0; i < m->count; i++) {
		uint64_t either = m->kept[i] + m->lost[i] + m->gained[i];
		fprintf(out,
			"<tr><th scope=\"row\" class=\"left\">%s</th><td class=\"left\">%s</td><td>%s</td><td>%s</td>"
			"<td>%s</td>",
			d->html[m->row[i]], d->html[m->column[i]], kith_html_count(m->kept[i], 1, kept),
			kith_html_count(m->lost[i], 1, lost), kith_html_count(m->gained[i], 1, gained));
		if (either)
			fprintf(out, "<td>%.3f</td></tr>\n", (double)m->kept[i] / (double)either);
		else
			fputs("<td></td></tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

void kith_html_networks(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	if (!s->rows)
		return;
	fputs("<h2 id=\"networks\">Two networks</h2>\n<p>Rows are the layers of the first network, columns those of "
	      "the "
	      "second, which are marked &#8242; on this page; the best match of each row is bold. Persistence (NNTP) "
	      "has "
	      "no meaning between networks and is left out.</p>\n",
	      out);
	for (size_t i = 0; i < s->nnts_count; i++)
		put_network_table(d, &s->nnts[i], out);
	for (size_t i = 0; i < s->match_count; i++)
		put_match(d, &s->matches[i], out);
}
