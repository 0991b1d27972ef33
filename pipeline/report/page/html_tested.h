/* html_tested.h - what the page says of NNTS' null distribution, and of two networks: nothing where a stack has
 * neither. Write errors are the stream's. */
#ifndef KITH_HTML_TESTED_H
#define KITH_HTML_TESTED_H

#include <stdio.h>

#include "report_parts.h"

/* The section that asks whether NNTS is more than chance. */
void kith_html_tested(const kith_report_data *d, FILE *out);

/* Of two networks: each layer of the first with each of the second, best matches marked, and the pairs of samples that
 * layers of one name keep, lose and gain. */
void kith_html_networks(const kith_report_data *d, FILE *out);

#endif
