/* reader.h - what a file format has to tell activations.c. A reader is one file that defines a kith_reader; it is found
 * through the table in activations.c, and nothing else includes this header. */
#ifndef KITH_READER_H
#define KITH_READER_H

#include "activations.h"
#include "unchanged.h"

struct kith_activations {
	kith_activations_info info; /* the reader sets n, d (by kith_reader_set_shape) and dtype */
	int fd;
	uint64_t bytes;   /* size of the file */
	uint64_t data_at; /* the reader sets it: rows lie one after the other from this byte on, behind the header */
	void *map;
	kith_file_state state; /* of the file as it was opened */
	/* Once the file has been scanned: hashes of its head and of each block of block_rows rows, so that later reads
	 * can be compared with what was digested. */
	uint64_t head_hash, *block_hash, block_rows;
};

typedef struct kith_reader {
	const char *name;
	/* Whether a file is in this format, by its name and its first `size` bytes (64, or all that there are). */
	int (*recognise)(const char *path, const uint8_t *head, size_t size);
	/* Reads and checks the header of `a`, whose path, fd and bytes are set. activations.c checks afterwards that
	 * the file holds the rows, and releases `a` if this fails. */
	int (*open)(kith_activations *a, kith_err *err);
} kith_reader;

extern const kith_reader kith_reader_npy;

/* Sets n to the first of an array's dimensions and d to the product of the others (1 if there are none). KITH_EUSAGE if
 * that is no array of samples, or one beyond kith's limits. */
int kith_reader_set_shape(kith_activations *a, const uint64_t *shape, int dims, kith_err *err);

/* Reads `size` bytes of the file from byte `at` on. Returns 0, or -1 with errno set: ENODATA if the file ends before.
 */
int kith_reader_read(const kith_activations *a, void *out, size_t size, uint64_t at);

#endif
