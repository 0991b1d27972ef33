/* write_rows.h - the last step of an engine: finished rows to the graph's writer. */
#ifndef KITH_WRITE_ROWS_H
#define KITH_WRITE_ROWS_H

#include "duplicates.h"
#include "engine.h"

/* Appends the rows of all samples, in order. Those that `duplicates` leaves out have the rows of their twins; NULL:
 * every sample has a row of its own. */
int kith_results_write(const kith_results *results, const kith_duplicates *duplicates, const kith_engine_job *job,
		       kith_graph_writer *writer, kith_err *err);

/* Sample i's finished row, into `to`. */
void kith_results_copy(const kith_results *results, const kith_duplicates *duplicates, const kith_tie_rule *ties,
		       uint64_t i, kith_row to);

#endif
