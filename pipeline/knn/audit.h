/* audit.h - what is measured of a graph that is not exact: the true neighbours of some samples, found before the graph
 * is built, and how many of them the graph turns out to have. */
#ifndef KITH_AUDIT_H
#define KITH_AUDIT_H

#include "kith/graph.h"
#include "recall.h"
#include "zero_rows.h"

typedef struct kith_audit {
	kith_graph_audit record; /* what the graph carries; its recall is there from kith_audit_close on */
	/* Other samples' true neighbours, for an engine that stops when it has found enough of them: had it looked at
	 * the record's, it would have stopped where these flatter it. Where too few others are left, the record's. All
	 * of them among the samples that an engine gets, by their numbers there, and with the ladder that it gets. */
	kith_graph_audit stop;
	uint32_t ladder[KITH_MAX_TIERS], tiers;
	uint64_t appended; /* rows of the graph that have been seen */
	uint32_t next;     /* the first of the audit's rows among those that have not */
	/* tiers x rows: of each row's true neighbours whose tier, or the graph's for them if that is higher, is t: how
	 * many the graph has */
	uint32_t *found;
	void *memory; /* holds found and the record's arrays */
	uint64_t bytes;
} kith_audit;

/* Chooses `rows` samples, distinct and ascending, by n and seed alone; those that `rows` and a smaller number would
 * choose are among them. rows <= n. */
int kith_audit_choose(uint64_t n, uint64_t seed, uint32_t rows, uint32_t *out, kith_err *err);

/* About how long it takes to find the true neighbours of `rows` of n samples. */
double kith_audit_seconds(uint64_t n, uint64_t d, uint32_t rows, int threads);

/* Chooses samples (no more than there are), and as many as `stop` more to stop by, and finds their true neighbours.
 * `zero`: the job without zero rows (its room for a row is used), or NULL where there are none. `memory` is a bound as
 * in some_rows.h. Release it with kith_audit_free, also after a failure. */
int kith_audit_init(kith_audit *audit, const kith_vectors *vectors, kith_zero_rows *zero, const kith_graph_info *info,
		    uint32_t rows, uint32_t stop, uint64_t seed, uint64_t memory, int threads,
		    const kith_progress *progress, kith_err *err);

/* Looks at the graph's next `count` rows, tier by tier, ascending ids within a tier. */
void kith_audit_note(kith_audit *audit, uint64_t count, const uint32_t *ids);

/* The same for the audit's row r alone, of which the graph has `ids`. */
void kith_audit_note_row(kith_audit *audit, uint32_t r, const uint32_t *ids);

/* All rows have been seen: fills in the record's recall and intervals. */
void kith_audit_close(kith_audit *audit);
void kith_audit_free(kith_audit *audit); /* all zeros is fine */

#endif
