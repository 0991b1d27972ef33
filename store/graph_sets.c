/* graph_sets.c - rows and reverse lists as sets, and the pairs that they come to. */
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

/* ---- pairs ---- */

/* What is left of one node's ascending set, above some id. */
typedef struct cursor {
	const uint32_t *id, *end;
	const uint64_t *word, *words_end; /* of bits: the words after this one */
	uint64_t rest, word_base;
	uint64_t next; /* UINT64_MAX at the end */
} cursor;

static void advance(cursor *c)
{
	if (c->id) {
		c->next = c->id < c->end ? *c->id++ : UINT64_MAX;
		return;
	}
	while (!c->rest) {
		if (c->word == c->words_end) {
			c->next = UINT64_MAX;
			return;
		}
		c->rest = *c->word++;
		c->word_base += 64;
	}
	c->next = c->word_base + (unsigned)__builtin_ctzll(c->rest);
	c->rest &= c->rest - 1;
}

/* The r-th node's set from its first id above the node on. */
static cursor start(const kith_sets *sets, uint64_t r)
{
	uint64_t node = sets->first + r, from = node + 1;
	cursor c = {0};
	if (sets->dense) {
		size_t w = from / 64;
		w = w > sets->base ? w : sets->base;
		c.words_end = sets->bits + (r + 1) * sets->stride;
		c.word = sets->bits + r * sets->stride + (w - sets->base);
		c.word_base = 64 * (uint64_t)w - 64;
		if (c.word < c.words_end) {
			c.rest = *c.word++ & (w == from / 64 ? ~0ull << from % 64 : ~0ull);
			c.word_base += 64;
		}
	} else {
		const uint32_t *id = sets->id + sets->offset[r];
		size_t count = sets->offset[r + 1] - sets->offset[r];
		c.id = id + kith_lower_bound(id, count, from);
		c.end = id + count;
	}
	advance(&c);
	return c;
}

/* The merge of one node's sets; returns how many pairs, or UINT64_MAX if an id occurs twice on one side. */
static uint64_t merge_node(uint32_t tiers, const kith_sets *rows, const kith_sets *reverse, uint64_t r, uint32_t *id,
			   uint8_t *tier)
{
	cursor to[KITH_MAX_TIERS], from[KITH_MAX_TIERS];
	uint64_t found = 0;
	for (uint32_t t = 0; t < tiers; t++) {
		to[t] = start(&rows[t], r);
		from[t] = start(&reverse[t], r);
	}
	for (;; found++) {
		uint64_t least = UINT64_MAX;
		uint32_t up = KITH_TIER_ABSENT, down = KITH_TIER_ABSENT;
		for (uint32_t t = 0; t < tiers; t++) {
			least = to[t].next < least ? to[t].next : least;
			least = from[t].next < least ? from[t].next : least;
		}
		if (least == UINT64_MAX)
			return found;
		for (uint32_t t = 0; t < tiers; t++) {
			if (to[t].next == least) {
				if (up != KITH_TIER_ABSENT)
					return UINT64_MAX;
				up = t;
				advance(&to[t]);
			}
			if (from[t].next == least) {
				if (down != KITH_TIER_ABSENT)
					return UINT64_MAX;
				down = t;
				advance(&from[t]);
			}
		}
		id[found] = (uint32_t)least;
		tier[found] = (uint8_t)(up | down << 4);
	}
}

/* The same where each side is a single list of ids. */
static uint64_t merge_two(const kith_sets *rows, const kith_sets *reverse, uint64_t r, uint32_t *id, uint8_t *tier)
{
	const uint32_t *x = rows->id + rows->offset[r], *x_end = rows->id + rows->offset[r + 1];
	const uint32_t *y = reverse->id + reverse->offset[r], *y_end = reverse->id + reverse->offset[r + 1];
	uint64_t found = 0, node = rows->first + r;
	while (x < x_end && *x <= node)
		x++;
	for (; x < x_end && y < y_end; found++) {
		uint32_t to = *x, from = *y; /* no branch: who is next cannot be foreseen */
		id[found] = to < from ? to : from;
		tier[found] = (uint8_t)((to > from ? KITH_TIER_ABSENT : 0) | (from > to ? KITH_TIER_ABSENT << 4 : 0));
		x += to <= from;
		y += from <= to;
	}
	for (; x < x_end; found++) {
		id[found] = *x++;
		tier[found] = KITH_TIER_ABSENT << 4;
	}
	for (; y < y_end; found++) {
		id[found] = *y++;
		tier[found] = KITH_TIER_ABSENT;
	}
	return found;
}

