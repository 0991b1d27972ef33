/* import.c - see import.h */
#include "import.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "engine.h"
#include "found_rows.h"
#include "import_lists.h"
#include "machine.h"
#include "some_rows.h"
#include "text.h"
#include "unchanged.h"
#include "workspace.h"
#include "zero_rows.h"

struct import_run {
	const kith_import_options *options;
	kith_knn_options knn; /* with the ladder that the lists have, if none was given */
	kith_import_lists lists;
	uint64_t digest, own;
	uint32_t known;           /* neighbours of which every list has the distance */
	uint64_t *faulty, faults; /* of n bits: lists to complete, and how many */
	uint64_t completed;
	uint64_t unsorted, uneven, descending; /* lists to sort; with different distances; and of these, falling ones */
	void *memory;                          /* holds faulty */
};

void kith_import_defaults(kith_import_options *o)
{
	*o = (kith_import_options){.self = KITH_SELF_AUTO};
	kith_knn_defaults(&o->knn);
	o->knn.tiers = 0;
	o->knn.engine = "import";
}

/* ---- what the lists are ---- */

/* Without its own sample. */
static void note_distances(struct import_run *m, uint64_t r)
{
	const kith_import_lists *l = &m->lists;
	const double *given = l->given + r * l->known;
	uint32_t last = l->own[r] == 0;
	int rises = 0, falls = 0;
	for (uint32_t c = last + 1; c < l->known; c++) {
		if (c == l->own[r])
			continue;
		rises |= given[c] > given[last];
		falls |= given[c] < given[last];
		last = c;
	}
	m->unsorted += (uint64_t)falls;
	m->uneven += (uint64_t)(rises | falls);
	m->descending += (uint64_t)(falls & !rises);
}

static void note_list(struct import_run *m, uint64_t r)
{
	const kith_import_lists *l = &m->lists;
	uint64_t i = l->first + r;
	if (l->faulty[r]) {
		m->faulty[i / 64] |= 1ull << (i & 63);
		m->faults++;
	}
	note_distances(m, r);
	if (l->own[r] == KITH_NOWHERE)
		return;
	m->own++;
	if (l->own[r] < l->known)
		m->known = l->known - 1;
}

/* Without a k, as many as every list has. */
static void choose_ladder(struct import_run *m)
{
	const kith_import_options *o = m->options;
	if (m->knn.tiers)
		return;
	m->knn.tiers = 1;
	m->knn.ladder[0] = m->lists.columns - (o->self == KITH_SELF_DROP || m->own > 0);
}

static int survey(struct import_run *m, kith_err *err)
{
	kith_import_lists *l = &m->lists;
	int rc;
	if (m->options->complete && !(m->faulty = m->memory = kith_alloc_zero((l->n + 63) / 64, sizeof *m->faulty)))
		return kith_fail_nomem(err, "a bitmap of lists", (l->n + 63) / 64 * sizeof *m->faulty);
	m->known = l->known;
	while (!(rc = kith_import_lists_next(l, &m->knn.progress, err)) && l->count)
		for (uint64_t r = 0; r < l->count; r++)
			note_list(m, r);
	if (rc)
		return rc;
	m->digest = kith_import_lists_digest(l);
	if (m->uneven && m->descending == m->uneven)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: these look like similarities, which fall from the nearest on: give distances, "
				 "such as 2 - 2 s of cosines s (--squared)",
				 kith_source_get_info(l->distance)->path);
	choose_ladder(m);
	l->least = m->knn.ladder[m->knn.tiers - 1];
	if (!m->knn.ladder[0])
		return kith_fail(err, KITH_EUSAGE, "%s: its lists have their own sample, and nobody else",
				 kith_source_get_info(l->index)->path);
	return kith_import_lists_rewind(l, err);
}

static int unchanged(const kith_import_lists *l, kith_err *err)
{
	int rc = l->index ? kith_source_unchanged(l->index, err) : 0;
	return rc || !l->distance ? rc : kith_source_unchanged(l->distance, err);
}

/* A failure may come of a change of the lists: then that is what to say. */
static int blame(const struct import_run *m, int rc, kith_err *err)
{
	kith_err why;
	if (rc == KITH_ECANCELED || !unchanged(&m->lists, &why))
		return rc;
	if (err)
		*err = why;
	return why.code;
}

/* At the end of the second pass: are they what they were? */
static int verify(const struct import_run *m, kith_err *err)
{
	const kith_import_lists *l = &m->lists;
	int rc = unchanged(l, err);
	if (!rc && kith_import_lists_digest(l) != m->digest)
		rc = kith_fail_changed(err, kith_source_get_info(l->index)->path);
	return rc;
}

