/* selection.c - see selection.h */
#include "selection.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "take.h"

/* One of the things between commas: an index (`first` alone), a range, or "...". */
typedef struct item {
	enum { INDEX, RANGE, REST } kind;
	int has_first, has_last;
	int64_t first, last, step;
} item;

/* A whole number, if there is one: 0 only if what is there is none. */
static int take_number(const char **p, int *has, int64_t *out)
{
	char *end;
	kith_skip_space(p);
	*has = 0;
	if (!isdigit((unsigned char)**p) && **p != '-' && **p != '+')
		return 1;
	errno = 0;
	*out = strtoll(*p, &end, 10);
	*has = end > *p && isdigit((unsigned char)end[-1]) && !errno;
	*p = end;
	return *has;
}

static int take_item(const char **p, item *out)
{
	int has_step = 0;
	*out = (item){.kind = INDEX, .step = 1};
	kith_skip_space(p);
	if (!strncmp(*p, "...", 3)) {
		*p += 3;
		out->kind = REST;
		return 1;
	}
	if (!take_number(p, &out->has_first, &out->first))
		return 0;
	if (!kith_take(p, ':'))
		return out->has_first;
	out->kind = RANGE;
	if (!take_number(p, &out->has_last, &out->last))
		return 0;
	return !kith_take(p, ':') || (take_number(p, &has_step, &out->step) && out->step != 0);
}

/* Returns how many items there are, or -1. */
static int parse(const char *p, item items[KITH_MAX_DIMS + 1])
{
	int count = 0;
	if (!kith_take(&p, '['))
		return -1;
	while (!kith_take(&p, ']')) {
		if (count > KITH_MAX_DIMS || !take_item(&p, &items[count]))
			return -1;
		count++;
		if (!kith_take(&p, ',') && *p != ']')
			return -1;
	}
	return *p || !count ? -1 : count;
}

/* "..." becomes so many ":" that there is an item for each dimension, and so does what is missing at the end. Returns
 * 0 if there are more items than dimensions, or two "...". */
static int spread(item *items, int count, int dims)
{
	static const item all = {.kind = RANGE, .step = 1};
	int rest = 0;
	while (rest < count && items[rest].kind != REST)
		rest++;
	int after = rest < count ? count - rest - 1 : 0;
	if (rest + after > dims)
		return 0;
	for (int i = rest + 1; i < count; i++)
		if (items[i].kind == REST)
			return 0;
	memmove(items + dims - after, items + count - after, (size_t)after * sizeof *items);
	for (int i = rest; i < dims - after; i++)
		items[i] = all;
	return 1;
}

/* Where a range ends, as Python has it: from the end if negative, and never beyond the dimension. */
static int64_t clip(int64_t x, int64_t length, int64_t least, int64_t most)
{
	x += x < 0 ? length : 0;
	return x < least ? least : x > most ? most : x;
}

static void choose_range(const item *i, int64_t length, kith_choice *out)
{
	int back = i->step < 0;
	int64_t least = back ? -1 : 0, most = back ? length - 1 : length;
	int64_t first = i->has_first ? clip(i->first, length, least, most) : back ? most : least;
	int64_t last = i->has_last ? clip(i->last, length, least, most) : back ? -1 : length;
	uint64_t far = back           ? (first > last ? (uint64_t)(first - last) : 0)
		       : last > first ? (uint64_t)(last - first)
				      : 0;
	uint64_t step = back ? 0 - (uint64_t)i->step : (uint64_t)i->step;
	*out = (kith_choice){.start = (uint64_t)first, .count = far / step + (far % step != 0), .step = i->step};
	if (out->count == 1) /* however long the step is, it is not made */
		out->step = 1;
}

int kith_selection_apply(const char *text, const uint64_t *shape, int dims, kith_choice *out, const char *path,
			 kith_err *err)
{
	item items[KITH_MAX_DIMS + 2] = {{.kind = REST}};
	int count = text ? parse(text, items) : 1;
	if (count < 0)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: %s is no choice of an array: a range or an index for each dimension, as in "
				 "[:,3,0:10]",
				 path, text);
	if (!spread(items, count, dims))
		return kith_fail(err, KITH_EUSAGE, "%s: %s is for more dimensions than the array's %d", path, text,
				 dims);
	if (items[0].kind == INDEX)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: %s leaves one sample: the first dimension takes a range, such as :", path, text);
	for (int i = 0; i < dims; i++) {
		int64_t length = (int64_t)shape[i], at = items[i].first;
		if (items[i].kind == RANGE) {
			choose_range(&items[i], length, &out[i]);
		} else {
			if (at < -length || at >= length)
				return kith_fail(err, KITH_EUSAGE,
						 "%s: %s: index %lld is beyond dimension %d, which has %lld", path,
						 text, (long long)at, i, (long long)length);
			out[i] = (kith_choice){(uint64_t)(at < 0 ? at + length : at), 1, 1, 1};
		}
		if (!out[i].count)
			return kith_fail(err, KITH_EUSAGE, "%s: %s chooses nothing of dimension %d, which has %lld",
					 path, text, i, (long long)length);
	}
	return 0;
}
