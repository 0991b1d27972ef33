/* canvas.c - see canvas.h; the one file that knows the graphics library. */
#include "canvas.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Font configuration substitutes what there is: Arial, Liberation Sans, or else the default sans. */
#define FACE           "Arial"
#define PNG_SCALE      2.0
#define HALF_CAPITAL   0.358 /* of the font size: text is centred on its capitals and digits */
#define MAX_PNG_PIXELS 32000.0

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define WATCHED
#endif
#endif
#if defined WATCHED || defined __SANITIZE_ADDRESS__
/* The font library loses some of what it has loaded. The sanitizer's library looks these two functions up. */
#pragma GCC visibility push(default)
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}
const char *__lsan_default_suppressions(void)
{
	return "leak:libfontconfig\n";
}
#pragma GCC visibility pop
#endif

/* ---- drawing ------------------------------------------------------------------------------------------------- */

static double linear(double channel)
{
	return channel <= 0.04045 ? channel / 12.92 : pow((channel + 0.055) / 1.055, 2.4);
}

kith_colour kith_colour_on(kith_colour ground)
{
	double luminance = 0.2126 * linear(ground.r) + 0.7152 * linear(ground.g) + 0.0722 * linear(ground.b);
	double with_white = 1.05 / (luminance + 0.05), with_black = (luminance + 0.05) / 0.05;
	return with_white > with_black ? (kith_colour){1, 1, 1} : (kith_colour){0, 0, 0};
}

static void set_colour(kith_canvas *c, kith_colour colour)
{
	cairo_set_source_rgb(c, colour.r, colour.g, colour.b);
}

/* Unhinted, so that text is as wide in a PNG as in an SVG and one layout serves both. */
static void set_font(kith_canvas *c, double size, int bold)
{
	cairo_font_options_t *options = cairo_font_options_create();
	cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
	cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
	cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
	cairo_set_font_options(c, options);
	cairo_font_options_destroy(options);
	cairo_select_font_face(c, FACE, CAIRO_FONT_SLANT_NORMAL,
			       bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
	cairo_set_font_size(c, size);
}

double kith_canvas_text_width(kith_canvas *c, double size, int bold, const char *text)
{
	cairo_text_extents_t extents;
	set_font(c, size, bold);
	cairo_text_extents(c, text, &extents);
	return extents.x_advance;
}

void kith_canvas_text(kith_canvas *c, double x, double y, double size, int bold, kith_anchor anchor, int upward,
		      kith_colour colour, const char *text)
{
	double width = kith_canvas_text_width(c, size, bold, text);
	double back = anchor == KITH_START ? 0 : anchor == KITH_MIDDLE ? width / 2 : width;
	cairo_save(c);
	cairo_translate(c, x, y);
	if (upward)
		cairo_rotate(c, -M_PI / 2);
	cairo_move_to(c, -back, HALF_CAPITAL * size);
	set_colour(c, colour);
	cairo_show_text(c, text);
	cairo_restore(c);
}

void kith_canvas_box(kith_canvas *c, double x, double y, double width, double height, kith_colour colour)
{
	set_colour(c, colour);
	cairo_rectangle(c, x, y, width, height);
	cairo_fill(c);
}

void kith_canvas_frame(kith_canvas *c, double x, double y, double width, double height, double line, kith_colour colour)
{
	set_colour(c, colour);
	cairo_set_line_width(c, line);
	cairo_rectangle(c, x, y, width, height);
	cairo_stroke(c);
}

void kith_canvas_move(kith_canvas *c, double x, double y)
{
	cairo_move_to(c, x, y);
}

void kith_canvas_line(kith_canvas *c, double x, double y)
{
	cairo_line_to(c, x, y);
}

void kith_canvas_ease(kith_canvas *c, double x, double y)
{
	double from_x, from_y, middle;
	cairo_get_current_point(c, &from_x, &from_y);
	middle = (from_x + x) / 2;
	cairo_curve_to(c, middle, from_y, middle, y, x, y);
}

void kith_canvas_fill(kith_canvas *c, kith_colour colour)
{
	set_colour(c, colour);
	cairo_fill(c);
}

void kith_canvas_stroke(kith_canvas *c, double width, kith_colour colour)
{
	set_colour(c, colour);
	cairo_set_line_width(c, width);
	cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
	cairo_stroke(c);
}

void kith_canvas_dot(kith_canvas *c, double x, double y, double radius, kith_colour colour)
{
	set_colour(c, colour);
	cairo_new_sub_path(c);
	cairo_arc(c, x, y, radius, 0, 2 * M_PI);
	cairo_fill(c);
}

void kith_canvas_ramp(kith_canvas *c, double x, double y, double width, double height, size_t stops,
		      const kith_colour *colours)
{
	cairo_pattern_t *ramp = cairo_pattern_create_linear(0, y + height, 0, y);
	for (size_t i = 0; i < stops; i++)
		cairo_pattern_add_color_stop_rgb(ramp, (double)i / (double)(stops - 1), colours[i].r, colours[i].g,
						 colours[i].b);
	cairo_set_source(c, ramp);
	cairo_rectangle(c, x, y, width, height);
	cairo_fill(c);
	cairo_pattern_destroy(ramp);
}

static int failed(cairo_status_t status, kith_err *err)
{
	if (status == CAIRO_STATUS_NO_MEMORY)
		return kith_fail_nomem(err, "a drawing", 0);
	return kith_fail(err, KITH_EIO, "cannot draw: %s", cairo_status_to_string(status));
}

int kith_canvas_raster(kith_canvas *c, double x, double y, double width, double height, size_t columns, size_t rows,
		       const uint32_t *pixels, kith_err *err)
{
	cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)columns, (int)rows);
	cairo_status_t status = cairo_surface_status(image);
	if (status == CAIRO_STATUS_SUCCESS) {
		cairo_surface_flush(image);
		for (size_t r = 0; r < rows; r++)
			memcpy(cairo_image_surface_get_data(image) + r * (size_t)cairo_image_surface_get_stride(image),
			       pixels + r * columns, columns * sizeof *pixels);
		cairo_surface_mark_dirty(image);
		cairo_save(c);
		cairo_translate(c, x, y);
		cairo_scale(c, width / (double)columns, height / (double)rows);
		cairo_set_source_surface(c, image, 0, 0);
		cairo_rectangle(c, 0, 0, (double)columns, (double)rows);
		cairo_fill(c);
		cairo_restore(c);
		status = cairo_status(c);
	}
	cairo_surface_destroy(image);
	return status == CAIRO_STATUS_SUCCESS ? 0 : failed(status, err);
}

