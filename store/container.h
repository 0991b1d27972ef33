/* container.h - a sealed file of values under (table, block) keys. FORMAT.md, sections 1 and 2. The only user of LMDB.
 *
 * Written once under a temporary name, sealed (synced, tail appended, renamed), from then on immutable. LMDB itself
 * does not survive a damaged file (it trusts its pages and faults), so the tail holds the file's size and a hash of all
 * pages but the insides of values, and open looks at both before LMDB does; the values carry their own checksums. */
#ifndef KITH_CONTAINER_H
#define KITH_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

typedef struct kith_container kith_container;

/* What a file holds; its tail says so, and a file is opened only as what it is. */
typedef enum kith_container_kind { KITH_CONTAINER_GRAPH, KITH_CONTAINER_PAIRS } kith_container_kind;

/* Starts PATH.part; fails as kith_atomic_file_open does. */
int kith_container_create(kith_container **out, const char *path, kith_container_kind kind, kith_err *err);

/* Stores a value under a key that is new. The bytes are copied. */
int kith_container_put(kith_container *c, uint32_t table, uint32_t block, const void *bytes, size_t size,
		       kith_err *err);

/* Appends the tail, then as kith_atomic_file_commit: PATH.part becomes PATH. The container can only be closed
 * afterwards, on failure too. */
int kith_container_seal(kith_container *c, kith_err *err);

/* Opens a sealed file for reading. Any number of processes may. */
int kith_container_open(kith_container **out, const char *path, kith_container_kind kind, kith_err *err);

/* Finds a value: *bytes points into the file's map, until the next put or close. A missing key is KITH_ECORRUPT. Works
 * while writing, too. */
int kith_container_get(kith_container *c, uint32_t table, uint32_t block, const void **bytes, size_t *size,
		       kith_err *err);

/* The file's final name; lives as long as the container. */
const char *kith_container_path(const kith_container *c);

/* Closes; an unsealed PATH.part is removed. NULL is fine. */
void kith_container_close(kith_container *c);

#endif
