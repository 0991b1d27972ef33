/* show_main.c - kith-show: any kith file as text. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "inspect.h"

/* "A:B", "A:", ":B" */
static int take_nodes(const kith_option *option, const char *text, kith_err *err)
{
	kith_show_options *o = option->to;
	char *end;
	const char *colon = strchr(text, ':');
	unsigned long long first = 0, last = UINT64_MAX;
	int ok = colon != NULL;
	if (ok && colon > text) {
		first = strtoull(text, &end, 10);
		ok = isdigit((unsigned char)*text) && end == colon;
	}
	if (ok && colon[1]) {
		last = strtoull(colon + 1, &end, 10);
		ok = isdigit((unsigned char)colon[1]) && !*end;
	}
	if (!ok || first > last)
		return kith_fail(err, KITH_EUSAGE, "--nodes %s: not a range: try --nodes 0:10", text);
	o->first = first;
	o->last = last;
	return 0;
}

int main(int argc, char **argv)
{
	static const char about[] = "Show a kith file (.nng, .kpr, stack.json), or activations (.npy), as text: header "
				    "lines start with #, then "
				    "tab-separated rows.\v"
				    "Defaults: all nodes, --format tsv.\n\n"
				    "Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.";
	kith_cli cli = {.name = "kith-show", .quiet = 1}; /* a bar would run through the text on a terminal */
	kith_show_options show = {.last = UINT64_MAX};
	const char *path = NULL;
	const kith_option options[] = {
		{0, "nodes", "A:B", "Only nodes (samples) A to B-1; A: and :B are fine", 1, take_nodes, .to = &show},
		{0, "format", "tsv|json", "Tab-separated values, or JSON", 1, kith_take_choice, .to = &show.json,
		 .noun = "format"},
		{0, NULL, NULL, NULL, 0, kith_take_one, .to = &path, .noun = "file", .missing = "no file given"},
		{0},
	};
	kith_err err;

	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE", about, NULL, NULL}, argc, argv);
	show.progress = kith_cli_progress(&cli);
	return kith_show(path, &show, stdout, &err) ? kith_cli_fail(&cli, &err) : 0;
}
