/* hdf5_none.c - HDF5 in a build without its library: recognised, and refused. */
#include <string.h>

#include "reader.h"

static int is_hdf5(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	(void)bytes;
	if (size >= 8 && !memcmp(head, "\x89HDF\r\n\x1a\n", 8))
		return KITH_BY_CONTENT;
	return kith_path_ends(path, ".h5") || kith_path_ends(path, ".hdf5") ? KITH_BY_NAME : KITH_NOT_MINE;
}

static int open_hdf5(kith_part *p, kith_err *err)
{
	return kith_fail(err, KITH_EUSAGE,
			 "%s: HDF5, which this kith is built without: build it with -DKITH_HDF5=ON (libhdf5-dev)",
			 p->path);
}

static int list_hdf5(kith_part *p, kith_source_each *each, void *context, kith_err *err)
{
	(void)each;
	(void)context;
	return open_hdf5(p, err);
}

const kith_reader kith_reader_hdf5 = {.name = "hdf5", .recognise = is_hdf5, .open = open_hdf5, .list = list_hdf5};
