/* cells.c - see cells.h */
#include "cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matrix.h"
#include "workspace.h"

#define MOST_LEVELS 7u  /* 2^7 = KITH_CELLS_MOST */
#define LLOYD       8   /* iterations: leaders need not be the best */
#define POWER       12  /* iterations: nor need cuts */
#define A_LEADER    32u /* points */
#define MOST_SUM    6.0 /* times as many samples in all cells as there are: more memory is the cheaper */
#define MOST_REACH  2.0
#define REACH_STEPS 8    /* of a bisection */
#define CHUNK       256u /* points that a thread takes together */

struct maker {
	const kith_cells_sample *sample;
	kith_cells *out;
	uint64_t led;    /* the first of the points: leaders are made of them, sizes of the others */
	double *work;    /* points x leaders: squared distances */
	double *row;     /* the same of the rows */
	double *sum;     /* leaders x dims */
	double *weight;  /* leaders: points whose nearest they are */
	double *axis;    /* 2 x dims */
	double *along;   /* leaders: how far along an axis */
	uint32_t *order; /* leaders: those of one group stand together */
	uint32_t first[KITH_CELLS_MOST + 1]; /* where each group begins */
};

/* ---- leaders ---- */

/* The squared distances of points and leaders, but for rounding. */
static void distances(const kith_cells *c, const double *point, uint64_t count, double *out)
{
	kith_multiply(1, 0, 1, count, c->leaders, c->dims, point, c->dims, c->leader, out);
	for (uint64_t i = 0; i < count; i++) {
		double norm = 0;
		for (uint32_t t = 0; t < c->dims; t++)
			norm += point[i * c->dims + t] * point[i * c->dims + t];
		for (uint32_t l = 0; l < c->leaders; l++) {
			double *x = &out[i * c->leaders + l];
			*x = fmax(norm + c->norm[l] - 2 * *x, 0);
		}
	}
}

/* The same of many points; not by threads within a product, lest rounding depends on how many there are. */
static void all_distances(const struct maker *m, const double *point, uint64_t count, double *out)
{
	const kith_cells *c = m->out;
#pragma omp parallel for num_threads(m->sample->threads) schedule(dynamic, 1)
	for (uint64_t i = 0; i < count; i += CHUNK)
		distances(c, point + i * c->dims, count - i < CHUNK ? count - i : CHUNK, out + i * c->leaders);
}

static uint32_t nearest(const double *distance, uint32_t leaders)
{
	uint32_t best = 0;
	for (uint32_t l = 1; l < leaders; l++)
		best = distance[l] < distance[best] ? l : best;
	return best;
}

static void find_norms(kith_cells *c)
{
	for (uint32_t l = 0; l < c->leaders; l++) {
		c->norm[l] = 0;
		for (uint32_t t = 0; t < c->dims; t++)
			c->norm[l] += c->leader[l * c->dims + t] * c->leader[l * c->dims + t];
	}
}

/* An iteration of Lloyd's: leaders become the means of the points that are theirs. Without any, one stays. */
static void move_leaders(struct maker *m)
{
	kith_cells *c = m->out;
	const kith_cells_sample *s = m->sample;
	memset(m->sum, 0, (size_t)c->leaders * c->dims * sizeof *m->sum);
	memset(m->weight, 0, c->leaders * sizeof *m->weight);
	all_distances(m, s->point, m->led, m->work);
	for (uint64_t i = 0; i < m->led; i++) {
		uint32_t own = nearest(m->work + i * c->leaders, c->leaders);
		m->weight[own]++;
		for (uint32_t t = 0; t < c->dims; t++)
			m->sum[own * c->dims + t] += s->point[i * c->dims + t];
	}
	for (uint32_t l = 0; l < c->leaders; l++)
		for (uint32_t t = 0; m->weight[l] > 0 && t < c->dims; t++)
			c->leader[l * c->dims + t] = m->sum[l * c->dims + t] / m->weight[l];
	find_norms(c);
}

static void find_leaders(struct maker *m)
{
	kith_cells *c = m->out;
	const kith_cells_sample *s = m->sample;
	for (uint32_t l = 0; l < c->leaders; l++)
		memcpy(c->leader + l * c->dims, s->point + l * m->led / c->leaders * c->dims,
		       c->dims * sizeof *c->leader);
	find_norms(c);
	for (int i = 0; i < LLOYD; i++)
		move_leaders(m);
	all_distances(m, s->point, s->count, m->work);
	all_distances(m, s->row, s->rows * (1 + s->neighbours), m->row);
}

/* ---- groups of leaders ---- */

