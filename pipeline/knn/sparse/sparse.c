/* sparse.c - see sparse.h: every row of a panel against every block of columns, both as many samples as memory has room
 * for. */
#include "sparse.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "engine.h"
#include "first_error.h"
#include "hash.h"
#include "nearest.h"
#include "repeats.h"
#include "sparse_index.h"
#include "text.h"
#include "vectors.h"
#include "workspace.h"

#define MOST_COLUMNS 2048u        /* what a row has in common with so many stays in the first cache */
#define TURN         64u          /* tiles of a thread between two looks at the progress */
#define MOST_UNION   (1ull << 26) /* below, jaccard distances that differ are different doubles */
#define ZEROS        16384u       /* values of a dense row at once */
#define WRITE_ROWS   1024u        /* handed to the writer together */

kith_sparse_tuning kith_sparse_tuned;

/* One run of the stage. */
struct run {
	const kith_knn_options *o;
	kith_sparse_source source;
	kith_graph_info info;
	kith_graph_writer *writer;
	/* What all rows together are: */
	uint32_t *size;     /* n */
	uint64_t digest;    /* of ids, values and options */
	uint64_t *row_hash; /* n: of what makes a row, for the order of ties */
	kith_tie_rule ties;
	kith_tie_counts tied;
	uint64_t repeated, empty, first_empty;
	uint64_t largest, entries; /* of a row; of all */
	double max_abs, min_abs;
	kith_repeats repeats;
	kith_sparse_rows all; /* all rows, if they fit into memory */
	int resident;
	uint64_t column_limit, panel_limit; /* bytes */
	kith_sparse_rows panel, columns;
	kith_sparse_index index;
	kith_nearest nearest;
	kith_sparse_scratch *scratch; /* threads */
	void *memory;
};

/* ---- the first pass ---- */

static int refuse_value(const struct run *r, uint64_t sample, double value, kith_err *err)
{
	if (isinf(value))
		return kith_fail(err, KITH_EUSAGE,
				 "%s: sample %llu: an edge's lifetime times phi is more than a double holds: use other "
				 "--weights",
				 r->source.path, (unsigned long long)sample);
	return kith_fail(err, KITH_EUSAGE,
			 "%s: sample %llu has a value of %.3g: squared distances leave a double's range: use --metric "
			 "cosine or --weights one",
			 r->source.path, (unsigned long long)sample, value);
}

/* Values of row `row` of those that were read, for l2 within the range of kith_vectors. */
static int scan_values(struct run *r, const kith_sparse_rows *rows, uint64_t row, int *positive, kith_err *err)
{
	double limit = r->o->metric == KITH_L2 ? kith_largest_value(r->info.d) : INFINITY;
	*positive = !rows->value && kith_sparse_size(rows, row);
	for (uint64_t e = rows->at[row]; rows->value && e < rows->at[row + 1]; e++) {
		double x = rows->value[e];
		if (isinf(x) || x > limit)
			return refuse_value(r, rows->first + row, x, err);
		*positive |= x > 0;
		r->max_abs = x > r->max_abs ? x : r->max_abs;
		r->min_abs = x > 0 && (r->min_abs == 0 || x < r->min_abs) ? x : r->min_abs;
	}
	return 0;
}

/* The hash of row `row` with all its zeros. */
static int hash_dense(const struct run *r, const kith_sparse_rows *rows, uint64_t row, double *zeros, uint64_t *out)
{
	kith_hash_state *hash = kith_hash_new();
	uint64_t e = rows->at[row], end = rows->at[row + 1];
	for (uint64_t from = 0; hash && from < r->info.d; from += ZEROS) {
		uint64_t to = r->info.d - from < ZEROS ? r->info.d : from + ZEROS, first = e;
		for (; e < end && rows->id[e] < to; e++)
			zeros[rows->id[e] - from] = rows->value ? rows->value[e] : 1;
		kith_hash_update(hash, zeros, (to - from) * sizeof *zeros);
		for (; first < e; first++)
			zeros[rows->id[first] - from] = 0;
	}
	*out = hash ? kith_hash_value(hash) : 0;
	kith_hash_free(hash);
	return hash ? 0 : KITH_ENOMEM;
}

