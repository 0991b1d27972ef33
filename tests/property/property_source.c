/* property_source.c - arrays of any type, shape, order of dimensions and of bytes, in one file or cut into some, of any
 * format that kith reads and a test can write; whole or in part. What is read is what the definition picks, value by
 * value, from the array in memory: in any order of blocks, from several threads, as doubles, floats, integers and
 * bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activations.h"
#include "gather.h"
#include "npy_write.h"
#include "rng.h"
#include "sandbox.h"

#define DIMS   5
#define LENGTH 40 /* of the longest dimension but the first */
#define PARTS  90 /* more than are kept open */

enum { NPY, RAW, SAFETENSORS };

typedef struct input {
	kith_dtype dtype;
	size_t size;
	int dims, parts, kind, swapped; /* swapped: of raw files, which are told of together */
	size_t shape[DIMS], cut[PARTS + 1];
	unsigned char *bytes; /* the whole array, little-endian, in C order */
	char name[3 * SANDBOX_PATH], told[64], told_shape[128];
	kith_input_how how;
	char spill[SANDBOX_PATH];
	/* What is chosen of each dimension, by listing it. */
	size_t chosen[DIMS], *index[DIMS];
	int dropped[DIMS];
	char selection[512];
	size_t n, d, *at; /* at: of each value that is to come out, where it is in the whole */
} input;

/* ---- the array and its files ---- */

static size_t product(const size_t *x, int count)
{
	size_t all = 1;
	for (int i = 0; i < count; i++)
		all *= x[i];
	return all;
}

static void draw_values(input *in, rng *r)
{
	size_t count = product(in->shape, in->dims);
	double *x = must_alloc(count, sizeof *x);
	double scale = ldexp(1, (int)rng_below(r, in->dtype == KITH_I8 || in->dtype == KITH_U8 ? 52 : 12));
	for (size_t i = 0; i < count; i++)
		x[i] = rng_normal(r) * scale;
	in->bytes = must_alloc(count, in->size);
	npy_encode(in->dtype, x, count, in->bytes);
	free(x);
}

/* Rows first..last-1 as a file has them: in Fortran order or not, and of the other order of bytes or not. */
static unsigned char *lay_out(const input *in, size_t first, size_t last, int fortran, int swapped)
{
	size_t shape[DIMS], row = product(in->shape + 1, in->dims - 1), count = (last - first) * row;
	unsigned char *out = must_alloc(count, in->size);
	memcpy(shape, in->shape, sizeof shape);
	shape[0] = last - first;
	for (size_t i = 0; i < count; i++) {
		size_t left = i, to = 0, step = count, at[DIMS];
		for (int t = in->dims; t-- > 0; left /= shape[t])
			at[t] = left % shape[t];
		for (int t = in->dims; fortran && t-- > 0; to += at[t] * step)
			step /= shape[t];
		to = fortran ? to : i;
		for (size_t b = 0; b < in->size; b++)
			out[to * in->size + (swapped ? in->size - 1 - b : b)] =
				in->bytes[(first * row + i) * in->size + b];
	}
	return out;
}

static void put_shape(const input *in, size_t n, const char *between, char *out)
{
	out += sprintf(out, "%zu", n);
	for (int t = 1; t < in->dims; t++)
		out += sprintf(out, "%s%zu", between, in->shape[t]);
}

static void write_npy(const input *in, const char *path, size_t first, size_t last, rng *r)
{
	int fortran = rng_chance(r, 40), swapped = in->size > 1 && in->dtype != KITH_BF16 && rng_chance(r, 30);
	unsigned char *bytes = lay_out(in, first, last, fortran, swapped);
	char shape[128] = "(", descr[8];
	put_shape(in, last - first, ", ", shape + 1);
	strcat(shape, in->dims == 1 ? ",)" : ")");
	strcpy(descr, npy_descr(in->dtype));
	descr[0] = swapped ? '>' : descr[0];
	npy_write_raw(path, (int)rng_between(r, 1, 3), npy_header(descr, fortran, shape), bytes,
		      (last - first) * product(in->shape + 1, in->dims - 1) * in->size);
	free(bytes);
}

