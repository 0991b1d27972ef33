/* graph_codec.c - see graph_codec.h and FORMAT.md, section 4. */
#include "graph_codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "kith/limits.h"

int kith_block_scratch_init(kith_block_scratch *s, kith_err *err)
{
	s->encoder = kith_encoder_new();
	s->decoder = kith_decoder_new();
	return s->encoder && s->decoder ? 0 : kith_fail_nomem(err, "zstd's contexts", 1u << 20);
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

/* As bits where that takes no more than two bytes for each id; from there on both sizes are near what the sets are
 * worth, once compressed, and bits are what a merge wants. */
int kith_tier_is_dense(const kith_graph_info *info, uint32_t t)
{
	return kith_info_tier_size(info, t) * 16ull >= info->n;
}

static int bits(kith_block_scratch *s, size_t words, kith_err *err)
{
	return kith_scratch(&s->bits, &s->bits_capacity, words, sizeof(uint64_t), err);
}

/* ---- rows ---- */

/* Ids at ids[r * k + start], `members` of them, for each of the block's rows. */
static int tier_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t t, uint32_t nodes,
		       const uint32_t *ids, kith_err *err)
{
	size_t k = kith_info_k(info), start = kith_info_tier_start(info, t), members = info->ladder[t] - start;
	size_t words = kith_words(info->n);
	int rc;

	if (kith_tier_is_dense(info, t)) {
		if ((rc = bits(s, nodes * words, err)))
			return rc;
		for (size_t r = 0; r < nodes; r++)
			kith_bits_encode(ids + r * k + start, members, info->n, (uint64_t *)s->bits + r * words);
		return kith_value_stream(s->encoder, &s->value, s->bits, nodes * words * sizeof(uint64_t), err);
	}
	if ((rc = numbers(s, nodes * members, err)))
		return rc;
	for (size_t r = 0; r < nodes; r++)
		kith_gaps_encode(ids + r * k + start, members, 0, (uint32_t *)s->numbers + r * members);
	return kith_value_u32s(s->encoder, &s->value, s->numbers, nodes * members, kith_width(info->n), err);
}

static int bad_row(uint32_t t, kith_err *err)
{
	return kith_fail(err, KITH_ECORRUPT, "a row of tier %u holds an impossible id", t);
}

