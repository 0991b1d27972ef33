/* show_main.c - kith-show: any kith file as text. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "inspect.h"

enum { OPT_NODES = 256, OPT_FORMAT };

struct arguments {
	kith_show_options show;
	const char *path;
};

static const struct argp_option options[] = {
	{"nodes", OPT_NODES, "A:B", 0, "Only nodes (samples) A to B-1; A: and :B are fine", 1},
	{"format", OPT_FORMAT, "tsv|json", 0, "Tab-separated values, or JSON", 1},
	{0},
};

/* "A:B", "A:", ":B" */
static int parse_nodes(const char *text, kith_show_options *o, kith_err *err)
{
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

static int take(void *context, int key, char *arg, kith_err *err)
{
	struct arguments *a = context;
	switch (key) {
	case OPT_NODES:
		return parse_nodes(arg, &a->show, err);
	case OPT_FORMAT:
		if (strcmp(arg, "tsv") && strcmp(arg, "json"))
			return kith_fail(err, KITH_EUSAGE, "--format %s: not a format: tsv or json", arg);
		a->show.json = !strcmp(arg, "json");
		return 0;
	case ARGP_KEY_ARG:
		if (a->path)
			return kith_fail(err, KITH_EUSAGE, "%s: one file at a time", arg);
		a->path = arg;
		return 0;
	case ARGP_KEY_END:
		return a->path ? 0 : kith_fail(err, KITH_EUSAGE, "no file given");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const char about[] = "Show a kith file (.nng, .kpr, stack.json), or activations (.npy), as text: header "
				    "lines start with #, then "
				    "tab-separated rows.\v"
				    "Defaults: all nodes, --format tsv.\n\n"
				    "Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.";
	kith_cli cli = {.name = "kith-show", .quiet = 1}; /* a bar would run through the text on a terminal */
	struct arguments a = {.show = {.last = UINT64_MAX}};
	kith_err err;

	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE", about, take, &a}, argc, argv);
	a.show.progress = kith_cli_progress(&cli);
	return kith_show(a.path, &a.show, stdout, &err) ? kith_cli_fail(&cli, &err) : 0;
}
