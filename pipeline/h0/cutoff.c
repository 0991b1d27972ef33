/* cutoff.c - see cutoff.h */
#include "cutoff.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGIT  16u
#define FEW    32768u /* edges that are listed */
#define DIGITS (64u / DIGIT)

kith_cut kith_cut_none(void)
{
	return (kith_cut){DBL_TRUE_MIN, UINT64_MAX};
}

void kith_cutoff_list(kith_workspace *w, kith_cutoff *c, const kith_h0_info *info)
{
	uint64_t row = 0, keep = info->keep < 1;
	for (uint32_t o = 0; o < info->op_count; o++)
		row = info->ops[o].fan_in > row ? info->ops[o].fan_in : row;
	KITH_BUFFER(w, c->row, keep * row);
	KITH_BUFFER(w, c->histogram, keep << DIGIT);
	KITH_BUFFER(w, c->found, keep * FEW);
}

/* Of positive doubles, the order of their bits is theirs. */
static uint64_t bits_of(double phi)
{
	uint64_t bits;
	memcpy(&bits, &phi, sizeof bits);
	return bits;
}

/* Those edges whose phi begins with `digits` digits of `prefix`. */
typedef struct sought {
	const kith_in_edges *in;
	uint32_t o;
	unsigned digits;
	uint64_t prefix;
} sought;

static int is_sought(const sought *s, double phi)
{
	return phi > 0 && (!s->digits || bits_of(phi) >> (64 - s->digits * DIGIT) == s->prefix);
}

/* Counts what is sought by the next digit; in all. */
static uint64_t count(const kith_cutoff *c, const sought *s)
{
	const kith_op *op = &s->in->network->info.ops[s->o];
	uint64_t all = 0;
	memset(c->histogram, 0, sizeof *c->histogram << DIGIT);
	for (uint64_t v = 0; v < s->in->network->info.layers[op->to].units; v++) {
		kith_in_edges_row(s->in, s->o, v, c->row);
		for (uint64_t j = 0; j < op->fan_in; j++)
			if (is_sought(s, c->row[j])) {
				c->histogram[bits_of(c->row[j]) >> (64 - (s->digits + 1) * DIGIT) &
					     ((1u << DIGIT) - 1)]++;
				all++;
			}
	}
	return all;
}

/* Lists what is sought, in order of ids, `most` of them at most; how many. */
static uint64_t list(const kith_cutoff *c, const sought *s, uint64_t most, kith_cut *last)
{
	const kith_op *op = &s->in->network->info.ops[s->o];
	uint64_t found = 0;
	for (uint64_t v = 0; v < s->in->network->info.layers[op->to].units && found < most; v++) {
		kith_in_edges_row(s->in, s->o, v, c->row);
		for (uint64_t j = 0; j < op->fan_in && found < most; j++)
			if (is_sought(s, c->row[j])) {
				*last = (kith_cut){c->row[j], op->base + v * op->fan_in + j};
				if (found < FEW)
					c->found[found] = *last;
				found++;
			}
	}
	return found;
}

static int compare(const void *left, const void *right)
{
	const kith_cut *a = left, *b = right;
	if (a->phi != b->phi)
		return a->phi > b->phi ? -1 : 1;
	return a->id < b->id ? -1 : 1;
}

kith_cut kith_cutoff_find(kith_cutoff *c, const kith_in_edges *in, uint32_t o, double keep)
{
	sought s = {in, o, 0, 0};
	double most = floor(keep * (double)in->network->info.ops[o].edges);
	uint64_t rank = most < 1 ? 1 : (uint64_t)most, all; /* counted from 1 */
	kith_cut last = kith_cut_none();
	if (keep >= 1)
		return last;
	while ((all = count(c, &s)) > FEW && all >= rank && s.digits < DIGITS) {
		uint64_t digit = 1u << DIGIT;
		while (c->histogram[--digit] < rank)
			rank -= c->histogram[digit];
		s.prefix = s.prefix << DIGIT | digit;
		if (++s.digits == DIGITS) { /* all have the same phi: the rank is that of ids */
			list(c, &s, rank, &last);
			return last;
		}
	}
	if (all < rank) /* only at first: what comes next has phi 0 */
		return last;
	list(c, &s, UINT64_MAX, &last);
	qsort(c->found, all, sizeof *c->found, compare);
	return c->found[rank - 1];
}
