/* exact.c - see exact.h. A panel of rows stays in memory while all columns stream past it twice:
 *
 *   pass 1   tile by tile, float products (OpenBLAS) -> screen -> candidates of each row
 *   pass 2   the few candidates that the screen cannot place -> canonical distances -> the rows, to the writer
 *
 * Columns always come from the file, through the page cache: at panels of a thousand rows and more, reading and
 * converting a tile costs a few percent of multiplying it, and memory is bounded without a second way of working. The
 * only user of cblas.h. */
#include "exact.h"

#include <cblas.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "candidates.h"
#include "duplicates.h"
#include "kith/alloc.h"
#include "screen.h"
#include "sketch.h"

#define MAX_THREADS  256
#define TILE_COLUMNS 1024u /* of float products in one go: their products with SUB_ROWS rows fit the L3 cache */
#define SUB_ROWS     256u
#define MAX_PANEL    8192u /* beyond this, reading the columns less often gains nothing */
#define OUT_ROWS     256u  /* finished rows handed to the writer at once */
/* Directions of the sketch: more screen better and multiply slower. Measured on layers of d = 84 to 4704. */
#define SKETCH_DIMS(d) clamp((d) / 12, 24, 64)
#define LEAF_ROWS      1024u
#define CHUNK          256u /* columns screened before the bound is looked at again */

/* What one thread works with. */
struct worker {
	float *products;   /* sub x tile */
	double *few;       /* 4 rows, for distances outside of pass 2 */
	double *converted; /* one row on its way to floats */
	uint8_t *raw;
	kith_candidate_scratch scratch;
	kith_err err;
	int rc;
};

struct engine {
	const kith_rows *rows;
	const kith_graph_info *info;
	const kith_progress *progress;
	uint64_t n, d, raw_row;
	uint32_t threads, panel, tile, sub, out;
	uint32_t dims; /* directions of the sketch; 0: no sketch */
	int by_sketch; /* pass 1 multiplies sketches first */
	int keep_floats;
	kith_screen screen;
	kith_sketch sketch;
	kith_candidates candidates;
	uint64_t *left_out; /* n bits: samples that cannot be neighbours (duplicates.h); NULL: none */
	float *start;       /* n: first bounds, from the sketch */
	float *all_floats;  /* n x d, if kept */
	struct worker *workers;
	double *panel_rows;  /* panel x d */
	float *panel_floats; /* own_panel, or where the panel starts in all_floats */
	float *own_panel;
	double *tile_rows; /* tile x d: doubles in pass 2, floats in pass 1 unless all are kept */
	uint32_t *cursor;  /* panel: where pass 2 stands among each row's candidates */
	uint32_t *out_ids, *out_near;
	double *out_dist2;
};

/* ---- sizes ---- */

static uint64_t panel_row_bytes(const struct engine *e)
{
	uint32_t k = e->info->ladder[e->info->tiers - 1];
	return e->d * (sizeof(double) + (e->keep_floats ? 0 : sizeof(float))) +
	       kith_candidates_row_bytes(kith_candidates_capacity(e->n, k)) + 8;
}

static uint64_t out_row_bytes(const struct engine *e)
{
	return e->info->ladder[e->info->tiers - 1] * 4ull + e->info->near * 12ull;
}

static uint64_t worker_bytes(const struct engine *e, uint64_t sub, uint64_t tile)
{
	uint32_t k = e->info->ladder[e->info->tiers - 1];
	return sub * tile * sizeof(float) + e->d * 5 * sizeof(double) + e->raw_row +
	       kith_candidates_capacity(e->n, k) * 24ull;
}

static uint32_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return (uint32_t)(value < least ? least : value > most ? most : value);
}

