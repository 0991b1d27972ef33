/* fuzz_npy.c - any bytes as activations: opened, scanned and read, or refused with a reason. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "activations.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz.npy", 0);
	char path[64];
	kith_activations *npy = NULL;
	kith_scan scan;
	kith_err err = {0};
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (kith_activations_open(&npy, path, &err)) {
		if (!err.msg[0])
			abort();
	} else {
		uint64_t n = kith_activations_get_info(npy)->n, d = kith_activations_get_info(npy)->d;
		double *last = malloc(d * sizeof *last); /* d values are in the file, so it cannot be large */
		if (!last || n * d * kith_dtype_size(kith_activations_get_info(npy)->dtype) > size ||
		    (kith_activations_read(npy, n - 1, 1, last, NULL, &err) && err.code != KITH_EUSAGE))
			abort(); /* (an integer that no double holds is KITH_EUSAGE) */
		if (kith_activations_scan(npy, 256, 2, NULL, &scan, NULL, &err) && err.code != KITH_EUSAGE)
			abort();
		free(last);
		kith_activations_close(npy);
	}
	close(fd);
	return 0;
}
