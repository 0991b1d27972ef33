/* merge_main.c - kith-merge: parse, check, run, report. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "atomic_file.h"
#include "cli.h"
#include "kith/merge.h"
#include "text.h"

enum { OPT_ALPHA = 256, OPT_GRAPH, OPT_PAIRS };

struct arguments {
	kith_merge_options merge;
	const char *output;
	size_t count, capacity;
	char **names; /* owned */
	const char **paths;
};

static const struct argp_option options[] = {
	{NULL, 'k', "K[,K...]", 0, "Neighbours to compare; default: every k that all layers share", 1},
	{"alpha", OPT_ALPHA, "A|all", 0, "Report NNTP for every alpha from 0 to A; all: to the number of layers less 2",
	 1},
	{"graph", OPT_GRAPH, "union|mutual|both", 0,
	 "A pair is present if either, or if both, are neighbours of the other", 1},
	{"pairs", OPT_PAIRS, "PAIRS.kpr", 0, "Also write every pair's presence in every layer, for kith-pairs", 1},
	{NULL, 'o', "STACK.json", 0, "The result to write (required)", 1},
	{NULL, 'm', "MEM", 0, "Memory to work in, such as 512M or 4G", 2},
	{NULL, 't', "THREADS", 0, "Threads", 2},
	{0},
};

/* "NAME=PATH", or a path whose stem is the name: layers/C1.nng is C1. A '=' after a '/' belongs to the path. */
static int add_layer(struct arguments *a, const char *arg, kith_err *err)
{
	if (a->count == KITH_MAX_LAYERS)
		return kith_fail(err, KITH_EUSAGE, "more than %u layers", KITH_MAX_LAYERS);
	if (a->count == a->capacity) {
		size_t capacity = a->capacity ? 2 * a->capacity : 16;
		char **names = reallocarray(a->names, capacity, sizeof *names);
		if (names)
			a->names = names;
		const char **paths = reallocarray(a->paths, capacity, sizeof *paths);
		if (paths)
			a->paths = paths;
		if (!names || !paths)
			return kith_fail_nomem(err, "layer names", capacity * 16);
		a->capacity = capacity;
	}
	const char *equals = strchr(arg, '='), *slash = strrchr(arg, '/');
	const char *path = arg, *name = slash ? slash + 1 : arg;
	size_t length = strlen(name);
	if (equals && (!strchr(arg, '/') || strchr(arg, '/') > equals)) {
		path = equals + 1;
		name = arg;
		length = (size_t)(equals - arg);
	} else if (length > 4 && !strcmp(name + length - 4, ".nng")) {
		length -= 4;
	}
	if (!length || !*path)
		return kith_fail(err, KITH_EUSAGE, "%s: not a layer: give LAYER.nng or NAME=LAYER.nng", arg);
	for (size_t c = 0; c < length; c++)
		if (iscntrl((unsigned char)name[c])) /* tables are cut at tabs and line ends */
			return kith_fail(err, KITH_EUSAGE,
					 "layer %zu: its name holds a tab, a line end or the like: give it another, "
					 "NAME=LAYER.nng",
					 a->count);
	if (!(a->names[a->count] = strndup(name, length)))
		return kith_fail_nomem(err, "a layer name", length);
	a->paths[a->count++] = path;
	return 0;
}

