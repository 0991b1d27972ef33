/* knn_main.c - kith-knn: parse, check, run, report. */
#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cli.h"
#include "engine.h"
#include "source.h"
#include "text.h"

KITH_CLI_LOADS_OPENBLAS;

#define MAX_ENGINES    8
#define MAX_OPTIONS    64
#define MAX_CANDIDATES 64

/* An option that only one engine has. */
typedef struct own_option {
	const kith_engine *engine;
	void *options; /* the engine's */
	size_t which;
} own_option;

typedef struct arguments {
	kith_knn_options knn;
	const char *input, *output;
	int dry_run;
	char *candidates[MAX_CANDIDATES];
	void *own[MAX_ENGINES]; /* the options of each engine */
} arguments;

/* --candidates GRAPH[,GRAPH...], once or more often. */
static int take_candidates(const kith_option *option, const char *arg, kith_err *err)
{
	arguments *a = option->to;
	for (const char *at = arg, *end; at; at = *end ? end + 1 : NULL) {
		end = strchrnul(at, ',');
		if (end == at || a->knn.candidate_graphs == MAX_CANDIDATES)
			return kith_fail(err, KITH_EUSAGE, "--candidates %s: %s", arg,
					 end == at ? "a graph without a name" : "too many graphs");
		if (!(a->candidates[a->knn.candidate_graphs] = strndup(at, (size_t)(end - at))))
			return kith_fail_nomem(err, "a name", (size_t)(end - at));
		a->knn.candidate_graphs++;
	}
	return 0;
}

static int take_own(const kith_option *option, const char *arg, kith_err *err)
{
	const own_option *own = option->to;
	uint32_t number = 0;
	kith_option count = *option;
	count.to = &number;
	if (option->most && kith_take_count(&count, arg, err))
		return KITH_EUSAGE;
	return own->engine->take(own->options, own->which, arg, number, err);
}

/* Adds the engines' own options to a table of MAX_OPTIONS, and makes room for what they are set to, all zeros. Returns
 * 0 if there is no memory. */
static int add_own_options(arguments *a, kith_option *table, own_option *own)
{
	const kith_engine *engine;
	size_t at = 0;
	while (table[at].take)
		at++;
	for (size_t e = 0; (engine = kith_engine_at(e)); e++) {
		assert(e < MAX_ENGINES);
		if (!(a->own[e] = kith_alloc_zero(1, engine->options_size)))
			return 0;
		for (size_t which = 0; engine->options && engine->options[which].name; which++, at++) {
			const kith_engine_option *o = &engine->options[which];
			assert(at + 1 < MAX_OPTIONS);
			own[at] = (own_option){engine, a->own[e], which};
			table[at] = (kith_option){0,        o->name,        o->argument, o->help,        3,
						  take_own, .to = &own[at], .least = 1,  .most = o->most};
		}
	}
	return 1;
}

/* The engine's own options, as they are set. */
static const void *own_of(const arguments *a)
{
	const kith_engine *named;
	const char *spec;
	kith_err unused;
	if (kith_engine_find(&named, &spec, a->knn.engine, &unused))
		return NULL; /* the stage will say why */
	for (size_t e = 0; kith_engine_at(e); e++)
		if (kith_engine_at(e) == named)
			return a->own[e];
	return NULL;
}

/* T[:birth|:lifetime] */
static int take_classes(const kith_option *option, const char *arg, kith_err *err)
{
	kith_row_options *rows = option->to;
	const char *colon = strchrnul(arg, ':');
	char number[16];
	kith_option count = *option;
	count.to = &rows->classes;
	rows->longest = !strcmp(colon, ":lifetime");
	if (colon - arg >= (int)sizeof number || (*colon && !rows->longest && strcmp(colon, ":birth")))
		return kith_fail(err, KITH_EUSAGE,
				 "--classes %s: not T, T:birth or T:lifetime: try --classes 50:lifetime", arg);
	snprintf(number, sizeof number, "%.*s", (int)(colon - arg), arg);
	return kith_take_count(&count, number, err);
}

static int check(void *context, kith_err *err)
{
	const arguments *a = context;
	if (a->dry_run)
		return 0;
	if (!a->output)
		return kith_fail(err, KITH_EUSAGE, "no output given: -o layer.nng");
	int rc = kith_cli_distinct("-o", a->output, a->input, err);
	if (!rc && kith_source_names_file(a->input, a->output))
		rc = kith_fail(err, KITH_EUSAGE, "-o %s: is one of the files of %s: name another output", a->output,
			       a->input);
	for (uint32_t g = 0; !rc && g < a->knn.candidate_graphs; g++)
		rc = kith_cli_distinct("-o", a->output, a->candidates[g], err);
	return rc;
}

