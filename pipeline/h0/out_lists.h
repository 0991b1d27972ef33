/* out_lists.h - for each source unit of an operation its edges, heaviest first: fixed by |w| for all samples. */
#ifndef KITH_OUT_LISTS_H
#define KITH_OUT_LISTS_H

#include "network.h"

/* An edge from a unit, or from any unit of a channel. */
typedef struct kith_out_entry {
	double w;
	uint32_t target; /* dense: the unit; with a window: the target's channel */
	uint16_t ky, kx; /* with a window: the place in it */
} kith_out_entry;

/* Of one operation. Source units of a channel share a list, as they have the same edges but for where these lead; of a
 * dense operation each unit is a channel of its own. Entries descend by w, and where that is equal ids ascend, wherever
 * the source unit is: of the places in windows of one channel, later ones lead to earlier targets. */
typedef struct kith_out_lists {
	uint64_t count, length; /* lists, and of each */
	int whole;              /* or only its first part, where dense operations have many targets */
	int rounds;             /* products with activations may be rounded, so that some become equal */
	kith_out_entry *entry;  /* count x length */
	double *head;           /* w of each list's first entry */
} kith_out_lists;

/* Bytes that the lists take. */
uint64_t kith_out_lists_bytes(const kith_h0_info *info, const kith_op *op);

/* Bytes that each thread takes besides while they are made. */
uint64_t kith_out_lists_scratch_bytes(const kith_h0_info *info, const kith_op *op);

int kith_out_lists_make(kith_out_lists *out, const kith_network *network, uint32_t o, int threads, kith_err *err);
void kith_out_lists_free(kith_out_lists *lists);

#endif
