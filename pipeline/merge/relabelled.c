/* relabelled.c - see relabelled.h. Sets of a few of many samples hardly meet once their names are shuffled: of one
 * node's rows in all layers, those ids are looked at whose last bits another had before. Where rows are long, they are
 * bits, and what two share is counted. */
#include "relabelled.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"

#define IDS        (1u << 20) /* relabelled at a time: so that a permutation is not fetched too often */
#define LEAST_BITS 13u        /* last bits of an id that `last` tells apart: 16 KiB fit the first cache */
#define ROOMY      16u        /* and so many times as many as there are ids of one node */
#define FEW        8192u      /* ids of a node, up to which their places are 16 bits */
#define DENSE      64u        /* rows of more than a 64th of all samples are counted as bits */
#define AHEAD      32u        /* ids that are fetched before they are needed, about */
#define LINE       64u        /* bytes that are fetched together */

static uint32_t row_length(const kith_count_plan *p)
{
	return p->k[p->tiers - 1];
}

static uint64_t ids_of_node(const kith_count_plan *p)
{
	return (uint64_t)p->layers * row_length(p);
}

static uint32_t nodes_at_once(const kith_count_plan *p)
{
	uint64_t nodes = IDS / ids_of_node(p) + 1;
	return nodes < p->n ? (uint32_t)nodes : (uint32_t)p->n;
}

static int is_dense(const kith_count_plan *p)
{
	return (uint64_t)row_length(p) * DENSE > p->n;
}

/* Whether places of a node's ids are 16 bits, which keeps the table of them in the caches. */
static int has_few(const kith_count_plan *p)
{
	return ids_of_node(p) <= FEW;
}

/* Last bits of an id that are looked at; of so many, equal ones are mostly of equal ids. */
static uint32_t last_bits(const kith_count_plan *p)
{
	uint32_t bits = LEAST_BITS;
	while (bits < 31 && 1ull << bits < p->n && 1ull << bits < ROOMY * ids_of_node(p))
		bits++;
	return bits;
}

static uint64_t set_stride(const kith_count_plan *p)
{
	return (p->n + 63) / 64 | 8;
}

static void list_buffers(kith_workspace *w, kith_relabelled *r, const kith_count_plan *p)
{
	uint64_t pairs = kith_layer_pairs(p->layers), names = p->n * p->layers;
	uint64_t sparse = !is_dense(p), table = sparse << last_bits(p);
	KITH_BUFFER(w, r->overlap, p->start[p->tiers]);
	KITH_BUFFER(w, r->new_name, names * kith_relabelled_id_size(p->n));
	KITH_BUFFER(w, r->old_name, names);
	KITH_BUFFER(w, r->ids, nodes_at_once(p) * ids_of_node(p) * kith_relabelled_id_size(p->n));
	KITH_BUFFER(w, r->tier_of, row_length(p));
	KITH_BUFFER_ZERO(w, r->last, table * (has_few(p) ? sizeof(uint16_t) : sizeof(uint32_t)));
	KITH_BUFFER(w, r->before, sparse * ids_of_node(p));
	KITH_BUFFER(w, r->hit, sparse * (ids_of_node(p) + 1));
	KITH_BUFFER_ZERO(w, r->common, p->tiers * pairs);
	KITH_BUFFER(w, r->touched, sparse * (pairs + 1));
	KITH_BUFFER(w, r->bits, sparse ? 0 : set_stride(p) * p->layers);
}

uint64_t kith_relabelled_bytes(const kith_count_plan *p)
{
	kith_workspace w = {0};
	kith_relabelled r;
	list_buffers(&w, &r, p);
	return kith_workspace_bytes(&w);
}

int kith_relabelled_init(kith_relabelled *r, const kith_relabelled_rows *from, kith_err *err)
{
	kith_workspace w = {0};
	const kith_count_plan *p = from->plan;
	int rc;
	*r = (kith_relabelled){.from = from, .kernels = kith_bit_kernels_get(), .first_place = 1};
	list_buffers(&w, r, p);
	if ((rc = kith_workspace_alloc(&w, &r->memory, "relabelled graphs", err)))
		return rc;
	for (uint32_t q = p->tiers; q-- > 0;)
		memset(r->tier_of, (int)q, p->k[q]);
	return 0;
}

void kith_relabelled_free(kith_relabelled *r)
{
	free(r->memory);
	*r = (kith_relabelled){0};
}

/* ---- ids of either size -------------------------------------------------------------------------------------- */

/* In functions that are inlined, whether ids are narrow is a constant. */
#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t get_id(const void *ids, uint64_t i, int narrow)
{
	return narrow ? ((const uint16_t *)ids)[i] : ((const uint32_t *)ids)[i];
}

INLINE void put_id(void *ids, uint64_t i, uint32_t id, int narrow)
{
	if (narrow)
		((uint16_t *)ids)[i] = (uint16_t)id;
	else
		((uint32_t *)ids)[i] = id;
}

