/* update.c - see update.h. A walk over the blocks of the store, some at a time: they are decoded, the fresh layers'
 * pairs are read as far as these blocks reach, both are woven, the pairs are counted (block by block), then the
 * neighbours that fresh layers share with others (sample by sample: shared.h). */
#include "update.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "bit_kernels.h"
#include "shared.h"
#include "to_stack.h"
#include "weave.h"

#define OVERLAP      "nnts"
#define EXTRA_CHUNK  (16ull << 20) /* kith/pairs.h: what the writer takes for an extra: at most 40 MiB */
#define RUN_WORDS    64u           /* of sets whose runs are counted together: they stay in the first cache */
#define RUN_STRIDE   72u           /* no power of two: they would crowd the same lines */
#define BLOCKS_EACH  4u            /* blocks at hand for each thread */
#define READ_AT_ONCE 2u            /* bytes of a block's record for each of its bytes decoded: scratch of a reader */

struct slot {
	kith_pair_planes block, woven;
	uint64_t last;           /* key of its last pair; UINT64_MAX in the last block of all */
	size_t *from, *to;       /* fresh layers' pairs that belong to it */
	kith_shared_edges edges; /* and what these add to shared */
	kith_err err;
	int rc;
};

struct worker {
	kith_pair_store *store;
	uint64_t *sets; /* of pairs, in rows (bit_kernels.h) */
};

struct update {
	const kith_update *given;
	kith_tally_plan plan;
	kith_pair_store *store;
	const kith_pair_info *info; /* the store's */
	uint32_t *source;           /* layer of the store for each of the stack, or KITH_NOT_KEPT */
	uint32_t *wanted, kept;     /* of the store, ascending */
	kith_weave weave;
	uint64_t window;        /* bytes of the fresh layers' largest windows */
	uint64_t spare;         /* bytes for pairs of fresh layers */
	uint32_t threads, most; /* blocks at a time */
	struct worker *workers; /* and tallies: one for each thread */
	kith_tally *tallies;
	struct slot *slots;
	kith_shared shared;
	uint32_t *overlap; /* the store's */
	kith_pair_writer *writer;
	int active_levels; /* of OpenMP, to be restored */
};

/* ---- the extra record ---- */

static uint64_t overlap_count(uint64_t layers, uint32_t levels, const uint32_t *k)
{
	uint64_t count = 0;
	for (uint32_t q = 0; q < levels; q++)
		count += kith_tally_pair_count(layers) * (k[q] + 1ull);
	return count;
}

int kith_update_put_overlap(kith_pair_writer *writer, const kith_tally_plan *p, const uint32_t *overlap, kith_err *err)
{
	return kith_pair_writer_put_extra(writer, OVERLAP, overlap, p->start[p->levels] * sizeof *overlap, err);
}

uint64_t kith_update_put_bytes(const kith_tally_plan *p)
{
	uint64_t bytes = p->start[p->levels] * 4;
	return (bytes < EXTRA_CHUNK ? bytes : EXTRA_CHUNK) / 2 * 5;
}

static int has_overlap(const struct update *u)
{
	for (uint32_t e = 0; e < u->info->extras; e++) {
		uint64_t size;
		if (!strcmp(kith_pair_store_extra(u->store, e, &size), OVERLAP))
			return size == overlap_count(u->info->layer_count, u->info->levels, u->info->k) * 4;
	}
	return 0;
}

/* Every histogram is of n samples. */
static int read_overlap(struct update *u, kith_err *err)
{
	const kith_pair_info *info = u->info;
	uint64_t size, pairs = kith_tally_pair_count(info->layer_count);
	void *bytes = NULL;
	int rc = kith_pair_store_get_extra(u->store, OVERLAP, &bytes, &size, err);
	if (rc)
		return rc;
	const uint32_t *at = u->overlap = bytes;
	for (uint32_t q = 0; q < info->levels; q++)
		for (uint64_t p = 0; p < pairs; p++) {
			uint64_t samples = 0;
			for (uint32_t c = 0; c <= info->k[q]; c++)
				samples += *at++;
			if (samples != info->n)
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: its record %s counts %llu samples instead of %llu",
						 kith_pair_store_path(u->store), OVERLAP, (unsigned long long)samples,
						 (unsigned long long)info->n);
		}
	return 0;
}

/* ---- what can be kept ---- */

