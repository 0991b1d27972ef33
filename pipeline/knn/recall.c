/* recall.c - Clopper and Pearson's interval for clustered samples; see recall.h. */
#include "recall.h"

#include <float.h>
#include <math.h>

#include "kith/graph.h"

#define TAIL          0.025   /* on either side of the interval */
#define MOST_FRACTION 1000000 /* terms: about as many as the square root of the larger parameter are needed */

/* The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method; fast for x below the mean,
 * a / (a + b). */
static double beta_fraction(double x, double a, double b)
{
	const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1);
	d = 1 / (fabs(d) < tiny ? tiny : d);
	double value = d;
	for (double m = 1; m < MOST_FRACTION; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		value *= c * d;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		value *= c * d;
		if (fabs(c * d - 1) < 1e-15)
			break;
	}
	return value;
}

double kith_beta_share(double x, double a, double b)
{
	int sign;
	if (x <= 0 || x >= 1)
		return x > 0;
	double log_front =
		lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) + a * log(x) + b * log1p(-x);
	if (x < (a + 1) / (a + b + 2))
		return exp(log_front) * beta_fraction(x, a, b) / a;
	return 1 - exp(log_front) * beta_fraction(1 - x, b, a) / b;
}

double kith_beta_quantile(double share, double a, double b)
{
	double low = 0, high = 1;
	for (double x = 0.5; x > low && x < high; x = low + (high - low) / 2)
		*(kith_beta_share(x, a, b) < share ? &low : &high) = x;
	return high;
}

/* The square of what Student's t of so many degrees of freedom exceeds in absolute value with probability 2 TAIL. */
static double student_square(double freedom)
{
	double y = kith_beta_quantile(2 * TAIL, freedom / 2, 0.5);
	return freedom * (1 - y) / y;
}

/* How many independent neighbours tell as much as these rows of k: fewer by the design effect, the variance of the
 * rows' mean over that of as many independent neighbours' mean, and by what it means that rows, not neighbours, say
 * how large that variance is.
 *
 * Where misses are few the rows cannot say how they cluster: of none, or of one, nothing is known. So the variances are
 * those of the rows and one more, which has missed sqrt(k). Where k is 1 the effect is 1. */
static double independent_of(const uint32_t *hits, uint32_t rows, uint32_t k)
{
	double all = (double)rows * k, more = rows + 1.0, extra = sqrt(k), sum = extra, squares = 0;
	for (uint32_t r = 0; r < rows; r++)
		sum += k - hits[r];
	double mean = sum / more, part = mean / k; /* of misses */
	if (rows < 2)
		return 1;
	for (uint32_t r = 0; r < rows; r++)
		squares += (k - hits[r] - mean) * (k - hits[r] - mean);
	squares += (extra - mean) * (extra - mean);
	double effect = part < 1 ? squares / more / (k * part * (1 - part)) : 1;
	effect = effect < 1 ? 1 : effect > k ? k : effect;
	return all / effect * student_square(all - 1) / student_square(rows - 1.0);
}

kith_recall kith_recall_of(const uint32_t *hits, uint32_t rows, uint32_t k)
{
	uint64_t sum = 0;
	for (uint32_t r = 0; r < rows; r++)
		sum += hits[r];
	double of = independent_of(hits, rows, k), found = of * ((double)sum / ((double)rows * k)), missed = of - found;
	kith_recall out = {.recall = kith_recall_part(sum, (uint64_t)rows * k)};
	out.low = sum ? kith_beta_quantile(TAIL, found, missed + 1) : 0;
	out.high = missed > 0 ? kith_beta_quantile(1 - TAIL, found + 1, missed) : 1;
	/* rounding, and what 1 is kept for */
	if (out.low < DBL_MIN && sum)
		out.low = DBL_MIN;
	if (out.low > out.recall)
		out.low = out.recall;
	if (out.high > 1 - DBL_EPSILON / 2)
		out.high = 1 - DBL_EPSILON / 2;
	if (out.high < out.recall)
		out.high = out.recall;
	return out;
}
