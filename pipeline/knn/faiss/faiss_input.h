/* faiss_input.h - the samples as FAISS gets them: floats. For an index that kith makes they are centred, if that makes
 * them smaller, and scaled by a power of two: it changes no order of distances, and keeps floats from rounding small
 * differences of large values away. */
#ifndef KITH_FAISS_INPUT_H
#define KITH_FAISS_INPUT_H

#include "vectors.h"

typedef struct kith_faiss_input {
	const kith_vectors *vectors;
	const double *centre; /* d; NULL: zero */
	double scale;
	int threads;
	char *values; /* threads x d */
	uint8_t *raw; /* threads samples as they are stored */
	void *memory; /* holds these */
} kith_faiss_input;

/* `plain`: as they are, which is what an index made elsewhere holds. Release it with kith_faiss_input_free, also after
 * a failure. */
int kith_faiss_input_init(kith_faiss_input *in, const kith_vectors *vectors, int plain, int threads, kith_err *err);
void kith_faiss_input_free(kith_faiss_input *in);
uint64_t kith_faiss_input_bytes(const kith_vectors *vectors, int threads);

/* `count` of the samples first..first+span-1, evenly spaced: all of them, if span = count; or those in `ids`, unless it
 * is NULL. Into out[count][d]. */
int kith_faiss_input_read(kith_faiss_input *in, uint64_t first, uint64_t span, const uint32_t *ids, uint64_t count,
			  float *out, kith_err *err);

/* The most samples that are the same. */
int kith_faiss_input_alike(kith_faiss_input *in, uint64_t *most, kith_err *err);

#endif
