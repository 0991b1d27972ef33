/* refine.c - see refine.h */
#include "refine.h"

#include <math.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "select.h"

#define OUT      15u    /* a tier beyond the ladder */
#define UNKNOWN  (-1.0) /* a distance not yet computed */
#define DIGIT    11
#define MAX_POOL (1u << 30) /* candidates of a batch: their places are 32 bits */
#define WINDOW   (1u << 17) /* bytes read from the file before they are measured, about */
#define GAP      2048u      /* bytes that nobody wants take less time to read than another call of the system */

/* A distance to compute: dist[at], of sample `id` to row `row` of the batch. */
struct kith_wanted {
	uint32_t id, row, at;
};

/* ---- results ---- */

uint64_t kith_results_bytes(uint64_t n, uint32_t k, uint32_t near)
{
	return n * (4ull * k + 12ull * near) + 256;
}

/* A row in a file: aligned for doubles, and to pages where that adds no more than an eighth. */
static uint64_t record_bytes(uint64_t k, uint64_t near)
{
	uint64_t bytes = (4 * k + 12 * near + 7) / 8 * 8, pages = (bytes + KITH_PAGE - 1) / KITH_PAGE * KITH_PAGE;
	return pages - bytes <= bytes / 8 ? pages : bytes;
}

int kith_results_init(kith_results *r, uint64_t n, uint32_t k, uint32_t near, const char *spill, kith_err *err)
{
	kith_workspace w = {0};
	*r = (kith_results){.k = k, .near = near, .left = r->left};
	if (spill && k) {
		r->record = record_bytes(k, near);
		KITH_BUFFER(&w, r->records, n * r->record);
	} else {
		KITH_BUFFER(&w, r->near_dist2, n * near);
		KITH_BUFFER(&w, r->near_ids, n * near);
		KITH_BUFFER(&w, r->ids, n * k);
	}
	return kith_area_alloc(&r->area, &w, spill, "the neighbours", err);
}

void kith_results_in_place(kith_results *r, const kith_candidates *c, const uint32_t *place, uint32_t near)
{
	*r = (kith_results){.k = c->k,
			    .near = near,
			    .place = place,
			    .ids = c->id,
			    .low = c->low,
			    .stride = c->stride,
			    .left = r->left};
}

kith_row kith_results_row(const kith_results *r, uint64_t i)
{
	uint64_t at = r->place ? r->place[i] : i;
	if (r->record) {
		char *record = r->records + at * r->record;
		uint32_t *near_ids = (uint32_t *)(void *)(record + 8 * (uint64_t)r->near);
		return (kith_row){near_ids + r->near, near_ids, (double *)(void *)record};
	}
	if (r->area.at)
		return (kith_row){r->ids + at * r->k, r->near_ids + at * r->near, r->near_dist2 + at * r->near};
	float *low = r->low + at * r->stride;
	return (kith_row){r->ids + at * r->stride, (uint32_t *)(low + 2 * r->near), (double *)(void *)low};
}

void kith_results_free(kith_results *r)
{
	kith_area_free(&r->area);
	*r = (kith_results){0};
}

/* ---- work space ---- */

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

void kith_refiner_init(kith_refiner *f, const kith_vectors *vectors, int resident, uint32_t capacity, uint32_t batch,
		       kith_workspace *w)
{
	uint64_t bytes = vectors->d * vectors->value_size, sample = resident ? 0 : bytes;
	uint64_t pool = resident ? (uint64_t)batch * capacity : capacity + (batch - 1ull) * ((capacity + 1) / 2);
	int as_stored = vectors->value_size == sizeof(float) && vectors->row_bytes == bytes; /* is read in place */
	*f = (kith_refiner){.vectors = vectors, .capacity = capacity, .batch = batch, .pool = (uint32_t)pool};
	f->slots = (uint32_t)clamp(WINDOW / bytes, KITH_CANONICAL_PAIRS + 1, 1024);
	f->gap = (uint32_t)(GAP / vectors->row_bytes);
	KITH_BUFFER(w, f->values, 4ull * capacity);
	KITH_BUFFER(w, f->ranked, capacity);
	KITH_BUFFER(w, f->ids, capacity);
	KITH_BUFFER(w, f->start, batch + 1ull);
	KITH_BUFFER(w, f->tiers, pool);
	KITH_BUFFER(w, f->first, batch + 1ull);
	KITH_BUFFER(w, f->open, pool);
	KITH_BUFFER(w, f->dist, pool);
	KITH_BUFFER(w, f->want, 2 * clamp(pool, batch, UINT64_MAX));
	KITH_BUFFER(w, f->x, batch * sample);
	KITH_BUFFER(w, f->y, f->slots * sample);
	KITH_BUFFER(w, f->raw, resident || as_stored ? 0 : f->slots * vectors->row_bytes);
	KITH_BUFFER(w, f->table, 4ull * capacity + 2); /* no more are known than there is room for */
}

