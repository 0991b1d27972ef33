/* property_import.c - lists of neighbours as others leave them, imported: with their own samples anywhere, or not, or
 * missing; numbered from 0 or 1; with distances, squared or not, with ties, out of order, of some columns only; with
 * things wrong; with the activations, and lists completed. Graph and message equal the slow checker's. And a graph that
 * kith-show makes arrays of is the same once it is imported again. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hash.h"
#include "import.h"
#include "inspect.h"
#include "npy_write.h"
#include "random_input.h"
#include "sandbox.h"
#include "slow.h"

typedef struct input {
	slow_lists lists;
	int64_t *index;
	double *distance, *x;
	uint64_t *order;
	kith_dtype dtype;
	kith_import_options options;
	char indices[SANDBOX_PATH], distances[SANDBOX_PATH], activations[SANDBOX_PATH], nng[SANDBOX_PATH];
	uint32_t k;
} input;

static void write_array(const char *path, const char *descr, size_t n, size_t columns, const void *data, size_t size)
{
	char shape[64];
	snprintf(shape, sizeof shape, "(%zu, %zu)", n, columns);
	npy_write_raw(path, 1, npy_header(descr, 0, shape), data, n * columns * size);
}

/* Integers as one of the types that people have them in. */
static void write_indices(const input *in, rng *r)
{
	size_t count = in->lists.n * in->lists.columns;
	void *raw = must_alloc(count, 8);
	unsigned type = (unsigned)rng_below(r, 3);
	for (size_t i = 0; i < count; i++) {
		if (type == 0)
			((int64_t *)raw)[i] = in->index[i];
		else if (type == 1)
			((int32_t *)raw)[i] = (int32_t)in->index[i];
		else
			((float *)raw)[i] = (float)in->index[i];
	}
	write_array(in->indices,
		    type == 0   ? "<i8"
		    : type == 1 ? "<i4"
				: "<f4",
		    in->lists.n, in->lists.columns, raw, type == 0 ? 8 : 4);
	free(raw);
}

/* n samples' lists: others in random order, and where `self`, the sample itself, first or anywhere or not at all. */
static void draw_lists(input *in, int self, rng *r)
{
	size_t n = in->lists.n, columns = in->lists.columns;
	uint32_t *all = must_alloc(n, sizeof *all);
	for (size_t i = 0; i < n; i++) {
		int64_t *list = in->index + i * columns;
		size_t at = rng_chance(r, 70) ? 0 : rng_below(r, columns), count = 0;
		int has = self && (columns == n || rng_chance(r, 90));
		for (size_t j = 0; j < n; j++)
			all[j] = (uint32_t)j;
		rng_shuffle(r, all, n);
		for (size_t j = 0; count < columns; j++) {
			if (has && count == at)
				list[count++] = (int64_t)i;
			if (count < columns && all[j] != i)
				list[count++] = all[j];
		}
	}
	for (size_t i = 0; in->lists.one_based && i < n * columns; i++)
		in->index[i]++;
	free(all);
}

/* Mostly ascending, mostly with ties; by all of them or by rows that do not. */
static void draw_distances(input *in, rng *r)
{
	size_t known = in->lists.known;
	unsigned descend = rng_chance(r, 50) ? 0 : 30, steps = rng_chance(r, 50) ? 3 : 1000;
	for (size_t i = 0; i < in->lists.n; i++) {
		double last = 0;
		int disorder = rng_chance(r, descend);
		for (size_t c = 0; c < known; c++) {
			double step = (double)rng_below(r, steps) / (rng_chance(r, 50) ? 4 : 3);
			last = disorder ? step : last + step;
			in->distance[i * known + c] = last;
		}
	}
	if (rng_chance(r, 10)) /* of a similarity */
		for (size_t i = 0; i < in->lists.n; i++)
			for (size_t c = 0, other = known; other-- > c + 1; c++) {
				double *list = in->distance + i * known, first = list[c];
				list[c] = list[other];
				list[other] = first;
			}
	if (rng_chance(r, 20)) /* of whole numbers, as their squares may be stored */
		for (size_t i = 0; i < in->lists.n * known; i++)
			in->distance[i] = sqrt(floor(in->distance[i]));
}

