#include <math.h>
#include <stdlib.h>

#include "sandbox.h"
#include "slow.h"

/* Which group each sample is dealt out to: 0, 1, ..., 0, 1, ..., shuffled by splitmix64. */
static uint32_t *deal(uint64_t seed, size_t n, uint32_t groups)
{
	uint32_t *group = must_alloc(n, sizeof *group);
	for (size_t i = 0; i < n; i++)
		group[i] = (uint32_t)(i % groups);
	for (size_t i = n; i-- > 1;) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ull;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		z ^= z >> 31;
		size_t j = (size_t)((unsigned __int128)z * (i + 1) >> 64);
		uint32_t was = group[i];
		group[i] = group[j];
		group[j] = was;
	}
	return group;
}

static int has(const uint32_t *ranks, size_t width, uint32_t k, size_t i, size_t j)
{
	for (uint32_t r = 0; r < k; r++)
		if (ranks[i * width + r] == j)
			return 1;
	return 0;
}

static int is_present(const uint32_t *ranks, size_t width, uint32_t k, kith_graph_kind graph, size_t i, size_t j)
{
	int one = has(ranks, width, k, i, j), other = has(ranks, width, k, j, i);
	return graph == KITH_UNION ? one || other : one && other;
}

/* What is counted of the pairs that are left, and follows from them. */
typedef struct counted {
	uint64_t births[64], deaths[64], either[64], both[64]; /* of layers v and v - 1 */
	uint64_t dies[64][64];                                 /* born in a and last seen in b */
} counted;

static void count_pair(const unsigned char *present, size_t layers, counted *c)
{
	for (size_t v = 0; v < layers; v++) {
		size_t end = v;
		c->both[v] += v && present[v - 1] && present[v];
		c->either[v] += v && (present[v - 1] || present[v]);
		c->deaths[v] += present[v] && (v + 1 == layers || !present[v + 1]);
		if (!present[v] || (v && present[v - 1]))
			continue;
		while (end + 1 < layers && present[end + 1])
			end++;
		c->births[v]++;
		c->dies[v][end]++;
	}
}

static __float128 quotient(uint64_t part, uint64_t whole)
{
	return whole ? (__float128)part / whole : (__float128)NAN;
}

/* Busing, Meijer and van der Leeden (1999), as it stands: of[j - 1] of the values is without group j, which has
 * size[j - 1] of n samples. What is below 2^-80 of the values is rounding. */
static double error_of(const __float128 *of, __float128 all, const size_t *size, uint32_t groups, size_t n)
{
	__float128 jackknifed = groups * all, sum = 0, most = all;
	for (uint32_t j = 0; j < groups; j++)
		jackknifed -= (1 - (__float128)size[j] / n) * of[j];
	for (uint32_t j = 0; j < groups; j++) {
		__float128 h = (__float128)n / size[j], pseudo = h * all - (h - 1) * of[j];
		sum += (pseudo - jackknifed) * (pseudo - jackknifed) / (h - 1);
		most = of[j] > most ? of[j] : most;
	}
	double error = (double)sqrtl((long double)(sum / groups));
	return error <= 0x1p-80 * most ? 0 : error;
}

slow_errors slow_jackknife(const uint32_t *const *ranks, size_t layers, size_t n, size_t width, uint32_t k,
			   kith_graph_kind graph, uint32_t groups, uint64_t seed)
{
	slow_errors out = {must_alloc(layers, sizeof(double)), must_alloc(layers, sizeof(double)),
			   must_alloc(layers, sizeof(double)), must_alloc(layers * layers, sizeof(double))};
	uint32_t *group = deal(seed, n, groups);
	size_t *size = must_alloc(groups, sizeof *size);
	counted *c = must_alloc(groups + 1, sizeof *c); /* the last one is of all */
	__float128 *t = must_alloc(groups + 1, sizeof *t), scale;
	unsigned char present[64];
	for (size_t i = 0; i < n; i++)
		size[group[i]]++;
	for (uint32_t g = 0; g <= groups; g++)
		for (size_t i = 0; i < n; i++)
			for (size_t j = i + 1; j < n; j++) {
				if (group[i] == g || group[j] == g)
					continue;
				for (size_t v = 0; v < layers; v++)
					present[v] = (unsigned char)is_present(ranks[v], width, k, graph, i, j);
				count_pair(present, layers, &c[g]);
			}
	for (size_t v = 0; v < layers; v++) {
		for (int deaths = 0; deaths < 2; deaths++) {
			for (uint32_t g = 0; g <= groups; g++) {
				size_t left = g < groups ? n - size[g] : n;
				scale = (__float128)n * (n - 1) / ((__float128)left * (left - 1));
				t[g] = (deaths ? c[g].deaths[v] : c[g].births[v]) * scale;
			}
			(deaths ? out.deaths : out.births)[v] = error_of(t, t[groups], size, groups, n);
		}
		for (uint32_t g = 0; g <= groups; g++)
			t[g] = quotient(c[g].both[v], c[g].either[v]);
		out.removal[v] = error_of(t, t[groups], size, groups, n);
		for (size_t b = v; b < layers; b++) {
			for (uint32_t g = 0; g <= groups; g++)
				t[g] = quotient(c[g].dies[v][b], c[g].births[v]);
			out.share[v * layers + b] = error_of(t, t[groups], size, groups, n);
		}
	}
	free(group);
	free(size);
	free(c);
	free(t);
	return out;
}

void slow_errors_free(slow_errors *e)
{
	free(e->births);
	free(e->deaths);
	free(e->removal);
	free(e->share);
}
