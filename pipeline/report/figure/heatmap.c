/* heatmap.c - see heatmap.h */
#include "heatmap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define MARGIN     8.0
#define CELL_FONT  7.0
#define TITLE_FONT 10.0
#define AXIS_FONT  8.5
#define TICK_FONT  8.0
#define TEXT_SIDE  440.0 /* the widest matrix that still has cell texts */
#define PLAIN_SIDE 400.0 /* the width of a matrix without */
#define PANEL_GAP  22.0
#define BAR_WIDTH  10.0
#define GAP        KITH_AXIS_GAP

typedef struct layout {
	const kith_heatmap *map;
	kith_axis axis;
	double cell;    /* width of one */
	int with_text;  /* cells show their values */
	double left;    /* of the matrix within its panel: the width of the row labels */
	double top;     /* the height of the title and the column labels */
	double side;    /* of the matrix */
	size_t columns; /* panels in a row */
	double panel_width, panel_height;
	double bar_x, bar_y, bar_height, tick_width;
	double width, height; /* of the figure */
} layout;

kith_colour kith_scale_colour(const kith_colour *scale, double shade)
{
	double place = fmin(fmax(shade, 0), 1) * (KITH_SCALE_STOPS - 1), part;
	size_t i = (size_t)place;
	if (i >= KITH_SCALE_STOPS - 1)
		return scale[KITH_SCALE_STOPS - 1];
	part = place - (double)i;
	return (kith_colour){scale[i].r + part * (scale[i + 1].r - scale[i].r),
			     scale[i].g + part * (scale[i + 1].g - scale[i].g),
			     scale[i].b + part * (scale[i + 1].b - scale[i].b)};
}

/* ---- layout -------------------------------------------------------------------------------------------------- */

static double widest_cell(kith_canvas *canvas, const kith_heatmap *map)
{
	double widest = 0;
	kith_cell cell;
	for (size_t p = 0; p < map->panels; p++)
		for (size_t i = 0; i < map->layers * map->layers; i++) {
			map->cell(map->data, p, i / map->layers, i % map->layers, &cell);
			if (!cell.empty)
				widest = fmax(widest, kith_canvas_text_width(canvas, CELL_FONT, 0, cell.text));
		}
	return widest;
}

/* Half points, so that cells fall on whole pixels of a PNG. */
static double half_points(double x)
{
	return x >= 0.5 ? floor(2 * x) / 2 : x;
}

static void lay_cells(layout *l, kith_canvas *canvas)
{
	double count = (double)l->map->layers, need = CELL_FONT + 4;
	if (count * need <= TEXT_SIDE) /* or else do not bother to measure L x L texts */
		need = fmax(need, widest_cell(canvas, l->map) + 5);
	l->with_text = count * need <= TEXT_SIDE;
	if (l->with_text)
		l->cell = half_points(fmax(need, fmin(44, 240 / count)) + 0.5);
	else
		l->cell = half_points(PLAIN_SIDE / count);
	l->side = l->cell * count;
}

static void lay_labels(layout *l)
{
	l->left = l->axis.widest + GAP + (l->map->row_title ? 1.6 * AXIS_FONT : 0);
	l->top = kith_axis_depth(&l->axis) + (l->map->column_title ? 1.6 * AXIS_FONT : 0) + 2 * TITLE_FONT;
}

static double panel_width(const layout *l, kith_canvas *canvas)
{
	double width = l->left + l->side;
	char title[160];
	for (size_t p = 0; p < l->map->panels; p++) {
		l->map->title(l->map->data, p, title, sizeof title);
		width = fmax(width, kith_canvas_text_width(canvas, TITLE_FONT, 1, title));
	}
	if (l->map->column_title)
		width = fmax(width, l->left + kith_canvas_text_width(canvas, AXIS_FONT, 0, l->map->column_title));
	return ceil(width);
}

/* What the row title needs of the matrix's height: a 2 x 2 matrix is lower than its title is long. */
static double panel_height(const layout *l, kith_canvas *canvas)
{
	double side = l->side;
	if (l->map->row_title)
		side = fmax(side, kith_canvas_text_width(canvas, AXIS_FONT, 0, l->map->row_title));
	return ceil(l->top + side);
}

