/* pairs_main.c - kith-pairs: parse, check, run, report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "outfile.h"
#include "pair_output.h"

enum { OPT_GRAPH = 256, OPT_COUNT, OPT_FORMAT, OPT_QUESTION /* and the index of a question */ };

typedef struct question {
	const char *option, *layers; /* "A", "A:B", or NULL: it names none */
	kith_pair_ask ask;
	int components; /* what is written in the end */
	const char *help;
} question;

static const question questions[] = {
	{"all", NULL, KITH_ASK_ALL, 0, "Pairs present in some layer"},
	{"persist", "A:B", KITH_ASK_PERSIST, 0, "Pairs present in every layer from A to B"},
	{"run", "A:B", KITH_ASK_RUN, 0,
	 "Pairs present in every layer from A to B, absent just before A and just after B: what NNTP counts"},
	{"born", "A", KITH_ASK_BORN, 0, "Pairs present in A, not in the layer before"},
	{"dies", "A", KITH_ASK_DIES, 0, "Pairs present in A, not in the layer after"},
	{"returns", NULL, KITH_ASK_RETURNS, 0, "Pairs present, then absent, then present again"},
	{"gap", "A:B", KITH_ASK_GAP, 0, "Pairs present in A and in B, and in no layer between"},
	{"components", "A:B", KITH_ASK_PERSIST, 1,
	 "Persistent clusters: the components of the pairs present in every layer from A to B. The same as --persist "
	 "A:B --format components"},
};

#define QUESTIONS (sizeof questions / sizeof *questions)

static const struct argp_option other_options[] = {
	{NULL, 'k', "K", 0, "Neighbours that count; default: the smallest k in the file", 1},
	{"graph", OPT_GRAPH, "union|mutual", 0, "A pair is present if either, or if both, are neighbours of the other",
	 1},
	{"count", OPT_COUNT, NULL, 0, "Print only how many pairs, or components, there are", 3},
	{"format", OPT_FORMAT, "tsv|npy|graphml|components", 0,
	 "How to write pairs; components: in their place, every sample with the connected component that they put it "
	 "in",
	 3},
	{NULL, 'o', "OUT", 0, "The file to write; default: standard output", 3},
	{0},
};

struct arguments {
	kith_pair_query query;
	kith_pair_format format;
	uint32_t k; /* 0: the smallest */
	int format_given, wants_count, wants_components;
	const question *question;
	const char *layers; /* as they were given: "C1:P1" */
	const char *output, *path;
};

/* "--all, --persist A:B, ...": with what they take, or without. */
static const char *list_questions(int with_layers, char *out, size_t size)
{
	size_t used = 0;
	for (const question *q = questions; q < questions + QUESTIONS; q++) {
		const char *layers = with_layers && q->layers ? q->layers : "";
		const char *between = q + 1 < questions + QUESTIONS || !with_layers ? ", " : " or ";
		used += (size_t)snprintf(out + used, size - used, "%s--%s%s%s", q == questions ? "" : between,
					 q->option, *layers ? " " : "", layers);
	}
	return out;
}

static int take_format(struct arguments *a, const char *arg, kith_err *err)
{
	static const char *const names[] = {"tsv", "npy", "graphml"};
	a->wants_components = !strcmp(arg, "components");
	if (a->wants_components)
		return 0;
	for (int f = 0; f < 3; f++)
		if (!strcmp(arg, names[f])) {
			a->format = (kith_pair_format)(KITH_PAIRS_TSV + f);
			a->format_given = 1;
			return 0;
		}
	return kith_fail(err, KITH_EUSAGE, "--format %s: not a format: tsv, npy, graphml or components", arg);
}

static int take_question(struct arguments *a, const question *q, const char *layers, kith_err *err)
{
	char list[256];
	if (a->question)
		return kith_fail(err, KITH_EUSAGE, "more than one question: ask one of %s",
				 list_questions(0, list, sizeof list));
	a->question = q;
	a->query.ask = q->ask;
	a->layers = layers;
	a->wants_components |= q->components;
	return 0;
}

