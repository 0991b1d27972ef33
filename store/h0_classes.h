/* h0_classes.h - what follows from a sample's ids, marks, and values of births and deaths: its classes and basins.
 * Inside the store only. */
#ifndef KITH_H0_CLASSES_H
#define KITH_H0_CLASSES_H

#include "kith/generators.h"
#include "workspace.h"

/* Scratch of one thread. */
typedef struct kith_h0_classing {
	uint32_t *parent, *class_of; /* of each vertex: union-find of basins, and the class of each root */
	double *event;               /* births, then deaths */
	uint32_t *eldest;            /* union-find of classes */
} kith_h0_classing;

/* Lists the buffers for samples of up to so many edges. */
void kith_h0_classing_list(kith_workspace *w, kith_h0_classing *c, uint64_t vertices, uint64_t edges);

/* Union-find: the root of x, with every other parent on the way skipped. */
static inline uint32_t kith_find(uint32_t *parent, uint32_t x)
{
	while (parent[x] != x)
		x = parent[x] = parent[parent[x]];
	return x;
}

/* A sample's basins and classes, as many as it has births; edge e is between a[e] and b[e]. The values of births and
 * deaths decide their order. Why that is enough: just before a persistent class dies, both components that its death
 * joins are made of whole trees of basins' edges and earlier deaths, and their eldest births are those of the eldest
 * basins.
 *
 * KITH_ECORRUPT, without the file's name, unless the edges make a forest, whose deaths part it into one tree for each
 * birth, and each class dies after it was born. */
int kith_h0_classes(kith_h0_classing *c, const uint32_t *a, const uint32_t *b, const uint8_t *mark, const double *phi,
		    uint64_t edges, uint32_t *basin, kith_h0_class *classes, kith_err *err);

#endif
