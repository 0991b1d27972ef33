/* graph_codec.c - see graph_codec.h and FORMAT.md, section 4. */
#include "graph_codec.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "kith/limits.h"
#include "set_kernels.h"
#include "text.h"
#include "workspace.h"

int kith_block_scratch_init(kith_block_scratch *s, kith_err *err)
{
	int rc = kith_encoder_init(&s->encoder, err);
	return rc ? rc : kith_decoder_init(&s->decoder, err);
}

void kith_block_scratch_free(kith_block_scratch *s)
{
	kith_encoder_free(&s->encoder);
	kith_decoder_free(&s->decoder);
	kith_sets_free(&s->sets);
	free(s->numbers);
	free(s->bits);
	free(s->order);
	memset(s, 0, sizeof *s);
}

/* Fewer bits than two bytes for each id: from there on both sizes are near what the sets are worth, once compressed,
 * and bits are what a merge wants. */
int kith_tier_is_dense(const kith_graph_info *info, uint32_t t)
{
	return kith_info_tier_size(info, t) * 16ull >= info->n;
}

/* ---- sets ---- */

_Static_assert(KITH_SETS_SPARE >= KITH_SPARE, "kith_view_sets writes beyond the last set");

int kith_sets_start_ids(kith_sets *x, uint64_t first, uint64_t count, uint64_t items, kith_err *err)
{
	kith_workspace w = {0};
	x->dense = 0;
	x->first = first;
	x->count = count;
	KITH_BUFFER(&w, x->offset, count + 1);
	KITH_BUFFER(&w, x->id, items + KITH_SETS_SPARE);
	return kith_workspace_place(&w, &x->memory, &x->capacity, "sets of ids", err);
}

int kith_sets_start_bits(kith_sets *x, uint64_t first, uint64_t count, size_t base, uint64_t n, kith_err *err)
{
	kith_workspace w = {0};
	x->dense = 1;
	x->first = first;
	x->count = count;
	x->base = base;
	x->stride = kith_words(n) - base;
	KITH_BUFFER(&w, x->bits, count * x->stride);
	return kith_workspace_place(&w, &x->memory, &x->capacity, "sets of bits", err);
}

void kith_sets_free(kith_sets *x)
{
	free(x->memory);
	memset(x, 0, sizeof *x);
}

/* How many bits of a set are set, or UINT64_MAX if one is below `from` or not below n. */
static uint64_t count_bits(const uint64_t *words, uint64_t base, size_t count, uint64_t from, uint64_t n)
{
	uint64_t wrong = 0;
	for (uint64_t w = base; w <= from / 64 && w - base < count; w++)
		wrong |= words[w - base] & (w < from / 64 ? ~0ull : (1ull << from % 64) - 1);
	if (n % 64 && count)
		wrong |= words[count - 1] >> n % 64;
	return wrong ? UINT64_MAX : kith_set_kernels_get()->count_bits(words, count);
}

/* A block's sets from one stream of bits, each from word `base` on. */
static int decode_bits(kith_view *view, uint64_t first, size_t base, uint64_t n, kith_sets *out, kith_err *err)
{
	int rc = kith_sets_start_bits(out, first, view->nodes, base, n, err);
	size_t bytes = out->count * out->stride * sizeof *out->bits;
	return rc ? rc : kith_view_stream(view, out->bits, bytes, err);
}

/* Opens a block's value and checks that it has the nodes that it should. */
static int open_block(kith_block_scratch *s, kith_view *view, const kith_graph_info *info, uint32_t table,
		      uint32_t tier, uint64_t block, const void *bytes, size_t size, kith_err *err)
{
	int rc =
		kith_view_open(view, &s->decoder, bytes, size, table, kith_block_number(info, table, tier, block), err);
	if (!rc && view->nodes != kith_info_block_size(info, block))
		rc = kith_fail(err, KITH_ECORRUPT, "block %llu has %u nodes", (unsigned long long)block, view->nodes);
	return rc;
}

/* ---- rows ---- */

