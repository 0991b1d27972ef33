/* slow_mean.c - the mean of fractions and its standard error without any rounding until the end.
 *
 * Over the common denominator D = lcm(1..bound) every sample is an integer x_i = D q_i. With S1 = sum x_i and
 * S2 = sum x_i^2: mean = S1 / (n D), and
 * sum_i (q_i - mean)^2 / (n (n-1)) = (n S2 - S1^2) / (n^2 (n-1) D^2). */
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

static void big_double(big *a, int times)
{
	while (times-- > 0)
		big_add(a, a);
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

void slow_mean(const uint64_t *times, const uint32_t *p, const uint32_t *q, size_t count, uint32_t bound, double *mean,
	       double *std_err)
{
	big common, s1, s2, x, term;
	uint64_t n = 0;
	big_lcm_up_to(&common, bound);
	big_set(&s1, 0);
	big_set(&s2, 0);
	for (size_t m = 0; m < count; m++) {
		if (!times[m])
			continue;
		n += times[m];
		x = common;
		big_div_small(&x, q[m]);
		big_mul_small(&x, p[m]);
		term = x;
		big_mul_small(&term, times[m]);
		big_add(&s1, &term);
		big_mul(&term, &x, &x);
		big_mul_small(&term, times[m]);
		big_add(&s2, &term);
	}
	term = common;
	big_mul_small(&term, n);
	*mean = (double)big_ratio(s1, term, DBL_MANT_DIG);
	*std_err = 0;
	if (n < 2)
		return;
	big_mul_small(&s2, n);
	big_mul(&x, &s1, &s1);
	big_sub(&s2, &x);
	big_mul(&term, &term, &common); /* n D^2 */
	big_mul_small(&term, n * (n - 1));
	*std_err = (double)sqrtl(big_ratio(s2, term, LDBL_MANT_DIG));
}
