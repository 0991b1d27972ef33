/* html_dynamics.h - the page's section on layer dynamics. Write errors are the stream's. */
#ifndef KITH_HTML_DYNAMICS_H
#define KITH_HTML_DYNAMICS_H

#include <stdio.h>

#include "kith/err.h"
#include "report_parts.h"

int kith_html_dynamics(const kith_report_data *data, FILE *out, kith_err *err);

#endif
