/* canvas.h - a drawing, made once and rendered as SVG or PNG; the door to the graphics library.
 *
 * Lengths are in points (1/72 inch), y grows downwards. Text is set in one sans-serif face. */
#ifndef KITH_CANVAS_H
#define KITH_CANVAS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kith/err.h"

typedef struct kith_colour {
	double r, g, b; /* 0..1 */
} kith_colour;

/* Black or white, whichever reads better on `ground` (WCAG 2 contrast). */
kith_colour kith_colour_on(kith_colour ground);

typedef struct _cairo kith_canvas; /* the library's own */

typedef enum kith_anchor { KITH_START, KITH_MIDDLE, KITH_END } kith_anchor;

/* A canvas to measure text on. */
int kith_canvas_new(kith_canvas **out, kith_err *err);
void kith_canvas_free(kith_canvas *canvas); /* NULL is fine */

double kith_canvas_text_width(kith_canvas *canvas, double size, int bold, const char *text);

/* Text whose vertical middle is at y and whose start, middle or end is at x; turned about (x, y) by a quarter
 * counter-clockwise if `upward`. */
void kith_canvas_text(kith_canvas *canvas, double x, double y, double size, int bold, kith_anchor anchor, int upward,
		      kith_colour colour, const char *text);
void kith_canvas_box(kith_canvas *canvas, double x, double y, double width, double height, kith_colour colour);
void kith_canvas_frame(kith_canvas *canvas, double x, double y, double width, double height, double line,
		       kith_colour colour);

/* A path: it begins at a point, goes on by a straight line or by an S-shaped curve that is horizontal at both ends, and
 * is filled or stroked. Several pieces may be filled at once. */
void kith_canvas_move(kith_canvas *canvas, double x, double y);
void kith_canvas_line(kith_canvas *canvas, double x, double y);
void kith_canvas_ease(kith_canvas *canvas, double x, double y);
void kith_canvas_fill(kith_canvas *canvas, kith_colour colour);
void kith_canvas_stroke(kith_canvas *canvas, double width, kith_colour colour);
void kith_canvas_dot(kith_canvas *canvas, double x, double y, double radius, kith_colour colour);

/* A box that runs through `stops` colours from bottom to top, evenly spaced. */
void kith_canvas_ramp(kith_canvas *canvas, double x, double y, double width, double height, size_t stops,
		      const kith_colour *colours);

/* A raster of columns x rows pixels (0xRRGGBB), stretched over the box. */
int kith_canvas_raster(kith_canvas *canvas, double x, double y, double width, double height, size_t columns,
		       size_t rows, const uint32_t *pixels, kith_err *err);

typedef enum kith_image { KITH_SVG, KITH_SVG_INLINE, KITH_PNG } kith_image;
typedef int kith_draw(kith_canvas *canvas, const void *what, kith_err *err);

/* Renders what `draw` draws on white. KITH_SVG_INLINE leaves out the XML declaration, for use inside an HTML page.
 * Every id in an SVG begins with `name`, so that several can stand in one page, and `title` describes it to screen
 * readers (in markup already escaped). PNGs have 2 pixels per point. Equal drawings give equal bytes. */
int kith_canvas_render(FILE *out, kith_image image, const char *name, const char *title, double width, double height,
		       kith_draw *draw, const void *what, kith_err *err);

#endif
