/* html_table.h - tables of layers, and figures, in the page. Write errors are the stream's. */
#ifndef KITH_HTML_TABLE_H
#define KITH_HTML_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "kith/err.h"
#include "report_parts.h"

#define KITH_TABLE_LAYERS 64 /* of a table at most; with more layers, a figure takes its place */

#define KITH_HTML_COUNT 40 /* bytes that any count takes, with its 0 */

/* As kith_count_text, in HTML. Returns `out`. */
const char *kith_html_count(uint64_t count, uint64_t unit, char out[KITH_HTML_COUNT]);

/* The parts of a table with the layers' names along its left side: class, head of layers, a row's head. */
const char *kith_html_matrix_class(const kith_report_data *d);
void kith_html_matrix_head(const kith_report_data *d, FILE *out);
void kith_html_open_row(const kith_report_data *d, FILE *out, size_t v);

/* A cell whose ground is `shade` of the scale's colour, to be written into; a ratio in such a cell, or an empty cell
 * for NaN; a layer's value in a column. */
void kith_html_open_cell(FILE *out, double shade);
void kith_html_ratio(FILE *out, double ratio);
void kith_html_value(const kith_report_data *d, const kith_column *column, size_t layer, FILE *out);

/* A whole table of a matrix of ratios of about [0,1]. */
void kith_html_ratios(const kith_report_data *d, const char *caption, const kith_measure *m, const kith_values *v,
		      FILE *out);

/* A figure up to its caption, which the caller writes and ends with KITH_FIGURE_END. */
int kith_html_figure(const kith_report_data *d, kith_figure *draw, const void *of, const char *stem, FILE *out,
		     kith_err *err);
#define KITH_FIGURE_END "</figcaption></figure>\n"

#endif
