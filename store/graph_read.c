/* graph_read.c - the reading half of kith/graph.h. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "graph_audit.h"
#include "graph_reader.h"
#include "set_kernels.h"
#include "workspace.h"

/* Of rows_block and near_part: nothing is cached. */
#define NONE UINT64_MAX

/* The graph's header: the meta record and, if it says so, counts of ties. */
static int read_info(kith_graph *g, kith_err *err)
{
	const void *bytes;
	size_t size;
	int rc = kith_container_get(g->container, KITH_TABLE_META, 0, &bytes, &size, err);
	if (rc)
		return rc;
	rc = kith_meta_decode(&g->scratch, bytes, size, &g->info, &g->reverse_total, &g->audit_rows, err);
	if (rc || !g->info.tied.counted)
		return kith_fail_in(err, rc, g->path);
	if ((rc = kith_container_get(g->container, KITH_TABLE_TIES, 0, &bytes, &size, err)))
		return rc;
	return kith_fail_in(err, kith_tie_counts_decode(&g->scratch, bytes, size, &g->info, err), g->path);
}

int kith_graph_open(kith_graph **out, const char *path, kith_err *err)
{
	int rc;
	kith_graph *g = kith_alloc_zero(1, sizeof *g);

	if (!g)
		return kith_fail_nomem(err, "a graph", sizeof *g);
	g->rows_block = g->near_part = NONE;
	if (!(rc = kith_container_open(&g->container, path, KITH_CONTAINER_GRAPH, err)) &&
	    !(rc = kith_block_scratch_init(&g->scratch, err))) {
		g->path = kith_container_path(g->container);
		rc = read_info(g, err);
	}
	if (rc) {
		kith_graph_close(g);
		return rc;
	}
	*out = g;
	return 0;
}

void kith_graph_close(kith_graph *g)
{
	if (!g)
		return;
	kith_container_close(g->container);
	kith_block_scratch_free(&g->scratch);
	kith_sets_free(&g->set);
	free(g->rows);
	free(g->near_memory);
	free(g);
}

int kith_graph_unchanged(const kith_graph *g, kith_err *err)
{
	return kith_container_unchanged(g->container, err);
}

const kith_graph_info *kith_graph_get_info(const kith_graph *g)
{
	return &g->info;
}

const char *kith_graph_path(const kith_graph *g)
{
	return g->path;
}

uint64_t kith_graph_reader_bytes(const kith_graph *g)
{
	/* a block of rows in the cache, the same as sets, and their byte planes */
	uint64_t ids = (uint64_t)g->info.block_nodes * kith_info_k(&g->info);
	return ids * 4 * 3 + (1u << 18);
}

/* ---- decoding one block ---- */

int kith_graph_check_range(const kith_graph *g, uint64_t first, uint64_t count, kith_err *err)
{
	if (first > g->info.n || count > g->info.n - first)
		return kith_fail(err, KITH_EUSAGE, "%s: nodes %llu:%llu asked for, but there are %llu", g->path,
				 (unsigned long long)first, (unsigned long long)(first + count),
				 (unsigned long long)g->info.n);
	return 0;
}

int kith_graph_decode_rows(kith_graph *g, uint64_t block, uint32_t tiers, uint32_t *ids, int has_spare, kith_err *err)
{
	const void *bytes;
	size_t size;
	int rc = kith_container_get(g->container, KITH_TABLE_ROWS, (uint32_t)block, &bytes, &size, err);
	if (rc)
		return rc;
	rc = kith_rows_decode(&g->scratch, &g->info, block, bytes, size, tiers, ids, has_spare, err);
	return kith_fail_in(err, rc, g->path);
}

/* ---- reading ranges ---- */

kith_graph_part kith_graph_part_at(const kith_graph *g, uint64_t node, uint64_t left)
{
	kith_graph_part p = {.block = node / g->info.block_nodes, .from = (uint32_t)(node % g->info.block_nodes)};
	p.nodes = kith_info_block_size(&g->info, p.block);
	p.count = left < p.nodes - p.from ? (uint32_t)left : p.nodes - p.from;
	return p;
}

