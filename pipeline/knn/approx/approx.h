/* approx.h - engine "approx": most of every row's true k nearest, found by random projection trees and NN-Descent.
 * engine.h declares it as kith_engine_approx. */
#ifndef KITH_APPROX_H
#define KITH_APPROX_H

#include <stdint.h>

#define KITH_APPROX_RECALL 0.99

/* Up to so many samples the exact engine is about as fast, and does what this one is asked for unless trees, leaf,
 * rounds, cells or candidates are given. Measured (two cores, d=100): 75,000 samples of a network's features take both
 * the same time; LeNet-5's layers (n=60,000) take exact 0.6 to 1.5 times as long. */
#define KITH_APPROX_FEW 65536

/* The engine's own options. What is 0 it chooses by itself. */
typedef struct kith_approx_options {
	double recall;   /* to be reached by the lower end of the audit's interval; 0: KITH_APPROX_RECALL */
	uint32_t trees;  /* of the forest; if this or rounds is given, that many, whatever the recall */
	uint32_t leaf;   /* samples of a leaf, at most */
	uint32_t rounds; /* of descent, and one more */
	uint32_t cells;  /* that samples are sorted into, if memory does not hold them together or this is given */
	uint64_t seed;
	uint32_t block_nodes; /* see kith/graph.h */
} kith_approx_options;

#endif
