/* area.h - room for arrays of one value or more a sample: in memory or, where that is short, in a nameless file that is
 * mapped, whose pages the system keeps in memory as long as it has room for them. */
#ifndef KITH_AREA_H
#define KITH_AREA_H

#include "workspace.h"

#define KITH_PAGE 4096u /* bytes of a file that come into memory together, at least */

typedef struct kith_area {
	void *at;
	uint64_t mapped; /* bytes; 0: in memory */
} kith_area;

/* Allocates the buffers of `w` together and sets their pointers. If `spill` is not NULL, in a file in the folder of
 * that path. Release it with kith_area_free, also after a failure. */
int kith_area_alloc(kith_area *area, const kith_workspace *w, const char *spill, const char *what, kith_err *err);
void kith_area_free(kith_area *area);

/* Pages of a mapped file count as the program's while it has touched them. This gives them back to the system, which
 * still has them; whoever touches one again gets it at once. */
void kith_area_rest(const kith_area *area);

/* Bytes that this process has in memory, pages of mapped files that it has touched among them; UINT64_MAX: nobody
 * knows. */
uint64_t kith_area_in_memory(void);

/* What is mapped will be read from front to back from now on: the system reads ahead. */
void kith_area_read_in_order(const kith_area *area);

/* The bytes from..to-1 of a buffer will not be read again: the file need not keep them, nor write those that it has not
 * yet. They are lost, or not, as the system likes. */
void kith_area_discard(const kith_area *area, const void *from, const void *to);

#endif
