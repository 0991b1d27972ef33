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

/* What the command line says of generators. */
typedef struct arguments {
	kith_show_options show;
	enum { TSV, JSON, SVMLIGHT } format;
	int edges, list;
} arguments;

/* "S:C" */
static int take_generator(const kith_option *option, const char *text, kith_err *err)
{
	kith_show_options *o = option->to;
	char *end;
	unsigned long long sample = strtoull(text, &end, 10), class_ = 0;
	int ok = isdigit((unsigned char)*text) && *end == ':' && isdigit((unsigned char)end[1]);
	if (ok)
		class_ = strtoull(end + 1, &end, 10);
	if (!ok || *end)
		return kith_fail(err, KITH_EUSAGE, "--generator %s: not SAMPLE:CLASS: try --generator 0:1", text);
	o->h0.what = KITH_SHOW_GENERATOR;
	o->h0.sample = sample;
	o->h0.class_ = class_;
	return 0;
}

static int check(void *context, kith_err *err)
{
	arguments *a = context;
	kith_show_options *o = &a->show;
	int generator = o->h0.what == KITH_SHOW_GENERATOR;
	o->json = a->format == JSON;
	o->svmlight = a->format == SVMLIGHT;
	o->h0.option = generator ? "generator" : a->edges ? "edges" : o->svmlight ? "format svmlight" : NULL;
	if (!o->svmlight && (o->h0.weights || o->h0.labels))
		return kith_fail(err, KITH_EUSAGE, "--%s is for --format svmlight",
				 o->h0.weights ? "weights" : "labels");
	if (generator + a->edges + o->svmlight > 1)
		return kith_fail(err, KITH_EUSAGE, "--generator, --edges and --format svmlight: one of them");
	if (generator && (o->first || o->last != UINT64_MAX))
		return kith_fail(err, KITH_EUSAGE, "--generator names its sample: leave out --nodes");
	if (a->list && (o->h0.option || o->first || o->last != UINT64_MAX))
		return kith_fail(err, KITH_EUSAGE, "--list shows no rows: leave out --%s",
				 o->h0.option ? o->h0.option : "nodes");
	if (a->edges)
		o->h0.what = KITH_SHOW_EDGES;
	return 0;
}

int main(int argc, char **argv)
{
	static const char about[] =
		"Show a kith file (.nng, .kpr, .kh0, stack.json), or activations, as text: header "
		"lines start with #, then "
		"tab-separated rows.\v"
		"Defaults: all nodes, --format tsv --weights one.\n\n"
		"Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.";
	kith_cli cli = {.name = "kith-show", .quiet = 1}; /* a bar would run through the text on a terminal */
	arguments a = {.show.last = UINT64_MAX};
	const char *path = NULL;
	const kith_option options[] = {
		{0, "nodes", "A:B", "Only nodes (samples) A to B-1; A: and :B are fine", 1, take_nodes, .to = &a.show},
		{0, "format", "tsv|json|svmlight", "Tab-separated values, JSON, or (.kh0) rows for a classifier", 1,
		 kith_take_choice, .to = &a.format, .noun = "format"},
		{0, "list", NULL, "Of activations: the arrays that a file has", 1, kith_take_flag, .to = &a.list},
		KITH_CLI_INPUT_OPTIONS(&a.show.how),
		{0, "edges", NULL, "Of a .kh0: a row for each edge of the forests, not for each class", 2,
		 kith_take_flag, .to = &a.edges},
		{0, "generator", "SAMPLE:CLASS", "Of a .kh0: the edges of this class's component", 2, take_generator,
		 .to = &a.show},
		{0, "weights", "one|lifetime|phi|lifetime-phi", "Values of --format svmlight", 2, kith_take_choice,
		 .to = &a.show.h0.weights, .least = KITH_WEIGHTS_ONE},
		{0, "labels", "LABELS.npy", "Labels of --format svmlight; default: all 0", 2, kith_take_text,
		 .to = &a.show.h0.labels},
		{0, NULL, NULL, NULL, 0, kith_take_one, .to = &path, .noun = "file", .missing = "no file given"},
		{0},
	};
	kith_err err;

	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE", about, check, &a}, argc, argv);
	a.show.progress = kith_cli_progress(&cli);
	int rc = (a.list ? kith_show_list : kith_show)(path, &a.show, stdout, &err);
	return rc ? kith_cli_fail(&cli, &err) : 0;
}
