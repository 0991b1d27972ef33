/* random_net.c - see random_net.h */
#include "random_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npy_write.h"
#include "sandbox.h"

uint64_t random_net_units(const kith_net_layer *l)
{
	uint64_t units = 1;
	for (uint32_t t = 0; t < l->dims; t++)
		units *= l->shape[t];
	return units;
}

/* ---- shapes ---- */

static void draw_first_layer(kith_net_layer *l, rng *r)
{
	l->dims = rng_chance(r, 75) ? 3 : 1;
	for (uint32_t t = 0; t < l->dims; t++)
		l->shape[t] = rng_between(r, 1, l->dims == 1 ? 9 : t ? 7 : 4);
}

/* A window that fits, and what it makes of the source's height and width. Returns 0 if none fits. */
static int draw_window(kith_op *op, const kith_net_layer *from, kith_net_layer *to, rng *r)
{
	for (int side = 0; side < 2; side++) {
		uint64_t size = from->shape[1 + side];
		op->kernel[side] = (uint32_t)rng_between(r, 1, 3);
		op->stride[side] = (uint32_t)rng_between(r, 1, rng_chance(r, 50) ? 1 : 3);
		op->padding[side] = (uint32_t)rng_between(r, 0, rng_chance(r, 50) ? 0 : 2);
		op->dilation[side] =
			op->kind == KITH_CONV2D ? (uint32_t)rng_between(r, 1, rng_chance(r, 60) ? 1 : 2) : 1;
		uint64_t reach = (op->kernel[side] - 1) * op->dilation[side] + 1, room = size + 2 * op->padding[side];
		if (room < reach)
			return 0;
		to->shape[1 + side] = (room - reach) / op->stride[side] + 1;
	}
	return 1;
}

/* Joins layer `from` to a new one, `to`. */
static void draw_op(kith_op *op, const kith_net_layer *layers, uint32_t from, kith_net_layer *to, rng *r)
{
	const kith_net_layer *l = &layers[from];
	op->from = from;
	op->groups = 1;
	op->kind = l->dims == 3 ? (kith_op_kind)rng_below(r, 5) : rng_chance(r, 80) ? KITH_DENSE : KITH_IDENTITY;
	for (int side = 0; side < 2; side++)
		op->kernel[side] = op->stride[side] = op->dilation[side] = 1;
	to->dims = 3;
	if (op->kind == KITH_CONV2D || op->kind == KITH_MAXPOOL || op->kind == KITH_AVGPOOL) {
		if (!draw_window(op, l, to, r)) {
			op->kind = KITH_IDENTITY;
			memset(op->padding, 0, sizeof op->padding);
		}
		to->shape[0] = l->shape[0];
	}
	for (int side = 0; side < 2 && op->kind == KITH_IDENTITY; side++)
		op->kernel[side] = op->stride[side] = op->dilation[side] = 1;
	if (op->kind == KITH_CONV2D) {
		op->groups = rng_chance(r, 30)                           ? (uint32_t)l->shape[0]
			     : l->shape[0] % 2 == 0 && rng_chance(r, 30) ? 2
									 : 1;
		to->shape[0] = op->groups * rng_between(r, 1, op->groups > 2 ? 1 : 2);
	} else if (op->kind == KITH_MAXPOOL) {
		op->rule = rng_chance(r, 40) ? KITH_POOL_MAX : KITH_POOL_ALL;
	} else if (op->kind == KITH_IDENTITY) {
		*to = *l;
	} else if (op->kind == KITH_DENSE) {
		to->dims = rng_chance(r, 80) ? 1 : 3;
		for (uint32_t t = 0; t < to->dims; t++)
			to->shape[t] = rng_between(r, 1, to->dims == 1 ? 9 : 3);
		if (to->dims == 1 && rng_chance(r, 5)) /* more than a list holds */
			to->shape[0] = rng_between(r, 60, 140);
	}
}

static void draw_network(random_net *n, rng *r)
{
	kith_h0_info *info = &n->net.info;
	uint32_t layers = (uint32_t)rng_between(r, 2, 5);
	draw_first_layer(&n->layers[0], r);
	for (uint32_t l = 1; l < layers; l++) {
		kith_op *op = &n->ops[info->op_count++];
		draw_op(op, n->layers, rng_chance(r, 85) ? l - 1 : (uint32_t)rng_below(r, l), &n->layers[l], r);
		op->to = l;
		while (rng_chance(r, 20) && info->op_count < 12) { /* another into the same layer */
			uint32_t from = (uint32_t)rng_below(r, l);
			int same = random_net_units(&n->layers[from]) == random_net_units(&n->layers[l]);
			n->ops[info->op_count++] = (kith_op){.kind = same ? KITH_IDENTITY : KITH_DENSE,
							     .from = from,
							     .to = l,
							     .kernel = {1, 1},
							     .stride = {1, 1},
							     .dilation = {1, 1},
							     .groups = 1};
		}
	}
	info->layer_count = layers;
	for (uint32_t l = 0; l < layers; l++)
		snprintf(n->names[l], sizeof n->names[l], "L%u", l);
}

