/* descent.c - see descent.h */
#include "descent.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "first_error.h"

#define CHUNK 256u /* samples that a thread takes at a time */

/* The samples to join for one sample's sake. */
struct members {
	uint32_t *id; /* forward + reverse */
	uint32_t count, fresh;
};

struct worker {
	kith_local_join join;
	struct members members[2]; /* of one sample, and of the next, whose data is on its way into the cache */
	void *memory;              /* holds all of these */
};

struct edge {
	float t;
	uint32_t from; /* with KITH_ENTRY_NEW */
};

struct round {
	const kith_descent *in;
	uint64_t n;
	uint32_t forward; /* entries of a list that take part */
	uint32_t *to;     /* n x forward: those of every list, as the round begins */
	uint64_t *offset; /* n + 1: the lists that sample j is in are [offset[j], offset[j + 1]) of `in_list` */
	struct edge *in_list;
	struct worker *workers;
	void *memory; /* holds all of these */
	kith_first_error failed;
};

static void init_worker(struct worker *w, const kith_descent *d, kith_workspace *space)
{
	kith_local_join_init(&w->join, d->codes, d->lists, d->forward + d->reverse, 1, space);
	KITH_BUFFER(space, w->members[0].id, d->forward + d->reverse);
	KITH_BUFFER(space, w->members[1].id, d->forward + d->reverse);
}

static void init_shared(struct round *r, const kith_descent *d, uint64_t n, kith_workspace *space)
{
	*r = (struct round){.in = d, .n = n, .forward = d->forward};
	KITH_BUFFER(space, r->to, n * d->forward);
	KITH_BUFFER_ZERO(space, r->offset, n + 2);
	KITH_BUFFER(space, r->in_list, n * d->forward);
	KITH_BUFFER_ZERO(space, r->workers, (uint64_t)d->threads);
}

uint64_t kith_descent_bytes(const kith_descent *d, uint64_t n)
{
	struct round r;
	struct worker own;
	kith_workspace shared = {0}, w = {0};
	init_shared(&r, d, n, &shared);
	init_worker(&own, d, &w);
	return kith_workspace_bytes(&shared) + (uint64_t)d->threads * kith_workspace_bytes(&w);
}

static int init(struct round *r, const kith_descent *d, kith_err *err)
{
	kith_workspace shared = {0};
	init_shared(r, d, d->lists->n, &shared);
	int rc = kith_workspace_alloc(&shared, &r->memory, "a round of descent", err);
	for (int t = 0; !rc && t < d->threads; t++) {
		kith_workspace w = {0};
		init_worker(&r->workers[t], d, &w);
		rc = kith_workspace_alloc(&w, &r->workers[t].memory, "a thread's work space", err);
	}
	return rc;
}

static void release(struct round *r)
{
	for (int t = 0; r->memory && t < r->in->threads; t++)
		free(r->workers[t].memory);
	free(r->memory);
}

/* Copies what takes part of the lists, in which it is new no longer. */
static void take_lists(struct round *r)
{
	kith_neighbour_lists *l = r->in->lists;
#pragma omp parallel for num_threads(r->in->threads) schedule(static)
	for (uint64_t i = 0; i < r->n; i++) {
		uint32_t *id = l->id + i * l->length;
		memcpy(r->to + i * r->forward, id, r->forward * sizeof *id);
		for (uint32_t e = 0; e < r->forward; e++)
			id[e] &= ~KITH_ENTRY_NEW;
	}
}

/* Turns the edges round: of every sample, the lists it is in, in the order of their samples. */
static void turn_edges(struct round *r)
{
	const kith_neighbour_lists *l = r->in->lists;
	uint64_t *next = r->offset + 1; /* where the next edge to j goes; in the end, where those to j + 1 begin */
	for (uint64_t x = 0; x < r->n * r->forward; x++) {
		uint32_t j = r->to[x] & ~KITH_ENTRY_NEW;
		if (j != KITH_ENTRY_NONE)
			next[j + 1]++;
	}
	for (uint64_t j = 1; j <= r->n; j++)
		next[j] += next[j - 1];
	for (uint64_t i = 0; i < r->n; i++)
		for (uint32_t e = 0; e < r->forward; e++) {
			uint32_t to = r->to[i * r->forward + e], j = to & ~KITH_ENTRY_NEW;
			if (j != KITH_ENTRY_NONE)
				r->in_list[next[j]++] =
					(struct edge){l->t[i * l->length + e], (uint32_t)i | (to & KITH_ENTRY_NEW)};
		}
}

