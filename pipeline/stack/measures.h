/* measures.h - the statistics of a stack, a row each: how they are called, what shape they have, where they are kept.
 * Whatever treats statistics alike loops over this table: kith_stack_new and kith_stack_free, stack.json's writer,
 * reader and verifier, kith-show, and the report's CSV files, tables and LaTeX.
 *
 * A new statistic is a member of one of four structs and a row here. What kith-merge counts is a member of kith_nnts
 * (for each k) or kith_nntp (for each k and graph); it is read from stack.json, or NULL where an older file lacks it.
 * What follows from that is a member of kith_chance or kith_dynamics; it is written, and never read but to verify it.
 */
#ifndef KITH_MEASURES_H
#define KITH_MEASURES_H

#include <stddef.h>
#include <stdint.h>

#include "kith/dynamics.h"
#include "kith/err.h"
#include "kith/stack.h"

/* The struct whose member a measure is. */
typedef enum kith_source { KITH_FROM_NNTS, KITH_FROM_CHANCE, KITH_FROM_NNTP, KITH_FROM_DYNAMICS } kith_source;

/* L layers; matrices are row-major. */
typedef enum kith_shape {
	KITH_SCALAR,   /* a member of its struct */
	KITH_NUMBER,   /* 1, behind a pointer as all that follow */
	KITH_LAYERS,   /* L */
	KITH_STEPS,    /* L - 1: [v] is of the layers v and v + 1 */
	KITH_SQUARE,   /* L x L, symmetric */
	KITH_TRIANGLE, /* L x L, row: first layer, column: last layer; nothing below the diagonal */
	KITH_GAPS      /* L x gaps: [v][g - 1] is of layer v and a gap of g layers after it */
} kith_shape;

typedef enum kith_kind {
	KITH_COUNT,   /* uint64_t, below 2^63 */
	KITH_RATIO,   /* double; NaN where it is 0/0, or not known. One that is read from stack.json is of 0..1 */
	KITH_MEAN,    /* double of 0..1, with a standard error of 0..1 */
	KITH_ERROR,   /* double of at least 0, a standard error by itself; NaN where it is not defined */
	KITH_ESTIMATE /* double of -1..2, with a standard error of 0..2; NaN where it is not known */
} kith_kind;

/* Which stacks have a measure. */
typedef enum kith_extent {
	KITH_ALL_STACKS,
	KITH_APPROXIMATE_STACKS, /* with an approximate layer: kith_stack_add_estimates */
	KITH_TESTED_STACKS,      /* with a null distribution: kith_stack_add_null */
	KITH_JACKKNIFED_STACKS   /* with errors of what follows from NNTP: kith_stack_add_jackknife */
} kith_extent;

typedef enum kith_per { KITH_PER_K, KITH_PER_GRAPH, KITH_PER_ALPHA } kith_per; /* each with what stands before it */

typedef struct kith_measure {
	const char *name; /* in kith-show and CSV */
	const char *key;  /* in an entry of stack.json; NULL: mean and stderr are the entry's own members */
	kith_shape shape;
	kith_kind kind;
	kith_per per;
	kith_source source;
	size_t values, errors; /* offsets of the pointers to them, or of the scalar itself; errors 0: none */
	const char *unit;      /* of counts: "pairs", "runs", "samples" */
	const char *title;     /* of a table of the page, or of a column or line of one, in HTML; NULL: in none */
	const char *sentence;  /* what a value says, as a part of a caption; or NULL */
	int may_lack;          /* older files do not have it */
	kith_extent extent;
	int mutual_only; /* only the mutual graph has it */
	int open_ended;  /* tables leave out the last layer's value, as no layer follows it */
} kith_measure;

/* In the order of kith-show and of each entry of stack.json; ends with a row without a name. */
extern const kith_measure kith_measures[];

/* A number of either shape is neither. */
int kith_measure_is_number(const kith_measure *measure);
int kith_measure_is_list(const kith_measure *measure);
int kith_measure_is_matrix(const kith_measure *measure);

/* Whether files hold standard errors of it, too. */
int kith_measure_has_errors(const kith_measure *measure);

/* The rows and columns of its values: 1 x 1 of a number, 1 row of a list. */
void kith_measure_size(const kith_measure *measure, size_t layers, size_t gaps, size_t *rows, size_t *columns);

/* ---- what they are computed from ----------------------------------------------------------------------------- */

/* What chance gives at one k. */
typedef struct kith_chance {
	double expected;   /* kith_nnts_expected */
	double *corrected; /* L x L: kith_nnts_corrected of the means; NaN where expected is 1 */
	double *corrected_err;
	/* L x L: the calibrated score (NNTS - q95) / (1 - q95), q95 being the threshold of 95 % of the null
	 * distribution: above 0 exactly if p <= 0.05, 1 for equal neighbourhoods. Groeger, Wen and Brbic (2026,
	 * arXiv 2602.14486) call it so, and make 0 of what is below. NULL where the stack has no null distribution. */
	double *calibrated;
} kith_chance;

int kith_chance_make(kith_chance *out, const kith_stack *stack, size_t nnts, kith_err *err);
void kith_chance_free(kith_chance *chance); /* all zeros is fine */

/* Allocates the values of all measures of a source in `object`, a struct of that kind, filled with zeros: those that
 * so many stacks have; releases them. After KITH_ENOMEM some may be allocated:
 * release them. */
int kith_measures_alloc(kith_source source, kith_extent extent, void *object, size_t layers, size_t gaps,
			kith_err *err);
void kith_measures_free(kith_source source, void *object);

/* ---- values -------------------------------------------------------------------------------------------------- */

/* The structs that values are taken from: nnts and chance of one k, or nntp and dynamics of one k, graph and alpha.
 * Those that are NULL have none. It owns nothing. */
typedef struct kith_entry {
	size_t layers;
	const kith_nnts *nnts;
	const kith_chance *chance;
	const kith_nntp *nntp;
	const kith_dynamics *dynamics;
} kith_entry;

/* The entry's NNTP table, its own or that of its dynamics; NULL if the entry is of one k. */
const kith_nntp *kith_entry_table(const kith_entry *entry);

typedef struct kith_values {
	size_t rows, columns;
	uint64_t *counts; /* counts, or else ratios with their errors, if there are any */
	double *ratios, *errors;
	int undefined; /* all of it is NaN: there is nothing to correct */
} kith_values;

/* The values of a measure; they belong to the entry. Returns 0 if the entry does not have it. */
int kith_measure_get(const kith_measure *measure, const kith_entry *entry, kith_values *out);

/* Sets the measure's pointer to its values or, if `errors`, to their standard errors, in `object`, a struct of its
 * source, which owns them from then on. */
void kith_measure_set(const kith_measure *measure, void *object, int errors, void *values);

#endif
