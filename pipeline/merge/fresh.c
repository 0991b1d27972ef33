/* fresh.c - see fresh.h */
#include "fresh.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define PAIR_BYTES (sizeof(uint64_t) + sizeof(uint32_t) + 1) /* key, at, tier */
#define READ_BYTES (sizeof(uint32_t) + 1)                    /* of a window: kith_pairs */

/* Room for `more` pairs behind those that are there, in place of those that are done with if that will do. */
static int reserve(kith_fresh *f, size_t more, kith_err *err)
{
	size_t live = f->count - f->first, capacity = live + more;
	uint64_t *key = f->key;
	uint8_t *tier = f->tier;
	uint32_t *at = f->at;
	if (f->count + more <= f->capacity)
		return 0;
	if (capacity > f->capacity) {
		capacity += capacity / 4;
		key = kith_alloc(capacity, sizeof *key);
		tier = kith_alloc(capacity, 1);
		at = kith_alloc(capacity, sizeof *at);
		if (!key || !tier || !at) {
			free(key);
			free(tier);
			free(at);
			return kith_fail_nomem(err, "a layer's pairs", capacity * PAIR_BYTES);
		}
	}
	if (live) {
		memmove(key, f->key + f->first, live * sizeof *key);
		memmove(tier, f->tier + f->first, live);
	}
	if (key != f->key) {
		free(f->key);
		free(f->tier);
		free(f->at);
		f->key = key;
		f->tier = tier;
		f->at = at;
		f->capacity = capacity;
	}
	f->first = 0;
	f->count = live;
	return 0;
}

static void take_window(kith_fresh *f, uint64_t count)
{
	uint8_t level[256];
	size_t found = f->count;
	for (uint32_t b = 0; b < 256; b++) {
		uint8_t forward = f->level[b & 15], backward = f->level[b >> 4];
		level[b] = (uint8_t)((forward < f->levels ? forward : KITH_TIER_ABSENT) |
				     (backward < f->levels ? backward : KITH_TIER_ABSENT) << 4);
	}
	for (uint64_t r = 0; r < count; r++)
		for (uint64_t p = f->pairs.offset[r]; p < f->pairs.offset[r + 1]; p++) {
			uint8_t tier = level[f->pairs.tier[p]];
			f->key[found] = (f->next + r) << 32 | f->pairs.id[p];
			f->tier[found] = tier;
			found += tier != 0xff; /* absent in both directions */
		}
	f->count = found;
}

int kith_fresh_load(kith_fresh *f, uint64_t nodes, kith_err *err)
{
	const kith_graph_info *info = kith_graph_get_info(f->graph);
	nodes = nodes < info->n ? nodes : info->n;
	while (f->next < nodes) {
		uint64_t left = info->n - f->next, count = left < info->block_nodes ? left : info->block_nodes;
		int rc = kith_graph_read_pairs(f->graph, f->next, count, &f->pairs, err);
		if (rc || (rc = reserve(f, f->pairs.offset[count], err)))
			return rc;
		take_window(f, count);
		f->next += count;
	}
	return 0;
}

size_t kith_fresh_until(const kith_fresh *f, uint64_t key)
{
	size_t low = f->first, high = f->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->key[middle] <= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void kith_fresh_drop(kith_fresh *f, size_t end)
{
	f->first = end;
}

uint64_t kith_fresh_bytes(const kith_fresh *f)
{
	return f->capacity * PAIR_BYTES + f->pairs.id_capacity * READ_BYTES + f->pairs.offset_capacity * 8ull;
}

int kith_fresh_window(const kith_fresh *f, uint64_t *bytes, kith_err *err)
{
	const kith_graph_info *info = kith_graph_get_info(f->graph);
	uint64_t most = 0;
	for (uint64_t first = 0; first < info->n; first += info->block_nodes) {
		uint64_t left = info->n - first, count = left < info->block_nodes ? left : info->block_nodes;
		uint64_t pairs, needed;
		int rc = kith_graph_count_pairs(f->graph, first, count, &pairs, err);
		if (rc || (rc = kith_graph_reverse_bytes(f->graph, first, count, info->tiers, &needed, err)))
			return rc;
		needed += kith_graph_row_sets_bytes(f->graph, count, info->tiers);
		needed += pairs * (READ_BYTES + 2 * PAIR_BYTES) + count * 8; /* 2: as reserve moves them */
		most = needed > most ? needed : most;
	}
	*bytes = most;
	return 0;
}

void kith_fresh_free(kith_fresh *f)
{
	kith_pairs_free(&f->pairs);
	free(f->key);
	free(f->tier);
	free(f->at);
	*f = (kith_fresh){0};
}
