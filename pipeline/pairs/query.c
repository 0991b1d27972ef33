/* query.c - see query.h. Every question but two (all, returns) is a demand on each layer: present, absent, or any. */
#include "query.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "text.h"

enum { ANY, PRESENT, ABSENT };

typedef struct walk {
	const kith_pair_query *query;
	const kith_pair_info *info;
	const kith_pair_taker *taker;
	uint8_t *demand;         /* by layer: ANY, PRESENT or ABSENT */
	uint32_t *wanted, count; /* the layers to decode */
	kith_pair_planes block;
	size_t words, capacity;
	uint64_t *present; /* of each layer decoded, `words`: bit p % 64 of word p / 64 says whether it has pair p */
	uint64_t *match;   /* likewise: whether pair p answers the question */
	uint64_t found;
} walk;

static int asks_of_all_layers(kith_pair_ask ask)
{
	return ask == KITH_ASK_ALL || ask == KITH_ASK_RETURNS;
}

static void fill_demands(walk *w)
{
	const kith_pair_query *q = w->query;
	uint32_t first = q->first, last = q->last;
	if (asks_of_all_layers(q->ask))
		return;
	memset(w->demand + first, PRESENT, last - first + 1);
	if (q->ask == KITH_ASK_GAP)
		memset(w->demand + first + 1, ABSENT, last - first - 1);
	if ((q->ask == KITH_ASK_RUN || q->ask == KITH_ASK_BORN) && first)
		w->demand[first - 1] = ABSENT;
	if ((q->ask == KITH_ASK_RUN || q->ask == KITH_ASK_DIES) && last + 1 < w->info->layer_count)
		w->demand[last + 1] = ABSENT;
}

static int prepare(walk *w, kith_err *err)
{
	uint32_t L = w->info->layer_count;
	w->demand = kith_alloc_zero(L, 1);
	w->wanted = kith_alloc(L, sizeof *w->wanted);
	if (!w->demand || !w->wanted)
		return kith_fail_nomem(err, "the layers", L * sizeof *w->wanted);
	fill_demands(w);
	for (uint32_t v = 0; v < L; v++)
		if (w->taker->wants_layers || asks_of_all_layers(w->query->ask) || w->demand[v] != ANY)
			w->wanted[w->count++] = v;
	return 0;
}

static const uint64_t *present_in(const walk *w, uint32_t at)
{
	return w->present + at * w->words;
}

static int is_present(const walk *w, uint32_t at, uint32_t p)
{
	return present_in(w, at)[p / 64] >> p % 64 & 1;
}

static int find_present(walk *w, kith_err *err)
{
	uint32_t tier = w->query->tier;
	w->words = (w->block.count + 63) / 64;
	void *block = w->present;
	int rc = kith_scratch(&block, &w->capacity, (w->count + 1ull) * w->words, sizeof *w->present, err);
	w->present = block;
	if (rc)
		return rc;
	w->match = w->present + w->count * w->words;
	for (uint32_t at = 0; at < w->count; at++)
		kith_pair_planes_join(&w->block, at, tier, w->query->graph == KITH_MUTUAL, 0, w->words,
				      w->present + at * w->words);
	return 0;
}

static void match_all(walk *w)
{
	memset(w->match, 0, w->words * sizeof *w->match);
	for (uint32_t at = 0; at < w->count; at++)
		for (size_t x = 0; x < w->words; x++)
			w->match[x] |= present_in(w, at)[x];
}

/* From layer to layer, 64 pairs at a time: those present so far, absent since, and present again. */
static void match_returns(walk *w)
{
	for (size_t x = 0; x < w->words; x++) {
		uint64_t seen = 0, lost = 0, back = 0;
		for (uint32_t at = 0; at < w->count; at++) {
			uint64_t here = present_in(w, at)[x];
			back |= lost & here;
			lost |= seen & ~here;
			seen |= here;
		}
		w->match[x] = back;
	}
}

/* Bits of pairs beyond the last are cleared, as every such question demands presence somewhere. */
static void match_layers(walk *w)
{
	memset(w->match, 0xff, w->words * sizeof *w->match);
	for (uint32_t at = 0; at < w->count; at++) {
		uint8_t demand = w->demand[w->wanted[at]];
		for (size_t x = 0; x < w->words && demand != ANY; x++)
			w->match[x] &= demand == PRESENT ? present_in(w, at)[x] : ~present_in(w, at)[x];
	}
}

/* Where the run around layer first begins and ends, or else the pair. Every layer is decoded. */
static void find_layers(const walk *w, uint32_t p, kith_pair_found *found)
{
	uint32_t L = w->info->layer_count, first = 0, last = L - 1;
	kith_pair_ask ask = w->query->ask;
	if (asks_of_all_layers(ask) || ask == KITH_ASK_GAP) {
		while (!is_present(w, first, p))
			first++;
		while (!is_present(w, last, p))
			last--;
	} else {
		first = last = w->query->first;
		while (first && is_present(w, first - 1, p))
			first--;
		while (last + 1 < L && is_present(w, last + 1, p))
			last++;
	}
	found->first = first;
	found->last = last;
}

