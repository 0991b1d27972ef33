/* write_rows.c - see write_rows.h */
#include "write_rows.h"

#include <stdlib.h>
#include <string.h>

#include "workspace.h"

#define OUT_BYTES (4u << 20) /* of finished rows handed to the writer at once */

void kith_results_copy(const kith_results *results, const kith_duplicates *duplicates, const kith_tie_rule *ties,
		       uint64_t i, kith_row to)
{
	uint32_t k = results->k, near = results->near;
	if (duplicates && kith_is_left_out(duplicates, i)) {
		kith_row twin = kith_results_row(results, duplicates->twin[i]);
		kith_duplicates_row(duplicates, ties, (uint32_t)i, twin, k, near, to);
		return;
	}
	kith_row from = kith_results_row(results, i);
	memcpy(to.ids, from.ids, k * sizeof *to.ids);
	memcpy(to.near_ids, from.near_ids, near * sizeof *to.near_ids);
	memcpy(to.near_dist2, from.near_dist2, near * sizeof *to.near_dist2);
}

/* Rows before `end` are with the writer. Those from `first` on are not needed again, unless they are others' twins. */
static void let_go(const kith_results *r, const kith_duplicates *duplicates, uint64_t first, uint64_t end)
{
	if (r->record && (!duplicates || !duplicates->left_out))
		kith_area_discard(&r->area, r->records + first * r->record, r->records + end * r->record);
	kith_area_rest(&r->area);
}

int kith_results_write(const kith_results *results, const kith_duplicates *duplicates, const kith_engine_job *job,
		       kith_graph_writer *writer, kith_err *err)
{
	uint64_t n = job->info->n, k = results->k, near = results->near;
	uint64_t most = job->memory / 16 < OUT_BYTES ? job->memory / 16 : OUT_BYTES, rows;
	kith_row out;
	void *memory = NULL;
	kith_workspace w = {0};
	rows = most / (4 * k + 12 * near);
	rows = rows < 1 ? 1 : rows < n ? rows : n;
	KITH_BUFFER(&w, out.ids, rows * k);
	KITH_BUFFER(&w, out.near_ids, rows * near);
	KITH_BUFFER(&w, out.near_dist2, rows * near);
	int rc = kith_workspace_alloc(&w, &memory, "finished rows", err);
	kith_area_read_in_order(&results->area);
	for (uint64_t first = 0; !rc && first < n; first += rows) {
		uint64_t count = n - first < rows ? n - first : rows;
		if ((rc = kith_progress_tick(job->progress, "writing", first, n, err)))
			break;
		for (uint64_t r = 0; r < count; r++)
			kith_results_copy(
				results, duplicates, &job->vectors->ties, first + r,
				(kith_row){out.ids + r * k, out.near_ids + r * near, out.near_dist2 + r * near});
		rc = kith_engine_append(job, writer, count, out.ids, out.near_ids, out.near_dist2, err);
		let_go(results, duplicates, first, first + count);
	}
	free(memory);
	return rc;
}
