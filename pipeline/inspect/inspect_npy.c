/* inspect_npy.c - a graph as arrays, for those who take neighbours: UMAP, openTSNE, scanpy; and kith-import. */
#include <math.h>
#include <stdlib.h>

#include "filetype.h"
#include "kith/graph.h"
#include "outfile.h"
#include "workspace.h"

struct arrays {
	kith_graph *graph;
	kith_outfile *indices, *distances;
	uint64_t rows; /* that are read together */
	uint32_t *ids; /* rows x k */
	double *dist;  /* rows x near */
	void *memory;
};

static int put_header(kith_outfile **to, const char *path, const char *descr, uint64_t rows, uint64_t columns,
		      kith_err *err)
{
	int rc = path ? kith_outfile_open(to, path, err) : 0;
	if (!rc && path)
		kith_put_npy_header(kith_outfile_stream(*to), descr, rows, columns);
	return rc;
}

/* Ids are below 2^31, so that they are int32 as they are; and little-endian: kith runs nowhere else. */
static int begin(struct arrays *a, const char *path, const kith_show_options *o, uint64_t rows, kith_err *err)
{
	const kith_graph_info *i = kith_graph_get_info(a->graph);
	kith_workspace w = {0};
	if (o->distances && !i->near)
		return kith_fail(err, KITH_EUSAGE, "%s: keeps no distances (--near): leave out --distances", path);
	a->rows = i->near_nodes > i->block_nodes ? i->near_nodes : i->block_nodes;
	KITH_BUFFER(&w, a->ids, a->rows * kith_info_k(i));
	KITH_BUFFER(&w, a->dist, a->rows * i->near);
	int rc = kith_workspace_alloc(&w, &a->memory, "rows", err);
	if (rc || (rc = put_header(&a->indices, o->indices, "<i4", rows, kith_info_k(i), err)))
		return rc;
	return put_header(&a->distances, o->distances, "<f8", rows, i->near, err);
}

static int put_rows(struct arrays *a, uint64_t first, uint64_t count, kith_err *err)
{
	const kith_graph_info *i = kith_graph_get_info(a->graph);
	int rc = kith_graph_read_ranked(a->graph, first, count, i->tiers, a->ids, a->dist, err);
	if (rc)
		return rc;
	for (uint64_t p = 0; p < count * i->near; p++)
		a->dist[p] = sqrt(a->dist[p]);
	if (a->indices)
		fwrite(a->ids, sizeof *a->ids * kith_info_k(i), count, kith_outfile_stream(a->indices));
	if (a->distances)
		fwrite(a->dist, sizeof *a->dist * i->near, count, kith_outfile_stream(a->distances));
	return 0;
}

int kith_show_npy(const char *path, const kith_show_options *o, kith_err *err)
{
	struct arrays a = {0};
	uint64_t last;
	int rc = kith_graph_open(&a.graph, path, err);
	if (rc)
		return rc;
	if ((rc = kith_show_last(path, o, kith_graph_get_info(a.graph)->n, &last, err)) ||
	    (rc = begin(&a, path, o, last - o->first, err)))
		goto done;
	for (uint64_t first = o->first, count; !rc && first < last; first += count) {
		/* up to the next value's start, so that none is decoded twice */
		count = a.rows - first % a.rows;
		count = count < last - first ? count : last - first;
		if (!(rc = kith_progress_tick(&o->progress, "nodes", first - o->first, last - o->first, err)))
			rc = put_rows(&a, first, count, err);
	}
	rc = rc ? rc : kith_graph_unchanged(a.graph, err);
done:
	rc = kith_outfile_flush(a.distances, kith_outfile_flush(a.indices, rc, err), err);
	rc = kith_outfile_close(a.indices, rc, err);
	rc = kith_outfile_close(a.distances, rc, err);
	free(a.memory);
	kith_graph_close(a.graph);
	return rc;
}
