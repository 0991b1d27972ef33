/* parts.h - samples in parts, where many lie closer together than bounds that are centred on the mean of all can tell
 * apart: dead units with noise, saturated layers, collapsed classes.
 *
 * A bound is off by a small part of the squares of the samples' distances from the centre. Samples whose distances from
 * each other are small beside that one all pass, and n^2 canonical distances would be measured. So they are made a part
 * of their own, whose rows are found by bounds about its own centre; part_join.h then looks between parts. Any division
 * gives the same rows: it is made from a sample of the samples. */
#ifndef KITH_PARTS_H
#define KITH_PARTS_H

#include "float_bounds.h"

#define KITH_MAX_PARTS 64u

typedef struct kith_parts {
	uint32_t count; /* 0: all samples stay together. Else the last part is the rest, which may be empty */
	uint32_t *size; /* count */
	uint8_t *part;  /* n: which one each sample is in */
	void *memory;   /* holds both; release it with free() */
} kith_parts;

/* Divides the samples, which stand for `all`, if those are at least `least` (0: as many as make it worth it), for rows
 * of k. */
int kith_parts_find(kith_parts *parts, const kith_scaling *scaling, uint32_t k, uint64_t all, uint64_t least,
		    uint64_t memory, int threads, kith_err *err);

#endif
