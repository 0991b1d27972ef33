/* duplicates.c - see duplicates.h */
#include "duplicates.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "workspace.h"

static int by_hash(const void *a, const void *b, void *ties)
{
	const kith_hashed *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	uint64_t i = kith_tie_rank(ties, x->id), j = kith_tie_rank(ties, y->id);
	return (i > j) - (i < j);
}

void kith_hashed_sort(kith_hashed *out, const kith_tie_rule *ties, const uint64_t *hash, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		out[i] = (kith_hashed){hash[i], (uint32_t)i};
	qsort_r(out, n, sizeof *out, by_hash, (void *)(uintptr_t)ties);
}

struct finder {
	kith_duplicates *out;
	const kith_vectors *vectors;
	uint32_t k;
	double *first, *other; /* d each */
	void *memory;          /* holds these two */
};

static int allocate(struct finder *f, kith_err *err)
{
	uint64_t n = f->vectors->n;
	kith_workspace found = {0}, w = {0};
	KITH_BUFFER_ZERO(&found, f->out->left_out, (n + 63) / 64);
	KITH_BUFFER(&found, f->out->twin, n);
	KITH_BUFFER(&found, f->out->next, n);
	KITH_BUFFER(&found, f->out->weight, n);
	KITH_BUFFER(&w, f->first, f->vectors->d);
	KITH_BUFFER(&w, f->other, f->vectors->d);
	int rc = kith_workspace_alloc(&found, &f->out->memory, "duplicates", err);
	if (!rc) {
		memset(f->out->twin, 0xff, n * sizeof *f->out->twin);
		memset(f->out->next, 0xff, n * sizeof *f->out->next);
		for (uint64_t i = 0; i < n; i++)
			f->out->weight[i] = kith_vectors_weight(f->vectors, i);
	}
	return rc ? rc : kith_workspace_alloc(&w, &f->memory, "two samples", err);
}

/* Of samples with one hash, in the order of the tie rule: leaves out those preceded by more than k identical to the
 * first. */
static int mark_group(struct finder *f, const kith_hashed *group, uint64_t count, kith_err *err)
{
	uint64_t same = 0;
	uint32_t last = group[0].id;
	int rc = f->memory ? 0 : allocate(f, err);
	if (!rc)
		rc = kith_vectors_read(f->vectors, group[0].id, 1, f->first, NULL, err);
	for (uint64_t i = 0; !rc && i < count; i++) {
		if ((rc = kith_vectors_read(f->vectors, group[i].id, 1, f->other, NULL, err)) ||
		    memcmp(f->first, f->other, f->vectors->d * sizeof *f->first))
			continue;
		if (same++ <= f->k) {
			if (i)
				f->out->next[last] = group[i].id;
			last = group[i].id;
		} else {
			f->out->left_out[group[i].id / 64] |= 1ull << (group[i].id & 63);
			f->out->twin[group[i].id] = f->out->twin[group[0].id] = group[0].id;
			f->out->weight[group[0].id] += f->out->weight[group[i].id];
			f->out->weight[group[i].id] = 0;
		}
	}
	return rc;
}

int kith_duplicates_find(kith_duplicates *out, const kith_vectors *vectors, const uint64_t *hash, uint32_t k,
			 kith_err *err)
{
	struct finder f = {.out = out, .vectors = vectors, .k = k};
	uint64_t n = vectors->n;
	int rc = 0;
	kith_hashed *all = kith_alloc(n, sizeof *all);
	if (!all)
		return kith_fail_nomem(err, "hashes of samples", n * sizeof *all);
	kith_hashed_sort(all, &vectors->ties, hash, n);
	for (uint64_t from = 0, to; !rc && from < n; from = to) {
		for (to = from + 1; to < n && all[to].hash == all[from].hash;)
			to++;
		out->copies += to - from - 1;
		if (to - from > k + 1ull)
			rc = mark_group(&f, all + from, to - from, err);
	}
	free(all);
	free(f.memory);
	return rc;
}

/* The twin's k nearest are all at distance 0, so in the order of the tie rule. Not all of them need be identical (a
 * difference can vanish when it is squared), so some may precede the twin. */
void kith_duplicates_row(const kith_duplicates *d, const kith_tie_rule *ties, uint32_t i, kith_row twin, uint32_t k,
			 uint32_t near, kith_row out)
{
	uint32_t at = 0, id = d->twin[i];
	memcpy(out.ids, twin.ids, k * sizeof *out.ids);
	kith_ties_sort(ties, out.ids, k);
	while (at < k && kith_comes_before(ties, 0, out.ids[at], 0, id))
		at++;
	if (at < k) {
		memmove(out.ids + at + 1, out.ids + at, (k - 1 - at) * sizeof *out.ids);
		out.ids[at] = id;
	}
	memcpy(out.near_ids, out.ids, near * sizeof *out.ids);
	memset(out.near_dist2, 0, near * sizeof *out.near_dist2);
}
