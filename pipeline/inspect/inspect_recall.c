/* inspect_recall.c - the recall of a finished graph. */
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "kith/graph.h"
#include "kith/knn.h"
#include "text.h"

/* What the line for each k needs to know of the graph, and a seed that its audit has not. */
static int look(const char *path, kith_graph_info *info, uint64_t *seed, kith_err *err)
{
	kith_graph *graph;
	kith_graph_audit audit = {0};
	int rc = kith_graph_open(&graph, path, err);
	if (rc)
		return rc;
	*info = *kith_graph_get_info(graph);
	rc = kith_graph_read_audit(graph, &audit, err);
	*seed = audit.seed + 1;
	free(audit.memory);
	kith_graph_close(graph);
	return rc;
}

int kith_check_recall(const char *input, const kith_input_how *how, const char *path, uint32_t rows,
		      const kith_progress *progress, FILE *out, kith_err *err)
{
	kith_knn_options options;
	kith_graph_info info;
	kith_graph_audit found = {0};
	char recall[KITH_RECALL_TEXT];
	kith_knn_defaults(&options);
	options.progress = *progress;
	options.audit_rows = rows;
	options.how = *how;
	int rc = look(path, &info, &options.audit_seed, err);
	int exact = !rc && !strcmp(info.engine, "exact");
	if (rc || (rc = kith_knn_audit(input, path, &options, &found, err)))
		return rc;
	for (uint32_t t = 0; t < info.tiers; t++)
		fprintf(out, "%s: k=%u: %s%s, %u samples\n", path, info.ladder[t], exact ? "exact" : "recall ",
			exact ? ": no miss found"
			      : kith_recall_text(found.recall[t], found.low[t], found.high[t], recall),
			found.rows);
	free(found.memory);
	return fflush(out) || ferror(out) ? kith_fail_errno(err, "cannot write the output") : 0;
}
