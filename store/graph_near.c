/* graph_near.c - near lists, to and from stored values; see graph_codec.h and FORMAT.md, section 4.
 *
 * Two things make a near list: in which order a row's ids stand in it, and how far away they are.
 *
 * The order. Rank r is one of the row's ids that are in its tier and have no rank yet; there are radix[r] of them, and
 * the digit of r says which. (Fisher and Yates: order[r..] are the positions left; the one with the digit's number
 * changes places with the first.) As many digits as have fewer than 2^32 values together make a number, which takes
 * just the bits that it needs: 41 a row where k = 15, and log2(15!) is 40.3.
 *
 * The distances ascend, so their bits as integers do (single.h), and differences are small. Their low bits are noise;
 * the high ones are few, and fewer for later ranks, which is why they are stored rank by rank. */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "graph_codec.h"
#include "single.h"
#include "workspace.h"

#define NEAR_PLANES 5                          /* bytes of a number of single.h, and the bit that follows */
#define OF_ROOTS    (1ull << KITH_SINGLE_BITS) /* in a row's first: its numbers are of the squares' roots */
#define TILE        16 /* rows at a time: what they write in a plane of 8-byte numbers are whole cache lines */
#define WORD_MOST   (1ull << 32)

/* What is known of every row's order, and scratch for a row, or for digits of TILE rows. */
struct order {
	uint32_t *radix, *end; /* near: digits' limits; at the first rank of a number, the rank behind its last */
	uint8_t *bits;         /* near: at the first rank of a number, what it takes */
	uint32_t *inverse;     /* near: see divide */
	uint8_t *shift;        /* near */
	uint32_t *digit;       /* near x rows */
	uint32_t *order;       /* k: order[r] = r but while a row is in work, and place[order[r]] = r */
	uint32_t *place;
	uint64_t row_bits;
};

/* `rows` are those whose digits are found together: 1, or TILE. */
static int plan_order(struct order *o, kith_block_scratch *s, const kith_graph_info *info, uint32_t rows, kith_err *err)
{
	kith_workspace w = {0};
	uint32_t near = info->near, k = kith_info_k(info);
	KITH_BUFFER(&w, o->radix, near);
	KITH_BUFFER(&w, o->end, near);
	KITH_BUFFER(&w, o->bits, near);
	KITH_BUFFER(&w, o->inverse, near);
	KITH_BUFFER(&w, o->shift, near);
	KITH_BUFFER(&w, o->digit, (size_t)near * rows);
	KITH_BUFFER(&w, o->order, k);
	KITH_BUFFER(&w, o->place, k);
	int rc = kith_workspace_place(&w, &s->order, &s->order_capacity, "a near list's order", err);
	if (rc)
		return rc;
	for (uint32_t r = 0, t = 0; r < near; r++) {
		while (r >= info->ladder[t])
			t++;
		o->radix[r] = info->ladder[t] - r;
		for (o->shift[r] = 0; o->radix[r] > 1ull << o->shift[r];)
			o->shift[r]++;
		o->inverse[r] = (uint32_t)((((1ull << o->shift[r]) - o->radix[r]) << 32) / o->radix[r] + 1);
	}
	o->row_bits = 0;
	for (uint32_t r = 0, end; r < near; r = end) {
		uint64_t values = o->radix[r];
		for (end = r + 1; end < near && values * o->radix[end] <= WORD_MOST; end++)
			values *= o->radix[end];
		o->end[r] = end;
		for (o->bits[r] = 0; 1ull << o->bits[r] < values;)
			o->bits[r]++;
		o->row_bits += o->bits[r];
	}
	for (uint32_t p = 0; p < k; p++)
		o->order[p] = o->place[p] = p;
	return 0;
}

/* 64-bit words for the orders of some rows, and one more, so that a number may be put where two words meet. */
static size_t order_words(const struct order *o, uint32_t nodes)
{
	return kith_words(o->row_bits * nodes) + 2; /* a row is read and written as two words, wherever it begins */
}