static void lay_panels(layout *l, kith_canvas *canvas)
{
	const kith_heatmap *map = l->map;
	double rows;
	l->columns = map->panels > 1 ? 2 : 1;
	rows = (double)((map->panels + l->columns - 1) / l->columns);
	l->panel_width = panel_width(l, canvas);
	l->panel_height = panel_height(l, canvas);
	for (size_t i = 0; i < map->tick_count; i++)
		l->tick_width = fmax(l->tick_width, kith_canvas_text_width(canvas, TICK_FONT, 0, map->ticks[i].text));
	l->height = 2 * MARGIN + rows * l->panel_height + (rows - 1) * PANEL_GAP;
	l->bar_x = MARGIN + (double)l->columns * l->panel_width + (double)(l->columns - 1) * PANEL_GAP + 16;
	/* beside the first row's matrix, but never so short that its ticks collide */
	l->bar_height = fmax(l->side, 1.5 * TICK_FONT * (double)map->tick_count);
	l->bar_height = fmax(l->bar_height, kith_canvas_text_width(canvas, TICK_FONT, 0, map->bar_title));
	l->bar_y = MARGIN + l->top;
	l->height = fmax(l->height, l->bar_y + l->bar_height + TICK_FONT / 2 + MARGIN);
	l->width = l->bar_x + BAR_WIDTH + 3 + GAP + l->tick_width + 1.8 * TICK_FONT + MARGIN;
}

/* ---- drawing ------------------------------------------------------------------------------------------------- */

static void draw_cells(kith_canvas *c, const layout *l, size_t panel, double x, double y)
{
	const kith_heatmap *map = l->map;
	kith_cell cell;
	for (size_t a = 0; a < map->layers; a++)
		for (size_t b = 0; b < map->layers; b++) {
			double cx = x + (double)b * l->cell, cy = y + (double)a * l->cell;
			kith_colour ground;
			map->cell(map->data, panel, a, b, &cell);
			if (cell.empty)
				continue;
			ground = kith_scale_colour(map->scale, cell.shade);
			/* a thin white line between cells, or antialiasing would draw one of its own */
			kith_canvas_box(c, cx + 0.25, cy + 0.25, l->cell - 0.5, l->cell - 0.5, ground);
			kith_canvas_text(c, cx + l->cell / 2, cy + l->cell / 2, CELL_FONT, 0, KITH_MIDDLE, 0,
					 kith_colour_on(ground), cell.text);
		}
}

static uint32_t pixel(kith_colour colour)
{
	return (uint32_t)lround(colour.r * 255) << 16 | (uint32_t)lround(colour.g * 255) << 8 |
	       (uint32_t)lround(colour.b * 255);
}

/* Draws many small cells as one raster image, which is a hundredth of the size of as many boxes. */
static int draw_raster(kith_canvas *c, const layout *l, size_t panel, double x, double y, kith_err *err)
{
	const kith_heatmap *map = l->map;
	size_t per_cell = l->cell >= 0.5 ? (size_t)lround(2 * l->cell) : 1, width = per_cell * map->layers;
	uint32_t *pixels = kith_alloc(width, width * sizeof *pixels);
	kith_cell cell;
	int rc;
	if (!pixels)
		return kith_fail_nomem(err, "a picture", (unsigned long long)width * width * sizeof *pixels);
	for (size_t a = 0; a < map->layers; a++) {
		uint32_t *row = pixels + a * per_cell * width;
		for (size_t b = 0; b < map->layers; b++) {
			map->cell(map->data, panel, a, b, &cell);
			for (size_t i = 0; i < per_cell; i++)
				row[b * per_cell + i] =
					cell.empty ? 0xffffff : pixel(kith_scale_colour(map->scale, cell.shade));
		}
		for (size_t i = 1; i < per_cell; i++)
			memcpy(row + i * width, row, width * sizeof *row);
	}
	rc = kith_canvas_raster(c, x, y, l->side, l->side, width, width, pixels, err);
	free(pixels);
	return rc;
}

static void draw_labels(kith_canvas *c, const layout *l, double x, double y)
{
	for (size_t v = 0; v < l->map->layers; v += l->axis.step)
		kith_canvas_text(c, x - GAP, y + ((double)v + 0.5) * l->cell, l->axis.font, 0, KITH_END, 0, kith_ink,
				 l->axis.labels[v]);
	kith_axis_draw(c, &l->axis, x + l->cell / 2, y, 1);
}

