/* machine.h - what this process may use of the machine. Thread safe. */
#ifndef KITH_MACHINE_H
#define KITH_MACHINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of memory that this process may use: the least of the physical ones, the limits of the memory cgroups that it
 * is in (versions 1 and 2, all the way up), and its address space (ulimit -v, -d). */
uint64_t kith_machine_memory(void);

/* Bytes to work in where the user has not said how many: half of these, as a cgroup counts the page cache, too, but at
 * most `most`. */
uint64_t kith_machine_budget(uint64_t most);

/* Threads to work with where the user has not said how many, at least 1: the least of the cores that this process may
 * run on, the CPU quotas of its cgroups (a part of a core counts as one), OMP_NUM_THREADS and OMP_THREAD_LIMIT. */
int kith_machine_cores(void);

/* As many of `threads` as OMP_THREAD_LIMIT allows, at least 1: what work is divided for. */
int kith_machine_threads(int threads);

/* How many of `threads` a parallel region gets here. To be called in a parallel region of one thread, whose task then
 * gets no fewer (OMP_DYNAMIC is off for it): a library called from there, which waits for all the threads that it asks
 * for, may ask for so many. */
int kith_threads_granted(int threads);

/* The limits of the cgroups that the process is in whose files lie below the folder `root` ("" for the system's; tests
 * make their own): UINT64_MAX, or 0 cores, if there are none. */
uint64_t kith_cgroup_memory(const char *root);
uint64_t kith_cgroup_cores(const char *root);

#ifdef __cplusplus
}
#endif
#endif
