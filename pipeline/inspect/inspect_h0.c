/* inspect_h0.c - generators as text, or as rows for a classifier, and checked. */
#include <stdlib.h>

#include "activations.h"
#include "alloc.h"
#include "filetype.h"
#include "kith/generators.h"
#include "text.h"

/* What is being written. */
typedef struct showing {
	kith_h0_store *store;
	const kith_h0_info *info;
	const kith_show_options *options;
	kith_h0_samples samples;
	kith_h0_scratch scratch;
	double *labels;                    /* of all samples, or NULL */
	uint32_t *positions, *basin_edges; /* of one sample's edges, and of its classes */
	size_t position_capacity, basin_capacity;
	kith_json json; /* also for its stream */
} showing;

static void put_header(const showing *s)
{
	const kith_h0_info *i = s->info;
	FILE *out = s->json.out;
	char keep[KITH_DOUBLE_TEXT];
	fprintf(out, "# kith generators\n# n\t%llu\n# keep\t%s\n# values\t%s\n# digest\t%s\n", (unsigned long long)i->n,
		kith_double_text(i->keep, keep), i->values ? "all" : "births and deaths", i->digest);
	for (uint32_t l = 0; l < i->layer_count; l++)
		fprintf(out, "# layer\t%s\tunits\t%llu\tdigest\t%s\n", i->layers[l].name,
			(unsigned long long)i->layers[l].units, i->layers[l].digest);
	for (uint32_t o = 0; o < i->op_count; o++) {
		const kith_op *op = &i->ops[o];
		fprintf(out, "# op\t%s\tfrom\t%s\tto\t%s\tbase\t%llu\tfan_in\t%llu\tdigest\t%s\n",
			kith_op_kind_name(op->kind), i->layers[op->from].name, i->layers[op->to].name,
			(unsigned long long)op->base, (unsigned long long)op->fan_in, op->digest);
	}
	if (s->options->h0.what == KITH_SHOW_CLASSES)
		fputs("# sample\tclass\tbirth\tdeath\tlifetime\tparent\tedges\tbirth edge\tdeath edge\n", out);
	else
		fputs("# sample\tfrom\tunit\tto\tunit\tphi\tclass\n", out);
}

static void begin_json(showing *s)
{
	const kith_h0_info *i = s->info;
	kith_json *j = &s->json;
	kith_json_begin(j, '{');
	kith_json_put_string(j, "format", "kith-generators");
	kith_json_put_count(j, "version", 1);
	kith_json_put_count(j, "n", i->n);
	kith_json_put_number(j, "keep", i->keep);
	kith_json_put_string(j, "values", i->values ? "all" : "births and deaths");
	kith_json_put_string(j, "digest", i->digest);
	kith_json_gap(j, "\n ");
	kith_json_open(j, "layers", '[');
	for (uint32_t l = 0; l < i->layer_count; l++) {
		kith_json_gap(j, "\n  ");
		kith_json_begin(j, '{');
		kith_json_put_string(j, "name", i->layers[l].name);
		kith_json_put_count(j, "units", i->layers[l].units);
		kith_json_put_string(j, "digest", i->layers[l].digest);
		kith_json_end(j);
	}
	kith_json_end(j);
	kith_json_gap(j, "\n ");
	kith_json_open(j, "ops", '[');
	for (uint32_t o = 0; o < i->op_count; o++) {
		kith_json_gap(j, "\n  ");
		kith_json_begin(j, '{');
		kith_json_put_string(j, "op", kith_op_kind_name(i->ops[o].kind));
		kith_json_put_string(j, "from", i->layers[i->ops[o].from].name);
		kith_json_put_string(j, "to", i->layers[i->ops[o].to].name);
		kith_json_put_count(j, "base", i->ops[o].base);
		kith_json_put_count(j, "fan_in", i->ops[o].fan_in);
		kith_json_put_string(j, "digest", i->ops[o].digest);
		kith_json_end(j);
	}
	kith_json_end(j);
	kith_json_gap(j, "\n ");
	kith_json_open(j, "rows", '[');
}

