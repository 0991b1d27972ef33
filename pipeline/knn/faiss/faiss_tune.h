/* faiss_tune.h - nprobe=auto, efSearch=auto: raised until an audit is content. */
#ifndef KITH_FAISS_TUNE_H
#define KITH_FAISS_TUNE_H

#include "faiss.h"
#include "faiss_input.h"
#include "faiss_plan.h"
#include "faiss_spec.h"
#include "recall.h"

/* An index that holds the samples offset..offset+count-1, and room to search it. */
typedef struct kith_faiss_searcher {
	kith_faiss *index;
	kith_faiss_input *input;
	uint64_t offset, count;
	const kith_faiss_plan *plan;
	float *x, *distances; /* block x d, block x found */
	int64_t *labels;      /* block x found */
	/* Of an index that was there, and has zero rows too, which are none of the samples here: these, by its numbers,
	 * ascending; else NULL. */
	const uint32_t *sample;
} kith_faiss_searcher;

/* Labels of the nearest of x[rows]. What is no sample here is negative. */
int kith_faiss_searcher_run(kith_faiss_searcher *searcher, uint64_t rows, kith_err *err);

/* What sample[count] (ascending) calls `label`; -1: nothing. */
int64_t kith_faiss_label_of(const uint32_t *sample, uint64_t count, int64_t label);

/* Gives the spec's automatic parameter the first value with which the lower end of the audit's interval is at least
 * spec->recall, sets it in the index, and says in *reached what it has come to. Where no value does, it is the one from
 * which on nothing is gained. Of an index that holds a part of the samples, misses are counted as if all parts had as
 * many. */
int kith_faiss_tune(kith_faiss_searcher *searcher, kith_faiss_spec *spec, const kith_engine_job *job,
		    kith_recall *reached, kith_err *err);

#endif
