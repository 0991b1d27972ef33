/* stream.c - see stream.h. Columns always come from the file, through the page cache: at panels of a thousand rows and
 * more, reading and converting a tile costs a few percent of multiplying it. */
#include "stream.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "first_error.h"
#include "matrix.h"
#include "tile_kernels.h"

#define MAX_TILE  1024u /* columns multiplied in one go: their products with MAX_ROWS rows fit the L2 cache */
#define MAX_ROWS  256u  /* of a panel that a thread takes at a time */
#define MAX_PANEL 8192u /* beyond this, reading the columns less often gains nothing */
#define CHUNK     256u  /* columns compared before the bound is looked at again */
#define READ      16u   /* columns that a thread reads together, */
#define READ_SIZE 65536 /* or fewer, where they take more bytes */

struct worker {
	kith_refiner refiner;
	float *products; /* rows x tile */
	double *z;       /* one sample on its way to floats */
	char *values;    /* samples read together */
	uint8_t *raw;
	void *memory; /* holds all of these */
};

struct stream {
	const kith_stream *in;
	const kith_vectors *vectors;
	uint64_t n, d;
	uint32_t panel, tile;
	uint32_t rows; /* of the panel that a thread takes at a time */
	kith_candidates candidates;
	uint32_t *self;      /* panel: its samples */
	float *panel_floats; /* panel x d */
	float *tile_floats;  /* tile x d */
	struct worker *workers;
	void *memory; /* holds all of these */
	kith_first_error failed;
};

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static uint32_t rows_at_a_time(const kith_plan *plan)
{
	uint64_t threads = (uint64_t)plan->threads;
	return (uint32_t)clamp((plan->panel + threads - 1) / threads, 1, MAX_ROWS);
}

static uint64_t read_at_a_time(const kith_vectors *vectors)
{
	return clamp(READ_SIZE / (vectors->d * sizeof(double)), 1, READ);
}

static void init_worker(struct worker *w, const kith_plan *plan, const kith_vectors *vectors, uint64_t rows,
			kith_workspace *space)
{
	kith_refiner_init(&w->refiner, vectors, 0, plan->capacity, plan->batch, space);
	KITH_BUFFER(space, w->products, rows * plan->tile);
	KITH_BUFFER(space, w->z, vectors->d);
	KITH_BUFFER(space, w->values, read_at_a_time(vectors) * vectors->d * vectors->value_size);
	KITH_BUFFER(space, w->raw, read_at_a_time(vectors) * vectors->row_bytes);
}

static uint64_t workers_bytes(const kith_plan *plan, const kith_vectors *vectors, uint64_t rows)
{
	struct worker worker;
	kith_workspace w = {0};
	init_worker(&worker, plan, vectors, rows, &w);
	return (uint64_t)plan->threads * kith_workspace_bytes(&w);
}

uint64_t kith_stream_sizes(kith_plan *plan, const kith_vectors *vectors, uint64_t count, uint32_t k, uint64_t memory,
			   uint32_t panel, uint32_t tile)
{
	uint64_t n = vectors->n, d = vectors->d, share = memory / 8, row, held, all, most, panels;
	plan->capacity = (uint32_t)clamp(k + clamp(k / 2, 256, UINT32_MAX), 1, n - 1);
	plan->tile = (uint32_t)(tile ? clamp(tile, 1, n) : clamp(share / (d * 4), 1, clamp(n, 1, MAX_TILE)));
	/* a thread finishes as many rows together as an eighth of the memory has room for */
	plan->batch = kith_refiner_batch(vectors, 0, plan->capacity, CHUNK, share / (uint64_t)plan->threads);
	row = d * sizeof(float) + kith_candidates_row_bytes(plan->capacity, 0, 0) + 4;
	held = n * 8 + d * 8 + plan->tile * d * 4;
	all = held + workers_bytes(plan, vectors, 1) + row;
	most = memory > all ? (memory - all) / (row + plan->tile * sizeof(float)) : 1;
	plan->panel = (uint32_t)(panel ? clamp(panel, 1, count) : clamp(most, 1, clamp(count, 1, MAX_PANEL)));
	/* even panels: the last is not a sliver that reads everything once more for nothing */
	panels = (count + plan->panel - 1) / plan->panel;
	plan->panel = (uint32_t)((count + panels - 1) / panels);
	return held + workers_bytes(plan, vectors, rows_at_a_time(plan)) + plan->panel * row;
}