/* ---- canvases ------------------------------------------------------------------------------------------------ */

/* Takes the surface over, on failure too. */
static int start(cairo_t **out, cairo_surface_t *surface, kith_err *err)
{
	cairo_t *c = cairo_create(surface);
	cairo_status_t status = cairo_status(c);
	cairo_surface_destroy(surface); /* the drawing holds it */
	if (status != CAIRO_STATUS_SUCCESS) {
		cairo_destroy(c);
		return failed(status, err);
	}
	*out = c;
	return 0;
}

int kith_canvas_new(kith_canvas **out, kith_err *err)
{
	return start(out, cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1), err);
}

void kith_canvas_free(kith_canvas *c)
{
	cairo_destroy(c);
}

/* ---- SVG ----------------------------------------------------------------------------------------------------- */

/* The library's ids are the same in every drawing, or carry a counter that depends on what was drawn before: either is
 * wrong for several drawings in one page and for equal bytes. They are renamed NAME-0, NAME-1, ... as they appear. */
typedef struct svg_id {
	const char *at;
	size_t length;
} svg_id;

typedef struct id_list {
	svg_id *ids;
	size_t count, capacity;
} id_list;

static int find_id(id_list *list, const char *at, size_t length, size_t *out)
{
	size_t i = 0;
	while (i < list->count && (list->ids[i].length != length || memcmp(list->ids[i].at, at, length)))
		i++;
	if (i == list->capacity) {
		size_t capacity = 2 * list->capacity + 64;
		svg_id *more = realloc(list->ids, capacity * sizeof *more);
		if (!more)
			return -1;
		list->ids = more;
		list->capacity = capacity;
	}
	if (i == list->count)
		list->ids[list->count++] = (svg_id){at, length};
	*out = i;
	return 0;
}