static void describe_engine(const struct import_run *m, kith_graph_info *info)
{
	const char *source = m->options->source;
	snprintf(info->engine, sizeof info->engine, "import%s%s", source ? ":" : "", source ? source : "");
}

/* ---- with the activations: an engine ---- */

/* The true rows of some lists that are completed. */
struct truths {
	uint32_t *sample, *row;     /* most, most x k */
	uint32_t most, count, next; /* the first that has not been used */
};

struct building {
	struct import_run *m;
	const kith_engine_job *job;
	kith_ranker ranker;
	kith_found_rows rows; /* of the lists at hand */
	uint32_t *near_ids;   /* lists.most x near */
	struct truths truths;
	kith_tie_counts tied;
	void *memory; /* holds all of these */
};

static kith_some_rows rows_to_find(const struct building *b, const uint32_t *rows, uint32_t count, const uint32_t *k)
{
	return (kith_some_rows){.vectors = b->job->zero ? &b->job->zero->vectors : b->job->vectors,
				.ladder = k,
				.tiers = 1,
				.rows = rows,
				.count = count,
				.memory = b->job->memory / 4,
				.threads = b->job->threads,
				.work = "completing",
				.progress = b->job->progress};
}

/* The true rows of t->sample[], where there are zero rows: from those of the others, without them. */
static int find_beside_zero_rows(struct building *b, kith_err *err)
{
	struct truths *t = &b->truths;
	kith_zero_rows *zero = b->job->zero;
	uint32_t k = kith_info_k(b->job->info), *own, *ids, count = 0;
	double *dist2;
	void *memory = NULL;
	kith_workspace w = {0};
	int rc;
	KITH_BUFFER(&w, dist2, (uint64_t)t->count * zero->k);
	KITH_BUFFER(&w, ids, (uint64_t)t->count * zero->k);
	KITH_BUFFER(&w, own, t->count);
	if ((rc = kith_workspace_alloc(&w, &memory, "rows to complete", err)))
		return rc;
	for (uint32_t i = 0; i < t->count; i++)
		if (b->job->vectors->norm[t->sample[i]] != 0)
			own[count++] = kith_id_find(zero->other, zero->others, t->sample[i]);
	kith_some_rows some = rows_to_find(b, own, count, &zero->k);
	if (zero->others > 1 && count)
		rc = kith_some_rows_find(&some, ids, dist2, err);
	for (uint32_t i = 0, at = 0; !rc && i < t->count; i++) {
		uint32_t known = b->job->vectors->norm[t->sample[i]] != 0 ? zero->k : 0;
		kith_zero_rows_row(zero, t->sample[i], ids + (uint64_t)at * zero->k, dist2 + (uint64_t)at * zero->k,
				   known, 0, t->row + (uint64_t)i * k);
		at += known > 0;
	}
	free(memory);
	return rc;
}

/* The true rows of as many as there is room for, of the lists from sample `first` on that are completed. */
static int find_truths(struct building *b, uint64_t first, kith_err *err)
{
	const struct import_run *m = b->m;
	struct truths *t = &b->truths;
	uint32_t k = kith_info_k(b->job->info);
	t->count = t->next = 0;
	for (uint64_t i = first; i < m->lists.n && t->count < t->most; i++)
		if (m->faulty[i / 64] >> (i & 63) & 1)
			t->sample[t->count++] = (uint32_t)i;
	if (b->job->zero)
		return find_beside_zero_rows(b, err);
	kith_some_rows some = rows_to_find(b, t->sample, t->count, &k);
	return kith_some_rows_find(&some, t->row, NULL, err);
}

/* Puts true rows in the place of faulty lists. */
static int complete(struct building *b, kith_err *err)
{
	struct import_run *m = b->m;
	struct truths *t = &b->truths;
	uint32_t k = kith_info_k(b->job->info);
	int rc = 0;
	for (uint64_t r = 0; !rc && r < m->lists.count; r++) {
		if (!m->lists.faulty[r])
			continue;
		if (t->next == t->count && (rc = find_truths(b, m->lists.first + r, err)))
			break;
		if (t->next == t->count || t->sample[t->next] != m->lists.first + r)
			return kith_fail_changed(err, kith_source_get_info(m->lists.index)->path);
		for (uint32_t p = 0; p < k; p++)
			m->lists.id[r * m->lists.columns + p] = t->row[(uint64_t)t->next * k + p];
		t->next++;
		m->completed++;
	}
	return rc;
}

