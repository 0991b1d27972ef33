/* reader.h - what a file format has to tell source.c. A reader is one file that defines a kith_reader; it is found
 * through the table in readers.c, and nothing but readers and source*.c includes this header.
 *
 * A reader parses one header. Which rows and columns are wanted, several files, byte order, Fortran order, types,
 * whether files change, are no matter of its own. */
#ifndef KITH_READER_H
#define KITH_READER_H

#include "source.h"
#include "unchanged.h"

typedef struct kith_reader kith_reader;
typedef struct kith_part kith_part;

/* An array in a file. A source is one of them, or several, one after the other. */
struct kith_part {
	/* Set before a reader is called: */
	const kith_reader *reader;
	char *path;
	const char *entry;         /* which array of the file: what follows its name and a colon; NULL: not said */
	const kith_input_how *how; /* not NULL while the reader opens the file, NULL afterwards */
	int fd;                    /* where a source has many files, only open while they are read, and else -1 */
	uint64_t memory;           /* bytes that may be taken while it is opened; parts keep an eighth in all */
	int *spill;                /* the source's temporary file (kith_part_spill); -1: not yet needed */
	uint64_t bytes;            /* the file's size */

	/* For the reader to set: */
	kith_dtype dtype;
	int swapped; /* values have their bytes in the other order than this machine */
	/* By kith_part_set_shape, after dtype: shape, and how many bytes on in the file the next index of each
	 * dimension is. */
	int dims;
	uint64_t shape[KITH_MAX_DIMS];
	int64_t stride[KITH_MAX_DIMS];
	uint64_t data_at; /* of the first value */
	/* The bytes that were believed, so that a change is seen; 0 of them: there is no header. */
	uint64_t head_at, head_bytes;
	int canonical; /* the bytes before data_at, all that is there besides rows, are the header of a .npy */
	/* The source's temporary file if that has the values, instead of fd; -1: it has not. `bytes` is then where they
	 * end in it, and `spilled` how many of them are this part's. */
	int rows_fd;
	uint64_t spilled;
	uint64_t kept; /* bytes that it keeps in memory */
	/* Where values do not lie in the file at data_at and strides: reads rows first..first+count-1 of the array, all
	 * of them in C order and, unless `swapped`, in this machine's order of bytes. Thread safe. NULL: they do. */
	int (*read)(const kith_part *p, uint64_t first, uint64_t count, void *out, kith_err *err);
	void *own;                   /* the reader's */
	void (*close)(kith_part *p); /* releases it; NULL: nothing to do */

	/* source.c's: */
	/* The file, mapped, where the values of a row lie far from each other, as in Fortran order, and are not in the
	 * temporary file; or NULL. */
	const uint8_t *map;
	uint64_t first;        /* row of all parts together that is this one's first */
	kith_file_state state; /* of the file as it was opened */
};

/* How sure a reader is that a file is its own. */
enum { KITH_NOT_MINE, KITH_BY_NAME, KITH_BY_CONTENT };

struct kith_reader {
	const char *name;
	/* By a file's name, its first `size` bytes (KITH_HEAD_BYTES, or all that there are), and how many it has. The
	 * surest has it, of equally sure ones the first in the table. NULL: by its name, if it ends in .NAME. */
	int (*recognise)(const char *path, const uint8_t *head, size_t size, uint64_t bytes);
	/* Reads and checks the header. source.c checks afterwards that the file holds the values (unless there is a
	 * `read`), turns 16-bit integers into bfloat16 as `how` says, and closes the part if anything fails. */
	int (*open)(kith_part *p, kith_err *err);
	/* Calls `each` for all arrays of a file that can have several; NULL: it has one, and `entry` is NULL. */
	int (*list)(kith_part *p, kith_source_each *each, void *context, kith_err *err);
	int refused;     /* a format that is known and not read: `open` fails, and says what to do */
	int takes_shape; /* how->shape and how->offset; other formats refuse them. */
};

/* Sets dimensions and strides of an array that lies in one piece. KITH_EUSAGE if it is no array of samples: without a
 * dimension, without values, or too large for the numbers. */
int kith_part_set_shape(kith_part *p, const uint64_t *shape, int dims, int fortran, kith_err *err);

/* Sets p->reader, by how->format or by what the file is. */
int kith_part_find_reader(kith_part *p, kith_err *err);

/* Reads `size` bytes of the file (or of rows_fd, if there is one) from byte `at` on. Returns 0, or -1 with errno set:
 * ENODATA if the file ends before. */
int kith_part_read(const kith_part *p, void *out, size_t size, uint64_t at);

/* After that has failed: the file has changed, or cannot be read. Returns KITH_EIO. */
int kith_part_fail_read(const kith_part *p, kith_err *err);

/* The same for headers: KITH_EUSAGE, "truncated in its header", if it ends before. */
int kith_part_read_header(const kith_part *p, void *out, size_t size, uint64_t at, kith_err *err);

/* The temporary file that all parts of the source share, beside the output or in TMPDIR, and where its end is, from
 * which on `bytes` of values are written. KITH_EUSAGE if the disk has no room for them. */
int kith_part_spill(const kith_part *p, uint64_t bytes, int *fd, uint64_t *at, kith_err *err);

/* Bytes of all values. */
uint64_t kith_part_value_bytes(const kith_part *p);

/* KITH_EUSAGE, because there is no array p->entry in the file, or because it is NULL and there are several: names the
 * nearest of those that there are, by the reader's `list`. */
int kith_part_no_entry(kith_part *p, kith_err *err);

/* Whether a file's name ends so, in letters of either case, and has something before it. */
int kith_path_ends(const char *path, const char *suffix);

/* If a folder is one that some library takes for an array: KITH_EUSAGE, and what to do; 0 if it is none. */
int kith_part_refuse_folder(const char *path, const char *entry, kith_err *err);

/* A .npy that lies in the file from byte `at` to `end`, as in an archive. */
int kith_npy_open_at(kith_part *p, uint64_t at, uint64_t end, kith_err *err);

extern const kith_reader *const kith_readers[]; /* NULL-terminated; the first is for files that none recognises */
extern const kith_reader kith_reader_npy, kith_reader_safetensors, kith_reader_npz, kith_reader_hdf5, kith_reader_fbin,
	kith_reader_f16bin, kith_reader_u8bin, kith_reader_i8bin, kith_reader_ibin, kith_reader_fvecs,
	kith_reader_bvecs, kith_reader_ivecs, kith_reader_raw, kith_reader_foreign;

#endif
