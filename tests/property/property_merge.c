/* property_merge.c - random stacks of graphs against the paper's formulas: every number of the result equal, whatever
 * the memory and threads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kith/pairs.h"
#include "measures.h"
#include "merge_tuning.h"
#include "sandbox.h"
#include "slow.h"

#define MOST_LAYERS 513
#define MOST_GRAPHS 130 /* of these; they come again */

typedef struct stack {
	size_t n, layers, width; /* width = n - 1: every rank table is complete */
	uint32_t shared, k[4];   /* every layer's ladder holds these */
	uint32_t *ranks[MOST_LAYERS];
	uint32_t *truth[MOST_LAYERS]; /* what an approximate graph should have had; else ranks again */
	kith_graph_info info[MOST_LAYERS];
	kith_graph_audit audit[MOST_LAYERS];
	uint32_t audited; /* samples */
	uint64_t audit_seed;
	char path[MOST_LAYERS][SANDBOX_PATH], name[MOST_LAYERS][32];
} stack;

/* A layer is new, or like an earlier one. */
static void draw_ranks(stack *s, size_t v, rng *r)
{
	const uint32_t *like = v && rng_chance(r, 80) ? s->ranks[rng_chance(r, 70) ? v - 1 : rng_below(r, v)] : NULL;
	s->ranks[v] = must_alloc(s->n * s->width, sizeof **s->ranks);
	slow_random_ranks(r, s->n, like, s->ranks[v]);
}

/* The shared ladder and, at random, some more. */
static void draw_info(const stack *s, kith_graph_info *info, rng *r)
{
	static const uint32_t blocks[] = {0, 1, 2, 8, 64};
	char wanted[1024] = {0};
	memset(info, 0, sizeof *info);
	info->n = s->n;
	info->d = rng_between(r, 1, 1000);
	for (uint32_t t = 0; t < s->shared; t++)
		wanted[s->k[t]] = 1;
	for (uint32_t extra = (uint32_t)rng_below(r, 4); extra > 0; extra--)
		wanted[rng_between(r, 1, s->width)] = 1;
	for (uint32_t k = 1; k <= s->width; k++)
		if (wanted[k])
			info->ladder[info->tiers++] = k;
	info->near = (uint32_t)rng_below(r, info->ladder[info->tiers - 1] + 1);
	info->block_nodes = blocks[rng_below(r, 5)];
	info->recall = rng_chance(r, 70) ? 1 : rng_unit(r);
	strcpy(info->metric, rng_chance(r, 70) ? "l2" : "cosine");
	info->ties = rng_chance(r, 70) ? KITH_TIES_CONTENT : KITH_TIES_INDEX;
	strcpy(info->engine, info->recall == 1 ? "exact" : "faiss:HNSW32");
	snprintf(info->digest, sizeof info->digest, "xxh3:%016llx", (unsigned long long)rng_next(r));
}

/* Approximate layers are audited, mostly by the same samples. */
static void draw_audit(stack *s, size_t v, rng *r)
{
	int same = rng_chance(r, 90);
	uint32_t rows = same ? s->audited : (uint32_t)rng_below(r, s->n + 1);
	rng own = {same ? s->audit_seed : rng_next(r)};
	s->truth[v] = s->ranks[v];
	s->audit[v] = (kith_graph_audit){.rows = 0};
	if (!strcmp(s->info[v].engine, "exact"))
		return;
	s->truth[v] = must_alloc(s->n * s->width, sizeof **s->truth);
	slow_random_ranks(r, s->n, s->ranks[v], s->truth[v]);
	if (!rows || rng_chance(r, 10))
		return;
	slow_audit(&s->info[v], s->width, s->truth[v], s->ranks[v], rows, &own, &s->audit[v]);
	s->info[v].recall = s->audit[v].recall[s->info[v].tiers - 1];
}

static void draw_shape(stack *s, rng *r)
{
	if (rng_chance(r, 6)) { /* around the width of machine words */
		static const size_t layers[] = {31, 32, 33, 63, 64, 65, 127, 128, 129, 512, 513};
		s->n = rng_between(r, 2, 5);
		s->layers = layers[rng_chance(r, 4) ? 9 + rng_below(r, 2) : rng_below(r, 9)];
	} else if (rng_chance(r, 15)) {
		s->n = rng_between(r, 30, 200);
		s->layers = rng_between(r, 1, 4);
	} else {
		s->n = rng_between(r, 2, 30);
		s->layers = rng_between(r, 1, 12);
	}
	s->width = s->n - 1;
	/* often few neighbours of many, as samples really have */
	uint32_t most = rng_chance(r, 40) && s->width > 8 ? (uint32_t)s->width / 8 : (uint32_t)s->width;
	s->shared = slow_random_ladder(r, most, 4, s->k);
	s->audited = (uint32_t)(rng_chance(r, 15) ? s->n : rng_between(r, 1, s->n));
	s->audit_seed = rng_next(r);
}