static int take_found(walk *w, uint32_t p, kith_err *err)
{
	kith_pair_found found = {w->block.i[p], w->block.j[p], 0, 0};
	if (w->taker->wants_layers)
		find_layers(w, p, &found);
	return w->taker->take(w->taker->context, &found, err);
}

static int take_block(walk *w, kith_err *err)
{
	int rc = find_present(w, err);
	if (rc)
		return rc;
	if (w->query->ask == KITH_ASK_ALL)
		match_all(w);
	else if (w->query->ask == KITH_ASK_RETURNS)
		match_returns(w);
	else
		match_layers(w);
	for (size_t x = 0; !rc && x < w->words; x++) {
		w->found += (unsigned)__builtin_popcountll(w->match[x]);
		for (uint64_t left = w->taker->take ? w->match[x] : 0; !rc && left; left &= left - 1)
			rc = take_found(w, (uint32_t)(64 * x) + (unsigned)__builtin_ctzll(left), err);
	}
	return rc;
}

int kith_pair_query_run(kith_pair_store *store, const kith_pair_query *query, const kith_pair_taker *taker,
			uint64_t *count, kith_err *err)
{
	walk w = {.query = query, .info = kith_pair_store_get_info(store), .taker = taker};
	uint64_t blocks = kith_pair_info_blocks(w.info);
	int rc = prepare(&w, err);
	for (uint64_t b = 0; !rc && b < blocks; b++)
		if (!(rc = kith_progress_tick(&query->progress, "blocks", b, blocks, err)) &&
		    !(rc = kith_pair_store_read_planes(store, b, w.count, w.wanted, &w.block, err)))
			rc = take_block(&w, err);
	if (!rc)
		*count = w.found;
	free(w.demand);
	free(w.wanted);
	free(w.present);
	kith_pair_planes_free(&w.block);
	return rc;
}

/* ---- options' values ---- */

/* The layer that the `length` bytes of `text` name: 1 if there is one, -1 if there are more, 0 if there is none. */
static int find_layer(const kith_pair_info *info, const char *text, size_t length, uint32_t *out)
{
	int found = 0;
	char *end;
	for (uint32_t v = 0; v < info->layer_count; v++)
		if (strlen(info->layers[v].name) == length && !memcmp(info->layers[v].name, text, length)) {
			found = found ? -1 : 1;
			*out = v;
		}
	if (found || !length || !isdigit((unsigned char)*text))
		return found;
	unsigned long long number = strtoull(text, &end, 10);
	if (end != text + length || number >= info->layer_count)
		return 0;
	*out = (uint32_t)number;
	return 1;
}

int kith_pair_find_range(const kith_pair_store *store, const char *option, const char *text, uint32_t *first,
			 uint32_t *last, kith_err *err)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	uint32_t a = 0, b = 0;
	int found = find_layer(info, text, strlen(text), &a);
	b = a;
	/* a name may hold colons: the first one that leaves layers on both sides counts */
	for (const char *colon = strchr(text, ':'); !found && colon; colon = strchr(colon + 1, ':')) {
		int left = colon > text ? find_layer(info, text, (size_t)(colon - text), &a) : 1;
		int right = colon[1] ? find_layer(info, colon + 1, strlen(colon + 1), &b) : 1;
		if (colon == text)
			a = 0;
		if (!colon[1])
			b = info->layer_count - 1;
		found = left && right ? (left > 0 && right > 0 ? 1 : -1) : 0;
	}
	if (found < 0)
		return kith_fail(err, KITH_EUSAGE, "%s %s: more than one layer of %s has that name", option, text,
				 kith_pair_store_path(store));
	if (!found)
		return kith_fail(err, KITH_EUSAGE, "%s %s: %s has no such layers; they are 0:%u, %s to %s", option,
				 text, kith_pair_store_path(store), info->layer_count - 1, info->layers[0].name,
				 info->layers[info->layer_count - 1].name);
	if (a > b)
		return kith_fail(err, KITH_EUSAGE, "%s %s: %s comes before %s", option, text, info->layers[b].name,
				 info->layers[a].name);
	*first = a;
	*last = b;
	return 0;
}

int kith_pair_find_tier(const kith_pair_store *store, uint32_t k, uint32_t *tier, kith_err *err)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	char ladder[256];
	for (uint32_t q = 0; q < info->tiers; q++)
		if (info->k[q] == k) {
			*tier = q;
			return 0;
		}
	return kith_fail(err, KITH_EUSAGE, "-k %u: %s has k=%s", k, kith_pair_store_path(store),
			 kith_ladder_text(info->k, info->tiers, ladder, sizeof ladder));
}
