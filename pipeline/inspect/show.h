/* show.h - kith files as text. */
#ifndef KITH_SHOW_H
#define KITH_SHOW_H

#include <stdio.h>

#include "kith/err.h"
#include "show_files.h"

/* Writes the graph, pair store, stack or activations `path` to `out`, and flushes it. */
int kith_show(const char *path, const kith_show_options *options, FILE *out, kith_err *err);

#endif