/* ---- values ---- */

enum { NORMAL, HALVES, SPARSE, TINY, ROUNDING, CONSTANT, KINDS };

static double draw_value(int kind, int weight, rng *r)
{
	double x = rng_normal(r);
	switch (kind) {
	case HALVES: /* full of ties */
		return ((double)rng_below(r, 5) - 2) / 2;
	case SPARSE:
		return rng_chance(r, 60) ? rng_chance(r, 50) ? -0.0 : 0 : x;
	case TINY:
		return ldexp(x, -(int)rng_below(r, 150));
	case ROUNDING: /* doubles whose products are equal though they are not */
		return (weight ? 1.0 : 3.0) + (double)rng_below(r, 4) * 0x1p-52 * (weight ? 1 : 2);
	case CONSTANT:
		return weight ? 1 : 0.5;
	default:
		return weight || x > 0 || rng_chance(r, 20) ? x : 0; /* mostly as a ReLU leaves it */
	}
}

/* Values as a file of that type has them. */
static double *draw_array(kith_dtype dtype, int kind, int weight, uint64_t count, rng *r)
{
	double *x = must_alloc(count, sizeof *x);
	for (uint64_t i = 0; i < count; i++)
		x[i] = draw_value(kind, weight, r) * (dtype == KITH_U1 || dtype == KITH_I1 ? 8 : 1);
	if (dtype == KITH_U1)
		for (uint64_t i = 0; i < count; i++)
			x[i] = fabs(x[i]);
	void *raw = must_alloc(count, 8);
	npy_encode(dtype, x, count, raw);
	npy_decode(dtype, raw, count, x);
	free(raw);
	return x;
}

static kith_dtype draw_dtype(int kind, rng *r)
{
	static const kith_dtype any[] = {KITH_F4, KITH_F4, KITH_F4, KITH_F2, KITH_F8, KITH_U1, KITH_I1, KITH_BF16};
	return kind == ROUNDING ? KITH_F8 : any[rng_below(r, 8)];
}

int random_net_weight_shape(const random_net *n, uint32_t o, uint64_t *rows, uint64_t *columns)
{
	const kith_op *op = &n->ops[o];
	const kith_net_layer *from = &n->layers[op->from], *to = &n->layers[op->to];
	int conv = op->kind == KITH_CONV2D;
	*rows = conv ? to->shape[0] : random_net_units(to);
	*columns = conv ? from->shape[0] / op->groups * op->kernel[0] * op->kernel[1] : random_net_units(from);
	return conv || op->kind == KITH_DENSE;
}

/* Its pointers into itself. */
static void point(random_net *n)
{
	n->net.info.layers = n->layers;
	n->net.info.ops = n->ops;
	n->net.weights = n->weights;
	n->net.activations = n->activations;
	for (uint32_t l = 0; l < n->net.info.layer_count; l++)
		n->layers[l].name = n->names[l];
}

void random_net_draw_of(random_net *n, uint64_t samples, rng *r)
{
	static const char *const kinds[] = {"normal", "halves", "sparse", "tiny", "rounding", "constant"};
	int kind = rng_chance(r, 40) ? HALVES : (int)rng_below(r, KINDS);
	memset(n, 0, sizeof *n);
	draw_network(n, r);
	n->kind = kinds[kind];
	n->net.info.n = samples;
	point(n);
	for (uint32_t l = 0; l < n->net.info.layer_count; l++) {
		n->activation_types[l] = draw_dtype(kind, r);
		n->activations[l] =
			draw_array(n->activation_types[l], kind, 0, n->net.info.n * random_net_units(&n->layers[l]), r);
	}
	for (uint32_t o = 0; o < n->net.info.op_count; o++) {
		uint64_t rows, columns;
		n->weight_types[o] = draw_dtype(kind, r);
		if (random_net_weight_shape(n, o, &rows, &columns))
			n->weights[o] = draw_array(n->weight_types[o], kind, 1, rows * columns, r);
	}
}

void random_net_draw(random_net *n, rng *r)
{
	random_net_draw_of(n, rng_between(r, 1, 5), r);
}

static double *copy_array(const double *x, uint64_t count)
{
	double *copy = must_alloc(count, sizeof *copy);
	memcpy(copy, x, count * sizeof *copy);
	return copy;
}