static int take(void *context, int key, char *arg, kith_err *err)
{
	struct arguments *a = context;
	uint64_t number;
	switch (key) {
	case 'k':
		return kith_cli_ladder(arg, KITH_MAX_TIERS, a->merge.k, &a->merge.k_count, err);
	case OPT_ALPHA:
		if (!strcmp(arg, "all"))
			a->merge.alpha = KITH_ALPHA_ALL;
		else if (kith_cli_count("--alpha", arg, 0, KITH_MAX_LAYERS, &number, err))
			return KITH_EUSAGE;
		else
			a->merge.alpha = (uint32_t)number;
		return 0;
	case OPT_GRAPH:
		if (strcmp(arg, "union") && strcmp(arg, "mutual") && strcmp(arg, "both"))
			return kith_fail(err, KITH_EUSAGE, "--graph %s: not one of union, mutual, both", arg);
		a->merge.with_union = strcmp(arg, "mutual") != 0;
		a->merge.with_mutual = strcmp(arg, "union") != 0;
		return 0;
	case OPT_PAIRS:
		a->merge.pairs = arg;
		return 0;
	case 'm':
		return kith_cli_bytes(arg, &a->merge.memory, err);
	case 't':
		if (kith_cli_count("-t", arg, 1, 256, &number, err))
			return KITH_EUSAGE;
		a->merge.threads = (int)number;
		return 0;
	case 'o':
		a->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		return add_layer(a, arg, err);
	case ARGP_KEY_END:
		if (!a->count)
			return kith_fail(err, KITH_EUSAGE,
					 "no layers given: kith-merge -o stack.json FIRST.nng ... LAST.nng");
		if (!a->output)
			return kith_fail(err, KITH_EUSAGE, "no output given: -o stack.json");
		for (size_t v = 0; v < a->count; v++)
			if (kith_cli_distinct("-o", a->output, a->paths[v], err) ||
			    (a->merge.pairs && kith_cli_distinct("--pairs", a->merge.pairs, a->paths[v], err)))
				return KITH_EUSAGE;
		if (a->merge.pairs && kith_cli_two_outputs("--pairs", a->merge.pairs, a->output, err))
			return KITH_EUSAGE;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Where stack.json cannot be written, that should be known before the work, and before a pair store is replaced. */
static int check_output(const char *path, kith_err *err)
{
	kith_atomic_file *part;
	int rc = kith_atomic_file_open(&part, path, err);
	if (!rc)
		kith_atomic_file_abort(part);
	return rc;
}

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "kith-merge"};
	struct arguments a = {0};
	kith_stack *stack = NULL;
	kith_err err;
	char about[768], ladder[256], command[1024];
	uint32_t k[KITH_MAX_TIERS];
	int code = 0;

	kith_cli_start(&cli, argv);
	kith_merge_defaults(&a.merge);
	snprintf(about, sizeof about,
		 "Walk the layers' graphs in causal order: NNTS (how alike two layers' neighbourhoods are) and NNTP "
		 "(how many pairs stay neighbours from layer to layer).\v"
		 "Layers are named by their file's stem unless NAME= is given.\n\n"
		 "Defaults: every shared k, --alpha 0 --graph union -m %s -t %d.\n\n"
		 "Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.",
		 kith_cli_bytes_text(a.merge.memory), a.merge.threads);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "[NAME=]LAYER.nng ...", about, take, &a}, argc, argv);

	a.merge.progress = kith_cli_progress(&cli);
	kith_cli_command(argc, argv, command, sizeof command);
	a.merge.command = command;
	if (check_output(a.output, &err) ||
	    kith_merge(a.count, a.paths, (const char *const *)a.names, &a.merge, &stack, &err) ||
	    kith_stack_write(stack, a.output, &err)) {
		code = kith_cli_fail(&cli, &err);
	} else {
		for (size_t q = 0; q < stack->nnts_count; q++)
			k[q] = stack->nnts[q].k;
		kith_cli_report(&cli, "%zu layers -> %s%s%s: n=%llu k=%s", a.count, a.output,
				a.merge.pairs ? " and " : "", a.merge.pairs ? a.merge.pairs : "",
				(unsigned long long)stack->n,
				kith_ladder_text(k, (uint32_t)stack->nnts_count, ladder, sizeof ladder));
	}
	kith_stack_free(stack);
	for (size_t v = 0; v < a.count; v++)
		free(a.names[v]);
	free(a.names);
	free(a.paths);
	return code;
}