/* "C2:17>F1:203". The store has checked that there is such an edge. */
static const char *edge_text(const showing *s, uint64_t id, char *out, size_t size)
{
	kith_edge edge = {0};
	kith_edge_find(s->info, id, &edge);
	const kith_op *op = &s->info->ops[edge.op];
	snprintf(out, size, "%s:%u>%s:%u", s->info->layers[op->from].name, edge.source, s->info->layers[op->to].name,
		 edge.target);
	return out;
}

/* ---- rows ---- */

static void put_class(showing *s, uint32_t k, uint64_t class_, uint32_t edges)
{
	const kith_h0_class *c = &s->samples.classes[s->samples.class_at[k] + class_];
	const uint64_t *id = s->samples.edge + s->samples.edge_at[k];
	char birth[KITH_DOUBLE_TEXT], death[KITH_DOUBLE_TEXT], life[KITH_DOUBLE_TEXT], text[512];
	FILE *out = s->json.out;
	fprintf(out, "%llu\t%llu\t%s\t%s\t%s\t", (unsigned long long)(s->samples.first + k), (unsigned long long)class_,
		kith_double_text(c->birth_value, birth), kith_double_text(c->death_value, death),
		kith_double_text(c->birth_value - c->death_value, life));
	if (c->parent == KITH_NO_CLASS)
		fputc('-', out);
	else
		fprintf(out, "%u", c->parent);
	fprintf(out, "\t%u\t%s\t", edges, edge_text(s, id[c->birth], text, sizeof text));
	fprintf(out, "%s\n", c->death == KITH_NO_CLASS ? "-" : edge_text(s, id[c->death], text, sizeof text));
}

static void put_class_json(showing *s, uint32_t k, uint64_t class_, uint32_t edges)
{
	const kith_h0_class *c = &s->samples.classes[s->samples.class_at[k] + class_];
	const uint64_t *id = s->samples.edge + s->samples.edge_at[k];
	kith_json *j = &s->json;
	char text[512];
	kith_json_gap(j, "\n  ");
	kith_json_begin(j, '{');
	kith_json_put_count(j, "sample", s->samples.first + k);
	kith_json_put_count(j, "class", class_);
	kith_json_put_number(j, "birth", c->birth_value);
	kith_json_put_number(j, "death", c->death_value);
	kith_json_put_number(j, "lifetime", kith_h0_lifetime(c));
	kith_json_key(j, "parent");
	if (c->parent == KITH_NO_CLASS)
		kith_json_null(j);
	else
		kith_json_count(j, c->parent);
	kith_json_put_count(j, "edges", edges);
	kith_json_put_string(j, "birth_edge", edge_text(s, id[c->birth], text, sizeof text));
	kith_json_key(j, "death_edge");
	if (c->death == KITH_NO_CLASS)
		kith_json_null(j);
	else
		kith_json_string(j, edge_text(s, id[c->death], text, sizeof text));
	kith_json_end(j);
}

static int put_classes(showing *s, uint32_t k, kith_err *err)
{
	uint64_t classes = s->samples.class_at[k + 1] - s->samples.class_at[k];
	int rc = KITH_SCRATCH(s->basin_edges, s->basin_capacity, classes, err);
	if (rc)
		return rc;
	for (uint64_t c = 0; c < classes; c++)
		s->basin_edges[c] = 0;
	for (uint64_t e = s->samples.edge_at[k]; e < s->samples.edge_at[k + 1]; e++)
		if (s->samples.basin[e] != KITH_NO_CLASS)
			s->basin_edges[s->samples.basin[e]]++;
	for (uint64_t c = 0; c < classes; c++) {
		if (s->options->json)
			put_class_json(s, k, c, s->basin_edges[c]);
		else
			put_class(s, k, c, s->basin_edges[c]);
	}
	return 0;
}

static void put_edge(showing *s, uint32_t k, uint64_t e)
{
	const kith_h0_info *i = s->info;
	kith_edge edge = {0};
	char phi[KITH_DOUBLE_TEXT];
	uint32_t basin = s->samples.basin[e];
	FILE *out = s->json.out;
	kith_edge_find(i, s->samples.edge[e], &edge);
	const kith_op *op = &i->ops[edge.op];
	fprintf(out, "%llu\t%s\t%u\t%s\t%u\t%s\t", (unsigned long long)(s->samples.first + k), i->layers[op->from].name,
		edge.source, i->layers[op->to].name, edge.target,
		s->samples.phi[e] > 0 ? kith_double_text(s->samples.phi[e], phi) : "-");
	if (basin == KITH_NO_CLASS)
		fputs("-\n", out);
	else
		fprintf(out, "%u\n", basin);
}

