/* show.c - see show.h */
#include "show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activations.h"
#include "alloc.h"
#include "filetype.h"
#include "kith/dynamics.h"
#include "kith/graph.h"
#include "kith/stack.h"
#include "text.h"

int kith_show_nodes_check(const char *path, const kith_show_options *o, uint64_t last, uint64_t n, kith_err *err)
{
	if (o->first <= last && last <= n)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s: --nodes %llu:%llu, but there are 0:%llu", path,
			 (unsigned long long)o->first, (unsigned long long)last, (unsigned long long)n);
}

/* ---- graphs ---- */

struct window {
	uint32_t *ids, *near_ids;
	double *dist2;
};

static void graph_header(const kith_graph_info *i, int json, FILE *out)
{
	char ladder[256], recall[KITH_DOUBLE_TEXT];
	kith_ladder_text(i->ladder, i->tiers, ladder, sizeof ladder);
	kith_double_text(i->recall, recall);
	if (!json) {
		fprintf(out,
			"# kith graph\n# n\t%llu\n# d\t%llu\n# k\t%s\n# metric\t%s\n# engine\t%s\n# recall\t%s\n"
			"# digest\t%s\n# node\tneighbour\tk\trank\tdist2\n",
			(unsigned long long)i->n, (unsigned long long)i->d, ladder, i->metric, i->engine, recall,
			i->digest);
		return;
	}
	fprintf(out,
		"{\"format\": \"kith-graph\", \"version\": 1, \"n\": %llu, \"d\": %llu, \"k\": [%s],\n \"metric\": ",
		(unsigned long long)i->n, (unsigned long long)i->d, ladder);
	kith_put_json(out, i->metric);
	fputs(", \"engine\": ", out);
	kith_put_json(out, i->engine);
	fprintf(out, ", \"recall\": %s, \"digest\": ", recall);
	kith_put_json(out, i->digest);
	fputs(",\n \"nodes\": [\n", out);
}

/* One row: the near list in rank order, then the rest as stored. k is the smallest ladder k that includes the
 * neighbour; rank counts from 1, and is 0 (dist2 nan) where the store keeps none, so that every column is a number. */
