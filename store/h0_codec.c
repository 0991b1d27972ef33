/* h0_codec.c - see h0_codec.h and FORMAT.md, section 6. */
#include "h0_codec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "text.h"
#include "workspace.h"

#define MAX_TEXT_BYTES (64u << 20) /* all strings of the meta record */

/* ---- blocks ---- */

int kith_h0_block_scratch_init(kith_h0_block_scratch *s, kith_err *err)
{
	int rc = kith_encoder_init(&s->forests, err);
	if (rc || (rc = kith_encoder_init(&s->values, err)))
		return rc;
	return kith_decoder_init(&s->decoder, err);
}

void kith_h0_block_scratch_free(kith_h0_block_scratch *s)
{
	kith_encoder_free(&s->forests);
	kith_encoder_free(&s->values);
	kith_decoder_free(&s->decoder);
	free(s->numbers);
	free(s->source_memory);
	free(s->classing_memory);
	memset(s, 0, sizeof *s);
}

/* Bytes that hold numbers below `limit`, 1 to 8. */
static int wide_width(uint64_t limit)
{
	int width = 1;
	while (width < 8 && limit > 1ull << (8 * width))
		width++;
	return width;
}

static int put_counts(kith_h0_block_scratch *s, const kith_h0_samples *in, kith_err *err)
{
	for (uint32_t k = 0; k < in->count; k++)
		s->numbers[k] = in->edge_at[k + 1] - in->edge_at[k];
	return kith_value_u64s(&s->forests, s->numbers, in->count, 4, in->count, err);
}

static int put_ids(kith_h0_block_scratch *s, const kith_h0_info *info, const kith_h0_samples *in, kith_err *err)
{
	for (uint32_t k = 0; k < in->count; k++) {
		uint64_t next = 0;
		for (uint64_t e = in->edge_at[k]; e < in->edge_at[k + 1]; e++) {
			if (in->edge[e] < next || in->edge[e] >= info->ids)
				return kith_fail(err, KITH_EBUG, "sample %llu: edge id %llu is out of order",
						 (unsigned long long)(in->first + k), (unsigned long long)in->edge[e]);
			s->numbers[e] = in->edge[e] - next;
			next = in->edge[e] + 1;
		}
	}
	uint64_t edges = in->edge_at[in->count];
	return kith_value_u64s(&s->forests, s->numbers, edges, wide_width(info->ids), edges, err);
}

/* ---- phi: of edges that are marked (births and deaths), then of the others ---- */

static void list_sources(kith_workspace *w, kith_h0_block_scratch *s, uint64_t samples, uint64_t vertices,
			 uint64_t edges)
{
	KITH_BUFFER(w, s->known, samples * vertices);
	KITH_BUFFER(w, s->activations, edges);
	KITH_BUFFER(w, s->next, samples);
}

/* Before the first edges of a block. */
static int start_sources(kith_h0_block_scratch *s, const kith_h0_info *info, const kith_h0_samples *in, kith_err *err)
{
	kith_workspace w = {0};
	list_sources(&w, s, in->count, info->vertices, in->edge_at[in->count]);
	int rc = kith_workspace_place(&w, &s->source_memory, &s->source_capacity, "sources of edges", err);
	if (!rc)
		memset(s->known, 0, in->count * info->vertices * sizeof *s->known);
	return rc;
}

static int is_marked(const kith_h0_samples *in, uint64_t e)
{
	return in->mark[e] != KITH_MARK_NONE;
}

/* The operation of an edge, from that of one before it. */
static uint32_t op_after(const kith_h0_info *info, uint32_t o, uint64_t id)
{
	while (o + 1 < info->op_count && info->ops[o + 1].base <= id)
		o++;
	return o;
}

/* Whether sample k has another edge below `end`; *e is the next one. */
static int next_edge(kith_h0_block_scratch *s, const kith_h0_samples *in, uint32_t k, uint64_t end, uint64_t *e)
{
	*e = s->next[k];
	if (*e == in->edge_at[k + 1] || in->edge[*e] >= end)
		return 0;
	s->next[k]++;
	return 1;
}

