/* import_main.c - kith-import: parse, check, run, report. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "import.h"
#include "source.h"
#include "text.h"

KITH_CLI_LOADS_OPENBLAS;

typedef struct arguments {
	kith_import_options import;
	int squared, euclidean;
	const char *indices, *output;
} arguments;

/* Writing the output must not destroy an input. */
static int check_output(const char *output, const char *input, kith_err *err)
{
	int rc = kith_cli_distinct("-o", output, input, err);
	if (!rc && kith_source_names_file(input, output))
		rc = kith_fail(err, KITH_EUSAGE, "-o %s: is one of the files of %s: name another output", output,
			       input);
	return rc;
}

static int check(void *context, kith_err *err)
{
	arguments *a = context;
	kith_import_options *o = &a->import;
	o->squared = a->squared;
	if (!a->output)
		return kith_fail(err, KITH_EUSAGE, "no output given: -o layer.nng");
	if (!o->distances && (a->squared || a->euclidean))
		return kith_fail(err, KITH_EUSAGE, "--%s: of which distances? --distances DIST.npy",
				 a->squared ? "squared" : "euclidean");
	if (o->distances && a->squared + a->euclidean != 1)
		return kith_fail(
			err, KITH_EUSAGE,
			"--distances %s: are they squared (FAISS, hnswlib, cuVS' sqeuclidean: --squared) or not (UMAP, "
			"PyNNDescent, scikit-learn, DADApy: --euclidean)?",
			o->distances);
	if (o->activations && o->knn.metric == KITH_JACCARD)
		return kith_fail(err, KITH_EUSAGE, "--metric jaccard: of activations, l2 and cosine are measured");
	const char *inputs[] = {a->indices, o->distances, o->activations};
	int rc = 0;
	for (size_t i = 0; !rc && i < sizeof inputs / sizeof *inputs; i++)
		rc = inputs[i] ? check_output(a->output, inputs[i], err) : 0;
	return rc;
}

static int say_files(kith_cli *cli, const arguments *a, kith_err *err)
{
	const char *inputs[] = {a->indices, a->import.distances, a->import.activations};
	int rc = 0;
	for (size_t i = 0; !rc && i < sizeof inputs / sizeof *inputs; i++)
		rc = inputs[i] ? kith_source_files(inputs[i], kith_cli_say_file, cli, err) : 0;
	return rc;
}