/* A sketch pays where k is a small part of n: then bounds rule nearly everything out. */
static void choose_plan(struct engine *e, const kith_knn_options *o)
{
	uint32_t k = e->info->ladder[e->info->tiers - 1];
	uint64_t dims = o->sketch_dims ? o->sketch_dims : SKETCH_DIMS(e->d);
	e->dims = clamp(dims, 1, e->d);
	if (o->sketch_dims == KITH_SKETCH_NONE || (!o->sketch_dims && (e->n < 4 * LEAF_ROWS || k > e->n / 50)) ||
	    kith_sketch_bytes(e->n, e->dims) > o->memory / 4)
		e->dims = 0;
	e->by_sketch = e->dims && (o->sketch_dims ? e->d > e->dims : e->d > 2 * e->dims);
	uint64_t all = e->n * e->d * sizeof(float); /* n < 2^31, d < 2^27 */
	e->keep_floats = all <= o->memory / 2 && !o->panel_rows;
}

/* Shares the memory out: a tile gets up to an eighth, finished rows a sixteenth, the panel the rest. What the rows and
 * the screen hold for all n samples comes first. */
static int choose_sizes(struct engine *e, const kith_knn_options *o, kith_err *err)
{
	uint64_t held = e->n * (2 * sizeof(float) + (e->rows->norm ? 12 : 0)) + e->d * sizeof(double);
	if (e->dims)
		held += kith_sketch_bytes(e->n, e->dims) + e->n * sizeof(float);
	if (e->keep_floats)
		held += e->n * e->d * sizeof(float);
	uint64_t memory = o->memory, tile_row = e->d * sizeof(double) + e->raw_row;

	e->tile = o->tile_rows ? clamp(o->tile_rows, 1, e->n)
			       : clamp(memory / 8 / tile_row, 1, e->n < TILE_COLUMNS ? e->n : TILE_COLUMNS);
	e->out = clamp(memory / 16 / out_row_bytes(e), 1, OUT_ROWS);
	uint64_t fixed = held + e->tile * tile_row + e->out * out_row_bytes(e);
	uint64_t per_thread = worker_bytes(e, 1, e->tile) * e->threads, row = panel_row_bytes(e);
	if (memory < fixed + per_thread + row)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: -m is too small: n=%llu d=%llu k=%u with %u threads needs at least %llu bytes",
				 kith_npy_path(e->rows->npy), (unsigned long long)e->n, (unsigned long long)e->d,
				 e->info->ladder[e->info->tiers - 1], e->threads,
				 (unsigned long long)(fixed + per_thread + row));
	/* each panel row costs its share of the products, too, until every thread has SUB_ROWS of them */
	uint64_t left = memory - fixed - per_thread, most = left / (row + e->tile * sizeof(float));
	uint64_t full = (uint64_t)e->threads * SUB_ROWS;
	if (most > full && left > full * e->tile * sizeof(float))
		most = (left - full * e->tile * sizeof(float)) / row;
	e->panel = clamp(o->panel_rows ? o->panel_rows : most, 1, e->n < MAX_PANEL ? e->n : MAX_PANEL);
	/* even panels: the last is not a sliver that reads everything once more for nothing */
	uint64_t panels = (e->n + e->panel - 1) / e->panel;
	e->panel = (uint32_t)((e->n + panels - 1) / panels);
	e->sub = clamp((e->panel + e->threads - 1) / e->threads, 1, SUB_ROWS);
	return 0;
}

static int init_worker(struct worker *w, const struct engine *e, kith_err *err)
{
	w->products = kith_alloc((size_t)e->sub * e->tile, sizeof *w->products);
	w->few = kith_alloc(4 * e->d, sizeof *w->few);
	w->converted = kith_alloc(e->d, sizeof *w->converted);
	w->raw = kith_alloc(e->raw_row, 1);
	if (!w->products || !w->few || !w->converted || !w->raw)
		return kith_fail_nomem(err, "a thread's work space", worker_bytes(e, e->sub, e->tile));
	return kith_candidate_scratch_init(&w->scratch, &e->candidates, err);
}

/* OpenBLAS maps a buffer of 128 MiB for each thread that multiplies, mostly untouched; where it cannot (ulimit -v), it
 * tries again for ever. So look before. */
