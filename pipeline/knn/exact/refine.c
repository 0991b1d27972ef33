/* refine.c - see refine.h */
#include "refine.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "select.h"

#define OUT      15u    /* a tier beyond the ladder */
#define UNKNOWN  (-1.0) /* a distance not yet computed */
#define DIGIT    11
#define MAX_POOL (1u << 30) /* candidates of a batch: their places are 32 bits */

/* A distance to compute: dist[at], of sample `id` to row `row` of the batch. */
struct kith_wanted {
	uint32_t id, row, at;
};

/* ---- results ---- */

uint64_t kith_results_bytes(uint64_t n, uint32_t k, uint32_t near)
{
	return n * (4ull * k + 12ull * near) + 64;
}

/* A nameless file of `bytes`, all of them there: a full disk must fail here, not when the memory it is mapped to is
 * written. */
static void *map_file(const char *beside, uint64_t bytes, kith_err *err)
{
	char *path = NULL;
	void *block = MAP_FAILED;
	int fd = asprintf(&path, "%s.XXXXXX", beside) < 0 ? -1 : mkostemp(path, O_CLOEXEC), full = 0;
	if (fd >= 0) {
		unlink(path);
		full = posix_fallocate(fd, 0, (off_t)bytes);
		block = full ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (block == MAP_FAILED)
		kith_fail(err, KITH_EIO, "%s: no room for a temporary file of %llu bytes beside it%s", beside,
			  (unsigned long long)bytes, full ? " (is the disk full?)" : "");
	free(path);
	return block == MAP_FAILED ? NULL : block;
}

int kith_results_init(kith_results *r, uint64_t n, uint32_t k, uint32_t near, const char *spill, kith_err *err)
{
	*r = (kith_results){.k = k, .near = near, .bytes = kith_results_bytes(n, k, near), .spilled = spill != NULL};
	r->block = spill ? map_file(spill, r->bytes, err) : kith_alloc(r->bytes, 1);
	if (!r->block)
		return spill ? KITH_EIO : kith_fail_nomem(err, "the neighbours", r->bytes);
	r->near_dist2 = r->block;
	r->near_ids = (uint32_t *)(r->near_dist2 + n * near);
	r->ids = r->near_ids + n * near;
	return 0;
}

void kith_results_in_place(kith_results *r, const kith_candidates *c, const uint32_t *place, uint32_t near)
{
	*r = (kith_results){.k = c->k, .near = near, .place = place, .ids = c->id, .low = c->low, .stride = c->stride};
}

kith_row kith_results_row(const kith_results *r, uint64_t i)
{
	if (!r->place)
		return (kith_row){r->ids + i * r->k, r->near_ids + i * r->near, r->near_dist2 + i * r->near};
	float *low = r->low + r->place[i] * r->stride;
	return (kith_row){r->ids + r->place[i] * r->stride, (uint32_t *)(low + 2 * r->near), (double *)(void *)low};
}

void kith_results_free(kith_results *r)
{
	if (r->spilled && r->block)
		munmap(r->block, r->bytes);
	else
		free(r->block);
	*r = (kith_results){0};
}

/* ---- work space ---- */

void kith_refiner_init(kith_refiner *f, const kith_rows *rows, int resident, uint32_t capacity, uint32_t batch,
		       kith_workspace *w)
{
	uint64_t pool = (uint64_t)batch * capacity, row = resident ? 0 : rows->d * rows->cell;
	*f = (kith_refiner){.rows = rows, .capacity = capacity, .batch = batch};
	KITH_BUFFER(w, f->values, 3ull * capacity);
	KITH_BUFFER(w, f->ranked, capacity);
	KITH_BUFFER(w, f->start, batch + 1ull);
	KITH_BUFFER(w, f->first, batch + 1ull);
	KITH_BUFFER(w, f->open, pool);
	KITH_BUFFER(w, f->tier, pool);
	KITH_BUFFER(w, f->dist, pool);
	KITH_BUFFER(w, f->want, 2 * pool);
	KITH_BUFFER(w, f->x, batch * row);
	KITH_BUFFER(w, f->y, (KITH_SIDE + 1) * row);
	KITH_BUFFER(w, f->raw, resident ? 0 : rows->row_bytes);
	KITH_BUFFER(w, f->ids, capacity);
	KITH_BUFFER(w, f->table, 4ull * capacity + 2); /* no more are known than there is room for */
}

uint64_t kith_refiner_bytes(const kith_rows *rows, int resident, uint32_t capacity, uint32_t batch)
{
	kith_refiner f;
	kith_workspace w = {0};
	kith_refiner_init(&f, rows, resident, capacity, batch, &w);
	return kith_workspace_bytes(&w);
}

uint32_t kith_refiner_batch(const kith_rows *rows, int resident, uint32_t capacity, uint32_t most, uint64_t memory)
{
	uint32_t batch = most;
	while (batch > 1 &&
	       (kith_refiner_bytes(rows, resident, capacity, batch) > memory || (uint64_t)batch * capacity >= MAX_POOL))
		batch /= 2;
	return batch;
}

/* ---- canonical distances ---- */

/* Stable, by id: which rows want one sample then stand together. */
static void sort_wanted(struct kith_wanted *want, uint32_t count, struct kith_wanted *spare)
{
	uint32_t most = 0;
	for (uint32_t i = 0; i < count; i++)
		most |= want[i].id;
	for (int shift = 0; shift < 32 && most >> shift; shift += DIGIT) {
		uint32_t begin[1u << DIGIT] = {0}, sum = 0, mask = (1u << DIGIT) - 1;
		for (uint32_t i = 0; i < count; i++)
			begin[want[i].id >> shift & mask]++;
		for (uint32_t b = 0; b <= mask; b++) {
			uint32_t here = begin[b];
			begin[b] = sum;
			sum += here;
		}
		for (uint32_t i = 0; i < count; i++)
			spare[begin[want[i].id >> shift & mask]++] = want[i];
		memcpy(want, spare, count * sizeof *want);
	}
}

static void *row_of(const kith_rows *rows, const void *base, uint64_t i)
{
	return (char *)base + i * rows->d * rows->cell;
}

/* Rows in memory: row by row, as they are wanted. */
static void measure_in_memory(kith_refiner *f, const uint32_t *self, uint32_t count)
{
	const void *x, *y[KITH_SIDE];
	double dist[KITH_SIDE];
	for (uint32_t from = 0, to; from < count; from = to) {
		for (to = from; to < count && to < from + KITH_SIDE && f->want[to].row == f->want[from].row; to++)
			y[to - from] = row_of(f->rows, f->rows->all, f->want[to].id);
		x = row_of(f->rows, f->rows->all, self[f->want[from].row]);
		kith_canonical(f->rows, &x, 1, y, to - from, dist);
		for (uint32_t i = from; i < to; i++)
			f->dist[f->want[i].at] = dist[i - from];
	}
}

/* The first `count` of want[], grouped by row; row b of the batch is sample self[b]. From the file, sample by sample:
 * near rows want the same ones, which then are read once. */
static int measure(kith_refiner *f, const uint32_t *self, uint32_t rows, uint32_t count, kith_err *err)
{
	const void *x[KITH_SIDE], *y[KITH_SIDE];
	double dist[KITH_SIDE];
	int rc = 0;
	if (f->rows->all) {
		measure_in_memory(f, self, count);
		return 0;
	}
	for (uint32_t b = 0; !rc && b < rows; b++)
		rc = kith_rows_read_cells(f->rows, self[b], 1, row_of(f->rows, f->x, b), f->raw, err);
	if (rc)
		return rc;
	sort_wanted(f->want, count, f->want + (size_t)f->batch * f->capacity);
	uint32_t slot = 0; /* of f->y, in turn: where the sample read last is */
	for (uint32_t from = 0, to; from < count; from = to) {
		for (to = from; to < count && to < from + KITH_SIDE; to++) {
			const struct kith_wanted *want = &f->want[to];
			if (to == 0 || want->id != want[-1].id) {
				slot = (slot + 1) % (KITH_SIDE + 1);
				rc = kith_rows_read_cells(f->rows, want->id, 1, row_of(f->rows, f->y, slot), f->raw,
							  err);
				if (rc)
					return rc;
			}
			x[to - from] = row_of(f->rows, f->x, want->row);
			y[to - from] = row_of(f->rows, f->y, slot);
		}
		kith_canonical(f->rows, x, 0, y, to - from, dist);
		for (uint32_t i = from; i < to; i++)
			f->dist[f->want[i].at] = dist[i - from];
	}
	return 0;
}

/* Asks for the distances of row b of the batch, panel row r, that are UNKNOWN; returns the new number wanted. */
static uint32_t want_unknown(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b, uint32_t wanted)
{
	const uint32_t *id = c->id + (size_t)r * c->stride;
	for (uint32_t x = f->first[b]; x < f->first[b + 1]; x++)
		if (f->dist[x] == UNKNOWN)
			f->want[wanted++] = (struct kith_wanted){id[f->open[x]], b, x};
	return wanted;
}

/* Fills in those of row b's distances, panel row r, that are known from before: a table by id, half empty, is made for
 * the row. */
static void recall(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b)
{
	const uint32_t *known = c->known_id + (size_t)r * c->room_known, *id = c->id + (size_t)r * c->stride;
	const double *dist = c->known_dist + (size_t)r * c->room_known;
	uint32_t count = c->known[r], mask = 1;
	if (!count)
		return;
	while (mask < 2 * count)
		mask = 2 * mask + 1;
	memset(f->table, 0xff, (mask + 1ull) * sizeof *f->table);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = known[i] * 2654435769u >> 7 & mask;
		while (f->table[at] != UINT32_MAX)
			at = (at + 1) & mask;
		f->table[at] = i;
	}
	for (uint32_t x = f->first[b]; x < f->first[b + 1]; x++) {
		uint32_t mine = id[f->open[x]], at = mine * 2654435769u >> 7 & mask;
		while (f->table[at] != UINT32_MAX && known[f->table[at]] != mine)
			at = (at + 1) & mask;
		if (f->table[at] != UINT32_MAX)
			f->dist[x] = dist[f->table[at]];
	}
}