static int nearer(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	uint32_t i = x->from & ~KITH_ENTRY_NEW, j = y->from & ~KITH_ENTRY_NEW;
	return x->t != y->t ? (x->t < y->t ? -1 : 1) : (i > j) - (i < j);
}

static void add(struct members *to, uint32_t id)
{
	for (uint32_t m = 0; m < to->count; m++)
		if ((to->id[m] & ~KITH_ENTRY_NEW) == (id & ~KITH_ENTRY_NEW)) {
			to->id[m] |= id & KITH_ENTRY_NEW;
			return;
		}
	to->id[to->count++] = id;
}

/* Moves those that are new to the front, in whatever order, and takes their marks off; returns how many they are. */
static uint32_t sort_fresh(uint32_t *member, uint32_t count)
{
	uint32_t fresh = 0;
	for (uint32_t m = 0; m < count; m++) {
		uint32_t id = member[m];
		if (id & KITH_ENTRY_NEW) {
			member[m] = member[fresh];
			member[fresh++] = id & ~KITH_ENTRY_NEW;
		}
	}
	return fresh;
}

/* The samples to join for sample j's sake; fetches what joining them takes. */
static void choose_members(struct round *r, struct worker *w, uint64_t j, struct members *to)
{
	struct edge *edges = r->in_list + r->offset[j];
	uint64_t degree = r->offset[j + 1] - r->offset[j];
	to->count = 0;
	for (uint32_t e = 0; e < r->forward; e++) {
		uint32_t id = r->to[j * r->forward + e];
		if ((id & ~KITH_ENTRY_NEW) != KITH_ENTRY_NONE)
			to->id[to->count++] = id;
	}
	if (degree > r->in->reverse) {
		qsort(edges, degree, sizeof *edges, nearer);
		degree = r->in->reverse;
	}
	for (uint64_t e = 0; e < degree; e++)
		add(to, edges[e].from);
	to->fresh = sort_fresh(to->id, to->count);
	if (to->fresh)
		kith_local_join_fetch(&w->join, to->id, to->count);
}

static void join_samples(struct round *r, struct worker *w, uint64_t first, uint64_t end)
{
	choose_members(r, w, first, &w->members[0]);
	for (uint64_t j = first; j < end; j++) {
		const struct members *now = &w->members[(j - first) % 2];
		if (j + 1 < end)
			choose_members(r, w, j + 1, &w->members[(j + 1 - first) % 2]);
		if (now->fresh && now->count > 1)
			kith_local_join_run(&w->join, now->id, now->count, now->fresh);
	}
}

int kith_descent_round(const kith_descent *d, kith_err *err)
{
	struct round r;
	int rc = init(&r, d, err);
	if (rc) {
		release(&r);
		return rc;
	}
	take_lists(&r);
	turn_edges(&r);
#pragma omp parallel for num_threads(d->threads) schedule(dynamic, 1)
	for (uint64_t first = 0; first < r.n; first += CHUNK) {
		struct worker *w = &r.workers[omp_get_thread_num()];
		kith_err why;
		int bad = 0;
		if (kith_first_error_seen(&r.failed))
			continue;
		if (omp_get_thread_num() == 0)
			bad = kith_progress_tick(d->progress, "descent", first, r.n, &why);
		kith_first_error_note(&r.failed, first, bad, &why);
		if (!bad)
			join_samples(&r, w, first, first + CHUNK < r.n ? first + CHUNK : r.n);
	}
	rc = kith_first_error_get(&r.failed, err);
	release(&r);
	return rc;
}
