/* graph_write.c - the writing half of kith/graph.h: rows in, blocks out, then the reverse lists, then the seal. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "first_error.h"
#include "graph_audit.h"
#include "graph_codec.h"
#include "reverse.h"
#include "text.h"
#include "workspace.h"

#define BLOCK_BYTES     (512u << 10) /* of a raw block: large enough to compress well, small enough for many blocks */
#define SMALL_BYTES     (256u << 10) /* of one with SMALL_NODES: merging holds a block of every layer in memory */
#define SMALL_NODES     256u         /* fewer nodes in a block would compress worse */
#define MAX_BLOCK_NODES (1u << 16)
#define NEAR_ITEMS      (256u << 10) /* distances of a raw value: its pages are full, and ranks have a code each */
#define NEAR_BYTES      12u          /* of one while it waits */

struct kith_graph_writer {
	kith_graph_info info;
	kith_container *container;
	const char *path;  /* the container's */
	uint64_t memory;   /* the caller's budget, in bytes */
	uint64_t appended; /* rows so far, pending ones included */
	uint32_t audit_rows, threads;
	/* rows of some blocks, to be encoded together, and near lists of info.near_nodes */
	uint64_t pending, pending_most, near_pending;
	uint32_t *ids, *positions;
	double *dist2;
	void *pending_memory; /* holds these three */
	kith_block_scratch scratch[KITH_STORE_THREADS];
};

/* Chooses the largest power of two with which a block's ids and bits fit in BLOCK_BYTES (from SMALL_NODES on, in
 * SMALL_BYTES), or fewer nodes where memory is short. Threads have no say: the same rows make the same file. */
static uint32_t choose_block_nodes(const kith_graph_info *info, uint64_t memory)
{
	uint64_t ids = (uint64_t)kith_info_k(info) * sizeof(uint32_t), stored = 0, nodes = 1;
	for (uint32_t t = 0; t < info->tiers; t++)
		stored += kith_tier_is_dense(info, t) ? info->n / 8 : kith_info_tier_size(info, t) * sizeof(uint32_t);
	while (2 * nodes * stored <= (nodes < SMALL_NODES ? BLOCK_BYTES : SMALL_BYTES) &&
	       2 * nodes * ids <= memory / 256 && nodes < MAX_BLOCK_NODES)
		nodes *= 2;
	return (uint32_t)nodes;
}

/* The same for near lists, of whole blocks. */
static uint32_t choose_near_nodes(const kith_graph_info *info, uint64_t memory)
{
	uint64_t nodes = info->block_nodes;
	while (2 * nodes * info->near <= NEAR_ITEMS && 2 * nodes * info->near * NEAR_BYTES <= memory / 64 &&
	       nodes < MAX_BLOCK_NODES)
		nodes *= 2;
	return (uint32_t)nodes;
}

/* Rows that wait until they are encoded together: a block a thread where memory allows it. */
static uint64_t choose_pending(const kith_graph_writer *w)
{
	uint64_t block = (uint64_t)w->info.block_nodes * kith_info_k(&w->info) * sizeof(uint32_t), blocks = 1;
	while (blocks < w->threads && (blocks + 1) * block <= w->memory / 32)
		blocks++;
	return blocks * w->info.block_nodes < w->info.n ? blocks * w->info.block_nodes : w->info.n;
}

static int alloc_pending(kith_graph_writer *w, kith_err *err)
{
	kith_workspace space = {0};
	uint64_t items = (w->info.near_nodes < w->info.n ? w->info.near_nodes : w->info.n) * w->info.near;
	KITH_BUFFER(&space, w->ids, w->pending_most * kith_info_k(&w->info));
	KITH_BUFFER(&space, w->positions, items);
	KITH_BUFFER(&space, w->dist2, items);
	return kith_workspace_alloc(&space, &w->pending_memory, "rows of a graph", err);
}

/* The sizes of blocks, where the caller leaves them to the store. */
static void choose_sizes(kith_graph_writer *w)
{
	kith_graph_info *info = &w->info;
	if (!info->block_nodes)
		info->block_nodes = choose_block_nodes(info, w->memory);
	info->block_nodes = kith_block_nodes_fit(info->block_nodes, info->n);
	if (!info->near_nodes)
		info->near_nodes = choose_near_nodes(info, w->memory);
	info->near_nodes = kith_block_nodes_fit(info->near_nodes, info->n);
	if (info->near_nodes < info->block_nodes)
		info->near_nodes = info->block_nodes;
	info->near_bits = KITH_NEAR_BITS;
	w->pending_most = choose_pending(w);
}

