#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

static int by_id(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return a < b ? -1 : a > b;
}

void slow_audit(const kith_graph_info *info, size_t width, const uint32_t *truth, const uint32_t *ranks, uint32_t rows,
		rng *r, kith_graph_audit *out)
{
	uint32_t k = info->ladder[info->tiers - 1], *all = must_alloc(info->n, sizeof *all);
	uint32_t *memory = must_alloc(rows + (size_t)rows * k, sizeof *memory);
	*out = (kith_graph_audit){
		.rows = rows, .seed = rng_next(r), .id = memory, .exact = memory + rows, .memory = memory};
	for (uint32_t i = 0; i < info->n; i++)
		all[i] = i;
	rng_shuffle(r, all, info->n);
	memcpy(out->id, all, rows * sizeof *all);
	qsort(out->id, rows, sizeof *all, by_id);
	for (uint32_t a = 0; a < rows; a++) {
		memcpy(out->exact + (size_t)a * k, truth + out->id[a] * width, k * sizeof *all);
		for (uint32_t t = 0, from = 0; t < info->tiers; from = info->ladder[t++])
			qsort(out->exact + (size_t)a * k + from, info->ladder[t] - from, sizeof *all, by_id);
	}
	for (uint32_t t = 0; t < info->tiers; t++) {
		uint64_t hits = 0;
		for (uint32_t a = 0; a < rows; a++)
			for (uint32_t p = 0; p < info->ladder[t]; p++)
				for (uint32_t q = 0; q < info->ladder[t]; q++)
					hits += truth[out->id[a] * width + p] == ranks[out->id[a] * width + q];
		out->recall[t] = hits < (uint64_t)rows * info->ladder[t]
					 ? (double)hits / (double)((uint64_t)rows * info->ladder[t])
					 : 0x1.fffffffffffffp-1;
		out->low[t] = rng_unit(r) * out->recall[t];
		out->high[t] = rng_chance(r, 50) ? out->recall[t] : 0x1.fffffffffffffp-1;
	}
	free(all);
}

#define DIFFERS(...) (snprintf(why, size, __VA_ARGS__), 1)

int slow_audit_differs(const char *path, const kith_graph_info *info, const kith_graph_audit *want, char *why,
		       size_t size)
{
	kith_graph *graph = NULL;
	kith_graph_audit got = {0};
	kith_err err = {0};
	size_t k = info->ladder[info->tiers - 1], tiers = info->tiers * sizeof *got.recall;
	int differs = 0;
	if (kith_graph_open(&graph, path, &err) || kith_graph_read_audit(graph, &got, &err))
		differs = DIFFERS("read_audit: %s", err.msg);
	else if (got.rows != want->rows)
		differs = DIFFERS("an audit of %u samples, not %u", got.rows, want->rows);
	else if (want->rows && (got.seed != want->seed || memcmp(got.recall, want->recall, tiers) ||
				memcmp(got.low, want->low, tiers) || memcmp(got.high, want->high, tiers)))
		differs = DIFFERS("the audit's recall or seed");
	else if (want->rows && (memcmp(got.id, want->id, want->rows * sizeof *want->id) ||
				memcmp(got.exact, want->exact, want->rows * k * sizeof *want->exact)))
		differs = DIFFERS("the audit's samples or rows");
	kith_graph_close(graph);
	free(got.memory);
	return differs;
}
