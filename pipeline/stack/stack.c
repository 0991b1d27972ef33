/* stack.c - stacks in memory and the identities they satisfy; see kith/stack.h */
#include "kith/stack.h"

#include <math.h>
#include <stdlib.h>

#include "alloc.h"
#include "measures.h"
#include "stack_format.h"
#include "workspace.h"

int stack_new_empty(kith_stack **out, uint64_t n, size_t layers, size_t nnts, size_t nntp, kith_err *err)
{
	kith_stack *s = NULL;
	if (layers < 1 || layers > KITH_MAX_LAYERS)
		return kith_fail(err, KITH_EUSAGE, "%zu layers: a stack has 1 to %u", layers, KITH_MAX_LAYERS);
	s = kith_alloc_zero(1, sizeof *s);
	if (!s)
		return kith_fail_nomem(err, "a stack", sizeof *s);
	s->n = n;
	s->layers = kith_alloc_zero(layers, sizeof *s->layers);
	s->nnts = kith_alloc_zero(nnts, sizeof *s->nnts);
	s->nntp = kith_alloc_zero(nntp, sizeof *s->nntp);
	if (!s->layers || !s->nnts || !s->nntp) {
		kith_stack_free(s); /* whose counts are still 0 */
		return kith_fail_nomem(err, "a stack", layers * sizeof *s->layers);
	}
	s->layer_count = layers;
	s->nnts_count = nnts;
	s->nntp_count = nntp;
	*out = s;
	return 0;
}

int kith_stack_new(kith_stack **out, uint64_t n, size_t layers, size_t nnts, size_t nntp, kith_err *err)
{
	kith_stack *s = NULL;
	int rc = stack_new_empty(&s, n, layers, nnts, nntp, err);
	for (size_t i = 0; i < nnts && !rc; i++)
		rc = kith_measures_alloc(KITH_FROM_NNTS, KITH_ALL_STACKS, &s->nnts[i], layers, 0, err);
	for (size_t i = 0; i < nntp && !rc; i++)
		rc = kith_measures_alloc(KITH_FROM_NNTP, KITH_ALL_STACKS, &s->nntp[i], layers, 0, err);
	if (rc)
		kith_stack_free(s);
	else
		*out = s;
	return rc;
}

int kith_stack_add_estimates(kith_stack *s, kith_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < s->nnts_count && !rc; i++)
		rc = kith_measures_alloc(KITH_FROM_NNTS, KITH_APPROXIMATE_STACKS, &s->nnts[i], s->layer_count, 0, err);
	return rc;
}

int kith_stack_add_null(kith_stack *s, uint32_t relabellings, uint64_t seed, kith_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < s->nnts_count && !rc; i++)
		rc = kith_measures_alloc(KITH_FROM_NNTS, KITH_TESTED_STACKS, &s->nnts[i], s->layer_count, 0, err);
	s->relabellings = relabellings;
	s->null_seed = seed;
	return rc;
}

int kith_stack_add_jackknife(kith_stack *s, uint32_t groups, uint64_t seed, kith_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < s->nntp_count && !rc; i++)
		if (!s->nntp[i].alpha)
			rc = kith_measures_alloc(KITH_FROM_NNTP, KITH_JACKKNIFED_STACKS, &s->nntp[i], s->layer_count, 0,
						 err);
	s->groups = groups;
	s->groups_seed = seed;
	return rc;
}

int kith_stack_add_matches(kith_stack *s, size_t rows, size_t count, size_t layers, kith_err *err)
{
	int rc = 0;
	s->rows = rows;
	if (!(s->matches = kith_alloc_zero(count, sizeof *s->matches)))
		return kith_fail_nomem(err, "layers of one name", count * sizeof *s->matches);
	s->match_count = count;
	for (kith_match *m = s->matches; m < s->matches + count && !rc; m++) {
		kith_workspace w = {0};
		m->count = layers;
		KITH_BUFFER_ZERO(&w, m->row, layers);
		KITH_BUFFER_ZERO(&w, m->column, layers);
		KITH_BUFFER_ZERO(&w, m->kept, layers);
		KITH_BUFFER_ZERO(&w, m->lost, layers);
		KITH_BUFFER_ZERO(&w, m->gained, layers);
		rc = kith_workspace_alloc(&w, &m->memory, "layers of one name", err);
	}
	return rc;
}