/* Tier t of the block's rows ids[r * k + ...]. */
static int encode_tier(kith_block_scratch *s, const kith_graph_info *info, uint32_t t, uint32_t nodes,
		       const uint32_t *ids, kith_err *err)
{
	size_t k = kith_info_k(info), members = kith_info_tier_size(info, t), words = kith_words(info->n);
	int rc;

	ids += kith_info_tier_start(info, t);
	if (kith_tier_is_dense(info, t)) {
		if ((rc = KITH_SCRATCH(s->bits, s->bits_capacity, nodes * words, err)))
			return rc;
		for (size_t r = 0; r < nodes; r++)
			kith_bits_encode(ids + r * k, members, info->n, s->bits + r * words);
		return kith_value_stream(&s->encoder, s->bits, nodes * words * sizeof *s->bits, err);
	}
	if ((rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, nodes * members, err)))
		return rc;
	for (size_t r = 0; r < nodes; r++)
		kith_gaps_encode(ids + r * k, members, 0, s->numbers + r * members);
	return kith_value_u32s(&s->encoder, s->numbers, nodes * members, kith_width(info->n), err);
}

int kith_some_rows_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t table, uint32_t number,
			  uint32_t nodes, const uint32_t *ids, kith_err *err)
{
	int rc = kith_value_start(&s->encoder, table, number, nodes, (uint64_t)nodes * kith_info_k(info), err);
	for (uint32_t t = 0; !rc && t < info->tiers; t++)
		rc = encode_tier(s, info, t, nodes, ids, err);
	return rc ? rc : kith_value_seal(&s->encoder);
}

int kith_rows_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const uint32_t *ids,
		     kith_err *err)
{
	return kith_some_rows_encode(s, info, KITH_TABLE_ROWS, (uint32_t)block, kith_info_block_size(info, block), ids,
				     err);
}

/* Tier t of the rows of a value that has been opened and read up to there, as sets. `ids`, if not NULL, is where sparse
 * ones go in place of out->id; KITH_SPARE more are overwritten. */
static int decode_tier(const kith_graph_info *info, uint32_t t, kith_view *view, uint64_t first, kith_sets *out,
		       uint32_t *ids, kith_err *err)
{
	size_t members = kith_info_tier_size(info, t);
	int bad = 0, rc;

	out->items = view->nodes * members;
	if (kith_tier_is_dense(info, t)) {
		rc = decode_bits(view, first, 0, info->n, out, err);
		for (size_t r = 0; !rc && r < out->count; r++)
			bad |= count_bits(out->bits + r * out->stride, 0, out->stride, 0, info->n) != members;
	} else if (!(rc = kith_sets_start_ids(out, first, view->nodes, ids ? 0 : out->items, err))) {
		for (size_t r = 0; r <= out->count; r++)
			out->offset[r] = r * members;
		rc = kith_view_sets(view, out->offset, out->count, 0, 0, info->n, ids ? ids : out->id, &bad, err);
	}
	if (!rc && bad)
		rc = kith_fail(err, KITH_ECORRUPT, "a row of tier %u holds an impossible id", t);
	return !rc && t + 1 == info->tiers ? kith_view_end(view, err) : rc;
}

/* Tier t of a block's rows; `ids` as in decode_tier. */
static int decode_block_tier(kith_block_scratch *s, const kith_graph_info *info, uint32_t t, uint64_t block,
			     const void *bytes, size_t size, kith_sets *out, uint32_t *ids, kith_err *err)
{
	kith_view view;
	int rc = open_block(s, &view, info, KITH_TABLE_ROWS, t, block, bytes, size, err);
	for (uint32_t before = 0; !rc && before < t; before++)
		rc = kith_view_skip(&view, kith_tier_is_dense(info, before) ? 1 : kith_width(info->n), err);
	return rc ? rc : decode_tier(info, t, &view, block * info->block_nodes, out, ids, err);
}

int kith_row_sets_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t t, uint64_t block,
			 const void *bytes, size_t size, kith_sets *out, kith_err *err)
{
	return decode_block_tier(s, info, t, block, bytes, size, out, NULL, err);
}

/* Copies tier t of some rows to where it stands in rows of k neighbours. */
static void take_tier(const kith_graph_info *info, uint32_t t, const kith_sets *x, size_t k, uint32_t *ids)
{
	for (size_t r = 0; r < x->count; r++) {
		uint32_t *to = ids + r * k + kith_info_tier_start(info, t);
		if (x->dense)
			kith_bits_decode(x->bits + r * x->stride, x->stride, to);
		else
			memcpy(to, x->id + x->offset[r], kith_info_tier_size(info, t) * sizeof *to);
	}
}

