/* mkmiss - mkmiss GRAPH.nng OUT.nng: the same graph without near lists, in each row of which a neighbour is replaced by
 * a sample that is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kith/graph.h"

/* Sample i's row, which is not all others: its last becomes the first sample that is not in it. */
static void spoil(uint32_t *row, uint32_t k, uint32_t i)
{
	for (uint32_t other = 0;; other++) {
		uint32_t p = 0;
		while (p < k && row[p] != other)
			p++;
		if (p == k && other != i) {
			row[k - 1] = other;
			return;
		}
	}
}

int main(int argc, char **argv)
{
	kith_graph *from = NULL;
	kith_graph_writer *to = NULL;
	kith_err err = {.msg = "Usage: mkmiss GRAPH.nng OUT.nng"};
	if (argc != 3 || kith_graph_open(&from, argv[1], &err))
		goto bad;
	kith_graph_info info = *kith_graph_get_info(from);
	size_t k = kith_info_k(&info);
	uint32_t *ids = malloc(info.n * k * sizeof *ids);
	info.near = 0;
	if (!ids || kith_graph_read_rows(from, 0, info.n, info.tiers, ids, &err))
		goto bad;
	for (uint32_t i = 0; i < info.n; i++)
		spoil(ids + i * k, (uint32_t)k, i);
	if (kith_graph_create(&to, argv[2], &info, 64 << 20, 1, &err) ||
	    kith_graph_append(to, info.n, ids, ids, &(double){0}, &err) || kith_graph_finish(to, NULL, &err))
		goto bad;
	kith_graph_close(from);
	free(ids);
	return 0;
bad:
	fprintf(stderr, "mkmiss: %s\n", err.msg);
	return 1;
}