/* What the order of ties follows from: of l2 and cosine as in the file that has the zeros, of sets their edges. */
static int hash_rows(struct run *r, const kith_sparse_rows *rows, kith_err *err)
{
	int dense = r->o->metric != KITH_JACCARD, failed = 0;
	double *zeros = NULL;
	if (r->o->ties == KITH_TIES_INDEX)
		return 0;
	if (dense && !(zeros = kith_alloc_zero((size_t)r->o->threads * ZEROS, sizeof *zeros)))
		return kith_fail_nomem(err, "a row", ZEROS * sizeof *zeros);
#pragma omp parallel for num_threads(r->o->threads) schedule(static) reduction(| : failed)
	for (uint64_t row = 0; row < rows->count; row++) {
		uint64_t *out = &r->row_hash[rows->first + row];
		if (dense)
			failed |= hash_dense(r, rows, row, zeros + (size_t)omp_get_thread_num() * ZEROS, out) != 0;
		else
			*out = kith_hash(rows->id + rows->at[row], kith_sparse_size(rows, row) * sizeof *rows->id);
	}
	free(zeros);
	return failed ? kith_fail_nomem(err, "a digest", 1) : 0;
}

static int scan_rows(struct run *r, const kith_sparse_rows *rows, kith_hash_state *hash, kith_err *err)
{
	for (uint64_t row = 0; row < rows->count; row++) {
		uint64_t at = rows->at[row], size = kith_sparse_size(rows, row), own[3] = {size};
		int positive, rc = scan_values(r, rows, row, &positive, err);
		if (rc)
			return rc;
		own[1] = kith_hash(rows->id + at, size * sizeof *rows->id);
		if (rows->value)
			own[2] = kith_hash(rows->value + at, size * sizeof *rows->value);
		kith_hash_update(hash, own, sizeof own);
		kith_repeats_add(&r->repeats, kith_hash(own, sizeof own));
		r->size[rows->first + row] = (uint32_t)size;
		r->largest = size > r->largest ? size : r->largest;
		r->entries += size;
		if (!positive && !r->empty++)
			r->first_empty = rows->first + row;
	}
	return 0;
}

/* Refuses rows whose distances the metric does not define. */
static int check_rows(const struct run *r, kith_err *err)
{
	uint64_t most = 2 * r->largest < r->info.d ? 2 * r->largest : r->info.d;
	char more[64] = "";
	if (r->o->metric == KITH_JACCARD && most >= MOST_UNION)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: two samples may have %llu edges together: jaccard tells distances apart up to "
				 "%llu; use --metric l2, or --ops or --classes for fewer edges",
				 r->source.path, (unsigned long long)most, MOST_UNION - 1);
	if (r->empty > 1)
		snprintf(more, sizeof more, " (and so have %llu more of %llu)", (unsigned long long)r->empty - 1,
			 (unsigned long long)r->info.n);
	if (r->o->metric == KITH_COSINE && r->empty && r->o->refuse_zero)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: sample %llu has no edge that counts%s, and no direction: cosine cannot place it; "
				 "use --metric l2 or jaccard, or --zero-rows keep",
				 r->source.path, (unsigned long long)r->first_empty, more);
	if (r->o->metric == KITH_L2 && r->max_abs > 0 && r->max_abs < KITH_SMALLEST)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: no value is larger than %.3g: squared distances leave a double's range: use "
				 "--metric cosine or --weights one",
				 r->source.path, r->max_abs);
	return 0;
}

