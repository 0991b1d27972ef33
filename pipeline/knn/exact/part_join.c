/* part_join.c - see part_join.h. The derivation of its bound; u = 2^-24:
 *
 * Let y and r be two samples less a part's centre, scaled (real numbers), P = |y|, Q = |r|, D = |y - r|^2 = P^2 + Q^2 -
 * 2 y.r. As 16-bit integers with scales (quantised.h) they are h and g, |y - h| <= e P and |r - g| <= e' Q: measured
 * against the floats in between, and these are within 1.001 u. So |y.r - h.g| <= E P Q, E = e + e' + e e', and where a
 * vector is too short for integers, they are zeros: as a column's e' = 1, as a row's what is missing is below 2^-79 Q.
 * The tiles compute
 *
 *         t = lo - 2 h.g,    lo = Q^2 - 2 (E + 8 u) P Q - 8 u Q^2 - 2^-78 Q - 2^-90, rounded down
 *
 * with less than 4 u (Q^2 + 2 P Q) of rounding (their integer products are exact), so that t <= D - P^2. A row with the
 * k-th distance c has no use for r unless D <= s^2 c, hence unless t <= s^2 c - P^2: which is had in doubles, before it
 * is rounded up to a float. So what the bound is off by is a part of P Q, not of P^2: a far sample can tell those of a
 * tight part apart. For a block of rows, P in lo is the greatest of them.
 *
 * Norms, and s^2 c, are known within a relative (d + 8) 2^-52 (sums of d rounded squares of rounded differences), which
 * `loose` covers. Samples with P > LARGEST are measured with all. */
#include "part_join.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "first_error.h"
#include "tile_kernels.h"
#include "workspace.h"

#define LANES       KITH_LANES
#define LARGEST     0x1p45
#define SHORTEST    0x1p-78 /* four times what is too short for integers */
#define LEAST_PANEL KITH_GROUP
#define QUANTISE    200 /* pairs are multiplied as long as a vector is made integers, about */

/* A sample, and its distance from the centre, scaled; INFINITY if that is more than LARGEST. */
struct placed {
	double norm;
	uint32_t id;
};

/* Samples that are to be measured for a row: as many as are measured at once. */
struct pending {
	uint32_t count, id[KITH_CANONICAL_PAIRS];
};

struct worker {
	double *z; /* a sample */
	float *v;
	float *t, *bound, *none, *lo; /* LANES x LANES; LANES each */
	kith_quantised rows;          /* a block */
	struct pending *pending;      /* LANES */
	char *x, *y;                  /* a sample and KITH_CANONICAL_PAIRS, where they come from the file */
	uint8_t *raw;
	void *memory;
};

struct join {
	const kith_part_join *in;
	const kith_vectors *vectors;
	kith_ranked_rows *rows;
	const double *centre;
	double loose;
	double radius[KITH_MAX_PARTS], farthest[KITH_MAX_PARTS]; /* of each part; of the rest, INFINITY */
	uint64_t panel;                                          /* columns in work together */
	kith_quantised columns;                                  /* they: lo is not used, slack is eps */
	kith_tile_kernel tile;
	struct worker *workers;
	struct placed *inside, *active; /* n each: a part's samples, and others */
	uint64_t tiles;                 /* products made so far, of LANES by LANES samples */
	void *memory;
	kith_first_error failed;
};

static struct worker *this_worker(struct join *j)
{
	return &j->workers[omp_get_thread_num()];
}

static uint64_t bytes_of(const struct join *j)
{
	return j->vectors->d * j->vectors->value_size;
}

/* ---- samples about the centre ---- */

KITH_CLONES static double centre_on(double *z, const double *centre, double scale, uint64_t d)
{
	double sum = 0;
#pragma omp simd reduction(+ : sum)
	for (uint64_t t = 0; t < d; t++) {
		z[t] = (z[t] - centre[t]) * scale;
		sum += z[t] * z[t];
	}
	return sqrt(sum);
}

/* Sample `id` into w->z; its norm. */
static int place(const struct join *j, struct worker *w, uint32_t id, struct placed *out, kith_err *err)
{
	const float *x =
		j->vectors->all && j->vectors->value_size == sizeof *x ? kith_vectors_at(j->vectors, id) : NULL;
	int rc = x ? 0 : kith_vectors_read(j->vectors, id, 1, w->z, w->raw, err);
	if (rc)
		return rc;
	for (uint64_t t = 0; x && t < j->vectors->d; t++)
		w->z[t] = x[t];
	double norm = centre_on(w->z, j->centre, j->in->scaling->scale, j->vectors->d);
	*out = (struct placed){norm <= LARGEST ? norm : INFINITY, id};
	return 0;
}

