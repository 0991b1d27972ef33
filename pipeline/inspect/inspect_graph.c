/* inspect_graph.c - a graph as text, and checked. */
#include <stdlib.h>

#include "filetype.h"
#include "kith/graph.h"
#include "machine.h"
#include "text.h"
#include "workspace.h"

struct window {
	uint32_t *ids, *near_ids;
	double *dist2;
};

static void put_audit(const kith_graph_info *i, const kith_graph_audit *a, FILE *out)
{
	char recall[KITH_DOUBLE_TEXT], low[KITH_DOUBLE_TEXT], high[KITH_DOUBLE_TEXT];
	if (a->rows)
		fprintf(out, "# audit\tsamples\t%u\tseed\t%llu\n", a->rows, (unsigned long long)a->seed);
	for (uint32_t t = 0; a->rows && t < i->tiers; t++)
		fprintf(out, "# audit\tk\t%u\trecall\t%s\tlow\t%s\thigh\t%s\n", i->ladder[t],
			kith_double_text(a->recall[t], recall), kith_double_text(a->low[t], low),
			kith_double_text(a->high[t], high));
}

/* What the distances of near lists are kept in. */
static int is_single(const kith_graph_info *i)
{
	return i->near_bits == 24;
}

static const char *precision(const kith_graph_info *i)
{
	return is_single(i) ? "single" : "double";
}

/* What is known of ties: the rule and, if they were counted, a line for each k. */
static void put_ties(const kith_graph_info *i, FILE *out)
{
	fprintf(out, "# ties\t%s\n", kith_ties_name(i->ties));
	for (uint32_t t = 0; i->tied.counted && t < i->tiers; t++)
		fprintf(out, "# ties\tk\t%u\trows\t%llu\tmost\t%llu\n", i->ladder[t],
			(unsigned long long)i->tied.rows[t], (unsigned long long)i->tied.most[t]);
	if (i->tied.zero)
		fprintf(out, "# zero rows\t%llu\n", (unsigned long long)i->tied.zero);
}

/* The format that the activations were in, as kith_source_label says it at the end of their name; "" if it was .npy,
 * which it does not say. */
static const char *format_of(const kith_graph_info *i, char out[32])
{
	const char *open = strrchr(i->input, '('), *end = i->input + strlen(i->input) - 1;
	int length = open && *end == ')' ? (int)(end - open) - 1 : 0;
	snprintf(out, 32, "%.*s", length, open ? open + 1 : "");
	return out;
}

static void put_header(const kith_graph_info *i, const kith_graph_audit *a, FILE *out)
{
	char ladder[256], recall[KITH_DOUBLE_TEXT], format[32];
	fprintf(out, "# kith graph\n# n\t%llu\n# d\t%llu\n# k\t%s\n# metric\t%s\n# engine\t%s\n",
		(unsigned long long)i->n, (unsigned long long)i->d,
		kith_ladder_text(i->ladder, i->tiers, ladder, sizeof ladder), i->metric, i->engine);
	if (i->parameters[0])
		fprintf(out, "# parameters\t%s\n", i->parameters);
	fprintf(out, "# recall\t%s\n# digest\t%s\n", kith_double_text(i->recall, recall), i->digest);
	if (*format_of(i, format))
		fprintf(out, "# made from\t%s\n", format);
	put_ties(i, out);
	put_audit(i, a, out);
	fprintf(out, "# near\t%u%s%s\n", i->near, i->near ? "\tprecision\t" : "", i->near ? precision(i) : "");
	fputs("# node\tneighbour\tk\trank\tdist2\n", out);
}

/* A number for each k of the ladder. */
static void put_parts(kith_json *j, const char *name, const double *part, uint32_t tiers)
{
	kith_json_open(j, name, '[');
	for (uint32_t t = 0; t < tiers; t++)
		kith_json_number(j, part[t]);
	kith_json_end(j);
}