static void write_bytes(FILE *file, const void *bytes, size_t count)
{
	if (count && fwrite(bytes, 1, count, file) != count)
		abort();
}

static void write_raw(const input *in, const char *path, size_t first, size_t last)
{
	static const char junk[64] = "before";
	unsigned char *bytes = lay_out(in, first, last, 0, in->swapped);
	FILE *file = fopen(path, "wb");
	if (!file)
		abort();
	write_bytes(file, junk, in->how.offset);
	write_bytes(file, bytes, (last - first) * product(in->shape + 1, in->dims - 1) * in->size);
	fclose(file);
	free(bytes);
}

/* Two tensors, of which "h" is ours, with as many bytes before it as leave it at any alignment. */
static void write_safetensors(const input *in, const char *path, size_t first, size_t last, rng *r)
{
	static const char *const names[KITH_DTYPES] = {
		[KITH_F2] = "F16", [KITH_F4] = "F32", [KITH_F8] = "F64", [KITH_BF16] = "BF16", [KITH_B1] = "BOOL",
		[KITH_U1] = "U8",  [KITH_I1] = "I8",  [KITH_U2] = "U16", [KITH_I2] = "I16",    [KITH_U4] = "U32",
		[KITH_I4] = "I32", [KITH_U8] = "U64", [KITH_I8] = "I64"};
	size_t before = rng_below(r, 9), bytes = (last - first) * product(in->shape + 1, in->dims - 1) * in->size;
	unsigned char *own = lay_out(in, first, last, 0, 0), length[8] = {0};
	char shape[128], header[512];
	FILE *file = fopen(path, "wb");
	if (!file)
		abort();
	put_shape(in, last - first, ",", shape);
	int size = snprintf(
		header, sizeof header,
		"{\"__metadata__\":{\"by\":\"a test\"},\"a:b\":{\"dtype\":\"U8\",\"shape\":[%zu],"
		"\"data_offsets\":[0,%zu]},\"h\":{\"data_offsets\":[%zu,%zu],\"shape\":[%s],\"dtype\":\"%s\"}}",
		before, before, before, before + bytes, shape, names[in->dtype]);
	length[0] = (unsigned char)size;
	length[1] = (unsigned char)(size >> 8);
	write_bytes(file, length, 8);
	write_bytes(file, header, (size_t)size);
	write_bytes(file, "spacespace", before);
	write_bytes(file, own, bytes);
	fclose(file);
	free(own);
}

/* Cuts in the first dimension; a file may have one row, but none has none. */
static void draw_cuts(input *in, rng *r)
{
	size_t most = in->shape[0] < PARTS ? in->shape[0] : PARTS;
	in->parts = rng_chance(r, 40) ? 1 : (int)rng_between(r, 1, rng_chance(r, 20) ? most : most < 5 ? most : 5);
	in->cut[in->parts] = in->shape[0];
	for (int p = 1; p < in->parts; p++) {
		size_t left = in->shape[0] - in->cut[p - 1] - (size_t)(in->parts - p);
		in->cut[p] = in->cut[p - 1] + rng_between(r, 1, left / 3 + 1);
	}
}