/* The sample's vector as position `at` of b, whose slack there is what |v - h| is, as a part of its norm. */
static int quantise(const struct join *j, struct worker *w, const struct placed *p, kith_quantised *b, uint64_t at,
		    kith_err *err)
{
	struct placed again;
	int rc = place(j, w, p->id, &again, err);
	if (rc)
		return rc;
	for (uint64_t t = 0; t < j->vectors->d; t++)
		w->v[t] = isfinite(p->norm) ? (float)w->z[t] : 0;
	b->scale[at] = 0;
	kith_quantised_put(b, at, w->v, j->vectors->d);
	/* relative to the float vector, so of the real one a little more */
	b->slack[at] = b->scale[at] > 0 ? b->slack[at] * (1 + 0x1p-20f) + 0x1.1p-24f : 1;
	return 0;
}

static int by_norm(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	if (x->norm != y->norm)
		return x->norm < y->norm ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Fills in the norms of `count` samples. */
static int place_all(struct join *j, struct placed *p, uint64_t count, kith_err *err)
{
#pragma omp parallel for num_threads(j->in->threads) schedule(dynamic, 64)
	for (uint64_t i = 0; i < count; i++) {
		kith_err why;
		if (!kith_first_error_seen(&j->failed))
			kith_first_error_note(&j->failed, i, place(j, this_worker(j), p[i].id, &p[i], &why), &why);
	}
	return kith_first_error_get(&j->failed, err);
}

/* ---- rows of some samples among others ---- */

/* s^2 times row i's k-th distance, and a little more. */
static double reach(const struct join *j, uint32_t id)
{
	double scale = j->in->scaling->scale;
	return kith_ranked_rows_bound(j->rows, id) * scale * scale * (1 + j->loose);
}

/* The bound on t of a row. */
static float bound_of(const struct join *j, const struct placed *p)
{
	return isfinite(p->norm) ? kith_round_up(reach(j, p->id) - p->norm * p->norm * (1 - j->loose) + 0x1p-90)
				 : INFINITY;
}

/* The lo of y[], of which `other` are the e', against rows of norms up to P whose e are up to `eps`. */
static void put_lo(const struct join *j, float *lo, const struct placed *y, uint64_t count, const float *other,
		   double P, double eps)
{
	const double u = 0x1p-24;
	for (uint64_t i = 0; i < LANES; i++) {
		double Q = i < count ? y[i].norm : 0, E = eps + other[i] + eps * other[i];
		double taken = 2 * (E + 8 * u) * (1 + 0x1p-30) * P * Q + 8 * u * Q * Q + SHORTEST * Q + 0x1p-90;
		lo[i] = i >= count    ? INFINITY
			: isfinite(Q) ? kith_round_down(Q * Q * (1 - j->loose) - taken)
				      : -INFINITY;
	}
}

/* Measures what is pending for row `own`. */
static int measure(struct join *j, struct worker *w, uint32_t own, struct pending *p, kith_err *err)
{
	const kith_vectors *v = j->vectors;
	const void *x = v->all ? kith_vectors_at(v, own) : w->x, *y[KITH_CANONICAL_PAIRS];
	double dist[KITH_CANONICAL_PAIRS];
	int rc = v->all ? 0 : kith_vectors_read_values(v, own, 1, w->x, w->raw, err);
	for (uint32_t i = 0; i < p->count && !rc; i++) {
		y[i] = v->all ? kith_vectors_at(v, p->id[i]) : w->y + i * bytes_of(j);
		if (!v->all)
			rc = kith_vectors_read_values(v, p->id[i], 1, w->y + i * bytes_of(j), w->raw, err);
	}
	if (rc)
		return rc;
	kith_canonical_distances(v, &x, 1, y, p->count, dist);
	for (uint32_t i = 0; i < p->count; i++)
		kith_ranked_rows_take(j->rows, own, p->id[i], dist[i]);
	p->count = 0;
	return 0;
}

/* Row `own` is to be measured with the samples y[] whose bits are set. */
static int add_pending(struct join *j, struct worker *w, uint32_t own, struct pending *p, const struct placed *y,
		       uint32_t bits, kith_err *err)
{
	int rc = 0;
	for (; bits && !rc; bits &= bits - 1) {
		p->id[p->count++] = y[__builtin_ctz(bits)].id;
		if (p->count == KITH_CANONICAL_PAIRS)
			rc = measure(j, w, own, p, err);
	}
	return rc;
}

/* A block of rows x[] against the columns y[], which are quantised. */
static int join_block(struct join *j, struct worker *w, const struct placed *x, uint64_t rows, const struct placed *y,
		      uint64_t columns, kith_err *err)
{
	double eps = 0, greatest = 0;
	uint16_t hits[LANES];
	uint64_t tiles = 0;
	int rc = 0;
	for (uint64_t i = 0; i < rows; i++) {
		if ((rc = quantise(j, w, &x[i], &w->rows, i, err)))
			return rc;
		eps = w->rows.slack[i] > eps && w->rows.scale[i] > 0 ? w->rows.slack[i] : eps;
		greatest = isfinite(x[i].norm) ? x[i].norm : greatest;
	}
	memset(w->rows.lo, 0, LANES * sizeof *w->rows.lo);
	for (uint64_t b = 0; b * LANES < columns && !rc; b++) {
		const struct placed *some = y + b * LANES;
		uint64_t count = columns - b * LANES < LANES ? columns - b * LANES : LANES;
		double far = 0, gap = fmax(x[0].norm - some[count - 1].norm, some[0].norm - x[rows - 1].norm);
		for (uint64_t i = 0; i < LANES; i++) {
			w->bound[i] = i < rows ? bound_of(j, &x[i]) : -INFINITY;
			far = i < rows ? fmax(far, reach(j, x[i].id)) : far;
		}
		if (gap > 0 && isfinite(gap) && gap * (1 - j->loose) - j->loose * x[rows - 1].norm > sqrt(far))
			continue;
		tiles++;
		put_lo(j, w->lo, some, count, j->columns.slack + b * LANES, greatest, eps);
		kith_tile_side a = {w->rows.q, w->rows.scale, w->rows.lo, w->bound};
		kith_tile_side c = {kith_quantised_block(&j->columns, b), j->columns.scale + b * LANES, w->lo, w->none};
		if (!j->tile(&a, &c, j->columns.width, w->t, hits))
			continue;
		for (uint64_t i = 0; i < rows && !rc; i++) {
			uint32_t bits = hits[i] & ((1u << count) - 1);
			rc = add_pending(j, w, x[i].id, &w->pending[i], some, bits, err);
		}
	}
	for (uint64_t i = 0; i < rows && !rc; i++)
		if (w->pending[i].count)
			rc = measure(j, w, x[i].id, &w->pending[i], err);
	__atomic_fetch_add(&j->tiles, tiles, __ATOMIC_RELAXED);
	return rc;
}

static int load_columns(struct join *j, const struct placed *y, uint64_t columns, kith_err *err)
{
#pragma omp parallel for num_threads(j->in->threads) schedule(dynamic, LANES)
	for (uint64_t i = 0; i < columns; i++) {
		kith_err why;
		if (!kith_first_error_seen(&j->failed))
			kith_first_error_note(&j->failed, i, quantise(j, this_worker(j), &y[i], &j->columns, i, &why),
					      &why);
	}
	return kith_first_error_get(&j->failed, err);
}

/* How many of y[], which is sorted, have a norm below `norm`. */
static uint64_t count_below(const struct placed *y, uint64_t columns, double norm)
{
	uint64_t low = 0, high = columns;
	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (y[middle].norm < norm)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Pairs of x[] and y[] that the norms alone do not rule out. */
static double count_within(const struct join *j, const struct placed *x, uint64_t rows, const struct placed *y,
			   uint64_t columns)
{
	double within = 0;
	for (uint64_t r = 0; r < rows; r++) {
		double far = sqrt(reach(j, x[r].id));
		within += isfinite(x[r].norm + far) ? (double)(count_below(y, columns, x[r].norm + far) -
							       count_below(y, columns, x[r].norm - far))
						    : (double)columns;
	}
	return within;
}

/* What that takes, about: products of pairs, and every vector quantised. Of the pilot's few samples, LANES together
 * have norms so different that more tiles are made than the job will, whose blocks are as good as single samples. */
static void note(const struct join *j, uint64_t vectors, double within, uint64_t tiles)
{
	kith_pilot *pilot = j->in->pilot;
	double times = pilot->times, quantised = (double)vectors * QUANTISE;
	kith_pilot_note(pilot, KITH_JOINING_PARTS, within * times * times + quantised * times,
			(double)tiles * LANES * LANES + quantised);
}

/* The rows of the samples x[], among y[]. */
static int improve(struct join *j, struct placed *x, uint64_t rows, struct placed *y, uint64_t columns, kith_err *err)
{
	uint64_t tiles = j->tiles;
	double within = 0;
	int rc = 0;
	if (!rows || !columns)
		return 0;
	qsort(x, rows, sizeof *x, by_norm);
	qsort(y, columns, sizeof *y, by_norm);
	if (j->in->pilot)
		within = count_within(j, x, rows, y, columns);
	for (uint64_t from = 0; from < columns && !rc; from += j->panel) {
		uint64_t count = columns - from < j->panel ? columns - from : j->panel;
		if ((rc = kith_progress_tick(j->in->progress, "joining parts", from, columns, err)) ||
		    (rc = load_columns(j, y + from, count, err)))
			return rc;
#pragma omp parallel for num_threads(j->in->threads) schedule(dynamic, 1)
		for (uint64_t r = 0; r < rows; r += LANES) {
			kith_err why;
			if (kith_first_error_seen(&j->failed))
				continue;
			int bad = join_block(j, this_worker(j), x + r, rows - r < LANES ? rows - r : LANES, y + from,
					     count, &why);
			kith_first_error_note(&j->failed, r, bad, &why);
		}
		rc = kith_first_error_get(&j->failed, err);
	}
	if (j->in->pilot)
		note(j, rows + columns, within, j->tiles - tiles);
	return rc;
}

/* ---- a part and those after it ---- */

/* Of a part's samples: how far they are from the centre, and the greatest of their k-th distances. */
static void measure_part(struct join *j, uint64_t size, double *radius, double *farthest)
{
	*radius = *farthest = 0;
	for (uint64_t i = 0; i < size; i++) {
		*radius = fmax(*radius, j->inside[i].norm);
		*farthest = fmax(*farthest, reach(j, j->inside[i].id));
	}
}

static uint64_t list_part(struct join *j, uint32_t p)
{
	uint64_t size = 0;
	for (uint64_t i = 0; i < j->vectors->n; i++)
		if (j->in->parts->part[i] == p)
			j->inside[size++].id = (uint32_t)i;
	return size;
}

/* What is known of all parts but the rest. */
static int measure_parts(struct join *j, kith_err *err)
{
	uint32_t rest = j->in->parts->count - 1;
	int rc = 0;
	for (uint32_t p = 0; p < rest && !rc; p++) {
		uint64_t size = list_part(j, p);
		j->centre = j->in->mean[p];
		if (!(rc = place_all(j, j->inside, size, err)))
			measure_part(j, size, &j->radius[p], &j->farthest[p]);
	}
	j->radius[rest] = j->farthest[rest] = INFINITY;
	return rc;
}

/* Whether no sample of part q can be in a row of part p, nor the other way round. */
static int are_apart(const struct join *j, uint32_t p, uint32_t q)
{
	const double *x = j->in->mean[p], *y = j->in->mean[q];
	double sum = 0, scale = j->in->scaling->scale;
	if (q == j->in->parts->count - 1)
		return 0;
	for (uint64_t t = 0; t < j->vectors->d; t++)
		sum += (x[t] - y[t]) * scale * ((x[t] - y[t]) * scale);
	double gap = sqrt(sum) * (1 - j->loose) - (j->radius[p] + j->radius[q]) * (1 + j->loose);
	return gap > 0 && gap * gap > fmax(j->farthest[p], j->farthest[q]);
}

/* A part's samples and those of the parts after it: first the rows of these that may have neighbours in the part, then
 * the part's own, among those that may be neighbours. */
static int join_others(struct join *j, uint64_t size, uint64_t others, kith_err *err)
{
	double radius, farthest;
	int rc;
	if ((rc = place_all(j, j->inside, size, err)) || (rc = place_all(j, j->active, others, err)))
		return rc;
	measure_part(j, size, &radius, &farthest);
	for (int own = 0; own < 2 && !rc; own++) {
		uint64_t rows = 0;
		for (uint64_t i = 0; i < others; i++) {
			double gap = j->active[i].norm * (1 - j->loose) - radius * (1 + j->loose);
			double far = own ? farthest : reach(j, j->active[i].id);
			if (gap <= 0 || gap * gap <= far || !isfinite(gap)) {
				struct placed swap = j->active[rows];
				j->active[rows++] = j->active[i];
				j->active[i] = swap;
			}
		}
		rc = own ? improve(j, j->inside, size, j->active, rows, err)
			 : improve(j, j->active, rows, j->inside, size, err);
	}
	return rc;
}

static int join_part(struct join *j, uint32_t p, kith_err *err)
{
	const kith_parts *parts = j->in->parts;
	uint64_t size = list_part(j, p), others = 0;
	uint8_t apart[KITH_MAX_PARTS];
	for (uint32_t q = 0; q < parts->count; q++)
		apart[q] = (uint8_t)(q <= p || are_apart(j, p, q));
	for (uint64_t i = 0; i < j->vectors->n; i++)
		if (!apart[parts->part[i]])
			j->active[others++].id = (uint32_t)i;
	j->centre = j->in->mean[p];
	return others ? join_others(j, size, others, err) : 0;
}

/* ---- work space ---- */

static int init_worker(struct join *j, struct worker *w, kith_err *err)
{
	uint64_t sample = j->vectors->all ? 0 : bytes_of(j);
	kith_workspace space = {0};
	KITH_BUFFER(&space, w->z, j->vectors->d);
	KITH_BUFFER(&space, w->v, j->vectors->d);
	KITH_BUFFER(&space, w->t, LANES * LANES);
	KITH_BUFFER(&space, w->bound, LANES);
	KITH_BUFFER(&space, w->none, LANES);
	KITH_BUFFER(&space, w->lo, LANES);
	KITH_BUFFER(&space, w->x, sample);
	KITH_BUFFER(&space, w->y, KITH_CANONICAL_PAIRS * sample);
	KITH_BUFFER_ZERO(&space, w->pending, LANES);
	KITH_BUFFER(&space, w->raw, j->vectors->row_bytes);
	int rc = kith_workspace_alloc(&space, &w->memory, "a thread's work space", err);
	for (uint32_t i = 0; !rc && i < LANES; i++)
		w->none[i] = -INFINITY;
	return rc ? rc : kith_quantised_alloc(&w->rows, LANES, j->vectors->d, NULL, err);
}

static int init(struct join *j, kith_err *err)
{
	uint64_t n = j->vectors->n, vector = j->vectors->d * sizeof(int16_t) + 12;
	uint64_t panel = j->in->memory / 4 / vector;
	kith_workspace w = {0};
	j->tile = kith_tile_kernel_best();
	j->loose = ((double)j->vectors->d + 16) * 0x1p-51;
	j->panel = panel > n ? n : panel < LEAST_PANEL ? LEAST_PANEL : panel / LANES * LANES;
	KITH_BUFFER(&w, j->inside, n);
	KITH_BUFFER(&w, j->active, n);
	KITH_BUFFER_ZERO(&w, j->workers, (uint64_t)j->in->threads);
	int rc = kith_workspace_alloc(&w, &j->memory, "distances from a part", err);
	if (!rc)
		rc = kith_quantised_alloc(&j->columns, j->panel, j->vectors->d, NULL, err);
	for (int t = 0; !rc && t < j->in->threads; t++)
		rc = init_worker(j, &j->workers[t], err);
	return rc;
}

int kith_part_join_run(const kith_part_join *in, kith_ranked_rows *rows, kith_err *err)
{
	struct join j = {.in = in, .vectors = in->scaling->vectors, .rows = rows};
	int rc = init(&j, err);
	kith_pilot_enter(in->pilot, KITH_JOINING_PARTS);
	rc = rc ? rc : measure_parts(&j, err);
	for (uint32_t p = 0; !rc && p + 1 < in->parts->count; p++)
		rc = join_part(&j, p, err);
	for (int t = 0; j.memory && t < in->threads; t++) {
		kith_area_free(&j.workers[t].rows.area);
		free(j.workers[t].memory);
	}
	kith_area_free(&j.columns.area);
	free(j.memory);
	return rc;
}
