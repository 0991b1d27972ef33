/* mknpy - writes a .npy file of random values for the command-line tests, or one that is wrong in a chosen way.
 *
 *   mknpy [-n ROWS] [-d COLUMNS] [-t DESCR] [-s SEED] [-v VERSION] [-S SHAPE] [-F] [-g] [-e] [-c] [-p
 * ROW,COLUMN,VALUE]...
 *         [-z ROW [-Z STEP]] FILE
 *
 * -t an element type as numpy writes it (<f4; types that kith does not read are filled with zeros), -S a shape for the
 * header in place of (ROWS, COLUMNS), -F claims Fortran order, -g whole numbers 0..3, -e
 * rows that are all the same, -c a constant first column, -p puts VALUE (nan, inf, ...) at
 * a place, -z makes a row zero, -Z each STEP-th after it, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "npy_write.h"
#include "rng.h"
#include "sandbox.h"

typedef struct request {
	size_t rows, columns;
	const char *descr, *shape;
	int version, fortran, grid, equal, constant;
	uint64_t seed;
	struct {
		size_t row, column;
		double value;
	} puts[16];
	size_t put_count, zero_row, zero_step;
} request;

static void parse(request *q, int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "n:d:t:s:v:S:Fgecp:z:Z:")) != -1;) {
		if (option == 'n')
			q->rows = strtoull(optarg, NULL, 10);
		else if (option == 'd')
			q->columns = strtoull(optarg, NULL, 10);
		else if (option == 't')
			q->descr = optarg;
		else if (option == 's')
			q->seed = strtoull(optarg, NULL, 10);
		else if (option == 'v')
			q->version = atoi(optarg);
		else if (option == 'S')
			q->shape = optarg;
		else if (option == 'F')
			q->fortran = 1;
		else if (option == 'g')
			q->grid = 1;
		else if (option == 'e')
			q->equal = 1;
		else if (option == 'c')
			q->constant = 1;
		else if (option == 'z')
			q->zero_row = strtoull(optarg, NULL, 10);
		else if (option == 'Z')
			q->zero_step = strtoull(optarg, NULL, 10);
		else if (option == 'p' && q->put_count < 16 &&
			 sscanf(optarg, "%zu,%zu,%lf", &q->puts[q->put_count].row, &q->puts[q->put_count].column,
				&q->puts[q->put_count].value) == 3)
			q->put_count++;
		else
			exit(2);
	}
	if (optind + 1 != argc)
		exit(2);
}

/* The type's number, or -1. A mark of the byte order may be another, or absent. */
static int find_dtype(const char *descr)
{
	const char *name = descr + (*descr && strchr("<=|", *descr));
	for (int t = KITH_F2; t < KITH_DTYPES; t++)
		if (!strcmp(npy_descr((kith_dtype)t) + 1, name))
			return t;
	return -1;
}

int main(int argc, char **argv)
{
	request q = {.rows = 50,
		     .columns = 6,
		     .descr = "<f4",
		     .version = 1,
		     .seed = 1,
		     .zero_row = SIZE_MAX,
		     .zero_step = UINT32_MAX};
	char shape[64];
	size_t count;
	int dtype;
	parse(&q, argc, argv);
	rng r = {q.seed};
	dtype = find_dtype(q.descr);
	count = q.rows * q.columns;
	snprintf(shape, sizeof shape, "(%zu, %zu)", q.rows, q.columns);
	double *values = must_alloc(count, sizeof *values);
	void *raw = must_alloc(count, 16);
	for (size_t i = 0; i < count; i++)
		values[i] = q.grid ? (double)rng_below(&r, 4) : 10 * rng_normal(&r);
	for (size_t i = 1; i < q.rows; i++)
		for (size_t t = 0; t < (q.equal ? q.columns : q.constant ? 1 : 0); t++)
			values[i * q.columns + t] = values[t];
	for (size_t i = q.zero_row; i < q.rows; i += q.zero_step)
		memset(values + i * q.columns, 0, q.columns * sizeof *values);
	for (size_t p = 0; p < q.put_count; p++)
		values[q.puts[p].row * q.columns + q.puts[p].column] = q.puts[p].value;
	if (dtype >= 0)
		npy_encode((kith_dtype)dtype, values, count, raw);
	npy_write_raw(argv[optind], q.version, npy_header(q.descr, q.fortran, q.shape ? q.shape : shape), raw,
		      count * (dtype >= 0 ? npy_size((kith_dtype)dtype) : 8));
	free(values);
	free(raw);
	return 0;
}
