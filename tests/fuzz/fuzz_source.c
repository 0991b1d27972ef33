/* fuzz_source.c - any bytes as a .safetensors file, listed, opened, read and scanned, or as what is chosen of an array:
 * refused with a reason, or within it. The first byte says as which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "activations.h"
#include "selection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first index and the last of each choice are in the dimension. */
static void choose(const uint8_t *data, size_t size)
{
	static const uint64_t shape[] = {7, 1, 3, 1000000007};
	kith_choice choice[4];
	char text[512] = "";
	kith_err err = {0};
	memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
	if (kith_selection_apply(text, shape, 4, choice, "array", &err)) {
		if (!err.msg[0] || err.code != KITH_EUSAGE)
			abort();
		return;
	}
	for (int i = 0; i < 4; i++) {
		uint64_t last = choice[i].start + (choice[i].count - 1) * (uint64_t)choice[i].step;
		if (!choice[i].count || choice[i].start >= shape[i] || last >= shape[i])
			abort();
	}
}

/* The first array's name, with the file's before it. */
static int keep_name(void *context, const kith_source_entry *entry, kith_err *err)
{
	char *name = context;
	size_t at = strlen(name);
	(void)err;
	if (!strchr(name, ':'))
		snprintf(name + at, 512 - at, ":%s", entry->name);
	return 0;
}

static void read_all(const char *name, const kith_input_how *how, size_t size)
{
	kith_activations *a = NULL;
	kith_scan scan;
	kith_err err = {0};
	if (kith_activations_open_as(&a, name, how, &err)) {
		if (!err.msg[0])
			abort();
		return;
	}
	const kith_activations_info *i = kith_activations_get_info(a);
	double *last = malloc(i->d * sizeof *last); /* d values are in the file, so it cannot be large */
	if (!last || i->n * i->row_bytes > size)
		abort();
	if (kith_activations_read(a, i->n - 1, 1, last, NULL, &err) && err.code != KITH_EUSAGE)
		abort();
	if (kith_activations_scan(a, 256, 2, NULL, &scan, NULL, &err) && err.code != KITH_EUSAGE)
		abort();
	free(last);
	kith_activations_close(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const kith_input_how how = {.format = "safetensors"};
	char path[64], name[512];
	kith_err err = {0};
	if (!size)
		return 0;
	if (data[0] % 2) {
		choose(data + 1, size - 1);
		return 0;
	}
	int fd = memfd_create("fuzz", 0);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	strcpy(name, path);
	if (kith_source_list(path, &how, keep_name, name, &err) && !err.msg[0])
		abort();
	read_all(path, &how, size);
	read_all(name, &how, size);
	close(fd);
	return 0;
}
