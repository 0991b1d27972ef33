/* faiss_input.c - see faiss_input.h */
#include "faiss_input.h"

#include <omp.h>
#include <stdlib.h>

#include "first_error.h"

static void list_buffers(kith_workspace *w, kith_faiss_input *in, const kith_vectors *v, int threads)
{
	KITH_BUFFER(w, in->z, (uint64_t)threads * v->d);
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

int kith_faiss_input_init(kith_faiss_input *in, const kith_vectors *v, int plain, int threads, kith_err *err)
{
	kith_workspace w = {0};
	*in = (kith_faiss_input){.vectors = v, .plain = plain, .threads = threads};
	int rc = kith_scaling_init(&in->scaling, v, err);
	list_buffers(&w, in, v, threads);
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
	*out = v->all ? (const char *)v->all + i * size : room;
	return v->all ? 0 : kith_vectors_read_values(v, i, 1, room, in->raw + thread * v->row_bytes, err);
}

static int read_sample(const kith_faiss_input *in, uint64_t i, float *out, kith_err *err)
{
	const kith_vectors *v = in->vectors;
	double *z = in->z + (uint64_t)omp_get_thread_num() * v->d, norm;
	const void *values;
	int rc = get_values(in, i, &values, err);
	if (rc)
		return rc;
	if (!in->plain)
		kith_scaling_centre(&in->scaling, values, z, &norm);
	for (uint64_t t = 0; t < v->d; t++)
		out[t] = !in->plain                       ? (float)z[t]
			 : v->value_size == sizeof(float) ? ((const float *)values)[t]
							  : (float)((const double *)values)[t];
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
