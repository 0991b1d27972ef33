/* faiss.h - the door to FAISS: an index that searches by L2, behind FAISS' C API. Its messages come back as ours, with
 * the text that asked for it. FAISS would take its number of threads from the process: here it belongs to the index. */
#ifndef KITH_FAISS_H
#define KITH_FAISS_H

#include <stdint.h>

#include "kith/err.h"

typedef struct kith_faiss kith_faiss;

/* An empty index of d dimensions by FAISS' factory string. KITH_EUSAGE if FAISS refuses the string. */
int kith_faiss_make(kith_faiss **out, const char *factory, uint64_t d, int threads, kith_err *err);

/* The index in the file `path`. One that takes more than `memory` bytes is, where FAISS can do so, left in the file.
 * KITH_EUSAGE if it is none, or if it does not search by L2. */
int kith_faiss_load(kith_faiss **out, const char *path, uint64_t memory, int threads, kith_err *err);
void kith_faiss_free(kith_faiss *index); /* NULL is fine */

/* KITH_EIO if the file that an index was loaded from is not what it was. */
int kith_faiss_unchanged(const kith_faiss *index, kith_err *err);

uint64_t kith_faiss_d(const kith_faiss *index);
uint64_t kith_faiss_count(const kith_faiss *index); /* vectors that it holds */
int kith_faiss_is_trained(const kith_faiss *index);

/* Sets what FAISS' ParameterSpace knows: nprobe, efSearch, ... KITH_EUSAGE if the index has no such parameter. */
int kith_faiss_set(kith_faiss *index, const char *name, double value, kith_err *err);

/* n rows of d floats. */
int kith_faiss_train(kith_faiss *index, uint64_t n, const float *x, kith_err *err);
int kith_faiss_add(kith_faiss *index, uint64_t n, const float *x, kith_err *err);

/* About the k nearest of each of n rows: labels[n][k], -1 where no more are found. */
int kith_faiss_search(const kith_faiss *index, uint64_t n, const float *x, uint64_t k, float *distances,
		      int64_t *labels, kith_err *err);

/* Drops the vectors, not what training found. */
int kith_faiss_reset(kith_faiss *index, kith_err *err);

/* The bytes of the index as a file, which are about those in memory; 0 if FAISS cannot write it. */
uint64_t kith_faiss_bytes(const kith_faiss *index);

#endif
