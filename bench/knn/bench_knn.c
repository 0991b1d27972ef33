/* bench_knn.c - one run of one engine over one layer: bench_knn kith|faiss K THREADS ACTIVATIONS.npy
 *
 * Prints the seconds from the array, already in the page cache, to the finished neighbour lists. For kith that is all that
 * kith-knn does: reading, the graph, its pair list, the file synced in $TMPDIR. For FAISS it is IndexFlatL2's add and search
 * of k + 1 neighbours (the query itself is one) over an array of floats in memory; reading it is not counted. */
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kith/alloc.h"
#include "kith/knn.h"
#include "kith/npy.h"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int run_kith(const char *path, uint32_t k, int threads, double *seconds, kith_err *err)
{
	const char *folder = getenv("TMPDIR");
	char output[4096];
	kith_knn_options options;
	kith_knn_summary done;

	snprintf(output, sizeof output, "%s/bench_knn.%ld.nng", folder ? folder : "/tmp", (long)getpid());
	kith_knn_defaults(&options);
	options.ladder[0] = k;
	options.threads = threads;
	double start = now();
	int rc = kith_knn_build(path, output, &options, &done, err);
	*seconds = now() - start;
	unlink(output);
	return rc;
}

static int run_faiss(const char *path, uint32_t k, int threads, double *seconds, kith_err *err)
{
	kith_npy *npy = NULL;
	FaissIndexFlatL2 *index = NULL;
	float *x = NULL, *distances = NULL;
	idx_t *labels = NULL;
	int rc = kith_npy_open(&npy, path, err);
	if (rc)
		return rc;
	uint64_t n = kith_npy_n(npy), d = kith_npy_d(npy);
	double *row = kith_alloc(d, sizeof *row);
	x = kith_alloc(n * d, sizeof *x);
	distances = kith_alloc(n * (k + 1), sizeof *distances);
	labels = kith_alloc(n * (k + 1), sizeof *labels);
	if (!row || !x || !distances || !labels) {
		rc = kith_fail_nomem(err, "the array", n * d * 4);
		goto done;
	}
	for (uint64_t i = 0; i < n; i++) {
		if ((rc = kith_npy_read(npy, i, 1, row, NULL, err)))
			goto done;
		for (uint64_t t = 0; t < d; t++)
			x[i * d + t] = (float)row[t];
	}
	omp_set_num_threads(threads);
	double start = now();
	if (faiss_IndexFlatL2_new_with(&index, (idx_t)d) || faiss_Index_add(index, (idx_t)n, x) ||
	    faiss_Index_search(index, (idx_t)n, x, k + 1, distances, labels))
		rc = kith_fail(err, KITH_ENOMEM, "FAISS failed");
	*seconds = now() - start;
	faiss_Index_free(index);
done:
	free(row);
	free(x);
	free(distances);
	free(labels);
	kith_npy_close(npy);
	return rc;
}

int main(int argc, char **argv)
{
	double seconds = 0;
	kith_err err;
	if (argc != 5 || (strcmp(argv[1], "kith") && strcmp(argv[1], "faiss"))) {
		fprintf(stderr, "usage: bench_knn kith|faiss K THREADS ACTIVATIONS.npy\n");
		return 2;
	}
	uint32_t k = (uint32_t)strtoul(argv[2], NULL, 10);
	int threads = atoi(argv[3]);
	if ((strcmp(argv[1], "kith") ? run_faiss : run_kith)(argv[4], k, threads, &seconds, &err)) {
		fprintf(stderr, "bench_knn: %s\n", err.msg);
		return 1;
	}
	printf("%.2f\n", seconds);
	return 0;
}