/* The digits of a row; -1 if it names a position twice, or one of another tier. */
static int find_digits(const struct order *o, const uint32_t *positions, uint32_t near)
{
	uint32_t r, bad = 0;
	for (r = 0; r < near && !bad; r++) {
		uint32_t p = positions[r], at = o->place[p], moved = o->order[r];
		o->digit[r] = at - r;
		bad = o->digit[r] >= o->radix[r];
		if (bad)
			break;
		o->order[at] = moved;
		o->place[moved] = at;
		o->order[r] = p;
		o->place[p] = r;
	}
	while (r--) {
		uint32_t at = r + o->digit[r];
		o->order[r] = o->place[r] = r;
		o->order[at] = o->place[at] = at;
	}
	return bad ? -1 : 0;
}

static int encode_order(kith_block_scratch *s, const kith_graph_info *info, uint32_t nodes, const uint32_t *positions,
			kith_err *err)
{
	struct order o;
	uint32_t near = info->near;
	uint64_t at = 0;
	int rc = plan_order(&o, s, info, 1, err);
	if (rc || (rc = KITH_SCRATCH(s->bits, s->bits_capacity, order_words(&o, nodes), err)))
		return rc;
	memset(s->bits, 0, order_words(&o, nodes) * sizeof *s->bits);
	for (uint32_t i = 0; i < nodes; i++) {
		if (find_digits(&o, positions + (size_t)i * near, near))
			return kith_fail(err, KITH_EBUG, "a near list is not of a row's nearest");
		for (uint32_t r = 0; r < near; r = o.end[r]) {
			uint64_t word = 0;
			for (uint32_t q = o.end[r]; q-- > r;)
				word = word * o.radix[q] + o.digit[q];
			s->bits[at / 64] |= word << at % 64;
			s->bits[at / 64 + 1] |= word >> 1 >> (63 - at % 64);
			at += o.bits[r];
		}
	}
	return kith_value_stream(&s->encoder, s->bits, (size_t)(at + 7) / 8, err);
}

/* Takes the digit of a radix from the numbers of TILE rows: word % radix, and word / radix stays. Without the
 * processor's division, exact for numbers of 32 bits: inverse is 2^32 (2^shift - radix) / radix + 1, radix <= 2^shift
 * (Granlund and Montgomery 1994, figure 4.1). */
KITH_CLONES static void take_digits(uint32_t *restrict word, uint32_t radix, uint32_t inverse, int shift,
				    uint32_t *restrict digit)
{
	int half = shift > 0;
	for (uint32_t i = 0; i < TILE; i++) {
		uint32_t high = (uint32_t)((uint64_t)inverse * word[i] >> 32);
		uint32_t rest = (high + ((word[i] - high) >> half)) >> (shift - half);
		digit[i] = word[i] - rest * radix;
		word[i] = rest;
	}
}

/* The digits of `rows` rows, no more than TILE, whose bits begin at `at`: digit[r * TILE + i] for rank r of the i-th.
 * Returns whether one of their numbers is too large. */
static int read_digits(const struct order *o, const uint64_t *bits, uint64_t at, uint32_t rows, uint32_t near)
{
	uint32_t bad = 0;
	for (uint32_t r = 0; r < near; r = o->end[r]) {
		uint32_t word[TILE] = {0};
		for (uint32_t i = 0; i < rows; i++) {
			uint64_t b = at + i * o->row_bits;
			uint64_t two = bits[b / 64] >> b % 64 | bits[b / 64 + 1] << 1 << (63 - b % 64);
			word[i] = (uint32_t)(two & ((1ull << o->bits[r]) - 1));
		}
		for (uint32_t q = r; q < o->end[r]; q++)
			take_digits(word, o->radix[q], o->inverse[q], o->shift[q], o->digit + (size_t)q * TILE);
		for (uint32_t i = 0; i < rows; i++)
			bad |= word[i];
		at += o->bits[r];
	}
	return bad != 0;
}

