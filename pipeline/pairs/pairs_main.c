/* pairs_main.c - kith-pairs: parse, check, run, report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "outfile.h"
#include "pair_output.h"

typedef struct arguments {
	const kith_option *options;
	kith_pair_query query;
	enum { TSV, NPY, GRAPHML, COMPONENTS, NONE } format; /* --format */
	uint32_t k;                                          /* 0: the smallest */
	int count, components;                               /* --count, --components */
	const char *option, *layers;                         /* the question as it was given: "persist", "C1:P1" */
	const char *output, *path;
} arguments;

enum { QUESTIONS = 2 }; /* the group of options that ask for pairs */

/* "--all, --persist A:B or --run A:B" or, without layers, "--all, --persist, --run". */
static const char *list_questions(const kith_option *options, int with_layers, char *out, size_t size)
{
	size_t used = 0;
	for (const kith_option *o = options; o->take; o++) {
		const char *layers = with_layers && o->value ? o->value : "", *before = used ? ", " : "";
		if (o->group != QUESTIONS)
			continue;
		if (with_layers && o[1].group != QUESTIONS)
			before = " or ";
		used += (size_t)snprintf(out + used, size - used, "%s--%s%s%s", before, o->name, *layers ? " " : "",
					 layers);
	}
	return out;
}

/* --all, --persist A:B, ...; option->least is the kith_pair_ask. */
static int take_question(const kith_option *option, const char *layers, kith_err *err)
{
	arguments *a = option->to;
	char all[256];
	if (a->option)
		return kith_fail(err, KITH_EUSAGE, "more than one question: ask one of %s",
				 list_questions(a->options, 0, all, sizeof all));
	a->query.ask = (kith_pair_ask)option->least;
	a->layers = layers;
	a->option = option->name;
	a->components = !strcmp(option->name, "components");
	return 0;
}

static int check(void *context, kith_err *err)
{
	arguments *a = context;
	char all[256];
	if (!a->option)
		return kith_fail(err, KITH_EUSAGE, "no question given: %s",
				 list_questions(a->options, 1, all, sizeof all));
	a->components |= a->format == COMPONENTS;
	if (a->format < COMPONENTS && (a->count || a->components))
		return kith_fail(err, KITH_EUSAGE, "--format is for pairs: leave it out with --%s",
				 a->count ? "count" : "components");
	if (a->format == NPY && !a->output)
		return kith_fail(err, KITH_EUSAGE, "--format npy: name the file: -o pairs.npy");
	return a->output ? kith_cli_distinct("-o", a->output, a->path, err) : 0;
}

static kith_pair_format format_of(const arguments *a)
{
	static const kith_pair_format of_pairs[] = {KITH_PAIRS_TSV, KITH_PAIRS_NPY, KITH_PAIRS_GRAPHML};
	if (a->components)
		return a->count ? KITH_PAIRS_COMPONENTS_COUNT : KITH_PAIRS_COMPONENTS;
	return a->count ? KITH_PAIRS_COUNT : a->format < COMPONENTS ? of_pairs[a->format] : KITH_PAIRS_TSV;
}

/* What of the question needs the file: its layers and k. */
static int resolve(arguments *a, const kith_pair_store *store, kith_err *err)
{
	kith_pair_query *q = &a->query;
	char option[32];
	int rc;
	if (a->k && (rc = kith_pair_find_tier(store, a->k, &q->tier, err)))
		return rc;
	if (!a->layers)
		return 0;
	snprintf(option, sizeof option, "--%s", a->option);
	if ((rc = kith_pair_find_range(store, option, a->layers, &q->first, &q->last, err)))
		return rc;
	if ((q->ask == KITH_ASK_BORN || q->ask == KITH_ASK_DIES) && q->first != q->last)
		return kith_fail(err, KITH_EUSAGE, "%s %s: one layer, not a range", option, a->layers);
	if (q->ask == KITH_ASK_GAP && q->last < q->first + 2)
		return kith_fail(err, KITH_EUSAGE, "%s %s: there is no layer between", option, a->layers);
	return 0;
}