int kith_rows_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t block, const void *bytes, size_t size,
		     uint32_t tiers, uint32_t *ids, int has_spare, kith_err *err)
{
	int in_place = has_spare && tiers == 1 && !kith_tier_is_dense(info, 0), rc = 0;
	for (uint32_t t = 0; t < tiers; t++) {
		rc = decode_block_tier(s, info, t, block, bytes, size, &s->sets, in_place ? ids : NULL, err);
		if (rc)
			return rc;
		if (!in_place)
			take_tier(info, t, &s->sets, info->ladder[tiers - 1], ids);
	}
	return rc;
}

int kith_some_rows_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t table, uint32_t number,
			  uint32_t nodes, const void *bytes, size_t size, uint32_t *ids, kith_err *err)
{
	kith_view view;
	int rc = kith_view_open(&view, &s->decoder, bytes, size, table, number, err);
	if (!rc && view.nodes != nodes)
		rc = kith_fail(err, KITH_ECORRUPT, "value %u/%u has %u nodes", table, number, view.nodes);
	for (uint32_t t = 0; !rc && t < info->tiers; t++) {
		rc = decode_tier(info, t, &view, 0, &s->sets, NULL, err);
		if (!rc)
			take_tier(info, t, &s->sets, kith_info_k(info), ids);
	}
	return rc;
}

/* ---- reverse lists ---- */

static int encode_reverse_bits(kith_block_scratch *s, const kith_graph_info *info, uint32_t number, uint64_t first,
			       uint32_t nodes, const kith_sets *sets, kith_err *err)
{
	size_t base = first / 64, words = kith_words(info->n) - base;
	uint64_t items = 0;
	int rc = KITH_SCRATCH(s->bits, s->bits_capacity, nodes * words, err);
	for (uint32_t r = 0; !rc && r < nodes; r++) {
		uint64_t *to = s->bits + r * words;
		memcpy(to, sets->bits + (first + r - sets->first) * sets->stride + base - sets->base,
		       words * sizeof *to);
		items += count_bits(to, base, words, first + r + 1, info->n);
	}
	if (!rc)
		rc = kith_value_start(&s->encoder, KITH_TABLE_REVERSE, number, nodes, items, err);
	return rc ? rc : kith_value_stream(&s->encoder, s->bits, nodes * words * sizeof *s->bits, err);
}

static int encode_reverse_ids(kith_block_scratch *s, const kith_graph_info *info, uint32_t number, uint64_t first,
			      uint32_t nodes, const kith_sets *sets, kith_err *err)
{
	const uint64_t *offset = sets->offset + (first - sets->first);
	uint64_t items = offset[nodes] - offset[0];
	int rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, items > nodes ? items : nodes, err);
	if (rc || (rc = kith_value_start(&s->encoder, KITH_TABLE_REVERSE, number, nodes, items, err)))
		return rc;
	for (uint32_t r = 0; r < nodes; r++)
		s->numbers[r] = (uint32_t)(offset[r + 1] - offset[r]);
	if ((rc = kith_value_u32s(&s->encoder, s->numbers, nodes, 4, err)))
		return rc;
	for (uint32_t r = 0; r < nodes; r++)
		kith_gaps_encode(sets->id + offset[r], offset[r + 1] - offset[r], (uint32_t)(first + r + 1),
				 s->numbers + offset[r] - offset[0]);
	return kith_value_u32s(&s->encoder, s->numbers, items, kith_width(info->n), err);
}

int kith_reverse_encode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const kith_sets *sets, kith_err *err)
{
	uint32_t nodes = kith_info_block_size(info, block);
	uint32_t number = kith_block_number(info, KITH_TABLE_REVERSE, tier, block);
	uint64_t first = block * info->block_nodes;
	int rc = sets->dense ? encode_reverse_bits(s, info, number, first, nodes, sets, err)
			     : encode_reverse_ids(s, info, number, first, nodes, sets, err);
	return rc ? rc : kith_value_seal(&s->encoder);
}

/* The lists of a block whose value has been opened; `bad` if one holds an id that it cannot hold. */
static int decode_reverse_bits(uint64_t n, kith_view *view, uint64_t first, kith_sets *out, int *bad, kith_err *err)
{
	int rc = decode_bits(view, first, first / 64, n, out, err);
	for (uint64_t r = 0; !rc && r < out->count; r++) {
		uint64_t found = count_bits(out->bits + r * out->stride, out->base, out->stride, first + r + 1, n);
		*bad |= found == UINT64_MAX;
		out->items += found;
	}
	return rc;
}

