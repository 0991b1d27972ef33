/* approx_cells.c - see approx_cells.h */
#include "approx_cells.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "approx_rows.h"
#include "first_error.h"
#include "matrix.h"
#include "spill.h"
#include "workspace.h"

#define SAMPLE_POINTS 16384u /* that cells are chosen by, at most */
#define LEAST_POINTS  1024u
#define SAMPLE_PAIRS  16384u /* true neighbours that tell what cells lose, at most */
#define ALL_VALUES    128u   /* points are the samples themselves if they have no more, else their projections */
#define PROJECTED     63u
#define CHUNK         256u       /* samples that a thread sorts together, */
#define CHUNK_BYTES   (2u << 20) /* or fewer. Their number depends on nothing else, lest rounding differs */
#define CELLS_SHARE   0.5        /* of the misses that are allowed: those of samples that share no cell */
#define LEAST_BUFFER  4096u
#define MOST_BUFFER   (256u << 10)

struct cell {
	kith_spill ids, samples, rows; /* what its samples are called, ascending; their values; their rows */
	uint64_t m;
};

struct work {
	kith_approx_cells *in;
	const kith_engine_job *job;
	const kith_vectors *vectors;
	uint64_t n, d, bytes; /* of a sample */
	uint32_t k;
	uint32_t dims; /* of points */
	kith_cells cells;
	struct cell *cell;
};

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- points ---- */

/* What one thread needs to make points of samples, and to find their cells. */
struct pointer {
	char *values;
	uint8_t *raw;
	double *z, *point; /* the same where all values are looked at */
	double *work;
	kith_cells_set *in;
};

static void init_pointer(struct pointer *x, const struct work *w, uint64_t count, kith_workspace *space)
{
	KITH_BUFFER(space, x->values, count * w->bytes);
	KITH_BUFFER(space, x->raw, count * w->vectors->row_bytes);
	KITH_BUFFER(space, x->z, count * w->d);
	KITH_BUFFER(space, x->point, count * w->dims);
	KITH_BUFFER(space, x->work, count * KITH_LEADERS_MOST);
	KITH_BUFFER(space, x->in, count);
}

/* The points of samples first..first+count-1, whose values then are in x->values. */
static int make_points(const struct work *w, struct pointer *x, uint64_t first, uint64_t count, double *out,
		       kith_err *err)
{
	double norm;
	int rc = kith_vectors_read_values(w->vectors, first, count, x->values, x->raw, err);
	for (uint64_t r = 0; !rc && r < count; r++)
		kith_scaling_centre(w->in->scaling, x->values + r * w->bytes, x->z + r * w->d, &norm);
	if (rc)
		return rc;
	if (w->dims == w->d)
		memcpy(out, x->z, count * w->d * sizeof *out);
	else
		kith_multiply(1, 0, 1, count, w->dims, w->d, x->z, w->d, w->in->basis->axes, out);
	return 0;
}

/* ---- which cells ---- */

/* The i-th of `count` samples all over the file; if `apart`, either half of them is. */
static uint64_t from_all(uint64_t i, uint64_t count, uint64_t n, int apart)
{
	uint64_t half = apart ? count / 2 : count;
	return i < half ? i * n / half : ((i - half) * n + n / 2) / (count - half);
}

/* Points all over the file, and those of audited samples with their true neighbours. */
static int sample_points(const struct work *w, kith_cells_sample *sample, double *point, double *row, kith_err *err)
{
	const kith_graph_audit *audit = w->job->audit;
	struct pointer x;
	void *memory = NULL;
	kith_workspace space = {0};
	init_pointer(&x, w, 1, &space);
	int rc = kith_workspace_alloc(&space, &memory, "a sample", err);
	for (uint64_t i = 0; !rc && i < sample->count; i++)
		rc = make_points(w, &x, from_all(i, sample->count, w->n, sample->apart), 1, point + i * w->dims, err);
	for (uint64_t r = 0; !rc && r < sample->rows; r++) {
		uint64_t from = r * audit->rows / sample->rows;
		double *to = row + r * (1 + sample->neighbours) * w->dims;
		rc = make_points(w, &x, audit->id[from], 1, to, err);
		for (uint32_t i = 0; !rc && i < sample->neighbours; i++)
			rc = make_points(w, &x, audit->exact[from * w->k + i], 1, to + (i + 1ull) * w->dims, err);
	}
	free(memory);
	return rc;
}