/* Row b of the batch, panel row r, wants the distance of candidate e. */
static inline void want(kith_refiner *f, uint32_t b, uint32_t e)
{
	f->dist[f->first[b + 1]] = UNKNOWN;
	f->open[f->first[b + 1]++] = e;
}

/* All of row r's distances, in row b of the batch. */
static uint32_t want_all(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b, uint32_t wanted)
{
	f->first[b + 1] = f->first[b];
	for (uint32_t e = 0; e < c->count[r]; e++)
		want(f, b, e);
	recall(f, c, r, b);
	return want_unknown(f, c, r, b, wanted);
}

/* Row r's candidates whose distance was wanted, in row b of the batch; returns how many. */
static uint32_t rank(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b)
{
	uint32_t count = f->first[b + 1] - f->first[b], from = f->first[b];
	const uint32_t *id = c->id + (size_t)r * c->stride;
	for (uint32_t x = 0; x < count; x++)
		f->ranked[x] = (struct kith_ranked){f->dist[from + x], id[f->open[from + x]], f->open[from + x]};
	return count;
}

int kith_refine_settle(kith_refiner *f, kith_candidates *c, uint32_t r, kith_err *err)
{
	f->first[0] = 0;
	int rc = measure(f, c->self + r, 1, want_all(f, c, r, 0, 0), err);
	if (rc)
		return rc;
	rank(f, c, r, 0);
	for (uint32_t e = 0; e < c->count[r]; e++)
		if (!(f->ranked[e].dist >= 0))
			return kith_fail(err, KITH_EIO, "%s: changed while it was read", f->rows->path);
	kith_candidates_settle(c, r, f->screen, f->ranked);
	return 0;
}

