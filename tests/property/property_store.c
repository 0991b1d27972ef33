/* property_store.c - random graphs written to disk and read back in odd windows: every number survives, reverse lists
 * and pairs are the ones that the definitions give, and rows that break their contract are refused. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

/* Some shapes of graph, because gap codes and bitmaps see clustered, far and popular ids differently. */
typedef enum shape { RANDOM, BANDED, HUBS, TOP_IDS, SHARED, SHAPES } shape;

static int by_key(const void *left, const void *right)
{
	const double *a = left, *b = right;
	return a[0] != b[0] ? (a[0] < b[0] ? -1 : 1) : 0;
}

/* Orders all nodes but i by a key (ties broken by noise in the key) and keeps the first `width`. */
static void draw_row(shape kind, size_t n, size_t i, size_t width, double (*order)[2], uint32_t *row, rng *r)
{
	size_t found = 0;
	for (size_t j = 0; j < n; j++) {
		double key = rng_unit(r), noise = rng_unit(r);
		if (kind == BANDED)
			key = fabs((double)j - (double)i) + 3 * noise;
		else if (kind == HUBS)
			key = (double)j + 5 * noise;
		else if (kind == TOP_IDS)
			key = (double)(n - j) + 2 * noise;
		else if (kind == SHARED) /* groups of nodes that all name each other */
			key = (double)(j / (width + 1) != i / (width + 1)) + noise;
		order[found][0] = key;
		order[found][1] = (double)j;
		found += j != i;
	}
	qsort(order, found, sizeof *order, by_key);
	for (size_t s = 0; s < width; s++)
		row[s] = (uint32_t)order[s][1];
}

/* Ascending, with repeats, zeros and the ends of what a double holds; whole numbers now and then. */
static void draw_dist2(double *dist2, size_t width, rng *r)
{
	if (rng_chance(r, 20)) {
		unsigned step = 1u << rng_below(r, 24);
		dist2[0] = (double)rng_below(r, step);
		for (size_t s = 1; s < width; s++)
			dist2[s] = dist2[s - 1] + (double)rng_below(r, step);
		return;
	}
	double at = rng_chance(r, 50) ? 0 : rng_unit(r) * exp2((double)rng_below(r, 600) - 300);
	if (rng_chance(r, 5))
		at = 0x1p-1074;
	for (size_t s = 0; s < width; s++) {
		dist2[s] = at;
		if (rng_chance(r, 70))
			at += rng_unit(r) * (at > 0 ? at : 1);
		if (at < DBL_MAX && rng_chance(r, 1))
			at = rng_chance(r, 50) ? DBL_MAX : INFINITY;
	}
}

static int by_id(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return a < b ? -1 : a > b;
}

/* Rank order is by distance, then id. */
static void order_ties(const double *dist2, uint32_t *row, size_t width)
{
	for (size_t from = 0, to; from < width; from = to) {
		for (to = from; to < width && dist2[to] == dist2[from];)
			to++;
		qsort(row + from, to - from, sizeof *row, by_id);
	}
}

static void draw_info(kith_graph_info *info, rng *r)
{
	static const uint32_t blocks[] = {0, 0, 1, 2, 8, 64, 512, 4096};
	uint32_t k;
	memset(info, 0, sizeof *info);
	info->n = rng_between(r, 2, rng_chance(r, 15) ? 1200 : rng_chance(r, 50) ? 200 : 20);
	info->d = rng_between(r, 1, 100000000);
	info->tiers = slow_random_ladder(r, info->n > 400 && rng_chance(r, 60) ? 40 : (uint32_t)info->n - 1,
					 rng_chance(r, 10) ? KITH_MAX_TIERS : 4, info->ladder);
	k = info->ladder[info->tiers - 1];
	info->near = rng_chance(r, 20) ? 0 : (uint32_t)rng_between(r, 1, rng_chance(r, 30) ? k : (k + 3) / 4);
	info->block_nodes = blocks[rng_below(r, 8)];
	info->near_nodes = rng_chance(r, 50) ? 0 : blocks[rng_below(r, 8)];
	if (info->near_nodes && info->near_nodes < info->block_nodes)
		info->near_nodes = info->block_nodes;
	info->recall = rng_chance(r, 50) ? 1 : rng_unit(r);
	strcpy(info->metric, rng_chance(r, 50) ? "l2" : "cosine");
	info->ties = rng_chance(r, 50) ? KITH_TIES_CONTENT : KITH_TIES_INDEX;
	info->tied.counted = rng_chance(r, 50);
	info->tied.zero = info->tied.counted ? rng_below(r, info->n + 1) : 0;
	for (uint32_t t = 0; info->tied.counted && t < info->tiers; t++)
		if (info->ladder[t] >= info->near && info->n > 2 &&
		    rng_chance(r, 50)) { /* else near lists know better */
			info->tied.rows[t] = rng_between(r, 1, info->n);
			info->tied.most[t] = rng_between(r, 2, info->n - 1);
		}
	strcpy(info->engine, "exact");
	strcpy(info->digest, "xxh3:0123456789abcdef");
	strcpy(info->command, "property_store \"quoted\" \\ \t and so on");
}