static void print_estimate(const arguments *a, const kith_knn_estimate *e)
{
	char ladder[256];
	printf("%s: n=%llu d=%llu k=%s %s: about %.*f s, %.0f MB of memory, %.0f MB of temporary files, a graph of "
	       "%.0f MB\n",
	       a->input, (unsigned long long)e->n, (unsigned long long)e->d,
	       kith_ladder_text(a->knn.ladder, a->knn.tiers, ladder, sizeof ladder), e->plan, e->seconds < 2 ? 2 : 1,
	       e->seconds, (double)e->memory * 1e-6, (double)e->temporary * 1e-6, (double)e->graph * 1e-6);
}

/* --dry-run: a line for people and scripts, on standard output; and another one of the exact engine if that was not
 * asked for, or of the approximate one if it was, unless -m does not do for it or it leaves the work to the exact one.
 */
static int foresee(kith_cli *cli, const arguments *a)
{
	arguments other = *a;
	kith_knn_estimate asked, others;
	kith_err err;
	if (kith_knn_foresee_with(a->input, &a->knn, own_of(a), &asked, &err))
		return kith_cli_fail(cli, &err);
	print_estimate(a, &asked);
	other.knn.engine = strcmp(a->knn.engine, "exact") ? "exact" : "approx";
	if (!kith_knn_foresee_with(a->input, &other.knn, own_of(&other), &others, &err) &&
	    strncmp(asked.plan, others.plan, strcspn(asked.plan, ",)")))
		print_estimate(&other, &others);
	return 0;
}

/* Many equal samples are each other's neighbours, in an order that says nothing of the network. */
static void warn(kith_cli *cli, const arguments *a, const kith_knn_summary *done)
{
	char zero[96] = "";
	if (done->repeated <= done->n / 100)
		return;
	if (done->zero)
		snprintf(zero, sizeof zero, "; %llu are all zeros: was the file written to its end?",
			 (unsigned long long)done->zero);
	kith_cli_warn(cli, "%s: %llu of %llu samples are the same as another%s", a->input,
		      (unsigned long long)done->repeated, (unsigned long long)done->n, zero);
}

/* What else is worth a word in the closing report. */
static const char *remarks(const arguments *a, const kith_knn_summary *done, char *out, size_t size)
{
	char text[KITH_TIES_TEXT];
	size_t at = 0;
	*out = 0;
	if (!strcmp(done->type, "bfloat16"))
		at = (size_t)snprintf(out, size, ", bfloat16");
	if (done->repeated > done->n / 100)
		at += (size_t)snprintf(out + at, size - at, ", %llu samples repeated (%llu zero)",
				       (unsigned long long)done->repeated, (unsigned long long)done->zero);
	if (done->tied.zero)
		at += (size_t)snprintf(out + at, size - at, ", %llu zero rows at similarity 0 with all others",
				       (unsigned long long)done->tied.zero);
	for (uint32_t t = 0; t < a->knn.tiers; t++)
		if (done->tied.rows[t])
			at += (size_t)snprintf(out + at, size - at, "; %s",
					       kith_ties_text(a->knn.ladder[t], done->tied.rows[t], done->n,
							      done->tied.most[t], text));
	return out;
}