/* Bytes that are not a matter of blocks of rows. */
static uint64_t fixed_bytes(const struct run *r)
{
	uint64_t n = r->source.info->n;
	return kith_sparse_reader_bytes(&r->source) + n * (sizeof *r->size + sizeof *r->row_hash) +
	       kith_repeats_slots(n) * sizeof *r->repeats.slot + kith_sparse_table_bytes(r->info.d);
}

static uint64_t left_bytes(const struct run *r)
{
	uint64_t fixed = fixed_bytes(r);
	return r->o->memory > fixed ? r->o->memory - fixed : 0;
}

static uint64_t row_bytes(const struct run *r, uint64_t rows, uint64_t entries)
{
	(void)r;
	return rows * (sizeof(uint64_t) + 2 * sizeof(double)) + entries * kith_sparse_entry_bytes(&r->source);
}

/* Reads all rows, and keeps them if they fit into half of the memory. */
static int scan(struct run *r, kith_err *err)
{
	const kith_h0_info *file = r->source.info;
	uint64_t n = file->n, left = left_bytes(r) / 2, entries = file->edges, rows = n;
	kith_hash_state *hash = kith_hash_new();
	kith_workspace w = {0};
	if (row_bytes(r, rows, entries) > left || kith_sparse_tuned.read_again) {
		rows = left / 2 / (1 + row_bytes(r, 1, file->edges / n));
		rows = rows < 1 ? 1 : rows < n ? rows : n;
		entries = rows * (file->edges / n);
	}
	entries = entries < file->vertices ? file->vertices : entries;
	r->repeats.mask = kith_repeats_slots(n) - 1;
	KITH_BUFFER(&w, r->size, n);
	KITH_BUFFER(&w, r->row_hash, r->o->ties == KITH_TIES_INDEX ? 0 : n);
	KITH_BUFFER_ZERO(&w, r->repeats.slot, r->repeats.mask + 1);
	int rc =
		hash ? kith_workspace_alloc(&w, &r->memory, "sizes of rows", err) : kith_fail_nomem(err, "a digest", 1);
	if (!rc)
		rc = kith_sparse_rows_alloc(&r->all, &r->source, rows, entries, err);
	for (uint64_t first = 0, end; !rc && first < n; first = end) {
		end = n;
		if ((rc = kith_progress_tick(&r->o->progress, "reading", first, n, err)) ||
		    (rc = kith_sparse_rows_load(&r->all, &r->source, first, &end, err)) ||
		    (rc = scan_rows(r, &r->all, hash, err)) || (rc = hash_rows(r, &r->all, err)))
			break;
		r->resident = r->all.count == n && !kith_sparse_tuned.read_again;
	}
	if (!rc && !(rc = check_rows(r, err))) {
		r->ties.rule = r->o->ties;
		if (r->ties.rule == KITH_TIES_CONTENT)
			r->ties.key = kith_hash(r->row_hash, n * sizeof *r->row_hash);
		r->tied = (kith_tie_counts){.counted = 1, .zero = r->o->metric == KITH_COSINE ? r->empty : 0};
		kith_hash_update(hash, r->source.parameters, strlen(r->source.parameters));
		r->digest = kith_hash_value(hash);
		r->repeated = r->repeats.repeated;
	}
	kith_hash_free(hash);
	if (!r->resident) {
		free(r->all.memory);
		r->all = (kith_sparse_rows){0};
	}
	return rc;
}

/* ---- blocks of rows ---- */

/* Samples first..end-1, and how many entries they have. */
struct stretch {
	uint64_t first, end, entries;
};

typedef uint64_t cost(const struct run *r, uint64_t rows, uint64_t entries);

static uint64_t column_bytes(const struct run *r, uint64_t rows, uint64_t entries)
{
	int valued = r->source.valued;
	return kith_sparse_index_bytes(rows, entries, r->info.d, valued) +
	       (uint64_t)r->o->threads * kith_sparse_scratch_bytes(rows, entries / rows, valued) +
	       (r->resident ? 0 : row_bytes(r, rows, entries));
}

