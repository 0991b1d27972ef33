/* exact.h - engine "exact": every row's true k nearest. */
#ifndef KITH_EXACT_H
#define KITH_EXACT_H

#include "kith/graph.h"
#include "kith/knn.h"
#include "planner.h"
#include "vectors.h"

/* Appends all n rows of the graph to `writer`, which writes `output`. `info` is the graph's (near and ladder set).
 * `rows` may come to hold all rows in memory. */
int kith_exact_run(kith_rows *rows, const kith_graph_info *info, const kith_knn_options *options, const char *output,
		   kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err);

/* The plan that kith_exact_run would choose, and its name for people. */
int kith_exact_plan(const kith_rows *rows, const kith_graph_info *info, const kith_knn_options *options,
		    kith_plan *plan, char *name, size_t size, kith_err *err);

#endif
