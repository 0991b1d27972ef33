/* html_approximate.c - see html_approximate.h */
#include "html_approximate.h"

#include <inttypes.h>
#include <math.h>

#include "approximate.h"
#include "html_table.h"
#include "text.h"

static int is_exact(const kith_report_data *d, size_t v)
{
	return kith_layer_is_exact(&d->stack->layers[v]);
}

void kith_html_warning(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	char text[KITH_RECALL_TEXT];
	int first = 1;
	if (!d->approximate)
		return;
	fputs("<p class=\"warn\"><b>Approximate.</b> These layers&#8217; graphs lack some of the true neighbours, and "
	      "everything that involves them is an estimate; they are marked " KITH_APPROX_MARK
	      ". Recall is the part that they have, with its 95&nbsp;% confidence interval: ",
	      out);
	for (size_t v = 0; v < s->layer_count; v++) {
		kith_layer_recall r = kith_layer_recall_lowest(s, v);
		if (is_exact(d, v))
			continue;
		fputs(first ? "" : ", ", out);
		kith_put_html(out, s->layers[v].name);
		fprintf(out, ": recall %s", kith_layer_recall_text(&r, text));
		if (s->nnts_count > 1)
			fprintf(out, " at k&nbsp;=&nbsp;%" PRIu32, r.k);
		first = 0;
	}
	fputs(".</p>\n", out);
}

void kith_html_ties(const kith_report_data *d, FILE *out)
{
	const kith_stack *s = d->stack;
	char text[KITH_TIES_TEXT];
	int any = 0;
	for (size_t v = 0; v < s->layer_count; v++) {
		if (!kith_layer_ties(s, v, text))
			continue;
		fputs(any++ ? "; "
			    : "<p class=\"warn\"><b>Ties.</b> In these layers many samples have further ones exactly "
			      "as "
			      "far as their last neighbour, so which of them are neighbours is a matter of the tie "
			      "rule, not of the network: what NNTS and NNTP find there is the mean over all ways to "
			      "break the ties, or with ties by index too much. ",
		      out);
		fprintf(out, "<b>%s</b>, by %s, %s", d->html[v], kith_ties_name(s->layers[v].ties), text);
	}
	fputs(any ? ".</p>\n" : "", out);
}

/* ---- NNTS ---------------------------------------------------------------------------------------------------- */

typedef struct spread {
	double off, error;
	size_t known, unknown; /* pairs of layers, one approximate at least */
} spread;

static void add_spread(const kith_report_data *d, const kith_nnts *t, spread *to)
{
	size_t L = d->stack->layer_count;
	for (size_t a = 0; a < L; a++)
		for (size_t b = a + 1; b < L; b++) {
			size_t ab = a * L + b;
			if (is_exact(d, a) && is_exact(d, b))
				continue;
			if (!t->estimate || !t->estimate_err || isnan(t->estimate[ab])) {
				to->unknown++;
				continue;
			}
			to->known++;
			to->off = fmax(to->off, fabs(t->estimate[ab] - t->mean[ab]));
			to->error = fmax(to->error, t->estimate_err[ab]);
		}
}

void kith_html_estimates(const kith_report_data *d, FILE *out)
{
	spread all = {0};
	if (!d->approximate)
		return;
	for (size_t i = 0; i < d->stack->nnts_count; i++)
		add_spread(d, &d->stack->nnts[i], &all);
	fputs(" Where a layer is marked " KITH_APPROX_MARK ", this is NNTS of the graphs as they are, which is mostly "
	      "lower than that of the exact graphs.",
	      out);
	if (all.known)
		fprintf(out,
			" The audits, exact neighbours of the same samples in both layers, give an estimate of the "
			"latter: "
			"it differs by up to %.2g, and its standard error is up to %.2g (%s).",
			all.off, all.error,
			d->stack->layer_count > KITH_TABLE_LAYERS ? "the numbers are in the CSV files"
								  : "the numbers are below");
	if (all.unknown)
		fputs(all.known ? " Of some pairs of layers there is no estimate."
				: " Without audits of the same samples in both layers there is no estimate of the "
				  "latter.",
		      out);
}