static int check_address_space(const struct engine *e, kith_err *err)
{
	size_t bytes = (e->threads + 1) * ((size_t)129 << 20);
	void *probe = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (probe == MAP_FAILED)
		return kith_fail(
			err, KITH_ENOMEM,
			"%zu MiB of address space for OpenBLAS are not to be had: raise ulimit -v, or use fewer "
			"threads (-t)",
			bytes >> 20);
	munmap(probe, bytes);
	return 0;
}

/* The sketch, and the rows' first bounds from it. */
static int init_sketch(struct engine *e, const kith_knn_options *o, kith_err *err)
{
	uint32_t k = e->info->ladder[e->info->tiers - 1];
	uint32_t leaf = o->leaf_rows ? o->leaf_rows : 4 * k > LEAF_ROWS ? 4 * k : LEAF_ROWS;
	int rc = kith_sketch_init(&e->sketch, &e->screen, e->dims, o->memory / 8, e->progress, err);
	if (rc || !e->sketch.width) {
		e->by_sketch = 0;
		return rc;
	}
	if (!(e->start = kith_alloc(e->n, sizeof *e->start)))
		return kith_fail_nomem(err, "first bounds", e->n * sizeof *e->start);
	return kith_sketch_thresholds(&e->sketch, &e->screen, k, leaf, o->memory / 4, e->progress, e->start, err);
}

static int init(struct engine *e, const kith_knn_options *o, kith_err *err)
{
	uint32_t k = e->info->ladder[e->info->tiers - 1];
	choose_plan(e, o);
	int rc = choose_sizes(e, o, err);
	if (rc || (rc = check_address_space(e, err)) ||
	    (rc = kith_screen_init(&e->screen, e->rows, o->memory / 4, e->progress, err)) ||
	    (rc = kith_duplicates_find(e->rows, e->screen.hash, k, &e->left_out, err)))
		return rc;
	free(e->screen.hash);
	e->screen.hash = NULL;
	if ((e->dims && (rc = init_sketch(e, o, err))) ||
	    (rc = kith_candidates_init(&e->candidates, &e->screen, e->info, e->panel, err)))
		return rc;
	if (e->keep_floats)
		e->all_floats = kith_alloc(e->n * e->d, sizeof *e->all_floats);
	else
		e->own_panel = kith_alloc(e->panel * e->d, sizeof *e->own_panel);
	e->panel_rows = kith_alloc(e->panel * e->d, sizeof *e->panel_rows);
	e->tile_rows = kith_alloc(e->tile * e->d, sizeof *e->tile_rows);
	e->cursor = kith_alloc(e->panel, sizeof *e->cursor);
	e->out_ids = kith_alloc((size_t)e->out * k, sizeof *e->out_ids);
	e->out_near = kith_alloc((size_t)e->out * e->info->near, sizeof *e->out_near);
	e->out_dist2 = kith_alloc((size_t)e->out * e->info->near, sizeof *e->out_dist2);
	e->workers = kith_alloc_zero(e->threads, sizeof *e->workers);
	if ((!e->all_floats && !e->own_panel) || !e->panel_rows || !e->tile_rows || !e->cursor || !e->out_ids ||
	    !e->out_near || !e->out_dist2 || !e->workers)
		return kith_fail_nomem(err, "a panel of rows", e->panel * panel_row_bytes(e));
	for (uint32_t t = 0; !rc && t < e->threads; t++)
		rc = init_worker(&e->workers[t], e, err);
	return rc;
}

static void release(struct engine *e)
{
	for (uint32_t t = 0; e->workers && t < e->threads; t++) {
		struct worker *w = &e->workers[t];
		free(w->products);
		free(w->few);
		free(w->converted);
		free(w->raw);
		kith_candidate_scratch_free(&w->scratch);
	}
	free(e->workers);
	free(e->panel_rows);
	free(e->own_panel);
	free(e->all_floats);
	free(e->start);
	free(e->left_out);
	free(e->tile_rows);
	free(e->cursor);
	free(e->out_ids);
	free(e->out_near);
	free(e->out_dist2);
	kith_candidates_free(&e->candidates);
	kith_sketch_free(&e->sketch);
	kith_screen_free(&e->screen);
}

