/* report.h - the last stage: stack.json in; figures, tables and one page out. */
#ifndef KITH_REPORT_H
#define KITH_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

typedef struct kith_report_options {
	const char *csv;   /* directory for the matrices as CSV; NULL: none */
	const char *svg;   /* directory for the figures as SVG and PNG; NULL: none */
	const char *latex; /* file for the NNTP and layer dynamics tables; NULL: none */
	kith_progress progress;
} kith_report_options;

typedef struct kith_report_summary {
	uint64_t n;
	size_t layers;
	char k[200]; /* "15,100" */
} kith_report_summary;

/* Reads the stack `input` and writes the page `output`. The page appears last, when all else has been written, and not
 * at all if anything fails. Equal stacks give equal bytes. `summary` may be NULL. */
int kith_report(const char *input, const char *output, const kith_report_options *options, kith_report_summary *summary,
		kith_err *err);

#endif