int kith_graph_create(kith_graph_writer **out, const char *path, const kith_graph_info *info, uint64_t memory,
		      int threads, kith_err *err)
{
	int rc = kith_fail_in(err, kith_info_check(info, err), path);
	if (rc)
		return rc;
	kith_graph_writer *w = kith_alloc_zero(1, sizeof *w);
	if (!w)
		return kith_fail_nomem(err, "a graph writer", sizeof *w);
	w->info = *info;
	w->info.tied = (kith_tie_counts){0};
	w->memory = memory;
	w->threads = kith_store_threads(threads);
	choose_sizes(w);
	rc = kith_fail_in(err, kith_info_check(&w->info, err), path); /* with the blocks that have been chosen */
	if (!rc)
		rc = alloc_pending(w, err);
	for (uint32_t g = 0; !rc && g < w->threads; g++)
		rc = kith_block_scratch_init(&w->scratch[g], err);
	if (!rc)
		rc = kith_container_create(&w->container, path, KITH_CONTAINER_GRAPH, err);
	if (rc) {
		kith_graph_abort(w);
		return rc;
	}
	w->path = kith_container_path(w->container);
	*out = w;
	return 0;
}

void kith_graph_put_parameters(kith_graph_writer *w, const char *parameters)
{
	kith_copy_text(w->info.parameters, sizeof w->info.parameters, parameters);
}

void kith_graph_abort(kith_graph_writer *w)
{
	if (!w)
		return;
	for (uint32_t g = 0; g < w->threads; g++)
		kith_block_scratch_free(&w->scratch[g]);
	kith_container_close(w->container);
	free(w->pending_memory);
	free(w);
}

/* Puts the values of `count` blocks into the container, in order. */
static int put_blocks(kith_graph_writer *w, uint32_t table, uint32_t tier, uint64_t first, uint32_t count,
		      const kith_block_scratch *scratch, kith_err *err)
{
	int rc = 0;
	for (uint32_t g = 0; !rc && g < count; g++) {
		const kith_encoder *v = &scratch[g].encoder;
		rc = kith_container_put(w->container, table, kith_block_number(&w->info, table, tier, first + g),
					v->bytes, v->size, err);
	}
	return rc;
}

/* Encodes the pending rows, whole blocks but perhaps the last of the graph. */
static int flush_rows(kith_graph_writer *w, kith_err *err)
{
	uint64_t first = (w->appended - w->pending) / w->info.block_nodes;
	uint32_t count = (uint32_t)((w->pending + w->info.block_nodes - 1) / w->info.block_nodes);
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(w->threads) schedule(static, 1)
	for (uint32_t g = 0; g < count; g++) {
		size_t row = (size_t)g * w->info.block_nodes;
		kith_err why;
		int rc = kith_rows_encode(&w->scratch[g], &w->info, first + g, w->ids + row * kith_info_k(&w->info),
					  &why);
		kith_first_error_note(&failed, g, rc, &why);
	}
	w->pending = 0;
	int rc = kith_fail_in(err, kith_first_error_get(&failed, err), w->path);
	return rc ? rc : put_blocks(w, KITH_TABLE_ROWS, 0, first, count, w->scratch, err);
}

static int flush_near(kith_graph_writer *w, kith_err *err)
{
	const kith_encoder *value = &w->scratch[0].encoder;
	uint64_t part = (w->appended - w->near_pending) / w->info.near_nodes;
	w->near_pending = 0;
	int rc = kith_near_encode(&w->scratch[0], &w->info, part, w->positions, w->dist2, err);
	if (rc)
		return kith_fail_in(err, rc, w->path);
	return kith_container_put(w->container, KITH_TABLE_NEAR, (uint32_t)part, value->bytes, value->size, err);
}

/* Encodes what is full. Near lists come just behind the last of their rows, so that the order of values in the file
 * does not depend on how many blocks wait. */