uint64_t kith_refiner_bytes(const kith_vectors *vectors, int resident, uint32_t capacity, uint32_t batch)
{
	kith_refiner f;
	kith_workspace w = {0};
	kith_refiner_init(&f, vectors, resident, capacity, batch, &w);
	return kith_workspace_bytes(&w);
}

uint32_t kith_refiner_batch(const kith_vectors *vectors, int resident, uint32_t capacity, uint32_t most,
			    uint64_t memory)
{
	uint32_t batch = most;
	while (batch > 1 && ((uint64_t)batch * capacity >= MAX_POOL ||
			     kith_refiner_bytes(vectors, resident, capacity, batch) > memory))
		batch /= 2;
	return batch;
}

/* ---- canonical distances ---- */

/* Sorts by sample, stably: the rows that want one sample then stand together. */
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

static struct kith_wanted *spare_of(const kith_refiner *f)
{
	return f->want + (f->pool > f->batch ? f->pool : f->batch);
}

static uint64_t bytes_of(const kith_refiner *f)
{
	return f->vectors->d * f->vectors->value_size;
}

/* Puts the distances of the pairs want[from..to-1] in their places. */
static void measure_pairs(kith_refiner *f, const void *const *x, int one, const void *const *y, uint32_t from,
			  uint32_t to)
{
	double dist[KITH_CANONICAL_PAIRS];
	kith_canonical_distances(f->vectors, x, one, y, to - from, dist);
	for (uint32_t i = from; i < to; i++)
		f->dist[f->want[i].at] = dist[i - from];
}

/* Samples in memory: row by row, as they are wanted. */
static void measure_in_memory(kith_refiner *f, const uint32_t *self)
{
	const void *x, *y[KITH_CANONICAL_PAIRS];
	for (uint32_t from = 0, to; from < f->wanted; from = to) {
		uint32_t row = f->want[from].row, end = from + KITH_CANONICAL_PAIRS;
		for (to = from; to < f->wanted && to < end && f->want[to].row == row; to++)
			y[to - from] = kith_vectors_at(f->vectors, f->want[to].id);
		x = kith_vectors_at(f->vectors, self[row]);
		measure_pairs(f, &x, 1, y, from, to);
	}
}

/* want[from..] stand in the order of their samples. Reads those of the first into the slots, as many as there is room
 * for: samples that lie together in the file at once. Where a sample is takes the place of its id. Returns up to which
 * want[] it has them. */
static int read_slots(kith_refiner *f, uint32_t from, uint32_t count, uint32_t *until, kith_err *err)
{
	uint32_t used = 0, to = from;
	while (to < count && used < f->slots) {
		uint32_t first = f->want[to].id, last = first, begin = to;
		for (; to < count && f->want[to].id - last <= f->gap + 1 && f->want[to].id - first < f->slots - used;
		     to++)
			last = f->want[to].id;
		int rc = kith_vectors_read_values(f->vectors, first, last - first + 1ull, f->y + used * bytes_of(f),
						  f->raw, err);
		if (rc)
			return rc;
		for (uint32_t i = begin; i < to; i++)
			f->want[i].id = used + f->want[i].id - first;
		used += last - first + 1;
	}
	*until = to;
	return 0;
}

/* The samples self[0..rows-1] into f->x. */
static int read_rows(kith_refiner *f, const uint32_t *self, uint32_t rows, kith_err *err)
{
	int rc = 0;
	for (uint32_t b = 0; b < rows; b++)
		f->want[b] = (struct kith_wanted){self[b], b, 0};
	sort_wanted(f->want, rows, spare_of(f));
	for (uint32_t from = 0, to; !rc && from < rows; from = to) {
		if ((rc = read_slots(f, from, rows, &to, err)))
			break;
		for (uint32_t i = from; i < to; i++)
			memcpy(f->x + f->want[i].row * bytes_of(f), f->y + f->want[i].id * bytes_of(f), bytes_of(f));
	}
	return rc;
}

