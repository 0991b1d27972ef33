/* faiss_engine.c - rows by a FAISS index: train, add, search in blocks; then what FAISS leaves open: canonical
 * distances and their order, rows that it could not fill, indexes that do not fit into memory. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "engine.h"
#include "faiss.h"
#include "faiss_input.h"
#include "faiss_plan.h"
#include "faiss_spec.h"
#include "faiss_tune.h"
#include "found_rows.h"
#include "refine.h"
#include "text.h"

#define MOST_ALIKE 64u /* samples that are the same, for an NSG */

struct faiss_run {
	const kith_engine_job *job;
	kith_vectors *vectors;
	kith_faiss_spec spec;
	kith_faiss_plan plan;
	kith_faiss_input input;
	kith_faiss *index;
	uint64_t n, d;
	uint32_t k, near;
	kith_faiss_searcher searcher;
	kith_ranker ranker;
	uint32_t *near_ids;   /* block x near */
	kith_found_rows rows; /* of a block */
	uint64_t *left;       /* theirs; of all samples, where there are several shards, or they are asked for */
	int keeps_left;
	void *memory;        /* holds what these have */
	kith_results so_far; /* of several shards: the rows of all samples */
	kith_tie_counts tied;
	uint32_t *candidates; /* block x plan.offered: rows of other layers' graphs, and the same as labels */
	int64_t *candidate_labels;
	kith_recall reached; /* with an automatic parameter */
	uint64_t completed;
};

/* ---- the index ---- */

static int fit_file(const struct faiss_run *f, kith_err *err)
{
	const kith_vectors *v = f->vectors;
	unsigned long long d = kith_faiss_d(f->index), count = kith_faiss_count(f->index);
	uint64_t n = v->id ? kith_activations_get_info(v->input)->n : f->n;
	if (d != f->d)
		return kith_fail(err, KITH_EUSAGE, "%s: its vectors have %llu values, but the samples of %s have %llu",
				 f->spec.factory, d, v->path, (unsigned long long)f->d);
	if (count != n)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: holds %llu vectors, but %s has %llu samples, and its ids have to be their rows",
				 f->spec.factory, count, v->path, (unsigned long long)n);
	return 0;
}

/* Makes or reads the index, and sets what is known by now. */
static int open_index(struct faiss_run *f, kith_err *err)
{
	const kith_engine_job *job = f->job;
	const kith_faiss_spec *s = &f->spec;
	int rc = s->is_file ? kith_faiss_load(&f->index, s->factory, job->memory / 2, job->threads, err)
			    : kith_faiss_make(&f->index, s->factory, f->d, job->threads, err);
	if (!rc && s->is_file)
		rc = fit_file(f, err);
	for (uint32_t i = 0; !rc && i < s->count; i++)
		rc = kith_faiss_set(f->index, s->parameter[i].name, s->parameter[i].is_auto ? 1 : s->parameter[i].value,
				    err);
	return rc;
}

/* FAISS never finishes an NSG of many samples that are the same: it is about 114 of them. */
static int check_nsg(struct faiss_run *f, kith_err *err)
{
	uint64_t alike;
	if (f->spec.is_file || !strstr(f->spec.factory, "NSG"))
		return 0;
	int rc = kith_faiss_input_alike(&f->input, &alike, err);
	if (!rc && alike > MOST_ALIKE)
		rc = kith_fail(err, KITH_EUSAGE,
			       "engine faiss:%s: %llu samples of %s are the same, which FAISS' NSG cannot do: use HNSW",
			       f->spec.factory, (unsigned long long)alike, f->vectors->path);
	return rc;
}

