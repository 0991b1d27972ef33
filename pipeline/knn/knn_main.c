/* knn_main.c - kith-knn: parse, check, run, report. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "kith/knn.h"
#include "text.h"

enum { OPT_METRIC = 256, OPT_ENGINE, OPT_PLAN, OPT_DIMS, OPT_COARSE, OPT_PROBES, OPT_DRY_RUN };

struct arguments {
	kith_knn_options knn;
	const char *input, *output;
	int dry_run;
};

static const struct argp_option options[] = {
	{NULL, 'k', "K[,K...]", 0, "Neighbours per sample; several make a ladder that one graph serves", 1},
	{"metric", OPT_METRIC, "l2|cosine", 0, "Distance between activations", 1},
	{"plan", OPT_PLAN, "PLAN", 0, "How to go about it: auto, sketch, screen, full or stream", 3},
	{"dims", OPT_DIMS, "R", 0, "Directions of the sketch", 3},
	{"coarse", OPT_COARSE, "R", 0, "Directions of it that every pair is tried in", 3},
	{"probes", OPT_PROBES, "BLOCKS", 0, "Blocks of 16 samples that first bounds come from", 3},
	{"dry-run", OPT_DRY_RUN, NULL, 0, "Say what would be done and take, and stop", 2},
	{"engine", OPT_ENGINE, "NAME", 0, "exact: the true neighbours, whatever the memory and threads", 1},
	{NULL, 'm', "MEM", 0, "Memory to work in, such as 512M or 4G", 2},
	{NULL, 't', "THREADS", 0, "Threads", 2},
	{NULL, 'o', "LAYER.nng", 0, "The graph to write (required)", 1},
	{0},
};

static int take_plan(struct arguments *a, const char *arg, kith_err *err)
{
	static const char *const names[] = {"auto", "sketch", "screen", "full", "stream"};
	for (int i = 0; i < 5; i++)
		if (!strcmp(arg, names[i])) {
			a->knn.plan = (kith_plan_kind)i;
			return 0;
		}
	return kith_fail(err, KITH_EUSAGE, "--plan %s: not a plan: auto, sketch, screen, full or stream", arg);
}

static int take_count(const char *option, const char *arg, uint32_t *out, kith_err *err)
{
	uint64_t number;
	int rc = kith_cli_count(option, arg, 1, 1u << 20, &number, err);
	if (!rc)
		*out = (uint32_t)number;
	return rc;
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
	case OPT_PLAN:
		return take_plan(a, arg, err);
	case OPT_DIMS:
		return take_count("--dims", arg, &a->knn.sketch_dims, err);
	case OPT_COARSE:
		return take_count("--coarse", arg, &a->knn.coarse_dims, err);
	case OPT_PROBES:
		return take_count("--probes", arg, &a->knn.probe_blocks, err);
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
		if (!a->input)
			return kith_fail(err, KITH_EUSAGE, "no activations given: kith-knn -o layer.nng layer.npy");
		if (a->dry_run)
			return 0;
		if (!a->output)
			return kith_fail(err, KITH_EUSAGE, "no output given: -o layer.nng");
		return kith_cli_distinct("-o", a->output, a->input, err);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --dry-run: one line for people and scripts, on standard output. */
static int foresee(kith_cli *cli, const struct arguments *a)
{
	kith_knn_estimate e;
	kith_err err;
	char ladder[256];
	if (kith_knn_foresee(a->input, &a->knn, &e, &err))
		return kith_cli_fail(cli, &err);
	printf("%s: n=%llu d=%llu k=%s %s: about %.1f s, %.0f MB of memory, %.0f MB of temporary files, a graph of "
	       "%.0f MB\n",
	       a->input, (unsigned long long)e.n, (unsigned long long)e.d,
	       kith_ladder_text(a->knn.ladder, a->knn.tiers, ladder, sizeof ladder), e.plan, e.seconds,
	       (double)e.memory * 1e-6, (double)e.temporary * 1e-6, (double)e.graph * 1e-6);
	return 0;
}

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "kith-knn"};
	struct arguments a = {0};
	kith_knn_summary done;
	kith_err err;
	char about[768], command[1024], ladder[256];

	kith_cli_start(&cli, argv);
	kith_knn_defaults(&a.knn);
	snprintf(about, sizeof about,
		 "Build the k-nearest-neighbour graph of one layer's activations (.npy, one row per sample).\v"
		 "Defaults: -k %u --metric l2 --engine %s -m %s -t %d.\n\n"
		 "Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.",
		 a.knn.ladder[0], a.knn.engine, kith_cli_bytes_text(a.knn.memory), a.knn.threads);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "ACTIVATIONS.npy", about, take, &a}, argc, argv);

	if (a.dry_run)
		return foresee(&cli, &a);
	kith_cli_command(argc, argv, command, sizeof command);
	a.knn.command = command;
	a.knn.progress = kith_cli_progress(&cli);
	if (kith_knn_build(a.input, a.output, &a.knn, &done, &err))
		return kith_cli_fail(&cli, &err);
	kith_cli_report(&cli, "%s -> %s: n=%llu d=%llu k=%s %s", a.input, a.output, (unsigned long long)done.n,
			(unsigned long long)done.d, kith_ladder_text(a.knn.ladder, a.knn.tiers, ladder, sizeof ladder),
			done.plan);
	return 0;
}
