/* kith/h0.h - a stage: a network and the activations of its layers in, the forests of all samples out. */
#ifndef KITH_H0_H
#define KITH_H0_H

#include <stdint.h>

#include "kith/err.h"
#include "kith/generators.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kith_h0_options {
	double keep;         /* (0, 1]: of each operation's N edges only the first max(1, floor(keep * N)) */
	int values;          /* whether phi of every edge is stored */
	uint64_t memory;     /* bytes */
	int threads;         /* >= 1; fewer work where memory is short */
	const char *command; /* recorded in the file; "" if none */
	kith_progress progress;
} kith_h0_options;

typedef struct kith_h0_summary {
	uint64_t n, vertices, edges, classes; /* edges and classes of all forests */
} kith_h0_summary;

/* What kith_h0_build would do and take, about: seconds on a machine like those kith was tuned on, bytes of memory and
 * of the file. `info` has the network, with its operations' edges; release it with kith_h0_estimate_free. */
typedef struct kith_h0_estimate {
	const kith_h0_info *info;
	double seconds;
	uint64_t memory, file;
	void *network;
} kith_h0_estimate;
void kith_h0_estimate_free(kith_h0_estimate *estimate);

/* The defaults: all edges kept, values stored, 4 GiB or half of the memory and every core that the machine, cgroups,
 * limits, affinity and OMP_* leave. */
void kith_h0_defaults(kith_h0_options *options);

/* Reads the network `input` (net.json) with its weights and activations, and writes the forests `output` (.kh0): those
 * of kith/generators.h, whatever the threads and memory. KITH_EUSAGE for input that this cannot be done on (the message
 * says what, where and what to do); KITH_EIO if the activations are written to while they are read. On failure `output`
 * is as it was. */
int kith_h0_build(const char *input, const char *output, const kith_h0_options *options, kith_h0_summary *summary,
		  kith_err *err);

/* Looks at net.json and the headers of the arrays. */
int kith_h0_foresee(const char *input, const kith_h0_options *options, kith_h0_estimate *out, kith_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