static int info_text_differs(const char *path, const kith_graph_info *info, char *why, size_t size)
{
	kith_graph *graph = NULL;
	kith_err err = {0};
	const kith_graph_info *got;
	int differs = 0;
	if (kith_graph_open(&graph, path, &err))
		return snprintf(why, size, "open: %s", err.msg) > 0;
	got = kith_graph_get_info(graph);
	if (strcmp(got->command, info->command) || strcmp(got->input, info->input) ||
	    strcmp(got->parameters, info->parameters) || strcmp(got->version, KITH_VERSION) ||
	    strcmp(kith_graph_path(graph), path))
		differs = snprintf(why, size, "a text of the header changed") > 0;
	kith_graph_close(graph);
	return differs;
}

/* Breaks one row in one of the ways that kith_graph_append promises to notice. */
static void break_row(const kith_graph_info *info, size_t width, uint32_t *ranks, rng *r)
{
	uint64_t i = rng_below(r, info->n);
	uint32_t *row = ranks + i * width, from, end, tier = (uint32_t)rng_below(r, info->tiers);
	from = tier ? info->ladder[tier - 1] : 0;
	end = info->ladder[tier];
	switch (end - from > 1 ? rng_below(r, 3) : rng_below(r, 2)) {
	case 0:
		row[rng_between(r, from, end - 1)] = rng_chance(r, 50) ? (uint32_t)info->n : UINT32_MAX;
		break;
	case 1:
		row[rng_between(r, from, end - 1)] = (uint32_t)i;
		break;
	default:
		row[end - 1] = row[from];
	}
}

/* Breaks an audit in one of the ways that kith_graph_put_audit promises to notice. */
static void break_audit(const kith_graph_info *info, kith_graph_audit *audit, rng *r)
{
	uint32_t k = info->ladder[info->tiers - 1], a = (uint32_t)rng_below(r, audit->rows);
	uint32_t *row = audit->exact + (size_t)a * k, t = (uint32_t)rng_below(r, info->tiers);
	switch (rng_below(r, 6)) {
	case 0:
		row[rng_below(r, k)] = audit->id[a];
		break;
	case 1:
		row[rng_below(r, k)] = (uint32_t)info->n;
		break;
	case 2:
		audit->id[a] = a ? audit->id[a - 1] : (uint32_t)info->n;
		break;
	case 3:
		audit->high[t] = 1;
		break;
	case 4:
		audit->low[t] = nextafter(audit->recall[t], 1);
		break;
	default:
		if (k > 1)
			row[k - 1] = row[0];
		else
			audit->high[t] = NAN;
	}
}

/* An audit of a truth from which the graph's rows differ here and there. */
static void draw_audit(const kith_graph_info *info, size_t width, const uint32_t *ranks, rng *r,
		       kith_graph_audit *audit)
{
	uint32_t *truth = must_alloc(info->n * width, sizeof *truth);
	double(*order)[2] = must_alloc(info->n + 1, sizeof *order);
	unsigned changed = rng_chance(r, 20) ? 0 : (unsigned)rng_below(r, 101);
	memcpy(truth, ranks, info->n * width * sizeof *truth);
	for (uint64_t i = 0; i < info->n; i++)
		if (rng_chance(r, changed))
			draw_row((shape)rng_below(r, SHAPES), info->n, i, width, order, truth + i * width, r);
	slow_audit(info, width, truth, ranks,
		   (uint32_t)rng_between(r, 1, rng_chance(r, 10) ? info->n : (info->n + 3) / 4), r, audit);
	free(truth);
	free(order);
}

