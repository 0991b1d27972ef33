/* container.h - a sealed file of values under (table, block) keys. FORMAT.md, sections 1 and 2. The only user of LMDB.
 *
 * Written once under a temporary name, sealed (synced, tail appended, renamed), from then on immutable:
 *
 *     +-----------------------------------------------------+--------+
 *     | LMDB's pages: index pages, and values in runs       | tail   |
 *     +-----------------------------------------------------+--------+
 *       the tail has a hash of them, but for the insides      the kind of file, its size, that hash, and a hash of the
 *       of values, which carry their own                      tail itself
 *
 * LMDB itself does not survive a damaged file (it trusts its pages and faults), so open looks at size and hashes before
 * LMDB does. */
#ifndef KITH_CONTAINER_H
#define KITH_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

typedef struct kith_container kith_container;

/* What a file holds. Its tail says so, and opening a file as another kind is refused. */
typedef enum kith_container_kind {
	KITH_CONTAINER_GRAPH,
	KITH_CONTAINER_PAIRS,
	KITH_CONTAINER_GENERATORS
} kith_container_kind;

/* Starts PATH's part; fails as kith_atomic_file_open does. */
int kith_container_create(kith_container **out, const char *path, kith_container_kind kind, kith_err *err);

/* Stores a value under a key that is new. The bytes are copied. */
int kith_container_put(kith_container *c, uint32_t table, uint32_t block, const void *bytes, size_t size,
		       kith_err *err);

/* Appends the tail and commits the file as kith_atomic_file_commit does: the part becomes PATH. Afterwards the
 * container can only be closed, on failure too. */
int kith_container_seal(kith_container *c, kith_err *err);

/* Opens a sealed file for reading. Any number of processes may. */
int kith_container_open(kith_container **out, const char *path, kith_container_kind kind, kith_err *err);

/* Finds a value: *bytes points into the file's map, until the next put or close. A missing key is KITH_ECORRUPT. Works
 * while writing, too. */
int kith_container_get(kith_container *c, uint32_t table, uint32_t block, const void **bytes, size_t *size,
		       kith_err *err);

/* KITH_EIO if a file that was opened for reading has been written to, or replaced, since (unchanged.h). */
int kith_container_unchanged(const kith_container *c, kith_err *err);

/* The file's final name; lives as long as the container. */
const char *kith_container_path(const kith_container *c);

/* Closes; an unsealed part is removed. NULL is fine. */
void kith_container_close(kith_container *c);

#endif
