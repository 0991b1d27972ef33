/* figure_dynamics.c - where pairs come from and how long they stay: the flow of pairs from layer to layer, and how much
 * of what is born in a layer is left later. With many layers, those born in neighbouring ones are one generation. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "chart.h"
#include "report_parts.h"

#define COLUMNS  256 /* of the flow: with more layers, it skips some */
#define CROWDED  7.0 /* points between columns: closer, the flow is drawn as one surface */
#define DOTTED   7.0 /* points between layers: closer, a curve has no dots */
#define LIGHTEST 0.9 /* of the scale: what is lighter does not show as a line on white */

typedef struct generations {
	const kith_dynamics *d;
	size_t size, count; /* layers in each but perhaps the last; how many there are */
	kith_colour colours[KITH_CHART_KEYS];
	double most; /* on the scale */
} generations;

static size_t first_of(const generations *g, size_t i)
{
	return i * g->size < g->d->layers ? i * g->size : g->d->layers;
}

/* Sets what both figures have in common. */
static void start(const kith_report_data *data, const kith_dynamics *d, generations *g, kith_chart *chart)
{
	static const size_t sizes[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
	size_t i = 0;
	while ((d->layers + sizes[i] - 1) / sizes[i] > KITH_CHART_KEYS)
		i++;
	*g = (generations){.d = d, .size = sizes[i], .count = (d->layers + sizes[i] - 1) / sizes[i]};
	*chart = (kith_chart){.layers = d->layers,
			      .labels = (const char *const *)data->labels,
			      .legend_title = "born in",
			      .key_count = g->count,
			      .data = g};
	for (i = 0; i < g->count; i++) {
		double place = g->count > 1 ? LIGHTEST * (double)i / (double)(g->count - 1) : 0;
		chart->keys[i].colour = g->colours[i] = kith_viridis(place);
		chart->keys[i].first = first_of(g, i);
		chart->keys[i].last = first_of(g, i + 1) - 1;
	}
	snprintf(chart->title, sizeof chart->title, "k = %" PRIu32 ", %s", d->runs->k,
		 kith_graph_kind_name(d->runs->graph));
}

/* ---- survival ------------------------------------------------------------------------------------------------ */

/* Of what is born in a, the share left in b. */
static double height_left(const generations *g, const kith_plot *plot, size_t a, size_t b)
{
	return (double)g->d->survival[a * g->d->layers + b] / (double)g->d->births[a] * plot->height;
}

/* A generation's first layer stands for it. */
static void draw_survival(kith_canvas *c, const kith_plot *plot, const void *data)
{
	const generations *g = data;
	size_t L = g->d->layers;
	for (size_t i = 0; i < g->count; i++) {
		size_t a = first_of(g, i), dotted = plot->spacing < DOTTED ? a + 1 : L;
		if (!g->d->births[a])
			continue;
		kith_canvas_move(c, plot->x + (double)a * plot->spacing, plot->y - plot->height);
		for (size_t b = a + 1; b < L; b++)
			kith_canvas_line(c, plot->x + (double)b * plot->spacing, plot->y - height_left(g, plot, a, b));
		kith_canvas_stroke(c, 1.5, g->colours[i]);
		for (size_t b = a; b < dotted; b++)
			kith_canvas_dot(c, plot->x + (double)b * plot->spacing, plot->y - height_left(g, plot, a, b),
					b == a ? 2.6 : 1.8, g->colours[i]);
	}
}

int kith_figure_survival(const kith_report_data *data, const void *of, FILE *out, kith_image image, const char *name,
			 kith_err *err)
{
	generations g;
	kith_chart chart;
	start(data, of, &g, &chart);
	for (size_t i = 0; i < g.count; i++)
		chart.keys[i].last = chart.keys[i].first;
	chart.scale_title = "share still present";
	chart.tick_count = 6;
	for (size_t i = 0; i < chart.tick_count; i++) {
		chart.ticks[i].at = (double)i / 5;
		snprintf(chart.ticks[i].text, sizeof chart.ticks[i].text, "%.1f", chart.ticks[i].at);
	}
	chart.draw = draw_survival;
	chart.alternative = "Of the pairs born in a layer, the share still present in the later ones";
	return kith_chart_render(&chart, out, image, name, err);
}

/* ---- flow ---------------------------------------------------------------------------------------------------- */

/* Sums over the generations before one: pairs present in a column, and those of them that are in the next one, too. */
typedef struct column {
	size_t layer;
	double here[KITH_CHART_KEYS + 1], stay[KITH_CHART_KEYS + 1];
} column;

typedef struct flow {
	const generations *g;
	size_t count;
	column columns[COLUMNS];
	kith_canvas *canvas;
	const kith_plot *plot;
	double node; /* half a column's width; 0 if crowded */
} flow;

/* Pairs born up to layer `v`, summed over generations, that are still there in layer `w`. */
static void sum_up(const generations *g, size_t v, size_t w, double *sums)
{
	sums[0] = 0;
	for (size_t i = 0; i < g->count; i++) {
		sums[i + 1] = sums[i];
		for (size_t a = first_of(g, i); a < first_of(g, i + 1) && a <= v; a++)
			sums[i + 1] += (double)g->d->survival[a * g->d->layers + w];
	}
}

static void fill_columns(flow *f)
{
	size_t L = f->g->d->layers, stride = (L + COLUMNS - 3) / (COLUMNS - 1);
	for (size_t v = 0; v + 1 < L; v += stride)
		f->columns[f->count++].layer = v;
	f->columns[f->count++].layer = L - 1;
	for (size_t c = 0; c < f->count; c++) {
		column *at = &f->columns[c];
		sum_up(f->g, at->layer, at->layer, at->here);
		if (c + 1 < f->count)
			sum_up(f->g, at->layer, at[1].layer, at->stay);
	}
}

static double height_of(const flow *f, double pairs)
{
	return f->plot->y - pairs / f->g->most * f->plot->height;
}

/* A band between column c and the next, over the fractions from..to of the distance, with these counts at its left and
 * its right end. */
static void add_band(const flow *f, size_t c, double from, double to, const double left[2], const double right[2])
{
	const kith_plot *p = f->plot;
	double start = p->x + (double)f->columns[c].layer * p->spacing + f->node;
	double end = p->x + (double)f->columns[c + 1].layer * p->spacing - f->node;
	double x0 = start + from * (end - start), x1 = start + to * (end - start);
	void (*trace)(kith_canvas *, double, double) = f->node > 0 ? kith_canvas_ease : kith_canvas_line;
	kith_canvas_move(f->canvas, x0, height_of(f, left[0]));
	trace(f->canvas, x1, height_of(f, right[0]));
	kith_canvas_line(f->canvas, x1, height_of(f, right[1]));
	trace(f->canvas, x0, height_of(f, left[1]));
}

/* What generation i has of the flow: on the left of a gap, from below, the pairs that are in the next column no more,
 * then those that stay, both by generation; on the right those that stayed, then the new. So no two bands cross. */
static void draw_generation(const flow *f, size_t i)
{
	size_t all = f->g->count;
	double reach = f->node > 0 ? 0.6 : 1;
	kith_colour colour = f->g->colours[i];
	kith_colour tint = {1 - 0.35 * (1 - colour.r), 1 - 0.35 * (1 - colour.g), 1 - 0.35 * (1 - colour.b)};
	for (size_t c = 0; c + 1 < f->count; c++) {
		const column *at = &f->columns[c];
		double gone[] = {at->here[i] - at->stay[i], at->here[i + 1] - at->stay[i + 1]}, none[] = {0, 0};
		if (gone[1] > gone[0])
			add_band(f, c, 0, reach, gone, none);
	}
	kith_canvas_fill(f->canvas, tint);
	for (size_t c = 0; c + 1 < f->count; c++) {
		const column *at = &f->columns[c], *next = at + 1;
		double gone = at->here[all] - at->stay[all], from = (reach < 1 ? next : at)->here[all];
		double top[] = {from, from};
		double left[] = {gone + at->stay[i], gone + at->stay[i + 1]}, right[] = {at->stay[i], at->stay[i + 1]};
		double born[] = {at->stay[all] + next->here[i] - at->stay[i],
				 at->stay[all] + next->here[i + 1] - at->stay[i + 1]};
		if (born[1] > born[0])
			add_band(f, c, 1 - reach, 1, top, born);
		if (right[1] > right[0])
			add_band(f, c, 0, 1, left, right);
	}
	kith_canvas_fill(f->canvas, colour);
}

static void draw_flow(kith_canvas *canvas, const kith_plot *plot, const void *data)
{
	static const kith_colour node = {0.3, 0.3, 0.3};
	flow f = {.g = data, .canvas = canvas, .plot = plot};
	f.node = plot->spacing < CROWDED ? 0 : fmin(3, plot->spacing / 25);
	fill_columns(&f);
	for (size_t i = 0; i < f.g->count; i++)
		draw_generation(&f, i);
	for (size_t c = 0; c < f.count && f.node > 0; c++) {
		double top = height_of(&f, f.columns[c].here[f.g->count]);
		kith_canvas_box(canvas, plot->x + (double)f.columns[c].layer * plot->spacing - f.node, top, 2 * f.node,
				plot->y - top, node);
	}
}

/* Round counts from 0 on, three to seven above it, fewer where the greatest count is small. */
static void count_ticks(kith_chart *chart, double most, uint64_t unit)
{
	double decade = pow(10, floor(log10(most))), lead = most / decade;
	double step = fmax(1, decade * (lead > 6 ? 2 : lead > 2.9 ? 1 : lead > 1.4 ? 0.5 : 0.2));
	for (double at = 0; at <= most; at += step) {
		kith_tick *tick = &chart->ticks[chart->tick_count++];
		tick->at = at / most;
		snprintf(tick->text, sizeof tick->text, "%.4g", at / (double)unit);
	}
}

int kith_figure_flow(const kith_report_data *data, const void *of, FILE *out, kith_image image, const char *name,
		     kith_err *err)
{
	const kith_dynamics *d = of;
	generations g;
	kith_chart chart;
	start(data, d, &g, &chart);
	g.most = 1;
	for (size_t v = 0; v < d->layers; v++)
		g.most = fmax(g.most, (double)d->runs->pairs[v]);
	count_ticks(&chart, g.most, data->unit);
	chart.scale_title = data->unit == 1000 ? "pairs, in thousands" : "pairs";
	chart.draw = draw_flow;
	chart.alternative =
		"The pairs present in each layer by the layer they were born in, and how many go on to the next";
	return kith_chart_render(&chart, out, image, name, err);
}
