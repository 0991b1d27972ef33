/* show.h - kith files as text. */
#ifndef KITH_SHOW_H
#define KITH_SHOW_H

#include <stdint.h>
#include <stdio.h>

#include "kith/err.h"

typedef struct kith_show_options {
	uint64_t first, last; /* nodes (samples) first..last-1; last UINT64_MAX: to the end */
	int json;
	kith_progress progress;
} kith_show_options;

/* Writes the graph, pair store, stack or activations `path` to `out`. Header lines start with '#', then rows of
 * tab-separated values; or JSON. What is shown depends on the contents only, not on how or when the file was made. */
int kith_show(const char *path, const kith_show_options *options, FILE *out, kith_err *err);

/* kith_show's part for pair stores: a row for each pair whose smaller sample is asked for. */
int kith_show_pairs(const char *path, const kith_show_options *options, FILE *out, kith_err *err);

/* KITH_EUSAGE unless options->first <= last <= n. */
int kith_show_nodes_check(const char *path, const kith_show_options *options, uint64_t last, uint64_t n, kith_err *err);

#endif