void kith_stack_free(kith_stack *s)
{
	if (!s)
		return;
	for (size_t v = 0; v < s->layer_count; v++) {
		free(s->layers[v].name);
		free(s->layers[v].metric);
		free(s->layers[v].engine);
		free(s->layers[v].digest);
		free(s->layers[v].input);
		free(s->layers[v].command);
	}
	for (size_t i = 0; i < s->nnts_count; i++)
		kith_measures_free(KITH_FROM_NNTS, &s->nnts[i]);
	for (size_t i = 0; i < s->nntp_count; i++)
		kith_measures_free(KITH_FROM_NNTP, &s->nntp[i]);
	for (size_t i = 0; i < s->match_count; i++)
		free(s->matches[i].memory);
	free(s->matches);
	free(s->layers);
	free(s->nnts);
	free(s->nntp);
	free(s);
}

/* `what` is NNTS or overlap. */
static int check_mean(const char *what, const double *mean, const double *std_err, uint32_t k, size_t L, kith_err *err)
{
	for (size_t a = 0; a < L; a++) {
		if (mean[a * L + a] != 1)
			return kith_fail(err, KITH_EBUG, "%s(%zu,%zu;k=%u) is %.17g, not 1", what, a, a, k,
					 mean[a * L + a]);
		for (size_t b = 0; b < L; b++) {
			double q = mean[a * L + b], mirror = mean[b * L + a], e = std_err[a * L + b];
			if (!(q >= 0 && q <= 1))
				return kith_fail(err, KITH_EBUG, "%s(%zu,%zu;k=%u) is %.17g, outside 0..1", what, a, b,
						 k, q);
			if (q != mirror)
				return kith_fail(err, KITH_EBUG, "%s(%zu,%zu;k=%u) is %.17g but %s(%zu,%zu) is %.17g",
						 what, a, b, k, q, what, b, a, mirror);
			if (!(e >= 0 && e <= 1)) /* also catches NaN; no mean over [0,1] errs by more */
				return kith_fail(err, KITH_EBUG,
						 "the standard error of %s(%zu,%zu;k=%u) is %.17g, outside 0..1", what,
						 a, b, k, e);
		}
	}
	return 0;
}

/* What is not known is NaN, which no comparison finds wrong. */
static int check_estimate(const kith_nnts *t, size_t L, kith_err *err)
{
	for (size_t a = 0; t->estimate && a < L; a++)
		for (size_t b = 0; b < L; b++) {
			double q = t->estimate[a * L + b], mirror = t->estimate[b * L + a];
			double off = q - t->mean[a * L + b], e = t->estimate_err[a * L + b];
			if (a == b ? q != 1 : !(fabs(off) <= 1 + 1e-9 || isnan(off)) || e < 0 || e > 2)
				return kith_fail(err, KITH_EBUG,
						 "the estimate of NNTS(%zu,%zu;k=%u) is %.17g, with an error of %.17g; "
						 "NNTS is %.17g",
						 a, b, t->k, q, e, t->mean[a * L + b]);
			if (q != mirror && !(isnan(q) && isnan(mirror)))
				return kith_fail(err, KITH_EBUG,
						 "the estimate of NNTS(%zu,%zu;k=%u) is %.17g, but that of (%zu,%zu) "
						 "is %.17g",
						 a, b, t->k, q, b, a, mirror);
		}
	return 0;
}

static int check_recall(const kith_nnts *t, size_t L, kith_err *err)
{
	if (!t->recall || !t->recall_low || !t->recall_high)
		return 0;
	for (size_t v = 0; v < L; v++) {
		double low = t->recall_low[v], recall = t->recall[v], high = t->recall_high[v];
		if (low > recall || recall > high)
			return kith_fail(err, KITH_EBUG, "recall of layer %zu at k=%u is %.17g, not in %.17g to %.17g",
					 v, t->k, recall, low, high);
	}
	return 0;
}

