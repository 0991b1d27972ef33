/* machine.c - see machine.h */
#include "machine.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static uint64_t read_number(const char *path)
{
	uint64_t value = UINT64_MAX;
	FILE *file = fopen(path, "re");
	if (!file)
		return value;
	unsigned long long read;
	if (fscanf(file, "%llu", &read) == 1) /* "max" is no number, and no limit */
		value = read;
	fclose(file);
	return value;
}

uint64_t kith_machine_memory(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	/* a container's limit, version 2 then 1, as it shows inside the container */
	uint64_t v2 = read_number("/sys/fs/cgroup/memory.max");
	uint64_t v1 = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
	bytes = v2 < bytes ? v2 : bytes;
	return v1 < bytes ? v1 : bytes;
}

int kith_machine_cores(void)
{
	cpu_set_t set;
	if (!sched_getaffinity(0, sizeof set, &set))
		return CPU_COUNT(&set);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return cores > 0 ? (int)cores : 1;
}