static int choose_cells(struct work *w, kith_err *err)
{
	const kith_approx_plan *plan = w->in->plan;
	/* where there is memory for half of the samples, it does not say how many are looked at */
	uint64_t most = at_most(w->n * w->bytes / 4, w->job->memory / 2) / kith_cells_point_bytes(w->dims);
	kith_cells_sample sample = {.dims = w->dims, .neighbours = w->k, .threads = w->job->threads};
	kith_cells_wish wish = {.least = 2 * (w->k + 1.0) / (double)w->n,
				.most = plan->cell,
				.lost = (1 - plan->recall) * CELLS_SHARE,
				.count = plan->cells};
	double *point, *row;
	void *memory = NULL;
	kith_workspace space = {0};
	sample.count = at_most(w->n, at_most(SAMPLE_POINTS, most < LEAST_POINTS ? LEAST_POINTS : most));
	sample.apart = sample.count < w->n;
	sample.rows = w->job->audit ? at_most(w->job->audit->rows, at_most(SAMPLE_PAIRS, sample.count) / w->k + 1) : 0;
	KITH_BUFFER(&space, point, sample.count * w->dims);
	KITH_BUFFER(&space, row, sample.rows * (1 + w->k) * w->dims);
	int rc = kith_workspace_alloc(&space, &memory, "points of samples", err);
	if (!rc && !(rc = sample_points(w, &sample, point, row, err))) {
		sample.point = point;
		sample.row = row;
		rc = kith_cells_choose(&w->cells, &sample, &wish, err);
		if (rc == KITH_EUSAGE)
			rc = kith_fail(err, KITH_EUSAGE,
				       "%s: -m is too small for engine approx: its samples do not fall into small "
				       "enough cells; engine exact works in less",
				       w->vectors->path);
	}
	free(memory);
	return rc;
}

/* ---- samples to cells ---- */

/* A buffer for each of the two files of every cell that are in use. */
static int give_buffers(struct work *w, int merging, void **memory, kith_err *err)
{
	uint64_t files = 2ull * w->cells.count, size = w->job->memory / 8 / files;
	size = size < LEAST_BUFFER ? LEAST_BUFFER : size > MOST_BUFFER ? MOST_BUFFER : size;
	char *buffer = *memory = kith_alloc(files, size);
	if (!buffer)
		return kith_fail_nomem(err, "buffers of cells", files * size);
	for (uint32_t c = 0; c < w->cells.count; c++, buffer += 2 * size) {
		kith_spill_buffer(&w->cell[c].ids, buffer, size);
		kith_spill_buffer(merging ? &w->cell[c].rows : &w->cell[c].samples, buffer + size, size);
	}
	return 0;
}

static int append_sample(struct work *w, uint32_t id, const void *values, const kith_cells_set *in, kith_err *err)
{
	int rc = 0;
	for (uint32_t word = 0; word < KITH_CELLS_MOST / 64; word++)
		for (uint64_t bits = in->bits[word]; bits && !rc; bits &= bits - 1) {
			struct cell *to = &w->cell[64 * word + (uint32_t)__builtin_ctzll(bits)];
			to->m++;
			rc = kith_spill_append(&to->ids, &id, sizeof id, err);
			if (!rc)
				rc = kith_spill_append(&to->samples, values, w->bytes, err);
		}
	return rc;
}

/* Samples first..first+count-1: threads find their cells, chunk by chunk; then they are appended in order. */
static int scatter_block(struct work *w, struct pointer *x, uint64_t chunk, uint64_t first, uint64_t count,
			 kith_err *err)
{
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(w->job->threads) schedule(static, 1)
	for (uint64_t from = 0; from < count; from += chunk) {
		struct pointer *own = &x[from / chunk];
		uint64_t some = at_most(count - from, chunk);
		kith_err why;
		int bad = make_points(w, own, first + from, some, own->point, &why);
		if (!bad)
			kith_cells_of(&w->cells, own->point, some, own->work, own->in);
		kith_first_error_note(&failed, from, bad, &why);
	}
	int rc = kith_first_error_get(&failed, err);
	for (uint64_t r = 0; r < count && !rc; r++)
		rc = append_sample(w, (uint32_t)(first + r), x[r / chunk].values + r % chunk * w->bytes,
				   &x[r / chunk].in[r % chunk], err);
	return rc;
}

