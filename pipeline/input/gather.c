/* gather.c - see gather.h
 *
 * The axes are sorted by how far apart their values are in the file, and reading goes through them from the outside in,
 * until what an axis takes is near enough together to be read at once into a window, from which it is copied. Where
 * memory has the axes in another order, as it has those of an array in Fortran order, the window holds some columns of
 * some thousand rows, and each row's part of them is written at once. */
#include "gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

kith_gather_tuning kith_gather_tuned = {.window = 256u << 10, .line = 16u << 10, .near = 8u << 10};

typedef struct plan {
	const kith_part *part;
	kith_axis axis[KITH_MAX_DIMS + 1];
	int dims;
	uint64_t size;
	uint64_t span[KITH_MAX_DIMS + 2]; /* bytes in the file from the first to the last value of axes i and on */
	uint8_t *window;
} plan;

/* ---- the order of the axes ---- */

static int by_file(const void *a, const void *b)
{
	const kith_axis *x = a, *y = b;
	return (x->from < y->from) - (x->from > y->from);
}

static int by_memory(const void *a, const void *b)
{
	const kith_axis *x = a, *y = b;
	return (x->to < y->to) - (x->to > y->to);
}

/* Drops axes of one index, and joins those that go on where the next one ends. Returns how many are left. */
static int join(kith_axis *axes, int dims)
{
	int kept = 0;
	for (int i = 0; i < dims; i++)
		if (axes[i].count > 1)
			axes[kept++] = axes[i];
	dims = kept;
	kept = 0;
	for (int i = 0; i < dims; i++) {
		kith_axis *outer = kept ? &axes[kept - 1] : NULL;
		int64_t count = (int64_t)axes[i].count;
		if (outer && outer->from == axes[i].from * count && outer->to == axes[i].to * count)
			*outer = (kith_axis){outer->count * axes[i].count, axes[i].from, axes[i].to};
		else
			axes[kept++] = axes[i];
	}
	return kept;
}

/* ---- memory to memory ---- */

static inline __attribute__((always_inline)) void copy_values(const char *from, const kith_axis *a, uint64_t size,
							      char *to)
{
	for (uint64_t i = 0; i < a->count; i++)
		memcpy(to + (int64_t)i * a->to, from + (int64_t)i * a->from, size);
}

static void copy_line(const char *from, const kith_axis *a, uint64_t size, char *to)
{
	if (a->from == (int64_t)size && a->to == (int64_t)size)
		memcpy(to, from, a->count * size);
	else if (size == 1)
		copy_values(from, a, 1, to);
	else if (size == 2)
		copy_values(from, a, 2, to);
	else if (size == 4)
		copy_values(from, a, 4, to);
	else
		copy_values(from, a, 8, to);
}

static void copy_axes(const char *from, const kith_axis *axes, int dims, uint64_t size, char *to)
{
	if (!dims)
		memcpy(to, from, size);
	else if (dims == 1)
		copy_line(from, axes, size, to);
	else
		for (uint64_t i = 0; i < axes->count; i++)
			copy_axes(from + (int64_t)i * axes->from, axes + 1, dims - 1, size, to + (int64_t)i * axes->to);
}

void kith_gather_memory(const void *from, kith_axis *axes, int dims, uint64_t size, void *out)
{
	qsort(axes, (size_t)dims, sizeof *axes, by_memory);
	copy_axes(from, axes, join(axes, dims), size, out);
}

/* ---- file to memory ---- */

/* `count` indices of axis `i`, from the window, in which they are `apart` bytes apart. */
static void copy_window(const plan *g, int i, uint64_t count, int64_t apart, char *out)
{
	kith_axis axes[KITH_MAX_DIMS + 1];
	memcpy(axes, g->axis + i, (size_t)(g->dims - i) * sizeof *axes);
	axes[0].count = count;
	axes[0].from = apart;
	kith_gather_memory(g->window, axes, g->dims - i, g->size, out);
}