/* One thing wrong, or some. */
static void spoil(input *in, rng *r)
{
	size_t columns = in->lists.columns, count = rng_between(r, 1, 3);
	while (count--) {
		size_t row = rng_below(r, in->lists.n), at = rng_below(r, columns);
		int64_t *list = in->index + row * columns;
		switch (rng_below(r, 6)) {
		case 0:
			list[at] = -1;
			break;
		case 1:
			list[at] = (int64_t)in->lists.n + (int64_t)rng_below(r, 2);
			break;
		case 2:
			list[at] = -(int64_t)rng_below(r, 3);
			break;
		case 3:
			list[at] = list[rng_below(r, columns)];
			break;
		case 4:
			list[at] = (int64_t)row + in->lists.one_based;
			break;
		default:
			if (in->lists.known)
				in->distance[row * in->lists.known + rng_below(r, in->lists.known)] =
					(double[]){NAN, -1, INFINITY, 0x1p511}[rng_below(r, 4)];
		}
	}
}

static void draw_activations(input *in, rng *r)
{
	size_t n = in->lists.n, d = rng_between(r, 1, 6);
	float *raw = must_alloc(n * d, sizeof *raw);
	char place[64];
	unsigned ties = rng_chance(r, 50) ? 70 : 0;
	int cosine = rng_chance(r, 30);
	in->x = must_alloc(n * d, sizeof *in->x);
	in->order = must_alloc(n, sizeof *in->order);
	unsigned zeros = cosine && rng_chance(r, 50) ? (unsigned)rng_below(r, 101) : 0;
	for (size_t i = 0; i < n * d; i++)
		in->x[i] = raw[i] = rng_chance(r, ties) ? (float)rng_between(r, 1, 3) : (float)rng_normal(r);
	for (size_t i = 0; i < n; i++)
		if (rng_chance(r, zeros))
			memset(in->x + i * d, 0, d * sizeof *in->x), memset(raw + i * d, 0, d * sizeof *raw);
	in->options.activations = in->activations;
	in->options.knn.metric = cosine ? KITH_COSINE : KITH_L2;
	in->options.knn.ties = rng_chance(r, 50) ? KITH_TIES_CONTENT : KITH_TIES_INDEX;
	in->options.knn.audit_rows = (uint32_t)rng_between(r, 1, n);
	in->options.complete = rng_chance(r, 50);
	in->lists.complete = in->options.complete;
	npy_write(in->activations, KITH_F4, n, d, raw);
	slow_tie_order(in->x, n, d, in->options.knn.ties, in->order);
	slow_prepare(in->x, n, d, cosine, 0, place, sizeof place);
	in->lists.d = d;
	in->lists.x = in->x;
	in->lists.order = in->order;
	free(raw);
}

static void draw(input *in, rng *r)
{
	static const uint64_t memory[] = {64 << 10, 1 << 20, 64 << 20};
	kith_import_options *o = &in->options;
	slow_lists *l = &in->lists;
	int self = rng_chance(r, 60);
	*in = (input){0};
	kith_import_defaults(o);
	l->n = rng_between(r, 2, rng_chance(r, 20) ? 300 : 40);
	l->columns = rng_between(r, 1, l->n - 1);
	if (self)
		l->columns++;
	l->one_based = o->one_based = rng_chance(r, 20);
	l->squared = o->squared = rng_chance(r, 50);
	o->self = (kith_import_self)rng_below(r, 3);
	l->absent = o->self == KITH_SELF_ABSENT;
	o->knn.threads = (int)rng_between(r, 1, 3);
	o->knn.near = rng_chance(r, 50) ? KITH_NEAR_DEFAULT : (uint32_t)rng_below(r, l->columns + 1);
	o->source = rng_chance(r, 50) ? "umap 0.5 of \"x\"" : NULL;
	sandbox_path(in->indices, "indices.npy");
	sandbox_path(in->distances, "distances.npy");
	sandbox_path(in->activations, "activations.npy");
	sandbox_path(in->nng, "layer.nng");
	if (rng_chance(r, 40))
		draw_activations(in, r);
	else if (rng_chance(r, 70))
		l->known = rng_chance(r, 70) ? l->columns : rng_between(r, 1, l->columns);
	o->knn.memory = in->x ? 64 << 20 : memory[rng_below(r, 3)];
	o->distances = l->known ? in->distances : NULL;
	l->index = in->index = must_alloc(l->n * l->columns, sizeof *in->index);
	l->distance = in->distance = must_alloc(l->n * l->known, sizeof *in->distance);
	draw_lists(in, self, r);
	draw_distances(in, r);
	if (rng_chance(r, in->options.complete ? 80 : 20))
		spoil(in, r);
	write_indices(in, r);
	if (l->known)
		write_array(in->distances, "<f8", l->n, l->known, in->distance, sizeof *in->distance);
}

