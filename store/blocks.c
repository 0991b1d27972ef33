/* blocks.c - see blocks.h and FORMAT.md, section 4. */
#include "blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"
#include "kith/npy.h" /* KITH_MAX_NODES, KITH_MAX_DIM */

int kith_block_scratch_init(kith_block_scratch *s, kith_err *err)
{
	s->encoder = kith_encoder_new();
	s->decoder = kith_decoder_new();
	return s->encoder && s->decoder ? 0 : kith_fail_nomem(err, "a zstd context", 1u << 17);
}

void kith_block_scratch_free(kith_block_scratch *s)
{
	kith_encoder_free(s->encoder);
	kith_decoder_free(s->decoder);
	free(s->value.bytes);
	free(s->numbers);
	free(s->bits);
	memset(s, 0, sizeof *s);
}

/* Room for `count` numbers of 32 bits. */
static int numbers(kith_block_scratch *s, size_t count, kith_err *err)
{
	return kith_scratch(&s->numbers, &s->numbers_capacity, count, sizeof(uint32_t), err);
}

/* A tier is stored as bitmaps where a gap would cost no less than a bit per node. */
static int tier_is_dense(uint64_t members, uint64_t n)
{
	return members * 8 >= n;
}

/* ---- rows ---- */

/* Ids at ids[r * k + start], `members` of them, for each of the block's rows. */
static int tier_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t t, uint32_t nodes,
		       const uint32_t *ids, kith_err *err)
{
	size_t k = kith_info_k(info), start = kith_info_tier_start(info, t), members = info->ladder[t] - start;
	size_t bitmap = (info->n + 7) / 8;
	int rc;

	if (tier_is_dense(members, info->n)) {
		if ((rc = kith_scratch(&s->bits, &s->bits_capacity, nodes * bitmap, 1, err)))
			return rc;
		for (size_t r = 0; r < nodes; r++)
			kith_bitmap_encode(ids + r * k + start, members, info->n, (uint8_t *)s->bits + r * bitmap);
		return kith_value_stream(s->encoder, &s->value, s->bits, nodes * bitmap, err);
	}
	if ((rc = numbers(s, nodes * members, err)))
		return rc;
	for (size_t r = 0; r < nodes; r++)
		kith_gaps_encode(ids + r * k + start, members, 0, (uint32_t *)s->numbers + r * members);
	return kith_value_u32s(s->encoder, &s->value, s->numbers, nodes * members, kith_width(info->n), err);
}

static int tier_decode(kith_block_scratch *s, const kith_graph_info *info, kith_view *view, uint32_t t, size_t stride,
		       uint32_t *ids, kith_err *err)
{
	size_t start = kith_info_tier_start(info, t), members = info->ladder[t] - start, nodes = view->nodes;
	size_t bitmap = (info->n + 7) / 8;
	int rc, bad = 0;

	if (tier_is_dense(members, info->n)) {
		if ((rc = kith_scratch(&s->bits, &s->bits_capacity, nodes * bitmap, 1, err)) ||
		    (rc = kith_view_stream(s->decoder, view, s->bits, nodes * bitmap, err)))
			return rc;
		for (size_t r = 0; r < nodes; r++)
			bad |= kith_bitmap_decode((uint8_t *)s->bits + r * bitmap, info->n, ids + r * stride + start,
						  members);
	} else {
		int contiguous = members == stride; /* one tier: decode in place, no copy */
		if (!contiguous && (rc = numbers(s, nodes * members, err)))
			return rc;
		uint32_t *gaps = contiguous ? ids : s->numbers;
		if ((rc = kith_view_u32s(s->decoder, view, gaps, nodes * members, kith_width(info->n), err)))
			return rc;
		for (size_t r = 0; r < nodes; r++) {
			bad |= kith_gaps_decode(gaps + r * members, members, 0, info->n);
			if (!contiguous)
				memcpy(ids + r * stride + start, gaps + r * members, members * sizeof *ids);
		}
	}
	return bad ? kith_fail(err, KITH_ECORRUPT, "a row of tier %u holds an impossible id", t) : 0;
}

