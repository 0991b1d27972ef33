/* fuzz_h0.c - any bytes as a file of generators: refused with a reason, at open or when a value is read, or good. As
 * for graphs, checksums stop most inputs and the seeds are whole files. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kith/generators.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_block(kith_h0_store *store, uint64_t block, unsigned parts)
{
	const kith_h0_info *info = kith_h0_store_get_info(store);
	kith_h0_samples samples = {0};
	kith_err err = {0};
	if (!kith_h0_store_read(store, block, parts, &samples, &err)) {
		for (uint64_t e = 0; e < samples.edge_at[samples.count]; e++)
			if (samples.edge[e] >= info->ids)
				abort();
		for (uint32_t s = 0; parts & KITH_H0_CLASSES && s < samples.count; s++)
			for (uint64_t c = samples.class_at[s]; c < samples.class_at[s + 1]; c++)
				if (samples.classes[c].birth >= samples.edge_at[s + 1] - samples.edge_at[s])
					abort();
	} else if (!err.msg[0]) {
		abort();
	}
	kith_h0_samples_free(&samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz.kh0", 0);
	char path[64];
	kith_h0_store *store = NULL;
	kith_err err = {0};
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (kith_h0_store_open(&store, path, &err)) {
		if (!err.msg[0])
			abort();
	} else {
		for (uint64_t b = 0; b < kith_h0_info_blocks(kith_h0_store_get_info(store)) && b < 100; b++)
			for (unsigned parts = 0; parts < 4; parts++)
				read_block(store, b, parts);
		kith_h0_store_check(store, NULL, &err);
		kith_h0_store_close(store);
	}
	close(fd);
	return 0;
}