/* The positions that a row's digits, TILE apart, stand for. The order is left as it was found. */
static void put_positions(const struct order *o, const uint32_t *digit, uint32_t near, uint32_t *positions)
{
	uint32_t behind = near ? near - 1 + o->radix[near - 1] : 0; /* the last position that can be named */
	for (uint32_t r = 0; r < near; r++) {                       /* order[r] itself is not looked at again */
		uint32_t at = r + digit[(size_t)r * TILE];
		positions[r] = o->order[at];
		o->order[at] = o->order[r];
	}
	if (behind <= 8 * near) /* in one go, from the other, which is not used here */
		memcpy(o->order, o->place, behind * sizeof *o->order);
	else
		for (uint32_t r = 0; r < near; r++)
			o->order[r + digit[(size_t)r * TILE]] = r + digit[(size_t)r * TILE];
}

static int decode_order(kith_block_scratch *s, const kith_graph_info *info, kith_view *view, uint32_t *positions,
			kith_err *err)
{
	struct order o;
	uint32_t near = info->near;
	int bad = 0, rc = plan_order(&o, s, info, TILE, err);
	if (rc || (rc = KITH_SCRATCH(s->bits, s->bits_capacity, order_words(&o, view->nodes), err)) ||
	    (rc = kith_view_stream(view, s->bits, (size_t)(o.row_bits * view->nodes + 7) / 8, err)))
		return rc;
	for (uint32_t from = 0; from < view->nodes; from += TILE) {
		uint32_t rows = view->nodes - from < TILE ? view->nodes - from : TILE;
		bad |= read_digits(&o, s->bits, from * o.row_bits, rows, near);
		for (uint32_t i = 0; i < rows; i++, positions += near)
			put_positions(&o, o.digit + i, near, positions);
	}
	return bad ? kith_fail(err, KITH_ECORRUPT, "a near list points outside its row") : 0;
}

/* Do 24 bits hold all squares of a row exactly? */
static int are_single(const double *dist2, uint32_t near)
{
	int all = 1;
	for (uint32_t r = 0; r < near; r++)
		all &= kith_single_is(dist2[r]);
	return all;
}

/* numbers[near][nodes] of dist2[nodes][near]. */
static void take_distances(const double *dist2, uint32_t nodes, uint32_t near, uint64_t *numbers)
{
	for (uint32_t from = 0; from < nodes; from += TILE) {
		uint32_t rows = nodes - from < TILE ? nodes - from : TILE;
		uint64_t last[TILE] = {0};
		int squares[TILE];
		for (uint32_t i = 0; i < rows; i++)
			squares[i] = are_single(dist2 + (size_t)(from + i) * near, near);
		for (uint32_t r = 0; r < near; r++)
			for (uint32_t i = 0; i < rows; i++) {
				double x = dist2[(size_t)(from + i) * near + r];
				uint64_t number = kith_single_encode(squares[i] ? x : sqrt(x));
				numbers[(size_t)r * nodes + from + i] = number - last[i];
				last[i] = number;
			}
		for (uint32_t i = 0; near && i < rows; i++)
			numbers[from + i] |= squares[i] ? 0 : OF_ROOTS;
	}
}

/* Adds to `last` the numbers of a rank, and makes squared distances of them; `roots` says whose are roots. */
KITH_CLONES static int put_rank(const uint64_t numbers[TILE], uint64_t last[TILE], const uint64_t roots[TILE],
				double dist2[TILE])
{
	uint64_t most = 0;
	for (uint32_t i = 0; i < TILE; i++) {
		last[i] += numbers[i];
		most |= (KITH_SINGLE_MOST - last[i]) >> 63;
		double x = kith_single_decode(last[i]);
		dist2[i] = x * (roots[i] ? x : 1);
	}
	return most != 0;
}

/* The way back; -1 if a number is none of single.h. */
static int put_distances(const uint64_t *numbers, uint32_t nodes, uint32_t near, double *dist2)
{
	int bad = 0;
	for (uint32_t from = 0; from < nodes; from += TILE) {
		uint32_t rows = nodes - from < TILE ? nodes - from : TILE;
		uint64_t tile[TILE] = {0}, last[TILE] = {0}, roots[TILE] = {0};
		double out[TILE];
		for (uint32_t r = 0; r < near; r++) {
			memcpy(tile, numbers + (size_t)r * nodes + from, rows * sizeof *tile);
			for (uint32_t i = 0; !r && i < rows; i++) {
				roots[i] = tile[i] & OF_ROOTS;
				tile[i] ^= roots[i];
			}
			bad |= put_rank(tile, last, roots, out);
			for (uint32_t i = 0; i < rows; i++)
				dist2[(size_t)(from + i) * near + r] = out[i];
		}
	}
	return bad ? -1 : 0;
}