static void write_files(input *in, rng *r)
{
	static const char *const suffix[] = {"npy", "bin", "safetensors"};
	char path[SANDBOX_PATH], list[SANDBOX_PATH];
	int by_list = in->parts > 1 && rng_chance(r, 30);
	FILE *lines = by_list ? fopen(sandbox_path(list, "list.txt"), "w") : NULL;
	in->kind = (int)rng_below(r, 3);
	if (in->kind == RAW) {
		in->swapped = in->size > 1 && rng_chance(r, 30);
		snprintf(in->told, sizeof in->told, "%s%s", in->swapped ? ">" : "", kith_dtype_name(in->dtype));
		strcpy(in->told_shape, "-1");
		for (int t = 1; t < in->dims; t++)
			sprintf(in->told_shape + strlen(in->told_shape), ",%zu", in->shape[t]);
		in->how = (kith_input_how){.dtype = in->told, .shape = in->told_shape, .offset = rng_below(r, 20)};
	}
	if (in->kind == NPY && rng_chance(r, 50)) { /* so little that those in Fortran order are set out anew, or not */
		in->how.memory = rng_between(r, 1, 4 * product(in->shape, in->dims) * in->size);
		in->how.spill = sandbox_path(in->spill, "graph.nng");
	}
	for (int p = 0; p < in->parts; p++) {
		sandbox_path(path, in->parts > 1 ? "part-%d.%s" : "whole-%d.%s", p, suffix[in->kind]);
		if (in->kind == NPY)
			write_npy(in, path, in->cut[p], in->cut[p + 1], r);
		else if (in->kind == RAW)
			write_raw(in, path, in->cut[p], in->cut[p + 1]);
		else
			write_safetensors(in, path, in->cut[p], in->cut[p + 1], r);
		if (lines)
			fprintf(lines, "%s%s", path, p + 1 < in->parts || rng_chance(r, 50) ? "\n" : "");
	}
	if (lines)
		fclose(lines);
	snprintf(in->name, sizeof in->name, "%s%s%s", by_list ? "@" : "",
		 by_list         ? list
		 : in->parts > 1 ? sandbox_path(path, "part-*.%s", suffix[in->kind])
				 : path,
		 in->kind == SAFETENSORS ? ":h" : "");
}

static void remove_files(const input *in)
{
	char path[SANDBOX_PATH];
	for (int p = 0; p < in->parts; p++)
		for (int k = 0; k < 3; k++) {
			static const char *const suffix[] = {"npy", "bin", "safetensors"};
			remove(sandbox_path(path, in->parts > 1 ? "part-%d.%s" : "whole-%d.%s", p, suffix[k]));
		}
}

/* ---- what is chosen ---- */

static void put(input *in, const char *format, long long x)
{
	size_t at = strlen(in->selection);
	snprintf(in->selection + at, sizeof in->selection - at, format, x);
}

/* One bound of a range: as it is, or from the end, or left out where it is what it would be. */
static void put_bound(input *in, long long bound, long long length, int is_default, rng *r)
{
	if (is_default && rng_chance(r, 50))
		return;
	if (bound < 0) /* before the first, which only "from the end" can say */
		put(in, "%lld", bound - length - (long long)rng_below(r, 3));
	else if (bound < length && rng_chance(r, 30))
		put(in, "%lld", bound - length);
	else
		put(in, "%lld", bound + (bound == length ? (long long)rng_below(r, 3) : 0));
}

/* Chooses of dimension `t`, and writes how Python would say it. */
static void draw_choice(input *in, int t, rng *r)
{
	long long length = (long long)in->shape[t], step = (long long)rng_between(r, 1, 3), first, last;
	in->index[t] = must_alloc(in->shape[t], sizeof(size_t));
	if (t && rng_chance(r, 30)) {
		in->dropped[t] = 1;
		in->chosen[t] = 1;
		in->index[t][0] = rng_below(r, in->shape[t]);
		put(in, "%lld", (long long)in->index[t][0] - (rng_chance(r, 30) ? length : 0));
		return;
	}
	if (rng_chance(r, 40)) {
		first = 0;
		last = length;
		step = 1;
	} else {
		first = (long long)rng_below(r, (uint64_t)length);
		last = first + (long long)rng_between(r, 1, (uint64_t)(length - first));
	}
	int back = step > 1 && rng_chance(r, 30);
	for (long long i = back ? last - 1 : first; back ? i >= first : i < last; i += back ? -step : step)
		in->index[t][in->chosen[t]++] = (size_t)i;
	put_bound(in, back ? last - 1 : first, length, back ? last == length : first == 0, r);
	put(in, ":", 0);
	put_bound(in, back ? first - 1 : last, length, back ? first == 0 : last == length, r);
	if (back || step > 1 || rng_chance(r, 10))
		put(in, ":%lld", back ? -step : step);
}

