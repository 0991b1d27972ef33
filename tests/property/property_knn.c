/* property_knn.c - kith_knn_build on small random inputs of every awkward kind, against the definition: every
 * neighbour, every tier, every near distance and every pair equal, whatever the block sizes, threads and memory. And
 * the true neighbours of some samples, as an audit finds them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "engine.h"
#include "exact.h"
#include "hash.h"
#include "npy_write.h"
#include "random_input.h"
#include "sandbox.h"
#include "slow.h"

static void draw_own(kith_exact_options *own, size_t n, rng *r)
{
	static const uint32_t rows[] = {0, 0, 1, 2, 3, 7, 16, 61, 256};
	static const uint32_t blocks[] = {0, 0, 1, 2, 4, 16, 64, 1024};
	own->panel_rows = rows[rng_below(r, 9)];
	own->tile_rows = rows[rng_below(r, 9)];
	/* Enough tiles to cross every kind of boundary, not so many that nothing but boundaries is tried. */
	while (own->panel_rows && own->tile_rows && (n / own->panel_rows + 1) * (n / own->tile_rows + 1) > 1000) {
		own->panel_rows *= 2;
		own->tile_rows += 1;
	}
	own->block_nodes = blocks[rng_below(r, 8)];
	/* Every plan, with and without its numbers forced. */
	own->plan = (kith_plan_kind)rng_below(r, KITH_PLAN_STREAM + 1);
	if (rng_chance(r, 60)) {
		own->sketch_dims = (uint32_t)rng_between(r, 1, 12);
		own->coarse_dims = (uint32_t)rng_between(r, 1, 12);
	}
	own->spill_vectors = rng_chance(r, 30);
	if (rng_chance(r, 40)) /* so little that what the rows want is read from the file, in panels */
		own->memory = 1u << rng_between(r, 20, 23);
	if (rng_chance(r, 50))
		own->probe_blocks = (uint32_t)rng_between(r, 1, 20);
	if (rng_chance(r, 60)) /* as if they were many */
		own->divide = (uint32_t)rng_between(r, 2, 20);
}

static void draw_options(kith_knn_options *options, size_t n, rng *r)
{
	static const uint64_t memory[] = {8, 16, 64, 1024};
	kith_knn_defaults(options);
	options->tiers = slow_random_ladder(r, (uint32_t)n - 1, 4, options->ladder);
	options->refuse_zero = rng_chance(r, 30);
	options->ties = rng_chance(r, 50) ? KITH_TIES_CONTENT : KITH_TIES_INDEX;
	options->metric = rng_chance(r, 35) ? KITH_COSINE : KITH_L2;
	options->memory = memory[rng_below(r, 4)] << 20;
	options->threads = (int)rng_between(r, 1, 2);
	if (rng_chance(r, 30))
		options->near = (uint32_t)rng_below(r, n);
	options->command = "property_knn";
}

static void want_info(kith_graph_info *want, const random_layer *in, const kith_knn_options *options,
		      const kith_exact_options *own, const char *path)
{
	size_t size;
	unsigned char *file = sandbox_read(path, &size);
	memset(want, 0, sizeof *want);
	want->n = in->n;
	want->d = in->d;
	want->tiers = options->tiers;
	memcpy(want->ladder, options->ladder, sizeof want->ladder);
	want->near = want->ladder[want->tiers - 1] < options->near ? want->ladder[want->tiers - 1] : options->near;
	want->block_nodes = own->block_nodes;
	want->recall = 1;
	want->ties = options->ties;
	strcpy(want->metric, options->metric == KITH_COSINE ? "cosine" : "l2");
	strcpy(want->engine, "exact");
	snprintf(want->digest, sizeof want->digest, "xxh3:%016llx", (unsigned long long)kith_hash(file, size));
	free(file);
}

static int audited_rows_differ(const kith_audit *a, const kith_graph_info *want, const uint32_t *ranks, char *why,
			       size_t size)
{
	size_t width = want->ladder[want->tiers - 1];
	uint32_t *tier = must_alloc(want->n, sizeof *tier); /* of the row's samples */
	int differs = 0;
	for (uint32_t row = 0; row < a->record.rows && !differs; row++) {
		const uint32_t *exact = a->record.exact + row * width, id = a->record.id[row];
		memset(tier, 0xff, want->n * sizeof *tier);
		for (uint32_t t = 0, p = 0; t < want->tiers; t++)
			for (; p < want->ladder[t]; p++)
				tier[ranks[id * width + p]] = t;
		for (uint32_t t = 0, from = 0; t < want->tiers; from = want->ladder[t++])
			for (uint32_t p = from; p < want->ladder[t] && !differs; p++)
				if (exact[p] >= want->n || tier[exact[p]] != t ||
				    (p > from && exact[p - 1] >= exact[p]))
					differs = snprintf(why, size, "the audit's row of %u, place %u of %u: %u", id,
							   p, (uint32_t)width, exact[p]) > 0;
	}
	free(tier);
	return differs;
}

