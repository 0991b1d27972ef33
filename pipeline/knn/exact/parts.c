/* parts.c - see parts.h */
#include "parts.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "first_error.h"
#include "hash.h"
#include "matrix.h"
#include "select.h"
#include "workspace.h"

#define LEAST_SAMPLES 2048u /* of fewer, all distances are soon measured */
#define SAMPLE        512u  /* samples that are looked at */
#define LEAST_SAMPLE  128u
#define PILOTS        32u /* of them, those that are looked at first */
#define LEAST_NEAR    6u  /* of the sample, around one of them: else there is no part */
#define CHUNK         64u
#define ROOM          128 /* times what bounds are off by: as wide is a part, whose neighbours they tell apart; */
#define WIDEN         3   /* or up to so many times that, if it ends there */

struct finder {
	const kith_scaling *scaling;
	const kith_vectors *vectors;
	int threads;
	uint64_t d, m;                /* of the sample */
	double *sample, *norm, *near; /* m x d, m, m x m: centred; squared lengths; distances */
	double relative, typical; /* a part's squared radius is this times its centre's squared length, or this one */
	uint8_t *taken;           /* m: in a part already, or in none */
	uint64_t *hash;           /* m */
	uint8_t *copy;            /* m: of an earlier one: no reason for a part, as copies are run once */
	uint32_t count;           /* parts */
	double *centre, *squared, *radius; /* KITH_MAX_PARTS x d, KITH_MAX_PARTS */
	void *memory;
};

/* About what bounds are off by, of squared lengths: 16-bit integers (quantised.c). */
static double error_of(uint64_t d)
{
	return sqrt((double)d / 12) / 46340 + ((double)d + 40) * 0x1p-24;
}

static int set_up(struct finder *f, uint64_t m, kith_err *err)
{
	kith_workspace w = {0};
	f->m = m;
	KITH_BUFFER(&w, f->sample, m * f->d);
	KITH_BUFFER(&w, f->norm, m);
	KITH_BUFFER(&w, f->near, m * m);
	KITH_BUFFER_ZERO(&w, f->taken, m);
	KITH_BUFFER(&w, f->hash, m);
	KITH_BUFFER_ZERO(&w, f->copy, m);
	KITH_BUFFER(&w, f->centre, KITH_MAX_PARTS * f->d);
	KITH_BUFFER(&w, f->squared, KITH_MAX_PARTS);
	KITH_BUFFER(&w, f->radius, KITH_MAX_PARTS);
	return kith_workspace_alloc(&w, &f->memory, "some samples", err);
}

static int read_sample(struct finder *f, kith_err *err)
{
	char *values;
	uint8_t *raw;
	float *sorted;
	void *memory = NULL;
	kith_workspace w = {0};
	KITH_BUFFER(&w, values, f->d * f->vectors->value_size);
	KITH_BUFFER(&w, raw, f->vectors->row_bytes);
	KITH_BUFFER(&w, sorted, f->m);
	int rc = kith_workspace_alloc(&w, &memory, "a sample", err);
	for (uint64_t i = 0; !rc && i < f->m; i++) {
		if ((rc = kith_vectors_read_values(f->vectors, i * f->vectors->n / f->m, 1, values, raw, err)))
			break;
		f->taken[i] = (uint8_t)kith_scaling_centre(f->scaling, values, f->sample + i * f->d, &f->norm[i]);
		sorted[i] = (float)f->norm[i];
		f->hash[i] = kith_hash(values, f->d * f->vectors->value_size);
		for (uint64_t j = 0; j < i && !f->copy[i]; j++)
			f->copy[i] = f->hash[j] == f->hash[i];
	}
	if (!rc)
		f->typical = kith_kth_smallest(sorted, (uint32_t)f->m, (uint32_t)(f->m + 1) / 2);
	free(memory);
	return rc;
}

static double radius_about(const struct finder *f, double norm)
{
	return f->relative * fmax(norm, f->typical);
}

/* The sample's squared distances from `count` of it, `step` apart. */
static void measure(struct finder *f, uint64_t count, uint64_t step)
{
	kith_multiply(f->threads, 0, 1, count, f->m, f->d, f->sample, f->d * step, f->sample, f->near);
	for (uint64_t i = 0; i < count; i++)
		for (uint64_t j = 0; j < f->m; j++)
			f->near[i * f->m + j] = f->norm[i * step] + f->norm[j] - 2 * f->near[i * f->m + j];
}

static uint32_t within(const struct finder *f, uint64_t row, double radius)
{
	uint32_t count = 0;
	for (uint64_t j = 0; j < f->m; j++)
		count += !f->taken[j] && !f->copy[j] && f->near[row * f->m + j] <= radius;
	return count;
}

/* The squared radius of a part around sample i: one beyond which there is nearly nothing for a while, if there is. */
static double choose_radius(const struct finder *f, uint64_t i)
{
	double least = radius_about(f, f->norm[i]);
	for (double radius = least; radius < WIDEN * least; radius *= 1.5)
		if (within(f, i, radius * 1.5) <= 1.05 * within(f, i, radius))
			return radius;
	return least;
}

/* Around the sample that has most others near it, then among those left... */
static void choose_centres(struct finder *f)
{
	for (f->count = 0; f->count < KITH_MAX_PARTS - 1; f->count++) {
		uint32_t most = 0;
		uint64_t best = 0;
		for (uint64_t i = 0; i < f->m; i++) {
			uint32_t here = f->taken[i] ? 0 : within(f, i, radius_about(f, f->norm[i]));
			if (here > most) {
				most = here;
				best = i;
			}
		}
		if (most < LEAST_NEAR)
			return;
		memcpy(f->centre + f->count * f->d, f->sample + best * f->d, f->d * sizeof *f->centre);
		f->squared[f->count] = f->norm[best];
		f->radius[f->count] = choose_radius(f, best);
		for (uint64_t j = 0; j < f->m; j++)
			f->taken[j] |= f->near[best * f->m + j] <= f->radius[f->count];
	}
}

