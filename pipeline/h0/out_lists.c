/* out_lists.c - see out_lists.h */
#include "out_lists.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

/* Of a dense operation's list, at most: trees are small when they look for an edge that leaves them, so that one of the
 * first does. */
#define DENSE_LENGTH 64u

/* Source channels, and the targets' channels that each has edges to. */
static void get_channels(const kith_h0_info *info, const kith_op *op, uint64_t *lists, uint64_t *targets)
{
	const kith_net_layer *from = &info->layers[op->from], *to = &info->layers[op->to];
	*lists = op->kind == KITH_DENSE ? from->units : op->kind == KITH_IDENTITY ? 1 : from->shape[0];
	*targets = op->kind == KITH_DENSE ? to->units : op->kind == KITH_CONV2D ? to->shape[0] / op->groups : 1;
}

static uint64_t list_length(const kith_h0_info *info, const kith_op *op)
{
	uint64_t lists, targets;
	get_channels(info, op, &lists, &targets);
	if (op->kind == KITH_DENSE)
		return targets < DENSE_LENGTH ? targets : DENSE_LENGTH;
	return targets * op->kernel[0] * op->kernel[1];
}

uint64_t kith_out_lists_bytes(const kith_h0_info *info, const kith_op *op)
{
	uint64_t lists, targets;
	get_channels(info, op, &lists, &targets);
	return lists * (list_length(info, op) * sizeof(kith_out_entry) + sizeof(double));
}

/* The order of out_lists.h. */
static int compare(const void *left, const void *right)
{
	const kith_out_entry *a = left, *b = right;
	if (a->w != b->w)
		return a->w > b->w ? -1 : 1;
	if (a->target != b->target)
		return a->target < b->target ? -1 : 1;
	if (a->ky != b->ky)
		return a->ky > b->ky ? -1 : 1;
	return (a->kx < b->kx) - (a->kx > b->kx);
}

/* Sorts the first `length` of `count` entries to the front: a heap of the first so many, whose root comes last. */
static void sink(kith_out_entry *heap, uint64_t length, uint64_t at)
{
	for (uint64_t child; (child = 2 * at + 1) < length; at = child) {
		if (child + 1 < length && compare(&heap[child + 1], &heap[child]) > 0)
			child++;
		if (compare(&heap[at], &heap[child]) >= 0)
			return;
		kith_out_entry swap = heap[at];
		heap[at] = heap[child];
		heap[child] = swap;
	}
}

static void offer(kith_out_entry *heap, uint64_t length, const kith_out_entry *entry)
{
	if (compare(entry, heap) > 0)
		return;
	*heap = *entry;
	sink(heap, length, 0);
}

/* Units of a dense operation whose weights lie side by side in each row. Few weights come into a list that is full: the
 * least in each stands apart, so that others cost one comparison. */
#define TOGETHER 64u

static void make_dense(kith_out_lists *out, const kith_h0_info *info, const kith_op *op, const kith_op_weights *weights,
		       uint64_t first)
{
	uint64_t sources = info->layers[op->from].units, targets = info->layers[op->to].units, length = out->length;
	uint64_t last = sources - first < TOGETHER ? sources : first + TOGETHER;
	double least[TOGETHER];
	for (uint64_t v = 0; v < targets; v++)
		for (uint64_t u = first; u < last; u++) {
			double w = kith_weight_at(weights, v * sources + u);
			kith_out_entry *list = out->entry + u * length;
			if (v >= length && w < least[u - first])
				continue;
			kith_out_entry e = {w, (uint32_t)v, 0, 0};
			if (v < length)
				list[v] = e;
			else
				offer(list, length, &e);
			if (v + 1 == length)
				for (uint64_t at = length / 2; at-- > 0;)
					sink(list, length, at);
			least[u - first] = v + 1 < length ? 0 : list->w;
		}
	for (uint64_t u = first; u < last; u++)
		qsort(out->entry + u * length, length, sizeof *out->entry, compare);
}

static void make_window(kith_out_lists *out, const kith_h0_info *info, const kith_op *op,
			const kith_op_weights *weights, uint64_t channel)
{
	uint64_t lists, targets, at = 0, kernel = (uint64_t)op->kernel[0] * op->kernel[1];
	get_channels(info, op, &lists, &targets);
	uint64_t inputs = op->kind == KITH_CONV2D ? lists / op->groups : 1, group = channel / inputs;
	kith_out_entry *list = out->entry + channel * out->length;
	for (uint64_t t = 0; t < targets; t++)
		for (uint64_t k = 0; k < kernel; k++) {
			uint64_t o = group * targets + t;
			list[at].w = kith_op_weight(op);
			if (op->kind == KITH_CONV2D)
				list[at].w = kith_weight_at(weights, (o * inputs + channel % inputs) * kernel + k);
			list[at].target = (uint32_t)o;
			list[at].ky = (uint16_t)(k / op->kernel[1]);
			list[at++].kx = (uint16_t)(k % op->kernel[1]);
		}
	qsort(list, out->length, sizeof *list, compare);
}

int kith_out_lists_make(kith_out_lists *out, const kith_network *network, uint32_t o, int threads, kith_err *err)
{
	const kith_h0_info *info = &network->info;
	const kith_op *op = &info->ops[o];
	uint64_t targets, step = op->kind == KITH_DENSE ? TOGETHER : 1;
	get_channels(info, op, &out->count, &targets);
	out->length = list_length(info, op);
	out->whole = op->kind != KITH_DENSE || out->length == targets;
	out->rounds = kith_op_rounds(network, o);
	out->entry = kith_alloc(out->count * out->length, sizeof *out->entry);
	out->head = kith_alloc(out->count, sizeof *out->head);
	if (!out->entry || !out->head)
		return kith_fail_nomem(err, "lists of edges", kith_out_lists_bytes(info, op));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
	for (uint64_t list = 0; list < out->count; list += step) {
		if (op->kind == KITH_DENSE)
			make_dense(out, info, op, &network->weights[o], list);
		else
			make_window(out, info, op, &network->weights[o], list);
	}
	for (uint64_t list = 0; list < out->count; list++)
		out->head[list] = out->entry[list * out->length].w;
	return 0;
}

void kith_out_lists_free(kith_out_lists *lists)
{
	free(lists->entry);
	free(lists->head);
	lists->entry = NULL;
	lists->head = NULL;
}
