/* h0_network.c - a network as a graph without its weights: which units an operation joins, and the numbers of its
 * edges. See kith/generators.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kith/generators.h"

const char *kith_op_kind_name(kith_op_kind kind)
{
	static const char *const names[] = {"dense", "conv2d", "maxpool", "avgpool", "identity"};
	return names[kind];
}

/* Has it a window that moves over the source's height and width? */
static int has_window(const kith_op *op)
{
	return op->kind == KITH_CONV2D || op->kind == KITH_MAXPOOL || op->kind == KITH_AVGPOOL;
}

__attribute__((format(printf, 4, 5))) static int refuse(const kith_h0_info *info, const kith_op *op, kith_err *err,
							const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return kith_fail(err, KITH_EUSAGE, "edges[%td] (%s from %s to %s): %s", op - info->ops,
			 kith_op_kind_name(op->kind), info->layers[op->from].name, info->layers[op->to].name, what);
}

static int check_layers(kith_h0_info *info, kith_err *err)
{
	uint64_t vertices = 0;
	for (uint32_t l = 0; l < info->layer_count; l++) {
		kith_net_layer *layer = &info->layers[l];
		layer->units = 1;
		if (strlen(layer->name) > KITH_MAX_LAYER_NAME)
			return kith_fail(err, KITH_EUSAGE, "layer %.64s...: its name is longer than %u bytes",
					 layer->name, KITH_MAX_LAYER_NAME);
		for (uint32_t t = 0; t < layer->dims && layer->dims <= KITH_MAX_SHAPE; t++)
			if (__builtin_mul_overflow(layer->units, layer->shape[t], &layer->units) ||
			    layer->units > KITH_MAX_DIM)
				return kith_fail(err, KITH_EUSAGE, "layer %s: more than %u units", layer->name,
						 KITH_MAX_DIM);
		if (!layer->dims || layer->dims > KITH_MAX_SHAPE || !layer->units)
			return kith_fail(err, KITH_EUSAGE,
					 "layer %s: its shape has %u dimensions and %" PRIu64 " units", layer->name,
					 layer->dims, layer->units);
		layer->first_vertex = (uint32_t)vertices;
		vertices += layer->units;
		if (vertices > KITH_MAX_VERTICES)
			return kith_fail(err, KITH_EUSAGE, "layer %s: more than %u units in all layers", layer->name,
					 KITH_MAX_VERTICES);
	}
	info->vertices = vertices;
	return 0;
}

/* Where a window of the given side begins to leave no room, 0. */
static uint64_t window_places(uint64_t size, const kith_op *op, int side)
{
	uint64_t reach = (uint64_t)op->dilation[side] * (op->kernel[side] - 1) + 1,
		 room = size + 2ull * op->padding[side];
	return room < reach ? 0 : (room - reach) / op->stride[side] + 1;
}

/* Places of the windows along one side that are not on padding: for each k, the windows o with
 * 0 <= o * stride - padding + k * dilation < size. (Windows may be many in a crafted file; a kernel is not.) */
static uint64_t places_inside(uint64_t size, uint64_t windows, const kith_op *op, int side)
{
	int64_t stride = op->stride[side];
	uint64_t sum = 0;
	for (uint64_t k = 0; k < op->kernel[side]; k++) {
		int64_t at = (int64_t)(k * op->dilation[side]) - (int64_t)op->padding[side];
		int64_t low = at < 0 ? (-at + stride - 1) / stride : 0, high = (int64_t)size - 1 - at;
		high = high < 0 ? -1 : high / stride;
		high = high < (int64_t)windows ? high : (int64_t)windows - 1;
		sum += high < low ? 0 : (uint64_t)(high - low + 1);
	}
	return sum;
}

static int check_numbers(const kith_h0_info *info, const kith_op *op, kith_err *err)
{
	for (int side = 0; side < 2; side++)
		if (!op->kernel[side] || !op->stride[side] || !op->dilation[side] ||
		    op->kernel[side] > KITH_MAX_WINDOW || op->stride[side] > KITH_MAX_WINDOW ||
		    op->padding[side] > KITH_MAX_WINDOW || op->dilation[side] > KITH_MAX_WINDOW)
			return refuse(info, op, err, "kernel, stride and dilation are 1 to %u, padding is 0 to %u",
				      KITH_MAX_WINDOW, KITH_MAX_WINDOW);
	return 0;
}

static int check_window(const kith_h0_info *info, kith_op *op, kith_err *err)
{
	const kith_net_layer *from = &info->layers[op->from], *to = &info->layers[op->to];
	if (from->dims != 3 || to->dims != 3)
		return refuse(info, op, err, "layers of shape [channels, height, width] on both sides");
	int rc = check_numbers(info, op, err);
	if (rc)
		return rc;
	uint64_t height = window_places(from->shape[1], op, 0), width = window_places(from->shape[2], op, 1);
	uint64_t groups = op->kind == KITH_CONV2D ? op->groups : from->shape[0];
	if (op->kind != KITH_CONV2D && to->shape[0] != from->shape[0])
		return refuse(info, op, err, "a pool keeps %" PRIu64 " channels, not %" PRIu64, from->shape[0],
			      to->shape[0]);
	if (!groups || from->shape[0] % groups || to->shape[0] % groups)
		return refuse(info, op, err, "%" PRIu64 " groups do not divide %" PRIu64 " and %" PRIu64 " channels",
			      groups, from->shape[0], to->shape[0]);
	if (!height || !width)
		return refuse(info, op, err, "its window is larger than the source with its padding");
	if (height != to->shape[1] || width != to->shape[2])
		return refuse(info, op, err,
			      "gives shape [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "], not [%" PRIu64 ", %" PRIu64
			      ", %" PRIu64 "]",
			      to->shape[0], height, width, to->shape[0], to->shape[1], to->shape[2]);
	op->fan_in = from->shape[0] / groups * op->kernel[0] * op->kernel[1];
	op->edges = to->shape[0] * (from->shape[0] / groups) * places_inside(from->shape[1], height, op, 0) *
		    places_inside(from->shape[2], width, op, 1);
	return 0;
}

