/* heatmap.h - one or more L x L matrices of shaded cells with layer names, titles and a colour bar. */
#ifndef KITH_HEATMAP_H
#define KITH_HEATMAP_H

#include <stddef.h>
#include <stdio.h>

#include "axis.h"
#include "canvas.h"
#include "kith/err.h"

#define KITH_SCALE_STOPS 33 /* colours of a scale; in between, linear */
#define KITH_MAX_TICKS   16

typedef struct kith_cell {
	int empty;    /* nothing is drawn */
	double shade; /* 0..1, the place on the colour scale */
	char text[KITH_TICK_TEXT];
} kith_cell;

typedef struct kith_heatmap {
	size_t layers, panels;
	const char *const *labels; /* per layer */
	void (*title)(const void *data, size_t panel, char *out, size_t size);
	void (*cell)(const void *data, size_t panel, size_t row, size_t column, kith_cell *out);
	const void *data;
	kith_colour scale[KITH_SCALE_STOPS];
	const char *bar_title, *row_title, *column_title; /* NULL: none */
	kith_tick ticks[KITH_MAX_TICKS];
	size_t tick_count;
	const char *alternative; /* the figure in words, escaped for markup */
} kith_heatmap;

/* The colour at `shade` of a scale, clamped to its ends. */
kith_colour kith_scale_colour(const kith_colour *scale, double shade);

/* Lays the figure out so that nothing overlaps or is cut (cell texts and layer names are dropped, thinned, turned or
 * shortened as space demands) and renders it; `image` and `name` as for kith_canvas_render. */
int kith_heatmap_render(const kith_heatmap *map, FILE *out, kith_image image, const char *name, kith_err *err);

#endif
