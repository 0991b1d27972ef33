/* source.h - an array in a file, or in several, of any format that kith reads: n rows of d values, read by rows, never
 * held whole.
 *
 * A source is named as the user names it:
 *
 *         acts.npy                     a file
 *         acts.safetensors:layer3      an array of a file that has several, by its name
 *         acts.npy:[:,3,0,:]           some of the array, as NumPy's basic indexing has it: a range in the first
 *                                      dimension, a range or an index in each of the others
 *         'part-*.npy'                 files one after the other along their first dimension: by a pattern, in natural
 *         @list.txt                    order, or by a list of them, one a line
 *
 * and in all combinations (part-*.safetensors:layer3:[:,0]). A file that is there by the whole name comes first, so
 * that names may hold what stands for these.
 *
 * Formats are behind this door: each has a reader (reader.h), and readers.c has the table of them. */
#ifndef KITH_SOURCE_H
#define KITH_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "hash.h"
#include "kith/err.h"
#include "kith/input.h"
#include "kith/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How values are stored. bfloat16 is the upper half of a float; b1 is a byte, 0 or another. */
typedef enum kith_dtype {
	KITH_F2,
	KITH_F4,
	KITH_F8,
	KITH_U1,
	KITH_I1,
	KITH_BF16,
	KITH_B1,
	KITH_I2,
	KITH_U2,
	KITH_I4,
	KITH_U4,
	KITH_I8,
	KITH_U8,
	KITH_DTYPES
} kith_dtype;

const char *kith_dtype_name(kith_dtype dtype); /* "f2", "f4", ..., "bfloat16" */
uint64_t kith_dtype_size(kith_dtype dtype);    /* bytes per value */
int kith_dtype_is_wide(kith_dtype dtype);      /* whether there are values that a float does not hold */

/* The type that is called `name`, or so by NumPy: "f4", "float32", "bf16", "bfloat16"; KITH_DTYPES if none is. */
kith_dtype kith_dtype_named(const char *name);

#define KITH_MAX_DIMS 32 /* of an array, as NumPy has it */

typedef struct kith_source kith_source;

typedef struct kith_source_info {
	const char *path;              /* as given to kith_source_open */
	const char *format;            /* of the file, or the first of them: "npy" */
	uint64_t n;                    /* rows (samples), 1..KITH_MAX_NODES */
	uint64_t d;                    /* values per row, 1..KITH_MAX_DIM */
	int dims;                      /* dimensions of what was chosen of the array */
	uint64_t shape[KITH_MAX_DIMS]; /* n, and others whose product is d */
	kith_dtype dtype;
	uint64_t row_bytes; /* a row as it is stored, without what was not chosen */
	uint64_t files;
	/* Bytes in temporary files of its own; without kith_input_how.spill also those that rows in Fortran order would
	 * have there. */
	uint64_t spilled;
	uint64_t kept; /* bytes that it keeps in memory, such as chunks that rows are taken from */
} kith_source_info;

/* Opens what `name` names and checks everything that can be checked without reading the data: format, element type,
 * shape, and that the files hold the arrays that their headers promise. `how` may be NULL, and is not needed
 * afterwards. KITH_EUSAGE where this is nothing that kith reads (the message says what to do), KITH_EIO where the
 * system refuses. */
int kith_source_open(kith_source **out, const char *name, const kith_input_how *how, kith_err *err);
void kith_source_close(kith_source *s); /* NULL is fine */

/* `how`, for a caller who has `memory` bytes. */
kith_input_how kith_input_within(const kith_input_how *how, uint64_t memory);

/* The most that a source which was opened with kith_input_how.memory = `memory` keeps. */
uint64_t kith_source_most_kept(uint64_t memory);

const kith_source_info *kith_source_get_info(const kith_source *s); /* lives as long as `s` */

/* The name of the i-th of info->files files, in the order of their rows. */
const char *kith_source_file(const kith_source *s, uint64_t i);

/* What a graph keeps of its input, for people: the name without its folders and, unless it is npy, the format:
 * "acts.safetensors:layer3 (safetensors)". Cut at `size`. */
void kith_source_label(const kith_source *s, char *out, size_t size);

/* Each of the following reads `count` rows from row `first` into out[count][d]. Thread safe: any number of threads may
 * read one source at once. `raw` is scratch of count * row_bytes bytes, or NULL to have it allocated for the call.
 * KITH_EIO if the system refuses, or if a file has become shorter; but where values of a row lie far from each other,
 * as in Fortran order, the file is mapped, and reading what was cut off meanwhile raises SIGBUS. */