static int scatter_with(struct work *w, struct pointer *x, uint64_t threads, uint64_t chunk, kith_err *err)
{
	uint64_t step = threads * chunk;
	int rc = 0;
	for (uint64_t first = 0; !rc && first < w->n; first += step)
		if (!(rc = kith_progress_tick(w->job->progress, "cells", first, w->n, err)))
			rc = scatter_block(w, x, chunk, first, at_most(w->n - first, step), err);
	for (uint32_t c = 0; !rc && c < w->cells.count; c++)
		if (!(rc = kith_spill_flush(&w->cell[c].ids, err)))
			rc = kith_spill_flush(&w->cell[c].samples, err);
	return rc;
}

static uint64_t chunk_of(const struct work *w)
{
	uint64_t chunk = CHUNK;
	struct pointer x;
	for (;; chunk /= 2) {
		kith_workspace space = {0};
		init_pointer(&x, w, chunk, &space);
		if (chunk == 1 || kith_workspace_bytes(&space) <= CHUNK_BYTES)
			return chunk;
	}
}

/* As many threads as a quarter of the memory has room for. */
static uint64_t threads_of(const struct work *w, uint64_t chunk)
{
	struct pointer x;
	kith_workspace space = {0};
	init_pointer(&x, w, chunk, &space);
	uint64_t most = w->job->memory / 4 / kith_workspace_bytes(&space);
	return at_most((uint64_t)w->job->threads, most ? most : 1);
}

/* Every sample into its cells' files. */
static int scatter(struct work *w, kith_err *err)
{
	uint64_t chunk = chunk_of(w), threads = threads_of(w, chunk);
	struct pointer *x = kith_alloc_zero(threads, sizeof *x);
	void **memory = kith_alloc_zero(threads, sizeof *memory), *buffers = NULL;
	int rc = x && memory ? 0 : kith_fail_nomem(err, "work spaces", threads * sizeof *x);
	for (uint32_t c = 0; !rc && c < w->cells.count; c++)
		if (!(rc = kith_spill_open(&w->cell[c].ids, w->job->output, err)))
			rc = kith_spill_open(&w->cell[c].samples, w->job->output, err);
	for (uint64_t t = 0; !rc && t < threads; t++) {
		kith_workspace space = {0};
		init_pointer(&x[t], w, chunk, &space);
		rc = kith_workspace_alloc(&space, &memory[t], "a thread's work space", err);
	}
	if (!rc && !(rc = give_buffers(w, 0, &buffers, err)))
		rc = scatter_with(w, x, threads, chunk, err);
	for (uint64_t t = 0; memory && t < threads; t++)
		free(memory[t]);
	free(memory);
	free(buffers);
	free(x);
	return rc;
}

/* ---- a cell's rows ---- */

/* The audit's rows that are in a cell, by its own ids. Release out->id with free(). */
static int audit_of(const struct work *w, const uint32_t *ids, uint64_t m, kith_graph_audit *out, kith_err *err)
{
	const kith_graph_audit *audit = w->job->audit;
	uint64_t rows = audit ? audit->rows : 0;
	uint32_t *memory = kith_alloc(rows * (1 + w->k) + 1, sizeof *memory);
	if (!memory)
		return kith_fail_nomem(err, "a cell's audit", rows * (1 + w->k) * sizeof *memory);
	*out = (kith_graph_audit){.id = memory, .exact = memory + rows};
	for (uint64_t r = 0; r < rows; r++) {
		uint32_t own = kith_id_find(ids, m, audit->id[r]), *to = out->exact + (uint64_t)out->rows * w->k;
		if (own == UINT32_MAX)
			continue;
		for (uint32_t e = 0; e < w->k; e++)
			to[e] = kith_id_find(ids, m, audit->exact[r * w->k + e]);
		out->id[out->rows++] = own;
	}
	return 0;
}

/* Of the misses that are allowed, a cell may have those that cells do not. A cell without audited samples does what the
 * others had to do. */
