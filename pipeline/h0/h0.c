/* h0.c - the stage from files to file. See kith/h0.h. */
#include "kith/h0.h"

#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "engine.h"
#include "first_error.h"
#include "machine.h"
#include "network.h"
#include "text.h"
#include "workspace.h"

#define LEAST_WORK (4u << 20) /* bytes beside everything else, for reading weights and activations the first time */

void kith_h0_defaults(kith_h0_options *options)
{
	*options = (kith_h0_options){.keep = 1,
				     .values = 1,
				     .memory = kith_machine_budget(4ull << 30),
				     .threads = kith_machine_cores(),
				     .command = ""};
}

/* ---- memory ---- */

/* What one thread has: activations of a sample, and the samples of a block. */
typedef struct desk {
	kith_h0_work *work;
	double **h; /* by layer */
	double *numbers;
	void *raw; /* a row as it is stored */
	kith_h0_samples samples;
	void *memory;
} desk;

static void list_desk(kith_workspace *w, desk *d, const kith_network *n)
{
	const kith_h0_info *info = &n->info;
	uint64_t numbers = 0, raw = 0, samples = kith_h0_block_samples(info), edges = samples * info->vertices;
	uint8_t **bytes = (uint8_t **)&d->raw;
	for (uint32_t l = 0; l < info->layer_count; l++) {
		if (!kith_network_is_source(n, l))
			continue;
		uint64_t row = kith_activations_get_info(n->activations[l])->row_bytes;
		numbers += info->layers[l].units;
		raw = row > raw ? row : raw;
	}
	KITH_BUFFER_ZERO(w, d->h, info->layer_count);
	KITH_BUFFER(w, d->numbers, numbers);
	KITH_BUFFER(w, *bytes, raw);
	KITH_BUFFER(w, d->samples.edge_at, samples + 1);
	KITH_BUFFER(w, d->samples.edge, edges);
	KITH_BUFFER(w, d->samples.phi, edges);
	KITH_BUFFER(w, d->samples.mark, edges);
	KITH_BUFFER(w, d->samples.source, edges);
	KITH_BUFFER(w, d->samples.activation, edges);
}

/* `memory`: for which the arrays were opened. */
static uint64_t bytes_of(const kith_network *n, uint64_t memory, int threads)
{
	desk d = {0};
	kith_workspace w = {0};
	list_desk(&w, &d, n);
	uint64_t thread = kith_add_bytes(kith_h0_work_bytes(n), kith_workspace_bytes(&w)),
		 before = kith_h0_engine_scratch_bytes(n), /* given back before there are work spaces */
		all = kith_add_bytes(kith_network_weight_bytes(n), kith_h0_engine_bytes(n));
	thread = before > thread ? before : thread;
	if (thread > UINT64_MAX / (uint64_t)threads)
		return UINT64_MAX;
	all = kith_add_bytes(all, thread * (uint64_t)threads);
	all = kith_add_bytes(all, kith_network_kept_bytes(n, memory));
	return kith_add_bytes(all, kith_h0_writer_bytes(&n->info, threads) + LEAST_WORK);
}

/* As many threads as memory allows. */
static int choose_threads(const kith_network *n, const kith_h0_options *o, int *threads, kith_err *err)
{
	int t = kith_machine_threads(o->threads);
	while (t > 1 && bytes_of(n, o->memory, t) > o->memory)
		t--;
	if (bytes_of(n, o->memory, t) > o->memory)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: its weights and one sample take %" PRIu64 " MB, more than -m %" PRIu64
				 "M: give more",
				 n->path, (bytes_of(n, o->memory, t) >> 20) + 1, o->memory >> 20);
	*threads = t;
	return 0;
}

static int check_options(const kith_h0_options *o, kith_err *err)
{
	if (o->keep > 0 && o->keep <= 1)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "--keep %g: a part of the edges, above 0 and at most 1", o->keep);
}

/* The output may be none of the arrays that net.json names, whatever they are called. */
static int check_output(const kith_network *n, const char *output, kith_err *err)
{
	for (uint32_t i = 0; i < n->info.layer_count + n->info.op_count; i++) {
		const kith_activations *a =
			i < n->info.layer_count ? n->activations[i] : n->files[i - n->info.layer_count];
		const char *path = a ? kith_activations_get_info(a)->path : NULL;
		if (path && kith_source_names_file(path, output))
			return kith_fail(err, KITH_EUSAGE, "-o %s: is %s, which the network names: name another output",
					 output, path);
	}
	return 0;
}

/* phi is stored by sources where they are floats, and the weights that it takes then are few: next to nothing, or half
 * a bit for each target unit of a sample. (Sources of births and deaths save 2 of these units' bits in AlexNet, 10 in
 * small networks.) */