static int build(kith_cli *cli, const arguments *a)
{
	kith_knn_summary done;
	kith_err err;
	char ladder[256], recall[KITH_RECALL_TEXT], more[256 + KITH_MAX_TIERS * KITH_TIES_TEXT];
	if (kith_knn_build_with(a->input, a->output, &a->knn, own_of(a), &done, &err))
		return kith_cli_fail(cli, &err);
	warn(cli, a, &done);
	kith_cli_report(cli, "%s -> %s: n=%llu d=%llu k=%s %s%s%s%s", a->input, a->output, (unsigned long long)done.n,
			(unsigned long long)done.d,
			kith_ladder_text(a->knn.ladder, a->knn.tiers, ladder, sizeof ladder), done.plan,
			done.high < 1 ? ": recall " : "",
			done.high < 1 ? kith_recall_text(done.recall, done.low, done.high, recall) : "",
			remarks(a, &done, more, sizeof more));
	return 0;
}

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "kith-knn"};
	arguments a = {0};
	own_option own[MAX_OPTIONS];
	kith_option options[MAX_OPTIONS] = {
		{'k', NULL, "K[,K...]", "Neighbours per sample; several make a ladder that one graph serves", 1,
		 kith_take_ladder, .to = a.knn.ladder, .count = &a.knn.tiers},
		{0, "metric", "l2|cosine|jaccard", "Distance; jaccard is of generators", 1, kith_take_choice,
		 .to = &a.knn.metric, .noun = "metric"},
		{0, "ties", "index|content",
		 "Neighbours equally far: in an order that the layer's values fix, or by index", 1, kith_take_choice,
		 .to = &a.knn.ties, .noun = "tie rule"},
		{0, "zero-rows", "keep|refuse",
		 "Samples of zeros, for cosine: at similarity 0 with all others, or a mistake", 1, kith_take_choice,
		 .to = &a.knn.refuse_zero, .noun = "way with zero rows"},
		{0, "dry-run", NULL, "Say what would be done and take, and stop", 2, kith_take_flag, .to = &a.dry_run},
		{0, "engine", "NAME[:SPEC]",
		 "exact: the true neighbours; approx[:recall=R]: nearly all; faiss:FACTORY: by an index of FAISS", 1,
		 kith_take_text, .to = &a.knn.engine},
		{0, "audit", "M", "Samples whose true neighbours measure the recall, unless the engine is exact", 1,
		 kith_take_count, .to = &a.knn.audit_rows, .least = 1, .most = KITH_MAX_NODES},
		{0, "near", "N", "Nearest ones of which the graph keeps order and distance; 0: of none", 1,
		 kith_take_count, .to = &a.knn.near, .most = KITH_MAX_NODES},
		{0, "candidates", "GRAPH.nng[,...]",
		 "Measure the rows of these layers, too, unless the engine is exact", 1, take_candidates, .to = &a},
		{0, "weights", "one|lifetime|phi|lifetime-phi", "Of generators: the values of a sample's row", 4,
		 kith_take_choice, .to = &a.knn.rows.weights, .noun = "weight", .least = KITH_WEIGHTS_ONE},
		{0, "classes", "T[:birth|:lifetime]",
		 "Of generators: only those of a sample's first T classes, or of its T longest-lived", 4, take_classes,
		 .to = &a.knn.rows, .least = 1, .most = UINT32_MAX},
		{0, "ops", "FROM:TO[,...]", "Of generators: only edges of the operations that join these layers", 4,
		 kith_take_text, .to = &a.knn.rows.ops},
		{0, "format", "NAME", "Format of the activations, where it is not to be seen", 5, kith_take_text,
		 .to = &a.knn.how.format},
		KITH_CLI_INPUT_OPTIONS(&a.knn.how),
		{'m', NULL, "MEM", "Memory to work in, such as 512M or 4G", 2, kith_take_bytes, .to = &a.knn.memory},
		{'t', NULL, "THREADS", "Threads", 2, kith_take_count, .to = &a.knn.threads, .least = 1, .most = 256},
		{'o', NULL, "LAYER.nng", "The graph to write (required)", 1, kith_take_text, .to = &a.output},
		KITH_CLI_VERBOSE(&cli),
		{0, NULL, NULL, NULL, 0, kith_take_one, .to = &a.input, .noun = "file of activations",
		 .missing = "no activations given: kith-knn -o layer.nng layer.npy"},
	};
	char about[768];
	kith_err err;
	int code = 1;

	kith_cli_start(&cli, argv);
	mallopt(M_MMAP_THRESHOLD, 1 << 20); /* freed work spaces go back to the system, so that -m is kept */
	kith_knn_defaults(&a.knn);
	a.knn.candidates = (const char *const *)a.candidates;
	snprintf(about, sizeof about,
		 "Build the k-nearest-neighbour graph of one layer's activations (.npy, .safetensors, raw; one row per "
		 "sample), or of generators (.kh0).\v"
		 "Defaults: -k %u --metric l2 --ties content --zero-rows keep --engine %s --audit %u --near %u -m %s "
		 "-t %d.\n\n"
		 "Exit status: 0 done, 1 failed (files, memory), 2 wrong usage or unfit input.",
		 a.knn.ladder[0], a.knn.engine, a.knn.audit_rows, a.knn.near, kith_cli_bytes_text(a.knn.memory),
		 a.knn.threads);
	if (add_own_options(&a, options, own)) {
		kith_cli_parse(&cli, &(kith_cli_arguments){options, "ACTIVATIONS|SAMPLES.kh0", about, check, &a}, argc,
			       argv);
		a.knn.command = cli.command;
		a.knn.progress = kith_cli_progress(&cli);
		code = kith_source_files(a.input, kith_cli_say_file, &cli, &err) ? kith_cli_fail(&cli, &err)
		       : a.dry_run                                               ? foresee(&cli, &a)
										 : build(&cli, &a);
	}
	for (size_t e = 0; e < MAX_ENGINES; e++)
		free(a.own[e]);
	for (uint32_t g = 0; g < a.knn.candidate_graphs; g++)
		free(a.candidates[g]);
	return code;
}