static void put_edge_json(showing *s, uint32_t k, uint64_t e)
{
	const kith_h0_info *i = s->info;
	kith_edge edge = {0};
	kith_json *j = &s->json;
	kith_edge_find(i, s->samples.edge[e], &edge);
	kith_json_gap(j, "\n  ");
	kith_json_begin(j, '{');
	kith_json_put_count(j, "sample", s->samples.first + k);
	kith_json_put_string(j, "from", i->layers[i->ops[edge.op].from].name);
	kith_json_put_count(j, "source", edge.source);
	kith_json_put_string(j, "to", i->layers[i->ops[edge.op].to].name);
	kith_json_put_count(j, "target", edge.target);
	kith_json_key(j, "phi");
	if (s->samples.phi[e] > 0)
		kith_json_number(j, s->samples.phi[e]);
	else
		kith_json_null(j);
	kith_json_key(j, "class");
	if (s->samples.basin[e] == KITH_NO_CLASS)
		kith_json_null(j);
	else
		kith_json_count(j, s->samples.basin[e]);
	kith_json_end(j);
}

static void put_any_edge(showing *s, uint32_t k, uint64_t e)
{
	if (s->options->json)
		put_edge_json(s, k, e);
	else
		put_edge(s, k, e);
}

static void put_edges(showing *s, uint32_t k)
{
	for (uint64_t e = s->samples.edge_at[k]; e < s->samples.edge_at[k + 1]; e++)
		put_any_edge(s, k, e);
}

static int put_generator(showing *s, uint32_t k, kith_err *err)
{
	uint64_t first = s->samples.edge_at[k], edges = s->samples.edge_at[k + 1] - first;
	uint64_t classes = s->samples.class_at[k + 1] - s->samples.class_at[k], wanted = s->options->h0.class_;
	uint32_t count = 0;
	if (wanted >= classes)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: --generator %llu:%llu, but that sample has %llu classes, from 0 on",
				 kith_h0_store_path(s->store), (unsigned long long)(s->samples.first + k),
				 (unsigned long long)wanted, (unsigned long long)classes);
	int rc = KITH_SCRATCH(s->positions, s->position_capacity, edges, err);
	if (rc ||
	    (rc = kith_h0_component(s->info, &s->samples, k, (uint32_t)wanted, &s->scratch, s->positions, &count, err)))
		return rc;
	for (uint32_t p = 0; p < count; p++)
		put_any_edge(s, k, first + s->positions[p]);
	return 0;
}

/* LIBSVM's format: label, then INDEX:VALUE. */
static void put_features(showing *s, uint32_t k)
{
	FILE *out = s->json.out;
	kith_weights weights = s->options->h0.weights;
	int of_classes = (kith_weights_parts(weights) & KITH_H0_CLASSES) != 0;
	fprintf(out, "%.17g", s->labels ? s->labels[s->samples.first + k] : 0);
	for (uint64_t e = s->samples.edge_at[k]; e < s->samples.edge_at[k + 1]; e++) {
		if (of_classes && s->samples.basin[e] == KITH_NO_CLASS)
			continue;
		fprintf(out, " %llu:%.17g", (unsigned long long)s->samples.edge[e] + 1,
			kith_h0_weight(&s->samples, k, e, weights));
	}
	fputc('\n', out);
}

static int put_sample(showing *s, uint32_t k, kith_err *err)
{
	if (s->options->svmlight)
		put_features(s, k);
	else if (s->options->h0.what == KITH_SHOW_CLASSES)
		return put_classes(s, k, err);
	else if (s->options->h0.what == KITH_SHOW_EDGES)
		put_edges(s, k);
	else
		return put_generator(s, k, err);
	return 0;
}

/* What of the file is needed. */
static unsigned parts_of(const showing *s)
{
	const kith_show_options *o = s->options;
	if (o->svmlight)
		return kith_weights_parts(o->h0.weights);
	if (o->h0.what == KITH_SHOW_GENERATOR || (o->h0.what == KITH_SHOW_EDGES && s->info->values))
		return KITH_H0_CLASSES | KITH_H0_VALUES;
	return KITH_H0_CLASSES;
}