static kith_approx_plan plan_of(const struct work *w, const kith_graph_audit *audit)
{
	kith_approx_plan plan = *w->in->plan;
	plan.recall = 1 - (1 - plan.recall) * (1 - CELLS_SHARE);
	plan.by_estimate = 1;
	if (plan.until_recall && !audit->rows) {
		plan.until_recall = 0;
		plan.trees = w->in->trees ? w->in->trees : plan.trees;
		plan.rounds = w->in->trees ? w->in->rounds : plan.rounds;
	}
	return plan;
}

static int append_rows(struct work *w, struct cell *cell, const kith_results *results, const uint32_t *ids,
		       kith_err *err)
{
	uint32_t *row = kith_alloc(w->k, sizeof *row);
	char *buffer = kith_alloc(1, MOST_BUFFER);
	int rc = row && buffer ? kith_spill_open(&cell->rows, w->job->output, err)
			       : kith_fail_nomem(err, "rows of a cell", MOST_BUFFER);
	if (!rc)
		kith_spill_buffer(&cell->rows, buffer, MOST_BUFFER);
	for (uint64_t i = 0; !rc && i < cell->m; i++) {
		kith_row from = kith_results_row(results, i);
		for (uint32_t e = 0; e < w->k; e++)
			row[e] = ids[from.near_ids[e]];
		if (!(rc = kith_spill_append(&cell->rows, row, w->k * sizeof *row, err)) &&
		    !(rc = kith_spill_append(&cell->rows, from.near_dist2, w->k * sizeof *from.near_dist2, err)))
			rc = kith_spill_append(&cell->rows, &results->left[i], sizeof *results->left, err);
	}
	if (!rc)
		rc = kith_spill_flush(&cell->rows, err);
	free(buffer);
	free(row);
	return rc;
}

/* The rows of a cell whose samples are in memory, and their file's `sample`s. */
static int find_rows(struct work *w, struct cell *cell, const uint32_t *ids, const uint32_t *sample, uint64_t *left,
		     const char *values, kith_err *err)
{
	kith_graph_audit audit = {0};
	kith_vectors vectors = *w->vectors;
	kith_graph_info info = *w->job->info;
	kith_engine_job job = *w->job;
	kith_scaling scaling = *w->in->scaling;
	int rc = audit_of(w, ids, cell->m, &audit, err);
	vectors.input = NULL;
	vectors.id = NULL;
	vectors.ties.id = sample;
	vectors.metric = KITH_L2; /* the values are normalised already */
	vectors.n = info.n = cell->m;
	vectors.row_bytes = w->bytes;
	vectors.all = values;
	vectors.own = NULL;
	info.near = w->k; /* all of a row's distances, to merge rows by */
	scaling.vectors = job.vectors = &vectors;
	job.info = &info;
	job.audit = &audit;
	job.hits = NULL;
	kith_approx_plan plan = plan_of(w, &audit);
	kith_approx_rows rows = {.job = &job,
				 .plan = &plan,
				 .scaling = &scaling,
				 .basis = w->in->basis,
				 .sample = sample,
				 .seed = w->in->seed,
				 .results.left = left};
	if (!rc && !(rc = kith_approx_rows_find(&rows, err)))
		rc = append_rows(w, cell, &rows.results, ids, err);
	w->in->trees = rows.trees > w->in->trees ? rows.trees : w->in->trees;
	w->in->rounds = rows.rounds > w->in->rounds ? rows.rounds : w->in->rounds;
	kith_results_free(&rows.results);
	free(audit.id);
	return rc;
}

static int build_cell(struct work *w, struct cell *cell, kith_err *err)
{
	uint64_t audited = w->job->audit ? w->job->audit->rows : 0;
	uint64_t bytes = kith_approx_plan_bytes(w->in->plan, cell->m, w->job) + audited * (1 + w->k) * sizeof(uint32_t);
	const uint32_t *all = w->vectors->id;
	uint32_t *ids, *sample;
	uint64_t *left;
	char *values;
	void *memory = NULL;
	kith_workspace space = {0};
	if (!cell->m)
		return kith_spill_open(&cell->rows, w->job->output, err);
	if (cell->m <= w->k)
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: a cell has %llu samples only, for k=%u: ask for fewer cells, or use --engine exact",
			w->vectors->path, (unsigned long long)cell->m, w->k);
	if (bytes > w->job->memory)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: -m is too small for engine approx: %llu samples stay together, which take %llu "
				 "bytes; engine exact works in less",
				 w->vectors->path, (unsigned long long)cell->m, (unsigned long long)bytes);
	KITH_BUFFER(&space, ids, cell->m);
	KITH_BUFFER(&space, sample, all ? cell->m : 0);
	KITH_BUFFER_ZERO(&space, left, cell->m);
	KITH_BUFFER(&space, values, cell->m * w->bytes);
	int rc = kith_workspace_alloc(&space, &memory, "a cell's samples", err);
	if (!rc && !(rc = kith_spill_read(&cell->ids, ids, err)) &&
	    !(rc = kith_spill_read(&cell->samples, values, err))) {
		kith_spill_close(&cell->samples); /* its room on the disk is for rows */
		for (uint64_t i = 0; all && i < cell->m; i++)
			sample[i] = all[ids[i]];
		rc = find_rows(w, cell, ids, all ? sample : ids, left, values, err);
	}
	free(memory);
	return rc;
}

