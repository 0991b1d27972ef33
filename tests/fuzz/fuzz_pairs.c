/* fuzz_pairs.c - any bytes as a pair store: refused with a reason, at open or when a value is read, or good. As for
 * graphs, checksums stop most inputs and the seeds are whole files. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kith/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(kith_pair_store *store)
{
	const kith_pair_info *info = kith_pair_store_get_info(store);
	uint64_t blocks = kith_pair_info_blocks(info), found;
	const uint32_t last = info->layer_count - 1;
	kith_pair_planes planes = {0};
	kith_err err = {0};
	for (uint64_t b = 0; b < blocks && b < 1000; b++) {
		if (!kith_pair_store_read_planes(store, b, 1, &last, &planes, &err))
			for (uint32_t p = 0; p < planes.count; p++)
				if (planes.i[p] >= planes.j[p] || planes.j[p] >= info->n)
					abort();
		if (!kith_pair_store_read_planes(store, b, 0, NULL, &planes, &err))
			for (size_t p = planes.count; p < 64 * planes.stride; p++)
				if (planes.bits[p / 64] >> p % 64 & 1)
					abort();
	}
	kith_pair_planes_free(&planes);
	kith_pair_store_find(store, info->n / 2, &found, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz.kpr", 0);
	char path[64];
	kith_pair_store *store = NULL;
	kith_err err = {0};
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (kith_pair_store_open(&store, path, &err)) {
		if (!err.msg[0])
			abort();
	} else {
		read_all(store);
		kith_pair_store_check(store, NULL, &err);
		kith_pair_store_close(store);
	}
	close(fd);
	return 0;
}
