/* knn.c - see kith/knn.h: the stage from file to file. */
#include "kith/knn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "audit.h"
#include "engine.h"
#include "machine.h"
#include "sparse.h"
#include "text.h"
#include "zero_rows.h"

static const kith_engine *const engines[] = {&kith_engine_exact, &kith_engine_approx, &kith_engine_faiss};
#define MAX_CANDIDATES  16
#define MOST_CANDIDATES 256 /* of a row of one graph, where that is more than twice k */
#define ENGINES         (sizeof engines / sizeof *engines)

const kith_engine *kith_engine_at(size_t i)
{
	return i < ENGINES ? engines[i] : NULL;
}

int kith_engine_find(const kith_engine **out, const char **spec, const char *text, kith_err *err)
{
	char names[256] = "";
	size_t length = strcspn(text, ":");
	for (size_t e = 0; e < ENGINES; e++) {
		size_t at = strlen(names);
		if (strlen(engines[e]->name) == length && !strncmp(text, engines[e]->name, length)) {
			*out = engines[e];
			*spec = text[length] ? text + length + 1 : NULL;
			if (!*spec && engines[e]->example)
				return kith_fail(err, KITH_EUSAGE, "engine %s: needs to know more, such as %s:%s", text,
						 text, engines[e]->example);
			return *spec && !engines[e]->parse
				       ? kith_fail(err, KITH_EUSAGE, "engine %s: %s takes no options here", text,
						   engines[e]->name)
				       : 0;
		}
		snprintf(names + at, sizeof names - at, "%s%s", e ? ", " : "", engines[e]->name);
	}
	return kith_fail(err, KITH_EUSAGE, "engine %s: this build has only the engine%s %s", text,
			 ENGINES > 1 ? "s" : "", names);
}

/* Distances as the file's values have them. */
static int append_unshifted(const kith_engine_job *job, kith_graph_writer *writer, uint64_t count, uint32_t *ids,
			    const uint32_t *near_ids, const double *near_dist2, kith_err *err)
{
	uint64_t items = count * job->info->near;
	double *dist2 = kith_alloc(items, sizeof *dist2);
	if (!dist2)
		return kith_fail_nomem(err, "distances", items * sizeof *dist2);
	for (uint64_t i = 0; i < items; i++)
		dist2[i] = kith_vectors_unshift(job->vectors, near_dist2[i]);
	int rc = kith_graph_append(writer, count, ids, near_ids, dist2, err);
	free(dist2);
	return rc;
}

uint32_t kith_engine_candidate_tiers(const kith_graph_info *theirs, uint32_t k)
{
	uint32_t tiers = 1;
	while (tiers < theirs->tiers && theirs->ladder[tiers] <= 2 * k)
		tiers++;
	return tiers;
}

int kith_engine_append(const kith_engine_job *job, kith_graph_writer *writer, uint64_t count, uint32_t *ids,
		       const uint32_t *near_ids, const double *near_dist2, kith_err *err)
{
	if (job->left)
		return kith_zero_rows_append(job->zero, writer, count, near_ids, near_dist2, err);
	int rc = job->vectors->shift ? append_unshifted(job, writer, count, ids, near_ids, near_dist2, err)
				     : kith_graph_append(writer, count, ids, near_ids, near_dist2, err);
	if (!rc && job->hits)
		kith_audit_note(job->hits, count, ids);
	return rc;
}

void kith_knn_defaults(kith_knn_options *o)
{
	memset(o, 0, sizeof *o);
	o->tiers = 1;
	o->ladder[0] = 15;
	o->ties = KITH_TIES_CONTENT;
	o->engine = engines[0]->name;
	o->near = KITH_NEAR_DEFAULT;
	o->memory = kith_machine_budget(4ull << 30);
	o->threads = kith_machine_cores();
	o->audit_rows = KITH_AUDIT_ROWS;
	o->command = "";
}

int kith_stage_check(const char *path, uint64_t n, const kith_knn_options *o, kith_err *err)
{
	if (n < 2)
		return kith_fail(err, KITH_EUSAGE, "%s: holds 1 sample, which has no neighbours", path);
	for (uint32_t t = 0; t < o->tiers; t++)
		if (o->ladder[t] >= n)
			return kith_fail(err, KITH_EUSAGE,
					 "%s: k=%u, but each of its %llu samples has only %llu others: use a smaller k",
					 path, o->ladder[t], (unsigned long long)n, (unsigned long long)n - 1);
	return 0;
}