/* ---- the graph's rows ---- */

/* One sample's rows in its cells, on their way to one. */
struct merger {
	uint32_t *id;             /* 2 x k: the row in the making, and the one before */
	double *dist;             /* 2 x k */
	uint32_t *more;           /* k: a cell's */
	double *far;              /* k */
	uint32_t *next;           /* of each cell, the sample whose row is the next there; UINT32_MAX: there is none */
	uint32_t *ids, *near_ids; /* of a batch of rows */
	double *near_dist2;
};

static int next_of(struct cell *cell, uint32_t *next, kith_err *err)
{
	*next = UINT32_MAX;
	return cell->m && cell->m-- ? kith_spill_next(&cell->ids, next, sizeof *next, err) : 0;
}

/* Of a row's entries from `at` on, which were not taken, how many are at the distance `last`; if that is its own last,
 * with the `left` that it knows of. */
static uint64_t left_of(const double *dist, uint32_t count, uint32_t at, double last, uint64_t left)
{
	uint64_t more = count && dist[count - 1] == last ? left : 0;
	for (; at < count && dist[at] == last; at++)
		more++;
	return more;
}

/* The k first of two rows, by distance and the tie rule, without what is in both. *left: of the first of them, then of
 * the result; `more` of the second: samples as far as the last that are not in it, as far as is known. What either has
 * left may be the same samples. */
static uint32_t merge_rows(const kith_tie_rule *ties, uint32_t k, const uint32_t *x, const double *dx, uint32_t count,
			   const uint32_t *y, const double *dy, uint32_t *out, double *dist, uint64_t *left,
			   uint64_t more)
{
	uint32_t i = 0, j = 0, made = 0;
	while (made < k && (i < count || j < k)) {
		int first = i < count && (j >= k || !kith_comes_before(ties, dy[j], y[j], dx[i], x[i]));
		out[made] = first ? x[i] : y[j];
		dist[made] = first ? dx[i] : dy[j];
		if (first && j < k && x[i] == y[j])
			j++;
		i += (uint32_t)first;
		j += (uint32_t)!first;
		made++;
	}
	if (made == k) {
		uint64_t of_x = left_of(dx, count, i, dist[k - 1], *left), of_y = left_of(dy, k, j, dist[k - 1], more);
		*left = of_x > of_y ? of_x : of_y;
	}
	return made;
}

static int merge_sample(struct work *w, struct merger *g, uint32_t id, uint32_t *out, double *dist, kith_err *err)
{
	uint32_t count = 0, k = w->k, *made = g->id, *spare = g->id + k;
	double *made_dist = g->dist, *spare_dist = g->dist + k;
	uint64_t left = 0, more;
	for (uint32_t c = 0; c < w->cells.count; c++) {
		struct cell *cell = &w->cell[c];
		if (g->next[c] != id)
			continue;
		int rc = kith_spill_next(&cell->rows, g->more, k * sizeof *g->more, err);
		if (rc || (rc = kith_spill_next(&cell->rows, g->far, k * sizeof *g->far, err)) ||
		    (rc = kith_spill_next(&cell->rows, &more, sizeof more, err)) ||
		    (rc = next_of(cell, &g->next[c], err)))
			return rc;
		count = merge_rows(&w->vectors->ties, k, made, made_dist, count, g->more, g->far, spare, spare_dist,
				   &left, more);
		uint32_t *swap = made;
		double *swap_dist = made_dist;
		made = spare;
		made_dist = spare_dist;
		spare = swap;
		spare_dist = swap_dist;
	}
	if (count < k)
		return kith_fail(err, KITH_EBUG, "%s: a sample is in no cell: please report this", w->vectors->path);
	kith_tie_counts_add(&w->in->tied, w->job->info, made_dist, left);
	if (w->job->left)
		w->job->left[id] = left;
	memcpy(out, made, k * sizeof *out);
	memcpy(dist, made_dist, w->job->info->near * sizeof *dist);
	return 0;
}

