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
} kith_faiss_searcher;

/* Gives the spec's automatic parameter the first value with which the lower end of the audit's interval is at least
 * spec->recall, sets it in the index, and says in *reached what it has come to. Where no value does, it is the one from
 * which on nothing is gained. Of an index that holds a part of the samples, misses are counted as if all parts had as
 * many. */
int kith_faiss_tune(kith_faiss_searcher *searcher, kith_faiss_spec *spec, const kith_engine_job *job,
		    kith_recall *reached, kith_err *err);

#endif