static void drop(input *in)
{
	free(in->index);
	free(in->distance);
	free(in->x);
	free(in->order);
}

/* Of all lists, or of those of the first columns, one has its own sample. */
static int has_own(const input *in, size_t columns)
{
	const slow_lists *l = &in->lists;
	for (size_t i = 0; i < l->n; i++)
		for (size_t c = 0; c < columns; c++)
			if (in->index[i * l->columns + c] - l->one_based == (int64_t)i)
				return 1;
	return 0;
}

static void draw_ladder(input *in, rng *r)
{
	kith_knn_options *o = &in->options.knn;
	uint32_t columns = (uint32_t)in->lists.columns;
	int own = in->options.self == KITH_SELF_DROP || has_own(in, columns);
	in->k = columns - (uint32_t)own;
	/* where lists are completed, those that are refused say nothing of columns */
	if (!in->k || (uint64_t)in->k >= in->lists.n || in->options.complete || rng_chance(r, 50)) {
		o->tiers = slow_random_ladder(r, columns < in->lists.n - 1 ? columns : (uint32_t)in->lists.n - 1, 3,
					      o->ladder);
		in->k = o->ladder[o->tiers - 1];
	}
}

/* What the header has to say. */
static kith_graph_info info_of(const input *in)
{
	const kith_import_options *o = &in->options;
	const slow_lists *l = &in->lists;
	uint64_t digests[2] = {kith_hash(in->index, l->n * l->columns * sizeof *in->index),
			       kith_hash(in->distance, l->n * l->known * sizeof *in->distance)};
	kith_graph_info info = {.n = l->n, .d = l->d, .tiers = o->knn.tiers, .recall = NAN};
	if (!info.tiers)
		info.tiers = 1;
	memcpy(info.ladder, o->knn.ladder, sizeof info.ladder);
	if (!o->knn.tiers)
		info.ladder[0] = in->k;
	info.near = o->knn.near < in->k ? o->knn.near : in->k;
	if (!in->x) {
		uint32_t known = (uint32_t)l->known - (l->known && has_own(in, l->known));
		info.near = info.near < known ? info.near : known;
	}
	info.ties = in->x ? o->knn.ties : KITH_TIES_INDEX;
	strcpy(info.metric, o->knn.metric == KITH_COSINE ? "cosine" : "l2");
	snprintf(info.engine, sizeof info.engine, "import%s%s", o->source ? ":" : "", o->source ? o->source : "");
	snprintf(info.digest, sizeof info.digest, "xxh3:%016llx",
		 (unsigned long long)(l->known ? kith_hash(digests, sizeof digests) : digests[0]));
	return info;
}

