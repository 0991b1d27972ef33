/* slow_pairs.c - pairs through the layers by their definitions. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

/* The tier at which j becomes a neighbour of i. */
static unsigned tier_of(const uint32_t *row, const uint32_t *k, uint32_t tiers, size_t j)
{
	uint32_t rank = 0, q = 0;
	while (rank < k[tiers - 1] && row[rank] != j)
		rank++;
	if (rank == k[tiers - 1])
		return SLOW_TIER_ABSENT;
	while (rank >= k[q])
		q++;
	return q;
}

slow_pairs slow_pairs_of(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, const uint32_t *k,
			 uint32_t tiers)
{
	size_t most = n * (n - 1) / 2;
	slow_pairs s = {0, layers, must_alloc(most, sizeof *s.i), must_alloc(most, sizeof *s.j),
			must_alloc(most * layers, 1)};
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++) {
			uint8_t *bytes = s.tiers + s.count * layers;
			int linked = 0;
			for (size_t v = 0; v < layers; v++) {
				unsigned to = tier_of(ranks[v] + i * width, k, tiers, j),
					 from = tier_of(ranks[v] + j * width, k, tiers, i);
				bytes[v] = (uint8_t)(to | from << 4);
				linked |= to != SLOW_TIER_ABSENT || from != SLOW_TIER_ABSENT;
			}
			s.i[s.count] = (uint32_t)i;
			s.j[s.count] = (uint32_t)j;
			s.count += linked;
		}
	return s;
}

void slow_pairs_free(slow_pairs *s)
{
	free(s->i);
	free(s->j);
	free(s->tiers);
}

int slow_pairs_append(kith_pair_writer *writer, const slow_pairs *pairs, uint32_t tiers, size_t from, size_t count,
		      rng *r, kith_err *err)
{
	size_t stride = (count + 63) / 64 + (r ? rng_below(r, 4) : 0), planes = 2 * tiers * pairs->layers;
	uint64_t *bits = must_alloc(planes * stride, sizeof *bits), *plane = bits;
	for (size_t x = 0; r && x < planes * stride; x++)
		bits[x] = rng_next(r);
	for (unsigned direction = 0; direction < 2; direction++)
		for (uint32_t q = 0; q < tiers; q++)
			for (size_t v = 0; v < pairs->layers; v++, plane += stride)
				for (size_t p = 0; p < count; p++) {
					uint8_t byte = pairs->tiers[(from + p) * pairs->layers + v];
					uint64_t has = (byte >> 4 * direction & 15u) <= q;
					plane[p / 64] = (plane[p / 64] & ~(1ull << p % 64)) | has << p % 64;
				}
	int status = kith_pair_writer_append_planes(writer, count, pairs->i + from, pairs->j + from, bits, stride, err);
	free(bits);
	return status;
}

uint8_t slow_pair_tiers(const kith_pair_planes *block, uint32_t w, uint32_t p)
{
	uint32_t tier[2];
	for (uint32_t direction = 0; direction < 2; direction++) {
		uint32_t q = 0;
		while (q < block->tiers && !(kith_pair_plane(block, w, q, direction)[p / 64] >> p % 64 & 1))
			q++;
		tier[direction] = q < block->tiers ? q : SLOW_TIER_ABSENT;
	}
	return (uint8_t)(tier[0] | tier[1] << 4);
}

void slow_presence(const uint8_t *tiers, size_t layers, uint32_t tier, kith_graph_kind graph, unsigned char *present)
{
	for (size_t v = 0; v < layers; v++) {
		int to = (tiers[v] & 15) <= tier, from = tiers[v] >> 4 <= tier;
		present[v] = (unsigned char)(graph == KITH_UNION ? to || from : to && from);
	}
}

/* Is there a layer that has the pair, a later one that lacks it, and a later one that has it? */
static int returns(const unsigned char *present, size_t layers)
{
	for (size_t x = 0; x < layers; x++)
		for (size_t y = x + 1; y < layers; y++)
			if (present[x] && !present[y] && memchr(present + y, 1, layers - y))
				return 1;
	return 0;
}

int slow_asked(const unsigned char *present, size_t layers, const char *ask, size_t a, size_t b)
{
	size_t there = 0, missing = 0;
	if (!strcmp(ask, "all"))
		return memchr(present, 1, layers) != NULL;
	if (!strcmp(ask, "born"))
		return present[a] && (a == 0 || !present[a - 1]);
	if (!strcmp(ask, "dies"))
		return present[a] && (a + 1 == layers || !present[a + 1]);
	if (!strcmp(ask, "returns"))
		return returns(present, layers);
	for (size_t v = a; v <= b; v++) {
		there += present[v];
		missing += v != a && v != b && !present[v];
	}
	if (!strcmp(ask, "gap"))
		return present[a] && present[b] && missing == b - a - 1;
	if (!strcmp(ask, "persist"))
		return there == b - a + 1;
	assert(!strcmp(ask, "run"));
	return there == b - a + 1 && (a == 0 || !present[a - 1]) && (b + 1 == layers || !present[b + 1]);
}

void slow_components(size_t n, size_t pairs, const uint32_t *i, const uint32_t *j, uint32_t *of)
{
	uint32_t *queue = must_alloc(n, sizeof *queue);
	for (size_t x = 0; x < n; x++)
		of[x] = UINT32_MAX;
	for (size_t start = 0; start < n; start++) {
		size_t head = 0, tail = 0;
		if (of[start] != UINT32_MAX)
			continue;
		of[start] = (uint32_t)start;
		queue[tail++] = (uint32_t)start;
		while (head < tail) {
			uint32_t at = queue[head++];
			for (size_t p = 0; p < pairs; p++) {
				uint32_t other = i[p] == at ? j[p] : j[p] == at ? i[p] : at;
				if (of[other] == UINT32_MAX) {
					of[other] = (uint32_t)start;
					queue[tail++] = other;
				}
			}
		}
	}
	free(queue);
}
