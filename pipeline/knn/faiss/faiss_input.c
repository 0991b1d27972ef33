/* faiss_input.c - see faiss_input.h */
#include "faiss_input.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "alloc.h"
#include "first_error.h"
#include "hash.h"
#include "workspace.h"

#define LOOK_ROWS     1024u
#define MOST_FLOAT    1e15 /* what is larger is cut: of more, squares summed over all values are no floats */
#define MOST_EXPONENT 1000

static void list_buffers(kith_workspace *w, kith_faiss_input *in, const kith_vectors *v, int threads)
{
	KITH_BUFFER(w, in->values, (uint64_t)threads * v->d * v->value_size);
	KITH_BUFFER(w, in->raw, (uint64_t)threads * v->row_bytes);
}

uint64_t kith_faiss_input_bytes(const kith_vectors *v, int threads)
{
	kith_faiss_input in;
	kith_workspace w = {0};
	list_buffers(&w, &in, v, threads);
	return kith_workspace_bytes(&w);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Chooses centre and scale by the median distance of some samples from the mean, which a single large value may have
 * moved far from all others, and from zero. */
static int choose_scale(kith_faiss_input *in, kith_err *err)
{
	const kith_vectors *v = in->vectors;
	uint64_t count = v->n < LOOK_ROWS ? v->n : LOOK_ROWS;
	double *row, *from_mean, *from_zero, size;
	void *memory = NULL;
	kith_workspace w = {0};
	int exponent = 0;
	KITH_BUFFER(&w, row, v->d);
	KITH_BUFFER(&w, from_mean, count);
	KITH_BUFFER(&w, from_zero, count);
	int rc = kith_workspace_alloc(&w, &memory, "some samples", err);
	for (uint64_t i = 0; !rc && i < count; i++) {
		if ((rc = kith_vectors_read(v, i * v->n / count, 1, row, NULL, err)))
			break;
		from_mean[i] = from_zero[i] = 0;
		for (uint64_t t = 0; t < v->d; t++) { /* hypot: squares may not be doubles */
			from_mean[i] = hypot(from_mean[i], row[t] - v->mean[t]);
			from_zero[i] = hypot(from_zero[i], row[t]);
		}
	}
	if (!rc) {
		qsort(from_mean, count, sizeof *from_mean, by_size);
		qsort(from_zero, count, sizeof *from_zero, by_size);
		in->centre = from_mean[count / 2] <= from_zero[count / 2] ? v->mean : NULL;
		size = in->centre ? from_mean[count / 2] : from_zero[count / 2];
		if (size > 0 && isfinite(size))
			frexp(size, &exponent);
		exponent = exponent < -MOST_EXPONENT ? -MOST_EXPONENT : exponent;
		in->scale = ldexp(1, -exponent);
	}
	free(memory);
	return rc;
}

int kith_faiss_input_init(kith_faiss_input *in, const kith_vectors *v, int plain, int threads, kith_err *err)
{
	kith_workspace w = {0};
	*in = (kith_faiss_input){.vectors = v, .scale = ldexp(1, -v->shift), .threads = threads}; /* as in the file */
	list_buffers(&w, in, v, threads);
	int rc = plain ? 0 : choose_scale(in, err);
	return rc ? rc : kith_workspace_alloc(&w, &in->memory, "samples on their way to FAISS", err);
}

void kith_faiss_input_free(kith_faiss_input *in)
{
	free(in->memory);
	in->memory = NULL;
}

/* Sample i's values, put into the thread's room if they are not in memory. */
static int get_values(const kith_faiss_input *in, uint64_t i, const void **out, kith_err *err)
{
	const kith_vectors *v = in->vectors;
	uint64_t size = v->d * v->value_size, thread = (uint64_t)omp_get_thread_num();
	char *room = in->values + thread * size;
	*out = v->all ? kith_vectors_at(v, i) : room;
	return v->all ? 0 : kith_vectors_read_values(v, i, 1, room, in->raw + thread * v->row_bytes, err);
}

static inline __attribute__((always_inline)) void to_floats(const void *values, int single, const double *centre,
							    double scale, uint64_t d, float *out)
{
	for (uint64_t t = 0; t < d; t++) {
		double x = single ? (double)((const float *)values)[t] : ((const double *)values)[t];
		x = (x - (centre ? centre[t] : 0)) * scale;
		x = x > MOST_FLOAT ? MOST_FLOAT : x;
		out[t] = (float)(x < -MOST_FLOAT ? -MOST_FLOAT : x);
	}
}

static int read_sample(const kith_faiss_input *in, uint64_t i, float *out, kith_err *err)
{
	const kith_vectors *v = in->vectors;
	const void *values;
	int rc = get_values(in, i, &values, err);
	if (rc)
		return rc;
	if (v->value_size == sizeof(float) && in->centre)
		to_floats(values, 1, in->centre, in->scale, v->d, out);
	else if (v->value_size == sizeof(float))
		to_floats(values, 1, NULL, in->scale, v->d, out);
	else
		to_floats(values, 0, in->centre, in->scale, v->d, out);
	return 0;
}

int kith_faiss_input_read(kith_faiss_input *in, uint64_t first, uint64_t span, const uint32_t *ids, uint64_t count,
			  float *out, kith_err *err)
{
	kith_first_error failed = {0};
#pragma omp parallel for num_threads(in->threads) schedule(static)
	for (uint64_t r = 0; r < count; r++) {
		kith_err why;
		uint64_t i = ids ? ids[r] : first + r * span / count;
		int rc = read_sample(in, i, out + r * in->vectors->d, &why);
		kith_first_error_note(&failed, r, rc, &why);
	}
	return kith_first_error_get(&failed, err);
}

static int by_hash(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

int kith_faiss_input_alike(kith_faiss_input *in, uint64_t *most, kith_err *err)
{
	const kith_vectors *v = in->vectors;
	kith_first_error failed = {0};
	uint64_t *hash = kith_alloc(v->n, sizeof *hash), run = 1;
	if (!hash)
		return kith_fail_nomem(err, "hashes of samples", v->n * sizeof *hash);
#pragma omp parallel for num_threads(in->threads) schedule(static)
	for (uint64_t i = 0; i < v->n; i++) {
		kith_err why;
		const void *values;
		int rc = get_values(in, i, &values, &why);
		kith_first_error_note(&failed, i, rc, &why);
		hash[i] = rc ? 0 : kith_hash(values, v->d * v->value_size);
	}
	qsort(hash, v->n, sizeof *hash, by_hash);
	*most = 1;
	for (uint64_t i = 1; i < v->n; i++) {
		run = hash[i] == hash[i - 1] ? run + 1 : 1;
		*most = run > *most ? run : *most;
	}
	free(hash);
	return kith_first_error_get(&failed, err);
}