/* The audit's rows are the true ones, and the recall is what those say (kith_graph_check). */
static int audit_differs(const input *in, const kith_graph_info *info, char *why, size_t size)
{
	size_t width = in->lists.n - 1, k = in->k;
	uint32_t *truth = must_alloc(in->lists.n * width, sizeof *truth);
	double *dist2 = must_alloc(in->lists.n * width, sizeof *dist2);
	kith_graph *graph = NULL;
	kith_graph_audit got = {0};
	kith_err err;
	int differs = 0;
	slow_knn(in->x, in->lists.n, in->lists.d, in->order, width, truth, dist2);
	if (kith_graph_open(&graph, in->nng, &err) || kith_graph_read_audit(graph, &got, &err))
		differs = snprintf(why, size, "%s", err.msg) > 0;
	else if (got.rows != in->options.knn.audit_rows)
		differs = snprintf(why, size, "an audit of %u samples", got.rows) > 0;
	for (uint32_t a = 0; a < got.rows && !differs; a++)
		for (uint32_t t = 0, from = 0; t < info->tiers; from = info->ladder[t++])
			for (uint32_t p = from; p < info->ladder[t]; p++) {
				uint32_t q = from;
				while (q < info->ladder[t] && got.exact[a * k + q] != truth[got.id[a] * width + p])
					q++;
				if (q == info->ladder[t])
					differs = snprintf(why, size, "the audit's row of %u is not the true one",
							   got.id[a]) > 0;
			}
	kith_graph_close(graph);
	free(got.memory);
	free(truth);
	free(dist2);
	return differs;
}

/* Arrays of the graph, imported again: the same rows, order, distances and reverse lists. */
static int trip_differs(const input *in, const kith_graph_info *info, const uint32_t *ranks, const double *dist2,
			rng *r, char *why, size_t size)
{
	kith_show_options show = {.last = UINT64_MAX, .indices = in->indices};
	kith_import_options o;
	kith_import_summary summary;
	kith_graph_info want = *info;
	kith_err err;
	size_t count = in->lists.n * in->k, bytes;
	uint64_t digests[2];
	show.distances = info->near ? in->distances : NULL;
	kith_import_defaults(&o);
	o.knn.near = info->near;
	o.distances = show.distances;
	o.knn.tiers = info->tiers;
	memcpy(o.knn.ladder, info->ladder, sizeof info->ladder);
	int rc = kith_show(in->nng, &show, stdout, &err);
	if (rc || (rc = kith_import_build(in->indices, in->nng, &o, &summary, &err)))
		return snprintf(why, size, "there and back: status %d: %.900s", rc, err.msg) > 0;
	unsigned char *arrays[2] = {sandbox_read(in->indices, &bytes),
				    show.distances ? sandbox_read(in->distances, &bytes) : NULL};
	int64_t *index = must_alloc(count, sizeof *index);
	for (size_t i = 0; i < count; i++)
		index[i] = ((int32_t *)(arrays[0] + 128))[i];
	digests[0] = kith_hash(index, count * sizeof *index);
	digests[1] = arrays[1] ? kith_hash(arrays[1] + 128, bytes - 128) : 0;
	free(index);
	free(arrays[0]);
	free(arrays[1]);
	want.d = 0;
	want.recall = NAN;
	want.ties = KITH_TIES_INDEX;
	strcpy(want.metric, "l2");
	strcpy(want.engine, "import");
	snprintf(want.digest, sizeof want.digest, "xxh3:%016llx",
		 (unsigned long long)(show.distances ? kith_hash(digests, sizeof digests) : digests[0]));
	if (!slow_graph_differs(in->nng, &want, in->k, ranks, dist2, r, why, size))
		return 0;
	memmove(why + 16, why, size - 17);
	memcpy(why, "there and back: ", 16);
	return 1;
}

static int compare(const input *in, size_t completed, const kith_import_summary *got, const uint32_t *ranks,
		   const double *dist2, rng *r, char *why, size_t size)
{
	kith_graph_info want = info_of(in);
	if (got->completed != completed)
		return snprintf(why, size, "%llu lists completed, not %zu", (unsigned long long)got->completed,
				completed) > 0;
	int similarities;
	if (got->unsorted != slow_import_unsorted(&in->lists, &similarities))
		return snprintf(why, size, "%llu lists sorted", (unsigned long long)got->unsorted) > 0;
	if (in->x) {
		size_t bytes;
		unsigned char *file = sandbox_read(in->activations, &bytes);
		snprintf(want.digest, sizeof want.digest, "xxh3:%016llx", (unsigned long long)kith_hash(file, bytes));
		free(file);
		want.recall = got->knn.recall;
		if (audit_differs(in, &want, why, size))
			return 1;
	}
	return slow_graph_differs(in->nng, &want, in->k, ranks, dist2, r, why, size) ||
	       trip_differs(in, &want, ranks, dist2, r, why, size);
}

