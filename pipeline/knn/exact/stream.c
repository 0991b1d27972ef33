/* stream.c - see stream.h. Columns come from the file, through the page cache, or of some samples from memory: at
 * panels of a thousand rows and more, reading and converting a tile costs a few percent of multiplying it.
 *
 * Rows and columns are there twice: as blocks of 16-bit integers (quantised.h), whose products say which pairs are
 * looked at, and as floats, whose products are the candidates' bounds. */
#include "stream.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "first_error.h"
#include "tile_kernels.h"

#define LANES     KITH_LANES
#define MAX_TILE  1024u      /* columns in work together, */
#define CACHED    (3u << 16) /* whose integers take no more than this, and so stay in the L2 cache */
#define MIN_TILE  64u
#define MAX_ROWS  64u   /* of a panel that a thread takes at a time, a multiple of LANES */
#define MAX_PANEL 8192u /* beyond this, reading the columns less often gains nothing */
#define BATCH     256u  /* rows that a thread finishes together, at most */
#define READ      16u   /* columns that a thread reads together, */
#define READ_SIZE 65536 /* or fewer, where they take more bytes */

struct worker {
	kith_refiner refiner;
	float *t;     /* LANES x LANES */
	float *bound; /* LANES + rows: of columns, which have none, and of the rows in work */
	double *z;    /* one sample on its way to floats */
	char *values; /* samples read together */
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
	uint64_t width;      /* floats from one vector to the next */
	float *panel_floats; /* panel x width */
	float *tile_floats;  /* tile x width */
	kith_quantised panel_blocks, column_blocks;
	float *squared; /* panel: the rows' squared lengths, and */
	double eps;     /* how far their integers are off (quantised.h) */
	kith_tile_kernel kernel;
	struct worker *workers;
	void *memory; /* holds all of these */
	kith_first_error failed;
};

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
	return (value + step - 1) / step * step;
}

static uint32_t rows_at_a_time(const kith_plan *plan)
{
	uint64_t threads = (uint64_t)plan->threads;
	return (uint32_t)clamp(round_up((plan->panel + threads - 1) / threads, LANES), LANES, MAX_ROWS);
}

static uint64_t read_at_a_time(const kith_vectors *vectors)
{
	return clamp(READ_SIZE / (vectors->d * sizeof(double)), 1, READ);
}

static void init_worker(struct worker *w, const kith_plan *plan, const kith_vectors *vectors, kith_workspace *space)
{
	kith_refiner_init(&w->refiner, vectors, 0, plan->capacity, plan->batch, space);
	KITH_BUFFER(space, w->t, LANES * LANES);
	KITH_BUFFER(space, w->bound, LANES + rows_at_a_time(plan));
	KITH_BUFFER(space, w->z, vectors->d);
	KITH_BUFFER(space, w->values, read_at_a_time(vectors) * vectors->d * vectors->value_size);
	KITH_BUFFER(space, w->raw, read_at_a_time(vectors) * vectors->row_bytes);
}

static uint64_t workers_bytes(const kith_plan *plan, const kith_vectors *vectors)
{
	struct worker worker;
	kith_workspace w = {0};
	init_worker(&worker, plan, vectors, &w);
	return (uint64_t)plan->threads * kith_workspace_bytes(&w);
}

/* A vector as floats and as integers. */
static uint64_t vector_bytes(uint64_t d)
{
	return round_up(d, LANES) * sizeof(float) + round_up(d, 2) * sizeof(int16_t) + 4 * sizeof(float);
}

uint64_t kith_stream_sizes(kith_plan *plan, const kith_vectors *vectors, uint64_t count, uint32_t k, uint64_t memory,
			   uint32_t panel, uint32_t tile)
{
	uint64_t n = vectors->n, d = vectors->d, share = memory / 8, vector = vector_bytes(d), row, held, most, panels;
	plan->capacity = (uint32_t)clamp(k + clamp(k / 2, 256, UINT32_MAX), 1, n - 1);
	plan->tile =
		(uint32_t)(tile ? clamp(tile, 1, n)
				: clamp(share / vector, 1, clamp(n, 1, clamp(CACHED / (2 * d), MIN_TILE, MAX_TILE))));
	/* a thread finishes as many rows together as an eighth of the memory has room for */
	plan->batch = kith_refiner_batch(vectors, 0, plan->capacity, BATCH, share / (uint64_t)plan->threads);
	row = vector + kith_candidates_row_bytes(plan->capacity, 0, 0) + 4;
	/* blocks are filled up: those of rows, and those of columns */
	held = n * 8 + d * 8 + (plan->tile + 2 * (LANES - 1)) * vector + workers_bytes(plan, vectors);
	most = memory > held ? (memory - held) / row : 1;
	plan->panel = (uint32_t)(panel ? clamp(panel, 1, count) : clamp(most, 1, clamp(count, 1, MAX_PANEL)));
	/* even panels: the last is not a sliver that reads everything once more for nothing */
	panels = (count + plan->panel - 1) / plan->panel;
	plan->panel = (uint32_t)((count + panels - 1) / panels);
	return held + plan->panel * row;
}