/* If an id begins right after `at`, the text that announces it; else NULL. */
static const char *announces_id(const char *at)
{
	static const char *const before[] = {" id=\"", "href=\"#", "url(#"};
	for (size_t i = 0; i < sizeof before / sizeof *before; i++)
		if (!strncmp(at, before[i], strlen(before[i])))
			return before[i];
	return NULL;
}

static int rename_ids(FILE *out, const char *svg, const char *name)
{
	id_list list = {0};
	int rc = 0;
	while (*svg && !rc) {
		const char *before = announces_id(svg);
		size_t length, index;
		if (!before) {
			putc(*svg++, out);
			continue;
		}
		svg += strlen(before);
		length = strcspn(svg, "\")");
		rc = find_id(&list, svg, length, &index);
		if (!rc)
			fprintf(out, "%s%s-%zu", before, name, index);
		svg += length;
	}
	free(list.ids);
	return rc;
}

static int put_svg(FILE *out, const char *svg, kith_image image, const char *name, const char *title, kith_err *err)
{
	const char *root = strstr(svg, "<svg"), *body = root ? strchr(root, '>') : NULL;
	if (!body)
		return kith_fail(err, KITH_EIO, "cannot draw: the graphics library wrote no SVG");
	if (image == KITH_SVG)
		fwrite(svg, 1, (size_t)(root - svg), out);
	fprintf(out, "<svg role=\"img\" aria-labelledby=\"%s-title\"", name);
	fwrite(root + 4, 1, (size_t)(body - root - 4), out);
	fprintf(out, ">\n<title id=\"%s-title\">%s</title>", name, title);
	if (rename_ids(out, body + 1, name))
		return kith_fail_nomem(err, "a drawing", strlen(svg));
	return 0;
}

/* ---- rendering ----------------------------------------------------------------------------------------------- */

static cairo_status_t put_bytes(void *out, const unsigned char *bytes, unsigned int size)
{
	return fwrite(bytes, 1, size, out) == size ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* Draws on white and finishes the surface; releases the drawing. */
static int draw_on(cairo_surface_t *surface, double scale, kith_draw *draw, const void *what, FILE *png, kith_err *err)
{
	cairo_t *c = NULL;
	cairo_status_t state;
	int rc = start(&c, surface, err);
	if (rc)
		return rc;
	surface = cairo_get_target(c);
	cairo_scale(c, scale, scale);
	cairo_set_source_rgb(c, 1, 1, 1);
	cairo_paint(c);
	rc = draw(c, what, err);
	state = cairo_status(c);
	if (state == CAIRO_STATUS_SUCCESS && !rc && png)
		state = cairo_surface_write_to_png_stream(surface, put_bytes, png);
	cairo_surface_finish(surface);
	if (state == CAIRO_STATUS_SUCCESS)
		state = cairo_surface_status(surface);
	/* what the stream refused is the stream's to report, with the system's reason */
	if (!rc && state != CAIRO_STATUS_SUCCESS && state != CAIRO_STATUS_WRITE_ERROR)
		rc = failed(state, err);
	cairo_destroy(c);
	return rc;
}

static int render_png(FILE *out, double width, double height, kith_draw *draw, const void *what, kith_err *err)
{
	double scale = fmin(PNG_SCALE, MAX_PNG_PIXELS / fmax(width, height));
	int columns = (int)ceil(width * scale), rows = (int)ceil(height * scale);
	return draw_on(cairo_image_surface_create(CAIRO_FORMAT_RGB24, columns, rows), scale, draw, what, out, err);
}

int kith_canvas_render(FILE *out, kith_image image, const char *name, const char *title, double width, double height,
		       kith_draw *draw, const void *what, kith_err *err)
{
	char *svg = NULL;
	size_t size = 0;
	FILE *memory;
	int rc;
	if (image == KITH_PNG)
		return render_png(out, width, height, draw, what, err);
	memory = open_memstream(&svg, &size);
	if (!memory)
		return kith_fail_nomem(err, "a drawing", 0);
	rc = draw_on(cairo_svg_surface_create_for_stream(put_bytes, memory, width, height), 1, draw, what, NULL, err);
	if (fclose(memory) && !rc)
		rc = kith_fail_nomem(err, "a drawing", size);
	if (!rc)
		rc = put_svg(out, svg, image, name, title, err);
	free(svg);
	return rc;
}
