/* inspect.h - any kith file, or activations, as text; and whether it is what it should be. */
#ifndef KITH_INSPECT_H
#define KITH_INSPECT_H

#include <stdint.h>
#include <stdio.h>

#include "kith/err.h"
#include "kith/generators.h"
#include "kith/input.h"

/* What is shown of generators (.kh0): a row for each class, for each edge of the forests, or for those of the component
 * of one class; or with `svmlight` a line for each sample, whose values are these. */
typedef enum kith_show_what { KITH_SHOW_CLASSES, KITH_SHOW_EDGES, KITH_SHOW_GENERATOR } kith_show_what;

typedef struct kith_show_options {
	uint64_t first, last; /* nodes (samples) first..last-1; last UINT64_MAX: to the end */
	int json, svmlight;   /* neither: text */
	struct {
		const char *option; /* NULL, or the first of those below that was given: other files have none */
		kith_show_what what;
		uint64_t sample, class_; /* of KITH_SHOW_GENERATOR */
		kith_weights weights;
		const char *labels; /* a file, or NULL: all 0 */
	} h0;
	kith_input_how how; /* of activations */
	kith_progress progress;
} kith_show_options;

/* Writes the graph, pair store, generators, stack or activations `path` to `out`, and flushes it: header lines that
 * start with '#', then rows of tab-separated values; or JSON. What is shown depends on the contents only, not on how or
 * when the file was made. */
int kith_show(const char *path, const kith_show_options *options, FILE *out, kith_err *err);

/* Writes a line for each array of a file of activations to `out`: its name, type, shape and bytes; or JSON. */
int kith_show_list(const char *path, const kith_show_options *options, FILE *out, kith_err *err);

/* Reads everything: every checksum, every rule of the format, every identity that the definitions imply. Returns 0, or
 * a status with the first thing found wrong. */
int kith_check(const char *path, const kith_progress *progress, kith_err *err);

/* The same of activations that have to be told of, as `how` says; NULL: they are not. */
int kith_check_as(const char *path, const kith_input_how *how, const kith_progress *progress, kith_err *err);

/* Measures the recall of the graph `path` of the activations `input` (and `how` they are read) by `rows` samples,
 * others than its own audit's, and writes a line for each k to `out`. KITH_ECORRUPT if the graph is exact and lacks a
 * neighbour. */
int kith_check_recall(const char *input, const kith_input_how *how, const char *path, uint32_t rows,
		      const kith_progress *progress, FILE *out, kith_err *err);

#endif
