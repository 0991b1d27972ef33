/* check_main.c - kith-check: is each file what it should be, all the way down? */
#include <stdio.h>
#include <stdlib.h>

#include "activations.h"
#include "cli.h"
#include "filetype.h"
#include "kith/graph.h"
#include "kith/pairs.h"
#include "kith/stack.h"
#include "machine.h"

#define MEMORY (256u << 20)

static int check_graph(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_graph *graph;
	int rc = kith_graph_open(&graph, path, err);
	if (rc)
		return rc;
	rc = kith_graph_check(graph, MEMORY, kith_machine_cores(), progress, err);
	kith_graph_close(graph);
	return rc;
}

static int check_pairs(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_pair_store *store;
	int rc = kith_pair_store_open(&store, path, err);
	if (rc)
		return rc;
	rc = kith_pair_store_check(store, progress, err);
	kith_pair_store_close(store);
	return rc;
}

static int check_npy(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_activations *a;
	kith_scan scan;
	int rc = kith_activations_open(&a, path, err);
	if (rc)
		return rc;
	rc = kith_activations_scan(a, 32u << 20, kith_machine_cores(), progress, &scan, NULL, err);
	kith_activations_close(a);
	return rc;
}

static int check(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_filetype type;
	int rc = kith_filetype_of(path, &type, err);
	if (rc)
		return rc;
	return type == KITH_FILE_GRAPH   ? check_graph(path, progress, err)
	       : type == KITH_FILE_PAIRS ? check_pairs(path, progress, err)
	       : type == KITH_FILE_STACK ? kith_stack_verify(path, err)
					 : check_npy(path, progress, err);
}

int main(int argc, char **argv)
{
	static const char about[] =
		"Validate kith files (.nng, .kpr, stack.json) and activations (.npy), and say what is wrong "
		"with them.\v"
		"Everything is read: every checksum, every rule of the format, every identity that the "
		"definitions imply.\n\n"
		"Exit status: 0 all are sound, 1 one is damaged or cannot be read, 2 wrong usage or unfit "
		"input; the worst file decides.";
	kith_cli cli = {.name = "kith-check"};
	kith_texts paths = {0};
	const kith_option options[] = {
		{0, NULL, NULL, NULL, 0, kith_take_each, .to = &paths, .missing = "no file given"},
		{0},
	};
	int worst = 0;
	kith_err err;

	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE ...", about, NULL, NULL}, argc, argv);
	kith_progress progress = kith_cli_progress(&cli);
	for (size_t i = 0; i < paths.count; i++) {
		int code = check(paths.text[i], &progress, &err) ? kith_cli_fail(&cli, &err) : 0;
		kith_cli_clear(&cli);
		if (!code && !cli.quiet)
			fprintf(stderr, "kith-check: %s: sound\n", paths.text[i]);
		/* damage (1) is worse than unfitness (2) */
		worst = code == 1 || worst == 1 ? 1 : code > worst ? code : worst;
	}
	free(paths.text);
	return worst;
}
