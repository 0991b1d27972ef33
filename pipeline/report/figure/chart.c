/* chart.c - see chart.h */
#include "chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define MARGIN      8.0
#define TITLE_FONT  10.0
#define FONT        8.0
#define WIDTH       560.0 /* of the plot, but for few layers */
#define MOST_APART  150.0 /* layers, in points */
#define HEIGHT      230.0
#define SWATCH      9.0
#define LINE_HEIGHT 13.0
#define KEY_WIDTH   130.0 /* names in the legend are shortened to this */

static const kith_colour pale = {0.88, 0.88, 0.88};

typedef struct layout {
	const kith_chart *chart;
	kith_axis axis;
	kith_plot plot;
	double plot_width, legend_x, width, height;
	char *keys[KITH_CHART_KEYS];
} layout;

/* "conv1", or "conv1 – conv5"; short enough for a legend. */
static char *key_text(kith_canvas *canvas, const char *first, const char *last)
{
	double width = strcmp(first, last) ? KEY_WIDTH / 2 : KEY_WIDTH;
	char *a = kith_fit_text(canvas, first, FONT, width), *b = kith_fit_text(canvas, last, FONT, width),
	     *text = NULL;
	if (a && b && asprintf(&text, strcmp(first, last) ? "%s \xe2\x80\x93 %s" : "%s", a, b) < 0)
		text = NULL;
	free(a);
	free(b);
	return text;
}

static int lay_out(layout *l, kith_canvas *canvas, kith_err *err)
{
	const kith_chart *chart = l->chart;
	double ticks = 0, keys = kith_canvas_text_width(canvas, FONT, 0, chart->legend_title) - SWATCH - 4;
	int rc;
	l->plot.spacing = fmin(MOST_APART, WIDTH / (double)(chart->layers - 1));
	l->plot.height = HEIGHT;
	if ((rc = kith_axis_make(&l->axis, canvas, chart->labels, chart->layers, l->plot.spacing, err)))
		return rc;
	for (size_t i = 0; i < chart->tick_count; i++)
		ticks = fmax(ticks, kith_canvas_text_width(canvas, FONT, 0, chart->ticks[i].text));
	for (size_t i = 0; i < chart->key_count; i++) {
		l->keys[i] = key_text(canvas, chart->labels[chart->keys[i].first], chart->labels[chart->keys[i].last]);
		if (!l->keys[i])
			return kith_fail_nomem(err, "a layer name", 0);
		keys = fmax(keys, kith_canvas_text_width(canvas, FONT, 0, l->keys[i]));
	}
	l->plot_width = l->plot.spacing * (double)(chart->layers - 1);
	l->plot.x = MARGIN + 1.6 * FONT + ticks + 3 + 2 * KITH_AXIS_GAP;
	l->plot.y = MARGIN + 2 * TITLE_FONT + HEIGHT;
	l->legend_x = l->plot.x + l->plot_width + 22;
	l->width = l->legend_x + SWATCH + 4 + keys + MARGIN;
	l->width = fmax(l->width, 2 * MARGIN + kith_canvas_text_width(canvas, TITLE_FONT, 1, chart->title));
	l->height = l->plot.y + KITH_AXIS_GAP + kith_axis_depth(&l->axis) + MARGIN;
	return 0;
}

static void draw_legend(kith_canvas *c, const layout *l)
{
	double x = l->legend_x, y = l->plot.y - HEIGHT;
	kith_canvas_text(c, x, y, FONT, 0, KITH_START, 0, kith_ink, l->chart->legend_title);
	for (size_t i = l->chart->key_count; i-- > 0;) {
		y += LINE_HEIGHT;
		kith_canvas_box(c, x, y - SWATCH / 2, SWATCH, SWATCH, l->chart->keys[i].colour);
		kith_canvas_text(c, x + SWATCH + 4, y, FONT, 0, KITH_START, 0, kith_ink, l->keys[i]);
	}
}

static int draw_chart(kith_canvas *c, const void *what, kith_err *err)
{
	const layout *l = what;
	const kith_chart *chart = l->chart;
	double x = l->plot.x, y = l->plot.y, left = x - 2 * KITH_AXIS_GAP;
	(void)err;
	kith_canvas_text(c, MARGIN, MARGIN + TITLE_FONT / 2, TITLE_FONT, 1, KITH_START, 0, kith_ink, chart->title);
	kith_canvas_text(c, MARGIN + FONT / 2, y - HEIGHT / 2, FONT, 0, KITH_MIDDLE, 1, kith_ink, chart->scale_title);
	for (size_t i = 0; i < chart->tick_count; i++) {
		double at = y - chart->ticks[i].at * HEIGHT;
		kith_canvas_box(c, left, at - 0.25, l->plot_width + 4 * KITH_AXIS_GAP, 0.5, i ? pale : kith_line);
		kith_canvas_text(c, left - 3, at, FONT, 0, KITH_END, 0, kith_ink, chart->ticks[i].text);
	}
	kith_axis_draw(c, &l->axis, x, y + KITH_AXIS_GAP, 0);
	draw_legend(c, l);
	chart->draw(c, &l->plot, chart->data);
	return 0;
}

int kith_chart_render(const kith_chart *chart, FILE *out, kith_image image, const char *name, kith_err *err)
{
	layout l = {.chart = chart};
	kith_canvas *canvas = NULL;
	int rc = kith_canvas_new(&canvas, err);
	if (rc)
		return rc;
	rc = lay_out(&l, canvas, err);
	if (!rc)
		rc = kith_canvas_render(out, image, name, chart->alternative, ceil(l.width), ceil(l.height), draw_chart,
					&l, err);
	for (size_t i = 0; i < chart->key_count; i++)
		free(l.keys[i]);
	kith_axis_free(&l.axis);
	kith_canvas_free(canvas);
	return rc;
}