static int train(struct faiss_run *f, kith_err *err)
{
	uint64_t rows;
	int rc;
	if (kith_faiss_is_trained(f->index))
		return 0;
	if ((rc = kith_faiss_plan_training(&f->plan, f->job, &f->spec, err)))
		return rc;
	rows = f->plan.train_rows;
	float *x = kith_alloc(rows * f->plan.repeats * f->d, sizeof *x);
	if (!x)
		return kith_fail_nomem(err, "samples to train on", rows * f->plan.repeats * f->d * sizeof *x);
	if (!(rc = kith_progress_tick(f->job->progress, "training", 0, rows, err)) &&
	    !(rc = kith_faiss_input_read(&f->input, 0, f->n, NULL, rows, x, err))) {
		for (uint64_t again = 1; again < f->plan.repeats; again++)
			memcpy(x + again * rows * f->d, x, rows * f->d * sizeof *x);
		rc = kith_faiss_train(f->index, rows * f->plan.repeats, x, err);
	}
	free(x);
	return rc;
}

/* The bytes of the index when empty, and for each sample: by a trial, unless there will be room in any case. */
static int weigh(struct faiss_run *f, uint64_t *fixed, uint64_t *row, kith_err *err)
{
	uint64_t rows, bytes;
	int rc;
	*fixed = kith_faiss_bytes(f->index);
	*row = kith_faiss_row_bound(&f->spec, f->d);
	if (f->spec.is_file || (double)f->n * (double)*row < (double)(f->job->memory / 4))
		return 0;
	if ((rc = kith_faiss_plan_trial(&rows, f->job, &f->spec, err)))
		return rc;
	float *x = kith_alloc(rows * f->d, sizeof *x);
	if (!x)
		return kith_fail_nomem(err, "some samples", rows * f->d * sizeof *x);
	if (!(rc = kith_faiss_input_read(&f->input, 0, f->n, NULL, rows, x, err)) &&
	    !(rc = kith_faiss_add(f->index, rows, x, err))) {
		bytes = kith_faiss_bytes(f->index);
		if (bytes > *fixed)
			*row = (bytes - *fixed + rows - 1) / rows;
		rc = kith_faiss_reset(f->index, err);
	}
	free(x);
	return rc;
}

/* A failure to get memory may end the process where FAISS works in several threads, so it is asked for here first. */
static int foresee_memory(const struct faiss_run *f, kith_err *err)
{
	void *memory = kith_alloc(f->plan.index, 1);
	free(memory);
	return memory ? 0 : kith_fail_nomem(err, "FAISS' index", f->plan.index);
}

/* Samples first..first+count-1 into the empty index. A std::vector that is full doubles: added in 2^i equal parts, it
 * ends without room to spare. */
static int add_samples(struct faiss_run *f, uint64_t first, uint64_t count, kith_err *err)
{
	uint64_t part = count;
	float *x = f->searcher.x;
	int rc = f->spec.is_file ? 0 : foresee_memory(f, err);
	while (!f->plan.at_once && part > f->plan.block)
		part = (part + 1) / 2;
	if (!rc && part > f->plan.block && !(x = kith_alloc(part * f->d, sizeof *x)))
		rc = kith_fail_nomem(err, "samples to add", part * f->d * sizeof *x);
	for (uint64_t at = 0; !rc && at < count; at += part) {
		uint64_t some = count - at < part ? count - at : part;
		if (!(rc = kith_progress_tick(f->job->progress, "adding", first + at, f->n, err)) &&
		    !(rc = kith_faiss_input_read(&f->input, first + at, some, NULL, some, x, err)))
			rc = kith_faiss_add(f->index, some, x, err);
	}
	if (x != f->searcher.x)
		free(x);
	return rc;
}

/* ---- preparing ---- */