/* Axis `i` by windows of as many of its indices as one holds: read at once if they are near each other. */
static int read_windows(const plan *g, int i, uint64_t at, char *out)
{
	const kith_axis *a = &g->axis[i];
	uint64_t one = g->span[i + 1], far = (uint64_t)a->from, near = far - one <= kith_gather_tuned.near;
	uint64_t apart = near ? far : one, most = 1 + (kith_gather_tuned.window - one) / apart;
	for (uint64_t first = 0; first < a->count; first += most) {
		uint64_t count = most < a->count - first ? most : a->count - first;
		uint64_t calls = near ? 1 : count, bytes = near ? apart * (count - 1) + one : one;
		for (uint64_t c = 0; c < calls; c++)
			if (kith_part_read(g->part, g->window + c * one, bytes, at + (first + c) * far))
				return -1;
		copy_window(g, i, count, (int64_t)apart, out + (int64_t)first * a->to);
	}
	return 0;
}

static int read_axes(const plan *g, int i, uint64_t at, char *out)
{
	const kith_axis *a = &g->axis[i];
	int64_t size = (int64_t)g->size;
	if (i == g->dims)
		return kith_part_read(g->part, out, g->size, at);
	if (i + 1 == g->dims && a->from == size && a->to == size)
		return kith_part_read(g->part, out, a->count * g->size, at);
	/* what the next axes take is in one piece, as it is wanted, and long */
	int direct =
		i + 2 == g->dims && a[1].from == size && a[1].to == size && g->span[i + 1] > kith_gather_tuned.near;
	if (g->span[i + 1] <= kith_gather_tuned.window / 2 && !direct)
		return read_windows(g, i, at, out);
	for (uint64_t t = 0; t < a->count; t++)
		if (read_axes(g, i + 1, at + t * (uint64_t)a->from, out + (int64_t)t * a->to))
			return -1;
	return 0;
}

/* The axes of a plan: forwards in the file, and sorted. `at` and `out` move to the first value in the file. */
static void order_axes(plan *g, const kith_axis *axes, int dims, uint64_t *at, char **out)
{
	for (int i = 0; i < dims; i++) {
		kith_axis a = axes[i];
		if (a.from < 0) {
			*at += (uint64_t)(a.from * (int64_t)(a.count - 1));
			*out += a.to * (int64_t)(a.count - 1);
			a.from = -a.from;
			a.to = -a.to;
		}
		g->axis[i] = a;
	}
	qsort(g->axis, (size_t)dims, sizeof *g->axis, by_file);
	g->dims = join(g->axis, dims);
}

static void measure(plan *g)
{
	g->span[g->dims] = g->size;
	for (int i = g->dims; i-- > 0;)
		g->span[i] = g->span[i + 1] + (uint64_t)g->axis[i].from * (g->axis[i].count - 1);
}

int kith_gather(const kith_part *p, uint64_t at, kith_axis *axes, int dims, uint64_t size, void *out)
{
	plan g = {.part = p, .size = size};
	char *to = out;
	int rc = 0;
	order_axes(&g, axes, dims, &at, &to);
	if (!(g.window = kith_alloc(kith_gather_tuned.window, 1))) {
		errno = ENOMEM;
		return -1;
	}
	kith_axis *last = g.dims ? &g.axis[g.dims - 1] : NULL;
	uint64_t count = last ? last->count : 1, line = count;
	if (g.dims > 1 && last->to > g.axis[g.dims - 2].to) /* columns in the file, rows in memory */
		line = kith_gather_tuned.line / (uint64_t)last->from > 0 ? kith_gather_tuned.line / (uint64_t)last->from
									 : 1;
	for (uint64_t first = 0; !rc && first < count; first += line) {
		int64_t from = last ? last->from : 0, step = last ? last->to : 0;
		if (last)
			last->count = line < count - first ? line : count - first;
		measure(&g);
		rc = read_axes(&g, 0, at + first * (uint64_t)from, to + (int64_t)first * step);
	}
	free(g.window);
	return rc;
}