/* As doubles, exactly: KITH_EUSAGE, by row and column, if an integer is one that a double does not hold. */
int kith_source_read(const kith_source *s, uint64_t first, uint64_t count, double *out, void *raw, kith_err *err);

/* As floats, exactly; KITH_EBUG if the type is wide. `raw` must be there, or may be NULL if the type is f4. */
int kith_source_read_floats(const kith_source *s, uint64_t first, uint64_t count, float *out, void *raw, kith_err *err);

/* As integers: KITH_EUSAGE, by row and column, if a value is none, or beyond 64 bits. Types of floating point are fine
 * as long as their values are whole. */
int kith_source_read_ints(const kith_source *s, uint64_t first, uint64_t count, int64_t *out, void *raw, kith_err *err);

/* As they are stored, in this machine's order of bytes, out[count * row_bytes]; and those as doubles or floats. */
int kith_source_read_stored(const kith_source *s, uint64_t first, uint64_t count, void *out, kith_err *err);
int kith_source_to_doubles(const kith_source *s, uint64_t first, uint64_t count, const void *raw, double *out,
			   kith_err *err);
void kith_source_to_floats(const kith_source *s, uint64_t count, const void *raw, float *out);

/* "row 17, column 4" as the user sees the array: where something of it was chosen, the index in the whole of it,
 * "[17,3,0,4]", and with several files also which of them. `column` UINT64_MAX: the row alone, "row 17". Returns
 * `out`. */
#define KITH_PLACE_TEXT 512
const char *kith_source_place(const kith_source *s, uint64_t row, uint64_t column, char out[KITH_PLACE_TEXT]);

/* All rows as they are stored, floats or doubles (of types f4 and f8), mapped into memory until the source is closed;
 * NULL if they do not lie so in one file, one row after the other at multiples of their size, or if the system refuses.
 * To be used where the whole file may be in memory. If the file is cut short meanwhile, reading what is gone raises
 * SIGBUS. Not thread safe. */
const void *kith_source_map(kith_source *s);

/* Tells the system that rows first..first+count-1 will be read soon. Never fails; only speed depends on it. */
void kith_source_will_read(const kith_source *s, uint64_t first, uint64_t count);

/* KITH_EIO, "changed while it was read", if one of the files is not what it was when it was opened (unchanged.h). */
int kith_source_unchanged(const kith_source *s, kith_err *err);

/* The header's part in a digest, to which the rows as they are stored are then added: what numpy.save writes before
 * them, so that all files with the same array have one digest, wherever they are cut; but of a .npy file that is read
 * whole and as it is, its own header. */
int kith_source_hash_header(const kith_source *s, kith_hash_state *hash, kith_err *err);

/* A hash of the headers as the files have them, to see later whether they still are the same. */
int kith_source_hash_heads(const kith_source *s, uint64_t *out, kith_err *err);

/* If `name` is a pattern or a list: calls `each` with all files that it names, in the order of their rows. Stops, and
 * returns what it returned, if that is not 0. */
typedef int kith_source_each_file(void *context, const char *file, uint64_t i, uint64_t files);
int kith_source_files(const char *name, kith_source_each_file *each, void *context, kith_err *err);

/* Whether `path` is one of the files that `name` names, or the list of them: writing it would destroy what is read. */
int kith_source_names_file(const char *name, const char *path);

/* One array of a file, for kith_source_list. */
typedef struct kith_source_entry {
	const char *file; /* of several, this one; else NULL */
	const char *name; /* NULL: the file holds one, without a name */
	const char *type; /* as the file calls it, or "f4" */
	int dims;
	const uint64_t *shape;
	uint64_t bytes;
} kith_source_entry;

/* Calls `each` for every array of the file `name`, in the file's order, whether kith reads its type or not; of a
 * pattern or a list of files, file by file, in the order of their rows. Stops, and returns what it returned, if that is
 * not 0.
 */
typedef int kith_source_each(void *context, const kith_source_entry *entry, kith_err *err);
int kith_source_list(const char *name, const kith_input_how *how, kith_source_each *each, void *context, kith_err *err);

/* The name of the format that a file of `bytes` bytes is in, by its name and its first bytes (KITH_HEAD_BYTES of them,
 * or all that there are); NULL if it is none that kith reads. */
#define KITH_HEAD_BYTES 64u
const char *kith_source_recognise(const char *path, const void *head, size_t size, uint64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