int kith_refine_bounds(kith_refiner *f, kith_candidates *c, uint32_t first, uint32_t count, kith_err *err)
{
	int rc = 0;
	for (uint32_t at = 0, rows; !rc && at < count; at += rows) {
		uint32_t wanted = 0, from = first + at;
		rows = count - at < f->batch ? count - at : f->batch;
		f->first[0] = 0;
		for (uint32_t b = 0; b < rows; b++)
			wanted = want_all(f, c, from + b, b, wanted);
		rc = measure(f, c->self + from, rows, wanted, err);
		for (uint32_t b = 0; !rc && b < rows; b++) {
			uint32_t r = from + b, measured = rank(f, c, r, b);
			kith_rank(f->ranked, measured);
			float bound =
				measured < c->k ? INFINITY : kith_screen_bound(f->screen, f->ranked[c->k - 1].dist);
			if (bound < c->bound[r])
				c->bound[r] = bound;
			c->count[r] = 0;
			c->known[r] = measured < c->room_known ? measured : c->room_known;
			for (uint32_t i = 0; i < c->known[r]; i++) {
				c->known_id[(size_t)r * c->room_known + i] = f->ranked[i].id;
				c->known_dist[(size_t)r * c->room_known + i] = f->ranked[i].dist;
			}
		}
	}
	return rc;
}

