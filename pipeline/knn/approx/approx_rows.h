/* approx_rows.h - the rows of samples whose codes and lists fit into memory: codes, lists of neighbours among them
 * (search.h), canonical distances. */
#ifndef KITH_APPROX_ROWS_H
#define KITH_APPROX_ROWS_H

#include "search.h"

typedef struct kith_approx_rows {
	/* The caller's: */
	const kith_engine_job *job; /* its vectors may be kept in memory; its audit may lack some rows' neighbours,
				       which then are UINT32_MAX */
	const kith_approx_plan *plan;
	const kith_scaling *scaling;
	const kith_basis *basis;
	const uint32_t *sample; /* what the candidates' graphs call the samples; NULL: as the job does */
	uint64_t seed;
	int asks_blurred;
	/* Found; its left[] is the caller's: */
	kith_results results;
	uint32_t trees, rounds; /* that it took */
	int blurred; /* nothing was looked for: codes do not tell neighbours from others (samples that are nearly the
			same, far from the mean), and the caller had said that it asks */
} kith_approx_rows;

/* Release `results` with kith_results_free, also after a failure. */
int kith_approx_rows_find(kith_approx_rows *rows, kith_err *err);

#endif