static void choose_all(input *in, int t)
{
	in->index[t] = must_alloc(in->shape[t], sizeof(size_t));
	for (in->chosen[t] = 0; in->chosen[t] < in->shape[t]; in->chosen[t]++)
		in->index[t][in->chosen[t]] = in->chosen[t];
}

static void draw_selection(input *in, rng *r)
{
	int said = rng_chance(r, 70) ? (int)rng_between(r, 1, (uint64_t)in->dims) : 0;
	for (int t = 0; t < in->dims; t++) {
		if (t >= said) {
			choose_all(in, t);
			continue;
		}
		put(in, t ? "," : ":[", 0);
		draw_choice(in, t, r);
	}
	if (said && said < in->dims && rng_chance(r, 30))
		put(in, ",...", 0);
	put(in, said ? "]" : "", 0);
	size_t at = strlen(in->name);
	snprintf(in->name + at, sizeof in->name - at, "%s", in->selection);
}

/* By the definition: the value at each choice of indices, the last dimension fastest. */
static void list_values(input *in)
{
	in->n = in->chosen[0];
	in->d = product(in->chosen + 1, in->dims - 1);
	in->at = must_alloc(in->n * in->d, sizeof *in->at);
	for (size_t v = 0; v < in->n * in->d; v++) {
		size_t left = v, step = 1;
		for (int t = in->dims; t-- > 0; left /= in->chosen[t], step *= in->shape[t])
			in->at[v] += in->index[t][left % in->chosen[t]] * step;
	}
}

static void draw(input *in, rng *r)
{
	*in = (input){.dtype = (kith_dtype)rng_below(r, KITH_DTYPES), .dims = (int)rng_between(r, 1, DIMS)};
	in->size = npy_size(in->dtype);
	in->shape[0] = rng_between(r, 1, rng_chance(r, 10) ? 9000 : 120);
	for (int t = 1; t < in->dims; t++) {
		size_t most = in->shape[0] > 120 ? 3 : 1 + LENGTH / product(in->shape + 1, t - 1);
		in->shape[t] = rng_between(r, 1, most);
	}
	draw_values(in, r);
	draw_cuts(in, r);
	write_files(in, r);
	draw_selection(in, r);
	list_values(in);
}

static void drop(input *in)
{
	remove_files(in);
	for (int t = 0; t < in->dims; t++)
		free(in->index[t]);
	free(in->bytes);
	free(in->at);
}

/* ---- reading ---- */

/* Rows first..first+count-1 in all ways; 0 if one of them is not what it should be. */
static int rows_are_right(const input *in, const kith_source *s, size_t first, size_t count)
{
	size_t values = count * in->d;
	const size_t *at = in->at + first * in->d;
	unsigned char *stored = must_alloc(values, in->size);
	double *doubles = must_alloc(values, sizeof *doubles), want;
	float *floats = must_alloc(values, sizeof *floats);
	int64_t *ints = must_alloc(values, sizeof *ints);
	int wide = kith_dtype_is_wide(in->dtype), whole = 1;
	int right = !kith_source_read_stored(s, first, count, stored, NULL) &&
		    !kith_source_read(s, first, count, doubles, NULL, NULL) &&
		    (wide || !kith_source_read_floats(s, first, count, floats, stored, NULL));
	for (size_t i = 0; i < values && right; i++) {
		npy_decode(in->dtype, in->bytes + at[i] * in->size, 1, &want);
		whole &= want == floor(want);
		right = doubles[i] == want && (wide || floats[i] == (float)want);
	}
	right = right && !kith_source_read_stored(s, first, count, stored, NULL);
	for (size_t i = 0; i < values && right; i++)
		right = !memcmp(stored + i * in->size, in->bytes + at[i] * in->size, in->size);
	int got = kith_source_read_ints(s, first, count, ints, NULL, NULL);
	right = right && got == (whole ? 0 : KITH_EUSAGE);
	for (size_t i = 0; i < values && right && whole; i++)
		right = (double)ints[i] == doubles[i];
	free(stored);
	free(doubles);
	free(floats);
	free(ints);
	return right;
}