void kith_stage_describe(kith_graph_info *info, const kith_knn_options *o, const char *path, uint64_t n, uint64_t d,
			 uint64_t digest)
{
	static const char *const metrics[] = {"l2", "cosine", "jaccard"};
	const char *slash = strrchr(path, '/');
	info->n = n;
	info->d = d;
	info->tiers = o->tiers;
	memcpy(info->ladder, o->ladder, o->tiers * sizeof *o->ladder);
	info->recall = 1; /* until an audit says otherwise */
	info->ties = o->ties;
	info->near = kith_info_k(info) < o->near ? kith_info_k(info) : o->near;
	kith_copy_text(info->metric, sizeof info->metric, metrics[o->metric]);
	kith_copy_text(info->input, sizeof info->input, slash ? slash + 1 : path);
	kith_copy_text(info->command, sizeof info->command, o->command);
	snprintf(info->digest, sizeof info->digest, "xxh3:%016llx", (unsigned long long)digest);
}

/* One run of the stage. */
struct run {
	const kith_knn_options *options;
	const kith_engine *engine;
	int instead; /* of the one that was asked for, which has too few samples */
	void *own;   /* the engine's options */
	kith_activations *activations;
	kith_vectors vectors;
	kith_graph_info info;
	kith_engine_job job;
	kith_zero_rows zero; /* where there are any: the job without them */
	kith_audit audit;
	kith_activations_watch watch;
	kith_progress progress; /* the user's, which watches the input, too */
	kith_graph *candidates[MAX_CANDIDATES];
};

static void fill_info(struct run *r)
{
	const kith_knn_options *o = r->options;
	kith_graph_info *info = &r->info;
	kith_stage_describe(info, o, r->vectors.path, r->vectors.n, r->vectors.d, r->vectors.digest);
	kith_source_label(kith_activations_source(r->activations), info->input, sizeof info->input);
	r->engine->promise(r->job.options, info);
	if (o->candidate_graphs) {
		size_t at = strlen(info->parameters);
		snprintf(info->parameters + at, sizeof info->parameters - at, "%scandidates=%u", at ? "," : "",
			 o->candidate_graphs);
	}
}

static int use_default_engine(struct run *r, kith_err *err)
{
	r->engine = engines[0];
	r->instead = 1;
	free(r->own);
	r->job.options = r->own = kith_alloc_zero(1, r->engine->options_size);
	return r->own ? 0 : kith_fail_nomem(err, "options", r->engine->options_size);
}

/* Says in a plan, which is for people, why it is not that of the engine asked for. */
static void describe_instead(const struct run *r, char *plan, size_t size)
{
	size_t at = strlen(plan);
	if (r->instead)
		snprintf(plan + at, size - at, ", as fast as %.*s here", (int)strcspn(r->options->engine, ":"),
			 r->options->engine);
}

/* Activations are no sets, and have no generators to choose from. */
static int check_dense(const char *path, const kith_knn_options *o, kith_err *err)
{
	const char *option = o->rows.weights   ? "--weights"
			     : o->rows.classes ? "--classes"
			     : o->rows.ops     ? "--ops"
					       : NULL;
	if (option)
		return kith_fail(err, KITH_EUSAGE, "%s: %s is for generators (.kh0), which activations do not have",
				 path, option);
	if (o->metric == KITH_JACCARD)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: --metric jaccard is for generators (.kh0): use l2 or cosine with activations",
				 path);
	return 0;
}

