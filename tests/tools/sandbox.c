#include "sandbox.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[256];
static pid_t owner;

void *must_alloc(size_t count, size_t size)
{
	void *block = calloc(count ? count : 1, size);
	if (!block) {
		fprintf(stderr, "test: out of memory\n");
		abort();
	}
	return block;
}

static void remove_folder(void)
{
	DIR *dir = getpid() == owner ? opendir(folder) : NULL;
	struct dirent *entry;
	char path[SANDBOX_PATH];
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof path, "%.255s/%.255s", folder, entry->d_name);
		remove(path);
	}
	closedir(dir);
	rmdir(folder);
}

static void make_folder(void)
{
	const char *tmp = getenv("TMPDIR");
	if (folder[0])
		return;
	if (!tmp || !*tmp) /* in memory if possible: thousands of small files, each synced */
		tmp = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(folder, sizeof folder, "%.200s/kith-test-XXXXXX", tmp);
	if (!mkdtemp(folder)) {
		perror(folder);
		abort();
	}
	owner = getpid();
	atexit(remove_folder);
}

char *sandbox_path(char out[SANDBOX_PATH], const char *format, ...)
{
	va_list args;
	size_t used;
	make_folder();
	used = (size_t)snprintf(out, SANDBOX_PATH, "%s/", folder);
	va_start(args, format);
	vsnprintf(out + used, SANDBOX_PATH - used, format, args);
	va_end(args);
	return out;
}

size_t sandbox_entries(void)
{
	size_t count = 0;
	DIR *dir;
	make_folder();
	dir = opendir(folder);
	if (!dir)
		abort();
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

unsigned char *sandbox_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	unsigned char *bytes;
	long end;
	if (!file)
		return NULL;
	if (fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0)
		abort();
	rewind(file);
	bytes = must_alloc((size_t)end + 1, 1);
	*size = fread(bytes, 1, (size_t)end, file);
	fclose(file);
	return bytes;
}

void sandbox_write(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
		perror(path);
		abort();
	}
}

property_run property_start(int argc, char **argv, uint64_t rounds)
{
	const char *seed = argc > 1 ? argv[1] : getenv("KITH_SEED");
	const char *count = argc > 2 ? argv[2] : getenv("KITH_ROUNDS");
	property_run run = {1, rounds};
	if (seed && *seed)
		run.seed = strtoull(seed, NULL, 10);
	if (count && *count)
		run.rounds = strtoull(count, NULL, 10);
	return run;
}

int property_run_all(const char *name, property_run run, property_round round)
{
	uint64_t passed = 0, failed = 0;
	char why[2048];
	for (uint64_t i = 0; i < run.rounds && failed < 10; i++) {
		why[0] = 0;
		if (!round(run.seed + i, why, sizeof why)) {
			passed++;
			continue;
		}
		failed++;
		printf("FAILED: %s\n  again: %s %llu 1\n", why, name, (unsigned long long)(run.seed + i));
	}
	printf("%s: %llu passed, %llu failed (seeds from %llu)\n", name, (unsigned long long)passed,
	       (unsigned long long)failed, (unsigned long long)run.seed);
	return failed || !passed;
}