#define STOPS 12u /* rows to stop by, at most: each is compared with all samples */

/* How many of the samples that are no zero rows come before `id`, of which far[] are the distances. */
static uint32_t rank_among_others(const double *far, const double *x, size_t n, size_t d, const uint64_t *order,
				  uint32_t own, uint32_t id)
{
	uint32_t rank = 0;
	for (uint32_t j = 0; j < n; j++)
		if (j != own && !isnan(x[j * d]))
			rank += far[j] < far[id] || (far[j] == far[id] && order[j] < order[id]);
	return rank;
}

/* The rows to stop by are of those that are no zero rows, as are their neighbours; none is of the record, unless fewer
 * others are left than were asked for: then all of these, or the record's if there are more of them. */
static int stop_rows_differ(const kith_audit *a, const kith_engine_job *job, uint32_t asked, const double *x,
			    const uint64_t *order, char *why, size_t size)
{
	size_t n = job->vectors->n, others = 0, apart = 0;
	const kith_graph_info *info = job->info;
	const kith_graph_audit *stop = &a->stop;
	double *far = must_alloc(n, sizeof *far);
	uint32_t *other = must_alloc(n, sizeof *other), bad = 0, k = kith_info_k(info);
	for (uint32_t i = 0, r = 0; i < n; i++) {
		int recorded = r < a->record.rows && a->record.id[r] == i, zero = isnan(x[i * info->d]);
		r += (uint32_t)recorded;
		apart += !recorded && !zero;
		if (!zero)
			other[others++] = i;
	}
	size_t recorded = others - apart, most = asked < apart ? asked : apart;
	int shared = others == n ? !asked || asked > apart : asked > apart && recorded >= apart;
	bad = others > 1 && stop->rows != (shared ? recorded : most);
	k = k < others ? k : (uint32_t)others - 1;
	for (uint32_t r = 0; r < stop->rows && r < STOPS && !bad && others > 1; r++) {
		uint32_t own = stop->id[r] < others ? other[stop->id[r]] : UINT32_MAX, in_record = 0;
		bad = own == UINT32_MAX || (r && stop->id[r] <= stop->id[r - 1]);
		for (uint32_t e = 0; e < a->record.rows; e++)
			in_record += a->record.id[e] == own;
		bad |= in_record != (uint32_t)shared;
		for (uint32_t j = 0; !bad && j < n; j++)
			far[j] = slow_distance(x + own * info->d, x + j * info->d, info->d);
		for (uint32_t t = 0, from = 0; !bad && from < k; from = info->ladder[t++])
			for (uint32_t p = from; p < k && p < info->ladder[t] && !bad; p++) {
				uint32_t id = stop->exact[r * k + p], rank;
				bad = id >= others || (p > from && id <= stop->exact[r * k + p - 1]);
				rank = bad ? 0 : rank_among_others(far, x, n, info->d, order, own, other[id]);
				bad |= rank < from || rank >= info->ladder[t] || rank >= k;
			}
	}
	free(other);
	free(far);
	return bad && snprintf(why, size, "the audit's %u rows to stop by", stop->rows) > 0;
}

/* Of some samples, or all. */
static int audit_differs(const char *npy, const kith_graph_info *want, const double *x, const uint64_t *order,
			 const uint32_t *ranks, const kith_knn_options *options, rng *r, char *why, size_t size)
{
	uint32_t rows = (uint32_t)rng_between(r, 1, rng_chance(r, 20) ? 2 * want->n : (want->n + 2) / 3);
	uint32_t stop = (uint32_t)rng_below(r, rng_chance(r, 20) ? want->n : STOPS);
	kith_activations *activations = NULL;
	kith_vectors vectors = {0};
	kith_zero_rows zero = {0};
	kith_audit audit = {0};
	kith_err err = {0};
	int differs = 0;
	uint64_t memory = options->memory + 64ull * want->n * want->ladder[want->tiers - 1];
	kith_engine_job job = {.vectors = &vectors, .info = want, .memory = memory};
	if (kith_activations_open(&activations, npy, &err) ||
	    kith_vectors_init(&vectors, activations, options->metric, options->memory / 4, options->threads, NULL,
			      &err) ||
	    (vectors.ties.rule = options->ties, vectors.zero && kith_zero_rows_init(&zero, &job, &err)) ||
	    kith_audit_init(&audit, &vectors, vectors.zero ? &zero : NULL, want, rows, stop, rng_next(r), memory,
			    options->threads, NULL, &err))
		differs = snprintf(why, size, "audit: %s", err.msg) > 0;
	else if (audit.record.rows != (rows < want->n ? rows : want->n))
		differs = snprintf(why, size, "an audit of %u samples", audit.record.rows) > 0;
	else
		differs = audited_rows_differ(&audit, want, ranks, why, size) ||
			  stop_rows_differ(&audit, &job, stop, x, order, why, size);
	kith_audit_free(&audit);
	kith_zero_rows_free(&zero);
	kith_vectors_free(&vectors);
	kith_activations_close(activations);
	return differs;
}

