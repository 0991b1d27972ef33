/* axis.c - see axis.h */
#include "axis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define LABEL_MAX   8.5 /* font sizes */
#define LABEL_MIN   5.5
#define LABEL_WIDTH 120.0 /* layer names are shortened to this */

static int inside_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80; /* UTF-8 continuation */
}

/* "encoder.layers.11.attention.output" -> "encoder.la…tion.output": `keep` bytes in all, fewer where a character would
 * be cut. Layers of a kind share their beginning or their end, so the middle tells least. */
static void shorten(char *out, const char *text, size_t keep)
{
	size_t length = strlen(text), head = keep / 2, tail = length - (keep - head);
	while (head > 0 && inside_character(text[head]))
		head--;
	while (tail < length && inside_character(text[tail]))
		tail++;
	memcpy(out, text, head);
	strcpy(out + head, "\xe2\x80\xa6");
	strcat(out, text + tail);
}

char *kith_fit_text(kith_canvas *canvas, const char *text, double font, double width)
{
	size_t length = strlen(text), keep = length < 160 ? length : 160; /* far more than fits, at little work */
	char *label = malloc(length + 4);
	if (!label)
		return NULL;
	strcpy(label, text);
	if (keep < length)
		shorten(label, text, keep);
	while (keep > 2 && kith_canvas_text_width(canvas, font, 0, label) > width)
		shorten(label, text, --keep);
	return label;
}

int kith_axis_make(kith_axis *out, kith_canvas *canvas, const char *const *labels, size_t count, double spacing,
		   kith_err *err)
{
	static const size_t steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
	size_t i = 0;
	*out = (kith_axis){.count = count, .spacing = spacing};
	out->font = fmax(LABEL_MIN, fmin(LABEL_MAX, spacing / 1.2));
	while (i + 1 < sizeof steps / sizeof *steps && (double)steps[i] * spacing < 1.15 * out->font)
		i++;
	out->step = steps[i];
	out->labels = kith_alloc_zero(count, sizeof *out->labels);
	if (!out->labels)
		return kith_fail_nomem(err, "layer names", count * sizeof *out->labels);
	for (size_t v = 0; v < count; v += out->step) {
		out->labels[v] = kith_fit_text(canvas, labels[v], out->font, LABEL_WIDTH);
		if (!out->labels[v]) {
			kith_axis_free(out);
			return kith_fail_nomem(err, "a layer name", strlen(labels[v]));
		}
		out->widest = fmax(out->widest, kith_canvas_text_width(canvas, out->font, 0, out->labels[v]));
	}
	out->upward = out->widest + 3 > (double)out->step * spacing;
	return 0;
}

void kith_axis_free(kith_axis *axis)
{
	for (size_t v = 0; axis->labels && v < axis->count; v++)
		free(axis->labels[v]);
	free(axis->labels);
	axis->labels = NULL;
}

double kith_axis_depth(const kith_axis *axis)
{
	return (axis->upward ? axis->widest : axis->font) + KITH_AXIS_GAP;
}

void kith_axis_draw(kith_canvas *canvas, const kith_axis *axis, double x, double y, int above)
{
	double side = above ? -1 : 1;
	for (size_t v = 0; v < axis->count; v += axis->step) {
		double at = x + (double)v * axis->spacing;
		if (axis->upward)
			kith_canvas_text(canvas, at, y + side * KITH_AXIS_GAP, axis->font, 0,
					 above ? KITH_START : KITH_END, 1, kith_ink, axis->labels[v]);
		else
			kith_canvas_text(canvas, at, y + side * (KITH_AXIS_GAP + axis->font / 2), axis->font, 0,
					 KITH_MIDDLE, 0, kith_ink, axis->labels[v]);
	}
}
