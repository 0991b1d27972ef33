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
	uint64_t length; /* of each list */
	int whole;       /* or only its first part, where dense operations have many targets */
	kith_out_entry *entry;
} kith_out_lists;

/* Lists, and bytes they take together. */
uint64_t kith_out_lists_bytes(const kith_h0_info *info, const kith_op *op);

int kith_out_lists_make(kith_out_lists *out, const kith_h0_info *info, const kith_op *op, const kith_weights *weights,
			int threads, kith_err *err);
void kith_out_lists_free(kith_out_lists *lists);

#endif
