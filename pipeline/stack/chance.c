/* chance.c - what chance gives, and NNTS corrected for it; see kith/stack.h and measures.h */
#include <math.h>
#include <string.h>

#include "measures.h"

/* P(c + 1) / P(c), where `others` are n - 1. */
static __float128 step(uint64_t others, uint64_t k, uint64_t c)
{
	__float128 missing = k - c;
	return missing * missing / ((__float128)(c + 1) * (others + c + 1 - 2 * k));
}

static __float128 iou(uint64_t k, uint64_t c)
{
	return (__float128)c / (2 * k - c);
}

/* The weights are the probabilities up to a common factor: the most likely c has 1, the others follow from it by the
 * ratios of neighbouring ones. No weight is larger than 1, and one too small for quadruple precision cannot show in the
 * sum. All terms are positive, and the ratios' errors, a few 2^-113 each, stay far below what the last rounding sees.
 */
double kith_nnts_expected(uint64_t n, uint32_t k)
{
	uint64_t others = n - 1, least = 2ull * k > others ? 2ull * k - others : 0;
	uint64_t mode = (k + 1ull) * (k + 1ull) / (others + 2);
	__float128 weight = 1, total = 1, sum = iou(k, mode);
	for (uint64_t c = mode; c < k && weight > 0; c++) {
		weight *= step(others, k, c);
		total += weight;
		sum += weight * iou(k, c + 1);
	}
	weight = 1;
	for (uint64_t c = mode; c > least && weight > 0; c--) {
		weight /= step(others, k, c - 1);
		total += weight;
		sum += weight * iou(k, c - 1);
	}
	return (double)(sum / total);
}

double kith_nnts_corrected(double mean, double expected)
{
	if (expected == 1)
		return NAN;
	return (double)(((__float128)mean - expected) / (1 - (__float128)expected));
}

int kith_chance_make(kith_chance *out, const kith_stack *stack, size_t nnts, kith_err *err)
{
	const kith_nnts *t = &stack->nnts[nnts];
	size_t L = stack->layer_count;
	kith_chance c = {.expected = kith_nnts_expected(stack->n, t->k)};
	int rc = kith_measures_alloc(KITH_FROM_CHANCE, KITH_ALL_STACKS, &c, L, 0, err);
	if (!rc && t->null_q95)
		rc = kith_measures_alloc(KITH_FROM_CHANCE, KITH_TESTED_STACKS, &c, L, 0, err);
	if (rc) {
		kith_chance_free(&c);
		return rc;
	}
	for (size_t i = 0; i < L * L; i++) {
		c.corrected[i] = kith_nnts_corrected(t->mean[i], c.expected);
		c.corrected_err[i] = c.expected < 1 ? t->std_err[i] / (1 - c.expected) : NAN;
		if (c.calibrated)
			c.calibrated[i] = kith_nnts_corrected(t->mean[i], t->null_q95[i]);
	}
	*out = c;
	return 0;
}

void kith_chance_free(kith_chance *c)
{
	kith_measures_free(KITH_FROM_CHANCE, c);
	memset(c, 0, sizeof *c);
}