int kith_rows_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const uint32_t *ids,
		     kith_err *err)
{
	uint32_t nodes = kith_info_block_size(info, block);
	int rc = kith_value_start(&s->value, KITH_TABLE_ROWS, (uint32_t)block, nodes,
				  (uint64_t)nodes * kith_info_k(info), err);
	for (uint32_t t = 0; !rc && t < info->tiers; t++)
		rc = tier_encode(s, info, t, nodes, ids, err);
	if (!rc)
		kith_value_seal(&s->value);
	return rc;
}

/* Opens a block's value and checks that it has the nodes that it should. */
static int open_block(kith_view *view, const kith_graph_info *info, uint32_t table, uint64_t block, const void *bytes,
		      size_t size, kith_err *err)
{
	int rc = kith_view_open(view, bytes, size, table, (uint32_t)block, err);
	if (!rc && view->nodes != kith_info_block_size(info, block))
		rc = kith_fail(err, KITH_ECORRUPT, "block %llu has %u nodes", (unsigned long long)block, view->nodes);
	return rc;
}

int kith_rows_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes, size_t size,
		     uint32_t tiers, uint32_t *ids, kith_err *err)
{
	kith_view view;
	int rc = open_block(&view, info, KITH_TABLE_ROWS, block, bytes, size, err);
	for (uint32_t t = 0; !rc && t < tiers; t++)
		rc = tier_decode(s, info, &view, t, info->ladder[tiers - 1], ids, err);
	return !rc && tiers == info->tiers ? kith_view_end(&view, err) : rc;
}

/* ---- near lists ---- */

int kith_near_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const uint32_t *slots,
		     const double *dist2, kith_err *err)
{
	uint32_t nodes = kith_info_block_size(info, block);
	size_t items = (size_t)nodes * info->near;
	int rc = kith_value_start(&s->value, KITH_TABLE_NEAR, (uint32_t)block, nodes, items, err);
	if (rc || (rc = kith_value_u32s(s->encoder, &s->value, slots, items, kith_width(kith_info_k(info)), err)) ||
	    (rc = kith_value_f64s(s->encoder, &s->value, dist2, items, err)))
		return rc;
	kith_value_seal(&s->value);
	return 0;
}

int kith_near_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes, size_t size,
		     uint32_t *slots, double *dist2, kith_err *err)
{
	kith_view view;
	uint32_t k = kith_info_k(info);
	int rc = open_block(&view, info, KITH_TABLE_NEAR, block, bytes, size, err);
	size_t items = rc ? 0 : (size_t)view.nodes * info->near;
	if (rc || (rc = kith_view_u32s(s->decoder, &view, slots, items, kith_width(k), err)) ||
	    (rc = kith_view_f64s(s->decoder, &view, dist2, items, err)))
		return rc;
	for (size_t i = 0; i < items; i++)
		if (slots[i] >= k || isnan(dist2[i]))
			return kith_fail(err, KITH_ECORRUPT, "a near list points outside its row");
	return kith_view_end(&view, err);
}

/* ---- pair lists ---- */

int kith_pairs_reserve(kith_pairs *p, size_t nodes, size_t items, kith_err *err)
{
	int rc;
	void *offset = p->offset, *id = p->id, *tier = p->tier;
	rc = kith_scratch(&offset, &p->offset_capacity, nodes + 1, sizeof *p->offset, err);
	if (!rc)
		rc = kith_scratch(&id, &p->id_capacity, items, sizeof *p->id, err);
	if (!rc)
		rc = kith_scratch(&tier, &p->tier_capacity, items, sizeof *p->tier, err);
	p->offset = offset;
	p->id = id;
	p->tier = tier;
	return rc;
}

void kith_pairs_free(kith_pairs *p)
{
	free(p->offset);
	free(p->id);
	free(p->tier);
	memset(p, 0, sizeof *p);
}

