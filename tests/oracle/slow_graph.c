#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

static void random_row(rng *r, size_t n, size_t i, uint32_t *row)
{
	size_t found = 0;
	for (size_t j = 0; j < n; j++)
		if (j != i)
			row[found++] = (uint32_t)j;
	rng_shuffle(r, row, found);
}

void slow_random_ranks(rng *r, size_t n, const uint32_t *like, uint32_t *ranks)
{
	size_t width = n - 1;
	unsigned changed = rng_chance(r, 25) ? 0 : (unsigned)rng_below(r, 60);
	for (size_t i = 0; i < n; i++) {
		uint32_t *row = ranks + i * width;
		if (like)
			memcpy(row, like + i * width, width * sizeof *row);
		if (!like || rng_chance(r, changed / 2))
			random_row(r, n, i, row);
		else if (rng_chance(r, changed))
			rng_shuffle(r, row, rng_between(r, 1, width));
	}
}

uint32_t slow_random_ladder(rng *r, uint32_t most, uint32_t tiers, uint32_t *ladder)
{
	uint32_t count = 0;
	uint32_t k = (uint32_t)rng_between(r, 1, rng_chance(r, 50) ? (most + 3) / 4 : most);
	while (count < tiers && k <= most) {
		ladder[count++] = k;
		k += (uint32_t)rng_between(r, 1, rng_chance(r, 50) ? 3 : most);
	}
	if (rng_chance(r, 20))
		ladder[count - 1] = most;
	return count;
}

