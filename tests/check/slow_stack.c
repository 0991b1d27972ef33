#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "slow.h"

void slow_nnts(const uint32_t *a, const uint32_t *b, size_t n, size_t width, uint32_t k, double *mean, double *std_err,
	       double *overlap, double *overlap_err)
{
	/* A sample is its pair of cardinalities; equal ones are counted, so that the exact sums stay affordable. */
	uint64_t *times = must_alloc(k + 1, sizeof *times);
	uint32_t *p = must_alloc(k + 1, sizeof *p), *q = must_alloc(k + 1, sizeof *q),
		 *of = must_alloc(k + 1, sizeof *of);
	unsigned char *in_a = must_alloc(n, 1), *in_b = must_alloc(n, 1);
	for (size_t i = 0; i < n; i++) {
		uint32_t both = 0, either = 0;
		memset(in_a, 0, n);
		memset(in_b, 0, n);
		for (uint32_t r = 0; r < k; r++) {
			in_a[a[i * width + r]] = 1;
			in_b[b[i * width + r]] = 1;
		}
		for (size_t j = 0; j < n; j++) {
			both += in_a[j] && in_b[j];
			either += in_a[j] || in_b[j];
		}
		times[both]++;
		p[both] = both;
		q[both] = either;
	}
	for (uint32_t m = 0; m <= k; m++)
		of[m] = k;
	slow_mean(times, p, q, k + 1, 2 * k, mean, std_err);
	slow_mean(times, p, of, k + 1, k, overlap, overlap_err);
	free(times);
	free(p);
	free(q);
	free(of);
	free(in_a);
	free(in_b);
}

/* Is [a, b] a maximal chain that starts and ends present and lacks no more than alpha layers in a row? */
static int is_run(const unsigned char *present, size_t layers, size_t a, size_t b, uint32_t alpha)
{
	size_t missing = 0;
	if (!present[a] || !present[b])
		return 0;
	for (size_t v = a; v <= b; v++) {
		missing = present[v] ? 0 : missing + 1;
		if (missing > alpha)
			return 0;
	}
	for (size_t v = 0; v < a; v++) /* it could begin earlier */
		if (present[v] && a - v - 1 <= alpha)
			return 0;
	for (size_t v = b + 1; v < layers; v++) /* or end later */
		if (present[v] && v - b - 1 <= alpha)
			return 0;
	return 1;
}

void slow_nntp(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k, kith_graph_kind graph,
	       uint32_t alpha, uint64_t *count, uint64_t *pairs)
{
	unsigned char *linked = must_alloc(layers * n * n, 1), *present = must_alloc(layers, 1);
	memset(count, 0, layers * layers * sizeof *count);
	memset(pairs, 0, layers * sizeof *pairs);
	for (size_t v = 0; v < layers; v++)
		for (size_t i = 0; i < n; i++)
			for (uint32_t r = 0; r < k; r++)
				linked[(v * n + i) * n + ranks[v][i * width + r]] = 1;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++) {
			size_t layers_with_it = 0;
			for (size_t v = 0; v < layers; v++) {
				int to = linked[(v * n + i) * n + j], from = linked[(v * n + j) * n + i];
				present[v] = (unsigned char)(graph == KITH_UNION ? to || from : to && from);
				pairs[v] += present[v];
				layers_with_it += present[v];
			}
			for (size_t a = 0; layers_with_it && a < layers; a++)
				for (size_t b = a; b < layers; b++)
					count[a * layers + b] += (uint64_t)is_run(present, layers, a, b, alpha);
		}
	free(linked);
	free(present);
}