/* Opens the input and looks at its rows: at all of them or, without `output`, at a sample. */
static int start(struct run *r, const char *input, const char *output, const void *own, kith_err *err)
{
	const kith_knn_options *o = r->options;
	uint64_t memory = o->memory / 4 < 4u << 20 ? o->memory / 4 : 4u << 20; /* stays in the cache */
	const char *spec = NULL;
	kith_input_how how = kith_input_within(&o->how, o->memory);
	how.spill = how.spill ? how.spill : output;
	int rc = r->engine ? 0 : kith_engine_find(&r->engine, &spec, o->engine, err);
	if (rc)
		return rc;
	if (!(r->own = kith_alloc_zero(1, r->engine->options_size)))
		return kith_fail_nomem(err, "options", r->engine->options_size);
	if (own)
		memcpy(r->own, own, r->engine->options_size);
	if (spec && (rc = r->engine->parse(r->own, spec, err)))
		return rc;
	if (!r->engine->exact && !o->audit_rows)
		return kith_fail(err, KITH_EUSAGE, "engine %s is not exact: an audit of at least 1 sample says how far",
				 o->engine);
	r->job = (kith_engine_job){.vectors = &r->vectors,
				   .info = &r->info,
				   .options = r->own,
				   .memory = o->memory,
				   .threads = o->threads,
				   .output = output,
				   .progress = &r->progress};
	if ((rc = kith_activations_open_as(&r->activations, input, &how, err)))
		return rc;
	r->progress = kith_activations_watched(&r->watch, r->activations, &o->progress);
	const kith_activations_info *file = kith_activations_get_info(r->activations);
	r->job.memory -= file->kept < o->memory ? file->kept : o->memory;
	r->job.taken += file->kept;
	if ((rc = check_dense(file->path, o, err)) || (rc = kith_stage_check(file->path, file->n, o, err)))
		return rc;
	if (r->engine->check && (rc = r->engine->check(r->own, file->path, file->n, file->d, err)))
		return rc;
	if (r->engine->too_few && !o->candidate_graphs && r->engine->too_few(r->own, file->n) &&
	    (rc = use_default_engine(r, err)))
		return rc;
	rc = output ? kith_vectors_init(&r->vectors, r->activations, o->metric, memory, o->threads, &r->progress, err)
		    : kith_vectors_glance(&r->vectors, r->activations, o->metric, memory, o->threads, err);
	r->vectors.ties.rule = o->ties;
	if (!rc && o->refuse_zero)
		rc = kith_vectors_refuse_zero(&r->vectors, err);
	if (!rc)
		fill_info(r);
	return rc;
}

/* When all work on the inputs is done: are they what they were? */
static int verify_inputs(struct run *r, kith_err *err)
{
	const kith_knn_options *o = r->options;
	int rc = kith_activations_verify(r->activations, o->threads, &r->progress, err);
	for (uint32_t g = 0; !rc && g < o->candidate_graphs; g++)
		rc = kith_graph_unchanged(r->candidates[g], err);
	return rc;
}

/* Opens the graphs whose rows are candidates, too. */
static int open_candidates(struct run *r, kith_err *err)
{
	const kith_knn_options *o = r->options;
	if (!o->candidate_graphs)
		return 0;
	if (!r->engine->takes_candidates)
		return kith_fail(err, KITH_EUSAGE,
				 "engine %s takes no candidates: it finds every neighbour without them", o->engine);
	if (o->candidate_graphs > MAX_CANDIDATES)
		return kith_fail(err, KITH_EUSAGE, "candidates of %u graphs: no more than %d are taken",
				 o->candidate_graphs, MAX_CANDIDATES);
	for (uint32_t g = 0; g < o->candidate_graphs; g++) {
		int rc = kith_graph_open(&r->candidates[g], o->candidates[g], err);
		if (rc)
			return rc;
		unsigned long long n = kith_graph_get_info(r->candidates[g])->n;
		if (n != r->info.n)
			return kith_fail(
				err, KITH_EUSAGE,
				"%s: has %llu samples, but %s has %llu: candidates are layers of the same samples",
				o->candidates[g], n, r->vectors.path, (unsigned long long)r->info.n);
	}
	for (uint32_t g = 0; g < o->candidate_graphs; g++) {
		uint32_t first = kith_graph_get_info(r->candidates[g])->ladder[0];
		if (first > MOST_CANDIDATES && first > 2 * kith_info_k(&r->info))
			return kith_fail(err, KITH_EUSAGE,
					 "%s: its rows have %u neighbours at least, too many to try each: candidates "
					 "are graphs whose smallest k is %u at most",
					 o->candidates[g], first, MOST_CANDIDATES);
	}
	r->job.candidates = r->candidates;
	r->job.candidate_graphs = o->candidate_graphs;
	return 0;
}

static void finish(struct run *r)
{
	for (uint32_t g = 0; g < MAX_CANDIDATES; g++)
		kith_graph_close(r->candidates[g]);
	kith_zero_rows_free(&r->zero);
	kith_vectors_free(&r->vectors);
	kith_activations_close(r->activations);
	kith_audit_free(&r->audit);
	free(r->own);
}

/* Ids at about the entropy of a random set, one and a half times: in the rows, and half of them in reverse lists; of
 * the nearest, distances of 20 bits, and which of the row's they are. */
