/* kith/generators.h - the maximum spanning forest of the graph that each sample induces in a network, with its classes
 * of dimension-0 persistent homology, on disk (.kh0).
 *
 * A file is written once, in the order of the samples, and then never changes. Its byte layout is store/FORMAT.md. The
 * graph is that of Gebhart & Schrater (arXiv 1901.09496):
 *
 *   unit       element i (C order) of a layer's stored activation; the vertices are the units of all layers
 *
 *   operation  joins the units of one layer, `from`, to those of a later one, `to`. Target unit v has `fan_in` places
 *              for edges, j = 0..fan_in-1; a place on padding holds no edge. Of dense, j is source unit j; of conv2d
 *              (c, ky, kx), the C order of weight[o], for v = (o, y, x), where c counts within the group; of maxpool
 *              and avgpool (ky, kx), in the channel of v; of identity 0, which is source unit v
 *
 *   edge id    base + v * fan_in + j; base is the sum of units(to) * fan_in over the operations before
 *
 *   phi        |w| |h_u|: the edge's weight times the source unit's activation, one multiplication in double
 *              precision; an edge of phi 0 does not exist
 *
 *   order      e before f if phi(e) > phi(f), or if these are equal and id(e) < id(f)
 *
 *   forest     what Kruskal's algorithm keeps in that order: the maximum spanning forest
 *
 *   class      a component of the growing forest, named by its first edge, its birth. Where an edge joins the
 *              components of two classes, the one born later dies there, and the other is its parent. Only classes
 *              with phi(birth) > phi(death) are kept (persistent), numbered in the order of their births
 *
 *   basin      of a class: what holds its birth when all deaths are taken out of the forest. Every edge that is no
 *              death is in one basin; a death is in none
 *
 *   component  of a class: what of the forest before its death is connected with its birth */
#ifndef KITH_GENERATORS_H
#define KITH_GENERATORS_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"
#include "kith/limits.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KITH_MAX_SHAPE      8           /* dimensions of a layer */
#define KITH_MAX_VERTICES   0x7fffffffu /* units of all layers together */
#define KITH_MAX_LAYER_NAME 255u        /* bytes */
#define KITH_MAX_WINDOW     65535u      /* kernels, strides, paddings, dilations */
#define KITH_MAX_H0_BLOCK   4096u       /* samples per block */
#define KITH_NO_CLASS       UINT32_MAX

typedef enum kith_op_kind { KITH_DENSE, KITH_CONV2D, KITH_MAXPOOL, KITH_AVGPOOL, KITH_IDENTITY } kith_op_kind;

/* Of a maxpool's window: all of its elements have an edge, or only the first of the largest. */
typedef enum kith_pool_rule { KITH_POOL_ALL, KITH_POOL_MAX } kith_pool_rule;

const char *kith_op_kind_name(kith_op_kind kind); /* "dense", "conv2d", ... */

/* A layer of the network. */
typedef struct kith_net_layer {
	const char *name;
	uint32_t dims;         /* 1..KITH_MAX_SHAPE */
	uint32_t first_vertex; /* units of the layers before; set by kith_network_check */
	uint64_t shape[KITH_MAX_SHAPE];
	uint64_t units;     /* their product, 1..KITH_MAX_DIM; set by kith_network_check */
	const char *digest; /* of its activations: "xxh3:" and 16 hex digits; "" if they do not matter */
} kith_net_layer;

/* An operation. Windows (conv2d, maxpool, avgpool) have (height, width), between layers of shape (channels, height,
 * width). */
typedef struct kith_op {
	kith_op_kind kind;
	kith_pool_rule rule; /* of maxpool */
	uint32_t from, to;   /* layers, from < to */
	uint32_t kernel[2], stride[2], padding[2], dilation[2], groups;
	uint64_t base, fan_in; /* set by kith_network_check */
	uint64_t edges;        /* places that are not on padding; set by kith_network_check */
	const char *digest;    /* of its weights; "" if it has none */
	/* Whether files hold |h| of its edges' sources, floats, in place of phi: edges share these. phi is then what
	 * the definition says of them and |w|, of which dense operations and conv2d have kith_op_weight_count here. Up
	 * to who writes a file. */
	int by_source;
	const float *weights;
} kith_op;

/* The strings and lists belong to whoever holds the info. */
typedef struct kith_h0_info {
	uint64_t n; /* samples */
	uint32_t layer_count, op_count;
	kith_net_layer *layers; /* in causal order, their names distinct */
	kith_op *ops;
	uint64_t vertices, ids;  /* units of all layers; edge ids are below `ids`. Set by kith_network_check */
	double keep;             /* (0, 1]: of each operation's N edges only the first max(1, floor(keep * N)) */
	int values;              /* whether phi of every edge is stored; that of births and deaths always is */
	uint32_t block_samples;  /* samples per block; set by the store */
	uint64_t edges, classes; /* in all forests; set by the store */
	char digest[32];         /* of net.json, "xxh3:" and 16 hex digits */
	char input[256];         /* its name, for people */
	char command[1024];      /* the command line that made the file, for people */
	char version[32];        /* the version of kith that wrote it */
} kith_h0_info;

