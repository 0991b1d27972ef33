/* h0_main.c - kith-h0: parse, check, run, report. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "kith/h0.h"

typedef struct arguments {
	kith_h0_options h0;
	const char *input, *output;
	int dry_run, no_values;
} arguments;

static int take_keep(const kith_option *option, const char *arg, kith_err *err)
{
	char *end = NULL;
	double keep = isdigit((unsigned char)*arg) || *arg == '.' ? strtod(arg, &end) : 0;
	if (!end || *end || !(keep > 0 && keep <= 1))
		return kith_fail(err, KITH_EUSAGE, "--keep %s: a part of each operation's edges, above 0 and at most 1",
				 arg);
	*(double *)option->to = keep;
	return 0;
}

static int check(void *context, kith_err *err)
{
	const arguments *a = context;
	if (a->dry_run)
		return 0;
	if (!a->output)
		return kith_fail(err, KITH_EUSAGE, "no output given: -o samples.kh0");
	return kith_cli_distinct("-o", a->output, a->input, err);
}

/* --dry-run: for people and scripts, on standard output. */
static int foresee(kith_cli *cli, const arguments *a)
{
	kith_h0_estimate e;
	kith_err err;
	uint64_t edges = 0;
	if (kith_h0_foresee(a->input, &a->h0, &e, &err))
		return kith_cli_fail(cli, &err);
	for (uint32_t o = 0; o < e.info->op_count; o++) {
		const kith_op *op = &e.info->ops[o];
		printf("%s: %s from %s to %s: %llu edges\n", a->input, kith_op_kind_name(op->kind),
		       e.info->layers[op->from].name, e.info->layers[op->to].name, (unsigned long long)op->edges);
		edges += op->edges;
	}
	printf("%s: n=%llu vertices=%llu edges=%llu: about %.1f s, %.0f MB of memory, a file of %.0f MB\n", a->input,
	       (unsigned long long)e.info->n, (unsigned long long)e.info->vertices, (unsigned long long)edges,
	       e.seconds, (double)e.memory * 1e-6, (double)e.file * 1e-6);
	kith_h0_estimate_free(&e);
	return 0;
}

static int build(kith_cli *cli, const arguments *a)
{
	kith_h0_summary done;
	kith_err err;
	if (kith_h0_build(a->input, a->output, &a->h0, &done, &err))
		return kith_cli_fail(cli, &err);
	kith_cli_report(cli, "%s -> %s: n=%llu vertices=%llu, a sample has %.0f edges and %.0f classes", a->input,
			a->output, (unsigned long long)done.n, (unsigned long long)done.vertices,
			(double)done.edges / (double)done.n, (double)done.classes / (double)done.n);
	return 0;
}

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "kith-h0"};
	arguments a = {0};
	const kith_option options[] = {
		{0, "keep", "F", "Only this part of each operation's edges, the heaviest", 1, take_keep,
		 .to = &a.h0.keep},
		{0, "no-values", NULL, "Leave out the edges' weights, but for those of births and deaths", 1,
		 kith_take_flag, .to = &a.no_values},
		{0, "dry-run", NULL, "Say what would be done and take, and stop", 2, kith_take_flag, .to = &a.dry_run},
		{'m', NULL, "MEM", "Memory to work in, such as 512M or 4G", 2, kith_take_bytes, .to = &a.h0.memory},
		{'t', NULL, "THREADS", "Threads", 2, kith_take_count, .to = &a.h0.threads, .least = 1, .most = 256},
		{'o', NULL, "SAMPLES.kh0", "The file to write (required)", 1, kith_take_text, .to = &a.output},
		{0, NULL, NULL, NULL, 0, kith_take_one, .to = &a.input, .noun = "network",
		 .missing = "no network given: kith-h0 -o samples.kh0 net.json"},
		{0},
	};
	char about[768];

	kith_cli_start(&cli, argv);
	kith_h0_defaults(&a.h0);
	snprintf(about, sizeof about,
		 "The graph that each sample induces in a network (net.json): its maximum spanning forest, and the "
		 "classes "
		 "of its dimension-0 persistent homology.\v"
		 "Defaults: all edges, with their weights, -m %s -t %d.\n\n"
		 "Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.",
		 kith_cli_bytes_text(a.h0.memory), a.h0.threads);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "NET.json", about, check, &a}, argc, argv);
	a.h0.values = !a.no_values;
	a.h0.command = cli.command;
	a.h0.progress = kith_cli_progress(&cli);
	return a.dry_run ? foresee(&cli, &a) : build(&cli, &a);
}
