/* graph_sets.c - rows and reverse lists as sets. */
#include <string.h>

#include "graph_reader.h"

#define GAP_PLANES 3 /* bytes of a gap while it is decoded, at most */

int kith_graph_decode_sets(kith_graph *g, uint32_t table, uint32_t tier, uint64_t block, kith_sets *out, kith_err *err)
{
	uint32_t number = kith_block_number(&g->info, table, tier, block);
	const void *bytes;
	size_t size;
	int rc = kith_container_get(g->container, table, number, &bytes, &size, err);
	if (rc)
		return rc;
	rc = table == KITH_TABLE_ROWS ? kith_row_sets_decode(&g->scratch, &g->info, tier, block, bytes, size, out, err)
				      : kith_reverse_decode(&g->scratch, &g->info, tier, block, bytes, size, out, err);
	return kith_fail_in(err, rc, g->path);
}

/* Ids in the reverse lists of the blocks that have these nodes, as the values' headers state. */
static int count_reverse(kith_graph *g, uint32_t tier, uint64_t first, uint64_t count, uint64_t *out, kith_err *err)
{
	uint64_t most = g->info.n * kith_info_tier_size(&g->info, tier); /* no tier has more edges */
	*out = 0;
	while (count) {
		const void *bytes;
		size_t size;
		kith_graph_part p = kith_graph_part_at(g, first, count);
		uint32_t number = kith_block_number(&g->info, KITH_TABLE_REVERSE, tier, p.block);
		int rc = kith_container_get(g->container, KITH_TABLE_REVERSE, number, &bytes, &size, err);
		if (rc)
			return rc;
		uint64_t items = kith_view_items(bytes, size);
		if (items > most - *out)
			return kith_fail(err, KITH_ECORRUPT, "%s: a reverse list is too long", g->path);
		*out += items;
		first += p.count;
		count -= p.count;
	}
	return 0;
}

/* Copies a block's sets into a window's, from node `at` of the window on. */
static void append_block(kith_sets *out, uint64_t at, const kith_sets *block)
{
	if (block->dense) {
		size_t less = block->base - out->base;
		for (uint64_t r = 0; r < block->count; r++) {
			uint64_t *to = out->bits + (at + r) * out->stride;
			memset(to, 0, less * sizeof *to);
			memcpy(to + less, block->bits + r * block->stride, block->stride * sizeof *to);
		}
	} else {
		memcpy(out->id + out->items, block->id, block->items * sizeof *out->id);
		for (uint64_t r = 0; r <= block->count; r++)
			out->offset[at + r] = out->items + block->offset[r];
	}
	out->items += block->items;
}

static int read_tier(kith_graph *g, uint32_t table, uint32_t tier, uint64_t first, uint64_t count, kith_sets *out,
		     kith_err *err)
{
	kith_graph_part p = kith_graph_part_at(g, first, count);
	uint64_t items = count * kith_info_tier_size(&g->info, tier);
	int rc = 0, is_reverse = table == KITH_TABLE_REVERSE;
	if (p.count == count)
		return kith_graph_decode_sets(g, table, tier, p.block, out, err);
	if (kith_tier_is_dense(&g->info, tier))
		rc = kith_sets_start_bits(out, first, count, is_reverse ? first / 64 : 0, g->info.n, err);
	else if (!is_reverse || !(rc = count_reverse(g, tier, first, count, &items, err)))
		rc = kith_sets_start_ids(out, first, count, items, err);
	out->items = 0;
	for (uint64_t at = 0; !rc && at < count; at += p.count) {
		p = kith_graph_part_at(g, first + at, count - at);
		if (!(rc = kith_graph_decode_sets(g, table, tier, p.block, &g->set, err)))
			append_block(out, at, &g->set);
	}
	return rc;
}

static int read_sets(kith_graph *g, uint32_t table, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
		     kith_err *err)
{
	uint32_t block = g->info.block_nodes;
	int rc = kith_graph_check_rows(g, first, count, tiers, err);
	if (!rc && (!count || first % block || ((first + count) % block && first + count != g->info.n)))
		rc = kith_fail(err, KITH_EUSAGE, "%s: nodes %llu:%llu are not whole blocks of %u", g->path,
			       (unsigned long long)first, (unsigned long long)(first + count), block);
	for (uint32_t t = 0; !rc && t < tiers; t++)
		rc = read_tier(g, table, t, first, count, &sets[t], err);
	return rc;
}

int kith_graph_read_row_sets(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
			     kith_err *err)
{
	return read_sets(g, KITH_TABLE_ROWS, first, count, tiers, sets, err);
}

int kith_graph_read_reverse(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
			    kith_err *err)
{
	return read_sets(g, KITH_TABLE_REVERSE, first, count, tiers, sets, err);
}

uint64_t kith_graph_row_sets_bytes(const kith_graph *g, uint64_t count, uint32_t tiers)
{
	uint64_t total = 0;
	for (uint32_t t = 0; t < tiers; t++)
		total += kith_tier_is_dense(&g->info, t) ? count * kith_words(g->info.n) * sizeof(uint64_t)
							 : count * kith_info_tier_size(&g->info, t) * sizeof(uint32_t) +
								   (count + 1) * sizeof(uint64_t);
	return total;
}

int kith_graph_reverse_bytes(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, uint64_t *out,
			     kith_err *err)
{
	uint64_t total = 0, items;
	int rc = kith_graph_check_range(g, first, count, err);
	for (uint32_t t = 0; !rc && t < tiers && t < g->info.tiers; t++) {
		if (kith_tier_is_dense(&g->info, t))
			total += count * (kith_words(g->info.n) - first / 64) * sizeof(uint64_t);
		else if (!(rc = count_reverse(g, t, first, count, &items, err)))
			total += items * (sizeof(uint32_t) + GAP_PLANES) + (count + 1) * sizeof(uint64_t);
	}
	if (!rc)
		*out = total;
	return rc;
}
