/* out_lists.c - see out_lists.h */
#include "out_lists.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "order.h"

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

uint64_t kith_out_lists_scratch_bytes(const kith_h0_info *info, const kith_op *op)
{
	return op->kind == KITH_DENSE ? 0 : 2 * list_length(info, op) * sizeof(kith_key);
}

/* ---- dense ---- */

/* The order of out_lists.h, of a dense operation's entries. */
static inline int is_after(const kith_out_entry *a, const kith_out_entry *b)
{
	return a->w < b->w || (a->w == b->w && a->target > b->target);
}

/* A heap whose root comes last. */
static void sink(kith_out_entry *heap, uint64_t length, uint64_t at)
{
	for (uint64_t child; (child = 2 * at + 1) < length; at = child) {
		if (child + 1 < length && is_after(&heap[child + 1], &heap[child]))
			child++;
		if (!is_after(&heap[child], &heap[at]))
			return;
		kith_out_entry swap = heap[at];
		heap[at] = heap[child];
		heap[child] = swap;
	}
}

static void make_heap(kith_out_entry *list, uint64_t length)
{
	for (uint64_t at = length / 2; at-- > 0;)
		sink(list, length, at);
}

/* The heap's root, which comes last, to its end, and so on. */
static void sort_heap(kith_out_entry *heap, uint64_t length)
{
	while (length > 1) {
		kith_out_entry last = heap[0];
		heap[0] = heap[--length];
		heap[length] = last;
		sink(heap, length, 0);
	}
}

/* Units of a dense operation whose weights lie side by side in each row. The first targets of each make a heap. Few
 * weights come into it later: the least in each stands apart, so that others cost one comparison. */
#define TOGETHER 256u

static void make_dense(kith_out_lists *out, const kith_h0_info *info, const kith_op *op, const kith_op_weights *weights,
		       uint64_t first)
{
	uint64_t sources = info->layers[op->from].units, targets = info->layers[op->to].units, length = out->length;
	uint64_t count = sources - first < TOGETHER ? sources - first : TOGETHER;
	kith_out_entry *lists = out->entry + first * length;
	double least[TOGETHER];
	for (uint64_t v = 0; v < length; v++)
		for (uint64_t u = 0; u < count; u++)
			lists[u * length + v] =
				(kith_out_entry){kith_weight_at(weights, v * sources + first + u), (uint32_t)v, 0, 0};
	for (uint64_t u = 0; u < count; u++) {
		make_heap(lists + u * length, length);
		least[u] = lists[u * length].w;
	}
	for (uint64_t v = length; v < targets; v++)
		for (uint64_t u = 0; u < count; u++) {
			double w = kith_weight_at(weights, v * sources + first + u);
			if (w <= least[u]) /* of equal weights the first target's stays */
				continue;
			kith_out_entry *heap = lists + u * length;
			*heap = (kith_out_entry){w, (uint32_t)v, 0, 0};
			sink(heap, length, 0);
			least[u] = heap->w;
		}
	for (uint64_t u = 0; u < count; u++)
		sort_heap(lists + u * length, length);
}

/* ---- windows ---- */

/* Entries in the order in which equal weights stand, and then by weight: of positive doubles, the order of their bits
 * is theirs. `keys`: room for two lists. */
static void make_window(kith_out_lists *out, const kith_h0_info *info, const kith_op *op,
			const kith_op_weights *weights, uint64_t channel, kith_key *keys)
{
	uint64_t lists, targets, at = 0, kernel = (uint64_t)op->kernel[0] * op->kernel[1];
	get_channels(info, op, &lists, &targets);
	uint64_t inputs = op->kind == KITH_CONV2D ? lists / op->groups : 1, first = channel / inputs * targets;
	kith_out_entry *list = out->entry + channel * out->length;
	for (uint64_t t = 0; t < targets; t++)
		for (uint64_t k = kernel; k-- > 0; at++) {
			double w = kith_op_weight(op);
			if (op->kind == KITH_CONV2D)
				w = kith_weight_at(weights, ((first + t) * inputs + channel % inputs) * kernel + k);
			memcpy(&keys[at].key, &w, sizeof w);
			keys[at].key = ~keys[at].key;
			keys[at].item = (uint32_t)at;
		}
	kith_keys_sort(keys, keys + at, at);
	for (at = 0; at < out->length; at++) {
		uint64_t item = keys[at].item, bits = ~keys[at].key, k = kernel - 1 - item % kernel;
		memcpy(&list[at].w, &bits, sizeof bits);
		list[at].target = (uint32_t)(first + item / kernel);
		list[at].ky = (uint16_t)(k / op->kernel[1]);
		list[at].kx = (uint16_t)(k % op->kernel[1]);
	}
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
	threads = (uint64_t)threads < out->count ? threads : (int)out->count;
	kith_key *keys = op->kind == KITH_DENSE ? NULL : kith_alloc((uint64_t)threads * 2 * out->length, sizeof *keys);
	if (!out->entry || !out->head || (op->kind != KITH_DENSE && !keys)) {
		free(keys);
		return kith_fail_nomem(err, "lists of edges", kith_out_lists_bytes(info, op));
	}
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
	for (uint64_t list = 0; list < out->count; list += step) {
		if (op->kind == KITH_DENSE)
			make_dense(out, info, op, &network->weights[o], list);
		else
			make_window(out, info, op, &network->weights[o], list,
				    keys + (uint64_t)omp_get_thread_num() * 2 * out->length);
	}
	free(keys);
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