/* Checks the network that `info` describes and fills in what follows from it: units, first_vertex, vertices, base,
 * fan_in, edges, ids. KITH_EUSAGE, with a message that names operation and layers but no file, unless windows give the
 * target's shape, sizes fit, sources stand before their targets. Nothing else of `info` is looked at. */
int kith_network_check(kith_h0_info *info, kith_err *err);

/* The source unit of place j of target unit v, or -1 if that is on padding. */
int64_t kith_op_source(const kith_h0_info *info, const kith_op *op, uint64_t v, uint64_t j);

/* Of a network that has been checked: the operation's weights, 0 if it is none that has any; which of them place j of
 * target v has; and the weight that all places of the others have, 1/(kh kw) of an avgpool, else 1. */
uint64_t kith_op_weight_count(const kith_h0_info *info, const kith_op *op);
uint64_t kith_op_weight_at(const kith_h0_info *info, const kith_op *op, uint64_t v, uint64_t j);
double kith_op_weight(const kith_op *op);

/* The ends of an edge. */
typedef struct kith_edge {
	uint32_t op;
	uint32_t source, target; /* units of the operation's layers */
} kith_edge;

/* 0, or KITH_EUSAGE if there is no such edge; then nothing else is done. */
int kith_edge_find(const kith_h0_info *info, uint64_t id, kith_edge *out);

/* ---- samples ------------------------------------------------------------------------------------------------- */

enum { KITH_MARK_NONE, KITH_MARK_BIRTH, KITH_MARK_DEATH };

/* A persistent class. Births and deaths are positions in its sample's list of edges. */
typedef struct kith_h0_class {
	uint32_t birth, death;           /* death is KITH_NO_CLASS if it never dies */
	uint32_t parent;                 /* a class, or KITH_NO_CLASS */
	double birth_value, death_value; /* phi; a class that never dies has death_value 0 */
} kith_h0_class;

/* What a reader may want of samples. */
enum {
	KITH_H0_CLASSES = 1, /* classes, the basin of every edge, and phi of births and deaths */
	KITH_H0_VALUES = 2,  /* phi of every edge */
};

/* Consecutive samples. Sample s of them has edges edge_at[s]..edge_at[s+1]-1, ascending ids, and classes
 * class_at[s]..class_at[s+1]-1. Its memory grows as needed: start from a zeroed struct, release with
 * kith_h0_samples_free. */
typedef struct kith_h0_samples {
	uint64_t first;
	uint32_t count;
	uint64_t *edge_at, *class_at; /* count + 1 each */
	uint64_t *edge;               /* ids */
	uint8_t *mark;                /* KITH_MARK_* of each edge */
	double *phi; /* of each edge; without KITH_H0_VALUES only those of births and deaths are set, others are 0 */
	/* The vertices that each edge joins, units of the operation's layers counted from their first_vertex. Not where
	 * neither classes nor values were asked for. */
	uint32_t *source, *target;
	float *activation;      /* for writing only: |h| of each edge's source, where its operation is by_source */
	uint32_t *basin;        /* of each edge: its class, counted within the sample, or KITH_NO_CLASS for deaths. With
				   KITH_H0_CLASSES */
	kith_h0_class *classes; /* with KITH_H0_CLASSES */
	void *memory, *class_memory;
	uint64_t capacity, class_capacity;
} kith_h0_samples;
void kith_h0_samples_free(kith_h0_samples *samples);

/* What an edge of a sample's forest weighs: 1; the lifetime of the class whose basin it is in, of which deaths have
 * none; phi; or lifetime times phi, one multiplication. */
typedef enum kith_weights {
	KITH_WEIGHTS_DEFAULT, /* one */
	KITH_WEIGHTS_ONE,
	KITH_WEIGHTS_LIFETIME,
	KITH_WEIGHTS_PHI,
	KITH_WEIGHTS_LIFETIME_PHI
} kith_weights;

/* The KITH_H0_* that they need. */
static inline unsigned kith_weights_parts(kith_weights weights)
{
	return (weights == KITH_WEIGHTS_LIFETIME || weights == KITH_WEIGHTS_LIFETIME_PHI ? KITH_H0_CLASSES : 0) |
	       (weights == KITH_WEIGHTS_PHI || weights == KITH_WEIGHTS_LIFETIME_PHI ? KITH_H0_VALUES : 0);
}

static inline double kith_h0_lifetime(const kith_h0_class *class_)
{
	return class_->birth_value - class_->death_value;
}

/* The weight of edge `e`, as the lists count them, of sample s; no death where lifetimes count. */
static inline double kith_h0_weight(const kith_h0_samples *samples, uint32_t s, uint64_t e, kith_weights weights)
{
	unsigned parts = kith_weights_parts(weights);
	double weight = 1;
	if (parts & KITH_H0_CLASSES)
		weight = kith_h0_lifetime(&samples->classes[samples->class_at[s] + samples->basin[e]]);
	if (parts & KITH_H0_VALUES)
		weight *= samples->phi[e];
	return weight;
}

