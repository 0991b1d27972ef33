/* fuzz_format.c - any bytes as a file of the format KITH_FUZZ_FORMAT: listed, opened and read, or refused with a
 * reason. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "source.h"

#define MOST_VALUES                                                                                                    \
	(1u << 20) /* what formats that compress, or need not hold what they say, may make of a few bytes              \
		    */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libhdf5 loses some of what it allocates when a file is damaged. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libhdf5";
}

static int see(void *context, const kith_source_entry *entry, kith_err *err)
{
	(void)err;
	if (!entry->type)
		abort();
	return ++*(int *)context > 1000 ? KITH_ECANCELED : 0;
}

static void read_some(const kith_source *s)
{
	const kith_source_info *info = kith_source_get_info(s);
	kith_err err = {0};
	if (info->d > MOST_VALUES)
		return;
	double *row = malloc(info->d * sizeof *row);
	if (!row || (kith_source_read(s, info->n - 1, 1, row, NULL, &err) && !err.msg[0]) ||
	    (kith_source_read(s, 0, 1, row, NULL, &err) && !err.msg[0]))
		abort();
	free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const kith_input_how how = {.format = KITH_FUZZ_FORMAT};
	int fd = memfd_create("fuzz", 0), seen = 0;
	char path[64];
	kith_source *s = NULL;
	kith_err err = {0};
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (kith_source_list(path, &how, see, &seen, &err) && err.code != KITH_ECANCELED && !err.msg[0])
		abort();
	if (!kith_source_open(&s, path, &how, &err)) {
		read_some(s);
		kith_source_close(s);
	} else if (!err.msg[0]) {
		abort();
	}
	close(fd);
	return 0;
}
