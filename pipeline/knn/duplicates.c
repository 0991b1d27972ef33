/* duplicates.c - see duplicates.h */
#include "duplicates.h"

#include <stdlib.h>
#include <string.h>

#include "kith/alloc.h"

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

/* Of samples with one hash, ascending: marks those preceded by more than k rows identical to the first. */
static int mark_group(const kith_rows *rows, const struct hashed *group, uint64_t count, uint32_t k, double *first,
		      double *other, uint64_t *marks, kith_err *err)
{
	uint64_t same = 0;
	int rc = kith_rows_read(rows, group[0].id, 1, first, NULL, err);
	for (uint64_t i = 0; !rc && i < count; i++) {
		if ((rc = kith_rows_read(rows, group[i].id, 1, other, NULL, err)) ||
		    memcmp(first, other, rows->d * sizeof *first))
			continue;
		if (same++ > k)
			marks[group[i].id / 64] |= 1ull << (group[i].id & 63);
	}
	return rc;
}

int kith_duplicates_find(const kith_rows *rows, const uint64_t *hash, uint32_t k, uint64_t **out, kith_err *err)
{
	uint64_t n = rows->n, *marks = NULL;
	double *first = NULL, *other = NULL;
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
		if (!marks) {
			marks = kith_alloc_zero((n + 63) / 64, sizeof *marks);
			first = kith_alloc(rows->d, sizeof *first);
			other = kith_alloc(rows->d, sizeof *other);
		}
		rc = marks && first && other ? mark_group(rows, all + from, to - from, k, first, other, marks, err)
					     : kith_fail_nomem(err, "duplicates", n / 8 + rows->d * 16);
	}
	free(all);
	free(first);
	free(other);
	if (rc)
		free(marks);
	else
		*out = marks;
	return rc;
}
