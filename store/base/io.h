/* io.h - read and write, until all is done: the system may do less at a time, and signals interrupt it. Thread safe. */
#ifndef KITH_IO_H
#define KITH_IO_H

#include <stddef.h>
#include <stdint.h>

/* Reads `size` bytes of the file from byte `at` on. Returns 0, or -1 with errno set: ENODATA if the file ends before.
 */
int kith_read_all(int fd, void *out, size_t size, uint64_t at);

/* Writes all of it where the file is. Returns 0, or -1 with errno set. */
int kith_write_all(int fd, const void *data, size_t bytes);

#endif