static void put_audit_json(const kith_graph_info *i, const kith_graph_audit *a, kith_json *j)
{
	if (!a->rows)
		return;
	kith_json_gap(j, "\n ");
	kith_json_open(j, "audit", '{');
	kith_json_put_count(j, "samples", a->rows);
	kith_json_put_count(j, "seed", a->seed);
	put_parts(j, "recall", a->recall, i->tiers);
	put_parts(j, "low", a->low, i->tiers);
	put_parts(j, "high", a->high, i->tiers);
	kith_json_end(j);
}

static void put_ties_json(const kith_graph_info *i, kith_json *j)
{
	kith_json_put_string(j, "ties", kith_ties_name(i->ties));
	for (int most = 0; i->tied.counted && most < 2; most++) {
		kith_json_open(j, most ? "tied_most" : "tied_rows", '[');
		for (uint32_t t = 0; t < i->tiers; t++)
			kith_json_count(j, (most ? i->tied.most : i->tied.rows)[t]);
		kith_json_end(j);
	}
	if (i->tied.zero)
		kith_json_put_count(j, "zero_rows", i->tied.zero);
}

static void begin_json(const kith_graph_info *i, const kith_graph_audit *a, kith_json *j)
{
	char format[32];
	kith_json_begin(j, '{');
	kith_json_put_string(j, "format", "kith-graph");
	kith_json_put_count(j, "version", 1);
	kith_json_put_count(j, "n", i->n);
	kith_json_put_count(j, "d", i->d);
	kith_show_ladder(j, i->ladder, i->tiers);
	kith_json_gap(j, "\n ");
	kith_json_put_string(j, "metric", i->metric);
	kith_json_put_string(j, "engine", i->engine);
	if (i->parameters[0])
		kith_json_put_string(j, "parameters", i->parameters);
	kith_json_put_number(j, "recall", i->recall);
	kith_json_put_string(j, "digest", i->digest);
	if (*format_of(i, format))
		kith_json_put_string(j, "made from", format);
	if (i->near)
		kith_json_put_string(j, "precision", precision(i));
	put_ties_json(i, j);
	put_audit_json(i, a, j);
	kith_json_gap(j, "\n ");
	kith_json_open(j, "nodes", '[');
}

/* One row: the near list in rank order, then the rest as stored. k is the smallest ladder k that includes the
 * neighbour; rank counts from 1, and is 0 (dist2 nan) where the store keeps none, so that every column is a number. */
static void put_row(const kith_graph_info *i, uint64_t node, const uint32_t *ids, const uint32_t *near_ids,
		    const double *dist2, FILE *out)
{
	char number[KITH_DOUBLE_TEXT];
	for (uint32_t r = 0, t = 0; r < i->near; r++) {
		while (r >= i->ladder[t])
			t++;
		fprintf(out, "%llu\t%u\t%u\t%u\t%s\n", (unsigned long long)node, near_ids[r], i->ladder[t], r + 1,
			is_single(i) ? kith_single_text(dist2[r], number) : kith_double_text(dist2[r], number));
	}
	for (uint32_t p = 0, t = 0; p < kith_info_k(i); p++) {
		int is_near = 0;
		while (p >= i->ladder[t])
			t++;
		for (uint32_t r = 0; r < i->near && !is_near; r++)
			is_near = near_ids[r] == ids[p];
		if (!is_near)
			fprintf(out, "%llu\t%u\t%u\t0\tnan\n", (unsigned long long)node, ids[p], i->ladder[t]);
	}
}

