/* graph_read.c - the reading half of kith/graph.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "graph_reader.h"
#include "kith/alloc.h"

/* No block of one kind is in the cache. */
#define NONE UINT64_MAX

int kith_graph_open(kith_graph **out, const char *path, kith_err *err)
{
	const void *bytes;
	size_t size;
	kith_err why = {0};
	int rc;
	kith_graph *g = kith_alloc_zero(1, sizeof *g);

	if (!g || !(g->path = strdup(path))) {
		free(g);
		return kith_fail_nomem(err, "a graph", sizeof *g);
	}
	g->rows_block = g->near_block = g->pairs_block = NONE;
	if ((rc = kith_container_open(&g->container, path, KITH_CONTAINER_GRAPH, err)) ||
	    (rc = kith_container_get(g->container, KITH_TABLE_META, 0, &bytes, &size, err)))
		goto done;
	if ((rc = kith_meta_decode(bytes, size, &g->info, &g->pairs_total, &why)) ||
	    (rc = kith_block_scratch_init(&g->scratch, &why)))
		kith_fail(err, rc, "%s: %s", path, why.msg);
done:
	if (rc)
		kith_graph_close(g);
	else
		*out = g;
	return rc;
}

void kith_graph_close(kith_graph *g)
{
	if (!g)
		return;
	kith_container_close(g->container);
	kith_block_scratch_free(&g->scratch);
	kith_pairs_free(&g->pairs);
	free(g->rows);
	free(g->slots);
	free(g->dist2);
	free(g->path);
	free(g);
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
	/* a block of rows in the cache, and its gaps or bitmaps and one plane on the way */
	uint64_t ids = (uint64_t)g->info.block_nodes * kith_info_k(&g->info);
	return ids * 4 * 3 + (1u << 18);
}

int kith_graph_get_size(kith_graph *g, kith_graph_size *out, kith_err *err)
{
	kith_graph_size found = {0};
	uint64_t *const of[] = {
		[KITH_TABLE_ROWS] = &found.rows, [KITH_TABLE_NEAR] = &found.near, [KITH_TABLE_PAIRS] = &found.pairs};
	struct stat st;
	if (stat(g->path, &st))
		return kith_fail_errno(err, "%s", g->path);
	found.file = (uint64_t)st.st_size;
	for (uint32_t table = KITH_TABLE_ROWS; table <= KITH_TABLE_PAIRS; table++)
		for (uint64_t b = 0; b < kith_info_blocks(&g->info); b++) {
			const void *bytes;
			size_t size;
			if (table == KITH_TABLE_NEAR && !g->info.near)
				break;
			int rc = kith_container_get(g->container, table, (uint32_t)b, &bytes, &size, err);
			if (rc)
				return rc;
			*of[table] += size;
		}
	*out = found;
	return 0;
}

/* ---- decoding one block ---- */

static int check_range(const kith_graph *g, uint64_t first, uint64_t count, kith_err *err)
{
	if (first > g->info.n || count > g->info.n - first)
		return kith_fail(err, KITH_EUSAGE, "%s: nodes %llu:%llu asked for, but there are %llu", g->path,
				 (unsigned long long)first, (unsigned long long)(first + count),
				 (unsigned long long)g->info.n);
	return 0;
}

int kith_graph_decode_rows(kith_graph *g, uint64_t block, uint32_t tiers, uint32_t *ids, kith_err *err)
{
	const void *bytes;
	size_t size;
	kith_err why = {0};
	int rc = kith_container_get(g->container, KITH_TABLE_ROWS, (uint32_t)block, &bytes, &size, err);
	if (!rc && (rc = kith_rows_decode(&g->scratch, &g->info, block, bytes, size, tiers, ids, &why)))
		kith_fail(err, rc, "%s: %s", g->path, why.msg);
	return rc;
}

int kith_graph_decode_near(kith_graph *g, uint64_t block, uint32_t *slots, double *dist2, kith_err *err)
{
	const void *bytes;
	size_t size;
	kith_err why = {0};
	int rc = kith_container_get(g->container, KITH_TABLE_NEAR, (uint32_t)block, &bytes, &size, err);
	if (!rc && (rc = kith_near_decode(&g->scratch, &g->info, block, bytes, size, slots, dist2, &why)))
		kith_fail(err, rc, "%s: %s", g->path, why.msg);
	return rc;
}

int kith_graph_decode_pairs(kith_graph *g, uint64_t block, kith_pairs *out, kith_err *err)
{
	const void *bytes;
	size_t size;
	kith_err why = {0};
	int rc = kith_container_get(g->container, KITH_TABLE_PAIRS, (uint32_t)block, &bytes, &size, err);
	if (!rc && (rc = kith_pairs_decode(&g->scratch, &g->info, block, bytes, size, out, &why)))
		kith_fail(err, rc, "%s: %s", g->path, why.msg);
	return rc;
}

/* ---- reading ranges ---- */

/* The part of a range that lies in one block: nodes from..from+count-1 of it. */
struct part {
	uint64_t block;
	uint32_t from, count, nodes;
};

static struct part part_at(const kith_graph *g, uint64_t node, uint64_t left)
{
	struct part p = {.block = node / g->info.block_nodes, .from = (uint32_t)(node % g->info.block_nodes)};
	p.nodes = kith_info_block_size(&g->info, p.block);
	p.count = left < p.nodes - p.from ? (uint32_t)left : p.nodes - p.from;
	return p;
}