static void repeat_layer(stack *s, size_t v, size_t of)
{
	size_t items = s->n * s->width;
	s->ranks[v] = must_alloc(items, sizeof **s->ranks);
	memcpy(s->ranks[v], s->ranks[of], items * sizeof **s->ranks);
	s->truth[v] = s->truth[of];
	s->audit[v] = s->audit[of];
	s->info[v] = s->info[of];
	strcpy(s->path[v], s->path[of]);
}

/* Returns 0, or 1 with the reason: the graphs could not be written. */
static int draw_stack(stack *s, rng *r, char *why, size_t size)
{
	int failed = 0;
	draw_shape(s, r);
	for (size_t v = 0; v < s->layers; v++) {
		kith_err err = {0};
		snprintf(s->name[v], sizeof s->name[v], "L%zu", v);
		if (v >= MOST_GRAPHS) {
			repeat_layer(s, v, v - MOST_GRAPHS);
			continue;
		}
		draw_ranks(s, v, r);
		draw_info(s, &s->info[v], r);
		draw_audit(s, v, r);
		sandbox_path(s->path[v], "layer%zu.nng", v);
		remove(s->path[v]);
		if (slow_graph_write(s->path[v], &s->info[v], s->width, s->ranks[v], NULL, &s->audit[v],
				     (uint64_t)16 << 20, r, &err))
			failed = snprintf(why, size, "writing: %.900s", err.msg) > 0;
	}
	return failed;
}

/* Which of the k that all layers share (draw_info may add shared ones by chance) the result is to have. */
static uint32_t expected_ladder(const stack *s, const kith_merge_options *options, uint32_t *ladder)
{
	uint32_t count = 0;
	if (options->k_count) {
		memcpy(ladder, options->k, options->k_count * sizeof *ladder);
		return options->k_count;
	}
	for (uint32_t k = 1; k <= s->width; k++) {
		size_t layers_with_it = 0;
		for (size_t v = 0; v < s->layers; v++)
			for (uint32_t t = 0; t < s->info[v].tiers; t++)
				layers_with_it += s->info[v].ladder[t] == k;
		if (layers_with_it == s->layers)
			ladder[count++] = k;
	}
	return count;
}

static int layers_differ(const stack *s, const kith_stack *got, char *why, size_t size)
{
	if (got->n != s->n || got->layer_count != s->layers)
		return snprintf(why, size, "n or the number of layers") > 0;
	for (size_t v = 0; v < s->layers; v++) {
		const kith_layer *layer = &got->layers[v];
		const kith_graph_info *info = &s->info[v];
		if (strcmp(layer->name, s->name[v]) || layer->dim != info->d || strcmp(layer->metric, info->metric) ||
		    strcmp(layer->engine, info->engine) || strcmp(layer->digest, info->digest) ||
		    layer->recall != info->recall || layer->audited != s->audit[v].rows || layer->ties != info->ties)
			return snprintf(why, size, "what it says of layer %zu", v) > 0;
	}
	return 0;
}

static int is_exact(const stack *s, size_t v)
{
	return !strcmp(s->info[v].engine, "exact");
}

/* Of two layers, into *estimate and *std_err. */
static void expected_estimate(const stack *s, size_t a, size_t b, uint32_t k, double mean, double *estimate,
			      double *std_err)
{
	const kith_graph_audit *audit = &s->audit[is_exact(s, a) ? b : a], *other = &s->audit[is_exact(s, b) ? a : b];
	int same = audit->rows && audit->rows == other->rows &&
		   !memcmp(audit->id, other->id, audit->rows * sizeof *audit->id);
	*estimate = mean;
	*std_err = 0;
	if (a == b || (is_exact(s, a) && is_exact(s, b)))
		return;
	slow_estimate(s->ranks[a], s->truth[a], s->ranks[b], s->truth[b], s->n, s->width, k, audit->id,
		      same ? audit->rows : 0, mean, estimate, std_err);
}

