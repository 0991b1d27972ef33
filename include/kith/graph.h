/* kith/graph.h - one layer's k-nearest-neighbour graph on disk (.nng).
 *
 * A graph file is written once, in node order, and then never changes. Its byte layout is store/FORMAT.md; this header
 * is all that other code needs to know. Terms are those of the paper (Hryniowski & Wong 2020, appendix A): the graph is
 * directed, row i holds K_i, the k samples nearest to i, i itself excluded by index.
 *
 *   ladder   the values of k the graph serves, ascending: k[0] < k[1] < ... < k[tiers-1]
 *   tier     of a neighbour j of i: the smallest t such that j is among the k[t] nearest of i
 *   row      the k[tiers-1] neighbours of one node, tier by tier, ascending ids within a tier: tier t of a row
 *            stands at [k[t-1], k[t]) (k[-1] = 0)
 *   near     the `near` nearest neighbours in rank order (by distance, then as `ties` says), with their squared
 *            distances in single precision
 *   reverse  list of i: all j > i with j -> i, ascending; tier by tier, like a row */
#ifndef KITH_GRAPH_H
#define KITH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"
#include "kith/limits.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KITH_NEAR_DEFAULT 32u /* distances kept per node unless k is smaller */

/* Which edges make a pair of samples one of neighbours: one in either direction (the paper's e_ij), or both. */
typedef enum kith_graph_kind { KITH_UNION, KITH_MUTUAL } kith_graph_kind;

static inline const char *kith_graph_kind_name(kith_graph_kind graph)
{
	return graph == KITH_UNION ? "union" : "mutual";
}

/* In what order samples stand that are equally far, at the k-th distance a matter of who is a neighbour (kith/knn.h):
 * that of their indices, as in all files of before there was another; or one that the layer's values fix. */
typedef enum kith_ties { KITH_TIES_INDEX, KITH_TIES_CONTENT } kith_ties;

static inline const char *kith_ties_name(kith_ties ties)
{
	return ties == KITH_TIES_INDEX ? "index" : "content";
}

/* How many neighbours are a matter of the tie rule, by canonical distances: of all samples in an exact graph, of those
 * that were measured in others. */
typedef struct kith_tie_counts {
	int counted; /* 0: nobody did, as in files of before it was done */
	/* For each k of the ladder: the rows in which a sample that is not among the k nearest is exactly as far as the
	 * k-th; and the most samples, in one of these rows, that are exactly as far. */
	uint64_t rows[KITH_MAX_TIERS], most[KITH_MAX_TIERS];
	uint64_t zero; /* of metric cosine: samples of zeros, which have no direction */
} kith_tie_counts;

typedef struct kith_graph_info {
	uint64_t n;                      /* nodes */
	uint64_t d;                      /* activations per node; 0: not known, as of neighbours from elsewhere */
	uint32_t tiers;                  /* 1..KITH_MAX_TIERS */
	uint32_t ladder[KITH_MAX_TIERS]; /* ascending, 1 <= ladder[t] <= n-1 */
	uint32_t near;                   /* distances kept per node, 0..ladder[tiers-1] */
	uint32_t block_nodes; /* nodes per stored block, a power of two; when creating, 0 lets the store choose, and
				 more than the least that holds n becomes that */
	uint32_t near_nodes;  /* nodes per stored value of near lists, block_nodes or more; otherwise the same */
	uint32_t near_bits;   /* significant bits of their distances: 24, or 53 in older files; set by the store */
	double recall;        /* 1 for an exact graph, else measured, or NaN: not known; below 1 if there is an audit */
	kith_ties ties;       /* the order of neighbours that are equally far */
	kith_tie_counts tied; /* when creating, none: see kith_graph_put_ties */
	char metric[16];      /* "l2" or "cosine" */
	char engine[128];     /* "exact", the approximate engine's name and factory, or "import" and a source */
	char parameters[256]; /* what else the result depends on; "" if nothing */
	char digest[32];      /* of the activations file: "xxh3:" and 16 hex digits; where d is 0, of the neighbours' */
	char input[256];      /* that file's name, for people */
	char command[1024];   /* the command line that made it, for people */
	char version[32];     /* the version of kith that wrote it */
} kith_graph_info;