uint64_t kith_stage_graph_bytes(const kith_graph_info *info)
{
	double n = (double)info->n, k = kith_info_k(info);
	return (uint64_t)(n * (info->near * (20 + log2(1 + k / 2.7)) / 8 + 0.205 * k * (log2(n / k) + 1.44))) + 16384;
}

/* Samples that tell the engine when to stop: as many as are to measure its graph. */
static uint32_t stop_rows(const struct run *r)
{
	return r->engine->stops && r->engine->stops(r->own) ? r->options->audit_rows : 0;
}

/* What the caller wants, with no more threads than OpenMP gives: work and memory are divided among them. */
static kith_knn_options within_limits(const kith_knn_options *given)
{
	kith_knn_options o = *given;
	o.threads = kith_machine_threads(o.threads);
	return o;
}

/* Zero rows are set aside. */
static int set_aside_zero_rows(struct run *r, kith_err *err)
{
	int rc = r->vectors.zero ? kith_zero_rows_init(&r->zero, &r->job, err) : 0;
	if (!rc && r->vectors.zero && r->engine->takes_zero) {
		r->job.zero = &r->zero;
		r->job.memory = r->zero.rest.memory;
		r->job.taken = r->zero.rest.taken;
	}
	return rc;
}

static int is_beside(const struct run *r)
{
	return r->vectors.zero && !r->engine->takes_zero;
}

/* What the engine gets. */
static kith_engine_job *engines_job(struct run *r)
{
	return is_beside(r) ? &r->zero.rest : &r->job;
}

/* The engine's work, with zero rows put in where there are any. */
static int build_rows(struct run *r, kith_graph_writer *writer, kith_knn_summary *done, kith_err *err)
{
	int rc = 0;
	kith_copy_text(done->plan, sizeof done->plan, "zero rows");
	if (!is_beside(r) || r->zero.others > 1)
		rc = r->engine->build(engines_job(r), writer, done, err);
	if (!rc && is_beside(r)) {
		rc = kith_zero_rows_finish(&r->zero, writer, err);
		done->tied = r->zero.tied;
	}
	done->tied.zero = r->vectors.zero;
	return rc;
}

static int foresee_rows(struct run *r, kith_knn_estimate *out, kith_err *err)
{
	kith_copy_text(out->plan, sizeof out->plan, "zero rows");
	return is_beside(r) && r->zero.others < 2 ? 0 : r->engine->foresee(engines_job(r), out, err);
}

/* Generators are for the default engine, with no options of its own. */
static int check_sparse(const char *input, const kith_knn_options *o, const void *own, kith_err *err)
{
	const char *given = own;
	size_t at = 0;
	if (strcmp(o->engine, engines[0]->name))
		return kith_fail(err, KITH_EUSAGE, "%s: engine %s is for activations: leave --engine out", input,
				 o->engine);
	if (o->candidate_graphs)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: engine exact takes no candidates: it finds every neighbour without them", input);
	while (given && at < engines[0]->options_size && !given[at])
		at++;
	if (given && at < engines[0]->options_size)
		return kith_fail(err, KITH_EUSAGE, "%s: options of engine exact are for activations: leave them out",
				 input);
	return 0;
}

/* Trials have not looked for values that are not finite, and stumble over them: then all rows are looked at. */
static int find_reason(struct run *r, int rc, kith_err *err)
{
	kith_scan scan;
	kith_err why;
	if (rc != KITH_EIO || !r->activations)
		return rc;
	int found = kith_activations_scan(r->activations, kith_machine_budget(32u << 20), r->options->threads,
					  &r->progress, &scan, NULL, &why);
	if (found != KITH_EUSAGE)
		return rc;
	if (err)
		*err = why;
	return found;
}

int kith_knn_foresee_with(const char *input, const kith_knn_options *given, const void *own, kith_knn_estimate *out,
			  kith_err *err)
{
	const kith_knn_options limited = within_limits(given), *o = &limited;
	struct run r = {.options = o};
	kith_knn_estimate found = {0};
	if (kith_sparse_recognise(input))
		return check_sparse(input, o, own, err) ? KITH_EUSAGE : kith_sparse_foresee(input, o, out, err);
	int rc = start(&r, input, NULL, own, err);
	if (!rc && !(rc = set_aside_zero_rows(&r, err)) && !(rc = foresee_rows(&r, &found, err))) {
		describe_instead(&r, found.plan, sizeof found.plan);
		found.n = r.info.n;
		found.memory += kith_activations_get_info(r.activations)->kept;
		found.temporary += kith_activations_get_info(r.activations)->spilled;
		found.d = r.info.d;
		found.graph = kith_stage_graph_bytes(&r.info);
		if (!r.engine->exact)
			found.seconds +=
				kith_audit_seconds(r.info.n, r.info.d, o->audit_rows + stop_rows(&r), o->threads);
		if (!(rc = kith_activations_unchanged(r.activations, err)))
			*out = found;
	}
	rc = find_reason(&r, rc, err);
	rc = kith_activations_blame(&r.watch, rc, err);
	finish(&r);
	return rc;
}