static void graph_row_tsv(const kith_graph_info *i, uint64_t node, const uint32_t *ids, const uint32_t *near_ids,
			  const double *dist2, FILE *out)
{
	char number[KITH_DOUBLE_TEXT];
	for (uint32_t r = 0, t = 0; r < i->near; r++) {
		while (r >= i->ladder[t])
			t++;
		kith_double_text(dist2[r], number);
		fprintf(out, "%llu\t%u\t%u\t%u\t%s\n", (unsigned long long)node, near_ids[r], i->ladder[t], r + 1,
			number);
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

static void graph_row_json(const kith_graph_info *i, uint64_t node, const uint32_t *ids, const uint32_t *near_ids,
			   const double *dist2, int last, FILE *out)
{
	char number[KITH_DOUBLE_TEXT];
	fprintf(out, "  {\"node\": %llu, \"tiers\": [", (unsigned long long)node);
	for (uint32_t t = 0, p = 0; t < i->tiers; t++) {
		fputs(t ? ", [" : "[", out);
		for (uint32_t from = p; p < i->ladder[t]; p++)
			fprintf(out, p > from ? ", %u" : "%u", ids[p]);
		fputc(']', out);
	}
	fputs("], \"near\": [", out);
	for (uint32_t r = 0; r < i->near; r++) {
		kith_double_text(dist2[r], number);
		/* JSON has no infinity, and a distance can be beyond a double */
		fprintf(out, "%s[%u, %s]", r ? ", " : "", near_ids[r], isinf(dist2[r]) ? "null" : number);
	}
	fputs(last ? "]}\n" : "]},\n", out);
}

static int show_window(kith_graph *g, const kith_show_options *o, uint64_t first, uint64_t count, uint64_t last,
		       struct window *w, FILE *out, kith_err *err)
{
	const kith_graph_info *i = kith_graph_get_info(g);
	size_t k = kith_info_k(i);
	int rc = kith_graph_read_rows(g, first, count, i->tiers, w->ids, err);
	if (rc || (rc = kith_graph_read_near(g, first, count, w->near_ids, w->dist2, err)))
		return rc;
	for (uint64_t r = 0; r < count; r++) {
		const uint32_t *ids = w->ids + r * k, *near = w->near_ids + r * i->near;
		if (o->json)
			graph_row_json(i, first + r, ids, near, w->dist2 + r * i->near, first + r + 1 == last, out);
		else
			graph_row_tsv(i, first + r, ids, near, w->dist2 + r * i->near, out);
	}
	return 0;
}

static int show_graph(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_graph *g = NULL;
	struct window w = {0};
	int rc = kith_graph_open(&g, path, err);
	if (rc)
		return rc;
	const kith_graph_info *i = kith_graph_get_info(g);
	uint64_t last = o->last == UINT64_MAX ? i->n : o->last;
	if ((rc = kith_show_nodes_check(path, o, last, i->n, err)))
		goto done;
	w.ids = kith_alloc((size_t)i->block_nodes * kith_info_k(i), sizeof *w.ids);
	w.near_ids = kith_alloc((size_t)i->block_nodes * i->near, sizeof *w.near_ids);
	w.dist2 = kith_alloc((size_t)i->block_nodes * i->near, sizeof *w.dist2);
	if (!w.ids || !w.near_ids || !w.dist2) {
		rc = kith_fail_nomem(err, "a window of rows", i->block_nodes * 4ull * kith_info_k(i));
		goto done;
	}
	graph_header(i, o->json, out);
	for (uint64_t first = o->first; !rc && first < last;) {
		/* up to the next block's start, so that no block is decoded twice */
		uint64_t count = i->block_nodes - first % i->block_nodes;
		count = count < last - first ? count : last - first;
		if (!(rc = kith_progress_tick(&o->progress, "nodes", first - o->first, last - o->first, err)))
			rc = show_window(g, o, first, count, last, &w, out, err);
		first += count;
	}
	if (!rc && o->json)
		fputs(" ]}\n", out);
done:
	free(w.ids);
	free(w.near_ids);
	free(w.dist2);
	kith_graph_close(g);
	return rc;
}

/* ---- stacks ---- */

/* Long format, one value a row, as R and pandas like it. */
struct table {
	const kith_stack *stack;
	uint32_t k;
	const char *graph; /* "-" where it does not matter */
	FILE *out;
};

static void put_place(const struct table *t, const char *measure, const char *alpha, size_t first, size_t last)
{
	fprintf(t->out, "%s\t%u\t%s\t%s\t%s\t%s\t", measure, t->k, t->graph, alpha, t->stack->layers[first].name,
		t->stack->layers[last].name);
}

static void put_value(const struct table *t, const char *measure, size_t first, size_t last, double value, double error)
{
	char text[KITH_DOUBLE_TEXT], error_text[KITH_DOUBLE_TEXT];
	put_place(t, measure, "-", first, last);
	fprintf(t->out, "%s\t%s\n", kith_double_text(value, text), kith_double_text(error, error_text));
}

static void put_count(const struct table *t, const char *measure, const char *alpha, size_t first, size_t last,
		      uint64_t count)
{
	put_place(t, measure, alpha, first, last);
	fprintf(t->out, "%llu\t0\n", (unsigned long long)count);
}

static void put_nnts(const kith_stack *s, const kith_nnts *m, FILE *out)
{
	struct table t = {s, m->k, "-", out};
	size_t L = s->layer_count;
	double expected = kith_nnts_expected(s->n, m->k);
	char text[KITH_DOUBLE_TEXT];
	for (size_t i = 0; i < L * L; i++)
		put_value(&t, "nnts", i / L, i % L, m->mean[i], m->std_err[i]);
	fprintf(out, "expected\t%u\t-\t-\t-\t-\t%s\t0\n", m->k, kith_double_text(expected, text));
	for (size_t i = 0; i < L * L; i++)
		put_value(&t, "corrected", i / L, i % L, kith_nnts_corrected(m->mean[i], expected),
			  expected < 1 ? m->std_err[i] / (1 - expected) : NAN);
	for (size_t i = 0; m->overlap && i < L * L; i++)
		put_value(&t, "overlap", i / L, i % L, m->overlap[i], m->overlap_err[i]);
}

static void put_dynamics(const struct table *t, const kith_dynamics *d)
{
	size_t L = d->layers;
	for (size_t v = 0; v < L; v++) {
		put_count(t, "births", "-", v, v, d->births[v]);
		put_count(t, "deaths", "-", v, v, d->deaths[v]);
		if (v + 1 < L)
			put_count(t, "survivors", "-", v, v + 1, d->survivors[v]);
		put_value(t, "removal", v, v, d->removal[v], 0);
	}
	for (size_t a = 0; a < L; a++)
		for (size_t b = a; b < L; b++) {
			put_count(t, "survival", "-", a, b, d->survival[a * L + b]);
			put_value(t, "share", a, b, d->share[a * L + b], 0);
		}
	for (size_t b = 0; b < L; b++)
		for (size_t g = 1; g <= d->gaps && b + g + 1 < L; g++)
			put_count(t, "returns", "-", b, b + g + 1, d->returns[b * d->gaps + g - 1]);
}

static int put_nntp(const kith_stack *s, size_t table, FILE *out, kith_err *err)
{
	const kith_nntp *p = &s->nntp[table];
	struct table t = {s, p->k, p->graph == KITH_UNION ? "union" : "mutual", out};
	kith_dynamics d;
	size_t L = s->layer_count;
	char alpha[16];
	int rc;
	snprintf(alpha, sizeof alpha, "%u", p->alpha);
	for (size_t i = 0; i < L * L; i++)
		if (i / L <= i % L)
			put_count(&t, "nntp", alpha, i / L, i % L, p->count[i]);
	if (p->alpha)
		return 0;
	for (size_t v = 0; v < L; v++)
		put_count(&t, "pairs", "-", v, v, p->pairs[v]);
	if ((rc = kith_dynamics_make(&d, s, table, err)))
		return rc;
	put_dynamics(&t, &d);
	kith_dynamics_free(&d);
	return 0;
}

static int stack_tsv(const kith_stack *s, FILE *out, kith_err *err)
{
	int rc = 0;
	fprintf(out, "# kith stack\n# n\t%llu\n# layers\t%zu\n", (unsigned long long)s->n, s->layer_count);
	fputs("# measure\tk\tgraph\talpha\tfirst\tlast\tvalue\tstderr\n", out);
	for (size_t q = 0; q < s->nnts_count; q++)
		put_nnts(s, &s->nnts[q], out);
	for (size_t i = 0; i < s->nntp_count && !rc; i++)
		rc = put_nntp(s, i, out, err);
	return rc;
}

/* ---- activations ---- */

static int show_npy(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_activations *a = NULL;
	double *row = NULL;
	char number[KITH_DOUBLE_TEXT];
	int rc = kith_activations_open(&a, path, err);
	if (rc)
		return rc;
	const kith_activations_info *i = kith_activations_get_info(a);
	uint64_t n = i->n, d = i->d, last = o->last == UINT64_MAX ? n : o->last;
	if ((rc = kith_show_nodes_check(path, o, last, n, err)))
		goto done;
	if (!(row = kith_alloc(d, sizeof *row))) {
		rc = kith_fail_nomem(err, "a row", d * sizeof *row);
		goto done;
	}
	fprintf(out,
		o->json ? "{\"n\": %llu, \"d\": %llu, \"dtype\": \"%s\", \"rows\": [\n"
			: "# activations\n# n\t%llu\n# d\t%llu\n# dtype\t%s\n",
		(unsigned long long)n, (unsigned long long)d, kith_dtype_name(i->dtype));
	for (uint64_t r = o->first; r < last; r++) {
		if ((rc = kith_progress_tick(&o->progress, "rows", r - o->first, last - o->first, err)) ||
		    (rc = kith_activations_read(a, r, 1, row, NULL, err)))
			goto done;
		for (uint64_t t = 0; t < d; t++)
			fprintf(out, "%s%s", t ? (o->json ? ", " : "\t") : (o->json ? " [" : ""),
				o->json && !isfinite(row[t]) ? "null" : kith_double_text(row[t], number));
		fputs(!o->json ? "\n" : r + 1 < last ? "],\n" : "]\n", out);
	}
	if (o->json)
		fputs(" ]}\n", out);
done:
	free(row);
	kith_activations_close(a);
	return rc;
}

static int copy_file(const char *path, FILE *out, kith_err *err)
{
	char buffer[1 << 16];
	size_t got;
	FILE *file = fopen(path, "re");
	if (!file)
		return kith_fail_errno(err, "%s: cannot open", path);
	while ((got = fread(buffer, 1, sizeof buffer, file)))
		fwrite(buffer, 1, got, out);
	fclose(file);
	return 0;
}

int kith_show(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	kith_filetype type;
	kith_stack *stack;
	int rc = kith_filetype_of(path, &type, err);
	if (rc)
		return rc;
	switch (type) {
	case KITH_FILE_GRAPH:
		rc = show_graph(path, o, out, err);
		break;
	case KITH_FILE_PAIRS:
		rc = kith_show_pairs(path, o, out, err);
		break;
	case KITH_FILE_STACK:
		if (o->json) { /* it is JSON already */
			if (!(rc = kith_stack_verify(path, err)))
				rc = copy_file(path, out, err);
			break;
		}
		if ((rc = kith_stack_read(&stack, path, err)))
			break;
		rc = stack_tsv(stack, out, err);
		kith_stack_free(stack);
		break;
	case KITH_FILE_NPY:
		rc = show_npy(path, o, out, err);
		break;
	}
	if (!rc && (fflush(out) || ferror(out)))
		rc = kith_fail_errno(err, "cannot write the output");
	return rc;
}
