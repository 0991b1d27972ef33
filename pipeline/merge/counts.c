/* counts.c - see counts.h */
#include "counts.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "count_parts.h"
#include "cpu.h"

#define LEAST     256u        /* slots */
#define SPARE     16u         /* times the usual: some samples are many others' neighbour */
#define MAX_BITS  (64u << 20) /* of all sets together */
#define SLOT_BITS 2560u       /* to find an id's slot costs as much as to look at so many bits of two layers */

void kith_tally_choose_slots(kith_tally_plan *p, uint64_t usual, uint32_t forced)
{
	uint64_t most = MAX_BITS / (3ull * kith_tally_lanes(p)), room = SPARE * usual, slots, few;
	slots = room < p->n ? room : p->n;
	slots = slots < most ? slots : most;
	slots = forced ? forced : slots > LEAST ? slots : LEAST;
	p->slots = (uint32_t)((slots + 63) / 64 * 64);

	most = kith_few_most(p);
	few = p->n * kith_tally_square(p) * p->levels / SLOT_BITS;
	few = few < room ? few : room;
	few = forced ? p->slots : few;
	p->hashed = (uint32_t)(few < most ? few : most);
}

static uint64_t sets_count(const kith_tally_plan *p)
{
	return (uint64_t)p->levels * p->layers;
}

uint64_t kith_tally_bytes(const kith_tally_plan *p)
{
	uint64_t graphs = (uint64_t)(p->counts[KITH_UNION] + p->counts[KITH_MUTUAL]);
	return kith_few_bytes(p) + kith_many_bytes(p) + kith_runs_bytes(p) + p->start[p->levels] * 4 +
	       8 * ((graphs + 1) * sets_count(p) + kith_tally_lanes(p));
}

int kith_tally_init(kith_tally *t, const kith_tally_plan *p, kith_err *err)
{
	int missing = 0;
	*t = (kith_tally){.plan = p};
	missing |= !(t->overlap = kith_alloc_zero(p->start[p->levels], sizeof *t->overlap));
	missing |= !(t->edges = kith_alloc_zero(sets_count(p), sizeof *t->edges));
	missing |= !(t->counts = kith_alloc_zero(kith_tally_lanes(p), sizeof *t->counts));
	for (int g = 0; g < 2; g++)
		if (p->counts[g])
			missing |= !(t->pairs[g] = kith_alloc_zero(sets_count(p), sizeof *t->pairs[g]));
	missing |= kith_runs_init(&t->runs, p);
	missing |= kith_few_init(&t->few, p);
	missing |= kith_many_init(&t->many, p);
	return missing ? kith_fail_nomem(err, "the counts", kith_tally_bytes(p)) : 0;
}

void kith_tally_free(kith_tally *t)
{
	free(t->overlap);
	free(t->edges);
	free(t->counts);
	free(t->pairs[0]);
	free(t->pairs[1]);
	kith_runs_free(&t->runs);
	kith_few_free(&t->few);
	kith_many_free(&t->many);
	*t = (kith_tally){0};
}

void kith_tally_add_counts(kith_tally *t, uint64_t *to)
{
	for (uint32_t v = 0; v < t->plan->layers; v++)
		to[v] += t->counts[v];
	memset(t->counts, 0, kith_tally_lanes(t->plan) * sizeof *t->counts);
}

/* Adds to ids[] how many each of `nodes` samples has in the sources of one level, from the *at-th on; if they come as
 * bits, UINT32_MAX. */
KITH_CLONES static void add_ids(const kith_tally_source *sources, size_t count, uint32_t level, size_t *at,
				uint64_t first, uint32_t nodes, uint64_t *ids)
{
	for (; *at < count && sources[*at].level <= level; ++*at) {
		const kith_sets *sets = sources[*at].sets;
		for (uint32_t x = 0; sets->dense && x < nodes; x++)
			ids[x] += UINT32_MAX;
		if (sets->dense)
			continue;
		const uint64_t *offset = sets->offset + (first - sets->first);
		for (uint32_t x = 0; x < nodes; x++)
			ids[x] += offset[x + 1] - offset[x];
	}
}

/* Finds out how many levels of each sample have few ids, and how many they are. */
static void choose_levels(const kith_tally_plan *p, const kith_tally_source *sources, size_t count, uint64_t first,
			  uint32_t nodes, uint32_t *levels, uint32_t *few)
{
	uint64_t ids[KITH_TALLY_TOGETHER] = {0};
	size_t r = 0, v = count;
	memset(levels, 0, nodes * sizeof *levels);
	memset(few, 0, nodes * sizeof *few);
	for (uint32_t q = 0; q < p->levels; q++) {
		add_ids(sources, count, q, &r, first, nodes, ids);
		add_ids(sources, 2 * count, q, &v, first, nodes, ids);
		for (uint32_t x = 0; x < nodes; x++)
			if (ids[x] <= p->hashed) {
				levels[x] = q + 1;
				few[x] = (uint32_t)ids[x];
			}
	}
}

int kith_tally_nodes(kith_tally *t, const kith_tally_source *sources, size_t count, uint64_t first, uint64_t nodes,
		     uint64_t *bad)
{
	const kith_tally_plan *p = t->plan;
	uint32_t levels[KITH_TALLY_TOGETHER], ids[KITH_TALLY_TOGETHER], here;
	for (uint64_t i = 0; i < nodes; i += here) {
		uint64_t all = 0;
		uint32_t together = nodes - i < KITH_TALLY_TOGETHER ? (uint32_t)(nodes - i) : KITH_TALLY_TOGETHER;
		choose_levels(p, sources, count, first + i, together, levels, ids);
		for (here = 0; here < together && levels[here] == levels[0]; here++)
			if ((all += ids[here] + KITH_SETS_SPARE) > kith_few_room(p))
				break;
		if (levels[0])
			kith_few_take(t, sources, count, first + i, here, levels[0], ids);
		for (uint32_t x = 0; x < here; x++) {
			int layer = levels[0] ? kith_few_node(t, first + i + x, x, levels[0]) : -1;
			if (layer < 0 && levels[0] < p->levels)
				layer = kith_many_node(t, first + i + x, levels[0], sources, count);
			if (layer >= 0) {
				*bad = first + i + x;
				return layer;
			}
		}
	}
	return -1;
}

void kith_tally_finish(kith_tally *t)
{
	kith_few_finish(t);
	kith_runs_finish(t);
}

void kith_tally_add(kith_tally *into, const kith_tally *from)
{
	const kith_tally_plan *p = into->plan;
	for (uint64_t i = 0; i < p->start[p->levels]; i++)
		into->overlap[i] += from->overlap[i];
	for (uint64_t i = 0; i < sets_count(p); i++)
		into->edges[i] += from->edges[i];
	for (int g = 0; g < 2; g++)
		for (uint64_t i = 0; p->counts[g] && i < sets_count(p); i++)
			into->pairs[g][i] += from->pairs[g][i];
	kith_runs_add(&into->runs, &from->runs, p);
}