static uint32_t tier_of_rank(const kith_graph_info *info, uint32_t rank)
{
	for (uint32_t t = 0; t < info->tiers; t++)
		if (rank < info->ladder[t])
			return t;
	return SLOW_TIER_ABSENT;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static int append_some(kith_graph_writer *writer, const kith_graph_info *info, size_t width, const uint32_t *ranks,
		       const double *dist2, uint64_t first, uint64_t count, rng *r, kith_err *err)
{
	uint32_t k = info->ladder[info->tiers - 1], near = info->near;
	uint32_t *ids = must_alloc(count * k, sizeof *ids), *near_ids = must_alloc(count * near, sizeof *near_ids);
	double *near_dist2 = must_alloc(count * near, sizeof *near_dist2);
	int status;
	for (uint64_t i = 0; i < count; i++) {
		const uint32_t *row = ranks + (first + i) * width;
		memcpy(ids + i * k, row, k * sizeof *ids);
		for (uint32_t t = 0; t < info->tiers; t++) {
			uint32_t from = t ? info->ladder[t - 1] : 0;
			rng_shuffle(r, ids + i * k + from, info->ladder[t] - from);
		}
		memcpy(near_ids + i * near, row, near * sizeof *near_ids);
		for (uint32_t s = 0; s < near; s++)
			near_dist2[i * near + s] = dist2 ? dist2[(first + i) * width + s] : s;
	}
	status = kith_graph_append(writer, count, ids, near_ids, near_dist2, err);
	free(ids);
	free(near_ids);
	free(near_dist2);
	return status;
}

int slow_graph_write(const char *path, const kith_graph_info *info, size_t width, const uint32_t *ranks,
		     const double *dist2, const kith_graph_audit *audit, uint64_t memory, rng *r, kith_err *err)
{
	kith_graph_writer *writer = NULL;
	int status = kith_graph_create(&writer, path, info, memory, (int)rng_between(r, 1, 4), err);
	if (status)
		return status;
	for (uint64_t first = 0, count; first < info->n; first += count) {
		count = rng_between(r, 1, info->n - first);
		if (rng_chance(r, 60) && count > 17)
			count = rng_between(r, 1, 17);
		status = append_some(writer, info, width, ranks, dist2, first, count, r, err);
		if (status) {
			kith_graph_abort(writer);
			return status;
		}
	}
	if (audit && (status = kith_graph_put_audit(writer, audit, err))) {
		kith_graph_abort(writer);
		return status;
	}
	if (info->tied.counted && (status = kith_graph_put_ties(writer, &info->tied, err))) {
		kith_graph_abort(writer);
		return status;
	}
	return kith_graph_finish(writer, NULL, err);
}

/* ---- reading and comparing ------------------------------------------------------------------------------------ */

typedef struct reading {
	kith_graph *graph;
	const kith_graph_info *want;
	size_t width;
	const uint32_t *ranks;
	const double *dist2;
	/* [n][k], tier by tier: all ids ascending; the nearest in rank order, as many as have one, then the others */
	uint32_t *by_id, *by_rank;
	double *stored;      /* [n][near]: distances as the graph has them */
	unsigned char *to;   /* [n][n]: tier of the edge i -> j, or SLOW_TIER_ABSENT */
	unsigned char *from; /* [n][n]: that of j -> i */
	char *why;
	size_t size;
} reading;

static int ascending(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return a < b ? -1 : a > b;
}

#define DIFFERS(t, ...) (snprintf((t)->why, (t)->size, __VA_ARGS__), 1)

static int info_differs(reading *t)
{
	const kith_graph_info *got = kith_graph_get_info(t->graph), *want = t->want;
	if (got->n != want->n || got->d != want->d)
		return DIFFERS(t, "header: n=%llu, d=%llu", (unsigned long long)got->n, (unsigned long long)got->d);
	if (got->tiers != want->tiers || memcmp(got->ladder, want->ladder, want->tiers * sizeof *want->ladder))
		return DIFFERS(t, "header: another ladder of %u", got->tiers);
	if (got->near != want->near)
		return DIFFERS(t, "header: near is %u, not %u", got->near, want->near);
	if (got->ties != want->ties)
		return DIFFERS(t, "header: ties by %s", kith_ties_name(got->ties));
	if (want->tied.counted && memcmp(&got->tied, &want->tied, sizeof got->tied))
		return DIFFERS(t, "header: %s", "other counts of ties");
	if (strcmp(got->metric, want->metric) || strcmp(got->engine, want->engine) ||
	    !(got->recall == want->recall || (isnan(got->recall) && isnan(want->recall))) ||
	    strcmp(got->digest, want->digest))
		return DIFFERS(t, "header: %s, %s, recall %g, digest %s", got->metric, got->engine, got->recall,
			       got->digest);
	uint32_t holds_all = 1;
	while (holds_all < want->n)
		holds_all *= 2;
	if (want->block_nodes && got->block_nodes != (want->block_nodes < holds_all ? want->block_nodes : holds_all))
		return DIFFERS(t, "header: blocks of %u, not %u", got->block_nodes, want->block_nodes);
	if (!got->block_nodes || (got->block_nodes & (got->block_nodes - 1)) || got->block_nodes > holds_all)
		return DIFFERS(t, "header: blocks of %u", got->block_nodes);
	return 0;
}

static int rows_differ(reading *t, uint64_t first, uint64_t count, uint32_t tiers)
{
	uint32_t k = t->want->ladder[tiers - 1], all = t->want->ladder[t->want->tiers - 1];
	uint32_t *got = must_alloc(count * k, sizeof *got);
	kith_err err = {0};
	int differs = 0;
	if (kith_graph_read_rows(t->graph, first, count, tiers, got, &err))
		differs = DIFFERS(t, "read_rows: %s", err.msg);
	for (uint64_t i = 0; i < count && !differs; i++) {
		const uint32_t *row = t->by_id + (first + i) * all;
		for (uint32_t s = 0; s < k && !differs; s++)
			if (row[s] != got[i * k + s])
				differs = DIFFERS(t, "row %llu, place %u of %u: %u, should be %u",
						  (unsigned long long)(first + i), s, k, got[i * k + s], row[s]);
	}
	free(got);
	return differs;
}

void slow_single(const double *dist2, size_t count, double *out)
{
	int squares = 1;
	for (size_t s = 0; s < count; s++) {
		uint64_t bits;
		memcpy(&bits, &dist2[s], sizeof bits);
		squares &= bits << (64 - 29) == 0;
	}
	for (size_t s = 0; s < count; s++) {
		int exponent;
		double root = sqrt(dist2[s]), fraction = frexp(root, &exponent);
		if (root > 0 && !isinf(root))
			root = ldexp(nearbyint(ldexp(fraction, 24)), exponent - 24);
		out[s] = squares ? dist2[s] : root * root;
	}
}

static int ranked_differ(reading *t, uint64_t first, uint64_t count, uint32_t tiers)
{
	uint32_t k = t->want->ladder[tiers - 1], all = t->want->ladder[t->want->tiers - 1], near = t->want->near;
	uint32_t *got = must_alloc(count * k, sizeof *got);
	double *dist2 = must_alloc(count * near, sizeof *dist2);
	kith_err err = {0};
	int differs = 0;
	if (kith_graph_read_ranked(t->graph, first, count, tiers, got, near % 3 ? dist2 : NULL, &err))
		differs = DIFFERS(t, "read_ranked: %s", err.msg);
	for (uint64_t i = 0; i < count && !differs; i++)
		if (memcmp(t->by_rank + (first + i) * all, got + i * k, k * sizeof *got))
			differs = DIFFERS(t, "row %llu to k=%u in rank order", (unsigned long long)(first + i), k);
	if (!differs && near % 3 && memcmp(t->stored + first * near, dist2, count * near * sizeof *dist2))
		differs = DIFFERS(t, "distances of %llu to k=%u in rank order", (unsigned long long)first, k);
	free(got);
	free(dist2);
	return differs;
}

static int near_differs(reading *t, uint64_t first, uint64_t count)
{
	uint32_t near = t->want->near, *ids = must_alloc(count * near, sizeof *ids);
	double *dist2 = must_alloc(count * near, sizeof *dist2);
	kith_err err = {0};
	int differs = 0;
	if (kith_graph_read_near(t->graph, first, count, ids, dist2, &err))
		differs = DIFFERS(t, "read_near: %s", err.msg);
	for (uint64_t i = 0; i < count && !differs; i++) {
		const double *stored = t->stored + (first + i) * near;
		for (uint32_t s = 0; s < near && !differs; s++) {
			uint32_t want = t->ranks[(first + i) * t->width + s];
			if (ids[i * near + s] != want || dist2[i * near + s] != stored[s])
				differs = DIFFERS(t, "near of %llu, rank %u: %u at %a, should be %u at %a",
						  (unsigned long long)(first + i), s, ids[i * near + s],
						  dist2[i * near + s], want, stored[s]);
		}
	}
	free(ids);
	free(dist2);
	return differs;
}

/* How often each of n ids is in node i's set, into has[n]. */
static void count_ids(const kith_sets *s, uint64_t i, uint64_t n, uint8_t *has)
{
	uint64_t r = i - s->first;
	memset(has, 0, n);
	for (uint64_t j = 64 * s->base; s->dense && j < n; j++)
		has[j] = s->bits[r * s->stride + j / 64 - s->base] >> j % 64 & 1;
	for (uint64_t p = s->dense ? 0 : s->offset[r]; !s->dense && p < s->offset[r + 1]; p++) {
		assert(s->id[p] < n);
		has[s->id[p]]++;
	}
}

/* Whether node i's set has other ids than those from `least` on whose tier is `tier`, which *items counts. has: 2 n. */
static int ids_differ(reading *t, const kith_sets *s, const unsigned char *tiers, unsigned char tier, uint64_t least,
		      uint64_t i, uint8_t *has, uint64_t *items)
{
	uint64_t n = t->want->n;
	uint8_t *want = has + n;
	uint32_t count = 0;
	count_ids(s, i, n, has);
	for (uint64_t j = 0; j < n; j++)
		want[j] = tiers[j] == tier;
	memset(want, 0, least);
	for (uint64_t j = 0; j < n; j++)
		count += want[j];
	*items += count;
	if (!memcmp(has, want, n))
		return 0;
	uint64_t j = 0;
	while (has[j] == want[j])
		j++;
	return DIFFERS(t, "tier %u of %llu: is %llu there?", tier, (unsigned long long)i, (unsigned long long)j);
}

static int tier_sets_differ(reading *t, uint32_t tier, const kith_sets *row, const kith_sets *reverse, uint64_t first,
			    uint64_t count)
{
	uint64_t n = t->want->n, rows = 0, reverses = 0;
	uint8_t *has = must_alloc(2 * n, 1);
	int differs = 0;
	for (uint64_t i = first; i < first + count && !differs; i++)
		differs = ids_differ(t, row, t->to + i * n, (unsigned char)tier, 0, i, has, &rows) ||
			  ids_differ(t, reverse, t->from + i * n, (unsigned char)tier, i + 1, i, has, &reverses);
	free(has);
	if (differs)
		return differs;
	if (row->items != rows || reverse->items != reverses || row->count != count || reverse->count != count)
		return DIFFERS(t, "tier %u has %llu and %llu items in sets", tier, (unsigned long long)row->items,
			       (unsigned long long)reverse->items);
	for (uint64_t r = 0; !reverse->dense && r < count; r++)
		for (uint64_t p = reverse->offset[r] + 1; p < reverse->offset[r + 1]; p++)
			if (reverse->id[p - 1] >= reverse->id[p])
				return DIFFERS(t, "a reverse list does not ascend");
	return 0;
}

/* The blocks that hold first..first+count-1 as sets. */
static int sets_differ(reading *t, uint64_t first, uint64_t count)
{
	uint64_t block = kith_graph_get_info(t->graph)->block_nodes, n = t->want->n, end = first + count, bytes;
	uint32_t tiers = t->want->tiers;
	kith_sets row[KITH_MAX_TIERS] = {0}, reverse[KITH_MAX_TIERS] = {0};
	kith_err err = {0};
	int differs = 0;
	first -= first % block;
	end = (end + block - 1) / block * block < n ? (end + block - 1) / block * block : n;
	count = end - first;
	if (kith_graph_read_row_sets(t->graph, first, count, tiers, row, &err) ||
	    kith_graph_read_reverse(t->graph, first, count, tiers, reverse, &err) ||
	    kith_graph_reverse_bytes(t->graph, first, count, tiers, &bytes, &err))
		differs = DIFFERS(t, "read_sets: %s", err.msg);
	for (uint32_t tier = 0; tier < tiers && !differs; tier++) {
		differs = tier_sets_differ(t, tier, &row[tier], &reverse[tier], first, count);
		bytes -= reverse[tier].dense ? count * reverse[tier].stride * 8
					     : reverse[tier].items * (4 + 3) + (count + 1) * 8; /* 3: their gaps */
	}
	if (!differs && bytes)
		differs = DIFFERS(t, "reverse_bytes is wrong by %lld", (long long)bytes);
	if (!differs && block > 1 && first + 1 < n &&
	    kith_graph_read_reverse(t->graph, first + 1, 1, 1, reverse, &err) != KITH_EUSAGE)
		differs = DIFFERS(t, "a part of a block as sets: no KITH_EUSAGE");
	for (uint32_t tier = 0; tier < tiers; tier++) {
		kith_sets_free(&row[tier]);
		kith_sets_free(&reverse[tier]);
	}
	return differs;
}

static int contents_differ(reading *t, rng *r)
{
	uint64_t n = t->want->n, block = kith_graph_get_info(t->graph)->block_nodes;
	int differs = 0;
	for (uint64_t first = 0, count; first < n && !differs; first += count) {
		uint32_t tiers = (uint32_t)rng_between(r, 1, t->want->tiers);
		count = rng_between(r, 1, n - first);
		if (rng_chance(r, 40) && count > 13)
			count = rng_between(r, 1, 13);
		if (rng_chance(r, 20) && block <= n - first)
			count = block;
		differs = rows_differ(t, first, count, tiers) || rows_differ(t, first, count, t->want->tiers) ||
			  ranked_differ(t, first, count, tiers) || near_differs(t, first, count) ||
			  sets_differ(t, first, count);
	}
	if (!differs) /* all at once, and a step back */
		differs = rows_differ(t, 0, n, t->want->tiers) || ranked_differ(t, 0, n, t->want->tiers) ||
			  near_differs(t, 0, n) || sets_differ(t, 0, n);
	return differs;
}

/* What the graph should have, in the orders that it is read in. */
static void set_out(reading *t)
{
	const kith_graph_info *want = t->want;
	uint64_t n = want->n;
	uint32_t k = want->ladder[want->tiers - 1], near = want->near;
	t->by_id = must_alloc(n * k, sizeof *t->by_id);
	t->by_rank = must_alloc(n * k, sizeof *t->by_rank);
	t->stored = must_alloc(n * near, sizeof *t->stored);
	t->to = must_alloc(n * n, 1);
	t->from = must_alloc(n * n, 1);
	memset(t->to, SLOW_TIER_ABSENT, n * n);
	memset(t->from, SLOW_TIER_ABSENT, n * n);
	for (uint64_t i = 0; i < n; i++) {
		const uint32_t *ranks = t->ranks + i * t->width;
		uint32_t *by_id = t->by_id + i * k, *by_rank = t->by_rank + i * k;
		memcpy(by_id, ranks, k * sizeof *by_id);
		for (uint32_t tier = 0, from = 0; tier < want->tiers; from = want->ladder[tier++])
			qsort(by_id + from, want->ladder[tier] - from, sizeof *by_id, ascending);
		memcpy(by_rank, ranks, k * sizeof *by_rank);
		for (uint32_t tier = 0, from = 0; tier < want->tiers; from = want->ladder[tier++])
			if (near < want->ladder[tier])
				qsort(by_rank + (from > near ? from : near),
				      want->ladder[tier] - (from > near ? from : near), sizeof *by_rank, ascending);
		slow_single(t->dist2 + i * t->width, near, t->stored + i * near);
		for (uint32_t s = 0; s < k; s++)
			t->to[i * n + ranks[s]] = t->from[ranks[s] * n + i] = (unsigned char)tier_of_rank(want, s);
	}
}

int slow_graph_differs(const char *path, const kith_graph_info *want, size_t width, const uint32_t *ranks,
		       const double *dist2, rng *r, char *why, size_t size)
{
	reading t = {.want = want, .width = width, .ranks = ranks, .dist2 = dist2, .why = why, .size = size};
	kith_err err = {0};
	int differs;
	if (kith_graph_open(&t.graph, path, &err)) {
		snprintf(why, size, "open: %s", err.msg);
		return 1;
	}
	set_out(&t);
	differs = info_differs(&t) || contents_differ(&t, r);
	if (!differs && kith_graph_check(t.graph, (uint64_t)16 << 20, (int)rng_between(r, 1, 4), NULL, &err))
		differs = DIFFERS(&t, "kith_graph_check: %s", err.msg);
	kith_graph_close(t.graph);
	free(t.by_id);
	free(t.by_rank);
	free(t.stored);
	free(t.to);
	free(t.from);
	return differs;
}
