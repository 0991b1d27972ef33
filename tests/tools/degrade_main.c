/* degrade - an approximate graph with an audit, made of an exact one, as if a search had missed some neighbours.
 *
 *   degrade [-k K] [-r RECALL] [-f] [-s SEED] [-a ROWS] EXACT.nng OUT.nng [CANDIDATES.nng...]
 *
 * Of each sample's K (15) nearest, RECALL (0.95) are kept, the others being chosen at random or, with -f, mostly the
 * farthest; the next ones take their place. Or else OUT's rows are the K nearest of the samples that are in that row of
 * any of the candidates. EXACT.nng keeps the distances of more than K neighbours: kith-knn -k 32 makes one. ROWS (1000,
 * or all samples) are audited, the same for all graphs of as many samples. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kith/graph.h"
#include "sandbox.h"
#include "slow.h"

typedef struct degrading {
	kith_graph_info info; /* of OUT */
	uint32_t width;       /* neighbours whose order is known */
	uint32_t *truth;      /* n x width */
	uint32_t *ranks;      /* n x width, of which OUT has the first K */
	double *dist2;        /* of ranks */
	double recall;
	int farthest;
	rng random;
} degrading;

static void must(int rc, const kith_err *err)
{
	if (rc) {
		fprintf(stderr, "degrade: %s\n", err->msg);
		exit(1);
	}
}

/* Returns the distances of the rank table in *dist2. */
static void read_exact(degrading *d, const char *path, double **dist2)
{
	kith_graph *graph;
	kith_err err;
	must(kith_graph_open(&graph, path, &err), &err);
	uint32_t k = d->info.ladder[0];
	d->info = *kith_graph_get_info(graph);
	d->width = d->info.near;
	d->info.tiers = 1;
	d->info.ladder[0] = k;
	d->info.near = k;
	strcpy(d->info.engine, "degraded");
	if (d->width < k) {
		fprintf(stderr, "degrade: %s: keeps the distances of %u neighbours, not of %u\n", path, d->width, k);
		exit(2);
	}
	size_t items = d->info.n * d->width;
	d->truth = must_alloc(items, sizeof *d->truth);
	d->ranks = must_alloc(items, sizeof *d->ranks);
	d->dist2 = must_alloc(items, sizeof *d->dist2);
	*dist2 = must_alloc(items, sizeof **dist2);
	must(kith_graph_read_near(graph, 0, d->info.n, d->truth, *dist2, &err), &err);
	kith_graph_close(graph);
}

static int is_missed(degrading *d, uint32_t rank)
{
	uint32_t k = d->info.ladder[0];
	double chance = 1 - d->recall;
	if (d->farthest)
		chance *= 2 * (rank + 0.5) / k;
	return rank < k && rng_unit(&d->random) < chance;
}

/* Marks what the graph's rows have: found[i * width + rank]. */
static void mark_found(const degrading *d, const char *path, unsigned char *found)
{
	kith_graph *graph;
	kith_err err;
	must(kith_graph_open(&graph, path, &err), &err);
	const kith_graph_info *info = kith_graph_get_info(graph);
	uint32_t k = kith_info_k(info), *row = must_alloc(k, sizeof *row);
	for (uint64_t i = 0; i < info->n && i < d->info.n; i++) {
		must(kith_graph_read_rows(graph, i, 1, info->tiers, row, &err), &err);
		for (uint32_t rank = 0; rank < d->width; rank++)
			for (uint32_t p = 0; p < k; p++)
				found[i * d->width + rank] |= row[p] == d->truth[i * d->width + rank];
	}
	free(row);
	kith_graph_close(graph);
}

/* Those found keep their order; the others come after them. */
static void fill_row(degrading *d, uint64_t i, const unsigned char *found, const double *dist2)
{
	uint32_t filled = 0;
	for (int wanted = 1; wanted >= 0; wanted--)
		for (uint32_t rank = 0; rank < d->width; rank++)
			if (found[i * d->width + rank] == wanted) {
				d->ranks[i * d->width + filled] = d->truth[i * d->width + rank];
				d->dist2[i * d->width + filled++] = dist2[i * d->width + rank];
			}
}

static void write_graph(degrading *d, const char *path, uint32_t rows)
{
	kith_graph_audit audit;
	kith_err err;
	rng samples = {2020};
	rows = rows < d->info.n ? rows : (uint32_t)d->info.n;
	slow_audit(&d->info, d->width, d->truth, d->ranks, rows, &samples, &audit);
	double spread = 2 * sqrt(audit.recall[0] * (1 - audit.recall[0]) / (rows + 1));
	audit.low[0] = fmax(0, audit.recall[0] - spread);
	audit.high[0] = fmin(1 - 0x1p-53, audit.recall[0] + spread);
	must(slow_graph_write(path, &d->info, d->width, d->ranks, d->dist2, &audit, (uint64_t)64 << 20, &d->random,
			      &err),
	     &err);
	printf("%.6f\n", audit.recall[0]);
	free(audit.memory);
}

int main(int argc, char **argv)
{
	degrading d = {.info.ladder = {15}, .recall = 0.95, .random = {1}};
	uint32_t rows = 1000;
	double *dist2;
	for (int option; (option = getopt(argc, argv, "k:r:fs:a:")) != -1;)
		switch (option) {
		case 'k':
			d.info.ladder[0] = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			d.recall = strtod(optarg, NULL);
			break;
		case 'f':
			d.farthest = 1;
			break;
		case 's':
			d.random.state = strtoull(optarg, NULL, 10);
			break;
		case 'a':
			rows = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	if (argc - optind < 2)
		return 2;
	read_exact(&d, argv[optind], &dist2);
	unsigned char *found = must_alloc(d.info.n * d.width, 1);
	for (int a = optind + 2; a < argc; a++)
		mark_found(&d, argv[a], found);
	for (uint64_t i = 0; argc - optind == 2 && i < d.info.n; i++)
		for (uint32_t rank = 0; rank < d.width; rank++)
			found[i * d.width + rank] = !is_missed(&d, rank);
	for (uint64_t i = 0; i < d.info.n; i++)
		fill_row(&d, i, found, dist2);
	write_graph(&d, argv[optind + 1], rows);
	free(found);
	free(dist2);
	free(d.truth);
	free(d.ranks);
	free(d.dist2);
	return 0;
}
