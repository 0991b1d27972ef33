/* pair_list.c - see pair_list.h.
 *
 * Node i's pairs are its edges upwards (i -> j, j > i), which stand in its own row, and the edges down to it (j -> i,
 * j > i), which stand in the rows of all j > i. The latter need a transposition, and that is where memory goes: so the
 * nodes are cut into ranges whose edges from above fit in memory, and for each range the rows from the range's start on
 * are streamed once. A sparse graph takes one range; a dense one a dozen, which costs decoding, not seeking or
 * spilling.
 *
 * Rows are streamed in ascending j, so each node's edges from above arrive sorted, and its edges upwards are sorted
 * tier by tier: the pair list is a merge of tiers + 1 sorted lists, never a sort. */
#include "pair_list.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"

struct derive {
	kith_container *container;
	const kith_graph_info *info;
	const kith_progress *progress;
	uint64_t blocks;
	uint32_t threads;
	uint32_t *from_above; /* n: edges down to each node from larger ones */
	uint32_t *rows[KITH_STORE_THREADS];
	kith_block_scratch scratch[KITH_STORE_THREADS];
	kith_pairs lists[KITH_STORE_THREADS];
	/* of the range [lo, hi): edges from above, those of node i at [at[i - lo], at[i - lo + 1]) */
	uint64_t lo, hi;
	uint64_t *at;
	uint32_t *id;
	uint8_t *tier;
};

/* Decodes blocks b, b+1, ... into rows[0], rows[1], ..., one per thread. */
static int decode_group(struct derive *d, uint64_t b, uint32_t count, kith_err *err)
{
	const void *bytes[KITH_STORE_THREADS];
	size_t size[KITH_STORE_THREADS];
	kith_err errs[KITH_STORE_THREADS];
	int rc[KITH_STORE_THREADS], first = 0;

	for (uint32_t g = 0; g < count; g++)
		if ((first = kith_container_get(d->container, KITH_TABLE_ROWS, (uint32_t)(b + g), &bytes[g], &size[g],
						err)))
			return first;
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
	for (uint32_t g = 0; g < count; g++)
		rc[g] = kith_rows_decode(&d->scratch[g], d->info, b + g, bytes[g], size[g], d->info->tiers, d->rows[g],
					 &errs[g]);
	for (uint32_t g = 0; g < count; g++)
		if (rc[g])
			return kith_fail(err, rc[g], "%s: %s", kith_container_path(d->container), errs[g].msg);
	return 0;
}

static uint32_t group_size(const struct derive *d, uint64_t b, uint64_t end)
{
	return end - b < d->threads ? (uint32_t)(end - b) : d->threads;
}

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

/* For every edge j -> i of block b's rows with lo <= i < hi and i < j: counts it (id NULL), or stores it and moves
 * at[]. */
static void take_from_above(struct derive *d, uint64_t b, const uint32_t *rows, uint64_t lo, uint64_t hi, int store)
{
	const kith_graph_info *info = d->info;
	size_t k = kith_info_k(info);
	uint64_t first = b * info->block_nodes, last = first + kith_info_block_size(info, b);

	for (uint64_t j = first; j < last; j++) {
		const uint32_t *row = rows + (j - first) * k;
		uint64_t top = j < hi ? j : hi;
		for (uint32_t t = 0; t < info->tiers; t++) {
			size_t p = kith_info_tier_start(info, t), end = info->ladder[t];
			p += lo ? lower_bound(row + p, end - p, lo) : 0;
			for (; p < end && row[p] < top; p++) {
				if (!store) {
					d->from_above[row[p]]++;
					continue;
				}
				uint64_t slot = d->at[row[p] - d->lo]++;
				d->id[slot] = (uint32_t)j;
				d->tier[slot] = (uint8_t)t;
			}
		}
	}
}

/* Streams all rows from block b on through take_from_above: the threads decode a block each, then split the nodes of
 * [lo, hi) among them, so that each node's edges arrive in order whatever the number of threads. */