/* What else is worth a word in the closing report. */
static const char *remarks(const arguments *a, const kith_import_summary *done, char *out, size_t size)
{
	char recall[KITH_RECALL_TEXT], lists[32], sorted[32];
	const kith_knn_summary *s = &done->knn;
	size_t at = 0;
	if (a->import.activations)
		at = (size_t)snprintf(out, size, ": recall %s", kith_recall_text(s->recall, s->low, s->high, recall));
	else
		at = (size_t)snprintf(out, size, ": recall not known (--activations measures it)");
	kith_grouped(done->completed, lists, sizeof lists);
	kith_grouped(done->unsorted, sorted, sizeof sorted);
	if (s->tied.zero)
		at += (size_t)snprintf(out + at, size - at, ", %llu zero rows at similarity 0 with all others",
				       (unsigned long long)s->tied.zero);
	if (done->completed)
		snprintf(out + at, size - at, ", %s lists completed", lists);
	else if (done->unsorted)
		snprintf(out + at, size - at, ", %s lists sorted by distance", sorted);
	return out;
}

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "kith-import"};
	arguments a = {0};
	kith_knn_options *knn = &a.import.knn;
	const kith_option options[] = {
		{'k', NULL, "K[,K...]", "Neighbours per sample, or a ladder of them; default: all that the lists have",
		 1, kith_take_ladder, .to = knn->ladder, .count = &knn->tiers},
		{0, "distances", "DIST", "Their distances, of the same shape or fewer columns", 1, kith_take_text,
		 .to = &a.import.distances},
		{0, "squared", NULL, "These are squared", 1, kith_take_flag, .to = &a.squared},
		{0, "euclidean", NULL, "These are not", 1, kith_take_flag, .to = &a.euclidean},
		{0, "activations", "ACT",
		 "What the samples are: measure all distances, order neighbours by these, and audit the graph's recall",
		 1, kith_take_text, .to = &a.import.activations},
		{0, "metric", "l2|cosine|jaccard", "The distance; jaccard is not measured", 1, kith_take_choice,
		 .to = &knn->metric, .noun = "metric"},
		{0, "self", "drop|absent|auto", "Lists have their own samples, or not, or that is to be seen", 1,
		 kith_take_choice, .to = &a.import.self, .noun = "way with a list's own sample"},
		{0, "one-based", NULL, "Samples are numbered from 1", 1, kith_take_flag, .to = &a.import.one_based},
		{0, "complete", NULL, "With --activations: find the neighbours of lists that are refused otherwise", 1,
		 kith_take_flag, .to = &a.import.complete},
		{0, "source", "TEXT", "Who found them, for the graph to say: \"cuvs 25.10 nn_descent\"", 1,
		 kith_take_text, .to = &a.import.source},
		{0, "zero-rows", "keep|refuse",
		 "With --activations and cosine: samples of zeros are at similarity 0 with all others, or a mistake", 1,
		 kith_take_choice, .to = &knn->refuse_zero, .noun = "way with zero rows"},
		{0, "ties", "index|content",
		 "With --activations: neighbours equally far in an order that the layer's values fix, or by index", 1,
		 kith_take_choice, .to = &knn->ties, .noun = "tie rule"},
		{0, "audit", "M", "With --activations: samples whose true neighbours measure the recall", 1,
		 kith_take_count, .to = &knn->audit_rows, .least = 1, .most = KITH_MAX_NODES},
		{0, "near", "N", "Nearest ones of which the graph keeps order and distance; 0: of none", 1,
		 kith_take_count, .to = &knn->near, .most = KITH_MAX_NODES},
		{0, "format", "NAME", "Format of INDICES, where it is not to be seen", 5, kith_take_text,
		 .to = &a.import.how.format},
		KITH_CLI_INPUT_OPTIONS(&a.import.how),
		{'m', NULL, "MEM", "Memory to work in, such as 512M or 4G", 2, kith_take_bytes, .to = &knn->memory},
		{'t', NULL, "THREADS", "Threads", 2, kith_take_count, .to = &knn->threads, .least = 1, .most = 256},
		{'o', NULL, "LAYER.nng", "The graph to write (required)", 1, kith_take_text, .to = &a.output},
		KITH_CLI_VERBOSE(&cli),
		{0, NULL, NULL, NULL, 0, kith_take_one, .to = &a.indices, .noun = "file of neighbours",
		 .missing = "no neighbours given: kith-import -o layer.nng indices.npy"},
		{0},
	};
	kith_import_summary done;
	kith_err err;
	char about[768], ladder[256], more[256];

	kith_cli_start(&cli, argv);
	mallopt(M_MMAP_THRESHOLD, 1 << 20); /* freed work spaces go back to the system, so that -m is kept */
	kith_import_defaults(&a.import);
	snprintf(
		about, sizeof about,
		"Make a graph of neighbours that others found: INDICES has a row for each sample, with its neighbours, "
		"nearest first.\v"
		"Defaults: --metric l2 --self auto --zero-rows keep --ties content --audit %u --near %u -m %s -t "
		"%d.\n\n"
		"Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.",
		knn->audit_rows, knn->near, kith_cli_bytes_text(knn->memory), knn->threads);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "INDICES", about, check, &a}, argc, argv);
	knn->command = cli.command;
	a.import.how.spill = a.output;
	knn->progress = kith_cli_progress(&cli);
	if (say_files(&cli, &a, &err) || kith_import_build(a.indices, a.output, &a.import, &done, &err))
		return kith_cli_fail(&cli, &err);
	kith_cli_report(&cli, "%s -> %s: n=%llu k=%s%s", a.indices, a.output, (unsigned long long)done.knn.n,
			kith_ladder_text(done.ladder, done.tiers, ladder, sizeof ladder),
			remarks(&a, &done, more, sizeof more));
	return 0;
}