static uint64_t panel_bytes(const struct run *r, uint64_t rows, uint64_t entries)
{
	return rows * kith_nearest_row_bytes(kith_info_k(&r->info)) + (r->resident ? 0 : row_bytes(r, rows, entries));
}

/* The file is read again for each panel, and most of what is read thrown away: fewer rows than these, and it would
 * seem to stand still. */
#define LEAST_ROWS 128u

/* Fewer readers where memory is short; refused where one, with some rows, is too much. */
static int fit_memory(struct run *r, kith_err *err)
{
	const kith_h0_info *file = r->source.info;
	uint64_t rows = file->n < LEAST_ROWS ? file->n : LEAST_ROWS, entries = rows * (file->edges / file->n + 1);
	uint64_t least = column_bytes(r, rows, entries) + panel_bytes(r, rows, entries);
	while (r->source.threads > 1 && fixed_bytes(r) + least > r->o->memory)
		kith_sparse_source_drop(&r->source);
	if (fixed_bytes(r) + least <= r->o->memory)
		return 0;
	return kith_fail(err, KITH_EUSAGE,
			 "%s: reading it, a table of its %llu edge ids and %llu rows take %llu MB, more than -m gives: "
			 "give more",
			 r->source.path, (unsigned long long)r->info.d, (unsigned long long)rows,
			 (unsigned long long)((fixed_bytes(r) + least) / (1 << 20) + 1));
}

/* From sample `first` on, as many as stay within `limit` bytes and are no more than `most`; one at least. */
static struct stretch next_stretch(const struct run *r, uint64_t first, cost *bytes, uint64_t limit, uint64_t most)
{
	struct stretch s = {first, first + 1, r->size[first]};
	while (s.end < r->info.n && s.end - first < most &&
	       bytes(r, s.end + 1 - first, s.entries + r->size[s.end]) <= limit)
		s.entries += r->size[s.end++];
	return s;
}

static struct stretch next_columns(const struct run *r, uint64_t first)
{
	uint64_t most = kith_sparse_tuned.columns ? kith_sparse_tuned.columns : MOST_COLUMNS;
	most = most < KITH_SPARSE_MOST ? most : KITH_SPARSE_MOST;
	return next_stretch(r, first, column_bytes, r->column_limit, most);
}

static struct stretch next_panel(const struct run *r, uint64_t first)
{
	uint64_t most = kith_sparse_tuned.panel ? kith_sparse_tuned.panel : UINT64_MAX;
	return next_stretch(r, first, panel_bytes, r->panel_limit, most);
}

/* Of all stretches, the most samples and the most entries; *bytes: of the costliest. */
static void find_largest(const struct run *r, struct stretch next(const struct run *, uint64_t), cost *cost_of,
			 uint64_t *rows, uint64_t *entries, uint64_t *bytes)
{
	*rows = *entries = *bytes = 0;
	for (struct stretch s = {0}; s.end < r->info.n;) {
		s = next(r, s.end);
		uint64_t here = cost_of(r, s.end - s.first, s.entries);
		*rows = s.end - s.first > *rows ? s.end - s.first : *rows;
		*entries = s.entries > *entries ? s.entries : *entries;
		*bytes = here > *bytes ? here : *bytes;
	}
}

/* Room for panels and columns: columns have a half of what is left at most, panels the rest. */
static int make_room(struct run *r, kith_err *err)
{
	uint64_t left = left_bytes(r), kept = r->resident ? row_bytes(r, r->info.n, r->entries) : 0;
	uint64_t column_rows, column_entries, panel_rows, panel_entries, bytes;
	int rc;
	left = left > kept ? left - kept : 0;
	r->column_limit = left / 2;
	find_largest(r, next_columns, column_bytes, &column_rows, &column_entries, &bytes);
	r->panel_limit = left > bytes ? left - bytes : 0;
	find_largest(r, next_panel, panel_bytes, &panel_rows, &panel_entries, &bytes);
	if (!(r->scratch = kith_alloc_zero((size_t)r->o->threads, sizeof *r->scratch)))
		return kith_fail_nomem(err, "threads", (size_t)r->o->threads * sizeof *r->scratch);
	if ((rc = kith_nearest_alloc(&r->nearest, panel_rows, kith_info_k(&r->info), &r->ties, err)) || r->resident)
		return rc;
	if ((rc = kith_sparse_rows_alloc(&r->panel, &r->source, panel_rows, panel_entries, err)))
		return rc;
	return kith_sparse_rows_alloc(&r->columns, &r->source, column_rows, column_entries, err);
}