static int cache_rows(kith_graph *g, uint64_t block, uint32_t tiers, kith_err *err)
{
	size_t items = (size_t)g->info.block_nodes * g->info.ladder[tiers - 1];
	int rc;
	if (g->rows_block == block && g->rows_tiers == tiers)
		return 0;
	g->rows_block = NONE;
	if ((rc = KITH_SCRATCH(g->rows, g->rows_capacity, items + KITH_SPARE, err)) ||
	    (rc = kith_graph_decode_rows(g, block, tiers, g->rows, 1, err)))
		return rc;
	g->rows_block = block;
	g->rows_tiers = tiers;
	return 0;
}

int kith_graph_check_rows(const kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, kith_err *err)
{
	int rc = kith_graph_check_range(g, first, count, err);
	if (!rc && (tiers < 1 || tiers > g->info.tiers))
		rc = kith_fail(err, KITH_EUSAGE, "%s: has %u tiers", g->path, g->info.tiers);
	return rc;
}

int kith_graph_read_rows(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, uint32_t *ids, kith_err *err)
{
	int rc = kith_graph_check_rows(g, first, count, tiers, err);
	while (!rc && count) {
		kith_graph_part p = kith_graph_part_at(g, first, count);
		size_t k = g->info.ladder[tiers - 1];
		if (p.count == p.nodes) {
			int has_spare = (count - p.count) * k >= KITH_SPARE; /* the next block's, not yet there */
			rc = kith_graph_decode_rows(g, p.block, tiers, ids, has_spare, err);
		} else if (!(rc = cache_rows(g, p.block, tiers, err))) {
			memcpy(ids, g->rows + p.from * k, p.count * k * sizeof *ids);
		}
		first += p.count;
		count -= p.count;
		ids += p.count * k;
	}
	return rc;
}

static int cache_near(kith_graph *g, uint64_t part, int with_dist2, kith_err *err)
{
	size_t items = (size_t)g->info.near_nodes * g->info.near, size;
	const void *bytes;
	kith_workspace w = {0};
	int rc;
	g->near_part = NONE;
	KITH_BUFFER(&w, g->positions, items);
	KITH_BUFFER(&w, g->dist2, items);
	if ((!g->near_memory && (rc = kith_workspace_alloc(&w, &g->near_memory, "near lists", err))) ||
	    (rc = kith_container_get(g->container, KITH_TABLE_NEAR, (uint32_t)part, &bytes, &size, err)))
		return rc;
	rc = kith_near_decode(&g->scratch, &g->info, part, bytes, size, g->positions, with_dist2 ? g->dist2 : NULL,
			      err);
	g->near_part = rc ? NONE : part;
	g->near_with_dist2 = with_dist2;
	return kith_fail_in(err, rc, g->path);
}

int kith_graph_near_at(kith_graph *g, uint64_t node, int with_dist2, const uint32_t **positions, const double **dist2,
		       kith_err *err)
{
	size_t at = node % g->info.near_nodes * g->info.near;
	uint64_t part = node / g->info.near_nodes;
	int is_cached = g->near_part == part && g->near_with_dist2 >= with_dist2;
	int rc = is_cached ? 0 : cache_near(g, part, with_dist2, err);
	*positions = g->positions + (rc ? 0 : at);
	*dist2 = g->dist2 + (rc ? 0 : at);
	return rc;
}

int kith_graph_read_near(kith_graph *g, uint64_t first, uint64_t count, uint32_t *near_ids, double *near_dist2,
			 kith_err *err)
{
	size_t near = g->info.near, k = kith_info_k(&g->info);
	int rc = kith_graph_check_range(g, first, count, err);
	while (!rc && near && count) {
		kith_graph_part p = kith_graph_part_at(g, first, count);
		const uint32_t *positions;
		const double *dist2;
		rc = kith_graph_near_at(g, first, near_dist2 != NULL, &positions, &dist2, err);
		if (!rc && near_ids)
			rc = cache_rows(g, p.block, g->info.tiers, err);
		if (rc)
			return rc;
		if (near_dist2) {
			memcpy(near_dist2, dist2, p.count * near * sizeof *near_dist2);
			near_dist2 += p.count * near;
		}
		for (size_t r = p.from; near_ids && r < p.from + p.count; r++)
			for (size_t i = 0; i < near; i++)
				*near_ids++ = g->rows[r * k + *positions++];
		first += p.count;
		count -= p.count;
	}
	return rc;
}

