/* graph_check.c - kith_graph_check: every rule of the format and of the definitions, held against a finished file. */
#include <stdlib.h>
#include <string.h>

#include "graph_audit.h"
#include "graph_reader.h"
#include "reverse.h"
#include "workspace.h"

/* Checks that row i has k distinct ids and not its own. seen[j] == i + 1 marks j as a member of row i. */
static int check_row(const kith_graph *g, uint64_t i, const uint32_t *row, uint32_t *seen, kith_err *err)
{
	for (uint32_t p = 0; p < kith_info_k(&g->info); p++) {
		if (row[p] == i)
			return kith_fail(err, KITH_ECORRUPT, "%s: node %llu is its own neighbour", g->path,
					 (unsigned long long)i);
		if (seen[row[p]] == (uint32_t)(i + 1))
			return kith_fail(err, KITH_ECORRUPT, "%s: node %llu has neighbour %u twice", g->path,
					 (unsigned long long)i, row[p]);
		seen[row[p]] = (uint32_t)(i + 1);
	}
	return 0;
}

/* Checks that in row i's near list rank r is in the tier that holds rank r, and that distances ascend; where they are
 * not rounded, (distance, id) strictly. */
static int check_near(const kith_graph *g, uint64_t i, const uint32_t *row, const uint32_t *positions,
		      const double *dist2, kith_err *err)
{
	const kith_graph_info *info = &g->info;
	for (uint32_t r = 0, t = 0; r < info->near; r++) {
		while (r >= info->ladder[t])
			t++;
		if (positions[r] < kith_info_tier_start(info, t) || positions[r] >= info->ladder[t])
			return kith_fail(err, KITH_ECORRUPT, "%s: node %llu: rank %u is not in tier %u", g->path,
					 (unsigned long long)i, r, t);
		int ascends = !r || dist2[r - 1] < dist2[r] ||
			      (dist2[r - 1] == dist2[r] &&
			       (info->near_bits == KITH_NEAR_BITS || row[positions[r - 1]] < row[positions[r]]));
		if (!ascends || !(dist2[r] >= 0))
			return kith_fail(err, KITH_ECORRUPT, "%s: node %llu: rank %u is out of order", g->path,
					 (unsigned long long)i, r);
	}
	return 0;
}

/* Rows whose k-th and next neighbour are equally far, as far as the stored distances tell, are all that may be tied
 * there: rounding makes no equal distances differ. */
static void count_close(const kith_graph_info *info, const double *dist2, uint64_t *close)
{
	for (uint32_t t = 0; t < info->tiers && info->ladder[t] < info->near; t++)
		close[t] += dist2[info->ladder[t] - 1] == dist2[info->ladder[t]];
}

/* The counts of ties against those; at a k that near lists do not reach beyond, nothing can be said. */
static int check_ties(const kith_graph *g, const uint64_t *close, kith_err *err)
{
	const kith_graph_info *info = &g->info;
	for (uint32_t t = 0; info->tied.counted && t < info->tiers && info->ladder[t] < info->near; t++)
		if (info->tied.rows[t] > close[t])
			return kith_fail(err, KITH_ECORRUPT,
					 "%s: %llu rows are tied at k=%u, but no more than %llu can be", g->path,
					 (unsigned long long)info->tied.rows[t], info->ladder[t],
					 (unsigned long long)close[t]);
	return 0;
}

static int check_rows(kith_graph *g, const kith_progress *progress, kith_err *err)
{
	const kith_graph_info *info = &g->info;
	size_t k = kith_info_k(info);
	uint64_t close[KITH_MAX_TIERS] = {0};
	uint32_t *rows, *seen;
	const uint32_t *positions = NULL;
	const double *dist2 = NULL;
	void *memory;
	kith_workspace w = {0};

	KITH_BUFFER(&w, rows, info->block_nodes * k);
	KITH_BUFFER_ZERO(&w, seen, info->n);
	int rc = kith_workspace_alloc(&w, &memory, "a block of rows", err);
	for (uint64_t b = 0; !rc && b < kith_info_blocks(info); b++) {
		uint64_t first = b * info->block_nodes;
		if ((rc = kith_progress_tick(progress, "rows", b, kith_info_blocks(info), err)) ||
		    (rc = kith_graph_decode_rows(g, b, info->tiers, rows, 0, err)))
			break;
		for (uint32_t r = 0; !rc && r < kith_info_block_size(info, b); r++) {
			rc = check_row(g, first + r, rows + r * k, seen, err);
			if (!rc && info->near)
				rc = kith_graph_near_at(g, first + r, 1, &positions, &dist2, err);
			if (!rc)
				rc = check_near(g, first + r, rows + r * k, positions, dist2, err);
			if (!rc)
				count_close(info, dist2, close);
		}
	}
	free(memory);
	return rc ? rc : check_ties(g, close, err);
}

struct compare {
	kith_graph *graph;
	uint64_t total;
};

