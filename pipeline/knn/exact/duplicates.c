/* duplicates.c - see duplicates.h */
#include "duplicates.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "workspace.h"

struct hashed {
	uint64_t hash;
	uint32_t id;
};

static int by_hash(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Of samples with one hash, ascending: leaves out those preceded by more than k rows identical to the first. */
static int mark_group(kith_duplicates *out, const kith_rows *rows, const struct hashed *group, uint64_t count,
		      uint32_t k, double *first, double *other, kith_err *err)
{
	uint64_t same = 0;
	int rc = kith_rows_read(rows, group[0].id, 1, first, NULL, err);
	for (uint64_t i = 0; !rc && i < count; i++) {
		if ((rc = kith_rows_read(rows, group[i].id, 1, other, NULL, err)) ||
		    memcmp(first, other, rows->d * sizeof *first))
			continue;
		if (same++ > k) {
			out->left_out[group[i].id / 64] |= 1ull << (group[i].id & 63);
			out->twin[group[i].id] = group[0].id;
		}
	}
	return rc;
}

/* Room for what there is to find, and for two rows. */
static int prepare(kith_duplicates *out, const kith_rows *rows, double **first, double **other, void **scratch,
		   kith_err *err)
{
	kith_workspace found = {0}, w = {0};
	KITH_BUFFER_ZERO(&found, out->left_out, (rows->n + 63) / 64);
	KITH_BUFFER(&found, out->twin, rows->n);
	KITH_BUFFER(&w, *first, rows->d);
	KITH_BUFFER(&w, *other, rows->d);
	int rc = kith_workspace_alloc(&found, &out->memory, "duplicates", err);
	return rc ? rc : kith_workspace_alloc(&w, scratch, "two rows", err);
}

int kith_duplicates_find(kith_duplicates *out, const kith_rows *rows, const uint64_t *hash, uint32_t k, kith_err *err)
{
	uint64_t n = rows->n;
	double *first = NULL, *other = NULL;
	void *scratch = NULL;
	int rc = 0;
	struct hashed *all = kith_alloc(n, sizeof *all);
	if (!all)
		return kith_fail_nomem(err, "hashes of rows", n * sizeof *all);
	for (uint64_t i = 0; i < n; i++)
		all[i] = (struct hashed){hash[i], (uint32_t)i};
	qsort(all, n, sizeof *all, by_hash);
	for (uint64_t from = 0, to; !rc && from < n; from = to) {
		for (to = from + 1; to < n && all[to].hash == all[from].hash;)
			to++;
		if (to - from <= k + 1ull)
			continue;
		rc = first ? 0 : prepare(out, rows, &first, &other, &scratch, err);
		if (!rc)
			rc = mark_group(out, rows, all + from, to - from, k, first, other, err);
	}
	free(all);
	free(scratch);
	return rc;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The twin's k nearest are all at distance 0, so in the order of their ids. Not all of them need be identical rows (a
 * difference can vanish when it is squared), so some may precede the twin. */
void kith_duplicates_row(const kith_duplicates *d, uint32_t i, kith_row twin, uint32_t k, uint32_t near, kith_row out)
{
	uint32_t at = 0, id = d->twin[i];
	memcpy(out.ids, twin.ids, k * sizeof *out.ids);
	qsort(out.ids, k, sizeof *out.ids, by_id);
	while (at < k && out.ids[at] < id)
		at++;
	if (at < k) {
		memmove(out.ids + at + 1, out.ids + at, (k - 1 - at) * sizeof *out.ids);
		out.ids[at] = id;
	}
	memcpy(out.near_ids, out.ids, near * sizeof *out.ids);
	memset(out.near_dist2, 0, near * sizeof *out.near_dist2);
}
