/* exact.h - engine "exact": every row's true k nearest, in panels of rows against tiles of columns. */
#ifndef KITH_EXACT_H
#define KITH_EXACT_H

#include "kith/graph.h"
#include "kith/knn.h"
#include "rows.h"

/* Appends all n rows of the graph to `writer`. `info` is the graph's (near and ladder set). */
int kith_exact_run(const kith_rows *rows, const kith_graph_info *info, const kith_knn_options *options,
		   kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err);

#endif