/* Makes `rows` those of a stretch: read, or a part of all that are there. */
static int get_rows(struct run *r, const struct stretch *s, kith_sparse_rows *rows, kith_err *err)
{
	uint64_t end = s->end;
	if (r->resident) {
		*rows = r->all;
		rows->first = s->first;
		rows->count = s->end - s->first;
		rows->at += s->first;
		rows->scale += s->first;
		rows->square += s->first;
		return 0;
	}
	int rc = kith_sparse_rows_load(rows, &r->source, s->first, &end, err);
	if (!rc && (end != s->end || rows->at[rows->count] != s->entries))
		rc = kith_fail(err, KITH_EIO, "%s: changed while it was read; build it again", r->source.path);
	if (!rc)
		kith_sparse_rows_prepare(rows, &r->source);
	return rc;
}

/* ---- distances ---- */

/* From what row `own` has in common with each of the samples, their distances, or numbers that those do not fall below.
 *
 * Of sets all numbers are whole and below 2^53, so distances of l2 and jaccard are exact, but for one division. For the
 * others let N and M be the true sums of the squares, P <= (N + M) / 2 that of the products, none below 0, D = N + M -
 * 2 P, u = 2^-53, and m the entries of both rows. A sum of m terms of one rounded multiplication each is off by at most
 * m u / (1 - m u) of itself (Higham, Accuracy and stability of numerical algorithms, 2002, lemma 3.1), so the canonical
 * sum is not below D - (m + 2) u' D with D <= N + M, and N + M - 2 P as computed not above D + 2 (m + 3) u' (N + M).
 * 2^-50 (m + 8) (N + M), as computed, is more than both together.
 *
 * That is while no product is subnormal. One that is is off by 2^-1075 at most, whatever its size (sums of such numbers
 * are exact): m of the canonical sum, m of N + M, m / 2 of P, which counts twice, and that of the slack. 2^-1072 (m +
 * 8) is more. Only l2 needs it: in cosine N + M is 1 at least, unless both rows are zero. */
struct pairs {
	const uint32_t *common;
	const double *product;
	const double *square, *scale;               /* of the samples */
	double own_square, own_scale, slack, least; /* slack: of N + M; least: whatever that is */
	double *distance;
	uint64_t count;
};

KITH_CLONES static void jaccard(const struct pairs *p)
{
	for (uint64_t j = 0; j < p->count; j++) {
		double both = (double)(int32_t)p->common[j], either = p->own_square + p->square[j] - both;
		p->distance[j] = (either - both) / (either > 0 ? either : 1);
	}
}

KITH_CLONES static void differences(const struct pairs *p)
{
	for (uint64_t j = 0; j < p->count; j++)
		p->distance[j] = p->own_square + p->square[j] - 2 * (double)(int32_t)p->common[j];
}

KITH_CLONES static void bound_counts(const struct pairs *p)
{
	for (uint64_t j = 0; j < p->count; j++) {
		double squares = p->own_square + p->square[j];
		double product = (double)(int32_t)p->common[j] * p->own_scale * p->scale[j];
		p->distance[j] = squares - 2 * product - p->slack * squares;
	}
}

KITH_CLONES static void bound_products(const struct pairs *p)
{
	for (uint64_t j = 0; j < p->count; j++) {
		double squares = p->own_square + p->square[j];
		p->distance[j] = squares - 2 * p->product[j] - p->slack * squares - p->least;
	}
}

