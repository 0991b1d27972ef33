/* graph_read.c - the reading half of kith/graph.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "graph_reader.h"

/* No block of one kind is in the cache. */
#define NONE UINT64_MAX

static kith_graph *new_graph(const char *path)
{
	kith_graph *g = kith_alloc_zero(1, sizeof *g);
	if (g && !(g->path = strdup(path))) {
		free(g);
		return NULL;
	}
	if (g)
		g->rows_block = g->near_block = NONE;
	return g;
}

int kith_graph_open(kith_graph **out, const char *path, kith_err *err)
{
	const void *bytes;
	size_t size;
	kith_err why = {0};
	int rc;
	kith_graph *g = new_graph(path);

	if (!g)
		return kith_fail_nomem(err, "a graph", sizeof *g);
	if ((rc = kith_container_open(&g->container, path, KITH_CONTAINER_GRAPH, err)) ||
	    (rc = kith_container_get(g->container, KITH_TABLE_META, 0, &bytes, &size, err)))
		goto done;
	if ((rc = kith_meta_decode(bytes, size, &g->info, &g->reverse_total, &why)) ||
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
	kith_sets_free(&g->set);
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
	/* a block of rows in the cache, and its gaps or bitmaps and their planes on the way */
	uint64_t ids = (uint64_t)g->info.block_nodes * kith_info_k(&g->info);
	return ids * 4 * 3 + (1u << 18);
}

/* Adds the sizes of a table's records. */
static int add_sizes(kith_graph *g, uint32_t table, uint64_t records, uint64_t *total, kith_err *err)
{
	for (uint64_t r = 0; r < records; r++) {
		const void *bytes;
		size_t size;
		int rc = kith_container_get(g->container, table, (uint32_t)r, &bytes, &size, err);
		if (rc)
			return rc;
		*total += size;
	}
	return 0;
}

int kith_graph_get_size(kith_graph *g, kith_graph_size *out, kith_err *err)
{
	kith_graph_size found = {0};
	uint64_t blocks = kith_info_blocks(&g->info);
	struct stat st;
	int rc;
	if (stat(g->path, &st))
		return kith_fail_errno(err, "%s", g->path);
	found.file = (uint64_t)st.st_size;
	if ((rc = add_sizes(g, KITH_TABLE_ROWS, blocks, &found.rows, err)) ||
	    (rc = add_sizes(g, KITH_TABLE_NEAR, g->info.near ? blocks : 0, &found.near, err)) ||
	    (rc = add_sizes(g, KITH_TABLE_REVERSE, blocks * g->info.tiers, &found.reverse, err)))
		return rc;
	*out = found;
	return 0;
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
	int rc = kith_graph_check_range(g, first, count, err);
	if (!rc && (tiers < 1 || tiers > g->info.tiers))
		rc = kith_fail(err, KITH_EUSAGE, "%s: has %u tiers", g->path, g->info.tiers);
	while (!rc && count) {
		kith_graph_part p = kith_graph_part_at(g, first, count);
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
	int rc = kith_graph_check_range(g, first, count, err);
	while (!rc && near && count) {
		kith_graph_part p = kith_graph_part_at(g, first, count);
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
