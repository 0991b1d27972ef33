/* merge_main.c - kith-merge: parse, check, run, report. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "approximate.h"
#include "atomic_file.h"
#include "cli.h"
#include "kith/merge.h"
#include "text.h"

#define MOST_RELABELLINGS 1000000u

typedef struct arguments {
	kith_merge_options merge;
	const char *output;
	size_t count;                 /* of layers */
	char *names[KITH_MAX_LAYERS]; /* owned */
	const char *paths[KITH_MAX_LAYERS];
	kith_texts against; /* the layers of --against, which come after these */
} arguments;

/* Where NAME=PATH has its '='; NULL: `arg` is a path as it stands. It is one if a file has that very name, or if there
 * is a '/' before the '=': folders are called lr=0.1, too. */
static const char *find_equals(const char *arg)
{
	const char *equals = strchr(arg, '=');
	return equals && !memchr(arg, '/', (size_t)(equals - arg)) && access(arg, F_OK) ? equals : NULL;
}

/* "NAME=PATH", or a path whose stem is the name: layers/C1.nng is C1. */
static int add_layer(arguments *a, const char *arg, kith_err *err)
{
	if (a->count == KITH_MAX_LAYERS)
		return kith_fail(err, KITH_EUSAGE, "more than %u layers", KITH_MAX_LAYERS);
	const char *equals = find_equals(arg), *slash = strrchr(arg, '/');
	const char *path = arg, *name = slash ? slash + 1 : arg;
	size_t length = strlen(name);
	if (equals) {
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

static int take_layer(const kith_option *option, const char *arg, kith_err *err)
{
	return add_layer(option->to, arg, err);
}

static int take_alpha(const kith_option *option, const char *arg, kith_err *err)
{
	if (strcmp(arg, "all"))
		return kith_take_count(option, arg, err);
	*(uint32_t *)option->to = KITH_ALPHA_ALL;
	return 0;
}

/* "COUNT" or "COUNT,SEED", the count being from option->least to option->most. */
static int take_drawn(const kith_option *option, const char *arg, const char *what, uint32_t *count, uint64_t *to_seed,
		      kith_err *err)
{
	const char *comma = strchr(arg, ',');
	char *end = NULL;
	unsigned long long seed = 1, r;
	errno = 0;
	r = strtoull(arg, &end, 10);
	if (comma && end == comma && isdigit((unsigned char)comma[1]))
		seed = strtoull(comma + 1, &end, 10);
	if (!isdigit((unsigned char)*arg) || *end || errno || r < (uint64_t)option->least ||
	    r > (uint64_t)option->most || seed > INT64_MAX)
		return kith_fail(err, KITH_EUSAGE,
				 "--%s %s: not a number of %s from %lld to %lld: try --%s 200 or 200,7", option->name,
				 arg, what, (long long)option->least, (long long)option->most, option->name);
	*count = (uint32_t)r;
	*to_seed = seed;
	return 0;
}

static int take_null(const kith_option *option, const char *arg, kith_err *err)
{
	kith_merge_options *o = option->to;
	return take_drawn(option, arg, "relabellings", &o->relabellings, &o->null_seed, err);
}

static int take_jackknife(const kith_option *option, const char *arg, kith_err *err)
{
	kith_merge_options *o = option->to;
	return take_drawn(option, arg, "groups", &o->groups, &o->groups_seed, err);
}

static int check(void *context, kith_err *err)
{
	arguments *a = context;
	const char *pairs = a->merge.pairs;
	a->merge.against = a->against.count;
	if (!a->count && a->against.count)
		return kith_fail(
			err, KITH_EUSAGE,
			"no layers of the first network given: kith-merge --against B1.nng B2.nng -o cross.json "
			"A1.nng A2.nng");
	for (size_t v = 0; v < a->against.count; v++)
		if (add_layer(a, a->against.text[v], err))
			return KITH_EUSAGE;
	if (!a->count)
		return kith_fail(err, KITH_EUSAGE, "no layers given: kith-merge -o stack.json FIRST.nng ... LAST.nng");
	if (!a->output)
		return kith_fail(err, KITH_EUSAGE, "no output given: -o stack.json");
	for (size_t v = 0; v < a->count; v++)
		if (kith_cli_distinct("-o", a->output, a->paths[v], err) ||
		    (pairs && kith_cli_distinct("--pairs", pairs, a->paths[v], err)))
			return KITH_EUSAGE;
	return pairs ? kith_cli_two_outputs("--pairs", pairs, a->output, "-o", err) : 0;
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

static void warn(kith_cli *cli, const arguments *a, const kith_stack *stack)
{
	char text[512];
	for (size_t v = 0; v < a->count; v++) {
		if (kith_layer_warning(stack, v, text, sizeof text))
			kith_cli_warn(cli, "%s: %s", a->paths[v], text);
		if (kith_layer_ties(stack, v, text))
			kith_cli_warn(cli, "%s: %s: %s", a->paths[v], text,
				      stack->layers[v].ties == KITH_TIES_INDEX
					      ? "by index, they make layers look alike that are not; build it with "
						"--ties content"
					      : "who is a neighbour there is not the network's choice");
	}
	if (a->count == 1)
		kith_cli_warn(cli, "one layer: there is nothing to compare it with");
}

/* What the closing report must not leave out. */
static const char *remarks(const kith_stack *stack, char *out, size_t size)
{
	size_t unknown = 0;
	for (size_t v = 0; v < stack->layer_count; v++)
		unknown += isnan(stack->layers[v].recall);
	*out = 0;
	if (unknown)
		snprintf(out, size, ", the recall of %zu layer%s not known", unknown, unknown > 1 ? "s" : "");
	return out;
}

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "kith-merge"};
	static arguments a; /* large */
	enum { UNION, MUTUAL, BOTH } graph = UNION;
	const kith_option options[] = {
		{'k', NULL, "K[,K...]", "Neighbours to compare; default: every k that all layers share", 1,
		 kith_take_ladder, .to = a.merge.k, .count = &a.merge.k_count},
		{0, "alpha", "A|all", "Report NNTP for every alpha from 0 to A; all: to the number of layers less 2", 1,
		 take_alpha, .to = &a.merge.alpha, .most = KITH_MAX_LAYERS},
		{0, "graph", "union|mutual|both",
		 "A pair is present if either, or if both, are neighbours of the other", 1, kith_take_choice,
		 .to = &graph},
		{0, "pairs", "PAIRS.kpr", "Also write every pair's presence in every layer, for kith-pairs", 1,
		 kith_take_text, .to = &a.merge.pairs},
		{0, "null", "R[,SEED]",
		 "Is NNTS more than chance? Tested by R relabellings of the samples (200: p from 0.005)", 1, take_null,
		 .to = &a.merge, .least = 1, .most = MOST_RELABELLINGS},
		{0, "jackknife", "G[,SEED]",
		 "Standard errors of births, deaths, removal scores and shares, by leaving out each of G groups of "
		 "samples (20)",
		 1, take_jackknife, .to = &a.merge, .least = 2, .most = KITH_MAX_GROUPS},
		{0, "against", "LAYER.nng ...",
		 "Layers of another network, or checkpoint, to compare the others with: all up "
		 "to the next option",
		 1, kith_take_each, .to = &a.against, .takes_rest = 1},
		{0, "mixed", NULL, "Take layers of several metrics, or tie rules", 2, kith_take_flag,
		 .to = &a.merge.mixed},
		{'o', NULL, "STACK.json", "The result to write (required)", 1, kith_take_text, .to = &a.output},
		{'m', NULL, "MEM", "Memory to work in, such as 512M or 4G", 2, kith_take_bytes, .to = &a.merge.memory},
		{'t', NULL, "THREADS", "Threads", 2, kith_take_count, .to = &a.merge.threads, .least = 1, .most = 256},
		{0, NULL, NULL, NULL, 0, take_layer, .to = &a},
		{0},
	};
	kith_stack *stack = NULL;
	kith_err err;
	char about[768], ladder[256], unknown[64];
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
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "[NAME=]LAYER.nng ...", about, check, &a}, argc, argv);

	a.merge.with_union = graph != MUTUAL;
	a.merge.with_mutual = graph != UNION;
	a.merge.progress = kith_cli_progress(&cli);
	a.merge.command = cli.command;
	if (check_output(a.output, &err) ||
	    kith_merge(a.count, a.paths, (const char *const *)a.names, &a.merge, &stack, &err) ||
	    kith_stack_write(stack, a.output, &err)) {
		code = kith_cli_fail(&cli, &err);
	} else {
		warn(&cli, &a, stack);
		for (size_t q = 0; q < stack->nnts_count; q++)
			k[q] = stack->nnts[q].k;
		kith_cli_report(&cli, "%zu layers -> %s%s%s: n=%llu k=%s%s", a.count, a.output,
				a.merge.pairs ? " and " : "", a.merge.pairs ? a.merge.pairs : "",
				(unsigned long long)stack->n,
				kith_ladder_text(k, (uint32_t)stack->nnts_count, ladder, sizeof ladder),
				remarks(stack, unknown, sizeof unknown));
	}
	kith_stack_free(stack);
	for (size_t v = 0; v < a.count; v++)
		free(a.names[v]);
	return code;
}
