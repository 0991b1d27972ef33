/* search.c - see search.h */
#include "search.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define FIRST_TREES 4u
#define MORE_TREES  4u
#define MAX_TREES   64u
#define ORDER_LEAF  KITH_LANES /* within leaves, near ones meet first, and fewer of the others pass */
#define MAX_ROUNDS  16u
#define FIRST_LEFT  (1 / 6.0) /* of misses, what a first round leaves, about */

static kith_forest forest_of(const kith_search *s)
{
	return (kith_forest){.codes = s->codes, .seed = s->seed, .leaf = s->plan->leaf, .threads = s->job->threads};
}

int kith_search_arrange(kith_search *s, kith_err *err)
{
	uint64_t n = s->job->info->n;
	int threads = s->job->threads;
	kith_forest forest = forest_of(s);
	kith_workspace w = {0};
	forest.leaf = ORDER_LEAF;
	KITH_BUFFER(&w, s->order, n);
	KITH_BUFFER(&w, s->place, n);
	KITH_BUFFER(&w, s->work, n);
	KITH_BUFFER_ZERO(&w, s->joins, (uint64_t)threads);
	int rc = kith_workspace_alloc(&w, &s->memory, "the order of the samples", err);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < n; i++)
		if (!kith_is_left_out(s->duplicates, i))
			s->order[s->m++] = (uint32_t)i;
	/* what is equally far in lists and trees, too, goes by the tie rule */
	if (s->job->vectors->ties.rule != KITH_TIES_INDEX)
		kith_ties_sort(&s->job->vectors->ties, s->order, s->m);
	if ((rc = kith_forest_tree(&forest, 0, s->order, s->m, NULL, NULL, err)) ||
	    (rc = kith_codes_arrange(s->codes, s->order, s->m, threads, err)))
		return rc;
	memset(s->place, 0xff, n * sizeof *s->place);
	for (uint64_t at = 0; at < s->m; at++)
		s->place[s->order[at]] = (uint32_t)at;
	return 0;
}

/* ---- trees ---- */

static void join_leaf(void *context, const uint32_t *member, uint32_t count)
{
	kith_search *s = context;
	kith_local_join_run(&s->joins[omp_get_thread_num()], member, count, count);
}

static int add_tree(kith_search *s, kith_err *err)
{
	kith_forest forest = forest_of(s);
	int rc = kith_progress_tick(s->job->progress, "trees", s->trees, s->trees + 1, err);
	if (rc)
		return rc;
	if (!s->trees) { /* the codes stand in its order */
		kith_forest_leaves(&forest, s->work, s->m, join_leaf, s);
	} else {
		for (uint64_t at = 0; at < s->m; at++)
			s->work[at] = (uint32_t)at;
		rc = kith_forest_tree(&forest, s->trees, s->work, s->m, join_leaf, s, err);
	}
	s->trees++;
	return rc;
}

/* Identical samples of which others are left out: each has all of them in its list. */
static void join_identical(kith_search *s)
{
	const kith_duplicates *d = s->duplicates;
	for (uint64_t i = 0; d->left_out && i < s->job->info->n; i++) {
		uint32_t count = 0;
		for (uint64_t id = i; d->twin[i] == i && id != UINT32_MAX; id = d->next[id])
			s->work[count++] = s->place[id];
		if (count)
			kith_local_join_run(&s->joins[0], s->work, count, count);
	}
}

static int add_trees(kith_search *s, uint32_t count, kith_err *err)
{
	int rc = 0, first = !s->trees;
	while (!rc && count--)
		rc = add_tree(s, err);
	if (!rc && first)
		join_identical(s);
	return rc;
}

static int add_round(kith_search *s, kith_err *err)
{
	kith_descent descent = {.codes = s->codes,
				.lists = &s->lists,
				.forward = s->plan->forward,
				.reverse = s->plan->reverse,
				.threads = s->job->threads,
				.progress = s->job->progress};
	s->rounds++;
	return kith_descent_round(&descent, err);
}

/* ---- the audit ---- */

/* How many of the audited row's `k` nearest, of which ids[] are some, are in its list. */
static uint32_t hits_of(const kith_search *s, uint32_t sample, const uint32_t *ids, uint32_t count)
{
	uint32_t found = 0;
	if (kith_is_left_out(s->duplicates, sample))
		return count; /* it has the row of its twin */
	uint64_t at = s->place[sample] * (uint64_t)s->lists.length;
	for (uint32_t i = 0; i < count; i++) {
		if (ids[i] == UINT32_MAX) { /* it is not to be found here */
			found++;
			continue;
		}
		uint32_t place = s->place[ids[i]];
		for (uint32_t e = 0; e < s->lists.length; e++)
			if ((s->lists.id[at + e] & ~KITH_ENTRY_NEW) == place) {
				found++;
				break;
			}
	}
	return found;
}

/* What the audit says of the lists: they hold as many true neighbours as the rows made of them will. */
static int look(kith_search *s, kith_err *err)
{
	const kith_graph_audit *audit = s->job->audit;
	const kith_graph_info *info = s->job->info;
	uint32_t *hits = kith_alloc_zero(audit->rows + 1ull, sizeof *hits);
	if (!hits)
		return kith_fail_nomem(err, "an audit", audit->rows * sizeof *hits);
	s->reached = (kith_recall){1, 1, 1};
	for (uint32_t t = 0; t < info->tiers; t++) {
		uint32_t from = t ? info->ladder[t - 1] : 0;
		for (uint32_t r = 0; r < audit->rows; r++)
			hits[r] += hits_of(s, audit->id[r], audit->exact + (size_t)r * kith_info_k(info) + from,
					   info->ladder[t] - from);
		kith_recall here = kith_recall_of(hits, audit->rows, info->ladder[t]);
		s->reached = here.low < s->reached.low ? here : s->reached;
	}
	free(hits);
	return 0;
}