static int tier_decode(kith_block_scratch *s, const kith_graph_info *info, kith_view *view, uint32_t t, size_t stride,
		       uint32_t *ids, kith_err *err)
{
	size_t start = kith_info_tier_start(info, t), members = info->ladder[t] - start, nodes = view->nodes;
	size_t words = kith_words(info->n);
	int rc, bad = 0;

	if (kith_tier_is_dense(info, t)) {
		if ((rc = bits(s, nodes * words, err)) ||
		    (rc = kith_view_stream(s->decoder, view, s->bits, nodes * words * sizeof(uint64_t), err)))
			return rc;
		for (size_t r = 0; r < nodes; r++)
			bad |= kith_bits_decode((uint64_t *)s->bits + r * words, info->n, ids + r * stride + start,
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
	return bad ? bad_row(t, err) : 0;
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
static int open_block(kith_view *view, const kith_graph_info *info, uint32_t table, uint64_t number, uint64_t block,
		      const void *bytes, size_t size, kith_err *err)
{
	int rc = kith_view_open(view, bytes, size, table, (uint32_t)number, err);
	if (!rc && view->nodes != kith_info_block_size(info, block))
		rc = kith_fail(err, KITH_ECORRUPT, "block %llu has %u nodes", (unsigned long long)block, view->nodes);
	return rc;
}

int kith_rows_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes, size_t size,
		     uint32_t tiers, uint32_t *ids, kith_err *err)
{
	kith_view view;
	int rc = open_block(&view, info, KITH_TABLE_ROWS, block, block, bytes, size, err);
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
	int rc = open_block(&view, info, KITH_TABLE_NEAR, block, block, bytes, size, err);
	size_t items = rc ? 0 : (size_t)view.nodes * info->near;
	if (rc || (rc = kith_view_u32s(s->decoder, &view, slots, items, kith_width(k), err)) ||
	    (rc = kith_view_f64s(s->decoder, &view, dist2, items, err)))
		return rc;
	for (size_t i = 0; i < items; i++)
		if (slots[i] >= k || isnan(dist2[i]))
			return kith_fail(err, KITH_ECORRUPT, "a near list points outside its row");
	return kith_view_end(&view, err);
}

/* ---- sets ---- */

_Static_assert(KITH_SETS_SPARE >= KITH_SPARE, "kith_view_sets writes beyond the last set");

int kith_sets_reserve_ids(kith_sets *x, size_t nodes, size_t items, kith_err *err)
{
	void *offset = x->offset, *id = x->id;
	int rc = kith_scratch(&offset, &x->offset_capacity, nodes + 1, sizeof *x->offset, err);
	if (!rc)
		rc = kith_scratch(&id, &x->id_capacity, items + KITH_SETS_SPARE, sizeof *x->id, err);
	x->offset = offset;
	x->id = id;
	return rc;
}

int kith_sets_reserve_bits(kith_sets *x, size_t nodes, size_t words, kith_err *err)
{
	void *room = x->bits;
	int rc = kith_scratch(&room, &x->bits_capacity, nodes * words, sizeof *x->bits, err);
	x->bits = room;
	return rc;
}

void kith_sets_free(kith_sets *x)
{
	free(x->offset);
	free(x->id);
	free(x->bits);
	memset(x, 0, sizeof *x);
}

KITH_CLONES static uint64_t ones_any(const uint64_t *words, size_t count)
{
	uint64_t found = 0;
	for (size_t w = 0; w < count; w++)
		found += (uint64_t)__builtin_popcountll(words[w]);
	return found;
}

#ifdef KITH_AVX512

#include <immintrin.h>

KITH_AVX512 static uint64_t ones_512(const uint64_t *words, size_t count)
{
	__m512i sum = _mm512_setzero_si512();
	for (size_t w = 0; w < count; w += 8) {
		__mmask8 here = count - w < 8 ? (__mmask8)((1u << (count - w)) - 1) : 0xff;
		sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_maskz_loadu_epi64(here, words + w)));
	}
	return (uint64_t)_mm512_reduce_add_epi64(sum);
}

#else
#define ones_512(...) 0
#endif

/* How many bits of a set are set, or UINT64_MAX if one is below `from` or not below n. */
static uint64_t count_bits(const uint64_t *words, uint64_t base, size_t count, uint64_t from, uint64_t n)
{
	uint64_t wrong = 0;
	for (uint64_t w = base; w <= from / 64 && w - base < count; w++)
		wrong |= words[w - base] & (w < from / 64 ? ~0ull : (1ull << from % 64) - 1);
	if (n % 64 && count)
		wrong |= words[count - 1] >> n % 64;
	return wrong ? UINT64_MAX : (kith_cpu() == KITH_CPU_AVX512) ? ones_512(words, count) : ones_any(words, count);
}

/* Row sets from one stream, reverse lists from theirs: bits of nodes first.., each set from word `base` on. */
static int bits_decode(kith_block_scratch *s, kith_view *view, uint64_t n, uint64_t first, uint64_t base,
		       kith_sets *out, kith_err *err)
{
	size_t words = kith_words(n) - base;
	int rc = kith_sets_reserve_bits(out, view->nodes, words, err);
	out->dense = 1;
	out->first = first;
	out->count = view->nodes;
	out->stride = words;
	out->base = base;
	return rc ? rc : kith_view_stream(s->decoder, view, out->bits, view->nodes * words * sizeof *out->bits, err);
}

