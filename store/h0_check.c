/* h0_check.c - kith_h0_store_check: every rule of the format and of the definitions, held against a finished file. */
#include <stdlib.h>
#include <string.h>

#include "h0_classes.h"
#include "workspace.h"

/* An edge, to be brought into the order of the forest. */
typedef struct ranked {
	double phi;
	uint32_t edge;
} ranked;

struct checking {
	const kith_h0_info *info;
	ranked *order;
	double *phi;
	uint32_t *a_sorted, *b_sorted, *parent, *birth;
	uint8_t *mark;
	void *memory;
	uint64_t capacity;
};

static int compare(const void *left, const void *right)
{
	const ranked *a = left, *b = right;
	if (a->phi != b->phi)
		return a->phi > b->phi ? -1 : 1;
	return a->edge < b->edge ? -1 : 1;
}

static int reserve(struct checking *c, uint64_t edges, kith_err *err)
{
	kith_workspace w = {0};
	KITH_BUFFER(&w, c->order, edges);
	KITH_BUFFER(&w, c->phi, edges);
	KITH_BUFFER(&w, c->a_sorted, edges);
	KITH_BUFFER(&w, c->b_sorted, edges);
	KITH_BUFFER(&w, c->parent, c->info->vertices);
	KITH_BUFFER(&w, c->birth, c->info->vertices);
	KITH_BUFFER(&w, c->mark, edges);
	return kith_workspace_place(&w, &c->memory, &c->capacity, "a sample", err);
}

/* Are the births and deaths those that the values make? */
static int check_sample(struct checking *c, const kith_h0_samples *samples, uint32_t s, kith_err *err)
{
	uint64_t first = samples->edge_at[s], edges = samples->edge_at[s + 1] - first, sample = samples->first + s;
	const uint32_t *a = samples->source + first, *b = samples->target + first;
	int rc = reserve(c, edges, err);
	if (rc)
		return rc;
	for (uint64_t e = 0; e < edges; e++)
		c->order[e] = (ranked){samples->phi[first + e], (uint32_t)e};
	qsort(c->order, edges, sizeof *c->order, compare);
	for (uint64_t e = 0; e < edges; e++) {
		c->phi[e] = c->order[e].phi;
		c->a_sorted[e] = a[c->order[e].edge];
		c->b_sorted[e] = b[c->order[e].edge];
		c->parent[a[e]] = a[e];
		c->parent[b[e]] = b[e];
	}
	kith_h0_mark(edges, c->a_sorted, c->b_sorted, c->phi, c->parent, c->birth, c->mark);
	for (uint64_t e = 0; e < edges; e++)
		if (c->mark[e] != samples->mark[first + c->order[e].edge])
			return kith_fail(err, KITH_ECORRUPT,
					 "sample %llu: edge %llu is not the birth or death that the values make it",
					 (unsigned long long)sample,
					 (unsigned long long)samples->edge[first + c->order[e].edge]);
	return 0;
}

int kith_h0_store_check(kith_h0_store *store, const kith_progress *progress, kith_err *err)
{
	struct checking c = {.info = kith_h0_store_get_info(store)};
	uint64_t blocks = kith_h0_info_blocks(c.info), edges = 0, classes = 0;
	unsigned parts = KITH_H0_CLASSES | (c.info->values ? KITH_H0_VALUES : 0);
	kith_h0_samples samples = {0};
	int rc = 0;
	for (uint64_t b = 0; !rc && b < blocks; b++) {
		if ((rc = kith_progress_tick(progress, "blocks", b, blocks, err)) ||
		    (rc = kith_h0_store_read(store, b, parts, &samples, err)))
			break;
		for (uint32_t s = 0; !rc && c.info->values && s < samples.count; s++)
			rc = kith_fail_in(err, check_sample(&c, &samples, s, err), kith_h0_store_path(store));
		edges += samples.edge_at[samples.count];
		classes += samples.class_at[samples.count];
	}
	if (!rc && (edges != c.info->edges || classes != c.info->classes))
		rc = kith_fail(err, KITH_ECORRUPT,
			       "%s: %llu edges and %llu classes, but its meta record says %llu and %llu",
			       kith_h0_store_path(store), (unsigned long long)edges, (unsigned long long)classes,
			       (unsigned long long)c.info->edges, (unsigned long long)c.info->classes);
	kith_h0_samples_free(&samples);
	free(c.memory);
	return rc;
}