/* How far leaders are along the direction in which they vary most: by power iteration, from a difference of two. */
static void find_axis(struct maker *m, const uint32_t *id, uint32_t count)
{
	const kith_cells *c = m->out;
	double *axis = m->axis, *mean = m->axis + c->dims;
	memset(mean, 0, c->dims * sizeof *mean);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t t = 0; t < c->dims; t++)
			mean[t] += c->leader[id[i] * c->dims + t] / count;
	for (uint32_t t = 0; t < c->dims; t++)
		axis[t] = c->leader[id[0] * c->dims + t] - c->leader[id[count - 1] * c->dims + t];
	for (int round = 0; round <= POWER; round++) {
		double norm = 0;
		for (uint32_t i = 0; i < count; i++) {
			m->along[id[i]] = 0;
			for (uint32_t t = 0; t < c->dims; t++)
				m->along[id[i]] += axis[t] * (c->leader[id[i] * c->dims + t] - mean[t]);
			norm = fmax(norm, fabs(m->along[id[i]]));
		}
		if (round == POWER || !(norm > 0))
			return;
		memset(axis, 0, c->dims * sizeof *axis);
		for (uint32_t i = 0; i < count; i++)
			for (uint32_t t = 0; t < c->dims; t++)
				axis[t] += m->along[id[i]] / norm * (c->leader[id[i] * c->dims + t] - mean[t]);
	}
}

static void sort_along(const struct maker *m, uint32_t *id, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		uint32_t one = id[i], at = i;
		for (; at && m->along[id[at - 1]] > m->along[one]; at--)
			id[at] = id[at - 1];
		id[at] = one;
	}
}

/* Halves a group, by the points of its leaders. Returns how many leaders come first. */
static uint32_t halve(struct maker *m, uint32_t *id, uint32_t count)
{
	double all = 0, left = 0;
	uint32_t cut = 0;
	find_axis(m, id, count);
	sort_along(m, id, count);
	for (uint32_t i = 0; i < count; i++)
		all += m->weight[id[i]];
	while (cut < count - 1 && (!cut || left + m->weight[id[cut]] / 2 <= all / 2))
		left += m->weight[id[cut++]];
	return cut;
}

/* Every group of two leaders or more becomes two. Returns how many groups there are then. */
static uint32_t halve_groups(struct maker *m, uint32_t groups)
{
	uint32_t begin[KITH_CELLS_MOST + 1], made = 0;
	for (uint32_t g = 0; g < groups; g++) {
		uint32_t from = m->first[g], count = m->first[g + 1] - from;
		begin[made++] = from;
		if (count > 1)
			begin[made++] = from + halve(m, m->order + from, count);
	}
	begin[made] = m->first[groups];
	memcpy(m->first, begin, (made + 1) * sizeof *begin);
	return made;
}

/* ---- cells of points ---- */

static void find_cells(const kith_cells *c, const double *distance, kith_cells_set *out)
{
	double limit = distance[nearest(distance, c->leaders)] * c->reach * c->reach;
	memset(out, 0, sizeof *out);
	for (uint32_t l = 0; l < c->leaders; l++)
		if (distance[l] <= limit)
			out->bits[c->cell[l] / 64] |= 1ull << (c->cell[l] & 63);
}

void kith_cells_of(const kith_cells *c, const double *point, uint64_t count, double *work, kith_cells_set *out)
{
	distances(c, point, count, work);
	for (uint64_t i = 0; i < count; i++)
		find_cells(c, work + i * c->leaders, &out[i]);
}

/* How large the cells are, and what they lose. */
static void measure(struct maker *m)
{
	kith_cells *c = m->out;
	const kith_cells_sample *s = m->sample;
	uint64_t size[KITH_CELLS_MOST] = {0}, lost = 0, sum = 0, largest = 0, smallest = s->count, all = s->count;
	kith_cells_set own, other;
	for (uint64_t i = m->led % s->count; i < s->count; i++) {
		find_cells(c, m->work + i * c->leaders, &own);
		for (uint32_t g = 0; g < c->count; g++)
			size[g] += own.bits[g / 64] >> (g & 63) & 1;
	}
	for (uint32_t g = 0; g < c->count; g++) {
		sum += size[g];
		largest = size[g] > largest ? size[g] : largest;
		smallest = size[g] < smallest ? size[g] : smallest;
	}
	for (uint64_t r = 0; r < s->rows; r++) {
		const double *distance = m->row + r * (1 + s->neighbours) * c->leaders;
		find_cells(c, distance, &own);
		for (uint32_t i = 1; i <= s->neighbours; i++) {
			uint64_t both = 0;
			find_cells(c, distance + (size_t)i * c->leaders, &other);
			for (uint32_t w = 0; w < KITH_CELLS_MOST / 64; w++)
				both |= own.bits[w] & other.bits[w];
			lost += !both;
		}
	}
	all -= m->led % s->count;
	c->sum = (double)sum / (double)all;
	c->largest = (double)largest / (double)all;
	c->smallest = (double)smallest / (double)all;
	c->lost = s->rows ? (double)lost / ((double)s->rows * s->neighbours) : 0;
}