static int check(struct arguments *a, kith_err *err)
{
	char list[256];
	if (!a->path)
		return kith_fail(err, KITH_EUSAGE, "no file given: kith-pairs --persist A:B FILE.kpr");
	if (!a->question)
		return kith_fail(err, KITH_EUSAGE, "no question given: %s", list_questions(1, list, sizeof list));
	if (a->format_given && (a->wants_count || a->wants_components))
		return kith_fail(err, KITH_EUSAGE, "--format is for pairs: leave it out with --%s",
				 a->wants_count ? "count" : "components");
	if (a->wants_components)
		a->format = a->wants_count ? KITH_PAIRS_COMPONENTS_COUNT : KITH_PAIRS_COMPONENTS;
	else if (a->wants_count)
		a->format = KITH_PAIRS_COUNT;
	if (a->format == KITH_PAIRS_NPY && !a->output)
		return kith_fail(err, KITH_EUSAGE, "--format npy: name the file: -o pairs.npy");
	return a->output ? kith_cli_distinct("-o", a->output, a->path, err) : 0;
}

static int take(void *context, int key, char *arg, kith_err *err)
{
	struct arguments *a = context;
	uint64_t number;
	if (key >= OPT_QUESTION && key < OPT_QUESTION + (int)QUESTIONS)
		return take_question(a, &questions[key - OPT_QUESTION], arg, err);
	switch (key) {
	case 'k':
		if (kith_cli_count("-k", arg, 1, UINT32_MAX, &number, err))
			return KITH_EUSAGE;
		a->k = (uint32_t)number;
		return 0;
	case OPT_GRAPH:
		if (strcmp(arg, "union") && strcmp(arg, "mutual"))
			return kith_fail(err, KITH_EUSAGE, "--graph %s: not one of union, mutual", arg);
		a->query.graph = strcmp(arg, "mutual") ? KITH_UNION : KITH_MUTUAL;
		return 0;
	case OPT_COUNT:
		a->wants_count = 1;
		return 0;
	case OPT_FORMAT:
		return take_format(a, arg, err);
	case 'o':
		a->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->path)
			return kith_fail(err, KITH_EUSAGE, "%s: one file at a time", arg);
		a->path = arg;
		return 0;
	case ARGP_KEY_END:
		return check(a, err);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What of the question needs the file: its layers and k. */
static int resolve(struct arguments *a, const kith_pair_store *store, kith_err *err)
{
	kith_pair_query *q = &a->query;
	char option[32];
	int rc;
	if (a->k && (rc = kith_pair_find_tier(store, a->k, &q->tier, err)))
		return rc;
	if (!a->layers)
		return 0;
	snprintf(option, sizeof option, "--%s", a->question->option);
	if ((rc = kith_pair_find_range(store, option, a->layers, &q->first, &q->last, err)))
		return rc;
	if (!strchr(a->question->layers, ':') && q->first != q->last)
		return kith_fail(err, KITH_EUSAGE, "%s %s: one layer, not a range", option, a->layers);
	if (q->ask == KITH_ASK_GAP && q->last < q->first + 2)
		return kith_fail(err, KITH_EUSAGE, "%s %s: there is no layer between", option, a->layers);
	return 0;
}

static int run(struct arguments *a, uint64_t *count, char *question, size_t size, kith_err *err)
{
	kith_pair_store *store = NULL;
	kith_outfile *file = NULL;
	int rc = kith_pair_store_open(&store, a->path, err);
	if (rc || (rc = resolve(a, store, err)))
		goto done;
	if (a->output && (rc = kith_outfile_open(&file, a->output, err)))
		goto done;
	snprintf(question, size, "%s%s%s", a->question->option, a->layers ? " " : "", a->layers ? a->layers : "");
	kith_pair_output output = {a->format, file ? kith_outfile_stream(file) : stdout,
				   a->output ? a->output : "standard output", question};
	if ((rc = kith_pair_answer(store, &a->query, &output, count, err)))
		kith_outfile_abort(file);
	else if (file)
		rc = kith_outfile_commit(file, err);
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
	struct argp_option options[QUESTIONS + sizeof other_options / sizeof *other_options];
	struct arguments a = {.format = KITH_PAIRS_TSV};
	char question[256];
	uint64_t count = 0;
	kith_err err;

	for (size_t i = 0; i < QUESTIONS; i++)
		options[i] = (struct argp_option){
			questions[i].option, OPT_QUESTION + (int)i, questions[i].layers, 0, questions[i].help, 2};
	memcpy(options + QUESTIONS, other_options, sizeof other_options);
	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE.kpr", about, take, &a}, argc, argv);
	if (!a.output) /* a bar would run through the text on a terminal */
		cli.quiet = 1;
	a.query.progress = kith_cli_progress(&cli);
	if (run(&a, &count, question, sizeof question, &err))
		return kith_cli_fail(&cli, &err);
	kith_cli_report(&cli, "%s of %s -> %s: %llu %s", question, a.path, a.output ? a.output : "",
			(unsigned long long)count, a.wants_components ? "components" : "pairs");
	return 0;
}