/* |h| of those sources of an operation's edges that were not known, sample by sample. */
static int put_sources(kith_h0_block_scratch *s, kith_encoder *to, const kith_h0_info *info, const kith_op *op,
		       const kith_h0_samples *in, int marked, kith_err *err)
{
	uint64_t end = op->base + info->layers[op->to].units * op->fan_in, new = 0, e;
	for (uint32_t k = 0; k < in->count; k++)
		while (next_edge(s, in, k, end, &e)) {
			float *known = &s->known[k * info->vertices + in->source[e]];
			if (!op->by_source || is_marked(in, e) != marked || *known > 0)
				continue;
			*known = in->activation[e];
			memcpy(&s->activations[new ++], known, sizeof *known);
		}
	return op->by_source ? kith_value_u32s(to, s->activations, new, 4, err) : 0;
}

static int put_values(kith_h0_block_scratch *s, kith_encoder *to, const kith_h0_info *info, const kith_h0_samples *in,
		      int marked, kith_err *err)
{
	uint64_t count = 0;
	int rc = 0;
	memcpy(s->next, in->edge_at, in->count * sizeof *s->next);
	for (uint32_t o = 0; !rc && o < info->op_count; o++)
		rc = put_sources(s, to, info, &info->ops[o], in, marked, err);
	for (uint32_t k = 0; k < in->count; k++)
		for (uint64_t e = in->edge_at[k], o = 0; e < in->edge_at[k + 1]; e++) {
			o = op_after(info, (uint32_t)o, in->edge[e]);
			if (is_marked(in, e) == marked && !info->ops[o].by_source)
				memcpy(&s->numbers[count++], &in->phi[e], sizeof *in->phi);
		}
	return rc ? rc : kith_value_u64s(to, s->numbers, count, 8, count, err);
}

uint64_t kith_h0_encode_bytes(uint64_t edges)
{
	kith_h0_block_scratch s;
	kith_workspace w = {0};
	list_sources(&w, &s, 1, edges, edges);
	return kith_workspace_bytes(&w) + edges * (sizeof *s.numbers + 1) + KITH_MAX_H0_BLOCK * sizeof *s.next;
}

int kith_h0_block_encode(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block, const kith_h0_samples *in,
			 kith_err *err)
{
	uint64_t edges = in->edge_at[in->count], room = edges > in->count ? edges : in->count;
	int rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, room, err);
	if (rc || (rc = start_sources(s, info, in, err)) ||
	    (rc = kith_value_start(&s->forests, KITH_TABLE_FORESTS, (uint32_t)block, in->count, edges, err)) ||
	    (rc = put_counts(s, in, err)) || (rc = put_ids(s, info, in, err)) ||
	    (rc = kith_value_noise(&s->forests, in->mark, edges, err)) ||
	    (rc = put_values(s, &s->forests, info, in, 1, err)) || (rc = kith_value_seal(&s->forests)) || !info->values)
		return rc;
	if ((rc = kith_value_start(&s->values, KITH_TABLE_VALUES, (uint32_t)block, in->count, edges, err)) ||
	    (rc = put_values(s, &s->values, info, in, 0, err)))
		return rc;
	return kith_value_seal(&s->values);
}

void kith_h0_samples_free(kith_h0_samples *samples)
{
	free(samples->memory);
	free(samples->class_memory);
	memset(samples, 0, sizeof *samples);
}

static void list_samples(kith_workspace *w, kith_h0_samples *out, uint64_t count, uint64_t edges, unsigned parts)
{
	KITH_BUFFER(w, out->edge_at, count + 1);
	KITH_BUFFER(w, out->class_at, count + 1);
	KITH_BUFFER(w, out->edge, edges);
	KITH_BUFFER(w, out->phi, edges);
	KITH_BUFFER(w, out->mark, edges);
	KITH_BUFFER(w, out->source, parts ? edges : 0);
	KITH_BUFFER(w, out->target, parts ? edges : 0);
	KITH_BUFFER(w, out->basin, parts & KITH_H0_CLASSES ? edges : 0);
}