/* ---- threads: each loop body runs as a worker; the first failure wins ---- */

static struct worker *me(struct engine *e)
{
	return &e->workers[omp_get_thread_num()];
}

static int gather_errors(struct engine *e, kith_err *err)
{
	for (uint32_t t = 0; t < e->threads; t++)
		if (e->workers[t].rc)
			return kith_fail(err, e->workers[t].rc, "%s", e->workers[t].err.msg);
	return 0;
}

/* ---- reading ---- */

/* Rows first..first+count-1 as doubles into `rows`, or as floats into `floats`, or both; either may be NULL. */
static int load(struct engine *e, uint64_t first, uint64_t count, double *rows, float *floats, kith_err *err)
{
#pragma omp parallel for num_threads(e->threads) schedule(dynamic, 16)
	for (uint64_t r = 0; r < count; r++) {
		struct worker *w = me(e);
		double *row = rows ? rows + r * e->d : w->converted;
		if (w->rc || (w->rc = kith_rows_read(e->rows, first + r, 1, row, w->raw, &w->err)))
			continue;
		if (floats)
			kith_screen_vector(&e->screen, row, floats + r * e->d);
	}
	return gather_errors(e, err);
}

/* ---- pass 1 ---- */

/* Canonical distances of row r's candidates that have none yet, read from the file one by one: the way out where the
 * screen cannot tell candidates apart. */
static int settle(struct engine *e, struct worker *w, uint32_t r, uint64_t node)
{
	size_t base = (size_t)r * e->candidates.capacity;
	uint32_t pending[4], found = 0, count = e->candidates.count[r];

	for (uint32_t at = 0; at <= count; at++) {
		if (at < count && e->candidates.dist[base + at] >= 0)
			continue;
		if (at < count) {
			if ((w->rc = kith_rows_read(e->rows, e->candidates.id[base + at], 1, w->few + found * e->d,
						    w->raw, &w->err)))
				return w->rc;
			pending[found++] = at;
		}
		if (found == 4 || (at == count && found)) {
			const double *y[4] = {w->few, w->few + e->d, w->few + 2 * e->d, w->few + 3 * e->d};
			double dist[4];
			kith_canonical(e->panel_rows + r * e->d, y, found, e->d, dist);
			for (uint32_t i = 0; i < found; i++)
				e->candidates.dist[base + pending[i]] = dist[i];
			found = 0;
		}
	}
	if (kith_candidates_settle(&e->candidates, r, node,
				   &w->scratch)) /* a distance was NaN: there was none before */
		w->rc = kith_fail(&w->err, KITH_EIO, "%s: changed while it was read", kith_npy_path(e->rows->npy));
	return w->rc;
}

/* Offers a sample to row r, settling the row first if it must. */
static int take(struct engine *e, struct worker *w, uint32_t r, uint64_t node, uint32_t id, float g)
{
	float t = e->screen.lo[id] - 2 * g;
	if (e->left_out && (e->left_out[id / 64] >> (id & 63) & 1))
		return 0;
	while (kith_candidates_take(&e->candidates, r, node, id, t, &w->scratch))
		if (settle(e, w, r, node))
			return w->rc;
	return 0;
}

/* Row r against columns of which the full products g are known. */
static int screen_row(struct engine *e, struct worker *w, uint32_t r, uint64_t node, uint64_t first, uint32_t columns,
		      const float *g)
{
	uint32_t hits[CHUNK];
	for (uint32_t at = 0; at < columns; at += CHUNK) {
		uint32_t found = kith_hits(g + at, e->screen.lo + first + at, clamp(columns - at, 1, CHUNK),
					   e->candidates.bound[r], hits);
		for (uint32_t h = 0; h < found; h++)
			if (take(e, w, r, node, (uint32_t)(first + at + hits[h]), g[at + hits[h]]))
				return w->rc;
	}
	return 0;
}