int kith_pairs_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const kith_pairs *pairs,
		      kith_err *err)
{
	uint32_t nodes = kith_info_block_size(info, block);
	uint64_t first = block * info->block_nodes;
	size_t items = pairs->offset[nodes] - pairs->offset[0];
	int rc = kith_value_start(&s->value, KITH_TABLE_PAIRS, (uint32_t)block, nodes, items, err);

	if (rc || (rc = numbers(s, items > nodes ? items : nodes, err)))
		return rc;
	uint32_t *x = s->numbers;
	for (uint32_t r = 0; r < nodes; r++)
		x[r] = (uint32_t)(pairs->offset[r + 1] - pairs->offset[r]);
	if ((rc = kith_value_u32s(s->encoder, &s->value, x, nodes, 4, err)))
		return rc;
	for (uint32_t r = 0; r < nodes; r++) {
		size_t at = pairs->offset[r] - pairs->offset[0], count = pairs->offset[r + 1] - pairs->offset[r];
		kith_gaps_encode(pairs->id + pairs->offset[r], count, (uint32_t)(first + r + 1), x + at);
	}
	if ((rc = kith_value_u32s(s->encoder, &s->value, x, items, kith_width(info->n), err)) ||
	    (rc = kith_value_stream(s->encoder, &s->value, pairs->tier + pairs->offset[0], items, err)))
		return rc;
	kith_value_seal(&s->value);
	return 0;
}

int kith_pairs_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes,
		      size_t size, kith_pairs *out, kith_err *err)
{
	kith_view view;
	uint64_t first = block * info->block_nodes;
	int rc = open_block(&view, info, KITH_TABLE_PAIRS, block, bytes, size, err);
	if (rc)
		return rc;
	/* no block can hold more pairs than its nodes have with all larger ones: bounds what is allocated for it */
	if (view.items > (uint64_t)view.nodes * info->n || view.items > 2 * info->n * kith_info_k(info))
		return kith_fail(err, KITH_ECORRUPT, "a pair list is too long");
	if ((rc = numbers(s, view.nodes, err)) || (rc = kith_pairs_reserve(out, view.nodes, view.items, err)) ||
	    (rc = kith_view_u32s(s->decoder, &view, s->numbers, view.nodes, 4, err)) ||
	    (rc = kith_view_u32s(s->decoder, &view, out->id, view.items, kith_width(info->n), err)) ||
	    (rc = kith_view_stream(s->decoder, &view, out->tier, view.items, err)) || (rc = kith_view_end(&view, err)))
		return rc;

	const uint32_t *count = s->numbers;
	out->offset[0] = 0;
	for (uint32_t r = 0; r < view.nodes; r++) {
		out->offset[r + 1] = out->offset[r] + count[r];
		if (out->offset[r + 1] > view.items ||
		    kith_gaps_decode(out->id + out->offset[r], count[r], first + r + 1, info->n))
			return kith_fail(err, KITH_ECORRUPT, "a pair list holds an impossible id");
	}
	if (out->offset[view.nodes] != view.items)
		return kith_fail(err, KITH_ECORRUPT, "a pair list's counts do not add up");

	/* every byte a pair of tiers, each known or absent, not both absent; a table keeps the loop free of branches */
	uint8_t wrong[256], any = 0;
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t low = b & 15, high = b >> 4;
		wrong[b] = (low >= info->tiers && low != KITH_TIER_ABSENT) ||
			   (high >= info->tiers && high != KITH_TIER_ABSENT) || b == 0xff;
	}
	for (uint64_t i = 0; i < view.items; i++)
		any |= wrong[out->tier[i]];
	return any ? kith_fail(err, KITH_ECORRUPT, "a pair list holds an impossible tier") : 0;
}

/* ---- the meta record ---- */

/* Numbers first, then the strings in their fixed widths, each zero-terminated and zero-filled. */
struct meta {
	char magic[8];
	uint32_t version, tiers, near, block_nodes;
	uint64_t n, d, pairs;
	double recall;
	uint32_t ladder[KITH_MAX_TIERS], zero;
	char metric[16], engine[128], parameters[256], digest[32], input[256], command[1024], kith[32];
};
#define META_MAGIC   "KITHNNG"
#define META_VERSION 1

_Static_assert(sizeof(struct meta) == 120 + 16 + 128 + 256 + 32 + 256 + 1024 + 32, "FORMAT.md promises no padding");

/* Into a field that is all zeros: what the text does not fill stays zero, so that equal graphs give equal bytes. */
static void copy_text(char *field, size_t size, const char *text)
{
	memcpy(field, text, strnlen(text, size - 1));
}

