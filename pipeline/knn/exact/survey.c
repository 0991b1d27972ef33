/* survey.c - see survey.h */
#include "survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cpu.h"
#include "matrix.h"
#include "select.h"
#include "workspace.h"

#define SAMPLE_ROWS 2048u /* samples that tell what bounds rule out; half of them make the basis */
#define QUERY_ROWS  64u   /* of them, those whose neighbours are looked at */
#define WIDER       4u

const uint32_t kith_survey_menu[KITH_SURVEY_MENU] = {3,  7,  11, 15,  19,  23,  31,  39, 47,
						     63, 79, 95, 111, 127, 159, 191, 255};

struct surveyor {
	kith_survey *out;
	const kith_vectors *vectors;
	double near;
	int threads;
	uint64_t n, d;
	uint64_t m;       /* samples looked at; the first `leading` of them make the basis */
	uint64_t leading; /* so that the others can say what it is worth */
	double *sample;   /* m x d, centred and scaled */
};

static uint64_t at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The first `leading` are spread over all of the file, and so are the others. */
static int read_sample(struct surveyor *q, const kith_scaling *scaling, kith_err *err)
{
	char *values;
	uint8_t *raw;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, values, q->d * q->vectors->value_size);
	KITH_BUFFER(&w, raw, q->vectors->row_bytes);
	if (!(q->sample = kith_alloc(q->m * q->d, sizeof *q->sample)))
		return kith_fail_nomem(err, "some samples", q->m * q->d * sizeof *q->sample);
	int rc = kith_workspace_alloc(&w, &memory, "a sample", err);
	for (uint64_t i = 0; !rc && i < q->m; i++) {
		uint64_t others = q->m - q->leading, n = q->n;
		uint64_t from = i < q->leading ? i * n / q->leading : ((i - q->leading) * n + n / 2) / others;
		double norm;
		if (!(rc = kith_vectors_read_values(q->vectors, from, 1, values, raw, err)))
			kith_scaling_centre(scaling, values, q->sample + i * q->d, &norm);
	}
	free(memory);
	return rc;
}

/* to[i] += (x[i] - own)^2 */
KITH_CLONES static void add_squares(double *restrict to, const double *restrict x, double own, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		to[i] += (x[i] - own) * (x[i] - own);
}

/* How many of the samples are within tau of one of them, by their squared distances in some directions and by how far
 * they lie from these. */
KITH_CLONES static uint64_t count_within(const double *restrict apart, const double *restrict rest, double own,
					 double tau, uint64_t count)
{
	uint64_t within = 0;
	for (uint64_t i = 0; i < count; i++)
		within += apart[i] + (rest[i] - own) * (rest[i] - own) <= tau;
	return within;
}

/* Adds to share[] how many of the sample are within the bounds of its own-th, for every number of directions, and to
 * slope[] how many where its neighbours are WIDER times as many. `p`: the sample's projections, direction by direction;
 * `rest`: for every number of directions, how far each lies from its projection; tau, wider: the squared distances of
 * the own-th's last neighbour. */
static void survey_query(struct surveyor *q, const double *p, const double *rest, double *apart, uint32_t dims,
			 uint64_t own, float tau, float wider)
{
	uint32_t t = 0;
	memset(apart, 0, q->m * sizeof *apart);
	for (uint32_t e = 0; e < KITH_SURVEY_MENU && kith_survey_menu[e] <= dims; e++) {
		for (; t < kith_survey_menu[e]; t++)
			add_squares(apart, p + t * q->m, p[t * q->m + own], q->m);
		const double *far = rest + e * q->m;
		q->out->share[e] += (double)count_within(apart, far, far[own], tau, q->m) - (tau >= 0);
		q->out->slope[e] += (double)count_within(apart, far, far[own], wider, q->m) - (wider >= 0);
	}
}

/* rest[] of survey_query. */
static void find_rests(const struct surveyor *q, const double *p, const double *norm, uint32_t dims, double *rest)
{
	for (uint64_t i = 0; i < q->m; i++) {
		double inside = 0;
		uint32_t t = 0;
		for (uint32_t e = 0; e < KITH_SURVEY_MENU && kith_survey_menu[e] <= dims; e++) {
			for (; t < kith_survey_menu[e]; t++)
				inside += p[t * q->m + i] * p[t * q->m + i];
			rest[e * q->m + i] = sqrt(fmax(norm[i] - inside, 0));
		}
	}
}

