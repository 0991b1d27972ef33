/* property_formats.c - readers that do not read rows where they lie, HDF5's and those of .fvecs and .bvecs: arrays of
 * any shape, chunks and filters, and what is chosen of them, are what was written, in any order of blocks, from several
 * threads at once. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef KITH_HDF5
#include <hdf5.h>
#endif

#include "rng.h"
#include "sandbox.h"
#include "source.h"

#define MOST_DIMS 3

typedef struct array {
	int dims;
	uint64_t shape[MOST_DIMS], d;
	uint8_t *values; /* small whole numbers */
} array;

static void draw_array(array *a, rng *r)
{
	a->dims = (int)rng_between(r, 1, MOST_DIMS);
	a->d = 1;
	for (int i = 0; i < a->dims; i++) {
		a->shape[i] = rng_between(r, 1, i ? 9 : 60);
		a->d *= i ? a->shape[i] : 1;
	}
	a->values = must_alloc(a->shape[0] * a->d, 1);
	for (uint64_t i = 0; i < a->shape[0] * a->d; i++)
		a->values[i] = (uint8_t)rng_below(r, 256);
}

/* Rows of one length, each behind it. */
static void write_vecs(const char *path, array *a, int is_float)
{
	uint64_t size = is_float ? 4 : 1, row = 4 + a->d * size, n = a->shape[0];
	uint8_t *file = must_alloc(n, row);
	a->dims = 2;
	a->shape[1] = a->d;
	for (uint64_t i = 0; i < n; i++) {
		uint32_t d = (uint32_t)a->d;
		memcpy(file + i * row, &d, 4);
		for (uint64_t t = 0; t < a->d; t++) {
			float x = a->values[i * a->d + t];
			memcpy(file + i * row + 4 + t * size, is_float ? (void *)&x : &a->values[i * a->d + t], size);
		}
	}
	sandbox_write(path, file, n * row);
	free(file);
}

#ifdef KITH_HDF5
static void write_hdf5(const char *path, const array *a, rng *r)
{
	hid_t stored[] = {H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_U8LE, H5T_STD_I16BE, H5T_STD_I32LE};
	hsize_t shape[MOST_DIMS], chunk[MOST_DIMS];
	hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), layout = H5Pcreate(H5P_DATASET_CREATE);
	for (int i = 0; i < a->dims; i++) {
		shape[i] = a->shape[i];
		chunk[i] = rng_between(r, 1, a->shape[i]);
	}
	if (rng_chance(r, 80)) {
		H5Pset_chunk(layout, a->dims, chunk);
		if (rng_chance(r, 30))
			H5Pset_shuffle(layout);
		if (rng_chance(r, 50))
			H5Pset_deflate(layout, 1);
		if (rng_chance(r, 20))
			H5Pset_fletcher32(layout);
	}
	hid_t space = H5Screate_simple(a->dims, shape, NULL);
	hid_t set = H5Dcreate2(file, "x", stored[rng_below(r, 5)], space, H5P_DEFAULT, layout, H5P_DEFAULT);
	if (H5Dwrite(set, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, a->values) < 0)
		abort();
	H5Dclose(set);
	H5Sclose(space);
	H5Pclose(layout);
	H5Fclose(file);
}
#endif

/* What is chosen, as text and as the numbers of rows and values. */
typedef struct choice {
	char text[64];
	uint64_t rows, first, step;
	uint64_t count, column[9 * 9];
} choice;

static void choose(choice *c, const array *a, rng *r)
{
	uint64_t begin[MOST_DIMS] = {0}, step[MOST_DIMS] = {1, 1, 1}, count[MOST_DIMS] = {a->shape[0], 1, 1};
	int all = rng_chance(r, 40);
	size_t at = all ? 0 : (size_t)snprintf(c->text, sizeof c->text, ":[");
	if (all)
		c->text[0] = 0;
	for (int i = 0; i < a->dims; i++) {
		begin[i] = all ? 0 : rng_below(r, a->shape[i]);
		step[i] = all ? 1 : rng_between(r, 1, 3);
		uint64_t most = (a->shape[i] - begin[i] + step[i] - 1) / step[i];
		count[i] = all ? a->shape[i] : rng_between(r, 1, most);
		if (!all)
			at += (size_t)snprintf(c->text + at, sizeof c->text - at, "%s%d:%d:%d", i ? "," : "",
					       (int)begin[i], (int)(begin[i] + (count[i] - 1) * step[i] + 1),
					       (int)step[i]);
	}
	if (!all)
		snprintf(c->text + at, sizeof c->text - at, "]");
	c->rows = count[0];
	c->first = begin[0];
	c->step = step[0];
	c->count = 0;
	for (uint64_t i = 0; i < count[1]; i++)
		for (uint64_t j = 0; j < count[2]; j++)
			c->column[c->count++] =
				(begin[1] + i * step[1]) * (a->dims > 2 ? a->shape[2] : 1) + begin[2] + j * step[2];
}

/* Blocks of any size, in any order, by three threads. */
static int read_all(kith_source *s, const array *a, const choice *c, uint64_t seed, char *why, size_t size)
{
	int bad = 0;
#pragma omp parallel for num_threads(3) schedule(dynamic, 1)
	for (uint64_t block = 0; block < 12; block++) {
		rng r = {seed + block};
		uint64_t first = rng_below(&r, c->rows), count = rng_between(&r, 1, c->rows - first);
		double *got = must_alloc(count * c->count, sizeof *got);
		kith_err err = {0};
		int rc = kith_source_read(s, first, count, got, NULL, &err);
		for (uint64_t i = 0; !rc && i < count * c->count; i++) {
			uint64_t row = c->first + (first + i / c->count) * c->step;
			rc = got[i] != a->values[row * a->d + c->column[i % c->count]];
		}
#pragma omp critical
		if (rc && !bad++)
			snprintf(why, size, "rows %d:%d: %s", (int)first, (int)(first + count), err.msg);
		free(got);
	}
	return bad;
}

static int round_formats(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	char path[SANDBOX_PATH], name[SANDBOX_PATH + 64];
	array a = {0};
	choice c;
	kith_source *s = NULL;
	kith_err err = {0};
	uint64_t kind = rng_below(&r, 4);
	draw_array(&a, &r);
	sandbox_path(path, "%s", kind == 0 ? "x.fvecs" : kind == 1 ? "x.bvecs" : "x.h5");
#ifdef KITH_HDF5
	if (kind > 1)
		write_hdf5(path, &a, &r);
#else
	if (kind > 1)
		sandbox_path(path, "x.fvecs");
	if (kind > 1)
		kind = 0;
#endif
	if (kind < 2)
		write_vecs(path, &a, kind == 0);
	choose(&c, &a, &r);
	snprintf(name, sizeof name, "%s%s", path, c.text);
	int bad = kith_source_open(&s, name, NULL, &err);
	if (bad)
		snprintf(why, size, "%s", err.msg);
	else if (kith_source_get_info(s)->n != c.rows || kith_source_get_info(s)->d != c.count)
		bad = snprintf(why, size, "%s: another shape", name);
	else
		bad = read_all(s, &a, &c, seed, why, size);
	kith_source_close(s);
	free(a.values);
	return bad != 0;
}

int main(int argc, char **argv)
{
	return property_run_all("property_formats", property_start(argc, argv, 1000), round_formats);
}