/* The pairs that `tiers` tiers of rows and of reverse lists of the same nodes of a graph of n come to. KITH_ECORRUPT,
 * without the file's name, if an id occurs twice in a node's row or reverse list. */
static int make_pairs(uint64_t n, uint32_t tiers, const kith_sets *rows, const kith_sets *reverse, kith_pairs *out,
		      kith_err *err)
{
	uint64_t most = 0, nodes = rows->count;
	for (uint32_t t = 0; t < tiers; t++)
		most += rows[t].items + reverse[t].items;
	if (most > nodes * n) /* no node has more than n pairs */
		most = nodes * n;
	int rc = kith_pairs_reserve(out, nodes, most, err);
	if (rc)
		return rc;
	int two = tiers == 1 && !rows->dense;
	out->offset[0] = 0;
	for (uint64_t r = 0; r < nodes; r++) {
		uint32_t *id = out->id + out->offset[r];
		uint8_t *tier = out->tier + out->offset[r];
		uint64_t found =
			two ? merge_two(rows, reverse, r, id, tier) : merge_node(tiers, rows, reverse, r, id, tier);
		if (found == UINT64_MAX)
			return kith_fail(err, KITH_ECORRUPT, "node %llu has a neighbour twice",
					 (unsigned long long)(rows->first + r));
		out->offset[r + 1] = out->offset[r] + found;
	}
	return 0;
}

/* A whole block's pairs. */
static int block_pairs(kith_graph *g, uint64_t block, kith_pairs *out, kith_err *err)
{
	uint64_t first = block * g->info.block_nodes, count = kith_info_block_size(&g->info, block);
	kith_err why = {0};
	int rc;
	if ((rc = kith_graph_read_row_sets(g, first, count, g->info.tiers, g->row_sets, err)) ||
	    (rc = kith_graph_read_reverse(g, first, count, g->info.tiers, g->reverse, err)))
		return rc;
	if ((rc = make_pairs(g->info.n, g->info.tiers, g->row_sets, g->reverse, out, &why)))
		kith_fail(err, rc, "%s: %s", g->path, why.msg);
	return rc;
}

static int cache_pairs(kith_graph *g, uint64_t block, kith_err *err)
{
	int rc;
	if (g->pairs_block == block)
		return 0;
	g->pairs_block = UINT64_MAX;
	if ((rc = block_pairs(g, block, &g->pairs, err)))
		return rc;
	g->pairs_block = block;
	return 0;
}

int kith_graph_count_pairs(kith_graph *g, uint64_t first, uint64_t count, uint64_t *out, kith_err *err)
{
	uint64_t total = 0, items;
	int rc = kith_graph_check_range(g, first, count, err);
	for (uint32_t t = 0; !rc && t < g->info.tiers; t++)
		if (!(rc = count_items(g, &reverse_side, t, first, count, &items, err)))
			total += items + count * kith_info_tier_size(&g->info, t);
	if (!rc)
		*out = total;
	return rc;
}

int kith_graph_read_pairs(kith_graph *g, uint64_t first, uint64_t count, kith_pairs *out, kith_err *err)
{
	uint64_t most = 0, at = 0, node = 0;
	int rc = kith_graph_check_range(g, first, count, err);

	if (!rc && count) {
		kith_graph_part p = kith_graph_part_at(g, first, count);
		if (p.count == count && p.nodes == count)
			return block_pairs(g, p.block, out, err);
	}
	if (rc || (rc = kith_graph_count_pairs(g, first, count, &most, err)) ||
	    (rc = kith_pairs_reserve(out, count, most, err)))
		return rc;
	out->offset[0] = 0;
	while (count) {
		kith_graph_part p = kith_graph_part_at(g, first, count);
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
