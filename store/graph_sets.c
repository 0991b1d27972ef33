/* graph_sets.c - rows and reverse lists as sets. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "graph_reader.h"

#define GAP_PLANES 3 /* bytes of a gap on the way to an id, at most */

/* ---- a window of sets ---- */

/* Rows or reverse lists: what differs. */
typedef struct side {
	uint32_t table;
	int (*decode)(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
		      const void *bytes, size_t size, kith_sets *out, kith_err *err);
} side;

static const side rows_side = {KITH_TABLE_ROWS, kith_row_sets_decode};
static const side reverse_side = {KITH_TABLE_REVERSE, kith_reverse_decode};

static uint32_t number_of(const kith_graph *g, const side *side, uint32_t tier, uint64_t block)
{
	return side->table == KITH_TABLE_ROWS ? (uint32_t)block : kith_reverse_number(&g->info, tier, block);
}

static int decode_sets(kith_graph *g, const side *side, uint32_t tier, uint64_t block, kith_sets *out, kith_err *err)
{
	const void *bytes;
	size_t size;
	kith_err why = {0};
	int rc = kith_container_get(g->container, side->table, number_of(g, side, tier, block), &bytes, &size, err);
	if (!rc && (rc = side->decode(&g->scratch, &g->info, tier, block, bytes, size, out, &why)))
		kith_fail(err, rc, "%s: %s", g->path, why.msg);
	return rc;
}

int kith_graph_decode_reverse(kith_graph *g, uint32_t tier, uint64_t block, kith_sets *out, kith_err *err)
{
	return decode_sets(g, &reverse_side, tier, block, out, err);
}

/* Items in the tier's blocks, as their headers state. */
static int count_items(kith_graph *g, const side *side, uint32_t tier, uint64_t first, uint64_t count, uint64_t *out,
		       kith_err *err)
{
	*out = 0;
	while (count) {
		const void *bytes;
		size_t size;
		kith_graph_part p = kith_graph_part_at(g, first, count);
		int rc = kith_container_get(g->container, side->table, number_of(g, side, tier, p.block), &bytes, &size,
					    err);
		if (rc)
			return rc;
		*out += kith_view_items(bytes, size);
		first += p.count;
		count -= p.count;
	}
	if (*out > g->info.n * kith_info_tier_size(&g->info, tier)) /* no tier has more edges */
		return kith_fail(err, KITH_ECORRUPT, "%s: a reverse list is too long", g->path);
	return 0;
}

/* Puts a block's sets where they belong in a window's, which has room for them. */
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

static int read_tier(kith_graph *g, const side *side, uint32_t tier, uint64_t first, uint64_t count, kith_sets *out,
		     kith_err *err)
{
	kith_graph_part p = kith_graph_part_at(g, first, count);
	size_t base = side->table == KITH_TABLE_REVERSE ? first / 64 : 0, words = kith_words(g->info.n) - base;
	uint64_t items;
	int rc;
	if (p.count == count)
		return decode_sets(g, side, tier, p.block, out, err);
	out->first = first;
	out->count = count;
	out->items = 0;
	out->stride = words;
	out->base = base;
	if ((out->dense = kith_tier_is_dense(&g->info, tier)))
		rc = kith_sets_reserve_bits(out, count, words, err);
	else if (side->table == KITH_TABLE_ROWS)
		rc = kith_sets_reserve_ids(out, count, count * kith_info_tier_size(&g->info, tier), err);
	else if (!(rc = count_items(g, side, tier, first, count, &items, err)))
		rc = kith_sets_reserve_ids(out, count, items, err);
	for (uint64_t at = 0; !rc && at < count; at += p.count) {
		p = kith_graph_part_at(g, first + at, count - at);
		if (!(rc = decode_sets(g, side, tier, p.block, &g->set, err)))
			append_block(out, at, &g->set);
	}
	return rc;
}

static int read_sets(kith_graph *g, const side *side, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
		     kith_err *err)
{
	uint32_t block = g->info.block_nodes;
	int rc = kith_graph_check_range(g, first, count, err);
	if (!rc && (tiers < 1 || tiers > g->info.tiers))
		rc = kith_fail(err, KITH_EUSAGE, "%s: has %u tiers", g->path, g->info.tiers);
	if (!rc && (!count || first % block || ((first + count) % block && first + count != g->info.n)))
		rc = kith_fail(err, KITH_EUSAGE, "%s: nodes %llu:%llu are not whole blocks of %u", g->path,
			       (unsigned long long)first, (unsigned long long)(first + count), block);
	for (uint32_t t = 0; !rc && t < tiers; t++)
		rc = read_tier(g, side, t, first, count, &sets[t], err);
	return rc;
}

int kith_graph_read_row_sets(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
			     kith_err *err)
{
	return read_sets(g, &rows_side, first, count, tiers, sets, err);
}

int kith_graph_read_reverse(kith_graph *g, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
			    kith_err *err)
{
	return read_sets(g, &reverse_side, first, count, tiers, sets, err);
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
		else if (!(rc = count_items(g, &reverse_side, t, first, count, &items, err)))
			total += items * (sizeof(uint32_t) + GAP_PLANES) + (count + 1) * sizeof(uint64_t);
	}
	if (!rc)
		*out = total;
	return rc;
}
