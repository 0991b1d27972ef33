/* pair_codec.c - see pair_codec.h and FORMAT.md, section 5. */
#include "pair_codec.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "kith/limits.h"
#include "pair_planes.h"
#include "text.h"
#include "workspace.h"

#define MAX_TEXT_BYTES (64u << 20) /* all strings of the meta record: 16 KiB a layer where there are 4096 */

/* ---- blocks ---- */

/* Two lists of `count` numbers, in the scratch. */
static int two_lists(kith_block_scratch *s, size_t count, uint32_t **a, uint32_t **b, kith_err *err)
{
	int rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, 2 * count, err);
	*a = s->numbers;
	*b = rc ? NULL : *a + count;
	return rc;
}

/* Lists the smaller samples of the pairs, each once, and how many pairs each has. Returns how many samples. */
static uint32_t count_nodes(const uint32_t *i, uint32_t count, uint32_t *node, uint32_t *pairs)
{
	uint32_t nodes = 0;
	for (uint32_t p = 0; p < count; p++) {
		if (!p || i[p] != i[p - 1]) {
			node[nodes] = i[p];
			pairs[nodes++] = 0;
		}
		pairs[nodes - 1]++;
	}
	return nodes;
}

int kith_pair_block_encode(kith_block_scratch *s, const kith_pair_info *info, uint64_t block, uint32_t count,
			   const kith_pair_planes *planes, kith_err *err)
{
	size_t bitmap_bytes = kith_layer_bitmap_bytes(info->tiers, count);
	const uint32_t *i = planes->i, *j = planes->j;
	uint32_t *node, *pairs, nodes;
	int rc = two_lists(s, count, &node, &pairs, err);
	if (rc || (rc = KITH_SCRATCH(s->bits, s->bits_capacity, (bitmap_bytes + 7) / 8, err)))
		return rc;
	nodes = count_nodes(i, count, node, pairs);
	/* gaps from the last to the first, so that each still finds its predecessor */
	for (uint32_t r = nodes; --r > 0;)
		node[r] -= node[r - 1] + 1;
	if ((rc = kith_value_start(&s->encoder, KITH_TABLE_PAIR_BLOCKS, (uint32_t)block, nodes, count, err)) ||
	    (rc = kith_value_u32s(&s->encoder, node, nodes, kith_width(info->n), err)) ||
	    (rc = kith_value_u32s(&s->encoder, pairs, nodes, kith_width(info->block_pairs + 1ull), err)))
		return rc;
	uint32_t *gaps = node; /* the nodes are stored: their place is free */
	for (uint32_t p = 0, next = 0; p < count; p++) {
		if (!p || i[p] != i[p - 1])
			next = i[p] + 1;
		gaps[p] = j[p] - next;
		next = j[p] + 1;
	}
	rc = kith_value_u32s(&s->encoder, gaps, count, kith_width(info->n), err);
	for (uint32_t v = 0; !rc && v < info->layer_count; v++) {
		kith_planes_to_bitmaps(planes, v, count, (uint8_t *)s->bits);
		rc = kith_value_noise(&s->encoder, s->bits, bitmap_bytes, err);
	}
	return rc ? rc : kith_value_seal(&s->encoder);
}

/* Makes `count` pairs of the nodes' gaps and numbers of pairs, and of the gaps in j. Returns 0, or -1 if they make no
 * such pairs. */
static int expand(const kith_pair_info *info, uint32_t nodes, uint32_t *node, const uint32_t *pairs, uint32_t count,
		  uint32_t *i, uint32_t *j)
{
	uint32_t at = 0;
	if (kith_gaps_decode(node, nodes, 0, info->n))
		return -1;
	for (uint32_t r = 0; r < nodes; r++) {
		if (!pairs[r] || pairs[r] > count - at || kith_gaps_decode(j + at, pairs[r], node[r] + 1ull, info->n))
			return -1;
		for (uint32_t end = at + pairs[r]; at < end; at++)
			i[at] = node[r];
	}
	return at == count ? 0 : -1;
}

