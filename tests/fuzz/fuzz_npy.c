/* fuzz_npy.c - any bytes as a .npy file: opened, scanned and read, or refused with a reason. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz.npy", 0);
	char path[64];
	kith_npy *npy = NULL;
	kith_npy_scan scan;
	kith_err err = {0};
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (kith_npy_open(&npy, path, &err)) {
		if (!err.msg[0])
			abort();
	} else {
		uint64_t n = kith_npy_n(npy), d = kith_npy_d(npy);
		double *last = malloc(d * sizeof *last); /* d values are in the file, so it cannot be large */
		if (!last || n * d * kith_dtype_size(kith_npy_dtype(npy)) > size ||
		    kith_npy_read(npy, n - 1, 1, last, NULL, &err))
			abort();
		if (kith_npy_scan_all(npy, 256, NULL, &scan, NULL, &err) && err.code != KITH_EUSAGE)
			abort();
		free(last);
		kith_npy_close(npy);
	}
	close(fd);
	return 0;
}