static int decode_reverse_ids(kith_block_scratch *s, uint64_t n, kith_view *view, uint64_t first, kith_sets *out,
			      int *bad, kith_err *err)
{
	int rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, view->nodes, err);
	if (rc || (rc = kith_sets_start_ids(out, first, view->nodes, view->items, err)) ||
	    (rc = kith_view_u32s(view, s->numbers, view->nodes, 4, err)))
		return rc;
	for (uint32_t r = 0; r < view->nodes; r++) {
		out->offset[r] = out->items;
		out->items += s->numbers[r];
	}
	out->offset[view->nodes] = out->items;
	if (out->items != view->items)
		return 0;
	return kith_view_sets(view, out->offset, out->count, first + 1, 1, n, out->id, bad, err);
}

int kith_reverse_decode(kith_block_scratch *s, const kith_graph_info *info, uint32_t tier, uint64_t block,
			const void *bytes, size_t size, kith_sets *out, kith_err *err)
{
	kith_view view;
	uint64_t first = block * info->block_nodes;
	int bad = 0, rc = open_block(s, &view, info, KITH_TABLE_REVERSE, tier, block, bytes, size, err);
	if (rc)
		return rc;
	/* no tier has more edges: bounds what is allocated */
	if (view.items > (uint64_t)view.nodes * info->n || view.items > info->n * kith_info_tier_size(info, tier))
		return kith_fail(err, KITH_ECORRUPT, "a reverse list is too long");
	out->items = 0;
	rc = kith_tier_is_dense(info, tier) ? decode_reverse_bits(info->n, &view, first, out, &bad, err)
					    : decode_reverse_ids(s, info->n, &view, first, out, &bad, err);
	if (rc)
		return rc;
	if (bad)
		return kith_fail(err, KITH_ECORRUPT, "a reverse list holds an impossible id");
	if (out->items != view.items)
		return kith_fail(err, KITH_ECORRUPT, "a reverse list's counts do not add up");
	return kith_view_end(&view, err);
}

/* ---- the meta record ---- */

/* Numbers first, then the strings in their fixed widths, each zero-terminated and zero-filled. */
struct meta {
	char magic[8];
	uint32_t version, tiers, near, block_nodes;
	uint64_t n, d, reverse;
	double recall;
	uint32_t ladder[KITH_MAX_TIERS], audit_rows;
	char metric[16], engine[128], parameters[256], digest[32], input[256], command[1024], kith[32];
	uint32_t near_nodes, ties; /* from version 3 on; ties: a kith_ties, and whether its counts are there */
};
#define TIES_COUNTED 2u
#define META_MAGIC   "KITHNNG"
#define META_VERSION 3
#define META_OLDEST  2 /* that is read: its near lists are doubles, a block of nodes to a value */
#define META_2_BYTES offsetof(struct meta, near_nodes)
#define META_MOST    (1u << 16) /* bytes: what a newer version may need to be recognised */

_Static_assert(META_2_BYTES == 120 + 16 + 128 + 256 + 32 + 256 + 1024 + 32, "FORMAT.md promises no padding");
_Static_assert(sizeof(struct meta) == META_2_BYTES + 8, "FORMAT.md promises no padding");

int kith_meta_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t reverse, uint32_t audit_rows,
		     kith_err *err)
{
	struct meta m = {
		.magic = META_MAGIC,
		.version = META_VERSION,
		.tiers = info->tiers,
		.near = info->near,
		.block_nodes = info->block_nodes,
		.n = info->n,
		.d = info->d,
		.reverse = reverse,
		.audit_rows = audit_rows,
		.recall = info->recall,
		.near_nodes = info->near_nodes,
		.ties = (uint32_t)info->ties | (info->tied.counted ? TIES_COUNTED : 0),
	};
	memcpy(m.ladder, info->ladder, info->tiers * sizeof *m.ladder);
	kith_copy_text(m.metric, sizeof m.metric, info->metric);
	kith_copy_text(m.engine, sizeof m.engine, info->engine);
	kith_copy_text(m.parameters, sizeof m.parameters, info->parameters);
	kith_copy_text(m.digest, sizeof m.digest, info->digest);
	kith_copy_text(m.input, sizeof m.input, info->input);
	kith_copy_text(m.command, sizeof m.command, info->command);
	kith_copy_text(m.kith, sizeof m.kith, KITH_VERSION);

	int rc = kith_value_start(&s->encoder, KITH_TABLE_META, 0, 0, 1, err);
	if (rc || (rc = kith_value_stream(&s->encoder, &m, sizeof m, err)))
		return rc;
	return kith_value_seal(&s->encoder);
}

