/* graph_audit.c - see graph_audit.h and FORMAT.md, section 4. */
#include "graph_audit.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "workspace.h"

/* The first stream of value 0, after which come the samples. */
struct head {
	uint64_t seed;
	double recall[KITH_MAX_TIERS], low[KITH_MAX_TIERS], high[KITH_MAX_TIERS];
};
_Static_assert(sizeof(struct head) == 8 + 3 * 15 * 8, "FORMAT.md promises no padding");

/* Is it a set of k others, tier by tier, ascending ids within a tier? `seen` has n zero bits, and has them again. */
static int is_row(const kith_graph_info *info, uint32_t id, const uint32_t *row, uint64_t *seen)
{
	int good = 1;
	uint32_t marked = 0, k = kith_info_k(info);
	for (uint32_t t = 0; t < info->tiers; t++)
		for (uint32_t p = kith_info_tier_start(info, t) + 1; p < info->ladder[t]; p++)
			good &= row[p - 1] < row[p];
	for (; marked < k && good; marked++) {
		uint32_t j = row[marked];
		if (j >= info->n || j == id || (seen[j / 64] >> j % 64 & 1))
			break;
		seen[j / 64] |= 1ull << j % 64;
	}
	good &= marked == k;
	while (marked--)
		seen[row[marked] / 64] = 0;
	return good;
}

int kith_audit_check(const kith_graph_info *info, const kith_graph_audit *a, kith_status status, kith_err *err)
{
	size_t k = kith_info_k(info);
	if (a->rows > info->n)
		return kith_fail(err, status, "an audit of %u samples, but there are %llu", a->rows,
				 (unsigned long long)info->n);
	for (uint32_t t = 0; t < info->tiers; t++)
		if (!(0 <= a->low[t] && a->low[t] <= a->recall[t] && a->recall[t] <= a->high[t] && a->high[t] < 1))
			return kith_fail(err, status, "the audit's recall at k=%u is %g, from %g to %g",
					 info->ladder[t], a->recall[t], a->low[t], a->high[t]);
	uint64_t *seen = kith_alloc_zero(kith_words(info->n), sizeof *seen);
	int rc = seen ? 0 : kith_fail_nomem(err, "a bitmap of the nodes", info->n / 8);
	for (uint32_t r = 0; !rc && r < a->rows; r++) {
		if (a->id[r] >= info->n || (r && a->id[r] <= a->id[r - 1]))
			rc = kith_fail(err, status, "the audit's samples are out of order");
		else if (!is_row(info, a->id[r], a->exact + r * k, seen))
			rc = kith_fail(err, status, "the audit's row of node %u is not a set of %zu neighbours",
				       a->id[r], k);
	}
	free(seen);
	return rc;
}

static int encode_head(kith_block_scratch *s, const kith_graph_info *info, const kith_graph_audit *a, kith_err *err)
{
	struct head h = {.seed = a->seed};
	size_t bytes = info->tiers * sizeof *h.recall;
	memcpy(h.recall, a->recall, bytes);
	memcpy(h.low, a->low, bytes);
	memcpy(h.high, a->high, bytes);
	int rc = KITH_SCRATCH(s->numbers, s->numbers_capacity, a->rows, err);
	if (rc || (rc = kith_value_start(&s->encoder, KITH_TABLE_AUDIT, 0, a->rows, a->rows, err)) ||
	    (rc = kith_value_stream(&s->encoder, &h, sizeof h, err)))
		return rc;
	kith_gaps_encode(a->id, a->rows, 0, s->numbers);
	rc = kith_value_u32s(&s->encoder, s->numbers, a->rows, kith_width(info->n), err);
	return rc ? rc : kith_value_seal(&s->encoder);
}

/* The rows from `first` on that share a value. */
static uint32_t rows_together(const kith_graph_info *info, uint32_t rows, uint32_t first)
{
	return rows - first < info->block_nodes ? rows - first : info->block_nodes;
}

int kith_audit_put(kith_container *c, kith_block_scratch *s, const kith_graph_info *info, const kith_graph_audit *a,
		   kith_err *err)
{
	const kith_encoder *value = &s->encoder;
	int rc = encode_head(s, info, a, err);
	if (rc || (rc = kith_container_put(c, KITH_TABLE_AUDIT, 0, value->bytes, value->size, err)))
		return rc;
	for (uint32_t first = 0, number = 1; first < a->rows; first += info->block_nodes, number++)
		if ((rc = kith_some_rows_encode(s, info, KITH_TABLE_AUDIT, number, rows_together(info, a->rows, first),
						a->exact + (size_t)first * kith_info_k(info), err)) ||
		    (rc = kith_container_put(c, KITH_TABLE_AUDIT, number, value->bytes, value->size, err)))
			return rc;
	return 0;
}

static int decode_head(kith_container *c, kith_block_scratch *s, const kith_graph_info *info, kith_graph_audit *a,
		       kith_err *err)
{
	kith_view view;
	struct head h;
	const void *bytes;
	size_t size, filled = info->tiers * sizeof *h.recall;
	int rc;
	if ((rc = kith_container_get(c, KITH_TABLE_AUDIT, 0, &bytes, &size, err)) ||
	    (rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_AUDIT, 0, err)) ||
	    (rc = kith_view_stream(&view, &h, sizeof h, err)) ||
	    (rc = kith_view_u32s(&view, a->id, a->rows, kith_width(info->n), err)))
		return rc;
	if (kith_gaps_decode(a->id, a->rows, 0, info->n))
		return kith_fail(err, KITH_ECORRUPT, "an audit of an impossible sample");
	a->seed = h.seed;
	memcpy(a->recall, h.recall, filled);
	memcpy(a->low, h.low, filled);
	memcpy(a->high, h.high, filled);
	return kith_view_end(&view, err);
}

int kith_audit_get(kith_container *c, kith_block_scratch *s, const kith_graph_info *info, uint32_t rows,
		   kith_graph_audit *out, kith_err *err)
{
	kith_graph_audit a = {.rows = rows};
	size_t k = kith_info_k(info), size;
	const void *bytes;
	kith_workspace w = {0};
	int rc = 0;
	if (!rows) {
		*out = a;
		return 0;
	}
	KITH_BUFFER(&w, a.id, rows);
	KITH_BUFFER(&w, a.exact, rows * k);
	if ((rc = kith_workspace_alloc(&w, &a.memory, "an audit", err)))
		return rc;
	rc = decode_head(c, s, info, &a, err);
	for (uint32_t first = 0, number = 1; !rc && first < rows; first += info->block_nodes, number++)
		if (!(rc = kith_container_get(c, KITH_TABLE_AUDIT, number, &bytes, &size, err)))
			rc = kith_some_rows_decode(s, info, KITH_TABLE_AUDIT, number, rows_together(info, rows, first),
						   bytes, size, a.exact + first * k, err);
	if (rc) {
		free(a.memory);
		return kith_fail_in(err, rc, kith_container_path(c));
	}
	*out = a;
	return 0;
}
