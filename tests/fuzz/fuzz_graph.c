/* fuzz_graph.c - any bytes as a graph file: refused with a reason, at open or when a value is read, or good. The
 * checksums stop most inputs, so seeds are whole graphs and the interesting changes are in LMDB's own pages. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kith/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(kith_graph *graph)
{
	const kith_graph_info *info = kith_graph_get_info(graph);
	uint64_t step = info->n < 64 ? info->n : 64;
	uint32_t k = info->ladder[info->tiers - 1];
	uint32_t *ids = malloc((step * k + 1) * sizeof *ids), *near_ids = malloc((step * info->near + 1) * sizeof *ids);
	double *near_dist2 = malloc((step * info->near + 1) * sizeof *near_dist2);
	kith_sets sets[KITH_MAX_TIERS] = {0};
	kith_err err = {0};
	for (uint64_t first = 0; ids && near_ids && near_dist2 && first < info->n && first < 4096; first += step) {
		uint64_t count = info->n - first < step ? info->n - first : step;
		if (!kith_graph_read_rows(graph, first, count, info->tiers, ids, &err))
			for (uint64_t c = 0; c < count * k; c++)
				if (ids[c] >= info->n)
					abort();
		kith_graph_read_near(graph, first, count, near_ids, near_dist2, &err);
		kith_graph_read_ranked(graph, first, count, info->tiers, ids, near_dist2, &err);
	}
	/* the first block's */
	uint64_t block = info->n < info->block_nodes ? info->n : info->block_nodes;
	kith_graph_read_row_sets(graph, 0, block, info->tiers, sets, &err);
	kith_graph_read_reverse(graph, 0, block, info->tiers, sets, &err);
	for (uint32_t t = 0; t < KITH_MAX_TIERS; t++)
		kith_sets_free(&sets[t]);
	free(ids);
	free(near_ids);
	free(near_dist2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz.nng", 0);
	char path[64];
	kith_graph *graph = NULL;
	kith_err err = {0};
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (kith_graph_open(&graph, path, &err)) {
		if (!err.msg[0])
			abort();
	} else {
		read_all(graph);
		kith_graph_check(graph, (uint64_t)16 << 20, 2, NULL, &err);
		kith_graph_close(graph);
	}
	close(fd);
	return 0;
}