/* ---- rows ---- */

/* Boundary of the m nearest of those whose bounds are low[] and upper[]: what is provably inside (upper < *inside) and
 * provably outside (low > *outside), the m-th smallest of either. m <= count. */
static void boundary(kith_refiner *f, const float *low, const float *upper, uint32_t count, uint32_t m, float *inside,
		     float *outside)
{
	float *values = f->values, most = -INFINITY;
	uint32_t below = 0, between = 0;
	memcpy(values, low, count * sizeof *values);
	float least = *inside = kith_kth_smallest(values, count, m);
	/* The m with low <= least have upper bounds up to `most`, so the m-th smallest upper bound lies between the
	 * two, and with close bounds that is few. */
	for (uint32_t e = 0; e < count; e++)
		most = low[e] <= least && upper[e] > most ? upper[e] : most;
	for (uint32_t e = 0; e < count; e++) {
		values[between] = upper[e];
		below += upper[e] < least;
		between += upper[e] >= least && upper[e] <= most;
	}
	*outside = kith_kth_smallest(values, between, m - below);
}

/* Narrows the tier of every candidate of row r, and asks for the distances of those whose tier stays open. From the
 * last tier inwards, what is provably outside one is not looked at again: low[x] and upper[x] are of candidate at[x].
 */
static void mark(kith_refiner *f, kith_candidates *c, uint32_t r, uint32_t b)
{
	const kith_graph_info *info = f->info;
	uint32_t count = c->count[r], left = count, *at = f->ids;
	const float *bound = c->low + (size_t)r * c->stride;
	float inside = 0, outside = 0, near = -INFINITY, *low = f->values + f->capacity, *upper = low + f->capacity;
	uint8_t *tier = f->tier + f->start[b];

	f->start[b + 1] = f->start[b] + count;
	memcpy(low, bound, count * sizeof *low);
	kith_candidates_upper(c, r, upper);
	memset(tier, (int)(OUT | OUT << 4), count);
	for (uint32_t e = 0; e < count; e++)
		at[e] = e;
	for (uint32_t t = info->tiers; t-- > 0;) {
		uint32_t kept = 0;
		boundary(f, low, upper, left, info->ladder[t], &inside, &outside);
		for (uint32_t x = 0; x < left; x++) {
			uint32_t e = at[x], here = low[x] <= outside, sure = upper[x] < inside;
			uint32_t least = here ? t : tier[e] & 15, most = sure ? t : tier[e] >> 4;
			tier[e] = (uint8_t)(least | most << 4);
			low[kept] = low[x];
			upper[kept] = upper[x];
			at[kept] = e;
			kept += here;
		}
		left = kept;
		if (info->near < info->ladder[t] && info->near > (t ? info->ladder[t - 1] : 0))
			boundary(f, low, upper, left, info->near, &inside, &near);
		else if (info->near == info->ladder[t])
			near = outside;
	}
	f->first[b + 1] = f->first[b];
	for (uint32_t e = 0; e < count; e++)
		if ((tier[e] & 15) != tier[e] >> 4 || bound[e] <= near)
			want(f, b, e);
}