/* Level q of the stack in the store, or -1. */
static int level_in_store(const struct update *u, uint32_t q)
{
	for (uint32_t s = 0; s < u->info->levels; s++)
		if (u->info->k[s] == u->plan.k[q])
			return (int)s;
	return -1;
}

/* The exact graph of the same activations is the same graph; of others it is not known. */
static int same_layer(const kith_graph_info *graph, const kith_layer *stored)
{
	return !strcmp(graph->digest, stored->digest) && *graph->digest && !strcmp(graph->metric, stored->metric) &&
	       !strcmp(graph->engine, "exact") && !strcmp(stored->engine, "exact") && !*graph->parameters &&
	       graph->recall == 1 && stored->recall == 1 && graph->d == stored->dim;
}

/* Fills in source, wanted and what is woven. */
static int match_layers(struct update *u, kith_err *err)
{
	uint32_t layers = u->plan.layers, stored = u->info->layer_count;
	kith_weave *w = &u->weave;
	u->source = kith_alloc(layers, sizeof *u->source);
	u->wanted = kith_alloc(stored, sizeof *u->wanted);
	w->kept = kith_alloc(layers, sizeof *w->kept);
	w->fresh = kith_alloc_zero(layers, sizeof *w->fresh);
	if (!u->source || !u->wanted || !w->kept || !w->fresh)
		return kith_fail_nomem(err, "the layers", layers * sizeof *w->fresh);
	for (uint32_t v = 0; v < layers; v++) {
		const kith_graph_info *info = kith_graph_get_info(u->given->layers[v].graph);
		u->source[v] = w->kept[v] = KITH_NOT_KEPT;
		for (uint32_t s = 0; s < stored && u->source[v] == KITH_NOT_KEPT; s++)
			if (same_layer(info, &u->info->layers[s]))
				u->source[v] = s;
		if (u->source[v] == KITH_NOT_KEPT)
			w->fresh[w->fresh_count++] = (kith_fresh){.graph = u->given->layers[v].graph,
								  .level = u->given->layers[v].level,
								  .levels = u->plan.levels,
								  .layer = v};
	}
	for (uint32_t s = 0; s < stored; s++) {
		int used = 0;
		for (uint32_t v = 0; v < layers; v++)
			if (u->source[v] == s) {
				w->kept[v] = u->kept;
				used = 1;
			}
		if (used)
			u->wanted[u->kept++] = s;
	}
	return 0;
}

/* Measured, a layer read beside the store costs as much as three or four of a merge from scratch, and a layer from the
 * store a fifth of one; a new store costs the same either way. */
static uint32_t fresh_that_pay(const struct update *u)
{
	uint32_t most = u->plan.layers * (u->given->pairs ? 2 : 1) / 5;
	return u->given->options->fresh ? u->given->options->fresh : most ? most : 1;
}

/* Why nothing can be kept, or NULL. */
static const char *choose_layers(struct update *u, int *rc, kith_err *err)
{
	kith_weave *w = &u->weave;
	*rc = 0;
	if (u->info->n != u->plan.n)
		return "it has other samples";
	if (!has_overlap(u))
		return "it has no counts of neighbours: kith-merge did not write it";
	w->layers = u->plan.layers;
	w->levels = u->plan.levels;
	w->with_ids = u->given->pairs != NULL;
	for (uint32_t q = 0; q < w->levels; q++) {
		int s = level_in_store(u, q);
		if (s < 0)
			return "it lacks a k";
		w->level[q] = (uint32_t)s;
	}
	if ((*rc = match_layers(u, err)))
		return NULL;
	/* where pairs are only counted, those that are nowhere do not matter */
	w->some_go = w->with_ids && (u->kept < u->info->layer_count || w->level[w->levels - 1] + 1 < u->info->levels);
	if (!u->kept)
		return "it holds none of these layers";
	if (w->fresh_count > fresh_that_pay(u))
		return "too many layers are new";
	return NULL;
}

/* ---- memory ---- */

/* A slot's block and what is woven of it, where fresh layers bring no pairs. */
static uint64_t slot_bytes(const struct update *u)
{
	uint64_t pairs = u->info->block_pairs < u->info->pairs ? u->info->block_pairs : u->info->pairs;
	uint64_t planes = 2ull * u->info->levels * u->kept;
	return (pairs + 512) * planes / 8 + 8 * pairs + kith_weave_bytes(&u->weave, pairs, 0);
}

