/* faiss_spec.h - what --engine faiss:SPEC asks for: FACTORY[;PARAMETER=VALUE,...]. */
#ifndef KITH_FAISS_SPEC_H
#define KITH_FAISS_SPEC_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

#define KITH_FAISS_PARAMETERS 16 /* at most */

typedef struct kith_faiss_parameter {
	char name[32];
	double value;
	int is_auto; /* raised until the audit is content */
} kith_faiss_parameter;

/* The engine's options. */
typedef struct kith_faiss_spec {
	char factory[4096]; /* FAISS' factory string; if `is_file`, the name of an index */
	int is_file;
	kith_faiss_parameter parameter[KITH_FAISS_PARAMETERS];
	uint32_t count;
	int automatic;                   /* the parameter that is_auto, or -1 */
	double recall;                   /* that the audit is to find with it */
	uint64_t block_rows, shard_rows; /* for tests: samples at a time, and in an index; 0: as -m allows */
} kith_faiss_spec;

/* KITH_EUSAGE if no index can be meant by it, or a value cannot be. Whether FAISS knows factory and parameters, FAISS
 * says. */
int kith_faiss_spec_parse(kith_faiss_spec *spec, const char *text, kith_err *err);

/* "nprobe=12,max_codes=1000"; of one that is automatic, its value if it has one. Returns `out`. */
const char *kith_faiss_spec_text(const kith_faiss_spec *spec, char *out, size_t size);

/* The most centroids that a k-means of its training looks for, about; 1 if there is none. */
uint64_t kith_faiss_spec_centroids(const kith_faiss_spec *spec);

/* The number that follows `word` in the factory string, such as 1024 after "IVF"; 0 if there is none. */
uint64_t kith_faiss_spec_number(const kith_faiss_spec *spec, const char *word);

/* The value of a parameter, or `otherwise`. */
double kith_faiss_spec_value(const kith_faiss_spec *spec, const char *name, double otherwise);

#endif
