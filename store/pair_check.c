/* pair_check.c - kith_pair_store_check: every rule of the format and of the definitions, held against a finished
 * file. */
#include <stdlib.h>
#include <string.h>

#include "pair_planes.h"
#include "workspace.h"

struct checking {
	kith_pair_store *store;
	const kith_pair_info *info;
	const char *path;
	kith_pair_planes block;
	uint64_t next_i, next_j; /* the least pair that may follow */
	uint64_t *edges;         /* layer_count x tiers: directed edges at each k */
	uint64_t *seen;          /* a bit for each pair of a block: it is present in some layer */
};

/* Within the block pairs ascend: decoding has checked it. */
static int check_order(struct checking *c, kith_err *err)
{
	const kith_pair_planes *b = &c->block;
	if (b->i[0] < c->next_i || (b->i[0] == c->next_i && b->j[0] < c->next_j))
		return kith_fail(err, KITH_ECORRUPT, "%s: pair {%u, %u} does not follow those before it", c->path,
				 b->i[0], b->j[0]);
	c->next_i = b->i[b->count - 1];
	c->next_j = b->j[b->count - 1] + 1ull;
	return 0;
}

static int check_present(const struct checking *c, kith_err *err)
{
	const kith_pair_planes *b = &c->block;
	memset(c->seen, 0, b->stride * sizeof *c->seen);
	for (uint32_t v = 0; v < b->layers; v++)
		for (uint32_t direction = 0; direction < 2; direction++) {
			const uint64_t *any = kith_pair_plane(b, v, b->tiers - 1, direction);
			for (size_t x = 0; x < b->stride; x++)
				c->seen[x] |= any[x];
		}
	for (uint32_t p = 0; p < b->count; p++)
		if (!(c->seen[p / 64] >> p % 64 & 1))
			return kith_fail(err, KITH_ECORRUPT, "%s: pair {%u, %u} is in no layer", c->path, b->i[p],
					 b->j[p]);
	return 0;
}

static void count_edges(struct checking *c)
{
	const kith_pair_planes *b = &c->block;
	for (uint32_t v = 0; v < b->layers; v++)
		for (uint32_t q = 0; q < b->tiers; q++)
			for (uint32_t direction = 0; direction < 2; direction++) {
				const uint64_t *plane = kith_pair_plane(b, v, q, direction);
				for (size_t x = 0; x < b->stride; x++)
					c->edges[(size_t)v * b->tiers + q] += (unsigned)__builtin_popcountll(plane[x]);
			}
}

/* Every sample has exactly k neighbours, so a layer has n k edges at each k. */
static int check_edges(const struct checking *c, kith_err *err)
{
	for (uint32_t v = 0; v < c->info->layer_count; v++) {
		for (uint32_t q = 0; q < c->info->tiers; q++) {
			uint64_t edges = c->edges[(size_t)v * c->info->tiers + q];
			if (edges != c->info->n * c->info->k[q])
				return kith_fail(err, KITH_ECORRUPT,
						 "%s: layer %s has %llu directed edges at k=%u, not n k = %llu",
						 c->path, c->info->layers[v].name, (unsigned long long)edges,
						 c->info->k[q], (unsigned long long)(c->info->n * c->info->k[q]));
		}
	}
	return 0;
}

int kith_pair_store_check(kith_pair_store *store, const kith_progress *progress, kith_err *err)
{
	struct checking c = {
		.store = store, .info = kith_pair_store_get_info(store), .path = kith_pair_store_path(store)};
	uint64_t blocks = kith_pair_info_blocks(c.info);
	kith_workspace w = {0};
	void *memory;
	KITH_BUFFER_ZERO(&w, c.edges, (uint64_t)c.info->layer_count * c.info->tiers);
	KITH_BUFFER(&w, c.seen, kith_plane_words(c.info->block_pairs));
	int rc = kith_workspace_alloc(&w, &memory, "counts of edges", err);
	for (uint64_t b = 0; !rc && b < blocks; b++) {
		if ((rc = kith_progress_tick(progress, "blocks", b, blocks, err)) ||
		    (rc = kith_pair_store_read_planes(store, b, 0, NULL, &c.block, err)) ||
		    (rc = check_order(&c, err)) || (rc = check_present(&c, err)))
			break;
		count_edges(&c);
	}
	if (!rc)
		rc = check_edges(&c, err);
	free(memory);
	kith_pair_planes_free(&c.block);
	return rc;
}