static int reserve(kith_h0_samples *out, uint32_t count, uint64_t edges, unsigned parts, kith_err *err)
{
	kith_workspace w = {0};
	list_samples(&w, out, count, edges, parts);
	out->count = count;
	return kith_workspace_place(&w, &out->memory, &out->capacity, "samples", err);
}

uint64_t kith_h0_weight_count(const kith_h0_info *info)
{
	uint64_t count = 0;
	for (uint32_t o = 0; o < info->op_count; o++)
		count += info->ops[o].by_source ? kith_op_weight_count(info, &info->ops[o]) : 0;
	return count;
}

uint64_t kith_h0_decode_bytes(const kith_h0_info *info, uint64_t samples, unsigned parts)
{
	kith_h0_samples out;
	kith_h0_block_scratch s;
	kith_workspace w = {0};
	uint64_t edges = samples * info->vertices;
	list_samples(&w, &out, samples, edges, parts);
	if (parts)
		list_sources(&w, &s, samples, info->vertices, edges);
	if (parts & KITH_H0_CLASSES) {
		KITH_BUFFER(&w, out.classes, edges / 2);
		kith_h0_classing_list(&w, &s.classing, info->vertices, info->vertices);
	}
	/* The decoder has numbers and weights in planes first, of the weights one at a time. */
	return kith_workspace_bytes(&w) + 2 * edges * sizeof *s.numbers + info->vertices +
	       kith_h0_weight_count(info) * (sizeof(float) + 1);
}

static int damaged(uint64_t block, const char *what, kith_err *err)
{
	return kith_fail(err, KITH_ECORRUPT, "block %llu: %s", (unsigned long long)block, what);
}

/* Each sample's edges: a forest has fewer than vertices. */
static int take_counts(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block, kith_view *view,
		       kith_h0_samples *out, kith_err *err)
{
	int rc = kith_view_u64s(view, s->numbers, out->count, 4, err);
	if (rc)
		return rc;
	out->edge_at[0] = 0;
	for (uint32_t k = 0; k < out->count; k++) {
		if (s->numbers[k] >= info->vertices)
			return damaged(block, "a forest has more edges than there are units", err);
		out->edge_at[k + 1] = out->edge_at[k] + s->numbers[k];
	}
	if (out->edge_at[out->count] != view->items)
		return damaged(block, "the samples' edges do not add up", err);
	return 0;
}

static int take_ids(const kith_h0_info *info, uint64_t block, kith_view *view, kith_h0_samples *out, kith_err *err)
{
	int rc = kith_view_u64s(view, out->edge, view->items, wide_width(info->ids), err);
	for (uint32_t k = 0; !rc && k < out->count; k++) {
		uint64_t next = 0;
		for (uint64_t e = out->edge_at[k]; e < out->edge_at[k + 1]; e++) {
			if (out->edge[e] >= info->ids - next)
				return damaged(block, "an edge id is too large", err);
			out->edge[e] += next;
			next = out->edge[e] + 1;
		}
	}
	return rc;
}

static int take_ends(const kith_h0_info *info, uint64_t block, kith_h0_samples *out, kith_err *err)
{
	for (uint64_t e = 0; e < out->edge_at[out->count]; e++) {
		kith_edge edge;
		if (kith_edge_find(info, out->edge[e], &edge))
			return kith_fail(err, KITH_ECORRUPT, "block %llu: no edge has the id %llu",
					 (unsigned long long)block, (unsigned long long)out->edge[e]);
		const kith_op *op = &info->ops[edge.op];
		out->source[e] = info->layers[op->from].first_vertex + edge.source;
		out->target[e] = info->layers[op->to].first_vertex + edge.target;
	}
	return 0;
}