int kith_row_sets_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t t, uint64_t block,
			 const void *bytes, size_t size, kith_sets *out, kith_err *err)
{
	kith_view view;
	uint64_t first = block * info->block_nodes;
	size_t members = kith_info_tier_size(info, t);
	int bad = 0, rc = open_block(&view, info, KITH_TABLE_ROWS, block, block, bytes, size, err);

	for (uint32_t before = 0; !rc && before < t; before++)
		rc = kith_view_skip(&view, kith_tier_is_dense(info, before) ? 1 : kith_width(info->n), err);
	if (rc)
		return rc;
	if (kith_tier_is_dense(info, t)) {
		if ((rc = bits_decode(s, &view, info->n, first, 0, out, err)))
			return rc;
		for (size_t r = 0; r < view.nodes; r++)
			bad |= count_bits(out->bits + r * out->stride, 0, out->stride, 0, info->n) != members;
	} else {
		out->dense = 0;
		out->first = first;
		out->count = view.nodes;
		if ((rc = kith_sets_reserve_ids(out, view.nodes, view.nodes * members, err)))
			return rc;
		for (size_t r = 0; r <= view.nodes; r++)
			out->offset[r] = r * members;
		if ((rc = kith_view_sets(s->decoder, &view, out->offset, view.nodes, 0, 0, info->n, out->id, &bad,
					 err)))
			return rc;
	}
	out->items = view.nodes * members;
	return bad ? bad_row(t, err) : 0;
}

/* ---- reverse lists ---- */

int kith_reverse_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const kith_sets *sets, kith_err *err)
{
	uint32_t nodes = kith_info_block_size(info, block);
	uint64_t first = block * info->block_nodes, at = first - sets->first, items = 0;
	uint32_t number = kith_reverse_number(info, tier, block);
	int rc;

	if (sets->dense) {
		size_t base = first / 64, words = kith_words(info->n) - base;
		if ((rc = bits(s, nodes * words, err)))
			return rc;
		for (uint32_t r = 0; r < nodes; r++) {
			uint64_t *to = (uint64_t *)s->bits + r * words;
			memcpy(to, sets->bits + (at + r) * sets->stride + base - sets->base, words * sizeof *to);
			items += count_bits(to, base, words, first + r + 1, info->n);
		}
		if ((rc = kith_value_start(&s->value, KITH_TABLE_REVERSE, number, nodes, items, err)) ||
		    (rc = kith_value_stream(s->encoder, &s->value, s->bits, nodes * words * sizeof(uint64_t), err)))
			return rc;
		kith_value_seal(&s->value);
		return 0;
	}

	items = sets->offset[at + nodes] - sets->offset[at];
	if ((rc = numbers(s, items > nodes ? items : nodes, err)) ||
	    (rc = kith_value_start(&s->value, KITH_TABLE_REVERSE, number, nodes, items, err)))
		return rc;
	uint32_t *x = s->numbers;
	for (uint32_t r = 0; r < nodes; r++)
		x[r] = (uint32_t)(sets->offset[at + r + 1] - sets->offset[at + r]);
	if ((rc = kith_value_u32s(s->encoder, &s->value, x, nodes, 4, err)))
		return rc;
	for (uint32_t r = 0; r < nodes; r++) {
		uint64_t from = sets->offset[at + r], to = sets->offset[at + r + 1];
		kith_gaps_encode(sets->id + from, to - from, (uint32_t)(first + r + 1), x + from - sets->offset[at]);
	}
	if ((rc = kith_value_u32s(s->encoder, &s->value, x, items, kith_width(info->n), err)))
		return rc;
	kith_value_seal(&s->value);
	return 0;
}