#define FEW_WEIGHTS  4096u
#define MOST_WEIGHTS (1ull << 28) /* of all operations: they are one value of the file */

static void choose_by_source(kith_network *n)
{
	kith_h0_info *info = &n->info;
	uint64_t total = 0;
	for (uint32_t o = 0; o < info->op_count; o++) {
		kith_op *op = &info->ops[o];
		uint64_t weights = kith_op_weight_count(info, op);
		if (kith_op_rounds(n, o) || weights > MOST_WEIGHTS - total ||
		    (weights > FEW_WEIGHTS && weights / info->n > info->layers[op->to].units / 64))
			continue;
		total += weights;
		op->by_source = 1;
		op->weights = n->weights[o].single;
	}
}

/* Reads the network, without its numbers. `output` may be NULL. */
static int open_network(kith_network **out, const char *input, const char *output, const kith_h0_options *o,
			int *threads, kith_err *err)
{
	kith_input_how how = {.spill = output, .memory = o->memory};
	kith_network *n = NULL;
	int rc = check_options(o, err);
	if (rc || (rc = kith_network_read(&n, input, &how, err)))
		return rc;
	n->info.keep = o->keep;
	n->info.values = o->values != 0;
	kith_copy_text(n->info.command, sizeof n->info.command, o->command);
	choose_by_source(n);
	if ((rc = choose_threads(n, o, threads, err)))
		kith_network_free(n);
	else
		*out = n;
	return rc;
}

/* ---- building ---- */

struct run {
	const kith_h0_options *options;
	kith_network *network;
	kith_h0_engine *engine;
	kith_h0_writer *writer;
	desk *desks;
	int threads;
	uint64_t edges, classes;
};

static int make_desk(struct run *r, desk *d, kith_err *err)
{
	const kith_h0_info *info = &r->network->info;
	kith_workspace w = {0};
	list_desk(&w, d, r->network);
	int rc = kith_workspace_alloc(&w, &d->memory, "samples", err);
	if (rc)
		return rc;
	for (uint32_t l = 0, at = 0; l < info->layer_count; l++)
		if (kith_network_is_source(r->network, l)) {
			d->h[l] = d->numbers + at;
			at += (uint32_t)info->layers[l].units;
		}
	return kith_h0_work_create(&d->work, r->engine, err);
}

static int read_sample(const struct run *r, desk *d, uint64_t sample, kith_err *err)
{
	int rc = 0;
	for (uint32_t l = 0; !rc && l < r->network->info.layer_count; l++)
		if (d->h[l])
			rc = kith_activations_read(r->network->activations[l], sample, 1, d->h[l], d->raw, err);
	return rc;
}

/* One block of samples, encoded. */
static int run_block(struct run *r, int thread, uint64_t block, kith_err *err)
{
	const kith_h0_info *info = &r->network->info;
	desk *d = &r->desks[thread];
	uint32_t most = kith_h0_block_samples(info);
	uint64_t first = block * most, left = info->n - first, edges = 0;
	d->samples.first = first;
	d->samples.count = left < most ? (uint32_t)left : most;
	d->samples.edge_at[0] = 0;
	for (uint32_t s = 0; s < d->samples.count; s++) {
		kith_h0_forest forest;
		int rc = read_sample(r, d, first + s, err);
		if (!rc && (rc = kith_h0_engine_run(r->engine, d->work, d->h, &forest, err))) {
			char where[512];
			snprintf(where, sizeof where, "%.448s: sample %" PRIu64, r->network->path, first + s);
			rc = kith_fail_in(err, rc, where);
		}
		if (rc)
			return rc;
		memcpy(d->samples.edge + edges, forest.id, forest.edges * sizeof *forest.id);
		memcpy(d->samples.phi + edges, forest.phi, forest.edges * sizeof *forest.phi);
		memcpy(d->samples.mark + edges, forest.mark, forest.edges);
		memcpy(d->samples.source + edges, forest.source, forest.edges * sizeof *forest.source);
		memcpy(d->samples.activation + edges, forest.activation, forest.edges * sizeof *forest.activation);
		d->samples.edge_at[s + 1] = edges += forest.edges;
	}
	return kith_h0_writer_encode(r->writer, thread, block, &d->samples, err);
}

static int put_block(struct run *r, int thread, uint64_t block, kith_err *err)
{
	const kith_h0_samples *s = &r->desks[thread].samples;
	uint64_t edges = s->edge_at[s->count];
	r->edges += edges;
	for (uint64_t e = 0; e < edges; e++)
		r->classes += s->mark[e] == KITH_MARK_BIRTH;
	int rc = kith_progress_tick(&r->options->progress, "samples", block * kith_h0_block_samples(&r->network->info),
				    r->network->info.n, err);
	return rc ? rc : kith_h0_writer_put(r->writer, thread, err);
}