static uint64_t worker_bytes(const struct update *u)
{
	uint64_t pairs = u->info->block_pairs < u->info->pairs ? u->info->block_pairs : u->info->pairs;
	return kith_tally_bytes(&u->plan) + u->plan.layers * 8ull * RUN_STRIDE +
	       READ_AT_ONCE * pairs * (8 + u->info->levels * u->info->layer_count / 4);
}

/* Fewer blocks at a time, and then fewer threads, rather than more than -m. Returns 0 if one of each is still more. */
static int fit(struct update *u)
{
	uint64_t memory = u->given->options->memory, fixed = u->window;
	u->plan.slots = 64 * RUN_WORDS;
	u->plan.hashed = 0;
	u->threads = u->given->threads;
	fixed += kith_shared_bytes(&u->plan, u->weave.fresh_count);
	fixed += 4 * overlap_count(u->info->layer_count, u->info->levels, u->info->k);
	if (u->given->pairs)
		fixed += kith_update_put_bytes(&u->plan);
	for (uint32_t f = 0; f < u->weave.fresh_count; f++)
		fixed += kith_graph_reader_bytes(u->weave.fresh[f].graph);
	for (; u->threads; u->threads--)
		for (u->most = BLOCKS_EACH * u->threads; u->most >= u->threads; u->most--) {
			uint64_t need = fixed + u->threads * worker_bytes(u) + u->most * slot_bytes(u);
			if (u->given->pairs)
				need += kith_pair_writer_bytes(u->given->pairs, u->threads);
			if (need <= memory) {
				u->spare = memory - need;
				return 1;
			}
		}
	return 0;
}

static int find_windows(struct update *u, kith_err *err)
{
	for (uint32_t f = 0; f < u->weave.fresh_count; f++) {
		uint64_t bytes;
		int rc = kith_fresh_window(&u->weave.fresh[f], &bytes, err);
		if (rc)
			return rc;
		u->window += bytes;
	}
	return 0;
}

static int prepare(struct update *u, kith_err *err)
{
	const kith_tally_plan *p = &u->plan;
	uint32_t fresh = u->weave.fresh_count;
	u->workers = kith_alloc_zero(u->threads, sizeof *u->workers);
	u->tallies = kith_alloc_zero(u->threads, sizeof *u->tallies);
	u->slots = kith_alloc_zero(u->most, sizeof *u->slots);
	if (!u->workers || !u->tallies || !u->slots)
		return kith_fail_nomem(err, "blocks at hand", u->most * sizeof *u->slots);
	int rc = kith_shared_init(&u->shared, p, &u->weave, u->threads, err);
	if (rc)
		return rc;
	for (uint32_t t = 0; t < u->threads; t++) {
		struct worker *w = &u->workers[t];
		if ((rc = kith_tally_init(&u->tallies[t], p, err)) ||
		    (rc = kith_pair_store_open(&w->store, kith_pair_store_path(u->store), err)))
			return rc;
		if (!(w->sets = kith_alloc((size_t)p->layers * RUN_STRIDE, sizeof *w->sets)))
			return kith_fail_nomem(err, "sets of pairs", p->layers * 8ull * RUN_STRIDE);
	}
	for (uint32_t s = 0; s < u->most; s++) {
		u->slots[s].from = kith_alloc_zero(fresh, sizeof(size_t));
		u->slots[s].to = kith_alloc_zero(fresh, sizeof(size_t));
		if (!u->slots[s].from || !u->slots[s].to)
			return kith_fail_nomem(err, "ranges of pairs", fresh * sizeof(size_t));
		if ((rc = kith_shared_edges_init(&u->slots[s].edges, u->threads, err)))
			return rc;
	}
	return read_overlap(u, err);
}

/* ---- one block ---- */

static void decode(struct update *u, struct slot *s, uint64_t block)
{
	struct worker *w = &u->workers[omp_get_thread_num()];
	s->rc = kith_pair_store_read_planes(w->store, block, u->kept, u->wanted, &s->block, &s->err);
	if (s->rc)
		return;
	s->last = block + 1 == kith_pair_info_blocks(u->info)
			  ? UINT64_MAX
			  : kith_pair_key(s->block.i[s->block.count - 1], s->block.j[s->block.count - 1]);
	s->rc = kith_weave_drop(&u->weave, &s->block, &s->err);
}