static int alloc_blocks(struct faiss_run *f, kith_err *err)
{
	const kith_faiss_plan *p = &f->plan;
	kith_workspace w = {0};
	int several = p->shards > 1;
	f->keeps_left = several || f->job->left;
	KITH_BUFFER(&w, f->candidates, p->block * p->offered);
	KITH_BUFFER(&w, f->candidate_labels, p->block * p->offered);
	KITH_BUFFER(&w, f->searcher.x, p->block * f->d);
	KITH_BUFFER(&w, f->searcher.distances, p->block * p->found);
	KITH_BUFFER(&w, f->searcher.labels, p->block * p->found);
	KITH_BUFFER(&w, f->near_ids, p->block * f->near);
	KITH_BUFFER(&w, f->left, f->job->left ? 0 : several ? f->n : p->block);
	KITH_BUFFER(&w, f->rows.ids, several ? 0 : p->block * f->k);
	KITH_BUFFER(&w, f->rows.dist2, several ? 0 : p->block * f->k);
	kith_ranker_init(&f->ranker, f->vectors, f->k, p->found > p->offered ? p->found : p->offered,
			 f->job->memory / 16, f->job->threads, f->job->progress, &w);
	int rc = kith_workspace_alloc(&w, &f->memory, "blocks of rows", err);
	if (f->job->left)
		f->left = f->job->left;
	if (!rc && several)
		rc = kith_results_init(&f->so_far, f->n, 0, f->k, p->spill ? f->job->output : NULL, err);
	f->searcher.index = f->index;
	f->searcher.input = &f->input;
	f->searcher.plan = p;
	f->searcher.sample = f->spec.is_file ? f->vectors->id : NULL;
	return rc;
}

static int prepare(struct faiss_run *f, kith_err *err)
{
	uint64_t fixed, row;
	int rc;
	if ((rc = open_index(f, err)) ||
	    (rc = kith_faiss_input_init(&f->input, f->vectors, f->spec.is_file, f->job->threads, err)) ||
	    (rc = check_nsg(f, err)) || (rc = train(f, err)) || (rc = weigh(f, &fixed, &row, err)) ||
	    (rc = kith_faiss_plan_sizes(&f->plan, f->job, &f->spec, fixed, row, err)))
		return rc;
	if (f->plan.resident && (rc = kith_vectors_load(f->vectors, f->plan.block, err)))
		return rc;
	return alloc_blocks(f, err);
}

/* ---- searching ---- */

/* The rows of samples first.. of a block. */
static kith_found_rows *rows_of(struct faiss_run *f, uint64_t first)
{
	f->rows.first = first;
	f->rows.count = f->n - first < f->plan.block ? f->n - first : f->plan.block;
	if (f->plan.shards > 1) {
		f->rows.ids = f->so_far.near_ids + first * f->k;
		f->rows.dist2 = f->so_far.near_dist2 + first * f->k;
	}
	f->rows.left = f->left + (f->keeps_left ? first : 0);
	return &f->rows;
}

static int search(struct faiss_run *f, const kith_found_rows *rows, kith_err *err)
{
	kith_faiss_searcher *s = &f->searcher;
	int rc = kith_faiss_input_read(&f->input, rows->first, rows->count, NULL, rows->count, s->x, err);
	return rc ? rc : kith_faiss_searcher_run(s, rows->count, err);
}

/* The graph's rows of some consecutive samples of its, the first of which is `row`s's sample `at`, as labels: of those
 * that are samples here. Returns how many of the rows that were. */
static uint64_t take_labels(struct faiss_run *f, const kith_found_rows *rows, uint64_t at, uint64_t count,
			    uint32_t found)
{
	const uint32_t *sample = f->vectors->id;
	uint64_t taken = 0, first = sample ? sample[rows->first + at] : 0;
	for (uint64_t r = 0; r < count && at + taken < rows->count; r++) {
		int64_t *to = f->candidate_labels + (at + taken) * found;
		if (sample && sample[rows->first + at + taken] != first + r)
			continue;
		for (uint32_t e = 0; e < found; e++) {
			uint32_t id = f->candidates[r * found + e];
			to[e] = sample ? kith_faiss_label_of(sample, f->n, id) : (int64_t)id;
		}
		taken++;
	}
	return taken;
}