void random_net_copy(random_net *copy, const random_net *n)
{
	uint64_t rows, columns;
	*copy = *n;
	point(copy);
	for (uint32_t l = 0; l < n->net.info.layer_count; l++)
		copy->activations[l] = copy_array(n->activations[l], n->net.info.n * random_net_units(&n->layers[l]));
	for (uint32_t o = 0; o < n->net.info.op_count; o++)
		if (random_net_weight_shape(n, o, &rows, &columns))
			copy->weights[o] = copy_array(n->weights[o], rows * columns);
}

void random_net_free(random_net *n)
{
	for (uint32_t l = 0; l < n->net.info.layer_count; l++)
		free(n->activations[l]);
	for (uint32_t o = 0; o < n->net.info.op_count; o++)
		free(n->weights[o]);
}

/* ---- files ---- */

static void write_array(const char *path, kith_dtype dtype, const char *shape, const double *x, uint64_t count)
{
	void *raw = must_alloc(count, 8);
	npy_encode(dtype, x, count, raw);
	npy_write_raw(path, 1, npy_header(npy_descr(dtype), 0, shape), raw, count * npy_size(dtype));
	free(raw);
}

static void write_layer(const random_net *n, const char *name, uint32_t l, FILE *json)
{
	const kith_net_layer *layer = &n->layers[l];
	char path[SANDBOX_PATH], shape[128];
	int at = snprintf(shape, sizeof shape, "(%llu", (unsigned long long)n->net.info.n);
	fprintf(json, "%s{\"name\": \"%s\", \"shape\": [", l ? ", " : "", layer->name);
	for (uint32_t t = 0; t < layer->dims; t++) {
		at += snprintf(shape + at, sizeof shape - (size_t)at, ", %llu", (unsigned long long)layer->shape[t]);
		fprintf(json, "%s%llu", t ? ", " : "", (unsigned long long)layer->shape[t]);
	}
	snprintf(shape + at, sizeof shape - (size_t)at, ")");
	fprintf(json, "], \"activations\": \"%s.h%u.npy\"}", name, l);
	write_array(sandbox_path(path, "%s.h%u.npy", name, l), n->activation_types[l], shape, n->activations[l],
		    n->net.info.n * random_net_units(layer));
}

static void write_op(const random_net *n, const char *name, uint32_t o, FILE *json)
{
	const kith_op *op = &n->ops[o];
	const kith_net_layer *from = &n->layers[op->from], *to = &n->layers[op->to];
	char path[SANDBOX_PATH], shape[128];
	int pool = op->kind == KITH_MAXPOOL || op->kind == KITH_AVGPOOL;
	fprintf(json, "%s{\"from\": \"%s\", \"to\": \"%s\", \"op\": \"%s\"", o ? ", " : "", from->name, to->name,
		kith_op_kind_name(op->kind));
	if (pool || op->kind == KITH_CONV2D)
		fprintf(json, ", \"stride\": [%u, %u], \"padding\": [%u, %u]", op->stride[0], op->stride[1],
			op->padding[0], op->padding[1]);
	if (pool)
		fprintf(json, ", \"kernel\": [%u, %u]", op->kernel[0], op->kernel[1]);
	if (op->kind == KITH_CONV2D)
		fprintf(json, ", \"dilation\": [%u, %u], \"groups\": %u", op->dilation[0], op->dilation[1], op->groups);
	if (op->kind == KITH_MAXPOOL && op->rule == KITH_POOL_MAX)
		fputs(", \"rule\": \"max\"", json);
	if (n->weights[o]) {
		uint64_t rows, columns;
		random_net_weight_shape(n, o, &rows, &columns);
		snprintf(shape, sizeof shape, "(%llu, %llu)", (unsigned long long)rows, (unsigned long long)columns);
		if (op->kind == KITH_CONV2D)
			snprintf(shape, sizeof shape, "(%llu, %llu, %u, %u)", (unsigned long long)rows,
				 (unsigned long long)from->shape[0] / op->groups, op->kernel[0], op->kernel[1]);
		fprintf(json, ", \"weight\": \"%s.w%u.npy\"", name, o);
		write_array(sandbox_path(path, "%s.w%u.npy", name, o), n->weight_types[o], shape, n->weights[o],
			    rows * columns);
	}
	fputc('}', json);
}

void random_net_write(const random_net *n, const char *name, char *path, size_t size)
{
	char full[SANDBOX_PATH];
	snprintf(path, size, "%s", sandbox_path(full, "%s.json", name));
	FILE *json = fopen(path, "w");
	if (!json)
		abort();
	fputs("{\"format\": \"kith-net\", \"version\": 1, \"layers\": [", json);
	for (uint32_t l = 0; l < n->net.info.layer_count; l++)
		write_layer(n, name, l, json);
	fputs("],\n \"edges\": [", json);
	for (uint32_t o = 0; o < n->net.info.op_count; o++)
		write_op(n, name, o, json);
	fputs("]}\n", json);
	if (fclose(json))
		abort();
}