/* Whether the panel is all samples: then each pair of a row and a later column is tried once, for both. */
static int is_whole(const struct run *r)
{
	return r->panel.count == r->info.n;
}

static void compare(const struct run *r, uint64_t row, uint32_t in_tile, const kith_sparse_scratch *scratch)
{
	const kith_sparse_rows *x = &r->index.rows;
	double entries = (double)(kith_sparse_size(&r->panel, row) + r->largest + 8);
	struct pairs p = {.square = x->square,
			  .scale = x->scale,
			  .own_square = r->panel.square[row],
			  .own_scale = r->panel.scale[row],
			  .slack = 0x1p-50 * entries,
			  .least = 0x1p-1072 * entries,
			  .distance = scratch->distance,
			  .count = x->count};
	if (x->value) {
		p.product = scratch->product + in_tile * x->count;
		bound_products(&p);
		return;
	}
	p.common = scratch->common + in_tile * x->count;
	(r->o->metric == KITH_COSINE ? bound_counts : r->o->metric == KITH_L2 ? differences : jaccard)(&p);
}

/* Whether row or column is zero, in cosine: then the distance is that of similarity 0. */
static int without_direction(const struct run *r, uint64_t row, uint64_t column)
{
	return r->o->metric == KITH_COSINE && (r->panel.square[row] == 0 || r->index.rows.square[column] == 0);
}

/* Offers row `row` of the panel all columns; or, if that is whole, the later ones, and these the row. */
static void offer(struct run *r, uint64_t row, const double *distance)
{
	const kith_sparse_rows *x = &r->index.rows;
	kith_nearest *nearest = &r->nearest;
	uint64_t own = r->panel.first + row, from = 0;
	int exact = !x->value && r->o->metric != KITH_COSINE, both = is_whole(r);
	if (both && own >= x->first)
		from = own + 1 - x->first;
	for (uint64_t j = from; j < x->count; j++) {
		double dist = distance[j];
		int here = dist <= kith_nearest_bound(nearest, row);
		int there = both && dist <= kith_nearest_bound(nearest, x->first + j);
		if ((!here && !there) || x->first + j == own)
			continue;
		if (!exact)
			dist = without_direction(r, row, j) ? 2 : kith_sparse_distance(&r->panel, row, x, j);
		if (here)
			kith_nearest_offer(nearest, row, (uint32_t)(x->first + j), dist);
		if (there)
			kith_nearest_offer(nearest, x->first + j, (uint32_t)own, dist);
	}
}

/* All rows of the panel against the columns of the index. */
static int join(struct run *r, kith_err *err)
{
	uint64_t end = r->index.rows.first + r->index.rows.count;
	uint64_t rows = is_whole(r) ? end : r->panel.count, tiles = (rows + KITH_SPARSE_TILE - 1) / KITH_SPARSE_TILE;
	uint64_t turn = (uint64_t)r->o->threads * TURN, n = r->info.n;
	uint64_t before = r->panel.first * n + rows * r->index.rows.first; /* pairs of rows and columns */
	int rc = 0;
	for (int t = 0; !rc && t < r->o->threads; t++)
		rc = kith_sparse_scratch_place(&r->scratch[t], &r->index, err);
	for (uint64_t from = 0; !rc && from < tiles; from += turn) {
		uint64_t to = tiles - from < turn ? tiles : from + turn;
		rc = kith_progress_tick(&r->o->progress, "neighbours",
					before + from * KITH_SPARSE_TILE * r->index.rows.count, n * n, err);
#pragma omp parallel for num_threads(r->o->threads) schedule(dynamic, 1)
		for (uint64_t tile = from; tile < (rc ? from : to); tile++) {
			kith_sparse_scratch *scratch = &r->scratch[omp_get_thread_num()];
			uint64_t first = tile * KITH_SPARSE_TILE, left = rows - first;
			uint32_t count = left < KITH_SPARSE_TILE ? (uint32_t)left : KITH_SPARSE_TILE;
			kith_sparse_index_count(&r->index, &r->panel, first, count, scratch);
			for (uint32_t i = 0; i < count; i++) {
				compare(r, first + i, i, scratch);
				offer(r, first + i, scratch->distance);
			}
		}
	}
	return rc;
}