/* phi of an edge, from its source. */
static double value_of(const kith_h0_info *info, const kith_op *op, const kith_h0_samples *out, uint64_t e, float h)
{
	uint64_t v = out->target[e] - info->layers[op->to].first_vertex, j = out->edge[e] - op->base - v * op->fan_in;
	return (op->weights ? (double)op->weights[kith_op_weight_at(info, op, v, j)] : kith_op_weight(op)) * (double)h;
}

static int is_value(double phi)
{
	return phi > 0 && !isinf(phi);
}

static int take_sources(kith_h0_block_scratch *s, const kith_h0_info *info, const kith_op *op, uint64_t block,
			kith_view *view, int marked, kith_h0_samples *out, kith_err *err)
{
	uint64_t end = op->base + info->layers[op->to].units * op->fan_in, used = 0, count = 0, e;
	if (op->by_source && (count = kith_view_next_size(view)) > view->items)
		return damaged(block, "more sources than edges", err);
	int rc = op->by_source ? kith_view_u32s(view, s->activations, count, 4, err) : 0;
	for (uint32_t k = 0; !rc && k < out->count; k++)
		while (next_edge(s, out, k, end, &e)) {
			float *known = &s->known[k * info->vertices + out->source[e]];
			if (!op->by_source || is_marked(out, e) != marked)
				continue;
			if (!(*known > 0) && used < count)
				memcpy(known, &s->activations[used++], sizeof *known);
			if (!(*known > 0))
				return damaged(block, "a source whose |h| is not above 0", err);
			out->phi[e] = value_of(info, op, out, e, *known);
			if (!is_value(out->phi[e]))
				return damaged(block, "a source whose phi is not above 0 and finite", err);
		}
	return rc || used == count ? rc : damaged(block, "more sources than its edges have", err);
}

/* The values of the edges that are marked, or are not, into their places. */
static int take_values(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block, kith_view *view, int marked,
		       kith_h0_samples *out, kith_err *err)
{
	uint64_t count, used = 0;
	int rc = 0;
	memcpy(s->next, out->edge_at, out->count * sizeof *s->next);
	for (uint32_t o = 0; !rc && o < info->op_count; o++)
		rc = take_sources(s, info, &info->ops[o], block, view, marked, out, err);
	if (!rc && (count = kith_view_next_size(view)) > view->items)
		rc = damaged(block, "more values than edges", err);
	if (rc || (rc = kith_view_u64s(view, s->numbers, count, 8, err)))
		return rc;
	for (uint32_t k = 0; k < out->count; k++)
		for (uint64_t e = out->edge_at[k], o = 0; e < out->edge_at[k + 1]; e++) {
			o = op_after(info, (uint32_t)o, out->edge[e]);
			if (is_marked(out, e) != marked || info->ops[o].by_source)
				continue;
			if (used == count)
				return damaged(block, "fewer values than edges", err);
			memcpy(&out->phi[e], &s->numbers[used++], sizeof *out->phi);
			if (!is_value(out->phi[e]))
				return damaged(block, "a value that is not above 0 and finite", err);
		}
	return used == count ? 0 : damaged(block, "more values than its edges have", err);
}

static uint32_t block_size(const kith_h0_info *info, uint64_t block)
{
	uint64_t left = info->n - block * info->block_samples;
	return left < info->block_samples ? (uint32_t)left : info->block_samples;
}