/* From the file, in its order: near rows want the same samples, which then are read once. The rows must be in f->x. */
static int measure_from_file(kith_refiner *f, kith_err *err)
{
	const void *x[KITH_CANONICAL_PAIRS], *y[KITH_CANONICAL_PAIRS];
	int rc = 0;
	sort_wanted(f->want, f->wanted, spare_of(f));
	for (uint32_t from = 0, end; !rc && from < f->wanted; from = end) {
		rc = read_slots(f, from, f->wanted, &end, err);
		for (uint32_t at = from, to; !rc && at < end; at = to) {
			for (to = at; to < end && to < at + KITH_CANONICAL_PAIRS; to++) {
				x[to - at] = f->x + f->want[to].row * bytes_of(f);
				y[to - at] = f->y + f->want[to].id * bytes_of(f);
			}
			measure_pairs(f, x, 0, y, at, to);
		}
	}
	return rc;
}

/* Before rows are wanted: where they come from the file they are read now, as want[] is free. Row b of the batch is
 * sample self[b]. */
static int begin(kith_refiner *f, const uint32_t *self, uint32_t rows, kith_err *err)
{
	f->start[0] = f->first[0] = f->wanted = 0;
	return f->vectors->all ? 0 : read_rows(f, self, rows, err);
}

/* Computes the distances in want[], which is grouped by row. */
static int measure(kith_refiner *f, const uint32_t *self, kith_err *err)
{
	if (!f->vectors->all)
		return measure_from_file(f, err);
	measure_in_memory(f, self);
	return 0;
}

/* Row b of the batch needs the distance of its candidate e. */
static inline void need(kith_refiner *f, uint32_t b, uint32_t e)
{
	f->dist[f->first[b + 1]] = UNKNOWN;
	f->open[f->first[b + 1]++] = e;
}

static void need_all(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b)
{
	f->first[b + 1] = f->first[b];
	for (uint32_t e = 0; e < c->count[r]; e++)
		need(f, b, e);
}

static inline uint32_t slot_of(uint32_t id, uint32_t mask)
{
	return id * 2654435769u >> 7 & mask; /* Knuth's multiplicative hash */
}

/* Fills in those of the distances that row b of the batch, panel row r, needs and that are known from before. A table
 * by id, half empty, is made for the row. */
static void use_known(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b)
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
		uint32_t at = slot_of(known[i], mask);
		while (f->table[at] != UINT32_MAX)
			at = (at + 1) & mask;
		f->table[at] = i;
	}
	for (uint32_t x = f->first[b]; x < f->first[b + 1]; x++) {
		uint32_t mine = id[f->open[x]], at = slot_of(mine, mask);
		while (f->table[at] != UINT32_MAX && known[f->table[at]] != mine)
			at = (at + 1) & mask;
		if (f->table[at] != UINT32_MAX)
			f->dist[x] = dist[f->table[at]];
	}
}

/* Asks for the distances that row b of the batch, panel row r, needs and nobody knows. */
static void want_unknown(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b)
{
	const uint32_t *id = c->id + (size_t)r * c->stride;
	use_known(f, c, r, b);
	for (uint32_t x = f->first[b]; x < f->first[b + 1]; x++)
		if (f->dist[x] == UNKNOWN)
			f->want[f->wanted++] = (struct kith_wanted){id[f->open[x]], b, x};
}

/* The candidates of row b of the batch, panel row r, whose distances it needed; returns how many. */
static uint32_t list_measured(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b)
{
	uint32_t count = f->first[b + 1] - f->first[b], from = f->first[b];
	const uint32_t *id = c->id + (size_t)r * c->stride;
	for (uint32_t x = 0; x < count; x++)
		f->ranked[x] = (struct kith_ranked){f->dist[from + x], id[f->open[from + x]], f->open[from + x]};
	return count;
}

int kith_refine_settle(kith_refiner *f, kith_candidates *c, uint32_t r, kith_err *err)
{
	int rc = begin(f, c->self + r, 1, err);
	if (rc)
		return rc;
	need_all(f, c, r, 0);
	want_unknown(f, c, r, 0);
	if ((rc = measure(f, c->self + r, err)))
		return rc;
	list_measured(f, c, r, 0);
	for (uint32_t e = 0; e < c->count[r]; e++)
		if (!(f->ranked[e].dist >= 0))
			return kith_fail(err, KITH_EIO, "%s: changed while it was read", f->vectors->path);
	kith_candidates_settle(c, r, f->scaling, f->ranked);
	return 0;
}

