/* html_table.h - tables of layers in the page, and its section on layer dynamics. Write errors are the stream's. */
#ifndef KITH_HTML_TABLE_H
#define KITH_HTML_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "kith/err.h"
#include "report_parts.h"

#define KITH_TABLE_LAYERS 64 /* beyond this many layers a table is no longer read: a figure stands in for it */

/* As kith_count_text. */
void kith_html_count(FILE *out, uint64_t count, uint64_t unit);

/* The parts of a table with the layers' names along its left side: class, head of layers, a row's head, a cell whose
 * ground is `shade` of the scale's colour. */
const char *kith_html_matrix_class(const kith_report_data *d);
void kith_html_matrix_head(const kith_report_data *d, FILE *out);
void kith_html_open_row(const kith_report_data *d, FILE *out, size_t v);
void kith_html_open_cell(FILE *out, double shade);

/* A whole table of L x L numbers of [0,1], corrected for what chance gives (0: as they are). Empty are cells of NaN
 * and, of a triangular matrix, those below the diagonal. */
void kith_html_ratios(const kith_report_data *d, const char *caption, const double *m, double expected, int triangular,
		      FILE *out);

/* html_dynamics.c */
int kith_html_dynamics(const kith_report_data *d, FILE *out, kith_err *err);

#endif
