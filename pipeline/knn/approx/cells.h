/* cells.h - the samples in overlapping cells, small enough to be worked on one after the other.
 *
 * Leaders, the centres of a k-means clustering of some of the samples, are grouped into cells, near ones together. A
 * sample is in the cell of its nearest leader, and in every other that has a leader at most `reach` times as far away:
 * so samples between cells are in several, and those well inside one are in one (the closure assignment of SPANN: Chen
 * et al. 2021). Near samples then share a cell, nearly all of them; how many do is counted on true neighbours, and the
 * reach is as wide as these need. */
#ifndef KITH_CELLS_H
#define KITH_CELLS_H

#include <stdint.h>

#include "kith/err.h"

#define KITH_CELLS_MOST   128u
#define KITH_LEADERS_MOST 256u

typedef struct kith_cells_set {
	uint64_t bits[KITH_CELLS_MOST / 64];
} kith_cells_set;

typedef struct kith_cells {
	uint32_t dims, leaders, count; /* of cells */
	double *leader;                /* leaders x dims */
	double *norm;                  /* leaders: their squared lengths */
	uint8_t cell[KITH_LEADERS_MOST];
	double reach;
	double smallest, largest; /* of all samples, the parts in these cells, */
	double sum;               /* and that of all together */
	double lost;              /* of the neighbours, the part that shares no cell with its sample */
	void *memory;             /* holds leader and norm; release it with free() */
} kith_cells;

/* What cells are chosen by: points of `dims` values. */
typedef struct kith_cells_sample {
	uint32_t dims;
	uint64_t count; /* points, spread over all samples: */
	const double *point;
	int apart; /* the first half of them are, and the second half, which says what cells of the first are like; else
		    they are all the samples there are */
	uint64_t rows;       /* rows of points that should share cells: */
	uint32_t neighbours; /* a sample and so many of its true neighbours */
	const double *row;   /* rows x (1 + neighbours) */
	int threads;
} kith_cells_sample;

/* What is wanted of cells. */
typedef struct kith_cells_wish {
	double least, most; /* parts of all samples that a cell may have (of the sample's points, which scatter) */
	double lost;        /* the neighbours that may be lost */
	uint32_t count; /* 0, or how many, or more as it takes to make it a power of two, whatever `most` says; fewer
			   where cells would have less than `least` */
} kith_cells_wish;

/* Chooses the cells with the fewest samples in all that are as wished for; if all lose more, those that lose fewest.
 * KITH_EUSAGE if there are none of that size. Release out->memory also after a failure. */
int kith_cells_choose(kith_cells *out, const kith_cells_sample *sample, const kith_cells_wish *wish, kith_err *err);

/* The cells of `count` points. work[count x leaders] is scratch. Threads may call at once. */
void kith_cells_of(const kith_cells *cells, const double *point, uint64_t count, double *work, kith_cells_set *out);

/* Bytes that choosing takes, for each point of the sample. */
uint64_t kith_cells_point_bytes(uint32_t dims);

#endif
