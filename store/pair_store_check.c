/* pair_store_check.c - kith_pair_store_check: every rule of the format and of the definitions, held against a finished
 * file. */
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/pairs.h"

struct checking {
	kith_pair_store *store;
	const kith_pair_info *info;
	const char *path;
	kith_pair_block block;
	uint64_t next_i, next_j; /* the least pair that may follow */
	uint64_t *edges;         /* layer_count x levels: directed edges that enter at a level */
	uint8_t *seen;           /* all tiers of a pair and-ed */
};

/* Decoding has seen to it that pairs ascend within the block. */
static int check_order(struct checking *c, kith_err *err)
{
	const kith_pair_block *b = &c->block;
	if (b->i[0] < c->next_i || (b->i[0] == c->next_i && b->j[0] < c->next_j))
		return kith_fail(err, KITH_ECORRUPT, "%s: pair {%u, %u} does not follow those before it", c->path,
				 b->i[0], b->j[0]);
	c->next_i = b->i[b->count - 1];
	c->next_j = b->j[b->count - 1] + 1ull;
	return 0;
}

static int check_present(const struct checking *c, kith_err *err)
{
	const kith_pair_block *b = &c->block;
	memset(c->seen, KITH_PAIR_ABSENT, b->count);
	for (uint32_t v = 0; v < b->layers; v++)
		for (uint32_t p = 0; p < b->count; p++)
			c->seen[p] &= b->tier[(size_t)v * b->count + p];
	const uint8_t *nowhere = memchr(c->seen, KITH_PAIR_ABSENT, b->count);
	if (nowhere)
		return kith_fail(err, KITH_ECORRUPT, "%s: pair {%u, %u} is in no layer", c->path,
				 b->i[nowhere - c->seen], b->j[nowhere - c->seen]);
	return 0;
}

static void count_edges(struct checking *c)
{
	uint32_t levels = c->info->levels;
	for (uint32_t v = 0; v < c->block.layers; v++) {
		const uint8_t *tier = c->block.tier + (size_t)v * c->block.count;
		uint32_t times[256] = {0};
		for (uint32_t p = 0; p < c->block.count; p++)
			times[tier[p]]++;
		for (uint32_t b = 0; b < KITH_PAIR_ABSENT; b++) {
			if (!times[b]) /* so are the bytes that are no tiers */
				continue;
			if ((b & 15) != KITH_TIER_ABSENT)
				c->edges[(size_t)v * levels + (b & 15)] += times[b];
			if (b >> 4 != KITH_TIER_ABSENT)
				c->edges[(size_t)v * levels + (b >> 4)] += times[b];
		}
	}
}

/* Every sample has exactly k neighbours, so a layer has n k edges at each k. */
static int check_edges(const struct checking *c, kith_err *err)
{
	for (uint32_t v = 0; v < c->info->layer_count; v++) {
		uint64_t edges = 0;
		for (uint32_t q = 0; q < c->info->levels; q++) {
			edges += c->edges[(size_t)v * c->info->levels + q];
			if (edges != c->info->n * c->info->k[q])
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: layer %s has %llu directed edges at k=%u, not n k = %llu",
						 c->path, c->info->layers[v].name, (unsigned long long)edges,
						 c->info->k[q], (unsigned long long)(c->info->n * c->info->k[q]));
		}
	}
	return 0;
}

static int check_extras(struct checking *c, kith_err *err)
{
	int rc = 0;
	for (uint32_t e = 0; !rc && e < c->info->extras; e++) {
		void *bytes;
		uint64_t size;
		const char *name = kith_pair_store_extra(c->store, e, &size);
		if (!(rc = kith_pair_store_get_extra(c->store, name, &bytes, &size, err)))
			free(bytes);
	}
	return rc;
}

int kith_pair_store_check(kith_pair_store *store, const kith_progress *progress, kith_err *err)
{
	struct checking c = {
		.store = store, .info = kith_pair_store_get_info(store), .path = kith_pair_store_path(store)};
	uint64_t blocks = kith_pair_info_blocks(c.info);
	int rc = 0;
	c.edges = kith_alloc_zero((size_t)c.info->layer_count * c.info->levels, sizeof *c.edges);
	c.seen = kith_alloc(c.info->block_pairs, 1);
	if (!c.edges || !c.seen)
		rc = kith_fail_nomem(err, "counts of edges", c.info->layer_count * 8ull * c.info->levels);
	for (uint64_t b = 0; !rc && b < blocks; b++) {
		if ((rc = kith_progress_tick(progress, "blocks", b, blocks, err)) ||
		    (rc = kith_pair_store_read(store, b, 0, NULL, &c.block, err)) || (rc = check_order(&c, err)) ||
		    (rc = check_present(&c, err)))
			break;
		count_edges(&c);
	}
	if (!rc)
		rc = check_edges(&c, err);
	if (!rc)
		rc = check_extras(&c, err);
	free(c.edges);
	free(c.seen);
	kith_pair_block_free(&c.block);
	return rc;
}