/* Panel row r keeps what was measured of it as known, and its bound. */
static void keep_measured(kith_refiner *f, kith_candidates *c, uint32_t r, uint32_t measured)
{
	uint32_t *id = c->known_id + (size_t)r * c->room_known;
	double *dist = c->known_dist + (size_t)r * c->room_known;
	kith_rank(&f->vectors->ties, f->ranked, measured);
	float bound = measured < c->k ? INFINITY : kith_scaling_bound(f->scaling, f->ranked[c->k - 1].dist);
	if (bound < c->bound[r])
		c->bound[r] = bound;
	c->count[r] = 0;
	c->known[r] = measured < c->room_known ? measured : c->room_known;
	for (uint32_t i = 0; i < c->known[r]; i++) {
		id[i] = f->ranked[i].id;
		dist[i] = f->ranked[i].dist;
	}
}

/* How many of panel rows first..first+count-1, which are no more than a batch, the pool has room for. */
static uint32_t fitting(const kith_refiner *f, const kith_candidates *c, uint32_t first, uint32_t count)
{
	uint32_t rows = 0;
	for (uint64_t sum = 0; rows < count && (sum += c->count[first + rows]) <= f->pool;)
		rows++;
	return rows;
}

static int bound_some(kith_refiner *f, kith_candidates *c, uint32_t first, uint32_t count, kith_err *err)
{
	int rc = begin(f, c->self + first, count, err);
	for (uint32_t b = 0; !rc && b < count; b++) {
		need_all(f, c, first + b, b);
		want_unknown(f, c, first + b, b);
	}
	if (!rc)
		rc = measure(f, c->self + first, err);
	for (uint32_t b = 0; !rc && b < count; b++)
		keep_measured(f, c, first + b, list_measured(f, c, first + b, b));
	return rc;
}

int kith_refine_bounds(kith_refiner *f, kith_candidates *c, uint32_t first, uint32_t count, kith_err *err)
{
	int rc = 0;
	for (uint32_t done = 0, some; !rc && done < count; done += some) {
		some = fitting(f, c, first + done, count - done);
		rc = bound_some(f, c, first + done, some, err);
	}
	return rc;
}

/* ---- rows ---- */

/* The tiers that a candidate may be in, in a byte. */
static inline uint8_t tiers_of(uint32_t lowest, uint32_t highest)
{
	return (uint8_t)(lowest | highest << 4);
}

static inline uint32_t lowest_tier(uint8_t tiers)
{
	return tiers & 15;
}

static inline uint32_t highest_tier(uint8_t tiers)
{
	return tiers >> 4;
}

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
	for (uint32_t e = 0; e < count; e++) {
		float here = low[e] <= least ? upper[e] : -INFINITY; /* half of them: a branch would be guessed wrong */
		most = here > most ? here : most;
	}
	for (uint32_t e = 0; e < count; e++) {
		values[between] = upper[e];
		below += upper[e] < least;
		between += (upper[e] >= least) & (upper[e] <= most);
	}
	*outside = kith_kth_smallest(values, between, m - below);
}

/* Those of `count` bounds that are not provably outside, to the front of two arrays, which may be the same. Returns how
 * many. */
static uint32_t keep_within(const float *low, const float *upper, uint32_t count, float outside, float *kept_low,
			    float *kept_upper)
{
	uint32_t kept = 0;
	for (uint32_t x = 0; x < count; x++) {
		uint32_t here = low[x] <= outside;
		kept_low[kept] = low[x];
		kept_upper[kept] = upper[x];
		kept += here;
	}
	return kept;
}

/* Each candidate that a tier leaves out, surely or perhaps, is in the next one at the lowest, or at the highest. */
KITH_CLONES static void pass_tier(const float *low, const float *upper, uint32_t count, float inside, float outside,
				  uint8_t *tiers)
{
	for (uint32_t e = 0; e < count; e++)
		tiers[e] = (uint8_t)(tiers[e] + !(low[e] <= outside) + (!(upper[e] < inside) << 4));
}

/* What all `last` tiers have left out is beyond the ladder. */
KITH_CLONES static void mark_out(uint8_t *tiers, uint32_t count, uint32_t last)
{
	for (uint32_t e = 0; e < count; e++) {
		uint32_t lowest = lowest_tier(tiers[e]), highest = highest_tier(tiers[e]);
		tiers[e] = tiers_of(lowest == last ? OUT : lowest, highest == last ? OUT : highest);
	}
}