/* JSON has no infinity: a distance beyond a double is null. */
static void put_row_json(const kith_graph_info *i, uint64_t node, const uint32_t *ids, const uint32_t *near_ids,
			 const double *dist2, kith_json *j)
{
	kith_json_gap(j, "\n  ");
	kith_json_begin(j, '{');
	kith_json_put_count(j, "node", node);
	kith_json_open(j, "tiers", '[');
	for (uint32_t t = 0, p = 0; t < i->tiers; t++) {
		kith_json_begin(j, '[');
		for (; p < i->ladder[t]; p++)
			kith_json_count(j, ids[p]);
		kith_json_end(j);
	}
	kith_json_end(j);
	kith_json_open(j, "near", '[');
	for (uint32_t r = 0; r < i->near; r++) {
		kith_json_begin(j, '[');
		kith_json_count(j, near_ids[r]);
		if (is_single(i))
			kith_json_single(j, dist2[r]);
		else
			kith_json_number(j, dist2[r]);
		kith_json_end(j);
	}
	kith_json_end(j);
	kith_json_end(j);
}

/* As JSON, or else as rows. */
static int show_window(kith_graph *g, uint64_t first, uint64_t count, const struct window *w, kith_json *json,
		       FILE *out, kith_err *err)
{
	const kith_graph_info *i = kith_graph_get_info(g);
	size_t k = kith_info_k(i);
	int rc = kith_graph_read_rows(g, first, count, i->tiers, w->ids, err);
	if (rc || (rc = kith_graph_read_near(g, first, count, w->near_ids, w->dist2, err)))
		return rc;
	for (uint64_t r = 0; r < count; r++) {
		const uint32_t *ids = w->ids + r * k, *near = w->near_ids + r * i->near;
		if (json)
			put_row_json(i, first + r, ids, near, w->dist2 + r * i->near, json);
		else
			put_row(i, first + r, ids, near, w->dist2 + r * i->near, out);
	}
	return 0;
}

static int show(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_graph *g = NULL;
	struct window w;
	kith_workspace buffers = {0};
	void *memory = NULL;
	kith_json json = {.out = out};
	kith_graph_audit audit = {0};
	uint64_t last;
	int rc = kith_graph_open(&g, path, err);
	if (rc)
		return rc;
	const kith_graph_info *i = kith_graph_get_info(g);
	if ((rc = kith_show_last(path, o, i->n, &last, err)) || (rc = kith_graph_read_audit(g, &audit, err)))
		goto done;
	KITH_BUFFER(&buffers, w.ids, (uint64_t)i->block_nodes * kith_info_k(i));
	KITH_BUFFER(&buffers, w.near_ids, (uint64_t)i->block_nodes * i->near);
	KITH_BUFFER(&buffers, w.dist2, (uint64_t)i->block_nodes * i->near);
	if ((rc = kith_workspace_alloc(&buffers, &memory, "a window of rows", err)))
		goto done;
	if (o->json)
		begin_json(i, &audit, &json);
	else
		put_header(i, &audit, out);
	for (uint64_t first = o->first; !rc && first < last;) {
		/* up to the next block's start, so that no block is decoded twice */
		uint64_t count = i->block_nodes - first % i->block_nodes;
		count = count < last - first ? count : last - first;
		if (!(rc = kith_progress_tick(&o->progress, "nodes", first - o->first, last - o->first, err)))
			rc = show_window(g, first, count, &w, o->json ? &json : NULL, out, err);
		first += count;
	}
	if (!rc && o->json)
		kith_show_end_json(&json);
	rc = rc ? rc : kith_graph_unchanged(g, err);
done:
	free(audit.memory);
	free(memory);
	kith_graph_close(g);
	return rc;
}

static int check(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_graph *graph;
	int rc = kith_graph_open(&graph, path, err);
	if (rc)
		return rc;
	rc = kith_graph_check(graph, kith_machine_budget(256u << 20), kith_machine_cores(), progress, err);
	rc = rc ? rc : kith_graph_unchanged(graph, err);
	kith_graph_close(graph);
	return rc;
}

/* A file that was cut off has no tail and counts as a graph, which the store then says is truncated. */
static int recognise(const char *path, const kith_file_ends *ends)
{
	(void)path;
	return kith_is_lmdb(ends);
}

const kith_filetype kith_graph_file = {recognise, show, .check = check};