static int differ(double x, double y)
{
	return x != y && !(isnan(x) && isnan(y)) && !(fabs(x - y) < 1e-30);
}

static int recall_differs(const stack *s, const kith_nnts *got, size_t v, char *why, size_t size)
{
	const kith_graph_audit *audit = &s->audit[v];
	double missing = is_exact(s, v) ? 1 : NAN, recall = missing, low = missing, high = missing;
	for (uint32_t t = 0; audit->rows && t < s->info[v].tiers; t++)
		if (s->info[v].ladder[t] == got->k) {
			recall = audit->recall[t];
			low = audit->low[t];
			high = audit->high[t];
		}
	return (differ(got->recall[v], recall) || differ(got->recall_low[v], low) ||
		differ(got->recall_high[v], high)) &&
	       snprintf(why, size, "recall of layer %zu at k=%u: %a (%a to %a)", v, got->k, got->recall[v],
			got->recall_low[v], got->recall_high[v]) > 0;
}

/* All that there is only where some layer is approximate. */
static int estimates_differ(const stack *s, const kith_nnts *got, char *why, size_t size)
{
	int approximate = 0;
	double estimate, std_err;
	for (size_t v = 0; v < s->layers; v++)
		approximate |= !is_exact(s, v);
	if (!approximate || !got->estimate)
		return (approximate != 0) != (got->estimate != NULL) && snprintf(why, size, "estimates") > 0;
	for (size_t a = 0; a < s->layers; a++) {
		if (recall_differs(s, got, a, why, size))
			return 1;
		for (size_t b = a; b < s->layers; b++) {
			size_t ab = a * s->layers + b, ba = b * s->layers + a;
			expected_estimate(s, a, b, got->k, got->mean[ab], &estimate, &std_err);
			if (differ(got->estimate[ab], estimate) || differ(got->estimate_err[ab], std_err) ||
			    differ(got->estimate[ba], estimate) || differ(got->estimate_err[ba], std_err))
				return snprintf(why, size, "estimate(%zu,%zu;%u) = %a +- %a, should be %a +- %a", a, b,
						got->k, got->estimate[ab], got->estimate_err[ab], estimate,
						std_err) > 0;
		}
	}
	return 0;
}

static int nnts_differs(const stack *s, const kith_nnts *got, uint32_t k, char *why, size_t size)
{
	static const char *const names[] = {"NNTS", "stderr", "overlap", "stderr of overlap"};
	const double *matrices[] = {got->mean, got->std_err, got->overlap, got->overlap_err};
	double expected = kith_nnts_expected(s->n, k), want[4];
	if (got->k != k)
		return snprintf(why, size, "NNTS at k=%u, not %u", got->k, k) > 0;
	if (expected != slow_expected(s->n, k))
		return snprintf(why, size, "chance gives %a at k=%u, should be %a", expected, k,
				slow_expected(s->n, k)) > 0;
	for (size_t a = 0; a < s->layers; a++)
		for (size_t b = a; b < s->layers; b++) {
			size_t ab = a * s->layers + b, ba = b * s->layers + a;
			double corrected = kith_nnts_corrected(got->mean[ab], expected);
			slow_nnts(s->ranks[a], s->ranks[b], s->n, s->width, k, &want[0], &want[1], &want[2], &want[3]);
			for (int m = 0; m < 4; m++)
				if (matrices[m][ab] != want[m] || matrices[m][ba] != want[m])
					return snprintf(why, size, "%s(%zu,%zu;%u) = %a (%a transposed), should be %a",
							names[m], a, b, k, matrices[m][ab], matrices[m][ba],
							want[m]) > 0;
			if (corrected != slow_corrected(want[0], expected) && (expected < 1 || !isnan(corrected)))
				return snprintf(why, size, "corrected(%zu,%zu;%u) = %a, should be %a", a, b, k,
						corrected, slow_corrected(want[0], expected)) > 0;
		}
	return 0;
}

static int values_differ(const char *name, const kith_values *got, const slow_measure *want, char *why, size_t size)
{
	for (size_t i = 0; i < got->rows * got->columns; i++) {
		if (got->counts && got->counts[i] != want->counts[i])
			return snprintf(why, size, "%s, row %zu, column %zu: %llu, should be %llu", name,
					i / got->columns, i % got->columns, (unsigned long long)got->counts[i],
					(unsigned long long)want->counts[i]) > 0;
		if (got->ratios && got->ratios[i] != want->ratios[i] &&
		    !(isnan(got->ratios[i]) && isnan(want->ratios[i])))
			return snprintf(why, size, "%s, row %zu, column %zu: %a, should be %a", name, i / got->columns,
					i % got->columns, got->ratios[i], want->ratios[i]) > 0;
	}
	return 0;
}