/* Puts the rows of other layers' graphs into these, as far as they are nearer. */
static int take_candidates(struct faiss_run *f, kith_found_rows *rows, kith_err *err)
{
	int rc = 0;
	for (uint32_t g = 0; !rc && g < f->job->candidate_graphs; g++) {
		kith_graph *graph = f->job->candidates[g];
		const kith_graph_info *theirs = kith_graph_get_info(graph);
		uint32_t tiers = kith_engine_candidate_tiers(theirs, f->k), found = theirs->ladder[tiers - 1];
		for (uint64_t at = 0; !rc && at < rows->count;) {
			uint64_t first = f->vectors->id ? f->vectors->id[rows->first + at] : rows->first;
			uint64_t count = theirs->n - first < rows->count ? theirs->n - first : rows->count;
			if (!(rc = kith_graph_read_rows(graph, first, count, tiers, f->candidates, err)))
				at += take_labels(f, rows, at, count, found);
		}
		if (!rc)
			rc = kith_found_rows_take(&f->ranker, rows, f->candidate_labels, found, 0, err);
	}
	return rc;
}

/* All samples search shard `shard`. What is the last one's goes to the writer. */
static int search_shard(struct faiss_run *f, uint64_t shard, kith_graph_writer *writer, kith_err *err)
{
	const kith_faiss_plan *p = &f->plan;
	int rc = 0;
	for (uint64_t first = 0; !rc && first < f->n; first += p->block) {
		kith_found_rows *rows = rows_of(f, first);
		uint64_t done = shard * f->n + first, total = p->shards * f->n;
		if ((rc = kith_progress_tick(f->job->progress, "neighbours", done, total, err)))
			break;
		if (!shard)
			kith_found_rows_clear(rows, f->k);
		if ((rc = search(f, rows, err)) || (rc = kith_found_rows_take(&f->ranker, rows, f->searcher.labels,
									      p->found, f->searcher.offset, err)))
			break;
		if (shard + 1 < p->shards)
			continue;
		if (!(rc = take_candidates(f, rows, err)) &&
		    !(rc = kith_found_rows_complete(&f->ranker, rows, &f->completed, err)))
			rc = kith_found_rows_append(rows, f->job, writer, f->near_ids, &f->tied, err);
	}
	return rc;
}

static int tune(struct faiss_run *f, kith_graph_writer *writer, kith_err *err)
{
	char text[256];
	int rc = kith_faiss_tune(&f->searcher, &f->spec, f->job, &f->reached, err);
	if (rc)
		return rc;
	kith_faiss_spec_text(&f->spec, text, sizeof text);
	if (f->job->candidate_graphs) {
		size_t at = strlen(text);
		snprintf(text + at, sizeof text - at, ",candidates=%u", f->job->candidate_graphs);
	}
	kith_graph_put_parameters(writer, text);
	return rc;
}

static int search_shards(struct faiss_run *f, kith_graph_writer *writer, kith_err *err)
{
	const kith_faiss_plan *p = &f->plan;
	int rc = 0;
	for (uint64_t shard = 0; !rc && shard < p->shards; shard++) {
		kith_faiss_searcher *s = &f->searcher;
		s->offset = shard * p->shard_rows;
		s->count = f->n - s->offset < p->shard_rows ? f->n - s->offset : p->shard_rows;
		if (shard && (rc = kith_faiss_reset(f->index, err)))
			break;
		if (!f->spec.is_file && (rc = add_samples(f, s->offset, s->count, err)))
			break;
		if (!shard && f->spec.automatic >= 0 && (rc = tune(f, writer, err)))
			break;
		rc = search_shard(f, shard, writer, err);
	}
	return rc;
}

/* ---- what was done ---- */

/* Adds to a text of `size` bytes, as far as there is room. */
static __attribute__((format(printf, 3, 4))) void add_text(char *text, size_t size, const char *format, ...)
{
	size_t at = strlen(text);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text + at, size - at, format, arguments);
	va_end(arguments);
}