static int cache_rows(kith_graph *g, uint64_t block, uint32_t tiers, kith_err *err)
{
	void *rows = g->rows;
	int rc;
	if (g->rows_block == block && g->rows_tiers == tiers)
		return 0;
	g->rows_block = NONE;
	rc = kith_scratch(&rows, &g->rows_capacity, (size_t)g->info.block_nodes * g->info.ladder[tiers - 1],
			  sizeof(uint32_t), err);
	g->rows = rows;
	if (rc || (rc = kith_graph_decode_rows(g, block, tiers, g->rows, err)))
		return rc;
	g->rows_block = block;
	g->rows_tiers = tiers;
	return 0;
}

int kith_graph_read_rows(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, uint32_t *ids, kith_err *err)
{
	int rc = check_range(g, first, count, err);
	if (!rc && (tiers < 1 || tiers > g->info.tiers))
		rc = kith_fail(err, KITH_EUSAGE, "%s: has %u tiers", g->path, g->info.tiers);
	while (!rc && count) {
		struct part p = part_at(g, first, count);
		size_t k = g->info.ladder[tiers - 1];
		if (p.count == p.nodes) {
			rc = kith_graph_decode_rows(g, p.block, tiers, ids, err);
		} else if (!(rc = cache_rows(g, p.block, tiers, err))) {
			memcpy(ids, g->rows + p.from * k, p.count * k * sizeof *ids);
		}
		first += p.count;
		count -= p.count;
		ids += p.count * k;
	}
	return rc;
}

static int cache_near(kith_graph *g, uint64_t block, kith_err *err)
{
	size_t items = (size_t)g->info.block_nodes * g->info.near;
	int rc;
	if (g->near_block == block)
		return 0;
	g->near_block = NONE;
	if (!g->slots)
		g->slots = kith_alloc(items, sizeof *g->slots);
	if (!g->dist2)
		g->dist2 = kith_alloc(items, sizeof *g->dist2);
	if (!g->slots || !g->dist2)
		return kith_fail_nomem(err, "near lists", items * 12);
	if ((rc = kith_graph_decode_near(g, block, g->slots, g->dist2, err)))
		return rc;
	g->near_block = block;
	return 0;
}

int kith_graph_read_near(kith_graph *g, uint64_t first, uint64_t count, uint32_t *near_ids, double *near_dist2,
			 kith_err *err)
{
	size_t near = g->info.near, k = kith_info_k(&g->info);
	int rc = check_range(g, first, count, err);
	while (!rc && near && count) {
		struct part p = part_at(g, first, count);
		rc = cache_near(g, p.block, err);
		if (!rc && near_ids)
			rc = cache_rows(g, p.block, g->info.tiers, err);
		if (rc)
			return rc;
		if (near_dist2) {
			memcpy(near_dist2, g->dist2 + p.from * near, p.count * near * sizeof *near_dist2);
			near_dist2 += p.count * near;
		}
		for (size_t r = p.from; near_ids && r < p.from + p.count; r++)
			for (size_t i = 0; i < near; i++)
				*near_ids++ = g->rows[r * k + g->slots[r * near + i]];
		first += p.count;
		count -= p.count;
	}
	return rc;
}

int kith_graph_count_pairs(kith_graph *g, uint64_t first, uint64_t count, uint64_t *out, kith_err *err)
{
	uint64_t total = 0;
	int rc = check_range(g, first, count, err);
	while (!rc && count) {
		const void *bytes;
		size_t size;
		kith_view view;
		kith_err why = {0};
		struct part p = part_at(g, first, count);
		if ((rc = kith_container_get(g->container, KITH_TABLE_PAIRS, (uint32_t)p.block, &bytes, &size, err)))
			return rc;
		if ((rc = kith_view_open(&view, bytes, size, KITH_TABLE_PAIRS, (uint32_t)p.block, &why)))
			return kith_fail(err, rc, "%s: %s", g->path, why.msg);
		total += view.items;
		first += p.count;
		count -= p.count;
	}
	if (!rc)
		*out = total;
	return rc;
}

static int cache_pairs(kith_graph *g, uint64_t block, kith_err *err)
{
	int rc;
	if (g->pairs_block == block)
		return 0;
	g->pairs_block = NONE;
	if ((rc = kith_graph_decode_pairs(g, block, &g->pairs, err)))
		return rc;
	g->pairs_block = block;
	return 0;
}

int kith_graph_read_pairs(kith_graph *g, uint64_t first, uint64_t count, kith_pairs *out, kith_err *err)
{
	uint64_t most, at = 0, node = 0;
	int rc = check_range(g, first, count, err);

	if (!rc && count && part_at(g, first, count).count == count && part_at(g, first, count).nodes == count)
		return kith_graph_decode_pairs(g, first / g->info.block_nodes, out, err);
	if (rc || (rc = kith_graph_count_pairs(g, first, count, &most, err)) ||
	    (rc = kith_pairs_reserve(out, count, most, err)))
		return rc;
	out->offset[0] = 0;
	while (count) {
		struct part p = part_at(g, first, count);
		if ((rc = cache_pairs(g, p.block, err)))
			return rc;
		const uint64_t *offset = g->pairs.offset + p.from;
		uint64_t items = offset[p.count] - offset[0];
		memcpy(out->id + at, g->pairs.id + offset[0], items * sizeof *out->id);
		memcpy(out->tier + at, g->pairs.tier + offset[0], items);
		for (uint32_t r = 0; r < p.count; r++)
			out->offset[node + r + 1] = at + offset[r + 1] - offset[0];
		at += items;
		node += p.count;
		first += p.count;
		count -= p.count;
	}
	return 0;
}