/* An exact graph, audited, lacks nothing. */
static int misses_found(const char *npy, const char *path, const kith_knn_options *options, rng *r, char *why,
			size_t size)
{
	kith_knn_options again = *options;
	kith_graph_audit audit = {0};
	kith_err err = {0};
	int differs = 0;
	again.audit_rows = (uint32_t)rng_between(r, 1, 50);
	again.audit_seed = rng_next(r);
	if (kith_knn_audit(npy, path, &again, &audit, &err))
		differs = snprintf(why, size, "kith_knn_audit: %s", err.msg) > 0;
	for (uint32_t t = 0; t < options->tiers && !differs; t++)
		if (audit.recall[t] != 0x1.fffffffffffffp-1)
			differs =
				snprintf(why, size, "kith_knn_audit: recall %.17g at tier %u", audit.recall[t], t) > 0;
	free(audit.memory);
	return differs;
}

static int compare(const char *npy, const char *path, const kith_graph_info *want, const double *x,
		   const uint64_t *order, int shift, const kith_knn_options *options, rng *r, char *why, size_t size)
{
	size_t n = want->n, width = want->ladder[want->tiers - 1];
	uint32_t *ranks = must_alloc(n * width, sizeof *ranks);
	double *dist2 = must_alloc(n * width, sizeof *dist2), *all = slow_distances(x, n, want->d);
	int differs;
	slow_nearest(all, n, order, width, ranks, dist2);
	differs = slow_ties_differ(path, all, n, dist2, width, why, size);
	for (size_t i = 0; i < n * width; i++)
		dist2[i] = ldexp(dist2[i], -2 * shift);
	differs = differs || slow_graph_differs(path, want, width, ranks, dist2, r, why, size);
	differs = differs || audit_differs(npy, want, x, order, ranks, options, r, why, size) ||
		  misses_found(npy, path, options, r, why, size);
	free(all);
	free(ranks);
	free(dist2);
	return differs;
}

/* It should name `place`. */
static int refused_otherwise(int status, const kith_err *err, const char *place, char *why, size_t size)
{
	if (status == KITH_EUSAGE && strstr(err->msg, place))
		return 0;
	snprintf(why, size, "to be refused for %s: status %d, \"%.900s\"", place, status, err->msg);
	return 1;
}

static int round_knn(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	random_layer in;
	kith_knn_options options;
	kith_exact_options own = {0};
	kith_knn_summary summary = {0};
	kith_graph_info want;
	kith_err err = {0};
	char npy[SANDBOX_PATH], nng[SANDBOX_PATH], what[1024] = "", place[64];
	size_t entries;
	int status, differs, shift;
	random_input(&in, &r);
	draw_options(&options, in.n, &r);
	draw_own(&own, in.n, &r);
	sandbox_path(npy, "layer.npy");
	sandbox_path(nng, "layer.nng");
	npy_write(npy, in.dtype, in.n, in.d, in.raw);
	remove(nng);
	want_info(&want, &in, &options, &own, npy);
	uint64_t *order = must_alloc(in.n, sizeof *order);
	slow_tie_order(in.x, in.n, in.d, options.ties, order);
	shift = slow_prepare(in.x, in.n, in.d, options.metric == KITH_COSINE, in.dtype == KITH_F8, place, sizeof place);
	if (!options.refuse_zero && strstr(place, "is zero"))
		*place = '\0';
	entries = sandbox_entries();
	status = kith_knn_build_with(npy, nng, &options, &own, &summary, &err);
	if (*place)
		differs = refused_otherwise(status, &err, place, what, sizeof what);
	else if (status)
		differs = snprintf(what, sizeof what, "status %d: %.900s", status, err.msg) > 0;
	else if (summary.n != in.n || summary.d != in.d || summary.recall != 1 || summary.low != 1 || !summary.plan[0])
		differs = snprintf(what, sizeof what, "summary is wrong (plan \"%s\")", summary.plan) > 0;
	else
		differs = compare(npy, nng, &want, in.x, order, shift, &options, &r, what, sizeof what);
	if (!differs && sandbox_entries() != entries + (status == 0))
		differs = snprintf(what, sizeof what, "something is left behind") > 0;
	if (differs)
		snprintf(why, size,
			 "%s, %s, n=%zu d=%zu %s, %u tiers to %u, threads %d, memory %lluM, panel %u, tile %u, block "
			 "%u, plan %d, sketch %u of %u, probes %u, divide %u: %s",
			 in.family, want.metric, in.n, in.d, npy_descr(in.dtype), options.tiers,
			 options.ladder[options.tiers - 1], options.threads, (unsigned long long)options.memory >> 20,
			 own.panel_rows, own.tile_rows, own.block_nodes, (int)own.plan, own.coarse_dims,
			 own.sketch_dims, own.probe_blocks, own.divide, what);
	free(order);
	free(in.x);
	free(in.raw);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_knn", property_start(argc, argv, 1000), round_knn);
}