/* Every measure that there has to be, and no other. */
static int measures_differ(const kith_entry *e, const slow_measure *want, char *why, size_t size)
{
	for (const kith_measure *m = kith_measures; m->name; m++) {
		int there = m->per != KITH_PER_K && m->extent == KITH_ALL_STACKS &&
			    (e->dynamics || m->source != KITH_FROM_DYNAMICS) &&
			    (m->shape != KITH_GAPS || e->dynamics->gaps) &&
			    (!m->mutual_only || e->nntp->graph == KITH_MUTUAL);
		const slow_measure *w = want;
		kith_values got;
		if (m->extent == KITH_JACKKNIFED_STACKS) /* jackknife_differs looks at them */
			continue;
		if (kith_measure_get(m, e, &got) != there)
			return snprintf(why, size, "%s should%s be there", m->name, there ? "" : " not") > 0;
		while (there && w->name && strcmp(w->name, m->name))
			w++;
		if (there && !w->name)
			return snprintf(why, size, "%s: no slow checker", m->name) > 0;
		if (there && values_differ(m->name, &got, w, why, size))
			return 1;
	}
	return 0;
}

static int errors_differ(const char *name, const double *got, const double *want, size_t count, char *why, size_t size)
{
	for (size_t i = 0; i < count; i++)
		if (got[i] != want[i] && !(isnan(got[i]) && isnan(want[i])))
			return snprintf(why, size, "jackknife: the error of %s %zu is %a, should be %a", name, i,
					got[i], want[i]) > 0;
	return 0;
}

/* Errors by the jackknife are where they were asked for, and only there. */
static int jackknife_differs(const stack *s, const kith_merge_options *o, const kith_nntp *p, char *why, size_t size)
{
	size_t L = s->layers;
	int differs;
	if (!o->groups || p->alpha)
		return (p->births_stderr || p->deaths_stderr || p->removal_stderr || p->share_stderr) &&
		       snprintf(why, size, "jackknife: errors that were not asked for") > 0;
	slow_errors want = slow_jackknife((const uint32_t *const *)s->ranks, L, s->n, s->width, p->k, p->graph,
					  o->groups, o->groups_seed);
	differs = errors_differ("births", p->births_stderr, want.births, L, why, size) ||
		  errors_differ("deaths", p->deaths_stderr, want.deaths, L, why, size) ||
		  errors_differ("removal", p->removal_stderr, want.removal, L, why, size) ||
		  errors_differ("share", p->share_stderr, want.share, L * L, why, size);
	slow_errors_free(&want);
	return differs;
}

/* Table `at`, of `alphas` that there are for each k and graph, should be that of these. */
static int table_differs(const stack *s, const kith_stack *stack, size_t at, uint32_t k, kith_graph_kind graph,
			 uint32_t alpha, uint32_t alphas, char *why, size_t size)
{
	size_t L = s->layers, gaps = alphas < L ? alphas - 1 : L > 2 ? L - 2 : 0;
	const kith_nntp *p = &stack->nntp[at];
	kith_entry e = {.layers = L, .nntp = p};
	kith_dynamics dynamics = {0};
	kith_err err = {0};
	char what[512];
	if (p->k != k || p->graph != graph || p->alpha != alpha)
		return snprintf(why, size, "NNTP of (k %u, graph %d, alpha %u) where (%u, %d, %u) belongs", p->k,
				(int)p->graph, p->alpha, k, (int)graph, alpha) > 0;
	if (!alpha && (kith_dynamics_make(&dynamics, stack, at, &err) || dynamics.gaps != gaps))
		return snprintf(why, size, "dynamics: %u gaps, should be %zu (%.900s)", dynamics.gaps, gaps, err.msg) >
		       0;
	e.dynamics = alpha ? NULL : &dynamics;
	slow_measure *want =
		slow_measures_of((const uint32_t *const *)s->ranks, L, s->n, s->width, k, graph, alpha, gaps);
	int differs = measures_differ(&e, want, what, sizeof what);
	if (differs)
		snprintf(why, size, "k=%u, graph %d, alpha %u: %s", k, (int)graph, alpha, what);
	kith_dynamics_free(&dynamics);
	slow_measures_free(want);
	return differs;
}

