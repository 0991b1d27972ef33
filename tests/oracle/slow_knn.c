#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sandbox.h"
#include "slow.h"

size_t slow_normalise(double *x, size_t n, size_t d)
{
	size_t zero = n;
	for (size_t i = 0; i < n; i++) {
		double *row = x + i * d, most = 0, sum = 0, norm;
		int exponent;
		for (size_t t = 0; t < d; t++)
			if (fabs(row[t]) > most)
				most = fabs(row[t]);
		if (most == 0) {
			zero = i < zero ? i : zero;
			for (size_t t = 0; t < d; t++)
				row[t] = NAN;
			continue;
		}
		frexp(most, &exponent);
		for (size_t t = 0; t < d; t++) {
			row[t] = ldexp(row[t], -exponent);
			sum += row[t] * row[t];
		}
		norm = sqrt(sum);
		for (size_t t = 0; t < d; t++)
			row[t] /= norm;
	}
	return zero;
}

int slow_range(double *x, size_t n, size_t d, size_t *row, size_t *column)
{
	double most = 0, least = INFINITY, limit = ldexp(1, 510) / sqrt((double)d);
	size_t at = 0;
	int exponent, shift = 0;
	for (size_t i = 0; i < n * d; i++) {
		if (fabs(x[i]) > most) {
			most = fabs(x[i]);
			at = i;
		}
		if (x[i] != 0 && fabs(x[i]) < least)
			least = fabs(x[i]);
	}
	for (size_t i = n * d; i-- > 0;)
		if (fabs(x[i]) > limit)
			at = i;
	*row = at / d;
	*column = at % d;
	if (most > limit || (most > 0 && most < ldexp(1, -450)))
		return -1;
	frexp(most, &exponent);
	if (least < ldexp(1, -450) && exponent < 490)
		shift = 490 - exponent;
	for (size_t i = 0; i < n * d; i++)
		x[i] = ldexp(x[i], shift);
	return shift;
}

int slow_prepare(double *x, size_t n, size_t d, int cosine, int is_double, char *place, size_t size)
{
	size_t row, column;
	int shift = 0;
	*place = 0;
	if (cosine && (row = slow_normalise(x, n, d)) < n)
		snprintf(place, size, "row %zu is zero", row);
	else if (!cosine && is_double && (shift = slow_range(x, n, d, &row, &column)) < 0)
		snprintf(place, size, "row %zu, column %zu is", row, column);
	return shift;
}

static uint64_t splitmix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15;
	z ^= z >> 30;
	z *= 0xbf58476d1ce4e5b9;
	z ^= z >> 27;
	z *= 0x94d049bb133111eb;
	z ^= z >> 31;
	return z;
}

void slow_tie_order_of(uint64_t key, size_t n, kith_ties ties, uint64_t *order)
{
	for (size_t i = 0; i < n; i++)
		order[i] = ties == KITH_TIES_INDEX ? i : splitmix(splitmix(i ^ key) ^ (key << 32) ^ (key >> 32));
}

void slow_tie_order(const double *x, size_t n, size_t d, kith_ties ties, uint64_t *order)
{
	double *row = must_alloc(d, sizeof *row);
	for (size_t i = 0; i < n; i++) {
		for (size_t t = 0; t < d; t++)
			row[t] = x[i * d + t] == 0 ? 0.0 : x[i * d + t];
		order[i] = XXH3_64bits(row, d * sizeof *row);
	}
	slow_tie_order_of(XXH3_64bits(order, n * sizeof *order), n, ties, order);
	free(row);
}

typedef struct candidate {
	double dist2;
	uint64_t order;
	uint32_t id;
} candidate;

static int by_distance_then_order(const void *left, const void *right)
{
	const candidate *a = left, *b = right;
	if (a->dist2 != b->dist2)
		return a->dist2 < b->dist2 ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

double slow_distance(const double *x, const double *y, size_t d)
{
	double sum = 0;
	for (size_t t = 0; t < d; t++) {
		double gap = x[t] - y[t];
		sum += gap * gap;
	}
	return isnan(sum) ? 2 : sum;
}

double *slow_distances(const double *x, size_t n, size_t d)
{
	double *all = must_alloc(n * (n - 1), sizeof *all);
	for (size_t j = 1; j < n; j++)
		for (size_t i = 0; i < j; i++)
			all[i * (n - 1) + j - 1] = all[j * (n - 1) + i] = slow_distance(x + i * d, x + j * d, d);
	return all;
}

/* Of each row, those that come before the last of the nearest so far, sorted whenever there are twice as many. */
void slow_nearest(const double *all, size_t n, const uint64_t *order, size_t width, uint32_t *ranks, double *dist2)
{
	candidate *best = must_alloc(2 * width, sizeof *best);
	for (size_t i = 0; i < n; i++) {
		size_t found = 0, sorted = 0;
		for (size_t j = 0; j < n; j++) {
			candidate c = {.order = order ? order[j] : j, .id = (uint32_t)j};
			if (j == i)
				continue;
			c.dist2 = all[i * (n - 1) + j - (j > i)];
			if (sorted == width && by_distance_then_order(&c, &best[width - 1]) > 0)
				continue;
			best[found++] = c;
			if (found == 2 * width) {
				qsort(best, found, sizeof *best, by_distance_then_order);
				found = sorted = width;
			}
		}
		qsort(best, found, sizeof *best, by_distance_then_order);
		for (size_t r = 0; r < width; r++) {
			ranks[i * width + r] = best[r].id;
			dist2[i * width + r] = best[r].dist2;
		}
	}
	free(best);
}

void slow_knn(const double *x, size_t n, size_t d, const uint64_t *order, size_t width, uint32_t *ranks, double *dist2)
{
	double *all = slow_distances(x, n, d);
	slow_nearest(all, n, order, width, ranks, dist2);
	free(all);
}

int slow_ties_differ(const char *path, const double *all, size_t n, const double *dist2, size_t width, char *why,
		     size_t size)
{
	kith_graph *graph;
	kith_err err;
	int differs = 0;
	if (kith_graph_open(&graph, path, &err))
		return snprintf(why, size, "%s", err.msg) > 0;
	const kith_graph_info *info = kith_graph_get_info(graph);
	for (uint32_t t = 0; t < info->tiers && !differs; t++) {
		uint64_t rows = 0, most = 0;
		uint32_t k = info->ladder[t];
		if (k > width || info->n != n)
			differs = snprintf(why, size, "k=%u of %llu samples", k, (unsigned long long)info->n) > 0;
		for (size_t i = 0; i < n && !differs; i++) {
			double far = dist2[i * width + k - 1];
			uint64_t equal = 0, within = 0;
			for (size_t j = 0; j < n - 1; j++) {
				equal += all[i * (n - 1) + j] == far;
				within += all[i * (n - 1) + j] <= far;
			}
			rows += within > k;
			most = within > k && equal > most ? equal : most;
		}
		if (!differs && (!info->tied.counted || info->tied.rows[t] != rows || info->tied.most[t] != most))
			differs =
				snprintf(why, size, "k=%u: %llu rows tied, groups up to %llu: should be %llu and %llu",
					 k, (unsigned long long)info->tied.rows[t],
					 (unsigned long long)info->tied.most[t], (unsigned long long)rows,
					 (unsigned long long)most) > 0;
	}
	kith_graph_close(graph);
	return differs;
}
