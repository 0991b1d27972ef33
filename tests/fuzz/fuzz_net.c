/* fuzz_net.c - any bytes as net.json: a network, or refused with a reason. Arrays are those of the folder that the
 * environment's KITH_FUZZ_ARRAYS names, or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *folder = getenv("KITH_FUZZ_ARRAYS");
	char path[512];
	kith_network *network = NULL;
	kith_err err = {0};
	snprintf(path, sizeof path, "%s/fuzz.%ld.json", folder ? folder : "/tmp", (long)getpid());
	FILE *file = fopen(path, "w");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
	if (kith_network_read(&network, path, NULL, &err)) {
		if (!err.msg[0])
			abort();
	} else if (!network->info.vertices || !network->info.ids || network->info.ids > INT64_MAX) {
		abort();
	}
	kith_network_free(network);
	remove(path);
	return 0;
}
