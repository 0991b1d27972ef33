/* approximate.c - see approximate.h */
#include "approximate.h"

#include <math.h>
#include <stdio.h>

int kith_stack_is_exact(const kith_stack *s)
{
	for (size_t v = 0; v < s->layer_count; v++)
		if (!kith_layer_is_exact(&s->layers[v]))
			return 0;
	return 1;
}

/* Files from before there were audits say of a layer no more than a recall of its own, of its largest k. */
kith_layer_recall kith_layer_recall_at(const kith_stack *s, size_t v, size_t nnts)
{
	const kith_nnts *t = &s->nnts[nnts];
	const kith_layer *layer = &s->layers[v];
	kith_layer_recall r = {t->k, 1, 1, 1};
	if (kith_layer_is_exact(layer))
		return r;
	r.recall = t->recall ? t->recall[v] : NAN;
	r.low = t->recall_low ? t->recall_low[v] : NAN;
	r.high = t->recall_high ? t->recall_high[v] : NAN;
	if (isnan(r.recall) && layer->recall < 1)
		r.recall = layer->recall;
	return r;
}

kith_layer_recall kith_layer_recall_lowest(const kith_stack *s, size_t v)
{
	kith_layer_recall lowest = kith_layer_recall_at(s, v, 0);
	for (size_t i = 1; i < s->nnts_count; i++) {
		kith_layer_recall r = kith_layer_recall_at(s, v, i);
		if (isnan(lowest.recall) || r.recall < lowest.recall)
			lowest = r;
	}
	return lowest;
}

const char *kith_layer_recall_text(const kith_layer_recall *r, char out[KITH_RECALL_TEXT])
{
	if (isnan(r->recall))
		snprintf(out, KITH_RECALL_TEXT, "not measured");
	else if (isnan(r->low) || isnan(r->high))
		kith_part_text(r->recall, out);
	else
		kith_recall_text(r->recall, r->low, r->high, out);
	return out;
}

/* The first other layer that is audited by other samples, so that there is no estimate of the two; or `v`. */
static size_t other_samples(const kith_stack *s, size_t v)
{
	const double *estimate = s->nnts[0].estimate;
	for (size_t b = 0; estimate && b < s->layer_count; b++)
		if (s->layers[b].audited && isnan(estimate[v * s->layer_count + b]))
			return b;
	return v;
}

int kith_layer_warning(const kith_stack *s, size_t v, char *out, size_t size)
{
	kith_layer_recall r = kith_layer_recall_lowest(s, v);
	char text[KITH_RECALL_TEXT], at[32] = "";
	size_t other;
	if (kith_layer_is_exact(&s->layers[v]))
		return 0;
	if (s->nnts_count > 1)
		snprintf(at, sizeof at, " at k=%u", r.k);
	kith_layer_recall_text(&r, text);
	if (isnan(s->layers[v].recall))
		snprintf(out, size,
			 "recall not known: how far NNTS and NNTP are off is not either; kith-check --recall measures "
			 "it, "
			 "and kith-import --activations keeps it");
	else if (isnan(r.low))
		snprintf(out, size,
			 "approximate, recall %s%s, and not audited: how far NNTS and NNTP are off is not known", text,
			 at);
	else if (r.recall < KITH_RECALL_WARNS)
		snprintf(out, size, "recall %s%s: NNTP of mutual pairs may be off by tens of percent", text, at);
	else if ((other = other_samples(s, v)) < v)
		snprintf(out, size,
			 "audited by other samples than %s: NNTS of the two cannot be estimated; audit as many of both",
			 s->layers[other].name);
	else
		return 0;
	return 1;
}

int kith_layer_ties(const kith_stack *s, size_t v, char out[KITH_TIES_TEXT])
{
	const kith_tie_counts *tied = &s->layers[v].tied;
	size_t worst = 0;
	for (size_t i = 1; i < s->nnts_count; i++)
		worst = tied->rows[i] > tied->rows[worst] ? i : worst;
	if (!s->nnts_count || (double)tied->rows[worst] <= KITH_TIES_WARN * (double)s->n)
		return 0;
	kith_ties_text(s->nnts[worst].k, tied->rows[worst], s->n, tied->most[worst], out);
	return 1;
}