static void count_pairs(struct update *u, const kith_pair_planes *b)
{
	uint64_t *sets = u->workers[omp_get_thread_num()].sets;
	kith_tally *t = &u->tallies[omp_get_thread_num()];
	const kith_tally_plan *p = &u->plan;
	uint32_t words = (b->count + 63) / 64, layers = p->layers, take;
	for (uint32_t w = 0; w < words; w += take) {
		take = words - w < RUN_WORDS ? words - w : RUN_WORDS;
		for (uint32_t q = 0; q < p->levels; q++) {
			const uint64_t *there = kith_pair_plane(b, 0, q, 0) + w,
				       *back = kith_pair_plane(b, 0, q, 1) + w;
			kith_bits_count_rows(there, take, b->stride, layers, t->edges + q * layers);
			kith_bits_count_rows(back, take, b->stride, layers, t->edges + q * layers);
			for (int g = 0; g < 2; g++) {
				if (!p->counts[g])
					continue;
				for (uint32_t v = 0; v < layers; v++)
					kith_pair_planes_join(b, v, q, g == KITH_MUTUAL, w, take,
							      sets + v * RUN_STRIDE);
				kith_bits_count_rows(sets, take, RUN_STRIDE, layers, t->pairs[g] + q * layers);
				kith_tally_runs(t, g, q, sets, take, RUN_STRIDE);
			}
		}
	}
}

/* ---- the walk ---- */

static void count_block(struct update *u, struct slot *s)
{
	s->rc = kith_weave_block(&u->weave, &s->block, s->from, s->to, &s->woven, &s->err);
	if (s->rc)
		return;
	count_pairs(u, &s->woven);
	s->rc = kith_shared_note(&u->shared, &s->woven, s->from, s->to, &s->edges, &s->err);
}

static int append(struct update *u, uint32_t count, kith_err *err)
{
	int rc = 0;
	for (uint32_t s = 0; !rc && s < count; s++) {
		const kith_pair_planes *b = &u->slots[s].woven;
		rc = kith_pair_writer_append_planes(u->writer, b->count, b->i, b->j, b->bits, b->stride, err);
	}
	return rc;
}

static int first_error(const struct update *u, uint32_t count, kith_err *err)
{
	for (uint32_t s = 0; s < count; s++)
		if (u->slots[s].rc)
			return kith_fail(err, (kith_status)u->slots[s].rc, "%s", u->slots[s].err.msg);
	return 0;
}

/* A guess how many nodes `done` of `blocks` blocks reach: a sample that is i-th of n has about n - i pairs with later
 * ones where it has i with earlier ones. */
static uint64_t reach(const struct update *u, uint64_t done, uint64_t blocks)
{
	return (uint64_t)((double)u->plan.n * (1 - sqrt(1 - (double)done / (double)blocks)));
}

/* Decodes the next blocks; meanwhile the fresh layers are read about as far as these may reach, and the `before` blocks
 * before are written. */
static int decode_blocks(struct update *u, uint64_t first, uint32_t count, uint32_t before, kith_err *err)
{
	uint32_t fresh = u->weave.fresh_count;
	uint64_t nodes = reach(u, first + count, kith_pair_info_blocks(u->info));
	int rc = 0;
#pragma omp parallel for num_threads(u->threads) schedule(dynamic, 1)
	for (uint32_t x = 0; x < 1 + fresh + count; x++)
		if (x > fresh)
			decode(u, &u->slots[x - fresh - 1], first + x - fresh - 1);
		else if (x)
			u->weave.fresh[x - 1].rc =
				kith_fresh_load(&u->weave.fresh[x - 1], nodes, &u->weave.fresh[x - 1].err);
		else if (u->writer)
			rc = append(u, before, err);
	for (uint32_t f = 0; !rc && f < fresh; f++)
		if (u->weave.fresh[f].rc)
			rc = kith_fail(err, (kith_status)u->weave.fresh[f].rc, "%s", u->weave.fresh[f].err.msg);
	return rc ? rc : first_error(u, count, err);
}

/* Reads the fresh layers as far as the blocks reach, and finds which pairs belong to which block. *enough is 0 if that
 * is more than there is memory for. */
