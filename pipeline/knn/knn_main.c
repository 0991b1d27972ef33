/* knn_main.c - kith-knn: parse, check, run, report. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cli.h"
#include "engine.h"
#include "text.h"

enum { OPT_METRIC = 256, OPT_ENGINE, OPT_DRY_RUN, OPT_OWN /* and beyond: the engines' own */ };

#define MAX_ENGINES 8
#define MAX_OPTIONS 64

struct arguments {
	kith_knn_options knn;
	const char *input, *output;
	int dry_run;
	void *own[MAX_ENGINES]; /* the options of each engine */
};

/* What every engine has, and room for their own. */
static struct argp_option options[MAX_OPTIONS] = {
	{NULL, 'k', "K[,K...]", 0, "Neighbours per sample; several make a ladder that one graph serves", 1},
	{"metric", OPT_METRIC, "l2|cosine", 0, "Distance between activations", 1},
	{"dry-run", OPT_DRY_RUN, NULL, 0, "Say what would be done and take, and stop", 2},
	{"engine", OPT_ENGINE, "NAME", 0, "exact: the true neighbours, whatever the memory and threads", 1},
	{NULL, 'm', "MEM", 0, "Memory to work in, such as 512M or 4G", 2},
	{NULL, 't', "THREADS", 0, "Threads", 2},
	{NULL, 'o', "LAYER.nng", 0, "The graph to write (required)", 1},
};

/* Adds the engines' own options, whose keys are OPT_OWN, OPT_OWN + 1, ... in the order of the table, and makes room for
 * what they are set to. Returns 0 if there is no memory. */
static int add_own_options(struct arguments *a)
{
	int key = OPT_OWN;
	size_t at = 0;
	const kith_engine *engine;
	while (options[at].key)
		at++;
	for (size_t e = 0; (engine = kith_engine_at(e)); e++) {
		assert(e < MAX_ENGINES);
		for (const kith_engine_option *o = engine->options; o->name && at + 1 < MAX_OPTIONS; o++)
			options[at++] = (struct argp_option){o->name, key++, o->argument, 0, o->help, 3};
		if (!(a->own[e] = kith_alloc_zero(1, engine->options_size)))
			return 0;
	}
	return 1;
}

/* Sets the engines' own option that was added as the `at`-th. */
static int take_own(struct arguments *a, size_t at, const char *arg, kith_err *err)
{
	const kith_engine *engine;
	for (size_t e = 0; (engine = kith_engine_at(e)); e++)
		for (size_t which = 0; engine->options[which].name; which++) {
			const kith_engine_option *o = &engine->options[which];
			char name[64];
			uint64_t number = 0;
			if (at--)
				continue;
			snprintf(name, sizeof name, "--%s", o->name);
			if (o->most && kith_cli_count(name, arg, 1, o->most, &number, err))
				return KITH_EUSAGE;
			return engine->take(a->own[e], which, arg, (uint32_t)number, err);
		}
	return ARGP_ERR_UNKNOWN;
}

/* The engine's own options, as they are set. */
static const void *own_of(const struct arguments *a)
{
	for (size_t e = 0; kith_engine_at(e); e++)
		if (!strcmp(kith_engine_at(e)->name, a->knn.engine))
			return a->own[e];
	return NULL; /* there is no such engine, which the stage will say */
}

static int take_end(struct arguments *a, kith_err *err)
{
	if (!a->input)
		return kith_fail(err, KITH_EUSAGE, "no activations given: kith-knn -o layer.nng layer.npy");
	if (a->dry_run)
		return 0;
	if (!a->output)
		return kith_fail(err, KITH_EUSAGE, "no output given: -o layer.nng");
	return kith_cli_distinct("-o", a->output, a->input, err);
}

