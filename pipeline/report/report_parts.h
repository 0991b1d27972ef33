/* report_parts.h - what the parts of the report share with each other and with their tests. */
#ifndef KITH_REPORT_PARTS_H
#define KITH_REPORT_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "canvas.h"
#include "kith/err.h"
#include "measures.h"
#include "outfile.h"

/* What every part of a report needs. Layers' labels are their names made printable, with a mark if the layer is
 * approximate; `unit` is 1000 as in the paper's Table 1, or 1 for data so small that thousands would say nothing. */
typedef struct kith_report_data {
	const kith_stack *stack;
	char **labels, **html; /* as text, and in HTML */
	uint64_t unit;
	int approximate;      /* some layer's graph is not exact */
	kith_chance *chances; /* for each k */
	kith_dynamics *dynamics;
	size_t dynamics_count; /* one for each k and graph; 0 where there is a single layer, and so nothing to follow */
	kith_entry *entries;   /* what there is of each k, then of each k, graph and alpha */
	size_t entry_count;
} kith_report_data;

int kith_report_data_make(kith_report_data *out, const kith_stack *stack, kith_err *err);
void kith_report_data_free(kith_report_data *data);

#define KITH_SECOND_MARK "\xe2\x80\xb2" /* a prime, after the names of a second network's layers */
#define KITH_APPROX_MARK "\xe2\x89\x88" /* the sign "almost equal", after an approximate layer's name */

/* ---- cells.c: numbers and shades ----------------------------------------------------------------------------- */

/* `count` in units of `unit` (1 or 1000) as the paper prints it: three significant digits but at most two decimals, 0
 * as "0", and what would round to nothing as "<0.01". In units of 1 every digit is printed. Halves round up. */
void kith_count_text(uint64_t count, uint64_t unit, char *out, size_t size);

/* Where `count` stands on the square-root scale from 0 to `most`: 0..1. */
double kith_count_shade(uint64_t count, uint64_t most);

uint64_t kith_nntp_largest(const kith_nntp *p, size_t layers);

/* The file name of a result without its extension: "nnts_k15", "nntp_k15_union_alpha0". */
void kith_nnts_stem(const kith_nnts *t, char *out, size_t size);
void kith_nntp_stem(const kith_nntp *p, char *out, size_t size);

void kith_measure_stem(const kith_measure *m, const kith_entry *e, char *out, size_t size);

/* "flow_k15_union", `what` being "flow". */
void kith_dynamics_stem(const char *what, const kith_dynamics *d, char *out, size_t size);

/* Of two networks: the layer of the second that is most like layer `row` of the first, the first of several. */
size_t kith_best_match(const kith_stack *stack, const kith_nnts *nnts, size_t row);

/* The unit that a count is printed in: the report's, but for counts of samples, which are printed in full. */
uint64_t kith_unit_of(const kith_report_data *data, const kith_measure *m);

#define KITH_MAX_COLUMNS 16

/* A column of a table whose rows are layers. */
typedef struct kith_column {
	const kith_measure *measure;
	kith_values values;
} kith_column;

/* Everything that the entry has of each layer; returns how many columns. */
size_t kith_columns_of(const kith_entry *e, kith_column out[KITH_MAX_COLUMNS]);

/* Whether the column shows a value for the layer; if not, the cell is empty. */
int kith_column_shows(const kith_column *column, size_t layer);

/* ---- figure_matrix.c, figure_dynamics.c ---------------------------------------------------------------------- */

/* A figure; `name` is the prefix of the ids in an SVG, `of` what it is of:
 *   nnts      all NNTS matrices (`of` NULL)
 *   nntp      one kith_nntp, as a matrix
 *   flow      of kith_dynamics: pairs as they pass from layer to layer, by the layer they were born in
 *   survival  of kith_dynamics: how much of what is born in a layer is left in later ones */
typedef int kith_figure(const kith_report_data *data, const void *of, FILE *out, kith_image image, const char *name,
			kith_err *err);
kith_figure kith_figure_nnts, kith_figure_nntp, kith_figure_flow, kith_figure_survival;

/* A colour of the scale of NNTS: perceptually uniform, dark at 0, light at 1. */
kith_colour kith_viridis(double shade);

/* ---- csv.c, latex.c, html.c; and report.c -------------------------------------------------------------------- */

/* Writes every matrix into `directory`, created if missing. */
int kith_report_csv(const kith_report_data *data, const char *directory, kith_err *err);

/* One table for each NNTP matrix, and one for each k and graph's layer dynamics, to \input into a paper. Write errors
 * are the stream's. */
void kith_report_latex(const kith_report_data *data, FILE *out);

/* The page. Write errors are the stream's. */
int kith_report_html(const kith_report_data *data, FILE *out, kith_err *err);

/* Creates `path` unless it exists. */
int kith_make_directory(const char *path, kith_err *err);

/* kith_outfile_open of DIRECTORY/STEM.ENDING. */
int kith_report_open(kith_outfile **out, const char *directory, const char *stem, const char *ending, kith_err *err);

#endif
