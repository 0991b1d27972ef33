/* report_main.c - kith-report: stack.json in; one page, and on request CSV, figures and LaTeX tables, out. */
#include <inttypes.h>

#include "cli.h"
#include "report.h"

typedef struct arguments {
	kith_report_options options;
	const char *input, *output;
} arguments;

static int check(void *context, kith_err *err)
{
	const arguments *a = context;
	return a->options.latex ? kith_cli_two_outputs("--latex", a->options.latex, a->output, "-o", err) : 0;
}

int main(int argc, char **argv)
{
	arguments a = {0};
	const kith_option options[] = {
		{0, NULL, NULL, NULL, 0, kith_take_one, .to = &a.input, .noun = "STACK.json",
		 .missing = "no stack given: kith-report -o report.html stack.json"},
		{'o', NULL, "REPORT.html", "The page to write (required)", 0, kith_take_text, .to = &a.output,
		 .missing = "no output given: -o report.html"},
		{0, "csv", "DIR", "Also write every matrix as CSV into DIR, created if missing", 0, kith_take_text,
		 .to = &a.options.csv},
		{0, "svg", "DIR", "Also write every figure as SVG and PNG into DIR, created if missing", 0,
		 kith_take_text, .to = &a.options.svg},
		{0, "latex", "FILE", "Also write the NNTP and layer dynamics tables as LaTeX into FILE", 0,
		 kith_take_text, .to = &a.options.latex},
		{0},
	};
	const kith_cli_arguments command_line = {
		options, "-o REPORT.html STACK.json",
		"Turn kith-merge's STACK.json into one self-contained page with the "
		"NNTS figure, the NNTP tables, how pairs come and go from layer to layer, and where all that "
		"came from; and, on request, into CSV, SVG and PNG, and LaTeX.\v"
		"Exit status: 0 done, 1 failed (files, memory, damaged stack), 2 wrong usage or unfit input.",
		check, &a};
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