static int is_narrow(const kith_count_plan *p)
{
	return kith_relabelled_id_size(p->n) == sizeof(uint16_t);
}

/* ---- names --------------------------------------------------------------------------------------------------- */

static void shuffle(uint64_t seed, uint32_t relabelling, uint32_t number, uint32_t n, uint32_t *names)
{
	uint64_t state = seed;
	state = kith_random_next(&state) ^ relabelling;
	state = kith_random_next(&state) ^ number;
	for (uint32_t i = 0; i < n; i++)
		names[i] = i;
	for (uint32_t i = n - 1; number && i > 0; i--) {
		uint32_t j = (uint32_t)kith_random_below(&state, i + 1), name = names[i];
		names[i] = names[j];
		names[j] = name;
	}
}

/* What is shuffled are the old names: then new ones take old ones' places. */
static void choose_names(kith_relabelled *r, uint64_t seed, uint32_t relabelling)
{
	const kith_count_plan *p = r->from->plan;
	uint32_t n = (uint32_t)p->n;
	for (uint32_t v = 0; v < p->layers; v++) {
		uint32_t *old_name = r->old_name + (uint64_t)v * n;
		void *new_name = r->new_name + (uint64_t)v * n * kith_relabelled_id_size(n);
		shuffle(seed, relabelling, r->from->number[v], n, old_name);
		for (uint32_t i = 0; i < n; i++)
			put_id(new_name, old_name[i], i, is_narrow(p));
	}
}

/* Relabelled rows of nodes first..first+nodes-1 of a layer; those of a node's layers are side by side. */
INLINE void relabel_layer(kith_relabelled *r, uint32_t v, uint32_t first, uint32_t nodes, int narrow)
{
	const kith_count_plan *p = r->from->plan;
	uint32_t n = (uint32_t)p->n, k = row_length(p);
	uint64_t size = narrow ? sizeof(uint16_t) : sizeof(uint32_t);
	const uint32_t *old_name = r->old_name + (uint64_t)v * n;
	const void *new_name = r->new_name + v * n * size;
	const unsigned char *rows = r->from->rows[v];
	for (uint32_t x = 0; x < nodes; x++) {
		const void *row = rows + old_name[first + x] * k * size;
		void *to = r->ids + ((uint64_t)x * p->layers + v) * k * size;
		uint32_t ahead = first + x + AHEAD / k + 2;
		const unsigned char *soon = rows + old_name[ahead < n ? ahead : first] * k * size;
		for (uint64_t byte = 0; byte < k * size; byte += LINE)
			__builtin_prefetch(soon + byte);
		__builtin_prefetch(soon + k * size - 1);
		for (uint32_t e = 0; e < k; e++)
			put_id(to, e, get_id(new_name, get_id(row, e, narrow), narrow), narrow);
	}
}

static void relabel_rows(kith_relabelled *r, uint32_t first, uint32_t nodes)
{
	const kith_count_plan *p = r->from->plan;
	for (uint32_t v = 0; v < p->layers; v++)
		if (is_narrow(p))
			relabel_layer(r, v, first, nodes, 1);
		else
			relabel_layer(r, v, first, nodes, 0);
}

/* ---- few of many --------------------------------------------------------------------------------------------- */

/* Lists the places of ids whose last bits have been seen before, and where. Returns how many. No branch depends on an
 * id, and nothing is cleared from node to node. */
INLINE uint32_t find_repeated(kith_relabelled *r, const void *ids, uint32_t count, uint32_t bits, int narrow, int few)
{
	uint32_t mask = (uint32_t)((1ull << bits) - 1), hits = 0, first = r->first_place, *hit = r->hit;
	uint32_t *before = r->before;
	if (count > (few ? UINT16_MAX : UINT32_MAX) - first) {
		memset(r->last, 0, (few ? sizeof(uint16_t) : sizeof(uint32_t)) << bits);
		first = 1;
	}
	for (uint32_t e = 0; e < count; e++) {
		uint32_t slot = get_id(ids, e, narrow) & mask, place = get_id(r->last, slot, few) - first;
		put_id(r->last, slot, first + e, few);
		before[e] = place;
		hit[hits] = e;
		hits += place < e;
	}
	r->first_place = first + count;
	return hits;
}

/* The number of a pair of layers, a < b, as in bit_kernels.h. */
static uint32_t pair_of(uint32_t layers, uint32_t a, uint32_t b)
{
	return a * (2 * layers - a - 1) / 2 + b - a - 1;
}

/* Places e and x of a node's ids have the same one. Returns whether their layers share the first. */
static int count_common(kith_relabelled *r, uint32_t e, uint32_t x, uint32_t *pair)
{
	const kith_count_plan *p = r->from->plan;
	uint32_t k = row_length(p), any = 0, *common;
	uint8_t tier = r->tier_of[e % k], other = r->tier_of[x % k];
	*pair = pair_of(p->layers, x / k, e / k);
	common = r->common + (uint64_t)*pair * p->tiers;
	for (uint32_t q = 0; q < p->tiers; q++)
		any |= common[q];
	common[tier > other ? tier : other]++;
	return !any;
}