static int check_op(kith_h0_info *info, kith_op *op, kith_err *err)
{
	const kith_net_layer *from = &info->layers[op->from], *to = &info->layers[op->to];
	uint64_t ids;
	int rc = 0;
	if (op->from >= op->to)
		return refuse(info, op, err, "its source has to stand before its target in the layers");
	if (op->kind == KITH_DENSE)
		op->fan_in = from->units;
	else if (op->kind == KITH_IDENTITY)
		op->fan_in = 1;
	if (op->kind == KITH_IDENTITY && from->units != to->units)
		return refuse(info, op, err, "joins %" PRIu64 " units to %" PRIu64, from->units, to->units);
	if (has_window(op) && (rc = check_window(info, op, err)))
		return rc;
	op->base = info->ids;
	if (__builtin_mul_overflow(to->units, op->fan_in, &ids) || ids > INT64_MAX - info->ids)
		return refuse(info, op, err, "the network has more than 2^63 edge ids");
	if (!has_window(op))
		op->edges = ids;
	info->ids += ids;
	return 0;
}

int kith_network_check(kith_h0_info *info, kith_err *err)
{
	int rc;
	if (!info->layer_count || info->layer_count > KITH_MAX_LAYERS || !info->op_count ||
	    info->op_count > KITH_MAX_LAYERS)
		return kith_fail(err, KITH_EUSAGE, "%u layers and %u edges: a network has 1 to %u of each",
				 info->layer_count, info->op_count, KITH_MAX_LAYERS);
	rc = check_layers(info, err);
	info->ids = 0;
	for (uint32_t o = 0; !rc && o < info->op_count; o++)
		rc = check_op(info, &info->ops[o], err);
	return rc;
}

static int64_t window_source(const kith_h0_info *info, const kith_op *op, uint64_t v, uint64_t j)
{
	const uint64_t *from = info->layers[op->from].shape, *to = info->layers[op->to].shape;
	uint64_t groups = op->kind == KITH_CONV2D ? op->groups : from[0],
		 kernel = (uint64_t)op->kernel[0] * op->kernel[1];
	uint64_t channel = v / (to[1] * to[2]), group = channel / (to[0] / groups);
	uint64_t c = group * (from[0] / groups) + j / kernel;
	int64_t y = (int64_t)(v / to[2] % to[1] * op->stride[0] + j % kernel / op->kernel[1] * op->dilation[0]),
		x = (int64_t)(v % to[2] * op->stride[1] + j % op->kernel[1] * op->dilation[1]);
	y -= op->padding[0];
	x -= op->padding[1];
	if (y < 0 || x < 0 || y >= (int64_t)from[1] || x >= (int64_t)from[2])
		return -1;
	return (int64_t)((c * from[1] + (uint64_t)y) * from[2] + (uint64_t)x);
}

int64_t kith_op_source(const kith_h0_info *info, const kith_op *op, uint64_t v, uint64_t j)
{
	if (op->kind == KITH_DENSE)
		return (int64_t)j;
	if (op->kind == KITH_IDENTITY)
		return (int64_t)v;
	return window_source(info, op, v, j);
}

uint64_t kith_op_weight_count(const kith_h0_info *info, const kith_op *op)
{
	const kith_net_layer *to = &info->layers[op->to];
	if (op->kind == KITH_DENSE)
		return to->units * op->fan_in;
	return op->kind == KITH_CONV2D ? to->shape[0] * op->fan_in : 0;
}

uint64_t kith_op_weight_at(const kith_h0_info *info, const kith_op *op, uint64_t v, uint64_t j)
{
	const uint64_t *to = info->layers[op->to].shape;
	return (op->kind == KITH_CONV2D ? v / (to[1] * to[2]) : v) * op->fan_in + j;
}

double kith_op_weight(const kith_op *op)
{
	return op->kind == KITH_AVGPOOL ? 1.0 / ((double)op->kernel[0] * op->kernel[1]) : 1.0;
}

int kith_edge_find(const kith_h0_info *info, uint64_t id, kith_edge *out)
{
	uint32_t o = 0;
	if (id >= info->ids)
		return KITH_EUSAGE;
	while (o + 1 < info->op_count && info->ops[o + 1].base <= id)
		o++;
	const kith_op *op = &info->ops[o];
	uint64_t v = (id - op->base) / op->fan_in;
	int64_t u = kith_op_source(info, op, v, (id - op->base) % op->fan_in);
	if (u < 0)
		return KITH_EUSAGE;
	*out = (kith_edge){o, (uint32_t)u, (uint32_t)v};
	return 0;
}