int kith_h0_forests_decode(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block, unsigned parts,
			   const void *bytes, size_t size, kith_h0_samples *out, kith_err *err)
{
	kith_view view;
	uint32_t count = block_size(info, block);
	int rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_FORESTS, (uint32_t)block, err);
	if (rc)
		return rc;
	if (view.nodes != count || view.items > count * info->vertices)
		return damaged(block, "not as many samples, or edges, as belong there", err);
	if ((rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, view.items > count ? view.items : count, err)) ||
	    (rc = reserve(out, count, view.items, parts, err)) || (rc = take_counts(s, info, block, &view, out, err)) ||
	    (rc = take_ids(info, block, &view, out, err)) || (rc = kith_view_stream(&view, out->mark, view.items, err)))
		return rc;
	out->first = block * info->block_samples;
	for (uint64_t e = 0; e < view.items; e++) {
		if (out->mark[e] > KITH_MARK_DEATH)
			return damaged(block, "a mark that is none", err);
		out->phi[e] = 0;
	}
	if (!parts)
		return 0;
	if ((rc = take_ends(info, block, out, err)) || (rc = start_sources(s, info, out, err)) ||
	    (rc = take_values(s, info, block, &view, 1, out, err)))
		return rc;
	return kith_view_end(&view, err);
}

int kith_h0_values_decode(kith_h0_block_scratch *s, const kith_h0_info *info, uint64_t block, const void *bytes,
			  size_t size, kith_h0_samples *out, kith_err *err)
{
	kith_view view;
	int rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_VALUES, (uint32_t)block, err);
	if (rc)
		return rc;
	if (view.nodes != out->count || view.items != out->edge_at[out->count])
		return damaged(block, "values of other samples, or edges", err);
	if ((rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, view.items, err)) ||
	    (rc = take_values(s, info, block, &view, 0, out, err)))
		return rc;
	return kith_view_end(&view, err);
}

int kith_h0_classes_decode(kith_h0_block_scratch *s, const kith_h0_info *info, kith_h0_samples *out, kith_err *err)
{
	kith_workspace w = {0}, c = {0};
	uint64_t most = 0, births = 0;
	for (uint32_t k = 0; k < out->count; k++) {
		uint64_t edges = out->edge_at[k + 1] - out->edge_at[k];
		most = edges > most ? edges : most;
		out->class_at[k] = births;
		for (uint64_t e = out->edge_at[k]; e < out->edge_at[k + 1]; e++)
			births += out->mark[e] == KITH_MARK_BIRTH;
	}
	out->class_at[out->count] = births;
	KITH_BUFFER(&c, out->classes, births);
	kith_h0_classing_list(&w, &s->classing, info->vertices, most);
	int rc = kith_workspace_place(&c, &out->class_memory, &out->class_capacity, "classes", err);
	if (!rc)
		rc = kith_workspace_place(&w, &s->classing_memory, &s->classing_capacity, "classes", err);
	for (uint32_t k = 0; !rc && k < out->count; k++) {
		uint64_t at = out->edge_at[k];
		char where[64];
		snprintf(where, sizeof where, "sample %llu", (unsigned long long)(out->first + k));
		rc = kith_h0_classes(&s->classing, out->source + at, out->target + at, out->mark + at, out->phi + at,
				     out->edge_at[k + 1] - at, out->basin + at, out->classes + out->class_at[k], err);
		rc = kith_fail_in(err, rc, where);
	}
	return rc;
}

/* ---- the meta record ---- */

struct head {
	char magic[8];
	uint32_t version, layers, ops, block_samples, values, zero;
	uint64_t n, edges, classes, text_bytes;
	double keep;
	char digest[32], input[256], command[1024], kith[32];
};
#define HEAD_MAGIC   "KITHKH0"
#define HEAD_VERSION 2 /* 1 has every phi itself, and no weights */

struct layer {
	uint32_t dims, zero;
	uint64_t shape[KITH_MAX_SHAPE];
};

struct op {
	uint32_t kind, rule, from, to, kernel[2], stride[2], padding[2], dilation[2], groups, by_source;
};

_Static_assert(sizeof(struct head) == 72 + 32 + 256 + 1024 + 32 && sizeof(struct op) == 56 &&
		       sizeof(struct layer) == 72,
	       "FORMAT.md promises no padding");

static int allocate(kith_h0_meta *m, uint32_t layers, uint32_t ops, uint64_t text_bytes, kith_err *err)
{
	kith_workspace w = {0};
	KITH_BUFFER_ZERO(&w, m->info.layers, layers);
	KITH_BUFFER_ZERO(&w, m->info.ops, ops);
	KITH_BUFFER(&w, m->text, text_bytes);
	m->text_bytes = text_bytes;
	return kith_workspace_alloc(&w, &m->memory, "a network", err);
}