/* All distances wanted are there: the row, tier by tier, and its near list. Returns 0, or -1 if the bounds contradicted
 * the distances. */
static int finish(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b, kith_results *out)
{
	const kith_graph_info *info = f->info;
	const uint32_t *id = c->id + (size_t)r * c->stride;
	kith_row row = kith_results_row(out, c->self[r]);
	uint8_t *tier = f->tier + f->start[b];
	uint32_t known = rank(f, c, r, b), put[KITH_MAX_TIERS], end[KITH_MAX_TIERS], *ids = f->ids;
	int64_t open[KITH_MAX_TIERS]; /* places among the ladder[t] nearest that certain candidates leave */

	if (known < info->near)
		return -1;
	kith_rank(f->ranked, known);
	for (uint32_t t = 0; t < info->tiers; t++) {
		open[t] = info->ladder[t];
		put[t] = t ? info->ladder[t - 1] : 0;
		end[t] = info->ladder[t];
	}
	for (uint32_t e = 0; e < c->count[r]; e++)
		for (uint32_t t = tier[e] >> 4; t < info->tiers; t++)
			open[t]--;
	/* the uncertain, nearest first, each into the first tier that has a place for it */
	for (uint32_t i = 0; i < known; i++) {
		uint8_t *mine = &tier[f->ranked[i].at];
		uint32_t t = *mine & 15, most = *mine >> 4;
		while (t < most && t < info->tiers && open[t] <= 0)
			t++;
		*mine = (uint8_t)((*mine & 0xf0) | (t < info->tiers ? t : OUT));
		for (; t < most && t < info->tiers; t++)
			open[t]--;
	}
	for (uint32_t t = 0; t < info->tiers; t++)
		if (open[t] != 0)
			return -1;
	for (uint32_t e = 0; e < c->count[r]; e++) {
		uint32_t t = tier[e] & 15;
		if (t >= info->tiers)
			continue;
		if (put[t] == end[t])
			return -1;
		ids[put[t]++] = id[e];
	}
	for (uint32_t i = 0; i < info->near; i++) {
		row.near_ids[i] = f->ranked[i].id;
		row.near_dist2[i] = f->ranked[i].dist;
	}
	memcpy(row.ids, ids, out->k * sizeof *ids); /* perhaps over the candidates */
	return 0;
}

int kith_refine_rows(kith_refiner *f, kith_candidates *c, uint32_t first, uint32_t count, kith_results *results,
		     kith_err *err)
{
	for (uint32_t at = 0, rows; at < count; at += rows) {
		uint32_t wanted = 0, from = first + at;
		rows = count - at < f->batch ? count - at : f->batch;
		f->start[0] = f->first[0] = 0;
		for (uint32_t b = 0; b < rows; b++) {
			if (c->count[from + b] < c->k)
				return kith_fail(err, KITH_EBUG, "%s: a bound was broken: please report this",
						 f->rows->path);
			mark(f, c, from + b, b);
			recall(f, c, from + b, b);
			wanted = want_unknown(f, c, from + b, b, wanted);
		}
		int rc = measure(f, c->self + from, rows, wanted, err);
		for (uint32_t b = 0; !rc && b < rows; b++)
			if (finish(f, c, from + b, b, results))
				rc = kith_fail(err, KITH_EBUG, "%s: a bound was broken: please report this",
					       f->rows->path);
		if (rc)
			return rc;
	}
	return 0;
}