/* The same, of which the products g of sketches are known: full products only of what they leave. */
static int screen_row_by_sketch(struct engine *e, struct worker *w, uint32_t r, uint64_t node, uint64_t first,
				uint32_t columns, const float *g, const float *tile)
{
	uint32_t hits[CHUNK];
	const float *y[CHUNK];
	float full[CHUNK];
	for (uint32_t at = 0; at < columns; at += CHUNK) {
		float bound = kith_sketch_bound(&e->sketch, &e->screen, node, e->candidates.bound[r]);
		uint32_t found =
			kith_hits(g + at, e->sketch.lo + first + at, clamp(columns - at, 1, CHUNK), bound, hits);
		for (uint32_t h = 0; h < found; h++)
			y[h] = tile + (at + hits[h]) * e->d;
		kith_dots(e->panel_floats + r * e->d, y, found, e->d, full);
		for (uint32_t h = 0; h < found; h++)
			if (take(e, w, r, node, (uint32_t)(first + at + hits[h]), full[h]))
				return w->rc;
	}
	return 0;
}

/* Panel rows row..row+count-1 (samples node..) against the tile's columns first..: products, then the screen. */
static void screen_block(struct engine *e, struct worker *w, uint32_t row, uint32_t count, uint64_t node,
			 uint64_t first, uint32_t columns, const float *tile)
{
	const float *x = e->panel_floats + row * e->d, *y = tile;
	uint64_t d = e->d;
	if (e->by_sketch) {
		d = e->sketch.width;
		x = e->sketch.v + node * d;
		y = e->sketch.v + first * d;
	}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)count, (blasint)columns, (blasint)d, 1, x,
		    (blasint)d, y, (blasint)d, 0, w->products, (blasint)columns);
	for (uint32_t r = 0; r < count; r++) {
		const float *g = w->products + (size_t)r * columns;
		if (e->by_sketch ? screen_row_by_sketch(e, w, row + r, node + r, first, columns, g, tile)
				 : screen_row(e, w, row + r, node + r, first, columns, g))
			return;
	}
}

static int pass_1(struct engine *e, uint64_t node, uint32_t panel, kith_err *err)
{
	kith_candidates_reset(&e->candidates, e->start ? e->start + node : NULL, panel);
	for (uint64_t first = 0; first < e->n; first += e->tile) {
		uint32_t columns = clamp(e->n - first, 1, e->tile);
		const float *tile = e->all_floats ? e->all_floats + first * e->d : (const float *)e->tile_rows;
		int rc = kith_progress_tick(e->progress, "neighbours", node * e->n + panel * first, e->n * e->n, err);
		if (rc || (!e->all_floats && (rc = load(e, first, columns, NULL, (float *)e->tile_rows, err))))
			return rc;
		kith_npy_will_read(e->rows->npy, first + columns, clamp(e->n - first - columns, 0, e->tile));
#pragma omp parallel for num_threads(e->threads) schedule(dynamic, 1)
		for (uint32_t row = 0; row < panel; row += e->sub) {
			struct worker *w = me(e);
			if (!w->rc)
				screen_block(e, w, row, clamp(panel - row, 1, e->sub), node + row, first, columns,
					     tile);
		}
		if ((rc = gather_errors(e, err)))
			return rc;
	}
	return 0;
}

/* ---- pass 2 ---- */