/* How many of `all` parts p is; 0 if that is no whole number, or not one of 1 to all. */
static uint64_t parts_of(double p, uint64_t all)
{
	uint64_t parts = p > 0 && p <= 1 ? (uint64_t)(p * (double)all + 0.5) : 0;
	return parts && fabs(p * (double)all - (double)parts) < 1e-6 ? parts : 0;
}

/* A pair of layers: thresholds in order, p in step with the threshold of 95 %, and of all pairs no less than alone. */
static int check_tested(const kith_nnts *t, size_t L, size_t a, size_t b, uint64_t all, kith_err *err)
{
	size_t at = a * L + b, mirror = b * L + a;
	double p = t->null_p[at], family = t->null_family_p[at], q95 = t->null_q95[at], q99 = t->null_q99[at];
	int low = 20 * parts_of(p, all) <= all;
	if (!parts_of(p, all) || (!isnan(family) && (!parts_of(family, all) || family < p)) || p != t->null_p[mirror])
		return kith_fail(err, KITH_EBUG, "p of NNTS(%zu,%zu;k=%u) is %.17g, and %.17g of all pairs", a, b, t->k,
				 p, family);
	if (q95 > q99 || isnan(q95) != (all < 20) || (all >= 20 && low != (t->mean[at] > q95)))
		return kith_fail(err, KITH_EBUG,
				 "NNTS(%zu,%zu;k=%u) is %.17g and its p is %.17g, but its thresholds are %.17g and "
				 "%.17g",
				 a, b, t->k, t->mean[at], p, q95, q99);
	return 0;
}

static int check_null(const kith_stack *s, const kith_nnts *t, kith_err *err)
{
	size_t L = s->layer_count;
	int rc = 0;
	if (!s->relabellings)
		return 0;
	if (!t->null_mean || !t->null_sd || !t->null_q95 || !t->null_q99 || !t->null_p || !t->null_family_p ||
	    !t->null_max_mean || !t->null_max_sd || !t->null_max_q95 || !t->null_max_q99)
		return kith_fail(err, KITH_EBUG, "the null distribution of k=%u lacks something", t->k);
	for (size_t a = 0; a < L; a++)
		for (size_t b = 0; b < L && !rc; b++)
			if (a != b)
				rc = check_tested(t, L, a, b, s->relabellings + 1ull, err);
	return rc;
}

/* Rounding is monotonic, so overlap >= NNTS holds exactly; the lower bound is computed, and has a tolerance. */
static int check_nnts(const kith_nnts *t, size_t L, kith_err *err)
{
	int rc = check_mean("NNTS", t->mean, t->std_err, t->k, L, err);
	if (!rc)
		rc = check_estimate(t, L, err);
	if (!rc)
		rc = check_recall(t, L, err);
	if (rc || !t->overlap)
		return rc;
	rc = check_mean("overlap", t->overlap, t->overlap_err, t->k, L, err);
	for (size_t i = 0; i < L * L && !rc; i++) {
		double q = t->mean[i], overlap = t->overlap[i];
		if (q > overlap || q < overlap / (2 - overlap) * (1 - 0x1p-50))
			rc = kith_fail(err, KITH_EBUG,
				       "NNTS(%zu,%zu;k=%u) is %.17g, which no samples with the overlap %.17g have",
				       i / L, i % L, t->k, q, overlap);
	}
	return rc;
}

#define SAY_NNTP     "NNTP(alpha=%u,k=%u,%s)"
#define NNTP_ARGS(p) (p)->alpha, (p)->k, kith_graph_kind_name((p)->graph)

/* The pairs that runs cover in layer v: sum over a <= v <= b, kept up from layer to layer (those that begin at v come
 * in, those that ended at v-1 go out). 128 bits: no file can make it wrap. */