/* Room for `count` vectors as integers, in blocks. */
static void init_blocks(kith_quantised *b, uint64_t count, uint64_t d, kith_workspace *w)
{
	uint64_t positions = round_up(count, LANES);
	b->width = (uint32_t)round_up(d, 2);
	KITH_BUFFER_ZERO(w, b->q, positions * b->width);
	KITH_BUFFER_ZERO(w, b->scale, positions);
	KITH_BUFFER_ZERO(w, b->lo, positions);
	KITH_BUFFER_ZERO(w, b->slack, positions);
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
	s->width = round_up(s->d, LANES);
	s->kernel = kith_tile_kernel_best();
	kith_candidates_init(&s->candidates, in->bounds, kith_info_k(in->info), s->panel, plan->capacity, 0, 0, &shared,
			     &shared);
	s->candidates.weight = kith_duplicates_weight(in->duplicates, s->vectors);
	KITH_BUFFER(&shared, s->self, s->panel);
	KITH_BUFFER(&shared, s->squared, s->panel);
	KITH_BUFFER_ZERO(&shared, s->panel_floats, s->panel * s->width); /* what fills them up is not written again */
	KITH_BUFFER_ZERO(&shared, s->tile_floats, s->tile * s->width);
	init_blocks(&s->panel_blocks, s->panel, s->d, &shared);
	init_blocks(&s->column_blocks, s->tile, s->d, &shared);
	KITH_BUFFER_ZERO(&shared, s->workers, (uint64_t)plan->threads);
	int rc = kith_workspace_alloc(&shared, &s->memory, "a panel of rows", err);
	for (int t = 0; !rc && t < plan->threads; t++) {
		struct worker *w = &s->workers[t];
		kith_workspace space = {0};
		init_worker(w, plan, s->vectors, &space);
		w->refiner.scaling = in->scaling;
		w->refiner.info = in->info;
		rc = kith_workspace_alloc(&space, &w->memory, "a thread's work space", err);
		for (uint32_t i = 0; !rc && i < LANES; i++)
			w->bound[i] = -INFINITY;
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

/* Samples first..first+count-1, few enough to be read together, as the vectors from `at` on of a panel or a tile. */
static int load_some(struct stream *s, struct worker *w, uint64_t first, uint64_t count, float *floats,
		     kith_quantised *blocks, uint64_t at, kith_err *err)
{
	uint64_t bytes = s->d * s->vectors->value_size;
	double norm;
	float lo, width;
	int rc = kith_vectors_read_values(s->vectors, first, count, w->values, w->raw, err);
	for (uint64_t r = 0; !rc && r < count; r++) {
		float *v = floats + (at + r) * s->width;
		int outside = kith_scaling_centre(s->in->scaling, w->values + r * bytes, w->z, &norm);
		kith_scaling_floats(s->in->scaling, w->z, outside, v, &lo, &width);
		blocks->scale[at + r] = 0;
		kith_quantised_put(blocks, at + r, v, s->d);
	}
	return rc;
}

/* A block's lo, by the greatest eps of rows and columns. Positions without a vector are nobody's neighbour. */
static void put_lo(kith_quantised *b, uint64_t at, float squared, float lo, double eps)
{
	b->lo[at] = kith_round_down((double)lo - kith_quantised_slack(squared, eps));
}

static void end_blocks(kith_quantised *b, uint64_t count)
{
	for (uint64_t at = count; at % LANES; at++)
		b->lo[at] = INFINITY;
}

/* Samples first..first+count-1 as the tile's columns. */
static int load_columns(struct stream *s, uint64_t first, uint64_t count, kith_err *err)
{
	uint64_t step = read_at_a_time(s->vectors);
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 1)
	for (uint64_t r = 0; r < count; r += step) {
		kith_err why;
		int rc = load_some(s, this_worker(s), first + r, clamp(count - r, 1, step), s->tile_floats,
				   &s->column_blocks, r, &why);
		kith_first_error_note(&s->failed, r, rc, &why);
	}
	return kith_first_error_get(&s->failed, err);
}

static int load_panel(struct stream *s, uint32_t panel, kith_err *err)
{
#pragma omp parallel for num_threads(s->in->plan->threads) schedule(dynamic, 16)
	for (uint32_t r = 0; r < panel; r++) {
		kith_err why;
		int rc = load_some(s, this_worker(s), s->self[r], 1, s->panel_floats, &s->panel_blocks, r, &why);
		kith_first_error_note(&s->failed, r, rc, &why);
	}
	memcpy(s->squared, s->panel_blocks.lo, panel * sizeof *s->squared);
	s->eps = kith_quantised_eps(&s->panel_blocks, panel);
	return kith_first_error_get(&s->failed, err);
}

/* Once columns first.. are in the tile: what its blocks and the panel's need to be joined. */
static void bound_blocks(struct stream *s, uint32_t panel, uint64_t first, uint32_t columns)
{
	const float *lo = s->in->bounds->lo;
	double eps = kith_quantised_eps(&s->column_blocks, columns);
	eps = eps > s->eps ? eps : s->eps;
	for (uint32_t r = 0; r < panel; r++)
		put_lo(&s->panel_blocks, r, s->squared[r], lo[s->self[r]], eps);
	for (uint32_t c = 0; c < columns; c++)
		put_lo(&s->column_blocks, c, s->column_blocks.lo[c], lo[first + c], eps);
	end_blocks(&s->panel_blocks, panel);
	end_blocks(&s->column_blocks, columns);
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

/* Row r and the tile's columns from `column` on whose bits are set: bounds of all values. */
static int take_hits(struct stream *s, struct worker *w, uint32_t r, uint64_t first, uint32_t column, uint32_t bits,
		     kith_err *err)
{
	const float *lo = s->in->bounds->lo, *y[LANES];
	float own = lo[s->self[r]], g[LANES];
	uint32_t place[LANES], count = 0;
	int rc = 0;
	for (; bits; bits &= bits - 1) {
		place[count] = column + (uint32_t)__builtin_ctz(bits);
		y[count] = s->tile_floats + place[count] * s->width;
		count++;
	}
	kith_dot_products(s->panel_floats + r * s->width, y, count, (uint32_t)s->width, g);
	for (uint32_t i = 0; i < count && !rc; i++) {
		uint64_t id = first + place[i];
		rc = take(s, w, r, (uint32_t)id, (own + lo[id]) - 2 * g[i], err);
	}
	return rc;
}

static kith_tile_side side_of(const kith_quantised *b, uint32_t block, const float *bound)
{
	return (kith_tile_side){kith_quantised_block(b, block), b->scale + block * LANES, b->lo + block * LANES, bound};
}

/* The bounds of the panel's rows row..row+count-1 as they are now; those of rows that a last block lacks let nothing
 * pass. */
static void copy_bounds(const struct stream *s, struct worker *w, uint32_t row, uint32_t count)
{
	for (uint32_t r = 0; r < s->rows; r++)
		w->bound[LANES + r] = r < count ? s->candidates.bound[row + r] : -INFINITY;
}

/* The panel's rows row..row+count-1, a few blocks, against the tile's columns first..: integers, then floats. A block
 * of columns is in the cache for all of the rows. */
static int compare_rows(struct stream *s, struct worker *w, uint32_t row, uint32_t count, uint64_t first,
			uint32_t columns, kith_err *err)
{
	uint16_t hits[LANES];
	int rc = 0;
	copy_bounds(s, w, row, count);
	for (uint32_t column = 0; column < columns && !rc; column += LANES) {
		uint32_t there = columns - column < LANES ? (1u << (columns - column)) - 1 : 0xffff;
		kith_tile_side b = side_of(&s->column_blocks, column / LANES, w->bound);
		for (uint32_t r = 0; r < count && !rc; r += LANES) {
			float *bound = w->bound + LANES + r;
			kith_tile_side a = side_of(&s->panel_blocks, (row + r) / LANES, bound);
			if (!s->kernel(&a, &b, s->panel_blocks.width, w->t, hits))
				continue;
			for (uint32_t i = 0; i < LANES && r + i < count && !rc; i++) {
				if (!(hits[i] & there))
					continue;
				rc = take_hits(s, w, row + r + i, first, column, hits[i] & there, err);
				bound[i] = s->candidates.bound[row + r + i];
			}
		}
	}
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
		bound_blocks(s, panel, first, columns);
		if (!s->vectors->id)
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
