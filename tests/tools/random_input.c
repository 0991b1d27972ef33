/* random_input.c - see random_input.h */
#include "random_input.h"

#include <float.h>
#include <math.h>

#include "npy_write.h"
#include "sandbox.h"

typedef enum family {
	NORMAL,
	OFFSET,
	NEAR_COPIES,
	COPIES,
	CONSTANT_COLUMNS,
	OUTLIER,
	DENORMAL,
	NEAR_MAXIMUM,
	GRID,
	LOW_RANK,
	IDENTICAL,
	SORTED,
	CLUSTERS,
	BELOW_FLOAT,
	SCALES,
	OVERFLOWING,
	ZERO_ROWS,
	MIXED_RANGE,
	SMALL,
	NEARLY_ZERO,
	TIGHT_CLUSTERS,
	NESTED,
	ONE_HOT,
	CODE_BOOK,
	FAMILIES
} family;

static const char *const family_names[] = {"normal",
					   "offset",
					   "near copies",
					   "copies",
					   "constant columns",
					   "outlier",
					   "denormal",
					   "near maximum",
					   "grid",
					   "low rank",
					   "identical",
					   "sorted",
					   "clusters",
					   "below float precision",
					   "column scales",
					   "overflowing",
					   "zero rows",
					   "values of every exponent",
					   "small",
					   "nearly zero rows",
					   "tight clusters",
					   "nested",
					   "one-hot",
					   "code book"};

static double smallest(kith_dtype dtype)
{
	return dtype == KITH_F8     ? 0x1p-1074
	       : dtype == KITH_F4   ? 0x1p-149
	       : dtype == KITH_BF16 ? 0x1p-133
	       : dtype == KITH_F2   ? 0x1p-24
				    : 1;
}

/* The largest value whose squared differences over some columns still are finite in double, or nearly. */
static double largest(kith_dtype dtype)
{
	return dtype == KITH_F8     ? sqrt(DBL_MAX)
	       : dtype == KITH_F4   ? FLT_MAX
	       : dtype == KITH_BF16 ? 0x1.fep127
	       : dtype == KITH_F2   ? 65504
				    : 127;
}

/* One value of families whose values do not depend on other values. */
static double lone_value(const random_layer *in, size_t i, size_t t, rng *r)
{
	switch (in->kind) {
	case OFFSET:
		return (in->dtype == KITH_F2 ? 1e3 : 1e6) + rng_normal(r);
	case CONSTANT_COLUMNS:
		return t % 3 ? (double)t * 1000 : rng_normal(r);
	case DENORMAL:
		return smallest(in->dtype) * (double)rng_below(r, 9);
	case NEAR_MAXIMUM:
		return (in->dtype == KITH_F8 ? 0x1p510 / sqrt((double)in->d) : largest(in->dtype)) *
		       (2 * rng_unit(r) - 1);
	case GRID:
		return (double)rng_below(r, 3) - 1;
	case SORTED:
		return (double)i * 0.37 + (t ? 0 : 1e-3 * (double)i * (double)i);
	case BELOW_FLOAT:
		return 1 + 1e-11 * rng_normal(r);
	case SCALES:
		return rng_normal(r) * exp2((double)(t * 37 % 61) - 30);
	case OVERFLOWING:
		return in->dtype == KITH_F8 ? (rng_unit(r) - 0.5) * (rng_chance(r, 50) ? DBL_MAX : 1e160)
					    : largest(in->dtype) * (rng_chance(r, 50) ? 1 : -1);
	case MIXED_RANGE: /* columns alike, or each value anyhow */
		return rng_normal(r) * exp2(-(double)(in->d % 2 ? t * 97 % 1000 : rng_below(r, 1070)));
	case SMALL:
		return rng_normal(r) * exp2(-(double)(440 + in->n % 20));
	default:
		return rng_normal(r);
	}
}

/* Rows made from a few others: copies, near copies, clusters, combinations. */
static void copy_rows(random_layer *in, rng *r)
{
	size_t n = in->n, d = in->d, bases = in->kind == IDENTICAL ? 1 : rng_between(r, 1, n < 5 ? n : 5);
	double spread = in->kind == NEAR_COPIES ? exp2(-(double)rng_between(r, 8, 50)) : 1e-2;
	for (size_t i = bases; i < n; i++) {
		const double *base = in->x + rng_below(r, bases) * d, *other = in->x + rng_below(r, bases) * d;
		double weight = (double)rng_below(r, 5) - 2;
		for (size_t t = 0; t < d; t++) {
			double x = base[t];
			if (in->kind == NEAR_COPIES || in->kind == CLUSTERS)
				x += spread * rng_normal(r);
			else if (in->kind == LOW_RANK)
				x = weight * x + other[t];
			in->x[i * d + t] = x;
		}
	}
}

