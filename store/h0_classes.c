/* h0_classes.c - from a forest to its persistent classes. See kith/generators.h. */
#include "h0_classes.h"

#include <stdlib.h>
#include <string.h>

#include "workspace.h"

#define AHEAD 16u /* edges: what these need is asked for */

uint32_t kith_h0_mark(uint64_t edges, const uint32_t *a, const uint32_t *b, const double *phi, uint32_t *parent,
		      uint32_t *birth, uint8_t *mark)
{
	uint32_t classes = 0;
	for (uint64_t e = 0; e < edges; e++) {
		if (e + AHEAD < edges) {
			__builtin_prefetch(&birth[a[e + AHEAD]], 1);
			__builtin_prefetch(&birth[b[e + AHEAD]], 1);
		}
		birth[a[e]] = birth[b[e]] = KITH_NO_CLASS;
	}
	for (uint64_t e = 0; e < edges; e++) {
		if (e + AHEAD < edges) { /* the units of edges in this order are all over memory */
			__builtin_prefetch(&parent[a[e + AHEAD]]);
			__builtin_prefetch(&parent[b[e + AHEAD]]);
		}
		uint32_t x = kith_find(parent, a[e]), y = kith_find(parent, b[e]);
		if (x == y)
			return KITH_NO_CLASS;
		uint32_t elder = birth[x] < birth[y] ? birth[x] : birth[y],
			 younger = birth[x] < birth[y] ? birth[y] : birth[x];
		mark[e] = KITH_MARK_NONE;
		if (elder == KITH_NO_CLASS) { /* two units that had no edge */
			elder = (uint32_t)e;
			mark[e] = KITH_MARK_BIRTH;
			classes++;
		} else if (younger != KITH_NO_CLASS && phi[younger] > phi[e]) {
			mark[e] = KITH_MARK_DEATH;
		} else if (younger != KITH_NO_CLASS) { /* of no lifetime */
			mark[younger] = KITH_MARK_NONE;
			classes--;
		}
		parent[y] = x;
		birth[x] = elder;
	}
	return classes;
}

/* An event of a sample: a birth or a death. */
typedef struct event {
	double phi;
	uint32_t edge; /* position in the sample's list, whose ids ascend */
} event;

static int compare(const void *left, const void *right)
{
	const event *a = left, *b = right;
	if (a->phi != b->phi)
		return a->phi > b->phi ? -1 : 1;
	return a->edge < b->edge ? -1 : 1;
}

void kith_h0_classing_list(kith_workspace *w, kith_h0_classing *c, uint64_t vertices, uint64_t edges)
{
	KITH_BUFFER(w, c->parent, vertices);
	KITH_BUFFER(w, c->class_of, vertices);
	KITH_BUFFER(w, c->event, edges * (sizeof(event) / sizeof *c->event));
	KITH_BUFFER(w, c->eldest, edges);
}

/* Joins what is no death: one tree for each basin. */
static int join_basins(kith_h0_classing *c, const uint32_t *a, const uint32_t *b, const uint8_t *mark, uint64_t edges,
		       kith_err *err)
{
	for (uint64_t e = 0; e < edges; e++) {
		c->parent[a[e]] = a[e];
		c->parent[b[e]] = b[e];
		c->class_of[a[e]] = c->class_of[b[e]] = KITH_NO_CLASS;
	}
	for (uint64_t e = 0; e < edges; e++) {
		if (mark[e] == KITH_MARK_DEATH)
			continue;
		uint32_t x = kith_find(c->parent, a[e]), y = kith_find(c->parent, b[e]);
		if (x == y)
			return kith_fail(err, KITH_ECORRUPT, "a forest has a cycle");
		c->parent[y] = x;
	}
	return 0;
}

/* The events of one kind, in the order of their edges. */
static uint32_t list_events(event *events, int kind, const uint8_t *mark, const double *phi, uint64_t edges)
{
	uint32_t count = 0;
	for (uint64_t e = 0; e < edges; e++)
		if (mark[e] == kind)
			events[count++] = (event){phi[e], (uint32_t)e};
	qsort(events, count, sizeof *events, compare);
	return count;
}

static int give_births(kith_h0_classing *c, const uint32_t *a, const event *events, uint32_t count,
		       kith_h0_class *classes, kith_err *err)
{
	for (uint32_t k = 0; k < count; k++) {
		uint32_t root = kith_find(c->parent, a[events[k].edge]);
		if (c->class_of[root] != KITH_NO_CLASS)
			return kith_fail(err, KITH_ECORRUPT, "a basin has two births");
		c->class_of[root] = k;
		classes[k] = (kith_h0_class){events[k].edge, KITH_NO_CLASS, KITH_NO_CLASS, events[k].phi, 0};
	}
	return 0;
}

