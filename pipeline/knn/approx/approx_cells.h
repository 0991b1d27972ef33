/* approx_cells.h - the rows of samples of which only a part fits into memory with its codes and lists.
 *
 *     samples --scatter--> cell 0 | cell 1 | ...       overlapping cells (cells.h), a temporary file each
 *     cell    --approx_rows--> its samples' rows       one cell after the other, in memory; a temporary file each
 *     rows    --merge--> the graph's rows              as they stream by: of a sample's rows in its cells, the k
 * nearest
 *
 * What a cell's rows hold are canonical distances, so merging loses nothing: a neighbour is missed where its cells miss
 * it, or where the two share no cell. */
#ifndef KITH_APPROX_CELLS_H
#define KITH_APPROX_CELLS_H

#include "approx_plan.h"
#include "cells.h"

typedef struct kith_approx_cells {
	/* The caller's: */
	const kith_engine_job *job;
	const kith_approx_plan *plan; /* with cells */
	const kith_scaling *scaling;
	const kith_basis *basis;
	uint64_t seed;
	/* What was done: */
	uint32_t count;         /* of cells */
	uint32_t trees, rounds; /* that it took, at most */
	kith_tie_counts tied;   /* of what was measured, at least */
} kith_approx_cells;

int kith_approx_cells_build(kith_approx_cells *cells, kith_graph_writer *writer, kith_err *err);

#endif
