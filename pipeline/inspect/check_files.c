/* check_files.c - see check_files.h */
#include "check_files.h"

#include "activations.h"
#include "kith/graph.h"
#include "kith/pairs.h"
#include "kith/stack.h"
#include "machine.h"

#define GRAPH_MEMORY (256u << 20)
#define SCAN_MEMORY  (32u << 20)

int kith_check_graph(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_graph *graph;
	int rc = kith_graph_open(&graph, path, err);
	if (rc)
		return rc;
	rc = kith_graph_check(graph, GRAPH_MEMORY, kith_machine_cores(), progress, err);
	kith_graph_close(graph);
	return rc;
}

int kith_check_pairs(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_pair_store *store;
	int rc = kith_pair_store_open(&store, path, err);
	if (rc)
		return rc;
	rc = kith_pair_store_check(store, progress, err);
	kith_pair_store_close(store);
	return rc;
}

int kith_check_stack(const char *path, const kith_progress *progress, kith_err *err)
{
	(void)progress;
	return kith_stack_verify(path, err);
}

int kith_check_activations(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_activations *a;
	kith_scan scan;
	int rc = kith_activations_open(&a, path, err);
	if (rc)
		return rc;
	rc = kith_activations_scan(a, SCAN_MEMORY, kith_machine_cores(), progress, &scan, NULL, err);
	kith_activations_close(a);
	return rc;
}