/* A block that is being decoded. */
typedef struct decoding {
	kith_block_scratch *scratch;
	const kith_pair_info *info;
	kith_view view;
	unsigned long long block;
	uint32_t count;
} decoding;

static int open_block(decoding *d, kith_block_scratch *s, const kith_pair_info *info, uint64_t block, const void *bytes,
		      size_t size, kith_err *err)
{
	uint64_t left = info->pairs - block * info->block_pairs;
	*d = (decoding){.scratch = s, .info = info, .block = block};
	d->count = left < info->block_pairs ? (uint32_t)left : info->block_pairs;
	int rc = kith_view_open(&d->view, &s->decoder, bytes, size, KITH_TABLE_PAIR_BLOCKS, (uint32_t)block, err);
	if (!rc && (d->view.items != d->count || d->view.nodes < 1 || d->view.nodes > d->count))
		return kith_fail(err, KITH_ECORRUPT, "block %llu has %llu pairs of %u samples where %u pairs belong",
				 d->block, (unsigned long long)d->view.items, d->view.nodes, d->count);
	return rc;
}

static int decode_ids(decoding *d, uint32_t *i, uint32_t *j, kith_err *err)
{
	const kith_pair_info *info = d->info;
	uint32_t *node, *pairs, nodes = d->view.nodes;
	int rc = two_lists(d->scratch, nodes, &node, &pairs, err);
	if (rc || (rc = kith_view_u32s(&d->view, node, nodes, kith_width(info->n), err)) ||
	    (rc = kith_view_u32s(&d->view, pairs, nodes, kith_width(info->block_pairs + 1ull), err)) ||
	    (rc = kith_view_u32s(&d->view, j, d->count, kith_width(info->n), err)))
		return rc;
	return expand(info, nodes, node, pairs, d->count, i, j)
		       ? kith_fail(err, KITH_ECORRUPT, "block %llu holds an impossible pair", d->block)
		       : 0;
}

/* Decodes layer v as layer w of `planes`. *next is the layer whose stream comes next. */
static int decode_layer(decoding *d, uint32_t v, uint32_t *next, kith_pair_planes *planes, uint32_t w, kith_err *err)
{
	kith_block_scratch *s = d->scratch;
	size_t bytes = kith_layer_bitmap_bytes(d->info->tiers, d->count);
	int rc = kith_view_skip(&d->view, (int)(v - *next), err);
	if (rc || (rc = KITH_SCRATCH(s->bits, s->bits_capacity, (bytes + 7) / 8, err)) ||
	    (rc = kith_view_stream(&d->view, s->bits, bytes, err)))
		return rc;
	*next = v + 1;
	if (kith_planes_from_bitmaps(planes, w, (const uint8_t *)s->bits))
		return kith_fail(err, KITH_ECORRUPT, "block %llu has two levels for a pair, or a level for none",
				 d->block);
	return v + 1 == d->info->layer_count ? kith_view_end(&d->view, err) : 0;
}

int kith_pair_block_decode(kith_block_scratch *s, const kith_pair_info *info, uint64_t block, const void *bytes,
			   size_t size, uint32_t layers, const uint32_t *wanted, kith_pair_planes *out, kith_err *err)
{
	decoding d;
	int rc = open_block(&d, s, info, block, bytes, size, err);
	if (rc || (rc = kith_planes_reserve(out, d.count, layers, info->tiers, err)) ||
	    (rc = decode_ids(&d, out->i, out->j, err)))
		return rc;
	for (uint32_t w = 0, next = 0; !rc && w < layers; w++)
		rc = decode_layer(&d, wanted ? wanted[w] : w, &next, out, w, err);
	return rc;
}

/* ---- the meta record ---- */

/* The first stream; then come numbers by layer, the strings, and, from older writers, the list of extras. */
struct head {
	char magic[8];
	uint32_t version, tiers, layers, block_pairs, extras, zero;
	uint64_t n, pairs, text_bytes;
	uint32_t k[KITH_MAX_TIERS], zero2;
	char command[1024], kith[32];
};
#define HEAD_MAGIC   "KITHKPR"
#define HEAD_VERSION 2

