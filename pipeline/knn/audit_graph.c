/* audit_graph.c - kith_knn_audit: the recall of a graph that is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "audit.h"
#include "kith/knn.h"

struct measured {
	const kith_knn_options *options;
	kith_activations *activations;
	kith_vectors vectors;
	kith_graph *graph;
	kith_zero_rows zero; /* where there are any */
	kith_engine_job job; /* that these are set aside from */
	kith_audit audit;
	kith_activations_watch watch;
	kith_progress progress; /* the user's, which watches the activations, too */
};

/* Reads the input, and makes sure that the graph is of it. */
static int look(struct measured *m, const char *input, const char *path, kith_err *err)
{
	const kith_knn_options *o = m->options;
	char digest[32];
	kith_input_how how = kith_input_within(&o->how, o->memory);
	int rc;
	if ((rc = kith_graph_open(&m->graph, path, err)) ||
	    (rc = kith_activations_open_as(&m->activations, input, &how, err)))
		return rc;
	m->progress = kith_activations_watched(&m->watch, m->activations, &o->progress);
	const kith_graph_info *info = kith_graph_get_info(m->graph);
	int cosine = !strcmp(info->metric, "cosine");
	if (!cosine && strcmp(info->metric, "l2"))
		return kith_fail(err, KITH_EUSAGE, "%s: its metric is %s, in which no neighbours can be found here",
				 path, info->metric);
	if ((rc = kith_vectors_init(&m->vectors, m->activations, cosine ? KITH_COSINE : KITH_L2, o->memory / 4,
				    o->threads, &m->progress, err)))
		return rc;
	m->vectors.ties.rule = info->ties;
	snprintf(digest, sizeof digest, "xxh3:%016llx", (unsigned long long)m->vectors.digest);
	if (!info->d && m->vectors.n == info->n) /* neighbours from elsewhere, of whatever they are */
		return 0;
	if (strcmp(digest, info->digest) || m->vectors.n != info->n || m->vectors.d != info->d)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: was not built from %s: that has n=%llu d=%llu and digest %s, "
				 "the graph n=%llu d=%llu and %s",
				 path, input, (unsigned long long)m->vectors.n, (unsigned long long)m->vectors.d,
				 digest, (unsigned long long)info->n, (unsigned long long)info->d, info->digest);
	return 0;
}

static int find_true_rows(struct measured *m, kith_err *err)
{
	const kith_knn_options *o = m->options;
	const kith_graph_info *info = kith_graph_get_info(m->graph);
	int rc = 0;
	uint64_t kept = kith_activations_get_info(m->activations)->kept;
	m->job = (kith_engine_job){.vectors = &m->vectors,
				   .info = info,
				   .memory = o->memory - (kept < o->memory ? kept : o->memory),
				   .taken = kept};
	if (m->vectors.zero && !(rc = kith_zero_rows_init(&m->zero, &m->job, err)))
		m->job.memory = m->zero.rest.memory;
	return rc ? rc
		  : kith_audit_init(&m->audit, &m->vectors, m->vectors.zero ? &m->zero : NULL, info, o->audit_rows, 0,
				    o->audit_seed, m->job.memory, o->threads, &m->progress, err);
}

static int contains(const uint32_t *ids, uint32_t count, uint32_t id)
{
	for (uint32_t p = 0; p < count; p++)
		if (ids[p] == id)
			return 1;
	return 0;
}

/* Of a graph that is exact, audited row r is `ids`, and should not be. */
static int report_miss(const struct measured *m, uint32_t r, const uint32_t *ids, kith_err *err)
{
	const kith_graph_info *info = kith_graph_get_info(m->graph);
	const uint32_t *exact = m->audit.record.exact + (size_t)r * kith_info_k(info);
	uint32_t t = 0, p = 0;
	for (; t < info->tiers; t++)
		for (p = 0; p < info->ladder[t]; p++)
			if (!contains(ids, info->ladder[t], exact[p]))
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: says that it is exact, but sample %u lacks its neighbour %u at "
						 "k=%u: build it again",
						 kith_graph_path(m->graph), m->audit.record.id[r], exact[p],
						 info->ladder[t]);
	return 0;
}

static int count(struct measured *m, kith_err *err)
{
	const kith_graph_info *info = kith_graph_get_info(m->graph);
	kith_audit *a = &m->audit;
	size_t k = kith_info_k(info);
	uint32_t *row = kith_alloc(k, sizeof *row);
	int rc = row ? 0 : kith_fail_nomem(err, "a row", k * sizeof *row);
	for (uint32_t r = 0; !rc && r < a->record.rows; r++) {
		if ((rc = kith_graph_read_rows(m->graph, a->record.id[r], 1, info->tiers, row, err)))
			break;
		kith_audit_note_row(a, r, row);
		if (!strcmp(info->engine, "exact") && memcmp(row, a->record.exact + r * k, k * sizeof *row))
			rc = report_miss(m, r, row, err);
	}
	free(row);
	return rc;
}

int kith_knn_audit(const char *input, const char *graph, const kith_knn_options *o, kith_graph_audit *out,
		   kith_err *err)
{
	struct measured m = {.options = o};
	int rc = o->audit_rows ? 0 : kith_fail(err, KITH_EUSAGE, "an audit needs at least 1 sample");
	if (!rc && !(rc = look(&m, input, graph, err)) && !(rc = find_true_rows(&m, err)) && !(rc = count(&m, err)) &&
	    !(rc = kith_graph_unchanged(m.graph, err)) &&
	    !(rc = kith_activations_verify(m.activations, o->threads, &m.progress, err))) {
		kith_audit_close(&m.audit);
		*out = m.audit.record;
		out->memory = m.audit.memory;
		m.audit.memory = NULL;
	}
	rc = kith_activations_blame(&m.watch, rc, err);
	kith_audit_free(&m.audit);
	kith_zero_rows_free(&m.zero);
	kith_vectors_free(&m.vectors);
	kith_activations_close(m.activations);
	kith_graph_close(m.graph);
	return rc;
}
