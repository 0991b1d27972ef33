/* network.h - a network with its numbers: net.json, the arrays that it names, and weights in memory. */
#ifndef KITH_NETWORK_H
#define KITH_NETWORK_H

#include "activations.h"
#include "kith/generators.h"

/* |w| of an operation, C order, as floats or, where its file has doubles, as these; both NULL if it has none. */
typedef struct kith_op_weights {
	float *single;
	double *wide;
	float *strongest; /* of conv2d with floats: the largest of each kernel, by target and source channel */
	double least;     /* and the smallest above 0 */
} kith_op_weights;

static inline double kith_weight_at(const kith_op_weights *w, uint64_t i)
{
	return w->single ? (double)w->single[i] : w->wide[i];
}

typedef struct kith_network {
	const char *path;
	kith_h0_info info;              /* n, layers, operations; digests once it is loaded */
	kith_activations **activations; /* of each layer; NULL if it has none */
	kith_activations **files;       /* of each operation's weights, as rows; NULL if it has none */
	kith_op_weights *weights;       /* of each operation, once they are loaded */
	char **strings;                 /* all that info points to */
	size_t string_count;
} kith_network;

/* Reads net.json, and of the arrays, which are opened as `how` says (NULL: as files say), their headers: everything is
 * checked but their values. KITH_EUSAGE for what is wrong there; the message says what, where, and what would be right.
 */
int kith_network_read(kith_network **out, const char *path, const kith_input_how *how, kith_err *err);
void kith_network_free(kith_network *network); /* NULL is fine */

/* Bytes that the weights take in memory. */
uint64_t kith_network_weight_bytes(const kith_network *network);

/* And what the open arrays keep (kith_source_info.kept), where they were opened for `memory`: all an eighth at most. */
uint64_t kith_network_kept_bytes(const kith_network *network, uint64_t memory);

/* Reads all arrays once, and the weights into memory. Sets the digests. A NaN or an infinity is KITH_EUSAGE, with its
 * place; a file that changes while it is read is KITH_EIO. Takes about `memory` bytes more while it works. */
int kith_network_load(kith_network *network, uint64_t memory, int threads, const kith_progress *progress,
		      kith_err *err);

/* When all work on the inputs is done: KITH_EIO unless the activations are what was digested. */
int kith_network_verify(const kith_network *network, int threads, const kith_progress *progress, kith_err *err);

/* Whether any layer that is a source, or any weights, are doubles: products of two of them may be rounded. */
int kith_op_rounds(const kith_network *network, uint32_t op);

/* Whether a layer is the source of an operation. */
int kith_network_is_source(const kith_network *network, uint32_t layer);

#endif