/* Narrows the tiers of every candidate of row r, and needs the distances of those that more than one is left of.
 * Boundaries are found from the last tier inwards: what is provably outside one is not looked at again. As they do not
 * descend from tier to tier, how many a candidate is outside of says which tier it is in. */
static void narrow_tiers(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b)
{
	const kith_graph_info *info = f->info;
	uint32_t count = c->count[r], left = count;
	const float *bound = c->low + (size_t)r * c->stride, *low = bound;
	float *kept_low = f->values + f->capacity, *kept_upper = kept_low + f->capacity;
	float *all_upper = kept_upper + f->capacity, *upper = all_upper, inside, outside, near = -INFINITY, unused;
	uint8_t *tiers = f->tiers + f->start[b];

	f->start[b + 1] = f->start[b] + count;
	kith_candidates_upper(c, r, all_upper);
	memset(tiers, 0, count);
	for (uint32_t t = info->tiers; t-- > 0;) {
		boundary(f, low, upper, left, info->ladder[t], &inside, &outside);
		pass_tier(bound, all_upper, count, inside, outside, tiers);
		left = keep_within(low, upper, left, outside, kept_low, kept_upper);
		low = kept_low;
		upper = kept_upper;
		if (info->near < info->ladder[t] && info->near > (t ? info->ladder[t - 1] : 0))
			boundary(f, low, upper, left, info->near, &unused, &near);
		else if (info->near == info->ladder[t])
			near = outside;
	}
	mark_out(tiers, count, info->tiers);
	f->first[b + 1] = f->first[b];
	for (uint32_t e = 0; e < count; e++)
		if (lowest_tier(tiers[e]) != highest_tier(tiers[e]) || bound[e] <= near)
			need(f, b, e);
}

/* Places the candidates that may be in several tiers, which ranked[] has nearest first, each into the first that has
 * room for it. Returns 0, or -1 if a tier is not full then. */
static int place_open(const kith_refiner *f, uint8_t *tiers, uint32_t candidates, uint32_t ranked)
{
	const kith_graph_info *info = f->info;
	int64_t open[KITH_MAX_TIERS]; /* places among the ladder[t] nearest that certain candidates leave */
	uint32_t certain[OUT + 1] = {0}, within = 0;
	for (uint32_t e = 0; e < candidates; e++)
		certain[highest_tier(tiers[e])]++;
	for (uint32_t t = 0; t < info->tiers; t++)
		open[t] = (int64_t)info->ladder[t] - (within += certain[t]);
	for (uint32_t i = 0; i < ranked; i++) {
		uint8_t *mine = &tiers[f->ranked[i].at];
		uint32_t t = lowest_tier(*mine), highest = highest_tier(*mine);
		while (t < highest && t < info->tiers && open[t] <= 0)
			t++;
		*mine = tiers_of(t < info->tiers ? t : OUT, highest);
		for (; t < highest && t < info->tiers; t++)
			open[t]--;
	}
	for (uint32_t t = 0; t < info->tiers; t++)
		if (open[t] != 0)
			return -1;
	return 0;
}

/* A sample that is as far as the m-th neighbour is within no bound, so its distance is known, or settling dropped it.
 * Of row r, tier t: how many samples that are not among the ladder[t] nearest are exactly as far as the last of these,
 * and how many are in all. */
static uint64_t tied_beyond(const kith_refiner *f, const kith_candidates *c, uint32_t r, const uint8_t *tiers,
			    uint32_t known, uint32_t t, uint64_t *equal)
{
	const kith_vectors *v = f->vectors;
	uint32_t self = c->self[r], left = f->info->ladder[t], at = 0;
	uint64_t beyond = 0;
	double far = -1;
	for (uint32_t e = 0; e < c->count[r]; e++)
		left -= highest_tier(tiers[e]) <= t;
	*equal = 0;
	for (; at < known && (left || f->ranked[at].dist == far); at++) {
		uint8_t mine = tiers[f->ranked[at].at];
		if (lowest_tier(mine) > t || highest_tier(mine) <= t)
			continue;
		uint32_t id = f->ranked[at].id, weight = c->weight ? c->weight[id] : 1;
		*equal = f->ranked[at].dist == far ? *equal + weight : weight;
		beyond = f->ranked[at].dist == far ? beyond : 0;
		beyond += left ? weight - kith_vectors_weight(v, id) : weight;
		far = f->ranked[at].dist;
		left -= left > 0;
	}
	uint64_t more = c->tied[r] && far == c->tied_at[r] ? c->tied[r] : 0;
	if (far == 0 && c->weight) /* copies of its own; of one that is left out, itself is among its twin's */
		more += (uint64_t)c->weight[self] - kith_vectors_weight(v, self);
	*equal += more;
	return beyond + more;
}

