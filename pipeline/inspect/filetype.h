/* filetype.h - the types of files that kith-show and kith-check take: each has a file of its own, and a row here. */
#ifndef KITH_FILETYPE_H
#define KITH_FILETYPE_H

#include <string.h>

#include "inspect.h"
#include "json.h"

/* The ends of a file that tell its type. */
typedef struct kith_file_ends {
	unsigned char head[64]; /* a 0 follows what there is of it */
	size_t head_size;
	uint64_t bytes; /* of the file */
	int has_tail;
	char tail[8]; /* the first bytes of the tail, if LMDB keeps the file (store/FORMAT.md, section 2) */
} kith_file_ends;

/* What kith_show and kith_check do with a type. */
typedef struct kith_filetype {
	int (*recognise)(const char *path, const kith_file_ends *ends);
	int (*show)(const char *path, const kith_show_options *options, FILE *out, kith_err *err);
	int (*check)(const char *path, const kith_progress *progress, kith_err *err);
	/* Of activations, instead of `check`. */
	int (*check_as)(const char *path, const kith_input_how *how, const kith_progress *progress, kith_err *err);
} kith_filetype;

extern const kith_filetype kith_graph_file, kith_pairs_file, kith_h0_file, kith_stack_file, kith_activations_file;

static inline int kith_is_lmdb(const kith_file_ends *ends)
{
	return ends->head_size >= 20 && !memcmp(ends->head + 16, "\xde\xc0\xef\xbe", 4); /* its magic number */
}

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
	kith_json_open(j, "k", '[');
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
