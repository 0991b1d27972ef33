/* activations.h - one layer's activations: a source (source.h) whose rows are samples, its digest, and whether it is
 * still what was digested. */
#ifndef KITH_ACTIVATIONS_H
#define KITH_ACTIVATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "source.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kith_activations kith_activations;
typedef kith_source_info kith_activations_info;

/* Opens what `name` names (source.h), as `how` says, which may be NULL; without it: of NULL. */
int kith_activations_open_as(kith_activations **out, const char *name, const kith_input_how *how, kith_err *err);
int kith_activations_open(kith_activations **out, const char *name, kith_err *err);
void kith_activations_close(kith_activations *a); /* NULL is fine */

const kith_activations_info *kith_activations_get_info(const kith_activations *a); /* lives as long as `a` */
const kith_source *kith_activations_source(const kith_activations *a);             /* the same */

/* kith_source_read, _read_floats, _map and _will_read; but after a scan, reads are compared with it (below). */
int kith_activations_read(const kith_activations *a, uint64_t first, uint64_t count, double *out, void *raw,
			  kith_err *err);
int kith_activations_read_floats(const kith_activations *a, uint64_t first, uint64_t count, float *out, void *raw,
				 kith_err *err);
const void *kith_activations_map(kith_activations *a);
void kith_activations_will_read(const kith_activations *a, uint64_t first, uint64_t count);

/* What one pass over the file finds. */
typedef struct kith_scan {
	uint64_t digest; /* XXH3-64 of all bytes of a .npy file; of others, of the one that numpy.save would write */
	/* Of the values alone, the same for every header, type and order of bytes: XXH3-64 of the rows' hashes, and a
	 * row's is that of its values as doubles, -0.0 as 0.0 (numbers as the processor has them) */
	uint64_t values;
	double max_abs;     /* largest |x| */
	double min_abs;     /* of f8: smallest |x| that is not 0; 0: there is none, or they are of another type */
	uint64_t repeated;  /* rows that are the same as another, by the hash of their values */
	uint64_t unwritten; /* rows of zeros, as files have them that are mapped and not filled to the end */
} kith_scan;

/* Files may be written to, or replaced, while they are read. The digest is of what the scan read, and after a scan:
 *
 *   - rows that are read again in whole blocks (of 16 KiB, or one row; block_rows) are compared with the scan's, and
 *     what differs is KITH_EIO, "changed while it was read";
 *   - rows that are read one by one, or from the map, are not. kith_activations_verify, when all work is done, reads
 *     the whole file again: what it holds then is what was digested, or that is KITH_EIO, too;
 *   - what was changed and changed back in between is seen by the file's time (unchanged.h), which
 *     kith_activations_unchanged looks at. It costs next to nothing. */
int kith_activations_unchanged(const kith_activations *a, kith_err *err);
int kith_activations_verify(const kith_activations *a, int threads, const kith_progress *progress, kith_err *err);

/* A progress that also looks whether the input is unchanged, some times a second, and asks to stop if it is not: work
 * on a mixture may take very long. The work's status is then to be passed through kith_activations_blame. */
typedef struct kith_activations_watch {
	const kith_activations *input;
	const kith_progress *progress; /* the user's */
	double looked;                 /* when */
	int canceled;                  /* by the user */
} kith_activations_watch;
kith_progress kith_activations_watched(kith_activations_watch *watch, const kith_activations *input,
				       const kith_progress *progress);

/* Returns `rc`, or if that is a failure other than the user's wish and the input has changed, whatever `err` says, that
 * it has. */
int kith_activations_blame(const kith_activations_watch *watch, int rc, kith_err *err);

/* Reads the whole file once with `threads` threads, in blocks that take about `memory` bytes together (at least one row
 * each). If `mean` is not NULL it receives about the d column means (of some thousand rows; it is not part of any
 * definition). A NaN or an infinity is KITH_EUSAGE, and the message names its row and column. */
int kith_activations_scan(kith_activations *a, uint64_t memory, int threads, const kith_progress *progress,
			  kith_scan *out, double *mean, kith_err *err);

#ifdef __cplusplus
}
#endif
#endif
