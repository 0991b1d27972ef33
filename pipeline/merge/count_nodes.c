/* count_nodes.c - see count_nodes.h */
#include "count_nodes.h"

#include <stdlib.h>
#include <string.h>

#include "cpu.h"

#define LEAST_SLOTS 256u
#define SPARE       16u         /* times the usual ids: some samples are neighbours of many */
#define MAX_BITS    (64u << 20) /* of all sets of the dense accumulator together */
#define ID_BITS     2560u       /* the bits of two layers that can be compared while one id is hashed */

void kith_counter_choose_sizes(kith_count_plan *p, uint64_t usual, int with_pairs, uint32_t forced)
{
	uint64_t most = MAX_BITS / (3ull * kith_plan_lanes(p)), room = SPARE * usual, slots, ids;
	slots = room < p->n ? room : p->n;
	slots = slots < most ? slots : most;
	slots = forced ? forced : slots > LEAST_SLOTS ? slots : LEAST_SLOTS;
	p->dense_slots = (uint32_t)((slots + 63) / 64 * 64);

	most = kith_count_sparse_most(p);
	ids = p->n * kith_plan_square(p) * p->tiers / ID_BITS;
	ids = ids < room ? ids : room;
	ids = forced ? p->dense_slots : ids;
	p->sparse_ids = (uint32_t)(ids < most ? ids : most);

	p->pair_room = !with_pairs ? 0 : forced ? p->dense_slots : kith_pair_batch_room(p);
	if (with_pairs && p->dense_slots > p->pair_room)
		p->dense_slots = p->pair_room;
}

static void list_buffers(kith_workspace *w, kith_counter *c, const kith_count_plan *p)
{
	kith_counts_list(w, &c->counts, p);
	kith_count_sparse_list(w, &c->sparse, p);
	kith_count_dense_list(w, &c->dense, p);
	kith_pair_batch_list(w, &c->pairs, p);
}

uint64_t kith_counter_bytes(const kith_count_plan *p)
{
	kith_workspace w = {0};
	kith_counter c;
	list_buffers(&w, &c, p);
	return kith_workspace_bytes(&w);
}

int kith_counter_init(kith_counter *c, const kith_count_plan *p, kith_err *err)
{
	kith_workspace w = {0};
	list_buffers(&w, c, p);
	return kith_workspace_alloc(&w, &c->memory, "the counts", err);
}

void kith_counter_free(kith_counter *c)
{
	free(c->memory);
	*c = (kith_counter){0};
}

/* Adds to ids[] the ids that each of `nodes` samples has in a source; UINT32_MAX where they come as bits. */
KITH_CLONES static void add_ids(const kith_count_source *source, uint64_t first, uint32_t nodes, uint64_t *ids)
{
	const kith_sets *sets = source->sets;
	const uint64_t *offset = sets->dense ? NULL : sets->offset + (first - sets->first);
	for (uint32_t x = 0; x < nodes; x++)
		ids[x] += offset ? offset[x + 1] - offset[x] : UINT32_MAX;
}

/* How many tiers of each sample are sparse, and the ids in these. Where pairs are collected, which takes all tiers of a
 * sample, all are sparse or none. */
static void choose_tiers(const kith_count_plan *p, const kith_count_sources *sources, uint64_t first, uint32_t nodes,
			 uint32_t *tiers, uint32_t *sparse_ids)
{
	uint64_t ids[KITH_SPARSE_SAMPLES] = {0};
	size_t i = 0;
	memset(tiers, 0, nodes * sizeof *tiers);
	memset(sparse_ids, 0, nodes * sizeof *sparse_ids);
	for (uint32_t q = 0; q < p->tiers; q++) {
		for (; i < sources->count && sources->source[i].tier <= q; i++) {
			add_ids(&sources->source[i], first, nodes, ids);
			add_ids(&sources->source[sources->count + i], first, nodes, ids);
		}
		for (uint32_t x = 0; x < nodes; x++)
			if (ids[x] <= p->sparse_ids) {
				tiers[x] = q + 1;
				sparse_ids[x] = (uint32_t)ids[x];
			}
	}
	for (uint32_t x = 0; p->pair_room && x < nodes; x++)
		if (tiers[x] < p->tiers)
			tiers[x] = sparse_ids[x] = 0;
}

/* The samples, from the first on, that are sparse in as many tiers as the first and whose ids can be collected
 * together. At least one. */
static uint32_t choose_samples(const kith_count_plan *p, const uint32_t *tiers, const uint32_t *ids, uint32_t nodes)
{
	uint64_t all = ids[0] + KITH_SETS_SPARE;
	uint32_t count = 1;
	while (count < nodes && tiers[count] == tiers[0] &&
	       (all += ids[count] + KITH_SETS_SPARE) <= kith_count_sparse_room(p))
		count++;
	return count;
}

int kith_counter_run(kith_counter *c, const kith_count_sources *sources, uint64_t first, uint64_t nodes, kith_err *err)
{
	const kith_count_plan *p = c->counts.plan;
	uint32_t tiers[KITH_SPARSE_SAMPLES], ids[KITH_SPARSE_SAMPLES];
	for (uint64_t node = first, end = first + nodes; node < end;) {
		uint32_t here = end - node < KITH_SPARSE_SAMPLES ? (uint32_t)(end - node) : KITH_SPARSE_SAMPLES;
		choose_tiers(p, sources, node, here, tiers, ids);
		here = choose_samples(p, tiers, ids, here);
		if (tiers[0])
			kith_count_sparse_collect(&c->sparse, p, sources, node, here, tiers[0], ids);
		for (uint32_t x = 0; x < here; x++, node++) {
			int layer = -1;
			if (tiers[0])
				layer = kith_count_sparse_node(&c->counts, &c->sparse, &c->pairs, node, x, tiers[0]);
			if (layer < 0 && tiers[0] < p->tiers)
				layer = kith_count_dense_node(&c->counts, &c->dense, &c->pairs, node, tiers[0],
							      sources);
			if (layer >= 0)
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: row %llu is not %u distinct neighbours: build it again",
						 p->paths[layer], (unsigned long long)node, p->k[p->tiers - 1]);
		}
	}
	return 0;
}

void kith_counter_finish(kith_counter *c)
{
	kith_count_sparse_finish(&c->counts, &c->sparse);
	kith_runs_finish(&c->counts.runs);
}
