/* faiss_tune.c - see faiss_tune.h */
#include "faiss_tune.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define STEP    1.35 /* from one value to the next: what it costs at most over the least that would do */
#define PLATEAU 5    /* values that gain nothing, after which it ends */

static int by_label(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int64_t kith_faiss_label_of(const uint32_t *sample, uint64_t count, int64_t label)
{
	uint32_t own = label < 0 ? UINT32_MAX : kith_id_find(sample, count, (uint32_t)label);
	return own == UINT32_MAX ? -1 : (int64_t)own;
}

int kith_faiss_searcher_run(kith_faiss_searcher *s, uint64_t rows, kith_err *err)
{
	uint64_t found = s->plan->found;
	int rc = kith_faiss_search(s->index, rows, s->x, found, s->distances, s->labels, err);
	for (uint64_t i = 0; !rc && s->sample && i < rows * found; i++)
		s->labels[i] = kith_faiss_label_of(s->sample, s->input->vectors->n, s->labels[i]);
	return rc;
}

/* How many of a row's true neighbours in the index its labels have, as if the other parts had as many. They are sorted.
 * Whatever true neighbour a search finds stays in the row: none is nearer than those. */
static uint32_t count_hits(const kith_faiss_searcher *s, int64_t *labels, const uint32_t *exact, uint32_t k)
{
	uint64_t found = s->plan->found, missed = 0;
	qsort(labels, found, sizeof *labels, by_label);
	if (labels[0] < 0 && s->plan->shards == 1) {
		uint64_t lacking = 0;
		while (lacking < found && labels[lacking] < 0)
			lacking++;
		if (found - lacking < k + 1ull)
			return k; /* such a row is completed */
	}
	for (uint32_t t = 0; t < k; t++) {
		int64_t want = (int64_t)exact[t] - (int64_t)s->offset;
		if (want >= 0 && want < (int64_t)s->count)
			missed += !bsearch(&want, labels, found, sizeof want, by_label);
	}
	missed *= s->plan->shards;
	return missed < k ? k - (uint32_t)missed : 0;
}

/* hits[rows] with the index as it is, and in *missed how many more there could be. */
static int try_value(kith_faiss_searcher *s, const kith_graph_audit *audit, uint32_t k, uint32_t *hits,
		     uint64_t *missed, kith_err *err)
{
	*missed = 0;
	uint64_t found = s->plan->found;
	int rc = 0;
	for (uint64_t first = 0; !rc && first < audit->rows; first += s->plan->block) {
		uint64_t rows = audit->rows - first < s->plan->block ? audit->rows - first : s->plan->block;
		if ((rc = kith_faiss_input_read(s->input, 0, 0, audit->id + first, rows, s->x, err)) ||
		    (rc = kith_faiss_searcher_run(s, rows, err)))
			break;
		for (uint64_t r = 0; r < rows; r++) {
			hits[first + r] = count_hits(s, s->labels + r * found, audit->exact + (first + r) * k, k);
			*missed += k - hits[first + r];
		}
	}
	return rc;
}

/* Values from which on no more can be found: all lists, or all samples. */
static double most(const kith_faiss_searcher *s, const kith_faiss_spec *spec)
{
	uint64_t lists = kith_faiss_spec_number(spec, "IVF");
	int probes = !strcmp(spec->parameter[spec->automatic].name, "nprobe");
	return (double)(probes && lists && lists < s->count ? lists : s->count);
}

static double next_value(double value, double last)
{
	double next = (double)(uint64_t)(value * STEP);
	next = next > value ? next : value + 1;
	return next < last ? next : last;
}

int kith_faiss_tune(kith_faiss_searcher *s, kith_faiss_spec *spec, const kith_engine_job *job, kith_recall *reached,
		    kith_err *err)
{
	const kith_graph_audit *audit = job->audit;
	kith_faiss_parameter *p = &spec->parameter[spec->automatic];
	uint32_t k = kith_info_k(job->info), *hits;
	double value = strcmp(p->name, "nprobe") ? (double)(k + 1) : 1, last = most(s, spec);
	uint64_t missed;
	int gained_nothing = 0, rc = 0;
	*reached = (kith_recall){.recall = -1};
	if (!audit || !audit->rows)
		return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: %s=auto needs an audit", spec->factory, p->name);
	if (!(hits = kith_alloc(audit->rows, sizeof *hits)))
		return kith_fail_nomem(err, "an audit", audit->rows * sizeof *hits);
	value = value < last ? value : last;
	for (;; value = next_value(value, last)) {
		if ((rc = kith_progress_tick(job->progress, p->name, (uint64_t)value, (uint64_t)last, err)) ||
		    (rc = kith_faiss_set(s->index, p->name, value, err)) ||
		    (rc = try_value(s, audit, k, hits, &missed, err)))
			break;
		kith_recall now = kith_recall_of(hits, audit->rows, k);
		if (now.recall > reached->recall) {
			*reached = now;
			p->value = value;
			gained_nothing = 0;
		} else {
			gained_nothing++;
		}
		if (now.low >= spec->recall || !missed || value >= last || gained_nothing == PLATEAU)
			break;
	}
	free(hits);
	return rc ? rc : kith_faiss_set(s->index, p->name, p->value, err);
}
