/* activations.h - one layer's activations in a file of any format that kith reads: n samples of d values, read by rows,
 * never held whole.
 *
 * Formats are behind this door: each has a reader (reader.h), and activations.c has the table of them. */
#ifndef KITH_ACTIVATIONS_H
#define KITH_ACTIVATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"
#include "kith/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How values are stored. Every type is a subset of double; all but f8 are subsets of float. bfloat16 is the upper half
 * of a float. */
typedef enum kith_dtype { KITH_F2, KITH_F4, KITH_F8, KITH_U1, KITH_I1, KITH_BF16 } kith_dtype;

const char *kith_dtype_name(kith_dtype dtype); /* "f2", "f4", ..., "bfloat16" */
uint64_t kith_dtype_size(kith_dtype dtype);    /* bytes per value */

typedef struct kith_activations kith_activations;

typedef struct kith_activations_info {
	const char *path;   /* as given to kith_activations_open */
	const char *format; /* "npy" */
	uint64_t n;         /* samples, 1..KITH_MAX_NODES */
	uint64_t d;         /* values per sample, 1..KITH_MAX_DIM */
	kith_dtype dtype;
	uint64_t row_bytes; /* a sample as it is stored */
} kith_activations_info;

/* Opens `path` and checks everything that can be checked without reading the data: format, element type, shape, and
 * that the file holds the array that its header promises. KITH_EUSAGE where the file is not activations that kith reads
 * (the message says how to convert it), KITH_EIO where the system refuses. */
int kith_activations_open(kith_activations **out, const char *path, kith_err *err);
void kith_activations_close(kith_activations *a); /* NULL is fine */

const kith_activations_info *kith_activations_get_info(const kith_activations *a); /* lives as long as `a` */

/* The name of the format that a file is in, by its name and its first bytes (64 of them, or all that there are); NULL
 * if it is none that kith reads. */
const char *kith_activations_recognise(const char *path, const void *head, size_t size);

/* Reads `count` rows from row `first` into out[count][d], each stored value converted to double, exactly. Thread safe:
 * any number of threads may read one kith_activations at once. `raw` is scratch of count * row_bytes bytes, or NULL to
 * have it allocated for the call. */
int kith_activations_read(const kith_activations *a, uint64_t first, uint64_t count, double *out, void *raw,
			  kith_err *err);

/* The same as floats, which hold every type but f8 exactly (KITH_EBUG for that). `raw` must be there. */
int kith_activations_read_floats(const kith_activations *a, uint64_t first, uint64_t count, float *out, void *raw,
				 kith_err *err);

/* The rows as they are stored, mapped into memory until the file is closed; NULL if the system refuses, or if the
 * values do not lie at multiples of their size. To be used where the whole file may be in memory. If the file is cut
 * short meanwhile, reading what is gone raises SIGBUS. Not thread safe. */
const void *kith_activations_map(kith_activations *a);

/* Tells the system that rows first..first+count-1 will be read soon. Never fails; only speed depends on it. */
void kith_activations_will_read(const kith_activations *a, uint64_t first, uint64_t count);

/* What one pass over the file finds. */
typedef struct kith_scan {
	uint64_t digest; /* XXH3-64 of the header and the rows: of all bytes of a .npy file */
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