/* The marked candidates of row r that lie in the tile. */
static void measure(struct engine *e, uint32_t r, uint64_t first, uint32_t columns)
{
	const kith_candidates *c = &e->candidates;
	size_t base = (size_t)r * c->capacity;
	uint32_t pending[4], found = 0, at = e->cursor[r];
	const double *y[4];
	double dist[4];

	for (; at < c->count[r] && c->id[base + at] < first + columns; at++) {
		if (c->dist[base + at] != KITH_DIST_UNKNOWN)
			continue;
		y[found] = e->tile_rows + (c->id[base + at] - first) * e->d;
		pending[found++] = at;
		if (found == 4) {
			kith_canonical(e->panel_rows + r * e->d, y, 4, e->d, dist);
			for (uint32_t i = 0; i < 4; i++)
				c->dist[base + pending[i]] = dist[i];
			found = 0;
		}
	}
	kith_canonical(e->panel_rows + r * e->d, y, found, e->d, dist);
	for (uint32_t i = 0; i < found; i++)
		c->dist[base + pending[i]] = dist[i];
	e->cursor[r] = at;
}

static int pass_2(struct engine *e, uint64_t node, uint32_t panel, kith_err *err)
{
	memset(e->cursor, 0, panel * sizeof *e->cursor);
#pragma omp parallel for num_threads(e->threads) schedule(dynamic, 16)
	for (uint32_t r = 0; r < panel; r++)
		kith_candidates_mark(&e->candidates, r, node + r, &me(e)->scratch);
	for (uint64_t first = 0; first < e->n; first += e->tile) {
		uint32_t columns = clamp(e->n - first, 1, e->tile);
		int rc = kith_progress_tick(e->progress, "neighbours", (node + panel) * e->n, e->n * e->n, err);
		if (rc || (rc = load(e, first, columns, e->tile_rows, NULL, err)))
			return rc;
#pragma omp parallel for num_threads(e->threads) schedule(dynamic, 16)
		for (uint32_t r = 0; r < panel; r++)
			measure(e, r, first, columns);
	}
	return 0;
}

static int write_rows(struct engine *e, uint32_t panel, kith_graph_writer *writer, kith_err *err)
{
	size_t k = e->info->ladder[e->info->tiers - 1], near = e->info->near;
	for (uint32_t first = 0; first < panel; first += e->out) {
		uint32_t count = clamp(panel - first, 1, e->out);
		int wrong = 0;
#pragma omp parallel for num_threads(e->threads) schedule(dynamic, 16) reduction(| : wrong)
		for (uint32_t r = 0; r < count; r++)
			wrong |= kith_candidates_finish(&e->candidates, first + r, e->out_ids + r * k,
							e->out_near + r * near, e->out_dist2 + r * near,
							&me(e)->scratch);
		if (wrong)
			return kith_fail(err, KITH_EBUG, "%s: a bound was broken: please report this",
					 kith_npy_path(e->rows->npy));
		int rc = kith_graph_append(writer, count, e->out_ids, e->out_near, e->out_dist2, err);
		if (rc)
			return rc;
	}
	return 0;
}

int kith_exact_run(const kith_rows *rows, const kith_graph_info *info, const kith_knn_options *options,
		   kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err)
{
	struct engine e = {.rows = rows, .info = info, .progress = &options->progress, .n = rows->n, .d = rows->d};
	e.raw_row = rows->d * kith_dtype_size(kith_npy_dtype(rows->npy));
	e.threads = clamp((uint64_t)options->threads, 1, MAX_THREADS);
	int rc = init(&e, options, err);
	if (!rc && e.all_floats)
		rc = load(&e, 0, e.n, NULL, e.all_floats, err);
	for (uint64_t node = 0; !rc && node < e.n; node += e.panel) {
		uint32_t panel = clamp(e.n - node, 1, e.panel);
		e.panel_floats = e.all_floats ? e.all_floats + node * e.d : e.own_panel;
		if ((rc = load(&e, node, panel, e.panel_rows, e.all_floats ? NULL : e.own_panel, err)) ||
		    (rc = pass_1(&e, node, panel, err)) || (rc = pass_2(&e, node, panel, err)) ||
		    (rc = write_rows(&e, panel, writer, err)))
			break;
	}
	if (e.by_sketch)
		snprintf(summary->plan, sizeof summary->plan, "exact (screened r=%u)", e.dims);
	else
		snprintf(summary->plan, sizeof summary->plan, "exact (full)");
	release(&e);
	return rc;
}