/* ---- from panel to graph ---- */

/* What the graph keeps of a distance. */
static double stored(const struct run *r, double dist)
{
	if (r->o->metric == KITH_JACCARD)
		return dist * dist;
	return r->source.shift ? ldexp(dist, -2 * r->source.shift) : dist;
}

/* dist: room for k distances. */
static void count_ties(struct run *r, uint64_t row, double *dist)
{
	const struct kith_ranked *of = r->nearest.of + row * r->nearest.room;
	for (uint32_t p = 0; p < r->nearest.k; p++)
		dist[p] = of[p].dist;
	kith_tie_counts_add(&r->tied, &r->info, dist, r->nearest.left[row]);
}

static int write_panel(struct run *r, kith_err *err)
{
	uint64_t rows = r->panel.count, some = rows < WRITE_ROWS ? rows : WRITE_ROWS, k = kith_info_k(&r->info),
		 near = r->info.near;
	uint32_t *ids, *near_ids;
	double *near_dist, *dist;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, ids, some * k);
	KITH_BUFFER(&w, near_ids, some * near);
	KITH_BUFFER(&w, near_dist, some * near);
	KITH_BUFFER(&w, dist, k);
	int rc = kith_workspace_alloc(&w, &memory, "finished rows", err);
	for (uint64_t first = 0; !rc && first < rows; first += some) {
		uint64_t count = rows - first < some ? rows - first : some;
#pragma omp parallel for num_threads(r->o->threads) schedule(static)
		for (uint64_t i = 0; i < count; i++) {
			const struct kith_ranked *of = kith_nearest_rank(&r->nearest, first + i);
			for (uint64_t p = 0; p < k; p++)
				ids[i * k + p] = of[p].id;
			for (uint64_t p = 0; p < near; p++) {
				near_ids[i * near + p] = of[p].id;
				near_dist[i * near + p] = stored(r, of[p].dist);
			}
		}
		for (uint64_t i = 0; i < count; i++)
			count_ties(r, first + i, dist);
		rc = kith_graph_append(r->writer, count, ids, near_ids, near_dist, err);
	}
	free(memory);
	return rc;
}

/* The panel's rows against all columns. */
static int find_neighbours(struct run *r, kith_err *err)
{
	int usual = r->source.valued ? KITH_SPARSE_MATRIX : KITH_SPARSE_DENSE, rc = 0;
	int dense = kith_sparse_tuned.dense_part ? kith_sparse_tuned.dense_part : usual;
	for (struct stretch columns = {0}; !rc && columns.end < r->info.n;) {
		columns = next_columns(r, columns.end);
		if (!(rc = get_rows(r, &columns, &r->columns, err)) &&
		    !(rc = kith_sparse_index_build(&r->index, &r->columns, dense, err)))
			rc = join(r, err);
	}
	return rc;
}

static int build_panels(struct run *r, kith_err *err)
{
	int rc = make_room(r, err);
	if (!rc)
		rc = kith_sparse_index_init(&r->index, r->info.d, err);
	for (struct stretch panel = {0}; !rc && panel.end < r->info.n;) {
		panel = next_panel(r, panel.end);
		if ((rc = get_rows(r, &panel, &r->panel, err)))
			break;
		kith_nearest_reset(&r->nearest, r->panel.count);
		if (!(rc = find_neighbours(r, err)))
			rc = write_panel(r, err);
	}
	return rc;
}

/* ---- the stage ---- */

