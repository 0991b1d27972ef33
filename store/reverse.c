/* reverse.c - see reverse.h.
 *
 * Node i's reverse list is spread over the rows of all larger nodes, so this transposes a matrix. The nodes are cut
 * into ranges whose lists fit in memory, and for each range the rows from the range's start on are read once. A sparse
 * graph takes one range; a dense one takes a few, which costs decoding, not seeking or spilling.
 *
 *              columns: nodes i
 *              +-------------------+
 *     rows:    |.                  |     row j has the neighbours i of j; what is left of the diagonal, i < j, becomes
 *     nodes j  |  .                |     the reverse lists of the nodes i
 *              |  range .          |
 *              |  |<->|    .       |     64 rows are a strip, in which 64 x 64 bits are transposed at a time
 *              +-------------------+
 *
 * It works tier by tier. Where a tier is stored as ids, rows are read in ascending j, so that each list is filled in
 * ascending order.
 */
#include "reverse.h"

#include <stdlib.h>
#include <string.h>

#include "first_error.h"
#include "transpose.h"
#include "workspace.h"

struct derive {
	kith_container *container;
	const kith_graph_info *info;
	const kith_progress *progress;
	uint32_t threads, tier;
	uint32_t strip, at_once; /* blocks that make whole strips of 64 rows; blocks decoded together, whole strips */
	uint64_t blocks, room;   /* of the graph; bytes for a range's lists */
	uint32_t *counts;        /* n: items in each node's list */
	uint64_t *at;            /* n: where the node's next id goes */
	const void **bytes;      /* at_once: the values of blocks, their sizes, and their rows as sets */
	size_t *size;
	kith_sets *rows;
	kith_sets range; /* the lists of the range's nodes */
	kith_block_scratch scratch[KITH_STORE_THREADS];
};

/* Decodes blocks b, b+1, ... into rows[0], rows[1], .... A container serves one thread, so values are looked up first.
 */
static int decode_group(struct derive *d, uint64_t b, uint32_t count, kith_err *err)
{
	kith_first_error failed = {0};
	for (uint32_t g = 0; g < count; g++) {
		int rc = kith_container_get(d->container, KITH_TABLE_ROWS, (uint32_t)(b + g), &d->bytes[g], &d->size[g],
					    err);
		if (rc)
			return rc;
	}
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
	for (uint32_t t = 0; t < d->threads; t++)
		for (uint32_t g = t; g < count; g += d->threads) {
			kith_err why;
			int rc = kith_row_sets_decode(&d->scratch[t], d->info, d->tier, b + g, d->bytes[g], d->size[g],
						      &d->rows[g], &why);
			kith_first_error_note(&failed, g, rc, &why);
		}
	return kith_fail_in(err, kith_first_error_get(&failed, err), kith_container_path(d->container));
}

/* ---- ids ---- */