int kith_meta_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t pairs, kith_err *err)
{
	struct meta m = {.magic = META_MAGIC, .version = META_VERSION};
	m.tiers = info->tiers;
	m.near = info->near;
	m.block_nodes = info->block_nodes;
	m.n = info->n;
	m.d = info->d;
	m.pairs = pairs;
	m.recall = info->recall;
	memcpy(m.ladder, info->ladder, info->tiers * sizeof *m.ladder);
	copy_text(m.metric, sizeof m.metric, info->metric);
	copy_text(m.engine, sizeof m.engine, info->engine);
	copy_text(m.parameters, sizeof m.parameters, info->parameters);
	copy_text(m.digest, sizeof m.digest, info->digest);
	copy_text(m.input, sizeof m.input, info->input);
	copy_text(m.command, sizeof m.command, info->command);
	copy_text(m.kith, sizeof m.kith, KITH_VERSION);

	int rc = kith_value_start(&s->value, KITH_TABLE_META, 0, 0, 1, err);
	if (rc || (rc = kith_value_stream(s->encoder, &s->value, &m, sizeof m, err)))
		return rc;
	kith_value_seal(&s->value);
	return 0;
}

static int meta_is_sound(const struct meta *m)
{
	if (m->n < 2 || m->n > KITH_MAX_NODES || m->d < 1 || m->d > KITH_MAX_DIM || m->tiers < 1 ||
	    m->tiers > KITH_MAX_TIERS || m->block_nodes < 1 || (m->block_nodes & (m->block_nodes - 1)) ||
	    m->block_nodes > KITH_MAX_BLOCK_NODES || !(m->recall > 0 && m->recall <= 1))
		return 0;
	for (uint32_t t = 0; t < m->tiers; t++)
		if (m->ladder[t] <= (t ? m->ladder[t - 1] : 0) || m->ladder[t] >= m->n)
			return 0;
	return m->near <= m->ladder[m->tiers - 1];
}

int kith_meta_decode(const void *bytes, size_t size, kith_graph_info *info, uint64_t *pairs, kith_err *err)
{
	struct meta m;
	kith_view view;
	kith_decoder *decoder = kith_decoder_new();
	int rc = decoder ? 0 : kith_fail_nomem(err, "a zstd context", 1u << 17);

	if (rc || (rc = kith_view_open(&view, bytes, size, KITH_TABLE_META, 0, err)) ||
	    (rc = kith_view_stream(decoder, &view, &m, sizeof m, err)))
		goto done;
	if (memcmp(m.magic, META_MAGIC, sizeof m.magic)) {
		rc = kith_fail(err, KITH_EUSAGE, "not a k-nearest-neighbour graph");
		goto done;
	}
	if (m.version != META_VERSION) {
		rc = kith_fail(err, KITH_EUSAGE, "format version %u, but this program reads version %d", m.version,
			       META_VERSION);
		goto done;
	}
	if (!meta_is_sound(&m)) {
		rc = kith_fail(err, KITH_ECORRUPT, "its meta record makes no sense");
		goto done;
	}
	memset(info, 0, sizeof *info);
	info->n = m.n;
	info->d = m.d;
	info->tiers = m.tiers;
	info->near = m.near;
	info->block_nodes = kith_block_nodes_fit(m.block_nodes, m.n); /* older files have larger ones */
	info->recall = m.recall;
	*pairs = m.pairs;
	memcpy(info->ladder, m.ladder, m.tiers * sizeof *m.ladder);
	/* widths are equal and the last byte of `info`'s is already zero */
	memcpy(info->metric, m.metric, sizeof m.metric - 1);
	memcpy(info->engine, m.engine, sizeof m.engine - 1);
	memcpy(info->parameters, m.parameters, sizeof m.parameters - 1);
	memcpy(info->digest, m.digest, sizeof m.digest - 1);
	memcpy(info->input, m.input, sizeof m.input - 1);
	memcpy(info->command, m.command, sizeof m.command - 1);
	memcpy(info->version, m.kith, sizeof m.kith - 1);
done:
	kith_decoder_free(decoder);
	return rc;
}
