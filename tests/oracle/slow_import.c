#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

/* What is wrong with list i, in words that the message has to hold; "" if nothing is. */
static void find_fault(const slow_lists *l, size_t i, uint32_t k, char *fault, size_t size)
{
	const int64_t *list = l->index + i * l->columns;
	const double *distance = l->distance + i * l->known;
	long long base = l->one_based ? 1 : 0;
	size_t others = 0, last = SIZE_MAX;
	*fault = 0;
	for (size_t c = 0; c < l->columns; c++) {
		if (list[c] == -1 || list[c] < base || list[c] >= (long long)l->n + base) {
			snprintf(fault, size, "row %zu, column %zu is %lld: ", i, c, (long long)list[c]);
			return;
		}
		for (size_t before = 0; before < c; before++)
			if (list[before] == list[c]) {
				snprintf(fault, size, "row %zu, column %zu is %lld, as is column %zu", i, c,
					 (long long)list[c], before);
				return;
			}
		if (list[c] - base == (long long)i && l->absent) {
			snprintf(fault, size, "row %zu, column %zu is the sample itself", i, c);
			return;
		}
		others += list[c] - base != (long long)i;
	}
	if (others < k) {
		snprintf(fault, size, "row %zu has %zu other samples, but k=%u", i, others, k);
		return;
	}
	for (size_t c = 0; c < l->known; c++) {
		if (isnan(distance[c]) || distance[c] < 0) {
			snprintf(fault, size, "row %zu, column %zu is %g: distances", i, c, distance[c]);
			return;
		}
		if (isinf(distance[c]) || (!l->squared && distance[c] >= ldexp(1, 511))) {
			snprintf(fault, size, "row %zu, column %zu is %g: distances are finite", i, c, distance[c]);
			return;
		}
		if (list[c] - base == (long long)i)
			continue;
		if (l->known < l->columns && last != SIZE_MAX && distance[c] < distance[last]) {
			snprintf(fault, size, "row %zu, column %zu is %g, less than", i, c, distance[c]);
			return;
		}
		last = c;
	}
}

/* Of list i's distances but its own sample's: how many of the pairs that are next to each other rise, and fall. */
static void count_steps(const slow_lists *l, size_t i, size_t *rises, size_t *falls)
{
	double last = NAN;
	*rises = *falls = 0;
	for (size_t c = 0; c < l->known; c++) {
		if (l->index[i * l->columns + c] - (l->one_based != 0) == (int64_t)i)
			continue;
		*rises += l->distance[i * l->known + c] > last;
		*falls += l->distance[i * l->known + c] < last;
		last = l->distance[i * l->known + c];
	}
}

size_t slow_import_unsorted(const slow_lists *l, int *similarities)
{
	size_t unsorted = 0, rises, falls, rising = 0;
	for (size_t i = 0; i < l->n; i++) {
		count_steps(l, i, &rises, &falls);
		unsorted += falls > 0;
		rising += rises > 0;
	}
	*similarities = unsorted && !rising;
	return unsorted;
}

typedef struct entry {
	double distance;
	uint64_t order;
	uint32_t id;
} entry;

static int by_distance_then_order(const void *left, const void *right)
{
	const entry *a = left, *b = right;
	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* The square of a distance: of the doubles that have it as their root, that of 24 bits if there is one. */
static double square(double x)
{
	int exponent;
	double fraction = frexp(x * x, &exponent), few = ldexp(rint(ldexp(fraction, 24)), exponent - 24);
	return sqrt(few) == x ? few : x * x;
}

/* A sound list, or with the activations any: the first k of its others, in their order, and squared distances. */
static void rank(const slow_lists *l, size_t i, uint32_t k, entry *list, uint32_t *ranks, double *dist2)
{
	size_t count = 0;
	int ascends = 1;
	for (size_t c = 0; c < l->columns; c++) {
		size_t id = (size_t)(l->index[i * l->columns + c] - (l->one_based != 0));
		if (id == i)
			continue;
		list[count] = (entry){c < l->known ? l->distance[i * l->known + c] : 0, id, (uint32_t)id};
		if (l->x)
			list[count] = (entry){slow_distance(l->x + i * l->d, l->x + id * l->d, l->d), l->order[id],
					      (uint32_t)id};
		ascends &= count == 0 || c >= l->known || list[count].distance >= list[count - 1].distance;
		count++;
	}
	if (l->x || !ascends)
		qsort(list, count, sizeof *list, by_distance_then_order);
	for (uint32_t r = 0; r < k; r++) {
		ranks[r] = list[r].id;
		dist2[r] = l->x || l->squared ? list[r].distance : square(list[r].distance);
	}
}

/* Without a list: among all samples. */
static void rank_all(const slow_lists *l, size_t i, uint32_t k, uint32_t *ranks, double *dist2)
{
	entry *all = must_alloc(l->n, sizeof *all);
	size_t count = 0;
	for (size_t j = 0; j < l->n; j++)
		if (j != i)
			all[count++] = (entry){slow_distance(l->x + i * l->d, l->x + j * l->d, l->d), l->order[j],
					       (uint32_t)j};
	qsort(all, count, sizeof *all, by_distance_then_order);
	for (uint32_t r = 0; r < k; r++) {
		ranks[r] = all[r].id;
		dist2[r] = all[r].distance;
	}
	free(all);
}

size_t slow_import(const slow_lists *l, uint32_t k, uint32_t *ranks, double *dist2, char *fault, size_t size)
{
	entry *list = must_alloc(l->columns, sizeof *list);
	size_t completed = 0;
	*fault = 0;
	for (size_t i = 0; i < l->n && !*fault; i++) {
		find_fault(l, i, k, fault, size);
		if (!*fault) {
			rank(l, i, k, list, ranks + i * k, dist2 + i * k);
		} else if (l->complete) {
			*fault = 0;
			completed++;
			rank_all(l, i, k, ranks + i * k, dist2 + i * k);
		}
	}
	free(list);
	int similarities;
	slow_import_unsorted(l, &similarities);
	if (!*fault && similarities)
		snprintf(fault, size, "these look like similarities");
	return completed;
}