static int run_all(struct run *r, kith_err *err)
{
	uint32_t samples = kith_h0_block_samples(&r->network->info);
	uint64_t blocks = (r->network->info.n + samples - 1) / samples;
	kith_first_error failed = {0};
#pragma omp parallel for ordered num_threads(r->threads) schedule(static, 1)
	for (uint64_t block = 0; block < blocks; block++) {
		int thread = omp_get_thread_num(), rc = 0;
		kith_err why;
		if (!kith_first_error_before(&failed, block))
			kith_first_error_note(&failed, block, rc = run_block(r, thread, block, &why), &why);
#pragma omp ordered
		if (!kith_first_error_before(&failed, block + 1))
			kith_first_error_note(&failed, block, rc = put_block(r, thread, block, &why), &why);
	}
	return kith_first_error_get(&failed, err);
}

static void finish(struct run *r)
{
	kith_h0_writer_abort(r->writer);
	for (int t = 0; r->desks && t < r->threads; t++) {
		kith_h0_work_free(r->desks[t].work);
		free(r->desks[t].memory);
	}
	free(r->desks);
	kith_h0_engine_free(r->engine);
	kith_network_free(r->network);
}

/* Everything that is needed before the first sample. */
static int prepare(struct run *r, const char *output, kith_err *err)
{
	const kith_h0_options *o = r->options;
	int rc = kith_network_load(r->network, LEAST_WORK / 4, r->threads, &o->progress, err);
	choose_by_source(r->network); /* the weights are there now */
	if (rc || (rc = kith_h0_engine_create(&r->engine, r->network, r->threads, &o->progress, err)))
		return rc;
	if (!(r->desks = kith_alloc_zero((size_t)r->threads, sizeof *r->desks)))
		return kith_fail_nomem(err, "samples", (size_t)r->threads * sizeof *r->desks);
	for (int t = 0; !rc && t < r->threads; t++)
		rc = make_desk(r, &r->desks[t], err);
	return rc ? rc : kith_h0_writer_create(&r->writer, output, &r->network->info, r->threads, err);
}

int kith_h0_build(const char *input, const char *output, const kith_h0_options *options, kith_h0_summary *summary,
		  kith_err *err)
{
	struct run r = {.options = options};
	int rc = open_network(&r.network, input, output, options, &r.threads, err);
	if (rc || (rc = check_output(r.network, output, err)) || (rc = prepare(&r, output, err)) ||
	    (rc = run_all(&r, err)) || (rc = kith_network_verify(r.network, r.threads, &options->progress, err)))
		goto done;
	rc = kith_h0_writer_finish(r.writer, err);
	r.writer = NULL;
	if (!rc)
		*summary = (kith_h0_summary){r.network->info.n, r.network->info.vertices, r.edges, r.classes};
done:
	finish(&r);
	return rc;
}

/* ---- foreseeing ---- */

void kith_h0_estimate_free(kith_h0_estimate *estimate)
{
	kith_network_free(estimate->network);
	*estimate = (kith_h0_estimate){0};
}

/* Nanoseconds of one thread: for each edge in the first pass, for each unit in what follows. */
#define EDGE_TIME 2.5
#define UNIT_TIME 250.0
#define ROW_TIME  2.0 /* of each edge where --keep looks for the last one */

/* The file, of forests that have about an edge for each unit of a target. */
static double file_bits(const kith_h0_info *info)
{
	double bits = 0;
	for (uint32_t o = 0; o < info->op_count; o++) {
		const kith_op *op = &info->ops[o];
		double each = op->by_source ? info->values ? 17 : 10 : info->values ? 56 : 20;
		bits += each * (double)info->layers[op->to].units;
	}
	return bits * (double)info->n;
}

int kith_h0_foresee(const char *input, const kith_h0_options *options, kith_h0_estimate *out, kith_err *err)
{
	kith_network *n = NULL;
	int threads, rc = open_network(&n, input, NULL, options, &threads, err);
	if (rc)
		return rc;
	double edges = 0, units = (double)n->info.vertices, samples = (double)n->info.n;
	for (uint32_t o = 0; o < n->info.op_count; o++)
		edges += (double)n->info.ops[o].edges;
	double time = edges * (EDGE_TIME + (options->keep < 1 ? 2 * ROW_TIME : 0)) + units * UNIT_TIME;
	*out = (kith_h0_estimate){.info = &n->info,
				  .seconds = 1e-9 * time * samples / threads + 5e-9 * edges,
				  .memory = bytes_of(n, options->memory, threads),
				  .file = (uint64_t)(file_bits(&n->info) / 8),
				  .network = n};
	return 0;
}
