/* report_parts.h - what the parts of the report share with each other and with their tests. */
#ifndef KITH_REPORT_PARTS_H
#define KITH_REPORT_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "canvas.h"
#include "kith/dynamics.h"
#include "kith/err.h"
#include "kith/stack.h"

/* What every part of a report needs. Layers' labels are their names made printable, with a mark if the layer is
 * approximate; `unit` is 1000 as in the paper's Table 1, or 1 for data so small that thousands would say nothing. */
typedef struct kith_report_data {
	const kith_stack *stack;
	char **labels;
	uint64_t unit;
	int approximate; /* some layer's recall is below 1 */
	kith_dynamics *dynamics;
	size_t dynamics_count; /* one for each k and graph; 0 where there is a single layer, and so nothing to follow */
} kith_report_data;

int kith_report_data_make(kith_report_data *out, const kith_stack *stack, kith_err *err);
void kith_report_data_free(kith_report_data *data);

#define KITH_APPROX_MARK "\xe2\x89\x88" /* the sign "almost equal", after an approximate layer's name */

/* ---- cells.c: numbers and shades ----------------------------------------------------------------------------- */

/* `count` in units of `unit` (1 or 1000) as the paper prints it: three significant digits but at most two decimals, 0
 * as "0", and what would round to nothing as "<0.01". In units of 1 every digit is printed. Halves round up. */
void kith_count_text(uint64_t count, uint64_t unit, char *out, size_t size);

/* 60000 -> "60,000" */
void kith_grouped(uint64_t x, char *out, size_t size);

/* Where `count` stands on the square-root scale from 0 to `most`: 0..1. */
double kith_count_shade(uint64_t count, uint64_t most);

uint64_t kith_nntp_largest(const kith_nntp *p, size_t layers);

/* The file name of a result without its extension: "nnts_k15", "nntp_k15_union_alpha0". */
void kith_nnts_stem(const kith_nnts *t, char *out, size_t size);
void kith_nntp_stem(const kith_nntp *p, char *out, size_t size);

/* "flow_k15_union", `what` being "flow". */
void kith_dynamics_stem(const char *what, const kith_dynamics *d, char *out, size_t size);

/* ---- figure_matrix.c -----------------------------------------------------------------------------------------------
 */

/* `name` is the prefix of the ids in an SVG. */
int kith_figure_nnts(const kith_report_data *data, FILE *out, kith_image image, const char *name, kith_err *err);
int kith_figure_nntp(const kith_report_data *data, const kith_nntp *p, FILE *out, kith_image image, const char *name,
		     kith_err *err);

/* A colour of the scale of NNTS: perceptually uniform, dark at 0, light at 1. */
kith_colour kith_viridis(double shade);

/* ---- figure_dynamics.c ------------------------------------------------------------------------------------------- */

/* Pairs as they pass from layer to layer, by the layer they were born in. */
int kith_figure_flow(const kith_report_data *data, const kith_dynamics *d, FILE *out, kith_image image,
		     const char *name, kith_err *err);

/* How much of what is born in a layer is left in later ones. */
int kith_figure_survival(const kith_report_data *data, const kith_dynamics *d, FILE *out, kith_image image,
			 const char *name, kith_err *err);

/* ---- csv.c, latex.c, html.c ---- */

/* Writes every matrix into `directory`, created if missing. */
int kith_report_csv(const kith_report_data *data, const char *directory, kith_err *err);

/* One table for each NNTP matrix, and one for each k and graph's layer dynamics, to \input into a paper. Write errors
 * are the stream's. */
void kith_report_latex(const kith_report_data *data, FILE *out);

/* The page. Write errors are the stream's. */
int kith_report_html(const kith_report_data *data, FILE *out, kith_err *err);

/* Creates `path` unless it exists. */
int kith_make_directory(const char *path, kith_err *err);

#endif
