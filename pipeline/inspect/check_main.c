/* check_main.c - kith-check: is each file what it should be, all the way down? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "inspect.h"
#include "kith/knn.h"

KITH_CLI_LOADS_OPENBLAS;

typedef struct arguments {
	kith_texts paths;
	int recall;
	uint32_t rows; /* of --recall */
	kith_input_how how;
} arguments;

/* With --recall, files are [M] ACTIVATIONS LAYER.nng. */
static int check_arguments(void *context, kith_err *err)
{
	arguments *a = context;
	kith_knn_options defaults;
	if (!a->recall)
		return 0;
	kith_knn_defaults(&defaults);
	a->rows = defaults.audit_rows;
	if (a->paths.count == 3) {
		kith_option rows = {.name = "recall", .to = &a->rows, .least = 1, .most = KITH_MAX_NODES};
		return kith_take_count(&rows, a->paths.text[0], err);
	}
	if (a->paths.count == 2)
		return 0;
	return kith_fail(err, KITH_EUSAGE,
			 "--recall takes the activations and their graph: kith-check --recall layer.npy layer.nng");
}

static int measure(kith_cli *cli, const arguments *a, const kith_progress *progress)
{
	const char *const *files = a->paths.text + (a->paths.count - 2);
	kith_err err;
	return kith_check_recall(files[0], &a->how, files[1], a->rows, progress, stdout, &err)
		       ? kith_cli_fail(cli, &err)
		       : 0;
}

/* All files; the worst decides. */
static int check_files(kith_cli *cli, const arguments *a, const kith_progress *progress)
{
	const kith_texts *paths = &a->paths;
	int worst = 0;
	kith_err err;
	for (size_t i = 0; i < paths->count; i++) {
		int code = kith_check_as(paths->text[i], &a->how, progress, &err) ? kith_cli_fail(cli, &err) : 0;
		kith_cli_clear(cli);
		if (!code && !cli->quiet)
			fprintf(stderr, "kith-check: %s: sound\n", paths->text[i]);
		/* damage (1) is worse than unfitness (2) */
		worst = code == 1 || worst == 1 ? 1 : code > worst ? code : worst;
	}
	return worst;
}

int main(int argc, char **argv)
{
	static const char about[] =
		"Validate kith files (.nng, .kpr, .kh0, stack.json) and activations, and say what is wrong "
		"with them.\v"
		"Everything is read: every checksum, every rule of the format, every identity that the "
		"definitions imply. With --recall, an exact graph that lacks a neighbour is damaged.\n\n"
		"Exit status: 0 all are sound, 1 one is damaged or cannot be read, 2 wrong usage or unfit "
		"input; the worst file decides.";
	kith_cli cli = {.name = "kith-check"};
	arguments a = {0};
	const kith_option options[] = {
		{0, "recall", NULL, "Measure the recall of a graph, by M samples (1000) whose true neighbours it finds",
		 1, kith_take_flag, .to = &a.recall},
		{0, "format", "NAME", "Format of activations, where it is not to be seen", 5, kith_take_text,
		 .to = &a.how.format},
		KITH_CLI_INPUT_OPTIONS(&a.how),
		{0, NULL, NULL, NULL, 0, kith_take_each, .to = &a.paths, .missing = "no file given"},
		{0},
	};

	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli,
		       &(kith_cli_arguments){options, "FILE ...\n--recall [M] ACTIVATIONS LAYER.nng", about,
					     check_arguments, &a},
		       argc, argv);
	kith_progress progress = kith_cli_progress(&cli);
	int code = a.recall ? measure(&cli, &a, &progress) : check_files(&cli, &a, &progress);
	free(a.paths.text);
	return code;
}
