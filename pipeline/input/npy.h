/* npy.h - activations: one NumPy .npy file per layer, read by rows, never held whole.
 *
 * Read: format versions 1, 2 and 3; little-endian f2, f4, f8, u1, i1; C order; any shape (n, ...) is n samples of
 * d = product of the other dimensions (d = 1 for a one-dimensional array). Source: numpy.lib.format. */
#ifndef KITH_NPY_H
#define KITH_NPY_H

#include <stdint.h>

#include "kith/err.h"
#include "kith/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kith_dtype { KITH_F2, KITH_F4, KITH_F8, KITH_U1, KITH_I1 } kith_dtype;

typedef struct kith_npy kith_npy;

/* Opens `path` and checks everything that can be checked without reading the data: magic, version, header, element
 * type, order, shape, and that the file holds exactly the array that the header promises. KITH_EUSAGE where the file
 * is not activations that kith reads (the message says how to convert it), KITH_EIO where the system refuses. */
int kith_npy_open(kith_npy **out, const char *path, kith_err *err);
void kith_npy_close(kith_npy *npy); /* NULL is fine */

uint64_t kith_npy_n(const kith_npy *npy); /* samples, 1..KITH_MAX_NODES */
uint64_t kith_npy_d(const kith_npy *npy); /* values per sample, 1..KITH_MAX_DIM */
kith_dtype kith_npy_dtype(const kith_npy *npy);
uint64_t kith_npy_row_bytes(const kith_npy *npy); /* a sample as it is stored */
uint64_t kith_npy_bytes(const kith_npy *npy);     /* size of the file */
const char *kith_npy_path(const kith_npy *npy);   /* as given to open; lives as long as npy */
const char *kith_dtype_name(kith_dtype dtype);    /* "f2", "f4", ... */
uint64_t kith_dtype_size(kith_dtype dtype);       /* bytes per value */

/* Reads `count` rows from row `first` into out[count][d], each stored value converted to double (exactly: every type
 * above is a subset of double). Thread safe: any number of threads may read one kith_npy at once. `raw` is scratch of
 * count * d * kith_dtype_size() bytes, or NULL to have it allocated for the call. */
int kith_npy_read(const kith_npy *npy, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err);

/* The same as floats, which hold every type but f8 exactly (KITH_EBUG for that). `raw` must be there. */
int kith_npy_read_floats(const kith_npy *npy, uint64_t first, uint64_t count, float *out, void *raw, kith_err *err);

/* The rows as they are stored, mapped into memory until the file is closed; NULL if the system refuses, or if the
 * values do not lie at multiples of their size. To be used where the whole file may be in memory. If the file is cut
 * short meanwhile, reading what is gone raises SIGBUS. Not thread safe. */
const void *kith_npy_map(kith_npy *npy);

/* Tells the system that rows first..first+count-1 will be read soon. Never fails; only speed depends on it. */
void kith_npy_will_read(const kith_npy *npy, uint64_t first, uint64_t count);

/* What one pass over the file finds. */
typedef struct kith_npy_scan {
	uint64_t digest; /* XXH3-64 of the whole file, header included */
	double max_abs;  /* largest |x| */
} kith_npy_scan;

/* Reads the whole file once with OpenMP threads, in blocks that take about `memory` bytes together (at least one row
 * each). If `mean` is not NULL it receives about the d column means (of some thousand rows; it is not part of any
 * definition). A NaN or an infinity is KITH_EUSAGE, and the message names its row and column. */
int kith_npy_scan_all(const kith_npy *npy, uint64_t memory, const kith_progress *progress, kith_npy_scan *out,
		      double *mean, kith_err *err);

#ifdef __cplusplus
}
#endif
#endif