static int check_cover(const kith_nntp *p, size_t L, kith_err *err)
{
	unsigned __int128 covered = 0;
	for (size_t a = 0; a < L; a++)
		for (size_t b = 0; b < a; b++)
			if (p->count[a * L + b])
				return kith_fail(err, KITH_EBUG,
						 SAY_NNTP "[%zu][%zu] is %llu: a run cannot end before it begins",
						 NNTP_ARGS(p), a, b, (unsigned long long)p->count[a * L + b]);
	for (size_t v = 0; v < L; v++) {
		for (size_t b = v; b < L; b++)
			covered += p->count[v * L + b];
		if (p->alpha == 0 ? covered != p->pairs[v] : covered < p->pairs[v])
			return kith_fail(err, KITH_EBUG,
					 SAY_NNTP ": its runs cover layer %zu %llu times, but %llu pairs are "
						  "present there",
					 NNTP_ARGS(p), v, (unsigned long long)covered, (unsigned long long)p->pairs[v]);
		for (size_t a = 0; a <= v; a++)
			covered -= p->count[a * L + v];
	}
	return 0;
}

static unsigned __int128 total(const kith_nntp *p, size_t L)
{
	unsigned __int128 sum = 0;
	for (size_t i = 0; i < L * L; i++)
		sum += p->count[i];
	return sum;
}

/* Runs that begin at v, or else those that end there. */
static unsigned __int128 runs_at(const kith_nntp *p, size_t L, size_t v, int begin)
{
	unsigned __int128 sum = 0;
	for (size_t i = 0; i < L; i++)
		sum += p->count[begin ? v * L + i : i * L + v];
	return sum;
}

/* `p` follows `before`: same k and graph, a larger alpha. A larger alpha only joins runs. */
static int check_growth(const kith_nntp *before, const kith_nntp *p, size_t L, kith_err *err)
{
	unsigned __int128 was = total(before, L), is = total(p, L);
	if (is > was)
		return kith_fail(err, KITH_EBUG, SAY_NNTP " has %llu runs in all, more than the %llu at alpha=%u",
				 NNTP_ARGS(p), (unsigned long long)is, (unsigned long long)was, before->alpha);
	for (size_t v = 0; v < L; v++) {
		if (p->pairs[v] != before->pairs[v])
			return kith_fail(err, KITH_EBUG,
					 SAY_NNTP ": %llu pairs present in layer %zu, but %llu at alpha=%u",
					 NNTP_ARGS(p), (unsigned long long)p->pairs[v], v,
					 (unsigned long long)before->pairs[v], before->alpha);
		for (int begin = 0; begin < 2; begin++)
			if (runs_at(p, L, v, begin) > runs_at(before, L, v, begin))
				return kith_fail(err, KITH_EBUG, SAY_NNTP ": more runs %s layer %zu than at alpha=%u",
						 NNTP_ARGS(p), begin ? "begin at" : "end at", v, before->alpha);
	}
	return 0;
}

static int check_jackknife(const kith_stack *s, const kith_nntp *p, kith_err *err)
{
	if (s->groups && !p->alpha &&
	    (!p->births_stderr || !p->deaths_stderr || !p->removal_stderr || !p->share_stderr))
		return kith_fail(err, KITH_EBUG, SAY_NNTP " lacks errors of the jackknife", NNTP_ARGS(p));
	return 0;
}

/* ---- two networks -------------------------------------------------------------------------------------------- */

/* The pairs of the first network's layer, or else of the second's. */
static uint64_t pairs_of(const kith_match *m, size_t i, int second)
{
	return m->kept[i] + (second ? m->gained : m->lost)[i];
}

static int says_wrong(const kith_stack *s, const kith_match *m, size_t i, const char *why, kith_err *err)
{
	const char *name = s->layers[m->row[i]].name;
	return kith_fail(err, KITH_EBUG,
			 "layer %s of both networks (k=%u,%s): %llu pairs kept, %llu lost, %llu gained: %s",
			 name ? name : "", m->k, kith_graph_kind_name(m->graph), (unsigned long long)m->kept[i],
			 (unsigned long long)m->lost[i], (unsigned long long)m->gained[i], why);
}

