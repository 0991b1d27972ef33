/* neighbours - prints the nearest neighbours of one sample in a layer's graph, and how far away they are.
 *
 *   neighbours LAYER.nng SAMPLE
 *
 * One line for each of the nearest 32, or of all if they are fewer: rank, sample index, distance. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <kith/graph.h>

static int print_neighbours(kith_graph *graph, uint64_t sample, kith_err *err)
{
	uint32_t near = kith_graph_get_info(graph)->near; /* those that come with distances */
	uint32_t *ids = calloc(near, sizeof *ids);
	double *squared = calloc(near, sizeof *squared);
	int rc = ids && squared ? 0 : kith_fail_nomem(err, "neighbours", near * (sizeof *ids + sizeof *squared));
	if (!rc)
		rc = kith_graph_read_near(graph, sample, 1, ids, squared, err);
	for (uint32_t rank = 0; !rc && rank < near; rank++)
		printf("%u\t%u\t%.6g\n", rank + 1, ids[rank], sqrt(squared[rank]));
	free(ids);
	free(squared);
	return rc;
}

int main(int argc, char **argv)
{
	kith_graph *graph = NULL;
	kith_err err;
	if (argc != 3) {
		fprintf(stderr, "usage: neighbours LAYER.nng SAMPLE\n");
		return 2;
	}
	int rc = kith_graph_open(&graph, argv[1], &err);
	if (!rc)
		rc = print_neighbours(graph, strtoull(argv[2], NULL, 10), &err);
	if (rc)
		fprintf(stderr, "neighbours: %s\n", err.msg);
	kith_graph_close(graph);
	return rc ? 1 : 0;
}
