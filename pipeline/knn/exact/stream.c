/* stream.c - see stream.h. Columns always come from the file, through the page cache: at panels of a thousand rows and
 * more, reading and converting a tile costs a few percent of multiplying it. */
#include "stream.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "matrix.h"
#include "tile_kernels.h"

#define MAX_TILE  1024u /* columns multiplied in one go: their products with SUB_ROWS rows fit the L2 cache */
#define SUB_ROWS  256u
#define MAX_PANEL 8192u /* beyond this, reading the columns less often gains nothing */
#define CHUNK     256u  /* columns screened before the bound is looked at again */

struct worker {
	float *products; /* sub x tile */
	double *z;       /* one row on its way to floats */
	void *cells;
	uint8_t *raw;
	kith_refiner refiner;
	void *memory; /* holds all of these */
	kith_err err;
	int rc;
};

struct stream {
	const kith_stream *in;
	const kith_rows *rows;
	uint64_t n, d;
	uint32_t panel, tile, sub;
	kith_candidates candidates;
	struct worker *workers;
	uint32_t *self;      /* panel: its samples */
	float *panel_floats; /* panel x d */
	float *tile_floats;  /* tile x d */
	void *memory;        /* holds all of these and the workers */
};

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* Lists a thread's buffers, for `sub` rows of a panel at a time. */
static void init_worker(struct worker *w, const kith_plan *plan, const kith_rows *rows, uint64_t sub,
			kith_workspace *space)
{
	kith_refiner_init(&w->refiner, rows, 0, plan->capacity, plan->batch, space);
	KITH_BUFFER(space, w->products, sub * plan->tile);
	KITH_BUFFER(space, w->z, rows->d);
	KITH_BUFFER(space, w->cells, rows->d * rows->cell);
	KITH_BUFFER(space, w->raw, rows->row_bytes);
}

static uint64_t worker_bytes(const kith_plan *plan, const kith_rows *rows, uint64_t sub)
{
	struct worker worker;
	kith_workspace w = {0};
	init_worker(&worker, plan, rows, sub, &w);
	return kith_workspace_bytes(&w);
}

uint64_t kith_stream_sizes(kith_plan *plan, const kith_rows *rows, uint32_t k, int threads, uint64_t memory,
			   uint32_t panel, uint32_t tile)
{
	uint64_t n = rows->n, row = rows->d * sizeof(float), most, all;
	plan->capacity = (uint32_t)clamp(k + clamp(k / 2, 256, UINT32_MAX), 1, n - 1);
	row += kith_candidates_row_bytes(plan->capacity, 0, 0) + 4;
	plan->tile = (uint32_t)(tile ? clamp(tile, 1, n) : clamp(memory / 8 / (rows->d * 4), 1, clamp(n, 1, MAX_TILE)));
	/* a thread finishes as many rows together as an eighth of the memory has room for */
	plan->batch = kith_refiner_batch(rows, 0, plan->capacity, CHUNK, memory / 8 / (uint64_t)threads);
	uint64_t held = n * 8 + rows->d * 8 + plan->tile * rows->d * 4;
	all = held + (uint64_t)threads * worker_bytes(plan, rows, 1) + row;
	most = memory > all ? (memory - all) / (row + plan->tile * sizeof(float)) : 1;
	plan->panel = (uint32_t)(panel ? clamp(panel, 1, n) : clamp(most, 1, clamp(n, 1, MAX_PANEL)));
	/* even panels: the last is not a sliver that reads everything once more for nothing */
	uint64_t panels = (n + plan->panel - 1) / plan->panel;
	plan->panel = (uint32_t)((n + panels - 1) / panels);
	uint64_t sub = clamp(((uint64_t)plan->panel + (uint64_t)threads - 1) / (uint64_t)threads, 1, SUB_ROWS);
	return held + (uint64_t)threads * worker_bytes(plan, rows, sub) + plan->panel * row;
}

static int init(struct stream *s, kith_err *err)
{
	const kith_stream *in = s->in;
	const kith_plan *plan = in->plan;
	uint64_t threads = (uint64_t)in->plan->threads;
	s->rows = in->screen->rows;
	s->n = s->rows->n;
	s->d = s->rows->d;
	s->panel = plan->panel;
	s->tile = plan->tile;
	s->sub = (uint32_t)clamp((s->panel + threads - 1) / threads, 1, SUB_ROWS);
	kith_workspace shared = {0};
	kith_candidates_init(&s->candidates, in->level, kith_info_k(in->info), s->panel, plan->capacity, 0, 0, &shared,
			     &shared);
	KITH_BUFFER(&shared, s->self, s->panel);
	KITH_BUFFER(&shared, s->panel_floats, s->panel * s->d);
	KITH_BUFFER(&shared, s->tile_floats, s->tile * s->d);
	KITH_BUFFER_ZERO(&shared, s->workers, threads);
	int rc = kith_workspace_alloc(&shared, &s->memory, "a panel of rows", err);
	for (uint64_t t = 0; !rc && t < threads; t++) {
		struct worker *w = &s->workers[t];
		kith_workspace space = {0};
		init_worker(w, plan, s->rows, s->sub, &space);
		w->refiner.screen = in->screen;
		w->refiner.info = in->info;
		rc = kith_workspace_alloc(&space, &w->memory, "a thread's work space", err);
	}
	return rc;
}