static double square_norm(const double *x, uint64_t d)
{
	double sum = 0;
	for (uint64_t t = 0; t < d; t++)
		sum += x[t] * x[t];
	return sum;
}

/* How much each number of directions would let pass. A row's last neighbour is about its (near m)-th among the m
 * samples. */
static int survey(struct surveyor *q, const kith_basis *basis, kith_err *err)
{
	uint64_t m = q->m, d = q->d, queries = at_most(m, QUERY_ROWS), step = m / queries;
	uint64_t rank = (uint64_t)(q->near * (double)m + 0.5), wider;
	double *p, *norm, *near, *rest, *apart;
	float *sorted;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, p, m * basis->dims);
	KITH_BUFFER(&w, norm, m);
	KITH_BUFFER(&w, near, queries * m);
	KITH_BUFFER(&w, rest, m * KITH_SURVEY_MENU);
	KITH_BUFFER(&w, apart, m);
	KITH_BUFFER(&w, sorted, m);
	int rc = kith_workspace_alloc(&w, &memory, "a survey of samples", err);
	if (rc)
		return rc;
	rank = at_most(at_least(rank, 1), m - 1);
	wider = at_most(WIDER * rank, m - 1);
	q->out->near = (double)rank / (double)(m - 1);
	kith_multiply(q->threads, 0, 1, basis->dims, m, d, basis->axes, d, q->sample, p);
	kith_multiply(q->threads, 0, 1, queries, m, d, q->sample, d * step, q->sample, near);
	for (uint64_t i = 0; i < m; i++)
		norm[i] = square_norm(q->sample + i * d, d);
	find_rests(q, p, norm, basis->dims, rest);
	for (uint64_t own = 0, at = 0; at < queries; own += step, at++) {
		float tau[2];
		for (int far = 0; far < 2; far++) {
			for (uint64_t i = 0; i < m; i++)
				sorted[i] = i == own ? INFINITY : (float)(norm[own] + norm[i] - 2 * near[at * m + i]);
			tau[far] = kith_kth_smallest(sorted, (uint32_t)m, (uint32_t)(far ? wider : rank));
		}
		survey_query(q, p, rest, apart, basis->dims, own, tau[0], tau[1]);
	}
	for (uint32_t e = 0; e < KITH_SURVEY_MENU; e++) {
		double more = q->out->slope[e] / q->out->share[e];
		q->out->slope[e] = wider > rank && more > 1 ? log(more) / log((double)wider / (double)rank) : 0;
		q->out->share[e] /= (double)queries * (double)(m - 1);
	}
	free(memory);
	return 0;
}

double kith_survey_share(const kith_survey *survey, uint32_t dims, double near)
{
	double share = 1;
	for (uint32_t e = 0; e < KITH_SURVEY_MENU && kith_survey_menu[e] <= dims; e++)
		share = survey->share[e] * pow(near / survey->near, fmin(survey->slope[e], 1));
	return fmin(share, 1);
}

uint64_t kith_survey_rows(uint64_t n, uint64_t d, uint64_t memory)
{
	return at_most(at_most(n, SAMPLE_ROWS), memory / (d * sizeof(double)));
}

int kith_survey_run(kith_survey *out, kith_basis *basis, const kith_scaling *scaling, double near, uint32_t dims,
		    uint64_t memory, int threads, kith_err *err)
{
	const kith_vectors *v = scaling->vectors;
	struct surveyor q = {.out = out, .vectors = v, .near = near, .threads = threads, .n = v->n, .d = v->d};
	*out = (kith_survey){.rank = UINT32_MAX};
	q.m = kith_survey_rows(v->n, v->d, memory);
	q.leading = q.m < q.n ? at_least(q.m / 2, 1) : q.m;
	int rc = read_sample(&q, scaling, err);
	if (!rc)
		rc = kith_basis_find(basis, q.sample, q.leading, q.d, dims, threads, err);
	if (!rc && (basis->dims == q.d || basis->dims < dims))
		out->rank = basis->dims;
	if (!rc && basis->dims)
		rc = survey(&q, basis, err);
	free(q.sample);
	return rc;
}
