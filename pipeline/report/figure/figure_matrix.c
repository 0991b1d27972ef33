/* figure_matrix.c - the paper's Figure 1 (NNTS), and its Table 1 (NNTP) as a figure. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "heatmap.h"
#include "report_parts.h"

/* Viridis (S. van der Walt and N. Smith, CC0) at every tenth: perceptually uniform, readable in grey and by the
 * colour-blind. */
static const unsigned viridis[] = {0x440154, 0x482475, 0x414487, 0x355f8d, 0x2a788e, 0x21918c,
				   0x22a884, 0x44bf70, 0x7ad151, 0xbddf26, 0xfde725};

/* ColorBrewer "Blues" (C. Brewer, Apache 2.0). */
static const unsigned blues[] = {0xf7fbff, 0xdeebf7, 0xc6dbef, 0x9ecae1, 0x6baed6,
				 0x4292c6, 0x2171b5, 0x08519c, 0x08306b};

static kith_colour from_rgb(unsigned rgb)
{
	return (kith_colour){(rgb >> 16) / 255.0, (rgb >> 8 & 0xff) / 255.0, (rgb & 0xff) / 255.0};
}

static void fill_scale(kith_colour *scale, const unsigned *anchors, size_t count)
{
	for (size_t i = 0; i < KITH_SCALE_STOPS; i++) {
		double place = (double)i / (KITH_SCALE_STOPS - 1) * (double)(count - 1);
		size_t below = place < (double)(count - 1) ? (size_t)place : count - 2;
		kith_colour a = from_rgb(anchors[below]), b = from_rgb(anchors[below + 1]);
		double part = place - (double)below;
		scale[i] = (kith_colour){a.r + part * (b.r - a.r), a.g + part * (b.g - a.g), a.b + part * (b.b - a.b)};
	}
}

kith_colour kith_viridis(double shade)
{
	kith_colour scale[KITH_SCALE_STOPS];
	fill_scale(scale, viridis, sizeof viridis / sizeof *viridis);
	return kith_scale_colour(scale, shade);
}

/* ---- NNTS ---------------------------------------------------------------------------------------------------- */

static void nnts_title(const void *data, size_t panel, char *out, size_t size)
{
	const kith_report_data *d = data;
	snprintf(out, size, "k = %" PRIu32, d->stack->nnts[panel].k);
}

static void nnts_cell(const void *data, size_t panel, size_t row, size_t column, kith_cell *out)
{
	const kith_stack *s = ((const kith_report_data *)data)->stack;
	out->empty = 0;
	out->shade = s->nnts[panel].mean[row * s->layer_count + column];
	snprintf(out->text, sizeof out->text, "%.2f", out->shade);
}

int kith_figure_nnts(const kith_report_data *data, const void *of, FILE *out, kith_image image, const char *name,
		     kith_err *err)
{
	kith_heatmap map = {.layers = data->stack->layer_count,
			    .panels = data->stack->nnts_count,
			    .labels = (const char *const *)data->labels,
			    .title = nnts_title,
			    .cell = nnts_cell,
			    .data = data,
			    .bar_title = "NNTS",
			    .tick_count = 6,
			    .alternative = "NNTS between every two layers, one matrix for each k"};
	(void)of;
	fill_scale(map.scale, viridis, sizeof viridis / sizeof *viridis);
	for (size_t i = 0; i < map.tick_count; i++) {
		map.ticks[i].at = (double)i / 5;
		snprintf(map.ticks[i].text, sizeof map.ticks[i].text, "%.1f", map.ticks[i].at);
	}
	return kith_heatmap_render(&map, out, image, name, err);
}

/* ---- NNTP ---------------------------------------------------------------------------------------------------- */

typedef struct nntp_figure {
	const kith_report_data *data;
	const kith_nntp *p;
	uint64_t most;
} nntp_figure;

static void nntp_title(const void *data, size_t panel, char *out, size_t size)
{
	const kith_nntp *p = ((const nntp_figure *)data)->p;
	(void)panel;
	snprintf(out, size, "k = %" PRIu32 ", %s, \xce\xb1 = %" PRIu32, p->k, kith_graph_kind_name(p->graph), p->alpha);
}

static void nntp_cell(const void *data, size_t panel, size_t row, size_t column, kith_cell *out)
{
	const nntp_figure *f = data;
	uint64_t count = f->p->count[row * f->data->stack->layer_count + column];
	(void)panel;
	out->empty = column < row;
	out->shade = kith_count_shade(count, f->most);
	kith_count_text(count, f->data->unit, out->text, sizeof out->text);
}

/* 0, and 1-2-5 values as long as they keep apart on the square-root scale. */
static void nntp_ticks(kith_heatmap *map, uint64_t most, uint64_t unit)
{
	static const uint64_t leads[] = {5, 2, 1};
	double last = 2;
	kith_tick *tick = map->ticks;
	for (uint64_t decade = 1000000000000000000u; most && decade; decade /= 10)
		for (size_t i = 0; i < 3; i++) {
			uint64_t value = leads[i] * decade;
			double at = kith_count_shade(value, most);
			if (value > most || value < unit / 100 || last - at < 0.1 || at < 0.1)
				continue;
			tick->at = last = at;
			snprintf(tick->text, sizeof tick->text, "%.4g", (double)value / (double)unit);
			tick++;
		}
	tick->at = 0;
	strcpy(tick->text, "0");
	map->tick_count = (size_t)(tick - map->ticks) + 1;
}

int kith_figure_nntp(const kith_report_data *data, const void *of, FILE *out, kith_image image, const char *name,
		     kith_err *err)
{
	nntp_figure f = {data, of, kith_nntp_largest(of, data->stack->layer_count)};
	kith_heatmap map = {.layers = data->stack->layer_count,
			    .panels = 1,
			    .labels = (const char *const *)data->labels,
			    .title = nntp_title,
			    .cell = nntp_cell,
			    .data = &f,
			    .bar_title = data->unit == 1000 ? "pairs, in thousands" : "pairs",
			    .row_title = "first layer of the run",
			    .column_title = "last layer of the run",
			    .alternative = "NNTP: runs by their first and last layer"};
	fill_scale(map.scale, blues, sizeof blues / sizeof *blues);
	nntp_ticks(&map, f.most, data->unit);
	return kith_heatmap_render(&map, out, image, name, err);
}