struct scratch {
	double *z, *product;
	char *values;
	uint8_t *raw;
	void *memory;
};

static int set_up_scratch(struct scratch *s, const struct finder *f, kith_err *err)
{
	kith_workspace w = {0};
	KITH_BUFFER(&w, s->z, CHUNK * f->d);
	KITH_BUFFER(&w, s->product, CHUNK * f->count);
	KITH_BUFFER(&w, s->values, CHUNK * f->d * f->vectors->value_size);
	KITH_BUFFER(&w, s->raw, CHUNK * f->vectors->row_bytes);
	return kith_workspace_alloc(&w, &s->memory, "some samples", err);
}

/* Samples first..first+count-1 each into the first part whose centre is near enough. */
static int assign(const struct finder *f, const struct scratch *s, uint64_t first, uint64_t count, uint8_t *part,
		  kith_err *err)
{
	double norm[CHUNK];
	int outside[CHUNK];
	int rc = kith_vectors_read_values(f->vectors, first, count, s->values, s->raw, err);
	if (rc)
		return rc;
	for (uint64_t r = 0; r < count; r++)
		outside[r] = kith_scaling_centre(f->scaling, s->values + r * f->d * f->vectors->value_size,
						 s->z + r * f->d, &norm[r]);
	kith_multiply(1, 0, 1, count, f->count, f->d, s->z, f->d, f->centre, s->product);
	for (uint64_t r = 0; r < count; r++) {
		uint32_t p = 0;
		while (p < f->count && !(norm[r] + f->squared[p] - 2 * s->product[r * f->count + p] <= f->radius[p]))
			p++;
		part[first + r] = (uint8_t)(outside[r] ? f->count : p);
	}
	return 0;
}

static int assign_all(const struct finder *f, kith_parts *parts, kith_err *err)
{
	uint64_t n = f->vectors->n;
	kith_first_error failed = {0};
#pragma omp parallel num_threads(f->threads)
	{
		struct scratch s;
		kith_err why;
		int rc = set_up_scratch(&s, f, &why);
		kith_first_error_note(&failed, 0, rc, &why);
#pragma omp for schedule(dynamic, 4)
		for (uint64_t first = 0; first < n; first += CHUNK) {
			if (kith_first_error_seen(&failed))
				continue;
			int bad = assign(f, &s, first, n - first < CHUNK ? n - first : CHUNK, parts->part, &why);
			kith_first_error_note(&failed, first, bad, &why);
		}
		free(s.memory);
	}
	return kith_first_error_get(&failed, err);
}

/* Parts that turned out small go to the rest. */
static void drop_small_parts(kith_parts *parts, uint64_t n, uint32_t found, uint32_t least)
{
	uint32_t to[KITH_MAX_PARTS];
	memset(parts->size, 0, KITH_MAX_PARTS * sizeof *parts->size);
	for (uint64_t i = 0; i < n; i++)
		parts->size[parts->part[i]]++;
	for (uint32_t p = 0; p < found; p++) {
		to[p] = parts->size[p] < least || parts->size[p] == n ? UINT32_MAX : parts->count++;
	}
	memset(parts->size, 0, KITH_MAX_PARTS * sizeof *parts->size);
	for (uint64_t i = 0; i < n; i++) {
		uint32_t p = parts->part[i];
		parts->part[i] = (uint8_t)(p == found || to[p] == UINT32_MAX ? parts->count : to[p]);
		parts->size[parts->part[i]]++;
	}
	parts->count += parts->count > 0;
}

static int allocate(kith_parts *parts, uint64_t n, kith_err *err)
{
	kith_workspace w = {0};
	KITH_BUFFER(&w, parts->size, KITH_MAX_PARTS);
	KITH_BUFFER(&w, parts->part, n);
	return kith_workspace_alloc(&w, &parts->memory, "parts of the samples", err);
}

int kith_parts_find(kith_parts *parts, const kith_scaling *scaling, uint32_t k, uint64_t all, uint64_t least,
		    uint64_t memory, int threads, kith_err *err)
{
	const kith_vectors *v = scaling->vectors;
	struct finder f = {.scaling = scaling, .vectors = v, .threads = threads, .d = v->d};
	uint64_t m = memory / 8 / ((v->d + SAMPLE) * sizeof(double));
	*parts = (kith_parts){0};
	m = m < SAMPLE ? m : SAMPLE;
	if (scaling->off || all < (least ? least : LEAST_SAMPLES) || m < LEAST_SAMPLE)
		return 0;
	m = m < v->n ? m : v->n;
	f.relative = fmin(ROOM * error_of(v->d), 1. / 16);
	int rc = set_up(&f, m, err), any = 0;
	if (!rc && !(rc = read_sample(&f, err))) {
		uint64_t pilots = m < PILOTS ? m : PILOTS, step = m / pilots;
		measure(&f, pilots, step);
		for (uint64_t i = 0; i < pilots; i++)
			any |= within(&f, i, radius_about(&f, f.norm[i * step])) >= LEAST_NEAR;
	}
	if (!rc && any) {
		measure(&f, m, 1);
		choose_centres(&f);
		if (f.count && !(rc = allocate(parts, v->n, err)) && !(rc = assign_all(&f, parts, err)))
			drop_small_parts(parts, v->n, f.count, least || all > v->n ? 1 : 2 * k > 64 ? 2 * k : 64);
	}
	free(f.memory);
	return rc;
}