/* Value r of a pair of layers, or of the greatest of all, is values[r * stride]. */
static slow_null null_of(const double *values, size_t stride, size_t count, double score)
{
	double *list = must_alloc(count, sizeof *list);
	for (size_t r = 0; r < count; r++)
		list[r] = values[r * stride];
	slow_null out = slow_null_of(list, count, score);
	free(list);
	return out;
}

static int one_null_differs(const kith_nnts *t, size_t at, const slow_null *want, double family, double calibrated,
			    char *why, size_t size)
{
	const double got[] = {t->null_mean[at],
			      t->null_sd[at],
			      t->null_q95[at],
			      t->null_q99[at],
			      t->null_p[at],
			      t->null_family_p[at],
			      kith_nnts_corrected(t->mean[at], t->null_q95[at])};
	const double wanted[] = {want->mean, want->sd, want->q95, want->q99, want->p, family, calibrated};
	static const char *const names[] = {"mean", "sd", "q95", "q99", "p", "family p", "calibrated"};
	for (size_t i = 0; i < 7; i++)
		if (got[i] != wanted[i] && !(isnan(got[i]) && isnan(wanted[i])))
			return snprintf(why, size, "null distribution at %zu: %s %a, should be %a", at, names[i],
					got[i], wanted[i]) > 0;
	return 0;
}

/* Whether a pair of layers is one that the greatest is taken of. */
static int is_among(const stack *s, const kith_merge_options *o, size_t pair)
{
	size_t a = pair / s->layers, b = pair % s->layers, rows = s->layers - o->against;
	return a != b && (!o->against || (a < rows) != (b < rows));
}

static int null_differs(const stack *s, const kith_merge_options *o, const kith_nnts *t, char *why, size_t size)
{
	size_t L = s->layers, square = L * L, count = o->relabellings, differs = 0;
	double *values = must_alloc(count * square, sizeof *values), *greatest = must_alloc(count, sizeof *greatest);
	uint32_t *number = must_alloc(L, sizeof *number);
	for (uint32_t v = 0; v < L; v++)
		number[v] = v;
	for (uint32_t r = 0; r < count; r++) {
		double *value = values + r * square;
		slow_null_values((const uint32_t *const *)s->ranks, number, L, s->n, s->width, t->k, o->null_seed, r,
				 value);
		for (size_t i = 0; i < square; i++)
			if (is_among(s, o, i) && value[i] > greatest[r])
				greatest[r] = value[i];
	}
	slow_null all = {NAN, NAN, NAN, NAN, NAN}; /* one layer has no pair */
	if (L > 1)
		all = null_of(greatest, 1, count, 0);
	const double max[] = {*t->null_max_mean, *t->null_max_sd, *t->null_max_q95, *t->null_max_q99};
	const double should[] = {all.mean, all.sd, all.q95, all.q99};
	for (int i = 0; i < 4 && !differs; i++)
		if (max[i] != should[i] && !(isnan(max[i]) && isnan(should[i])))
			differs = snprintf(why, size, "greatest of all pairs, %d: %a, should be %a", i, max[i],
					   should[i]) > 0;
	for (size_t i = 0; i < square && !differs; i++) {
		slow_null want = {NAN, NAN, NAN, NAN, NAN};
		double family = NAN;
		if (i / L != i % L) {
			want = null_of(values + i, square, count, t->mean[i]);
			family = is_among(s, o, i) ? null_of(greatest, 1, count, t->mean[i]).p : NAN;
		}
		double calibrated = isnan(want.q95) ? NAN : slow_corrected(t->mean[i], want.q95);
		differs = one_null_differs(t, i, &want, family, calibrated, why, size) != 0;
	}
	free(values);
	free(greatest);
	free(number);
	return differs != 0;
}