static int stream_rows(struct derive *d, uint64_t b, int store, uint64_t lo, uint64_t hi, const char *what,
		       kith_err *err)
{
	for (; b < d->blocks; b += d->threads) {
		uint32_t count = group_size(d, b, d->blocks);
		int rc = kith_progress_tick(d->progress, what, b, d->blocks, err);
		if (rc || (rc = decode_group(d, b, count, err)))
			return rc;
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
		for (uint32_t s = 0; s < d->threads; s++)
			for (uint32_t g = 0; g < count; g++)
				take_from_above(d, b + g, d->rows[g], lo + (hi - lo) * s / d->threads,
						lo + (hi - lo) * (s + 1) / d->threads, store);
	}
	return 0;
}

/* The merge of one node's sorted lists: its row's tiers above itself, and its edges from above. */
static uint64_t merge_node(const struct derive *d, uint64_t i, const uint32_t *row, uint32_t *id, uint8_t *tier)
{
	const kith_graph_info *info = d->info;
	size_t p[KITH_MAX_TIERS];
	uint64_t q = i > d->lo ? d->at[i - d->lo - 1] : 0, q_end = d->at[i - d->lo], found = 0;

	for (uint32_t t = 0; t < info->tiers; t++) {
		size_t start = kith_info_tier_start(info, t);
		p[t] = start + lower_bound(row + start, info->ladder[t] - start, i + 1);
	}
	for (;; found++) {
		uint64_t least = UINT64_MAX;
		uint32_t up = KITH_TIER_ABSENT, down = KITH_TIER_ABSENT;
		for (uint32_t t = 0; t < info->tiers; t++)
			if (p[t] < info->ladder[t] && row[p[t]] < least) {
				least = row[p[t]];
				up = t;
			}
		if (q < q_end && d->id[q] <= least) {
			if (d->id[q] < least)
				up = KITH_TIER_ABSENT;
			least = d->id[q];
			down = d->tier[q++];
		}
		if (least == UINT64_MAX)
			return found;
		if (up != KITH_TIER_ABSENT)
			p[up]++;
		id[found] = (uint32_t)least;
		tier[found] = (uint8_t)(up | down << 4);
	}
}

static int merge_block(struct derive *d, uint64_t b, const uint32_t *rows, kith_pairs *out, kith_err *err)
{
	uint64_t first = b * d->info->block_nodes;
	uint32_t nodes = kith_info_block_size(d->info, b);
	size_t k = kith_info_k(d->info), most = nodes * k;

	for (uint32_t r = 0; r < nodes; r++)
		most += d->from_above[first + r];
	int rc = kith_pairs_reserve(out, nodes, most, err);
	if (rc)
		return rc;
	out->offset[0] = 0;
	for (uint32_t r = 0; r < nodes; r++)
		out->offset[r + 1] = out->offset[r] + merge_node(d, first + r, rows + r * k, out->id + out->offset[r],
								 out->tier + out->offset[r]);
	return 0;
}

/* The lists of blocks b..end-1, whose edges from above are in memory, to the sink. */
static int emit_range(struct derive *d, uint64_t b, uint64_t end, const kith_pair_sink *sink, kith_err *err)
{
	for (; b < end; b += d->threads) {
		kith_err errs[KITH_STORE_THREADS];
		int rc, bad[KITH_STORE_THREADS];
		uint32_t count = group_size(d, b, end);
		if ((rc = kith_progress_tick(d->progress, "pair list", b, d->blocks, err)) ||
		    (rc = decode_group(d, b, count, err)))
			return rc;
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
		for (uint32_t g = 0; g < count; g++)
			bad[g] = merge_block(d, b + g, d->rows[g], &d->lists[g], &errs[g]);
		for (uint32_t g = 0; g < count; g++)
			if (bad[g])
				return kith_fail(err, bad[g], "%s", errs[g].msg);
		if ((rc = sink->take(sink->context, b, count, d->lists, d->scratch, err)))
			return rc;
	}
	return 0;
}