int kith_reverse_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const void *bytes, size_t size, kith_sets *out, kith_err *err)
{
	kith_view view;
	uint64_t first = block * info->block_nodes, items = 0;
	int bad = 0, rc = open_block(&view, info, KITH_TABLE_REVERSE, kith_reverse_number(info, tier, block), block,
				     bytes, size, err);
	if (rc)
		return rc;
	/* no tier has more edges: bounds what is allocated */
	if (view.items > (uint64_t)view.nodes * info->n || view.items > info->n * kith_info_tier_size(info, tier))
		return kith_fail(err, KITH_ECORRUPT, "a reverse list is too long");
	if (kith_tier_is_dense(info, tier)) {
		if ((rc = bits_decode(s, &view, info->n, first, first / 64, out, err)))
			return rc;
		for (uint64_t r = 0; r < view.nodes; r++) {
			uint64_t found =
				count_bits(out->bits + r * out->stride, out->base, out->stride, first + r + 1, info->n);
			if (found == UINT64_MAX)
				return kith_fail(err, KITH_ECORRUPT, "a reverse list holds an impossible id");
			items += found;
		}
	} else {
		if ((rc = numbers(s, view.nodes, err)) ||
		    (rc = kith_sets_reserve_ids(out, view.nodes, view.items, err)) ||
		    (rc = kith_view_u32s(s->decoder, &view, s->numbers, view.nodes, 4, err)))
			return rc;
		out->dense = 0;
		out->first = first;
		out->count = view.nodes;
		for (uint32_t r = 0; r < view.nodes; r++) {
			out->offset[r] = items;
			items += ((uint32_t *)s->numbers)[r];
		}
		out->offset[view.nodes] = items;
	}
	if (items != view.items)
		return kith_fail(err, KITH_ECORRUPT, "a reverse list's counts do not add up");
	if (!out->dense && (rc = kith_view_sets(s->decoder, &view, out->offset, view.nodes, first + 1, 1, info->n,
						out->id, &bad, err)))
		return rc;
	if (bad)
		return kith_fail(err, KITH_ECORRUPT, "a reverse list holds an impossible id");
	out->items = items;
	return kith_view_end(&view, err);
}

/* ---- the meta record ---- */

/* Numbers first, then the strings in their fixed widths, each zero-terminated and zero-filled. */
struct meta {
	char magic[8];
	uint32_t version, tiers, near, block_nodes;
	uint64_t n, d, reverse;
	double recall;
	uint32_t ladder[KITH_MAX_TIERS], zero;
	char metric[16], engine[128], parameters[256], digest[32], input[256], command[1024], kith[32];
};
#define META_MAGIC   "KITHNNG"
#define META_VERSION 2

_Static_assert(sizeof(struct meta) == 120 + 16 + 128 + 256 + 32 + 256 + 1024 + 32, "FORMAT.md promises no padding");

/* Into a field that is all zeros: what the text does not fill stays zero, so that equal graphs give equal bytes. */
static void copy_text(char *field, size_t size, const char *text)
{
	memcpy(field, text, strnlen(text, size - 1));
}

int kith_meta_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t reverse, kith_err *err)
{
	struct meta m = {.magic = META_MAGIC, .version = META_VERSION};
	m.tiers = info->tiers;
	m.near = info->near;
	m.block_nodes = info->block_nodes;
	m.n = info->n;
	m.d = info->d;
	m.reverse = reverse;
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
	/* the reverse lists are numbered with 32 bits */
	return m->near <= m->ladder[m->tiers - 1] && m->n / m->block_nodes < UINT32_MAX / m->tiers;
}

int kith_meta_decode(const void *bytes, size_t size, kith_graph_info *info, uint64_t *reverse, kith_err *err)
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
	if (m.version > META_VERSION) {
		rc = kith_fail(err, KITH_EUSAGE, "format version %u: this kith reads version %d: use a newer one",
			       m.version, META_VERSION);
		goto done;
	}
	if (m.version != META_VERSION) {
		rc = kith_fail(err, KITH_EVERSION,
			       "format version %u, but this program reads version %d: build it again with kith-knn",
			       m.version, META_VERSION);
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
	*reverse = m.reverse;
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