/* Layers of one name of two networks, in the order of the first's, against a stack of just these two. */
static int match_differs(const stack *s, const kith_merge_options *o, const kith_match *m, char *why, size_t size)
{
	size_t rows = s->layers - o->against, found = 0, differs = 0;
	for (size_t a = 0; a < rows && !differs; a++)
		for (size_t b = rows; b < s->layers && !differs; b++) {
			const uint32_t *const two[] = {s->ranks[a], s->ranks[b]};
			if (strcmp(s->name[a], s->name[b]))
				continue;
			slow_measure *all = slow_measures_of(two, 2, s->n, s->width, m->k, m->graph, 0, 0), *w = all;
			uint64_t pairs[2] = {0}, kept = 0;
			for (; w->name; w++)
				if (!strcmp(w->name, "pairs"))
					memcpy(pairs, w->counts, sizeof pairs);
				else if (!strcmp(w->name, "survivors"))
					kept = w->counts[0];
			slow_measures_free(all);
			differs = found >= m->count || m->row[found] != a || m->column[found] != b ||
				  m->kept[found] != kept || m->lost[found] != pairs[0] - kept ||
				  m->gained[found] != pairs[1] - kept;
			found++;
		}
	return (differs || found != m->count) &&
	       snprintf(why, size, "match %zu of %zu, k=%u, graph %d", found, m->count, m->k, (int)m->graph) > 0;
}

/* The stack of two networks: as any other, but for NNTP. */
static int networks_differ(const stack *s, const kith_merge_options *o, const kith_stack *got, char *why, size_t size)
{
	uint32_t ladder[KITH_MAX_TIERS], ks = expected_ladder(s, o, ladder);
	int matched = 0;
	for (size_t v = s->layers - o->against; v < s->layers; v++)
		for (size_t u = 0; u < s->layers - o->against; u++)
			matched |= !strcmp(s->name[u], s->name[v]);
	if (got->nntp_count || got->rows != s->layers - o->against ||
	    got->match_count != (matched ? ks * ((o->with_union != 0) + (o->with_mutual != 0)) : 0))
		return snprintf(why, size, "%zu rows, %zu matches", got->rows, got->match_count) > 0;
	for (size_t i = 0; i < got->match_count; i++) {
		const kith_match *m = &got->matches[i];
		int both = o->with_union && o->with_mutual;
		if (m->k != ladder[both ? i / 2 : i] || m->graph != (both            ? (kith_graph_kind)(i % 2)
								     : o->with_union ? KITH_UNION
										     : KITH_MUTUAL))
			return snprintf(why, size, "order of matches") > 0;
		if (match_differs(s, o, m, why, size))
			return 1;
	}
	return 0;
}

/* What is written reads back as the same bytes. */
static int file_differs(const kith_stack *got, char *why, size_t size)
{
	char path[SANDBOX_PATH], again[SANDBOX_PATH];
	kith_stack *read = NULL;
	kith_err err = {0};
	size_t bytes = 0, other_bytes = 0;
	sandbox_path(path, "stack.json");
	sandbox_path(again, "again.json");
	if (kith_stack_write(got, path, &err) || kith_stack_verify(path, &err) || kith_stack_read(&read, path, &err) ||
	    kith_stack_write(read, again, &err)) {
		kith_stack_free(read);
		return snprintf(why, size, "stack.json: %.900s", err.msg) > 0;
	}
	kith_stack_free(read);
	unsigned char *one = sandbox_read(path, &bytes), *two = sandbox_read(again, &other_bytes);
	int differs = bytes != other_bytes || memcmp(one, two, bytes);
	free(one);
	free(two);
	return differs && snprintf(why, size, "stack.json reads back as another one") > 0;
}

static int result_differs(const stack *s, const kith_merge_options *options, const kith_stack *got, char *why,
			  size_t size)
{
	uint32_t ladder[KITH_MAX_TIERS], ks = expected_ladder(s, options, ladder), kinds, alphas;
	size_t at = 0;
	kith_err err = {0};
	alphas = options->alpha != KITH_ALPHA_ALL ? options->alpha + 1 : s->layers > 2 ? (uint32_t)s->layers - 1 : 1;
	kinds = (options->with_union != 0) + (options->with_mutual != 0);
	if (got->relabellings != options->relabellings || got->null_seed != options->null_seed ||
	    got->groups != options->groups || (got->groups && got->groups_seed != options->groups_seed))
		return snprintf(why, size, "%u relabellings, %u groups", got->relabellings, got->groups) > 0;
	if (options->against && networks_differ(s, options, got, why, size))
		return 1;
	if (got->nnts_count != ks || (!options->against && got->nntp_count != (size_t)ks * kinds * alphas))
		return snprintf(why, size, "%zu NNTS, %zu NNTP; should be %u, %u", got->nnts_count, got->nntp_count, ks,
				ks * kinds * alphas) > 0;
	if (layers_differ(s, got, why, size))
		return 1;
	for (uint32_t t = 0; t < ks; t++) {
		if (nnts_differs(s, &got->nnts[t], ladder[t], why, size) ||
		    estimates_differ(s, &got->nnts[t], why, size) ||
		    (got->relabellings && null_differs(s, options, &got->nnts[t], why, size)))
			return 1;
		for (int kind = options->with_union ? 0 : 1;
		     !options->against && kind <= (options->with_mutual ? 1 : 0); kind++)
			for (uint32_t alpha = 0; alpha < alphas; alpha++)
				if (jackknife_differs(s, options, &got->nntp[at], why, size) ||
				    table_differs(s, got, at++, ladder[t], (kith_graph_kind)kind, alpha, alphas, why,
						  size))
					return 1;
	}
	if (kith_stack_check(got, &err))
		return snprintf(why, size, "kith_stack_check: %.900s", err.msg) > 0;
	return (options->against || options->relabellings || options->groups) && file_differs(got, why, size);
}