/* ---- the choice ---- */

/* Whether x is to be preferred to y. */
static int better(const kith_cells *x, const kith_cells *y, double lost)
{
	if (!y->count || (x->lost <= lost) != (y->lost <= lost))
		return !y->count || x->lost <= lost;
	return x->lost <= lost ? x->sum < y->sum : x->lost < y->lost;
}

/* Tries the groups there are, with the least reach that loses no more than is allowed. Returns whether the cells have a
 * size that will do. */
static int try_groups(struct maker *m, const kith_cells_wish *wish, kith_cells *out)
{
	kith_cells *c = m->out;
	double low = 1, high = MOST_REACH;
	*out = (kith_cells){0};
	c->reach = low;
	for (int step = 0; step < REACH_STEPS && high > 1; step++) {
		measure(m);
		int fits =
			c->smallest >= wish->least && (wish->count || (c->largest <= wish->most && c->sum <= MOST_SUM));
		if (fits && better(c, out, wish->lost))
			*out = *c;
		if (fits && c->lost > wish->lost)
			low = c->reach;
		else
			high = c->reach;
		c->reach = (low + high) / 2;
	}
	return out->count > 0;
}

static void try_levels(struct maker *m, const kith_cells_wish *wish, kith_cells *best)
{
	kith_cells *c = m->out, tried;
	m->first[0] = 0;
	m->first[1] = c->leaders;
	c->count = 1;
	for (uint32_t l = 0; l < c->leaders; l++)
		m->order[l] = l;
	for (uint32_t level = 0; level <= MOST_LEVELS && (!level || !wish->count || 1u << level < 2 * wish->count);
	     level++) {
		c->count = level ? halve_groups(m, c->count) : 1;
		for (uint32_t g = 0; g < c->count; g++)
			for (uint32_t at = m->first[g]; at < m->first[g + 1]; at++)
				c->cell[m->order[at]] = (uint8_t)g;
		if (try_groups(m, wish, &tried) && (wish->count || better(&tried, best, wish->lost)))
			*best = tried;
	}
}

static uint32_t leaders_of(uint64_t points)
{
	uint64_t leaders = points / A_LEADER;
	return (uint32_t)(leaders < 1 ? 1 : leaders < KITH_LEADERS_MOST ? leaders : KITH_LEADERS_MOST);
}

uint64_t kith_cells_point_bytes(uint32_t dims)
{
	return (dims + KITH_LEADERS_MOST) * sizeof(double);
}

int kith_cells_choose(kith_cells *out, const kith_cells_sample *s, const kith_cells_wish *wish, kith_err *err)
{
	kith_cells tried = {.dims = s->dims, .leaders = leaders_of(s->count / (s->apart ? 2 : 1))};
	struct maker m = {.sample = s, .out = &tried, .led = s->apart ? s->count / 2 : s->count};
	uint64_t leaders = tried.leaders;
	void *memory = NULL;
	kith_workspace w = {0}, kept = {0};
	KITH_BUFFER(&kept, tried.leader, leaders * s->dims);
	KITH_BUFFER(&kept, tried.norm, leaders);
	KITH_BUFFER(&w, m.work, s->count * leaders);
	KITH_BUFFER(&w, m.row, s->rows * (1 + s->neighbours) * leaders);
	KITH_BUFFER(&w, m.sum, leaders * s->dims);
	KITH_BUFFER(&w, m.weight, leaders);
	KITH_BUFFER(&w, m.axis, 2ull * s->dims);
	KITH_BUFFER(&w, m.along, leaders);
	KITH_BUFFER(&w, m.order, leaders);
	*out = (kith_cells){0};
	int rc = kith_workspace_alloc(&kept, &tried.memory, "leaders", err);
	if (!rc && !(rc = kith_workspace_alloc(&w, &memory, "a choice of cells", err))) {
		find_leaders(&m);
		try_levels(&m, wish, out);
		if (!out->count)
			rc = kith_fail(err, KITH_EUSAGE, "no cells of the samples are small enough");
	}
	out->memory = tried.memory;
	free(memory);
	return rc;
}
