/* html_approximate.h - what the page says of approximate graphs: nothing where all are exact. Write errors are the
 * stream's. */
#ifndef KITH_HTML_APPROXIMATE_H
#define KITH_HTML_APPROXIMATE_H

#include <stdio.h>

#include "report_parts.h"

/* The warning at the beginning. */
void kith_html_warning(const kith_report_data *d, FILE *out);

/* The layers of which many rows are a matter of ties, and what that means; nothing if there are none. */
void kith_html_ties(const kith_report_data *d, FILE *out);

/* A sentence for the caption of NNTS: how far the estimates are from what the figure shows. */
void kith_html_estimates(const kith_report_data *d, FILE *out);

/* A sentence for an NNTP table or figure, and a row of recall below the table. */
void kith_html_nntp_caution(const kith_report_data *d, const kith_nntp *p, FILE *out);
void kith_html_recall_row(const kith_report_data *d, const kith_nntp *p, FILE *out);

/* The recall of a layer, in the table of provenance. */
void kith_html_recall_cell(const kith_report_data *d, size_t layer, FILE *out);

#endif