/* First position in ascending ids[0..count) that is not below `bound`. */
static size_t lower_bound(const uint32_t *ids, size_t count, uint64_t bound)
{
	size_t low = 0;
	while (count) {
		size_t half = count / 2;
		if (ids[low + half] < bound) {
			low += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return low;
}

/* Counts, or stores, every edge j -> i of these rows with lo <= i < hi and i < j. */
static void take_ids(struct derive *d, const kith_sets *rows, int store, uint64_t lo, uint64_t hi)
{
	for (uint64_t r = 0; r < rows->count; r++) {
		uint64_t j = rows->first + r, top = j < hi ? j : hi;
		const uint32_t *row = rows->id + rows->offset[r];
		size_t count = rows->offset[r + 1] - rows->offset[r], p = lo ? lower_bound(row, count, lo) : 0;
		if (!store)
			for (; p < count && row[p] < top; p++)
				d->counts[row[p]]++;
		else
			for (; p < count && row[p] < top; p++)
				d->range.id[d->at[row[p]]++] = (uint32_t)j;
	}
}

/* ---- bits ---- */

/* Transposes word `column` of rows from..from+63 into the lists of nodes 64 column to 64 column + 63. */
static void turn_square(const struct derive *d, const uint64_t *const row[64], uint64_t from, uint64_t column)
{
	const kith_sets *range = &d->range;
	uint64_t square[64], at = column * 64 - range->first, nodes = range->count - at;
	for (uint32_t r = 0; r < 64; r++)
		square[r] = row[r] ? row[r][column] : 0;
	kith_transpose(square);
	for (uint32_t i = 0; i < 64 && i < nodes; i++) {
		uint64_t above = column * 64 < from ? ~0ull : i == 63 ? 0 : ~0ull << (i + 1); /* j > i */
		range->bits[(at + i) * range->stride + from / 64 - range->base] = square[i] & above;
	}
}

/* Transposes a group of rows, which starts at a multiple of 64, into the range's lists. */
static void take_bits(struct derive *d, uint32_t count)
{
	uint64_t start = d->rows[0].first, end = d->rows[count - 1].first + d->rows[count - 1].count;
	uint64_t lo = d->range.first / 64, hi = kith_words(d->range.first + d->range.count);
	for (uint64_t from = start; from < end; from += 64) {
		const uint64_t *row[64] = {0};
		for (uint64_t r = 0; r < 64 && from + r < end; r++) {
			uint64_t j = from + r - start, nodes = d->info->block_nodes;
			const kith_sets *block = &d->rows[j / nodes];
			row[r] = block->bits + j % nodes * block->stride;
		}
		uint64_t top = from / 64 + 1 < hi ? from / 64 + 1 : hi;
#pragma omp parallel for num_threads(d->threads) schedule(static)
		for (uint64_t column = lo; column < top; column++)
			turn_square(d, row, from, column);
	}
}

/* ---- ranges ---- */

enum what { COUNT, STORE, TURN };

/* Reads all rows from block b on. Threads decode a block each, then divide the nodes lo..hi-1 among them, so that each
 * list is filled in order by one thread. */
static int stream_rows(struct derive *d, uint64_t b, enum what what, uint64_t lo, uint64_t hi, kith_err *err)
{
	for (; b < d->blocks; b += d->at_once) {
		uint32_t count = d->blocks - b < d->at_once ? (uint32_t)(d->blocks - b) : d->at_once;
		int rc = kith_progress_tick(d->progress, what == COUNT ? "in-degrees" : "reverse lists", b, d->blocks,
					    err);
		if (rc || (rc = decode_group(d, b, count, err)))
			return rc;
		if (what == TURN) {
			take_bits(d, count);
			continue;
		}
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
		for (uint32_t s = 0; s < d->threads; s++)
			for (uint32_t g = 0; g < count; g++)
				take_ids(d, &d->rows[g], what == STORE, lo + (hi - lo) * s / d->threads,
					 lo + (hi - lo) * (s + 1) / d->threads);
	}
	return 0;
}

/* The first node of a block, or n after the last. */
static uint64_t first_node(const struct derive *d, uint64_t block)
{
	return block < d->blocks ? block * d->info->block_nodes : d->info->n;
}

/* Bytes of the lists of nodes first..last-1 in a range whose sets have `words` words. */
static uint64_t list_bytes(const struct derive *d, uint64_t first, uint64_t last, uint64_t words)
{
	uint64_t items = 0;
	if (d->range.dense)
		return (last - first) * words * sizeof(uint64_t);
	for (uint64_t i = first; i < last; i++)
		items += d->counts[i];
	return items * sizeof(uint32_t);
}

/* Chooses the largest range from block b on, of at least one strip, whose lists fit, and prepares it. */
static int choose_range(struct derive *d, uint64_t b, uint64_t *end, kith_err *err)
{
	kith_sets *r = &d->range;
	uint64_t first = first_node(d, b), last = first, bytes = 0, words = kith_words(d->info->n) - first / 64;
	for (*end = b; *end < d->blocks; *end += d->strip) {
		uint64_t next = first_node(d, *end + d->strip), more = list_bytes(d, last, next, words);
		if (*end > b && bytes + more > d->room)
			break;
		bytes += more;
		last = next;
	}
	*end = *end < d->blocks ? *end : d->blocks;
	if (r->dense) {
		int rc = kith_sets_start_bits(r, first, last - first, first / 64, d->info->n, err);
		if (!rc)
			memset(r->bits, 0, bytes);
		return rc;
	}
	int rc = kith_sets_start_ids(r, first, last - first, bytes / sizeof *r->id, err);
	r->items = 0;
	for (uint64_t i = first; !rc && i < last; i++) {
		r->offset[i - first] = d->at[i] = r->items;
		r->items += d->counts[i];
	}
	if (!rc)
		r->offset[last - first] = r->items;
	return rc;
}

static int derive_tier(struct derive *d, const kith_reverse_sink *sink, kith_err *err)
{
	int rc = 0;
	d->range.dense = kith_tier_is_dense(d->info, d->tier);
	if (!d->range.dense) {
		memset(d->counts, 0, d->info->n * sizeof *d->counts);
		rc = stream_rows(d, 0, COUNT, 0, d->info->n, err);
	}
	for (uint64_t b = 0, end; !rc && b < d->blocks; b = end) {
		if (!(rc = choose_range(d, b, &end, err)))
			rc = stream_rows(d, b, d->range.dense ? TURN : STORE, d->range.first,
					 d->range.first + d->range.count, err);
		for (uint64_t at = b; !rc && at < end; at += d->threads)
			rc = sink->take(sink->context, d->tier, at,
					end - at < d->threads ? (uint32_t)(end - at) : d->threads, &d->range,
					d->scratch, err);
	}
	return rc;
}

/* The bytes that are left for a range's lists: memory, less 12 bytes a node, the rows decoded together, and for each
 * thread its scratch and the value that it encodes. */
static uint64_t room_for_lists(const struct derive *d, uint64_t memory)
{
	const kith_graph_info *info = d->info;
	uint64_t most = 0;
	for (uint32_t t = 0; t < info->tiers; t++) {
		uint64_t row = kith_tier_is_dense(info, t) ? kith_words(info->n) * sizeof(uint64_t)
							   : kith_info_tier_size(info, t) * sizeof(uint32_t);
		most = row > most ? row : most;
	}
	uint64_t fixed = info->n * 12 + (d->at_once + 4 * d->threads) * most * info->block_nodes;
	return memory > fixed ? memory - fixed : 0;
}

int kith_reverse_derive(kith_container *container, const kith_graph_info *info, uint64_t memory, uint32_t threads,
			const kith_progress *progress, const kith_reverse_sink *sink, kith_err *err)
{
	struct derive d = {.container = container, .info = info, .progress = progress, .threads = threads};
	kith_workspace w = {0};
	void *buffers;

	d.blocks = kith_info_blocks(info);
	d.strip = info->block_nodes < 64 ? 64 / info->block_nodes : 1;
	d.at_once = (threads + d.strip - 1) / d.strip * d.strip;
	d.room = room_for_lists(&d, memory);
	KITH_BUFFER_ZERO(&w, d.rows, d.at_once);
	KITH_BUFFER(&w, d.bytes, d.at_once);
	KITH_BUFFER(&w, d.size, d.at_once);
	KITH_BUFFER(&w, d.counts, info->n);
	KITH_BUFFER(&w, d.at, info->n);
	int rc = kith_workspace_alloc(&w, &buffers, "the in-degrees", err);
	for (uint32_t g = 0; !rc && g < d.threads; g++)
		rc = kith_block_scratch_init(&d.scratch[g], err);
	for (; !rc && d.tier < info->tiers; d.tier++)
		rc = derive_tier(&d, sink, err);

	for (uint32_t g = 0; g < d.threads; g++)
		kith_block_scratch_free(&d.scratch[g]);
	for (uint32_t g = 0; d.rows && g < d.at_once; g++)
		kith_sets_free(&d.rows[g]);
	kith_sets_free(&d.range);
	free(buffers);
	return rc;
}