static int init(struct stream *s, kith_err *err)
{
	const kith_stream *in = s->in;
	const kith_plan *plan = in->plan;
	kith_workspace shared = {0};
	s->vectors = in->scaling->vectors;
	s->n = s->vectors->n;
	s->d = s->vectors->d;
	s->panel = plan->panel;
	s->tile = plan->tile;
	s->rows = rows_at_a_time(plan);
	kith_candidates_init(&s->candidates, in->bounds, kith_info_k(in->info), s->panel, plan->capacity, 0, 0, &shared,
			     &shared);
	KITH_BUFFER(&shared, s->self, s->panel);
	KITH_BUFFER(&shared, s->panel_floats, s->panel * s->d);
	KITH_BUFFER(&shared, s->tile_floats, s->tile * s->d);
	KITH_BUFFER_ZERO(&shared, s->workers, (uint64_t)plan->threads);
	int rc = kith_workspace_alloc(&shared, &s->memory, "a panel of rows", err);
	for (int t = 0; !rc && t < plan->threads; t++) {
		struct worker *w = &s->workers[t];
		kith_workspace space = {0};
		init_worker(w, plan, s->vectors, s->rows, &space);
		w->refiner.scaling = in->scaling;
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

static struct worker *this_worker(struct stream *s)
{
	return &s->workers[omp_get_thread_num()];
}

/* Samples first..first+count-1, few enough to be read together, as floats. */
static int load_some(struct stream *s, struct worker *w, uint64_t first, uint64_t count, float *out, kith_err *err)
{
	uint64_t bytes = s->d * s->vectors->value_size;
	double norm;
	float lo, width;
	int rc = kith_vectors_read_values(s->vectors, first, count, w->values, w->raw, err);
	for (uint64_t r = 0; !rc && r < count; r++) {
		int outside = kith_scaling_centre(s->in->scaling, w->values + r * bytes, w->z, &norm);
		kith_scaling_floats(s->in->scaling, w->z, outside, out + r * s->d, &lo, &width);
	}
	return rc;
}

/* Samples first..first+count-1 as floats. */
static int load_columns(struct stream *s, uint64_t first, uint64_t count, kith_err *err)
{
	uint64_t step = read_at_a_time(s->vectors);
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t r = 0; r < count; r += step) {
		kith_err why;
		int rc = load_some(s, this_worker(s), first + r, clamp(count - r, 1, step), s->tile_floats + r * s->d,
				   &why);
		kith_first_error_note(&s->failed, r, rc, &why);
	}
	return kith_first_error_get(&s->failed, err);
}

/* The panel's samples as floats. */
static int load_panel(struct stream *s, uint32_t panel, kith_err *err)
{
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 16)
	for (uint32_t r = 0; r < panel; r++) {
		kith_err why;
		int rc = load_some(s, this_worker(s), s->self[r], 1, s->panel_floats + r * s->d, &why);
		kith_first_error_note(&s->failed, r, rc, &why);
	}
	return kith_first_error_get(&s->failed, err);
}

/* Offers sample `id` to panel row r, settling the row first if it must. */
static int take(struct stream *s, struct worker *w, uint32_t r, uint32_t id, float t, kith_err *err)
{
	int rc = 0;
	if (id == s->self[r] || kith_is_left_out(s->in->duplicates, id))
		return 0;
	while (!rc && kith_candidates_take(&s->candidates, r, id, t, w->refiner.values))
		rc = kith_refine_settle(&w->refiner, &s->candidates, r, err);
	return rc;
}