/* A layer has n k directed edges, and a pair is made of one or two of them: the pairs with two are those of the mutual
 * graph. */
static int check_match(const kith_stack *s, const kith_match *m, size_t i, kith_err *err)
{
	uint64_t edges = s->n * m->k, most = UINT64_MAX / 4;
	const char *row = s->layers[m->row[i]].name, *column = s->layers[m->column[i]].name;
	if (row && column && strcmp(row, column))
		return says_wrong(s, m, i, "the layers' names differ", err);
	if (m->kept[i] > most || m->lost[i] > most || m->gained[i] > most)
		return says_wrong(s, m, i, "there are not so many", err);
	for (int second = 0; second < 2; second++) {
		uint64_t pairs = pairs_of(m, i, second);
		if (m->graph == KITH_UNION ? pairs > edges || 2 * pairs < edges : 2 * pairs > edges)
			return says_wrong(s, m, i, "a layer cannot have so many pairs", err);
	}
	return 0;
}

/* The two graphs of one k: together, each layer's pairs are its edges; and the mutual graph's are among the union's. */
static int check_match_graphs(const kith_stack *s, const kith_match *all, const kith_match *mutual, size_t i,
			      kith_err *err)
{
	for (int second = 0; second < 2; second++)
		if (pairs_of(all, i, second) + pairs_of(mutual, i, second) != s->n * all->k)
			return says_wrong(s, mutual, i, "with those of the union they are not n k", err);
	return mutual->kept[i] <= all->kept[i] ? 0 : says_wrong(s, mutual, i, "the union keeps fewer", err);
}

static int has_k(const kith_stack *s, uint32_t k)
{
	for (size_t i = 0; i < s->nnts_count; i++)
		if (s->nnts[i].k == k)
			return 1;
	return 0;
}

/* Matches are by k, then graph, and of the same layers. A larger k only adds pairs. */
static int check_matches(const kith_stack *s, kith_err *err)
{
	int rc = 0;
	for (const kith_match *m = s->matches; !rc && m < s->matches + s->match_count; m++) {
		if (!has_k(s, m->k))
			return kith_fail(err, KITH_EBUG, "matches of k=%u, but no NNTS", m->k);
		for (size_t i = 0; i < m->count && !rc; i++)
			rc = check_match(s, m, i, err);
		for (const kith_match *x = s->matches; x < m && !rc; x++) {
			if (x->k > m->k || (x->k == m->k && x->graph >= m->graph))
				return kith_fail(err, KITH_EBUG, "matches of k=%u,%s are out of order", m->k,
						 kith_graph_kind_name(m->graph));
			for (size_t i = 0; i < m->count && !rc; i++)
				if (x->row[i] != m->row[i] || x->column[i] != m->column[i])
					rc = says_wrong(s, m, i, "other layers than before", err);
				else if (x->k == m->k)
					rc = check_match_graphs(s, x, m, i, err);
				else if (x->graph == m->graph && x->kept[i] > m->kept[i])
					rc = says_wrong(s, m, i, "a smaller k keeps more", err);
		}
	}
	return rc;
}

int kith_stack_check(const kith_stack *s, kith_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < s->nnts_count && !rc; i++)
		if (!(rc = check_nnts(&s->nnts[i], s->layer_count, err)))
			rc = check_null(s, &s->nnts[i], err);
	for (size_t i = 0; i < s->nntp_count && !rc; i++) {
		const kith_nntp *p = &s->nntp[i], *q = i ? p - 1 : NULL;
		if (!(rc = check_cover(p, s->layer_count, err)))
			rc = check_jackknife(s, p, err);
		if (!rc && q && q->k == p->k && q->graph == p->graph && q->alpha < p->alpha)
			rc = check_growth(q, p, s->layer_count, err);
	}
	return rc ? rc : check_matches(s, err);
}
