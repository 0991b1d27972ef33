/* axis.h - what figures of layers have along their sides: the layers' names, and the marks of a scale. */
#ifndef KITH_AXIS_H
#define KITH_AXIS_H

#include <stddef.h>

#include "canvas.h"
#include "kith/err.h"

#define KITH_AXIS_GAP  4.0 /* between a label and what it labels */
#define KITH_TICK_TEXT 16

static const kith_colour kith_ink = {0.1, 0.1, 0.1}, kith_line = {0.55, 0.55, 0.55};

typedef struct kith_tick {
	double at; /* 0..1 */
	char text[KITH_TICK_TEXT];
} kith_tick;

/* The names of `count` layers that stand `spacing` points apart: shortened, thinned to every step-th and turned as the
 * spacing demands. */
typedef struct kith_axis {
	size_t count, step;
	double spacing, font;
	char **labels; /* as they are drawn; NULL between steps */
	double widest;
	int upward; /* turned */
} kith_axis;

int kith_axis_make(kith_axis *out, kith_canvas *canvas, const char *const *labels, size_t count, double spacing,
		   kith_err *err);
void kith_axis_free(kith_axis *axis); /* all zeros is fine */

/* The height that the labels take above or below, with the gap. */
double kith_axis_depth(const kith_axis *axis);

/* Draws them above, or else below, the line y; the first layer is at x. */
void kith_axis_draw(kith_canvas *canvas, const kith_axis *axis, double x, double y, int above);

/* A copy of `text` that is no wider than `width`, its middle left out if need be. NULL if memory is short. */
char *kith_fit_text(kith_canvas *canvas, const char *text, double font, double width);

#endif