static int begin(struct building *b, kith_err *err)
{
	const kith_engine_job *job = b->job;
	const kith_import_lists *l = &b->m->lists;
	kith_vectors *v = job->vectors;
	struct truths *t = &b->truths;
	uint64_t k = kith_info_k(job->info), beside = job->zero ? 12ull * job->zero->k + 4 : 0;
	uint64_t room = job->memory / 8 / ((k + 1) * sizeof(uint32_t) + beside);
	kith_workspace w = {0};
	int rc;
	if (v->n * v->d * v->value_size <= job->memory / 4 &&
	    (rc = kith_vectors_load(v, job->memory / 16 / v->row_bytes + 1, err)))
		return rc;
	t->most = (uint32_t)(room < b->m->faults ? room + 1 : b->m->faults);
	KITH_BUFFER(&w, b->near_ids, l->most * job->info->near);
	KITH_BUFFER(&w, b->rows.ids, l->most * k);
	KITH_BUFFER(&w, b->rows.dist2, l->most * k);
	KITH_BUFFER(&w, b->rows.left, l->most);
	KITH_BUFFER(&w, t->sample, t->most);
	KITH_BUFFER(&w, t->row, t->most * k);
	kith_ranker_init(&b->ranker, v, (uint32_t)k, l->columns, 0, job->threads, job->progress, &w);
	return kith_workspace_alloc(&w, &b->memory, "blocks of rows", err);
}

static int build_block(struct building *b, kith_graph_writer *writer, kith_err *err)
{
	const kith_import_lists *l = &b->m->lists;
	int rc = complete(b, err);
	if (rc)
		return rc;
	b->rows.first = l->first;
	b->rows.count = l->count;
	kith_found_rows_clear(&b->rows, kith_info_k(b->job->info));
	if ((rc = kith_found_rows_take(&b->ranker, &b->rows, l->id, l->columns, 0, err)))
		return rc;
	return kith_found_rows_append(&b->rows, b->job, writer, b->near_ids, &b->tied, err);
}

static int build(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	struct import_run *m = *(struct import_run *const *)job->options;
	struct building b = {.m = m, .job = job};
	int rc = begin(&b, err);
	while (!rc && !(rc = kith_import_lists_next(&m->lists, job->progress, err)) && m->lists.count)
		rc = build_block(&b, writer, err);
	if (!rc)
		rc = verify(m, err);
	summary->tied = b.tied;
	kith_copy_text(summary->plan, sizeof summary->plan, "import");
	free(b.memory);
	return rc;
}

static void promise(const void *own, kith_graph_info *info)
{
	const struct import_run *m = *(struct import_run *const *)own;
	describe_engine(m, info);
	snprintf(info->parameters, sizeof info->parameters, "lists=xxh3:%016llx", (unsigned long long)m->digest);
}

static int check(const void *own, const char *path, uint64_t n, uint64_t d, kith_err *err)
{
	const kith_import_lists *l = &(*(struct import_run *const *)own)->lists;
	(void)d;
	if (n == l->n)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s: %llu lists, but %s has %llu samples",
			 kith_source_get_info(l->index)->path, (unsigned long long)l->n, path, (unsigned long long)n);
}

static const kith_engine import_engine = {.name = "import",
					  .takes_zero = 1,
					  .check = check,
					  .options_size = sizeof(struct import_run *),
					  .promise = promise,
					  .build = build};

/* ---- without: as they are given ---- */

typedef struct given {
	double distance;
	uint32_t id;
} given;

