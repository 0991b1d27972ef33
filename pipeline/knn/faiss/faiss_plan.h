/* faiss_plan.h - how the engine goes about one input: in what blocks and shards, within -m; and about how long. */
#ifndef KITH_FAISS_PLAN_H
#define KITH_FAISS_PLAN_H

#include "engine.h"
#include "faiss.h"
#include "faiss_spec.h"

typedef struct kith_faiss_plan {
	uint64_t found;        /* neighbours asked of a search: see kith_faiss_found */
	uint64_t offered;      /* of other layers' graphs, candidates of a row, at most */
	uint64_t train_rows;   /* samples that the index is trained on */
	uint64_t repeats;      /* how often each of them is there */
	uint64_t block;        /* samples searched, or added, at a time */
	uint64_t shard_rows;   /* samples in an index at a time */
	uint64_t shards;       /* more than one: each is searched by all samples, and the best are kept */
	int at_once;           /* all samples of a shard are added together */
	int resident;          /* all samples stay in memory, as values (vectors.h) */
	int spill;             /* of several shards: the rows so far are in a temporary file */
	uint64_t index;        /* bytes of the largest index, and of what making it takes */
	uint64_t memory, disk; /* bytes in all */
} kith_faiss_plan;

/* Neighbours asked of a search: k, the sample itself, and some more to choose from, as FAISS' floats may order those
 * around the k-th otherwise than the canonical distance does. */
uint64_t kith_faiss_found(uint32_t k);

/* Samples to train on: what FAISS' k-means uses at most, which is 256 for each centroid. KITH_EUSAGE if -m has no room
 * for one each. */
int kith_faiss_plan_training(kith_faiss_plan *plan, const kith_engine_job *job, const kith_faiss_spec *spec,
			     kith_err *err);

/* The rest, of an index that has `fixed` bytes when empty and `row` for each sample. KITH_EUSAGE if -m is too small. */
int kith_faiss_plan_sizes(kith_faiss_plan *plan, const kith_engine_job *job, const kith_faiss_spec *spec,
			  uint64_t fixed, uint64_t row, kith_err *err);

/* Samples to find out `row` with, as many as -m has room for. KITH_EUSAGE if those are too few. */
int kith_faiss_plan_trial(uint64_t *rows, const kith_engine_job *job, const kith_faiss_spec *spec, kith_err *err);

/* The bytes of a sample in such an index: no less, but for codes that are shorter than the sample. */
uint64_t kith_faiss_row_bound(const kith_faiss_spec *spec, uint64_t d);

/* About how long it takes. */
double kith_faiss_seconds(const kith_faiss_plan *plan, const kith_engine_job *job, const kith_faiss_spec *spec);

#endif
