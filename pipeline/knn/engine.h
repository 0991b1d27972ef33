/* engine.h - the door to the ways of finding neighbours. An engine is one kith_engine in a folder of its own and a row
 * of the table in knn.c; the stage (knn.c, knn_main.c) knows none by name. */
#ifndef KITH_ENGINE_H
#define KITH_ENGINE_H

#include <stddef.h>

#include "kith/graph.h"
#include "kith/knn.h"
#include "vectors.h"

/* One graph to build. */
typedef struct kith_engine_job {
	kith_vectors *vectors;       /* the samples; the engine may have all of them kept in memory */
	const kith_graph_info *info; /* of the graph: n, d, ladder, near */
	const void *options;         /* the engine's own struct */
	/* Of an engine that stops by an audit, when it builds: exact rows of some samples, which tell it how far it has
	 * come (recall.h), and are not those that the graph is measured by; else NULL. */
	const kith_graph_audit *audit;
	struct kith_audit *hits; /* it counts what it has of the rows that kith_engine_append sees; or NULL */
	/* Graphs of other layers, of n samples each, whose rows are to be measured, too; only for engines that take
	 * them. */
	kith_graph *const *candidates;
	uint32_t candidate_graphs;
	/* Where there are zero rows, these (zero_rows.h); else NULL. */
	struct kith_zero_rows *zero;
	/* Where they are not among the samples, and are to be put into the rows that kith_engine_append sees: of each
	 * sample, how many that are not in its row are exactly as far as the last there; an engine that is exact fills
	 * it in before the first row is appended. Else NULL. */
	uint64_t *left;
	uint64_t memory; /* bytes */
	uint64_t taken;  /* bytes of -m that are not in `memory`: messages that say what is needed count them, too */
	int threads;
	const char *output; /* temporary files stand beside it; NULL: only to foresee */
	const kith_progress *progress;
	struct kith_pilot *pilot; /* only to foresee: these are some of the samples of another job (exact/pilot.h) */
} kith_engine_job;

/* A command-line option that only one engine has. */
typedef struct kith_engine_option {
	const char *name, *argument, *help; /* --name=ARGUMENT */
	uint32_t most;                      /* the argument is a number from 1 to this; 0: it is a text */
} kith_engine_option;

typedef struct kith_engine {
	const char *name; /* --engine NAME[:SPEC] */
	int exact;        /* whether its neighbours are the true ones. What an engine without this builds is audited */
	int (*stops)(const void *own); /* whether it is to be told by an audit how far it has come; NULL: no */
	int takes_candidates;          /* an engine that is not exact should */
	int takes_zero;                /* zero rows stay among its samples */

	/* Takes what follows the colon into the engine's own struct; NULL: nothing may follow. */
	int (*parse)(void *own, const char *spec, kith_err *err);
	const char *example; /* of a SPEC, where there has to be one */

	/* Refuses, before the input is read, what cannot be done with its n samples of d values; NULL: nothing. */
	int (*check)(const void *own, const char *path, uint64_t n, uint64_t d, kith_err *err);

	/* Whether the default engine, which is exact, is as fast at so few samples, and is to have the work; NULL:
	 * never. */
	int (*too_few)(const void *own, uint64_t n);

	/* Its own options: a struct of options_size bytes, all zeros being the defaults, a table (or NULL) that ends
	 * with an option without a name, and what puts the argument of options[which] into the struct, as a text and as
	 * a number. */
	size_t options_size;
	const kith_engine_option *options;
	int (*take)(void *own, size_t which, const char *text, uint32_t number, kith_err *err);

	/* What it promises: fills in engine, parameters and, if it has a wish, block_nodes of the graph's header. */
	void (*promise)(const void *own, kith_graph_info *info);

	/* What build would do and take: plan, seconds, memory and temporary of the estimate. Looks at a sample of the
	 * rows. */
	int (*foresee)(const kith_engine_job *job, kith_knn_estimate *out, kith_err *err);

	/* Appends the rows of all n samples by kith_engine_append; fills in the summary's plan, which is for people. */
	int (*build)(const kith_engine_job *job, kith_graph_writer *writer, kith_knn_summary *summary, kith_err *err);
} kith_engine;

extern const kith_engine kith_engine_exact, kith_engine_approx, kith_engine_faiss;

/* The engines of this build, for `i` from 0 until it returns NULL; the first is the default. */
const kith_engine *kith_engine_at(size_t i);

/* The engine that kith_knn_options.engine, NAME[:SPEC], names, into *out, and where its SPEC begins (NULL: there is
 * none) into *spec. KITH_EUSAGE if this build has none of that name, if it takes no SPEC, or if it needs one. */
int kith_engine_find(const kith_engine **out, const char **spec, const char *text, kith_err *err);

/* Of a graph whose rows are candidates for k neighbours, how many of its tiers are: the first, and as many more as
 * there are in 2 k. */
uint32_t kith_engine_candidate_tiers(const kith_graph_info *theirs, uint32_t k);

/* kith_graph_append, for engines: the audit sees the rows, too. */
int kith_engine_append(const kith_engine_job *job, kith_graph_writer *writer, uint64_t count, uint32_t *ids,
		       const uint32_t *near_ids, const double *near_dist2, kith_err *err);

/* What the stage does of any kind of input: refuses a ladder that n samples of `path` are too few for; fills in the
 * graph's header, but for what an engine promises; and foresees the graph's size. */
int kith_stage_check(const char *path, uint64_t n, const kith_knn_options *options, kith_err *err);
void kith_stage_describe(kith_graph_info *info, const kith_knn_options *options, const char *path, uint64_t n,
			 uint64_t d, uint64_t digest);
uint64_t kith_stage_graph_bytes(const kith_graph_info *info);

/* The graph of activations, by an engine or, if that is NULL, by the one that options->engine names; `own` are its own
 * options, NULL: its defaults. */
int kith_engine_build(const kith_engine *engine, const char *input, const char *output, const kith_knn_options *options,
		      const void *own, kith_knn_summary *summary, kith_err *err);

/* kith_knn_build and kith_knn_foresee (kith/knn.h) with the engine's own options; NULL: its defaults. For kith-knn's
 * command line and for tests. */
int kith_knn_build_with(const char *input, const char *output, const kith_knn_options *options, const void *own,
			kith_knn_summary *summary, kith_err *err);
int kith_knn_foresee_with(const char *input, const kith_knn_options *options, const void *own, kith_knn_estimate *out,
			  kith_err *err);

#endif