static int round_import(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	input in;
	kith_import_summary got = {0};
	kith_err err = {0};
	char fault[256], what[1024] = "";
	int differs;
	draw(&in, &r);
	draw_ladder(&in, &r);
	uint32_t *ranks = must_alloc(in.lists.n * in.k, sizeof *ranks);
	double *dist2 = must_alloc(in.lists.n * in.k, sizeof *dist2);
	size_t completed = slow_import(&in.lists, in.options.knn.tiers ? in.k : 0, ranks, dist2, fault, sizeof fault);
	if (!*fault && !in.options.knn.tiers)
		completed = slow_import(&in.lists, in.k, ranks, dist2, fault, sizeof fault);
	remove(in.nng);
	size_t entries = sandbox_entries();
	int status = kith_import_build(in.indices, in.nng, &in.options, &got, &err);
	int left = sandbox_entries() != entries + !status;
	if (*fault)
		differs = (status != KITH_EUSAGE || !strstr(err.msg, fault)) &&
			  snprintf(what, sizeof what, "status %d: %.500s, not %s", status, err.msg, fault) > 0;
	else if (status)
		differs = snprintf(what, sizeof what, "status %d: %.900s", status, err.msg) > 0;
	else
		differs = compare(&in, completed, &got, ranks, dist2, &r, what, sizeof what);
	if (!differs && left)
		differs = snprintf(what, sizeof what, "something is left behind") > 0;
	if (differs)
		snprintf(why, size, "n=%zu columns=%zu known=%zu k=%u%s%s%s%s, self %d, near %u, threads %d: %s",
			 in.lists.n, in.lists.columns, in.lists.known, in.k, in.options.knn.tiers ? "" : " by itself",
			 in.lists.one_based ? ", from 1" : "", in.lists.squared ? ", squared" : "",
			 in.x ? in.lists.complete ? ", completed" : ", measured" : "", in.options.self,
			 in.options.knn.near, in.options.knn.threads, what);
	free(ranks);
	free(dist2);
	drop(&in);
	return differs;
}

/* Lists that have their own samples by the second pass, so that one of two columns is left. */
static int rewrite(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	static const int32_t own[] = {0, 1, 1, 2, 2, 3, 3, 0};
	(void)total;
	if (!strcmp(what, "neighbours") && !done)
		write_array(context, "<i4", 4, 2, own, sizeof *own);
	return 0;
}

static int round_changed(uint64_t seed, char *why, size_t size)
{
	static const int32_t others[] = {1, 2, 0, 2, 0, 3, 0, 1};
	char indices[SANDBOX_PATH], nng[SANDBOX_PATH];
	kith_import_options o;
	kith_import_summary summary;
	kith_err err = {0};
	(void)seed;
	sandbox_path(indices, "indices.npy");
	sandbox_path(nng, "changed.nng");
	write_array(indices, "<i4", 4, 2, others, sizeof *others);
	if (utimensat(AT_FDCWD, indices, (struct timespec[2]){{0}, {0}}, 0)) /* the clock may not tick meanwhile */
		return snprintf(why, size, "%s: cannot set its time", indices) > 0;
	kith_import_defaults(&o);
	o.knn.progress = (kith_progress){rewrite, indices};
	int status = kith_import_build(indices, nng, &o, &summary, &err);
	if (status == KITH_EIO && strstr(err.msg, "changed while it was read"))
		return 0;
	return snprintf(why, size, "rewritten between the passes: status %d: %.900s", status, err.msg) > 0;
}

int main(int argc, char **argv)
{
	if (property_run_all("property_import, changed", (property_run){1, 1}, round_changed))
		return 1;
	return property_run_all("property_import", property_start(argc, argv, 800), round_import);
}