/* The range of blocks from b whose edges from above fit in `room` edges; at least one block. Lays out at[]. */
static uint64_t choose_range(struct derive *d, uint64_t b, uint64_t room, uint64_t *edges)
{
	uint64_t e, end = b;
	*edges = 0;
	do {
		uint64_t more = 0, first = end * d->info->block_nodes;
		for (uint32_t r = 0; r < kith_info_block_size(d->info, end); r++)
			more += d->from_above[first + r];
		if (end > b && *edges + more > room)
			break;
		*edges += more;
		end++;
	} while (end < d->blocks);
	d->lo = b * d->info->block_nodes;
	d->hi = end < d->blocks ? end * d->info->block_nodes : d->info->n;
	e = 0;
	for (uint64_t i = d->lo; i < d->hi; i++) {
		d->at[i - d->lo] = e;
		e += d->from_above[i];
	}
	return end;
}

static int all_ranges(struct derive *d, uint64_t room, const kith_pair_sink *sink, kith_err *err)
{
	int rc = 0;
	for (uint64_t b = 0, end; !rc && b < d->blocks; b = end) {
		uint64_t edges;
		end = choose_range(d, b, room, &edges);
		d->id = kith_alloc(edges, sizeof *d->id);
		d->tier = kith_alloc(edges, sizeof *d->tier);
		if (!d->id || !d->tier)
			rc = kith_fail_nomem(err, "the edges of a pair list", edges * 5);
		/* storing moves at[i] from the start of node i's edges to their end, which is where merge_node finds it
		 */
		if (!rc)
			rc = stream_rows(d, b, 1, d->lo, d->hi, "pair list", err);
		if (!rc)
			rc = emit_range(d, b, end, sink, err);
		free(d->id);
		free(d->tier);
		d->id = NULL;
		d->tier = NULL;
	}
	return rc;
}

int kith_pair_list_derive(kith_container *container, const kith_graph_info *info, uint64_t memory,
			  const kith_progress *progress, const kith_pair_sink *sink, kith_err *err)
{
	uint64_t block_bytes = (uint64_t)info->block_nodes * kith_info_k(info) * sizeof(uint32_t);
	struct derive d = {.container = container, .info = info, .progress = progress};
	int rc = 0, threads = omp_get_max_threads();

	d.blocks = kith_info_blocks(info);
	d.threads = threads < KITH_STORE_THREADS ? (uint32_t)threads : KITH_STORE_THREADS;
	d.from_above = kith_alloc_zero(info->n, sizeof *d.from_above);
	d.at = kith_alloc(info->n, sizeof *d.at);
	if (!d.from_above || !d.at)
		rc = kith_fail_nomem(err, "the in-degrees", info->n * 12);
	for (uint32_t g = 0; !rc && g < d.threads; g++)
		if (!(d.rows[g] = kith_alloc(block_bytes, 1)) || (rc = kith_block_scratch_init(&d.scratch[g], err)))
			rc = kith_fail_nomem(err, "a block of rows", block_bytes);

	/* what is left after the fixed part: per thread a block of rows, its scratch, its lists, its encoded value */
	uint64_t fixed = info->n * 12 + 5 * d.threads * block_bytes;
	uint64_t room = memory > fixed ? (memory - fixed) / 5 : 0;
	if (!rc)
		rc = stream_rows(&d, 0, 0, 0, info->n, "pair counts", err);
	if (!rc)
		rc = all_ranges(&d, room, sink, err);

	for (uint32_t g = 0; g < d.threads; g++) {
		free(d.rows[g]);
		kith_block_scratch_free(&d.scratch[g]);
		kith_pairs_free(&d.lists[g]);
	}
	free(d.from_above);
	free(d.at);
	return rc;
}