static int start(struct run *r, const char *input, const kith_knn_options *o, kith_err *err)
{
	r->o = o;
	int rc = kith_sparse_source_open(&r->source, input, o, err);
	if (rc || (rc = kith_stage_check(input, r->source.info->n, o, err)))
		return rc;
	kith_stage_describe(&r->info, o, input, r->source.info->n, r->source.info->ids, 0);
	strcpy(r->info.engine, "exact");
	kith_copy_text(r->info.parameters, sizeof r->info.parameters, r->source.parameters);
	return fit_memory(r, err);
}

static void release(struct run *r)
{
	for (int t = 0; r->scratch && t < r->o->threads; t++)
		free(r->scratch[t].memory);
	free(r->scratch);
	kith_sparse_index_free(&r->index);
	free(r->nearest.memory);
	if (!r->resident) {
		free(r->panel.memory);
		free(r->columns.memory);
	}
	free(r->all.memory);
	free(r->memory);
	*r = (struct run){.o = r->o, .source = r->source, .writer = r->writer};
}

int kith_sparse_build(const char *input, const char *output, const kith_knn_options *o, kith_knn_summary *summary,
		      kith_err *err)
{
	struct run r = {0};
	kith_knn_summary done = {.recall = 1, .low = 1, .high = 1};
	int rc = start(&r, input, o, err);
	if (rc || (rc = scan(&r, err)))
		goto done;
	snprintf(r.info.digest, sizeof r.info.digest, "xxh3:%016llx", (unsigned long long)r.digest);
	r.source.shift = r.o->metric == KITH_L2 && r.source.valued ? kith_range_shift(r.max_abs, r.min_abs) : 0;
	if (r.resident)
		kith_sparse_rows_prepare(&r.all, &r.source);
	if ((rc = kith_graph_create(&r.writer, output, &r.info, o->memory, o->threads, err)) ||
	    (rc = build_panels(&r, err)) || (rc = kith_graph_put_ties(r.writer, &r.tied, err)) ||
	    (rc = kith_sparse_source_unchanged(&r.source, err)))
		goto done;
	done.n = r.info.n;
	done.d = r.info.d;
	done.repeated = r.repeated;
	done.tied = r.tied;
	snprintf(done.plan, sizeof done.plan, "%s exact (sparse%s)", r.info.metric, r.resident ? "" : ", in blocks");
	strcpy(done.type, r.source.valued ? "f8" : "sets");
	release(&r); /* the reverse lists get all the memory */
	rc = kith_graph_finish(r.writer, &o->progress, err);
	r.writer = NULL;
	if (!rc)
		*summary = done;
done:
	release(&r);
	kith_graph_abort(r.writer);
	kith_sparse_source_close(&r.source);
	return rc;
}

/* Nanoseconds of one thread for each pair of samples with so many entries: of sets; of rows with values. */
#define SET_TIME   0.05
#define VALUE_TIME 1.2
#define READ_TIME  30.0 /* of an entry */

int kith_sparse_foresee(const char *input, const kith_knn_options *o, kith_knn_estimate *out, kith_err *err)
{
	struct run r = {0};
	int rc = start(&r, input, o, err);
	if (!rc) {
		double n = (double)r.info.n, entries = (double)r.source.info->edges;
		uint64_t rows = row_bytes(&r, r.info.n, r.source.info->edges);
		uint64_t want = fixed_bytes(&r) + 2 * rows + r.info.n * kith_nearest_row_bytes(kith_info_k(&r.info));
		*out = (kith_knn_estimate){
			.n = r.info.n,
			.d = r.info.d,
			.seconds = 1e-9 *
				   (entries * n * (r.source.valued ? VALUE_TIME : SET_TIME) + entries * READ_TIME) /
				   o->threads,
			.memory = want < o->memory ? want : o->memory,
			.graph = kith_stage_graph_bytes(&r.info)};
		snprintf(out->plan, sizeof out->plan, "exact (sparse)");
	}
	release(&r);
	kith_sparse_source_close(&r.source);
	return rc;
}