_Static_assert(sizeof(struct head) == 120 + 1024 + 32, "FORMAT.md promises no padding");

int kith_pair_info_check(const kith_pair_info *info, kith_err *err)
{
	if (info->n < 2 || info->n > KITH_MAX_NODES)
		return kith_fail(err, KITH_EUSAGE, "n=%llu is outside what a pair store can have",
				 (unsigned long long)info->n);
	if (info->layer_count < 1 || info->layer_count > KITH_MAX_LAYERS)
		return kith_fail(err, KITH_EUSAGE, "%u layers: a pair store has 1 to %u", info->layer_count,
				 KITH_MAX_LAYERS);
	if (info->tiers < 1 || info->tiers > KITH_MAX_TIERS)
		return kith_fail(err, KITH_EUSAGE, "%u values of k: a pair store has 1 to %d", info->tiers,
				 KITH_MAX_TIERS);
	for (uint32_t q = 0; q < info->tiers; q++)
		if (info->k[q] <= (q ? info->k[q - 1] : 0) || info->k[q] >= info->n)
			return kith_fail(err, KITH_EUSAGE, "k=%u: k must ascend from 1 to at most n-1 = %llu",
					 info->k[q], (unsigned long long)info->n - 1);
	if (info->block_pairs < 1 || info->block_pairs > KITH_MAX_PAIR_BLOCK ||
	    info->block_pairs * kith_pair_quarters(info->layer_count, info->tiers) > 4ull * KITH_MAX_PAIR_BLOCK_BYTES)
		return kith_fail(err, KITH_EUSAGE, "blocks of %u pairs: too large, or 0", info->block_pairs);
	return 0;
}

static char **layer_text(kith_layer *layer, int which)
{
	char **texts[KITH_LAYER_TEXTS] = {&layer->name,   &layer->metric, &layer->engine,
					  &layer->digest, &layer->input,  &layer->command};
	return texts[which];
}

static int allocate(kith_pair_meta *m, uint32_t layers, uint64_t text_bytes, kith_err *err)
{
	kith_workspace w = {0};
	KITH_BUFFER(&w, m->dim, layers);
	KITH_BUFFER(&w, m->recall, layers);
	KITH_BUFFER(&w, m->text, text_bytes);
	KITH_BUFFER_ZERO(&w, m->info.layers, layers);
	m->text_bytes = text_bytes;
	return kith_workspace_alloc(&w, &m->memory, "the layers' names", err);
}

int kith_pair_meta_init(kith_pair_meta *m, const kith_pair_info *info, kith_err *err)
{
	uint64_t bytes = 0;
	int rc;
	for (uint32_t t = 0; t < info->layer_count * KITH_LAYER_TEXTS; t++) {
		const char *text = *layer_text(&info->layers[t / KITH_LAYER_TEXTS], (int)(t % KITH_LAYER_TEXTS));
		bytes += (text ? strlen(text) : 0) + 1;
	}
	if (bytes > MAX_TEXT_BYTES)
		return kith_fail(err, KITH_EUSAGE, "names and commands of the layers come to %llu bytes, too many",
				 (unsigned long long)bytes);
	m->info = *info;
	m->info.pairs = 0;
	if ((rc = allocate(m, info->layer_count, bytes, err)))
		return rc;
	char *at = m->text;
	for (uint32_t v = 0; v < info->layer_count; v++) {
		m->dim[v] = info->layers[v].dim;
		m->recall[v] = info->layers[v].recall;
		for (int t = 0; t < KITH_LAYER_TEXTS; t++) {
			const char *text = *layer_text(&info->layers[v], t);
			at = stpcpy(at, text ? text : "") + 1;
		}
	}
	return 0;
}

void kith_pair_meta_free(kith_pair_meta *m)
{
	free(m->memory);
	memset(m, 0, sizeof *m);
}

