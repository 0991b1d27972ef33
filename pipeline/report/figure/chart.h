/* chart.h - a figure with the layers along the bottom, a scale at the left, and a legend at the right. */
#ifndef KITH_CHART_H
#define KITH_CHART_H

#include <stddef.h>
#include <stdio.h>

#include "axis.h"
#include "canvas.h"
#include "kith/err.h"

#define KITH_CHART_TICKS 8
#define KITH_CHART_KEYS  12 /* of the legend */

/* Where to draw: layer v is at x + v spacing, what is worth 1 on the scale at y - height. */
typedef struct kith_plot {
	double x, y, spacing, height;
} kith_plot;

typedef struct kith_chart {
	size_t layers;
	const char *const *labels; /* per layer */
	char title[160];
	const char *scale_title, *legend_title;
	kith_tick ticks[KITH_CHART_TICKS]; /* 0..1 */
	size_t tick_count;
	struct {
		kith_colour colour;
		size_t first, last; /* the layers that it stands for */
	} keys[KITH_CHART_KEYS];
	size_t key_count; /* from the bottom up */
	void (*draw)(kith_canvas *canvas, const kith_plot *plot, const void *data);
	const void *data;
	const char *alternative; /* the figure in words, escaped for markup */
} kith_chart;

/* `image` and `name` as for kith_canvas_render. */
int kith_chart_render(const kith_chart *chart, FILE *out, kith_image image, const char *name, kith_err *err);

#endif
