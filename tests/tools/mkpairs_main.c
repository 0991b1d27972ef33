/* mkpairs - writes a pair store from graphs, in one piece, for the command-line tests.
 *
 *   mkpairs [-b PAIRS_PER_BLOCK] OUT.kpr LAYER.nng...
 *
 * All graphs have the same k. Layers are named by their files' stems. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kith/pairs.h"
#include "sandbox.h"
#include "slow.h"

#define MOST_LAYERS 16

typedef struct making {
	kith_pair_info info;
	kith_layer layer[MOST_LAYERS];
	uint32_t *rows[MOST_LAYERS]; /* n x the largest k */
} making;

static void must(int rc, const kith_err *err)
{
	if (rc) {
		fprintf(stderr, "mkpairs: %s\n", err->msg);
		exit(1);
	}
}

static void read_layer(making *m, const char *path)
{
	uint32_t v = m->info.layer_count++;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	kith_graph *graph;
	kith_err err;
	must(kith_graph_open(&graph, path, &err), &err);
	const kith_graph_info *g = kith_graph_get_info(graph);
	m->layer[v] = (kith_layer){.name = strndup(name, strcspn(name, ".")),
				   .dim = g->d,
				   .metric = strdup(g->metric),
				   .engine = strdup(g->engine),
				   .digest = strdup(g->digest),
				   .input = strdup(g->input),
				   .command = strdup(g->command),
				   .recall = g->recall};
	if (!v) {
		m->info.n = g->n;
		m->info.tiers = g->tiers;
		memcpy(m->info.k, g->ladder, sizeof g->ladder);
	} else if (g->n != m->info.n || memcmp(m->info.k, g->ladder, sizeof g->ladder)) {
		fprintf(stderr, "mkpairs: %s has other samples, or other k\n", path);
		exit(1);
	}
	m->rows[v] = must_alloc(g->n * kith_info_k(g), sizeof **m->rows);
	must(kith_graph_read_rows(graph, 0, g->n, g->tiers, m->rows[v], &err), &err);
	kith_graph_close(graph);
}

int main(int argc, char **argv)
{
	static making m; /* what hangs on it is still in reach at the end: no leak */
	kith_pair_writer *writer = NULL;
	kith_err err;
	for (int option; (option = getopt(argc, argv, "b:")) != -1;) {
		if (option != 'b')
			return 2;
		m.info.block_pairs = (uint32_t)strtoul(optarg, NULL, 10);
	}
	if (argc - optind < 2 || argc - optind > 1 + MOST_LAYERS)
		return 2;
	for (int a = optind + 1; a < argc; a++)
		read_layer(&m, argv[a]);
	m.info.layers = m.layer;
	strcpy(m.info.command, "mkpairs");
	/* tier by tier is as good as rank by rank: tiers are all that is asked for */
	slow_pairs pairs = slow_pairs_of((const uint32_t *const *)m.rows, m.info.layer_count, m.info.n,
					 m.info.k[m.info.tiers - 1], m.info.k, m.info.tiers);
	must(kith_pair_writer_create(&writer, argv[optind], &m.info, 2, &err), &err);
	must(slow_pairs_append(writer, &pairs, m.info.tiers, 0, pairs.count, NULL, &err), &err);
	must(kith_pair_writer_finish(writer, &err), &err);
	slow_pairs_free(&pairs);
	return 0;
}