/* As much of the factory string as there is room for, and all that follows it. */
static void describe(const struct faiss_run *f, char *out, size_t size)
{
	const kith_faiss_spec *s = &f->spec;
	char what[56] = "";
	if (s->automatic >= 0 && s->parameter[s->automatic].value) {
		const kith_faiss_parameter *p = &s->parameter[s->automatic];
		add_text(what, sizeof what, "; %s=%.0f", p->name, p->value);
		if (f->reached.low < s->recall)
			add_text(what, sizeof what, " is not enough");
	}
	if (f->plan.shards > 1)
		add_text(what, sizeof what, "; %llu shards", (unsigned long long)f->plan.shards);
	if (f->completed)
		add_text(what, sizeof what, "; %llu rows completed", (unsigned long long)f->completed);
	size_t room = size - sizeof "faiss:" - strlen(what);
	*out = 0;
	add_text(out, size, "faiss:%.*s%s", (int)room, s->factory, what);
}

static void begin(struct faiss_run *f, const kith_engine_job *job)
{
	const kith_faiss_spec *spec = job->options;
	*f = (struct faiss_run){.job = job,
				.vectors = job->vectors,
				.spec = *spec,
				.n = job->info->n,
				.d = job->info->d,
				.k = kith_info_k(job->info),
				.near = job->info->near};
}

static void end(struct faiss_run *f)
{
	kith_faiss_free(f->index);
	kith_faiss_input_free(&f->input);
	kith_results_free(&f->so_far);
	free(f->memory);
}

/* The index is made, or read, so that what FAISS would refuse is refused here, but not trained. */
static int foresee(const kith_engine_job *job, kith_knn_estimate *out, kith_err *err)
{
	struct faiss_run f;
	begin(&f, job);
	int rc = open_index(&f, err);
	if (!rc && !f.spec.is_file)
		rc = kith_faiss_plan_training(&f.plan, job, &f.spec, err);
	if (!rc)
		rc = kith_faiss_plan_sizes(&f.plan, job, &f.spec, kith_faiss_bytes(f.index),
					   f.spec.is_file ? 0 : kith_faiss_row_bound(&f.spec, f.d), err);
	if (!rc) {
		describe(&f, out->plan, sizeof out->plan);
		out->seconds = kith_faiss_seconds(&f.plan, job, &f.spec);
		out->memory = f.plan.memory;
		out->temporary = f.plan.disk;
	}
	end(&f);
	return rc;
}

static int build(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	struct faiss_run f;
	begin(&f, job);
	int rc = prepare(&f, err);
	if (!rc)
		rc = search_shards(&f, writer, err);
	if (!rc)
		rc = kith_faiss_unchanged(f.index, err);
	if (!rc)
		describe(&f, summary->plan, sizeof summary->plan);
	summary->tied = f.tied;
	end(&f);
	return rc;
}

/* ---- the door ---- */

static int check(const void *own, const char *path, uint64_t n, uint64_t d, kith_err *err)
{
	const kith_faiss_spec *s = own;
	kith_faiss *index = NULL;
	(void)path, (void)n;
	int rc = s->is_file ? 0 : kith_faiss_make(&index, s->factory, d, 1, err);
	for (uint32_t i = 0; !rc && !s->is_file && i < s->count; i++)
		rc = kith_faiss_set(index, s->parameter[i].name, s->parameter[i].is_auto ? 1 : s->parameter[i].value,
				    err);
	kith_faiss_free(index);
	return rc;
}

static int parse(void *own, const char *spec, kith_err *err)
{
	return kith_faiss_spec_parse(own, spec, err);
}

static void promise(const void *own, kith_graph_info *info)
{
	const kith_faiss_spec *s = own;
	char text[sizeof s->factory + 8];
	snprintf(text, sizeof text, "faiss:%s", s->factory);
	kith_copy_text(info->engine, sizeof info->engine, text);
	kith_faiss_spec_text(s, info->parameters, sizeof info->parameters);
}

static int stops(const void *own)
{
	const kith_faiss_spec *s = own;
	return s->automatic >= 0;
}

const kith_engine kith_engine_faiss = {
	.name = "faiss",
	.stops = stops,
	.takes_candidates = 1,
	.example = "IVF1024,Flat;nprobe=16",
	.parse = parse,
	.check = check,
	.options_size = sizeof(kith_faiss_spec),
	.promise = promise,
	.foresee = foresee,
	.build = build,
};