/* A graph whose recall is not what its audit and rows say is not what it should be. */
static int lie_is_missed(const char *path, const kith_graph_info *info, size_t width, const uint32_t *ranks,
			 const double *dist2, kith_graph_audit *audit, rng *r, char *why, size_t size)
{
	kith_graph *graph = NULL;
	kith_err err = {0};
	uint32_t t = (uint32_t)rng_below(r, info->tiers);
	audit->recall[t] *= 0.9;
	audit->low[t] *= 0.9;
	int honest = audit->recall[t] == 0;
	int status = slow_graph_write(path, info, width, ranks, dist2, audit, (uint64_t)64 << 20, r, &err);
	if (!status && !(status = kith_graph_open(&graph, path, &err)))
		status = kith_graph_check(graph, (uint64_t)16 << 20, 2, NULL, &err);
	kith_graph_close(graph);
	if (status != (honest ? 0 : KITH_ECORRUPT))
		return snprintf(why, size, "a recall that is not true: status %d, \"%.900s\"", status, err.msg) > 0;
	return 0;
}

/* Writes the graph once more, its rows in other portions and by other threads: the same bytes. */
static int bytes_differ(const char *path, const kith_graph_info *info, size_t width, const uint32_t *ranks,
			const double *dist2, const kith_graph_audit *audit, uint64_t memory, rng *r, char *why,
			size_t size)
{
	char again[SANDBOX_PATH];
	kith_err err = {0};
	size_t one, other;
	if (slow_graph_write(sandbox_path(again, "again.nng"), info, width, ranks, dist2, audit, memory, r, &err))
		return snprintf(why, size, "once more: %.900s", err.msg) > 0;
	unsigned char *a = sandbox_read(path, &one), *b = sandbox_read(again, &other);
	int differs = one != other || memcmp(a, b, one) != 0;
	free(a);
	free(b);
	remove(again);
	return differs && snprintf(why, size, "other bytes, once more") > 0;
}

static int round_store(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	kith_graph_info info;
	kith_err err = {0};
	char path[SANDBOX_PATH], what[1024] = "";
	draw_info(&info, &r);
	size_t width = info.ladder[info.tiers - 1], entries;
	uint32_t *ranks = must_alloc(info.n * width, sizeof *ranks);
	double *dist2 = must_alloc(info.n * width, sizeof *dist2), (*order)[2] = must_alloc(info.n + 1, sizeof *order);
	shape kind = (shape)rng_below(&r, SHAPES);
	uint64_t memory = (rng_chance(&r, 50) ? (uint64_t)4 << 20 : (uint64_t)256 << 20) + 8 * info.n;
	int broken = rng_chance(&r, 15), broken_audit = !broken && rng_chance(&r, 10), status, differs = 0;
	kith_graph_audit audit = {0};
	for (uint64_t i = 0; i < info.n; i++) {
		draw_row(kind, info.n, i, width, order, ranks + i * width, &r);
		draw_dist2(dist2 + i * width, width, &r);
		order_ties(dist2 + i * width, ranks + i * width, width);
	}
	if (broken)
		break_row(&info, width, ranks, &r);
	if (!broken && (broken_audit || rng_chance(&r, 30))) {
		draw_audit(&info, width, ranks, &r, &audit);
		if (broken_audit)
			break_audit(&info, &audit, &r);
	}
	broken |= broken_audit;
	remove(sandbox_path(path, "graph.nng"));
	entries = sandbox_entries();
	status = slow_graph_write(path, &info, width, ranks, dist2, &audit, memory, &r, &err);
	if (audit.rows)
		info.recall = audit.recall[info.tiers - 1];
	if (broken && (status != KITH_EBUG || !err.msg[0]))
		differs = snprintf(what, sizeof what, "a broken row or audit: status %d, \"%.900s\"", status, err.msg) >
			  0;
	else if (!broken && status)
		differs = snprintf(what, sizeof what, "status %d: %.900s", status, err.msg) > 0;
	else if (sandbox_entries() != entries + !broken)
		differs = snprintf(what, sizeof what, "something is left behind") > 0;
	else if (!broken)
		differs = info_text_differs(path, &info, what, sizeof what) ||
			  slow_graph_differs(path, &info, width, ranks, dist2, &r, what, sizeof what) ||
			  slow_audit_differs(path, &info, &audit, what, sizeof what) ||
			  bytes_differ(path, &info, width, ranks, dist2, &audit, memory, &r, what, sizeof what) ||
			  (audit.rows && rng_chance(&r, 20) &&
			   lie_is_missed(path, &info, width, ranks, dist2, &audit, &r, what, sizeof what));
	if (differs)
		snprintf(why, size, "shape %d, n=%llu, %u tiers to %zu, near %u, block %u, memory %llu: %s", (int)kind,
			 (unsigned long long)info.n, info.tiers, width, info.near, info.block_nodes,
			 (unsigned long long)memory, what);
	free(ranks);
	free(dist2);
	free(order);
	free(audit.memory);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_store", property_start(argc, argv, 1000), round_store);
}
