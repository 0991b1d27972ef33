#include <math.h>
#include <stdlib.h>

#include "sandbox.h"
#include "slow.h"

static __float128 iou(const uint32_t *a, const uint32_t *b, size_t n, uint32_t k)
{
	unsigned char *in_a = must_alloc(n, 1);
	uint32_t both = 0;
	for (uint32_t p = 0; p < k; p++)
		in_a[a[p]] = 1;
	for (uint32_t p = 0; p < k; p++)
		both += in_a[b[p]];
	free(in_a);
	return (__float128)both / (2 * (uint64_t)k - both);
}

void slow_estimate(const uint32_t *a, const uint32_t *exact_a, const uint32_t *b, const uint32_t *exact_b, size_t n,
		   size_t width, uint32_t k, const uint32_t *id, uint32_t rows, double mean, double *estimate,
		   double *std_err)
{
	__float128 sum = 0, squares = 0, m = rows;
	*estimate = *std_err = NAN;
	if (rows < 2)
		return;
	for (uint32_t r = 0; r < rows; r++) {
		size_t i = id[r] * width;
		sum += iou(exact_a + i, exact_b + i, n, k) - iou(a + i, b + i, n, k);
	}
	for (uint32_t r = 0; r < rows; r++) {
		size_t i = id[r] * width;
		__float128 off = iou(exact_a + i, exact_b + i, n, k) - iou(a + i, b + i, n, k) - sum / m;
		squares += off * off;
	}
	*estimate = (double)(mean + sum / m);
	*std_err = (double)sqrtl((long double)((1 - m / n) * squares / (m * (m - 1))));
}