/* Row r against columns of which the products g are known. */
static int compare_row(struct stream *s, struct worker *w, uint32_t r, uint64_t first, uint32_t columns, const float *g,
		       kith_err *err)
{
	const float *lo = s->in->bounds->lo;
	float own = lo[s->self[r]];
	uint32_t hits[CHUNK];
	int rc = 0;
	for (uint32_t at = 0; at < columns; at += CHUNK) {
		uint32_t some = columns - at < CHUNK ? columns - at : CHUNK;
		uint32_t found = kith_row_hits(g + at, own, lo + first + at, some, s->candidates.bound[r], hits);
		for (uint32_t h = 0; h < found && !rc; h++) {
			uint32_t column = at + hits[h];
			float t = (own + lo[first + column]) - 2 * g[column];
			rc = take(s, w, r, (uint32_t)(first + column), t, err);
		}
	}
	return rc;
}

/* Panel rows row..row+count-1 against the tile's columns first..: products, then bounds. */
static int compare_rows(struct stream *s, struct worker *w, uint32_t row, uint32_t count, uint64_t first,
			uint32_t columns, kith_err *err)
{
	int rc = 0;
	kith_multiply_floats(count, columns, s->d, s->panel_floats + row * s->d, s->tile_floats, w->products);
	for (uint32_t r = 0; r < count && !rc; r++)
		rc = compare_row(s, w, row + r, first, columns, w->products + (size_t)r * columns, err);
	return rc;
}

static int compare_panel(struct stream *s, uint64_t node, uint32_t panel, kith_err *err)
{
	int rc = 0;
	for (uint64_t first = 0; !rc && first < s->n; first += s->tile) {
		uint32_t columns = (uint32_t)clamp(s->n - first, 1, s->tile);
		uint64_t done = node * s->n + panel * first;
		if ((rc = kith_progress_tick(s->in->progress, s->in->work, done, s->in->count * s->n, err)) ||
		    (rc = load_columns(s, first, columns, err)))
			return rc;
		kith_activations_will_read(s->vectors->input, first + columns,
					   clamp(s->n - first - columns, 0, s->tile));
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 1)
		for (uint32_t row = 0; row < panel; row += s->rows) {
			uint32_t count = panel - row < s->rows ? panel - row : s->rows;
			kith_err why;
			int bad = compare_rows(s, this_worker(s), row, count, first, columns, &why);
			kith_first_error_note(&s->failed, row, bad, &why);
		}
		rc = kith_first_error_get(&s->failed, err);
	}
	return rc;
}

static int finish_panel(struct stream *s, uint32_t panel, kith_results *results, kith_err *err)
{
	uint32_t batch = s->in->plan->batch;
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 1)
	for (uint32_t r = 0; r < panel; r += batch) {
		uint32_t count = panel - r < batch ? panel - r : batch;
		kith_err why;
		int rc = kith_refine_rows(&this_worker(s)->refiner, &s->candidates, r, count, results, &why);
		kith_first_error_note(&s->failed, r, rc, &why);
	}
	return kith_first_error_get(&s->failed, err);
}

int kith_stream_run(const kith_stream *in, kith_results *results, kith_err *err)
{
	struct stream s = {.in = in};
	int rc = init(&s, err);
	for (uint64_t node = 0; !rc && node < in->count; node += s.panel) {
		uint32_t panel = (uint32_t)clamp(in->count - node, 1, s.panel);
		for (uint32_t r = 0; r < panel; r++)
			s.self[r] = in->rows ? in->rows[node + r] : (uint32_t)(node + r);
		kith_candidates_reset(&s.candidates, s.self, panel);
		if (!(rc = load_panel(&s, panel, err)) && !(rc = compare_panel(&s, node, panel, err)))
			rc = finish_panel(&s, panel, results, err);
	}
	release(&s);
	return rc;
}