static int put_samples(showing *s, uint64_t first, uint64_t last, kith_err *err)
{
	uint32_t step = s->info->block_samples;
	int rc = 0;
	for (uint64_t b = first / step; !rc && b * step < last; b++) {
		if ((rc = kith_progress_tick(&s->options->progress, "samples", b * step, last, err)) ||
		    (rc = kith_h0_store_read(s->store, b, parts_of(s), &s->samples, err)))
			break;
		for (uint32_t k = 0; !rc && k < s->samples.count; k++)
			if (s->samples.first + k >= first && s->samples.first + k < last)
				rc = put_sample(s, k, err);
	}
	return rc;
}

/* ---- the file ---- */

/* One label a sample. */
static int read_labels(showing *s, kith_err *err)
{
	const char *path = s->options->h0.labels;
	kith_activations *a = NULL;
	int rc;
	if (!path)
		return 0;
	if ((rc = kith_activations_open(&a, path, err)))
		return rc;
	const kith_activations_info *i = kith_activations_get_info(a);
	if (i->d != 1 || i->n != s->info->n)
		rc = kith_fail(err, KITH_EUSAGE,
			       "%s: %llu x %llu values, but %s needs a label for each of %llu samples", path,
			       (unsigned long long)i->n, (unsigned long long)i->d, kith_h0_store_path(s->store),
			       (unsigned long long)s->info->n);
	else if (!(s->labels = kith_alloc(i->n, sizeof *s->labels)))
		rc = kith_fail_nomem(err, "labels", i->n * sizeof *s->labels);
	else if (!(rc = kith_activations_read(a, 0, i->n, s->labels, NULL, err)))
		rc = kith_activations_unchanged(a, err);
	kith_activations_close(a);
	return rc;
}

/* The samples asked for. */
static int get_range(const showing *s, const char *path, uint64_t *first, uint64_t *last, kith_err *err)
{
	const kith_show_options *o = s->options;
	int rc = kith_show_last(path, o, s->info->n, last, err);
	*first = o->first;
	if (rc || o->h0.what != KITH_SHOW_GENERATOR)
		return rc;
	if (o->h0.sample >= s->info->n)
		return kith_fail(err, KITH_EUSAGE, "%s: --generator %llu:%llu, but there are samples 0 to %llu", path,
				 (unsigned long long)o->h0.sample, (unsigned long long)o->h0.class_,
				 (unsigned long long)s->info->n - 1);
	*first = o->h0.sample;
	*last = *first + 1;
	return 0;
}

static int show(const char *path, const kith_show_options *o, FILE *out, kith_err *err)
{
	showing s = {.options = o, .json = {.out = out}};
	uint64_t first, last;
	int rc = kith_h0_store_open(&s.store, path, err);
	if (rc)
		return rc;
	s.info = kith_h0_store_get_info(s.store);
	if ((rc = get_range(&s, path, &first, &last, err)) || (rc = read_labels(&s, err)))
		goto done;
	if (o->json)
		begin_json(&s);
	else if (!o->svmlight)
		put_header(&s);
	rc = put_samples(&s, first, last, err);
	if (!rc && o->json)
		kith_show_end_json(&s.json);
	rc = rc ? rc : kith_h0_store_unchanged(s.store, err);
done:
	kith_h0_samples_free(&s.samples);
	kith_h0_scratch_free(&s.scratch);
	free(s.labels);
	free(s.positions);
	free(s.basin_edges);
	kith_h0_store_close(s.store);
	return rc;
}

static int check(const char *path, const kith_progress *progress, kith_err *err)
{
	kith_h0_store *store;
	int rc = kith_h0_store_open(&store, path, err);
	if (rc)
		return rc;
	if (!(rc = kith_h0_store_check(store, progress, err)))
		rc = kith_h0_store_unchanged(store, err);
	kith_h0_store_close(store);
	return rc;
}

static int recognise(const char *path, const kith_file_ends *ends)
{
	(void)path;
	return kith_is_lmdb(ends) && ends->has_tail && !memcmp(ends->tail, "KITHGENS", sizeof ends->tail);
}

const kith_filetype kith_h0_file = {recognise, show, .check = check};