static int take(void *context, int key, char *arg, kith_err *err)
{
	struct arguments *a = context;
	uint64_t number;
	switch (key) {
	case 'k':
		return kith_cli_ladder(arg, KITH_MAX_TIERS, a->knn.ladder, &a->knn.tiers, err);
	case OPT_METRIC:
		if (strcmp(arg, "l2") && strcmp(arg, "cosine"))
			return kith_fail(err, KITH_EUSAGE, "--metric %s: not a metric: l2 or cosine", arg);
		a->knn.metric = strcmp(arg, "l2") ? KITH_COSINE : KITH_L2;
		return 0;
	case OPT_ENGINE:
		a->knn.engine = arg;
		return 0;
	case OPT_DRY_RUN:
		a->dry_run = 1;
		return 0;
	case 'm':
		return kith_cli_bytes(arg, &a->knn.memory, err);
	case 't':
		if (kith_cli_count("-t", arg, 1, 256, &number, err))
			return KITH_EUSAGE;
		a->knn.threads = (int)number;
		return 0;
	case 'o':
		a->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->input)
			return kith_fail(err, KITH_EUSAGE, "%s: one file of activations at a time", arg);
		a->input = arg;
		return 0;
	case ARGP_KEY_END:
		return take_end(a, err);
	default:
		return key >= OPT_OWN && key < OPT_OWN + MAX_OPTIONS ? take_own(a, (size_t)(key - OPT_OWN), arg, err)
								     : ARGP_ERR_UNKNOWN;
	}
}

/* --dry-run: one line for people and scripts, on standard output. */
static int foresee(kith_cli *cli, const struct arguments *a)
{
	kith_knn_estimate e;
	kith_err err;
	char ladder[256];
	if (kith_knn_foresee_with(a->input, &a->knn, own_of(a), &e, &err))
		return kith_cli_fail(cli, &err);
	printf("%s: n=%llu d=%llu k=%s %s: about %.1f s, %.0f MB of memory, %.0f MB of temporary files, a graph of "
	       "%.0f MB\n",
	       a->input, (unsigned long long)e.n, (unsigned long long)e.d,
	       kith_ladder_text(a->knn.ladder, a->knn.tiers, ladder, sizeof ladder), e.plan, e.seconds,
	       (double)e.memory * 1e-6, (double)e.temporary * 1e-6, (double)e.graph * 1e-6);
	return 0;
}

static int build(kith_cli *cli, const struct arguments *a)
{
	kith_knn_summary done;
	kith_err err;
	char ladder[256];
	if (kith_knn_build_with(a->input, a->output, &a->knn, own_of(a), &done, &err))
		return kith_cli_fail(cli, &err);
	kith_cli_report(cli, "%s -> %s: n=%llu d=%llu k=%s %s", a->input, a->output, (unsigned long long)done.n,
			(unsigned long long)done.d,
			kith_ladder_text(a->knn.ladder, a->knn.tiers, ladder, sizeof ladder), done.plan);
	return 0;
}

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "kith-knn"};
	struct arguments a = {0};
	char about[768], command[1024];
	int code = 1;

	kith_cli_start(&cli, argv);
	kith_knn_defaults(&a.knn);
	snprintf(about, sizeof about,
		 "Build the k-nearest-neighbour graph of one layer's activations (.npy, one row per sample).\v"
		 "Defaults: -k %u --metric l2 --engine %s -m %s -t %d.\n\n"
		 "Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.",
		 a.knn.ladder[0], a.knn.engine, kith_cli_bytes_text(a.knn.memory), a.knn.threads);
	if (add_own_options(&a)) {
		kith_cli_parse(&cli, &(kith_cli_arguments){options, "ACTIVATIONS.npy", about, take, &a}, argc, argv);
		kith_cli_command(argc, argv, command, sizeof command);
		a.knn.command = command;
		a.knn.progress = kith_cli_progress(&cli);
		code = a.dry_run ? foresee(&cli, &a) : build(&cli, &a);
	}
	for (size_t e = 0; e < MAX_ENGINES; e++)
		free(a.own[e]);
	return code;
}