int kith_near_encode(kith_block_scratch *s, const kith_graph_info *info, uint64_t part, const uint32_t *positions,
		     const double *dist2, kith_err *err)
{
	uint32_t nodes = kith_info_near_size(info, part);
	size_t items = (size_t)nodes * info->near;
	int rc = kith_value_start(&s->encoder, KITH_TABLE_NEAR, (uint32_t)part, nodes, items, err);
	if (rc || (rc = encode_order(s, info, nodes, positions, err)) ||
	    (rc = KITH_SCRATCH(s->bits, s->bits_capacity, items, err)))
		return rc;
	take_distances(dist2, nodes, info->near, s->bits);
	rc = kith_value_u64s(&s->encoder, s->bits, items, NEAR_PLANES, nodes, err);
	return rc ? rc : kith_value_seal(&s->encoder);
}

/* The positions as they are, and doubles: format version 2. */
static int decode_doubles(kith_block_scratch *s, const kith_graph_info *info, kith_view *view, uint32_t *positions,
			  double *dist2, kith_err *err)
{
	struct order o;
	uint32_t k = kith_info_k(info);
	size_t items = (size_t)view->nodes * info->near;
	int rc = kith_view_u32s(view, positions, items, kith_width(k), err);
	if (rc || (rc = KITH_SCRATCH(s->bits, s->bits_capacity, items, err)) ||
	    (rc = kith_view_u64s(view, s->bits, items, sizeof *dist2, err)))
		return rc;
	if (dist2)
		memcpy(dist2, s->bits, items * sizeof *dist2);
	int bad = 0;
	for (size_t i = 0; i < items; i++)
		bad |= positions[i] >= k || (dist2 && isnan(dist2[i]));
	if (bad || (rc = plan_order(&o, s, info, 1, err))) /* whose digits can stand for no other positions */
		return bad ? kith_fail(err, KITH_ECORRUPT, "a near list points outside its row") : rc;
	for (size_t i = 0; !bad && i < items; i += info->near)
		bad = find_digits(&o, positions + i, info->near);
	return bad ? kith_fail(err, KITH_ECORRUPT, "a near list names a position twice, or one of another tier") : 0;
}

static int decode_singles(kith_block_scratch *s, const kith_graph_info *info, kith_view *view, uint32_t *positions,
			  double *dist2, kith_err *err)
{
	size_t items = (size_t)view->nodes * info->near;
	int rc = decode_order(s, info, view, positions, err);
	if (!dist2)
		return rc ? rc : kith_view_skip(view, NEAR_PLANES, err);
	if (rc || (rc = KITH_SCRATCH(s->bits, s->bits_capacity, items, err)) ||
	    (rc = kith_view_u64s(view, s->bits, items, NEAR_PLANES, err)))
		return rc;
	if (put_distances(s->bits, view->nodes, info->near, dist2))
		return kith_fail(err, KITH_ECORRUPT, "a near list holds an impossible distance");
	return 0;
}

int kith_near_decode(kith_block_scratch *s, const kith_graph_info *info, uint64_t part, const void *bytes, size_t size,
		     uint32_t *positions, double *dist2, kith_err *err)
{
	kith_view view;
	int rc = kith_view_open(&view, &s->decoder, bytes, size, KITH_TABLE_NEAR, (uint32_t)part, err);
	if (!rc && view.nodes != kith_info_near_size(info, part))
		rc = kith_fail(err, KITH_ECORRUPT, "near lists %llu have %u nodes", (unsigned long long)part,
			       view.nodes);
	if (!rc)
		rc = info->near_bits == KITH_NEAR_BITS ? decode_singles(s, info, &view, positions, dist2, err)
						       : decode_doubles(s, info, &view, positions, dist2, err);
	return rc ? rc : kith_view_end(&view, err);
}