static int load_fresh(struct update *u, uint32_t count, int *enough, kith_err *err)
{
	kith_weave *w = &u->weave;
	uint64_t held = 0, last = u->slots[count - 1].last;
	uint64_t nodes = last == UINT64_MAX ? u->plan.n : (last >> 32) + 1;
	for (uint32_t f = 0; f < w->fresh_count; f++) {
		int rc = kith_fresh_load(&w->fresh[f], nodes, err);
		if (rc)
			return rc;
		held += kith_fresh_bytes(&w->fresh[f]) +
			(w->fresh[f].count - w->fresh[f].first) *
				(kith_weave_bytes(w, 1000, 0) / 1000 + kith_shared_pair_bytes(&u->plan));
		size_t from = w->fresh[f].first;
		for (uint32_t s = 0; s < count; s++) {
			u->slots[s].from[f] = from;
			from = u->slots[s].to[f] = kith_fresh_until(&w->fresh[f], u->slots[s].last);
		}
	}
	*enough = held <= u->spare + u->window;
	return 0;
}

static void drop_fresh(struct update *u, uint32_t count)
{
	for (uint32_t f = 0; f < u->weave.fresh_count; f++)
		kith_fresh_drop(&u->weave.fresh[f], u->slots[count - 1].to[f]);
}

/* *enough is 0 if memory was short: then nothing has come of it. */
static int walk(struct update *u, int *enough, kith_err *err)
{
	uint64_t blocks = kith_pair_info_blocks(u->info);
	uint32_t count = 0, before = 0;
	for (uint64_t first = 0; first < blocks; first += count, before = count) {
		count = blocks - first < u->most ? (uint32_t)(blocks - first) : u->most;
		int rc = kith_progress_tick(&u->given->options->progress, "merging", first, blocks, err);
		if (rc || (rc = decode_blocks(u, first, count, before, err)) ||
		    (rc = load_fresh(u, count, enough, err)) || !*enough)
			return rc;
#pragma omp parallel num_threads(u->threads)
		{
#pragma omp for schedule(dynamic, 1)
			for (uint32_t s = 0; s < count; s++)
				count_block(u, &u->slots[s]);
#pragma omp for schedule(static, 1)
			for (uint32_t owner = 0; owner < u->threads; owner++)
				for (uint32_t s = 0; s < count; s++)
					if (!u->slots[s].rc)
						kith_shared_add(&u->shared, &u->slots[s].edges, owner);
		}
		if ((rc = first_error(u, count, err)))
			return rc;
		drop_fresh(u, count);
	}
	return u->writer ? append(u, count, err) : 0;
}

/* ---- the counts ---- */

/* Of two kept layers, what the store says; of one twice, that all is shared. */
static void add_kept(const struct update *u, uint32_t *overlap)
{
	const kith_tally_plan *p = &u->plan;
	uint64_t stored = u->info->layer_count, at_store = 0;
	for (uint32_t s = 0, q = 0; q < p->levels; s++) {
		uint64_t bins = u->info->k[s] + 1ull;
		if (s == u->weave.level[q]) {
			for (uint32_t a = 0; a < p->layers; a++)
				for (uint32_t b = a + 1; b < p->layers; b++) {
					uint32_t *to =
						overlap + p->start[q] + kith_tally_pair_of(p->layers, a, b) * bins;
					uint32_t x = u->source[a], y = u->source[b];
					if (x == KITH_NOT_KEPT || y == KITH_NOT_KEPT)
						continue;
					if (x == y)
						to[p->k[q]] = (uint32_t)p->n;
					else
						memcpy(to,
						       u->overlap + at_store + kith_tally_pair_of(stored, x, y) * bins,
						       bins * sizeof *to);
				}
			q++;
		}
		at_store += kith_tally_pair_count(stored) * bins;
	}
}

/* Every layer has n k directed edges, for each k. */
static int check_edges(const struct update *u, kith_err *err)
{
	const kith_tally_plan *p = &u->plan;
	for (uint32_t q = 0; q < p->levels; q++)
		for (uint32_t v = 0; v < p->layers; v++) {
			uint64_t edges = 0;
			for (uint32_t t = 0; t < u->threads; t++)
				edges += u->tallies[t].edges[q * p->layers + v];
			if (edges != p->n * p->k[q])
				return kith_fail(
					err, KITH_ECORRUPT, "%s: layer %u has %llu edges at k=%u instead of n k = %llu",
					u->source[v] == KITH_NOT_KEPT ? kith_graph_path(u->given->layers[v].graph)
								      : kith_pair_store_path(u->store),
					u->source[v] == KITH_NOT_KEPT ? v : u->source[v], (unsigned long long)edges,
					p->k[q], (unsigned long long)(p->n * p->k[q]));
		}
	return 0;
}