/* The largest k: neighbours that a row holds. */
static inline uint32_t kith_info_k(const kith_graph_info *info)
{
	return info->ladder[info->tiers - 1];
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

typedef struct kith_graph_writer kith_graph_writer;

/* Starts writing a new file, `path`.xxxxxx.part with random letters and digits, which becomes `path` at the end. It is
 * locked meanwhile: a second writer of `path` is refused (KITH_EIO), and removes what a killed one has left. If `path`
 * is a symbolic link, what it points at is written. KITH_EUSAGE if something that is not a plain file stands at `path`.
 *
 * All strings and numbers of `info` are copied; `version` is filled in by the store. `memory` bounds, in bytes, what
 * the writer allocates (it works with as little as a few MiB plus 12 bytes per node, only slower), with one exception:
 * the reverse lists of one block of nodes are in memory together, and where nearly all edges lead to a few nodes, that
 * is nearly all edges. At most `threads` OpenMP threads (1 or more; more than 64 count as 64) work in append and
 * finish. Where block_nodes and near_nodes are 0, they depend on `memory`, as nothing else in the file does; nothing
 * depends on `threads`. */
int kith_graph_create(kith_graph_writer **out, const char *path, const kith_graph_info *info, uint64_t memory,
		      int threads, kith_err *err);

/* Appends `count` rows, continuing where the last call ended. With K = ladder[tiers-1]:
 *   ids[count][K]           each row's neighbours: tier t at [k[t-1], k[t]), in any order within a tier. The rows are
 *                           sorted in place.
 *   near_ids[count][near]   the nearest `near` ids in rank order; each is in the row
 *   near_dist2[count][near] their squared distances, ascending, of which single precision is stored: where 24
 *                           significant bits hold all of a row's exactly (as those of whole numbers do up to 2^24),
 *                           these; elsewhere the distances themselves, to 24 bits (to the nearest, ties to even). Their
 *                           exponents are a double's
 * A row that breaks its contract (an id out of range, own, or twice within a tier; distances that do not ascend) is
 * KITH_EBUG. */
int kith_graph_append(kith_graph_writer *writer, uint64_t count, uint32_t *ids, const uint32_t *near_ids,
		      const double *near_dist2, kith_err *err);

/* Sets the header's `parameters`, where they are found only on the way, before kith_graph_finish. */
void kith_graph_put_parameters(kith_graph_writer *writer, const char *parameters);

/* What a graph that is not exact carries: the exact rows of some samples, and what they say of the others. The samples
 * follow from n, rows and seed alone, so that they are the same in every layer. */
typedef struct kith_graph_audit {
	uint32_t rows; /* 0: the graph has no audit */
	uint64_t seed;
	uint32_t *id;    /* rows: the samples, ascending */
	uint32_t *exact; /* rows x ladder[tiers-1]: their exact rows, tier by tier, ascending ids within a tier */
	/* For each k of the ladder: of the exact rows' nearest k, the part that the graph's have (kith_recall_part),
	 * and a 95 % confidence interval of that part over all samples; 0 <= low <= recall <= high < 1. */
	double recall[KITH_MAX_TIERS], low[KITH_MAX_TIERS], high[KITH_MAX_TIERS];
	void *memory; /* holds id and exact; release it with free() */
} kith_graph_audit;

/* `hits` of `total` as a recall: their quotient, and the largest double below 1 where nothing was missed, because 1
 * says that a graph is exact, and no audit can know that. */
static inline double kith_recall_part(uint64_t hits, uint64_t total)
{
	return hits < total ? (double)hits / (double)total : 1 - 0x1p-53;
}

/* Adds the audit, which is copied, before kith_graph_finish, and sets the graph's recall to that of its largest k. An
 * audit of no rows is none. KITH_EBUG if it breaks what the struct promises, or there is one already; whether its
 * recall is that of the rows, kith_graph_check can tell. */
int kith_graph_put_audit(kith_graph_writer *writer, const kith_graph_audit *audit, kith_err *err);

/* Adds what was counted, before kith_graph_finish. KITH_EBUG if the numbers cannot be: more than n rows, or in rows
 * that are tied fewer than two samples or n, or if there are some already. */
int kith_graph_put_ties(kith_graph_writer *writer, const kith_tie_counts *counts, kith_err *err);

/* After all n rows: derives the reverse lists out of core, seals the file, syncs it and renames it to its name. From
 * then on the file exists, whole. Releases the writer, on failure too (then nothing is left behind). */
int kith_graph_finish(kith_graph_writer *writer, const kith_progress *progress, kith_err *err);

/* Releases the writer and removes what it wrote. NULL is fine. */
void kith_graph_abort(kith_graph_writer *writer);

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* Nodes are stored in blocks of info->block_nodes: reads that start at a multiple of it decode nothing twice.
 * One kith_graph is used by one thread at a time; open the file as often as there are readers. */
typedef struct kith_graph kith_graph;

/* Opens a finished graph. The checks are against accidents, not malice: do not open files made to deceive. Refuses with
 * a reason: not a kith graph (KITH_EUSAGE), an older version (KITH_EVERSION), a newer one (KITH_EUSAGE), truncated or
 * grown, index pages or meta record damaged (KITH_ECORRUPT). Values are verified as they are read. */
int kith_graph_open(kith_graph **out, const char *path, kith_err *err);
void kith_graph_close(kith_graph *graph); /* NULL is fine */

/* KITH_EIO if the file has been written to, or another one has taken its name, since it was opened: for the end of work
 * whose result should be of one graph. By its size, its time of modification and its inode. */
int kith_graph_unchanged(const kith_graph *graph, kith_err *err);

const kith_graph_info *kith_graph_get_info(const kith_graph *graph); /* lives as long as the graph */
const char *kith_graph_path(const kith_graph *graph);

/* The bytes of scratch that the reader itself keeps for decoding (at most), so that callers can budget. Who reads near
 * lists adds 40 bytes for each distance of info->near_nodes + 2 nodes, and 8 for each id of a row. */
uint64_t kith_graph_reader_bytes(const kith_graph *graph);

/* Decodes tiers 0..tiers-1 of rows first..first+count-1 into ids[count][ladder[tiers-1]]. Every id returned is < n
 * and ids ascend strictly within a tier; nothing more is promised of a damaged file that passes its checksum. */
int kith_graph_read_rows(kith_graph *graph, uint64_t first, uint64_t count, uint32_t tiers, uint32_t *ids,
			 kith_err *err);

/* Decodes the near lists of rows first..: near_ids[count][near], near_dist2[count][near]. Either may be NULL. The
 * squared distances are those that were stored, or the squares of the distances that were (half as many bits: no more
 * rounding); they ascend, but may be equal where the true ones were not. Reads that start at a multiple of
 * info->near_nodes decode nothing twice. */
int kith_graph_read_near(kith_graph *graph, uint64_t first, uint64_t count, uint32_t *near_ids, double *near_dist2,
			 kith_err *err);

/* Decodes tiers 0..tiers-1 of rows first..first+count-1, nearest first as far as the graph knows, into
 * ids[count][ladder[tiers-1]]: the `near` nearest, or as many as there is room for, in rank order, then the others tier
 * by tier, ascending ids within a tier; so that any k of the ladder has the k nearest at [0, k). dist2[count][near], if
 * not NULL, is that of kith_graph_read_near. What is promised is what these two functions promise; reads that start at
 * a multiple of info->near_nodes decode nothing twice. */
int kith_graph_read_ranked(kith_graph *graph, uint64_t first, uint64_t count, uint32_t tiers, uint32_t *ids,
			   double *dist2, kith_err *err);

/* The graph's audit; rows = 0 if it has none, as exact graphs have. Release out->memory with free(). */
int kith_graph_read_audit(kith_graph *graph, kith_graph_audit *out, kith_err *err);

#define KITH_SETS_SPARE 16u

/* One tier of some nodes' rows or reverse lists as sets of ids. Where a tier holds a good part of all nodes (16 members
 * >= n) sets are bits (dense), else ids (sparse). Its memory grows as needed: start from a zeroed struct, release with
 * kith_sets_free.
 *
 *     sparse   offset   | 0 | 2 | 2 | 5 |                        dense   bits   | node first    : stride words |
 *              id       | a b | c d e | spare |                                 | node first + 1: stride words |
 *                         node first: a, b; first + 1: none                     | ...                          | */
typedef struct kith_sets {
	uint64_t first, count; /* nodes */
	uint64_t items;        /* in all sets together */
	int dense;
	/* sparse: the ids of node first+r, ascending, are id[offset[r]], ..., id[offset[r+1] - 1]. After the last,
	 * there are KITH_SETS_SPARE more that may be read and mean nothing, so that short sets can be copied by whole
	 * registers
	 */
	uint64_t *offset;
	uint32_t *id;
	/* dense: bit j % 64 of bits[r * stride + j / 64 - base] says whether j is in the set of node first+r. No set
	 * has an id below 64 base. stride + base = (n + 63) / 64, and the bits from n on are 0. */
	uint64_t *bits;
	size_t stride, base;
	void *memory; /* holds all of these */
	uint64_t capacity;
} kith_sets;

/* Decodes tiers 0..tiers-1 of the rows, or of the reverse lists, of nodes first..first+count-1 into sets[0..tiers-1].
 * The range has to begin and end where blocks do (multiples of info->block_nodes, or n): KITH_EUSAGE otherwise. Every
 * id is < n, and in a reverse list > its node; nothing more is promised of a damaged file that passes its checksum. */
int kith_graph_read_row_sets(kith_graph *graph, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
			     kith_err *err);
int kith_graph_read_reverse(kith_graph *graph, uint64_t first, uint64_t count, uint32_t tiers, kith_sets *sets,
			    kith_err *err);
void kith_sets_free(kith_sets *sets);

/* The bytes that tiers 0..tiers-1 of the rows of `count` nodes take as sets. */
uint64_t kith_graph_row_sets_bytes(const kith_graph *graph, uint64_t count, uint32_t tiers);

/* The bytes that kith_graph_read_reverse takes for such sets (rounded out to whole blocks), and on the way to them
 * three for each id that does not come as a bit; without decoding them. */
int kith_graph_reverse_bytes(kith_graph *graph, uint64_t first, uint64_t count, uint32_t tiers, uint64_t *out,
			     kith_err *err);

/* Reads everything and checks every rule of the format and of the definitions: checksums, each row k distinct ids none
 * its own, near lists ascending and inside their tiers, the reverse lists exactly the rows' edges to smaller nodes, the
 * audit's recall what its rows and the graph's say. `memory` bounds the work space; at most `threads` OpenMP threads
 * are used. Returns 0 or KITH_ECORRUPT with the first thing found wrong. */
int kith_graph_check(kith_graph *graph, uint64_t memory, int threads, const kith_progress *progress, kith_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