/* Scratch for kith_h0_component, 4 bytes for each vertex. Zero it; release with kith_h0_scratch_free. */
typedef struct kith_h0_scratch {
	void *memory;
	uint64_t capacity;
} kith_h0_scratch;
void kith_h0_scratch_free(kith_h0_scratch *scratch);

/* The component of class `class_` of sample s (of those read): the positions of its edges in the sample's list,
 * ascending, into positions[], which has room for all of the sample's edges; *count says how many. The samples have
 * been read with KITH_H0_CLASSES and KITH_H0_VALUES. */
int kith_h0_component(const kith_h0_info *info, const kith_h0_samples *samples, uint32_t s, uint32_t class_,
		      kith_h0_scratch *scratch, uint32_t *positions, uint32_t *count, kith_err *err);

/* ---- writing ------------------------------------------------------------------------------------------------- */

typedef struct kith_h0_writer kith_h0_writer;

/* Starts writing a part of `path`, which becomes `path` at the end, as kith_graph_create does (kith/graph.h).
 * Everything in `info` is copied; kith_network_check has filled it in. `threads` threads will encode. */
int kith_h0_writer_create(kith_h0_writer **out, const char *path, const kith_h0_info *info, int threads, kith_err *err);

/* Samples per block of such a file: depends on the network alone. And bytes that a writer of it takes at most. */
uint32_t kith_h0_block_samples(const kith_h0_info *info);
uint64_t kith_h0_writer_bytes(const kith_h0_info *info, int threads);

/* Encodes block `block`, whose samples are given by first, count, edge_at, edge, mark, phi (of all edges), source and
 * activation. Thread safe for different values of `thread`, 0..threads-1. KITH_EBUG if ids do not ascend. */
int kith_h0_writer_encode(kith_h0_writer *writer, int thread, uint64_t block, const kith_h0_samples *samples,
			  kith_err *err);

/* Appends what `thread` encoded last. Blocks are put in their order, by one thread at a time. */
int kith_h0_writer_put(kith_h0_writer *writer, int thread, kith_err *err);

/* Seals the file, syncs it and renames it to its name. Releases the writer, on failure too (then nothing is left
 * behind). */
int kith_h0_writer_finish(kith_h0_writer *writer, kith_err *err);
void kith_h0_writer_abort(kith_h0_writer *writer); /* NULL is fine */

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* One kith_h0_store is used by one thread at a time; open the file as often as there are readers. */
typedef struct kith_h0_store kith_h0_store;

/* Opens a finished file. The checks are against accidents, not malice. Refuses with a reason: not such a file
 * (KITH_EUSAGE), a newer version (KITH_EUSAGE), truncated or grown, index pages or meta record damaged
 * (KITH_ECORRUPT). Values are verified as they are read. */
int kith_h0_store_open(kith_h0_store **out, const char *path, kith_err *err);
void kith_h0_store_close(kith_h0_store *store); /* NULL is fine */

/* Bytes that a store and the samples that it reads take at most. */
uint64_t kith_h0_store_bytes(const kith_h0_info *info, unsigned parts);

/* KITH_EIO if the file has been written to, or another one has taken its name, since it was opened. */
int kith_h0_store_unchanged(const kith_h0_store *store, kith_err *err);

/* Both live as long as the store. */
const kith_h0_info *kith_h0_store_get_info(const kith_h0_store *store);
const char *kith_h0_store_path(const kith_h0_store *store);

static inline uint64_t kith_h0_info_blocks(const kith_h0_info *info)
{
	return (info->n + info->block_samples - 1) / info->block_samples;
}

/* Decodes block `block` (of kith_h0_info_blocks): samples block * block_samples onwards. `parts` says what is wanted
 * besides ids and marks: KITH_H0_* ored. Checked: ids ascend, with any of them they are those of edges, and with
 * KITH_H0_CLASSES they make a forest whose deaths part it into one tree for each birth. KITH_EUSAGE if values are
 * wanted of a file without. */
int kith_h0_store_read(kith_h0_store *store, uint64_t block, unsigned parts, kith_h0_samples *out, kith_err *err);

/* Reads everything and checks every rule of the format and of the definitions: checksums, ids, forests without cycles,
 * births and deaths; where values are stored, that they make these births and deaths. Returns 0 or KITH_ECORRUPT with
 * the first thing found wrong. */
int kith_h0_store_check(kith_h0_store *store, const kith_progress *progress, kith_err *err);

/* ---- classes ------------------------------------------------------------------------------------------------- */

/* Marks births and deaths of persistent classes in a forest: `edges` edges in their order (phi descending, ids
 * ascending where these are equal), edge e between vertices a[e] and b[e]; mark[e] is set. `parent` and `birth` are
 * scratch for all vertices, with parent[x] == x on entry (x of these edges), which is lost. Returns the number of
 * classes; or KITH_NO_CLASS if the edges have a cycle. */
uint32_t kith_h0_mark(uint64_t edges, const uint32_t *a, const uint32_t *b, const double *phi, uint32_t *parent,
		      uint32_t *birth, uint8_t *mark);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
