#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sandbox.h"
#include "slow.h"

size_t slow_normalise(double *x, size_t n, size_t d)
{
	for (size_t i = 0; i < n; i++) {
		double *row = x + i * d, most = 0, sum = 0, norm;
		int exponent;
		for (size_t t = 0; t < d; t++)
			if (fabs(row[t]) > most)
				most = fabs(row[t]);
		if (most == 0)
			return i;
		frexp(most, &exponent);
		for (size_t t = 0; t < d; t++) {
			row[t] = ldexp(row[t], -exponent);
			sum += row[t] * row[t];
		}
		norm = sqrt(sum);
		for (size_t t = 0; t < d; t++)
			row[t] /= norm;
	}
	return n;
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

typedef struct candidate {
	double dist2;
	uint32_t id;
} candidate;

static int by_distance_then_id(const void *left, const void *right)
{
	const candidate *a = left, *b = right;
	if (a->dist2 != b->dist2)
		return a->dist2 < b->dist2 ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

double slow_distance(const double *x, const double *y, size_t d)
{
	double sum = 0;
	for (size_t t = 0; t < d; t++) {
		double gap = x[t] - y[t];
		sum += gap * gap;
	}
	return sum;
}

void slow_knn(const double *x, size_t n, size_t d, size_t width, uint32_t *ranks, double *dist2)
{
	candidate *all = must_alloc(n, sizeof *all);
	for (size_t i = 0; i < n; i++) {
		size_t found = 0;
		for (size_t j = 0; j < n; j++) {
			if (j == i)
				continue;
			all[found].dist2 = slow_distance(x + i * d, x + j * d, d);
			all[found++].id = (uint32_t)j;
		}
		qsort(all, found, sizeof *all, by_distance_then_id);
		for (size_t r = 0; r < width; r++) {
			ranks[i * width + r] = all[r].id;
			dist2[i * width + r] = all[r].dist2;
		}
	}
	free(all);
}