/* Some layers become those of a second network, which may have names of the first's. */
static void draw_networks(stack *s, kith_merge_options *o, rng *r)
{
	size_t rows;
	if (s->layers < 2 || s->layers > 12 || !rng_chance(r, 20))
		return;
	o->against = rng_between(r, 1, s->layers - 1);
	o->alpha = o->groups = 0;
	rows = s->layers - o->against;
	for (size_t v = rows, next = 0; v < s->layers; v++)
		if (rng_chance(r, 60) && (next += rng_below(r, 3)) < rows)
			snprintf(s->name[v], sizeof s->name[v], "L%zu", next++);
}

static void draw_options(const stack *s, kith_merge_options *options, uint32_t *slots, rng *r)
{
	uint32_t most_alpha = s->layers > 2 ? (uint32_t)s->layers - 2 : 0;
	kith_merge_defaults(options);
	options->mixed = 1;
	if (rng_chance(r, 50))
		for (uint32_t t = 0; t < s->shared; t++)
			if (rng_chance(r, 60))
				options->k[options->k_count++] = s->k[t];
	if (s->layers > 12) /* the definition is slow */
		most_alpha = 4;
	options->alpha = rng_chance(r, 30) && s->layers <= 65 ? KITH_ALPHA_ALL : (uint32_t)rng_below(r, most_alpha + 1);
	options->with_union = rng_chance(r, 70);
	options->with_mutual = !options->with_union || rng_chance(r, 40);
	/* Small is as small as the stack may ask for: readers and counters grow with the layers. */
	uint64_t small = s->layers > 129 ? 512 : s->layers > 12 ? 128 : 12;
	options->memory = (rng_chance(r, 50) ? small : 1024) << 20;
	options->threads = (int)rng_between(r, 1, 2);
	if (s->layers <= 6 && s->n <= 24 && rng_chance(r, 30)) { /* exact sums are slow */
		options->relabellings = (uint32_t)(rng_chance(r, 90) ? rng_between(r, 1, 24) : 100);
		options->null_seed = rng_next(r) >> 1;
	}
	if (s->layers <= 64 && s->n >= 4 && s->n <= 60 && s->layers * s->n <= 600 && rng_chance(r, 40)) {
		options->groups = (uint32_t)rng_between(r, 2, s->n < 12 ? s->n : 12);
		options->groups_seed = rng_next(r) >> 1;
	}
	if (rng_chance(r, 50)) /* samples in parts, with and without a table */
		*slots = 64 * (uint32_t)rng_between(r, 1, 3);
}

