/* graph_audit.h - the audit of a graph to and from a container. FORMAT.md, section 4. Inside the store only. */
#ifndef KITH_GRAPH_AUDIT_H
#define KITH_GRAPH_AUDIT_H

#include "container.h"
#include "graph_codec.h"

/* `status`, without a file's name, unless the samples ascend, their rows are sets of k other samples and the recall is
 * within its interval. */
int kith_audit_check(const kith_graph_info *info, const kith_graph_audit *audit, kith_status status, kith_err *err);

/* The samples and the recall are one value; the exact rows are others, of as many rows as a block has nodes. */
int kith_audit_put(kith_container *c, kith_block_scratch *s, const kith_graph_info *info, const kith_graph_audit *audit,
		   kith_err *err);
/* `rows` is the meta record's. */
int kith_audit_get(kith_container *c, kith_block_scratch *s, const kith_graph_info *info, uint32_t rows,
		   kith_graph_audit *out, kith_err *err);

#endif