/* Centred on `middle` unless that would begin before `least`. */
static double centred(kith_canvas *c, double middle, double least, double font, int bold, const char *text)
{
	return fmax(middle, least + kith_canvas_text_width(c, font, bold, text) / 2);
}

static int draw_panel(kith_canvas *c, const layout *l, size_t panel, double x, double y, kith_err *err)
{
	const kith_heatmap *map = l->map;
	double mx = x + l->left, my = y + l->top;
	char title[160];
	int rc = 0;
	map->title(map->data, panel, title, sizeof title);
	kith_canvas_text(c, centred(c, mx + l->side / 2, x, TITLE_FONT, 1, title), y + TITLE_FONT / 2, TITLE_FONT, 1,
			 KITH_MIDDLE, 0, kith_ink, title);
	if (map->column_title)
		kith_canvas_text(c, centred(c, mx + l->side / 2, mx, AXIS_FONT, 0, map->column_title),
				 y + 2 * TITLE_FONT + AXIS_FONT / 2, AXIS_FONT, 0, KITH_MIDDLE, 0, kith_ink,
				 map->column_title);
	if (map->row_title) {
		double length = kith_canvas_text_width(c, AXIS_FONT, 0, map->row_title);
		kith_canvas_text(c, x + AXIS_FONT / 2, my + fmax(l->side, length) / 2, AXIS_FONT, 0, KITH_MIDDLE, 1,
				 kith_ink, map->row_title);
	}
	draw_labels(c, l, mx, my);
	if (l->with_text)
		draw_cells(c, l, panel, mx, my);
	else
		rc = draw_raster(c, l, panel, mx, my, err);
	kith_canvas_frame(c, mx, my, l->side, l->side, 0.5, kith_line);
	return rc;
}

static void draw_bar(kith_canvas *c, const layout *l)
{
	const kith_heatmap *map = l->map;
	double x = l->bar_x, y = l->bar_y;
	kith_canvas_ramp(c, x, y, BAR_WIDTH, l->bar_height, KITH_SCALE_STOPS, map->scale);
	kith_canvas_frame(c, x, y, BAR_WIDTH, l->bar_height, 0.5, kith_line);
	for (size_t i = 0; i < map->tick_count; i++) {
		double ty = y + (1 - map->ticks[i].at) * l->bar_height;
		kith_canvas_box(c, x + BAR_WIDTH, ty - 0.25, 3, 0.5, kith_line);
		kith_canvas_text(c, x + BAR_WIDTH + 3 + 2, ty, TICK_FONT, 0, KITH_START, 0, kith_ink,
				 map->ticks[i].text);
	}
	kith_canvas_text(c, x + BAR_WIDTH + 3 + GAP + l->tick_width + TICK_FONT, y + l->bar_height / 2, TICK_FONT, 0,
			 KITH_MIDDLE, 1, kith_ink, map->bar_title);
}

static int draw_figure(kith_canvas *c, const void *what, kith_err *err)
{
	const layout *l = what;
	int rc = 0;
	for (size_t p = 0; p < l->map->panels && !rc; p++)
		rc = draw_panel(c, l, p, MARGIN + (double)(p % l->columns) * (l->panel_width + PANEL_GAP),
				MARGIN + (double)(p / l->columns) * (l->panel_height + PANEL_GAP), err);
	draw_bar(c, l);
	return rc;
}

int kith_heatmap_render(const kith_heatmap *map, FILE *out, kith_image image, const char *name, kith_err *err)
{
	layout l = {.map = map};
	kith_canvas *canvas = NULL;
	int rc = kith_canvas_new(&canvas, err);
	if (rc)
		return rc;
	lay_cells(&l, canvas);
	rc = kith_axis_make(&l.axis, canvas, map->labels, map->layers, l.cell, err);
	if (!rc) {
		lay_labels(&l);
		lay_panels(&l, canvas);
		rc = kith_canvas_render(out, image, name, map->alternative, ceil(l.width), ceil(l.height), draw_figure,
					&l, err);
	}
	kith_axis_free(&l.axis);
	kith_canvas_free(canvas);
	return rc;
}