/* ---- NNTP ---------------------------------------------------------------------------------------------------- */

/* Returns 0 if the stack has no NNTS at this table's k. */
static int find_k(const kith_report_data *d, const kith_nntp *p, size_t *nnts)
{
	for (size_t i = 0; i < d->stack->nnts_count; i++)
		if (d->stack->nnts[i].k == p->k) {
			*nnts = i;
			return 1;
		}
	return 0;
}

/* What is not known may be the worst. */
static int is_worse(double recall, double than)
{
	return isnan(recall) ? !isnan(than) : recall < than;
}

void kith_html_nntp_caution(const kith_report_data *d, const kith_nntp *p, FILE *out)
{
	const kith_stack *s = d->stack;
	kith_layer_recall lowest = {.recall = 2};
	char text[KITH_RECALL_TEXT];
	size_t nnts, at = 0;
	if (!d->approximate || !find_k(d, p, &nnts))
		return;
	for (size_t v = 0; v < s->layer_count; v++) {
		kith_layer_recall r = kith_layer_recall_at(s, v, nnts);
		if (is_exact(d, v) || !is_worse(r.recall, lowest.recall))
			continue;
		lowest = r;
		at = v;
	}
	fputs(" A neighbour that a layer marked " KITH_APPROX_MARK
	      " has missed breaks a run: long runs are too few and "
	      "short ones too many",
	      out);
	fputs(p->graph == KITH_MUTUAL ? ", and mutual pairs, which need both directions, lose most" : "", out);
	if (isnan(lowest.recall))
		fprintf(out, "; the recall of <b>%s</b> is not known, and so nothing says by how much", d->html[at]);
	if (lowest.recall <= 1)
		fprintf(out, "; the lowest recall is that of <b>%s</b>, %s", d->html[at],
			kith_layer_recall_text(&lowest, text));
	if (lowest.recall < KITH_RECALL_WARNS)
		fprintf(out, ", and with that %s may be off by %s",
			p->graph == KITH_MUTUAL ? "counts" : "counts, of long runs above all,",
			p->graph == KITH_MUTUAL ? "tens of percent" : "several percent");
	fputs(". These counts are not corrected.", out);
}

void kith_html_recall_row(const kith_report_data *d, const kith_nntp *p, FILE *out)
{
	char text[32];
	size_t nnts;
	if (!d->approximate || !find_k(d, p, &nnts))
		return;
	fputs("<tr><th scope=\"row\">recall</th>", out);
	for (size_t v = 0; v < d->stack->layer_count; v++) {
		kith_layer_recall r = kith_layer_recall_at(d->stack, v, nnts);
		fprintf(out, "<td>%s</td>",
			is_exact(d, v)    ? "1"
			: isnan(r.recall) ? "?"
					  : kith_part_text(r.recall, text));
	}
	fputs("</tr>", out);
}

/* ---- provenance ---------------------------------------------------------------------------------------------- */

void kith_html_recall_cell(const kith_report_data *d, size_t v, FILE *out)
{
	const kith_stack *s = d->stack;
	char text[KITH_RECALL_TEXT], samples[32];
	if (is_exact(d, v)) {
		fputs("<td>1</td>", out);
		return;
	}
	fputs("<td>", out);
	for (size_t i = 0; i < s->nnts_count; i++) {
		kith_layer_recall r = kith_layer_recall_at(s, v, i);
		fprintf(out, "%s" KITH_APPROX_MARK "&nbsp;", i ? "<br>" : "");
		fputs(kith_layer_recall_text(&r, text), out);
		if (s->nnts_count > 1)
			fprintf(out, " at k&nbsp;=&nbsp;%" PRIu32, r.k);
	}
	kith_grouped(s->layers[v].audited, samples, sizeof samples);
	if (s->layers[v].audited)
		fprintf(out, "<br>%s samples audited", samples);
	fputs("</td>", out);
}