static int run(arguments *a, uint64_t *count, char *question, size_t size, kith_err *err)
{
	kith_pair_store *store = NULL;
	kith_outfile *file = NULL;
	int rc = kith_pair_store_open(&store, a->path, err);
	if (rc || (rc = resolve(a, store, err)) || (a->output && (rc = kith_outfile_open(&file, a->output, err))))
		goto done;
	snprintf(question, size, "%s%s%s", a->option, a->layers ? " " : "", a->layers ? a->layers : "");
	kith_pair_output output = {format_of(a), file ? kith_outfile_stream(file) : stdout,
				   a->output ? a->output : "standard output", question};
	if (!(rc = kith_pair_answer(store, &a->query, &output, count, err)))
		rc = kith_pair_store_unchanged(store, err);
	rc = kith_outfile_close(file, rc, err);
done:
	kith_pair_store_close(store);
	return rc;
}

int main(int argc, char **argv)
{
	static const char about[] =
		"Ask a pair store (.kpr) which pairs of samples stay neighbours, and which do not.\v"
		"A and B are layers, by name or by number from 0; A:B may also be A: or :B, and A is A:A.\n\n"
		"Defaults: the smallest k, --graph union --format tsv.\n\n"
		"Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.";
	kith_cli cli = {.name = "kith-pairs"};
	arguments a = {.format = NONE};
	const kith_option options[] = {
		{'k', NULL, "K", "Neighbours that count; default: the smallest k in the file", 1, kith_take_count,
		 .to = &a.k, .least = 1, .most = UINT32_MAX},
		{0, "graph", "union|mutual", "A pair is present if either, or if both, are neighbours of the other", 1,
		 kith_take_choice, .to = &a.query.graph},
		{0, "all", NULL, "Pairs present in some layer", QUESTIONS, take_question, .to = &a,
		 .least = KITH_ASK_ALL},
		{0, "persist", "A:B", "Pairs present in every layer from A to B", QUESTIONS, take_question, .to = &a,
		 .least = KITH_ASK_PERSIST},
		{0, "run", "A:B",
		 "Pairs present in every layer from A to B, absent just before A and just after B: what NNTP counts", 2,
		 take_question, .to = &a, .least = KITH_ASK_RUN},
		{0, "born", "A", "Pairs present in A, not in the layer before", QUESTIONS, take_question, .to = &a,
		 .least = KITH_ASK_BORN},
		{0, "dies", "A", "Pairs present in A, not in the layer after", QUESTIONS, take_question, .to = &a,
		 .least = KITH_ASK_DIES},
		{0, "returns", NULL, "Pairs present, then absent, then present again", QUESTIONS, take_question,
		 .to = &a, .least = KITH_ASK_RETURNS},
		{0, "gap", "A:B", "Pairs present in A and in B, and in no layer between", QUESTIONS, take_question,
		 .to = &a, .least = KITH_ASK_GAP},
		{0, "components", "A:B",
		 "Persistent clusters: the components of the pairs present in every layer from A to B. The same as "
		 "--persist A:B --format components",
		 QUESTIONS, take_question, .to = &a, .least = KITH_ASK_PERSIST},
		{0, "count", NULL, "Print only how many pairs, or components, there are", 3, kith_take_flag,
		 .to = &a.count},
		{0, "format", "tsv|npy|graphml|components",
		 "How to write pairs; components: in their place, every sample with the connected component that they "
		 "put it in",
		 3, kith_take_choice, .to = &a.format, .noun = "format"},
		{'o', NULL, "OUT", "The file to write; default: standard output", 3, kith_take_text, .to = &a.output},
		{0, NULL, NULL, NULL, 0, kith_take_one, .to = &a.path, .noun = "file",
		 .missing = "no file given: kith-pairs --persist A:B FILE.kpr"},
		{0},
	};
	char question[256];
	uint64_t count = 0;
	kith_err err;

	a.options = options;
	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE.kpr", about, check, &a}, argc, argv);
	if (!a.output) /* a bar would run through the text on a terminal */
		cli.quiet = 1;
	a.query.progress = kith_cli_progress(&cli);
	if (run(&a, &count, question, sizeof question, &err))
		return kith_cli_fail(&cli, &err);
	kith_cli_report(&cli, "%s of %s -> %s: %llu %s", question, a.path, a.output ? a.output : "",
			(unsigned long long)count, a.components ? "components" : "pairs");
	return 0;
}