int kith_pair_meta_encode(kith_block_scratch *s, const kith_pair_meta *m, kith_err *err)
{
	const kith_pair_info *info = &m->info;
	struct head h = {.magic = HEAD_MAGIC,
			 .version = HEAD_VERSION,
			 .tiers = info->tiers,
			 .layers = info->layer_count,
			 .block_pairs = info->block_pairs,
			 .n = info->n,
			 .pairs = info->pairs,
			 .text_bytes = m->text_bytes};
	size_t layers = info->layer_count;
	int rc = kith_value_start(&s->encoder, KITH_TABLE_META, 0, 0, 1, err);
	memcpy(h.k, info->k, info->tiers * sizeof *h.k);
	kith_copy_text(h.command, sizeof h.command, info->command);
	kith_copy_text(h.kith, sizeof h.kith, KITH_VERSION);
	if (rc || (rc = kith_value_stream(&s->encoder, &h, sizeof h, err)) ||
	    (rc = kith_value_stream(&s->encoder, m->dim, layers * sizeof *m->dim, err)) ||
	    (rc = kith_value_stream(&s->encoder, m->recall, layers * sizeof *m->recall, err)) ||
	    (rc = kith_value_stream(&s->encoder, m->text, m->text_bytes, err)) ||
	    (rc = kith_value_stream(&s->encoder, &h, 0, err)))
		return rc;
	return kith_value_seal(&s->encoder);
}

static int take_head(const struct head *h, kith_pair_info *info, kith_err *err)
{
	int rc;
	if (memcmp(h->magic, HEAD_MAGIC, sizeof h->magic))
		return kith_fail(err, KITH_EUSAGE, "not a pair store");
	if ((rc = kith_version_check(h->version, HEAD_VERSION, "kith-merge --pairs", err)))
		return rc;
	*info = (kith_pair_info){
		.n = h->n,
		.pairs = h->pairs,
		.layer_count = h->layers,
		.tiers = h->tiers,
		.block_pairs = h->block_pairs,
	};
	memcpy(info->k, h->k, sizeof h->k);
	kith_copy_text(info->command, sizeof info->command, h->command);
	kith_copy_text(info->version, sizeof info->version, h->kith);
	if (kith_pair_info_check(info, err))
		return kith_fail_in(err, KITH_ECORRUPT, "its meta record makes no sense");
	if (h->text_bytes > MAX_TEXT_BYTES || kith_pair_info_blocks(info) > UINT32_MAX)
		return kith_fail(err, KITH_ECORRUPT, "its meta record makes no sense");
	return 0;
}

/* Points the layers' strings into the text, which must hold exactly these. */
static int take_layers(kith_pair_meta *m, kith_err *err)
{
	const char *end = m->text + m->text_bytes;
	char *at = m->text;
	kith_layer *layers = m->info.layers;
	for (uint32_t v = 0; v < m->info.layer_count; v++) {
		layers[v].dim = m->dim[v];
		layers[v].recall = m->recall[v];
		for (int t = 0; t < KITH_LAYER_TEXTS; t++) {
			size_t length = strnlen(at, (size_t)(end - at));
			if (at + length == end)
				return kith_fail(err, KITH_ECORRUPT, "its meta record lacks a layer's name");
			*layer_text(&layers[v], t) = at;
			at += length + 1;
		}
	}
	return at == end ? 0 : kith_fail(err, KITH_ECORRUPT, "its meta record has names of no layer");
}

int kith_pair_meta_decode(kith_block_scratch *s, const void *bytes, size_t size, kith_pair_meta *m, kith_err *err)
{
	struct head h;
	kith_view view;
	int rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_META, 0, err);
	if (rc || (rc = kith_view_stream(&view, &h, sizeof h, err)) || (rc = take_head(&h, &m->info, err)) ||
	    (rc = allocate(m, h.layers, h.text_bytes, err)) ||
	    (rc = kith_view_stream(&view, m->dim, h.layers * sizeof *m->dim, err)) ||
	    (rc = kith_view_stream(&view, m->recall, h.layers * sizeof *m->recall, err)) ||
	    (rc = kith_view_stream(&view, m->text, h.text_bytes, err)) || (rc = kith_view_skip(&view, 1, err)) ||
	    (rc = kith_view_end(&view, err)))
		return rc;
	return take_layers(m, err);
}