static int give_basins(kith_h0_classing *c, const uint32_t *a, const uint8_t *mark, uint64_t edges, uint32_t *basin,
		       kith_err *err)
{
	for (uint64_t e = 0; e < edges; e++) {
		basin[e] = KITH_NO_CLASS;
		if (mark[e] == KITH_MARK_DEATH)
			continue;
		basin[e] = c->class_of[kith_find(c->parent, a[e])];
		if (basin[e] == KITH_NO_CLASS)
			return kith_fail(err, KITH_ECORRUPT, "a basin has no birth");
	}
	return 0;
}

/* Deaths join basins; c->eldest is a union-find of classes, whose roots are the eldest ones. */
static int give_deaths(kith_h0_classing *c, const uint32_t *a, const uint32_t *b, const event *events, uint32_t count,
		       kith_h0_class *classes, kith_err *err)
{
	for (uint32_t k = 0; k < count; k++) {
		uint32_t e = events[k].edge;
		uint32_t x = c->class_of[kith_find(c->parent, a[e])], y = c->class_of[kith_find(c->parent, b[e])];
		if (x == KITH_NO_CLASS || y == KITH_NO_CLASS)
			return kith_fail(err, KITH_ECORRUPT, "a death joins what was not born");
		x = kith_find(c->eldest, x);
		y = kith_find(c->eldest, y);
		uint32_t elder = x < y ? x : y, younger = x < y ? y : x;
		if (x == y)
			return kith_fail(err, KITH_ECORRUPT, "a forest has a cycle");
		if (!(classes[younger].birth_value > events[k].phi))
			return kith_fail(err, KITH_ECORRUPT, "a class dies before it is born");
		c->eldest[younger] = elder;
		classes[younger].death = e;
		classes[younger].death_value = events[k].phi;
		classes[younger].parent = elder;
	}
	return 0;
}

int kith_h0_classes(kith_h0_classing *c, const uint32_t *a, const uint32_t *b, const uint8_t *mark, const double *phi,
		    uint64_t edges, uint32_t *basin, kith_h0_class *classes, kith_err *err)
{
	event *events = (event *)(void *)c->event;
	int rc = join_basins(c, a, b, mark, edges, err);
	if (rc)
		return rc;
	uint32_t births = list_events(events, KITH_MARK_BIRTH, mark, phi, edges);
	for (uint32_t k = 0; k < births; k++)
		c->eldest[k] = k;
	if ((rc = give_births(c, a, events, births, classes, err)) || (rc = give_basins(c, a, mark, edges, basin, err)))
		return rc;
	uint32_t deaths = list_events(events, KITH_MARK_DEATH, mark, phi, edges);
	return give_deaths(c, a, b, events, deaths, classes, err);
}

/* ---- components ---- */

void kith_h0_scratch_free(kith_h0_scratch *scratch)
{
	free(scratch->memory);
	*scratch = (kith_h0_scratch){0};
}

/* Is edge e before the death of a class, or does that not die? */
static int is_before(const kith_h0_class *class_, const double *phi, uint64_t e)
{
	return class_->death == KITH_NO_CLASS || phi[e] > class_->death_value ||
	       (phi[e] == class_->death_value && e < class_->death);
}

int kith_h0_component(const kith_h0_info *info, const kith_h0_samples *samples, uint32_t s, uint32_t class_,
		      kith_h0_scratch *scratch, uint32_t *positions, uint32_t *count, kith_err *err)
{
	uint64_t first = samples->edge_at[s], edges = samples->edge_at[s + 1] - first;
	const kith_h0_class *wanted = &samples->classes[samples->class_at[s] + class_];
	const double *phi = samples->phi + first;
	kith_workspace w = {0};
	const uint32_t *a = samples->source + first, *b = samples->target + first;
	uint32_t *parent, found = 0;
	KITH_BUFFER(&w, parent, info->vertices);
	int rc = kith_workspace_place(&w, &scratch->memory, &scratch->capacity, "a component", err);
	if (rc)
		return rc;
	for (uint64_t e = 0; e < edges; e++) {
		parent[a[e]] = a[e];
		parent[b[e]] = b[e];
	}
	for (uint64_t e = 0; e < edges; e++)
		if (is_before(wanted, phi, e))
			parent[kith_find(parent, b[e])] = kith_find(parent, a[e]);
	uint32_t root = kith_find(parent, a[wanted->birth]);
	for (uint64_t e = 0; e < edges; e++)
		if (is_before(wanted, phi, e) && kith_find(parent, a[e]) == root)
			positions[found++] = (uint32_t)e;
	*count = found;
	return 0;
}
