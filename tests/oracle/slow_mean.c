/* slow_mean.c - the mean of fractions, its standard error, and what chance would give, without any rounding until the
 * end.
 *
 * Over the common denominator D = lcm(1..bound) every sample is an integer x_i = D q_i; S = sum x_i, mean = S / (n D).
 *
 * The standard error is the delete-one jackknife's, by its definition: without sample i the mean is
 * y_i / ((n-1) D), y_i = S - x_i; these n means have the mean Y / (n (n-1) D), Y = sum y_i; the variance is (n-1)/n
 * times the sum of their squared deviations, which is (n-1) sum_i (n y_i - Y)^2 / (n (n (n-1) D)^2). (kith computes
 * sum_i (q_i - mean)^2 / (n (n-1)), which is the same number: y_i deviates from its mean by as much as x_i.) */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "slow.h"

/* A natural number of up to 4096 bits, little end first; limbs from `size` on are zero. */
#define LIMBS 64
typedef struct big {
	int size;
	uint64_t limb[LIMBS];
} big;

static void big_trim(big *a)
{
	while (a->size && !a->limb[a->size - 1])
		a->size--;
}

static void big_set(big *a, uint64_t value)
{
	memset(a, 0, sizeof *a);
	a->limb[0] = value;
	a->size = value != 0;
}

static void big_mul(big *out, const big *a, const big *b)
{
	big product;
	big_set(&product, 0);
	assert(a->size + b->size <= LIMBS);
	for (int i = 0; i < a->size; i++) {
		unsigned __int128 carry = 0;
		for (int j = 0; j < b->size; j++) {
			carry += (unsigned __int128)a->limb[i] * b->limb[j] + product.limb[i + j];
			product.limb[i + j] = (uint64_t)carry;
			carry >>= 64;
		}
		product.limb[i + b->size] = (uint64_t)carry;
	}
	product.size = a->size + b->size;
	big_trim(&product);
	*out = product;
}

static void big_mul_small(big *a, uint64_t factor)
{
	big other;
	big_set(&other, factor);
	big_mul(a, a, &other);
}

/* Exact: the divisor must divide. */
static void big_div_small(big *a, uint64_t divisor)
{
	unsigned __int128 rest = 0;
	for (int i = a->size; i-- > 0;) {
		rest = rest << 64 | a->limb[i];
		a->limb[i] = (uint64_t)(rest / divisor);
		rest %= divisor;
	}
	assert(!rest);
	big_trim(a);
}

static void big_add(big *a, const big *b)
{
	unsigned __int128 carry = 0;
	int size = a->size > b->size ? a->size : b->size;
	assert(size < LIMBS);
	for (int i = 0; i <= size; i++) {
		carry += (unsigned __int128)a->limb[i] + b->limb[i];
		a->limb[i] = (uint64_t)carry;
		carry >>= 64;
	}
	a->size = size + 1;
	big_trim(a);
}

static int big_less(const big *a, const big *b)
{
	if (a->size != b->size)
		return a->size < b->size;
	for (int i = a->size; i-- > 0;)
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i];
	return 0;
}

static void big_sub(big *a, const big *b)
{
	uint64_t borrow = 0;
	assert(!big_less(a, b));
	for (int i = 0; i < a->size; i++) {
		unsigned __int128 take = (unsigned __int128)b->limb[i] + borrow;
		borrow = a->limb[i] < take;
		a->limb[i] -= (uint64_t)take;
	}
	big_trim(a);
}

/* a 2^times: its bits that many places up. */
static void big_double(big *a, int times)
{
	int limbs = times / 64, bits = times % 64;
	assert(a->size + limbs < LIMBS);
	for (int i = a->size + limbs; i >= 0; i--) {
		uint64_t here = i >= limbs ? a->limb[i - limbs] : 0, below = i > limbs ? a->limb[i - limbs - 1] : 0;
		a->limb[i] = bits ? here << bits | below >> (64 - bits) : here;
	}
	a->size += limbs + 1;
	big_trim(a);
}

static int big_bits(const big *a)
{
	return a->size ? 64 * a->size - __builtin_clzll(a->limb[a->size - 1]) : 0;
}

/* p/q rounded to `bits` significant bits, halves to even: long division, one bit at a time. */
static long double big_ratio(big p, big q, int bits)
{
	int exponent = big_bits(&p) - big_bits(&q) - bits;
	unsigned __int128 quotient = 0;
	big scaled;
	if (!p.size)
		return 0;
	/* The first bit of p / (q 2^exponent) is worth 2^(bits-1) or 2^bits; make it 2^(bits-1). */
	big_double(exponent < 0 ? &p : &q, exponent < 0 ? -exponent : exponent);
	scaled = q;
	big_double(&scaled, bits);
	if (!big_less(&p, &scaled)) {
		big_double(&q, 1);
		exponent++;
	}
	for (int bit = bits; bit-- > 0;) {
		scaled = q;
		big_double(&scaled, bit);
		if (!big_less(&p, &scaled)) {
			big_sub(&p, &scaled);
			quotient |= (unsigned __int128)1 << bit;
		}
	}
	big_double(&p, 1);
	if (big_less(&q, &p) || (!big_less(&p, &q) && (quotient & 1)))
		quotient++; /* 2^bits is as exact as any other */
	return ldexpl((long double)quotient, exponent);
}