/* The engine is about to build. If it is not exact, its graph will be measured; the audit's samples tell it how far it
 * has come, too. */
static int begin_audit(struct run *r, kith_err *err)
{
	const kith_knn_options *o = r->options;
	kith_engine_job *job = engines_job(r);
	if (r->engine->exact)
		return 0;
	int rc = kith_audit_init(&r->audit, &r->vectors, r->vectors.zero ? &r->zero : NULL, &r->info, o->audit_rows,
				 stop_rows(r), o->audit_seed, job->memory, o->threads, &r->progress, err);
	if (rc)
		return rc;
	job->audit = stop_rows(r) && r->audit.stop.rows ? &r->audit.stop : NULL;
	job->taken += r->audit.bytes;
	job->memory -= r->audit.bytes;
	r->job.hits = &r->audit;
	return 0;
}

static int end_audit(struct run *r, kith_graph_writer *writer, kith_knn_summary *done, kith_err *err)
{
	const kith_graph_audit *record = &r->audit.record;
	uint32_t last = r->info.tiers - 1;
	done->recall = done->low = done->high = 1;
	if (r->engine->exact)
		return 0;
	kith_audit_close(&r->audit);
	done->recall = record->recall[last];
	done->low = record->low[last];
	done->high = record->high[last];
	return kith_graph_put_audit(writer, record, err);
}

int kith_knn_build_with(const char *input, const char *output, const kith_knn_options *given, const void *own,
			kith_knn_summary *summary, kith_err *err)
{
	const kith_knn_options o = within_limits(given);
	if (!kith_sparse_recognise(input))
		return kith_engine_build(NULL, input, output, &o, own, summary, err);
	return check_sparse(input, &o, own, err) ? KITH_EUSAGE : kith_sparse_build(input, output, &o, summary, err);
}

int kith_engine_build(const kith_engine *engine, const char *input, const char *output, const kith_knn_options *given,
		      const void *own, kith_knn_summary *summary, kith_err *err)
{
	const kith_knn_options limited = within_limits(given), *o = &limited;
	struct run r = {.options = o, .engine = engine};
	kith_graph_writer *writer = NULL;
	kith_knn_summary done = {0};
	int rc = start(&r, input, output, own, err);
	if (rc || (rc = open_candidates(&r, err)) ||
	    (rc = kith_graph_create(&writer, output, &r.info, r.job.memory, o->threads, err)) ||
	    (rc = set_aside_zero_rows(&r, err)) || (rc = begin_audit(&r, err)) ||
	    (rc = build_rows(&r, writer, &done, err)) || (rc = end_audit(&r, writer, &done, err)) ||
	    (rc = kith_graph_put_ties(writer, &done.tied, err)) || (rc = verify_inputs(&r, err)))
		goto done;
	describe_instead(&r, done.plan, sizeof done.plan);
	done.tied.counted = 1;
	done.n = r.info.n;
	done.d = r.info.d;
	done.repeated = r.vectors.repeated;
	done.zero = r.vectors.unwritten;
	snprintf(done.type, sizeof done.type, "%s", kith_dtype_name(kith_activations_get_info(r.activations)->dtype));
	kith_zero_rows_free(&r.zero);
	kith_vectors_free(&r.vectors); /* the reverse lists get all the memory */
	rc = kith_graph_finish(writer, &o->progress, err);
	writer = NULL;
	if (!rc)
		*summary = done;
done:
	rc = kith_activations_blame(&r.watch, rc, err);
	kith_graph_abort(writer);
	finish(&r);
	return rc;
}

int kith_knn_foresee(const char *input, const kith_knn_options *options, kith_knn_estimate *out, kith_err *err)
{
	return kith_knn_foresee_with(input, options, NULL, out, err);
}

int kith_knn_build(const char *input, const char *output, const kith_knn_options *options, kith_knn_summary *summary,
		   kith_err *err)
{
	return kith_knn_build_with(input, output, options, NULL, summary, err);
}
