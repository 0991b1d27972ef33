/* show_files.h - a file of each type as text; what kith_show (show.h) chooses from.
 *
 * Each writes header lines that start with '#', then rows of tab-separated values; or JSON. What is shown depends on
 * the contents only, not on how or when the file was made. */
#ifndef KITH_SHOW_FILES_H
#define KITH_SHOW_FILES_H

#include <stdint.h>
#include <stdio.h>

#include "json.h"
#include "kith/err.h"

typedef struct kith_show_options {
	uint64_t first, last; /* nodes (samples) first..last-1; last UINT64_MAX: to the end */
	int json;
	kith_progress progress;
} kith_show_options;

int kith_show_graph(const char *path, const kith_show_options *options, FILE *out, kith_err *err);
int kith_show_pairs(const char *path, const kith_show_options *options, FILE *out, kith_err *err);
int kith_show_stack(const char *path, const kith_show_options *options, FILE *out, kith_err *err);
int kith_show_activations(const char *path, const kith_show_options *options, FILE *out, kith_err *err);

/* The end of the nodes to show, of the n that `path` has. KITH_EUSAGE if it has not all that are asked for. */
static inline int kith_show_last(const char *path, const kith_show_options *o, uint64_t n, uint64_t *last,
				 kith_err *err)
{
	*last = o->last == UINT64_MAX ? n : o->last;
	if (o->first <= *last && *last <= n)
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s: --nodes %llu:%llu, but there are 0:%llu", path,
			 (unsigned long long)o->first, (unsigned long long)*last, (unsigned long long)n);
}

/* A ladder as a list. */
static inline void kith_show_ladder(kith_json *j, const uint32_t *k, uint32_t count)
{
	kith_json_begin(j, '[');
	for (uint32_t q = 0; q < count; q++) {
		kith_json_gap(j, "");
		kith_json_count(j, k[q]);
	}
	kith_json_end(j);
}

/* The end of a list of rows that is the last member of all. */
static inline void kith_show_end_json(kith_json *j)
{
	kith_json_gap(j, "\n ");
	kith_json_end(j);
	kith_json_end(j);
	putc('\n', j->out);
}

#endif