/* lcm(1..bound): each prime as often as it goes into one number. */
static void big_lcm_up_to(big *out, uint32_t bound)
{
	big_set(out, 1);
	for (uint32_t p = 2; p <= bound; p++) {
		int prime = 1;
		for (uint32_t f = 2; f * f <= p; f++)
			if (p % f == 0)
				prime = 0;
		for (uint64_t power = p; prime && power <= bound; power *= p)
			big_mul_small(out, p);
	}
}

/* p/q over the common denominator. */
static big numerator(const big *common, uint32_t p, uint32_t q)
{
	big x = *common;
	big_div_small(&x, q);
	big_mul_small(&x, p);
	return x;
}

/* sum += times * x */
static void big_add_times(big *sum, uint64_t times, big x)
{
	big_mul_small(&x, times);
	big_add(sum, &x);
}

/* |n y - of|, squared */
static big square_off(big y, uint64_t n, const big *of)
{
	big off = *of;
	big_mul_small(&y, n);
	if (big_less(&y, of))
		big_sub(&off, &y);
	else {
		big_sub(&y, of);
		off = y;
	}
	big_mul(&off, &off, &off);
	return off;
}

/* S - x_i, for a sample p/q. */
static big leave_out(const big *common, const big *sum, uint32_t p, uint32_t q)
{
	big y = *sum, x = numerator(common, p, q);
	big_sub(&y, &x);
	return y;
}

/* The variance's numerator and denominator, from S = `sum`. */
static void jackknife(const big *common, const big *sum, const uint64_t *times, const uint32_t *p, const uint32_t *q,
		      size_t count, uint64_t n, big *variance, big *over)
{
	big all;
	big_set(&all, 0);
	for (size_t m = 0; m < count; m++)
		if (times[m])
			big_add_times(&all, times[m], leave_out(common, sum, p[m], q[m]));
	big_set(variance, 0);
	for (size_t m = 0; m < count; m++)
		if (times[m])
			big_add_times(variance, times[m], square_off(leave_out(common, sum, p[m], q[m]), n, &all));
	big_mul_small(variance, n - 1);
	*over = *common;
	big_mul_small(over, n);
	big_mul_small(over, n - 1);
	big_mul(over, over, over);
	big_mul_small(over, n);
}

void slow_mean(const uint64_t *times, const uint32_t *p, const uint32_t *q, size_t count, uint32_t bound, double *mean,
	       double *std_err)
{
	big common, sum, over, variance;
	uint64_t n = 0;
	big_lcm_up_to(&common, bound);
	big_set(&sum, 0);
	for (size_t m = 0; m < count; m++)
		if (times[m]) {
			n += times[m];
			big_add_times(&sum, times[m], numerator(&common, p[m], q[m]));
		}
	over = common;
	big_mul_small(&over, n);
	*mean = (double)big_ratio(sum, over, DBL_MANT_DIG);
	*std_err = 0;
	if (n < 2)
		return;
	jackknife(&common, &sum, times, p, q, count, n, &variance, &over);
	*std_err = (double)sqrtl(big_ratio(variance, over, LDBL_MANT_DIG));
}

/* ---- chance -------------------------------------------------------------------------------------------------- */

/* n over r, multiplied up: what has been multiplied so far is itself a binomial, so every division is exact. */
static big choose(uint64_t n, uint64_t r)
{
	big b;
	big_set(&b, r <= n);
	for (uint64_t i = 1; i <= r && r <= n; i++) {
		big_mul_small(&b, n - r + i);
		big_div_small(&b, i);
	}
	return b;
}

double slow_expected(uint64_t n, uint32_t k)
{
	big common, sum, over, ways;
	big_lcm_up_to(&common, 2 * k);
	big_set(&sum, 0);
	for (uint32_t c = 0; c <= k; c++) { /* k of the n-1 others, c of them among a given k */
		big fewer = choose(n - 1 - k, k - c), x = numerator(&common, c, 2 * k - c);
		ways = choose(k, c);
		big_mul(&ways, &ways, &fewer);
		big_mul(&ways, &ways, &x);
		big_add(&sum, &ways);
	}
	over = choose(n - 1, k);
	big_mul(&over, &over, &common);
	return (double)big_ratio(sum, over, DBL_MANT_DIG);
}

/* A double of [0, 1] that is 0 or at least 2^-140, as a multiple of 2^-200. */
static big big_of_double(double x)
{
	int exponent;
	big b;
	big_set(&b, (uint64_t)ldexp(frexp(x, &exponent), DBL_MANT_DIG));
	big_double(&b, 200 + exponent - DBL_MANT_DIG);
	return b;
}

double slow_corrected(double mean, double expected)
{
	big m = big_of_double(mean), e = big_of_double(expected), rest = big_of_double(1);
	int below = big_less(&m, &e);
	if (expected == 1)
		return NAN;
	big_sub(&rest, &e);
	if (below)
		big_sub(&e, &m);
	else
		big_sub(&m, &e);
	return below ? -(double)big_ratio(e, rest, DBL_MANT_DIG) : (double)big_ratio(m, rest, DBL_MANT_DIG);
}
