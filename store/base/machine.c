/* machine.c - see machine.h */
#include "machine.h"

#include <errno.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- memory ---- */

static uint64_t limit_of(int resource)
{
	struct rlimit limit;
	return getrlimit((__rlimit_resource_t)resource, &limit) || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX
												   : limit.rlim_cur;
}

uint64_t kith_machine_memory(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	bytes = least(bytes, kith_cgroup_memory(""));
	return least(bytes, least(limit_of(RLIMIT_AS), limit_of(RLIMIT_DATA)));
}

uint64_t kith_machine_budget(uint64_t most)
{
	return least(kith_machine_memory() / 2, most);
}

/* ---- threads ---- */

/* The affinity mask may have more cores than a cpu_set_t has bits: then a larger one is asked for. */
static uint64_t cores_by_affinity(void)
{
	for (size_t cores = CPU_SETSIZE; cores <= 1u << 20; cores *= 4) {
		size_t size = CPU_ALLOC_SIZE(cores);
		cpu_set_t *set = CPU_ALLOC(cores);
		int failed = !set || sched_getaffinity(0, size, set), why = errno;
		uint64_t found = failed ? 0 : (uint64_t)CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (found)
			return found;
		if (!set || why != EINVAL)
			break;
	}
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return cores > 0 ? (uint64_t)cores : 1;
}

int kith_machine_threads(int threads)
{
	int limit = omp_get_thread_limit();
	threads = limit < threads ? limit : threads;
	return threads > 1 ? threads : 1;
}

int kith_machine_cores(void)
{
	uint64_t cores = cores_by_affinity(), quota = kith_cgroup_cores("");
	cores = least(cores, quota ? quota : cores);
	return kith_machine_threads((int)least(cores, (uint64_t)omp_get_max_threads()));
}

int kith_threads_granted(int threads)
{
	int granted = 1;
	if (threads <= 1)
		return 1;
	omp_set_dynamic(0);
#pragma omp parallel num_threads(threads)
#pragma omp single
	granted = omp_get_num_threads();
	return granted;
}
