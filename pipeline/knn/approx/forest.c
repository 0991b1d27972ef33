/* forest.c - see forest.h */
#include "forest.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "random.h"
#include "select.h"
#include "workspace.h"

#define PARALLEL       4096u /* samples that are worth a task of their own */
#define DIRECTION_NORM 32000.0
#define AHEAD          8u /* samples fetched before their turn */

struct tree {
	const kith_forest *forest;
	uint64_t seed;       /* the tree's */
	uint32_t *id;        /* n: the order in the making */
	uint32_t *high;      /* n: scratch */
	float *key, *sorted; /* n each */
	int16_t *direction;  /* one for each thread */
	kith_leaf *leaf;
	void *context;
};

static uint64_t mix(uint64_t z)
{
	return kith_random_next(&z);
}

/* The direction from sample a to sample b, as integers of a norm whose products with codes stay within 32 bits
 * (quantised.c). */
static void find_direction(const kith_codes *c, uint32_t a, uint32_t b, int16_t *out)
{
	const int16_t *qa = c->q + (size_t)a * c->width, *qb = c->q + (size_t)b * c->width;
	double norm = 0;
	for (uint32_t t = 0; t < c->width; t++) {
		double x = (double)c->scale[b] * qb[t] - (double)c->scale[a] * qa[t];
		norm += x * x;
	}
	double factor = norm > 0 ? DIRECTION_NORM / sqrt(norm) : 0;
	for (uint32_t t = 0; t < c->width; t++)
		out[t] = (int16_t)(factor * ((double)c->scale[b] * qb[t] - (double)c->scale[a] * qa[t]));
}

/* How far each of the samples id[count] is along a direction. */
KITH_CLONES static void project_codes(const kith_codes *c, const int16_t *restrict direction, const uint32_t *id,
				      uint64_t count, float *key)
{
	uint32_t width = c->width;
	for (uint64_t x = 0; x < count; x++) {
		const int16_t *restrict q = c->q + (size_t)id[x] * width;
		int32_t sum = 0;
		if (x + AHEAD < count) {
			const char *next = (const char *)(c->q + (size_t)id[x + AHEAD] * width);
			for (size_t line = 0; line < width * sizeof *q; line += 64)
				__builtin_prefetch(next + line);
		}
		for (uint32_t t = 0; t < width; t++)
			sum += q[t] * direction[t];
		key[x] = c->scale[id[x]] * (float)sum;
	}
}

/* Moves the `half` samples of the smallest keys to the front; either part keeps its order. */
static void split(const struct tree *t, uint64_t first, uint64_t count, uint64_t half)
{
	uint32_t *id = t->id + first, *high = t->high + first;
	const float *key = t->key + first;
	uint64_t below = 0, low = 0, other = 0;
	memcpy(t->sorted + first, key, count * sizeof *key);
	float middle = kith_kth_smallest(t->sorted + first, (uint32_t)count, (uint32_t)half);
	for (uint64_t i = 0; i < count; i++)
		below += key[i] < middle;
	for (uint64_t i = 0, equal = half - below; i < count; i++) {
		if (key[i] < middle || (key[i] == middle && equal && equal--))
			id[low++] = id[i];
		else
			high[other++] = id[i];
	}
	memcpy(id + half, high, other * sizeof *id);
}

static void grow(const struct tree *t, uint64_t first, uint64_t count)
{
	if (count <= t->forest->leaf) {
		if (t->leaf)
			t->leaf(t->context, t->id + first, (uint32_t)count);
		return;
	}
	uint64_t half = count / 2, random = mix(t->seed ^ mix(first << 32 ^ count));
	uint32_t a = t->id[first + random % count], b = t->id[first + mix(random) % count];
	int16_t *direction = t->direction + (size_t)omp_get_thread_num() * t->forest->codes->width;
	find_direction(t->forest->codes, a, b, direction);
	project_codes(t->forest->codes, direction, t->id + first, count, t->key + first);
	split(t, first, count, half);
#pragma omp task if (count > PARALLEL)
	grow(t, first, half);
	grow(t, first + half, count - half);
}

static void init(struct tree *t, const kith_forest *f, uint64_t n, kith_workspace *w)
{
	KITH_BUFFER(w, t->high, n);
	KITH_BUFFER(w, t->key, n);
	KITH_BUFFER(w, t->sorted, n);
	KITH_BUFFER(w, t->direction, (uint64_t)f->threads * f->codes->width);
}

uint64_t kith_forest_bytes(const kith_forest *f, uint64_t n)
{
	struct tree t;
	kith_workspace w = {0};
	init(&t, f, n, &w);
	return kith_workspace_bytes(&w);
}

int kith_forest_tree(const kith_forest *f, uint32_t number, uint32_t *order, uint64_t m, kith_leaf *leaf, void *context,
		     kith_err *err)
{
	struct tree t = {
		.forest = f, .seed = mix(f->seed ^ mix(number)), .id = order, .leaf = leaf, .context = context};
	void *memory = NULL;
	kith_workspace w = {0};
	init(&t, f, m, &w);
	int rc = kith_workspace_alloc(&w, &memory, "a tree", err);
	if (rc)
		return rc;
#pragma omp parallel num_threads(f->threads)
#pragma omp single
	grow(&t, 0, m);
	free(memory);
	return 0;
}

static void visit(const kith_forest *f, uint32_t *places, uint64_t first, uint64_t count, kith_leaf *leaf,
		  void *context)
{
	if (count <= f->leaf) {
		leaf(context, places + first, (uint32_t)count);
		return;
	}
	uint64_t half = count / 2;
#pragma omp task
	visit(f, places, first, half, leaf, context);
	visit(f, places, first + half, count - half, leaf, context);
}

void kith_forest_leaves(const kith_forest *f, uint32_t *places, uint64_t n, kith_leaf *leaf, void *context)
{
	for (uint64_t i = 0; i < n; i++)
		places[i] = (uint32_t)i;
#pragma omp parallel num_threads(f->threads)
#pragma omp single
	visit(f, places, 0, n, leaf, context);
}
