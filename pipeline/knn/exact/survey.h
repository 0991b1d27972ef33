/* survey.h - what a sample of the rows says: directions to project on, and how much bounds in them rule out. */
#ifndef KITH_SURVEY_H
#define KITH_SURVEY_H

#include "projection.h"

/* Numbers of directions to choose from: with the remainder's length, even numbers of values. */
#define KITH_SURVEY_MENU 17
extern const uint32_t kith_survey_menu[KITH_SURVEY_MENU];

typedef struct kith_survey {
	uint32_t rank;                  /* directions that hold all of the data; UINT32_MAX if that is not known */
	double near;                    /* the part of all samples that a row's neighbours are, as it was looked at */
	double share[KITH_SURVEY_MENU]; /* of all pairs, those that pass bounds in the first menu[i] directions */
	double slope[KITH_SURVEY_MENU]; /* d log(share) / d log(near) */
} kith_survey;

/* Reads as many rows as kith_survey_rows says, finds `dims` directions (kith_basis_find) and, if there are any, what
 * bounds in the leading ones let pass: samples that may be among a row's nearest, which are `near` of all. Release the
 * basis with kith_basis_free, also after a failure. */
int kith_survey_run(kith_survey *survey, kith_basis *basis, const kith_scaling *scaling, double near, uint32_t dims,
		    uint64_t memory, int threads, kith_err *err);

/* The rows that a survey in `memory` bytes looks at; fewer than 2 say nothing. */
uint64_t kith_survey_rows(uint64_t n, uint64_t d, uint64_t memory);

/* Of all pairs, the part that passes bounds in `dims` directions where a row's neighbours are `near` of all samples. */
double kith_survey_share(const kith_survey *survey, uint32_t dims, double near);

#endif