/* Does node i's set differ between two kith_sets of the same tier? */
static int set_differs(const kith_sets *a, const kith_sets *b, uint64_t i)
{
	uint64_t x = i - a->first, y = i - b->first;
	if (a->dense) {
		const uint64_t *p = a->bits + x * a->stride + b->base - a->base, *q = b->bits + y * b->stride;
		return memcmp(p, q, b->stride * sizeof *p) != 0;
	}
	uint64_t count = a->offset[x + 1] - a->offset[x];
	return count != b->offset[y + 1] - b->offset[y] ||
	       memcmp(a->id + a->offset[x], b->id + b->offset[y], count * sizeof *a->id) != 0;
}

/* Compares the reverse lists derived from the rows with those in the file. */
static int compare_reverse(void *context, uint32_t tier, uint64_t first, uint32_t count, const kith_sets *want,
			   kith_block_scratch *scratch, kith_err *err)
{
	struct compare *c = context;
	kith_graph *g = c->graph;
	(void)scratch;
	for (uint32_t b = 0; b < count; b++) {
		uint64_t node = (first + b) * g->info.block_nodes, nodes = kith_info_block_size(&g->info, first + b);
		int rc = kith_graph_decode_sets(g, KITH_TABLE_REVERSE, tier, first + b, &g->set, err);
		if (rc)
			return rc;
		for (uint64_t i = node; i < node + nodes; i++)
			if (set_differs(want, &g->set, i))
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: the reverse list of node %llu is not what the rows say", g->path,
						 (unsigned long long)i);
		c->total += g->set.items;
	}
	return 0;
}

/* Adds to hits[t] how many of the exact nearest ladder[t] are among the row's nearest ladder[t]. `tier` has n zeros. */
static void count_hits(const kith_graph_info *info, const uint32_t *exact, const uint32_t *row, uint8_t *tier,
		       uint64_t *hits)
{
	for (uint32_t t = 0; t < info->tiers; t++)
		for (uint32_t p = kith_info_tier_start(info, t); p < info->ladder[t]; p++)
			tier[exact[p]] = (uint8_t)(t + 1);
	for (uint32_t t = 0; t < info->tiers; t++)
		for (uint32_t p = kith_info_tier_start(info, t); p < info->ladder[t]; p++)
			for (uint32_t both = t; tier[row[p]] && both < info->tiers; both++)
				hits[both] += tier[row[p]] <= both + 1;
	for (uint32_t p = 0; p < kith_info_k(info); p++)
		tier[exact[p]] = 0;
}

/* Counts the audit's hits in the rows once more. */
static int check_audit(kith_graph *g, kith_err *err)
{
	const kith_graph_info *info = &g->info;
	size_t k = kith_info_k(info);
	uint64_t hits[KITH_MAX_TIERS] = {0};
	kith_graph_audit audit = {0};
	uint8_t *tier;
	uint32_t *row;
	void *memory = NULL;
	kith_workspace w = {0};
	int rc = kith_graph_read_audit(g, &audit, err);
	if (rc || !audit.rows)
		return rc;
	KITH_BUFFER_ZERO(&w, tier, info->n);
	KITH_BUFFER(&w, row, k);
	rc = kith_fail_in(err, kith_audit_check(info, &audit, KITH_ECORRUPT, err), g->path);
	if (!rc)
		rc = kith_workspace_alloc(&w, &memory, "the tiers of a row", err);
	for (uint32_t a = 0; !rc && a < audit.rows; a++)
		if (!(rc = kith_graph_read_rows(g, audit.id[a], 1, info->tiers, row, err)))
			count_hits(info, audit.exact + a * k, row, tier, hits);
	for (uint32_t t = 0; !rc && t < info->tiers; t++)
		if (audit.recall[t] != kith_recall_part(hits[t], (uint64_t)audit.rows * info->ladder[t]))
			rc = kith_fail(err, KITH_ECORRUPT, "%s: its recall at k=%u is not what the audit's rows say",
				       g->path, info->ladder[t]);
	if (!rc && info->recall != audit.recall[info->tiers - 1])
		rc = kith_fail(err, KITH_ECORRUPT, "%s: its recall is not the audit's", g->path);
	free(audit.memory);
	free(memory);
	return rc;
}

int kith_graph_check(kith_graph *g, uint64_t memory, int threads, const kith_progress *progress, kith_err *err)
{
	struct compare c = {.graph = g};
	kith_reverse_sink sink = {compare_reverse, &c};
	int rc = check_rows(g, progress, err);
	/* deriving needs rows whose ids ascend within tiers (decoding gives no others) and are distinct (just checked)
	 */
	if (rc || (rc = kith_reverse_derive(g->container, &g->info, memory, kith_store_threads(threads), progress,
					    &sink, err)))
		return rc;
	if (c.total != g->reverse_total)
		return kith_fail(err, KITH_ECORRUPT, "%s: its reverse lists hold %llu edges, its meta record says %llu",
				 g->path, (unsigned long long)c.total, (unsigned long long)g->reverse_total);
	return check_audit(g, err);
}