/* Before the row is placed: counts its ties. */
static void count_ties(const kith_refiner *f, const kith_candidates *c, uint32_t r, const uint8_t *tiers,
		       uint32_t known, kith_results *out)
{
	uint64_t beyond = 0, equal, rows = c->weight ? c->weight[c->self[r]] : 1;
	int any = c->tied[r] > 0 || c->weight;
	for (uint32_t i = 1; i < known && !any; i++)
		any = f->ranked[i].dist == f->ranked[i - 1].dist;
	for (uint32_t t = 0; any && t < f->info->tiers; t++) {
		if (!(beyond = tied_beyond(f, c, r, tiers, known, t, &equal)) || !rows)
			continue;
		__atomic_fetch_add(&out->tied.rows[t], rows, __ATOMIC_RELAXED);
		for (uint64_t most = __atomic_load_n(&out->tied.most[t], __ATOMIC_RELAXED); most < equal;)
			if (__atomic_compare_exchange_n(&out->tied.most[t], &most, equal, 1, __ATOMIC_RELAXED,
							__ATOMIC_RELAXED))
				break;
	}
	if (out->left)
		out->left[c->self[r]] = beyond;
}

/* All distances are there that row b of the batch, panel row r, needed: the row, tier by tier, and its near list.
 * Returns 0, or -1 if the bounds contradicted the distances. */
static int finish(kith_refiner *f, const kith_candidates *c, uint32_t r, uint32_t b, kith_results *out)
{
	const kith_graph_info *info = f->info;
	const uint32_t *id = c->id + (size_t)r * c->stride;
	kith_row row = kith_results_row(out, c->self[r]);
	uint8_t *tiers = f->tiers + f->start[b];
	uint32_t known = list_measured(f, c, r, b), put[KITH_MAX_TIERS], *ids = f->ids;

	kith_rank(&f->vectors->ties, f->ranked, known);
	count_ties(f, c, r, tiers, known, out);
	if (known < info->near || place_open(f, tiers, c->count[r], known))
		return -1;
	for (uint32_t t = 0; t < info->tiers; t++)
		put[t] = t ? info->ladder[t - 1] : 0;
	for (uint32_t e = 0; e < c->count[r]; e++) {
		uint32_t t = lowest_tier(tiers[e]);
		if (t >= info->tiers)
			continue;
		if (put[t] == info->ladder[t])
			return -1;
		ids[put[t]++] = id[e];
	}
	for (uint32_t i = 0; i < info->near; i++) {
		row.near_ids[i] = f->ranked[i].id;
		row.near_dist2[i] = f->ranked[i].dist;
	}
	memcpy(row.ids, ids, out->k * sizeof *ids); /* last, as the row may lie where the candidates do */
	return 0;
}

static int broken(const kith_refiner *f, kith_err *err)
{
	return kith_fail(err, KITH_EBUG, "%s: a bound was broken: please report this", f->vectors->path);
}

static int finish_some(kith_refiner *f, const kith_candidates *c, uint32_t first, uint32_t count, kith_results *results,
		       kith_err *err)
{
	int rc = begin(f, c->self + first, count, err);
	for (uint32_t b = 0; !rc && b < count; b++) {
		if (c->count[first + b] < c->k)
			return broken(f, err);
		narrow_tiers(f, c, first + b, b);
		want_unknown(f, c, first + b, b);
	}
	if (!rc)
		rc = measure(f, c->self + first, err);
	for (uint32_t b = 0; !rc && b < count; b++)
		if (finish(f, c, first + b, b, results))
			rc = broken(f, err);
	return rc;
}

int kith_refine_rows(kith_refiner *f, const kith_candidates *c, uint32_t first, uint32_t count, kith_results *results,
		     kith_err *err)
{
	int rc = 0;
	for (uint32_t done = 0, some; !rc && done < count; done += some) {
		some = fitting(f, c, first + done, count - done);
		rc = finish_some(f, c, first + done, some, results, err);
	}
	return rc;
}