/* What order_row needs: `near`, the near lists' part that is of these tiers, is of those that end at `end`. */
struct ranks {
	size_t k;
	uint32_t near, end;
	uint32_t *row;     /* k and KITH_SPARE */
	uint8_t *is_other; /* `end` ones, and zeros: KITH_SPARE */
};

/* A row in rank order: the ids at `positions`, which differ and are below `end`, in that order; the others below `end`
 * in theirs; and the rest. KITH_SPARE items behind `to` are overwritten. */
static void order_row(const struct ranks *x, const uint32_t *restrict row, const uint32_t *restrict positions,
		      uint32_t *restrict to)
{
	uint8_t *restrict is_other = x->is_other;
	for (uint32_t r = 0; r < x->near; r++) {
		to[r] = row[positions[r]];
		is_other[positions[r]] = 0;
	}
	kith_set_kernels_get()->pick(row, is_other, x->end, to + x->near);
	memcpy(to + x->end, row + x->end, (x->k - x->end) * sizeof *to);
	if (x->end <= 8 * x->near)
		memset(is_other, 1, x->end);
	else
		for (uint32_t r = 0; r < x->near; r++)
			is_other[positions[r]] = 1;
}

static int start_ranks(struct ranks *x, const kith_graph_info *info, uint32_t tiers, void **memory, kith_err *err)
{
	kith_workspace w = {0};
	x->k = info->ladder[tiers - 1];
	x->near = info->near < x->k ? info->near : (uint32_t)x->k;
	x->end = 0;
	for (uint32_t t = 0; x->end < x->near; t++)
		x->end = info->ladder[t];
	KITH_BUFFER(&w, x->row, x->k + KITH_SPARE);
	KITH_BUFFER(&w, x->is_other, (size_t)x->end + KITH_SPARE);
	int rc = kith_workspace_alloc(&w, memory, "rows in rank order", err);
	if (!rc) {
		memset(x->is_other, 1, x->end);
		memset(x->is_other + x->end, 0, KITH_SPARE);
	}
	return rc;
}

int kith_graph_read_ranked(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, uint32_t *ids, double *dist2,
			   kith_err *err)
{
	const uint32_t *positions;
	const double *d;
	struct ranks x;
	void *memory = NULL;
	int rc = kith_graph_check_rows(g, first, count, tiers, err);
	if (rc || !g->info.near)
		return rc ? rc : kith_graph_read_rows(g, first, count, tiers, ids, err);
	if ((rc = start_ranks(&x, &g->info, tiers, &memory, err)))
		return rc;
	for (uint64_t i = first; i < first + count; i++, ids += x.k) {
		int has_spare = (first + count - 1 - i) * x.k >= KITH_SPARE; /* the next rows', not yet there */
		kith_graph_part p = kith_graph_part_at(g, i, 1);
		if ((rc = cache_rows(g, p.block, tiers, err)) ||
		    (rc = kith_graph_near_at(g, i, dist2 != NULL, &positions, &d, err)))
			break;
		order_row(&x, g->rows + p.from * x.k, positions, has_spare ? ids : x.row);
		if (!has_spare)
			memcpy(ids, x.row, x.k * sizeof *ids);
		if (dist2)
			memcpy(dist2 + (i - first) * g->info.near, d, g->info.near * sizeof *dist2);
	}
	free(memory);
	return rc;
}

int kith_graph_read_audit(kith_graph *g, kith_graph_audit *out, kith_err *err)
{
	return kith_audit_get(g->container, &g->scratch, &g->info, g->audit_rows, out, err);
}