int kith_version_check(uint32_t version, uint32_t known, const char *maker, kith_err *err)
{
	if (version > known)
		return kith_fail(err, KITH_EUSAGE, "format version %u: this kith reads version %u: use a newer one",
				 version, known);
	if (version < known)
		return kith_fail(err, KITH_EVERSION,
				 "format version %u, but this program reads version %u: build it again with %s",
				 version, known, maker);
	return 0;
}

int kith_info_check(const kith_graph_info *info, kith_err *err)
{
	if (info->n < 2 || info->n > KITH_MAX_NODES || info->d > KITH_MAX_VALUES)
		return kith_fail(err, KITH_EUSAGE, "n=%llu d=%llu is outside what a graph can have",
				 (unsigned long long)info->n, (unsigned long long)info->d);
	if (info->tiers < 1 || info->tiers > KITH_MAX_TIERS)
		return kith_fail(err, KITH_EUSAGE, "a ladder has 1 to %d values of k", KITH_MAX_TIERS);
	for (uint32_t t = 0; t < info->tiers; t++)
		if (info->ladder[t] <= (t ? info->ladder[t - 1] : 0) || info->ladder[t] >= info->n)
			return kith_fail(err, KITH_EUSAGE, "k=%u: the ladder must ascend from 1 to at most n-1 = %llu",
					 info->ladder[t], (unsigned long long)info->n - 1);
	if (info->near > kith_info_k(info) || (info->block_nodes & (info->block_nodes - 1)) ||
	    info->block_nodes > KITH_MAX_BLOCK_NODES || info->recall < 0 || info->recall > 1)
		return kith_fail(err, KITH_EUSAGE, "near=%u, block_nodes=%u or recall=%g is out of range", info->near,
				 info->block_nodes, info->recall);
	if ((info->near_nodes & (info->near_nodes - 1)) || info->near_nodes > KITH_MAX_BLOCK_NODES ||
	    (info->near_nodes && info->near_nodes < info->block_nodes))
		return kith_fail(err, KITH_EUSAGE, "near_nodes=%u is out of range", info->near_nodes);
	if (info->block_nodes &&
	    info->n / info->block_nodes >= UINT32_MAX / info->tiers) /* values have 32-bit numbers */
		return kith_fail(err, KITH_EUSAGE, "block_nodes=%u is too few for %llu nodes", info->block_nodes,
				 (unsigned long long)info->n);
	return 0;
}

/* The meta record's numbers and strings, of any version that is read. */
static int read_meta(kith_view *view, struct meta *m, kith_err *err)
{
	uint64_t size = kith_view_next_size(view);
	int rc;
	memset(m, 0, sizeof *m);
	if (size < META_2_BYTES || size > META_MOST)
		return kith_fail(err, KITH_ECORRUPT, "its meta record has %llu bytes", (unsigned long long)size);
	uint8_t *bytes = kith_alloc(size, 1);
	if (!bytes)
		return kith_fail_nomem(err, "a meta record", size);
	if (!(rc = kith_view_stream(view, bytes, size, err)))
		memcpy(m, bytes, size < sizeof *m ? size : sizeof *m);
	free(bytes);
	if (rc)
		return rc;
	if (memcmp(m->magic, META_MAGIC, sizeof m->magic))
		return kith_fail(err, KITH_EUSAGE, "not a k-nearest-neighbour graph");
	if (m->version != META_OLDEST && (rc = kith_version_check(m->version, META_VERSION, "kith-knn", err)))
		return rc;
	if (size != (m->version == META_OLDEST ? META_2_BYTES : sizeof *m))
		return kith_fail(err, KITH_ECORRUPT, "its meta record has %llu bytes", (unsigned long long)size);
	return 0;
}