/* ---- how much of both ---- */

static int search_fixed(kith_search *s, kith_err *err)
{
	int rc = add_trees(s, s->plan->trees, err);
	while (!rc && s->rounds < s->plan->rounds)
		rc = add_round(s, err);
	return rc || !s->job->audit || !s->job->audit->rows ? rc : look(s, err);
}

static int content(const kith_search *s)
{
	return (s->plan->by_estimate ? s->reached.recall : s->reached.low) >= s->plan->recall;
}

/* Trees and rounds until the audit is content. A round leaves a part of the misses, the same part about as the round
 * before, and less where the lists are better to begin with; where that would not do, more trees come first. When
 * neither finds much any more, this is how far it goes. */
static int search_until(kith_search *s, kith_err *err)
{
	double left = FIRST_LEFT, allowed = 1 - s->plan->recall;
	uint32_t stale = 0;
	int rc = add_trees(s, FIRST_TREES, err);
	if (!rc)
		rc = look(s, err);
	while (!rc && !content(s) && stale < 2 && s->rounds < MAX_ROUNDS) {
		double before = 1 - s->reached.recall, miss;
		int grow = before * left > allowed && s->trees < MAX_TREES;
		if (grow && ((rc = add_trees(s, MORE_TREES, err)) || (rc = look(s, err))))
			break;
		miss = 1 - s->reached.recall;
		if ((rc = add_round(s, err)) || (rc = look(s, err)))
			break;
		left = miss > 0 ? (1 - s->reached.recall) / miss : 0;
		stale = 1 - s->reached.recall > 0.8 * before ? stale + 1 : 0;
	}
	return rc;
}

int kith_search_run(kith_search *s, kith_err *err)
{
	const kith_approx_plan *p = s->plan;
	int threads = s->job->threads;
	void **memory = kith_alloc_zero((size_t)threads, sizeof *memory);
	int rc = memory ? kith_neighbour_lists_alloc(&s->lists, s->m, p->length, threads, err)
			: kith_fail_nomem(err, "work spaces", (size_t)threads * sizeof *memory);
	for (int t = 0; !rc && t < threads; t++) {
		kith_workspace w = {0};
		/* a tree's leaves share no sample */
		kith_local_join_init(&s->joins[t], s->codes, &s->lists, p->leaf, 0, &w);
		rc = kith_workspace_alloc(&w, &memory[t], "a thread's work space", err);
	}
	if (!rc)
		rc = p->until_recall ? search_until(s, err) : search_fixed(s, err);
	for (int t = 0; memory && t < threads; t++)
		free(memory[t]);
	free(memory);
	return rc;
}

/* ---- candidates from elsewhere ---- */

/* Where the graph's sample `id` stands; UINT32_MAX: nowhere. */
static uint32_t place_of(const kith_search *s, const uint32_t *sample, uint32_t id)
{
	uint32_t own = sample ? kith_id_find(sample, s->job->info->n, id) : id;
	return own == UINT32_MAX ? UINT32_MAX : s->place[own];
}

static void offer_row(kith_search *s, const uint32_t *sample, uint32_t id, const uint32_t *ids, uint32_t count)
{
	uint32_t own = place_of(s, sample, id);
	for (uint32_t e = 0; e < count && own != UINT32_MAX; e++) {
		uint32_t other = place_of(s, sample, ids[e]);
		if (other == UINT32_MAX)
			continue;
		float t = kith_codes_distance(s->codes, own, other);
		if (t <= kith_list_bound(&s->lists, own))
			kith_list_offer(&s->lists, own, other, t, 1);
		if (t <= kith_list_bound(&s->lists, other))
			kith_list_offer(&s->lists, other, own, t, 1);
	}
}

int kith_search_offer(kith_search *s, kith_graph *graph, const uint32_t *sample, kith_err *err)
{
	const kith_graph_info *theirs = kith_graph_get_info(graph);
	uint32_t tiers = kith_engine_candidate_tiers(theirs, kith_info_k(s->job->info)), k = theirs->ladder[tiers - 1];
	uint64_t n = theirs->n, step = theirs->block_nodes;
	uint32_t *ids = kith_alloc(step * k, sizeof *ids);
	int rc = ids ? 0 : kith_fail_nomem(err, "rows of candidates", step * k * sizeof *ids);
	for (uint64_t first = 0; !rc && first < n; first += step) {
		uint64_t count = n - first < step ? n - first : step;
		if ((rc = kith_progress_tick(s->job->progress, "candidates", first, n, err)) ||
		    (rc = kith_graph_read_rows(graph, first, count, tiers, ids, err)))
			break;
#pragma omp parallel for num_threads(s->job->threads) schedule(static)
		for (uint64_t r = 0; r < count; r++)
			offer_row(s, sample, (uint32_t)(first + r), ids + r * k, k);
	}
	free(ids);
	return rc;
}

void kith_search_free(kith_search *s)
{
	free(s->lists.memory);
	free(s->memory);
}
