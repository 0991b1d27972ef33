/* area.c - see area.h */
#include "area.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nameless_file.h"

/* A nameless file of `bytes` zeros, all of them there: a full disk must fail here, not when the memory it is mapped to
 * is written. */
static void *map_file(const char *beside, uint64_t bytes, kith_err *err)
{
	void *block = MAP_FAILED;
	int fd = kith_nameless_file(beside), full = 0;
	if (fd >= 0) {
		full = posix_fallocate(fd, 0, (off_t)bytes);
		block = full ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (block == MAP_FAILED)
		kith_fail(err, KITH_EIO, "%s: no room for a temporary file of %llu bytes beside it%s", beside,
			  (unsigned long long)bytes, full ? " (is the disk full?)" : "");
	return block == MAP_FAILED ? NULL : block;
}

int kith_area_alloc(kith_area *area, const kith_workspace *w, const char *spill, const char *what, kith_err *err)
{
	kith_workspace fresh = *w;
	uint64_t bytes = kith_workspace_bytes(w);
	*area = (kith_area){0};
	if (!spill)
		return kith_workspace_alloc(w, &area->at, what, err);
	for (size_t i = 0; i < fresh.count; i++)
		fresh.buffer[i].zero = 0; /* as the file is */
	if (!(area->at = map_file(spill, bytes + 1, err)))
		return KITH_EIO;
	area->mapped = bytes + 1;
	/* pages are wanted from here and there: what the system would read ahead takes the place of others */
	(void)madvise(area->at, area->mapped, MADV_RANDOM);
	return kith_workspace_place(&fresh, &area->at, &area->mapped, what, err);
}

void kith_area_free(kith_area *area)
{
	if (area->mapped) {
		kith_workspace_leave(area->at, area->mapped);
		munmap(area->at, area->mapped);
	} else {
		free(area->at);
	}
	*area = (kith_area){0};
}

void kith_area_rest(const kith_area *area)
{
	if (area->mapped)
		(void)madvise(area->at, area->mapped, MADV_DONTNEED); /* only how much is counted depends on it */
}

uint64_t kith_area_in_memory(void)
{
	unsigned long long pages = UINT64_MAX;
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return UINT64_MAX;
	if (read(fd, text, sizeof text - 1) <= 0 || sscanf(text, "%*u %llu", &pages) != 1)
		pages = UINT64_MAX;
	close(fd);
	return pages == UINT64_MAX ? pages : pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void kith_area_read_in_order(const kith_area *area)
{
	if (area->mapped)
		(void)madvise(area->at, area->mapped, MADV_SEQUENTIAL); /* only how fast it is depends on it */
}

void kith_area_discard(const kith_area *area, const void *from, const void *to)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)from + page - 1) / page * page;
	uintptr_t last = (uintptr_t)to / page * page; /* pages that are shared with others stay */
	if (area->mapped && first < last)
		(void)madvise((char *)(uintptr_t)from + (first - (uintptr_t)from), last - first, MADV_REMOVE);
}