int kith_meta_decode(kith_block_scratch *s, const void *bytes, size_t size, kith_graph_info *info, uint64_t *reverse,
		     uint32_t *audit_rows, kith_err *err)
{
	struct meta m;
	kith_view view;
	int rc;
	if ((rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_META, 0, err)) ||
	    (rc = read_meta(&view, &m, err)))
		return rc;
	if (m.ties & ~(1u | TIES_COUNTED))
		return kith_fail(err, KITH_EUSAGE,
				 "its meta record has flags that this kith does not know: use a newer one");
	int is_old = m.version == META_OLDEST;
	kith_graph_info found = {
		.n = m.n,
		.d = m.d,
		.tiers = m.tiers,
		.near = m.near,
		.block_nodes = m.block_nodes,
		.near_nodes = is_old ? m.block_nodes : m.near_nodes,
		.near_bits = is_old ? KITH_NEAR_BITS_OLD : KITH_NEAR_BITS,
		.recall = m.recall,
		.ties = m.ties & 1 ? KITH_TIES_CONTENT : KITH_TIES_INDEX,
		.tied.counted = (m.ties & TIES_COUNTED) != 0,
	};
	memcpy(found.ladder, m.ladder, sizeof m.ladder);
	kith_copy_text(found.metric, sizeof found.metric, m.metric);
	kith_copy_text(found.engine, sizeof found.engine, m.engine);
	kith_copy_text(found.parameters, sizeof found.parameters, m.parameters);
	kith_copy_text(found.digest, sizeof found.digest, m.digest);
	kith_copy_text(found.input, sizeof found.input, m.input);
	kith_copy_text(found.command, sizeof found.command, m.command);
	kith_copy_text(found.version, sizeof found.version, m.kith);
	if (!found.block_nodes || !found.near_nodes || kith_info_check(&found, NULL) || m.audit_rows > found.n)
		return kith_fail(err, KITH_ECORRUPT, "its meta record makes no sense");
	found.block_nodes = kith_block_nodes_fit(found.block_nodes, found.n); /* older files have larger ones */
	found.near_nodes = kith_block_nodes_fit(found.near_nodes, found.n);
	*info = found;
	*reverse = m.reverse;
	*audit_rows = m.audit_rows;
	return 0;
}

/* ---- the counts of ties ---- */

struct tie_counts {
	uint64_t rows[KITH_MAX_TIERS], most[KITH_MAX_TIERS], zero;
};
_Static_assert(sizeof(struct tie_counts) == 31 * 8, "FORMAT.md promises no padding");

int kith_tie_counts_check(const kith_graph_info *info, const kith_tie_counts *c, kith_status status, kith_err *err)
{
	for (uint32_t t = 0; t < info->tiers; t++)
		if (c->rows[t] > info->n || c->most[t] >= info->n || (c->rows[t] > 0) != (c->most[t] > 1) ||
		    (!c->rows[t] && c->most[t]))
			return kith_fail(err, status, "%llu rows of %llu tied at k=%u, with up to %llu samples",
					 (unsigned long long)c->rows[t], (unsigned long long)info->n, info->ladder[t],
					 (unsigned long long)c->most[t]);
	return c->zero <= info->n ? 0
				  : kith_fail(err, status, "%llu samples of %llu are zeros",
					      (unsigned long long)c->zero, (unsigned long long)info->n);
}

int kith_tie_counts_encode(kith_block_scratch *s, const kith_graph_info *info, const kith_tie_counts *c, kith_err *err)
{
	struct tie_counts stored = {.zero = c->zero};
	memcpy(stored.rows, c->rows, info->tiers * sizeof *c->rows);
	memcpy(stored.most, c->most, info->tiers * sizeof *c->most);
	int rc = kith_value_start(&s->encoder, KITH_TABLE_TIES, 0, 0, 1, err);
	if (rc || (rc = kith_value_stream(&s->encoder, &stored, sizeof stored, err)))
		return rc;
	return kith_value_seal(&s->encoder);
}

int kith_tie_counts_decode(kith_block_scratch *s, const void *bytes, size_t size, kith_graph_info *info, kith_err *err)
{
	struct tie_counts stored;
	kith_view view;
	kith_tie_counts *c = &info->tied;
	int rc;
	if ((rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_TIES, 0, err)) ||
	    (rc = kith_view_stream(&view, &stored, sizeof stored, err)) || (rc = kith_view_end(&view, err)))
		return rc;
	memcpy(c->rows, stored.rows, sizeof stored.rows);
	memcpy(c->most, stored.most, sizeof stored.most);
	c->zero = stored.zero;
	return kith_tie_counts_check(info, c, KITH_ECORRUPT, err);
}