/* Rows that bounds about the mean of all cannot tell apart: noise about nothing beside ordinary ones, or about a few of
 * these; lengths over many orders of magnitude. */
static void crowd_rows(random_layer *in, rng *r)
{
	size_t n = in->n, d = in->d, bases = rng_between(r, 1, n < 4 ? n : 4);
	double spread = exp2(-(double)rng_between(r, 5, in->dtype == KITH_F8 ? 60 : 20));
	for (size_t i = bases; i < n; i++) {
		const double *base = in->x + rng_below(r, bases) * d;
		double length = in->kind == NESTED ? exp2(8 * rng_normal(r)) : spread;
		int crowded = in->kind != NEARLY_ZERO || rng_chance(r, 70);
		for (size_t t = 0; t < d && crowded; t++)
			in->x[i * d + t] = (in->kind == TIGHT_CLUSTERS ? base[t] : 0) + length * rng_normal(r);
	}
}

/* Rows of which most have copies, and which are equally far from each other, or nearly. */
static void code_rows(random_layer *in, rng *r)
{
	size_t n = in->n, d = in->d, codes = rng_between(r, 1, n);
	for (size_t i = 0; i < n; i++) {
		size_t code = rng_below(r, codes);
		rng own = {code + 1};
		for (size_t t = 0; t < d; t++)
			in->x[i * d + t] = in->kind == ONE_HOT ? code % d == t : (double)rng_below(&own, 3) / 7;
	}
}

static void fill(random_layer *in, rng *r)
{
	size_t n = in->n, d = in->d;
	double scale = in->dtype == KITH_U1 || in->dtype == KITH_I1 ? (double)rng_between(r, 1, 60) : 1;
	for (size_t i = 0; i < n; i++)
		for (size_t t = 0; t < d; t++)
			in->x[i * d + t] = lone_value(in, i, t, r);
	if (in->kind == NEAR_COPIES || in->kind == COPIES || in->kind == CLUSTERS || in->kind == IDENTICAL ||
	    in->kind == LOW_RANK)
		copy_rows(in, r);
	if (in->kind == NEARLY_ZERO || in->kind == TIGHT_CLUSTERS || in->kind == NESTED)
		crowd_rows(in, r);
	if (in->kind == ONE_HOT || in->kind == CODE_BOOK)
		code_rows(in, r);
	if (in->kind == OUTLIER)
		in->x[rng_below(r, n * d)] = in->dtype == KITH_F8 ? (rng_chance(r, 50) ? 1e300 : -1e150) : 1e30;
	if (in->kind == ZERO_ROWS)
		for (size_t i = 0; i < n; i += rng_between(r, 1, n))
			for (size_t t = 0; t < d; t++)
				in->x[i * d + t] = rng_chance(r, 50) ? 0.0 : -0.0;
	for (size_t i = 0; i < n * d && in->kind != DENORMAL; i++)
		in->x[i] *= scale;
	npy_encode(in->dtype, in->x, n * d, in->raw);
	npy_decode(in->dtype, in->raw, n * d, in->x); /* from here on, what the file says */
}

void random_input(random_layer *in, rng *r)
{
	static const kith_dtype dtypes[] = {KITH_F4, KITH_F4, KITH_F8, KITH_F8, KITH_F2, KITH_BF16, KITH_U1, KITH_I1};
	in->n = rng_between(r, 2, rng_chance(r, 30) ? 300 : rng_chance(r, 50) ? 90 : 12);
	if (rng_chance(r, 1)) /* so many that groups, strips, panels and copies by the thousand come up */
		in->n = rng_between(r, 1000, 2500);
	in->d = rng_between(r, 1, rng_chance(r, 50) ? 70 : 5);
	in->dtype = dtypes[rng_below(r, 8)];
	in->kind = (int)rng_below(r, FAMILIES);
	in->family = family_names[in->kind];
	in->x = must_alloc(in->n * in->d, sizeof *in->x);
	in->raw = must_alloc(in->n * in->d, npy_size(in->dtype));
	fill(in, r);
}