static int flush(kith_graph_writer *w, kith_err *err)
{
	int last = w->appended == w->info.n, near_full = w->info.near && w->near_pending == w->info.near_nodes;
	int rc = 0;
	if (w->pending && (w->pending == w->pending_most || near_full || last))
		rc = flush_rows(w, err);
	if (!rc && w->near_pending && (near_full || last))
		rc = flush_near(w, err);
	return rc;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Sorts ids. Where they are a good part of all n, marking them in a bitmap and reading it back beats comparing. */
static void sort_ids(uint32_t *ids, size_t count, uint64_t n, uint64_t *bitmap)
{
	if (count < 64 || count * 64 < n) {
		qsort(ids, count, sizeof *ids, by_id);
		return;
	}
	memset(bitmap, 0, (n + 63) / 64 * 8);
	for (size_t i = 0; i < count; i++)
		bitmap[ids[i] / 64] |= 1ull << (ids[i] & 63);
	size_t found = 0;
	for (uint64_t w = 0; w < (n + 63) / 64; w++)
		for (uint64_t word = bitmap[w]; word && found < count; word &= word - 1)
			ids[found++] = (uint32_t)(64 * w + (unsigned)__builtin_ctzll(word));
	if (found < count) /* an id occurred twice: ids that the caller refuses say so */
		memset(ids + found, 0xff, (count - found) * sizeof *ids);
}

/* Sorts row i's tiers and finds the positions of its near ids. Returns 0, or -1 if the row breaks the contract of
 * kith_graph_append. */
static int take_row(const kith_graph_info *info, uint64_t i, uint32_t *row, const uint32_t *near_ids,
		    const double *near_dist2, uint32_t *positions, uint64_t *bitmap)
{
	uint32_t k = kith_info_k(info);
	for (uint32_t p = 0; p < k; p++)
		if (row[p] >= info->n || row[p] == i)
			return -1;
	for (uint32_t t = 0; t < info->tiers; t++) {
		uint32_t start = kith_info_tier_start(info, t), end = info->ladder[t];
		sort_ids(row + start, end - start, info->n, bitmap);
		for (uint32_t p = start + 1; p < end; p++)
			if (row[p] <= row[p - 1] || row[p] >= info->n)
				return -1;
	}
	for (uint32_t r = 0, t = 0; r < info->near; r++) {
		while (r >= info->ladder[t])
			t++;
		uint32_t start = kith_info_tier_start(info, t);
		const uint32_t *found = bsearch(&near_ids[r], row + start, info->ladder[t] - start, sizeof *row, by_id);
		if (!found || !(near_dist2[r] >= (r ? near_dist2[r - 1] : 0)))
			return -1;
		positions[r] = (uint32_t)(found - row);
	}
	return 0;
}

/* Sorts `count` rows, the first of which is node `first`. Returns the first bad node, or UINT64_MAX. */
static uint64_t take_rows(kith_graph_writer *w, uint64_t first, uint64_t count, uint32_t *ids, const uint32_t *near_ids,
			  const double *near_dist2, uint32_t *positions, int *no_memory)
{
	const kith_graph_info *info = &w->info;
	uint64_t bad = UINT64_MAX;
	int short_of_memory = 0;
#pragma omp parallel num_threads(w->threads) reduction(min : bad) reduction(| : short_of_memory)
	{
		uint64_t *bitmap = kith_alloc((info->n + 63) / 64, 8);
		short_of_memory = !bitmap;
#pragma omp for schedule(dynamic, 16)
		for (uint64_t r = 0; r < count; r++)
			if (bitmap && take_row(info, first + r, ids + r * kith_info_k(info), near_ids + r * info->near,
					       near_dist2 + r * info->near, positions + r * info->near, bitmap))
				bad = first + r < bad ? first + r : bad;
		free(bitmap);
	}
	*no_memory = short_of_memory;
	return bad;
}

int kith_graph_append(kith_graph_writer *w, uint64_t count, uint32_t *ids, const uint32_t *near_ids,
		      const double *near_dist2, kith_err *err)
{
	const kith_graph_info *info = &w->info;
	size_t k = kith_info_k(info);

	if (count > info->n - w->appended)
		return kith_fail(err, KITH_EBUG, "%s: more rows than nodes", w->path);
	while (count) {
		uint64_t room = w->pending_most - w->pending, take = count < room ? count : room;
		uint64_t near_room = info->near ? info->near_nodes - w->near_pending : take;
		size_t at = w->near_pending * info->near;
		int no_memory, rc;
		take = take < near_room ? take : near_room;
		uint64_t bad =
			take_rows(w, w->appended, take, ids, near_ids, near_dist2, w->positions + at, &no_memory);
		if (no_memory)
			return kith_fail_nomem(err, "a bitmap of the nodes", info->n / 8);
		if (bad != UINT64_MAX)
			return kith_fail(err, KITH_EBUG, "%s: row %llu is not a set of %zu neighbours", w->path,
					 (unsigned long long)bad, k);
		memcpy(w->ids + w->pending * k, ids, take * k * sizeof *ids);
		if (info->near)
			memcpy(w->dist2 + at, near_dist2, take * info->near * sizeof *near_dist2);
		w->pending += take;
		w->near_pending += info->near ? take : 0;
		w->appended += take;
		if ((rc = flush(w, err)))
			return rc;
		count -= take;
		ids += take * k;
		near_ids += take * info->near;
		near_dist2 += take * info->near;
	}
	return 0;
}

int kith_graph_put_audit(kith_graph_writer *w, const kith_graph_audit *audit, kith_err *err)
{
	int rc;
	if (w->audit_rows)
		return kith_fail(err, KITH_EBUG, "%s: a second audit", w->path);
	if (!audit->rows)
		return 0;
	if ((rc = kith_fail_in(err, kith_audit_check(&w->info, audit, KITH_EBUG, err), w->path)) ||
	    (rc = kith_audit_put(w->container, &w->scratch[0], &w->info, audit, err)))
		return rc;
	w->audit_rows = audit->rows;
	w->info.recall = audit->recall[w->info.tiers - 1];
	return 0;
}

int kith_graph_put_ties(kith_graph_writer *w, const kith_tie_counts *counts, kith_err *err)
{
	const kith_encoder *value = &w->scratch[0].encoder;
	int rc = w->info.tied.counted ? kith_fail(err, KITH_EBUG, "second counts of ties")
				      : kith_tie_counts_check(&w->info, counts, KITH_EBUG, err);
	if (!rc)
		rc = kith_tie_counts_encode(&w->scratch[0], &w->info, counts, err);
	if (rc)
		return kith_fail_in(err, rc, w->path);
	w->info.tied = *counts;
	w->info.tied.counted = 1;
	return kith_container_put(w->container, KITH_TABLE_TIES, 0, value->bytes, value->size, err);
}

struct put_reverse {
	kith_graph_writer *writer;
	uint64_t total; /* ids in the lists so far */
};

static int put_reverse(void *context, uint32_t tier, uint64_t first, uint32_t count, const kith_sets *sets,
		       kith_block_scratch *scratch, kith_err *err)
{
	struct put_reverse *p = context;
	kith_graph_writer *w = p->writer;
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(w->threads) schedule(static, 1)
	for (uint32_t g = 0; g < count; g++) {
		kith_err why;
		int rc = kith_reverse_encode(&scratch[g], &w->info, tier, first + g, sets, &why);
		kith_first_error_note(&failed, g, rc, &why);
	}
	for (uint32_t g = 0; g < count; g++)
		p->total += kith_view_items(scratch[g].encoder.bytes, scratch[g].encoder.size);
	int rc = kith_fail_in(err, kith_first_error_get(&failed, err), w->path);
	return rc ? rc : put_blocks(w, KITH_TABLE_REVERSE, tier, first, count, scratch, err);
}

int kith_graph_finish(kith_graph_writer *w, const kith_progress *progress, kith_err *err)
{
	struct put_reverse p = {.writer = w};
	kith_reverse_sink sink = {put_reverse, &p};
	const kith_encoder *meta = &w->scratch[0].encoder;
	int rc = 0;

	if (w->appended != w->info.n)
		rc = kith_fail(err, KITH_EBUG, "%s: %llu of %llu rows", w->path, (unsigned long long)w->appended,
			       (unsigned long long)w->info.n);
	/* the rows' buffers are done with: the reverse lists get their memory */
	free(w->pending_memory);
	w->pending_memory = NULL;
	if (!rc)
		rc = kith_reverse_derive(w->container, &w->info, w->memory, w->threads, progress, &sink, err);
	if (!rc)
		rc = kith_meta_encode(&w->scratch[0], &w->info, p.total, w->audit_rows, err);
	if (!rc)
		rc = kith_container_put(w->container, KITH_TABLE_META, 0, meta->bytes, meta->size, err);
	if (!rc)
		rc = kith_container_seal(w->container, err);
	kith_graph_abort(w);
	return rc;
}
