/* report_main.c - kith-report: stack.json in; one page, and on request CSV, figures and LaTeX tables, out. */
#include <inttypes.h>

#include "cli.h"
#include "report.h"

enum { OPTION_CSV = 256, OPTION_SVG, OPTION_LATEX };

typedef struct arguments {
	kith_report_options options;
	const char *input, *output;
} arguments;

static int take(void *context, int key, char *arg, kith_err *err)
{
	arguments *a = context;
	switch (key) {
	case 'o':
		a->output = arg;
		return 0;
	case OPTION_CSV:
		a->options.csv = arg;
		return 0;
	case OPTION_SVG:
		a->options.svg = arg;
		return 0;
	case OPTION_LATEX:
		a->options.latex = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->input)
			return kith_fail(err, KITH_EUSAGE, "%s: one STACK.json at a time", arg);
		a->input = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->input)
			return kith_fail(err, KITH_EUSAGE, "no stack given: kith-report -o report.html stack.json");
		if (!a->output)
			return kith_fail(err, KITH_EUSAGE, "no output given: -o report.html");
		if (a->options.latex && kith_cli_two_outputs("--latex", a->options.latex, a->output, err))
			return KITH_EUSAGE;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{NULL, 'o', "REPORT.html", 0, "The page to write (required)", 0},
		{"csv", OPTION_CSV, "DIR", 0, "Also write every matrix as CSV into DIR, created if missing", 0},
		{"svg", OPTION_SVG, "DIR", 0, "Also write every figure as SVG and PNG into DIR, created if missing", 0},
		{"latex", OPTION_LATEX, "FILE", 0, "Also write the NNTP and layer dynamics tables as LaTeX into FILE",
		 0},
		{0},
	};
	arguments a = {0};
	const kith_cli_arguments command_line = {
		options, "-o REPORT.html STACK.json",
		"Turn kith-merge's STACK.json into one self-contained page with the "
		"NNTS figure, the NNTP tables, how pairs come and go from layer to layer, and where all that "
		"came from; and, on request, into CSV, SVG and PNG, and LaTeX.\v"
		"Exit status: 0 done, 1 failed (files, memory, damaged stack), 2 wrong usage or unfit input.",
		take, &a};
	kith_cli cli = {.name = "kith-report"};
	kith_report_summary summary;
	kith_err err;
	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &command_line, argc, argv);
	a.options.progress = kith_cli_progress(&cli);
	if (kith_report(a.input, a.output, &a.options, &summary, &err))
		return kith_cli_fail(&cli, &err);
	kith_cli_report(&cli, "%s -> %s: n=%" PRIu64 " layers=%zu k=%s", a.input, a.output, summary.n, summary.layers,
			summary.k);
	return 0;
}