/* The strings, back to back: each layer's name and digest, each operation's digest. */
static const char **text_of(const kith_h0_info *info, uint32_t t)
{
	if (t >= 2 * info->layer_count)
		return &info->ops[t - 2 * info->layer_count].digest;
	return t % 2 ? &info->layers[t / 2].digest : &info->layers[t / 2].name;
}

static uint32_t texts(const kith_h0_info *info)
{
	return 2 * info->layer_count + info->op_count;
}

/* Room for the weights of operations that are by_source, which are pointed to it. */
static int reserve_weights(kith_h0_meta *m, kith_err *err)
{
	kith_h0_info *info = &m->info;
	m->weight_count = kith_h0_weight_count(info);
	if (!(m->weights = kith_alloc(m->weight_count, sizeof *m->weights)))
		return kith_fail_nomem(err, "weights", m->weight_count * sizeof *m->weights);
	const float *at = m->weights;
	for (uint32_t o = 0; o < info->op_count; o++) {
		uint64_t count = info->ops[o].by_source ? kith_op_weight_count(info, &info->ops[o]) : 0;
		info->ops[o].weights = count ? at : NULL;
		at += count;
	}
	return 0;
}

int kith_h0_meta_init(kith_h0_meta *m, const kith_h0_info *info, kith_err *err)
{
	uint64_t bytes = 0;
	for (uint32_t t = 0; t < texts(info); t++)
		bytes += strlen(*text_of(info, t)) + 1;
	if (bytes > MAX_TEXT_BYTES)
		return kith_fail(err, KITH_EUSAGE, "names of the layers come to %llu bytes, too many",
				 (unsigned long long)bytes);
	m->info = *info;
	int rc = allocate(m, info->layer_count, info->op_count, bytes, err);
	if (rc)
		return rc;
	memcpy(m->info.layers, info->layers, info->layer_count * sizeof *info->layers);
	memcpy(m->info.ops, info->ops, info->op_count * sizeof *info->ops);
	if ((rc = reserve_weights(m, err)))
		return rc;
	for (uint32_t o = 0; o < info->op_count; o++)
		if (m->info.ops[o].weights)
			memcpy((float *)(uintptr_t)m->info.ops[o].weights, info->ops[o].weights,
			       kith_op_weight_count(info, &info->ops[o]) * sizeof *m->weights);
	char *at = m->text;
	for (uint32_t t = 0; t < texts(info); t++) {
		const char **text = text_of(&m->info, t);
		char *copy = at;
		at = stpcpy(at, *text) + 1;
		*text = copy;
	}
	return 0;
}

void kith_h0_meta_free(kith_h0_meta *m)
{
	free(m->memory);
	free(m->weights);
	memset(m, 0, sizeof *m);
}

static int put_network(kith_h0_block_scratch *s, const kith_h0_info *info, kith_err *err)
{
	kith_workspace w = {0};
	struct layer *layers;
	struct op *ops;
	void *memory;
	KITH_BUFFER_ZERO(&w, layers, info->layer_count);
	KITH_BUFFER_ZERO(&w, ops, info->op_count);
	int rc = kith_workspace_alloc(&w, &memory, "a network", err);
	if (rc)
		return rc;
	for (uint32_t l = 0; l < info->layer_count; l++) {
		layers[l].dims = info->layers[l].dims;
		memcpy(layers[l].shape, info->layers[l].shape, layers[l].dims * sizeof *layers[l].shape);
	}
	for (uint32_t o = 0; o < info->op_count; o++) {
		const kith_op *op = &info->ops[o];
		ops[o] = (struct op){.kind = op->kind,
				     .rule = op->rule,
				     .from = op->from,
				     .to = op->to,
				     .groups = op->groups,
				     .by_source = op->by_source};
		memcpy(ops[o].kernel, op->kernel, sizeof op->kernel);
		memcpy(ops[o].stride, op->stride, sizeof op->stride);
		memcpy(ops[o].padding, op->padding, sizeof op->padding);
		memcpy(ops[o].dilation, op->dilation, sizeof op->dilation);
	}
	if (!(rc = kith_value_stream(&s->forests, layers, info->layer_count * sizeof *layers, err)))
		rc = kith_value_stream(&s->forests, ops, info->op_count * sizeof *ops, err);
	free(memory);
	return rc;
}

