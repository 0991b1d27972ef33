/* mkpairs - writes a pair store from graphs, all pairs of a sample at once, for the command-line tests.
 *
 *   mkpairs [-b PAIRS_PER_BLOCK] OUT.kpr LAYER.nng...
 *
 * The k are those of the first graph. Layers are named by their files' stems. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kith/pairs.h"
#include "sandbox.h"

#define MOST_LAYERS 16

typedef struct making {
	kith_pair_info info;
	kith_graph *graph[MOST_LAYERS];
	kith_stack_layer layer[MOST_LAYERS];
	kith_pair_writer *writer;
	uint8_t *tier; /* layers x n: of sample i with every j */
	uint32_t *is, *js;
	uint8_t *tiers; /* layers x n: of those that are linked */
} making;

static void must(int rc, const kith_err *err)
{
	if (rc) {
		fprintf(stderr, "mkpairs: %s\n", err->msg);
		exit(1);
	}
}

static void open_layer(making *m, const char *path)
{
	uint32_t v = m->info.layer_count++;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	kith_err err;
	must(kith_graph_open(&m->graph[v], path, &err), &err);
	const kith_graph_info *g = kith_graph_get_info(m->graph[v]);
	m->layer[v] = (kith_stack_layer){.name = strndup(name, strcspn(name, ".")),
					 .dim = g->d,
					 .metric = strdup(g->metric),
					 .engine = strdup(g->engine),
					 .digest = strdup(g->digest),
					 .input = strdup(g->input),
					 .command = strdup(g->command),
					 .recall = g->recall};
	if (!v) {
		m->info.n = g->n;
		m->info.levels = g->tiers;
		memcpy(m->info.k, g->ladder, sizeof g->ladder);
	}
}

/* The level of a tier: the smallest k of the file that includes what the graph's tier includes. */
static unsigned level_of(const making *m, const kith_graph_info *g, unsigned tier)
{
	for (uint32_t q = 0; tier != KITH_TIER_ABSENT && q < m->info.levels; q++)
		if (g->ladder[tier] <= m->info.k[q])
			return q;
	return KITH_TIER_ABSENT;
}

static void append_sample(making *m, uint32_t i)
{
	uint64_t n = m->info.n, found = 0;
	kith_pairs pairs = {0};
	kith_err err;
	memset(m->tier, KITH_PAIR_ABSENT, m->info.layer_count * n);
	for (uint32_t v = 0; v < m->info.layer_count; v++) {
		const kith_graph_info *g = kith_graph_get_info(m->graph[v]);
		must(kith_graph_read_pairs(m->graph[v], i, 1, &pairs, &err), &err);
		for (uint64_t p = pairs.offset[0]; p < pairs.offset[1]; p++)
			m->tier[v * n + pairs.id[p]] =
				(uint8_t)(level_of(m, g, pairs.tier[p] & 15) | level_of(m, g, pairs.tier[p] >> 4) << 4);
	}
	for (uint32_t j = i + 1; j < n; j++) {
		int linked = 0;
		for (uint32_t v = 0; v < m->info.layer_count; v++) {
			m->tiers[v * n + found] = m->tier[v * n + j];
			linked |= m->tier[v * n + j] != KITH_PAIR_ABSENT;
		}
		m->is[found] = i;
		m->js[found] = j;
		found += linked;
	}
	must(kith_pair_writer_append(m->writer, found, m->is, m->js, m->tiers, n, &err), &err);
	kith_pairs_free(&pairs);
}

int main(int argc, char **argv)
{
	static making m; /* what hangs on it is still in reach at the end: no leak */
	kith_err err;
	for (int option; (option = getopt(argc, argv, "b:")) != -1;) {
		if (option == 'b')
			m.info.block_pairs = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (argc - optind < 2 || argc - optind > 1 + MOST_LAYERS)
		return 2;
	for (int a = optind + 1; a < argc; a++)
		open_layer(&m, argv[a]);
	m.info.layers = m.layer;
	strcpy(m.info.command, "mkpairs");
	m.tier = must_alloc(m.info.layer_count * m.info.n, 1);
	m.tiers = must_alloc(m.info.layer_count * m.info.n, 1);
	m.is = must_alloc(m.info.n, sizeof *m.is);
	m.js = must_alloc(m.info.n, sizeof *m.js);
	must(kith_pair_writer_create(&m.writer, argv[optind], &m.info, &err), &err);
	for (uint32_t i = 0; i < m.info.n; i++)
		append_sample(&m, i);
	must(kith_pair_writer_finish(m.writer, &err), &err);
	return 0;
}