static int by_distance(const void *x, const void *y)
{
	const given *a = x, *b = y;
	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

struct writing {
	struct import_run *m;
	uint32_t k, near;
	given *list;        /* threads x columns */
	uint32_t *ids;      /* lists.most x k */
	uint32_t *near_ids; /* lists.most x near */
	double *near_dist2;
	void *memory;
};

/* The square of a distance, or what it is the root of, if that has 24 significant bits: as the squares of whole numbers
 * have, and what the store keeps exactly. */
static double square(double x)
{
	double exact = x * x, few = exact;
	uint64_t bits;
	memcpy(&bits, &few, sizeof bits);
	bits = (bits + (1u << 28)) & ~(uint64_t)((1u << 29) - 1);
	memcpy(&few, &bits, sizeof bits);
	return sqrt(few) == x ? few : exact;
}

static void write_row(const struct writing *w, uint64_t r, given *list)
{
	const kith_import_lists *l = &w->m->lists;
	const int64_t *ids = l->id + r * l->columns;
	const double *distances = l->given + r * l->known;
	uint32_t count = 0;
	int ascends = 1;
	for (uint32_t c = 0; c < l->columns; c++) {
		if (c == l->own[r])
			continue;
		list[count] = (given){c < l->known ? distances[c] : 0, (uint32_t)ids[c]};
		ascends &= !count || c >= l->known || list[count].distance >= list[count - 1].distance;
		count++;
	}
	if (!ascends)
		qsort(list, count, sizeof *list, by_distance);
	for (uint32_t p = 0; p < w->k; p++)
		w->ids[r * w->k + p] = list[p].id;
	for (uint32_t p = 0; p < w->near; p++) {
		w->near_ids[r * w->near + p] = list[p].id;
		w->near_dist2[r * w->near + p] = w->m->options->squared ? list[p].distance : square(list[p].distance);
	}
}

static int write_block(struct writing *w, kith_graph_writer *writer, kith_err *err)
{
	const kith_import_lists *l = &w->m->lists;
#pragma omp parallel for num_threads(l->threads) schedule(static)
	for (uint64_t r = 0; r < l->count; r++)
		write_row(w, r, w->list + (uint64_t)omp_get_thread_num() * l->columns);
	return kith_graph_append(writer, l->count, w->ids, w->near_ids, w->near_dist2, err);
}

static int write_lists(struct import_run *m, kith_graph_writer *writer, const kith_graph_info *info, kith_err *err)
{
	kith_import_lists *l = &m->lists;
	struct writing w = {.m = m, .k = kith_info_k(info), .near = info->near};
	kith_workspace buffers = {0};
	KITH_BUFFER(&buffers, w.list, (uint64_t)l->threads * l->columns);
	KITH_BUFFER(&buffers, w.ids, l->most * w.k);
	KITH_BUFFER(&buffers, w.near_ids, l->most * w.near);
	KITH_BUFFER(&buffers, w.near_dist2, l->most * w.near);
	int rc = kith_workspace_alloc(&buffers, &w.memory, "blocks of rows", err);
	while (!rc && !(rc = kith_import_lists_next(l, &m->knn.progress, err)) && l->count)
		rc = write_block(&w, writer, err);
	free(w.memory);
	return rc ? rc : verify(m, err);
}

static void describe(const struct import_run *m, kith_graph_info *info)
{
	kith_stage_describe(info, &m->knn, kith_source_get_info(m->lists.index)->path, m->lists.n, 0, m->digest);
	kith_source_label(m->lists.index, info->input, sizeof info->input);
	describe_engine(m, info);
	info->recall = NAN;
	info->ties = KITH_TIES_INDEX;
	info->near = info->near < m->known ? info->near : m->known;
}

static int import_as_given(struct import_run *m, const char *output, kith_knn_summary *summary, kith_err *err)
{
	kith_graph_info info = {0};
	kith_graph_writer *writer = NULL;
	describe(m, &info);
	int rc = kith_stage_check(kith_source_get_info(m->lists.index)->path, m->lists.n, &m->knn, err);
	if (rc || (rc = kith_graph_create(&writer, output, &info, m->knn.memory, m->knn.threads, err)))
		return rc;
	if ((rc = write_lists(m, writer, &info, err))) {
		kith_graph_abort(writer);
		return rc;
	}
	*summary = (kith_knn_summary){.n = info.n, .recall = NAN, .low = NAN, .high = NAN, .plan = "import"};
	return kith_graph_finish(writer, &m->knn.progress, err);
}

/* ---- the stage ---- */

static int check_options(const kith_import_options *o, kith_err *err)
{
	const char *wrong = o->activations && o->distances
				    ? "--distances: with --activations they are measured: leave it out"
			    : !o->activations && o->complete
				    ? "--complete: without --activations nobody can be found: give them, too"
				    : NULL;
	if (wrong)
		return kith_fail(err, KITH_EUSAGE, "%s", wrong);
	for (const char *at = o->source; at && *at; at++)
		if ((unsigned char)*at < ' ' || at - o->source >= (int)KITH_IMPORT_SOURCE)
			return kith_fail(err, KITH_EUSAGE, "--source: not a text of up to %u bytes in one line",
					 KITH_IMPORT_SOURCE);
	return 0;
}

int kith_import_build(const char *indices, const char *output, const kith_import_options *o,
		      kith_import_summary *summary, kith_err *err)
{
	struct import_run m = {.options = o, .knn = o->knn}, *own = &m;
	kith_knn_summary done = {0};
	m.knn.threads = kith_machine_threads(o->knn.threads);
	int rc = check_options(o, err);
	if (rc || (rc = kith_import_lists_open(&m.lists, indices, o, m.knn.memory / 8, err)) || (rc = survey(&m, err)))
		goto done;
	m.knn.memory -= m.knn.memory / 8; /* the lists keep theirs */
	rc = o->activations ? kith_engine_build(&import_engine, o->activations, output, &m.knn, &own, &done, err)
			    : import_as_given(&m, output, &done, err);
	if (rc)
		goto done;
	*summary = (kith_import_summary){
		.knn = done, .tiers = m.knn.tiers, .own = m.own, .completed = m.completed, .unsorted = m.unsorted};
	memcpy(summary->ladder, m.knn.ladder, sizeof summary->ladder);
done:
	rc = rc ? blame(&m, rc, err) : 0;
	kith_import_lists_close(&m.lists);
	free(m.memory);
	return rc;
}