int kith_h0_meta_encode(kith_h0_block_scratch *s, const kith_h0_meta *m, kith_err *err)
{
	const kith_h0_info *info = &m->info;
	struct head h = {.magic = HEAD_MAGIC,
			 .version = HEAD_VERSION,
			 .layers = info->layer_count,
			 .ops = info->op_count,
			 .block_samples = info->block_samples,
			 .values = info->values != 0,
			 .n = info->n,
			 .edges = info->edges,
			 .classes = info->classes,
			 .text_bytes = m->text_bytes,
			 .keep = info->keep};
	int rc = kith_value_start(&s->forests, KITH_TABLE_META, 0, 0, 1, err);
	kith_copy_text(h.digest, sizeof h.digest, info->digest);
	kith_copy_text(h.input, sizeof h.input, info->input);
	kith_copy_text(h.command, sizeof h.command, info->command);
	kith_copy_text(h.kith, sizeof h.kith, KITH_VERSION);
	if (rc || (rc = kith_value_stream(&s->forests, &h, sizeof h, err)) || (rc = put_network(s, info, err)) ||
	    (rc = kith_value_stream(&s->forests, m->text, m->text_bytes, err)) ||
	    (rc = kith_value_u32s(&s->forests, (const uint32_t *)(const void *)m->weights, m->weight_count, 4, err)))
		return rc;
	return kith_value_seal(&s->forests);
}

static int take_head(const struct head *h, kith_h0_info *info, kith_err *err)
{
	if (memcmp(h->magic, HEAD_MAGIC, sizeof h->magic))
		return kith_fail(err, KITH_ECORRUPT, "its meta record is not one of generators");
	if (h->version < 1 || h->version > HEAD_VERSION)
		return kith_fail(err, KITH_EUSAGE, "format version %u, but this kith reads 1 to %d", h->version,
				 HEAD_VERSION);
	*info = (kith_h0_info){.n = h->n,
			       .layer_count = h->layers,
			       .op_count = h->ops,
			       .keep = h->keep,
			       .values = (int)h->values,
			       .block_samples = h->block_samples,
			       .edges = h->edges,
			       .classes = h->classes};
	memcpy(info->digest, h->digest, sizeof info->digest);
	memcpy(info->input, h->input, sizeof info->input);
	memcpy(info->command, h->command, sizeof info->command);
	memcpy(info->version, h->kith, sizeof info->version);
	info->digest[sizeof info->digest - 1] = info->input[sizeof info->input - 1] = 0;
	info->command[sizeof info->command - 1] = info->version[sizeof info->version - 1] = 0;
	if (h->n < 1 || h->n > KITH_MAX_NODES || h->layers < 1 || h->layers > KITH_MAX_LAYERS || h->ops < 1 ||
	    h->ops > KITH_MAX_LAYERS || h->values > 1 || h->text_bytes > MAX_TEXT_BYTES || h->block_samples < 1 ||
	    h->block_samples > KITH_MAX_H0_BLOCK || !(h->keep > 0 && h->keep <= 1))
		return kith_fail(err, KITH_ECORRUPT, "its meta record has a number out of range");
	return 0;
}