/* Counts the pairs of rows that share an id, of `found` places of ids. Returns how many pairs of layers share any. */
INLINE uint32_t join_repeated(kith_relabelled *r, const void *ids, uint32_t found, int narrow)
{
	const uint32_t *before = r->before;
	uint32_t pairs = 0;
	for (uint32_t h = 0; h < found; h++) {
		uint32_t e = r->hit[h], id = get_id(ids, e, narrow);
		for (uint32_t x = e; before[x] < x;) {
			x = before[x];
			if (get_id(ids, x, narrow) == id)
				pairs += (uint32_t)count_common(r, e, x, &r->touched[pairs]);
		}
	}
	return pairs;
}

static void add_to_histograms(kith_relabelled *r, uint32_t pair)
{
	const kith_count_plan *p = r->from->plan;
	uint32_t *common = r->common + (uint64_t)pair * p->tiers, sum = 0;
	for (uint32_t q = 0; q < p->tiers; q++) {
		sum += common[q];
		common[q] = 0;
		r->overlap[p->start[q] + pair * (p->k[q] + 1ull) + sum]++;
	}
}

INLINE void count_sparse(kith_relabelled *r, const void *ids, int narrow, int few)
{
	const kith_count_plan *p = r->from->plan;
	uint32_t found = find_repeated(r, ids, (uint32_t)ids_of_node(p), last_bits(p), narrow, few);
	uint32_t pairs = join_repeated(r, ids, found, narrow);
	for (uint32_t i = 0; i < pairs; i++)
		add_to_histograms(r, r->touched[i]);
}

/* ---- many of all --------------------------------------------------------------------------------------------- */

INLINE void count_dense(kith_relabelled *r, const void *ids, int narrow)
{
	const kith_count_plan *p = r->from->plan;
	uint32_t words = (uint32_t)((p->n + 63) / 64), k = row_length(p), pairs = (uint32_t)kith_layer_pairs(p->layers);
	uint64_t stride = set_stride(p);
	memset(r->bits, 0, p->layers * stride * sizeof *r->bits);
	for (uint32_t q = 0; q < p->tiers; q++) {
		uint32_t *common = r->common;
		memset(common, 0, pairs * sizeof *common);
		for (uint32_t v = 0; v < p->layers; v++) {
			uint64_t *bits = r->bits + v * stride;
			for (uint32_t e = q ? p->k[q - 1] : 0; e < p->k[q]; e++) {
				uint32_t id = get_id(ids, (uint64_t)v * k + e, narrow);
				bits[id / 64] |= 1ull << id % 64;
			}
		}
		kith_bits_overlaps_layer_major(r->kernels, r->bits, words, stride, p->layers, common);
		for (uint32_t pair = 0; pair < pairs; pair++)
			r->overlap[p->start[q] + pair * (p->k[q] + 1ull) + common[pair]]++;
	}
}

/* ---- a relabelling ------------------------------------------------------------------------------------------- */

/* Nodes at which two rows share nothing are those that are in no other place of the histogram. */
static void count_nothing(kith_relabelled *r)
{
	const kith_count_plan *p = r->from->plan;
	uint64_t pairs = kith_layer_pairs(p->layers);
	for (uint32_t q = 0; q < p->tiers; q++)
		for (uint64_t pair = 0; pair < pairs; pair++) {
			uint32_t *histogram = r->overlap + p->start[q] + pair * (p->k[q] + 1ull), some = 0;
			for (uint32_t c = 1; c <= p->k[q]; c++)
				some += histogram[c];
			histogram[0] = (uint32_t)p->n - some;
		}
}

static void count_node(kith_relabelled *r, const void *ids)
{
	const kith_count_plan *p = r->from->plan;
	int few = has_few(p);
	if (is_dense(p) && is_narrow(p))
		count_dense(r, ids, 1);
	else if (is_dense(p))
		count_dense(r, ids, 0);
	else if (is_narrow(p) && few)
		count_sparse(r, ids, 1, 1);
	else if (is_narrow(p))
		count_sparse(r, ids, 1, 0);
	else if (few)
		count_sparse(r, ids, 0, 1);
	else
		count_sparse(r, ids, 0, 0);
}

void kith_relabelled_count(kith_relabelled *r, uint64_t seed, uint32_t relabelling)
{
	const kith_count_plan *p = r->from->plan;
	uint32_t n = (uint32_t)p->n, at_once = nodes_at_once(p);
	memset(r->overlap, 0, p->start[p->tiers] * sizeof *r->overlap);
	choose_names(r, seed, relabelling);
	for (uint32_t first = 0; first < n; first += at_once) {
		uint32_t nodes = n - first < at_once ? n - first : at_once;
		relabel_rows(r, first, nodes);
		for (uint32_t x = 0; x < nodes; x++)
			count_node(r, r->ids + x * ids_of_node(p) * kith_relabelled_id_size(n));
	}
	count_nothing(r);
}