static int merge_with(struct work *w, struct merger *g, uint64_t batch, kith_graph_writer *writer, kith_err *err)
{
	uint32_t k = w->k, near = w->job->info->near;
	int rc = 0;
	for (uint32_t c = 0; !rc && c < w->cells.count; c++)
		rc = next_of(&w->cell[c], &g->next[c], err);
	for (uint64_t first = 0; !rc && first < w->n; first += batch) {
		uint64_t count = at_most(w->n - first, batch);
		rc = kith_progress_tick(w->job->progress, "merging cells", first, w->n, err);
		for (uint64_t r = 0; !rc && r < count; r++) {
			rc = merge_sample(w, g, (uint32_t)(first + r), g->ids + r * k, g->near_dist2 + r * near, err);
			memcpy(g->near_ids + r * near, g->ids + r * k, near * sizeof *g->near_ids);
		}
		if (!rc)
			rc = kith_engine_append(w->job, writer, count, g->ids, g->near_ids, g->near_dist2, err);
	}
	return rc;
}

static int merge(struct work *w, kith_graph_writer *writer, kith_err *err)
{
	uint64_t k = w->k, near = w->job->info->near, batch = w->job->memory / 16 / (4 * k + 12 * near) + 1;
	struct merger g;
	void *buffers = NULL, *memory = NULL;
	kith_workspace space = {0};
	batch = at_most(batch, 4096);
	KITH_BUFFER(&space, g.id, 2 * k);
	KITH_BUFFER(&space, g.dist, 2 * k);
	KITH_BUFFER(&space, g.more, k);
	KITH_BUFFER(&space, g.far, k);
	KITH_BUFFER(&space, g.next, w->cells.count);
	KITH_BUFFER(&space, g.ids, batch * k);
	KITH_BUFFER(&space, g.near_ids, batch * near);
	KITH_BUFFER(&space, g.near_dist2, batch * near);
	int rc = kith_workspace_alloc(&space, &memory, "rows", err);
	if (!rc && !(rc = give_buffers(w, 1, &buffers, err)))
		rc = merge_with(w, &g, batch, writer, err);
	free(buffers);
	free(memory);
	return rc;
}

int kith_approx_cells_build(kith_approx_cells *in, kith_graph_writer *writer, kith_err *err)
{
	struct work w = {.in = in,
			 .job = in->job,
			 .vectors = in->job->vectors,
			 .n = in->job->info->n,
			 .d = in->job->info->d,
			 .bytes = in->job->vectors->d * in->job->vectors->value_size,
			 .k = kith_info_k(in->job->info),
			 .dims = (uint32_t)(in->job->info->d <= ALL_VALUES ? in->job->info->d
					    : in->basis->dims < PROJECTED  ? in->basis->dims
									   : PROJECTED)};
	int rc = w.dims ? choose_cells(&w, err)
			: kith_fail(err, KITH_EUSAGE,
				    "%s: its samples do not differ enough for cells: use --engine exact",
				    w.vectors->path);
	if (!rc && !(w.cell = kith_alloc_zero(w.cells.count, sizeof *w.cell)))
		rc = kith_fail_nomem(err, "cells", w.cells.count * sizeof *w.cell);
	in->count = w.cells.count;
	if (!rc)
		rc = scatter(&w, err);
	for (uint32_t c = 0; !rc && c < w.cells.count; c++)
		rc = build_cell(&w, &w.cell[c], err);
	if (!rc)
		rc = merge(&w, writer, err);
	for (uint32_t c = 0; w.cell && c < w.cells.count; c++) {
		kith_spill_close(&w.cell[c].ids);
		kith_spill_close(&w.cell[c].samples);
		kith_spill_close(&w.cell[c].rows);
	}
	free(w.cell);
	free(w.cells.memory);
	return rc;
}