static int map_is_right(const input *in, kith_source *s)
{
	const unsigned char *map = kith_source_map(s);
	for (size_t i = 0; map && i < in->n * in->d; i++)
		if (memcmp(map + i * in->size, in->bytes + in->at[i] * in->size, in->size))
			return 0;
	return 1;
}

/* A scan's digest is that of the values, whatever the files are, and whether they are set out anew: twice the same, and
 * the same of the files as they are. */
static int scans(const input *in, const char *name)
{
	kith_activations *a;
	kith_scan one, two, three;
	kith_input_how how = in->how;
	how.memory = 0;
	if (kith_activations_open_as(&a, name, &how, NULL))
		return 0;
	int is_read = !kith_activations_scan(a, 1, 2, NULL, &three, NULL, NULL);
	kith_activations_close(a);
	if (!is_read || kith_activations_open_as(&a, name, &in->how, NULL))
		return 0;
	int right = !kith_activations_scan(a, 1, 2, NULL, &one, NULL, NULL) &&
		    !kith_activations_scan(a, 1 << 20, 1, NULL, &two, NULL, NULL) && one.digest == two.digest &&
		    one.digest == three.digest && one.values == two.values &&
		    !kith_activations_verify(a, 2, NULL, NULL);
	kith_activations_close(a);
	return right;
}

static const char *find_fault(const input *in, rng *r, kith_err *err)
{
	kith_source *s;
	int wrong = 0;
	size_t first[8], count[8];
	if (kith_source_open(&s, in->name, &in->how, err))
		return err->msg;
	const kith_source_info *i = kith_source_get_info(s);
	wrong = i->n != in->n || i->d != in->d || i->dtype != in->dtype || i->row_bytes != in->d * in->size ||
		i->files != (uint64_t)in->parts;
	for (int b = 0; b < 8; b++) {
		first[b] = rng_below(r, in->n);
		count[b] = b ? rng_between(r, 0, in->n - first[b]) : in->n - first[b];
	}
#pragma omp parallel for num_threads(3) reduction(| : wrong)
	for (int b = 0; b < 8; b++)
		wrong |= !rows_are_right(in, s, first[b], count[b]);
	const char *fault = wrong ? "rows are not what the definition picks" : NULL;
	if (!fault && !map_is_right(in, s))
		fault = "the map is not what the definition picks";
	if (!fault && kith_source_unchanged(s, err))
		fault = err->msg;
	kith_source_close(s);
	return fault || scans(in, in->name) ? fault : "it cannot be scanned";
}

static int round_source(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	input in;
	kith_err err;
	draw(&in, &r);
	if (rng_chance(&r, 80)) /* windows that do not hold all of what is read */
		kith_gather_tuned =
			(kith_gather_tuning){rng_between(&r, 16, 300), rng_between(&r, 1, 100), rng_between(&r, 0, 60)};
	const char *fault = find_fault(&in, &r, &err);
	if (fault)
		snprintf(why, size, "%s (%s, %d dimensions, %zu rows): %s", in.name, kith_dtype_name(in.dtype), in.dims,
			 in.shape[0], fault);
	drop(&in);
	return fault != NULL;
}

int main(int argc, char **argv)
{
	return property_run_all("property_source", property_start(argc, argv, 800), round_source);
}