static int take_op(const struct op *from, uint32_t layers, kith_op *to)
{
	if (from->kind > KITH_IDENTITY || from->rule > KITH_POOL_MAX || from->from >= layers || from->to >= layers ||
	    from->by_source > 1)
		return -1;
	*to = (kith_op){.kind = (kith_op_kind)from->kind,
			.rule = (kith_pool_rule)from->rule,
			.from = from->from,
			.to = from->to,
			.groups = from->groups,
			.by_source = (int)from->by_source};
	memcpy(to->kernel, from->kernel, sizeof to->kernel);
	memcpy(to->stride, from->stride, sizeof to->stride);
	memcpy(to->padding, from->padding, sizeof to->padding);
	memcpy(to->dilation, from->dilation, sizeof to->dilation);
	return 0;
}

/* Points the strings into the text, which has to hold exactly them. */
static int take_texts(kith_h0_meta *m)
{
	char *at = m->text, *end = m->text + m->text_bytes;
	for (uint32_t t = 0; t < texts(&m->info); t++) {
		char *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		if (!zero)
			return -1;
		*text_of(&m->info, t) = at;
		at = zero + 1;
	}
	return at == end ? 0 : -1;
}

static int take_network(kith_view *view, kith_h0_meta *m, kith_err *err)
{
	kith_h0_info *info = &m->info;
	kith_workspace w = {0};
	struct layer *layers;
	struct op *ops;
	void *memory;
	int bad = 0;
	KITH_BUFFER(&w, layers, info->layer_count);
	KITH_BUFFER(&w, ops, info->op_count);
	int rc = kith_workspace_alloc(&w, &memory, "a network", err);
	if (rc)
		return rc;
	if (!(rc = kith_view_stream(view, layers, info->layer_count * sizeof *layers, err)) &&
	    !(rc = kith_view_stream(view, ops, info->op_count * sizeof *ops, err)))
		rc = kith_view_stream(view, m->text, m->text_bytes, err);
	for (uint32_t l = 0; !rc && l < info->layer_count; l++) {
		info->layers[l].dims = layers[l].dims;
		memcpy(info->layers[l].shape, layers[l].shape, sizeof layers[l].shape);
	}
	for (uint32_t o = 0; !rc && o < info->op_count; o++)
		bad |= take_op(&ops[o], info->layer_count, &info->ops[o]);
	free(memory);
	if (!rc && (bad || take_texts(m) || kith_network_check(info, NULL)))
		rc = kith_fail(err, KITH_ECORRUPT, "its meta record describes no network");
	return rc;
}

/* The weights of version 2. A file that says that it has more than it holds asks for no memory. */
static int take_weights(kith_view *view, kith_h0_meta *m, kith_err *err)
{
	uint64_t count = 0;
	for (uint32_t o = 0; o < m->info.op_count; o++)
		if (m->info.ops[o].by_source &&
		    __builtin_add_overflow(count, kith_op_weight_count(&m->info, &m->info.ops[o]), &count))
			count = UINT64_MAX;
	if (count != kith_view_next_size(view))
		return kith_fail(err, KITH_ECORRUPT, "its meta record has not the weights that it says");
	int rc = reserve_weights(m, err);
	return rc ? rc : kith_view_u32s(view, (uint32_t *)(void *)m->weights, m->weight_count, 4, err);
}

int kith_h0_meta_decode(kith_h0_block_scratch *s, const void *bytes, size_t size, kith_h0_meta *m, kith_err *err)
{
	struct head h;
	kith_view view;
	int rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_META, 0, err);
	if (rc || (rc = kith_view_stream(&view, &h, sizeof h, err)) || (rc = take_head(&h, &m->info, err)) ||
	    (rc = allocate(m, h.layers, h.ops, h.text_bytes, err)) || (rc = take_network(&view, m, err)) ||
	    (h.version > 1 && (rc = take_weights(&view, m, err))))
		return rc;
	if (m->info.block_samples > 1 && m->info.block_samples * m->info.vertices > KITH_H0_BLOCK_UNITS)
		return kith_fail(err, KITH_ECORRUPT, "its meta record has a number out of range");
	return kith_view_end(&view, err);
}