/* The pair store that was written in the same walk, against the definition. */
static int pairs_differ(const char *path, const stack *s, const kith_stack *got, char *why, size_t size)
{
	uint32_t k[KITH_MAX_TIERS], tiers = (uint32_t)got->nnts_count;
	kith_pair_store *store = NULL;
	kith_pair_planes block = {0};
	kith_err err = {0};
	size_t at = 0, differs = 0;
	for (uint32_t q = 0; q < tiers; q++)
		k[q] = got->nnts[q].k;
	slow_pairs want = slow_pairs_of((const uint32_t *const *)s->ranks, s->layers, s->n, s->width, k, tiers);
	if (kith_pair_store_open(&store, path, &err) || kith_pair_store_check(store, NULL, &err))
		differs = snprintf(why, size, "pair store: %.900s", err.msg) > 0;
	for (uint64_t b = 0; !differs && b < kith_pair_info_blocks(kith_pair_store_get_info(store)); b++) {
		if (kith_pair_store_read_planes(store, b, (uint32_t)s->layers, NULL, &block, &err))
			differs = snprintf(why, size, "pair store: %.900s", err.msg) > 0;
		for (uint32_t p = 0; !differs && p < block.count; p++, at++) {
			differs = at >= want.count || block.i[p] != want.i[at] || block.j[p] != want.j[at];
			for (size_t v = 0; !differs && v < s->layers; v++)
				differs = slow_pair_tiers(&block, (uint32_t)v, p) != want.tiers[at * s->layers + v];
			if (differs)
				snprintf(why, size, "pair store: pair %zu, %u-%u", at, block.i[p], block.j[p]);
		}
	}
	if (!differs && at != want.count)
		differs = snprintf(why, size, "pair store: %zu pairs instead of %zu", at, want.count) > 0;
	kith_pair_planes_free(&block);
	kith_pair_store_close(store);
	slow_pairs_free(&want);
	return differs != 0;
}

/* Threads, memory and shares change nothing in the pair store, byte for byte. */
static int bytes_differ(const char *path, const stack *s, const char *const *paths, const char *const *names,
			const kith_merge_options *options, rng *r, char *why, size_t size)
{
	kith_merge_options others = *options;
	kith_stack *got = NULL;
	char other[SANDBOX_PATH];
	size_t bytes = 0, other_bytes = 0;
	kith_err err = {0};
	others.pairs = sandbox_path(other, "other.kpr");
	others.threads = (int)rng_between(r, 1, 3);
	uint32_t slots = 64 * (uint32_t)rng_below(r, 3);
	others.memory = (uint64_t)512 << 20;
	remove(other);
	if (kith_merge_tuned(s->layers, paths, names, &others, slots, &got, &err))
		return snprintf(why, size, "%d threads: %.900s", others.threads, err.msg) > 0;
	kith_stack_free(got);
	unsigned char *one = sandbox_read(path, &bytes), *two = sandbox_read(other, &other_bytes);
	int differs = bytes != other_bytes || memcmp(one, two, bytes);
	if (differs)
		snprintf(why, size, "another pair store with %d threads, %u slots", others.threads, slots);
	free(one);
	free(two);
	return differs;
}

static int round_merge(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	stack *s = must_alloc(1, sizeof *s);
	const char *paths[MOST_LAYERS], *names[MOST_LAYERS];
	kith_merge_options options;
	uint32_t slots = 0;
	kith_stack *got = NULL;
	kith_err err = {0};
	char what[1024] = "", pairs[SANDBOX_PATH];
	int status, differs = draw_stack(s, &r, what, sizeof what);
	draw_options(s, &options, &slots, &r);
	draw_networks(s, &options, &r);
	if (!options.against && rng_chance(&r, 40)) {
		options.pairs = sandbox_path(pairs, "pairs.kpr");
		options.memory = (uint64_t)1 << 30;
		remove(pairs);
	}
	for (size_t v = 0; v < s->layers; v++) {
		paths[v] = s->path[v];
		names[v] = s->name[v];
	}
	if (!differs) {
		status = kith_merge_tuned(s->layers, paths, names, &options, slots, &got, &err);
		differs = status ? snprintf(what, sizeof what, "status %d: %.900s", status, err.msg) > 0
				 : result_differs(s, &options, got, what, sizeof what) ||
					   (options.pairs &&
					    (pairs_differ(pairs, s, got, what, sizeof what) ||
					     bytes_differ(pairs, s, paths, names, &options, &r, what, sizeof what)));
	}
	if (differs)
		snprintf(why, size,
			 "%zu layers, n=%zu, %u shared k, -k of %u, alpha %d, union %d, mutual %d, memory %lluM, "
			 "threads %d: "
			 "%s",
			 s->layers, s->n, s->shared, options.k_count, (int)options.alpha, options.with_union,
			 options.with_mutual, (unsigned long long)options.memory >> 20, options.threads, what);
	kith_stack_free(got);
	for (size_t v = 0; v < s->layers; v++) {
		if (v < MOST_GRAPHS && s->truth[v] != s->ranks[v])
			free(s->truth[v]);
		if (v < MOST_GRAPHS)
			free(s->audit[v].memory);
		free(s->ranks[v]);
	}
	free(s);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_merge", property_start(argc, argv, 1000), round_merge);
}