static void release(struct stream *s)
{
	for (int t = 0; s->memory && t < s->in->plan->threads; t++)
		free(s->workers[t].memory);
	free(s->memory);
}

static struct worker *me(struct stream *s)
{
	return &s->workers[omp_get_thread_num()];
}

static int gather_errors(struct stream *s, kith_err *err)
{
	for (int t = 0; t < s->in->plan->threads; t++)
		if (s->workers[t].rc)
			return kith_fail(err, s->workers[t].rc, "%s", s->workers[t].err.msg);
	return 0;
}

/* Rows first..first+count-1 as floats. */
static int load(struct stream *s, uint64_t first, uint64_t count, float *out, kith_err *err)
{
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 16)
	for (uint64_t r = 0; r < count; r++) {
		struct worker *w = me(s);
		double norm;
		float lo, width;
		if (w->rc || (w->rc = kith_rows_read_cells(s->rows, first + r, 1, w->cells, w->raw, &w->err)))
			continue;
		int outside = kith_screen_centre(s->in->screen, w->cells, w->z, &norm);
		kith_screen_floats(s->in->screen, w->z, outside, out + r * s->d, &lo, &width);
	}
	return gather_errors(s, err);
}

/* Offers sample `id` to panel row r, settling the row first if it must. */
static int take(struct stream *s, struct worker *w, uint32_t r, uint32_t id, float t)
{
	if (id == s->self[r] || kith_left_out(s->in->duplicates, id))
		return 0;
	while (!w->rc && kith_candidates_take(&s->candidates, r, id, t, w->refiner.values))
		w->rc = kith_refine_settle(&w->refiner, &s->candidates, r, &w->err);
	return w->rc;
}

/* Row r against columns of which the products g are known. */
static int screen_row(struct stream *s, struct worker *w, uint32_t r, uint64_t first, uint32_t columns, const float *g)
{
	const float *lo = s->in->level->lo;
	float own = lo[s->self[r]];
	uint32_t hits[CHUNK];
	for (uint32_t at = 0; at < columns; at += CHUNK) {
		uint32_t some = columns - at < CHUNK ? columns - at : CHUNK;
		uint32_t found = kith_row_hits(g + at, own, lo + first + at, some, s->candidates.bound[r], hits);
		for (uint32_t h = 0; h < found; h++) {
			uint32_t column = at + hits[h];
			float t = (own + lo[first + column]) - 2 * g[column];
			if (take(s, w, r, (uint32_t)(first + column), t))
				return w->rc;
		}
	}
	return 0;
}

/* Panel rows row..row+count-1 against the tile's columns first..: products, then the screen. */
static void screen_block(struct stream *s, struct worker *w, uint32_t row, uint32_t count, uint64_t first,
			 uint32_t columns)
{
	kith_multiply_floats(count, columns, s->d, s->panel_floats + row * s->d, s->tile_floats, w->products);
	for (uint32_t r = 0; r < count; r++)
		if (screen_row(s, w, row + r, first, columns, w->products + (size_t)r * columns))
			return;
}

static int screen_panel(struct stream *s, uint64_t node, uint32_t panel, kith_err *err)
{
	for (uint64_t first = 0; first < s->n; first += s->tile) {
		uint32_t columns = (uint32_t)clamp(s->n - first, 1, s->tile);
		int rc = kith_progress_tick(s->in->progress, "neighbours", node * s->n + panel * first, s->n * s->n,
					    err);
		if (rc || (rc = load(s, first, columns, s->tile_floats, err)))
			return rc;
		kith_activations_will_read(s->rows->input, first + columns, clamp(s->n - first - columns, 0, s->tile));
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 1)
		for (uint32_t row = 0; row < panel; row += s->sub) {
			struct worker *w = me(s);
			if (!w->rc)
				screen_block(s, w, row, panel - row < s->sub ? panel - row : s->sub, first, columns);
		}
		if ((rc = gather_errors(s, err)))
			return rc;
	}
	return 0;
}

int kith_stream_run(const kith_stream *in, kith_results *results, kith_err *err)
{
	struct stream s = {.in = in};
	int rc = init(&s, err);
	for (uint64_t node = 0; !rc && node < s.n; node += s.panel) {
		uint32_t panel = (uint32_t)clamp(s.n - node, 1, s.panel), batch = in->plan->batch;
		for (uint32_t r = 0; r < panel; r++)
			s.self[r] = (uint32_t)(node + r);
		kith_candidates_reset(&s.candidates, s.self, panel);
		if ((rc = load(&s, node, panel, s.panel_floats, err)) || (rc = screen_panel(&s, node, panel, err)))
			break;
#pragma omp parallel for num_threads(in->plan->threads) schedule(dynamic, 1)
		for (uint32_t r = 0; r < panel; r += batch) {
			struct worker *w = me(&s);
			if (!w->rc)
				w->rc = kith_refine_rows(&w->refiner, &s.candidates, r,
							 panel - r < batch ? panel - r : batch, results, &w->err);
		}
		rc = gather_errors(&s, err);
	}
	release(&s);
	return rc;
}