static void add_up(struct update *u)
{
	kith_tally *sum = u->tallies;
	for (uint32_t t = 0; t < u->threads; t++)
		kith_tally_finish(&u->tallies[t]);
	for (uint32_t t = 1; t < u->threads; t++)
		kith_tally_add(sum, &u->tallies[t]);
	add_kept(u, sum->overlap);
}

/* ---- all of it ---- */

static int run(struct update *u, kith_stack *stack, int *enough, kith_err *err)
{
	int rc = prepare(u, err);
	if (rc || (u->given->pairs &&
		   (rc = kith_pair_writer_create(&u->writer, u->given->options->pairs, u->given->pairs, err))))
		return rc;
	if (u->writer)
		kith_pair_writer_set_threads(u->writer, u->threads);
	/* blocks are encoded side by side by a thread that works beside others */
	u->active_levels = omp_get_max_active_levels();
	omp_set_max_active_levels(2);
	if ((rc = walk(u, enough, err)) || !*enough || (rc = check_edges(u, err)) ||
	    (rc = kith_shared_count(&u->shared, u->tallies, err)))
		return rc;
	add_up(u);
	kith_result_fill(stack, u->tallies, u->threads);
	if ((rc = kith_stack_check(stack, err)) || !u->writer)
		return rc;
	if (!(rc = kith_update_put_overlap(u->writer, &u->plan, u->tallies[0].overlap, err))) {
		rc = kith_pair_writer_finish(u->writer, err);
		u->writer = NULL;
	}
	return rc;
}

static void release(struct update *u)
{
	kith_pair_writer_abort(u->writer);
	if (u->active_levels)
		omp_set_max_active_levels(u->active_levels);
	for (uint32_t t = 0; u->tallies && t < u->threads; t++)
		kith_tally_free(&u->tallies[t]);
	for (uint32_t t = 0; u->workers && t < u->threads; t++) {
		kith_pair_store_close(u->workers[t].store);
		free(u->workers[t].sets);
	}
	for (uint32_t s = 0; u->slots && s < u->most; s++) {
		kith_pair_planes_free(&u->slots[s].block);
		kith_pair_planes_free(&u->slots[s].woven);
		kith_shared_edges_free(&u->slots[s].edges);
		free(u->slots[s].from);
		free(u->slots[s].to);
	}
	for (uint32_t f = 0; f < u->weave.fresh_count; f++)
		kith_fresh_free(&u->weave.fresh[f]);
	kith_shared_free(&u->shared);
	free(u->workers);
	free(u->tallies);
	free(u->slots);
	free(u->overlap);
	free(u->source);
	free(u->wanted);
	free(u->weave.kept);
	free(u->weave.fresh);
	kith_pair_store_close(u->store);
}

int kith_update_merge(const kith_update *given, kith_stack *stack, kith_merge_origin *origin, kith_err *err)
{
	struct update u = {.given = given, .plan = *given->plan};
	const char *path = given->options->from;
	kith_err why = {0};
	int enough = 1, rc;

	*origin = (kith_merge_origin){.why = "there is no such file"};
	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	rc = kith_pair_store_open(&u.store, path, &why);
	origin->why = "an older version of kith wrote it";
	if (rc == KITH_EVERSION)
		return 0;
	if (rc)
		goto done;
	u.info = kith_pair_store_get_info(u.store);
	origin->why = choose_layers(&u, &rc, &why);
	if (rc || origin->why || (rc = find_windows(&u, &why)))
		goto done;
	origin->why = "-m is too small for it";
	if (!fit(&u) || (rc = run(&u, stack, &enough, &why)) || !enough)
		goto done;
	*origin = (kith_merge_origin){.kept = u.plan.layers - u.weave.fresh_count};
done:
	if (rc == KITH_ECORRUPT && !strncmp(why.msg, path, strlen(path)))
		kith_fail(err, rc, "%s (--from: remove it to merge from scratch)", why.msg);
	else if (rc == KITH_EUSAGE && !u.store)
		kith_fail(err, rc, "%s (leave --from out to merge from scratch)", why.msg);
	else if (rc)
		kith_fail(err, rc, "%s", why.msg);
	release(&u);
	return rc;
}
